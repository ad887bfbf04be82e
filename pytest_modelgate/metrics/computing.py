"""From evidence to measurements: how each kind of metric is computed, and why it may be undefined."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import MetricError
from pytest_modelgate.metrics import bounds, calibration, classification
from pytest_modelgate.metrics.classification import Ratio, mean_of_ratios, phrase, rest_phrase
from pytest_modelgate.metrics.confusion import ConfusionMatrix, Label, OneVsRest
from pytest_modelgate.metrics.measurement import Measurement, undefined
from pytest_modelgate.metrics.weighting import relative
from pytest_modelgate.statistics.sums import exact_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_modelgate.metrics.forecasts import Forecasts
    from pytest_modelgate.metrics.losses import MeanLoss
    from pytest_modelgate.metrics.metric import Compute, Request
    from pytest_modelgate.metrics.ranking import RankCounts, Scores
    from pytest_modelgate.metrics.samples import Samples

NO_SAMPLE = "no sample of {who} in {n}"
NO_OTHER = "no sample of {rest} in {n}"
NEVER_PREDICTED = "{who} was never predicted in {n} samples"
ALWAYS_PREDICTED = "{who} was predicted for all {n} samples"
WEIGHTLESS = "the samples that it rests on all have weight 0"
NEITHER = "{who} neither occurs nor was predicted in {n} samples"


def of_class(ratio: Callable[..., Ratio], cause: str, *, proportion: bool = True, micro: str | None = None) -> Compute:
    """A metric of one class against the rest, and its averages.

    `cause` says why it is undefined, with {who}, {rest} and {n}. Pooled counts (micro) are of independent samples
    where `micro` is "samples", or where there are two classes and it is "of two".
    """

    def compute(matrix: ConfusionMatrix, request: Request) -> Measurement:
        n = matrix.n
        if n == 0:
            return undefined("no samples")
        if request.index is not None:
            table = matrix.one_vs_rest(request.labels[request.index])
            found = ratio(table, **request.parameters)
            support = found.of if proportion else table.n - table.tn
            if found.value is None:
                return undefined(_why(matrix, request.index), support)
            return Measurement(found.value, support, found.part if proportion else None)
        tables = matrix.every_one_vs_rest()
        if request.average == "micro":
            found = ratio(OneVsRest(*map(sum, zip(*tables, strict=True))), **request.parameters)
            # Every wrong sample is one false positive and one false negative, so this can be a share of samples.
            counted = micro == "samples" or (micro == "of two" and matrix.num_classes == 2)
            return Measurement(found.value, n, found.part * n // found.of if counted else None)
        weights = matrix.support.tolist() if request.average == "weighted" else [1] * len(tables)
        weighed = [(k, weight) for k, weight in enumerate(weights) if weight]
        ratios = [ratio(tables[k], **request.parameters) for k, _ in weighed]
        for (k, _), each in zip(weighed, ratios, strict=True):
            if each.of == 0:
                return undefined(_why(matrix, k), n)
        by_support = ratio in (classification.recall, classification.false_negative_rate)
        hits = sum(each.part for each in ratios) if by_support and request.average == "weighted" else None
        return Measurement(mean_of_ratios(ratios, [weight for _, weight in weighed]), n, hits)

    def _why(matrix: ConfusionMatrix, k: int) -> str:
        return cause.format(who=phrase(matrix.labels[k]), rest=rest_phrase(matrix.labels, k), n=f"{matrix.n:,}")

    return compute


def overall(function: Callable[[Any, Sequence[str]], Measurement]) -> Compute:
    """A metric of the whole matrix, or of one class's table against the rest."""

    def compute(matrix: ConfusionMatrix, request: Request) -> Measurement:
        k = request.index
        if k is None:
            return function(matrix.counts, [phrase(label) for label in matrix.labels])
        tp, fp, fn, tn = matrix.one_vs_rest(request.labels[k])
        counts = np.array([[tn, fp], [fn, tp]], dtype=np.int64)
        return function(counts, [rest_phrase(matrix.labels, k), phrase(matrix.labels[k])])

    return compute


def accuracy(counts: Any, names: Sequence[str]) -> Measurement:
    right, n = classification.accuracy(counts)
    return Measurement(right / n, n, right) if n else undefined("no samples")


def top_k(ranks: RankCounts, request: Request) -> Measurement:
    n, hits = ranks.n, int(ranks.counts[: int(request.parameters["k"])].sum())
    if n == 0:
        return undefined("no samples")
    if request.weights is None:
        return Measurement(hits / n, n, hits)
    if request.rows.ranks is None:
        raise MetricError("weighted samples need the rank of the class of each; evaluate with keep='auto'")
    found = request.rows.ranks < int(request.parameters["k"])
    return Measurement(_mean(found.astype(np.float64), request.weights), n)


def exact_match(matches: RankCounts, request: Request) -> Measurement:
    """The share of samples that come first: those all of whose labels are right."""
    return top_k(matches, replace(request, parameters={"k": 1}))


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64] | None) -> float:
    """The mean, rounded once, so that no order of the samples changes it."""
    if weights is None:
        return float(exact_sum(values) / len(values))
    weights = relative(weights)
    return float(exact_sum(values * weights) / exact_sum(weights))


def of_scores(
    function: Callable[[Any, Any], float | None], weighted: Callable[[Any, Any, Any], float | None]
) -> Compute:
    """A metric of one class's scores, and its averages over classes."""

    def of_class(
        scores: Scores, labels: tuple[Label, ...], k: int, sample_weights: NDArray[np.float64] | None
    ) -> Measurement:
        values, positive = scores.of_class(k)
        if positive.all() or not positive.any():
            missing = rest_phrase(labels, k) if positive.any() else phrase(labels[k])
            return undefined(f"no sample of {missing} in {scores.n:,}", scores.n)
        if sample_weights is None:
            value = function(values, positive)
        else:
            both = sample_weights[positive].any() and sample_weights[~positive].any()
            value = weighted(values, positive, sample_weights) if both else None
        return undefined(WEIGHTLESS, scores.n) if value is None else Measurement(value, scores.n)

    def compute(scores: Scores, request: Request) -> Measurement:
        if scores.n == 0:
            return undefined("no samples")
        if request.index is not None:
            return of_class(scores, request.labels, request.index, request.weights)
        weights: list[float] = [1] * scores.num_classes
        if request.average == "weighted":
            weights = scores.support.tolist()
            if request.weights is not None:
                each = [request.weights[scores.target == k] for k in range(scores.num_classes)]
                weights = [float(exact_sum(one)) if len(one) else 0.0 for one in each]
        values = []
        for k, weight in enumerate(weights):
            if weight:
                measured = of_class(scores, request.labels, k, request.weights)
                if measured.value is None:
                    return measured
                values.append(weight * measured.value)
        return Measurement(math.fsum(values) / sum(weights), scores.n)

    return compute


def loss(loss: MeanLoss, request: Request) -> Measurement:
    if loss.samples == 0 or loss.mean is None:
        return undefined("no samples")
    if loss.count_not_finite:
        return undefined(
            f"the loss of {loss.count_not_finite:,} of {loss.samples:,} samples is not finite", loss.samples
        )
    if not math.isfinite(loss.mean):
        return undefined(f"the mean loss of {loss.samples:,} samples is {loss.mean}", loss.samples)
    return Measurement(loss.mean, loss.samples)


def brier(forecasts: Forecasts, request: Request) -> Measurement:
    if forecasts.n == 0:
        return undefined("no samples")
    return Measurement(_mean(bounds.squared_errors(forecasts, request), request.weights), forecasts.n)


def log_loss(forecasts: Forecasts, request: Request) -> Measurement:
    if forecasts.n == 0:
        return undefined("no samples")
    infinite = int(np.count_nonzero(~np.isfinite(forecasts.losses)))
    if infinite:
        return undefined(
            f"{infinite:,} of {forecasts.n:,} samples have probability 0 for what they are, so it is infinite",
            forecasts.n,
        )
    return Measurement(_mean(forecasts.losses, request.weights), forecasts.n)


def calibration_error(forecasts: Forecasts, request: Request) -> Measurement:
    probability, positive = bounds.sure_and_right(forecasts, request)
    bins = request.parameters["bins"]
    value = calibration.calibration_error(probability, positive, bins=bins, weights=request.weights)
    if value is None:
        return undefined(f"none of the {bins} bins holds two of the {forecasts.n:,} samples", forecasts.n)
    return Measurement(value, forecasts.n)


def of_errors(function: Callable[..., float | None], cause: str) -> Compute:
    """A metric of a regression's true and predicted values."""

    def compute(rows: Samples, request: Request) -> Measurement:
        if rows.n == 0:
            return undefined("no samples")
        finite = np.isfinite(np.asarray(rows.actual)).reshape(rows.n, -1).all(axis=1)
        if not finite.all():
            bad = rows.n - int(np.count_nonzero(finite))
            return undefined(f"the target of {bad:,} of {rows.n:,} samples is not finite", rows.n)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            value = function(rows.actual, rows.predicted, weights=rows.weights)
        if value is None:
            return undefined(cause, rows.n)
        if not math.isfinite(value):
            return undefined(f"the errors of {rows.n:,} samples are too large: the result is not finite", rows.n)
        return Measurement(value, rows.n)

    return compute
