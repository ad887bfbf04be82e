"""The evaluation of some samples is that which these samples alone would have given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_modelgate import Evaluation, EvidenceError, evaluate
from pytest_modelgate.evidence.subset import subset

RNG = np.random.default_rng(0)
N = 40
ROWS = np.array([3, 4, 9, 20, 21, 33])


def of(kind: str, rows: Any, **columns: Any) -> Evaluation:
    rng = np.random.default_rng(1)
    made: dict[str, Any] = {
        "binary": {"target": rng.integers(0, 2, N), "preds": rng.random(N), "outputs": "probabilities"},
        "labels": {"target": rng.integers(0, 3, N), "preds": rng.integers(0, 3, N), "outputs": "labels"},
        "classes": {"target": rng.integers(0, 4, N), "preds": rng.normal(size=(N, 4)), "outputs": "logits"},
        "values": {"target": rng.normal(size=N), "preds": rng.normal(size=N), "outputs": "values"},
    }[kind]
    named = {"labels": {"labels": ("a", "b", "c")}}.get(kind, {})
    made |= {"ids": np.arange(N)} | columns
    return Evaluation.from_predictions(
        **{name: value if value is None or isinstance(value, str) else value[rows] for name, value in made.items()},
        **named,
    )


@pytest.mark.parametrize("kind", ["binary", "labels", "classes", "values"])
@pytest.mark.parametrize("columns", [{}, {"weights": RNG.random(N)}, {"groups": np.arange(N) // 4}])
def test_as_if_evaluated_alone(kind: str, columns: dict[str, Any]) -> None:
    assert subset(of(kind, slice(None), **columns), ROWS) == of(kind, ROWS, **columns)


def test_the_ranks_of_right_answers_alone() -> None:
    whole = of("classes", slice(None))
    assert whole.samples is not None
    assert whole.samples.ranks is not None
    right = np.flatnonzero(whole.samples.ranks == 0)
    assert subset(whole, right) == of("classes", right)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 2.0]))])
@pytest.mark.parametrize("weighed", [False, True])
def test_the_loss(loss: nn.Module, weighed: bool) -> None:
    torch.manual_seed(0)
    model, x, y = nn.Linear(2, 3), torch.randn(N, 2), torch.randint(3, (N,))
    weights = np.random.default_rng(0).random(N)
    whole, part = (
        evaluate(
            model, (x[rows], y[rows]), loss=loss, ids=np.arange(N)[rows], weights=weights[rows] if weighed else None
        )
        for rows in (slice(None), ROWS)
    )
    found = subset(whole, ROWS)
    assert found.loss == pytest.approx(part.loss, rel=1e-6)
    assert found.confusion_matrix == part.confusion_matrix


def test_at_a_threshold() -> None:
    moved = of("binary", slice(None)).at_threshold(0.9)
    assert subset(moved, ROWS) == of("binary", ROWS).at_threshold(0.9)


def test_the_scores_of_two_classes_are_enough() -> None:
    bare = of("binary", slice(None), ids=None)
    assert bare.samples is None
    assert subset(bare, ROWS) == of("binary", ROWS, ids=None)
    assert subset(bare.at_threshold(0.9), ROWS) == of("binary", ROWS, ids=None).at_threshold(0.9)
    assert subset(bare, ROWS).fingerprint is None
    assert subset(of("binary", slice(None)), ROWS).fingerprint == of("binary", ROWS).fingerprint


@pytest.mark.parametrize("kind", ["labels", "classes"])
def test_nothing_of_single_samples(kind: str) -> None:
    with pytest.raises(EvidenceError, match=r"kept nothing of single samples.*evaluate with ids= or slices="):
        subset(of(kind, slice(None), ids=None), ROWS)


def test_wrong_use() -> None:
    with pytest.raises(EvidenceError, match="no samples"):
        subset(of("binary", slice(None)), ROWS[:0])
