"""What a metric is, and which questions it takes."""

from __future__ import annotations

__tracebackhide__ = True

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_modelgate.exceptions import MetricError, did_you_mean
from pytest_modelgate.metrics.confusion import ConfusionMatrix, Label, index_of
from pytest_modelgate.metrics.forecasts import Forecasts
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.metrics.measurement import Bounds, Measurement
from pytest_modelgate.metrics.ranking import RankCounts, Scores
from pytest_modelgate.metrics.samples import Samples
from pytest_modelgate.statistics.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

Source: TypeAlias = ConfusionMatrix | RankCounts | Scores | Forecasts | MeanLoss | Samples
Compute: TypeAlias = Callable[[Any, "Request"], Measurement]
FindBounds: TypeAlias = Callable[[Any, "Request", Measurement, float], Bounds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a metric, checked: the class by its index, or the average, or neither; every parameter.

    `rows` is what was kept of each sample, in the order of the source: weights and groups among them.
    """

    labels: tuple[Label, ...]
    index: int | None
    average: str | None
    parameters: Mapping[str, Any]
    rows: Samples

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """How much each sample counts; None where all count alike."""
        return self.rows.weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Metric:
    """One metric: what it is called, what it needs, which values it can take, and how it is computed.

    Attributes:
        name, title: as in code, and as in a sentence.
        needs: the evidence that it is computed from: "counts", "ranks", "scores", "forecasts", "errors", "matches" or
            "loss".
        lowest, highest: its range; may be infinite.
        higher_is_better: the direction of a sensible gate.
        averages: the averages over classes that it has; none where it is a metric of all classes at once.
        parameters: what it takes beside the class, with defaults; None is one that is not given.
        of_a_class: whether it can be asked of one class.
        also_called: other names, for hints.
        formula: its definition.
        compute: from the evidence and a checked request to the measurement.
        bounds: from the evidence, the request, the measurement and a confidence to what the data allow.
        bounded_by: the method of its bounds, for the documentation.
    """

    name: str
    title: str
    needs: str
    lowest: float = 0.0
    highest: float = 1.0
    higher_is_better: bool = True
    averages: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    of_a_class: bool = True
    also_called: tuple[str, ...] = ()
    formula: str
    compute: Compute
    bounds: FindBounds
    bounded_by: str

    def measure(
        self,
        source: Source,
        *,
        label: Label | None = None,
        average: str | None = None,
        parameters: Mapping[str, Any] = MappingProxyType({}),
        labels: Sequence[Label] | None = None,
        rows: Samples | None = None,
    ) -> Measurement:
        """The metric of one class, of an average, or of all; MetricError for what it does not take.

        Args:
            source: what `needs` says, such as a `ConfusionMatrix`.
            label: a class, by name or index; the last of two by default, where the metric is one of single classes.
            average: one of `averages`, instead of a label.
            parameters: by name; the defaults fill up what is missing.
            labels: the names of the classes; a confusion matrix has its own.
            rows: what was kept of each sample, in the order of the source.
        """
        asked = self.request(source, label=label, average=average, parameters=parameters, labels=labels, rows=rows)
        return self.compute(source, asked)

    def find_bounds(
        self,
        source: Source,
        found: Measurement,
        *,
        label: Label | None = None,
        average: str | None = None,
        parameters: Mapping[str, Any] = MappingProxyType({}),
        labels: Sequence[Label] | None = None,
        rows: Samples | None = None,
        confidence: float = 0.95,
    ) -> Bounds:
        """What true values the data allow, given what `measure` found; arguments as there."""
        if found.value is None:
            return Bounds(None, self.bounded_by, found.cause)
        if rows is not None and rows.num_groups == 1:
            return Bounds(None, self.bounded_by, "all samples are of one group")
        asked = self.request(source, label=label, average=average, parameters=parameters, labels=labels, rows=rows)
        bounds = self.bounds(source, asked, found, confidence)
        if bounds.interval is None:
            return bounds
        lower, upper = bounds.interval
        return replace(bounds, interval=Interval(float(min(lower, found.value)), float(max(upper, found.value))))

    def shown(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that were given or have a default, for messages."""
        full = {**self.parameters, **parameters}
        return {name: value for name, value in full.items() if value is not None}

    def request(
        self,
        source: Source,
        *,
        label: Label | None = None,
        average: str | None = None,
        parameters: Mapping[str, Any] = MappingProxyType({}),
        labels: Sequence[Label] | None = None,
        rows: Samples | None = None,
    ) -> Request:
        """What `measure` and `find_bounds` ask, checked; arguments as in `measure`."""
        if not isinstance(source, SOURCES[self.needs]):
            raise MetricError(f"{self.name} is computed from {NEEDS[self.needs]}, not from a {type(source).__name__}")
        names = _names(source, labels)
        return Request(
            labels=names,
            index=self._index(names, label, average),
            average=average,
            parameters=self._checked(parameters, names),
            rows=_NOTHING_KEPT if rows is None else rows,
        )

    def _index(self, labels: tuple[Label, ...], label: Label | None, average: str | None) -> int | None:
        if label is not None and average is not None:
            raise MetricError(f"{self.name} takes label= or average=, not both ({label!r} and {average!r})")
        if average is not None:
            if average not in self.averages:
                if not self.averages:
                    raise MetricError(f"{self.name} is one figure for all classes: it takes no average={average!r}")
                takes = ", ".join(map(repr, self.averages))
                raise MetricError(f"{self.name} takes {takes}, not {average!r}{did_you_mean(average, self.averages)}")
            return None
        if label is not None:
            if not self.of_a_class:
                raise MetricError(f"{self.name} is one figure for all classes and takes no label ({label!r})")
            return index_of(labels, label)
        if not self.averages:
            return None
        if len(labels) == 2:
            return 1
        choices = ", ".join(map(repr, self.averages))
        raise MetricError(
            f"{self.name} of {len(labels)} classes: say which with label= (such as {labels[-1]!r}), "
            f"or average= (one of {choices})"
        )

    def _checked(self, parameters: Mapping[str, Any], labels: tuple[Label, ...]) -> Mapping[str, Any]:
        for name in parameters:
            if name not in self.parameters:
                takes = f"takes {', '.join(self.parameters)}" if self.parameters else "takes no parameter"
                raise MetricError(f"{self.name} {takes}, not {name!r}{did_you_mean(name, self.parameters)}")
        full = {**self.parameters, **parameters}
        absent = {name for name, value in full.items() if value is None and self.parameters[name] is None}
        return {name: None if name in absent else PARAMETERS[name](value, len(labels)) for name, value in full.items()}


def _names(source: Source, labels: Sequence[Label] | None) -> tuple[Label, ...]:
    if isinstance(source, ConfusionMatrix):
        return source.labels
    if isinstance(source, (RankCounts, Scores, Forecasts)):
        names = tuple(range(source.num_classes)) if labels is None else tuple(labels)
        if len(names) != source.num_classes:
            raise MetricError(f"{len(names)} labels for scores of {source.num_classes} classes")
        return names
    return ()


def _beta(value: float, num_classes: int) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise MetricError(f"beta must be a number above 0, not {value!r}")
    return float(value)


def _k(value: float, num_classes: int) -> int:
    try:
        k = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        k = 0
    if isinstance(value, bool) or not 1 <= k <= num_classes:
        raise MetricError(f"k must be a whole number from 1 to the {num_classes} classes, not {value!r}: give k=")
    return k


def _bins(value: float, num_classes: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise MetricError(f"bins must be a whole number from 1 to 1,000, not {value!r}")
    return value


def _largest(value: float, num_classes: int) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise MetricError(f"the greatest possible loss or error must be a number above 0, not {value!r}")
    return float(value)


_NOTHING_KEPT = Samples()
PARAMETERS: Mapping[str, Callable[[Any, int], Any]] = {
    "beta": _beta,
    "k": _k,
    "bins": _bins,
    "max_loss": _largest,
    "max_error": _largest,
}


SOURCES: Mapping[str, type] = {
    "counts": ConfusionMatrix,
    "ranks": RankCounts,
    "scores": Scores,
    "forecasts": Forecasts,
    "errors": Samples,
    "loss": MeanLoss,
    "matches": RankCounts,
}
NEEDS: Mapping[str, str] = {
    "counts": "a confusion matrix",
    "ranks": "the ranks of the actual classes (keep='scores')",
    "scores": "the scores of every sample (keep='scores')",
    "forecasts": "the probabilities of every sample (keep='scores')",
    "errors": "the true and predicted values of every sample",
    "loss": "a mean loss",
    "matches": "whether all labels of a sample are right",
}
