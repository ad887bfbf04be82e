"""The metrics by name. Whoever adds one adds an entry here: gates, gate files and tables follow it."""

from __future__ import annotations

__tracebackhide__ = True

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import MetricError, did_you_mean
from pytest_modelgate.metrics import bounds, classification, computing, ranking, regression
from pytest_modelgate.metrics.influences import weighted_average_precision, weighted_roc_auc
from pytest_modelgate.metrics.metric import Compute, Source
from pytest_modelgate.metrics.metric import Metric as Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.measurement import Measurement

CLASSWISE = ("macro", "micro", "weighted")
RANKED = ("macro", "weighted")


def get_metric(name: str | Metric) -> Metric:
    """The metric of this name, or the metric itself; MetricError says which was probably meant.

    >>> get_metric("sensitivity")
    Traceback (most recent call last):
    pytest_modelgate.MetricError: unknown metric 'sensitivity': here it is called 'recall'
    """
    if isinstance(name, Metric):
        return name
    if name in METRICS:
        return METRICS[name]
    word = str(name).lower().replace("-", "_").replace(" ", "_")
    for metric in METRICS.values():
        if word in metric.also_called or word == metric.name:
            raise MetricError(f"unknown metric {name!r}: here it is called {metric.name!r}")
    raise MetricError(f"unknown metric {name!r}{did_you_mean(name, METRICS)} (the metrics are {', '.join(METRICS)})")


def measure(
    name: str | Metric,
    source: Source,
    *,
    labels: Sequence[Label] | None = None,
    label: Label | None = None,
    average: str | None = None,
    parameters: Mapping[str, float] = MappingProxyType({}),
) -> Measurement:
    """Measure a metric by name; arguments and errors as in `get_metric` and `Metric.measure`.

    >>> from pytest_modelgate import ConfusionMatrix
    >>> matrix = ConfusionMatrix([[50, 10], [5, 35]])
    >>> measure("recall", matrix)
    Measurement(value=0.875, support=40, hits=35, cause=None)
    """
    return get_metric(name).measure(source, label=label, average=average, parameters=parameters, labels=labels)


def _counted(name: str, compute: Compute, **rest: Any) -> Metric:
    """A metric of the confusion matrix."""
    lowest = rest.get("lowest", 0.0)
    return Metric(name=name, needs="counts", compute=compute, bounds=bounds.of_counts(name, compute, lowest), **rest)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            _counted(
                name="accuracy",
                title="accuracy",
                also_called=("acc", "accuracy_score"),
                formula="(samples predicted as what they are) / (all samples)",
                bounded_by="Clopper-Pearson",
                compute=computing.overall(computing.accuracy),
            ),
            _counted(
                name="balanced_accuracy",
                title="balanced accuracy",
                also_called=("bacc", "bal_acc", "balanced_acc", "balanced_accuracy_score"),
                formula="the mean recall of all classes",
                bounded_by="imprecise Dirichlet",
                compute=computing.overall(classification.balanced_accuracy),
            ),
            _counted(
                name="precision",
                title="precision",
                averages=CLASSWISE,
                also_called=("ppv", "positive_predictive_value", "precision_score"),
                formula="TP / (TP + FP)",
                bounded_by="Clopper-Pearson; averages: imprecise Dirichlet",
                compute=computing.of_class(classification.precision, computing.NEVER_PREDICTED, micro="samples"),
            ),
            _counted(
                name="recall",
                title="recall",
                averages=CLASSWISE,
                also_called=("sensitivity", "tpr", "true_positive_rate", "hit_rate", "recall_score"),
                formula="TP / (TP + FN)",
                bounded_by="Clopper-Pearson; averages: imprecise Dirichlet",
                compute=computing.of_class(classification.recall, computing.NO_SAMPLE, micro="samples"),
            ),
            _counted(
                name="specificity",
                title="specificity",
                averages=CLASSWISE,
                also_called=("tnr", "true_negative_rate", "selectivity"),
                formula="TN / (TN + FP)",
                bounded_by="Clopper-Pearson; averages: imprecise Dirichlet",
                compute=computing.of_class(classification.specificity, computing.NO_OTHER, micro="of two"),
            ),
            _counted(
                name="negative_predictive_value",
                title="negative predictive value",
                averages=CLASSWISE,
                also_called=("npv",),
                formula="TN / (TN + FN)",
                bounded_by="Clopper-Pearson; averages: imprecise Dirichlet",
                compute=computing.of_class(
                    classification.negative_predictive_value, computing.ALWAYS_PREDICTED, micro="of two"
                ),
            ),
            _counted(
                name="false_positive_rate",
                title="false-positive rate",
                higher_is_better=False,
                averages=CLASSWISE,
                also_called=("fpr", "fall_out", "fallout", "false_alarm_rate"),
                formula="FP / (FP + TN)",
                bounded_by="Clopper-Pearson; averages: imprecise Dirichlet",
                compute=computing.of_class(classification.false_positive_rate, computing.NO_OTHER, micro="of two"),
            ),
            _counted(
                name="false_negative_rate",
                title="false-negative rate",
                higher_is_better=False,
                averages=CLASSWISE,
                also_called=("fnr", "miss_rate"),
                formula="FN / (FN + TP)",
                bounded_by="Clopper-Pearson; averages: imprecise Dirichlet",
                compute=computing.of_class(classification.false_negative_rate, computing.NO_SAMPLE, micro="samples"),
            ),
            _counted(
                name="f1",
                title="F1",
                averages=CLASSWISE,
                also_called=("f1_score", "f_score", "f_measure", "dice", "dice_score"),
                formula="2 TP / (2 TP + FN + FP)",
                bounded_by="exact, through Jaccard; averages: imprecise Dirichlet",
                compute=computing.of_class(classification.fbeta, computing.NEITHER, proportion=False, micro="samples"),
            ),
            _counted(
                name="fbeta",
                title="F-beta",
                averages=CLASSWISE,
                parameters=MappingProxyType({"beta": 1.0}),
                also_called=("f_beta", "fbeta_score", "f2", "f2_score", "f0.5"),
                formula="(1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP)",
                bounded_by="imprecise Dirichlet",
                compute=computing.of_class(classification.fbeta, computing.NEITHER, proportion=False, micro="samples"),
            ),
            _counted(
                name="jaccard",
                title="Jaccard index",
                averages=CLASSWISE,
                also_called=("iou", "jaccard_index", "jaccard_score", "intersection_over_union"),
                formula="TP / (TP + FP + FN)",
                bounded_by="Clopper-Pearson; averages: imprecise Dirichlet",
                compute=computing.of_class(classification.jaccard, computing.NEITHER),
            ),
            _counted(
                name="mcc",
                title="Matthews correlation",
                lowest=-1.0,
                also_called=("matthews", "matthews_corrcoef", "matthews_correlation", "phi"),
                formula="(TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)); K classes after Gorodkin",
                bounded_by="imprecise Dirichlet",
                compute=computing.overall(classification.mcc),
            ),
            _counted(
                name="cohen_kappa",
                title="Cohen's kappa",
                lowest=-1.0,
                also_called=("kappa", "cohens_kappa", "cohen_kappa_score"),
                formula="(accuracy - accuracy by chance) / (1 - accuracy by chance)",
                bounded_by="imprecise Dirichlet",
                compute=computing.overall(classification.cohen_kappa),
            ),
            Metric(
                name="top_k_accuracy",
                title="top-k accuracy",
                needs="ranks",
                of_a_class=False,
                parameters=MappingProxyType({"k": 5}),
                also_called=("top_k", "topk", "top_k_accuracy_score", "top5", "top_5_accuracy", "hit_at_k"),
                formula="(samples with fewer than k classes scored above the actual one) / (all samples)",
                bounded_by="Clopper-Pearson",
                compute=computing.top_k,
                bounds=bounds.of_ranks,
            ),
            Metric(
                name="roc_auc",
                title="ROC-AUC",
                needs="scores",
                averages=RANKED,
                also_called=("auc", "auroc", "roc_auc_score", "c_statistic", "area_under_roc"),
                formula="the share of pairs in which the positive sample scores higher, ties one half",
                bounded_by="DeLong and Hanley-McNeil; averages approximate",
                compute=computing.of_scores(ranking.roc_auc, weighted_roc_auc),
                bounds=bounds.of_scores("roc_auc"),
            ),
            Metric(
                name="average_precision",
                title="average precision",
                needs="scores",
                averages=RANKED,
                also_called=("ap", "map", "pr_auc", "auprc", "average_precision_score"),
                formula="the mean over the positive samples of the precision at their score",
                bounded_by="effective size, approximate",
                compute=computing.of_scores(ranking.average_precision, weighted_average_precision),
                bounds=bounds.of_scores("average_precision"),
            ),
            Metric(
                name="calibration_error",
                title="calibration error",
                needs="forecasts",
                higher_is_better=False,
                parameters=MappingProxyType({"bins": 15}),
                also_called=("ece", "expected_calibration_error", "rms_calibration_error", "miscalibration"),
                formula="the root mean square, over equal bins of the probability, of how far what came true is from "
                "what was forecast, less what chance adds; of the most probable class where there are more than two",
                bounded_by="cross-fitted",
                compute=computing.calibration_error,
                bounds=bounds.of_forecasts("calibration_error"),
            ),
            Metric(
                name="brier",
                title="Brier score",
                needs="forecasts",
                highest=2.0,
                higher_is_better=False,
                also_called=("brier_score", "brier_loss", "brier_score_loss"),
                formula="the mean of (p - y)^2 for two classes (0 to 1), of its sum over all classes for more (0 to 2)",
                bounded_by="Hall's skew-corrected t, approximate; below 50 samples Bayesian bootstrap",
                compute=computing.brier,
                bounds=bounds.of_forecasts("brier"),
            ),
            Metric(
                name="log_loss",
                title="log loss",
                needs="forecasts",
                highest=math.inf,
                higher_is_better=False,
                of_a_class=False,
                also_called=("logloss", "nll", "negative_log_likelihood"),
                formula="the mean of -log p of the actual class",
                bounded_by="Hall's skew-corrected t, approximate",
                compute=computing.log_loss,
                bounds=bounds.of_forecasts("log_loss"),
            ),
            Metric(
                name="mae",
                title="mean absolute error",
                needs="errors",
                highest=math.inf,
                higher_is_better=False,
                of_a_class=False,
                parameters=MappingProxyType({"max_error": None}),
                also_called=("mean_absolute_error", "l1", "l1_error"),
                formula="the mean of abs(actual - predicted)",
                bounded_by="Hall's skew-corrected t, approximate",
                compute=computing.of_errors(regression.mean_absolute_error, "no samples"),
                bounds=bounds.of_errors("mae"),
            ),
            Metric(
                name="rmse",
                title="root mean squared error",
                needs="errors",
                highest=math.inf,
                higher_is_better=False,
                of_a_class=False,
                parameters=MappingProxyType({"max_error": None}),
                also_called=("root_mean_squared_error", "rms_error", "rmsd"),
                formula="the square root of the mean of (actual - predicted)^2",
                bounded_by="Hall's skew-corrected t, approximate",
                compute=computing.of_errors(regression.root_mean_squared_error, "no samples"),
                bounds=bounds.of_errors("rmse"),
            ),
            Metric(
                name="r2",
                title="R2",
                needs="errors",
                lowest=-math.inf,
                of_a_class=False,
                also_called=("r2_score", "r_squared", "coefficient_of_determination"),
                formula="1 - sum (actual - predicted)^2 / sum (actual - mean actual)^2",
                bounded_by="BCa, approximate",
                compute=computing.of_errors(regression.r2, "all actual values are alike"),
                bounds=bounds.of_errors("r2"),
            ),
            Metric(
                name="median_error",
                title="median absolute error",
                needs="errors",
                highest=math.inf,
                higher_is_better=False,
                of_a_class=False,
                also_called=("median_absolute_error", "medae", "median_ae"),
                formula="the median of abs(actual - predicted)",
                bounded_by="order statistics",
                compute=computing.of_errors(regression.median_absolute_error, "no samples"),
                bounds=bounds.of_errors("median_error"),
            ),
            Metric(
                name="exact_match",
                title="exact match",
                needs="matches",
                of_a_class=False,
                also_called=("exact_match_ratio", "subset_accuracy", "multilabel_accuracy"),
                formula="(samples all of whose labels are right) / (all samples), where samples have several labels",
                bounded_by="Clopper-Pearson",
                compute=computing.exact_match,
                bounds=bounds.of_matches,
            ),
            Metric(
                name="loss",
                title="loss",
                needs="loss",
                lowest=-math.inf,
                highest=math.inf,
                higher_is_better=False,
                of_a_class=False,
                parameters=MappingProxyType({"max_loss": None}),
                also_called=("mean_loss", "val_loss", "test_loss"),
                formula="the mean loss of all samples",
                bounded_by="Hall's skew-corrected t, approximate",
                compute=computing.loss,
                bounds=bounds.of_loss,
            ),
        )
    }
)
