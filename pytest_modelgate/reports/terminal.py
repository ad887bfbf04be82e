"""The summary for the terminal: the headline, then a line for each gate under its file or test."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_modelgate.reports import baseline, mutation, slices
from pytest_modelgate.reports.facts import confidence
from pytest_modelgate.reports.numbers import MISSING, count, percent, plural
from pytest_modelgate.reports.strip import figure, strip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_modelgate.reports.report import Report

Style: TypeAlias = Literal["", "green", "red", "yellow", "bold"]

_PLAIN: Style = ""
_HEAD = ("test", "gate", "value", "outcome")
_GAP = "  "
_SCALES = {
    "correlation": "correlations: -1 to 1",
    "difference": "differences: centred on 0",
    "error": "errors and losses: from 0 up",
    "other": "others: scaled to their numbers",
}
_WIDEST_STRIP, _NARROWEST_STRIP = 20, 12
_MOST_FAULTS = 10
_GATE_FILE = ".modelgate.yaml"
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class _Marks:
    """The characters of a strip."""

    track: str
    span: str
    estimate: str
    bar: str
    ellipsis: str
    times: str
    missing: str


_UNICODE = _Marks(track="·", span="━", estimate="●", bar="│", ellipsis="…", times="×", missing="–")
_ASCII = _Marks(track=".", span="=", estimate="o", bar="|", ellipsis="...", times="x", missing="-")


def summary_lines(report: Report, *, width: int, unicode: bool) -> list[tuple[str, Style]]:
    """The lines of the summary, each with its style; the first is the headline.

    Where there is room, gates stand under their file with their test in a column; else under their test.

    Args:
        report: what the run found.
        width: the columns of the terminal; lines fit where it is at least 80.
        unicode: whether the terminal can show more than ASCII; if not, everything else is escaped.
    """
    marks = _UNICODE if unicode else _ASCII
    style: Style = "green" if report.answer == "passed" else "red" if report.answer == "failed" else "yellow"
    lines: list[tuple[str, Style]] = [(part, style) for part in _wrapped(_printable(report.headline, unicode), width)]
    if report.verdicts:
        lines += _gates(report, marks, width, unicode)
    for more in (_slices(report), _baseline(report.baseline)):
        if more:
            lines += [
                ("", ""),
                *((line, style) for said, style in more for line in _indented(_printable(said, unicode), width)),
            ]
    if report.mutation is not None:
        lines += [("", ""), *_mutation(report.mutation, marks, width, unicode)]
    return lines


def _gates(report: Report, marks: _Marks, width: int, unicode: bool) -> list[tuple[str, Style]]:
    """A line for each gate, and what the marks mean."""
    rows = [_row(verdict, marks, unicode) for verdict in report.verdicts]
    tests, gates, values, outcomes = (
        max(map(_columns, (head, *texts))) for head, texts in zip(_HEAD, list(zip(*rows, strict=True))[1:], strict=True)
    )
    room = width - values - outcomes - 4 * len(_GAP)
    in_columns = any(test for _, test, *_ in rows) and tests + len(_GAP) + gates + _NARROWEST_STRIP <= room
    if in_columns:
        room -= tests + len(_GAP)
    gates = max(min(gates, room - _NARROWEST_STRIP), 1)
    strips = min(_WIDEST_STRIP, room - gates)

    def line(test: str, gate: str, value: str, drawn: str, outcome: str) -> str:
        cells = [_pad(_keep_ends(gate, gates, marks), gates), value.rjust(values), drawn, outcome]
        return _GAP + _GAP.join([_pad(test, tests), *cells] if in_columns else cells)

    test, gate, value, outcome = _HEAD
    lines: list[tuple[str, Style]] = [
        ("", ""),
        (line(test, gate, value, "0" + "1".rjust(strips - 1), outcome), "bold"),
    ]
    group = None
    for (file, test, gate, value, outcome), verdict in zip(rows, report.verdicts, strict=True):
        place = file if in_columns or not test else f"{file}::{test}"
        if place != group:
            group = place
            lines.append((_keep_end(place, width, marks), ""))
        lines.append((line(test, gate, value, _strip_text(verdict, strips, marks), outcome), _style(verdict)))
    return [*lines, ("", ""), *((line, _PLAIN) for line in _legend(report, marks, width))]


def _slices(report: Report) -> list[tuple[str, Style]]:
    """The weakest slices of each gate that was settled slice by slice."""
    said: list[tuple[str, Style]] = []
    for family in slices.families(report.verdicts):
        file = (family.test or "outside a test").partition("::")[0]
        said.append((f"slices of {family.gate} ({file}), the weakest first:", _PLAIN))
        for one in family.slices[:_MOST_NAMED]:
            bounds = "" if one.allow == MISSING else f" ({one.allow})"
            text = f"{_GAP}{one.name}: {one.estimate}{bounds}, support {one.support}, {one.outcome}"
            said.append((text, "red" if one.weak else _PLAIN))
        if len(family.slices) > _MOST_NAMED:
            said.append((f"{_GAP}and {count(len(family.slices) - _MOST_NAMED)} more", _PLAIN))
    return said


def _baseline(found: Mapping[str, Any] | None) -> list[tuple[str, Style]]:
    """Which baseline, and what differs from it."""
    if found is None:
        return []
    said: list[tuple[str, Style]] = [(f"baseline: {baseline.summary(found)}", _PLAIN)]
    for line, attention in baseline.first(baseline.lines(found), _MOST_FAULTS):
        said.append((f"{_GAP}{line}", "yellow" if attention else _PLAIN))
    said += [(f"{_GAP}{line}", _PLAIN) for line in [baseline.quiet(found)] if line]
    return [*said, *((f"{_GAP}{line}", "red") for line in found["fails"])]


def _mutation(found: Mapping[str, Any], marks: _Marks, width: int, unicode: bool) -> list[tuple[str, Style]]:
    """Which faults the gates noticed: the share, the faults that all let through, and what else there is to know."""
    models = mutation.models(found)
    several = len(models) > 1
    nothing = [gate.name for model in models for gate in model.nothing]
    style: Style = "red" if found["enough"] is False else "yellow" if any(model.through for model in models) else _PLAIN
    said: list[tuple[str, Style]] = [(f"mutation: {mutation.summary(found)}", style)]
    said += [(f"{model.title}: {model.summary}", _PLAIN) for model in models if model.incomplete][:_MOST_NAMED]
    said += _let_through(models)
    if nothing:
        said.append((f"noticed nothing: {_listed(nothing)}", "yellow"))
    for model in [model for model in models if model.noise][:_MOST_NAMED]:
        whose = f" ({model.title})" if several else ""
        said.append((f"smallest noise noticed{whose}: {mutation.noise_text(model, _MOST_FAULTS, 'none')}", _PLAIN))
    if found["minimum"] is not None:
        said.append((mutation.requirement(found), "" if found["enough"] else "red"))
    reasons = mutation.not_mutated(found)
    for why, rows in reasons[:_MOST_NAMED]:
        said.append((f"not mutated: {plural(len(rows), 'gate')}: {why}", _PLAIN))
    if len(reasons) > _MOST_NAMED:
        more = sum(len(rows) for _, rows in reasons[_MOST_NAMED:])
        said.append((f"not mutated: {plural(more, 'gate')} for other reasons", _PLAIN))
    return [(line, style) for text, style in said for line in _indented(_printable(text, unicode), width)]


def _let_through(models: Sequence[mutation.Model]) -> list[tuple[str, Style]]:
    """The faults that every gate let through, at most ten of them, with a hint for each group of them."""
    groups = [(model, hint) for model in models for hint in model.hints]
    ranks = sorted((rank, at) for at, (_, hint) in enumerate(groups) for rank in range(len(hint.faults)))
    chosen = [at for _, at in ranks[:_MOST_FAULTS]]  # the first of each group before the second of any
    said: list[tuple[str, Style]] = [("let through by every gate:", "yellow")] if groups else []
    told = 0
    for at, (model, hint) in enumerate(groups):
        whose = f" ({model.title})" if len(models) > 1 else ""
        shown = hint.faults[: chosen.count(at)]
        for fault, weaker in shown:
            changed = "" if fault.changed == MISSING else f": {fault.changed} of predictions changed"
            said.append((f"{_GAP}{mutation.through_text(fault, weaker)}{whose}{changed}", "yellow"))
            told += 1 + weaker
        if shown:
            said.append((f"{_GAP * 2}hint: {hint.text}", _PLAIN))
    more = sum(model.through for model in models) - told
    return [*said, (f"{_GAP}and {count(more)} more", "yellow")] if more else said


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join([*names[:_MOST_NAMED], *([f"and {count(more)} more"] if more > 0 else [])])


def _indented(text: str, width: int) -> list[str]:
    """The text in lines of at most the width; what follows the first is set in by two more columns."""
    words = text.lstrip(" ")
    indent = " " * (len(text) - len(words))
    first, *others = _wrapped(words, width - len(indent) - len(_GAP)) or [""]
    return [indent + first, *(indent + _GAP + other for other in others)]


def _row(verdict: Mapping[str, Any], marks: _Marks, unicode: bool) -> tuple[str, str, str, str, str]:
    """The texts of a row: file, test, gate, value and outcome."""
    file, _, test = (verdict["test"] or "outside a test").partition("::")
    if file.endswith(_GATE_FILE):  # its tests are called as their gates are
        test = ""
    outcome = verdict["outcome"]
    if verdict["count"] > 1:
        outcome += f" {marks.times}{count(verdict['count'])}"
    if verdict["expected"]:
        outcome += " (expected)"
    value = figure(verdict, "estimate", missing=marks.missing)
    return _printable(file, unicode), _printable(test, unicode), _printable(verdict["gate"], unicode), value, outcome


def _legend(report: Report, marks: _Marks, width: int) -> list[str]:
    """What the marks mean, and the scales that do not run from 0 to 1; as many of them on a line as fit."""
    sure = confidence(report)
    each_way = "" if sure is None else f" ({percent(sure)} each way)"
    stored = sum(bool(verdict.get("cached")) for verdict in report.verdicts)
    lines = [f"{marks.estimate} estimate  {marks.span * 3} what the data allow{each_way}  {marks.bar} bar"]
    kinds = {strip(verdict).kind for verdict in report.verdicts}
    for scale in (f"({text})" for kind, text in _SCALES.items() if kind in kinds):
        if _columns(lines[-1] + _GAP + scale) <= width:
            lines[-1] += _GAP + scale
        else:
            lines.append(scale)
    if stored:
        lines.append(f"{count(stored)} of {plural(len(report.verdicts), 'gate')} on models trained in earlier runs")
    return lines


def _style(verdict: Mapping[str, Any]) -> Style:
    """Only what needs attention has a colour: red what failed, yellow what passed though nothing is proved."""
    if not verdict["passed"]:
        return "" if verdict["expected"] else "red"
    return "" if verdict["outcome"] == "PASS" else "yellow"


def _strip_text(verdict: Mapping[str, Any], cells: int, marks: _Marks) -> str:
    """The strip as text: the interval, the estimate on it, and the bar, which never hides the estimate.

    Where both fall into one cell, they stand side by side in their order; an estimate equal to the bar stands on
    the side that meets it.
    """
    placed = strip(verdict)
    text = [marks.track] * cells

    def cell(share: float) -> int:
        return min(max(int(share * cells), 0), cells - 1)

    if placed.lower is not None and placed.upper is not None:
        for index in range(cell(placed.lower), cell(placed.upper) + 1):
            text[index] = marks.span
    estimate = None if placed.estimate is None else cell(placed.estimate)
    bar = None if placed.bar is None else cell(placed.bar)
    if estimate is not None and estimate == bar and placed.estimate is not None and placed.bar is not None:
        above = placed.estimate > placed.bar or (placed.estimate == placed.bar and verdict["direction"] == "at_least")
        bar += -1 if above else 1
        if not 0 <= bar < cells:
            bar, estimate = estimate, estimate + (1 if above else -1)
    if bar is not None:
        text[bar] = marks.bar
    if estimate is not None:
        text[estimate] = marks.estimate
    return "".join(text)


def _columns(text: str) -> int:
    """How many columns of a terminal the text fills: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(map(_character_columns, text))


def _character_columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _printable(text: str, unicode: bool) -> str:
    """The text on one line and without control characters, which could repaint the terminal."""
    text = "".join(part if part.isprintable() else part.encode("unicode_escape").decode("ascii") for part in text)
    return text if unicode else text.encode("ascii", "backslashreplace").decode("ascii")


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _columns(text))


def _start(text: str, width: int) -> str:
    """The longest start of the text that fits the width."""
    used = 0
    for index, character in enumerate(text):
        used += _character_columns(character)
        if used > width:
            return text[:index]
    return text


def _end(text: str, width: int) -> str:
    """The longest end of the text that fits the width."""
    return _start(text[::-1], width)[::-1]


def _keep_end(text: str, width: int, marks: _Marks) -> str:
    """The text, shortened from the left where it is too wide: the end of a node id is what tells tests apart."""
    if _columns(text) <= width:
        return text
    return _start(marks.ellipsis, width) + _end(text, width - len(marks.ellipsis))


def _keep_ends(text: str, width: int, marks: _Marks) -> str:
    """The text, shortened before its last two words where it is too wide: a gate ends in its sign and its bar."""
    if _columns(text) <= width:
        return text
    words = text.rsplit(" ", 2)[1:]
    tail = _end("".join(f" {word}" for word in words), max(width - len(marks.ellipsis) - 6, 0))
    head = _start(text, max(width - len(marks.ellipsis) - _columns(tail), 0))
    return _start(head + marks.ellipsis + tail, width)


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most the width, broken between words where that is possible."""
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        while _columns(joined) > width:
            if line:
                lines.append(line.rstrip())
                joined = word
            else:
                head = _start(joined, max(width, 2))
                lines.append(head)
                joined = joined[len(head) :]
            line = ""
        line = joined
    return [*lines, line] if line else lines
