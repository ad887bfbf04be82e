"""Bounds for metrics that are no plain share of the samples: F1, F-beta, MCC, kappa, averages over classes.

Binary F1 is exact: it only rewrites the Jaccard index, which is such a share. For the rest the question is where the
metric could be "even if one more, worst possible, sample had turned up": Walley's imprecise Dirichlet with s = 1.

Sources: Clopper and Pearson (1934); Walley (1996), Inferences from multinomial data.
"""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.dirichlet import (
    SEED,
    Design,
    Limits,
    MarginMetric,
    delta_bounds,
    drawn_bounds,
    parts_of_cells,
    slopes_of,
)
from pytest_modelgate.statistics.effective import clopper_pearson_effective
from pytest_modelgate.statistics.interval import Interval, check_level

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Whole: TypeAlias = NDArray[np.intp]

MOST_CELLS = 2_000
"""Nonzero cells above which the delta method replaces the draws."""
MOST_SAMPLES = 1e10
"""More tell hardly more, and some versions of betaincinv return NaN for them: such counts are scaled down."""
FUNCTION_DRAWS, MOST_FUNCTION_DRAWS = 1_000, 10_000
"""Draws for a function that takes one table a call: by default, and at the highest confidence."""


def method_of(cells: int) -> str:
    """What bounds a metric of a table with so many nonzero cells.

    >>> method_of(4), method_of(5_000)
    ('imprecise Dirichlet', 'delta method, approximate')
    """
    return "imprecise Dirichlet" if cells <= MOST_CELLS else "delta method, approximate"


def jaccard_of_f1(f1: float) -> float:
    """The Jaccard index that goes with an F1: J = F1 / (2 - F1).

    >>> round(jaccard_of_f1(0.8), 4)
    0.6667
    """
    return f1 / (2 - f1)


def f1_of_jaccard(jaccard: float) -> float:
    """The F1 that goes with a Jaccard index: F1 = 2J / (1 + J).

    >>> round(f1_of_jaccard(0.5), 4)
    0.6667
    """
    return 2 * jaccard / (1 + jaccard)


def f1_interval(tp: float, fp: float, fn: float, confidence: float = 0.95) -> Interval:
    """Exact bounds for the F1 of one class, each one-sided at `confidence`.

    J = TP / (TP + FP + FN) is a proportion, of the samples that are of the class or are called so, and F1 rises with
    it: the bounds are those of Clopper and Pearson (1934) for J, turned into F1. Counts need not be whole (effective
    ones of dependent samples). Without any such sample it is (0, 1): nothing is known.

    Raises:
        EvidenceError: a count that is negative or not finite.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = f1_interval(tp=30, fp=0, fn=0)
    >>> round(lower, 4), upper
    (0.9501, 1.0)
    """
    check_level(confidence)
    if not all(0 <= count < math.inf for count in (tp, fp, fn)):
        raise EvidenceError(f"counts must be finite and not negative, not TP {tp!r}, FP {fp!r}, FN {fn!r}")
    from scipy.special import betaincinv

    hits, errors = float(tp), float(fp) + float(fn)
    if hits + errors > MOST_SAMPLES:
        hits, errors = (count / (hits + errors) * MOST_SAMPLES for count in (hits, errors))
    lower = float(betaincinv(hits, errors + 1, 1.0 - confidence)) if tp > 0 else 0.0
    upper = float(betaincinv(hits + 1, errors, confidence)) if errors > 0 else 1.0
    return Interval(f1_of_jaccard(lower), f1_of_jaccard(upper))


def dirichlet_interval(
    counts: ArrayLike,
    metric: MarginMetric,
    *,
    lowest: float,
    highest: float,
    confidence: float = 0.95,
    draws: int | None = None,
    seed: int = SEED,
) -> Interval:
    """Bounds for a metric of a confusion matrix, each one-sided at `confidence`.

    1. Draw tables from Gamma(counts); a cell without samples draws zero.
    2. Find the cells where one more sample would change the metric most, for the worse and for the better.
    3. For each of them add one Exponential to the draws of that cell. The lower bound is the smallest of the
       (1 - confidence)-quantiles of the metric, the upper the largest of the mirrored ones (Walley 1996, s = 1).
    4. The draws are about as far off the estimate as the estimate is off the truth (the bias of macro F1, where
       classes are small): each bound moves outwards by twice that, never inwards, and never across the estimate.

    A draw whose metric is undefined counts as the worst one for each bound. Above `MOST_CELLS` nonzero cells and
    without `draws` it is the delta method, see `delta_bounds`. Where nothing is counted, or the metric of the counts
    is undefined, it is (lowest, highest): nothing is known.

    Args:
        counts: [K, K], rows actual; they need not be whole. For one class against the rest: that table, [2, 2].
        metric: NaN where undefined; a common factor of its arguments must not matter.
        lowest, highest: the metric's range.
        draws: how many tables; by default 20,000 for four cells, and fewer for more.

    Raises:
        EvidenceError: counts of another shape, negative or not finite.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = dirichlet_interval([[70, 0], [0, 30]], lambda r, a, p: 2 * r[..., 1] / (a + p)[..., 1],
    ...                                   lowest=0.0, highest=1.0)
    >>> round(lower, 2), upper
    (0.95, 1.0)
    """
    table = _checked_table(counts)
    k = len(table)
    actual, predicted = np.nonzero(table)
    design = Design(
        weights=table[actual, predicted],
        parts=parts_of_cells(actual, predicted, k, 3 * k),
        size=3 * k,
        evaluate=lambda margins: metric(*np.split(margins, 3, axis=-1)),
    )
    right = parts_of_cells(np.arange(k), np.arange(k), k, 3 * k)
    wrong = np.where(np.arange(3) == 0, 3 * k, right)
    additions = np.concatenate([right, design.off_diagonal(wrong[:, :2], wrong[:, 2:])])
    limits = Limits(lowest, highest, check_level(confidence))
    if len(design.weights) <= MOST_CELLS or draws is not None:
        return drawn_bounds(design, additions, limits, draws, seed)
    slopes, bias = slopes_of(table[actual, predicted], actual, predicted, k, metric)
    return delta_bounds(design, additions, limits, slopes, bias, seed)


def mean_of_shares_interval(share: float, sizes: ArrayLike, confidence: float = 0.95) -> Interval:
    """Bounds for the mean of K classes' shares, such as the mean recall, each one-sided at `confidence`.

    Clopper and Pearson's for the mean over K^2 / sum(1 / n_k) trials: so many give the mean of K equal shares its
    variance p (1 - p) / K^2 sum(1 / n_k). Of classes with few samples the draws of `dirichlet_interval` are too sure:
    a class whose one sample is right is drawn as always right.

    Args:
        share: the mean of the shares, from 0 to 1.
        sizes: [K], how many samples each class has; they need not be whole.

    Raises:
        EvidenceError: a share out of range, a class without samples.
        BarError: unless 0 < confidence < 1.

    >>> lower, upper = mean_of_shares_interval(1.0, [1] * 20)
    >>> round(lower, 3), upper
    (0.861, 1.0)
    """
    found = np.asarray(sizes, dtype=np.float64)
    if found.ndim != 1 or len(found) == 0 or not (np.isfinite(found) & (found > 0)).all():
        raise EvidenceError("every class must have samples, and finitely many")
    return clopper_pearson_effective(share, len(found) ** 2 / math.fsum((1 / found).tolist()), confidence)


def dirichlet_interval_of(
    counts: ArrayLike,
    function: Callable[[Floats], float],
    *,
    lowest: float = -math.inf,
    highest: float = math.inf,
    confidence: float = 0.95,
    draws: int | None = None,
) -> Interval:
    """Bounds as of `dirichlet_interval` for any function of a confusion matrix, called once for each draw.

    Args:
        counts: [K, K], rows actual.
        function: from a float64 table [K, K], rows actual, to a number. Undefined: NaN, None, a division by zero.
        lowest, highest: the range of the function, which bounds what undefined draws are taken for.
        draws: how many tables, by default 1,000. The function is called about 5 times as often for two classes,
            9 times and K^2 for more.

    Raises:
        EvidenceError: counts of another shape, negative or not finite.
        BarError: unless 0 < confidence < 1.
    """
    table = _checked_table(counts)
    shape, every = table.shape, np.arange(table.size)[:, np.newaxis]

    def value(cells: Floats) -> float:
        try:
            found: float | None = function(cells.reshape(shape).copy())
        except ZeroDivisionError:
            found = None
        return math.nan if found is None else float(found)

    def evaluate(tables: Floats) -> Floats:
        flat = tables.reshape(-1, table.size)
        return np.array([value(cells) for cells in flat], dtype=np.float64).reshape(tables.shape[:-1])

    cells = np.flatnonzero(table)
    design = Design(weights=table.ravel()[cells], parts=every[cells], size=table.size, evaluate=evaluate)
    limits = Limits(lowest, highest, check_level(confidence))
    draws = draws or min(limits.draws(FUNCTION_DRAWS, 1), MOST_FUNCTION_DRAWS)
    return drawn_bounds(design, every, limits, draws, SEED)


def paired_dirichlet_interval(
    target: ArrayLike,
    baseline: ArrayLike,
    candidate: ArrayLike,
    counts: ArrayLike,
    num_classes: int,
    metric: MarginMetric,
    *,
    lowest: float = -1.0,
    highest: float = 1.0,
    confidence: float = 0.95,
    draws: int | None = None,
) -> Interval:
    """Bounds for the metric of a candidate less that of a baseline on the same samples, each at `confidence`.

    The method of `dirichlet_interval` on the joint cells (actual class, baseline's prediction, candidate's). The sample
    added is one that just one of the two gets right; of two classes, any. So two models that never differed
    still differ by what one sample more could have shown.

    Args:
        target, baseline, candidate: [C] whole numbers from 0 to num_classes - 1: the joint cells, each once or oftener.
        counts: [C] how many samples each cell has; they need not be whole.
        metric: as of `dirichlet_interval`.
        lowest, highest: the range of the difference: -2 and 2 for a metric from -1 to 1.

    Raises:
        EvidenceError: arrays of different lengths, labels out of range, counts that are negative or not finite.
        BarError: unless 0 < confidence < 1.
    """
    k = num_classes
    (actual, before, after), weights = _joint_cells((target, baseline, candidate), counts, k)

    def parts(actual: Whole, before: Whole, after: Whole) -> Whole:
        first, second = parts_of_cells(actual, before, k, 6 * k), parts_of_cells(actual, after, k, 6 * k)
        return np.concatenate([first, np.where(second < 6 * k, second + 3 * k, second)], axis=1)

    def evaluate(margins: Floats) -> Floats:
        first, second = np.split(margins, 2, axis=-1)
        return metric(*np.split(second, 3, axis=-1)) - metric(*np.split(first, 3, axis=-1))

    design = Design(weights=weights, parts=parts(actual, before, after), size=6 * k, evaluate=evaluate)
    if k == 2:
        additions = parts(*np.indices((2, 2, 2)).reshape(3, -1))
    else:
        both = parts(*[np.arange(k)] * 3)
        only_before = design.off_diagonal(both[:, [0, 1, 2, 4]], both[:, 5:])
        only_after = design.off_diagonal(both[:, [1, 3, 4, 5]], both[:, 2:3])
        additions = np.concatenate([only_before, only_after])
    limits = Limits(lowest, highest, check_level(confidence))
    if len(weights) <= MOST_CELLS or draws is not None:
        return drawn_bounds(design, additions, limits, draws, SEED)
    slopes_before, bias_before = slopes_of(weights, actual, before, k, metric)
    slopes_after, bias_after = slopes_of(weights, actual, after, k, metric)
    return delta_bounds(design, additions, limits, slopes_after - slopes_before, bias_after - bias_before, SEED)


def _checked_table(counts: ArrayLike) -> Floats:
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < 2:
        raise EvidenceError(f"counts must have the shape [K, K], K at least 2, not {list(table.shape)}")
    return _checked_counts(table)


def _checked_counts(counts: Floats) -> Floats:
    if not (np.isfinite(counts) & (counts >= 0)).all():
        raise EvidenceError("counts must be finite and not negative")
    return counts


def _joint_cells(labels: tuple[ArrayLike, ...], counts: ArrayLike, k: int) -> tuple[tuple[Whole, Whole, Whole], Floats]:
    """Each cell that has samples once, in order, whatever the order in which they came."""
    columns, weights = [np.asarray(column) for column in labels], np.asarray(counts, dtype=np.float64)
    lengths = {column.shape for column in (*columns, weights)}
    if len(lengths) > 1 or weights.ndim != 1 or k < 2:
        raise EvidenceError(f"cells must be arrays of one length, and classes at least 2, not {lengths} and {k}")
    for column in columns:
        if column.size and (column.dtype.kind not in "iu" or column.min() < 0 or column.max() >= k):
            raise EvidenceError(f"classes of cells must be whole numbers from 0 to {k - 1}")
    _checked_counts(weights)
    keys = np.ravel_multi_index(tuple(column.astype(np.intp) for column in columns), (k, k, k))
    order = np.lexsort((weights, keys))
    cells, which = np.unique(keys[order], return_inverse=True)
    summed: Floats = np.bincount(which, weights[order], minlength=len(cells)).astype(np.float64)
    actual, before, after = np.unravel_index(cells[summed > 0], (k, k, k))
    return (actual, before, after), summed[summed > 0]
