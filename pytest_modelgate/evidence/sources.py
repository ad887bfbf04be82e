"""What a metric is computed from, out of an evaluation: or an error that says what to keep."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import EvidenceError, MetricError
from pytest_modelgate.metrics.forecasts import Forecasts

if TYPE_CHECKING:
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.metric import Metric


def source_of(evaluation: Evaluation, metric: Metric) -> Any:
    """What a metric is computed from; an `EvidenceError` where it was not kept."""
    if metric.needs == "counts":
        return evaluation.confusion_matrix
    if metric.needs == "matches":
        raise MetricError(
            f"{metric.name} is for several labels a sample (task='multilabel'); with one class a sample it is accuracy"
        )
    if metric.needs == "loss":
        if evaluation.mean_loss is None:
            kept = ", one that gives a value for each sample, and keep='auto'," if evaluation.origin.steps else ""
            raise EvidenceError(f"no loss was measured: evaluate with loss=...{kept} to gate on it")
        return evaluation.mean_loss
    if metric.needs == "errors":
        if evaluation.samples is None or evaluation.samples.actual is None:
            raise EvidenceError(_no_errors(evaluation, metric.name))
        return evaluation.samples
    source = evaluation.ranks if metric.needs == "ranks" else evaluation.scores
    if source is None:
        raise EvidenceError(_not_kept(evaluation, metric.name, metric.needs))
    return Forecasts.from_scores(evaluation.scores, evaluation.outputs) if metric.needs == "forecasts" else source


def no_matrix(evaluation: Evaluation) -> str:
    """Why an evaluation has no confusion matrix, and what to ask instead."""
    if evaluation.multilabel is None:
        return f"a {evaluation.task} evaluation has no confusion matrix; only its loss can be judged"
    first = evaluation.labels[0]
    return (
        "samples with several labels have a confusion matrix for each label: ask evaluation.multilabel[label], such as "
        f"evaluation.multilabel[{first!r}]"
    )


def _no_errors(evaluation: Evaluation, asked: str) -> str:
    if evaluation.outputs != "values":
        return f"{asked} is for predicted values, and these are {evaluation.outputs}; evaluate with outputs='values'"
    return (
        f"{asked} needs the values of each sample, one target for each output: their shapes differ, "
        "or keep='counts' kept none"
    )


def _not_kept(evaluation: Evaluation, asked: str, needs: str) -> str:
    if evaluation.outputs in ("labels", "counts"):
        return f"{asked} needs scores, and this evidence has only decided labels; evaluate logits or probabilities"
    if needs == "ranks" and evaluation.task == "binary":
        return f"{asked} is for more than two classes; with two, gate on accuracy or recall"
    keep = "auto" if needs == "ranks" or evaluation.task == "binary" else "scores"
    return f"{asked} needs {needs} that were not kept; evaluate with keep={keep!r}"
