"""What the metrics are without the leaking rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, precision_score, recall_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import Evaluation, EvidenceError, evaluate
from pytest_modelgate.checks.data.leakage import audit_leakage

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(80, 3))
TEST = RNG.normal(size=(40, 3))
TEST[:8] = TRAIN[20:28]
TARGET = RNG.integers(0, 2, 40)
PREDS = np.where(RNG.random(40) < 0.7, TARGET, 1 - TARGET)
PREDS[:8] = TARGET[:8]
CLEAN = slice(8, None)


def without(evaluation: Evaluation, test: Any = (TEST, TARGET)) -> dict[str, float | None]:
    audit = audit_leakage((TRAIN, np.zeros(80, dtype=np.int64)), test, evaluation=evaluation)
    return {f.name: f.estimate for f in audit.findings if f.name.endswith("without")}


def predicted(**changes: Any) -> Evaluation:
    given: dict[str, Any] = {"target": TARGET, "preds": PREDS, "outputs": "labels", "ids": np.arange(40)}
    return Evaluation.from_predictions(**given | changes)


def test_two_classes_as_scikit_learn() -> None:
    target, preds = TARGET[CLEAN], PREDS[CLEAN]
    expected = {
        "accuracy without": accuracy_score(target, preds),
        "recall without": recall_score(target, preds),
        "precision without": precision_score(target, preds),
    }
    assert without(predicted()) == pytest.approx(expected)
    audit = audit_leakage(TRAIN, TEST, evaluation=predicted())
    before, after = accuracy_score(TARGET, PREDS), accuracy_score(target, preds)
    assert audit["accuracy without"].text == f"accuracy {before:.3f} -> {after:.3f} without the 8 leaking rows"
    assert audit["accuracy without"].of == 32


def test_by_name() -> None:
    named = predicted(
        target=np.array(["no", "yes"])[TARGET], preds=np.array(["no", "yes"])[PREDS], labels=("no", "yes")
    )
    assert without(named) == without(predicted())


def test_more_classes_and_values() -> None:
    many = predicted(target=TARGET + 2 * (np.arange(40) % 2), preds=PREDS + 2 * (np.arange(40) % 2))
    assert list(without(many, TEST)) == ["accuracy without"]
    values = predicted(target=TARGET * 1.5, preds=PREDS * 1.0, outputs="values")
    found = without(values, (TEST, TARGET * 1.5))
    assert found == {"rmse without": pytest.approx(np.sqrt(np.mean((TARGET * 1.5 - PREDS)[CLEAN] ** 2)))}


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shuffled", [False, True])
def test_by_content(kind: type, shuffled: bool) -> None:
    """A model of float32 saw numbers of its own type, and a loader another order."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2))
    x = TEST.astype(kind)
    data: Any = (x, TARGET)
    if shuffled:
        tensors = TensorDataset(torch.tensor(x).float(), torch.tensor(TARGET))
        data = DataLoader(tensors, batch_size=7, shuffle=True)
    evaluation = evaluate(model, data, loss=nn.CrossEntropyLoss(), ids="content")
    rest = evaluate(model, (x[CLEAN], TARGET[CLEAN]), loss=nn.CrossEntropyLoss())
    audit = audit_leakage(TRAIN, (x, TARGET), evaluation=evaluation, near=True)
    assert audit["leaking rows"].count == 8
    assert audit["accuracy without"].estimate == rest.metric("accuracy")
    assert audit["loss without"].estimate == pytest.approx(rest.loss, rel=1e-6)


def test_nothing_left_and_nothing_found() -> None:
    audit = audit_leakage(TEST, TEST, evaluation=predicted())
    assert audit["metrics without"].text == "no test row is left to measure the metrics on without the leaking rows"
    assert not [f for f in audit_leakage(TEST, TRAIN + 9, evaluation=predicted()).findings if "without" in f.name]


def test_undefined_without() -> None:
    """All positives leak: recall is undefined without them."""
    target = (np.arange(40) < 8).astype(int)
    audit = audit_leakage(TRAIN, TEST, evaluation=predicted(target=target, preds=target))
    assert audit["recall without"].estimate is None
    assert audit["recall without"].text == "recall 1.000 -> undefined without the 8 leaking rows"


@pytest.mark.parametrize(
    ("evaluation", "says"),
    [
        (predicted(ids=None), "evaluation= has no ids"),
        (3, "evaluation= takes an Evaluation of the test set, not int"),
        (predicted(ids=np.arange(40) // 2), "evaluation=: 20 ids repeat, so"),
        (predicted(ids=[1, *range(1, 40)]), "evaluation=: 1 id repeats, so"),
        (predicted(target=TARGET[:39], preds=PREDS[:39], ids=np.arange(39)), "of 39 samples, and test has 40 rows"),
        (predicted(target=1 - TARGET), "evaluation= has other targets than the rows of test in their order"),
        (predicted(target=TARGET * 1.0, preds=PREDS * 1.0, outputs="values"), None),
        (predicted(target=TARGET + 0.5, preds=PREDS * 1.0, outputs="values"), "other targets"),
    ],
)
def test_wrong_use(evaluation: Any, says: str | None) -> None:
    if says is None:
        assert without(evaluation)
        return
    with pytest.raises(EvidenceError, match=says):
        without(evaluation)


def test_a_loader_that_shuffles() -> None:
    loader = DataLoader(TensorDataset(torch.tensor(TEST), torch.tensor(TARGET)), shuffle=True)
    with pytest.raises(EvidenceError, match="evaluation= go with the samples in their order"):
        audit_leakage(TRAIN, loader, evaluation=predicted())
