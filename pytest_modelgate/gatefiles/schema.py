"""The JSON Schema of gate files, for editors: from the definitions that the reader uses.

    python -m pytest_modelgate.gatefiles.schema

writes it anew.
"""

from __future__ import annotations

__tracebackhide__ = True

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_modelgate.gatefiles.catalogue import BARS, catalogue, parameters_of
from pytest_modelgate.gatefiles.fields import Keys
from pytest_modelgate.gatefiles.layout import BESIDE_FIT, RECIPE, SCORES, layout

if TYPE_CHECKING:
    from pytest_modelgate.gatefiles.catalogue import Entry
    from pytest_modelgate.gatefiles.fields import Key

FILE = Path(__file__).with_name("modelgate.schema.json")
ADDRESS = "http://json-schema.org/draft-07/schema#"  # the one that most editors know


def json_schema() -> dict[str, Any]:
    """The schema as plain values. What needs more than one place of the file is checked by the reader alone."""
    entries = catalogue()
    sections = {name: {**key.type.schema(), "description": key.doc} for name, key in layout().items()}
    sections["model"]["anyOf"] = [{"required": ["factory"]}, {"required": ["checkpoint"]}]
    alone = [{"required": [name]} for name in sections["train"]["properties"] if name not in BESIDE_FIT]
    sections["train"]["anyOf"] = [{"required": list(RECIPE)}, {"required": ["fit"]}]
    sections["train"]["not"] = {"required": ["fit"], "anyOf": alone}
    sections["predictions"]["oneOf"] = [{"required": [name]} for name in SCORES]
    definitions: dict[str, Any] = {}
    plain = {name: _gate(entry, _keys(entry), "", definitions) for name, entry in entries.items()}
    sliced = {
        name: _gate(entry, _keys(entry, entry.min_support), "by_slice.", definitions)
        for name, entry in entries.items()
        if entry.min_support is not None
    }
    definitions["gates"] = _mapping({"properties": plain, "additionalProperties": False})
    definitions["gates_by_slice"] = _mapping({"properties": sliced, "additionalProperties": False})
    gates = {"description": "each key is a gate", **_ref("gates")}
    slices = {
        "description": "for each column, gates that are judged on each of its values",
        **_mapping({"additionalProperties": _ref("gates_by_slice")}),
    }
    return {
        "$schema": ADDRESS,
        "title": "pytest-modelgate gate file",
        "description": "The gates of a model: each is a test of its own.",
        "type": "object",
        "properties": {**sections, "gates": gates, "slices": slices},
        "additionalProperties": False,
        "anyOf": [{"required": ["gates"]}, {"required": ["slices"]}],
        "definitions": definitions,
    }


def _mapping(rest: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", **rest, "minProperties": 1}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}


def _keys(entry: Entry, min_support: Key | None = None) -> dict[str, Key]:
    """The settings of a gate, under `slices:` where `min_support` is given."""
    keys = dict(entry.keys)
    if min_support is not None:
        keys.pop("slice", None)
        keys["min_support"] = min_support
    if entry.parametrised:
        from pytest_modelgate.metrics.registry import METRICS

        for name in METRICS:
            keys.update(parameters_of(name))
    return keys


def _gate(entry: Entry, keys: dict[str, Key], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """One gate, or a list of them. What it is goes to `definitions`, and so do settings that many gates share."""
    single = Keys(keys).schema()
    for name, key in keys.items():
        if name not in BARS and single["properties"][name] == definitions.setdefault(
            f"setting.{name}", {**key.type.schema(), "description": key.doc}
        ):
            single["properties"][name] = _ref(f"setting.{name}")
    if entry.metric is not None:
        single["oneOf"] = [{"required": ["at_least"]}, {"required": ["at_most"]}]
    if {"label", "average"} <= keys.keys():
        single["not"] = {"required": ["label", "average"]}
    simple: list[dict[str, Any]] = []
    if entry.metric is None and not entry.required:
        simple = [{"const": True}]
    elif len(entry.required) == 1:
        simple = [entry.keys[entry.required[0]].type.schema()]
    definitions[prefix + entry.name] = {"anyOf": [single, *simple]} if simple else single
    one = _ref(prefix + entry.name)
    return {"description": entry.doc, "anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def text() -> str:
    """The schema as the shipped file has it."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8", newline="\n")
