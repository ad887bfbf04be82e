"""Bounds for a proportion that hold at every look at a test set that grows."""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections.abc import Callable
from typing import SupportsIndex

from pytest_modelgate.statistics.interval import Interval, check_level
from pytest_modelgate.statistics.proportions import checked_counts

# The beta mixture's parameters. With 1/2 a flawless run of n pays a factor of about sqrt(pi n), with 1 (the uniform
# mixture) one of n + 1: gates live near 1, where 1/2 gives the tighter bounds.
MIXTURE = 0.5


def anytime_interval(hits: SupportsIndex, trials: SupportsIndex, confidence: float = 0.95) -> Interval:
    """Bounds for a proportion, each one-sided at `confidence` over all looks together, however often one looks.

    M(p) = B(1/2 + hits, 1/2 + misses) / (B(1/2, 1/2) p^hits (1 - p)^misses) is a martingale in the number of trials
    where p is the truth, and so exceeds 1 / alpha at any look at all in at most alpha of cases (Ville 1939). The bounds
    are the ends of {p: M(p) < 1 / alpha}, alpha = 1 - confidence: both together err in at most alpha of cases.
    Source: Howard, Ramdas, McAuliffe and Sekhon (2021), after Robbins (1970). The trials must be independent, and come
    in an order that does not depend on their outcomes. Over no trials it is (0, 1): nothing is known.

    Args:
        hits: from 0 to trials, so far.
        trials: so far, up to about 1e9.
        confidence: between 0 and 1.

    Raises:
        EvidenceError: unless 0 <= hits <= trials.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = anytime_interval(36, 40)
    >>> f"{lower:.3f} to {upper:.3f}"
    '0.689 to 0.988'
    """
    hits, trials = checked_counts(hits, trials)
    check_level(confidence)
    if trials == 0:
        return Interval(0.0, 1.0)
    from scipy.special import betaln

    misses = trials - hits
    mixture = float(betaln(MIXTURE + hits, MIXTURE + misses) - betaln(MIXTURE, MIXTURE))
    least = mixture + math.log(1.0 - confidence)  # the smallest log-likelihood that is not refuted

    def allowed(p: float) -> bool:
        likelihood = hits * math.log(p) if hits else 0.0
        likelihood += misses * math.log1p(-p) if misses else 0.0
        return likelihood > least

    best = hits / trials
    lower = _edge(allowed, outside=0.0, inside=best) if hits else 0.0
    upper = _edge(allowed, outside=1.0, inside=best) if misses else 1.0
    return Interval(lower, upper)


def _edge(allowed: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where `allowed` changes between a point outside and one inside, by halving; the result lies outside."""
    while True:
        middle = (outside + inside) / 2
        if middle in (outside, inside):
            return outside
        if allowed(middle):
            inside = middle
        else:
            outside = middle
