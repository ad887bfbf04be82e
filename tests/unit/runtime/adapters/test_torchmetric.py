"""Metrics of torchmetrics: the values that the library itself gives on the same samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics
from torchmetrics import classification as tm
from torchmetrics import regression

from pytest_modelgate import BarError, ConfusionMatrix, Evaluation, EvidenceError, Gate, MetricError, assert_metric
from pytest_modelgate.runtime.adapters.torchmetric import from_torchmetrics

draw = np.random.default_rng(4)
N = 200
Y = draw.integers(0, 2, size=N)
LOGIT = draw.normal(size=N) * 2 + Y
P = 1 / (1 + np.exp(-LOGIT))
MANY = draw.integers(0, 3, size=N)
LOGITS = draw.normal(size=(N, 3)) + 2 * np.eye(3)[MANY]
SOFTMAX = torch.tensor(LOGITS).softmax(1)
TRUE, GUESS = draw.normal(size=N), draw.normal(size=N)

BINARY = Evaluation.from_predictions(target=Y, preds=P, outputs="probabilities", threshold=0.3)
BY_LOGITS = Evaluation.from_predictions(target=Y, preds=LOGIT, outputs="logits", threshold=0.3)
CLASSES = Evaluation.from_predictions(target=MANY, preds=LOGITS, outputs="logits", keep="scores")
VALUES = Evaluation.from_predictions(target=TRUE, preds=GUESS, outputs="values")


@pytest.mark.parametrize(
    "make",
    [
        tm.BinaryCohenKappa,
        tm.BinaryJaccardIndex,
        tm.BinaryMatthewsCorrCoef,
        tm.BinaryHammingDistance,
        tm.BinaryNegativePredictiveValue,
        lambda: torchmetrics.FBetaScore(task="binary", beta=2.0),
        tm.BinaryAUROC,
        tm.BinaryCalibrationError,
        tm.BinaryHingeLoss,
        lambda: tm.BinaryAveragePrecision(thresholds=50),
    ],
)
@pytest.mark.parametrize("evidence", [BINARY, BY_LOGITS], ids=["probabilities", "logits"])
def test_two_classes_at_the_evaluations_own_threshold(make: Callable[[], Any], evidence: Evaluation) -> None:
    metric = make()
    by_counts = hasattr(metric, "threshold")
    expected = make()(torch.tensor(P >= 0.3).long() if by_counts else torch.tensor(P), torch.tensor(Y))
    assert evidence.metric(from_torchmetrics(metric, bounds=False)) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tm.MulticlassCohenKappa(3),
        lambda: tm.MulticlassAccuracy(3, average="macro"),
        lambda: tm.MulticlassF1Score(3, average="micro"),
        lambda: tm.MulticlassJaccardIndex(3),
        lambda: tm.MulticlassAccuracy(3, top_k=2, average="micro"),
        lambda: tm.MulticlassAUROC(3),
        lambda: tm.MulticlassCalibrationError(3),
    ],
)
def test_many_classes(make: Callable[[], Any]) -> None:
    expected = make()(SOFTMAX, torch.tensor(MANY))
    assert CLASSES.metric(from_torchmetrics(make(), bounds=False)) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("make", [regression.MeanAbsoluteError, regression.R2Score, regression.PearsonCorrCoef])
def test_values(make: Callable[[], Any]) -> None:
    expected = make()(torch.tensor(GUESS), torch.tensor(TRUE))
    assert VALUES.metric(from_torchmetrics(make(), bounds=False)) == pytest.approx(float(expected), abs=1e-6)


def test_gates_have_bounds_of_the_bootstrap_or_say_that_there_are_none() -> None:
    from sklearn.metrics import cohen_kappa_score

    kappa = from_torchmetrics(tm.BinaryCohenKappa(), lowest=-1, highest=1)
    value = cohen_kappa_score(Y, P >= 0.3)
    verdict = assert_metric(BINARY, kappa, at_least=value - 0.3)
    assert verdict.gate.startswith("BinaryCohenKappa >=")
    assert verdict.estimate == pytest.approx(value)
    assert verdict.outcome.name == "PASS"
    assert verdict.method is not None
    assert "BCa" in verdict.method
    assert verdict.lower is not None
    assert verdict.upper is not None
    draws = [cohen_kappa_score(Y[rows], P[rows] >= 0.3) for rows in draw.integers(N, size=(500, N))]
    assert (verdict.lower, verdict.upper) == pytest.approx(np.quantile(draws, [0.05, 0.95]), abs=0.04)
    with pytest.raises(BarError, match="outside the range"):
        Gate(kappa, at_least=2)
    bare = Gate(from_torchmetrics(tm.BinaryCohenKappa(), bounds=False), at_least=value - 0.05).check(BINARY)
    assert bare.outcome.name == "INCONCLUSIVE"
    assert bare.passed
    assert any("not asked for" in note for note in bare.notes)


def test_groups_widen_the_bounds_and_weights_are_refused() -> None:
    """Each sample ten times, as one group: as if it stood once."""
    rows = draw.permutation(np.repeat(np.arange(N), 10))
    options: dict[str, Any] = {"target": Y[rows], "preds": P[rows], "outputs": "probabilities"}
    kappa = from_torchmetrics(tm.BinaryCohenKappa())
    grouped = Evaluation.from_predictions(**options, groups=rows).interval(kappa)
    single = Evaluation.from_predictions(target=Y, preds=P, outputs="probabilities").interval(kappa)
    assert tuple(grouped) == pytest.approx(tuple(single), abs=0.03)
    weighed = Evaluation.from_predictions(**options, weights=np.ones(len(rows)) * 2)
    with pytest.raises(MetricError, match="does not know of weights"):
        weighed.metric(kappa)


def test_a_confusion_matrix_is_enough_where_labels_are() -> None:
    matrix = ConfusionMatrix([[90, 10], [2, 98]])
    assert Gate(from_torchmetrics(tm.BinaryCohenKappa()), at_least=0.6).check(matrix).outcome.name == "PASS"
    with pytest.raises(EvidenceError, match="needs scores"):
        Gate(from_torchmetrics(tm.BinaryAUROC()), at_least=0.6).check(matrix)


def test_the_metric_that_was_given_keeps_its_state() -> None:
    metric = tm.BinaryAccuracy()
    metric.update(torch.tensor([1, 1]), torch.tensor([1, 0]))
    mine = from_torchmetrics(metric)
    assert BINARY.metric(mine) == pytest.approx(np.mean((P >= 0.3) == Y))
    assert BINARY.metric(mine) == BINARY.metric(mine)
    assert float(metric.compute()) == 0.5


def test_what_the_library_calls_meaningless_is_undefined() -> None:
    one = Evaluation.from_predictions(target=np.zeros(30, dtype=int), preds=P[:30], outputs="probabilities")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verdict = Gate(from_torchmetrics(tm.BinaryAUROC()), at_most=0.9).check(one)
    assert verdict.outcome.name == "UNDEFINED"
    assert not verdict.passed


def test_two_of_many_classes() -> None:
    two = Evaluation.from_predictions(target=Y, preds=P, outputs="probabilities")
    expected = tm.MulticlassAUROC(2)(torch.tensor(np.stack([1 - P, P], 1)), torch.tensor(Y))
    assert two.metric(from_torchmetrics(tm.MulticlassAUROC(2), bounds=False)) == pytest.approx(float(expected))
    right = np.mean((P >= 0.5) == Y)
    assert two.metric(from_torchmetrics(tm.MulticlassAccuracy(2, average="micro"), bounds=False)) == pytest.approx(
        right
    )


def test_what_it_is_fed_may_be_told() -> None:
    at_half = from_torchmetrics(tm.BinaryAccuracy(), of="scores", name="at_half", bounds=False)
    assert BINARY.metric(at_half) == pytest.approx(np.mean((P >= 0.5) == Y))

    class Mine(torchmetrics.Metric):
        higher_is_better = False

        def __init__(self) -> None:
            super().__init__()
            self.add_state("wrong", torch.tensor(0.0), dist_reduce_fx="sum")

        def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
            self.wrong = (preds != target).float().sum()

        def compute(self) -> torch.Tensor:
            return self.wrong

    mine = from_torchmetrics(Mine(), of="labels", bounds=False)
    assert BINARY.metric(mine) == np.sum((P >= 0.3) != Y)
    assert not mine.higher_is_better
    with pytest.raises(MetricError, match="Mine is fed is not known: say of="):
        from_torchmetrics(Mine())


@pytest.mark.parametrize(
    ("make", "evidence", "message"),
    [
        (lambda: from_torchmetrics("BinaryAUROC"), BINARY, "a torchmetrics metric is wanted, not str"),
        (lambda: from_torchmetrics(tm.BinaryAUROC), BINARY, r"give an instance, BinaryAUROC\(\)"),
        (lambda: from_torchmetrics(tm.BinaryAUROC(), of="label"), BINARY, "none of.*did you mean 'labels'"),
        (lambda: from_torchmetrics(tm.BinaryF1Score(threshold=0.9)), BINARY, "has threshold=0.9, and its classes"),
        (lambda: from_torchmetrics(tm.MultilabelAUROC(3)), BINARY, "several labels a sample"),
        (lambda: from_torchmetrics(tm.BinaryAUROC(), name="recall"), BINARY, "a metric 'recall' already"),
        (lambda: from_torchmetrics(tm.MulticlassAUROC(4)), CLASSES, "of 4 classes, and the evidence has 3"),
        (lambda: from_torchmetrics(tm.MulticlassF1Score(3, average=None)), CLASSES, "gives 3 numbers, not one"),
        (lambda: from_torchmetrics(tm.BinaryROC()), BINARY, "gives a tuple, not one"),
        (lambda: from_torchmetrics(tm.BinaryAUROC()), CLASSES, "of 2 classes, and the evidence has 3"),
        (lambda: from_torchmetrics(tm.BinaryCohenKappa()), CLASSES, "of 2 classes, and the evidence has 3"),
        (lambda: from_torchmetrics(regression.MeanAbsoluteError(), of="scores"), CLASSES, "computed: .*shape"),
    ],
)  # fmt: skip
def test_wrong_use(make: Callable[[], Any], evidence: Evaluation, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        evidence.metric(make())
