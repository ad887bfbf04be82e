"""A metric of torchmetrics as one that gates take, fed from what an evaluation kept."""

from __future__ import annotations

__tracebackhide__ = True

import math
import threading
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import MetricError, at_the_caller, did_you_mean
from pytest_modelgate.metrics.custom import custom_metric
from pytest_modelgate.metrics.measurement import Bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.measurement import Measurement
    from pytest_modelgate.metrics.metric import Metric, Request

_NEEDS = {"labels": "counts", "scores": "forecasts", "values": "errors"}
_OF_LABELS = ("StatScores", "ConfusionMatrix")


@at_the_caller
def from_torchmetrics(
    metric: Any,
    *,
    of: str | None = None,
    name: str | None = None,
    lowest: float = -math.inf,
    highest: float = math.inf,
    higher_is_better: bool | None = None,
    bounds: bool = True,
) -> Metric:
    """A metric of torchmetrics, to be given wherever the name of a metric is. The object given is left as it is.

    It is fed all samples at once. Where a ratio divides by 0, torchmetrics mostly says 0; the metrics of this package
    say that it is undefined. Where torchmetrics warns that there is nothing to measure, it is undefined here too.

    Args:
        metric: such as `torchmetrics.classification.BinaryCohenKappa()`, that gives one number.
        of: what it is fed: "labels" (the predicted classes, decided at the evaluation's threshold), "scores" (the
            probabilities, of the last of two classes or of each; with many classes evaluate with `keep="scores"`) or
            "values" (of a regression). Default by its kind: labels where it is computed from counts, else scores.
        name: as in messages; default the name of its class.
        lowest, highest: the range of its values, where you want a bar outside of it to be an error.
        higher_is_better: default what the metric says.
        bounds: give it the bootstrap's bounds (BCa, approximate), which call it some 2,200 times; else its gates go by
            the estimate alone. Weights are not known to it, groups are to its bounds.

    Raises:
        MetricError: it is no torchmetrics metric, is of several labels a sample, or `of` must be told; later, where it
            gives more than one number, or is of another number of classes than the evidence.

    >>> from torchmetrics.classification import BinaryCohenKappa
    >>> from pytest_modelgate import ConfusionMatrix, Gate
    >>> kappa = from_torchmetrics(BinaryCohenKappa())
    >>> print(Gate(kappa, at_least=0.6).check(ConfusionMatrix([[90, 10], [2, 98]])).outcome)
    PASS
    """
    if not _of_torchmetrics(metric):
        hint = f"; give an instance, {metric.__name__}()" if isinstance(metric, type) else ""
        raise MetricError(f"a torchmetrics metric is wanted, not {type(metric).__name__}{hint}")
    title = type(metric).__name__ if name is None else name
    kind = _kind(metric) if of is None else of
    if kind not in _NEEDS:
        raise MetricError(f"of={of!r} is none of {', '.join(map(repr, _NEEDS))}{did_you_mean(of, _NEEDS)}")
    own = getattr(metric, "threshold", 0.5)
    if kind == "labels" and own != 0.5:
        raise MetricError(
            f"{title} has threshold={own:g}, and its classes are decided at the evaluation's: evaluate with "
            f"threshold={own:g}, and make the metric without"
        )
    better = metric.higher_is_better if higher_is_better is None else higher_is_better
    function = _Function(metric, title, float_preds=kind != "labels")
    plain = custom_metric(
        function,
        of="scores",
        name=title,
        lowest=lowest,
        highest=highest,
        higher_is_better=True if better is None else bool(better),
    )

    def compute(source: Any, request: Request) -> Measurement:
        return plain.compute(_columns(source, request, function), request)

    def find(source: Any, request: Request, found: Measurement, confidence: float) -> Bounds:
        if not bounds:
            return Bounds(None, plain.bounded_by, "they were not asked for (bounds=False)")
        return plain.bounds(_columns(source, request, function), request, found, confidence)

    formula = f"{type(metric).__name__} of torchmetrics"
    return replace(plain, needs=_NEEDS[kind], compute=compute, bounds=find, formula=formula)


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a metric is fed: the actual classes or values, and what was predicted."""

    target: NDArray[Any]
    values: NDArray[Any]

    @property
    def n(self) -> int:
        """How many samples."""
        return len(self.target)


class _Function:
    """A copy of the metric on the CPU, as a function of (target, preds)."""

    def __init__(self, metric: Any, title: str, *, float_preds: bool) -> None:
        self._metric = metric.clone().cpu()
        self._metric.reset()
        self._metric.sync_on_compute = False
        self._float_preds = float_preds
        self._lock = threading.Lock()  # the metric has a state
        self.title = title
        self.binary = type(metric).__name__.startswith("Binary")
        self.num_classes: int | None = 2 if self.binary else getattr(metric, "num_classes", None)

    def __call__(self, target: NDArray[Any], preds: NDArray[Any]) -> float:
        import torch

        of_classes = target.dtype.kind in "iub"
        given = torch.from_numpy(np.require(preds, None if self._float_preds else np.int64, ["C", "W"]))
        actual = torch.from_numpy(np.require(target, np.int64 if of_classes else preds.dtype, ["C", "W"]))
        with self._lock, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                self._metric.update(given, actual)
                value = self._metric.compute()
            except (ValueError, RuntimeError, TypeError, IndexError) as error:
                raise MetricError(f"{self.title} cannot be computed: {str(error).strip().splitlines()[0]}") from error
            finally:
                self._metric.reset()
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            many = f"{value.numel():,} numbers" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
            raise MetricError(f"{self.title} gives {many}, not one: make it with an average, such as average='macro'")
        meaningless = any(issubclass(one.category, UserWarning) for one in said)
        return math.nan if meaningless else float(value)


def _columns(source: Any, request: Request, function: _Function) -> _Columns:
    """What the metric is fed, out of a confusion matrix, of probabilities, or of a regression's values."""
    if hasattr(source, "actual"):
        return _Columns(source.actual, source.predicted)
    classes = source.num_classes
    if function.num_classes is not None and function.num_classes != classes:
        raise MetricError(f"{function.title} is of {function.num_classes} classes, and the evidence has {classes}")
    if hasattr(source, "probabilities"):
        scores = source.probabilities
        if scores.ndim == 1 and not function.binary and function.num_classes == 2:
            scores = np.stack([1 - scores, scores], axis=1)
        return _Columns(source.target, scores)
    rows = request.rows
    if rows.groups is None:
        actual, predicted = np.indices(source.counts.shape).reshape(2, -1)
        return _Columns(np.repeat(actual, source.counts.ravel()), np.repeat(predicted, source.counts.ravel()))
    if rows.target is None or rows.preds is None:
        raise MetricError(f"{function.title} of groups needs the decision of each sample; evaluate with keep='auto'")
    return _Columns(rows.target, rows.preds)


def _of_torchmetrics(metric: object) -> bool:
    return any((base.__module__, base.__name__) == ("torchmetrics.metric", "Metric") for base in type(metric).__mro__)


def _kind(metric: Any) -> str:
    """What a metric of torchmetrics is fed, by its class."""
    place, title = type(metric).__module__, type(metric).__name__
    if place.startswith("torchmetrics.regression"):
        return "values"
    if title.startswith("Multilabel"):
        raise MetricError(f"{title} is of several labels a sample; give the Binary one, and judge each label by itself")
    if place.startswith("torchmetrics.classification"):
        by_counts = any(base.__name__.endswith(_OF_LABELS) for base in type(metric).__mro__)
        return "labels" if by_counts and getattr(metric, "top_k", 1) in (None, 1) else "scores"
    raise MetricError(f"what {title} is fed is not known: say of='labels', 'scores' or 'values'")
