"""Bounds for ROC-AUC and average precision: of one class, averaged over classes, weighted, in groups, and paired.

Without weights and groups the counts at each distinct score, from one sort of packed keys, are all that is needed.
Otherwise each sample gets its influence: how much its presence moves the area. No result depends on the order of the
samples, to the last digit. ROC-AUC's method is in `statistics.areas`, `auc_effective_size` and `one_more_interval`; the
others use the same effective size with the influences' variance, and are approximate.
"""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import as_floats, whole_numbers
from pytest_modelgate.metrics.counting import check_range, check_same_length
from pytest_modelgate.metrics.influences import AREAS, Kind, Weighing, ranked_rows
from pytest_modelgate.metrics.ranking import packed_halves, scores_and_truth
from pytest_modelgate.statistics import areas
from pytest_modelgate.statistics.effective import clopper_pearson_effective, variance_penalty
from pytest_modelgate.statistics.interval import Interval, check_level

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def roc_auc_interval(
    scores: object, positive: object, *, confidence: float = 0.95, weights: object = None, groups: object = None
) -> Interval | None:
    """Bounds for the area under the ROC curve; None where a kind of sample is missing, or lies within one group.

    Clopper and Pearson's bounds for an effective number of samples: DeLong's variance, capped by Hanley and McNeil's;
    but at least as wide as one more sample of either kind, the worst (or best) possible, would make a Bayesian
    bootstrap. Which class is called positive changes nothing. With `groups`, the variance between groups, Student's t,
    and one more group; with `weights`, Kish's effective sizes (approximate).

    Args:
        scores: finite numbers, shape [N].
        positive: whether each sample is positive, bool or 0 and 1, shape [N].
        confidence: of each of the two one-sided bounds, between 0 and 1.
        weights: none negative, all finite, shape [N]; a sample of weight 0 does not count.
        groups: a whole number per sample, shape [N]: samples of one group may depend on each other.

    Raises:
        EvidenceError: shapes that do not match, a score that is NaN or infinite, weights that are not weights.
        BarError: unless 0 < confidence < 1.

    >>> round(roc_auc_interval(range(110), [i >= 100 for i in range(110)]).lower, 4)
    0.7411
    """
    return _interval("roc_auc", scores, positive, confidence, weights, groups)


def average_precision_interval(
    scores: object, positive: object, *, confidence: float = 0.95, weights: object = None, groups: object = None
) -> Interval | None:
    """Bounds for average precision where positive samples are as common as in these (approximate).

    Clopper and Pearson's bounds for the estimate less its bias and an effective number of samples: by the variance of
    the influences, at most the number of positive samples (Boyd, Eng and Page 2013). Arguments, errors and None as in
    `roc_auc_interval`.
    """
    return _interval("average_precision", scores, positive, confidence, weights, groups)


def average_area_interval(
    kind: Kind,
    values: object,
    target: object,
    *,
    average: Literal["macro", "weighted"],
    confidence: float = 0.95,
    weights: object = None,
    groups: object = None,
) -> Interval | None:
    """Bounds for the mean over classes, each against the rest (approximate).

    A sample's influence on the mean is the mean of its influences. The cap is the square of the classes' mean standard
    error, times the share that is left of it in the influences, since classes do not err together, and so is how far
    one more sample reaches; the fewest samples are the harmonic mean of the classes'. None where a class that counts
    has no sample, or is all there is.

    Args:
        kind: "roc_auc" or "average_precision".
        values: the score of each class, shape [N, K], or of the last of two classes, shape [N].
        target: the actual class of each sample, from 0 to K - 1, shape [N].
        average: "macro", each class alike, or "weighted", by the (weighted) number of its samples.
        confidence, weights, groups: as in `roc_auc_interval`, which see for errors too.
    """
    check_level(confidence)
    table = as_floats(values)
    if table.ndim == 1:
        table = np.column_stack((-table, table))
    actual = whole_numbers(target, "target")
    if table.ndim != 2:
        raise EvidenceError(f"scores must have the shape [N] or [N, K], not {list(table.shape)}")
    num_classes = table.shape[1]
    check_same_length(actual, table[:, 0], "scores")
    check_range(actual, num_classes, "target")
    sample = Weighing.of(len(actual), weights, groups)
    problems: list[_Problem] = []
    shares: list[float] = []
    for k in range(num_classes):
        truth = actual == k
        share = sample.weight_of(truth) if average == "weighted" else 1.0
        if share > 0:
            problem = _problem(kind, table[:, k], truth, sample, confidence)
            if problem is None:
                return None
            problems.append(problem)
            shares.append(share)
    if not problems:
        return None
    total = math.fsum(shares)
    shares = [share / total for share in shares]

    def mean(attribute: Callable[[_Problem], float]) -> float:
        return math.fsum(share * attribute(problem) for share, problem in zip(shares, problems, strict=True))

    influences = np.zeros(len(actual))
    for share, problem in zip(shares, problems, strict=True):
        influences += share * problem.influences
    variance, alike = areas.sum_of_squares(influences), mean(lambda problem: problem.variance**0.5) ** 2
    left = variance / alike if alike > 0 else 1.0
    joint = _Problem(
        area=min(1.0, mean(lambda problem: problem.area)),
        centre=min(1.0, mean(lambda problem: problem.centre)),
        variance=variance,
        influences=influences,
        cap=mean(lambda problem: problem.cap**0.5) ** 2 * left,
        below=mean(lambda problem: problem.below) * left**0.5,
        above=mean(lambda problem: problem.above) * left**0.5,
        fewest=1 / mean(lambda problem: 1 / problem.fewest),
        fewest_of_both=min(problem.fewest_of_both for problem in problems),
        fewest_groups=min(problem.fewest_groups for problem in problems),
    )
    return joint.interval(confidence, sample.groups)


def paired_area_interval(
    kind: Kind,
    candidate: object,
    baseline: object,
    positive: object,
    *,
    confidence: float = 0.95,
    weights: object = None,
    groups: object = None,
) -> Interval | None:
    """Bounds for the area of `candidate` less that of `baseline`, both scores of the same samples, shape [N].

    From the differences of influences (`statistics.areas.difference_interval`), with Student's t on the number of
    samples of the rarer kind (or its groups, if fewer) less one; approximate. None where a kind is missing or has one
    sample or group only, and where no influence differs, as with equal rankings: that there is no variance proves
    nothing about other samples.
    Other arguments and errors as in `roc_auc_interval`.
    """
    check_level(confidence)
    first, truth = scores_and_truth(candidate, positive)
    second, _ = scores_and_truth(baseline, positive)
    sample = Weighing.of(len(truth), weights, groups)
    new, old = (_problem(kind, scores, truth, sample) for scores in (first, second))
    if new is None or old is None:
        return None
    degrees = min(new.fewest_of_both, new.fewest_groups) - 1
    if degrees <= 0:
        return None
    difference, moved = new.area - old.area, new.influences - old.influences
    found = areas.difference_interval(difference, moved, degrees, confidence)
    if sample.groups is None or found is None:
        return found
    moved = areas.sums_by_group(moved, sample.groups) * ((degrees + 1) / degrees) ** 0.5
    between = areas.difference_interval(difference, moved, degrees, confidence) or found
    return Interval(min(found.lower, between.lower), max(found.upper, between.upper))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Problem:
    """An area and what its bounds need.

    Attributes:
        area: the estimate.
        centre: the estimate less its bias.
        variance: of the area, were the samples independent.
        influences: float64 [N], whose sum of squares is the variance; empty if only counts were looked at.
        cap: a steadier variance, which the effective size must not beat, but for `fewest`.
        below, above: how far from the area the bounds reach at least, by one more sample or group.
        fewest: (effective) samples that the area is counted in when it is 0 or 1.
        fewest_of_both: positive or negative samples, whichever are fewer.
        fewest_groups: groups with a positive or groups with a negative sample, whichever are fewer.
    """

    area: float
    centre: float
    variance: float
    influences: NDArray[np.float64]
    cap: float
    below: float
    above: float
    fewest: float
    fewest_of_both: float
    fewest_groups: float

    def interval(self, confidence: float, groups: NDArray[Any] | None) -> Interval | None:
        """The bounds, of which neither excludes the estimate; None where groups are too few to differ."""
        centre = self.centre
        size = areas.effective_size(centre, self.variance, self.cap, self.fewest)
        if groups is not None:
            degrees = self.fewest_groups - 1
            if degrees <= 0:
                return None
            clustered = areas.sum_of_squares(areas.sums_by_group(self.influences, groups))
            clustered *= self.fewest_groups / degrees
            clustered /= variance_penalty(confidence, degrees)
            design = max(1.0, clustered / self.variance) if self.variance > 0 else 1.0
            fewest = min(self.fewest, self.fewest_groups)
            size = min(size, areas.effective_size(centre, clustered, self.cap * design, fewest))
            centre = max(0.0, self.area - (self.area - centre) * design)  # a sample's group counts with it
        lower, upper = clopper_pearson_effective(centre, size, confidence)
        return Interval(max(0.0, min(lower, self.area - self.below)), min(1.0, max(upper, self.area + self.above)))


def _interval(
    kind: Kind, scores: object, positive: object, confidence: float, weights: object, groups: object
) -> Interval | None:
    check_level(confidence)
    values, truth = scores_and_truth(scores, positive)
    sample = Weighing.of(len(truth), weights, groups)
    if weights is None and groups is None:
        problem = _counted_problem(kind, values, truth, confidence)
    else:
        problem = _problem(kind, values, truth, sample, confidence)
    return None if problem is None else problem.interval(confidence, sample.groups)


def _counted_problem(kind: Kind, values: NDArray[Any], truth: NDArray[np.bool_], confidence: float) -> _Problem | None:
    """From the counts at each distinct score alone; None where a kind of sample is missing."""
    hits, misses = _counts_by_score(values, truth)
    m, n = float(hits.sum()), float(misses.sum())
    if m == 0 or n == 0:
        return None
    area = AREAS[kind](hits, misses)
    variance = float((hits * np.square(area.of_positive)).sum()) * _unbiased(m)
    variance += float((misses * np.square(area.of_negative)).sum()) * _unbiased(n)
    centre = area.value if area.own is None else area.value - float((hits * area.own).sum())
    below = above = 0.0
    if kind == "roc_auc":
        kinds = [
            np.repeat(area.of_positive, hits.astype(np.int64)),
            np.repeat(area.of_negative, misses.astype(np.int64)),
        ]
        below, above = _reach(
            area.value, [(moved, np.full(len(moved), 1 / len(moved))) for moved in kinds], min(m, n), confidence
        )
    return _Problem(
        area=area.value,
        centre=centre,
        variance=variance,
        influences=np.empty(0),
        cap=_cap(kind, centre, m, n),
        below=below,
        above=above,
        fewest=_fewest(kind, m, n),
        fewest_of_both=min(m, n),
        fewest_groups=math.inf,
    )


def _problem(
    kind: Kind, values: NDArray[Any], truth: NDArray[np.bool_], sample: Weighing, confidence: float | None = None
) -> _Problem | None:
    """With an influence for each sample; None where a kind of sample is missing or has no weight.

    Without a confidence, nothing of what one more sample would do.
    """
    ranked = ranked_rows(kind, values, truth, sample.weights)
    m, n = sample.size_of(truth), sample.size_of(~truth)
    if ranked is None or m == 0 or n == 0:
        return None
    few_groups = min(sample.groups_of(truth), sample.groups_of(~truth))
    centre, influences = ranked.area - ranked.bias, ranked.influences
    below = above = 0.0
    if kind == "roc_auc" and confidence is not None:
        kinds = [sample.sums_of(influences, some) for some in (truth, ~truth)]
        below, above = _reach(ranked.area, kinds, min(m, n, few_groups), confidence)
    influences *= np.where(truth, _unbiased(m) ** 0.5, _unbiased(n) ** 0.5)
    return _Problem(
        area=ranked.area,
        centre=centre,
        variance=areas.sum_of_squares(influences),
        influences=influences,
        cap=_cap(kind, centre, m, n),
        below=below,
        above=above,
        fewest=_fewest(kind, m, n),
        fewest_of_both=min(m, n),
        fewest_groups=few_groups,
    )


def _unbiased(size: float) -> float:
    """What makes a mean square about a mean an unbiased variance; 1 for a single sample, whose square is 0."""
    return size / (size - 1) if size > 1 else 1.0


def _reach(
    area: float, kinds: list[tuple[NDArray[np.float64], NDArray[np.float64]]], fewest: float, confidence: float
) -> tuple[float, float]:
    """How far below and above a ROC-AUC one more sample (or group) of either kind makes the bounds reach.

    An area of 0 or 1 is worth as many trials as there are samples or groups of the rarer kind.
    """
    if 0.0 < area < 1.0:
        lower, upper = areas.one_more_interval(area, kinds, confidence)
    else:
        lower, upper = clopper_pearson_effective(area, fewest, confidence)
    return area - lower, upper - area


def _cap(kind: Kind, area: float, m: float, n: float) -> float:
    return areas.auc_cap(area, m, n) if kind == "roc_auc" else area * (1 - area) / m


def _fewest(kind: Kind, m: float, n: float) -> float:
    return min(m, n) if kind == "roc_auc" else m


def _counts_by_score(values: NDArray[Any], truth: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many positive and negative samples have each distinct score, in ascending order of the scores."""
    hits: list[NDArray[Any]] = []
    sizes: list[NDArray[Any]] = []
    for keys in packed_halves(values, truth):
        keys.sort()
        one = keys.dtype.type(1)
        found = np.cumsum(keys & one, dtype=np.int64)
        keys >>= one
        last = np.flatnonzero(np.concatenate((keys[1:] != keys[:-1], [True]))[: len(keys)])
        hits.append(np.diff(found[last], prepend=0))
        sizes.append(np.diff(last, prepend=-1))
    positives = np.concatenate(hits)
    return positives.astype(np.float64), (np.concatenate(sizes) - positives).astype(np.float64)
