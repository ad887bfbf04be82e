"""Bounds for a mean of skewed values, such as losses."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.interval import Interval, check_level, student_quantile
from pytest_modelgate.statistics.resampling import canonical_order

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEAST_SAMPLES = 50  # below this many (after Kish) the skewness cannot be estimated
LEAST_GROUPS = 10
DRAWS = 20_000
MOST_DRAWN = 500  # units that are weighted one by one in each draw


def mean_interval(
    values: ArrayLike,
    *,
    confidence: float = 0.95,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    largest: float | None = None,
    smallest: float | None = None,
) -> Interval | None:
    """Bounds for the mean of a population that these values are a sample of, each one-sided at `confidence`.

    From 50 samples or 10 groups on, Student's t corrected for skewness (Hall 1992). With fewer, or where all values are
    the same, only if the range of values is known: the Bayesian bootstrap (Rubin 1981) with one more sample at the end
    of the range. A known end of the range also holds the bound beyond what an unseen part of the population there could
    do, as exact bounds do for a flawless proportion. For a difference on the same samples, pass the differences.

    Args:
        values: [N], in any order.
        weights: [N], finite, none negative, not all zero; samples then count after Kish (1965).
        groups: int [N]; samples of a group depend on each other, groups do not (the mean is then a ratio of sums).
        largest: the greatest value that there could be, if known.
        smallest: the least value that there could be, if known; 0 where only `largest` is given.

    Returns:
        None where nothing can be said: no values, an infinite one, or too few of unknown range.

    Raises:
        EvidenceError: a value that is NaN or out of the range, or arrays of different lengths.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = mean_interval(np.arange(100) / 100)
    >>> f"{lower:.3f} to {upper:.3f}"
    '0.447 to 0.543'
    """
    check_level(confidence)
    if largest is not None and smallest is None:
        smallest = 0.0
    x, w, codes = _checked(values, weights, groups, smallest, largest)
    if len(x) == 0 or not (np.isfinite(x[0]) and np.isfinite(x).all()):
        return None
    units = _units(x, w, codes)
    enough = units.size >= (LEAST_SAMPLES if codes is None else LEAST_GROUPS) - 1e-9
    if units.varies and enough:
        found = _hall(units, confidence)
    elif largest is None or smallest is None:
        return None
    elif units.varies:
        found = _bounded(units, confidence, smallest, largest)
    else:
        found = Interval(units.mean, units.mean)
    # So many samples can miss an end of the range that this part of the population lies at.
    missed = 1 - (1 - confidence) ** (1 / units.size)
    lower, upper = found
    if smallest is not None:
        lower = max(smallest, min(lower, units.mean - missed * (units.mean - smallest)))
    if largest is not None:
        upper = min(largest, max(upper, units.mean + missed * (largest - units.mean)))
    return Interval(lower, upper)


class _Units(NamedTuple):
    """Independent units, samples or groups, in an order that depends on their content only.

    Attributes:
        mean: of all samples, weighted.
        residuals: what each unit adds to the mean beyond its share of it, [U]; they sum to 0.
        shares: each unit's part of the weight, [U] summing to 1, or None where all are the same.
        size: how many equal units would tell as much (Kish).
        varies: whether any residual is more than rounding.
    """

    mean: float
    residuals: NDArray[np.float64]
    shares: NDArray[np.float64] | None
    size: float
    varies: bool


def _units(x: NDArray[np.float64], w: NDArray[np.float64] | None, codes: NDArray[np.int64] | None) -> _Units:
    """Samples, or groups of them; all sums are taken in an order that depends on the content only."""
    if w is None and codes is None:
        x = np.sort(x)
        mean = float(x.mean())
        mean += float((x - mean).mean())  # accurate where the mean is huge and the spread is small
        residuals, scale = x - mean, max(abs(x[0]), abs(x[-1]))
        varies = bool(max(mean - x[0], x[-1] - mean) > 16 * np.finfo(np.float64).eps * scale)
        return _Units(mean, residuals / len(x), None, float(len(x)), varies)
    if w is None:
        w = np.ones(len(x))
    order = canonical_order(x, w)
    x, w = x[order], w[order] / w.max()
    total = float(w.sum())
    mean = float((w * x).sum()) / total
    mean += float((w * (x - mean)).sum()) / total
    residuals, shares = w * (x - mean) / total, w / total
    if codes is not None:
        numbers = np.unique(codes[order], return_inverse=True)[1].reshape(-1)
        residuals, shares = (
            np.asarray(np.bincount(numbers, weights=terms), dtype=np.float64) for terms in (residuals, shares)
        )
        order = canonical_order(residuals, shares)
        residuals, shares = residuals[order], shares[order]
    rounding = 16 * np.finfo(np.float64).eps * float(np.abs(x).max())
    varies = bool((np.abs(residuals) > rounding * shares).any())
    return _Units(mean, residuals, shares, 1 / float((shares**2).sum()), varies)


def _hall(units: _Units, confidence: float) -> Interval:
    """Student's t with Hall's cubic correction: m - s h(t) and m - s h(-t), with
    h(q) = (3 / g) (cbrt(1 + g (q / sqrt(n) - g / (6 n))) - 1), written with the mean's own error s / sqrt(n) and
    skewness g / sqrt(n), so that it holds for weights and groups too."""
    square = float((units.residuals**2).sum())
    error = (square * units.size / (units.size - 1)) ** 0.5
    scaled = units.residuals / square**0.5
    skewness = float((scaled * scaled * scaled).sum())
    t = student_quantile(confidence, units.size - 1)

    def corrected(q: float) -> float:
        if abs(skewness) < 1e-6:  # the limit; the next term is below 1e-6 of it
            return q
        return 3 / skewness * (float(np.cbrt(1 + skewness * (q - skewness / 6))) - 1)

    return Interval(units.mean - error * corrected(t), units.mean - error * corrected(-t))


def _bounded(units: _Units, confidence: float, smallest: float, largest: float) -> Interval:
    """The Bayesian bootstrap with one more unit of usual weight, at the greatest or at the least possible value."""
    residuals = units.residuals
    shares = np.full(len(residuals), 1 / len(residuals)) if units.shares is None else units.shares
    if len(shares) > MOST_DRAWN:  # the lightest are taken together
        order = np.lexsort((residuals, shares))[::-1]
        starts = np.arange(MOST_DRAWN)
        residuals, shares = (np.add.reduceat(array[order], starts) for array in (residuals, shares))
    rng = np.random.default_rng(0)
    drawn = rng.standard_exponential((DRAWS, len(shares)))
    added = rng.standard_exponential(DRAWS) / units.size
    sums, weight = np.einsum("ij,j->i", drawn, residuals), np.einsum("ij,j->i", drawn, shares) + added
    low, high = ((sums + added * (end - units.mean)) / weight for end in (smallest, largest))
    return Interval(
        units.mean + float(np.quantile(low, 1 - confidence)),
        units.mean + float(np.quantile(high, confidence)),
    )


def _checked(
    values: ArrayLike,
    weights: ArrayLike | None,
    groups: ArrayLike | None,
    smallest: float | None,
    largest: float | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.int64] | None]:
    """All as arrays of one length, without samples of no weight."""
    x = np.asarray(values, dtype=np.float64)
    w = None if weights is None else np.asarray(weights, dtype=np.float64)
    codes = None if groups is None else np.asarray(groups, dtype=np.int64)
    lengths = [len(array) for array in (x, w, codes) if array is not None]
    if len(set(lengths)) != 1:
        raise EvidenceError(f"values, weights and groups differ in length: {lengths}")
    if np.isnan(x).any():
        raise EvidenceError(f"the mean of {len(x):,} values is not a number: {int(np.isnan(x).sum()):,} are NaN")
    if w is not None:
        if not (np.isfinite(w).all() and (w >= 0).all() and (len(w) == 0 or w.max() > 0)):
            raise EvidenceError("weights must be finite, none negative, and not all zero")
        if not w.all():
            x, codes = x[w > 0], None if codes is None else codes[w > 0]
            w = w[w > 0]
    for end, least in ((smallest, True), (largest, False)):
        if end is not None and len(x) and (x.min() < end if least else x.max() > end):
            seen, words = (x.min(), "least") if least else (x.max(), "greatest")
            raise EvidenceError(f"the {words} possible value is given as {end!r}, but there is a {float(seen)!r}")
    return x, w, codes
