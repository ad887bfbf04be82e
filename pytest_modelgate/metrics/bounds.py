"""Which interval belongs to which metric, and what is said of it. The methods themselves are in `statistics/`."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.metrics import calibration, regression
from pytest_modelgate.metrics.margins import margin_metric
from pytest_modelgate.metrics.measurement import Bounds, Measurement
from pytest_modelgate.metrics.ranking_bounds import (
    average_area_interval,
    average_precision_interval,
    roc_auc_interval,
)
from pytest_modelgate.metrics.remarks import (
    as_approximate,
    rare_classes,
    rare_values,
    too_few,
    why_none,
    with_design,
)
from pytest_modelgate.metrics.remarks import described_design as described_design
from pytest_modelgate.metrics.weighting import classes_of, weighted_table
from pytest_modelgate.statistics.composites import (
    dirichlet_interval,
    f1_interval,
    mean_of_shares_interval,
    method_of,
)
from pytest_modelgate.statistics.effective import (
    clopper_pearson_effective,
    effective_trials,
    size_factor,
    weighted_size,
)
from pytest_modelgate.statistics.interval import Interval
from pytest_modelgate.statistics.means import mean_interval
from pytest_modelgate.statistics.proportions import clopper_pearson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.forecasts import Forecasts
    from pytest_modelgate.metrics.losses import MeanLoss
    from pytest_modelgate.metrics.metric import Compute, FindBounds, Request
    from pytest_modelgate.metrics.ranking import RankCounts, Scores
    from pytest_modelgate.metrics.samples import Samples

EXACT = "Clopper-Pearson"
HALL = "Hall's skew-corrected t, approximate"
BAYES = "Bayesian bootstrap, one sample more at the maximum"
NOT_FINITE = "the values are too large: their spread is not finite"
_CELLS = 1 << 10


def of_counts(name: str, compute: Compute, lowest: float = 0.0) -> FindBounds:
    """Bounds of a metric of counts: exact for proportions and F1 of a class, else by the imprecise Dirichlet model."""

    def bounds(matrix: ConfusionMatrix, request: Request, found: Measurement, confidence: float) -> Bounds:
        rows = request.rows
        if found.hits is not None and not rows.weighed:
            return Bounds(clopper_pearson(found.hits, found.support, confidence), EXACT)
        assert found.value is not None
        plain = compute(matrix, request)
        if plain.hits is not None:
            hits, counts = roles(compute, matrix, request, rows)
            return proportion_of_rows(found.value, hits, counts, rows, confidence)
        index = request.index
        table = matrix.counts.astype(np.float64)
        if index is not None:
            table = _one_against_rest(table, index)
        factor, design = 1.0, described_design(rows, None)
        metric = margin_metric(
            name,
            average=request.average,
            index=None if index is None else 1,
            beta=request.parameters.get("beta", 1.0),
        )
        if rows.weighed:
            target, preds = collapsed(rows, index)
            table = weighted_table(rows, matrix.num_classes)
            table *= matrix.n / table.sum()
            if index is not None:
                table = _one_against_rest(table, index)
            influence = influences(table, metric)[target, preds]
            shrunk = _factor(influence, rows, confidence)
            if shrunk is None:
                return Bounds(None, method_of(0), "all samples are of one group")
            factor, design = shrunk, described_design(rows, shrunk * matrix.n)
        table = table * factor
        if index is not None and (name == "f1" or (name == "fbeta" and request.parameters["beta"] == 1)):
            interval = f1_interval(table[1, 1], table[0, 1], table[1, 0], confidence)
            return Bounds(interval, f"exact, through Jaccard{design.text}", remarks=design.remarks)
        interval = dirichlet_interval(table, metric, lowest=lowest, highest=1.0, confidence=confidence)
        method, sizes = method_of(int(np.count_nonzero(table))), table.sum(axis=1)
        remarks = rare_classes(sizes, weighed=rows.weighed) if request.average != "micro" else ()
        if remarks and _is_mean_recall(name, request, len(sizes)):
            wider = mean_of_shares_interval(found.value, sizes, confidence)
            interval = Interval(min(interval.lower, wider.lower), max(interval.upper, wider.upper))
            method = as_approximate(f"{method.removesuffix(', approximate')} and {EXACT}")
            return Bounds(interval, with_design(method, design), remarks=design.remarks)
        if remarks and len(sizes) > 2:
            return Bounds(interval, with_design(as_approximate(method), design), remarks=design.remarks + remarks)
        return Bounds(interval, with_design(method, design), remarks=design.remarks)

    return bounds


def _is_mean_recall(name: str, request: Request, classes: int) -> bool:
    """Whether a metric is the mean over classes of a share of each class's own samples."""
    if name == "balanced_accuracy":
        return True
    two = ("specificity", "false_positive_rate") if classes == 2 else ()
    return request.average == "macro" and name in ("recall", "false_negative_rate", *two)


def of_ranks(ranks: RankCounts, request: Request, found: Measurement, confidence: float) -> Bounds:
    """Bounds of top-k accuracy, a proportion."""
    rows = request.rows
    if not rows.weighed:
        assert found.hits is not None
        return Bounds(clopper_pearson(found.hits, found.support, confidence), EXACT)
    assert found.value is not None
    assert rows.ranks is not None
    hits = rows.ranks < int(request.parameters["k"])
    return proportion_of_rows(found.value, hits, np.ones_like(hits), rows, confidence)


def of_matches(matches: RankCounts, request: Request, found: Measurement, confidence: float) -> Bounds:
    """Bounds of the share of samples all of whose labels are right."""
    return of_ranks(matches, replace(request, parameters={"k": 1}), found, confidence)


def proportion_of_rows(
    share: float, hits: NDArray[np.bool_], counts: NDArray[np.bool_], rows: Samples, confidence: float
) -> Bounds:
    """Bounds of a share of samples that differ in weight or hang together, as of so many that do not.

    Args:
        share: the (weighted) share of hits among the samples that count.
        hits, counts: whether each sample is a hit, and whether it counts at all, [N].
        rows: the weights and groups.
    """
    codes = rows.group_codes
    if codes is None:
        assert rows.weights is not None
        size: float | None = weighted_size(hits[counts], rows.weights[counts])
    else:
        weights = None if rows.weights is None else rows.weights[counts]
        size = effective_trials(hits[counts], codes[counts], weights=weights, confidence=confidence)
    if size is None:
        return Bounds(None, EXACT, "all samples that count are of one group")
    design = described_design(rows, size, None if codes is None else len(np.unique(codes[counts])))
    return Bounds(clopper_pearson_effective(share, size, confidence), EXACT + design.text, remarks=design.remarks)


def of_scores(kind: Any) -> FindBounds:
    """Bounds of ROC-AUC or average precision, of a class or averaged."""
    whole = "DeLong and Hanley-McNeil" if kind == "roc_auc" else "effective size, approximate"

    def bounds(scores: Scores, request: Request, found: Measurement, confidence: float) -> Bounds:
        rows = request.rows
        asked: dict[str, Any] = {"confidence": confidence, "weights": rows.weights, "groups": rows.group_codes}
        method = whole
        if request.index is not None:
            one = roc_auc_interval if kind == "roc_auc" else average_precision_interval
            interval = one(*scores.of_class(request.index), **asked)
        else:
            average: Any = request.average
            interval = average_area_interval(kind, scores.values, scores.target, average=average, **asked)
            method = "effective size, approximate"
        design = described_design(rows)
        if interval is None:
            some = "the positive or the negative samples are"
            return Bounds(None, method, f"{some} {'all of one group' if rows.groups is not None else 'too few'}")
        return Bounds(interval, with_design(method, design), remarks=design.remarks)

    return bounds


def of_loss(loss: MeanLoss, request: Request, found: Measurement, confidence: float) -> Bounds:
    """Bounds of a mean loss."""
    rows = request.rows
    if rows.losses is None:
        return Bounds(
            None, HALL, "the losses of single samples are not known: evaluate with a loss that gives one a sample"
        )
    losses = rows.losses.astype(np.float64)
    weights, codes = rows.weights, rows.group_codes
    if rows.loss_weights is not None:
        each = rows.loss_weights.astype(np.float64)
        some = each > 0
        losses, codes = losses[some] / each[some], None if codes is None else codes[some]
        weights = each[some] if weights is None else (each * weights)[some]
    return _of_mean(losses, weights, codes, request, confidence, largest=request.parameters["max_loss"])


def of_forecasts(kind: str) -> FindBounds:
    """Bounds of the Brier score, the log loss or the calibration error."""

    def bounds(forecasts: Forecasts, request: Request, found: Measurement, confidence: float) -> Bounds:
        rows = request.rows
        if kind == "log_loss":
            return _of_mean(forecasts.losses, rows.weights, rows.group_codes, request, confidence)
        if kind == "brier":
            values = squared_errors(forecasts, request)
            largest = 1.0 if request.index is not None or forecasts.num_classes == 2 else 2.0
            return _of_mean(values, rows.weights, rows.group_codes, request, confidence, largest=largest)
        interval = calibration.calibration_interval(
            *sure_and_right(forecasts, request),
            bins=request.parameters["bins"],
            confidence=confidence,
            weights=rows.weights,
            groups=rows.group_codes,
        )
        design = described_design(rows)
        if interval is None:
            return Bounds(None, "cross-fitted", "there are too few samples to tell the error from chance")
        return Bounds(interval, with_design("cross-fitted", design), remarks=design.remarks)

    return bounds


def squared_errors(forecasts: Forecasts, request: Request) -> NDArray[np.float64]:
    """What the Brier score is the mean of, [N]."""
    if request.index is None:
        return calibration.squared_errors(forecasts.probabilities, forecasts.target)
    probability, positive = forecasts.of_class(request.index)
    return calibration.squared_errors(probability, positive)


def sure_and_right(forecasts: Forecasts, request: Request) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The probability that is judged, of one class or of the top one, and whether it came true, [N]."""
    return forecasts.top() if request.index is None else forecasts.of_class(request.index)


_OF_ERRORS = {
    "mae": (regression.mean_absolute_error_interval, HALL),
    "rmse": (regression.root_mean_squared_error_interval, HALL),
    "r2": (regression.r2_interval, "BCa, approximate"),
    "median_error": (regression.median_absolute_error_interval, "order statistics"),
}


def of_errors(kind: str) -> FindBounds:
    """Bounds of a regression's error."""
    find, method = _OF_ERRORS[kind]

    def bounds(rows: Samples, request: Request, found: Measurement, confidence: float) -> Bounds:
        largest = request.parameters.get("max_error")
        codes = rows.group_codes
        asked: dict[str, Any] = {"confidence": confidence, "weights": rows.weights, "groups": codes}
        if kind in ("mae", "rmse"):
            asked["largest"] = largest
        with np.errstate(over="ignore", invalid="ignore"):
            interval = find(rows.actual, rows.predicted, **asked)
        few = too_few(rows.n, rows.weights, codes)
        shown = BAYES if method == HALL and few and largest is not None else method
        if kind == "median_error" and rows.weighed:
            shown = "BCa, approximate"
        design = described_design(rows)
        if interval is None:
            why = why_none(few, largest, "max_error") if method == HALL else "the samples are too few or too alike"
            return Bounds(None, shown, why)
        if np.isnan(interval).any():
            return Bounds(None, shown, NOT_FINITE)
        remarks = design.remarks
        if shown == HALL:
            values = regression.absolute_errors if kind == "mae" else regression.squared_residuals
            advice = "max_error" if largest is None else None
            remarks += rare_values(values(rows.actual, rows.predicted), rows.weights, codes, advice)
        return Bounds(interval, with_design(shown, design), remarks=remarks)

    return bounds


def _of_mean(
    values: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    codes: NDArray[np.int64] | None,
    request: Request,
    confidence: float,
    *,
    largest: float | None = None,
) -> Bounds:
    smallest = 0.0 if values.size and float(values.min()) >= 0 else None
    with np.errstate(over="ignore", invalid="ignore"):
        interval = mean_interval(
            values, confidence=confidence, weights=weights, groups=codes, largest=largest, smallest=smallest
        )
    few = too_few(len(values), weights, codes)
    method, design = BAYES if few and largest is not None else HALL, described_design(request.rows)
    parameter = "max_loss" if "max_loss" in request.parameters else None
    if interval is None:
        return Bounds(None, method, why_none(few, largest, parameter))
    if np.isnan(interval).any():
        return Bounds(None, method, NOT_FINITE)
    remarks = design.remarks
    if method == HALL:
        remarks += rare_values(values, weights, codes, parameter if largest is None else None)
    return Bounds(interval, with_design(method, design), remarks=remarks)


def _one_against_rest(table: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    """The table [2, 2] of one class: the rest comes first."""
    own, actual, predicted = table[index, index], table[index].sum(), table[:, index].sum()
    return np.array([[table.sum() - actual - predicted + own, predicted - own], [actual - own, own]])


def roles(
    compute: Compute, matrix: ConfusionMatrix, request: Request, rows: Samples
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each sample is a hit of a proportion [N], and whether it counts, found by asking of each cell alone.

    Of one class these are the four cells of the class against the rest. Without a class all samples count, and either
    the right ones are hits or the wrong ones: the first cell tells.
    """
    target, preds = collapsed(rows, request.index)
    if request.index is None:
        target, preds = (target != preds).view(np.uint8), np.zeros(len(preds), dtype=np.uint8)
    size = matrix.num_classes if request.index is None else 2
    asked = request if request.index is None else replace(request, labels=(0, 1), index=1)
    hit, counted = np.zeros((2, 2), dtype=np.bool_), np.zeros((2, 2), dtype=np.bool_)
    for cell in ((0, 0),) if request.index is None else ((0, 0), (0, 1), (1, 0), (1, 1)):
        alone = np.zeros((size, size), dtype=np.int64)
        alone[cell] = 1
        labels = matrix.labels if request.index is None else None
        found = compute(type(matrix)(alone, labels), asked)
        counted[cell] = found.value is not None
        hit[cell] = found.value == 1
    if request.index is None:
        hit[1, 0], counted[1, 0] = not hit[0, 0], True
    return hit[target, preds], counted[target, preds]


def collapsed(rows: Samples, index: int | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """The actual and predicted class of each sample [N]; of one class against the rest as 1 and 0."""
    target, preds = classes_of(rows)
    if index is None:
        return target, preds
    return (target == index).view(np.uint8), (preds == index).view(np.uint8)


def influences(table: NDArray[np.float64], metric: Any) -> NDArray[np.float64]:
    """The derivative of a metric by each cell's share of the samples [K, K], by central differences; mean 0.

    Of cells without samples it is 0.
    """
    size, total = len(table), float(table.sum())
    margins = np.diagonal(table), table.sum(axis=1), table.sum(axis=0)
    slopes = np.zeros(table.shape)
    actual, predicted = np.nonzero(table)
    classes = np.arange(size)
    for start in range(0, len(actual), _CELLS):
        i, j = actual[start : start + _CELLS, None], predicted[start : start + _CELLS, None]
        step = np.minimum(1e-5 * total, table[i, j] / 2)
        own = ((i == classes) & (j == classes), i == classes, j == classes)
        up = metric(*(margin + step * one for margin, one in zip(margins, own, strict=True)))
        down = metric(*(margin - step * one for margin, one in zip(margins, own, strict=True)))
        slopes[i, j] = ((up - down)[:, None] / (2 * step)) * total
    return np.where(table > 0, slopes - float((slopes * table).sum()) / total, 0.0)


def change_factor(
    metric: Any,
    target: NDArray[np.int64],
    preds: NDArray[np.int64],
    before: NDArray[np.int64],
    size: int,
    rows: Samples,
    confidence: float,
) -> float | None:
    """By how much weights and groups make the samples of a comparison fewer; None where there is one group only."""
    influence = np.zeros(len(target))
    for sign, decided in ((1.0, preds), (-1.0, before)):
        own = weighted_table(replace(rows, target=target, preds=decided), size)
        influence += sign * influences(own * (rows.n / own.sum()), metric)[target, decided]
    return _factor(influence, rows, confidence)


def _factor(influence: NDArray[np.float64], rows: Samples, confidence: float) -> float | None:
    """By how much weights and groups make the samples fewer."""
    codes = rows.group_codes
    if codes is not None:
        return size_factor(influence, codes, weights=rows.weights, confidence=confidence)
    assert rows.weights is not None
    return weighted_size(influence, rows.weights) / rows.n
