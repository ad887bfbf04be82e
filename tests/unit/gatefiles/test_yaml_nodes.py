"""YAML read strictly, with both of PyYAML's parsers: what is refused, what the values are, on which line they stand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_modelgate import GateFileError
from pytest_modelgate.gatefiles.yaml_nodes import Items, Node, Scalar, Source, Table, read_nodes, resolve

PARSERS = ["libyaml", "pure"] if hasattr(yaml, "CSafeLoader") else ["pure"]


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pure":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    return str(request.param)


def nodes(folder: Path, text: str | bytes) -> Table:
    file = folder / "x.modelgate.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_nodes(Source(file, file.name))


def plain(node: Node) -> Any:
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key: plain(inner) for key, inner in node.entries.items()} if isinstance(node, Table) else node.value


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"
REFUSED = [  # the file, the line, what the message says
    (BOMB, 1, "the anchor &a: gate files have no anchors and aliases"),
    ("a: 1\nb: *a\n", 2, "the alias *a: gate files have no anchors and aliases"),
    ("a: 1\nb: !!python/object/apply:os.system [echo]\n", 2, "the tag !!python/object/apply:os.system"),
    ("b: !!str 1\n", 1, "the tag !!str"),
    ("b: !mine 1\n", 1, "the tag !mine"),
    ("b: ! 1\n", 1, "the tag !"),
    ("a:\n\tb: 1\n", 2, "this line has a tab"),
    ("a:\n  b: 1\n  \tc: 1\n", 3, "tab"),
    ("a: 1\n---\nb: 1\n", 2, "a second document starts here"),
    ("a: 1\n...\nb: 1\n", 3, ""),
    ("a: {b: 1\nc: 2\n", 2, "while parsing a flow mapping (from line 1); is a comma or a closing bracket missing?"),
    ("x: 1\na: [b,\n c\n", 2, "is a comma or a closing bracket missing?"),
    ("x: 1\na: 'b\nc: 2\n", 2, "is a closing quote missing?"),
    ("a: b: 1\n", 1, "look at the indentation"),
    ("a:\n  b: 1\n   c: 1\n", 3, "look at the indentation"),
    ("a: @b\n", 1, "quotes"),
    ("a: `b`\n", 1, "quotes"),
    ("a: 1\na: 2\n", 2, "the key 'a' stands on line 1 too: keep one"),
    ("a:\n  b: 1\n  c: 1\n  b: 2\n", 4, "the key 'b' stands on line 2 too"),
    ('a: 1\n"a": 2\n', 2, "the key 'a' stands on line 1 too"),
    ("? [a]\n: 1\n", 1, "a key is a word, not a list or a mapping"),
    ('a: {"": 1}\n', 1, "a key is missing before ':'"),
    ("a: " + "[" * 100 + "]" * 100, 1, "nested more than 12 deep"),
    ("a:\n" + "".join(f"{' ' * i}a:\n" for i in range(1, 20)), 12, "nested more than 12 deep"),
    ("a: 1\nb: \x00\n", 2, r"a control character, '\x00'"),
    ("a: 1\nb: \x1b[31m\n", 2, "a control character"),
    ("a: 1\nb: \u2028\n", 2, "a control character"),
    ('a: 1\nb: "\\ud800"\n', 2, "escape"),
    ('a: 1\nb: "C:\\model"\n', 2, "in single quotes a backslash is nothing special"),
    ("a: 1\rb: @\r", 2, "quotes"),
    (b"a: 1\nb: \xe4\n", 2, "byte 0xe4 is not UTF-8: save the file as UTF-8"),
    ("a: 1\n".encode("utf-16"), 1, "it looks like UTF-16: save the file as UTF-8"),
    (b"\xc3", 1, "byte 0xc3 is not UTF-8"),
]


@pytest.mark.parametrize(("text", "line", "says"), REFUSED)
def test_what_is_refused(tmp_path: Path, parser: str, text: str | bytes, line: int, says: str) -> None:
    with pytest.raises(GateFileError) as caught:
        nodes(tmp_path, text)
    assert str(caught.value).startswith(f"x.modelgate.yaml:{line}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


VALUES = [
    ("0.90", 0.9),
    ("1", 1),
    ("-1", -1),
    ("1e-3", 0.001),
    ("1E+2", 100.0),
    (".5", 0.5),
    ("5.", 5.0),
    ("true", True),
    ("False", False),
    ("~", None),
    ("null", None),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("007", "007"),
    ("0x10", "0x10"),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("2024-01-01", "2024-01-01"),
    ("1.2.3", "1.2.3"),
    (".", "."),
    ("-", "-"),
    ("'1'", "1"),
    ('"true"', "true"),
    ("a b", "a b"),
    ("a:b", "a:b"),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_scalars_are_those_of_yaml_1_2(tmp_path: Path, parser: str, text: str, value: object) -> None:
    found = nodes(tmp_path, f"a: [{text}]\n").entries["a"]
    assert isinstance(found, Items)
    (single,) = found.items
    assert isinstance(single, Scalar)
    assert single.value == value
    assert type(single.value) is type(value)


@settings(max_examples=200, deadline=None)
@example("1e5")
@given(st.text("0123456789+-.eE_:x", max_size=8))
def test_what_reads_as_a_number_is_one_to_python_too(text: str) -> None:
    value = resolve(text)
    if isinstance(value, (int, float)):
        assert float(text) == value
    else:
        assert value is None or value == text


def test_lines_are_those_of_keys_and_values(tmp_path: Path, parser: str) -> None:
    table = nodes(tmp_path, "# c\na:\n\n  - x\n  - {y: 1,\n     z: 2}\nb:\n\nc: 3\n")
    assert table.lines == {"a": 2, "b": 7, "c": 9}
    listed = table.entries["a"]
    assert isinstance(listed, Items)
    assert [item.line for item in listed.items] == [4, 5]
    inner = listed.items[1]
    assert isinstance(inner, Table)
    assert inner.lines == {"y": 5, "z": 6}
    assert table.entries["b"] == Scalar(7, None, "")


# Beyond these characters JSON and YAML differ in what they take unescaped.
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc")))
NUMBERS = st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=1), JSON, min_size=1, max_size=4))
def test_json_is_read_as_json_reads_it(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    folder = tmp_path_factory.getbasetemp()
    for text in (json.dumps(value), json.dumps(value, indent=1)):
        assert plain(nodes(folder, text)) == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | st.text("ab:-[]{}&*!'\"|>#%@ \n\t?,~1.", max_size=30).map(str.encode))
def test_any_bytes_are_a_table_or_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    try:
        assert isinstance(nodes(tmp_path_factory.getbasetemp(), data), Table)
    except GateFileError as error:
        told = str(error)
        assert told.isprintable()
        line = int(told.removeprefix("x.modelgate.yaml:").partition(":")[0])
        assert 1 <= line <= len(data.decode("utf-8", "replace").splitlines()) + 1


HOSTILE = ["[" * 999_999, "{" * 999_999, "- " * 499_999, "? " * 499_999, "&a " * 300_000, "!" * 999_999, "'" * 999_999]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:3])
def test_a_hostile_file_ends_at_once(tmp_path: Path, text: str) -> None:
    with pytest.raises(GateFileError):
        nodes(tmp_path, text)


def test_a_file_of_100_megabytes_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "x.modelgate.yaml"
    with file.open("wb") as handle:
        handle.truncate(100_000_000)
    with pytest.raises(GateFileError, match=r"x.modelgate.yaml:1: 100,000,000 bytes are too large for a gate file"):
        read_nodes(Source(file, file.name))


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(GateFileError, match="this is not a file"):
        read_nodes(Source(tmp_path, "x.modelgate.yaml"))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(GateFileError, match="this is not a file"):
            read_nodes(Source(tmp_path / "pipe", "pipe"))
    with pytest.raises(GateFileError, match="this is not a file"):
        read_nodes(Source(tmp_path / "absent", "absent"))
