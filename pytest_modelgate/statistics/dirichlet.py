"""The bounds of any statistic of weighted cells: by draws with one more sample, or by the delta method.

Sources: Walley (1996), Inferences from multinomial data: learning about a bag of marbles; Efron (1982), The jackknife,
the bootstrap and other resampling plans, for the delta method and the bias.
"""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from pytest_modelgate.statistics.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Whole: TypeAlias = NDArray[np.intp]

MarginMetric: TypeAlias = "Callable[[Floats, Floats, Floats], Floats]"
"""A metric of (right, actual, predicted), each [..., K]: diagonal, row sums and column sums. NaN where undefined."""

SEED = 20_240_607
FEWEST_DRAWS, MOST_DRAWS, MOST_GAMMAS = 2_000, 20_000, 1_000_000
"""A table is drawn as often as so many Gamma variables allow, within the limits."""
TAIL_DRAWS = 20
"""At a higher confidence: so many draws beyond the bound, if that takes no more than ..."""
TAIL_GAMMAS, TAIL_LIMIT = 50_000_000, 500_000
ADDED = 4
"""For how many of the worst cells, and of the best, one more sample is tried."""
RANKED, PROMISING = 1_000, 8
"""So many cells are ranked one by one; of more cells only those in the most promising rows and columns."""
LEAST_SHARE = 1e-6
"""Samples below which differences would be nothing but rounding; such cells hardly count."""
BLOCK = 1 << 18
"""How many numbers a step holds at once."""


class Limits(NamedTuple):
    """What bounds the bounds: the range of the statistic, and the confidence of each."""

    lowest: float
    highest: float
    confidence: float

    def bounds(self, values: Floats) -> Interval:
        """The smallest lower and the largest upper quantile of the rows; undefined values are the worst for each.

        At most a share of 1 - confidence of a row lies beyond its quantile; too few draws for that prove nothing.
        """
        beyond = math.floor((1 - self.confidence) * values.shape[-1])
        if beyond == 0:
            return Interval(self.lowest, self.highest)
        unknown, last = np.isnan(values), values.shape[-1] - beyond
        lower = np.partition(np.where(unknown, self.lowest, values), beyond - 1, axis=-1)[:, beyond - 1].min()
        upper = np.partition(np.where(unknown, self.highest, values), last, axis=-1)[:, last].max()
        return Interval(float(lower), float(upper))

    def around(self, estimate: float, bounds: Interval) -> Interval:
        """The bounds, within the metric's range and never across the estimate."""
        lower, upper = min(bounds.lower, estimate), max(bounds.upper, estimate)
        return Interval(max(lower, self.lowest), min(upper, self.highest))

    def draws(self, least: int, cells: int) -> int:
        """At least so many draws, and more where the bounds lie far out in the tail."""
        wanted = math.ceil(TAIL_DRAWS / (1 - self.confidence))
        return max(least, min(wanted, TAIL_LIMIT, TAIL_GAMMAS // cells))


class Design(NamedTuple):
    """A statistic of weighted cells, where each cell adds its weight to some of `size` margins.

    Attributes:
        weights: [C] of the cells that have any.
        parts: [C, P] the margins of each cell; `size` stands for none.
        size: how many margins there are.
        evaluate: from margins [..., size] to the statistic; NaN where undefined.
    """

    weights: Floats
    parts: Whole
    size: int
    evaluate: Callable[[Floats], Floats]

    def margins(self) -> Floats:
        flat = np.zeros(self.size + 1)
        np.add.at(flat, self.parts, self.weights[:, np.newaxis])
        return flat

    def with_added(self, parts: Whole, amounts: Floats | float = 1.0) -> Floats:
        """The statistic with so much more of a cell, for each row of `parts`."""
        base, rows = self.margins(), max(1, BLOCK // self.size)
        amounts, found = np.broadcast_to(amounts, len(parts)), np.empty(len(parts))
        for start in range(0, len(parts), rows):
            some = slice(start, start + rows)
            margins = np.tile(base, (len(parts[some]), 1))
            margins[np.arange(len(margins))[:, np.newaxis], parts[some]] += amounts[some, np.newaxis]
            with np.errstate(all="ignore"):
                found[some] = self.evaluate(margins[:, : self.size])
        return found

    def off_diagonal(self, rows: Whole, columns: Whole) -> Whole:
        """The parts of cells i, j with i != j, made of those of row i and of column j; of many only promising ones."""
        few = len(rows) ** 2 <= RANKED
        first, second = (np.arange(len(of)) if few else _ends(self.with_added(of), PROMISING) for of in (rows, columns))
        i, j = (grid.ravel() for grid in np.meshgrid(first, second, indexing="ij"))
        i, j = i[i != j], j[i != j]
        return np.concatenate([rows[i], columns[j]], axis=1)


def _ends(values: Floats, how_many: int) -> Whole:
    """Where the smallest and the largest values are; NaN is neither."""
    order = np.argsort(values, kind="stable")[: np.count_nonzero(~np.isnan(values))]
    return order if len(order) <= 2 * how_many else np.concatenate([order[:how_many], order[-how_many:]])


def drawn_bounds(design: Design, additions: Whole, limits: Limits, draws: int | None, seed: int) -> Interval:
    """Quantiles of the statistic under Gamma(weights), with one Exponential at the best or worst of the `additions`.

    See `pytest_modelgate.statistics.composites.dirichlet_interval`, which says why.
    """
    with np.errstate(all="ignore"):
        estimate = float(design.with_added(additions[:1], 0.0)[0])
        added = additions[_ends(design.with_added(additions), ADDED)]
        if not math.isfinite(estimate) or not len(added):
            return Interval(limits.lowest, limits.highest)
        cells = len(design.weights)
        draws = draws or limits.draws(min(MOST_DRAWS, max(FEWEST_DRAWS, MOST_GAMMAS // cells)), cells)
        rng, values = np.random.default_rng(seed), np.empty((1 + len(added), draws))
        step = max(256, 2 * BLOCK // design.size)
        for start in range(0, draws, step):
            block = values[:, start : start + step]
            margins = np.zeros((design.size + 1, block.shape[1]))
            for weight, parts in zip(design.weights.tolist(), design.parts.tolist(), strict=True):
                drawn = rng.standard_gamma(weight, block.shape[1])
                for part in parts:
                    margins[part] += drawn
            one_more = rng.standard_exponential(block.shape[1])
            block[0] = design.evaluate(margins[:-1].T)
            for row, parts in zip(block[1:], added, strict=True):
                without = margins[parts]
                margins[parts] += one_more
                row[:] = design.evaluate(margins[:-1].T)
                margins[parts] = without
        lower, upper = limits.bounds(values[1:])
        known = values[0, np.isfinite(values[0])]
        twice_the_bias = 2 * (float(known.mean()) - estimate) if len(known) else 0.0
        outwards = Interval(lower - max(twice_the_bias, 0.0), upper - min(twice_the_bias, 0.0))
        return limits.around(estimate, outwards)


def slopes_of(weights: Floats, actual: Whole, predicted: Whole, k: int, metric: MarginMetric) -> tuple[Floats, float]:
    """For each cell, how fast the metric changes with its weight; and how far the estimate is off on average.

    By differences for more and for less of each diagonal cell, of each row's errors and of each column's. Counts vary
    by as much as they are large, so the bias is half the sum of counts times second derivatives.
    """
    same = actual == predicted
    right = np.bincount(actual[same], weights[same], minlength=k)
    missed, false = (np.bincount(of[~same], weights[~same], minlength=k) for of in (actual, predicted))
    design = Design(
        weights=weights,
        parts=parts_of_cells(actual, predicted, k, 3 * k),
        size=3 * k,
        evaluate=lambda margins: metric(*np.split(margins, 3, axis=-1)),
    )
    diagonal = parts_of_cells(np.arange(k), np.arange(k), k, 3 * k)
    slopes, bias = np.zeros((3, k)), 0.0
    for slope, parts, share, total in (
        (slopes[0], diagonal, right, right + np.minimum(missed, false)),
        (slopes[1], diagonal[:, 1:2], missed, right + missed),
        (slopes[2], diagonal[:, 2:3], false, right + false),
    ):
        some = share > LEAST_SHARE
        step = np.minimum(total / 1000, share)[some]
        more, middle, less = (design.with_added(parts[some], sign * step) for sign in (1, 0, -1))
        slope[some] = (more - less) / (2 * step)
        bias += 0.5 * float((share[some] * ((more - middle) - (middle - less)) / step**2).sum())
    return np.where(same, slopes[0, actual], slopes[1, actual] + slopes[2, predicted]), bias


def delta_bounds(design: Design, additions: Whole, limits: Limits, slopes: Floats, bias: float, seed: int) -> Interval:
    """The estimate less its bias, with a normal error, and with one Exponential of the worst, or the best, sample.

    The variance is the sum of counts times squared slopes; slopes and bias as of `slopes_of`. Draws of large tables
    cost more, and need the bias all the same: of 100 classes with 20 samples each they miss in 20% of cases.
    """
    with np.errstate(all="ignore"):
        estimate = float(design.with_added(additions[:1], 0.0)[0])
        effects = design.with_added(additions) - estimate
        error = math.sqrt(float((design.weights * slopes**2).sum()))
        if not math.isfinite(estimate + bias + error) or np.isnan(effects).all():
            return Interval(limits.lowest, limits.highest)
        rng, draws = np.random.default_rng(seed), limits.draws(MOST_DRAWS, 1)
        noise, one_more = rng.standard_normal(draws) * error, rng.standard_exponential(draws)
        extremes = np.array([[min(np.nanmin(effects), 0.0)], [max(np.nanmax(effects), 0.0)]])
        return limits.around(estimate, limits.bounds(estimate - bias + noise + one_more * extremes))


def parts_of_cells(actual: Whole, predicted: Whole, k: int, nowhere: int) -> Whole:
    """The margins of cells of a [k, k] table, in right, actual, predicted: [C, 3]. An error is nowhere right."""
    return np.stack([np.where(actual == predicted, actual, nowhere), k + actual, 2 * k + predicted], axis=1)
