"""Confusion matrices of samples that do not count alike."""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.statistics.sums import CHUNK, ExactSums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.samples import Samples

_BITS = 52
_WHOLE = 2.0**20  # so many such weights as there may be add up exactly


def classes_of(rows: Samples) -> tuple[NDArray[Any], NDArray[Any]]:
    """The actual and the predicted class of each sample, [N]."""
    if rows.target is None or rows.preds is None:
        raise EvidenceError("the class of each sample was not kept; evaluate with keep='auto'")
    return rows.target, rows.preds


def relative(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights in a unit in which sums are exact if they can be, and never overflow or vanish.

    Whole numbers stay as they are, others are over the greatest: equal ones are then exactly 1.
    """
    unit = _unit(weights)
    return weights if unit == 1.0 else np.asarray(weights / unit)


def _unit(weights: NDArray[np.float64]) -> float:
    """What `relative` divides by."""
    greatest = float(weights.max(initial=0.0))
    chunks = (weights[start : start + CHUNK] for start in range(0, len(weights), CHUNK))
    whole = greatest <= _WHOLE and not any(np.any(chunk % 1) for chunk in chunks)
    return 1.0 if greatest == 0 or whole else greatest


def weighted_table(rows: Samples, num_classes: int) -> NDArray[np.float64]:
    """The sum of the `relative` weights in each cell [K, K], rounded once: alike for any order of the samples."""
    target, preds = classes_of(rows)
    unit = 1.0 if rows.weights is None else _unit(rows.weights)
    sums = ExactSums(len(target), num_classes * num_classes)
    for start in range(0, len(target), CHUNK):
        part = slice(start, start + CHUNK)
        cells = target[part].astype(np.int64) * num_classes + preds[part]
        sums.add(np.ones(len(cells)) if rows.weights is None else rows.weights[part] / unit, cells)
    return sums.rounded().reshape(num_classes, num_classes)


def weighted_matrix(rows: Samples, matrix: ConfusionMatrix) -> ConfusionMatrix:
    """The confusion matrix with weights for counts, times a power of two that makes them whole numbers.

    Ratios keep about 50 bits, and are exact where weights are equal or whole numbers.
    """
    table = weighted_table(rows, matrix.num_classes)
    scale = _BITS - math.frexp(float(table.sum()))[1]
    return ConfusionMatrix(np.rint(np.ldexp(table, scale)).astype(np.int64), matrix.labels)
