"""The kernels: labels and scores to counts, for every dtype, number of classes, and kind of bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics import counting
from pytest_modelgate.metrics.counting import labels_to_counts, logits_to_counts, logits_to_labels
from pytest_modelgate.strategies import predictions

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]


def by_hand(target, preds, num_classes):
    """One sample at a time, in Python."""
    counts = [[0] * num_classes for _ in range(num_classes)]
    for actual, predicted in zip(target, preds, strict=True):
        counts[int(actual)][int(predicted)] += 1
    return counts


class TestLabelsToCounts:
    # K * K is above what uint8 holds from 17 on, int16 from 182, uint16 from 257.
    @pytest.mark.parametrize("num_classes", [2, 3, 16, 17, 100, 127, 182, 256, 257, 300])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_every_dtype(self, dtype, num_classes):
        largest = min(num_classes - 1, np.iinfo(dtype).max)
        rng = np.random.default_rng(num_classes)
        target = np.append(rng.integers(0, largest + 1, 500), [largest, largest, 0]).astype(dtype)
        preds = np.append(rng.integers(0, largest + 1, 500), [largest, 0, largest]).astype(dtype)
        counts = labels_to_counts(target, preds, num_classes)
        assert counts.dtype == np.int64
        assert counts.tolist() == by_hand(target, preds, num_classes)

    def test_target_and_preds_of_different_dtypes(self):
        target, preds = np.array([0, 200, 299], dtype=np.uint64), np.array([1, 200, 0], dtype=np.uint8)
        assert labels_to_counts(target, preds, 300).tolist() == by_hand(target, preds, 300)

    @pytest.mark.parametrize("num_classes", [2, 3])
    def test_bool(self, num_classes):
        target, preds = np.array([True, False, True]), np.array([True, True, False])
        assert labels_to_counts(target, preds, num_classes).tolist() == by_hand(target, preds, num_classes)

    def test_tensors_sequences_and_whole_floats(self):
        expected = [[0, 1, 0], [0, 1, 0], [1, 0, 0]]
        assert labels_to_counts([0, 1, 2], [1, 1, 0], 3).tolist() == expected
        assert labels_to_counts(torch.tensor([0, 1, 2]), torch.tensor([1.0, 1.0, 0.0]), 3).tolist() == expected

    def test_views_that_are_not_contiguous(self):
        table = np.array([[0, 1], [1, 1], [2, 0]])
        assert labels_to_counts(table[:, 0], table[:, 1], 3).tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0]]

    @pytest.mark.parametrize("num_classes", [2, 3])
    def test_nothing(self, num_classes):
        assert labels_to_counts([], [], num_classes).tolist() == by_hand([], [], num_classes)

    @pytest.mark.parametrize("num_classes", [2, 7])
    def test_more_than_one_chunk(self, num_classes, monkeypatch):
        rng = np.random.default_rng(0)
        target, preds = rng.integers(0, num_classes, (2, 1000))
        whole = labels_to_counts(target, preds, num_classes)
        monkeypatch.setattr(counting, "CHUNK", 64)
        assert (labels_to_counts(target, preds, num_classes) == whole).all()
        assert whole.tolist() == by_hand(target, preds, num_classes)

    @pytest.mark.parametrize("num_classes", [2, 3])
    @pytest.mark.parametrize("dtype", [d for d in DTYPES if d[0] == "i"])
    def test_negative_labels(self, dtype, num_classes):
        good, bad = np.array([0, 1, 1, 0], dtype=dtype), np.array([0, -1, 1, -7], dtype=dtype)
        message = rf"must be class indices from 0 to {num_classes - 1}: 2 of 4, the first is -1 at position 1$"
        with pytest.raises(EvidenceError, match=f"^target {message}"):
            labels_to_counts(bad, good, num_classes)
        with pytest.raises(EvidenceError, match=f"^preds {message}"):
            labels_to_counts(good, bad, num_classes)

    @pytest.mark.parametrize("num_classes", [2, 3])
    @pytest.mark.parametrize("value", [3, 255, 2**62, -(2**63)])
    def test_labels_out_of_range(self, value, num_classes, monkeypatch):
        # 2**62 * 4 and -2**63 * 2 wrap to 0: the range must be checked before the product.
        monkeypatch.setattr(counting, "CHUNK", 2)
        with pytest.raises(EvidenceError, match=rf"1 of 5, the first is {value} at position 3$"):
            labels_to_counts([0, 1, 0, value, 1], [0, 1, 0, 0, 1], num_classes)

    @pytest.mark.parametrize("num_classes", [4, 1024])
    def test_no_product_wraps_into_the_range(self, num_classes):
        with pytest.raises(EvidenceError, match="1 of 1, the first is 4611686018427387904"):
            labels_to_counts([2**62], [0], num_classes)

    @pytest.mark.parametrize(
        ("target", "preds", "message"),
        [
            ([0, 1], [0], "target has 2 samples, but preds has 1"),
            ([[0, 1]], [0, 1], r"target must have one dimension \(one class per sample\), not shape \[1, 2\]"),
            ([0, 1], [[0.1, 0.9], [0.2, 0.8]], "preds must be whole numbers: 4 of 4"),
            ([0, 1], [[1], [0]], r"preds must have one dimension .* not shape \[2, 1\]"),
            (1, 1, r"one dimension .* not shape \[\]"),
        ],
    )
    def test_shapes(self, target, preds, message):
        with pytest.raises(EvidenceError, match=message):
            labels_to_counts(target, preds, 3)

    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(predictions(num_classes=st.integers(2, 20), min_samples=0))
    def test_against_python(self, drawn):
        k = 20
        assert labels_to_counts(drawn.target, drawn.preds, k).tolist() == by_hand(drawn.target, drawn.preds, k)


class TestLogitsToLabels:
    @pytest.mark.parametrize("num_classes", [2, 3, 10, 32, 33, 257])
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
    def test_like_argmax_with_many_ties(self, dtype, num_classes):
        rng = np.random.default_rng(num_classes)
        scores = rng.integers(-2, 3, (400, num_classes)).astype(dtype)
        labels = logits_to_labels(scores)
        assert labels.tolist() == scores.argmax(axis=1).tolist()
        assert labels.dtype.kind == "u"

    @pytest.mark.parametrize("num_classes", [2, 5, 40])
    def test_ties_go_to_the_lowest_index(self, num_classes):
        scores = np.full((3, num_classes), -1.5)
        scores[1, -2:] = 2
        scores[2] = np.where(np.arange(num_classes) % 2, -0.0, 0.0)
        assert logits_to_labels(scores).tolist() == [0, num_classes - 2, 0]

    @pytest.mark.parametrize("num_classes", [2, 5, 40])
    def test_in_chunks(self, num_classes, monkeypatch):
        monkeypatch.setattr(counting, "CHUNK_OF_SCORES", 100)
        scores = np.random.default_rng(1).normal(size=(333, num_classes)).astype(np.float32)
        assert logits_to_labels(scores).tolist() == scores.argmax(axis=1).tolist()

    def test_the_scores_are_not_changed(self):
        scores = np.random.default_rng(1).normal(size=(50, 4))
        before = scores.copy()
        logits_to_labels(scores)
        logits_to_labels(np.asfortranarray(scores))
        assert (scores == before).all()

    @pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda scores: scores[::-1, ::-1]])
    def test_every_layout(self, layout):
        scores = layout(np.random.default_rng(2).normal(size=(60, 6)))
        assert logits_to_labels(scores).tolist() == scores.argmax(axis=1).tolist()

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("num_classes", [2, 5, 40])
    def test_not_finite(self, bad, num_classes):
        scores = np.zeros((9, num_classes), dtype=np.float32)
        scores[7, 1] = bad
        with pytest.raises(EvidenceError, match=rf"1 of {9 * num_classes}, the first is {bad} at \[7, 1\]"):
            logits_to_labels(scores)

    def test_large_finite_scores_are_finite(self):
        assert logits_to_labels(np.full((4, 3), np.finfo(np.float32).max, dtype=np.float32)).tolist() == [0] * 4

    @pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2, 2)])
    def test_shapes(self, shape):
        with pytest.raises(EvidenceError, match=r"must have the shape \[samples, classes\]"):
            logits_to_labels(np.zeros(shape))

    def test_nothing(self):
        assert logits_to_labels(np.zeros((0, 3))).tolist() == []


def test_logits_to_counts():
    scores = torch.tensor([[0.1, 0.9, 0.0], [2.0, 1.0, 2.0], [0.0, 0.0, 1.0]])
    assert logits_to_counts(scores, torch.tensor([1, 2, 2])).tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_logits_to_counts_checks_the_target():
    with pytest.raises(EvidenceError, match="target must be class indices from 0 to 2: 1 of 2, the first is 3"):
        logits_to_counts(np.zeros((2, 3)), [0, 3])
    with pytest.raises(EvidenceError, match="target has 1 samples, but preds has 2"):
        logits_to_counts(np.zeros((2, 3)), [0])
