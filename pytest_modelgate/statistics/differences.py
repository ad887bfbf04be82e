"""The difference between two estimates of independent samples, from the bounds of each."""

from __future__ import annotations

__tracebackhide__ = True

import math

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.interval import Interval


def difference_interval(first: float, of_first: Interval, second: float, of_second: Interval) -> Interval:
    """Bounds for the difference first - second of two estimates from independent samples.

    Each estimate's variance is read off the bound on the side that the difference's bound depends on, and the two add
    up: lower = d - sqrt((first - l1)^2 + (u2 - second)^2), upper = d + sqrt((u1 - first)^2 + (second - l2)^2), as skew
    as those of the two. Called square-and-add by Newcombe (1998, method 10) and MOVER by Zou and Donner (2008).

    Args:
        first, second: the estimates, finite.
        of_first, of_second: their bounds, all one-sided at the same confidence, which is then the difference's; they
            hold their estimates and may be infinite.

    Raises:
        EvidenceError: an estimate that is not finite, or bounds that do not hold it.

    Newcombe's example (a), 56 of 70 against 48 of 80, from Wilson's bounds:

    >>> lower, upper = difference_interval(0.8, Interval(0.6918, 0.8769), 0.6, Interval(0.4904, 0.7004))
    >>> f"{lower:.3f} to {upper:.3f}"
    '0.052 to 0.334'
    """
    for estimate, (lower, upper) in ((first, of_first), (second, of_second)):
        if not math.isfinite(estimate):
            raise EvidenceError(f"a difference is taken of finite numbers, not of {estimate!r}")
        if not lower <= estimate <= upper:
            raise EvidenceError(f"bounds of {lower!r} to {upper!r} do not hold their estimate {estimate!r}")
    difference = first - second
    below = math.hypot(first - of_first.lower, of_second.upper - second)
    above = math.hypot(of_first.upper - first, second - of_second.lower)
    return Interval(difference - below, difference + above)
