"""The gates of a file, read and checked one by one."""

from __future__ import annotations

__tracebackhide__ = True

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import MetricError, ModelgateError, did_you_mean
from pytest_modelgate.gatefiles.catalogue import (
    BARS,
    catalogue,
    judge_of,
    metric_of_helper,
    only_in_python,
    parameters_of,
)
from pytest_modelgate.gatefiles.definitions import GateSpec
from pytest_modelgate.gatefiles.fields import Key, Keys, mapping, refuse_unknown
from pytest_modelgate.gatefiles.telling import described, flag_meant
from pytest_modelgate.gatefiles.yaml_nodes import Items, Scalar, Table, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_modelgate.gatefiles.catalogue import Entry
    from pytest_modelgate.gatefiles.yaml_nodes import Node, Source

_SIGNS = {"at_least": ">=", "at_most": "<="}
_BAR_WORDS = (
    "min",
    "minimum",
    "lower",
    "above",
    "max",
    "maximum",
    "upper",
    "below",
    "value",
    "bar",
    "atleast",
    "atmost",
)
_HINTS = {
    **dict.fromkeys(_BAR_WORDS, "the bar is at_least: or at_most:"),
    "threshold": "the decision threshold is at the top level, or under predictions:",
    "by_slice": "put the gate under slices:, such as slices: {region: {recall: {at_least: 0.8}}}",
    "class": "it is called label",
    "metric": "the metric is the key itself, such as recall: {at_least: 0.9}",
}
_BY_SLICE = "the samples are cut by the column that the gate stands under"


def read_gates(table: Table, source: Source, *, by: str | None) -> list[GateSpec]:
    """The gates of a mapping, in its order; `by` is the column that they are judged by, for gates under `slices:`.

    Raises:
        GateFileError: the first that is wrong.
    """
    gates = []
    for key, node in table.entries.items():
        entry = _entry(key, table.lines[key], source)
        if by is not None and not entry.slices:
            can = [name for name, each in catalogue().items() if each.slices and each.kind != "metric"]
            raise source.error(
                table.lines[key], f"{key} cannot be judged by slice: under slices: are metrics, {', '.join(can)}"
            )
        if isinstance(node, Items):
            if not node.items:
                raise source.error(node.line, f"{key}: an empty list gates nothing; delete the line")
            gates += [_gate(entry, item, item.line, source, by) for item in node.items]
        else:
            gates.append(_gate(entry, node, table.lines[key], source, by))
    return gates


def _entry(key: str, line: int, source: Source) -> Entry:
    """The gate of this name; a `GateFileError` that says what was probably meant."""
    from pytest_modelgate.gatefiles.layout import layout
    from pytest_modelgate.metrics.registry import get_metric

    entries = catalogue()
    if key in entries:
        return entries[key]
    name = key.removeprefix("assert_")
    if helper := metric_of_helper(name):
        raise source.error(line, f"unknown key {key!r}: write {helper[0]}: {{{helper[1]}: ...}}")
    if name in entries:
        raise source.error(line, f"unknown key {key!r}: here it is called {name!r}")
    if name in only_in_python():
        raise source.error(
            line, f"unknown key {key!r}: assert_{name} takes functions or several models: write a Python test"
        )
    if name == "metric":
        raise source.error(line, "unknown key 'metric': a metric's name is the key, such as jaccard: {at_least: 0.7}")
    if key in layout() or key in ("gates", "slices"):
        raise source.error(line, f"{key!r} is no gate: {key}: belongs at the top level; look at the indentation")
    try:
        get_metric(key)
    except MetricError as error:
        if "here it is called" in str(error):
            raise source.error(line, str(error).replace("unknown metric", "unknown key", 1)) from None
    if key.partition(":")[0] in entries:
        raise source.error(line, f"unknown key {key!r}; put a space behind '{key.partition(':')[0]}:'")
    hint = did_you_mean(name[:60], entries) or " (a metric, or an assertion's name without assert_)"
    raise source.error(line, f"unknown key {key!r}{hint}")


def _gate(entry: Entry, node: Node, line: int, source: Source, by: str | None) -> GateSpec:
    if isinstance(node, Scalar):
        arguments, table = _shorthand(entry, node, source), None
    elif isinstance(node, Items):
        raise source.error(node.line, f"{entry.name}: a list within a list; take away one of the dashes or brackets")
    else:
        table = mapping(node, entry.name, source)
        arguments = _arguments(entry, table, source, by)
    if entry.metric is not None:
        _check_one_bar(entry.name, arguments, line, source)
    if "label" in arguments and "average" in arguments:
        raise source.error(line, f"{entry.name}: label: and average: exclude each other; keep one")
    _judge(entry, arguments, line, source)
    title, stem = _title(entry, arguments, node, by)
    return GateSpec(
        name=entry.name,
        kind=entry.kind,
        assertion=entry.assertion,
        arguments=arguments,
        by=by,
        title=title,
        stem=stem,
        line=line,
    )


def _shorthand(entry: Entry, node: Scalar, source: Source) -> dict[str, Any]:
    """The arguments of a gate that is written without a mapping: `true`, or its one required argument."""
    name, value = entry.name, node.value
    if entry.metric is not None:
        raise source.error(node.line, f"{name}: {_bar_meant(entry, node)}")
    if value is False:
        raise source.error(node.line, f"{name}: false switches nothing off; to leave a gate out, delete the line")
    required = entry.required
    if value is True and not required:
        return {}
    if len(required) == 1 and value is not None and value is not True:
        (only,) = required
        return {only: entry.keys[only].type.read(node, f"{name}: {only}", source)}
    if required:
        example = ", ".join(f"{each}: ..." for each in required)
        raise source.error(node.line, f"{name} needs {' and '.join(required)}: write {name}: {{{example}}}")
    hint = "; write true" if value is None else flag_meant(value)
    raise source.error(node.line, f"{name} must be true, or a mapping of its settings, not {described(node)}{hint}")


def _bar_meant(entry: Entry, node: Scalar) -> str:
    """What to say of a metric without a mapping, such as `recall: 0.9`."""
    assert entry.metric is not None
    direction = "at_least" if entry.metric.higher_is_better else "at_most"
    found = re.fullmatch(r"\s*(>=?|<=?)?\s*([-+\d.eE]+)\s*", str(node.text))
    if node.value is None or found is None or not isinstance(resolve(found[2]), (int, float)):
        what = "has no bar" if node.value is None else f"must be a mapping with its bar, not {described(node)}"
        return f"{what}; write {entry.name}: {{{direction}: ...}}"
    if found[1]:
        direction = "at_least" if found[1].startswith(">") else "at_most"
    return f"{described(node)} is no gate; write {entry.name}: {{{direction}: {found[2]}}}"


def _arguments(entry: Entry, table: Table, source: Source, by: str | None) -> dict[str, Any]:
    """The settings of a gate, each read by its type."""
    keys: dict[str, Key] = dict(entry.keys)
    hints = dict(_HINTS)
    if by is None and entry.slices:
        hints["min_support"] = "it is for gates under slices:"
    elif entry.min_support is not None:
        keys["min_support"] = entry.min_support
        keys.pop("slice", None)
        hints["slice"] = hints["by"] = _BY_SLICE
    hints.update(dict.fromkeys(entry.of_python, "only a Python test can give it"))
    if entry.parametrised and "metric" in table.entries:
        keys.update(parameters_of(keys["metric"].type.read(table.entries["metric"], "metric", source)))
    if entry.metric is None:
        hints.pop("metric")
        hints.update(
            {
                word: f"here the bar is called {bar}"
                for bar in BARS
                if bar in entry.keys
                for word in (*_BAR_WORDS, *_SIGNS)
            }
        )
    for key in table.entries:
        if key not in keys:
            refuse_unknown(key, table, entry.name, keys, hints, source)
    return Keys(keys).read(table, entry.name, source)


def _check_one_bar(name: str, arguments: Mapping[str, Any], line: int, source: Source) -> None:
    bars = [direction for direction in _SIGNS if direction in arguments]
    if not bars:
        raise source.error(line, f"{name} has no bar: give at_least: or at_most:")
    if len(bars) == 2:
        raise source.error(line, f"{name} has two bars, at_least: and at_most:; write two gates, as a list")


def _judge(entry: Entry, arguments: Mapping[str, Any], line: int, source: Source) -> None:
    """Let the gate behind the assertion check what was given, where it has one."""
    from pytest_modelgate.gates.gate import Gate

    judge = Gate if entry.metric is not None else judge_of(entry)
    if judge is None:
        return
    known = {field.name for field in fields(judge)}
    given: dict[str, Any] = {name: value for name, value in arguments.items() if name in known}
    if "metric" in known:
        given["metric"] = metric = arguments.get("metric", entry.name)
        given["parameters"] = {name: arguments[name] for name in parameters_of(metric) if name in arguments}
    try:
        judge(**given)
    except ModelgateError as error:
        raise source.error(
            line, str(error) if str(error).startswith(entry.name) else f"{entry.name}: {error}"
        ) from None


def _title(entry: Entry, arguments: Mapping[str, Any], node: Node, by: str | None) -> tuple[str, str]:
    """The gate's title and its stem, which is the title without bars."""
    from pytest_modelgate.gates.wording import measured
    from pytest_modelgate.metrics.registry import METRICS

    def written(name: str) -> str:
        """The argument as it stands in the file."""
        single = node.entries[name] if isinstance(node, Table) else node
        return single.text.strip() if isinstance(single, Scalar) else str(arguments[name])

    metric = arguments.get("metric", entry.name)
    on = ""
    if metric in METRICS:
        given = {name: arguments[name] for name in METRICS[metric].parameters if name in arguments}
        on = measured(metric, label=arguments.get("label"), average=arguments.get("average"), parameters=given)
        on += f" by {arguments['by']}" if "by" in arguments else ""
    where = f" on {arguments['slice']}" if "slice" in arguments else ""
    before = "" if by is None else f"{by}: "
    if entry.metric is not None:
        (direction,) = (name for name in _SIGNS if name in arguments)
        stem = f"{before}{on}{where}"
        title = f"{stem} {_SIGNS[direction]} {written(direction)}"
    else:
        inside = [on] if on else [written("name")] if "name" in arguments else []
        optional = [name for name in BARS if name in arguments and name not in entry.required]
        bars = [written(name) for name in BARS if name in arguments and name in entry.required]
        bars += [f"{name}={written(name)}" for name in optional]
        stem = f"{before}{_called(entry.name, inside)}{where}"
        title = f"{before}{_called(entry.name, inside + bars)}{where}"
    return _printable(title), _printable(stem)


def _called(name: str, arguments: list[str]) -> str:
    return f"{name}({', '.join(arguments)})" if arguments else name


def _printable(text: str) -> str:
    """A title of one line: what cannot be printed is escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
