"""The types of values in a gate file: each reads a node of YAML strictly, and says what it is as JSON Schema."""

from __future__ import annotations

__tracebackhide__ = True

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Protocol

from pytest_modelgate.exceptions import MetricError, did_you_mean
from pytest_modelgate.gatefiles.telling import described, flag_meant, node_text, number_meant, short
from pytest_modelgate.gatefiles.yaml_nodes import Items, Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_modelgate.gatefiles.yaml_nodes import Node, Source

    Schema = dict[str, Any]


class Type(Protocol):
    """What a value may be. `read` gives plain values, or raises a `GateFileError`; `name` is the key it is under."""

    def read(self, node: Node, name: str, source: Source) -> Any: ...

    def schema(self) -> Schema: ...


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number in a range, without its upper end where `below`; `of` is what has that range."""

    lowest: float = -math.inf
    highest: float = math.inf
    of: str = ""
    below: bool = False
    above: bool = False

    def read(self, node: Node, name: str, source: Source) -> float:
        value = scalar(node, "a number", name, source)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise source.error(node.line, f"{name} must be a number, not {described(node)}{number_meant(value)}")
        if not math.isfinite(value):
            raise source.error(node.line, f"{name} must be a finite number, not {node_text(node)}")
        fits = self.lowest <= value <= self.highest
        if not fits or (self.below and value == self.highest) or (self.above and value == self.lowest):
            percent = self.highest == 1 and 1 < value <= 100
            meant = f"; was {value / 100:g} meant?" if percent else ""
            of = f", the range of {self.of}" if self.of else ""
            raise source.error(node.line, f"{name} must be {self._range()}{of}, not {node_text(node)}{meant}")
        return value

    def _range(self) -> str:
        if self.highest == math.inf:
            return f"above {self.lowest:g}" if self.above else f"{self.lowest:g} or more"
        least = f"above {self.lowest:g} and" if self.above else f"from {self.lowest:g} to"
        return f"{least} below {self.highest:g}" if self.below else f"{least} {self.highest:g}"

    def schema(self) -> Schema:
        ends: Schema = {"type": "number"}
        if self.lowest > -math.inf:
            ends["exclusiveMinimum" if self.above else "minimum"] = self.lowest
        if self.highest < math.inf:
            ends["exclusiveMaximum" if self.below else "maximum"] = self.highest
        return ends


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, of `lowest` or more where it is given."""

    lowest: int | None = None

    def read(self, node: Node, name: str, source: Source) -> int:
        value = scalar(node, "a whole number", name, source)
        if isinstance(value, bool) or not isinstance(value, int):
            raise source.error(node.line, f"{name} must be a whole number, not {described(node)}{number_meant(value)}")
        if self.lowest is not None and value < self.lowest:
            raise source.error(node.line, f"{name} must be {self.lowest} or more, not {value}")
        return value

    def schema(self) -> Schema:
        return {"type": "integer"} | ({} if self.lowest is None else {"minimum": self.lowest})


@dataclass(frozen=True, slots=True)
class Flag:
    """Either true or false."""

    def read(self, node: Node, name: str, source: Source) -> bool:
        value = scalar(node, "true or false", name, source)
        if not isinstance(value, bool):
            raise source.error(node.line, f"{name} must be true or false, not {described(node)}{flag_meant(value)}")
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not empty, of one line; `what` is what it stands for."""

    what: str = "a text"

    def read(self, node: Node, name: str, source: Source) -> str:
        value = scalar(node, self.what, name, source)
        if not isinstance(value, str):
            quotes = "" if value is None else f'; in quotes, "{node_text(node)}", it is one'
            raise source.error(node.line, f"{name} must be {self.what}, not {described(node)}{quotes}")
        if not value.strip() or "\n" in value:
            raise source.error(node.line, f"{name} must be {self.what} of one line, not {value!r}")
        return value

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words; `also_called` gives the word for others that may be tried."""

    words: tuple[str, ...]
    also_called: Mapping[str, str] = field(default_factory=dict)

    def read(self, node: Node, name: str, source: Source) -> str:
        value = scalar(node, "a word", name, source)
        if not isinstance(value, str) or value not in self.words:
            other = self.also_called.get(str(value).lower().replace("-", "_").replace(" ", "_"))
            hint = f"; here it is called {other!r}" if other else did_you_mean(value, self.words)
            shown = f" (one of {', '.join(self.words)})" if not hint or len(self.words) < 8 else ""
            raise source.error(node.line, f"{name} cannot be {node_text(node)!r}{hint}{shown}")
        return value

    def schema(self) -> Schema:
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class ClassName:
    """A class: a name, or its index."""

    def read(self, node: Node, name: str, source: Source) -> str | int:
        value = scalar(node, "a class", name, source)
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            quotes = "" if value is None else f'; a name goes in quotes: "{node_text(node)}"'
            raise source.error(node.line, f"{name} must be a class by name or index, not {described(node)}{quotes}")
        return value

    def schema(self) -> Schema:
        return {"type": ["string", "integer"]}


@dataclass(frozen=True, slots=True)
class Plain:
    """A number, a text, true or false, or a list of these."""

    def read(self, node: Node, name: str, source: Source) -> Any:
        if isinstance(node, Items):
            return [self.read(item, name, source) for item in node.items]
        value = scalar(node, "a plain value", name, source)
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            raise source.error(node.line, f"{name} must be a plain value, not {described(node)}")
        return value

    def schema(self) -> Schema:
        single = ["number", "string", "boolean"]
        return {"type": [*single, "array"], "items": {"type": single}}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a metric, such as `beta`, checked as the metric does."""

    name: str

    def read(self, node: Node, name: str, source: Source) -> Any:
        from pytest_modelgate.metrics.metric import PARAMETERS

        value = scalar(node, "a number", name, source)
        if isinstance(value, str) or value is None:
            raise source.error(node.line, f"{name} must be a number, not {described(node)}{number_meant(value)}")
        if self.name not in PARAMETERS:
            return value
        try:
            PARAMETERS[self.name](value, 1_000_000)  # how many classes there are is not known yet
        except MetricError as error:
            raise source.error(node.line, str(error)) from None
        return value

    def schema(self) -> Schema:
        return {"type": "number"}


@dataclass(frozen=True, slots=True)
class Function:
    """Where a callable is found: "package.module:callable"; where `or_name`, a name alone too."""

    or_name: bool = False

    def read(self, node: Node, name: str, source: Source) -> str:
        value = Text('a text such as "package.module:callable"').read(node, name, source)
        if self.or_name and value.isidentifier():
            return value
        module, colon, attribute = value.partition(":")
        if colon and all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
            return value
        path = re.sub(r"\.py\b", "", module).replace("\\", "/").strip("/.").replace("/", ".")
        if not colon and "." in path:
            path, _, attribute = path.rpartition(".")
        parts = (*path.split("."), *attribute.split("."))
        meant = f"; was {path}:{attribute} meant?" if all(part.isidentifier() for part in parts) else ""
        raise source.error(node.line, f"{name} must be written as package.module:callable, not {value!r}{meant}")

    def schema(self) -> Schema:
        dotted = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
        return {
            "type": "string",
            "pattern": f"^{dotted}{'(:' if self.or_name else ':'}{dotted}{')?' if self.or_name else ''}$",
        }


@dataclass(frozen=True, slots=True)
class File:
    """A path from the gate file's own folder, to a place under the root of the run; read to an absolute path."""

    root: Path | None = None

    def read(self, node: Node, name: str, source: Source) -> Path:
        assert self.root is not None
        value = Text("a path").read(node, name, source)
        if "\\" in value:
            raise source.error(node.line, f"{name} must be written with slashes, which every system reads: {value!r}")
        if PurePosixPath(value).is_absolute() or PureWindowsPath(value).drive or value.startswith("~"):
            raise source.error(node.line, f"{name} must be a path from this file's folder, not the absolute {value!r}")
        if longest := max((part for part in value.split("/") if len(part.encode()) > 255), key=len, default=""):
            raise source.error(node.line, f"{name}: no file has a name as long as {short(longest)!r}")
        try:
            path = (source.path.parent / value).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise source.error(node.line, f"{name}: the path {value!r} leads nowhere ({error})") from None
        root = self.root.resolve()
        if root not in path.parents:
            raise source.error(node.line, f"{name}: {value!r} leads out of the project ({root.name}); keep it inside")
        return path

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of different values, at least `least`; where `or_one` a single value stands for a list of one."""

    of: Type
    least: int = 1
    or_one: bool = False

    def read(self, node: Node, name: str, source: Source) -> tuple[Any, ...]:
        if not isinstance(node, Items):
            if self.or_one:
                return (self.of.read(node, name, source),)
            raise source.error(node.line, f"{name} must be a list such as [a, b], not {described(node)}")
        values = tuple(self.of.read(item, name, source) for item in node.items)
        for item, value in zip(node.items, values, strict=True):
            if values.count(value) > 1:
                raise source.error(item.line, f"{name}: {value!r} stands {values.count(value)} times")
        if len(values) < self.least:
            raise source.error(node.line, f"{name} must have {self.least} entries or more, not {len(values)}")
        return values

    def schema(self) -> Schema:
        many: Schema = {"type": "array", "items": self.of.schema(), "minItems": self.least, "uniqueItems": True}
        return {"anyOf": [self.of.schema(), many]} if self.or_one else many


@dataclass(frozen=True, slots=True)
class Either:
    """A mapping, or else something simpler."""

    simple: Type
    mapping: Type

    def read(self, node: Node, name: str, source: Source) -> Any:
        return (self.mapping if isinstance(node, Table) else self.simple).read(node, name, source)

    def schema(self) -> Schema:
        return {"anyOf": [self.simple.schema(), self.mapping.schema()]}


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping from names of any kind."""

    of: Type

    def read(self, node: Node, name: str, source: Source) -> dict[str, Any]:
        table = mapping(node, name, source)
        return {key: self.of.read(inner, f"{name}.{key}", source) for key, inner in table.entries.items()}

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": self.of.schema(), "minProperties": 1}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping: what may stand there, whether it must, and what it is for."""

    type: Type
    doc: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """A mapping with known keys.

    Attributes:
        keys: by name.
        hints: what to say of some other words that may be tried.
        rest: the type of all other keys, where there may be others.
        example: for messages.
    """

    keys: Mapping[str, Key]
    hints: Mapping[str, str] = field(default_factory=dict)
    rest: Type | None = None
    example: str = "{key: value}"

    def read(self, node: Node, name: str, source: Source) -> dict[str, Any]:
        table = mapping(node, name, source, self.example)
        values = {}
        for key, inner in table.entries.items():
            if key not in self.keys and self.rest is None:
                refuse_unknown(key, table, name, self.keys, self.hints, source)
            type_ = self.keys[key].type if key in self.keys else self.rest
            assert type_ is not None
            values[key] = type_.read(inner, key, source)
        for key, entry in self.keys.items():
            if entry.required and key not in values:
                raise source.error(table.line, f"{name} needs {key}: {entry.doc}")
        return values

    def schema(self) -> Schema:
        found: Schema = {
            "type": "object",
            "properties": {name: {**key.type.schema(), "description": key.doc} for name, key in self.keys.items()},
            "additionalProperties": False if self.rest is None else self.rest.schema(),
        }
        if required := [name for name, key in self.keys.items() if key.required]:
            found["required"] = required
        return found


def refuse_unknown(
    key: str, table: Table, name: str, known: Iterable[str], hints: Mapping[str, str], source: Source
) -> None:
    """Raise a `GateFileError` on an unknown key, with what was probably meant."""
    known, shown = tuple(known), short(key)
    hint = f": {hints[key]}" if key in hints else did_you_mean(shown, known)
    if not hint and re.fullmatch(r"[-+\d.]+", key):
        hint = "; is it the rest of a decimal comma? Write 0.9, with a point"
    if key.partition(":")[0] in known:
        hint = f"; put a space behind '{key.partition(':')[0]}:'"
    inside = f" under {name!r}" if name else ""
    choices = f" (known are {', '.join(known)})" if not hint and len(known) < 20 else ""
    raise source.error(table.lines[key], f"unknown key {shown!r}{inside}{hint}{choices}")


def mapping(node: Node, name: str, source: Source, example: str = "{key: value}") -> Table:
    """The node as a mapping that is not empty; a `GateFileError` otherwise."""
    if not isinstance(node, Table):
        hint = ""
        if isinstance(node, Items):
            hint = "; leave out the dashes" if node.items and isinstance(node.items[0], Table) else ""
        elif isinstance(node.value, str) and re.match(r"\w+:\S", node.value):
            hint = "; put a space behind the colon"
        raise source.error(node.line, f"{name} must be a mapping such as {example}, not {described(node)}{hint}")
    if not node.entries:
        raise source.error(node.line, f"{name} is empty")
    return node


def scalar(node: Node, what: str, name: str, source: Source) -> Any:
    """The value of a single node; a `GateFileError` for a list or a mapping."""
    if not isinstance(node, Scalar):
        raise source.error(node.line, f"{name} must be {what}, not {described(node)}")
    return node.value
