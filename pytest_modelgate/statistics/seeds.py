"""Several trainings, one test set: bounds for what a training with another seed would score."""

from __future__ import annotations

__tracebackhide__ = True

import math
import operator
from collections.abc import Sequence
from typing import SupportsIndex

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics.effective import clopper_pearson_effective, variance_penalty
from pytest_modelgate.statistics.interval import Interval, check_level, student_quantile

FEWEST = 3  # seeds: two say next to nothing about their spread


def over_seeds_interval(shares: Sequence[float], size: float, confidence: float = 0.95) -> Interval:
    """Bounds for the mean of a proportion over seeds, from models that were judged on the same samples.

    The variance of the mean m of S shares is s^2 / S + m (1 - m) / n: another seed, and another test set, whose luck
    all the models share (Bouthillier et al. 2021). So many samples tell as much: n_eff = m (1 - m) / variance, times
    (z / t)^2 with Satterthwaite's degrees of freedom (1946); then Clopper and Pearson's bounds (1934) for m of n_eff,
    which unlike m -+ t se stay between 0 and 1 and do not claim certainty where every model is flawless. Where the
    spread between seeds is as large as 1 - m the lower bound errs in up to 11% of cases (m -+ t se: 20%).

    Args:
        shares: from 0 to 1, one for each seed.
        size: the number of samples that each share is taken over, or their effective number.
        confidence: between 0 and 1, of each bound.

    Raises:
        EvidenceError: where there are fewer than 3 shares, one is out of range, or the size is not positive.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = over_seeds_interval([0.92, 0.95, 0.93, 0.94, 0.91], 1000)
    >>> f"{lower:.3f} to {upper:.3f}"
    '0.909 to 0.948'
    """
    found = _checked(shares, "a share")
    check_level(confidence)
    if not all(0.0 <= share <= 1.0 for share in found):
        raise EvidenceError(f"a share must lie between 0 and 1, not {next(x for x in found if not 0.0 <= x <= 1.0)!r}")
    if not 0.0 < size < math.inf:
        raise EvidenceError(f"the number of samples must be positive, not {size!r}")
    mean, of_seeds = _mean_and_variance(found)
    of_samples = mean * (1.0 - mean) / size
    if of_samples <= 0.0:
        return clopper_pearson_effective(mean, size, confidence)
    degrees = _satterthwaite([(of_seeds, len(found) - 1.0), (of_samples, max(1.0, size - 1.0))])
    effective = mean * (1.0 - mean) / (of_seeds + of_samples) * variance_penalty(confidence, degrees)
    return clopper_pearson_effective(mean, effective, confidence)


def values_over_seeds_interval(
    values: Sequence[float], variances: Sequence[float], degrees: float, confidence: float = 0.95
) -> Interval | None:
    """Bounds for the mean of any metric over seeds, from models that were judged on the same samples.

    m -+ t sqrt(s^2 / S + v), v the mean of the sampling variances: the models share the luck of their test set, so it
    does not average out. t is Student's, with Satterthwaite's degrees of freedom (1946).

    Args:
        values: the metric, one for each seed.
        variances: the sampling variance of each value over test sets.
        degrees: the degrees of freedom of such a variance, at least 1; `math.inf` where it is known.
        confidence: between 0 and 1, of each bound.

    Returns:
        The bounds, or None where neither the seeds nor the samples show any spread: that is no certainty.

    Raises:
        EvidenceError: where there are fewer than 3 values, as many variances are not given, one is negative, any is
            not finite, or the degrees are below 1.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = values_over_seeds_interval([0.40, 0.44, 0.42], [0.0001, 0.0001, 0.0001], 999)
    >>> f"{lower:.3f} to {upper:.3f}"
    '0.390 to 0.450'
    """
    found = _checked(values, "a value")
    spreads = _checked(variances, "a variance")
    check_level(confidence)
    if len(found) != len(spreads):
        raise EvidenceError(f"{len(found)} values need as many variances, not {len(spreads)}")
    if min(spreads) < 0.0:
        raise EvidenceError(f"a variance must not be negative: {min(spreads)!r}")
    if not degrees >= 1.0:
        raise EvidenceError(f"degrees of freedom must be at least 1, not {degrees!r}")
    mean, of_seeds = _mean_and_variance(found)
    of_samples = math.fsum(spreads) / len(spreads)
    if of_seeds + of_samples <= 0.0:
        return None
    combined = _satterthwaite([(of_seeds, len(found) - 1.0), (of_samples, degrees)])
    reach = student_quantile(confidence, combined) * math.sqrt(of_seeds + of_samples)
    return Interval(mean - reach, mean + reach)


def seeds_prove(clean_seeds: SupportsIndex, confidence: float = 0.95) -> float:
    """The share of trainings that so many seeds prove to pass, if every one of them passed: (1 - confidence)^(1 / S).

    Raises:
        EvidenceError: without any seed.
        BarError: unless 0 < confidence < 1.

    >>> [round(seeds_prove(count), 2) for count in (5, 29, 59)]
    [0.55, 0.9, 0.95]
    """
    count = operator.index(clean_seeds)
    check_level(confidence)
    if count < 1:
        raise EvidenceError(f"the number of seeds must be positive, not {count}")
    return float((1.0 - confidence) ** (1.0 / count))


def seeds_needed(share: float, seeds: SupportsIndex) -> int:
    """How many of so many seeds are at least a share of them.

    Raises:
        BarError: unless 0 < share <= 1.
        EvidenceError: without any seed.

    >>> seeds_needed(0.8, 5), seeds_needed(0.8, 3), seeds_needed(0.01, 5)
    (4, 3, 1)
    """
    count = operator.index(seeds)
    number = isinstance(share, (int, float)) and not isinstance(share, bool)
    if not number or not 0.0 < share <= 1.0:
        meant = f"; was {share / 100:g} meant?" if number and 1 < share <= 100 else ""
        raise BarError(f"share={share!r} is not a share of the seeds: give a number above 0, up to 1{meant}")
    if count < 1:
        raise EvidenceError(f"the number of seeds must be positive, not {count}")
    return max(1, math.ceil(share * count - 1e-9))


def confidences_of_seeds(needed: SupportsIndex, seeds: SupportsIndex, confidence: float = 0.95) -> tuple[float, float]:
    """How sure one must be of single seeds, to say that at least `needed` of them meet a bar, or that fewer do.

    If fewer do, k + 1 = seeds - needed + 1 or more do not, and to count `needed` proofs all the same takes a wrong one
    among them: each at a level of alpha / (k + 1) makes that at most alpha. If `needed` do, more than k refutations
    take a wrong one among those, each at alpha / needed. The seeds need not be independent: they share a test set.
    With needed = seeds it is the intersection-union test one way, and Bonferroni's correction the other. Source: the
    partial conjunction test of Benjamini and Heller (2008).

    Returns:
        The confidence of each proof that a seed meets the bar, and of each that one does not.

    Raises:
        EvidenceError: unless 1 <= needed <= seeds.
        BarError: unless 0 < confidence < 1.

    >>> [tuple(round(each, 4) for each in confidences_of_seeds(needed, 5)) for needed in (5, 4)]
    [(0.95, 0.99), (0.975, 0.9875)]
    """
    wanted, count = operator.index(needed), operator.index(seeds)
    check_level(confidence)
    if not 1 <= wanted <= count:
        raise EvidenceError(f"of {count} seeds {wanted} cannot be needed")
    alpha = 1.0 - confidence
    return 1.0 - alpha / (count - wanted + 1), 1.0 - alpha / wanted


def _checked(numbers: Sequence[float], what: str) -> list[float]:
    found = [float(number) for number in numbers]
    if len(found) < FEWEST:
        raise EvidenceError(f"{len(found)} seeds say too little about their spread: give at least {FEWEST}")
    for number in found:
        if not math.isfinite(number):
            raise EvidenceError(f"{what} must be a finite number, not {number!r}")
    return found


def _mean_and_variance(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the variance of the mean."""
    if min(values) == max(values):
        return values[0], 0.0
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)


def _satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """The degrees of freedom of a sum of variances, each given with its own: their squares add up."""
    total = math.fsum(variance for variance, _ in parts)
    shares = [((variance / total) ** 2, degrees) for variance, degrees in parts]
    spread = math.fsum(share / degrees for share, degrees in shares)
    return 1.0 / spread if spread > 0.0 else math.inf
