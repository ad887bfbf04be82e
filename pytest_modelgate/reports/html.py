"""The report as one HTML page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports import audits, baseline, charts, facts, matrices, mutation, slices
from pytest_modelgate.reports.headline import is_unsure
from pytest_modelgate.reports.numbers import count, number, percent, plural
from pytest_modelgate.reports.strip import figure, is_difference, seeds
from pytest_modelgate.reports.threshold_charts import reliability_chart, thresholds_chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from pytest_modelgate.reports.report import Report

_CONFUSIONS = 10
_OPEN = 24
_FILTER_FROM = 20
_CHARTS = 9
_COLUMNS = 100
_FINDINGS = 12


def render(report: Report) -> str:
    """The report as the text of one HTML page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("pytest_modelgate.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "count": count, "percent": percent}
    template = environment.get_template("report.html.j2")
    anchors = {one["key"]: f"evaluation-{index}" for index, one in enumerate(report.evaluations, start=1)}
    anchors |= {one["key"]: f"training-{index}" for index, one in enumerate(report.histories, start=1)}
    anchors |= {one["key"]: f"audit-{index}" for index, one in enumerate(report.audits, start=1)}
    gates = [_Gate.of(verdict, anchors) for verdict in report.verdicts]
    return template.render(
        report=report,
        word=report.answer.capitalize() if report.headline.startswith(report.answer.capitalize()) else "",
        facts=facts.run_facts(report),
        red=[gate for gate in gates if gate.kind == "red"],
        others=[gate for gate in gates if gate.kind != "red"],
        kinds=[(kind, text, total) for kind, text in _KINDS if (total := sum(gate.kind == kind for gate in gates))],
        filtered=len(gates) >= _FILTER_FROM,
        evaluations=[_Evaluation.of(one, anchors[one["key"]], Markup) for one in report.evaluations],
        histories=[_Training.of(one, anchors[one["key"]], Markup) for one in report.histories],
        mutants=None if report.mutation is None else _Mutants.of(report.mutation),
        meaning=mutation.MEANING,
        columns=_COLUMNS,
        families=slices.families(report.verdicts),
        sliced=slices,
        baseline=None if report.baseline is None else _baseline(report.baseline),
        audits=[_Audit.of(one, anchors[one["key"]]) for one in report.audits],
        looked=audits,
        anchors=anchors,
        few=_OPEN,
        wanted={gate.anchor for gate in gates if gate.kind == "red"},
        provenance=facts.provenance(report),
        strip=lambda verdict: Markup(charts.gate_strip(verdict)),
        scale=charts.scale,
        figure=figure,
        words=facts,
        seeded=any(map(seeds, report.verdicts)),
        compared=any(map(is_difference, report.verdicts)),
        confidence=facts.confidence(report),
        plural=plural,
    )


def _baseline(found: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of the section on the baseline."""
    said = baseline.first(baseline.lines(found), _COLUMNS)
    return {
        "summary": baseline.summary(found),
        "lines": said,
        "quiet": baseline.quiet(found),
        "fails": baseline.fails(found),
    }


_KINDS = (("red", "red"), ("unsure", "unsure"), ("expected", "red as expected"), ("green", "green"))


@dataclass(frozen=True, slots=True)
class _Gate:
    """A row of the table of gates."""

    verdict: Mapping[str, Any]
    kind: str
    anchor: str | None

    @classmethod
    def of(cls, verdict: Mapping[str, Any], anchors: Mapping[str, str]) -> _Gate:
        if verdict["passed"]:
            kind = "unsure" if is_unsure(verdict) else "green"
        else:
            kind = "expected" if verdict["expected"] else "red"
        return cls(verdict, kind, anchors.get(verdict["evidence"] or ""))


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """An evaluation with its matrix, or with its most frequent confusions where the matrix is too large to read."""

    row: Mapping[str, Any]
    anchor: str
    title: str
    pairs: Sequence[tuple[str, str]]
    matrix: matrices.HeatMap | None
    confusions: Sequence[matrices.Confusion]
    more: int
    charts: Sequence[Markup]

    @classmethod
    def of(cls, row: Mapping[str, Any], anchor: str, markup: type[Markup]) -> _Evaluation:
        matrix = matrices.heat_map(row)
        largest, total = ([], 0) if matrix else matrices.confusions(row, _CONFUSIONS)
        title = facts.evaluation_title(row)
        drawn = [chart for chart in (reliability_chart(row), thresholds_chart(row)) if chart]
        more = total - len(largest)
        return cls(row, anchor, title, facts.evaluation_facts(row), matrix, largest, more, list(map(markup, drawn)))


@dataclass(frozen=True, slots=True)
class _Training:
    """A training run with its curves."""

    row: Mapping[str, Any]
    anchor: str
    title: str
    pairs: Sequence[tuple[str, str]]
    main: Markup | None
    small: Sequence[Markup]
    table: Sequence[facts.Course]

    @classmethod
    def of(cls, row: Mapping[str, Any], anchor: str, markup: type[Markup]) -> _Training:
        courses = facts.courses(row)
        groups: dict[str, list[facts.Course]] = {}
        for course in courses:
            groups.setdefault(course.group, []).append(course)
        drawn = []
        for group, members in list(groups.items())[:_CHARTS]:
            series = [charts.Series(course.part, course.part or "single", course.points) for course in members]
            size = {} if group == "loss" else {"width": 240, "height": 130}
            drawn.append((group, markup(charts.curves(group, series, kept=row.get("kept"), **size))))
        main = next((chart for group, chart in drawn if group == "loss"), None)
        small = [chart for group, chart in drawn if group != "loss"]
        return cls(row, anchor, facts.history_title(row), facts.history_facts(row), main, small, courses)


@dataclass(frozen=True, slots=True)
class _Mutants:
    """What mutation found, on each model."""

    summary: str
    required: str
    enough: bool | None
    models: Sequence[mutation.Model]
    not_mutated: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Mutants:
        summary = mutation.summary(row)
        left = mutation.not_mutated(row)
        return cls(summary.capitalize(), mutation.requirement(row), row["enough"], mutation.models(row), left)


@dataclass(frozen=True, slots=True)
class _Audit:
    """An audit of data with its findings; of very many the first."""

    row: Mapping[str, Any]
    anchor: str
    title: str
    pairs: Sequence[tuple[str, str]]
    findings: Sequence[audits.Finding]
    more: int

    @classmethod
    def of(cls, row: Mapping[str, Any], anchor: str) -> _Audit:
        found = audits.findings(row)
        shown = found[:_FINDINGS]
        return cls(row, anchor, audits.title(row), audits.sizes(row), shown, len(found) - len(shown))
