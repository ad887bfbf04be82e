"""Assertions on several evaluations: against a baseline, over seeds, between training and test data."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_modelgate.assertions.metrics import known
from pytest_modelgate.assertions.settle import Judged, settled
from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.gates.generalization import GeneralizationGap
from pytest_modelgate.gates.no_regression import NoRegression, fell
from pytest_modelgate.gates.seeds import OverSeeds, listed
from pytest_modelgate.recording import listener

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
    baseline: Evaluation,
    metric: str | Metric,
    margin: float = 0.0,
    *,
    label: Label | None = None,
    average: str | None = None,
    confidence: float | None = None,
    if_unsure: str | None = None,
    **parameters: Any,
) -> Verdict:
    """Fail where a metric is worse than a baseline's, on the same samples. See `NoRegression`.

    Args:
        evidence: an `Evaluation` with `ids`.
        baseline: the `Evaluation` of another model on the same samples, with `ids`.
        metric: a name from the registry.
        margin: how much worse the metric may be, in its own units.
        label, average, confidence, if_unsure, parameters: as in `assert_metric`.

    Raises:
        GateFailure: a regression is proved, or these are not the same samples, or nothing is proved and
            `if_unsure` is "fail".
        ModelgateError: wrong use, such as losses of different kinds.
    """

    def judged() -> Judged:
        gate = NoRegression(
            metric,
            margin,
            label=label,
            average=average,
            confidence=listener().confidence if confidence is None else confidence,
            if_unsure=listener().if_unsure if if_unsure is None else if_unsure,
            parameters=known(metric, parameters),
        )
        evaluation = as_evaluation(evidence)
        return Judged(gate.check(evaluation, baseline), [evaluation], lambda other: gate.check(other, baseline))

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
