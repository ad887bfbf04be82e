"""Faults of answers, held to what they do to decisions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.checks.mutation.answers import (
    always,
    answer_faults,
    change_labels,
    change_scores,
    mean_answer,
)
from pytest_modelgate.evidence.outputs import decide

THRESHOLDS = [0.5, 0.3, 0.9, 1e-3]


def scores_of(outputs: torch.Tensor, what: str) -> np.ndarray:
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return outputs.reshape(-1).numpy()
    return (outputs[:, 1] - outputs[:, 0] if what == "logits" else outputs[:, 1]).numpy()


@given(st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=10), st.sampled_from(THRESHOLDS), st.booleans())
@settings(max_examples=80, deadline=None)
def test_one_of_two_classes_answered_as_the_other(values: list[float], threshold: float, up: bool) -> None:
    """All decisions are the other class; samples that were so already keep their score."""
    logits = torch.tensor(values)
    shapes = {
        "logits": [logits, logits[:, None], torch.stack([torch.ones_like(logits), logits + 1], 1)],
        "probabilities": [
            logits.sigmoid(),
            logits.sigmoid()[:, None],
            torch.stack([1 - logits.sigmoid(), logits.sigmoid()], 1),
        ],
    }
    one, other = (0, 1) if up else (1, 0)
    for what, forms in shapes.items():
        for outputs in forms:
            changed = change_scores(outputs, "class merged", one, other, what=what, threshold=threshold)
            assert changed.shape == outputs.shape
            assert (decide(scores_of(changed, what), threshold, what) == up).all()
            if what == "probabilities":
                assert float(changed.min()) >= 0
                assert float(changed.max()) <= 1
            kept = decide(scores_of(outputs, what), threshold, what) == up
            np.testing.assert_allclose(
                scores_of(changed, what)[kept], scores_of(outputs, what)[kept], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
@pytest.mark.parametrize("up", [True, False])
def test_logits_are_mirrored_at_the_line(threshold: float, up: bool) -> None:
    """As far beyond the threshold's logit as before it, so that ranks and losses are those of such a model."""
    at = np.log(threshold / (1 - threshold))
    logits = torch.tensor([-3.0, -1.0, 0.2, 2.5])
    one, other = (0, 1) if up else (1, 0)
    changed = change_scores(logits, "class merged", one, other, what="logits", threshold=threshold).numpy()
    expected = at + np.abs(logits.numpy() - at) * (1 if up else -1)
    np.testing.assert_allclose(changed, expected, atol=1e-5)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_at_the_end_leaves_nothing_to_mirror(threshold: float) -> None:
    outputs = torch.tensor([-1.0, 2.0])
    changed = change_scores(outputs, "class merged", 0, 1, what="logits", threshold=threshold)
    assert torch.equal(changed, outputs)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 2)])
@pytest.mark.parametrize("what", ["logits", "probabilities"])
def test_two_classes_swapped_twice_are_as_before(shape: tuple[int, ...], what: str) -> None:
    outputs = torch.linspace(0.1, 0.7, int(np.prod(shape))).reshape(shape)
    swapped = change_scores(outputs, "classes swapped", 0, 1, what=what, threshold=0.5)
    if shape == (4, 2):
        assert torch.equal(swapped, outputs.flip(1))
    else:
        torch.testing.assert_close(swapped, -outputs if what == "logits" else 1 - outputs)
    back = change_scores(swapped, "classes swapped", 0, 1, what=what, threshold=0.5)
    torch.testing.assert_close(back, outputs)


@given(st.permutations(range(4)), st.integers(0, 3), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_one_of_many_classes_answered_as_another(order: list[int], one: int, step: int) -> None:
    other = (one + step) % 4
    outputs = torch.tensor([order], dtype=torch.float32)
    before = outputs.clone()
    changed = change_scores(outputs, "class merged", one, other, what="logits", threshold=0.5)
    best = int(outputs.argmax())
    assert int(changed.argmax()) == (other if best == one else best)
    assert sorted(changed[0].tolist()) == sorted(outputs[0].tolist())
    swapped = change_scores(outputs, "classes swapped", one, other, what="logits", threshold=0.5)
    assert int(swapped.argmax()) == {one: other, other: one}.get(best, best)
    assert torch.equal(outputs, before)


def test_labels_by_index_or_name() -> None:
    preds = torch.tensor([3, 5, 9, 3])
    assert change_labels(preds, "classes swapped", 0, 2, (3, 5, 9)).tolist() == [9, 5, 3, 9]
    assert change_labels(preds, "class merged", 0, 2, (3, 5, 9)).tolist() == [9, 5, 9, 9]
    assert preds.tolist() == [3, 5, 9, 3]


def test_which_classes() -> None:
    assert [fault.name for fault, _, _ in answer_faults(["ham", "spam"])] == [
        "classes ham and spam swapped",
        "class ham answered as spam",
        "class spam answered as ham",
    ]
    many = answer_faults(range(100))
    swapped = [(one, other) for fault, one, other in many if fault.kind == "classes swapped"]
    merged = [(one, other) for fault, one, other in many if fault.kind == "class merged"]
    assert len(swapped) == 3
    assert all(other == one + 1 for one, other in swapped)
    assert merged == [(one, (one + 1) % 100) for one in (0, 11, 22, 33, 44, 55, 66, 77, 88, 99)]
    assert many == answer_faults(range(100))


@pytest.mark.parametrize(
    ("what", "like", "row"),
    [
        ("logits", torch.zeros(1), [np.log(3)]),
        ("logits", torch.zeros(1, 1), [[np.log(3)]]),
        ("logits", torch.zeros(1, 2), [[np.log(0.25), np.log(0.75)]]),
        ("probabilities", torch.zeros(1), [0.75]),
        ("probabilities", torch.zeros(1, 1), [[0.75]]),
        ("probabilities", torch.zeros(1, 2), [[0.25, 0.75]]),
        ("labels", torch.zeros(1, dtype=torch.int64), [1]),
    ],
)
def test_always_the_majority(what: str, like: torch.Tensor, row: object) -> None:
    found = always([1, 3], like, what=what, names=(0, 1))
    assert found.dtype == like.dtype
    torch.testing.assert_close(found, torch.tensor(row, dtype=like.dtype))


def test_a_class_that_never_occurs_has_a_finite_logarithm() -> None:
    found = always([0, 3, 1], torch.zeros(1, 3), what="logits", names=range(3))
    torch.testing.assert_close(found.exp(), torch.tensor([[0.5, 3, 1]]) / 4.5)


def test_the_mean_answer() -> None:
    targets = [torch.tensor([[1.0, 10.0]]), torch.tensor([[3.0, 30.0], [5.0, 50.0]])]
    found = mean_answer(targets, torch.zeros(1, 2))
    assert found is not None
    assert found.tolist() == [[3.0, 30.0]]
    assert mean_answer(targets, torch.zeros(1, 3)) is None
