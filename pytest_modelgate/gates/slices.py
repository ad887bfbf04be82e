"""Gates on slices: on one of them, or on each value of a column as one family."""

from __future__ import annotations

__tracebackhide__ = True

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

import numpy as np

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.evidence.subset import subset
from pytest_modelgate.exceptions import BarError
from pytest_modelgate.gates.gate import Gate
from pytest_modelgate.gates.majority import EveryClassRecall
from pytest_modelgate.gates.no_regression import NoRegression
from pytest_modelgate.gates.slice_tables import Row, counted, entry, family_table, left_out, reasons
from pytest_modelgate.gates.tuning import TUNED_HERE
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import allowed
from pytest_modelgate.metrics.bounds import described_design
from pytest_modelgate.statistics.families import step_down

if TYPE_CHECKING:
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label

    Sliced: TypeAlias = Gate | NoRegression | EveryClassRecall
    At: TypeAlias = Callable[[float], Verdict]

MIN_SUPPORT = 30
_RANK = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}


def check_min_support(min_support: SupportsIndex) -> int:
    """How many samples a slice must have to be judged, as a whole number of 1 or more; a `BarError` otherwise."""
    try:
        least = 0 if isinstance(min_support, bool) else operator.index(min_support)
    except TypeError:
        least = 0
    if least < 1:
        raise BarError(f"min_support={min_support!r}: give a whole number of samples, 1 or more")
    return least


def sliced(evaluation: Evaluation, asked: Any) -> tuple[str, Evaluation]:
    """One slice of an evaluation, and its name as the evaluation has it, such as "region=north".

    Raises:
        EvidenceError: no such slice, an empty one, or an evaluation without slices.
    """
    found = evaluation.slices[asked]
    return found.origin.steps[-1], found


def baseline_of(part: Evaluation, name: str, baseline: Evaluation) -> Evaluation:
    """The same slice of a baseline: by its own slices, or where it has none by the ids of the candidate's slice."""
    rows = baseline.samples
    if rows is not None and rows.slices:
        return baseline.slices[name]
    if rows is None or rows.ids is None or part.samples is None or part.samples.ids is None:
        return baseline  # the comparison says that ids are missing
    here = np.flatnonzero(np.isin(rows.ids, part.samples.ids))
    return subset(baseline, here) if len(here) else baseline


def told_of(verdict: Verdict, name: str) -> Verdict:
    """The verdict, which says of which slice it is."""
    head, _, rest = verdict.explanation.partition(": ")
    gate, explanation = f"{verdict.gate} on {name}", f"{head}: on {name}, {rest}"
    return replace(verdict, gate=gate, slice=name, explanation=explanation)


@dataclass(frozen=True, slots=True)
class OnSlice:
    """A gate on one slice's evidence, whose verdicts name the slice.

    Args:
        gate: any gate that judges one evaluation.
        slice: the slice's name.
    """

    gate: Any
    slice: str

    def check(self, evidence: Evaluation | ConfusionMatrix, *baseline: Evaluation) -> Verdict:
        """Judge the slice's evidence."""
        return told_of(self.gate.check(evidence, *baseline), self.slice)

    def recorded(self, evidence: Evaluation | ConfusionMatrix) -> Verdict:
        """What is said where the slice's evidence becomes a baseline."""
        return told_of(self.gate.recorded(evidence), self.slice)

    def glance(self, evidence: Evaluation | ConfusionMatrix) -> Verdict:
        """The colour of `check`, for less where the gate has a shorter way."""
        return told_of(getattr(self.gate, "glance", self.gate.check)(evidence), self.slice)


@dataclass(frozen=True, slots=True)
class BySlice:
    """A gate on each slice of a column, as one family: one verdict, of the weakest slice.

    `PASS`: every judged slice is proved to meet the bar. `FAIL`: one is proved not to, with Holm's correction for
    their number: at most 5% of families whose slices all meet the bar are refuted, however many slices there are.
    `INCONCLUSIVE` is green unless `if_unsure` is "fail": of twenty slices that meet the bar just so, the estimate of
    one is nearly always below it, and to be red on that would alarm on most sound models. `UNDEFINED`: no slice can be
    judged.

    A slice whose metric rests on fewer than `min_support` samples is shown and named and not judged, as is one where
    the metric is undefined. That a bar is vacuous, or every prediction alike, is judged of all samples, not by slice.
    Of `EveryClassRecall` each class of each slice is one of the family.

    Args:
        gate: a `Gate`, an `EveryClassRecall` or a `NoRegression`.
        by: the name of the slicing, such as "region".
        min_support: how many samples the metric must rest on: positives for recall; 1 or more.

    Raises:
        BarError: a `min_support` that is none.
    """

    gate: Sliced
    by: str
    min_support: int = field(default=MIN_SUPPORT, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "min_support", check_min_support(self.min_support))

    def check(self, evidence: Evaluation | ConfusionMatrix, *baseline: Evaluation) -> Verdict:
        """Judge the evidence; for a `NoRegression` against the baseline, which needs no slices of its own.

        Raises:
            EvidenceError: evidence without slices, or without that slicing.
            MetricError, BarError: as of the gate.
        """
        whole, sure = as_evaluation(evidence), self.gate.confidence
        parts = whole.slices.by(self.by)
        overall = replace(self.gate, if_unsure="warn").check(whole, *baseline)
        why = overall.explanation.partition(": ")[2]
        if overall.estimate is None or not Row("", 0, None, overall).comparable:
            return self._unjudged(overall, why, [])
        every: list[tuple[Row, At]] = []
        for name, part in parts.items():
            for label, at in self._judges(name, part, baseline):
                every.append((Row(name, part.n, label, at(sure)), at))
        judged = [(row, at) for row, at in every if self._fit(row)]
        others = [row for row, _ in every if not self._fit(row)]
        if not judged:
            causes = [line.removeprefix("not judged, ") for line in left_out(reasons(others), self.min_support)]
            why = f"no slice can be judged: {'; '.join(causes)}"
            return self._unjudged(overall, why, others)
        suspects = [i for i, (row, _) in enumerate(judged) if row.outcome is Outcome.FAIL]
        surely: dict[tuple[int, float], Verdict] = {}

        def verdict_at(index: int, level: float) -> Verdict:
            if (index, level) not in surely:
                surely[index, level] = judged[index][1](level)
            return surely[index, level]

        refuted, last = step_down(
            suspects, len(judged), sure, lambda i, level: verdict_at(i, level).outcome is Outcome.FAIL
        )
        rows = []
        for i, (row, _) in enumerate(judged):
            surer = verdict_at(i, refuted.get(i, last))
            outcome = Outcome.INCONCLUSIVE if row.outcome is Outcome.FAIL and i not in refuted else row.outcome
            rows.append(row.corrected(surer, outcome))
        rows.sort(key=lambda row: (_RANK[row.outcome], row.comparable, row.strength))
        others.sort(key=lambda row: -row.verdict.support)
        verdict = self._verdict(overall, rows, others, whole, parts[rows[0].slice])
        if verdict.passed and overall.outcome is Outcome.UNDEFINED:  # any constant answer does as well
            return self._unjudged(overall, why, [*rows, *others])
        return verdict

    def recorded(self, evidence: Evaluation | ConfusionMatrix) -> Verdict:
        """What is said where the evidence becomes a baseline: that of all samples, with the slices by name."""
        whole = as_evaluation(evidence)
        assert isinstance(self.gate, NoRegression)
        overall = self.gate.recorded(whole)
        parts = whole.slices.by(self.by)
        every = [Row(name, part.n, None, self.gate.recorded(part)) for name, part in parts.items()]
        judged = [row for row in every if self._fit(row)]
        details = (*overall.details, ("slices", _entries(judged, [row for row in every if not self._fit(row)])))
        return replace(overall, gate=f"{overall.gate} by {self.by}", details=details)

    def _judges(self, name: str, part: Evaluation, baseline: tuple[Evaluation, ...]) -> list[tuple[Label | None, At]]:
        """What judges a slice at any confidence: one gate, or one for each class."""
        gate = self.gate
        if isinstance(gate, EveryClassRecall):
            each = [Gate("recall", at_least=gate.bar, label=label, allow_vacuous=True) for label in part.labels]
            return [(one.label, _at(one, part)) for one in each]
        if isinstance(gate, Gate):
            return [(None, _at(replace(gate, allow_vacuous=True), part))]
        return [(None, _at(gate, part, *(baseline_of(part, name, one) for one in baseline)))]

    def _fit(self, row: Row) -> bool:
        return row.outcome is not Outcome.UNDEFINED and row.verdict.support >= self.min_support

    def _verdict(
        self, overall: Verdict, rows: list[Row], others: list[Row], whole: Evaluation, part: Evaluation
    ) -> Verdict:
        weakest, gate = rows[0], self.gate
        outcomes = [row.outcome for row in rows]
        outcome = next((one for one in (Outcome.FAIL, Outcome.INCONCLUSIVE) if one in outcomes), Outcome.PASS)
        passed = outcome is not Outcome.FAIL and (outcome is Outcome.PASS or gate.if_unsure != "fail")
        passed = passed and all(row.comparable for row in rows)
        leans = ""
        if outcome is Outcome.INCONCLUSIVE:
            leans = f" (leans {'pass' if all(row.meets for row in rows) else 'fail'})"
        nouns = "slices and classes" if isinstance(gate, EveryClassRecall) else "slices"
        family = f"Holm over {len(rows)} {nouns if len(rows) > 1 else 'slice'}"
        sentence = (
            f"on {weakest.slice}, {weakest.verdict.explanation.partition(': ')[2]}; {counted(rows, others, nouns)}"
        )
        method = None if weakest.verdict.method is None else f"{weakest.verdict.method}, {family}"
        notes = []
        if weakest.lower is not None and weakest.upper is not None and method is not None:
            notes.append(allowed(weakest.lower, weakest.upper, gate.confidence, method))
        notes += described_design(part.samples).remarks if part.samples is not None else ()
        notes += [*family_table(rows, others), *left_out(reasons(others), self.min_support)]
        if outcome is Outcome.INCONCLUSIVE and gate.if_unsure == "fail":
            notes.append("red since if_unsure='fail' takes nothing but proof")
        elif passed and leans.endswith("fail)"):
            notes.append("green since luck may explain it; if_unsure='fail' asks for proof of each slice")
        details: list[tuple[str, Any]] = [("slices", _entries(rows, others))]
        if whole.origin.tuned is not None:
            notes.append(TUNED_HERE)
            details.append(("threshold_tuned_here", True))
        return replace(
            weakest.verdict,
            gate=f"{overall.gate} by {self.by}",
            outcome=outcome,
            passed=passed,
            slice=weakest.slice,
            lower=weakest.lower,
            upper=weakest.upper,
            confidence=gate.confidence,
            if_unsure=gate.if_unsure,
            method=method,
            family=family,
            explanation=f"{outcome}{leans}: {sentence}",
            details=tuple(details),
            notes=tuple(notes),
        )

    def _unjudged(self, overall: Verdict, why: str, others: list[Row]) -> Verdict:
        """Nothing can be judged slice by slice: red."""
        outcome = Outcome.INCONCLUSIVE if overall.outcome is Outcome.INCONCLUSIVE and not others else Outcome.UNDEFINED
        return replace(
            overall,
            gate=f"{overall.gate} by {self.by}",
            outcome=outcome,
            passed=False,
            estimate=None,
            lower=None,
            upper=None,
            hits=None,
            method=None,
            support=max((row.verdict.support for row in others), default=overall.support),
            if_unsure=self.gate.if_unsure,
            explanation=f"{outcome}: by {self.by}, {why}",
            details=(("slices", _entries([], others)),),
            notes=(*family_table([], others), "where there is nothing to judge a gate never passes"),
        )


def _at(gate: Gate | NoRegression, part: Evaluation, *baseline: Evaluation) -> At:
    """The gate on a slice at any confidence, where all that is not refuted is green."""
    return lambda level: replace(gate, confidence=level, if_unsure="warn").check(part, *baseline)


def _entries(judged: list[Row], others: list[Row]) -> list[dict[str, Any]]:
    return [entry(row, judged=True) for row in judged] + [entry(row, judged=False) for row in others]
