"""How far apart two samples' distributions are: of numbers, and of classes; with bounds, and p-values of no drift."""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.statistics.fisher import fisher_greater

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_EXPECTED = 5.0


class Shift(NamedTuple):
    """A distance from 0 to 1, two bounds, and how often it comes so large where nothing differs."""

    estimate: float
    lower: float
    upper: float
    p: float


def kolmogorov_shift(first: NDArray[Any], second: NDArray[Any], *, alpha: float, strict: float) -> Shift:
    """Kolmogorov and Smirnov's distance: by how much the shares of samples below any one value differ at most.

    With the limiting law, which is conservative for ties and for small samples. Missing values (NaN) count as one
    more value, above all others. The true distance lies as near to the estimate as the samples lie to their own
    distributions, which gives the bounds.

    Args:
        first, second: numbers, [N] and [M], neither empty.
        alpha: how often the upper bound may lie below the truth.
        strict: how often the lower bound may lie above it.

    >>> round(kolmogorov_shift(np.arange(100), np.arange(50, 150), alpha=0.05, strict=0.05).estimate, 9)
    0.5
    """
    from scipy.special import kolmogi, kolmogorov

    both = np.concatenate((first, second))
    order = np.argsort(both, kind="stable")
    ordered = both[order]
    steps = np.where(order < len(first), len(second), -len(first))  # whole numbers: one division at the end
    last = np.ones(len(both), dtype=bool)
    last[:-1] = ordered[1:] != ordered[:-1]
    if ordered.dtype.kind == "f":
        missing = np.isnan(ordered)
        last[:-1] &= ~(missing[1:] & missing[:-1])
    distance = int(np.abs(np.cumsum(steps)[last]).max()) / (len(first) * len(second))
    root = math.sqrt(len(first) * len(second) / len(both))
    lower = distance - float(kolmogi(strict)) / root
    upper = distance + float(kolmogi(alpha)) / root
    return Shift(distance, max(0.0, lower), min(1.0, upper), float(kolmogorov(root * distance)))


def class_shift(first: NDArray[Any], second: NDArray[Any], *, alpha: float, strict: float) -> Shift:
    """The total variation distance of class shares: the share of samples that would have to change class.

    The p-value is Fisher's exact one for two classes, else chi-square's, classes with fewer than 5 expected samples put
    together. The bounds are McDiarmid's
    (1989): one sample moves the distance by one over its set's size; and chance alone makes it as large as half the
    sum of the standard errors.

    Args:
        first, second: how many samples of each class, [K] each, neither all zero.
        alpha, strict: as in `kolmogorov_shift`.

    >>> round(class_shift(np.array([90, 10]), np.array([70, 30]), alpha=0.05, strict=0.05).estimate, 9)
    0.2
    """
    m, n = int(first.sum()), int(second.sum())
    p, q = first / m, second / n
    distance = float(np.abs(p - q).sum()) / 2
    chance = float(np.sqrt(p * (1 - p) / m + q * (1 - q) / n).sum()) / 2
    spread = math.sqrt((1 / m + 1 / n) / 2)
    lower = distance - chance - spread * math.sqrt(-math.log(strict))
    upper = distance + spread * math.sqrt(-math.log(alpha))
    return Shift(distance, max(0.0, lower), min(1.0, upper), _no_change(np.stack((first, second)).astype(np.float64)))


def _no_change(table: NDArray[np.float64]) -> float:
    """The p-value of equal shares in both rows: Pearson's chi-square, or Fisher's exact test for two classes."""
    from scipy.special import chdtrc

    table = table[:, table.sum(axis=0) > 0]
    sizes = table.sum(axis=1)
    rare = table.sum(axis=0) * (sizes.min() / sizes.sum()) < LEAST_EXPECTED
    if rare.any() and table.shape[1] > 2:
        table = np.column_stack((table[:, ~rare], table[:, rare].sum(axis=1)))
        columns = table.sum(axis=0)
        if columns.size > 2 and columns[-1] * (sizes.min() / sizes.sum()) < LEAST_EXPECTED:
            smallest = int(columns[:-1].argmin())  # what is still too rare joins the rarest of the others
            table[:, smallest] += table[:, -1]
            table = table[:, :-1]
    if table.shape[1] < 2:
        return 1.0
    if table.shape[1] == 2:
        return _fisher(table.astype(int).tolist())
    expected = np.outer(sizes, table.sum(axis=0)) / sizes.sum()
    return float(chdtrc(table.shape[1] - 1, float(((table - expected) ** 2 / expected).sum())))


def _fisher(table: list[list[int]]) -> float:
    """Twice the smaller tail of Fisher's exact test of two rows and two columns."""
    (a, b), (c, d) = table
    return min(1.0, 2 * min(fisher_greater(a, a + b, c, c + d), fisher_greater(c, c + d, a, a + b)))
