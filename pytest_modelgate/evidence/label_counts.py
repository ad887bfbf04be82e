"""Several labels a sample, counted batch by batch."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.outputs import check_probabilities, decide, refuse_not_finite, within_unit
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import as_floats, some_of, whole_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LabelCounts:
    """Counts batches of several labels a sample.

    Args:
        outputs: what they are: "logits", "probabilities" or "labels".
        threshold: a label is given iff its probability is at least this.

    Attributes:
        counts, exact: as of `Multilabel`.
        like_probabilities: whether all scores could be probabilities.
    """

    def __init__(self, outputs: str, threshold: float) -> None:
        self._outputs = outputs
        self._threshold = threshold
        self.counts: Any = 0
        self.exact = 0
        self.like_probabilities = True

    def add(
        self, outputs: NDArray[Any], target: NDArray[Any], before: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[Any] | None]:
        """A batch [n, L] after so many samples: which labels each sample has, which were given, and scores, [n, L].

        Raises:
            EvidenceError: targets other than 0 and 1, or outputs that are not what they are said to be.
        """
        actual = zeros_and_ones(target, "target")
        scores = None
        if self._outputs == "labels":
            preds = zeros_and_ones(outputs, "labels")
        else:
            refuse_not_finite(outputs, self._outputs, before)
            scores = as_floats(outputs, self._outputs)
            if self._outputs == "probabilities":
                check_probabilities(scores.reshape(-1))
            self.like_probabilities = self.like_probabilities and within_unit(scores.reshape(-1))
            preds = decide(scores, self._threshold, self._outputs).view(np.uint8)
        counts, exact = count_labels(actual, preds)
        self.counts, self.exact = self.counts + counts, self.exact + exact
        return actual, preds, scores


def count_labels(target: NDArray[np.uint8], preds: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int]:
    """A confusion matrix for each label [L, 2, 2], and how many rows are right in all; of zeros and ones [N, L].

    >>> counts, exact = count_labels(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]))
    >>> counts.tolist(), exact
    ([[[0, 0], [1, 1]], [[1, 0], [0, 1]]], 1)
    """
    both = np.count_nonzero((target == 1) & (preds == 1), axis=0)
    actual, given = np.count_nonzero(target, axis=0), np.count_nonzero(preds, axis=0)
    rows = [[len(target) - actual - given + both, given - both], [actual - both, both]]
    return np.array(rows, dtype=np.int64).transpose(2, 0, 1), int((target == preds).all(axis=1).sum())


def zeros_and_ones(values: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Several labels a sample as uint8 [N, L]; an `EvidenceError` for any other number than 0 and 1."""
    array = whole_numbers(values, what)
    bad = (array != 0) & (array != 1)
    if bad.any():
        raise EvidenceError(f"{what} of several labels a sample must be 0 or 1: {some_of(array, bad)}")
    return array.astype(np.uint8)
