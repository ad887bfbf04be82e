"""YAML as a tree that knows its lines, read strictly: no aliases, no tags, no key twice, plain types alone.

Scalars follow YAML 1.2's core schema, so that `yes` is a text and `1e-3` a number.
"""

from __future__ import annotations

__tracebackhide__ = True

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_modelgate.exceptions import GateFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST = 1_000_000
"""Bytes: a gate file of ten thousand gates is smaller."""
LONGEST = 600
"""Characters of a message; a word that somebody wrote may be as long as a file."""
DEEPEST = 12
"""Levels; a gate file needs five."""

_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*|(?=[0-9.]*[0-9])[0-9]*\.[0-9]*)(?:[eE][-+]?[0-9]+)?")
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_CONSTANTS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + inf: float(sign + "inf") for sign in ("", "+", "-") for inf in (".inf", ".Inf", ".INF")},
}
# Besides control characters those that YAML 1.1 takes for line ends and editors do not.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INDENTED_BY_TAB = re.compile(r"^ *\t\s*[^\s#]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: str, int, float, bool or None; `text` is how it is written."""

    line: int
    value: Any
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping: `entries` by key, and the line of each key."""

    line: int
    entries: dict[str, Node]
    lines: dict[str, int]


Node: TypeAlias = Scalar | Items | Table


@dataclass(frozen=True, slots=True)
class Source:
    """A gate file as errors name it."""

    path: Path
    shown: str

    def error(self, line: int, text: str) -> GateFileError:
        """An error of one line that can be printed anywhere: `fraud.modelgate.yaml:7: text`."""
        whole = " ".join(f"{self.shown}:{line}: {text}".split())
        short = whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}..."
        return GateFileError(short.encode("utf-8", "backslashreplace").decode())


def read_nodes(source: Source) -> Table:
    """The file's mapping.

    Raises:
        GateFileError: a file that is missing, too large, not UTF-8, not YAML, empty, or not one mapping; anchors,
            aliases, tags, keys that repeat, or too deep nesting.
    """
    root = _parse(_text(source), source)
    if not isinstance(root, Table):
        what = "a list" if isinstance(root, Items) else f"the text {root.text[:40]!r}"
        raise source.error(root.line, f"a gate file is a mapping of keys such as model:, data: and gates:, not {what}")
    return root


def _text(source: Source) -> str:
    try:
        if not source.path.is_file():  # a pipe would block
            raise source.error(1, "this is not a file")
        with open(source.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > LARGEST else file.read(LARGEST + 1)
    except OSError as error:
        raise source.error(1, f"the file cannot be read: {error.strerror or error}") from None
    size = max(size, len(data))
    if size > LARGEST:
        raise source.error(1, f"{size:,} bytes are too large for a gate file; {LARGEST:,} are allowed")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        kind = "; it looks like UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise source.error(line, f"byte 0x{data[error.start]:02x} is not UTF-8{kind}: save the file as UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if bad := _CONTROL.search(text):
        raise source.error(_line_of(text, bad.start()), f"a control character, {bad[0]!r}, has no place in a gate file")
    return text


def _line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _parse(text: str, source: Source) -> Node:
    import yaml

    # libyaml where it is there: ten times faster. Both only tell what stands where, and make no objects.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events = yaml.parse(text, loader)
        return _document(events, source)
    except yaml.MarkedYAMLError as error:
        if tab := _INDENTED_BY_TAB.search(text):
            raise source.error(
                _line_of(text, tab.end() - 1), "YAML is indented with spaces, and this line has a tab"
            ) from None
        lines = text.split("\n")
        mark, began = error.problem_mark, error.context_mark
        if mark is None or (mark.line >= len(text.splitlines()) and began is not None):
            mark = began  # what is not closed is found missing at the end
        line = 1 if mark is None else min(mark.line, len(lines) - 1) + 1
        if mark is not None and lines[line - 1][mark.column : mark.column + 1] == "\t":
            raise source.error(line, "a tab has no place here: YAML takes spaces") from None
        context = f", {error.context}" if error.context else ""
        context += f" (from line {began.line + 1})" if context and began is not None and began.line + 1 != line else ""
        raise source.error(line, f"this is not YAML: {error.problem}{context}{_hint(error)}") from None
    except yaml.YAMLError as error:
        raise source.error(1, f"this is not YAML: {error}") from None


def _hint(error: Any) -> str:
    """What was probably meant by some usual slips."""
    problem = f"{error.problem} {error.context}"
    if "cannot start any token" in problem:
        return "; put a text with special characters in quotes"
    if "mapping values are not allowed" in problem:
        return "; look at the indentation, and put a text with ': ' in quotes"
    if "expected ',' or" in problem:
        return "; is a comma or a closing bracket missing?"
    if "expected key" in problem or "<block end>" in problem:
        return "; look at the indentation"
    if "escape" in problem:
        return "; in single quotes a backslash is nothing special"
    if "quoted scalar" in problem:
        return "; is a closing quote missing?"
    return ""


def _document(events: Iterator[Any], source: Source) -> Node:
    """The one document of the stream."""
    import yaml

    root: Node | None = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if root is not None:
                raise source.error(_line(event), "a second document starts here (---): a gate file is one")
            root = _node(next(events), events, source, 1)
    if root is None or (isinstance(root, Scalar) and root.value is None):
        raise source.error(
            1, "the file is empty: a gate file has gates:, and what they are on, such as model: and data:"
        )
    return root


def _node(event: Any, events: Iterator[Any], source: Source, depth: int) -> Node:
    import yaml

    line = _line(event)
    if isinstance(event, yaml.AliasEvent):
        raise source.error(line, f"the alias *{event.anchor}: gate files have no anchors and aliases; write it out")
    if event.anchor is not None:
        raise source.error(line, f"the anchor &{event.anchor}: gate files have no anchors and aliases; write it out")
    if event.tag is not None:
        raise source.error(line, f"the tag {_shown_tag(event.tag)}: gate files hold plain values and no tags")
    if depth > DEEPEST:
        raise source.error(line, f"nested more than {DEEPEST} deep; a gate file is not")
    if isinstance(event, yaml.ScalarEvent):
        if _SURROGATE.search(event.value):
            raise source.error(line, "an escape of half a character, between \\ud800 and \\udfff, is no text")
        return Scalar(line, resolve(event.value) if event.implicit[0] else event.value, event.value)
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(_node(inner, events, source, depth + 1))
        return Items(line, tuple(items))
    table = Table(line, {}, {})
    while not isinstance(inner := next(events), yaml.MappingEndEvent):
        key = _node(inner, events, source, depth + 1)
        if not isinstance(key, Scalar):
            raise source.error(key.line, "a key is a word, not a list or a mapping")
        if not key.text:
            raise source.error(key.line, "a key is missing before ':'")
        if key.text in table.entries:
            before = table.lines[key.text]
            where = "twice on this line" if before == key.line else f"on line {before} too"
            remedy = " (several gates on one metric are a list)" if depth == 2 else ""
            raise source.error(key.line, f"the key {key.text!r} stands {where}: keep one{remedy}")
        table.lines[key.text] = key.line
        table.entries[key.text] = _node(next(events), events, source, depth + 1)
    return table


def resolve(text: str) -> Any:
    """The value of an unquoted scalar.

    >>> [resolve(text) for text in ("0.90", "1e-3", "50", "true", "yes", "007", "~", "1_000")]
    [0.9, 0.001, 50, True, 'yes', '007', None, '1_000']
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _WHOLE.fullmatch(text) and len(text) < 20:
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _shown_tag(tag: str) -> str:
    """A tag as it is written.

    >>> _shown_tag("tag:yaml.org,2002:python/object:os.system")
    '!!python/object:os.system'
    """
    return tag.replace("tag:yaml.org,2002:", "!!", 1)
