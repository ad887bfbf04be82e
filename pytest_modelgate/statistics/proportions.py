"""Exact bounds and tests for proportions."""

from __future__ import annotations

__tracebackhide__ = True

import operator
from typing import SupportsIndex

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.interval import Interval, check_level

MOST_TRIALS = 1e10
"""More trials are taken for so many, which makes bounds wider: the inverse beta function fails from 1e12 on."""


def clopper_pearson(hits: SupportsIndex, trials: SupportsIndex, confidence: float = 0.95) -> Interval:
    """Exact bounds for a proportion of independent trials, each one-sided at `confidence`.

    Source: Clopper and Pearson (1934). Over no trials it is (0, 1): nothing is known.

    Raises:
        EvidenceError: unless 0 <= hits <= trials.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = clopper_pearson(12, 100)
    >>> f"{lower:.3f} to {upper:.3f}"
    '0.071 to 0.187'
    """
    hits, trials = checked_counts(hits, trials)
    check_level(confidence)
    from scipy.special import betaincinv

    found, missed = float(hits), float(trials - hits)
    if trials > MOST_TRIALS:
        found, missed = found * (MOST_TRIALS / trials), missed * (MOST_TRIALS / trials)
    lower = float(betaincinv(found, missed + 1.0, 1.0 - confidence)) if hits > 0 else 0.0
    upper = float(betaincinv(found + 1.0, missed, confidence)) if hits < trials else 1.0
    return Interval(lower, upper)


def tail_at_least(hits: SupportsIndex, trials: SupportsIndex, p: float) -> float:
    """P(X >= hits) for X of the binomial distribution with `trials` and `p`: how often such luck comes by chance.

    Raises:
        EvidenceError: unless 0 <= hits <= trials and 0 <= p <= 1.

    >>> tail_at_least(2, 2, 0.5)
    0.25
    """
    hits, trials = checked_counts(hits, trials)
    _check_probability(p)
    if hits == 0:
        return 1.0
    from scipy.special import betainc

    return float(betainc(hits, trials - hits + 1, p))


def tail_at_most(hits: SupportsIndex, trials: SupportsIndex, p: float) -> float:
    """P(X <= hits) for X of the binomial distribution with `trials` and `p`: how often such bad luck comes by chance.

    Raises:
        EvidenceError: unless 0 <= hits <= trials and 0 <= p <= 1.

    >>> tail_at_most(0, 2, 0.5)
    0.25
    """
    hits, trials = checked_counts(hits, trials)
    _check_probability(p)
    if hits == trials:
        return 1.0
    from scipy.special import betaincc

    return float(betaincc(hits + 1, trials - hits, p))


def checked_counts(hits: SupportsIndex, trials: SupportsIndex) -> tuple[int, int]:
    """Both as whole numbers; an `EvidenceError` unless 0 <= hits <= trials."""
    try:
        hits, trials = operator.index(hits), operator.index(trials)
    except TypeError:
        raise EvidenceError(f"hits and trials must be whole numbers, not {hits!r} of {trials!r}") from None
    if not 0 <= hits <= trials:
        raise EvidenceError(f"hits must lie between 0 and the number of trials, not {hits} of {trials}")
    return hits, trials


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise EvidenceError(f"a probability must lie between 0 and 1, not {p!r}")
