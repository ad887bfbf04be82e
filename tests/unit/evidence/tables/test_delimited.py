"""CSV: what is wrong in a file is told by its line."""

from __future__ import annotations

import gzip

import pytest

from pytest_modelgate import Evaluation
from pytest_modelgate.evidence.tables import lines
from pytest_modelgate.exceptions import EvidenceError

GOOD = "target,score\n0,0.1\n1,0.2\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.rstrip("\n"),
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\n\n"),
        '"target","score"\n"0","0.1"\n1, 0.2\n',
        'note,target,score\n"two\nlines, and a comma",0,1e-1\n,1,.2\n',
        "target,score\n0.0,0.1\n1.0,0.2\n",
        "target,score\nFalse,0.1\nTrue,0.2\n",
    ],
)
def test_what_is_read(read, text):
    found = read("p.csv", text)
    assert found == Evaluation.from_predictions(target=[0, 1], preds=[0.1, 0.2], outputs="probabilities")


@pytest.mark.parametrize("suffix", ["csv.gz", "CSV.GZ"])
def test_packed(read, suffix):
    assert read(f"p.{suffix}", gzip.compress(GOOD.encode())).n == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"p.csv is empty: its first line must name the columns"),
        ("\n\n", r"p.csv is empty"),
        ("target,score\n", r"p.csv has no rows: there is no sample"),
        ("target,score\n0,0.1\n1\n", r"p.csv:3: 1 cells, but the header names 2 columns"),
        ("target,score\n0,0.1\n1,0.2,0.3\n", r"p.csv:3: 3 cells, but the header names 2"),
        ("target,score\n0,0.1\n1,\n", r"p.csv:3, column 'score': the cell is empty"),
        ("target,score\n0,0.1\n,0.1\n", r"p.csv:3, column 'target': the cell is empty"),
        ("target,score\n0,0.1\n1,nan\n", r"p.csv:3, column 'score': nan is not finite"),
        ("target,score\n0,0.1\n1,-inf\n", r"p.csv:3, column 'score': -inf is not finite"),
        ("target,score\n0,0.1\n1,abc\n", r"p.csv:3, column 'score': 'abc' is no number"),
        ("target,score\n0,0.1\n1,1_0\n", r"p.csv:3, column 'score': '1_0' is no number"),
        ('target,score\n0,0.1\n1,"0,2"\n', r"p.csv:3, column 'score': '0,2' is no number"),
        ('target,score,note\n0,0.1,"a\nb"\n1,x,c\n', r"p.csv:4, column 'score': 'x' is no number"),
        ("target,score\n0,0.1\n2,0.2\n", r"p.csv:3, column 'target': '2' is no class index from 0 to 1"),
        ("target,score\n0,0.1\n0.5,0.2\n", r"p.csv:3, column 'target': '0.5' is the name of a class: give labels="),
        ("target,score\n0,0.1\nyes,0.2\n", r"p.csv:3, column 'target': 'yes' is the name of a class: give labels="),
        ("target,score\n0,0.1\n-1,0.2\n", r"p.csv:3, column 'target': '-1' is no class index"),
        ('target,score\n0,0.1\n1,"0.2\n', r"p.csv:3: this is not CSV: unexpected end of data"),
        ("target;score\n0;0.1\n", r"no column 'score'.*; its cells seem to be parted by ';', and CSV has commas"),
        ("target,score,score\n0,0.1,0.1\n", r"p.csv has 2 columns 'score'; give each a name of its own"),
        (b"target,score\n0,0.1\n1,0.2\xff\n", r"p.csv:3: the text is not UTF-8; save the file as UTF-8"),
        (GOOD.encode("utf-16"), r"p.csv:1: the text is not UTF-8"),
    ],
)
@pytest.mark.parametrize("chunk_rows", [None, 1])
def test_what_is_wrong(read, text, says, chunk_rows):
    with pytest.raises(EvidenceError, match=says):
        read("p.csv", text, chunk_rows=chunk_rows)


@pytest.mark.parametrize(
    ("cells", "given", "says"),
    [
        ("0,0.1,", {"ids": "more"}, r"p.csv:3, column 'more': the cell is empty"),
        ("0,0.1,", {"slices": ["more"]}, r"p.csv:3, column 'more': the cell is empty"),
        ("0,0.1,-1", {"weights": "more"}, r"p.csv:3, column 'more': the weight -1.0 is negative"),
        ("0,0.1,inf", {"weights": "more"}, r"p.csv:3, column 'more': inf is not finite"),
        (
            "chrns,0.1,1",
            {"labels": ["stays", "churns"]},
            r"p.csv:3, column 'target': 'chrns' is no class; did you mean",
        ),
        ("7,0.1,1", {"labels": ["stays", "churns"]}, r"'7' is no class \(the classes are 'stays', 'churns'\)"),
        ("2,0.1,1", {"labels": ["0", "7"]}, r"'2' is no class"),
        ("1,0.1,1", {"labels": ["0", "7"]}, r"'1' is no class"),
        ("4,0.1,1", {"labels": [0, 5]}, r"p.csv:3, column 'target': '4' is no class"),
        ("0,0.1,2", {"outputs": "labels", "preds": "more", "labels": ["0", "1"]}, r"p.csv:3, column 'more': '2' is no"),
    ],
)
def test_what_is_wrong_with_what_is_asked_for(read, cells, given, says):
    with pytest.raises(EvidenceError, match=says):
        read("p.csv", f"target,score,more\n0,0.2,1\n{cells}\n", **given)


def test_all_weights_zero(read):
    with pytest.raises(EvidenceError, match=r"p.csv, column 'w': all weights are 0, so that no sample counts"):
        read("p.csv", "target,score,w\n0,0.1,0\n1,0.2,0\n", weights="w", chunk_rows=1)
    assert read("p.csv", "target,score,w\n0,0.1,1\n1,0.2,0\n", weights="w", chunk_rows=1).samples.weights.tolist() == [
        1,
        0,
    ]


@pytest.mark.parametrize(
    ("name", "pack"), [("p.csv", bytes), ("p.csv.gz", gzip.compress), ("p.jsonl.gz", gzip.compress)]
)
def test_a_line_that_never_ends(read, monkeypatch, name, pack):
    """Unpacked it may be a thousand times as large as the file, and a line is read whole."""
    monkeypatch.setattr(lines, "_LINE_BYTES", 100_000)
    with pytest.raises(EvidenceError, match=rf"{name} has a line of more than 100,000 bytes"):
        read(name, pack((b"" if "json" in name else GOOD.encode()) + b"0" * 200_000))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_measured_one_by_one(read, monkeypatch, end):
    monkeypatch.setattr(lines, "_LINE_BYTES", 20_000)
    text = GOOD + "".join(f"1,0.{'1' * size}\n" for size in (9_000, 19_000, 19_990, 1, 8_192, 19_000))
    assert read("p.csv", text.replace("\n", end)).n == 8


@pytest.mark.parametrize(
    "content", [gzip.compress(GOOD.encode())[:-9], GOOD.encode(), b""], ids=["cut", "plain", "empty"]
)
def test_packed_and_cut_off(read, content):
    says = r"p.csv.gz is no gzipped file, or is cut off" if content else "p.csv.gz is empty"
    with pytest.raises(EvidenceError, match=says):
        read("p.csv.gz", content)


@pytest.mark.parametrize(
    ("labels", "cells"),
    [
        (["1", "0"], ["0", "1", "0"]),
        (["no", "yes"], ["yes", "0", "1"]),
        (["True", "False"], ["False", "True", "False"]),
        ([7, 5], ["5", "7", "5"]),
    ],
)
def test_names_are_what_they_look_like(read, labels, cells):
    text = "target,score\n" + "".join(f"{cell},0.{row}\n" for row, cell in enumerate(cells))
    assert read("p.csv", text, labels=labels).samples is None
    assert read("p.csv", text, labels=labels).scores.target.tolist() == [1, 0, 1]


def test_classes_that_nobody_named(read):
    given = {"outputs": "labels", "preds": "label"}
    assert read("p.csv", "target,label\n2,0\n0,1\n", **given).labels == (0, 1, 2)
    assert read("p.csv", "target,label\n2,0\n0,x\n", **given).labels == ("0", "2", "x")
    assert read("p.csv", "target,label\nb,a\na,a\n", chunk_rows=1, **given).labels == ("a", "b")
    with pytest.raises(EvidenceError, match=r"'-1' is no class index below 10,000: give labels="):
        read("p.csv", "target,label\n-1,0\n0,1\n", **given)
    with pytest.raises(EvidenceError, match=r"p.csv:3, column 'label': the value is NaN \(where a class is called so"):
        read("p.csv", "target,label\n1,0\n0,nan\n", **given)
    assert read("p.csv", "target,label\nnan,a\na,nan\n", labels=["a", "nan"], **given).n == 2
    many = "target,label\n" + "".join(f"a{row},b{row}\n" for row in range(5001))
    with pytest.raises(EvidenceError, match=r"more than 10,000 different values are no classes; give labels="):
        read("p.csv", many, **given)


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, None])
def test_empty_lines_fill_no_chunk(read, chunk_rows):
    text = "\n\ntarget,score\n\n\n\n\n0,0.1\n\n\n\n\n\n1,0.2\n\n"
    assert read("p.csv", text, chunk_rows=chunk_rows).n == 2
    with pytest.raises(EvidenceError, match=r"p.csv:17: 3 cells, but the header names 2 columns"):
        read("p.csv", text + "\n1,2,3\n", chunk_rows=chunk_rows)
