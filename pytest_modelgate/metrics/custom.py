"""A user's own metric, judged as the others are."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import MetricError, did_you_mean
from pytest_modelgate.metrics.bounds import described_design
from pytest_modelgate.metrics.measurement import Bounds, Measurement, undefined
from pytest_modelgate.metrics.registry import METRICS, Metric
from pytest_modelgate.metrics.weighting import relative, weighted_table
from pytest_modelgate.statistics.composites import dirichlet_interval_of
from pytest_modelgate.statistics.effective import kish_size
from pytest_modelgate.statistics.interval import Interval
from pytest_modelgate.statistics.resampling import LEAST_UNITS, bca_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytest_modelgate.metrics.metric import Request
    from pytest_modelgate.metrics.samples import Samples

_ROUNDING = 1e-9
_DIRICHLET, _BCA = "imprecise Dirichlet", "BCa"
_DRAWS, _MOST_DRAWS = 500, 10_000  # each costs 5 to 9 calls of the function
_BEYOND = 20  # draws beyond each bound, at least, if that takes no more than so many
_OF = {"counts": "counts", "scores": "scores", "values": "errors"}


def custom_metric(
    function: Callable[..., float],
    *,
    of: str = "counts",
    name: str | None = None,
    lowest: float = -math.inf,
    highest: float = math.inf,
    higher_is_better: bool = True,
) -> Metric:
    """A metric of your own, to be given wherever the name of a metric is.

    Args:
        function: what computes it; NaN or None where it is undefined. Which arguments it is called with, `of` says:
        of: "counts": the confusion matrix as float64 [K, K], rows actual (not always whole numbers); its bounds are
            the imprecise Dirichlet's. "scores": the actual classes [N] as indices, and the scores [N] or [N, K] as
            they were kept. "values": the true and the predicted values of a regression [N] or [N, D]. The bounds of
            the last two are the bootstrap's (BCa). All are approximate, and for smooth functions only: those of a
            minimum or maximum, such as the worst class's recall, err far more often than they say (a greatest error
            gets none; for the worst class there is `assert_every_class_recall_at_least`).
        name: as in messages; default the function's own, which a lambda has not.
        lowest, highest: the range of its values; a bar outside is an error.
        higher_is_better: the direction of a sensible gate.

    Raises:
        MetricError: `of` is none of these, `function` cannot be called, the range is none, or the name is missing or
            taken.
            Later, where the function gives no number, or one outside of its range.

    >>> from pytest_modelgate import ConfusionMatrix, Gate
    >>> cost = custom_metric(lambda t: (5 * t[1, 0] + t[0, 1]) / t.sum(), name="cost", lowest=0, higher_is_better=False)
    >>> print(Gate(cost, at_most=0.5).check(ConfusionMatrix([[90, 10], [2, 98]])).outcome)
    PASS
    """
    if of not in _OF:
        raise MetricError(f"of={of!r} is none of {', '.join(map(repr, _OF))}{did_you_mean(of, _OF)}")
    if not callable(function):
        raise MetricError(f"a metric is computed by a function, and {function!r} cannot be called")
    if not lowest < highest:
        raise MetricError(f"a metric's range must have lowest < highest, not {lowest!r} and {highest!r}")
    title = name if name is not None else getattr(function, "__name__", "<lambda>")
    if title == "<lambda>":
        raise MetricError("this function has no name of its own: give the metric one with name=")
    if not isinstance(title, str) or not title:
        raise MetricError(f"a metric's name must be a string, not {title!r}")
    if title in METRICS:
        raise MetricError(f"there is a metric {title!r} already: give yours another name=")
    compute, bounds = (_counts if of == "counts" else _columns)(_Checked(function, title, lowest, highest))
    return Metric(
        name=title,
        title=title,
        needs=_OF[of],
        lowest=lowest,
        highest=highest,
        higher_is_better=higher_is_better,
        of_a_class=False,
        formula="a metric of the user's",
        compute=compute,
        bounds=bounds,
        bounded_by=f"{_DIRICHLET if of == 'counts' else _BCA}, approximate",
    )


@dataclass(frozen=True, slots=True)
class _Checked:
    """A user's function, which must give a number within the range, or None or NaN."""

    function: Callable[..., Any]
    title: str
    lowest: float
    highest: float

    def __call__(self, *arguments: Any) -> float:
        value = self.function(*arguments)
        if isinstance(value, float) and self.lowest <= value <= self.highest:
            return float(value)
        if value is None:
            return math.nan
        if isinstance(value, (str, bytes)) or np.ndim(value):
            raise MetricError(f"{self.title} gave {type(value).__name__}, not a number")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise MetricError(f"{self.title} gave {type(value).__name__}, not a number") from None
        slack = _ROUNDING * max(1.0, abs(number))
        if number < self.lowest - slack or number > self.highest + slack:
            raise MetricError(f"{self.title} gave {number!r}, outside of its range {self.lowest!r} to {self.highest!r}")
        return min(max(number, self.lowest), self.highest) if number == number else number

    def measured(self, support: int, *arguments: Any) -> Measurement:
        """Its value as a measurement of so many samples."""
        if support == 0:
            return undefined("no samples")
        try:
            value = self(*arguments)
        except ZeroDivisionError:
            return undefined(f"{self.title} divides by 0 for {support:,} samples", support)
        if math.isfinite(value):
            return Measurement(value, support)
        return undefined(f"{self.title} gave {value} for {support:,} samples", support)


def _named(method: str, design: str) -> str:
    """The method with what is said of groups and weights, which says "approximate" too."""
    return method + (design or ", approximate")


def _counts(function: _Checked) -> tuple[Any, Any]:
    def table_of(matrix: Any, rows: Samples) -> NDArray[np.float64]:
        if rows.weights is None:
            return np.asarray(matrix.counts, dtype=np.float64)
        unit = float(rows.weights.max() / relative(rows.weights).max())
        return weighted_table(rows, matrix.num_classes) * unit

    def compute(matrix: Any, request: Request) -> Measurement:
        return function.measured(matrix.n, table_of(matrix, request.rows))

    def bounds(matrix: Any, request: Request, found: Measurement, confidence: float) -> Bounds:
        rows = request.rows
        if rows.groups is not None:
            return Bounds(
                None, _named(_DIRICHLET, ""), f"{function.title} is not known to be smooth, which groups need"
            )
        table = table_of(matrix, rows) if rows.weights is None else weighted_table(rows, matrix.num_classes)
        if rows.weights is not None:
            table *= kish_size(rows.weights) / table.sum()
        lower, upper = dirichlet_interval_of(
            table,
            function,
            lowest=function.lowest,
            highest=function.highest,
            confidence=confidence,
            draws=max(_DRAWS, min(math.ceil(_BEYOND / (1 - confidence)), _MOST_DRAWS)),
        )
        if upper - lower <= 1e-12 * max(abs(lower), abs(upper)):
            return Bounds(None, _named(_DIRICHLET, ""), "resampled, it does not change")
        design = described_design(rows)
        remarks = design.remarks
        if rows.weights is not None:
            remarks += ("the weights are taken as unrelated to what this metric counts (Kish's size)",)
        return Bounds(Interval(lower, upper), _named(_DIRICHLET, design.text), remarks=remarks)

    return compute, bounds


def _columns(function: _Checked) -> tuple[Any, Any]:
    def of(source: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        return (source.actual, source.predicted) if hasattr(source, "actual") else (source.target, source.values)

    def compute(source: Any, request: Request) -> Measurement:
        if request.weights is not None:
            raise MetricError(f"{function.title} does not know of weights: evaluate without weights= to judge it")
        return function.measured(source.n, *of(source))

    def statistic(*columns: NDArray[Any]) -> float:
        try:
            return function(*columns)
        except ZeroDivisionError:
            return math.nan

    def bounds(source: Any, request: Request, found: Measurement, confidence: float) -> Bounds:
        codes = request.rows.group_codes
        interval = bca_interval(of(source), statistic, confidence=confidence, groups=codes)
        design = described_design(request.rows)
        if interval is None:
            why = "resampled, it hardly changes, is often undefined, or is never more than here (or never less)"
            few = (source.n if codes is None else request.rows.num_groups or 0) < LEAST_UNITS
            why = f"fewer than {LEAST_UNITS} samples or groups say too little" if few else why
            return Bounds(None, _named(_BCA, ""), why)
        return Bounds(interval, _named(_BCA, design.text), remarks=design.remarks)

    return compute, bounds
