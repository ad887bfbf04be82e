"""How much each sample moves a ranking metric, which weights and groups need; and the metrics of weighted samples."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import check_scores, some_of, whole_numbers
from pytest_modelgate.metrics.ranking import scores_and_truth
from pytest_modelgate.statistics import areas
from pytest_modelgate.statistics.effective import kish_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["roc_auc", "average_precision"]
AREAS = {"roc_auc": areas.roc_auc_area, "average_precision": areas.average_precision_area}


def weighted_roc_auc(scores: object, positive: object, weights: object) -> float | None:
    """ROC-AUC of weighted samples, as scikit-learn's `sample_weight`; None where a kind has no weight.

    >>> round(weighted_roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], [1, 1, 3, 1]), 12)
    0.625
    """
    values, truth = scores_and_truth(scores, positive)
    ranked = ranked_rows("roc_auc", values, truth, Weighing.of(len(truth), weights).weights)
    return None if ranked is None else ranked.area


def weighted_average_precision(scores: object, positive: object, weights: object) -> float | None:
    """Average precision of weighted samples, as scikit-learn's `sample_weight`; None without positive weight.

    >>> round(weighted_average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], [1, 1, 3, 1]), 12)
    0.85
    """
    values, truth = scores_and_truth(scores, positive)
    ranked = ranked_rows("average_precision", values, truth, Weighing.of(len(truth), weights).weights)
    return None if ranked is None else ranked.area


def roc_auc_influence(scores: object, positive: object, weights: object = None) -> NDArray[np.float64] | None:
    """Each sample's weight times the derivative of ROC-AUC by it: float64 [N], sum 0; None where undefined."""
    values, truth = scores_and_truth(scores, positive)
    ranked = ranked_rows("roc_auc", values, truth, Weighing.of(len(truth), weights).weights)
    return None if ranked is None else ranked.influences


def average_precision_influence(scores: object, positive: object, weights: object = None) -> NDArray[np.float64] | None:
    """Each sample's weight times the derivative of average precision by it: as `roc_auc_influence`."""
    values, truth = scores_and_truth(scores, positive)
    ranked = ranked_rows("average_precision", values, truth, Weighing.of(len(truth), weights).weights)
    return None if ranked is None else ranked.influences


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """What is known of the samples beside their scores: weights and groups, checked."""

    weights: NDArray[np.float64] | None
    groups: NDArray[Any] | None

    @classmethod
    def of(cls, n: int, weights: object, groups: object = None) -> Weighing:
        heavy = known = None
        if weights is not None:
            heavy = check_scores(weights, "weights").astype(np.float64)
            bad = heavy < 0
            if heavy.ndim == 1 and bad.any():
                raise EvidenceError(f"weights must not be negative: {some_of(heavy, bad)}")
        if groups is not None:
            known = whole_numbers(groups, "groups")
        for array, what in ((heavy, "weights"), (known, "groups")):
            if array is not None and array.shape != (n,):
                raise EvidenceError(f"{what} must be one for each of {n:,} samples, not of shape {list(array.shape)}")
        return cls(heavy, known)

    def size_of(self, some: NDArray[np.bool_]) -> float:
        """How many samples these are: their number, or Kish's of their weights."""
        return float(np.count_nonzero(some)) if self.weights is None else _kish(self.weights[some])

    def weight_of(self, some: NDArray[np.bool_]) -> float:
        """The sum of their weights."""
        return float(np.count_nonzero(some)) if self.weights is None else float(np.sort(self.weights[some]).sum())

    def sums_of(
        self, influences: NDArray[np.float64], some: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The influences of these samples and their shares of the weight, each of a group if there are groups."""
        moved, shares = influences[some], np.ones(np.count_nonzero(some))
        if self.weights is not None:
            shares = self.weights[some] / self.weights[some].max()
        shares /= np.sort(shares).sum()
        if self.groups is None:
            return moved, shares
        return areas.sums_by_group(moved, self.groups[some]), areas.sums_by_group(shares, self.groups[some])

    def groups_of(self, some: NDArray[np.bool_]) -> float:
        """How many groups hold one of these samples with a weight; infinite without groups."""
        if self.groups is None:
            return math.inf
        if self.weights is not None:
            some = some & (self.weights > 0)
        return float(len(np.unique(self.groups[some])))


class Ranked(NamedTuple):
    """An area, its bias, and each sample's influence on it, float64 [N]."""

    area: float
    bias: float
    influences: NDArray[np.float64]


def ranked_rows(
    kind: Kind, values: NDArray[Any], truth: NDArray[np.bool_], weights: NDArray[np.float64] | None
) -> Ranked | None:
    """None where the area is undefined: no weight on the positive samples, or, for ROC-AUC, on the others."""
    if not np.isfinite(values).all():
        check_scores(values)
    heavy = np.ones(len(values)) if weights is None else weights
    if not heavy[truth].any() or (kind == "roc_auc" and not heavy[~truth].any()):
        return None
    heavy = heavy / heavy.max()
    # Weights at equal scores are summed in an order of their own, so that permuted samples give the same last digit.
    order = np.argsort(values) if weights is None else np.lexsort((heavy, truth, values))
    ordered, hits, heavy = values[order], truth[order], heavy[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sizes = np.diff(starts, append=len(values))
    area = AREAS[kind](np.add.reduceat(heavy * hits, starts), np.add.reduceat(heavy * ~hits, starts))
    moved = np.where(hits, np.repeat(area.of_positive, sizes), np.repeat(area.of_negative, sizes))
    influences = np.empty(len(values))
    influences[order] = moved * heavy
    if area.own is None:
        return Ranked(area.value, 0.0, influences)
    bias = np.repeat(area.own, sizes)[hits] * np.square(heavy[hits])
    return Ranked(area.value, float(np.sort(bias).sum()), influences)


def _kish(weights: NDArray[np.float64]) -> float:
    return kish_size(weights) if weights.any() else 0.0
