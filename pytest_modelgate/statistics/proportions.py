"""Exact bounds and tests for proportions."""

from __future__ import annotations

__tracebackhide__ = True

import operator
from typing import NamedTuple, SupportsIndex

from pytest_modelgate.exceptions import BarError, EvidenceError


class Interval(NamedTuple):
    """Two one-sided bounds: the truth is below `lower`, or above `upper`, each in at most `1 - confidence` of cases."""

    lower: float
    upper: float


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
    hits, trials = _checked(hits, trials)
    if not 0.0 < confidence < 1.0:
        raise BarError(f"confidence must lie between 0 and 1, such as 0.95, not {confidence!r}")
    from scipy.special import betaincinv

    lower = float(betaincinv(hits, trials - hits + 1, 1.0 - confidence)) if hits > 0 else 0.0
    upper = float(betaincinv(hits + 1, trials - hits, confidence)) if hits < trials else 1.0
    return Interval(lower, upper)


def tail_at_least(hits: SupportsIndex, trials: SupportsIndex, p: float) -> float:
    """P(X >= hits) for X of the binomial distribution with `trials` and `p`: how often such luck comes by chance.

    Raises:
        EvidenceError: unless 0 <= hits <= trials and 0 <= p <= 1.

    >>> tail_at_least(2, 2, 0.5)
    0.25
    """
    hits, trials = _checked(hits, trials)
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
    hits, trials = _checked(hits, trials)
    _check_probability(p)
    if hits == trials:
        return 1.0
    from scipy.special import betaincc

    return float(betaincc(hits + 1, trials - hits, p))


def mcnemar_mid_p(losses: SupportsIndex, wins: SupportsIndex) -> float:
    """One-sided mid-p of McNemar's test: small where the losses outnumber the wins by more than chance explains.

    P(X > losses) + P(X = losses) / 2 for X of the binomial distribution with losses + wins trials and p = 1/2.
    Source: Fagerland, Lydersen and Laake (2013). Without any pair that differs it is 1/2.

    Args:
        losses: pairs that only the reference got right.
        wins: pairs that only the candidate got right.

    Raises:
        EvidenceError: where a count is negative.

    >>> mcnemar_mid_p(0, 0), mcnemar_mid_p(2, 0)
    (0.5, 0.125)
    """
    losses, wins = operator.index(losses), operator.index(wins)
    if losses < 0 or wins < 0:
        raise EvidenceError(f"counts of pairs must not be negative: {losses} losses, {wins} wins")
    trials = losses + wins
    at_least = tail_at_least(losses, trials, 0.5)
    more = tail_at_least(losses + 1, trials, 0.5) if losses < trials else 0.0
    return (at_least + more) / 2


def _checked(hits: SupportsIndex, trials: SupportsIndex) -> tuple[int, int]:
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
