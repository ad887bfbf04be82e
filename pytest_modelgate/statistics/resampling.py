"""Bias-corrected and accelerated (BCa) bootstrap bounds (Efron 1987), for statistics without a method of their own.

They are approximate. Equal data give equal bounds: the rows are put into an order that depends on their content only.
"""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.interval import Interval, check_level, normal_quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

LEAST_UNITS = 20  # below this many samples (or groups) the bootstrap knows too little to speak
MOST_BLOCKS = 2_000  # of sums
MOST_JACKKNIFE = 200  # blocks left out in turn, where each costs a call of the statistic
MOST_TOUCHED = 200_000_000  # rows in all resamples together
LEAST_DRAWS = 500
MOST_UNDEFINED = 0.05  # the share of resamples without a value
LEAST_BEYOND = 0.01  # the share of resamples above the estimate, and below: an extreme has none on one side
COPIES = 10  # rows that stand for one, on average, where weights are given


def bca_interval(
    columns: Sequence[ArrayLike],
    statistic: Callable[..., float | None],
    *,
    confidence: float = 0.95,
    groups: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    draws: int = 2_000,
    seed: int = 0,
) -> Interval | None:
    """Approximate bounds for any statistic of samples, each one-sided at `confidence`.

    Source: Efron (1987); the acceleration by the jackknife, of at most 200 blocks of samples. Samples are drawn with
    replacement, whole groups where groups are given. A weight stands for that many copies of a sample (about 10 N rows
    in all, unless the weights are whole numbers with a smaller sum), drawn together.

    Resamples without a value (None, NaN or infinite) count against both bounds.

    Args:
        columns: arrays with one row a sample, [N] or [N, K].
        statistic: takes the columns, resampled alike, and returns a number, or None where it is undefined.
        groups: the group of each sample, int [N]; None where samples are independent.
        weights: [N], finite, none negative, not all zero; None where all count alike.
        draws: how many resamples; at most 2e8 rows are touched, and at least 500 resamples drawn.
        seed: of the draws.

    Returns:
        None with fewer than 20 samples or groups, where more than 5% of the resamples give no value, and where less
        than 1% lie above the estimate or below it: of a greatest error no resample knows a greater one.

    Raises:
        EvidenceError: columns of different lengths, or NaN in one.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = bca_interval([np.arange(100)], np.median)
    >>> bool(lower < 49.5 < upper)
    True
    """
    check_level(confidence)
    arrays = [np.asarray(column) for column in columns]
    codes, shares = _checked(arrays, groups, weights)
    order = canonical_order(*arrays, *(array for array in (codes, shares) if array is not None))
    arrays = [array[order] for array in arrays]
    codes = None if codes is None else codes[order]
    shares = None if shares is None else shares[order]
    if len(order) == 0:
        return None
    units = _units(len(order), codes, shares)
    count = len(units.starts)
    if count < LEAST_UNITS:
        return None

    def value(rows: NDArray[np.intp]) -> float:
        found = statistic(*(array[rows] for array in arrays))
        return np.nan if found is None else float(found)

    rng = np.random.default_rng(seed)
    draws = max(LEAST_DRAWS, min(draws, MOST_TOUCHED // len(units.members)))
    resamples = np.array([value(units.rows(rng.integers(count, size=count))) for _ in range(draws)])
    blocks = _blocks(count, MOST_JACKKNIFE, seed)
    kept = np.arange(count)
    left_out = np.array([value(units.rows(kept[blocks != block])) for block in range(int(blocks.max()) + 1)])
    return _bounds(value(units.rows(kept)), resamples, left_out, confidence)


def bca_of_sums(
    rows: ArrayLike,
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    confidence: float = 0.95,
    groups: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    draws: int = 2_000,
    seed: int = 0,
) -> Interval | None:
    """Approximate bounds for a smooth function of sums over samples, each one-sided at `confidence`.

    As `bca_interval`, but fast for any number of samples: more than 2,000 samples or groups are dealt at random into
    2,000 blocks of nearly equal size, and blocks are resampled.

    Args:
        rows: the terms of each sample, [N, D]; a count of samples is a column of ones.
        function: maps sums [..., D] to values [...]; NaN where undefined.
        weights: multiply the rows.
        groups, confidence, draws, seed: as in `bca_interval`, as is what is returned and raised.
    """
    check_level(confidence)
    table = np.asarray(rows, dtype=np.float64)
    codes, shares = _checked([table], groups, weights)
    order = canonical_order(table, *(array for array in (codes, shares) if array is not None))
    if len(order) == 0:
        return None
    table = table[order] if shares is None else table[order] * shares[order, None]
    if codes is not None:
        table = _sums_by(table, _numbered(codes[order]))
    if len(table) < LEAST_UNITS:
        return None
    table = _sums_by(table, _blocks(len(table), MOST_BLOCKS, seed))
    count, rng = len(table), np.random.default_rng(seed)
    sums = np.empty((draws, table.shape[1]))
    step = max(1, 500_000 // count)
    for first in range(0, draws, step):
        some = min(step, draws - first)
        drawn = rng.integers(count, size=(some, count)) + np.arange(some)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=some * count).reshape(some, count)
        sums[first : first + some] = np.einsum("ij,jd->id", times.astype(np.float64), table)
    total = table.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _bounds(float(function(total)), function(sums), function(total - table), confidence)


def canonical_order(*columns: NDArray[Any]) -> NDArray[np.intp]:
    """An order of the rows that depends on their content only, so not on the order in which they came.

    By 64-bit hashes of the rows: equal rows, which may come in any order, stand together; different rows share a hash
    once in 2**64 pairs.

    Args:
        columns: numeric or bool arrays [N] or [N, K] of one length.
    """
    key = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        kind = np.float64 if column.dtype.kind == "f" else np.int64
        for values in np.atleast_2d(column.T):
            key ^= (values.astype(kind) + kind(0)).view(np.uint64)  # -0.0 becomes 0.0
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # Steele, Lea and Flood 2014
                key ^= key >> np.uint64(shift)
                key *= np.uint64(factor)
            key += np.uint64(0x9E3779B97F4A7C15)
    return np.argsort(key)


class _Units(NamedTuple):
    """What is drawn: samples, or groups of rows. The rows of unit u are members[starts[u] : starts[u] + sizes[u]]."""

    members: NDArray[np.intp]
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]

    def rows(self, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows of the chosen units, one unit after the other."""
        if len(self.members) == len(self.starts):
            return self.members[chosen]
        sizes = self.sizes[chosen]
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1] if len(ends) else 0)
        return np.asarray(self.members[places + np.repeat(self.starts[chosen] - ends + sizes, sizes)])


def _units(count: int, codes: NDArray[np.int64] | None, weights: NDArray[np.float64] | None) -> _Units:
    """The units of so many rows in canonical order; those of no weight are left out."""
    copies = np.ones(count, dtype=np.intp) if weights is None else _copies(weights)
    numbers = np.arange(count) if codes is None else _numbered(codes)
    members = np.repeat(np.argsort(numbers, kind="stable"), copies[np.argsort(numbers, kind="stable")])
    sizes = np.bincount(numbers[members])
    sizes = sizes[sizes > 0].astype(np.intp)
    return _Units(members, np.cumsum(sizes) - sizes, sizes)


def _copies(weights: NDArray[np.float64]) -> NDArray[np.intp]:
    """How many rows stand for each weight: the weights if they are small whole numbers, else in proportion."""
    total, most = weights.sum(), COPIES * len(weights)
    if total <= most and (weights == np.floor(weights)).all():
        return weights.astype(np.intp)
    return np.asarray(np.diff(np.floor(np.cumsum(weights) * (most / total) + 0.5), prepend=0.0).astype(np.intp))


def _numbered(codes: NDArray[np.int64]) -> NDArray[np.intp]:
    """The codes as 0, 1, 2, ... in the order in which they first stand."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[inverse.reshape(-1)])


def _blocks(count: int, most: int, seed: int) -> NDArray[np.intp]:
    """The block of each of so many units: its own where there are at most so many, else dealt at random and evenly."""
    if count <= most:
        return np.arange(count)
    return np.random.default_rng((seed, count)).permutation(np.arange(count) % most)


def _sums_by(table: NDArray[np.float64], numbers: NDArray[np.intp]) -> NDArray[np.float64]:
    """The sums of the rows with each number, [numbers, D]."""
    return np.stack([np.bincount(numbers, weights=column) for column in table.T], axis=1)


def _bounds(
    estimate: float, resamples: NDArray[np.float64], left_out: NDArray[np.float64], confidence: float
) -> Interval | None:
    """BCa bounds from the statistic of the sample, of its resamples, and of the sample without each unit in turn."""
    from scipy.special import ndtr

    defined = np.sort(resamples[np.isfinite(resamples)])
    undefined = len(resamples) - len(defined)
    if not np.isfinite(estimate) or not np.isfinite(left_out).all() or undefined > MOST_UNDEFINED * len(resamples):
        return None
    if defined[-1] - defined[0] <= 1e-12 * max(abs(defined[0]), abs(defined[-1])):
        return None
    slack = 1e-12 * abs(estimate)  # a resample of the same value may add up in another order
    below = int(np.searchsorted(defined, estimate - slack, "left"))
    above = len(defined) - int(np.searchsorted(defined, estimate + slack, "right"))
    if min(below, above) < LEAST_BEYOND * len(defined):
        return None
    bias = normal_quantile((below + (len(defined) - above)) / (2 * len(defined)))
    pull = left_out.mean() - left_out
    square = float((pull**2).sum())
    acceleration = float((pull**3).sum()) / (6 * square**1.5) if square > 0 else 0.0
    levels = []
    for probability in (1 - confidence, confidence):
        z = bias + normal_quantile(probability)
        if acceleration * z >= 1:
            return None
        levels.append(float(ndtr(bias + z / (1 - acceleration * z))) * len(resamples))
    # Resamples without a value stand below all others for the lower bound, and above them for the upper one.
    lower, upper = levels[0] - undefined, levels[1]
    if lower < 0 or upper > len(defined):
        return None
    return Interval(*(float(np.quantile(defined, level / len(defined))) for level in (lower, upper)))


def _checked(
    arrays: list[NDArray[Any]], groups: ArrayLike | None, weights: ArrayLike | None
) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None]:
    """Groups and weights as arrays, if all has one length and nothing is NaN."""
    codes = None if groups is None else np.asarray(groups, dtype=np.int64)
    shares = None if weights is None else np.asarray(weights, dtype=np.float64)
    every = [*arrays, *(array for array in (codes, shares) if array is not None)]
    if len({len(array) for array in every}) != 1:
        raise EvidenceError(f"columns, groups and weights differ in length: {[len(array) for array in every]}")
    if any(array.dtype.kind == "f" and bool(np.isnan(array).any()) for array in every):
        raise EvidenceError("bounds need numbers, but some are NaN")
    return codes, shares
