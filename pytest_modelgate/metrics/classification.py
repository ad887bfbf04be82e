"""Metrics of counts. Each is a ratio of Python integers, divided once, so that nothing overflows or rounds on the way.

Definitions after Sokolova and Lapalme (2009), Matthews (1975) with the K-class form of Gorodkin (2004), Cohen (1960),
van Rijsbergen (1979) for F-beta.
"""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, NamedTuple

from pytest_modelgate.metrics.measurement import Measurement, undefined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.confusion import Label, OneVsRest

    Counts = NDArray[np.int64]
    """A confusion matrix's table [K, K], rows actual; its sum fits int64."""


class Ratio(NamedTuple):
    """A fraction of whole numbers; undefined where `of` is 0."""

    part: int
    of: int

    @property
    def value(self) -> float | None:
        return self.part / self.of if self.of else None


def recall(table: OneVsRest) -> Ratio:
    """TP / (TP + FN)."""
    return Ratio(table.tp, table.tp + table.fn)


def precision(table: OneVsRest) -> Ratio:
    """TP / (TP + FP)."""
    return Ratio(table.tp, table.tp + table.fp)


def specificity(table: OneVsRest) -> Ratio:
    """TN / (TN + FP)."""
    return Ratio(table.tn, table.tn + table.fp)


def negative_predictive_value(table: OneVsRest) -> Ratio:
    """TN / (TN + FN)."""
    return Ratio(table.tn, table.tn + table.fn)


def false_positive_rate(table: OneVsRest) -> Ratio:
    """FP / (FP + TN)."""
    return Ratio(table.fp, table.fp + table.tn)


def false_negative_rate(table: OneVsRest) -> Ratio:
    """FN / (FN + TP)."""
    return Ratio(table.fn, table.fn + table.tp)


def fbeta(table: OneVsRest, beta: float = 1.0) -> Ratio:
    """(1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP), with beta taken as the exact fraction that its float is."""
    above, below = beta.as_integer_ratio()
    above, below = above * above, below * below
    hits = (above + below) * table.tp
    return Ratio(hits, hits + above * table.fn + below * table.fp)


def jaccard(table: OneVsRest) -> Ratio:
    """TP / (TP + FP + FN)."""
    return Ratio(table.tp, table.tp + table.fp + table.fn)


def accuracy(counts: Counts) -> Ratio:
    """The share of samples on the diagonal."""
    return Ratio(int(counts.trace()), int(counts.sum()))


def mean_of_ratios(ratios: Iterable[Ratio], weights: Sequence[int] | None = None) -> float | None:
    """The mean of fractions, added up as fractions and divided once; None where one is undefined.

    Without `weights` each counts alike. The sum goes pairwise, so that many classes stay cheap.

    >>> mean_of_ratios([Ratio(7, 10), Ratio(1, 1), Ratio(1, 1)])
    0.9
    """
    by_denominator: dict[int, int] = {}
    total = 0
    for i, (part, of) in enumerate(ratios):
        if of == 0:
            return None
        weight = 1 if weights is None else weights[i]
        total += weight
        by_denominator[of] = by_denominator.get(of, 0) + weight * part
    if total == 0:
        return None
    sums = [(part, of) for of, part in by_denominator.items()]
    while len(sums) > 1:
        left_over = sums[len(sums) & ~1 :]
        sums = [(a * d + c * b, b * d) for (a, b), (c, d) in zip(sums[::2], sums[1::2], strict=False)] + left_over
    part, of = sums[0]
    return part / (of * total)


def balanced_accuracy(counts: Counts, names: Sequence[str]) -> Measurement:
    """The mean recall of all classes; undefined where a class has no sample."""
    n, right, actual, _ = _margins(counts)
    recalls = [Ratio(hits, of) for hits, of in zip(right, actual, strict=True)]
    if n == 0:
        return undefined("no samples")
    for ratio, name in zip(recalls, names, strict=True):
        if ratio.of == 0:
            return undefined(f"no sample of {name} in {n:,}", n)
    return Measurement(mean_of_ratios(recalls), n)


def mcc(counts: Counts, names: Sequence[str]) -> Measurement:
    """The correlation of actual and predicted class; undefined where either has only one value.

    (c s - sum t p) / sqrt((s^2 - sum p^2)(s^2 - sum t^2)): c on the diagonal, s samples, t and p actual and predicted
    of each class. With two classes it is (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)).
    """
    n, right, actual, predicted = _margins(counts)
    if n == 0:
        return undefined("no samples")
    for margin, what in ((actual, "samples are"), (predicted, "predictions are")):
        if n in margin:
            return undefined(f"all {n:,} {what} of {names[margin.index(n)]}", n)
    spread_actual = n * n - sum(t * t for t in actual)
    spread_predicted = n * n - sum(p * p for p in predicted)
    together = n * sum(right) - sum(t * p for t, p in zip(actual, predicted, strict=True))
    if spread_actual == spread_predicted:
        return Measurement(together / spread_actual, n)
    return Measurement(max(-1.0, min(1.0, together / math.sqrt(spread_actual * spread_predicted))), n)


def cohen_kappa(counts: Counts, names: Sequence[str]) -> Measurement:
    """Agreement beyond chance, (n c - sum t p) / (n^2 - sum t p); undefined where chance alone agrees always."""
    n, right, actual, predicted = _margins(counts)
    if n == 0:
        return undefined("no samples")
    by_chance = sum(t * p for t, p in zip(actual, predicted, strict=True))
    if by_chance == n * n:
        return undefined(f"all {n:,} samples and all predictions are of {names[actual.index(n)]}", n)
    return Measurement((n * sum(right) - by_chance) / (n * n - by_chance), n)


def _margins(counts: Counts) -> tuple[int, list[int], list[int], list[int]]:
    """All samples; then for each class those got right, the actual and the predicted ones: Python integers."""
    actual = counts.sum(axis=1).tolist()
    return sum(actual), counts.diagonal().tolist(), actual, counts.sum(axis=0).tolist()


def phrase(label: Label) -> str:
    """How a sentence names a class.

    >>> phrase("fraud"), phrase(3)
    ("class 'fraud'", 'class 3')
    """
    return f"class {label!r}"


def rest_phrase(labels: Sequence[Label], index: int) -> str:
    """How a sentence names all classes but one.

    >>> rest_phrase(("ok", "fraud"), 1), rest_phrase((0, 1, 2), 1)
    ("class 'ok'", 'a class other than 1')
    """
    return phrase(labels[1 - index]) if len(labels) == 2 else f"a class other than {labels[index]!r}"
