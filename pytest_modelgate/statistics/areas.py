"""Bounds for areas under curves of scores: ROC-AUC and average precision, by an effective number of samples.

An area is turned into a proportion of as many trials as would have its variance, never more than a second, steadier
variance allows; the proportion's exact bounds are the area's. The variance comes from influence values: how much each
sample moves the area. They are computed from the counts (or weights) of positive and negative samples at each distinct
score, in ascending order of the scores.
"""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.interval import Interval, check_level, normal_quantile, student_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ONE_BY_ONE = 100  # of the lowest and of the highest influences; the sum of those between is all but normal


class Area(NamedTuple):
    """An area and its derivatives by the weight of one sample of either kind at each distinct score, float64 [L].

    A sample's influence is its weight times the derivative; the influences of all samples add up to 0. The sum of
    `own` times weight squared over the positive samples is most of how much the estimate is too high on average.
    """

    value: float
    of_positive: NDArray[np.float64]
    of_negative: NDArray[np.float64]
    own: NDArray[np.float64] | None = None


def roc_auc_area(positives: NDArray[Any], negatives: NDArray[Any]) -> Area:
    """ROC-AUC and its derivatives: DeLong's placement values, from one cumulative sum over the distinct scores.

    A pair in which the positive sample scores higher counts 1, a tie 1/2. Sources: DeLong, DeLong and Clarke-Pearson
    (1988); Sun and Xu (2014).

    Args:
        positives: the count or weight of the positive samples at each distinct score, ascending, shape [L].
        negatives: the same of the negative samples. Both kinds have a sum above 0.

    >>> roc_auc_area(np.array([0, 1, 1]), np.array([1, 1, 0])).value
    0.875
    """
    hits, misses = np.asarray(positives, dtype=np.float64), np.asarray(negatives, dtype=np.float64)
    above, below = np.cumsum(hits), np.cumsum(misses)
    m, n = float(above[-1]), float(below[-1])
    by_positive = below - misses / 2  # won by a positive sample: the negatives below, and half of those level with it
    by_negative = (
        m - above + hits / 2
    )  # lost by a negative sample: the positives above, and half of those level with it
    won, lost = float((hits * by_positive).sum()), float((hits * (n - by_positive)).sum())
    value = won / (won + lost)  # exactly 0 or 1 where it is, whatever the weights
    return Area(value, (by_positive / n - value) / m, (by_negative / m - value) / n)


def average_precision_area(positives: NDArray[Any], negatives: NDArray[Any]) -> Area:
    """Average precision and its derivatives; arguments as in `roc_auc_area`.

    With a and b the positive and negative weight scored at least as high, it is the mean of a / (a + b) over the
    positive samples. One more positive sample adds its own term, and raises the precision at and below its score by
    b / (a + b)**2; one more negative sample lowers it there by a / (a + b)**2. The estimate is biased upwards, since
    each positive sample counts itself in its own a, which raises its term by b / (a + b)**2 as well.

    >>> round(average_precision_area(np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0])).value, 12)
    0.833333333333
    """
    hits, misses = np.asarray(positives, dtype=np.float64), np.asarray(negatives, dtype=np.float64)
    m = float(hits.sum())
    above, false = np.cumsum(hits[::-1])[::-1], np.cumsum(misses[::-1])[::-1]
    both = above + false
    both[both <= 0.0] = np.inf  # scores above all weight: no sample that counts is there
    precision = above / both
    value = min(1.0, float((hits * precision).sum()) / m)
    moved = hits / both
    lost = np.cumsum(moved * precision)
    gained = np.cumsum(moved) - lost
    return Area(value, (precision - value + gained) / m, lost / -m, (1 - precision) / both / m)


def hanley_mcneil_variance(auc: float, positives: float, negatives: float) -> float:
    """The variance of a ROC-AUC of two exponential distributions; source: Hanley and McNeil (1982).

    Args:
        auc: from 0 to 1; below 1/2 as well.
        positives: how many positive samples, above 0 (an effective number may be a fraction).
        negatives: how many negative samples.

    >>> round(hanley_mcneil_variance(0.9, 10, 100), 6)
    0.004384
    """
    _check_area(auc)
    if not (positives > 0 and negatives > 0):
        raise EvidenceError(f"numbers of samples must be above 0, not {positives!r} and {negatives!r}")
    spread = auc * (1 - auc)
    # With fewer than one (effective) sample of a kind there are no pairs that share one: never a negative term.
    of_positives = max(0.0, positives - 1) * spread * (1 - auc) / (2 - auc)
    of_negatives = max(0.0, negatives - 1) * spread * auc / (1 + auc)
    return (spread + of_positives + of_negatives) / (positives * negatives)


def effective_size(area: float, variance: float, cap_variance: float, fewest: float) -> float:
    """How many independent trials know as much: min(A(1-A) / variance, max(A(1-A) / cap_variance, fewest)).

    The measured variance collapses where hardly an error was seen, hence the cap. An area of 0 or 1 counts as `fewest`.
    """
    _check_area(area)
    spread = area * (1 - area)
    if spread <= 0.0:
        return fewest
    most = max(spread / cap_variance, fewest) if cap_variance > 0 else fewest
    return min(spread / variance, most) if variance > 0 else most


def auc_effective_size(auc: float, positives: float, negatives: float, delong_variance: float) -> float:
    """The effective number of samples of a ROC-AUC, by DeLong's variance, at most that of Hanley and McNeil's.

    Theirs is the larger one of both ways around: which kind is called positive proves nothing. An area of 0 or 1 is
    worth as many trials as there are samples of the rarer kind.

    >>> auc_effective_size(1.0, 10, 100, 0.0)
    10
    """
    cap = auc_cap(auc, positives, negatives)
    return effective_size(auc, delong_variance, cap, min(positives, negatives))


def auc_cap(auc: float, positives: float, negatives: float) -> float:
    """Hanley and McNeil's variance or, if larger, the one with the numbers of the two kinds exchanged."""
    around = hanley_mcneil_variance(auc, negatives, positives)
    return max(hanley_mcneil_variance(auc, positives, negatives), around)


def one_more_interval(area: float, kinds: Sequence[tuple[Floats, Floats]], confidence: float = 0.95) -> Interval:
    """Bounds for a ROC-AUC as if one more sample of either kind had come, the worst one possible (or the best).

    Few samples of a kind may hold none of the errors that occur, and then no variance shows them. The bounds are
    quantiles of the Bayesian bootstrap (Rubin 1981) of a kind's placement values a with weights w, and one more of
    value 0, or 1, and of the usual weight e = sum of w**2: of sum(d w a) / (sum(d w) + e x), where d and x are
    exponentially distributed. Such a quantile t is where sum(d w (a - t)) - e x t is negative with probability
    1 - confidence, which Lugannani and Rice's (1980) saddlepoint approximation finds, in Barndorff-Nielsen's form.

    Args:
        area: above 0 and below 1.
        kinds: for one kind or both, w (a - area) of each sample (or group of samples), sum 0, and w, sum 1: [M] each.
        confidence: of each of the two one-sided bounds.

    >>> lower, upper = one_more_interval(0.99, [(np.array([-0.09] + [0.01] * 9) / 10, np.full(10, 0.1))])
    >>> round(lower, 2), round(upper, 2)
    (0.73, 1.0)
    """
    check_level(confidence)
    if not 0.0 < area < 1.0:
        raise EvidenceError(f"an area must lie between 0 and 1, not {area!r}")
    below = [_Sum.of(area, moved, shares) for moved, shares in kinds]
    above = [_Sum.of(1 - area, -moved, shares) for moved, shares in kinds]
    bounds = _quantiles(below + above, 1 - confidence)
    return Interval(float(bounds[: len(below)].min()), float(1 - bounds[len(below) :].min()))


class _Sum(NamedTuple):
    """The steps w (a - t) of one bootstrap as moved + (area - t) held, with one more of value 0 as the last.

    Of many steps, the sum of those in the middle is taken as normal: their sum, and their products' sums [2, 2].
    """

    area: float
    moved: Floats
    held: Floats
    total: Floats
    products: Floats

    @classmethod
    def of(cls, area: float, influences: Floats, shares: Floats) -> _Sum:
        order = np.lexsort((shares, influences))
        moved, held = influences[order], shares[order]
        extra = float(np.square(held).sum())
        between = slice(ONE_BY_ONE, max(ONE_BY_ONE, len(moved) - ONE_BY_ONE))
        middle = np.stack((moved[between], held[between]))
        products = np.array([[float((a * b).sum()) for a in middle] for b in middle])
        moved = np.concatenate((moved[: between.start], moved[between.stop :], [-area * extra]))
        held = np.concatenate((held[: between.start], held[between.stop :], [extra]))
        return cls(area, moved, held, middle.sum(axis=1), products)


def _quantiles(sums: Sequence[_Sum], probability: float) -> Floats:
    """Where each bootstrap lies with this probability; at most its mean."""
    target, longest = normal_quantile(probability), max(len(one.moved) for one in sums)
    # Steps of 0 change no sum, so that all can be looked at together: [S, T, M] with T candidates for each.
    moved, held = (
        np.stack([np.pad(getattr(one, name), (0, longest - len(one.moved))) for one in sums])[:, None]
        for name in ("moved", "held")
    )
    total, products = np.stack([one.total for one in sums]), np.stack([one.products for one in sums])
    area = np.array([one.area for one in sums])[:, None]
    mean = area / np.array([[1 + one.held[-1]] for one in sums])
    low, high = np.full_like(mean, -14.0), np.full_like(mean, 14.0)  # log-odds of the quantile's share of the mean
    each = np.arange(len(sums))
    for _ in range(2):
        odds = low + (high - low) * np.linspace(0, 1, 14)
        gap = area - mean / (1 + np.exp(-odds))
        at = np.stack((np.ones_like(gap), gap))
        normal = np.einsum("si,ist->st", total, at), np.einsum("ist,sij,jst->st", at, products, at)
        roots = np.maximum.accumulate(_signed_roots(moved + gap[:, :, None] * held, *normal), axis=1)
        found = np.clip((roots < target).sum(axis=1), 1, 13)
        low, high = odds[each, found - 1][:, None], odds[each, found][:, None]
    left, right = roots[each, found - 1], roots[each, found]
    share = np.clip((target - left) / np.maximum(right - left, 1e-300), 0.0, 1.0)[:, None]
    return np.asarray((mean / (1 + np.exp(-(low + share * (high - low)))))[:, 0])


def _signed_roots(steps: Floats, mean: Floats, variance: Floats) -> Floats:
    """The normal quantiles of P(sum of steps times Exponential(1) + Normal(mean, variance) < 0): [.., M] to [..].

    The expected sum is above 0, and a step below 0.
    """
    floor = 1 / steps.min(axis=-1)  # the cumulant generating function is defined between here and 0, and beyond
    low, high = np.zeros_like(floor), np.full_like(floor, 25.0)
    for _ in range(20):  # where its derivative is 0, by bisection
        middle = (low + high) / 2
        at = -np.expm1(-middle) * floor
        slope = (steps / (1 - steps * at[..., None])).sum(axis=-1) + mean + variance * at
        low, high = np.where(slope > 0, middle, low), np.where(slope > 0, high, middle)
    curvature = np.square(steps / (1 - steps * at[..., None])).sum(axis=-1) + variance
    at = np.clip(at - slope / curvature, floor * (1 - 1e-12), floor * 1e-12)
    left = 1 - steps * at[..., None]
    generated = -np.log(left).sum(axis=-1) + mean * at + variance * at**2 / 2
    root = -np.sqrt(np.maximum(-2 * generated, 1e-30))
    other = at * np.sqrt(np.square(steps / left).sum(axis=-1) + variance)
    return np.asarray(root + np.log(other / root) / root)


def difference_interval(
    difference: float, influences: NDArray[np.float64], degrees: float, confidence: float = 0.95
) -> Interval | None:
    """Student's bounds for a difference of areas, as if the sample that moves it furthest had turned up once more.

    `difference - a - t sqrt(sum of squares + a**2)`, with a the largest influence towards the bound; likewise above.
    Without that sample the bounds are those of DeLong, DeLong and Clarke-Pearson (1988), which are wrong in up to 16%
    of cases where few samples show a drop; the idea is Walley's (1996). None where no sample moves the difference.

    Args:
        difference: the estimate, from -1 to 1.
        influences: of each sample (or group of samples) on the difference, sum 0.
        degrees: of Student's t, above 0.
    """
    check_level(confidence)
    variance = sum_of_squares(influences)
    if not variance > 0:
        return None
    quantile = student_quantile(confidence, degrees)
    below, above = max(0.0, -float(influences.min())), max(0.0, float(influences.max()))
    lower = difference - below - quantile * math.sqrt(variance + below**2)
    upper = difference + above + quantile * math.sqrt(variance + above**2)
    return Interval(max(-1.0, lower), min(1.0, upper))


def sum_of_squares(influences: NDArray[np.float64]) -> float:
    """The variance of a sum of independent influences; summed in their order, so that permutations change nothing."""
    return float(np.sort(np.square(influences)).sum())


def sums_by_group(influences: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    """The sum of the influences in each group, ascending by code and unchanged by permutations.

    >>> sums_by_group(np.array([1.0, -1.0, 2.0]), np.array([7, 7, 8])).tolist()
    [0.0, 2.0]
    """
    order = np.lexsort((influences, groups))
    ordered = groups[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return np.add.reduceat(influences[order], starts)


def _check_area(area: float) -> None:
    if not 0.0 <= area <= 1.0:
        raise EvidenceError(f"an area must lie between 0 and 1, not {area!r}")
