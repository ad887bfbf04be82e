"""Probabilities out of kept scores, and the losses of single samples."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from pytest_modelgate import Evaluation, Gate
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.forecasts import Forecasts
from pytest_modelgate.metrics.ranking import Scores

N = 400
RNG = np.random.default_rng(3)
TARGET = RNG.integers(0, 2, N)
P = np.clip(0.5 + 0.3 * (TARGET - 0.5) + RNG.normal(0, 0.2, N), 0.001, 0.999)
CLASSES = RNG.integers(0, 3, N)
TABLE = np.exp(RNG.normal(size=(N, 3)))
TABLE /= TABLE.sum(axis=1, keepdims=True)
WEIGHTS = RNG.exponential(size=N)


@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS * 1e-200, np.full(N, 0.1)])
def test_two_classes_as_scikit_learn(weights):
    evidence = Evaluation.from_predictions(target=TARGET, preds=P, outputs="probabilities", weights=weights)
    logits = Evaluation.from_predictions(target=TARGET, preds=np.log(P / (1 - P)), outputs="logits", weights=weights)
    brier, loss = sk.brier_score_loss(TARGET, P, sample_weight=weights), sk.log_loss(TARGET, P, sample_weight=weights)
    for each in (evidence, logits):
        assert each.metric("brier") == pytest.approx(brier)
        assert each.metric("log_loss") == pytest.approx(loss)
        assert each.metric("brier", label=0) == pytest.approx(brier)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_three_classes_as_scikit_learn(weights):
    for preds, outputs in ((TABLE, "probabilities"), (np.log(TABLE) + 5, "logits")):
        evidence = Evaluation.from_predictions(
            target=CLASSES, preds=preds, outputs=outputs, keep="scores", weights=weights
        )
        assert evidence.metric("log_loss") == pytest.approx(sk.log_loss(CLASSES, TABLE, sample_weight=weights))
        squares = ((TABLE - np.eye(3)[CLASSES]) ** 2).sum(axis=1)
        assert evidence.metric("brier") == pytest.approx(np.average(squares, weights=weights))
        one = np.average((TABLE[:, 1] - (CLASSES == 1)) ** 2, weights=weights)
        assert evidence.metric("brier", label=1) == pytest.approx(one)


@pytest.mark.parametrize("name", ["brier", "log_loss", "calibration_error"])
def test_three_classes_need_their_scores(name):
    evidence = Evaluation.from_predictions(target=CLASSES, preds=TABLE, outputs="probabilities")
    with pytest.raises(EvidenceError, match="keep='scores'"):
        evidence.metric(name)


@pytest.mark.parametrize("name", ["brier", "log_loss", "calibration_error"])
def test_labels_have_none(name):
    evidence = Evaluation.from_predictions(target=TARGET, preds=TARGET, outputs="labels")
    with pytest.raises(EvidenceError, match="only decided labels"):
        evidence.metric(name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits_lose_nothing(dtype):
    logits = np.array([-1e4, 1e4, 1e4, -40.0], dtype=dtype)
    found = Forecasts.from_scores(Scores(logits, [0, 1, 0, 1]), "logits")
    assert found.losses.tolist() == [0, 0, 1e4, 40]
    assert found.probabilities.tolist()[:3] == [0, 1, 1]
    evidence = Evaluation.from_predictions(target=[0, 1, 0, 1], preds=logits, outputs="logits")
    assert evidence.metric("log_loss") == 10_040 / 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits_of_three_classes(dtype):
    logits = np.array([[1e4, 0, -1e4], [0, 0, 0], [-1e4, 1e4, 0]], dtype=dtype)
    evidence = Evaluation.from_predictions(target=[2, 1, 1], preds=logits, outputs="logits", keep="scores")
    assert evidence.metric("log_loss") == pytest.approx((2e4 + np.log(3)) / 3)
    assert 0 <= evidence.metric("brier") <= 2


def test_certain_and_wrong_is_undefined_and_never_passes():
    preds = np.append(np.full(99, 1.0), 0.0)
    evidence = Evaluation.from_predictions(target=np.ones(100, int), preds=preds, outputs="probabilities")
    verdict = Gate("log_loss", at_most=1e9, if_unsure="warn").check(evidence)
    assert verdict.outcome.value == "UNDEFINED"
    assert not verdict.passed
    assert "1 of 100 samples have probability 0" in verdict.explanation
    assert evidence.bounds("log_loss").interval is None


def test_certain_and_right_loses_nothing():
    evidence = Evaluation.from_predictions(target=[0, 1] * 40, preds=[0.0, 1.0] * 40, outputs="probabilities")
    assert evidence.metric("log_loss") == 0
    assert evidence.metric("brier") == 0
    assert evidence.bounds("log_loss").interval is None  # without a spread, and no greatest loss
    lower, upper = evidence.interval("brier")
    assert lower == 0 < upper < 0.05


def test_the_sure_class_of_many():
    found = Forecasts.from_scores(Scores([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]], [1, 2]), "probabilities")
    sure, right = found.top()
    assert sure.tolist() == [0.5, 0.6]
    assert right.tolist() == [True, False]
    assert found.num_classes == 3
    assert found.n == 2
    assert found.of_class(2)[0].tolist() == [0.3, 0.1]
    two = Forecasts.from_scores(Scores([0.25, 1.0], [0, 1]), "probabilities")
    assert two.of_class(0)[0].tolist() == [0.75, 0]
    assert two.top()[0].tolist() == [0.25, 1]
    assert two.num_classes == 2


@pytest.mark.parametrize("outputs", ["labels", "values", "counts"])
def test_other_outputs_are_no_forecasts(outputs):
    with pytest.raises(EvidenceError, match="are not probabilities"):
        Forecasts.from_scores(Scores([0.5], [0]), outputs)
