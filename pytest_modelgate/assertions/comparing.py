"""Assertions on several evaluations: against a baseline, over seeds, between training and test data."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_modelgate.assertions.metrics import known
from pytest_modelgate.assertions.settle import Judged, settled
from pytest_modelgate.assertions.slicing import check_asked, family, settle_on
from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.gates.gap import GapAtMost
from pytest_modelgate.gates.generalization import GeneralizationGap
from pytest_modelgate.gates.no_regression import NoRegression, fell
from pytest_modelgate.gates.seeds import OverSeeds, listed
from pytest_modelgate.gates.slices import MIN_SUPPORT, BySlice, OnSlice, baseline_of, sliced
from pytest_modelgate.metrics.registry import get_metric
from pytest_modelgate.recording import Pinned, listener

if TYPE_CHECKING:
    from pytest_modelgate.assertions.metrics import Evidence
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.evidence.history import History
    from pytest_modelgate.gates.curves import HistoryGate
    from pytest_modelgate.gates.gate import Gate
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.metric import Metric
    from pytest_modelgate.runtime.modules import TrainedModel


def assert_no_regression(
    evidence: Evidence,
    baseline: Evaluation | Pinned,
    metric: str | Metric,
    margin: float = 0.0,
    *,
    label: Label | None = None,
    average: str | None = None,
    confidence: float | None = None,
    if_unsure: str | None = None,
    slice: str | None = None,
    by_slice: str | None = None,
    min_support: int | None = None,
    **parameters: Any,
) -> Verdict:
    """Fail where a metric is worse than a baseline's, on the same samples. See `NoRegression`.

    Args:
        evidence: an `Evaluation` with `ids`.
        baseline: the `Evaluation` of another model on the same samples, with `ids`; or the fixture
            `modelgate_baseline`, which holds what `pytest --modelgate-update-baseline` recorded for this very test.
        metric: a name from the registry.
        margin: how much worse the metric may be, in its own units.
        label, average, confidence, if_unsure, parameters: as in `assert_metric`.
        slice, by_slice, min_support: as in `assert_metric`; a baseline without slices is cut by the samples' ids.

    Raises:
        GateFailure: a regression is proved, or these are not the same samples, or nothing is proved and
            `if_unsure` is "fail".
        ModelgateError: wrong use, such as losses of different kinds.
    """

    def judged() -> Judged:
        check_asked(slice, by_slice, min_support)
        regression = NoRegression(
            metric,
            margin,
            label=label,
            average=average,
            confidence=listener().confidence if confidence is None else confidence,
            if_unsure=listener().if_unsure if if_unsure is None else if_unsure,
            parameters=known(metric, parameters),
        )
        gate: NoRegression | OnSlice | BySlice = regression
        evaluation, name = as_evaluation(evidence), None
        if by_slice is not None:
            gate = family(regression, by_slice, min_support)
        elif slice is not None:
            name, evaluation = sliced(evaluation, slice)
            gate = OnSlice(regression, name)
        if isinstance(baseline, Pinned):
            about = regression.about(evaluation)
            about += "" if by_slice is None else f" by {by_slice}"
            about += "" if name is None else f" on {name}"
            pinned = baseline.before(about, get_metric(metric), evaluation, name)
            if pinned is None:
                return Judged(gate.recorded(evaluation), [evaluation])
            before = pinned
        else:
            before = baseline if name is None else baseline_of(evaluation, name, baseline)
        return Judged(gate.check(evaluation, before), [evaluation], lambda other: gate.check(other, before))

    return settled(judged, fell)


def assert_over_seeds(
    evaluations: Iterable[Evidence | History | TrainedModel],
    gate: Gate | HistoryGate,
    *,
    claim: str = "mean",
    share: float | None = None,
) -> Verdict:
    """Fail unless trainings with different seeds meet a gate's bar, in the way that is claimed. See `OverSeeds`.

    Args:
        evaluations: of at least 3 models on the same samples, one for each seed; for a gate on histories,
            such as `NoOverfitting()`, the histories or the trained models.
        gate: such as `Gate("recall", at_least=0.9)`; its confidence and `if_unsure` count, not the options'.
        claim: "mean" (with its interval), "worst" (each training meets the bar) or "share" (so many of them do).
        share: for "share": how large a part of the trainings must meet the bar, such as 0.8.

    Raises:
        GateFailure: the gate is not met.
        ModelgateError: wrong use, such as two evaluations, or evaluations of other samples.
    """

    def judged() -> Judged:
        judge, every = OverSeeds(gate, claim=claim, share=share), listed(evaluations)
        return Judged(judge.check(every), every, lambda *others: judge.check(others))

    return settled(judged)


def assert_generalization_gap_at_most(
    train_evaluation: Evaluation,
    test_evaluation: Evaluation,
    metric: str | Metric,
    gap: float,
    *,
    label: Label | None = None,
    average: str | None = None,
    confidence: float | None = None,
    if_unsure: str | None = None,
    **parameters: Any,
) -> Verdict:
    """Fail where a metric is worse on test data than on training data by more than `gap`. See `GeneralizationGap`.

    Args:
        train_evaluation, test_evaluation: `Evaluation`s of one model on its training data and on others.
        metric: a name from the registry.
        gap: how much worse the metric may be on the test data, in its own units.
        label, average, confidence, if_unsure, parameters: as in `assert_metric`.

    Raises:
        GateFailure: the gap is too large.
        ModelgateError: wrong use, such as the same samples on both sides, or losses of different kinds.
    """

    def judged() -> Judged:
        gate = GeneralizationGap(
            metric,
            gap,
            label=label,
            average=average,
            confidence=listener().confidence if confidence is None else confidence,
            if_unsure=listener().if_unsure if if_unsure is None else if_unsure,
            parameters=known(metric, parameters),
        )
        train, test = as_evaluation(train_evaluation), as_evaluation(test_evaluation)
        return Judged(gate.check(train, test), [test, train], lambda test, train: gate.check(train, test))

    return settled(judged)


def assert_gap_at_most(
    evidence: Evaluation,
    metric: str | Metric,
    *,
    by: str,
    at_most: float,
    label: Label | None = None,
    average: str | None = None,
    confidence: float | None = None,
    if_unsure: str | None = None,
    min_support: int = MIN_SUPPORT,
    **parameters: Any,
) -> Verdict:
    """Fail where a metric differs between two slices of a column by more than `at_most`. See `GapAtMost`.

    Args:
        evidence: an `Evaluation` with `slices`.
        metric: a name from the registry.
        by: the name of the slicing, such as "region".
        at_most: how much the metric may differ between the best and the worst slice, in its own units.
        label, average, confidence, if_unsure, parameters: as in `assert_metric`.
        min_support: on how many samples the metric must rest in a slice that is compared.

    Raises:
        GateFailure: the gap is too large, or fewer than two slices can be compared.
        ModelgateError: wrong use, such as an unknown slicing.
    """
    return settle_on(
        lambda: GapAtMost(
            metric,
            by=by,
            at_most=at_most,
            min_support=min_support,
            label=label,
            average=average,
            confidence=listener().confidence if confidence is None else confidence,
            if_unsure=listener().if_unsure if if_unsure is None else if_unsure,
            parameters=known(metric, parameters),
        ),
        evidence,
    )
