"""Two models on the same samples: tests and bounds for the difference of their shares of right answers."""

from __future__ import annotations

__tracebackhide__ = True

import math
import operator
from typing import Literal, SupportsIndex

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics.interval import Interval, check_level, normal_quantile
from pytest_modelgate.statistics.proportions import tail_at_least

WORST_PAIR = 0.25  # how much of a pair that speaks against a bound is added before the bound is taken


def mcnemar_mid_p(losses: SupportsIndex, wins: SupportsIndex) -> float:
    """One-sided mid-p of McNemar's test: small where the losses outnumber the wins by more than chance explains.

    P(X > losses) + P(X = losses) / 2 for X of the binomial distribution with losses + wins trials and p = 1/2.
    Source: Fagerland, Lydersen and Laake (2013). Without any pair that differs it is 1/2.

    Args:
        losses: pairs that only the reference got right.
        wins: pairs that only the candidate got right.

    Raises:
        EvidenceError: where a count is negative or no whole number.

    >>> mcnemar_mid_p(0, 0), mcnemar_mid_p(2, 0)
    (0.5, 0.125)
    """
    losses, wins = _checked(losses, wins)
    trials = losses + wins
    at_least = tail_at_least(losses, trials, 0.5)
    more = tail_at_least(losses + 1, trials, 0.5) if losses < trials else 0.0
    return (at_least + more) / 2


def tango_z(losses: SupportsIndex, wins: SupportsIndex, pairs: SupportsIndex, difference: float) -> float:
    """Tango's score for the hypothesis that the candidate's share of right answers is the baseline's + `difference`.

    Under the hypothesis it is about standard normal; it is large where the candidate is better than that. Source:
    Tango (1998). The two extremes, a difference of -1 or 1, are refuted for certain by any pair against them (an
    infinite score). A score of 0 / 0 is 0: nothing speaks against the hypothesis.

    Args:
        losses: pairs that only the baseline got right.
        wins: pairs that only the candidate got right.
        pairs: all pairs.
        difference: candidate - baseline, from -1 to 1.

    Raises:
        EvidenceError: unless losses, wins >= 0 and losses + wins <= pairs, or where the difference is out of range.

    >>> round(tango_z(0, 3, 40, -0.1), 6), round(tango_z(9, 4, 200, -0.02), 6)
    (2.788867, -0.281459)
    """
    losses, wins, pairs = _checked_pairs(losses, wins, pairs)
    if not -1.0 <= difference <= 1.0:
        raise EvidenceError(f"a difference of two shares must lie between -1 and 1, not {difference!r}")
    return _score(losses, wins, pairs, difference)


def tango_interval(
    losses: SupportsIndex,
    wins: SupportsIndex,
    pairs: SupportsIndex,
    confidence: float = 0.95,
    *,
    worst_pair: float = WORST_PAIR,
) -> Interval:
    """Bounds for the candidate's share of right answers minus the baseline's, each one-sided at `confidence`.

    The differences that Tango's score does not refute, after a quarter of a pair that speaks against the bound was
    added. Without that quarter (`worst_pair=0`, Tango 1998) the lower bound errs in up to 6.7% and the upper in up to
    9.7% of cases, where few pairs differ. Over no pairs it is (-1, 1): nothing is known.

    Args:
        losses: pairs that only the baseline got right.
        wins: pairs that only the candidate got right.
        pairs: all pairs.
        confidence: between 0 and 1, of each bound.
        worst_pair: how much of a pair is added to the losses for the lower bound, to the wins for the upper.

    Raises:
        EvidenceError: unless losses, wins >= 0 and losses + wins <= pairs.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = tango_interval(9, 4, 200)
    >>> f"{lower:.3f} to {upper:.3f}"
    '-0.060 to 0.007'
    """
    losses, wins, pairs = _checked_pairs(losses, wins, pairs)
    check_level(confidence)
    if pairs == 0:
        return Interval(-1.0, 1.0)
    upper = -_lower_bound(wins, losses, pairs, confidence, worst_pair)
    return Interval(_lower_bound(losses, wins, pairs, confidence, worst_pair), upper)


def judge_pairs(
    losses: SupportsIndex, wins: SupportsIndex, pairs: SupportsIndex, margin: float = 0.0, confidence: float = 0.95
) -> Literal[-1, 0, 1]:
    """Is the candidate worse than the baseline by more than the margin? 1 proved that it is not, -1 that it is, else 0.

    Without a margin McNemar's mid-p test, both ways: 1 says that the candidate is better (Fagerland, Lydersen and
    Laake 2013). With a margin Tango's score (1998) with a quarter of a pair that speaks against the word added:
    1 says that the candidate - baseline exceeds -margin, and the lower bound of `tango_interval` is then at
    least -margin. Another win never makes the word worse, another loss never better.

    Args:
        losses: pairs that only the baseline got right.
        wins: pairs that only the candidate got right.
        pairs: all pairs.
        margin: how much of the share of right answers may be lost, from 0 to below 1.
        confidence: between 0 and 1, of either word.

    Raises:
        EvidenceError: unless losses, wins >= 0 and losses + wins <= pairs.
        BarError: where the margin or the confidence is out of range.

    >>> judge_pairs(31, 9, 1000), judge_pairs(9, 4, 200, margin=0.02), judge_pairs(0, 3, 200, margin=0.02)
    (-1, 0, 1)
    """
    losses, wins, pairs = _checked_pairs(losses, wins, pairs)
    check_level(confidence)
    if not 0.0 <= margin < 1.0:
        raise BarError(f"a margin must be at least 0 and below 1, such as 0.02, not {margin!r}")
    if margin == 0:
        alpha = 1.0 - confidence
        better = mcnemar_mid_p(losses=wins, wins=losses) <= alpha
        worse = mcnemar_mid_p(losses=losses, wins=wins) <= alpha
    else:
        z = normal_quantile(confidence)
        better = _score(losses + WORST_PAIR, wins, pairs + WORST_PAIR, -margin) >= z
        worse = _score(losses, wins + WORST_PAIR, pairs + WORST_PAIR, -margin) <= -z
    if better == worse:  # neither, or both at a confidence below one half
        return 0
    return 1 if better else -1


def _score(losses: float, wins: float, pairs: float, difference: float) -> float:
    """Tango's score. Of a negative difference with the models swapped, which keeps the sums free of cancellation."""
    if difference < 0:
        return 0.0 - _score(wins, losses, pairs, -difference)
    d = difference
    # q is the likeliest share of losses under the hypothesis: the upper root of a q^2 + b q + c.
    a, b, c = 2.0 * pairs, -losses - wins + (2.0 * pairs - wins + losses) * d, -losses * d * (1.0 - d)
    root = math.sqrt(b * b - 4.0 * a * c)
    if b > 0:
        q = -2.0 * c / (b + root)
    else:
        q = (root - b) / (2.0 * a) if pairs else 0.0
    deviation = wins - losses - pairs * d
    spread = math.sqrt(pairs * (2.0 * q + d * (1.0 - d)))
    if spread > 0:
        return deviation / spread
    return math.copysign(math.inf, deviation) if deviation else 0.0


def _lower_bound(losses: int, wins: int, pairs: int, confidence: float, worst_pair: float) -> float:
    """The smallest difference that is not refuted. The score falls as the difference grows: halve 60 times."""
    z = normal_quantile(confidence)
    below, above = -1.0, 1.0
    for _ in range(60):
        middle = (below + above) / 2
        if _score(losses + worst_pair, wins, pairs + worst_pair, middle) >= z:
            below = middle
        else:
            above = middle
    return below


def _checked(losses: SupportsIndex, wins: SupportsIndex) -> tuple[int, int]:
    try:
        losses, wins = operator.index(losses), operator.index(wins)
    except TypeError:
        raise EvidenceError(f"counts of pairs must be whole numbers: {losses!r} losses, {wins!r} wins") from None
    if losses < 0 or wins < 0:
        raise EvidenceError(f"counts of pairs must not be negative: {losses} losses, {wins} wins")
    return losses, wins


def _checked_pairs(losses: SupportsIndex, wins: SupportsIndex, pairs: SupportsIndex) -> tuple[int, int, int]:
    losses, wins = _checked(losses, wins)
    try:
        pairs = operator.index(pairs)
    except TypeError:
        raise EvidenceError(f"the number of pairs must be a whole number, not {pairs!r}") from None
    if losses + wins > pairs:
        raise EvidenceError(f"{losses} losses and {wins} wins are more than {pairs} pairs")
    return losses, wins, pairs
