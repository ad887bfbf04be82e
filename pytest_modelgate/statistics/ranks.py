"""Two samples by their ranks, from counts at each value; and what a column tells of an outcome, cross-fitted."""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    Floats = NDArray[np.float64]

FOLDS = 5
NEIGHBOURS = 3
"""How many rows on either side speak for a value that was not seen before."""


def normal_tail(z: float) -> float:
    """How often a standard normal variable is `z` or more."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def mid_ranks(counts: Counts) -> Floats:
    """The mean rank, from 1 on, of the samples at each value; `counts` [V] in the order of the values."""
    return np.asarray(np.cumsum(counts) - (counts - 1) / 2, dtype=np.float64)


def mann_whitney(positives: Counts, negatives: Counts) -> tuple[float, float]:
    """ROC-AUC and the two-sided p-value of no difference: normal, with corrections for ties and continuity.

    Source: Mann and Whitney (1947). Where all values are equal, (0.5, 1.0).

    Args:
        positives, negatives: how many samples of each kind have each value [V], in the order of the values; each
            kind at least once.

    >>> mann_whitney(np.array([0, 1, 1, 0]), np.array([2, 0, 0, 0]))[0]
    1.0
    """
    both = positives + negatives
    m, n = int(positives.sum()), int(negatives.sum())
    excess = float(positives @ mid_ranks(both)) - m * (m + n + 1) / 2  # of positives' ranks: U - mn / 2
    total = m + n
    sizes = both.astype(np.float64)
    ties = float((sizes**3 - sizes).sum())
    variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    if not variance > 0:
        return 0.5, 1.0
    z = max(abs(excess) - 0.5, 0.0) / math.sqrt(variance)
    return 0.5 + excess / (m * n), min(1.0, 2 * normal_tail(z))


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's correlation out of two columns of ranks [N]; 0 where either is constant."""
    a, b = first - first.mean(), second - second.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(np.clip(float(a @ b) / scale, -1.0, 1.0)) if scale > 0 else 0.0


def correlation_bounds(correlation: float, size: int, confidence: float) -> tuple[float, float]:
    """Bounds for a rank correlation: Fisher's z with Bonett and Wright's (2000) variance, (1 + r**2 / 2) / (N - 3).

    A perfect one counts as 1 - 1/N. Below 4 samples nothing is known.
    """
    from pytest_modelgate.statistics.interval import normal_quantile

    if size < 4:
        return -1.0, 1.0
    near = max(-1 + 1 / size, min(1 - 1 / size, correlation))
    step = normal_quantile(confidence) * math.sqrt((1 + near**2 / 2) / (size - 3))
    return min(correlation, math.tanh(math.atanh(near) - step)), max(correlation, math.tanh(math.atanh(near) + step))


def folds_of(strata: NDArray[Any], seed: int = 0) -> NDArray[np.int64]:
    """A fold from 0 to 4 for each sample, at random, each stratum (such as a class) spread evenly over all."""
    order = np.random.default_rng(seed).permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    folds = np.empty(len(strata), dtype=np.int64)
    folds[order] = np.arange(len(strata)) % FOLDS
    return folds


def cross_fitted(codes: NDArray[np.int64], outcomes: Floats, folds: NDArray[np.int64], *, ordered: bool) -> Floats:
    """What a column tells of outcomes, learned on the other folds: their mean at the same value, shape [N, C].

    A value that the other folds do not have takes the mean of the nearest rows, 3 on either side, where the values
    are `ordered`, and of all rows otherwise. So an identifier that never repeats tells nothing. Each mean has one
    row more, at the mean of all.

    Args:
        codes: the rank of each sample's value, [N].
        outcomes: what is to be told, [N, C], such as one column a class.
        folds: of each sample, [N].
    """
    told = np.empty(outcomes.shape, dtype=np.float64)
    order = np.argsort(codes, kind="stable")
    for fold in range(FOLDS):
        known, asked = order[folds[order] != fold], np.flatnonzero(folds == fold)
        if len(known) == 0 or len(asked) == 0:
            told[asked] = outcomes.mean(axis=0) if len(outcomes) else 0.0
            continue
        sums = np.zeros((len(known) + 1, outcomes.shape[1]))
        np.cumsum(outcomes[known], axis=0, out=sums[1:])
        values = codes[known]
        first, last = np.searchsorted(values, codes[asked], "left"), np.searchsorted(values, codes[asked], "right")
        if ordered:
            unseen = first == last
            first, last = np.where(unseen, first - NEIGHBOURS, first), np.where(unseen, last + NEIGHBOURS, last)
            first, last = np.maximum(first, 0), np.minimum(last, len(known))
        mean = sums[-1] / len(known)
        told[asked] = (sums[last] - sums[first] + mean) / (last - first + 1)[:, None]
    return told
