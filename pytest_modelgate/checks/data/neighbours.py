"""Rows of one set that lie nearer to a row of another than the data explain."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_modelgate.statistics.fisher import fisher_greater
from pytest_modelgate.statistics.nearness import expected_nearer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST_ROWS = 10
NEAR = 0.25
_SINGLE = 4
_BLOCK = 1 << 22
_FAR = 1e9
_EQUAL = 1e-12


class Nearness(NamedTuple):
    """What distances between two sets showed.

    Attributes:
        usual: the median distance of a training row to the nearest other one, in `unit`.
        unit: "standard deviations", or "the features' own units".
        near: how many of `of` test rows are nearer to a training row than a quarter of that.
        within, of_within: how many training rows are so near to another one, of how many.
        p: Fisher's p-value that the test set has no larger share of them, or that of the nearest row, if smaller.
        rows, neighbours: the test rows that are nearer than luck explains, and the training row of each.
    """

    usual: float
    unit: str
    near: int
    of: int
    within: int
    of_within: int
    p: float
    rows: NDArray[np.int64]
    neighbours: NDArray[np.int64]


def nearness(train: Floats, test: Floats, level: float) -> Nearness | str:
    """Which rows of `test` [M, D] are near-duplicates of rows of `train` [N, D]; or why that cannot be judged.

    Distances are Euclidean, judged twice, each at half of `level`: in the standard deviations of the training set,
    and in the features' own units, in which noise of one size stays small beside features that hardly vary, such as
    the pixels at the border of an image. A feature that is constant in the training set counts where test rows
    differ in it, such as a category that only some of them have, in the median deviation of the others; one that is
    constant in both sets is left out. A row is near where it lies nearer than a quarter of the median distance
    between nearest training rows. Near rows are taken for duplicates where they are more frequent than within the
    training set (Fisher's test at `level`, in which two training rows stand for one, since they are each other's
    neighbours), and single ones where luck puts a row so near in fewer than `level` / 4 of such sets; see
    `expected_nearer`.

    Args:
        train, test: finite rows, of which none of `test` equals one of `train`, and no two of `train` are equal.
        level: how often an alarm may be false, about.
    """
    if len(train) < LEAST_ROWS:
        few = f"only {len(train):,} different training row{'s' * (len(train) != 1)}"
        return f"{few}, too few to know what is near (from {LEAST_ROWS} on)"
    largest = np.abs(train).max(axis=0)
    unit = np.where(largest > 0, largest, 1)
    train = train / unit
    centre, spread = train.mean(axis=0), train.std(axis=0)
    varied = spread > _EQUAL
    if not varied.any():
        return "every feature is constant in the training data"
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.where(varied, spread, np.maximum(np.median((spread * unit)[varied]) / unit, _EQUAL))
        test = test / unit - centre
        used = varied | (test.max(axis=0) - test.min(axis=0) > _EQUAL)
        test = np.where(varied | (np.abs(test) > _EQUAL), test, 0)[:, used]
        train = np.where(varied, train - centre, 0)[:, used]
        own = unit[used] / np.sqrt(np.mean(np.square((spread * unit)[used])))
        found = [
            _judged(train * scale, np.clip(test * scale, -_FAR, _FAR), level / 2, name)
            for scale, name in ((1 / spread[used], "standard deviations"), (own, "the features' own units"))
        ]
    return max(found, key=lambda one: (len(one.rows), -one.p))._replace(p=min(1.0, 2 * min(one.p for one in found)))


def _judged(train: Floats, test: Floats, level: float, unit: str) -> Nearness:
    """The same in one unit: rows [N, D] and [M, D]."""
    within, _ = _nearest(train, train, same=True)
    usual = float(np.median(within))
    distances, places = _nearest(test, train)
    near = distances < NEAR * usual
    hits, among = int(np.count_nonzero(near)), int(np.count_nonzero(within < NEAR * usual))
    p = fisher_greater(hits, len(test), -(-among // 2), -(-len(train) // 2))
    found = near & (p <= level)
    if hits:
        expected = expected_nearer(distances, within, _free(test, train, places))
        least = float(expected[near].min())
        if not p <= level:
            found = near & (expected <= level) & (least * _SINGLE <= level)
        p = min(p, least * _SINGLE)
    rows = np.flatnonzero(found)
    return Nearness(usual, unit, hits, len(test), among, len(train), p, rows, places[rows])


def _free(test: Floats, train: Floats, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """In how many features each test row can differ from its neighbour.

    A feature of few values, such as a count, is often equal by chance: it counts where it differs. One that hardly
    repeats counts always.
    """
    varied = np.array([2 * len(np.unique(column)) > len(column) for column in train.T])
    differing = np.zeros(len(test), dtype=np.int64)
    for start in range(0, len(test), step := max(1, _BLOCK // train.shape[1])):
        rows = slice(start, start + step)
        differing[rows] = ((test[rows] != train[places[rows]]) | varied).sum(axis=1)
    return np.maximum(differing, 1)


def _nearest(queries: Floats, rows: Floats, *, same: bool = False) -> tuple[Floats, NDArray[np.int64]]:
    """The distance of each query to the nearest row, and its number; where `same`, other than itself.

    Candidates come from products in float32, in blocks of bounded size; their distances are exact.
    """
    single = rows.astype(np.float32)
    squares = np.einsum("ij,ij->i", single, single)
    doubled = np.ascontiguousarray(-2 * single.T)
    distances, places = np.empty(len(queries)), np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), step := max(1, _BLOCK // len(rows))):
        block = queries[start : start + step]
        table = block.astype(np.float32) @ doubled
        table += squares
        if same:
            table[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        best = table.argmin(axis=1)
        places[start : start + step] = best
        distances[start : start + step] = np.sqrt(np.square(block - rows[best]).sum(axis=1))
    return np.maximum(distances, 1e-150), places
