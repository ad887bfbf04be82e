"""A gate on the generalisation gap: how much worse a model is on samples that it was not trained on."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.gates.gate import finite, judge_interval, judged_class
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence, check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import allowed, measured, number, plain, subject
from pytest_modelgate.metrics.registry import Metric, get_metric
from pytest_modelgate.statistics.differences import difference_interval
from pytest_modelgate.statistics.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.measurement import Bounds, Measurement

METHOD = "MOVER"


@dataclass(frozen=True, slots=True)
class GeneralizationGap:
    """A metric must not be worse on test data than on training data by more than a gap.

    The gap is the training value minus the test value where higher is better, and the reverse for errors and losses.
    Its bounds join those of the two values, which rest on independent samples (MOVER, Zou and Donner 2008). `PASS`: it
    is proved to be at most `gap`. `FAIL`: it is proved to be larger.

    Args:
        metric: a name from the registry, such as "accuracy" or "loss", or what `custom_metric` made.
        gap: how much worse the metric may be on the test data, in its own units; 0 or more.
        label, average, confidence, if_unsure, parameters: as in `Gate`.

    Raises:
        MetricError: an unknown metric.
        BarError: a gap, a confidence or an `if_unsure` that is none.

    >>> from pytest_modelgate import ConfusionMatrix
    >>> train = ConfusionMatrix.from_counts(tp=495, fp=3, fn=5, tn=497)
    >>> test = ConfusionMatrix.from_counts(tp=41, fp=7, fn=9, tn=43)
    >>> print(GeneralizationGap("recall", 0.05).check(train, test))
    FAIL: gap of recall of 'positive' = 0.170 (train 0.990, test 0.820), required <= 0.050
      the data allow 0.087 to 0.283 (95% each way, MOVER on Clopper-Pearson)
    """

    metric: str | Metric
    gap: float
    label: Label | None = field(default=None, kw_only=True)
    average: str | None = field(default=None, kw_only=True)
    confidence: float = field(default=CONFIDENCE, kw_only=True)
    if_unsure: str = field(default="estimate", kw_only=True)
    parameters: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        metric, gap = get_metric(self.metric), self.gap
        if isinstance(gap, bool) or not isinstance(gap, Real) or not 0 <= gap < math.inf:
            raise BarError(f"gap={gap!r}: how much worse {metric.name} may be on test data is a number of 0 or more")
        widest = metric.highest - metric.lowest
        if not gap < widest:
            meant = f"; was {gap / 100:g} meant?" if widest == 1 and gap <= 100 else ""
            raise BarError(f"a gap of {gap:g} lets {metric.name} fall all the way{meant}")
        object.__setattr__(self, "gap", float(gap))
        object.__setattr__(self, "parameters", dict(self.parameters))
        check_confidence(self.confidence)
        check_if_unsure(self.if_unsure)

    def check(
        self, train_evaluation: Evaluation | ConfusionMatrix, test_evaluation: Evaluation | ConfusionMatrix
    ) -> Verdict:
        """Judge the evaluations of one model on its training data and on others.

        Raises:
            EvidenceError: the two are of the same samples, or of other tasks, classes, thresholds or losses.
            MetricError: a label, an average or a parameter that the metric does not take, or none where it needs one.
        """
        metric = get_metric(self.metric)
        train, test = as_evaluation(train_evaluation), as_evaluation(test_evaluation)
        _check_comparable(metric, train, test)
        _check_other_samples(train, test, train_evaluation is test_evaluation)
        label = judged_class(metric, test, self.label, self.average)
        on_train, on_test = (
            one.measure(metric, label=label, average=self.average, **self.parameters) for one in (train, test)
        )
        what = f"gap of {self._what(metric, test, label)}"
        for name, found in (("training", on_train), ("test", on_test)):
            if found.value is None:
                text = f"{Outcome.UNDEFINED}: {what} cannot be judged: on the {name} data {found.cause}"
                note = "where there is nothing to judge a gate never passes"
                return self._verdict(metric, label, Outcome.UNDEFINED, False, text, (note,), test.n)
        assert on_train.value is not None
        assert on_test.value is not None
        worse = 1.0 if metric.higher_is_better else -1.0
        estimate = worse * (on_train.value - on_test.value) + 0.0
        bounds = [self._bounds(metric, one, found, label) for one, found in ((train, on_train), (test, on_test))]
        interval, notes = self._join(metric, on_train.value, on_test.value, *bounds)
        outcome = judge_interval(interval, self.gap, "at_most")
        passed, leans, meets = outcome is Outcome.PASS, "", estimate <= self.gap
        if outcome is Outcome.INCONCLUSIVE:
            passed = colour_of_doubt(self.if_unsure, meets)
            leans = f" (leans {'pass' if meets else 'fail'})"
            if self.if_unsure == "fail":
                notes.append("red since if_unsure='fail' takes nothing but proof")
        if shared := _shared(train, test, "groups"):
            notes.append(
                f"{len(shared):,} {'group is' if len(shared) == 1 else 'groups are'} in both sets, and samples of one "
                "group resemble each other: on new groups the gap may be larger"
            )
        text = (
            f"{outcome}{leans}: {what} = {number(estimate, self.gap)} (train {number(on_train.value, on_test.value)}, "
            f"test {number(on_test.value, on_train.value)}), required <= {number(self.gap, estimate)}"
        )
        return self._verdict(
            metric,
            label,
            outcome,
            passed,
            text,
            tuple(notes),
            on_test.support,
            estimate=estimate,
            interval=interval,
            method=f"{METHOD} on {' and '.join(dict.fromkeys(one.method for one in bounds))}",
            details=(("train", on_train.value), ("test", on_test.value)),
        )

    def _bounds(self, metric: Metric, evaluation: Evaluation, found: Measurement, label: Label | None) -> Bounds:
        return evaluation.bounds(
            metric, label=label, average=self.average, confidence=self.confidence, found=found, **self.parameters
        )

    def _join(
        self, metric: Metric, train: float, test: float, of_train: Bounds, of_test: Bounds
    ) -> tuple[Interval | None, list[str]]:
        """The bounds of the gap, and what to say of them."""
        for name, one in (("training", of_train), ("test", of_test)):
            if one.interval is None:
                why = f"no bounds: of the {name} data alone {one.why}; judged by the estimate, which may be luck"
                return None, [why]
        assert of_train.interval is not None
        assert of_test.interval is not None
        sides = (train, of_train.interval, test, of_test.interval)
        interval = difference_interval(*(sides if metric.higher_is_better else sides[2:] + sides[:2]))
        method = f"{METHOD} on {' and '.join(dict.fromkeys((of_train.method, of_test.method)))}"
        remarks = [
            f"{remark} ({name} data)"
            for name, one in (("training", of_train), ("test", of_test))
            for remark in one.remarks
        ]
        return interval, [allowed(*interval, self.confidence, method), *remarks]

    def _what(self, metric: Metric, evaluation: Evaluation, label: Label | None) -> str:
        if metric.needs == "loss" and evaluation.mean_loss is not None:
            return f"loss ({evaluation.mean_loss.name})"
        return subject(metric, label=label, average=self.average, parameters=metric.shown(self.parameters))

    def _verdict(
        self,
        metric: Metric,
        label: Label | None,
        outcome: Outcome,
        passed: bool,
        explanation: str,
        notes: tuple[str, ...],
        support: int,
        *,
        estimate: float | None = None,
        interval: Interval | None = None,
        method: str | None = None,
        details: tuple[tuple[str, Any], ...] = (),
    ) -> Verdict:
        shown = metric.shown(self.parameters)
        text = measured(metric.name, label=label, average=self.average, parameters=shown)
        return Verdict(
            gate=f"generalization_gap({text}) <= {plain(self.gap)}",
            outcome=outcome,
            passed=passed,
            metric=metric.name,
            label=label,
            average=self.average,
            parameters=tuple(shown.items()),
            estimate=estimate,
            lower=None if interval is None else finite(interval.lower),
            upper=None if interval is None else finite(interval.upper),
            support=support,
            bar=self.gap,
            direction="at_most",
            confidence=self.confidence,
            if_unsure=self.if_unsure,
            method=None if interval is None else method,
            explanation=explanation,
            details=details,
            notes=notes,
        )


def _check_comparable(metric: Metric, train: Evaluation, test: Evaluation) -> None:
    """An `EvidenceError` where the two values would not be of one kind."""
    names = ["task", "labels"] + (["threshold"] if metric.needs == "counts" else [])
    for name in names:
        mine, theirs = getattr(train, name), getattr(test, name)
        if mine != theirs:
            raise EvidenceError(f"evaluations of different {name} cannot be compared: {mine!r} and {theirs!r}")
    if metric.needs == "loss" and train.mean_loss is not None and test.mean_loss is not None:
        mine, theirs = train.mean_loss.name, test.mean_loss.name
        if mine != theirs:
            raise EvidenceError(
                f"the losses are of different kinds: {mine} on the training data, {theirs} on the test data; evaluate "
                "both with one loss="
            )


def _check_other_samples(train: Evaluation, test: Evaluation, same: bool) -> None:
    """An `EvidenceError` where samples are in both sets: a slip of the test, or a leak."""
    same = same or (train.fingerprint is not None and train.fingerprint == test.fingerprint)
    if same or (train == test and (train.mean_loss is not None or train.scores is not None)):
        raise EvidenceError(
            "the training and the test evaluation are of the same samples: give one of the training data and one of "
            "data that the model has not seen"
        )
    shared = _shared(train, test, "ids")
    if not shared:
        return
    first, second = (
        int(np.flatnonzero(one.samples.ids == shared[0])[0]) for one in (train, test) if one.samples is not None
    )
    count = "1 sample is" if len(shared) == 1 else f"{len(shared):,} samples are"
    raise EvidenceError(
        f"{count} in the training and in the test data, by their ids, such as row {first} of the one and row {second} "
        "of the other (from 0): that is a leak, or different samples need different ids"
    )


def _shared(train: Evaluation, test: Evaluation, column: str) -> list[int]:
    """What stands in a column of both evaluations' samples."""
    mine, theirs = (None if one.samples is None else getattr(one.samples, column) for one in (train, test))
    return [] if mine is None or theirs is None else np.intersect1d(mine, theirs).tolist()
