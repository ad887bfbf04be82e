"""A gate on one metric: the metric, a direction, a bar, and how sure one must be."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.exceptions import BarError, MetricError, did_you_mean
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence, check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.tuning import flagged, proves, would_reach
from pytest_modelgate.gates.vacuous import constant_answer, refuse_vacuous
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import (
    SIGNS,
    allowed,
    hidden_by_accuracy,
    measured,
    number,
    percent,
    plain,
    subject,
)
from pytest_modelgate.metrics.labels import index_of
from pytest_modelgate.metrics.measurement import Bounds
from pytest_modelgate.metrics.registry import Metric, get_metric
from pytest_modelgate.statistics.composites import f1_of_jaccard
from pytest_modelgate.statistics.interval import Interval
from pytest_modelgate.statistics.proportions import tail_at_least, tail_at_most
from pytest_modelgate.statistics.sequences import anytime_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.measurement import Measurement

METHOD = "Clopper-Pearson"
ANYTIME = "beta mixture, at every look"


@dataclass(frozen=True, slots=True)
class Gate:
    """A metric that must be at least, or at most, a bar.

    Args:
        metric: a name from the registry of metrics, such as "recall" or "loss", or what `custom_metric` made.
        at_least, at_most: the bar; exactly one of the two, within the metric's range.
        label: one class, by name or index; with two classes the last is meant where neither it nor `average` is given.
            Of several labels a sample, one of them; it or `average` must be given.
        average: "macro", "micro" or "weighted"; of several labels a sample "macro" or "micro".
        confidence: how sure `PASS` and `FAIL` must be, one-sided; 0.95 means wrong in at most 5%.
        if_unsure: the colour of `INCONCLUSIVE`: "estimate" (red when the estimate misses the bar), "fail" or "warn".
        allow_vacuous: let a bar of accuracy stand that always answering the majority class would meet.
        anytime: for a test set that grows and is judged again and again: bounds that hold at every look (proportions
            and F1 of one class only).
        parameters: what the metric takes, such as `{"beta": 2}`.

    Raises:
        MetricError: an unknown metric or parameter.
        BarError: a bar outside the metric's range, two bars or none, a confidence or `if_unsure` that is none.

    >>> from pytest_modelgate import ConfusionMatrix
    >>> evidence = ConfusionMatrix.from_counts(tp=36, fp=2, fn=4, tn=40, labels=("ok", "fraud"))
    >>> print(Gate("recall", at_least=0.8, label="fraud").check(evidence))
    INCONCLUSIVE (leans pass): recall of 'fraud' = 0.900 (36 of 40), required >= 0.800
      the data allow 0.786 to 0.965 (95% each way, Clopper-Pearson)
      a model at 0.753 looks this good 2% of the time
      about 436 samples of 'fraud' in all settle a model at 0.847 in 80% of cases, about 94 one as good as this (0.900)
    """

    metric: str | Metric
    at_least: float | None = field(default=None, kw_only=True)
    at_most: float | None = field(default=None, kw_only=True)
    label: Label | None = field(default=None, kw_only=True)
    average: str | None = field(default=None, kw_only=True)
    confidence: float = field(default=CONFIDENCE, kw_only=True)
    if_unsure: str = field(default="estimate", kw_only=True)
    allow_vacuous: bool = field(default=False, kw_only=True)
    anytime: bool = field(default=False, kw_only=True)
    parameters: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        metric = get_metric(self.metric)
        object.__setattr__(self, "parameters", dict(self.parameters))
        for name in self.parameters:
            if name not in metric.parameters:
                takes = f"takes {', '.join(metric.parameters)}" if metric.parameters else "takes no parameter"
                raise MetricError(f"{metric.name} {takes}, not {name!r}{did_you_mean(name, metric.parameters)}")
        if (self.at_least is None) == (self.at_most is None):
            raise BarError(f"a gate on {metric.name} takes one bar: at_least= or at_most=")
        bar = check_bar(self.bar, metric.lowest, metric.highest, metric.name)
        object.__setattr__(self, self.direction, bar)
        check_confidence(self.confidence)
        check_if_unsure(self.if_unsure)
        if self.average is not None and self.average not in metric.averages:
            takes = f"takes {', '.join(map(repr, metric.averages))}, not" if metric.averages else "takes no average:"
            raise MetricError(f"{metric.name} {takes} {self.average!r}{did_you_mean(self.average, metric.averages)}")
        if self.label is not None and self.average is not None:
            raise MetricError(f"{metric.name}: give label={self.label!r} or average={self.average!r}, not both")

    @property
    def bar(self) -> float:
        """The value that must be reached, or not be passed."""
        return self.at_least if self.at_least is not None else self.at_most  # type: ignore[return-value]

    @property
    def direction(self) -> str:
        """Either "at_least" or "at_most"."""
        return "at_least" if self.at_least is not None else "at_most"

    def check(self, evidence: Evaluation | ConfusionMatrix) -> Verdict:
        """Judge the evidence.

        Raises:
            MetricError: a label that the evidence does not have, or a metric that needs `label` or `average`.
            BarError: a bar of accuracy that always answering the majority class would meet.
            EvidenceError: what the metric needs was not kept.
        """
        return self._check(as_evaluation(evidence), bounded=True)

    def glance(self, evidence: Evaluation | ConfusionMatrix) -> Verdict:
        """The colour of `check` for less: without bounds and words where the estimate alone decides it.

        So it does under `if_unsure="estimate"` for metrics of counts, whose bounds enclose the estimate. An outcome
        that was not worked out is `INCONCLUSIVE`, without a `method`.
        """
        decided = self.if_unsure == "estimate" and get_metric(self.metric).needs == "counts"
        return self._check(as_evaluation(evidence), bounded=not decided)

    def _check(self, evaluation: Evaluation, *, bounded: bool) -> Verdict:
        metric = get_metric(self.metric)
        label = judged_class(metric, evaluation, self.label, self.average)
        found = evaluation.measure(self.metric, label=label, average=self.average, **self.parameters)
        shown = metric.shown(self.parameters)
        what = subject(metric, label=label, average=self.average, parameters=shown)
        if metric.needs == "loss" and evaluation.mean_loss is not None:
            what = f"loss ({evaluation.mean_loss.name})"
        part = judged_part(metric, evaluation, label)
        refuse_vacuous(self, part, label)
        bounds = self._bounds(evaluation, part, metric, found, label) if bounded else Bounds(None, "", "not asked for")
        outcome, passed = self._decide(found, bounds)
        explanation = self._explanation(outcome, what, found)
        nothing = constant_answer(part, metric) if passed and not self.allow_vacuous else None
        if nothing is not None:
            outcome, passed = Outcome.UNDEFINED, False
            explanation = f"{explanation.replace(explanation.partition(':')[0], str(outcome), 1)}, but {nothing}"
        lower, upper = (None, None) if bounds.interval is None else bounds.interval
        verdict = Verdict(
            gate=f"{measured(metric.name, label=label, average=self.average, parameters=shown)} "
            f"{SIGNS[self.direction]} {plain(self.bar)}",
            outcome=outcome,
            passed=passed,
            metric=metric.name,
            label=label,
            average=self.average,
            parameters=tuple(shown.items()),
            estimate=found.value,
            lower=finite(lower),
            upper=finite(upper),
            hits=found.hits,
            support=found.support,
            bar=self.bar,
            direction=self.direction,
            confidence=self.confidence,
            if_unsure=self.if_unsure,
            method=None if bounds.interval is None else bounds.method,
            explanation=explanation,
            notes=tuple(self._notes(outcome, passed, part, found, label, bounds)) if bounded else (),
        )
        return flagged(verdict, evaluation, proves(part, metric, label)) if metric.needs == "counts" else verdict

    def _bounds(
        self, evaluation: Evaluation, part: Evaluation, metric: Metric, found: Measurement, label: Label | None
    ) -> Bounds:
        """What the data allow; for `anytime` at every look."""
        if not self.anytime:
            return evaluation.bounds(
                metric, label=label, average=self.average, confidence=self.confidence, found=found, **self.parameters
            )
        if _weighed(part) or _weighed(evaluation):
            raise MetricError("anytime=True knows no weights and groups: there are no bounds for them at every look")
        if evaluation.multilabel is not None and self.average is not None:
            raise MetricError(
                f"anytime=True knows no {self.average} average over labels, whose decisions hang together: give label="
            )
        of_f1 = metric.name == "f1" and self.average is None
        if metric.needs not in ("counts", "ranks", "matches") or not (
            of_f1 or found.hits is not None or found.value is None
        ):
            raise MetricError(
                f"anytime=True is for proportions and F1 of one class; {metric.name} has no bounds that hold at "
                "every look"
            )
        if found.value is None:
            return Bounds(None, ANYTIME, found.cause)
        if not of_f1 and found.hits is not None:
            return Bounds(anytime_interval(found.hits, found.support, self.confidence), ANYTIME)
        table = part.confusion_matrix.one_vs_rest(part.labels[-1] if label is None else label)
        lower, upper = anytime_interval(table.tp, table.n - table.tn, self.confidence)
        return Bounds(Interval(f1_of_jaccard(lower), f1_of_jaccard(upper)), f"{ANYTIME}, through Jaccard")

    def meets(self, value: float) -> bool:
        """Whether a value meets the bar; written as what must hold, so that NaN never passes."""
        return value >= self.bar if self.direction == "at_least" else value <= self.bar

    def _decide(self, found: Measurement, bounds: Bounds) -> tuple[Outcome, bool]:
        if found.value is None or not math.isfinite(found.value):
            return Outcome.UNDEFINED, False
        if found.hits is not None and bounds.interval is not None and bounds.method == METHOD:
            outcome = judge_proportion(found.hits, found.support, self.bar, self.direction, self.confidence)
        else:
            outcome = judge_interval(bounds.interval, self.bar, self.direction)
        if outcome is Outcome.INCONCLUSIVE:
            return outcome, colour_of_doubt(self.if_unsure, self.meets(found.value))
        return outcome, outcome is Outcome.PASS

    def _explanation(self, outcome: Outcome, what: str, found: Measurement) -> str:
        if found.value is None:
            return f"{outcome}: {what} cannot be judged: {found.cause}"
        leans = ""
        if outcome is Outcome.INCONCLUSIVE:
            leans = f" (leans {'pass' if self.meets(found.value) else 'fail'})"
        count = f" ({found.hits:,} of {found.support:,})" if found.hits is not None else ""
        shown, bar = number(found.value, self.bar), number(self.bar, found.value)
        return f"{outcome}{leans}: {what} = {shown}{count}, required {SIGNS[self.direction]} {bar}"

    def _notes(
        self,
        outcome: Outcome,
        passed: bool,
        evaluation: Evaluation,
        found: Measurement,
        label: Label | None,
        bounds: Bounds,
    ) -> list[str]:
        notes = []
        metric = get_metric(self.metric)
        if bounds.interval is not None:
            notes.append(allowed(*bounds.interval, self.confidence, bounds.method))
            notes += bounds.remarks
        elif found.value is not None:
            notes.append(f"no bounds: {bounds.why}; judged by the estimate, which may be luck")
        else:
            notes.append("where there is nothing to judge a gate never passes")
        if outcome is Outcome.UNDEFINED and found.value is not None:
            notes.append("what any constant answer reaches is no proof: insist with allow_vacuous=True")
        if outcome is Outcome.INCONCLUSIVE and self.if_unsure == "fail":
            notes.append("red since if_unsure='fail' takes nothing but proof")
        if not passed and evaluation.matrix is not None and metric.needs == "counts":
            notes += str(evaluation.matrix).splitlines()
            seen = outcome is not Outcome.UNDEFINED
            seen = seen and (label is None or evaluation.matrix.support[evaluation.matrix.index_of(label)] > 0)
            if metric.name != "accuracy" and self.direction == "at_least" and seen:
                notes += hidden_by_accuracy(evaluation, self.bar)
            if self.direction == "at_least" and (found.value is None or not self.meets(found.value)):
                notes += would_reach(evaluation, metric, label, self.bar)
        return notes


def _weighed(evaluation: Evaluation) -> bool:
    """Whether samples differ in weight or hang together: counts then tell less than they seem to."""
    return evaluation.samples is not None and evaluation.samples.weighed


def judged_class(metric: Metric, evaluation: Evaluation, label: Label | None, average: str | None) -> Label | None:
    """The class that a metric is judged of, by its name; None for averages and for metrics of all classes."""
    if label is not None and evaluation.matrix is not None:
        return evaluation.labels[evaluation.matrix.index_of(label)]
    if evaluation.multilabel is not None:
        return None if label is None else evaluation.labels[index_of(evaluation.labels, label)]
    if label is None and average is None and metric.averages and len(evaluation.labels) == 2:
        return evaluation.labels[-1]
    return label


def judged_part(metric: Metric, evaluation: Evaluation, label: Label | None) -> Evaluation:
    """Where samples have several labels, the evaluation of two classes that is judged, if it is one; else the whole.

    An average is of no single label: the whole stands for it.
    """
    if evaluation.multilabel is None or label is None or metric.needs in ("loss", "matches"):
        return evaluation
    return evaluation.multilabel[label]


def judge_proportion(hits: int, trials: int, bar: float, direction: str, confidence: float) -> Outcome:
    """What `hits` of `trials` prove about a true proportion and a bar: exact binomial tails, one-sided.

    `PASS` (for "at_least") iff so many hits would turn up in at most `1 - confidence` of cases were the truth just at
    the bar, `FAIL` iff so few would (Clopper and Pearson 1934). A bar that every proportion meets is met.
    """
    alpha = 1 - confidence
    many = tail_at_least(hits, trials, bar) <= alpha
    few = tail_at_most(hits, trials, bar) <= alpha
    if direction == "at_most":
        many, few = few, many
    if many or bar == (0 if direction == "at_least" else 1):
        return Outcome.PASS
    return Outcome.FAIL if few else Outcome.INCONCLUSIVE


def judge_interval(interval: Interval | None, bar: float, direction: str) -> Outcome:
    """What bounds prove about a bar: `PASS` where all that they allow meets it, `FAIL` where nothing does."""
    if interval is None:
        return Outcome.INCONCLUSIVE
    above, below = interval.lower >= bar, interval.upper < bar
    if direction == "at_most":
        above, below = interval.upper <= bar, interval.lower > bar
    if above:
        return Outcome.PASS
    return Outcome.FAIL if below else Outcome.INCONCLUSIVE


def finite(value: float | None) -> float | None:
    """A bound as it stands in a verdict: None where there is none on that side."""
    return value if value is not None and math.isfinite(value) else None


def check_bar(bar: object, lowest: float, highest: float, name: str) -> float:
    """The bar as a float; a `BarError` unless it is a finite number within the metric's range."""
    if isinstance(bar, bool) or not isinstance(bar, Real):
        raise BarError(f"the bar of {name} must be a number, not {bar!r}")
    bar = float(bar)
    if not math.isfinite(bar):
        raise BarError(f"the bar of {name} is {bar}: nothing can be judged against it")
    if not lowest <= bar <= highest:
        meant = f"; was {percent(bar)} meant?" if (lowest, highest) == (0, 1) and 10 <= bar <= 100 else ""
        raise BarError(f"a bar of {bar:g} is outside the range of {name}, {lowest:g} to {highest:g}{meant}")
    return bar
