"""Metrics of the validation set after each epoch, out of one confusion matrix and the pass that measures the loss."""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.outputs import decide
from pytest_modelgate.exceptions import EvidenceError, TrainingError
from pytest_modelgate.metrics.arrays import to_numpy, whole_numbers
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.counting import labels_to_counts, logits_to_labels
from pytest_modelgate.metrics.registry import METRICS, get_metric

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from pytest_modelgate.runtime.losses import Loss

_AT_ONCE = 1 << 20


def check_metrics(metrics: Any) -> dict[str, dict[str, Any]]:
    """What to measure after each epoch, by the metric's name: `label=`, `average=` or parameters of each.

    Args:
        metrics: names, or a mapping from names to such options.

    Raises:
        TrainingError: it is neither.
        MetricError: an unknown metric.
    """
    if isinstance(metrics, str) or not hasattr(metrics, "__iter__"):
        raise TrainingError(f"metrics={metrics!r}: give names, such as metrics=('recall', 'precision')")
    asked: dict[str, dict[str, Any]] = {}
    for name in metrics:
        options = metrics[name] if isinstance(metrics, Mapping) else {}
        metric = get_metric(name)
        if metric.needs != "counts":
            counted = ", ".join(one.name for one in METRICS.values() if one.needs == "counts")
            raise TrainingError(
                f"metrics= takes those of the confusion matrix ({counted}); for {metric.name} use evaluate"
            )
        if not isinstance(options, Mapping):
            raise TrainingError(
                f"metrics={{{metric.name!r}: {options!r}}}: give options, such as {{{metric.name!r}: {{'label': 1}}}}"
            )
        if metric.name in asked:
            raise TrainingError(f"metrics= names {metric.name} twice")
        asked[metric.name] = dict(options)
    return asked


def check_countable(loss: Loss) -> None:
    """A `TrainingError` where classes do not follow from what the model gives to this loss."""
    if loss.outputs not in ("logits", "probabilities"):
        takes = f"takes {loss.outputs}" if loss.outputs else "does not tell what the model gives"
        raise TrainingError(f"metrics= counts classes, and the loss {loss.name} {takes}; leave metrics= out")


class Decisions:
    """Counts the decisions of one pass over the validation set; exact, whatever the batches are.

    A sample of two classes is positive iff its probability is at least 1/2, as in `evaluate`.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._pending: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._numbers = 0
        self._finite = True
        self._counts: NDArray[np.int64] | None = None

    def add(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        """One batch: outputs [n], [n, 1] or [n, K], targets [n] or [n, 1]."""
        if targets.numel() != len(targets) or outputs.ndim > 2 or len(outputs) != len(targets):
            raise EvidenceError(
                f"metrics= counts one class a sample: outputs of shape {list(outputs.shape)} and targets of shape "
                f"{list(targets.shape)} do not give one"
            )
        self._pending.append((outputs, targets))
        self._numbers += outputs.numel()
        if self._numbers >= _AT_ONCE:
            self._count()

    def measure(self, asked: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        """Each metric that is defined, by its name in the history: `val_recall` for "recall".

        With more than two classes and neither `label` nor `average`, a metric of single classes is averaged (macro).
        """
        self._count()
        if not self._finite:
            raise EvidenceError("metrics= needs finite outputs, but some of the validation set's are NaN or infinite")
        if self._counts is None:
            return {}
        matrix = ConfusionMatrix(self._counts)
        found = {}
        for name, options in asked.items():
            metric = get_metric(name)
            rest = dict(options)
            label, average = rest.pop("label", None), rest.pop("average", None)
            if matrix.num_classes > 2 and label is None and average is None and metric.averages:
                average = "macro"
            value = metric.measure(matrix, label=label, average=average, parameters=rest).value
            if value is not None:
                found[f"val_{name}"] = value
        return found

    def _count(self) -> None:
        import torch

        if not self._pending:
            return
        outputs = to_numpy(torch.cat([one for one, _ in self._pending]))
        targets = whole_numbers(np.concatenate([to_numpy(two).reshape(-1) for _, two in self._pending]), "target")
        self._pending, self._numbers = [], 0
        if self._loss.ignored is not None or (targets == -100).any():
            counted = targets != (-100 if self._loss.ignored is None else self._loss.ignored)
            outputs, targets = outputs[counted], targets[counted]
        if not np.isfinite(outputs).all():
            self._finite = False
            return
        columns = math.prod(outputs.shape[1:])
        if columns > 2:
            predicted, classes = logits_to_labels(outputs), columns
        else:
            scores = outputs.reshape(-1) if columns == 1 else _against(outputs, self._loss)
            predicted, classes = decide(scores, 0.5, self._loss.outputs or "").view(np.uint8), 2
        counts = labels_to_counts(targets, predicted, classes)
        self._counts = counts if self._counts is None else self._counts + counts


def _against(outputs: NDArray[Any], loss: Loss) -> NDArray[Any]:
    """One score of two columns: how far the second is above the first."""
    return np.asarray(outputs[:, 1] - outputs[:, 0] if loss.outputs == "logits" else outputs[:, 1])
