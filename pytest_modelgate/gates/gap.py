"""A gate on the difference of a metric between slices: no group of samples may fare much worse than another."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.exceptions import BarError
from pytest_modelgate.gates.gate import finite, judge_interval, judged_class
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence, check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.slice_tables import left_out, span, table
from pytest_modelgate.gates.slices import MIN_SUPPORT, check_min_support
from pytest_modelgate.gates.tuning import flagged
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import allowed, measured, number, plain, subject
from pytest_modelgate.metrics.registry import Metric, get_metric
from pytest_modelgate.statistics.gaps import corrected_for_pairs, gap_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.measurement import Bounds, Measurement
    from pytest_modelgate.statistics.interval import Interval

METHOD = "MOVER"


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    name: str
    part: Evaluation
    found: Measurement

    @property
    def value(self) -> float:
        """The metric, which must not be undefined."""
        assert self.found.value is not None
        return self.found.value


@dataclass(frozen=True, slots=True)
class GapAtMost:
    """A metric may differ between any two slices of a column by at most so much.

    The slices' samples are independent, so the bounds of a pair's difference join those of the two (MOVER, Zou and
    Donner 2008). `PASS`: each pair is proved to differ by at most the bar. `FAIL`: one is proved to differ by more,
    corrected for the number of pairs. The estimate is the difference between the best and the worst slice, which luck
    alone makes larger than the true one: small slices differ.

    Args:
        metric: a name from the registry, such as "recall" or "loss", or what `custom_metric` made.
        by: the name of the slicing, such as "region".
        at_most: how much the metric may differ, in its own units; 0 or more.
        min_support: how many samples the metric must rest on in a slice that is compared; 1 or more.
        label, average, confidence, if_unsure, parameters: as in `Gate`.

    Raises:
        MetricError: an unknown metric.
        BarError: a bar, a `min_support`, a confidence or an `if_unsure` that is none.
    """

    metric: str | Metric
    by: str = field(kw_only=True)
    at_most: float = field(kw_only=True)
    min_support: int = field(default=MIN_SUPPORT, kw_only=True)
    label: Label | None = field(default=None, kw_only=True)
    average: str | None = field(default=None, kw_only=True)
    confidence: float = field(default=CONFIDENCE, kw_only=True)
    if_unsure: str = field(default="estimate", kw_only=True)
    parameters: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        metric, gap = get_metric(self.metric), self.at_most
        if isinstance(gap, bool) or not isinstance(gap, Real) or not 0 <= gap < math.inf:
            raise BarError(
                f"at_most={gap!r}: how much {metric.name} may differ between slices is a number of 0 or more"
            )
        widest = metric.highest - metric.lowest
        if not gap < widest:
            meant = f"; was {gap / 100:g} meant?" if widest == 1 and gap <= 100 else ""
            raise BarError(f"slices whose {metric.name} differs by {gap:g} differ all the way{meant}")
        object.__setattr__(self, "at_most", float(gap))
        object.__setattr__(self, "min_support", check_min_support(self.min_support))
        object.__setattr__(self, "parameters", dict(self.parameters))
        check_confidence(self.confidence)
        check_if_unsure(self.if_unsure)

    def check(self, evidence: Evaluation | ConfusionMatrix) -> Verdict:
        """Judge the evidence; see the class.

        Raises:
            EvidenceError: evidence without slices, or without that slicing.
            MetricError: a label, an average or a parameter that the metric does not take, or none where it needs one.
        """
        whole = as_evaluation(evidence)
        metric = get_metric(self.metric)
        label = judged_class(metric, whole, self.label, self.average)
        overall = self._measure(whole, label)
        every = [_Slice(name, part, self._measure(part, label)) for name, part in whole.slices.by(self.by).items()]
        judged: list[_Slice] = []
        others: list[_Slice] = []
        for one in every:
            fit = one.found.value is not None and one.found.support >= self.min_support
            (judged if fit else others).append(one)
        judged.sort(key=lambda one: one.value, reverse=not metric.higher_is_better)
        what = f"gap of {self._what(whole, label)} by {self.by}"
        why = overall.cause
        if why is None and not all(math.isfinite(one.value) for one in judged):
            why = "a value is not finite"
        if why is None and len(judged) < 2:
            why = f"{len(judged)} of {len(every)} slices can be, and a gap is between two"
        if why is not None:
            text = f"{Outcome.UNDEFINED}: {what} cannot be judged: {why}"
            notes = ["where there is nothing to judge a gate never passes", *self._left_out(others)]
            return self._verdict(whole, label, Outcome.UNDEFINED, False, text, notes, judged, others)
        bounds = [self._bounds(one, label, self.confidence) for one in judged]
        level = corrected_for_pairs(self.confidence, len(judged))
        surer = [self._bounds(one, label, level) for one in judged]
        values = [one.value for one in judged]
        interval = gap_interval(values, [one.interval for one in bounds], [one.interval for one in surer])
        estimate = max(values) - min(values)
        outcome = judge_interval(interval, self.at_most, "at_most")
        meets = estimate <= self.at_most
        passed, leans = outcome is Outcome.PASS, ""
        if outcome is Outcome.INCONCLUSIVE:
            passed = colour_of_doubt(self.if_unsure, meets)
            leans = f" (leans {'pass' if meets else 'fail'})"
        worst, best = judged[0], judged[-1]
        text = (
            f"{outcome}{leans}: {what} = {number(estimate, self.at_most)} (best {best.name} "
            f"{number(best.value, worst.value)}, worst {worst.name} {number(worst.value, best.value)}), "
            f"required <= {number(self.at_most, estimate)}"
        )
        if others:
            text += f"; of {len(every)} slices {len(others)} {'is' if len(others) == 1 else 'are'} not judged"
        method = f"{METHOD} on {' and '.join(dict.fromkeys(one.method for one in bounds))}"
        notes = []
        if math.isfinite(interval.upper):
            notes.append(allowed(*interval, self.confidence, method))
        for one, found in zip(judged, bounds, strict=True):
            notes += [f"no bounds of {one.name}: {found.why}"] if found.interval is None else []
            notes += [f"{remark} ({one.name})" for remark in found.remarks]
        notes += self._table(judged, bounds, others) + self._left_out(others)
        if _share_groups(judged, whole):
            notes.append("samples of one group are in several slices, and the bounds take slices for independent")
        if outcome is Outcome.INCONCLUSIVE and self.if_unsure == "fail":
            notes.append("red since if_unsure='fail' takes nothing but proof")
        verdict = self._verdict(
            whole, label, outcome, passed, text, notes, judged, others, bounds, estimate, interval, method
        )
        return flagged(verdict, whole) if metric.needs == "counts" else verdict

    def _measure(self, evaluation: Evaluation, label: Label | None) -> Measurement:
        return evaluation.measure(self.metric, label=label, average=self.average, **self.parameters)

    def _bounds(self, one: _Slice, label: Label | None, confidence: float) -> Bounds:
        asked: dict[str, Any] = {"confidence": confidence, "found": one.found, **self.parameters}
        return one.part.bounds(self.metric, label=label, average=self.average, **asked)

    def _what(self, evaluation: Evaluation, label: Label | None) -> str:
        metric = get_metric(self.metric)
        if metric.needs == "loss" and evaluation.mean_loss is not None:
            return f"loss ({evaluation.mean_loss.name})"
        return subject(metric, label=label, average=self.average, parameters=metric.shown(self.parameters))

    def _table(self, judged: list[_Slice], bounds: list[Bounds], others: list[_Slice]) -> list[str]:
        rows = []
        for one, found in zip([*judged, *others], [*bounds, *[None] * len(others)], strict=True):
            estimate = "undefined" if one.found.value is None else number(one.value)
            allow = "" if found is None or found.interval is None else span(*found.interval)
            rows.append((one.name, f"{one.part.n:,}", f"{one.found.support:,}", estimate, allow))
        return table(rows, ("slice", "samples", "support", "estimate", "the data allow"))

    def _left_out(self, others: list[_Slice]) -> list[str]:
        return left_out([(one.name, one.found.support, one.found.cause) for one in others], self.min_support)

    def _verdict(
        self,
        whole: Evaluation,
        label: Label | None,
        outcome: Outcome,
        passed: bool,
        explanation: str,
        notes: list[str],
        judged: list[_Slice],
        others: list[_Slice],
        bounds: Sequence[Bounds] = (),
        estimate: float | None = None,
        interval: Interval | None = None,
        method: str | None = None,
    ) -> Verdict:
        metric = get_metric(self.metric)
        shown = metric.shown(self.parameters)
        text = measured(metric.name, label=label, average=self.average, parameters=shown)
        ends = [] if interval is None else [judged[0], judged[-1]]
        intervals = [one.interval for one in bounds] + [None] * (len(judged) + len(others) - len(bounds))
        compared = []
        for k, (one, its) in enumerate(zip([*judged, *others], intervals, strict=True)):
            lower, upper = (None, None) if its is None else its
            figures = {"estimate": one.found.value, "lower": lower, "upper": upper}
            compared.append(
                {"slice": one.name, "n": one.part.n, "support": one.found.support}
                | {name: finite(value) for name, value in figures.items()}
                | {"judged": interval is not None and k < len(judged)}
            )
        details: list[tuple[str, Any]] = [("compared", compared)]
        if ends:
            details = [("worst", ends[0].name), ("best", ends[1].name), *details]
        return Verdict(
            gate=f"gap({text} by {self.by}) <= {plain(self.at_most)}",
            outcome=outcome,
            passed=passed,
            metric=metric.name,
            label=label,
            average=self.average,
            parameters=tuple(shown.items()),
            estimate=estimate,
            lower=None if interval is None else finite(interval.lower),
            upper=None if interval is None else finite(interval.upper),
            support=sum(one.found.support for one in ends) if ends else whole.n,
            bar=self.at_most,
            direction="at_most",
            confidence=self.confidence,
            if_unsure=self.if_unsure,
            method=method,
            explanation=explanation,
            details=tuple(details),
            notes=tuple(notes),
        )


def _share_groups(judged: list[_Slice], whole: Evaluation) -> bool:
    """Whether samples of one group are in more than one slice."""
    if whole.samples is None or whole.samples.groups is None:
        return False
    columns = [one.part.samples.groups for one in judged if one.part.samples is not None]
    each = [np.unique(column) for column in columns if column is not None]
    return len(np.unique(np.concatenate(each))) < sum(map(len, each))
