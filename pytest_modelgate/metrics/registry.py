"""The metrics by name. Whoever adds one adds an entry here: gates, gate files and tables follow it."""

from __future__ import annotations

__tracebackhide__ = True

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import MetricError, did_you_mean
from pytest_modelgate.metrics import classification, ranking
from pytest_modelgate.metrics.classification import Ratio, mean_of_ratios, phrase, rest_phrase
from pytest_modelgate.metrics.confusion import ConfusionMatrix, Label, OneVsRest
from pytest_modelgate.metrics.measurement import Measurement, undefined
from pytest_modelgate.metrics.metric import Compute, Request, Source
from pytest_modelgate.metrics.metric import Metric as Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_modelgate.metrics.losses import MeanLoss
    from pytest_modelgate.metrics.ranking import RankCounts, Scores

CLASSWISE = ("macro", "micro", "weighted")
RANKED = ("macro", "weighted")


def get_metric(name: str) -> Metric:
    """The metric of this name; MetricError says which was probably meant.

    >>> get_metric("sensitivity")
    Traceback (most recent call last):
    pytest_modelgate.MetricError: unknown metric 'sensitivity': here it is called 'recall'
    """
    if name in METRICS:
        return METRICS[name]
    word = str(name).lower().replace("-", "_").replace(" ", "_")
    for metric in METRICS.values():
        if word in metric.also_called or word == metric.name:
            raise MetricError(f"unknown metric {name!r}: here it is called {metric.name!r}")
    raise MetricError(f"unknown metric {name!r}{did_you_mean(name, METRICS)} (the metrics are {', '.join(METRICS)})")


def measure(
    name: str,
    source: Source,
    *,
    labels: Sequence[Label] | None = None,
    label: Label | None = None,
    average: str | None = None,
    parameters: Mapping[str, float] = MappingProxyType({}),
) -> Measurement:
    """Measure a metric by name; arguments and errors as in `get_metric` and `Metric.measure`.

    >>> matrix = ConfusionMatrix([[50, 10], [5, 35]])
    >>> measure("recall", matrix)
    Measurement(value=0.875, support=40, hits=35, cause=None)
    """
    return get_metric(name).measure(source, label=label, average=average, parameters=parameters, labels=labels)


def _of_class(ratio: Callable[..., Ratio], cause: str, *, proportion: bool = True, micro: str | None = None) -> Compute:
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
        return Measurement(mean_of_ratios(ratios, [weight for _, weight in weighed]), n)

    def _why(matrix: ConfusionMatrix, k: int) -> str:
        return cause.format(who=phrase(matrix.labels[k]), rest=rest_phrase(matrix.labels, k), n=f"{matrix.n:,}")

    return compute


def _overall(function: Callable[[Any, Sequence[str]], Measurement]) -> Compute:
    """A metric of the whole matrix, or of one class's table against the rest."""

    def compute(matrix: ConfusionMatrix, request: Request) -> Measurement:
        k = request.index
        if k is None:
            return function(matrix.counts, [phrase(label) for label in matrix.labels])
        tp, fp, fn, tn = matrix.one_vs_rest(request.labels[k])
        counts = np.array([[tn, fp], [fn, tp]], dtype=np.int64)
        return function(counts, [rest_phrase(matrix.labels, k), phrase(matrix.labels[k])])

    return compute


def _accuracy(counts: Any, names: Sequence[str]) -> Measurement:
    right, n = classification.accuracy(counts)
    return Measurement(right / n, n, right) if n else undefined("no samples")


def _top_k(ranks: RankCounts, request: Request) -> Measurement:
    n, hits = ranks.n, int(ranks.counts[: int(request.parameters["k"])].sum())
    return Measurement(hits / n, n, hits) if n else undefined("no samples")


def _of_scores(function: Callable[[Any, Any], float | None]) -> Compute:
    """A metric of one class's scores, and its averages over classes."""

    def of_class(scores: Scores, labels: tuple[Label, ...], k: int) -> Measurement:
        value = function(*scores.of_class(k))
        if value is not None:
            return Measurement(value, scores.n)
        missing = rest_phrase(labels, k) if scores.support[k] else phrase(labels[k])
        return undefined(f"no sample of {missing} in {scores.n:,}", scores.n)

    def compute(scores: Scores, request: Request) -> Measurement:
        if scores.n == 0:
            return undefined("no samples")
        if request.index is not None:
            return of_class(scores, request.labels, request.index)
        weights = scores.support.tolist() if request.average == "weighted" else [1] * scores.num_classes
        values = []
        for k, weight in enumerate(weights):
            if weight:
                measured = of_class(scores, request.labels, k)
                if measured.value is None:
                    return measured
                values.append(weight * measured.value)
        return Measurement(math.fsum(values) / sum(weights), scores.n)

    return compute


def _loss(loss: MeanLoss, request: Request) -> Measurement:
    if loss.samples == 0 or loss.mean is None:
        return undefined("no samples")
    if loss.count_not_finite:
        return undefined(
            f"the loss of {loss.count_not_finite:,} of {loss.samples:,} samples is not finite", loss.samples
        )
    if not math.isfinite(loss.mean):
        return undefined(f"the mean loss of {loss.samples:,} samples is {loss.mean}", loss.samples)
    return Measurement(loss.mean, loss.samples)


NO_SAMPLE = "no sample of {who} in {n}"
NO_OTHER = "no sample of {rest} in {n}"
NEVER_PREDICTED = "{who} was never predicted in {n} samples"
ALWAYS_PREDICTED = "{who} was predicted for all {n} samples"
NEITHER = "{who} neither occurs nor was predicted in {n} samples"

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(
                name="accuracy",
                title="accuracy",
                needs="counts",
                also_called=("acc", "accuracy_score"),
                formula="(samples predicted as what they are) / (all samples)",
                compute=_overall(_accuracy),
            ),
            Metric(
                name="balanced_accuracy",
                title="balanced accuracy",
                needs="counts",
                also_called=("bacc", "bal_acc", "balanced_acc", "balanced_accuracy_score"),
                formula="the mean recall of all classes",
                compute=_overall(classification.balanced_accuracy),
            ),
            Metric(
                name="precision",
                title="precision",
                needs="counts",
                averages=CLASSWISE,
                also_called=("ppv", "positive_predictive_value", "precision_score"),
                formula="TP / (TP + FP)",
                compute=_of_class(classification.precision, NEVER_PREDICTED, micro="samples"),
            ),
            Metric(
                name="recall",
                title="recall",
                needs="counts",
                averages=CLASSWISE,
                also_called=("sensitivity", "tpr", "true_positive_rate", "hit_rate", "recall_score"),
                formula="TP / (TP + FN)",
                compute=_of_class(classification.recall, NO_SAMPLE, micro="samples"),
            ),
            Metric(
                name="specificity",
                title="specificity",
                needs="counts",
                averages=CLASSWISE,
                also_called=("tnr", "true_negative_rate", "selectivity"),
                formula="TN / (TN + FP)",
                compute=_of_class(classification.specificity, NO_OTHER, micro="of two"),
            ),
            Metric(
                name="negative_predictive_value",
                title="negative predictive value",
                needs="counts",
                averages=CLASSWISE,
                also_called=("npv",),
                formula="TN / (TN + FN)",
                compute=_of_class(classification.negative_predictive_value, ALWAYS_PREDICTED, micro="of two"),
            ),
            Metric(
                name="false_positive_rate",
                title="false-positive rate",
                needs="counts",
                higher_is_better=False,
                averages=CLASSWISE,
                also_called=("fpr", "fall_out", "fallout", "false_alarm_rate"),
                formula="FP / (FP + TN)",
                compute=_of_class(classification.false_positive_rate, NO_OTHER, micro="of two"),
            ),
            Metric(
                name="false_negative_rate",
                title="false-negative rate",
                needs="counts",
                higher_is_better=False,
                averages=CLASSWISE,
                also_called=("fnr", "miss_rate"),
                formula="FN / (FN + TP)",
                compute=_of_class(classification.false_negative_rate, NO_SAMPLE, micro="samples"),
            ),
            Metric(
                name="f1",
                title="F1",
                needs="counts",
                averages=CLASSWISE,
                also_called=("f1_score", "f_score", "f_measure", "dice", "dice_score"),
                formula="2 TP / (2 TP + FN + FP)",
                compute=_of_class(classification.fbeta, NEITHER, proportion=False, micro="samples"),
            ),
            Metric(
                name="fbeta",
                title="F-beta",
                needs="counts",
                averages=CLASSWISE,
                parameters=MappingProxyType({"beta": 1.0}),
                also_called=("f_beta", "fbeta_score", "f2", "f2_score", "f0.5"),
                formula="(1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP)",
                compute=_of_class(classification.fbeta, NEITHER, proportion=False, micro="samples"),
            ),
            Metric(
                name="jaccard",
                title="Jaccard index",
                needs="counts",
                averages=CLASSWISE,
                also_called=("iou", "jaccard_index", "jaccard_score", "intersection_over_union"),
                formula="TP / (TP + FP + FN)",
                compute=_of_class(classification.jaccard, NEITHER, proportion=False),
            ),
            Metric(
                name="mcc",
                title="Matthews correlation",
                needs="counts",
                lowest=-1.0,
                also_called=("matthews", "matthews_corrcoef", "matthews_correlation", "phi"),
                formula="(TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)); K classes after Gorodkin",
                compute=_overall(classification.mcc),
            ),
            Metric(
                name="cohen_kappa",
                title="Cohen's kappa",
                needs="counts",
                lowest=-1.0,
                also_called=("kappa", "cohens_kappa", "cohen_kappa_score"),
                formula="(accuracy - accuracy by chance) / (1 - accuracy by chance)",
                compute=_overall(classification.cohen_kappa),
            ),
            Metric(
                name="top_k_accuracy",
                title="top-k accuracy",
                needs="ranks",
                parameters=MappingProxyType({"k": 5}),
                also_called=("top_k", "topk", "top_k_accuracy_score", "top5", "top_5_accuracy", "hit_at_k"),
                formula="(samples with fewer than k classes scored above the actual one) / (all samples)",
                compute=_top_k,
            ),
            Metric(
                name="roc_auc",
                title="ROC-AUC",
                needs="scores",
                averages=RANKED,
                also_called=("auc", "auroc", "roc_auc_score", "c_statistic", "area_under_roc"),
                formula="the share of pairs in which the positive sample scores higher, ties one half",
                compute=_of_scores(ranking.roc_auc),
            ),
            Metric(
                name="average_precision",
                title="average precision",
                needs="scores",
                averages=RANKED,
                also_called=("ap", "map", "pr_auc", "auprc", "average_precision_score"),
                formula="the mean over the positive samples of the precision at their score",
                compute=_of_scores(ranking.average_precision),
            ),
            Metric(
                name="loss",
                title="loss",
                needs="loss",
                lowest=-math.inf,
                highest=math.inf,
                higher_is_better=False,
                also_called=("mean_loss", "val_loss", "test_loss"),
                formula="the mean loss of all samples",
                compute=_loss,
            ),
        )
    }
)
