"""Metrics of scores: top-k by rank, exact ROC-AUC and average precision by sorting packed keys.

Each score is packed with its label into one unsigned integer, so that one in-place sort orders both; the area then is a
ratio of whole numbers. Nothing is binned, and ties count one half.
"""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import as_floats, to_numpy, whole_numbers
from pytest_modelgate.metrics.arrays import check_scores as check_scores
from pytest_modelgate.metrics.counting import (
    CHUNK_OF_SCORES,
    check_range,
    check_same_length,
    check_score_table,
    index_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False, init=False)
class RankCounts:
    """How many samples have exactly r classes scored above the actual one: int64 [K]; enough for every top-k.

    Args:
        counts: shape [K], K at least 2; whole numbers, none negative.

    Raises:
        EvidenceError: another shape, or counts that are not counts.
    """

    counts: NDArray[np.int64]

    def __init__(self, counts: object) -> None:
        whole = whole_numbers(counts, "counts of ranks")
        if whole.ndim != 1 or len(whole) < 2:
            raise EvidenceError(f"counts of ranks must have the shape [K] with K >= 2, not {list(whole.shape)}")
        if whole.dtype.kind == "i" and int(whole.min()) < 0:
            raise EvidenceError(f"counts of ranks must not be negative: the least is {int(whole.min())}")
        if sum(whole.tolist()) > np.iinfo(np.int64).max:
            raise EvidenceError("counts of ranks must have a sum below 2**63")
        table = whole.astype(np.int64, copy=True)
        table.flags.writeable = False
        object.__setattr__(self, "counts", table)

    @classmethod
    def zeros(cls, num_classes: int) -> RankCounts:
        """No samples yet: the start of a sum."""
        return cls(np.zeros(num_classes, dtype=np.int64))

    @classmethod
    def from_scores(cls, scores: object, target: object) -> RankCounts:
        """Count the ranks of the actual classes; arguments and errors as in `target_ranks`."""
        values = check_score_table(scores)
        return cls(np.bincount(target_ranks(values, target), minlength=values.shape[1]))

    @property
    def n(self) -> int:
        """All samples."""
        return int(self.counts.sum())

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.counts)

    def __add__(self, other: object) -> RankCounts:
        if not isinstance(other, RankCounts):
            return NotImplemented
        if self.num_classes != other.num_classes:
            raise EvidenceError(f"ranks among {self.num_classes} and among {other.num_classes} classes do not add up")
        if self.n + other.n > np.iinfo(np.int64).max:
            raise EvidenceError("the sum of these counts of ranks does not fit into int64")
        return RankCounts(self.counts + other.counts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RankCounts):
            return NotImplemented
        return np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash(self.counts.tobytes())

    def __reduce__(self) -> tuple[type[RankCounts], tuple[list[int]]]:
        return RankCounts, (self.counts.tolist(),)


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Scores:
    """The scores of samples with their actual classes, for metrics that need every score. `+` concatenates.

    Equality and hash do not depend on the order of the samples.

    Args:
        values: float32 or float64 (others are converted), all finite: shape [N], the score of the last of two classes,
            or [N, K], one score per class, comparable between samples (probabilities, not logits, where K > 2).
        target: the actual class of each sample, from 0 to K - 1, shape [N].
        num_classes: K, if it shall be checked.

    Raises:
        EvidenceError: shapes that do not match, a score that is NaN or infinite, a class out of range.
    """

    values: NDArray[Any]
    target: NDArray[Any]

    def __init__(self, values: object, target: object, num_classes: int | None = None) -> None:
        array = check_scores(values)
        if array.ndim == 2:
            check_score_table(array)
        elif array.ndim != 1:
            raise EvidenceError(f"scores must have the shape [N] or [N, K], not {list(array.shape)}")
        actual = whole_numbers(target, "target")
        check_same_length(actual, array if array.ndim == 1 else array[:, 0], "scores")
        columns = array.shape[1] if array.ndim == 2 else 2
        if num_classes not in (None, columns):
            raise EvidenceError(f"scores of shape {list(array.shape)} are of {columns} classes, not {num_classes}")
        check_range(actual, columns, "target")
        array = np.ascontiguousarray(array) + array.dtype.type(0)  # a copy, with -0.0 made 0.0
        actual = actual.astype(index_dtype(columns), copy=True)
        for kept in (array, actual):
            kept.flags.writeable = False
        object.__setattr__(self, "values", array)
        object.__setattr__(self, "target", actual)

    @classmethod
    def concatenate(cls, parts: Iterable[Scores]) -> Scores:
        """The samples of all parts, at least one, in one go; EvidenceError where their classes differ."""
        every = list(parts)
        if len({part.values.shape[1:] for part in every}) != 1:
            raise EvidenceError(
                f"scores of different shapes do not add up: {[list(part.values.shape) for part in every][:5]}"
            )
        return cls(np.concatenate([part.values for part in every]), np.concatenate([part.target for part in every]))

    @property
    def n(self) -> int:
        """All samples."""
        return len(self.target)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.values.shape[1] if self.values.ndim == 2 else 2

    @property
    def support(self) -> NDArray[np.int64]:
        """The samples of each actual class: int64 [K]."""
        return np.bincount(self.target, minlength=self.num_classes).astype(np.int64, copy=False)

    def of_class(self, index: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The scores [N] that speak for one class, and whether each sample is of it."""
        if self.values.ndim == 2:
            values = self.values[:, index]
        else:
            values = self.values if index == 1 else -self.values
        return values, self.target == index

    def take(self, order: NDArray[Any]) -> Scores:
        """The samples of these row numbers, in this order."""
        return Scores(self.values[order], self.target[order])

    def __add__(self, other: object) -> Scores:
        if not isinstance(other, Scores):
            return NotImplemented
        return Scores.concatenate((self, other))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scores):
            return NotImplemented
        if self.values.shape != other.values.shape or self.values.dtype != other.values.dtype:
            return False
        return np.array_equal(self._in_order(), other._in_order())

    def __hash__(self) -> int:
        return hash((self.values.shape, self.values.dtype, self.support.tobytes()))

    def __reduce__(self) -> tuple[type[Scores], tuple[NDArray[Any], NDArray[Any]]]:
        return Scores, (self.values, self.target)

    def __repr__(self) -> str:
        return f"<Scores of {self.n} samples, {self.num_classes} classes>"

    def _in_order(self) -> NDArray[Any]:
        """The samples in an order that depends on their content only: rows of scores and class."""
        table = self.values if self.values.ndim == 2 else self.values[:, None]
        order = np.lexsort((*table.T, self.target))
        return np.column_stack((self.target[order].astype(table.dtype), table[order]))


def target_ranks(scores: object, target: object) -> NDArray[np.int64]:
    """How many classes are scored above the actual one, for each sample: int64 [N], 0 where it comes first.

    A class tied with the actual one counts as above it only if its index is lower, so that rank 0 is what argmax with
    ties to the lowest index gives.

    Args:
        scores: logits or probabilities, shape [N, K], K at least 2.
        target: the actual class of each sample, from 0 to K - 1, shape [N].

    Raises:
        EvidenceError: another shape, a score that is NaN or infinite, a class out of range.

    >>> target_ranks([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]], [2, 1]).tolist()
    [1, 1]
    """
    values, actual = check_score_table(scores), whole_numbers(target, "target")
    check_same_length(actual, values[:, 0], "scores")
    check_range(actual, values.shape[1], "target")
    num_classes = values.shape[1]
    ranks = np.zeros(len(values), dtype=np.int64)
    step = max(1, CHUNK_OF_SCORES // num_classes)
    for start in range(0, len(values), step):
        chunk, own = values[start : start + step], actual[start : start + step].astype(np.intp)
        if not np.isfinite(chunk).all():
            check_scores(values)
        reached = np.take_along_axis(chunk, own[:, None], axis=1)
        above = (chunk > reached).view(np.uint8)
        for first in range(0, num_classes, 255):  # as many as a byte can count: sums of bytes are fast
            ranks[start : start + step] += np.einsum("ij->i", above[:, first : first + 255])
        tied = chunk == reached
        if np.count_nonzero(tied) > len(chunk):
            rows = np.flatnonzero(np.count_nonzero(tied, axis=1) > 1)
            before = np.arange(num_classes) < own[rows, None]
            ranks[start + rows] += np.count_nonzero(tied[rows] & before, axis=1)
    return ranks


def roc_auc(scores: object, positive: object) -> float | None:
    """The area under the ROC curve, exactly: the share of pairs in which the positive sample scores higher.

    Ties count one half (Mann and Whitney 1947). None where either kind of sample is missing.

    Args:
        scores: finite numbers, shape [N]; float32 and float64 are each compared as they are.
        positive: whether each sample is positive, bool or 0 and 1, shape [N].

    Raises:
        EvidenceError: shapes that do not match, a score that is NaN or infinite.

    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.75
    """
    ordered = _order(scores, positive)
    m, n = len(ordered.places), ordered.size - len(ordered.places)
    if m == 0 or n == 0:
        return None
    # Negative samples come first among equals: each pair of a tie is counted as a win, then half of it taken back.
    wins = int(ordered.places.sum()) - m * (m - 1) // 2
    halves = sum(int((tie.hits * (tie.sizes - tie.hits)).sum()) for tie in ordered.ties)
    return (2 * wins - halves) / (2 * m * n)


def average_precision(scores: object, positive: object) -> float | None:
    """The mean over all positive samples of the precision at their score, exactly; None without a positive sample.

    The sum of (R_i - R_(i-1)) P_i over all thresholds, without interpolation, as scikit-learn defines it.
    Arguments and errors as in `roc_auc`.

    >>> round(average_precision([0.1, 0.4, 0.35, 0.8], [False, False, True, True]), 12)
    0.833333333333
    """
    ordered = _order(scores, positive)
    m = len(ordered.places)
    if m == 0:
        return None
    precisions = np.arange(m, 0, -1) / (ordered.size - ordered.places)
    for tie in ordered.ties:
        first = tie.members[np.cumsum(tie.hits) - tie.hits]
        precisions[tie.members] = np.repeat((m - first) / (ordered.size - tie.starts), tie.hits)
    return float(precisions.sum() / m)


class _Ties(NamedTuple):
    """Groups of samples with equal scores that hold a positive one, in the order of the scores.

    Of each group: where it starts, its size and its positive samples; and which of all positive samples these are.
    """

    starts: NDArray[Any]
    sizes: NDArray[Any]
    hits: NDArray[Any]
    members: NDArray[Any]


class _Order(NamedTuple):
    """How many samples there are, the places of the positive ones in the order of the scores, and the ties."""

    size: int
    places: NDArray[Any]
    ties: list[_Ties]


def _order(scores: object, positive: object) -> _Order:
    """Sort the samples by score, negative samples before positive ones among equals."""
    values, truth = scores_and_truth(scores, positive)
    places: list[NDArray[Any]] = []
    ties: list[_Ties] = []
    size = before = 0
    for keys in packed_halves(values, truth):
        keys.sort()
        hits = (keys & keys.dtype.type(1)) != 0
        where = np.flatnonzero(hits)
        tie = _ties(keys >> keys.dtype.type(1), hits, where)
        if tie is not None:
            ties.append(tie._replace(starts=tie.starts + size, members=tie.members + before))
        places.append(where + size)
        size, before = size + len(keys), before + len(where)
    return _Order(size, np.concatenate(places), ties)


def _ties(ordered: NDArray[Any], hits: NDArray[np.bool_], where: NDArray[Any]) -> _Ties | None:
    """The ties in a sorted array, given which samples are positive, and where; None where there are none."""
    same = np.zeros(len(ordered) + 1, dtype=np.bool_)  # whether each is equal to the one before it
    np.equal(ordered[1:], ordered[:-1], out=same[1:-1])
    tied = same[:-1] | same[1:]
    members = np.flatnonzero(tied[where])
    if len(members) == 0:
        return None
    starts = np.flatnonzero(same[1:] > same[:-1])
    sizes = np.flatnonzero(same[:-1] > same[1:]) - starts + 1
    counts = np.add.reduceat(hits[tied], np.cumsum(sizes) - sizes, dtype=np.intp)
    some = counts > 0
    return _Ties(starts[some], sizes[some], counts[some], members)


def scores_and_truth(scores: object, positive: object) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Scores as floats [N], not yet known to be finite, and bool [N]; EvidenceError where they do not fit together."""
    values, truth = as_floats(scores), to_numpy(positive)
    if truth.dtype.kind != "b":
        truth = whole_numbers(truth, "positive")
        check_range(truth, 2, "positive")
        truth = truth.astype(np.bool_)
    check_same_length(truth, values, "scores")
    return values, truth


def packed_halves(values: NDArray[Any], truth: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Scores and labels as unsigned keys, those of the negative scores and then the others, unsorted.

    A float's bits grow with its magnitude. Without the sign there is room for the label in the lowest bit.
    """
    if not np.isfinite(values).all():
        check_scores(values)
    word = np.dtype(f"u{values.dtype.itemsize}")
    one = word.type(1)
    bits = np.ascontiguousarray(values).view(word)
    below = values < 0
    if not below.any():
        return [(bits << one) | truth]  # the shift drops the sign of -0.0
    halves = []
    for part, flip in ((np.flatnonzero(below), True), (np.flatnonzero(~below), False)):
        keys = bits[part]
        if flip:
            np.invert(keys, out=keys)
        keys <<= one
        keys |= truth[part]
        halves.append(keys)
    return halves
