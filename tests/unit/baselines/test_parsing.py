"""A baseline that is wrong: one sentence with the file and the line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate import EvidenceError
from pytest_modelgate.baselines.parsing import parse

ENTRY = {
    "test": "test_a.py::test_recall",
    "gate": "recall[fraud] >= 0.9",
    "outcome": "PASS",
    "estimate": 0.95,
    "lower": 0.9,
    "upper": None,
    "support": 120,
    "bar": 0.9,
    "direction": "at_least",
    "confidence": 0.95,
    "if_unsure": "estimate",
}
LINES = [
    "{",
    ' "schema": 1,',
    ' "provenance": {"commit": "abc"},',
    ' "entries": [',
    f"  {json.dumps(ENTRY)},",
    f"  {json.dumps(ENTRY | {'number': 2})}",
    " ]",
    "}",
    "",
]
TEXT = "\n".join(LINES)
ANEW = "or record it anew with --modelgate-update-baseline"


def wrong(content: bytes | str) -> str:
    with pytest.raises(EvidenceError) as caught:
        parse(content if isinstance(content, bytes) else content.encode(), "b.json")
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("b.json")
    return text


def test_the_text_without_a_fault() -> None:
    found = parse(TEXT.encode(), "b.json")
    assert [line for line, _ in found.entries] == [5, 6]
    assert found.provenance == {"commit": "abc"}
    assert found.entries[0][1].support == 120


@pytest.mark.parametrize("mark", ["<<<<<<< HEAD", "=======", ">>>>>>> theirs", "||||||| base"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_merge_conflict(mark: str, end: str) -> None:
    text = end.join([*LINES[:4], mark, *LINES[4:]])
    assert wrong(text) == f"b.json:5: a merge conflict is left here ({mark.split()[0]}); resolve it, {ANEW}"


@given(st.integers(0, len(TEXT) - 3))
def test_cut_off_anywhere(length: int) -> None:
    text = TEXT[:length]
    found = wrong(text)
    if not text.strip():
        assert found == f"b.json: the baseline is empty; restore the file, {ANEW}"
    else:
        line = text.rstrip("\n").count("\n") + 1
        assert found == f"b.json:{line}: the baseline is cut off here; restore the file, {ANEW}"


FAULTS: list[tuple[str, str, str]] = [
    ('"schema": 1', '"schema": 2', "b.json:2: this baseline has schema 2, and this version of pytest-modelgate reads"),
    ('"schema": 1', '"schema": "1"', "b.json:2: the schema must be a whole number from 1 on, not '1'"),
    ('"schema": 1', '"schema": true', "b.json:2: the schema must be a whole number from 1 on, not True"),
    ('"schema": 1', '"schema": 0', "b.json:2: the schema must be a whole number from 1 on, not 0"),
    ('"schema": 1,', "", "b.json: this is no baseline: it has no 'schema'"),
    ('"schema": 1', '"schema": 1,\n "schema": 1', "b.json:3: 'schema' stands here a second time"),
    ('"schema": 1', '"schmea": 1', "b.json:2: unknown key 'schmea'; did you mean 'schema'?"),
    ('{"commit": "abc"}', '["abc"]', "b.json:3: the provenance must be an object, not a list"),
    ('{"commit": "abc"}', '{"commit": NaN}', "b.json:3: NaN is no number that JSON has"),
    ('{"commit": "abc"}', '{"a": 1, "a": 2}', "b.json:3: 'a' stands here twice"),
    ('"entries": [', '"entries": {', "b.json:4: this is not JSON: '[' is expected here"),
    ('"number": 2', '"number": 2, "number": 3', "b.json:6: 'number' stands here twice"),
    ('"number": 2', '"number": 0', "b.json:6: number must be a whole number from 1 on, not 0"),
    ('"number": 2', '"nmuber": 2', "b.json:6: unknown key 'nmuber'; did you mean 'number'?"),
    ('"number": 2', '"slices": "north"', "b.json:6: slices must be a list of texts, not 'north'"),
    ('"number": 2', '"data": []', "b.json:6: data must be an object or null, not []"),
    ('"number": 2', '"samples": 3', "b.json:6: samples must be text or null, not 3"),
    ('"outcome": "PASS"', '"outcome": "GREEN"', "b.json:5: outcome must be one of PASS, FAIL, INCONCLUSIVE, UNDEFINED"),
    ('"estimate": 0.95', '"estimate": "0.95"', "b.json:5: estimate must be a number or null, not '0.95'"),
    ('"estimate": 0.95', '"estimate": true', "b.json:5: estimate must be a number or null, not True"),
    ('"estimate": 0.95', '"estimate": 1e999', "b.json:5: estimate must be a number or null, not inf"),
    ('"estimate": 0.95', '"estimate": Infinity', "b.json:5: Infinity is no number that JSON has"),
    ('"support": 120', '"support": -1', "b.json:5: support must be a whole number from 0 on, not -1"),
    ('"confidence": 0.95', '"confidence": 95', "b.json:5: confidence must be a number between 0 and 1, not 95"),
    ('"if_unsure": "estimate"', '"if_unsure": "pass"', "b.json:5: if_unsure must be one of estimate, fail, warn"),
    ('"bar": 0.9, ', "", "b.json:5: an entry without 'bar'"),
    ('"support": 120,', '"support": 120', "b.json:5: this is not JSON: Expecting ',' delimiter"),
]


@pytest.mark.parametrize(("what", "instead", "words"), FAULTS, ids=[words for _, _, words in FAULTS])
def test_a_fault_is_named_with_its_line(what: str, instead: str, words: str) -> None:
    assert what in TEXT
    assert wrong(TEXT.replace(what, instead, 1)).startswith(words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "b.json: the baseline is empty"),
        (b" \n\n", "b.json: the baseline is empty"),
        (b"[]", "b.json:1: this is not JSON: '{' is expected here"),
        (b"{}", "b.json: this is no baseline: it has no 'schema'"),
        (b"{\n\n\xff}", "b.json:3: this is not UTF-8 text"),
        (TEXT.encode() + b"{}", "b.json:9: the baseline has ended before this"),
        (TEXT.replace('{"commit": "abc"}', "[" * 100_000).encode(), "b.json:3: "),
        (TEXT.replace(json.dumps(ENTRY), "7", 1).encode(), "b.json:5: an entry must be an object, not a number"),
        (TEXT.replace('"schema": 1', '"schema" 1').encode(), "b.json:2: this is not JSON: ':' is expected here"),
        (TEXT.encode("utf-16"), "b.json:1: this is not UTF-8 text"),
        (b"PK\x03\x04", "b.json:1: this is not JSON"),
    ],
)
def test_what_is_no_baseline(content: bytes, words: str) -> None:
    assert wrong(content).startswith(words)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists, max_leaves=5))
def test_nothing_but_a_sentence_comes_out(value: Any) -> None:
    wrong(json.dumps({"schema": 1, "provenance": {}, "entries": [value]}))
    wrong(json.dumps(value))
