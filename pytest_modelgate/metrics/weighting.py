"""Confusion matrices of samples that do not count alike."""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.samples import Samples

_BITS = 52
_WHOLE = 2.0**20  # so many such weights as there may be add up exactly


def cells_of(rows: Samples, num_classes: int) -> NDArray[np.int64]:
    """The cell of the confusion matrix that each sample is in: actual * K + predicted, [N]."""
    if rows.target is None or rows.preds is None:
        raise EvidenceError("the class of each sample was not kept; evaluate with keep='auto'")
    return rows.target.astype(np.int64) * num_classes + rows.preds.astype(np.int64)


def relative(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights in a unit in which sums are exact if they can be, and never overflow or vanish.

    Whole numbers stay as they are, others are over the greatest: equal ones are then exactly 1.
    """
    greatest = weights.max(initial=0.0)
    if greatest == 0 or (greatest <= _WHOLE and not np.any(weights % 1)):
        return weights
    return np.asarray(weights / greatest)


def weighted_table(rows: Samples, num_classes: int) -> NDArray[np.float64]:
    """The sum of the `relative` weights in each cell [K, K], alike for any order of the samples."""
    cells = cells_of(rows, num_classes)
    weights = np.ones(len(cells)) if rows.weights is None else relative(rows.weights)
    order = np.lexsort((weights, cells))
    present, starts = np.unique(cells[order], return_index=True)
    table = np.zeros(num_classes * num_classes)
    if len(starts):
        table[present] = np.add.reduceat(weights[order], starts)
    return table.reshape(num_classes, num_classes)


def weighted_matrix(rows: Samples, matrix: ConfusionMatrix) -> ConfusionMatrix:
    """The confusion matrix with weights for counts, times a power of two that makes them whole numbers.

    Ratios keep about 50 bits, and are exact where weights are equal or whole numbers.
    """
    table = weighted_table(rows, matrix.num_classes)
    scale = _BITS - math.frexp(float(table.sum()))[1]
    return ConfusionMatrix(np.rint(np.ldexp(table, scale)).astype(np.int64), matrix.labels)
