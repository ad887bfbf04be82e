"""Reads the text of a baseline: strictly, and with the line of whatever is wrong."""

from __future__ import annotations

__tracebackhide__ = True

import json
import math
import re
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from pytest_modelgate.baselines.baseline import SCHEMA
from pytest_modelgate.baselines.entry import Entry
from pytest_modelgate.exceptions import EvidenceError, did_you_mean
from pytest_modelgate.gates.settings import IF_UNSURE
from pytest_modelgate.gates.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_CONFLICT = re.compile(rb"^(<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)(?: |\r|$)", re.MULTILINE)
_HALF_A_WORD = re.compile(r"[\w.+-]*\s*")
_SPACE = re.compile(r"[ \t\r\n]*")
_ANEW = "or record it anew with --modelgate-update-baseline"
_PARTS = ("schema", "provenance", "entries")


@dataclass(frozen=True, slots=True)
class Document:
    """What stands in a baseline's text, each entry with its line."""

    schema: int
    provenance: Mapping[str, Any]
    entries: tuple[tuple[int, Entry], ...]


def parse(content: bytes, name: str) -> Document:
    """The document in a baseline's bytes; `name` is what errors call the file.

    Raises:
        EvidenceError: no baseline; `name` and the line come first.
    """
    conflict = _CONFLICT.search(content)
    if conflict is not None:
        line = content.count(b"\n", 0, conflict.start()) + 1
        raise _wrong(name, line, f"a merge conflict is left here ({conflict[1].decode()}); resolve it, {_ANEW}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _wrong(name, line, f"this is not UTF-8 text; restore the file, {_ANEW}") from None
    return _Reader(text, name).document()


class _Reader:
    """Walks over a text, so that each value's line is known."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name, self._at = text, name, 0
        self._lines, self._counted, self._last = 1, 0, len(text.rstrip("\n"))
        self._decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)

    def document(self) -> Document:
        """All of the text."""
        found: dict[str, tuple[int, Any]] = {}
        for _ in self._parts("{", "}"):
            line, key = self._value()
            if key in found:
                raise self._wrong(line, f"{key!r} stands here a second time")
            if key not in _PARTS:
                raise self._wrong(line, f"unknown key {key!r}{did_you_mean(key, _PARTS)}")
            self._expect(":")
            found[key] = (line, self._array()) if key == "entries" else self._value()
        self._skip()
        if self._at < len(self._text):
            raise self._wrong(self._line(), "the baseline has ended before this")
        for key in _PARTS:
            if key not in found:
                raise self._wrong(None, f"this is no baseline: it has no {key!r}")
        (at, schema), (where, provenance), (_, entries) = (found[key] for key in _PARTS)
        if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
            raise self._wrong(at, f"the schema must be a whole number from 1 on, not {schema!r}")
        if schema > SCHEMA:
            newer = f"this baseline has schema {schema}, and this version of pytest-modelgate reads up to {SCHEMA}"
            raise _wrong(self._name, at, f"{newer}: update pytest-modelgate")
        if not isinstance(provenance, dict):
            raise self._wrong(where, f"the provenance must be an object, not {_kind(provenance)}")
        return Document(schema, provenance, tuple((line, self._entry(line, plain)) for line, plain in entries))

    def _entry(self, line: int, plain: object) -> Entry:
        """A checked entry."""
        if not isinstance(plain, dict):
            raise self._wrong(line, f"an entry must be an object, not {_kind(plain)}")
        for name in plain:
            if name not in _TYPES:
                raise self._wrong(line, f"unknown key {name!r}{did_you_mean(name, _TYPES)}")
        for name in _NEEDED:
            if name not in plain:
                raise self._wrong(line, f"an entry without {name!r}")
        for name, value in plain.items():
            what, fits = _TYPES[name]
            if not fits(value):
                raise self._wrong(line, f"{name} must be {what}, not {value!r}")
        return Entry(**{**plain, **{name: tuple(plain.get(name, ())) for name in ("slices", "unjudged")}})

    def _array(self) -> list[tuple[int, Any]]:
        return [self._value() for _ in self._parts("[", "]")]

    def _parts(self, begin: str, end: str) -> Iterator[None]:
        """Comes to each part of an object or a list in turn; the part must then be read."""
        self._expect(begin)
        self._skip()
        if self._text.startswith(end, self._at):
            self._at += 1
            return
        while True:
            yield
            self._skip()
            if self._text.startswith(end, self._at):
                self._at += 1
                return
            self._expect(",")

    def _expect(self, sign: str) -> None:
        self._skip()
        if not self._text.startswith(sign, self._at):
            self._refuse_end()
            raise self._wrong(self._line(), f"this is not JSON: {sign!r} is expected here")
        self._at += 1

    def _value(self) -> tuple[int, Any]:
        """The line of the next value, and the value."""
        self._skip()
        self._refuse_end()
        line = self._line()
        try:
            value, self._at = self._decoder.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            if _HALF_A_WORD.fullmatch(self._text, error.pos) or error.msg.startswith("Unterminated"):
                raise self._wrong(line, "the baseline is cut off here") from None
            raise self._wrong(error.lineno, f"this is not JSON: {error.msg}") from None
        except ValueError as error:
            raise self._wrong(line, str(error)) from None
        except RecursionError:
            raise self._wrong(line, "this is nested too deeply") from None
        return line, value

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _refuse_end(self) -> None:
        if self._at >= len(self._text):
            if not self._text.strip():
                raise self._wrong(None, "the baseline is empty")
            raise self._wrong(self._line(), "the baseline is cut off here")

    def _line(self) -> int:
        """The line of the cursor; behind the last line that of its end."""
        here = min(self._at, self._last)
        if here > self._counted:
            self._lines += self._text.count("\n", self._counted, here)
            self._counted = here
        return self._lines

    def _wrong(self, line: int | None, what: str) -> EvidenceError:
        return _wrong(self._name, line, f"{what}; restore the file, {_ANEW}")


def _wrong(name: str, line: int | None, what: str) -> EvidenceError:
    return EvidenceError(f"{name}{'' if line is None else f':{line}'}: {what}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands here twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number that JSON has")


def _kind(value: object) -> str:
    """What a value is in JSON's words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _one_of(choices: tuple[str, ...]) -> tuple[str, Callable[[object], bool]]:
    return f"one of {', '.join(choices)}", lambda value: isinstance(value, str) and value in choices


_TEXT: tuple[str, Callable[[object], bool]] = "text", _is_text
_TEXTS: tuple[str, Callable[[object], bool]] = (
    "a list of texts",
    lambda value: isinstance(value, list) and all(map(_is_text, value)),
)
_NUMBER: tuple[str, Callable[[object], bool]] = "a number or null", lambda value: value is None or _is_number(value)
_TYPES: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "test": _TEXT,
    "gate": _TEXT,
    "outcome": _one_of(tuple(outcome.value for outcome in Outcome)),
    "estimate": _NUMBER,
    "lower": _NUMBER,
    "upper": _NUMBER,
    "support": ("a whole number from 0 on", _is_count),
    "bar": _NUMBER,
    "direction": _TEXT,
    "confidence": ("a number between 0 and 1", lambda value: _is_number(value) and 0 < value < 1),  # type: ignore[operator]
    "if_unsure": _one_of(IF_UNSURE),
    "slice": ("text or null", lambda value: value is None or _is_text(value)),
    "number": ("a whole number from 1 on", lambda value: _is_count(value, 1)),
    "slices": _TEXTS,
    "unjudged": _TEXTS,
    "samples": ("text or null", lambda value: value is None or _is_text(value)),
    "data": ("an object or null", lambda value: value is None or isinstance(value, dict)),
}
_NEEDED = tuple(field.name for field in fields(Entry) if field.default is MISSING)
