"""How many of several trainings meet a gate: all of them, or a share."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from pytest_modelgate.gates.gate import finite
from pytest_modelgate.gates.settings import CONFIDENCE, colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import SIGNS, allowed, number, plain, subject
from pytest_modelgate.metrics.bounds import described_design
from pytest_modelgate.metrics.registry import get_metric
from pytest_modelgate.statistics.proportions import clopper_pearson
from pytest_modelgate.statistics.seeds import confidences_of_seeds, seeds_needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.evidence.history import History
    from pytest_modelgate.gates.gate import Gate

NEVER = "where there is nothing to judge a gate never passes"
_SHOWN = 3


class JudgesHistories(Protocol):
    """A gate on histories, such as `NoOverfitting()`."""

    @property
    def gate(self) -> str:
        """The gate as text."""

    @property
    def if_unsure(self) -> str:
        """The colour of `INCONCLUSIVE`."""

    def check(self, evidence: Any) -> Verdict:
        """Judge one history."""


def met_share(gate: Gate, every: Sequence[Evaluation], share: float | None) -> Verdict:
    """The verdict on how many evaluations meet a gate's bar; without `share` all of them must.

    Its estimate is the value that as many seeds reach as must: for all of them the worst. So are its bounds: the one
    that decides `PASS` of bounds at one confidence, the one that decides `FAIL` at another, as `confidences_of_seeds`
    gives them.
    """
    seeds, needed = len(every), seeds_needed(share or 1, len(every))
    singles = [gate.check(one) for one in every]
    for_pass, for_fail = (
        singles if level == gate.confidence else [replace(gate, confidence=level).check(one) for one in every]
        for level in confidences_of_seeds(needed, seeds, gate.confidence)
    )
    first, higher = singles[0], gate.direction == "at_least"
    what = subject(get_metric(gate.metric), label=first.label, average=gate.average, parameters=dict(first.parameters))
    details = tuple((f"seed {i}", single.estimate) for i, single in enumerate(singles, 1))
    verdict = replace(
        first,
        gate=_gate_text(first.gate, share),
        hits=None,
        lower=None,
        upper=None,
        method=None,
        family=f"Bonferroni over {seeds} seeds",
        details=details,
    )
    collapsed = [i for i, single in enumerate(singles, 1) if single.outcome is Outcome.UNDEFINED]
    good = sum(single.outcome is Outcome.PASS for single in for_pass)
    bad = sum(single.outcome is Outcome.FAIL for single in for_fail)
    outcome = _word(good, bad, len(collapsed), needed, seeds)
    if outcome is Outcome.UNDEFINED:
        asked = f"{what} over {seeds} seeds cannot be judged"
        return undefined(verdict, asked, collapsed[0], singles[collapsed[0] - 1], details)

    worst = -math.inf if higher else math.inf
    values = [worst if i in collapsed else _or(single.estimate, worst) for i, single in enumerate(singles, 1)]
    lower = [_or(single.lower, -math.inf) for single in (for_pass if higher else for_fail)]
    upper = [_or(single.upper, math.inf) for single in (for_fail if higher else for_pass)]
    estimate, low, high = (sorted(each, reverse=higher)[needed - 1] for each in (values, lower, upper))
    met = sum(value >= gate.bar if higher else value <= gate.bar for value in values)
    passed, leans = outcome is Outcome.PASS, ""
    if outcome is Outcome.INCONCLUSIVE:
        passed = colour_of_doubt(gate.if_unsure, met >= needed)
        leans = f" (leans {'pass' if met >= needed else 'fail'})"
    known = [value for value in values if math.isfinite(value)]
    span = [number(value, gate.bar) for value in (min(known), max(known))]
    if share is None:
        best = f"the others up to {span[1]}" if higher else f"the others down to {span[0]}"
        sentence = (
            f"{what} over {seeds} seeds = {number(estimate, gate.bar)} at worst ({best}), required "
            f"{SIGNS[gate.direction]} {number(gate.bar, estimate)}"
        )
    else:
        verb = "reach" if higher else "stay within"
        sentence = (
            f"{what}: {met} of {seeds} seeds {verb} {number(gate.bar, *known)} ({span[0]} to {span[1]}), required "
            f"{needed} of {seeds}"
        )
    whose = "for the worst seed" if share is None else f"for the value that {needed} of {seeds} seeds {verb}"
    methods = [single.method for single in singles if single.method is not None]
    notes = [f"no bounds: {whose} the samples alone give none; judged by the estimates, which may be luck"]
    if math.isfinite(low) or math.isfinite(high):
        notes = [f"{whose} {allowed(low, high, gate.confidence, methods[0])}"]
    design = every[0].samples
    notes += described_design(design).remarks if design is not None else ()
    notes.append(f"proved, corrected for the number of seeds: the bar met by {good} of {seeds}, missed by {bad}")
    notes.append(_of_all(met, seeds, gate.confidence, "meet the bar", "would on these samples"))
    notes += [f"of seed {i} {_cause(singles[i - 1])}: it counts as one that does not meet the bar" for i in collapsed]
    if outcome is Outcome.INCONCLUSIVE and gate.if_unsure == "fail":
        notes.append("red since if_unsure='fail' takes nothing but proof")
    return replace(
        verdict,
        outcome=outcome,
        passed=passed,
        estimate=estimate,
        lower=finite(low),
        upper=finite(high),
        method=methods[0] if math.isfinite(low) or math.isfinite(high) else None,
        explanation=f"{outcome}{leans}: {sentence}",
        notes=tuple(notes),
    )


def green_share(gate: JudgesHistories, every: Sequence[History], share: float | None) -> Verdict:
    """The verdict on how many histories a gate is green on; without `share` all must be.

    The rules on histories are heuristics with measured rates, so the word is counted from the single words: `PASS`
    where so many are `PASS`, `FAIL` where too many are `FAIL`.
    """
    seeds, needed = len(every), seeds_needed(share or 1, len(every))
    singles = [gate.check(one) for one in every]
    count = {word: sum(single.outcome is word for single in singles) for word in Outcome}
    outcome = _word(count[Outcome.PASS], count[Outcome.FAIL], count[Outcome.UNDEFINED], needed, seeds)
    green = sum(single.passed for single in singles)
    passed, leans = outcome is Outcome.PASS, ""
    if outcome is Outcome.INCONCLUSIVE:
        passed = colour_of_doubt(gate.if_unsure, green >= needed)
        leans = f" (leans {'pass' if green >= needed else 'fail'})"
    red = [i for i, single in enumerate(singles, 1) if not single.passed]
    notes = [f"seed {i}: {singles[i - 1].explanation}" for i in red[:_SHOWN]]
    if len(red) > _SHOWN:
        notes.append(f"and {len(red) - _SHOWN} more")
    notes.append(_of_all(green, seeds, CONFIDENCE, "are green", "would be"))
    if outcome is Outcome.INCONCLUSIVE and gate.if_unsure == "fail":
        notes.append("red since if_unsure='fail' takes nothing but proof")
    if outcome is Outcome.UNDEFINED:
        notes.append(NEVER)
    return Verdict(
        gate=_gate_text(gate.gate, share),
        outcome=outcome,
        passed=passed,
        metric=gate.gate,
        estimate=green / seeds,
        hits=green,
        support=seeds,
        bar=float(share or 1),
        direction="at_least",
        if_unsure=gate.if_unsure,
        method=singles[0].method,
        explanation=f"{outcome}{leans}: {gate.gate}: {green} of {seeds} seeds are green, required {needed} of {seeds}",
        details=tuple((f"seed {i}", str(single.outcome)) for i, single in enumerate(singles, 1)),
        notes=tuple(notes),
    )


def undefined(
    verdict: Verdict, asked: str, seed: int, single: Verdict, details: tuple[tuple[str, Any], ...]
) -> Verdict:
    """The verdict over seeds where a training that cannot be judged leaves nothing to judge."""
    return replace(
        verdict,
        outcome=Outcome.UNDEFINED,
        passed=False,
        estimate=None,
        explanation=f"{Outcome.UNDEFINED}: {asked}: of seed {seed}, {_cause(single)}",
        details=details,
        notes=(NEVER,),
    )


def _word(good: int, bad: int, collapsed: int, needed: int, seeds: int) -> Outcome:
    """The word from how many seeds are proved to meet the bar, how many not to, and how many cannot be judged."""
    if bad > seeds - needed:
        return Outcome.FAIL
    if bad + collapsed > seeds - needed:
        return Outcome.UNDEFINED
    return Outcome.PASS if good >= needed else Outcome.INCONCLUSIVE


def _gate_text(gate: str, share: float | None) -> str:
    return f"over_seeds({gate}, claim='worst')" if share is None else f"over_seeds({gate}, share={plain(share)})"


def _of_all(met: int, seeds: int, confidence: float, do: str, would: str) -> str:
    """What so many seeds tell of all trainings like these; each is one draw of them."""
    lower, upper = clopper_pearson(met, seeds, confidence)
    return (
        f"{met} of {seeds} seeds {do}: of all such trainings {100 * lower:.0f}% to {100 * upper:.0f}% {would} "
        f"({100 * confidence:.10g}% each way, Clopper-Pearson)"
    )


def _cause(single: Verdict) -> str:
    """Why a single verdict is `UNDEFINED`, in its own words."""
    sentence = single.explanation
    return next(
        (sentence.partition(mark)[2] for mark in ("cannot be judged: ", ", but ") if mark in sentence), sentence
    )


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
