"""JSON Lines: what is wrong in a file is told by its line."""

from __future__ import annotations

import gzip

import pytest

from pytest_modelgate import Evaluation
from pytest_modelgate.exceptions import EvidenceError

GOOD = '{"target": 0, "score": 0.1}\n\n{"score": 0.2, "target": 1, "more": null}\n'


@pytest.mark.parametrize("name", ["p.jsonl", "p.ndjson", "P.JSONL"])
def test_what_is_read(read, name):
    found = read(name, GOOD)
    assert found == Evaluation.from_predictions(target=[0, 1], preds=[0.1, 0.2], outputs="probabilities")


def test_packed(read):
    assert read("p.jsonl.gz", gzip.compress(GOOD.encode())).n == 2


def test_bools_and_whole_floats_are_classes(read):
    assert read("p.jsonl", '{"target": true, "score": 1}\n{"target": 0.0, "score": 0}\n').metric("recall") == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"target": 1}', r"p.jsonl:3: this row has no 'score'; give every row each column"),
        ('{"target": 1, "scroe": 1}', r"p.jsonl:3: this row has no 'score'; did you mean 'scroe'\?"),
        ('{"target": 1, "score": null}', r"p.jsonl:3, column 'score': the cell is empty"),
        ('{"target": null, "score": 1}', r"p.jsonl:3, column 'target': the cell is empty"),
        ('{"target": 1, "score": NaN}', r"p.jsonl:3, column 'score': nan is not finite"),
        ('{"target": 1, "score": "0.3"}', r"p.jsonl:3, column 'score': '0.3' is no number"),
        (
            '{"target": 1, "score": [0.3, 0.7]}',
            r"p.jsonl:3, column 'score': a list of 2, but a single value in the first row",
        ),
        ('{"target": [1], "score": 1}', r"p.jsonl:3, column 'target': \[1\] is no class index"),
        ('{"target": 2, "score": 1}', r"p.jsonl:3, column 'target': 2 is no class index from 0 to 1"),
        ('{"target": "x", "score": 1}', r"p.jsonl:3, column 'target': 'x' is the name of a class: give labels="),
        ('{"target": 1, "score": 1', r"p.jsonl:3: this line is not JSON: Expecting"),
        ("[1, 2]", r"p.jsonl:3: a list, and no object"),
        ("[" * 100_000, r"p.jsonl:3: this line is not JSON"),
        ('{"target": 1, "score": 1' + "0" * 400 + "}", r"p.jsonl, column 'score': a number is too large"),
        (b'{"target": 1, "score": "\xff"}', r"p.jsonl:3: the text is not UTF-8"),
    ],
)
def test_what_is_wrong(read, line, says):
    before = '{"target": 0, "score": 0.1}\n\n'
    with pytest.raises(EvidenceError, match=says):
        read("p.jsonl", before.encode() + line + b"\n" if isinstance(line, bytes) else before + line + "\n")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_no_rows(read, text):
    with pytest.raises(EvidenceError, match=r"p.jsonl has no rows"):
        read("p.jsonl", text)


@pytest.mark.parametrize("value", ["1.5", "true", "[1]"])
def test_no_names(read, value):
    with pytest.raises(EvidenceError, match=r"p.jsonl:2, column 'id': .* is no name; give strings or whole numbers"):
        read("p.jsonl", f'{{"target": 0, "score": 0, "id": 1}}\n{{"target": 1, "score": 1, "id": {value}}}', ids="id")


def test_classes_that_nobody_named(read):
    given = {"outputs": "labels", "preds": "label"}
    rows = '{{"target": {}, "label": {}}}\n{{"target": {}, "label": {}}}\n'
    assert read("p.jsonl", rows.format('"b"', '"a"', '"a"', '"b"'), **given).labels == ("a", "b")
    assert read("p.jsonl", rows.format("1", "0", "0", "true"), **given).labels == (0, 1)
    with pytest.raises(EvidenceError, match="some classes are names and some are numbers; give labels="):
        read("p.jsonl", rows.format('"b"', "0", "0", "1"), **given)
    with pytest.raises(EvidenceError, match=r"p.jsonl:2, column 'label': \[1\] is no class"):
        read("p.jsonl", rows.format("1", "0", "0", "[1]"), **given)


ROW = '{"target": 1, "score": 0.5}'


@pytest.mark.parametrize("line", [f"  {ROW}", f"{ROW}  ", f"{ROW}\t\r", ROW])
def test_space_around_an_object(read, line):
    assert read("p.jsonl", f"{ROW}\n{line}\n{ROW}").n == 3


@pytest.mark.parametrize("line", [f"{ROW}{ROW}", f"{ROW},", f"{ROW} x", "{", f"{ROW}]", "{}}"])
def test_more_than_an_object(read, line):
    with pytest.raises(EvidenceError, match=r"p.jsonl:2: this line is not JSON"):
        read("p.jsonl", f"{ROW}\n{line}\n{ROW}\n")
