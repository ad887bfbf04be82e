"""Metrics of counts over many tables at once: each needs the diagonal and the two margins of a table, and no more.

The registry computes one table in whole numbers; here thousands of tables, drawn to see what chance can do, are
computed together in float64. Definitions as in `pytest_modelgate.metrics.classification`.
"""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pytest_modelgate.exceptions import MetricError, did_you_mean
from pytest_modelgate.statistics.dirichlet import MarginMetric as MarginMetric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

OfClass: TypeAlias = "Callable[[Floats, Floats, Floats, Floats], Floats]"
"""From true positives, actual and predicted positives, and all samples, to a metric of that class against the rest."""


def margin_metric(name: str, *, average: str | None, index: int | None, beta: float = 1.0) -> MarginMetric:
    """The metric of this name as a function of (right, actual, predicted), each of shape [..., K]; NaN where undefined.

    Right is the diagonal of a confusion matrix, actual its row sums, predicted its column sums. They need not be whole.

    Args:
        name: a metric of the registry that is computed from counts.
        average: "macro", "micro" or "weighted", for a metric of single classes.
        index: one class against the rest.
        beta: the weight of recall in F-beta; above 0.

    Raises:
        MetricError: another name or average; both an average and an index, or neither where one is needed.

    >>> recall = margin_metric("recall", average="macro", index=None)
    >>> float(recall(np.array([45.0, 30.0]), np.array([60.0, 40.0]), np.array([55.0, 45.0])))
    0.75
    """
    if average is not None and name in OVERALL:
        raise MetricError(f"{name} takes no average={average!r}")
    if average is not None and index is not None:
        raise MetricError(f"{name} takes one of label= and average=, not both ({index!r} and {average!r})")
    if name in OVERALL:
        whole = OVERALL[name]
        return whole if index is None else partial(_one_vs_rest, whole, index)
    if name not in OF_CLASS:
        names = [*OVERALL, *OF_CLASS]
        raise MetricError(f"no metric of counts is called {name!r}{did_you_mean(name, names)}")
    of_class: OfClass = partial(_fbeta, beta=beta) if name == "fbeta" else OF_CLASS[name]
    if index is not None:
        return partial(_of_index, of_class, index)
    if average is None or average not in AVERAGES:
        raise MetricError(f"{name} of several classes: average is one of {', '.join(AVERAGES)}, not {average!r}")
    return partial(AVERAGES[average], of_class)


def _ratio(part: Floats, of: Floats) -> Floats:
    """NaN where nothing is counted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(of > 0, part / of, np.nan)


def _fbeta(hits: Floats, actual: Floats, predicted: Floats, n: Floats, beta: float = 1.0) -> Floats:
    # As beta^2 alone may overflow, divide by 1 + beta^2 first.
    recall_share = 1 / (1 + beta**-2) if beta > 1 else beta**2 / (1 + beta**2)
    precision_share = 1 / (1 + beta**2) if beta < 1 else beta**-2 / (1 + beta**-2)
    return _ratio(hits, recall_share * actual + precision_share * predicted)


def _left(hits: Floats, actual: Floats, predicted: Floats, n: Floats) -> Floats:
    """True negatives. Rounding may leave a trace below 0 where there are none."""
    return np.maximum((n - actual) - (predicted - hits), 0.0)


OF_CLASS: Mapping[str, OfClass] = {
    "precision": lambda hits, actual, predicted, n: _ratio(hits, predicted),
    "recall": lambda hits, actual, predicted, n: _ratio(hits, actual),
    "specificity": lambda hits, actual, predicted, n: _ratio(_left(hits, actual, predicted, n), n - actual),
    "negative_predictive_value": lambda hits, actual, predicted, n: _ratio(
        _left(hits, actual, predicted, n), n - predicted
    ),
    "false_positive_rate": lambda hits, actual, predicted, n: _ratio(predicted - hits, n - actual),
    "false_negative_rate": lambda hits, actual, predicted, n: _ratio(actual - hits, actual),
    "f1": lambda hits, actual, predicted, n: _ratio(2 * hits, actual + predicted),
    "fbeta": _fbeta,
    "jaccard": lambda hits, actual, predicted, n: _ratio(hits, actual + (predicted - hits)),
}


def _of_index(of_class: OfClass, index: int, right: Floats, actual: Floats, predicted: Floats) -> Floats:
    n = actual.sum(axis=-1)
    return of_class(right[..., index], actual[..., index], predicted[..., index], n)


def _macro(of_class: OfClass, right: Floats, actual: Floats, predicted: Floats) -> Floats:
    """The mean over classes; undefined where one class is."""
    n = actual.sum(axis=-1, keepdims=True)
    mean: Floats = of_class(right, actual, predicted, n).mean(axis=-1)
    return mean


def _micro(of_class: OfClass, right: Floats, actual: Floats, predicted: Floats) -> Floats:
    """The metric of the pooled tables of every class against the rest."""
    n, samples = actual.sum(axis=-1), actual.shape[-1] * actual.sum(axis=-1)
    return of_class(right.sum(axis=-1), n, predicted.sum(axis=-1), samples)


def _weighted(of_class: OfClass, right: Floats, actual: Floats, predicted: Floats) -> Floats:
    """The mean over classes by their samples; classes without a sample are left out."""
    n = actual.sum(axis=-1, keepdims=True)
    of_each = of_class(right, actual, predicted, n)
    return _ratio(np.where(actual > 0, of_each * actual, 0.0).sum(axis=-1), n[..., 0])


AVERAGES: Mapping[str, Callable[[OfClass, Floats, Floats, Floats], Floats]] = {
    "macro": _macro,
    "micro": _micro,
    "weighted": _weighted,
}


def _accuracy(right: Floats, actual: Floats, predicted: Floats) -> Floats:
    return _ratio(right.sum(axis=-1), actual.sum(axis=-1))


def _balanced_accuracy(right: Floats, actual: Floats, predicted: Floats) -> Floats:
    mean: Floats = _ratio(right, actual).mean(axis=-1)
    return mean


def _mcc(right: Floats, actual: Floats, predicted: Floats) -> Floats:
    """As in the registry, in sums of positive terms and of TP TN - FP FN, which lose no digits to each other."""
    spread = np.sqrt(_pairs(actual, actual)) * np.sqrt(_pairs(predicted, predicted))
    return np.clip(_ratio(_beyond_chance(right, actual, predicted), spread), -1.0, 1.0)


def _cohen_kappa(right: Floats, actual: Floats, predicted: Floats) -> Floats:
    return np.clip(_ratio(_beyond_chance(right, actual, predicted), _pairs(actual, predicted)), -1.0, 1.0)


def _pairs(first: Floats, second: Floats) -> Floats:
    """n^2 - sum of first times second: sums over classes of one margin times all the other classes' other margin."""
    if first.shape[-1] == 2:
        others = second[..., ::-1]
    else:
        others = second.sum(axis=-1, keepdims=True) - second
    pairs: Floats = (first * others).sum(axis=-1)
    return pairs


def _beyond_chance(right: Floats, actual: Floats, predicted: Floats) -> Floats:
    """n sum(right) - sum(actual predicted), as the sum of TP TN - FP FN over classes."""
    if right.shape[-1] == 2:
        missed, false = actual[..., 1] - right[..., 1], predicted[..., 1] - right[..., 1]
        return 2 * (right[..., 0] * right[..., 1] - missed * false)
    left = _left(right, actual, predicted, actual.sum(axis=-1, keepdims=True))
    sums: Floats = (right * left - (actual - right) * (predicted - right)).sum(axis=-1)
    return sums


def _one_vs_rest(metric: MarginMetric, index: int, right: Floats, actual: Floats, predicted: Floats) -> Floats:
    """The metric of two classes: all but one, and that one."""
    n = actual.sum(axis=-1)
    one = right[..., index], actual[..., index], predicted[..., index]
    rest = _left(*one, n), n - one[1], n - one[2]
    return metric(*(np.stack(pair, axis=-1) for pair in zip(rest, one, strict=True)))


OVERALL: Mapping[str, MarginMetric] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
    "cohen_kappa": _cohen_kappa,
}
