"""Do predictions agree with their targets more than the same targets in any order would: permutation tests."""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.statistics.interval import normal_quantile, student_quantile
from pytest_modelgate.statistics.ranks import normal_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DRAWS = 2000
_MOST_ROWS = 20_000
_LOOK_CLOSER = 0.1
_SEED = 0


class Matched(NamedTuple):
    """One set of predictions beside its targets.

    Attributes:
        excess: how far they agree beyond chance.
        variance: that of the excess over all orders of the targets, which is 0 on average.
        most: the excess of perfect agreement.
        first, second: what agrees, for drawing orders: codes [N] that are equal or not, or centred columns [N, D].
        step: between two possible values of the excess; 0 where they lie close.
    """

    excess: float
    variance: float
    most: float
    first: NDArray[Any]
    second: NDArray[Any]
    step: float = 0.0


class Chance(NamedTuple):
    """Agreement over several sets: the share of the most possible, two bounds, and how often luck does as well."""

    skill: float
    lower: float
    upper: float
    p: float


def matched_classes(target: NDArray[Any], preds: NDArray[Any], num_classes: int) -> Matched:
    """Hits, given how often each class is actual and how often predicted; their skill is Cohen's kappa."""
    n = len(target)
    rows, columns = (np.bincount(each, minlength=num_classes).astype(np.float64) for each in (target, preds))
    expected = float(rows @ columns) / n
    gram = float(rows @ columns - (rows @ columns**2 + columns @ rows**2) / n + (rows @ columns) ** 2 / n**2)
    hits = int((target == preds).sum())
    return Matched(hits - expected, max(0.0, gram) / max(n - 1, 1), n - expected, target, preds, 1.0)


def matched_scores(ranks: NDArray[np.float64], positive: NDArray[np.bool_]) -> Matched:
    """Mann and Whitney's statistic; its skill is 2 AUC - 1. `ranks` are mid-ranks of the scores."""
    m = int(positive.sum())
    first, second = _centred(ranks), _centred(positive.astype(np.float64))
    excess, variance = _agreement(first, second)
    return Matched(excess, variance, m * (len(ranks) - m) / 2, first, second)


def matched_values(actual: NDArray[np.float64], predicted: NDArray[np.float64]) -> Matched:
    """Correlations of ranks [N, D], column by column; the skill is their mean."""
    first, second = (_unit(_centred(each)) for each in (actual, predicted))
    excess, variance = _agreement(first, second)
    n = len(first)
    return Matched(excess * n, variance * n**2, float(n * first.shape[1]), first, second * n)


def judge_chance(repeats: Sequence[Sequence[Matched]], confidence: float) -> Chance | None:
    """All repeats together; None where no order of the targets would change anything.

    The sets within a repeat may hang together, as the folds of a cross-validation do, the repeats may not. So the
    p-value is the larger of two: that of a permutation test as if all sets were independent (normal with the exact
    variance given both margins, and with 2,000 drawn orders where that is near and the sets are small), and that of
    Student's t over the repeats. The bounds are the wider of the two ways'.

    Args:
        repeats: such as one for each shuffle of the labels; Student's t needs two.
        confidence: of each of the two one-sided bounds.
    """
    sets = [one for each in repeats for one in each]
    variance = math.fsum(one.variance for one in sets)
    most = math.fsum(one.most for one in sets)
    if not (variance > 0 and most > 0):
        return None
    excess, deviation = math.fsum(one.excess for one in sets), math.sqrt(variance)
    step = max(one.step for one in sets) / 2
    p = normal_tail((excess - step) / deviation)
    if p < _LOOK_CLOSER and sum(len(one.first) for one in sets) <= _MOST_ROWS:
        p = _drawn(sets, excess)
    reach = normal_quantile(confidence) * deviation
    count = len(repeats)
    if count > 1:
        each = [math.fsum(one.excess for one in own) for own in repeats]
        error = math.sqrt(count * math.fsum((one - excess / count) ** 2 for one in each) / (count - 1))
        reach = max(reach, student_quantile(confidence, count - 1) * error)
        p = max(p, _student_tail(excess, error, count - 1))
    return Chance(excess / most, (excess - reach) / most, min(1.0, (excess + reach) / most), p)


def _student_tail(excess: float, error: float, degrees: int) -> float:
    """How often Student's t is as large as excess / error."""
    from scipy.special import stdtr

    if error == 0:
        return 0.0 if excess > 0 else 1.0
    return float(stdtr(degrees, -excess / error))


def _drawn(sets: Sequence[Matched], excess: float) -> float:
    """The share of drawn orders that agree as well, the given one included."""
    rng = np.random.default_rng(_SEED)
    sums = np.zeros(_DRAWS)
    for one in sets:
        codes = one.first.ndim == 1
        base = one.excess - _statistic(one.first, one.second, codes)
        for draw in range(_DRAWS):
            sums[draw] += base + _statistic(one.first, one.second[rng.permutation(len(one.second))], codes)
    return (1 + int((sums >= excess - 1e-9 * max(1.0, abs(excess))).sum())) / (1 + _DRAWS)


def _statistic(first: NDArray[Any], second: NDArray[Any], codes: bool) -> float:
    return float((first == second).sum()) if codes else float(np.vdot(first, second))


def _agreement(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """The sum of products of two centred tables, and its variance over all orders of the rows of one of them."""
    spread = float(((first.T @ first) * (second.T @ second)).sum())
    return float(np.vdot(first, second)), spread / max(len(first) - 1, 1)


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    table = values.reshape(len(values), -1).astype(np.float64)
    return np.asarray(table - table.mean(axis=0))


def _unit(table: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.sqrt((table**2).sum(axis=0))
    return np.asarray(table / np.where(norms > 0, norms, 1.0))
