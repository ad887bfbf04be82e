"""`assert_no_leakage`: red with the verdict, green with it, wrong use as an error."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelgate import Evaluation, EvidenceError, GateFailure, Outcome
from pytest_modelgate.assertions.data import assert_no_leakage
from pytest_modelgate.checks.data.neighbours import nearness

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.normal(size=(90, 4)), RNG.normal(size=(30, 4))


def test_green() -> None:
    verdict = assert_no_leakage(TRAIN, TEST, near=True)
    assert (verdict.outcome, verdict.confidence) == (Outcome.PASS, 0.95)
    assert assert_no_leakage(TRAIN, TEST, near=True, confidence=0.999).confidence == 0.999


def test_red() -> None:
    test = np.vstack([TEST, TRAIN[4:6]])
    target = np.arange(32) % 2
    preds = np.where(np.arange(32) < 3, 1 - target, target)
    evaluation = Evaluation.from_predictions(target=target, preds=preds, outputs="labels", ids=range(32))
    with pytest.raises(GateFailure) as caught:
        assert_no_leakage((TRAIN, np.zeros(90)), (test, target), evaluation=evaluation)
    assert str(caught.value) == (
        "FAIL: 2 of 32 test rows leak: 2 of 32 test rows equal a training row\n"
        "  duplicates: row 30 = training row 4, row 31 = training row 5\n"
        "  1 of the 2 equal rows has another label in train: row 31 = training row 5\n"
        "  accuracy 0.906 -> 0.900 without the 2 leaking rows\n"
        "  recall 0.938 -> 0.933 without the 2 leaking rows\n"
        "  precision 0.882 -> 0.875 without the 2 leaking rows\n"
        "  equal rows belong on one side: drop repeats before the split"
    )


def test_the_level_of_near_duplicates() -> None:
    """Judged at 0.99 at least, and at more where more is asked for."""
    rng = np.random.default_rng(3)
    train, test = rng.normal(size=(180, 10)), rng.normal(size=(60, 10))
    test[5] = train[9] + 0.03 * rng.normal(size=10)
    for confidence in (0.5, 0.99):
        with pytest.raises(GateFailure, match="1 of 60 test rows leaks"):
            assert_no_leakage(train, test, near=True, confidence=confidence)
    assert_no_leakage(train, test, near=True, confidence=1 - 1e-9)
    train, test = rng.normal(size=(180, 5)), rng.normal(size=(60, 5))
    test[5] = train[9] + 0.1 * rng.normal(size=5)
    assert len(nearness(train, test, 0.9).rows) == 1  # what a confidence of 0.1 would give
    assert_no_leakage(train, test, near=True, confidence=0.5)


def test_wrong_use() -> None:
    with pytest.raises(EvidenceError, match="train has rows of 4 features, test of 3 features"):
        assert_no_leakage(TRAIN, TEST[:, :3])
