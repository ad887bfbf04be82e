"""How many trials it takes to prove or refute a bar for a proportion: exact, by the binomial distribution.

A true proportion above the bar can be proved to be at least the bar, one below it to be at most the bar, so that the
truth's side says which of the two is meant. The power of an exact test rises with the number of trials in a sawtooth
(Chernick and Liu 2002): a size counts as enough only where no larger one falls short.
"""

from __future__ import annotations

__tracebackhide__ = True

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics.interval import check_level

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Counts = NDArray[np.int64]

CHUNK = 512
MOST_TRIALS = 10**10
"""More trials are taken for so many: the inverse beta function fails from 1e12 on."""


def power_of_proportion(trials: ArrayLike, bar: float, truth: float, *, confidence: float = 0.95) -> Any:
    """The probability that so many independent trials prove on which side of the bar the truth lies.

    For a truth above the bar, P(X >= k) under the truth, k being the least count with P(X >= k) <= 1 - confidence
    under the bar (Clopper and Pearson 1934); for a truth below the bar the same of P(X <= k). At the bar it is 0.

    Args:
        trials: whole numbers from 0, one or an array.
        bar, truth: proportions between 0 and 1.
        confidence: between 0 and 1, one-sided.

    Returns:
        A float, or float64 of the shape of `trials`.

    Raises:
        EvidenceError: a bar or truth outside 0 to 1, or a negative number of trials.
        BarError: unless 0 < confidence < 1.

    >>> round(power_of_proportion(593, 0.90, 0.93), 3), round(power_of_proportion(40, 0.90, 0.93), 3)
    (0.833, 0.055)
    """
    _check(bar, truth)
    check_level(confidence)
    n = np.asarray(trials, dtype=np.int64)
    if (n < 0).any():
        raise EvidenceError("the number of trials must not be negative")
    power = _power(np.atleast_1d(n).ravel(), bar, truth, confidence).reshape(n.shape)
    return power if n.ndim else float(power)


@functools.lru_cache(maxsize=4096)
def samples_to_settle(
    bar: float, truth: float, *, confidence: float = 0.95, power: float = 0.8, limit: int = 1_000_000
) -> int | None:
    """The least number of trials from which on the power to prove on which side of the bar the truth lies is enough.

    Every larger number has at least this power too. None where `truth` is the bar, or beyond `limit`.

    Raises:
        EvidenceError: a bar or truth outside 0 to 1.
        BarError: unless 0 < confidence < 1 and 0 < power < 1.

    >>> samples_to_settle(0.90, 0.93), samples_to_settle(0.90, 1.0), samples_to_settle(0.90, 0.90)
    (593, 29, None)
    """
    _check(bar, truth)
    check_level(confidence)
    _check_power(power)
    if truth == bar:
        return None
    last = _surely_enough(bar, truth, confidence, power, 4 * limit + 1000)
    if last is None:
        return None
    size = CHUNK
    while last > 0:
        n = np.arange(max(1, last - size + 1), last + 1)
        short = np.flatnonzero(_power(n, bar, truth, confidence) < power)
        if short.size:
            last = int(n[short[-1]])
            break
        last, size = int(n[0]) - 1, 2 * size
    return last + 1 if last < limit else None


def provable_from(trials: int, bar: float, *, confidence: float = 0.95, power: float = 0.8) -> float | None:
    """The least true proportion that so many trials prove to be at least the bar, with this power; None where none.

    >>> round(provable_from(593, 0.90), 3), provable_from(28, 0.90)
    (0.929, None)
    """
    return _resolved(trials, bar, confidence, power, below=False)


def refutable_from(trials: int, bar: float, *, confidence: float = 0.95, power: float = 0.8) -> float | None:
    """The greatest true proportion that so many trials prove to be at most the bar, with this power; None where none.

    >>> round(refutable_from(593, 0.90), 3), refutable_from(0, 0.90)
    (0.866, None)
    """
    return _resolved(trials, bar, confidence, power, below=True)


def effective_pairs(rarer: int, auc: float) -> float:
    """How many coin flips of probability `auc` are as sure as the AUC of `rarer` samples and as many of the other kind.

    A(1 - A) over the variance of Hanley and McNeil (1982), for `rarer` from 1; for a flawless AUC just `rarer`.

    >>> round(effective_pairs(100, 0.9), 1)
    175.8
    """
    if auc in (0.0, 1.0):
        return float(rarer)
    return rarer * rarer / (1 + (rarer - 1) * _dependence(auc))


def auc_samples_to_settle(
    bar: float, truth: float, *, confidence: float = 0.95, power: float = 0.8, limit: int = 1_000_000
) -> int | None:
    """The size of the rarer class that proves on which side of the bar an area under the ROC curve lies.

    The least that makes as many effective pairs as a proportion needs trials, and never fewer than a flawless area
    needs; approximate, since real scores need not follow Hanley and McNeil. None as in `samples_to_settle`, which has
    the errors too.

    >>> auc_samples_to_settle(0.85, 0.90), auc_samples_to_settle(0.85, 1.0)
    (173, 19)
    """
    trials = samples_to_settle(bar, truth, confidence=confidence, power=power, limit=2 * limit)
    if trials is None or truth in (0.0, 1.0):
        return trials if trials is None or trials <= limit else None
    c = _dependence(truth)
    size = math.ceil((trials * c + math.sqrt(trials * c * trials * c + 4 * trials * (1 - c))) / 2)
    flawless = samples_to_settle(bar, float(truth > bar), confidence=confidence, power=power, limit=limit)
    return None if flawless is None or size > limit else max(size, flawless)


def _dependence(auc: float) -> float:
    """The sum of the two terms by which pairs that share a sample hang together, after Hanley and McNeil."""
    return (1 - auc) / (2 - auc) + auc / (1 + auc)


def _check(bar: float, truth: float) -> None:
    for name, value in (("bar", bar), ("true value", truth)):
        if not 0.0 <= value <= 1.0:
            raise EvidenceError(f"the {name} of a proportion must lie between 0 and 1, not {value!r}")


def _check_power(power: float) -> None:
    if not 0.0 < power < 1.0:
        raise BarError(f"power must lie between 0 and 1, such as 0.8, not {power!r}")


def _tail(k: Counts, n: Counts, p: float, below: bool) -> NDArray[np.float64]:
    """P(at least k of n) of hits or, `below`, of misses, where p is the probability of a hit; k up to n + 1."""
    from scipy.special import betainc, betaincc

    inside = np.clip(k, 1, n)
    tail = betaincc(n - inside + 1, inside, p) if below else betainc(inside, n - inside + 1, p)
    return np.where(k <= 0, 1.0, np.where(k > n, 0.0, tail))


def _needed(n: Counts, bar: float, confidence: float, below: bool) -> Counts:
    """The least count of hits (`below`: of misses) that proves the side, for each n >= 1; n + 1 where none does.

    A first guess after Cornish and Fisher, then steps until the exact tails agree.
    """
    from pytest_modelgate.statistics.interval import normal_quantile

    alpha = 1 - confidence
    p, z = (1 - bar if below else bar), normal_quantile(confidence)
    guess = n * p + z * np.sqrt(n * p * (1 - p)) + (z * z - 1) * (1 - 2 * p) / 6 + 0.5
    k: Counts = np.clip(np.ceil(guess), 1, n + 1).astype(np.int64)
    for step in (1, -1):
        moving = np.arange(len(n))
        while moving.size:
            at, of = k[moving], n[moving]
            if step == 1:
                moving = moving[_tail(at, of, bar, below) > alpha]
            else:
                moving = moving[(at > 1) & (_tail(at - 1, of, bar, below) <= alpha)]
            k[moving] += step
    return k


def _power(n: Counts, bar: float, truth: float, confidence: float) -> NDArray[np.float64]:
    power = np.zeros(n.shape)
    some = n > 0
    if truth != bar and some.any():
        below, n = truth < bar, n[some]
        power[some] = _tail(_needed(n, bar, confidence, below), n, truth, below)
    return power


def _surely_enough(bar: float, truth: float, confidence: float, power: float, limit: int) -> int | None:
    """A number of trials from which on the power never falls short; None beyond `limit`.

    The least whole count that proves is below kappa + 1, where kappa is the real number with just that tail. So the
    power is never below the tail at kappa + 1, which has no teeth: it is found by bisection.
    """
    from scipy.special import bdtrik, betainc

    p, true = (1 - bar, 1 - truth) if truth < bar else (bar, truth)

    def enough(n: int) -> bool:
        if p == 0:
            return bool(n * np.log1p(-true) <= np.log1p(-power)) if true < 1 else n >= 1
        kappa = float(bdtrik(confidence, n, p)) + 1
        return kappa < n and bool(betainc(kappa + 1, n - kappa, true) >= power)

    high = 2
    while not enough(high):
        if high >= limit:
            return None
        high = min(2 * high, limit)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _resolved(trials: int, bar: float, confidence: float, power: float, *, below: bool) -> float | None:
    from scipy.special import betaincinv

    _check(bar, bar)
    check_level(confidence)
    _check_power(power)
    if trials < 0:
        raise EvidenceError(f"the number of trials must not be negative: {trials}")
    if trials == 0:
        return None
    trials = min(trials, MOST_TRIALS)
    k = int(_needed(np.array([trials]), bar, confidence, below)[0])
    if k > trials:
        return None
    if below:
        return float(betaincinv(trials - k + 1, k, 1 - power))
    return float(betaincinv(k, trials - k + 1, power))
