"""Bars and values that say nothing of a model: what any constant answer reaches."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING

import numpy as np

from pytest_modelgate.exceptions import BarError
from pytest_modelgate.gates.wording import majority, number, plain
from pytest_modelgate.metrics.registry import get_metric, measure

if TYPE_CHECKING:
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.gates.gate import Gate
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.metric import Metric

_OF_ACTUAL = ("recall", "false_negative_rate", "specificity", "false_positive_rate")


def refuse_vacuous(gate: Gate, evaluation: Evaluation, label: Label | None) -> None:
    """A `BarError` for a bar that always answering one class meets.

    Asked of accuracy, and of what is accuracy by another name or all but: micro and weighted averages, top-1, and exact
    match, whose constant answer is the most frequent set of labels. An average over several labels is no accuracy.
    """
    metric = get_metric(gate.metric)
    if gate.direction != "at_least" or gate.allow_vacuous or evaluation.n == 0:
        return
    if metric.needs == "matches":
        found = None if evaluation.multilabel is None else evaluation.multilabel.majority()
        if found is not None and gate.meets(found[1]):
            raise _vacuous(gate, metric.name, ", ".join(map(str, found[0])) or "no label", found[1])
        return
    top_1 = metric.name == "top_k_accuracy" and gate.parameters.get("k") == 1
    if not (metric.name == "accuracy" or gate.average in ("micro", "weighted") or top_1):
        return
    if evaluation.multilabel is not None:
        return
    matrix = evaluation.confusion_matrix
    answer, scored = majority(matrix)
    if label is not None:
        positives = int(matrix.support[matrix.index_of(label)]) / matrix.n
        answer, scored = (label, positives) if positives > 0.5 else (f"not {label}", 1 - positives)
    elif metric.needs == "counts":
        constant = np.zeros_like(matrix.counts)
        constant[:, matrix.index_of(answer)] = matrix.support
        always = type(matrix)(constant, matrix.labels)
        value = measure(metric, always, average=gate.average, parameters=gate.parameters).value
        if value is None:
            return
        scored = value
    if gate.meets(scored):
        name = f"{gate.average} {metric.name}" if gate.average else metric.name
        raise _vacuous(gate, name, answer, scored)


def _vacuous(gate: Gate, name: str, answer: Label, scored: float) -> BarError:
    remedy = f"Set it above {number(scored)}" if scored < 1 else "Evaluate on data of more than one class"
    rare = "label" if name == "exact_match" else "class"
    guard = "" if name == "exact_match" else "or with assert_beats_majority_class, "
    return BarError(
        f"a bar of {plain(gate.bar)} on {name} is vacuous: always answering {answer!r} already scores "
        f"{number(scored)}. {remedy}, gate on the recall of the rare {rare} {guard}or insist with allow_vacuous=True"
    )


def constant_answer(evaluation: Evaluation, metric: Metric) -> str | None:
    """Why a metric's value is none of the model's doing: all predictions are alike, or all samples of one class.

    Metrics of the samples of one actual class, such as recall, may be asked of data that hold no other.
    """
    n = evaluation.n
    if evaluation.multilabel is not None and metric.needs in ("counts", "matches"):
        return evaluation.multilabel.constant_answer()
    if metric.needs in ("counts", "ranks") and evaluation.matrix is not None:
        counts = evaluation.matrix.counts
        for margin, what in ((counts.sum(axis=1), "samples"), (counts.sum(axis=0), "predictions")):
            (present,) = margin.nonzero()
            if len(present) == 1 and what == "samples" and metric.name in _OF_ACTUAL:
                return None
            if len(present) == 1:
                return f"all {n:,} {what} are {evaluation.labels[int(present[0])]!r}"
    if metric.needs in ("scores", "forecasts") and evaluation.scores is not None:
        values = evaluation.scores.values
        if bool((values == values[:1]).all()):
            return f"all {n:,} scores are alike"
    if metric.needs == "errors" and evaluation.samples is not None and evaluation.samples.predicted is not None:
        values, actual = evaluation.samples.predicted, evaluation.samples.actual
        if bool((values == values[:1]).all()) and actual is not None and not bool((actual == actual[:1]).all()):
            return f"all {n:,} predictions are {values[0]}"
    return None
