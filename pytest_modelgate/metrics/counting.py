"""The kernels: class labels and scores to counts, in numpy, in chunks that stay in the cache."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import as_floats, check_scores, some_of, whole_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 2**15
"""Samples in a chunk of labels."""
CHUNK_OF_SCORES = 2**17
"""Numbers in a chunk of scores."""
FEW_CLASSES = 32
"""Up to here a running maximum over the classes beats numpy's argmax."""


def labels_to_counts(target: object, preds: object, num_classes: int) -> NDArray[np.int64]:
    """How many samples of each actual class (row) were predicted as each class (column): int64 [K, K].

    Args:
        target: the actual class of each sample, whole numbers from 0 to `num_classes - 1`, shape [N].
        preds: the predicted class of each sample, likewise.
        num_classes: K, at least 2.

    Raises:
        EvidenceError: shapes that do not match, values that are not whole or out of range.
    """
    actual, predicted = whole_numbers(target, "target"), whole_numbers(preds, "preds")
    check_same_length(actual, predicted)
    if num_classes == 2:
        return _count_two(actual, predicted)
    counts = np.zeros(num_classes * num_classes, dtype=np.int64)
    keys = np.empty(min(CHUNK, len(actual)), dtype=np.intp)
    for start in range(0, len(actual), CHUNK):
        rows, columns = actual[start : start + CHUNK], predicted[start : start + CHUNK]
        if unsigned(rows).max() >= num_classes or unsigned(columns).max() >= num_classes:
            check_range(actual, num_classes, "target")
            check_range(predicted, num_classes, "preds")
        key = keys[: len(rows)]
        np.multiply(rows, num_classes, out=key, dtype=np.intp, casting="unsafe")
        np.add(key, columns, out=key, dtype=np.intp, casting="unsafe")
        np.add.at(counts, key, 1)  # faster than bincount, which looks for the extremes first
    return counts.reshape(num_classes, num_classes)


def _count_two(actual: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.int64]:
    positives = found = hits = 0
    for start in range(0, len(actual), CHUNK):
        rows, columns = actual[start : start + CHUNK], predicted[start : start + CHUNK]
        if unsigned(rows).max() > 1 or unsigned(columns).max() > 1:
            check_range(actual, 2, "target")
            check_range(predicted, 2, "preds")
        positives += int(np.count_nonzero(rows))
        found += int(np.count_nonzero(columns))
        hits += int(np.count_nonzero(np.logical_and(rows, columns)))
    negatives = len(actual) - positives
    false_alarms = found - hits
    return np.array([[negatives - false_alarms, false_alarms], [positives - hits, hits]], dtype=np.int64)


def logits_to_labels(scores: object) -> NDArray[Any]:
    """The class of the largest score of each sample, ties to the lowest index: unsigned integers [N].

    Args:
        scores: logits or probabilities, shape [N, K], K at least 2.

    Raises:
        EvidenceError: another shape, or a score that is NaN or infinite.
    """
    values = check_score_table(scores)
    num_classes = values.shape[1]
    labels = np.empty(len(values), dtype=index_dtype(num_classes))
    step = max(1, CHUNK_OF_SCORES // num_classes)
    for start in range(0, len(values), step):
        chunk = values[start : start + step]
        if not np.isfinite(chunk).all():
            check_scores(values)
        labels[start : start + step] = np.argmax(chunk, axis=1) if num_classes > FEW_CLASSES else _running_argmax(chunk)
    return labels


def _running_argmax(chunk: NDArray[Any]) -> NDArray[np.uint8]:
    """argmax of rows of few scores, one class at a time over all samples, where numpy goes sample by sample."""
    columns = chunk.T.copy()
    best, labels = columns[0], np.zeros(len(chunk), dtype=np.uint8)
    better = np.empty(len(chunk), dtype=np.bool_)
    index = better.view(np.uint8)
    for k in range(1, len(columns)):
        np.greater(columns[k], best, out=better)
        np.maximum(best, columns[k], out=best)
        np.multiply(index, k, out=index)
        np.maximum(labels, index, out=labels)
    return labels


def logits_to_counts(scores: object, target: object) -> NDArray[np.int64]:
    """Counts int64 [K, K] of the actual class (row) and the class of the largest score (column).

    Args:
        scores: logits or probabilities, shape [N, K], K at least 2.
        target: the actual class of each sample, from 0 to K - 1, shape [N].

    Raises:
        EvidenceError: as `logits_to_labels` and `labels_to_counts`.
    """
    values = check_score_table(scores)
    return labels_to_counts(target, logits_to_labels(values), values.shape[1])


def check_score_table(scores: object) -> NDArray[Any]:
    """`scores` as floats of shape [N, K] with K at least 2, else EvidenceError; values are not looked at."""
    values = as_floats(scores)
    if values.ndim != 2 or values.shape[1] < 2:
        raise EvidenceError(f"scores must have the shape [samples, classes], classes >= 2, not {list(values.shape)}")
    return values


def check_same_length(actual: NDArray[Any], predicted: NDArray[Any], what: str = "preds") -> None:
    """Both have one dimension and the same length, else EvidenceError."""
    for array, name in ((actual, "target"), (predicted, what)):
        if array.ndim != 1:
            raise EvidenceError(f"{name} must have one dimension (one class per sample), not shape {list(array.shape)}")
    if len(actual) != len(predicted):
        raise EvidenceError(f"target has {len(actual):,} samples, but {what} has {len(predicted):,}")


def check_range(indices: NDArray[Any], num_classes: int, what: str) -> None:
    """Every class index lies in 0 to `num_classes - 1`, else EvidenceError with the value and how many."""
    bad = unsigned(indices) >= num_classes
    if bad.any():
        raise EvidenceError(f"{what} must be class indices from 0 to {num_classes - 1}: {some_of(indices, bad)}")


def index_dtype(num_classes: int) -> np.dtype[Any]:
    """The smallest unsigned type that holds every class index."""
    return np.min_scalar_type(num_classes - 1)


def unsigned(indices: NDArray[Any]) -> NDArray[Any]:
    """The same memory read as unsigned, so that one comparison sees negative values too."""
    return indices.view(f"u{indices.dtype.itemsize}")
