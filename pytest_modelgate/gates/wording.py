"""The words and numbers of verdicts: what people read when a gate breaks."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.registry import Metric

SIGNS = {"at_least": ">=", "at_most": "<=", "above": ">"}


def number(value: float, *others: float) -> str:
    """A number with three decimals, and as many more as it takes to stand on its side of 0, of 1 and of `others`.

    >>> number(0.12), number(0.8996, 0.9), number(0.8996, 0.8996), number(0.99999), number(1e-05), number(12345.678)
    ('0.120', '0.8996', '0.900', '0.99999', '1e-05', '12345.678')
    """
    if value != 0 and abs(value) < 0.001:
        return f"{value:.3g}"
    if abs(value) >= 1e12:
        return f"{value:.4g}"
    apart = [other for other in (0, 1, *others) if other != value]
    for digits in range(3, 17):
        text = f"{value:.{digits}f}"
        shown = float(text)
        if all((shown > other) == (value > other) and (shown < other) == (value < other) for other in apart):
            return text
    return repr(value)


def percent(value: float) -> str:
    """A percentage as a share, with two decimals or as many more as it has.

    >>> percent(90), percent(99.95)
    ('0.90', '0.9995')
    """
    return f"{value / 100:.2f}" if round(value) == value else f"{value / 100:.10g}"


def subject(metric: Metric, *, label: Label | None, average: str | None, parameters: Mapping[str, float]) -> str:
    """What was measured, in words: "recall of 'fraud'", "macro F1", "top-k accuracy (k=3)"."""
    text = metric.title
    if parameters:
        text += " (" + ", ".join(f"{name}={value:g}" for name, value in parameters.items()) + ")"
    if average is not None:
        text = f"{average} {text}"
    if label is not None:
        text += f" of {label!r}"
    return text


def plain(bar: float) -> str:
    """A bar as its author wrote it, all digits kept.

    >>> plain(0.95), plain(1000.0)
    ('0.95', '1000')
    """
    return repr(bar).removesuffix(".0")


def measured(name: str, *, label: Label | None, average: str | None, parameters: Mapping[str, float]) -> str:
    """What a gate is on, as its author would write it: "recall[fraud]".

    >>> measured("fbeta", label="fraud", average=None, parameters={"beta": 2})
    'fbeta(beta=2)[fraud]'
    """
    arguments = ", ".join(f"{key}={value:g}" for key, value in parameters.items())
    which = average if average is not None else label
    return f"{name}{f'({arguments})' if arguments else ''}{'' if which is None else f'[{which}]'}"


def allowed(lower: float, upper: float, confidence: float, method: str) -> str:
    """The bounds in a sentence: what true values the data leave possible."""
    percent = f"{100 * confidence:.10g}%"
    return f"the data allow {number(lower)} to {number(upper)} ({percent} each way, {method})"


def majority(matrix: ConfusionMatrix) -> tuple[Label, float]:
    """The most frequent actual class (the first of equals) and its share: what always answering it scores."""
    support = matrix.support
    index = int(support.argmax())
    return matrix.labels[index], int(support[index]) / matrix.n


def hidden_by_accuracy(evaluation: Evaluation, bar: float) -> list[str]:
    """A line that says so where accuracy would have met the bar only because one class is rare."""
    matrix = evaluation.matrix
    if matrix is None or matrix.n == 0:
        return []
    accuracy = int(matrix.counts.trace()) / matrix.n
    label, share = majority(matrix)
    if accuracy < bar or not 0.75 <= share < 1:
        return []
    return [
        f"accuracy is {number(accuracy, share)}, but always answering {label!r} scores {number(share, accuracy)}: "
        "accuracy hides this failure"
    ]
