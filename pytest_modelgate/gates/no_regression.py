"""A gate against a baseline: the same samples, judged by two models, pair by pair."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence.comparing import check_comparable, difference
from pytest_modelgate.evidence.evaluation import Evaluation, as_evaluation
from pytest_modelgate.evidence.pairing import align, change
from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.gates.gate import finite, judge_interval, judged_class
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence, check_if_unsure
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import allowed, measured, number, plain, subject
from pytest_modelgate.metrics.registry import Metric, get_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_modelgate.evidence.comparing import Difference
    from pytest_modelgate.evidence.pairing import Change
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label

_WORDS = {1: Outcome.PASS, 0: Outcome.INCONCLUSIVE, -1: Outcome.FAIL}


@dataclass(frozen=True, slots=True)
class NoRegression:
    """The metric must not be worse than a baseline's by more than a margin, on the same samples.

    `PASS`: it is proved not to be (with no margin: to be better). `FAIL`: it is proved to be worse by more than the
    margin. `INCONCLUSIVE` is green unless `if_unsure` is "fail": a drop that chance explains is no regression, and to
    be red on any drop would alarm on nearly half of all unchanged models. Evaluations that are not of the same samples
    are red, and so are those that share no ids. With `if_unsure="warn"` an unproved drop warns.

    Args:
        metric: a name from the registry.
        margin: how much worse it may be, in the metric's units; 0 or more.
        label, average, confidence, if_unsure, parameters: as in `Gate`.

    Raises:
        MetricError: an unknown metric, or one that cannot be compared sample by sample.
        BarError: a margin, a confidence or an `if_unsure` that is none.
    """

    metric: str | Metric
    margin: float = 0.0
    label: Label | None = field(default=None, kw_only=True)
    average: str | None = field(default=None, kw_only=True)
    confidence: float = field(default=CONFIDENCE, kw_only=True)
    if_unsure: str = field(default="estimate", kw_only=True)
    parameters: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        metric = get_metric(self.metric)
        check_comparable(metric)
        widest = metric.highest - metric.lowest
        margin = self.margin
        if isinstance(margin, bool) or not isinstance(margin, Real) or not 0 <= margin < math.inf:
            raise BarError(f"margin={margin!r}: how much worse {metric.name} may be is a number of 0 or more")
        if not margin < widest:
            meant = f"; was {margin / 100:g} meant?" if widest == 1 and margin <= 100 else ""
            raise BarError(f"a margin of {margin:g} lets {metric.name} fall all the way{meant}")
        object.__setattr__(self, "margin", float(margin))
        object.__setattr__(self, "parameters", dict(self.parameters))
        check_confidence(self.confidence)
        check_if_unsure(self.if_unsure)

    def check(self, evidence: Evaluation | ConfusionMatrix, baseline: Evaluation) -> Verdict:
        """Judge the evidence against the baseline's.

        Raises:
            EvidenceError: the two are of other tasks, classes or losses, or the baseline is no evaluation.
            MetricError: a metric that cannot be compared pair by pair.
        """
        if not isinstance(baseline, Evaluation):
            raise EvidenceError(
                f"the baseline must be an Evaluation, not {type(baseline).__name__}; evaluate(model, data, ids=...) "
                "gives one"
            )
        metric = get_metric(self.metric)
        candidate = as_evaluation(evidence)
        aligned = align(candidate, baseline)
        now, then = (one.measure(metric, **self._asked(candidate)) for one in (candidate, baseline))
        if now.value is None or then.value is None:
            whose, found = ("", now) if now.value is None else ("the baseline's ", then)
            sentence = f"{whose}{self._what(candidate)} cannot be judged: {found.cause}"
            return self._verdict(Outcome.UNDEFINED, False, candidate, sentence)
        estimate = now.value - then.value
        shown = f"{self._what(candidate)} = {number(now.value, then.value)}, baseline {number(then.value, now.value)}"
        if isinstance(aligned, str):
            return self._verdict(Outcome.INCONCLUSIVE, False, candidate, f"{shown}; but: {aligned}", estimate=estimate)
        found_difference = difference(
            metric,
            *aligned,
            margin=self.margin,
            confidence=self.confidence,
            **self._asked(candidate, as_mapping=True),
        ).around(estimate)
        outcome = self._judge(found_difference)
        meets = self._meets(estimate)
        passed = outcome is Outcome.PASS or (outcome is Outcome.INCONCLUSIVE and self.if_unsure != "fail")
        leans = f" (leans {'pass' if meets else 'fail'})" if outcome is Outcome.INCONCLUSIVE else ""
        worse = "drop" if metric.higher_is_better else "rise"
        worse = f"a {worse} of {plain(self.margin)}" if self.margin else f"no {worse}"
        sentence = f"{shown}: {_signed(estimate)}, {worse} allowed"
        return self._verdict(
            outcome,
            passed,
            candidate,
            sentence,
            leans=leans,
            estimate=estimate,
            found=found_difference,
            churn=change(*aligned),
            support=found_difference.pairs[2] if found_difference.pairs else now.support,
        )

    def about(self, evidence: Evaluation | ConfusionMatrix) -> str:
        """What is compared, without the margin, such as "no_regression(recall[fraud])": what a baseline knows it by."""
        return f"no_regression({self._measured(as_evaluation(evidence))})"

    def recorded(self, evidence: Evaluation | ConfusionMatrix) -> Verdict:
        """What is said where the evidence becomes the baseline: green and unproved, since nothing is compared."""
        evaluation = as_evaluation(evidence)
        now = evaluation.measure(get_metric(self.metric), **self._asked(evaluation))
        what = self._what(evaluation)
        if now.value is None:
            return self._verdict(Outcome.UNDEFINED, False, evaluation, f"{what} cannot be judged: {now.cause}")
        sentence = f"{what} = {number(now.value)} is recorded as the baseline, and compared with nothing"
        return self._verdict(Outcome.INCONCLUSIVE, True, evaluation, sentence, support=now.support, comparing=False)

    def _measured(self, evaluation: Evaluation) -> str:
        metric = get_metric(self.metric)
        shown = metric.shown(self.parameters)
        return measured(metric.name, label=self._label(evaluation), average=self.average, parameters=shown)

    def _asked(self, evaluation: Evaluation, *, as_mapping: bool = False) -> dict[str, Any]:
        which = {"label": self._label(evaluation), "average": self.average}
        return which | ({"parameters": dict(self.parameters)} if as_mapping else dict(self.parameters))

    def _label(self, evaluation: Evaluation) -> Label | None:
        return judged_class(get_metric(self.metric), evaluation, self.label, self.average)

    def _what(self, evaluation: Evaluation) -> str:
        metric = get_metric(self.metric)
        if metric.needs == "loss" and evaluation.mean_loss is not None:
            return f"loss ({evaluation.mean_loss.name})"
        return subject(
            metric,
            label=self._label(evaluation),
            average=self.average,
            parameters=metric.shown(self.parameters),
        )

    def _bar(self) -> float:
        return (-self.margin if get_metric(self.metric).higher_is_better else self.margin) + 0.0

    def _direction(self) -> str:
        return "at_least" if get_metric(self.metric).higher_is_better else "at_most"

    def _meets(self, estimate: float) -> bool:
        return estimate >= self._bar() if self._direction() == "at_least" else estimate <= self._bar()

    def _judge(self, found: Difference) -> Outcome:
        if found.word is not None:
            return _WORDS[found.word]
        return judge_interval(found.bounds.interval, self._bar(), self._direction())

    def _verdict(
        self,
        outcome: Outcome,
        passed: bool,
        evaluation: Evaluation,
        sentence: str,
        *,
        leans: str = "",
        estimate: float | None = None,
        found: Difference | None = None,
        churn: Change | None = None,
        support: int | None = None,
        comparing: bool = True,
    ) -> Verdict:
        metric, label = get_metric(self.metric), self._label(evaluation)
        shown = metric.shown(self.parameters)
        text = self._measured(evaluation)
        interval = None if found is None else found.bounds.interval
        notes, details = [], {}
        if found is not None and interval is not None:
            notes.append(allowed(*interval, self.confidence, found.bounds.method))
            notes += found.bounds.remarks
        elif found is not None:
            notes.append(f"no bounds: {found.bounds.why}")
        if found is not None and found.pairs is not None and churn is not None and found.pairs[2] < churn.samples:
            losses, wins, counted = found.pairs
            notes.append(f"of the {counted:,} samples that count: {_some(wins, 'fix')}, {_some(losses, 'break')}")
        if churn is not None:
            notes.append(
                f"{churn.changed:,} of {churn.samples:,} decisions changed: {_some(churn.fixes, 'fix')}, "
                f"{_some(churn.breaks, 'break')}" + _neither(churn)
            )
            details = {"changed": churn.changed, "fixes": churn.fixes, "breaks": churn.breaks, "of": churn.samples}
        if outcome is Outcome.INCONCLUSIVE and self.if_unsure == "fail" and found is not None:
            notes.append("red since if_unsure='fail' takes nothing but proof")
        if outcome is Outcome.UNDEFINED:
            notes.append("where there is nothing to judge a gate never passes")
        if outcome is Outcome.INCONCLUSIVE and found is None and comparing:
            notes.append("red: what is not compared pair by pair is not compared at all")
        return Verdict(
            gate=f"no_regression({text}, margin={plain(self.margin)})",
            outcome=outcome,
            passed=passed,
            metric=metric.name,
            label=label,
            average=self.average,
            parameters=tuple(shown.items()),
            estimate=estimate,
            lower=None if interval is None else finite(interval.lower),
            upper=None if interval is None else finite(interval.upper),
            support=evaluation.n if support is None else support,
            bar=self._bar(),
            direction=self._direction(),
            confidence=self.confidence,
            if_unsure=self.if_unsure,
            method=None if found is None or interval is None else found.bounds.method,
            explanation=f"{outcome}{leans}: {sentence}",
            details=tuple(details.items()),
            notes=tuple(notes),
        )


def fell(verdict: Verdict) -> bool:
    """Whether the metric is seen to be worse than the baseline's: what `if_unsure="warn"` warns of.

    A model that decides as before proves nothing where no drop is allowed, and there is nothing to warn of.
    """
    change = verdict.estimate or 0.0
    return verdict.outcome is not Outcome.PASS and (change < 0 if verdict.direction == "at_least" else change > 0)


def _some(count: int, noun: str) -> str:
    """So many of them.

    >>> _some(1, "break"), _some(2, "fix")
    ('1 break', '2 fixes')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('x') else 's'}"


def _neither(churn: Change) -> str:
    """What the fixes and breaks leave of the changes: wrong before, wrong otherwise now."""
    rest = churn.changed - churn.fixes - churn.breaks
    return f", {rest:,} from one wrong answer to another" if rest else ""


def _signed(value: float) -> str:
    """A difference with its sign.

    >>> _signed(-0.03), _signed(0.0)
    ('-0.030', 'no difference')
    """
    if value == 0:
        return "no difference"
    return f"+{number(value)}" if value > 0 else number(value)
