"""assert_no_label_leakage and assert_same_distribution from end to end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn import datasets

from pytest_modelgate import BarError, EvidenceError, GateFailure, ModelgateWarning, Outcome
from pytest_modelgate.assertions.data import (
    assert_chance_on_shuffled_labels,
    assert_no_label_leakage,
    assert_same_distribution,
)
from pytest_modelgate.evidence.audit import DataAudit
from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.recording import install, remove

INPUTS, TARGET = datasets.load_breast_cancer(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(len(TARGET))
TRAIN, TEST = ((INPUTS[rows], TARGET[rows]) for rows in (ORDER[:400], ORDER[400:]))


def chance(inputs: Any, target: Any) -> Evaluation:
    return Evaluation.from_predictions(target=target, preds=inputs[:, 0], outputs="logits")


def knowing(inputs: Any, target: Any) -> Evaluation:
    return Evaluation.from_predictions(target=target, preds=target, outputs="labels", labels=(0, 1))


def test_sound_data_pass() -> None:
    assert assert_no_label_leakage(INPUTS, TARGET).outcome is Outcome.PASS
    assert assert_no_label_leakage(torch.tensor(INPUTS), torch.tensor(TARGET)).passed
    assert assert_same_distribution(TRAIN, TEST).passed
    assert assert_chance_on_shuffled_labels(chance, INPUTS, TARGET).outcome is Outcome.PASS


def test_a_leaking_feature_is_named() -> None:
    with pytest.raises(GateFailure, match=r"'diagnosis code'.*required < 0.990") as failure:
        assert_no_label_leakage({"radius": INPUTS[:, 0], "diagnosis code": 7 - 3 * TARGET}, TARGET)
    assert failure.value.verdict.details == (("features", ["diagnosis code"]),)
    names = [f"x{place}" for place in range(30)] + ["31st"]
    with pytest.raises(GateFailure, match="'31st'"):
        assert_no_label_leakage(np.column_stack((INPUTS, TARGET)), TARGET, names=names, confidence=0.9)


def test_a_known_feature_is_let_through_by_its_figure() -> None:
    with pytest.raises(GateFailure, match="'feature 22', 'feature 20'"):
        assert_no_label_leakage(INPUTS, TARGET, at=0.96)
    assert assert_no_label_leakage(INPUTS, TARGET, at=0.98).passed


def test_drift_is_named() -> None:
    moved = TEST[0].copy()
    moved[:, 3] *= 1.5
    with pytest.raises(GateFailure, match=r"FAIL: 'feature 3' differs .* required <= 0.050"):
        assert_same_distribution(TRAIN, (moved, TEST[1]))
    assert assert_same_distribution(TRAIN, (moved, TEST[1]), at_most=0.5).passed
    keep = TEST[1] == 1
    with pytest.raises(GateFailure, match="'class shares'"):
        assert_same_distribution(TRAIN, (TEST[0][keep], TEST[1][keep]))


def test_a_pipeline_that_knows_is_found() -> None:
    with pytest.raises(GateFailure, match="FAIL: trained on shuffled labels the pipeline is better than chance"):
        assert_chance_on_shuffled_labels(knowing, INPUTS, TARGET, shuffles=3)


def test_wrong_use() -> None:
    for wrong, error in (
        (lambda: assert_no_label_leakage(INPUTS, TARGET[:9]), EvidenceError),
        (lambda: assert_no_label_leakage(INPUTS, TARGET, at=2), BarError),
        (lambda: assert_no_label_leakage(INPUTS, np.arange(569)), EvidenceError),
        (lambda: assert_same_distribution(TRAIN, (TEST[0][:, :2], TEST[1])), EvidenceError),
        (lambda: assert_same_distribution(TRAIN, TEST, at_most=5), BarError),
        (lambda: assert_chance_on_shuffled_labels(lambda x, y: None, INPUTS, TARGET), EvidenceError),
        (lambda: assert_chance_on_shuffled_labels(chance, INPUTS, TARGET, confidence=95), BarError),
    ):
        with pytest.raises(error):
            wrong()


class Listening:
    """Hears verdicts with what they rest on; its settings are what a gate that does not say gets."""

    confidence = 0.9
    if_unsure = "warn"

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def verdict(self, verdict: Any, *evidence: Any, again: Any = None) -> None:
        self.heard.append((verdict, evidence))

    def evaluation(self, evaluation: Any) -> None: ...

    def history(self, history: Any) -> None: ...


def test_verdicts_and_audits_are_recorded_with_the_sessions_settings() -> None:
    listener: Any = Listening()
    install(listener)
    try:
        assert_no_label_leakage(INPUTS, TARGET)
        with pytest.warns(ModelgateWarning, match="INCONCLUSIVE"):
            assert_same_distribution(TRAIN, TEST)
        assert assert_same_distribution(TRAIN, TEST, confidence=0.8, if_unsure="estimate").confidence == 0.8
        assert assert_no_label_leakage(INPUTS, TARGET, confidence=0.8, if_unsure="fail").confidence == 0.8
        listener.heard[2:] = []
        with pytest.raises(GateFailure):
            assert_chance_on_shuffled_labels(knowing, INPUTS, TARGET, confidence=0.95, if_unsure="fail")
    finally:
        remove(listener)
    (first, audit), (second, _), (third, _) = listener.heard
    assert isinstance(audit[0], DataAudit)
    assert [(one.confidence, one.if_unsure) for one in (first, second, third)] == [
        (0.9, "warn"),
        (0.9, "warn"),
        (0.95, "fail"),
    ]
