"""The report as Markdown that reads well in a pull request or a job summary, and as plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports import audits, baseline, facts, matrices, mutation, slices
from pytest_modelgate.reports.headline import is_unsure, unexpected
from pytest_modelgate.reports.numbers import count, number, percent, plural
from pytest_modelgate.reports.strip import figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_modelgate.reports.report import Report

_WHOLE_TABLE = 100
_MOST_EXPLAINED = 50
_MOST_EVIDENCE = 20
_CONFUSIONS = 10
_MOST_COLUMNS = 12
_MOST_FINDINGS = 12

_MARKUP = re.compile(r"[&<|`*\\~@$]|\](?=[(\[:])|:(?=//)|#(?=\d)|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown or HTML gives a meaning within a line; an underscore only at the edge of a word."""


def render(report: Report) -> str:
    """The report as GitHub-flavoured Markdown.

    Whatever a user named is escaped. Of more than 100 gates, the green ones are folded away; of very many red gates
    or evaluations the rest is counted, and the HTML report has them.
    """
    blocks = [f"## {text(report.headline)}", text(" · ".join(facts.run_facts(report)))]
    blocks += _gates(report)
    blocks += _explanations(unexpected(report.verdicts))
    blocks += _unsettled([verdict for verdict in report.verdicts if is_unsure(verdict)])
    blocks += _baseline(report.baseline)
    blocks += _folded_all("Slices", "gate", [_family(one) for one in slices.families(report.verdicts)])
    blocks += _mutation(report.mutation)
    blocks += _folded_all("Data", "audit", [_audit(one) for one in report.audits])
    blocks += _folded_all("Evaluations", "evaluation", [_evaluation(one) for one in report.evaluations])
    blocks += _folded_all("Training", "training run", [_training(one) for one in report.histories])
    if report.provenance:
        pairs = [(text(name), text(value)) for name, value in facts.provenance(report)]
        blocks.append(_folded("Provenance", [_table(["", ""], pairs, "ll")]))
    return "\n\n".join(blocks) + "\n"


def text(value: object) -> str:
    """Words on one line, within a line, that Markdown and HTML shall not read as markup, mention or link.

    >>> text("a|b `c` __init__ test_recall[1] >= .9 <b> [e](http://x) @you #12")
    'a&#124;b &#96;c&#96; &#95;&#95;init&#95;&#95; test_recall[1] >= .9 &#60;b> [e&#93;(http&#58;//x) &#64;you &#35;12'
    """
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", " ".join(str(value).split()))


def code(value: object) -> str:
    """A name in code type, also within a table.

    >>> code("recall['fraud'] >= 0.9"), code("a|b")
    ("`recall['fraud'] >= 0.9`", '<code>a&#124;b</code>')
    """
    line = " ".join(str(value).split())
    if line and not re.search(r"[`|\\]", line):
        return f"`{line}`"
    return f"<code>{text(line)}</code>"


def _block(lines: Sequence[str]) -> str:
    """Lines as they are, in a fence longer than any within them."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *(part for line in lines for part in line.splitlines() or [""]), fence])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """A table; `align` has an l or r for each column."""
    rules = ["---:" if side == "r" else "---" for side in align]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rules, *rows])


def _folded(title: str, blocks: Sequence[str]) -> str:
    return "\n\n".join([f"<details><summary>{text(title)}</summary>", *blocks, "</details>"])


def _gates(report: Report) -> list[str]:
    if not report.verdicts:
        return []
    rows = [(verdict, _gate(verdict)) for verdict in report.verdicts]
    note = [facts.NOT_CORRECTED] if len(rows) > 1 else []
    if len(rows) <= _WHOLE_TABLE:
        return [_gate_table([row for _, row in rows], report), *note]
    greens = [row for verdict, row in rows if verdict["passed"] and not is_unsure(verdict)]
    others = [row for verdict, row in rows if not verdict["passed"] or is_unsure(verdict)]
    blocks = [_gate_table(others, report)] if others else []
    if greens:
        blocks.append(_folded(f"{plural(len(greens), 'green gate')}", [_gate_table(greens, report)]))
    return blocks + note


def _gate_table(rows: Sequence[Sequence[str]], report: Report) -> str:
    sure = facts.confidence(report)
    allow = "The data allow" + (f" ({percent(sure)})" if sure is not None else "")
    return _table(["Outcome", "Gate and test", "Estimate", allow, "Support"], rows, "llrlr")


def _gate(verdict: Mapping[str, Any]) -> list[str]:
    """The cells of a gate."""
    outcome = verdict["outcome"]
    if not verdict["passed"]:
        outcome = f"{outcome} (expected)" if verdict["expected"] else f"❌ **{outcome}**"
    elif is_unsure(verdict):
        outcome = f"⚠️ {outcome}"
    if verdict["count"] > 1:
        outcome += f" ×{count(verdict['count'])}"
    bounded = verdict["lower"] is not None and verdict["upper"] is not None
    allow = f"{figure(verdict, 'lower')} to {figure(verdict, 'upper')}" if bounded else "–"
    about = (facts.rule, facts.corrected, facts.churn, facts.seeds_text, facts.cached)
    asides = [one(verdict) for one in about]
    support = count(verdict["support"])
    return [
        outcome,
        f"{code(verdict['gate'])}<br>{_test(verdict['test'])}",
        figure(verdict, "estimate"),
        "<br>".join([allow, *(text(aside) for aside in asides if aside)]),
        support if verdict["hits"] is None else f"{count(verdict['hits'])} of {support}",
    ]


def _test(test: str | None) -> str:
    return "outside a test" if test is None else code(test)


def _explanations(red: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the red gates say for themselves."""
    blocks = ["### Red gates"] if red else []
    for verdict in red[:_MOST_EXPLAINED]:
        blocks += _explanation(verdict)
    if len(red) > _MOST_EXPLAINED:
        blocks.append(f"And {plural(len(red) - _MOST_EXPLAINED, 'more red gate')}: see report.html.")
    return blocks


def _unsettled(unsure: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the green but unsure gates say of how many samples would settle them, folded away."""
    known = [verdict for verdict in unsure if verdict.get("settle")]
    if not known:
        return []
    inner = [block for verdict in known[:_MOST_EXPLAINED] for block in _explanation(verdict)]
    if len(known) > _MOST_EXPLAINED:
        inner.append(f"And {count(len(known) - _MOST_EXPLAINED)} more: see report.html.")
    return [_folded(f"What would settle {plural(len(known), 'unsure gate')}", inner)]


def _explanation(verdict: Mapping[str, Any]) -> list[str]:
    blocks = [f"**{text(verdict['explanation'])}** \\\n{_test(verdict['test'])}"]
    lines = facts.lines(verdict)
    return [*blocks, _block(lines)] if lines else blocks


def _folded_all(title: str, noun: str, parts: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    if not parts:
        return []
    blocks = [f"### {title}"]
    blocks += [
        _folded(f"{index}. {name}", inner) for index, (name, inner) in enumerate(parts[:_MOST_EVIDENCE], start=1)
    ]
    if len(parts) > _MOST_EVIDENCE:
        blocks.append(f"And {plural(len(parts) - _MOST_EVIDENCE, f'more {noun}')}: see report.html.")
    return blocks


def _evaluation(evaluation: Mapping[str, Any]) -> tuple[str, list[str]]:
    blocks = [_facts(facts.evaluation_facts(evaluation))]
    matrix = matrices.heat_map(evaluation)
    if matrix is not None:
        head = ["actual \\\\ predicted", *map(text, matrix.labels), "recall"]
        lines = [
            [text(one.label), *(count(cell.count) for cell in one.cells), number(one.recall, 1.0)]
            for one in matrix.rows
        ]
        lines.append(["precision", *(number(precision, 1.0) for precision in matrix.precisions), ""])
        blocks.append(_table(head, lines, "l" + "r" * (len(head) - 1)))
    else:
        largest, total = matrices.confusions(evaluation, _CONFUSIONS)
        lines = [[text(one.actual), text(one.predicted), count(one.count), number(one.share)] for one in largest]
        if lines:
            blocks.append(f"The most frequent of {plural(total, 'kind')} of confusion:")
            blocks.append(_table(["actual", "predicted", "samples", "of the actual class"], lines, "llrr"))
    return facts.evaluation_title(evaluation), blocks


def _training(row: Mapping[str, Any]) -> tuple[str, list[str]]:
    def at(point: tuple[float, float] | None) -> str:
        return "–" if point is None else f"{number(point[1], 1.0)} ({point[0]:g})"

    lines = [
        [code(one.name), number(one.first, 1.0), at(one.lowest), at(one.highest), number(one.last, 1.0)]
        for one in facts.courses(row)
    ]
    blocks = [_facts(facts.history_facts(row)), *map(text, facts.history_notes(row))]
    if lines:
        blocks.append(_table(["value", "first", "lowest (epoch)", "highest (epoch)", "last"], lines, "lrrrr"))
    return facts.history_title(row), blocks


def _audit(row: Mapping[str, Any]) -> tuple[str, list[str]]:
    found = audits.findings(row)
    lines = [
        [f"{text(one.name)}<br>{text(one.text)}", *map(text, (one.rows, one.figures, one.first))]
        for one in found[:_MOST_FINDINGS]
    ]
    blocks = [_facts(audits.sizes(row))]
    if lines:
        blocks.append(_table(audits.HEAD, lines, "lrll"))
    if len(found) > _MOST_FINDINGS:
        blocks.append(f"And {plural(len(found) - _MOST_FINDINGS, 'more finding')}: see report.json.")
    if any(one["rows"] for one in row["findings"]):
        blocks.append(audits.ROWS)
    return audits.title(row), blocks


def _baseline(found: Mapping[str, Any] | None) -> list[str]:
    """Which bars differ from the baseline's, what is missing, what was recorded."""
    if found is None:
        return []
    why = baseline.fails(found)
    blocks = ["### Baseline", text(baseline.summary(found)) + (f" ❌ **{text(why)}**" if why else "")]
    said = baseline.first(baseline.lines(found), _MOST_EXPLAINED)
    if said:
        blocks.append("\n".join(f"- {'⚠️ ' if attention else ''}{text(line)}" for line, attention in said))
    return [*blocks, *filter(None, [baseline.quiet(found)])]


def _family(family: slices.Family) -> tuple[str, list[str]]:
    rows = [
        [f"**{text(one.name)}**" if one.weak else text(one.name), *map(text, one.cells[1:])]
        for one in family.slices[:_MOST_EXPLAINED]
    ]
    blocks = [_test(family.test), _table(slices.HEAD, rows, slices.ALIGN)]
    if len(family.slices) > _MOST_EXPLAINED:
        blocks.append(f"And {plural(len(family.slices) - _MOST_EXPLAINED, 'more slice')}: see report.html.")
    return family.gate, blocks


def _mutation(found: Mapping[str, Any] | None) -> list[str]:
    """Which faults the gates noticed: first those that every gate let through."""
    if found is None:
        return []
    required = mutation.requirement(found)
    mark = "❌ " if found["enough"] is False else ""
    sentence = f"{mark}**{text('; '.join(filter(None, [mutation.summary(found), required])))}**"
    blocks = ["### Would the gates notice a broken model?", sentence, mutation.MEANING]
    models = mutation.models(found)
    for model in models[:_MOST_EVIDENCE]:
        blocks += _mutated(model, several=len(models) > 1)
    if len(models) > _MOST_EVIDENCE:
        blocks.append(f"And {plural(len(models) - _MOST_EVIDENCE, 'more model')}: see report.html.")
    for why, rows in mutation.not_mutated(found):
        items = [f"- {code(row['gate'])} in {_test(row['test'])}" for row in rows[:_MOST_EXPLAINED]]
        if len(rows) > _MOST_EXPLAINED:
            items.append(f"- and {count(len(rows) - _MOST_EXPLAINED)} more: see report.html")
        blocks.append(_folded(f"{plural(len(rows), 'gate')} not mutated: {why}", ["\n".join(items)]))
    return blocks


def _mutated(model: mutation.Model, *, several: bool) -> list[str]:
    blocks = [f"**{text(model.title)}**" + (f": {text(model.summary)}" if several or model.incomplete else "")]
    if model.hints:
        lines = [
            [f"⚠️ {text(mutation.through_text(fault, weaker))}", fault.changed, text(hint.text)]
            for hint in model.hints
            for fault, weaker in hint.faults
        ]
        blocks.append(
            _table(["Let through by every gate", "Predictions changed", "Hint"], lines[:_MOST_EXPLAINED], "lrl")
        )
        if len(lines) > _MOST_EXPLAINED:
            blocks.append(f"And {count(len(lines) - _MOST_EXPLAINED)} more: see report.html.")
    if model.noise:
        blocks.append(f"Smallest noise noticed: {text(mutation.noise_text(model, _MOST_EXPLAINED, 'none'))}.")
    blocks.append(_folded(f"{plural(len(model.gates), 'gate')}: what each noticed", [_what_each_noticed(model.gates)]))
    if model.kinds and len(model.gates) <= _MOST_COLUMNS:
        blocks.append(_folded("Fault by gate, and by how much the metric moved", [_fault_by_gate(model)]))
    blocks += [_folded(f"{grid.kind}: how many gates noticed it", [_graded(grid)]) for grid in model.grids]
    if model.equivalent:
        items = [f"- {text(fault.name)} ({fault.changed})" for fault in model.equivalent]
        blocks.append(_folded(f"{plural(len(items), 'fault')} changed too little to count", ["\n".join(items)]))
    return blocks


def _what_each_noticed(gates: Sequence[mutation.Gate]) -> str:
    lines = [
        [
            f"{code(gate.name)}<br>{_test(gate.test)}",
            gate.now,
            f"⚠️ **{gate.caught}**" if gate.nothing else text(gate.caught),
        ]
        for gate in gates
    ]
    return _table(["Gate and test", "Estimate", "Noticed"], lines, "lrr")


def _fault_by_gate(model: mutation.Model) -> str:
    head = ["Fault", "Predictions changed", *(code(gate.name) for gate in model.gates)]
    lines = []
    for _, found in model.kinds:
        for fault in found:
            mark = "⚠️ " if fault.state == "through" else ""
            lines.append([f"{mark}{text(fault.name)}", fault.changed, *map(_moved, fault.cells)])
    return _table(head, lines, "l" + "r" * (len(head) - 1))


def _moved(cell: mutation.Cell) -> str:
    return f"✓ {cell.moved}" if cell.mark == "caught" else text(cell.moved)


def _graded(grid: mutation.Grid) -> str:
    lines = [[text(place), *map(_noticed, faults)] for place, faults in grid.rows]
    return _table(["in", *grid.strengths], lines, "l" + "r" * len(grid.strengths))


def _noticed(fault: mutation.Fault | None) -> str:
    if fault is None:
        return ""
    if fault.state == "equivalent":
        return "too little"
    mark = "⚠️ " if fault.state == "through" else ""
    return f"{mark}{count(fault.caught)} of {count(fault.judged)}"


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    return " · ".join(f"{text(name)} {text(value)}" for name, value in pairs)
