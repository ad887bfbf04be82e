"""The largest difference between any two of several independent estimates."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.interval import Interval, check_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNKNOWN = Interval(-np.inf, np.inf)


def corrected_for_pairs(confidence: float, estimates: int) -> float:
    """The confidence at which each of K (K - 1) ordered pairs is tested, so that all together err as one (Bonferroni).

    >>> round(corrected_for_pairs(0.95, 5), 6)
    0.9975
    """
    check_level(confidence)
    if estimates < 2:
        raise EvidenceError(f"a gap is between two estimates or more, not {estimates}")
    return 1 - (1 - confidence) / (estimates * (estimates - 1))


def gap_interval(
    estimates: Sequence[float], plain: Sequence[Interval | None], surer: Sequence[Interval | None]
) -> Interval:
    """Bounds for the largest difference between any two of K estimates from independent samples, each one-sided.

    Each pair's difference has bounds by MOVER, see `difference_interval`. The largest difference is at most a value if
    every pair's is, so the upper bound is the largest of the pairs' upper bounds (intersection-union, Berger 1982). It
    exceeds a value if one pair's does: the lower bound is the largest of the pairs' lower bounds, each corrected for
    the number of pairs, and at least 0.

    Args:
        estimates: [K], finite; K is 2 or more.
        plain: [K], their bounds, each one-sided at the gap's confidence; None where there are none.
        surer: [K], their bounds at `corrected_for_pairs(confidence, K)`; None where there are none.

    Raises:
        EvidenceError: fewer than two estimates, one that is not finite, or bounds that do not hold their estimate.

    >>> bounds = [Interval(0.8, 0.9), Interval(0.7, 0.8), Interval(0.78, 0.88)]
    >>> lower, upper = gap_interval([0.85, 0.75, 0.83], bounds, bounds)
    >>> f"{lower:.3f} to {upper:.3f}"
    '0.029 to 0.171'
    """
    values = np.asarray(estimates, dtype=np.float64)
    if len(values) < 2:
        raise EvidenceError(f"a gap is between two estimates or more, not {len(values)}")
    if not np.isfinite(values).all():
        raise EvidenceError("a gap is between finite numbers")
    below, above = _sides(values, plain)
    under, over = _sides(values, surer)
    lower = upper = -np.inf
    for i, value in enumerate(values):
        others = np.arange(len(values)) != i
        difference = value - values[others]
        lower = max(lower, float((difference - np.hypot(under[i], over[others])).max()))
        upper = max(upper, float((difference + np.hypot(above[i], below[others])).max()))
    return Interval(max(lower, 0.0), upper)


def _sides(values: NDArray[np.float64], bounds: Sequence[Interval | None]) -> tuple[NDArray[np.float64], ...]:
    """How far each bound is from its estimate, below and above; infinitely where there is none."""
    if len(bounds) != len(values):
        raise EvidenceError(f"{len(bounds)} bounds for {len(values)} estimates: give them for each")
    table = np.asarray([_UNKNOWN if one is None else one for one in bounds], dtype=np.float64)
    below, above = values - table[:, 0], table[:, 1] - values
    if not ((below >= 0) & (above >= 0)).all():
        raise EvidenceError("bounds must hold their estimate")
    return below, above
