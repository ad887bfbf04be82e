"""Where the marks of a verdict stand on its scale: the same for every renderer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_modelgate.reports.numbers import Number, finite, number, signed

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind: TypeAlias = Literal["share", "correlation", "difference", "error", "other"]
"""What a scale is like: 0 to 1, -1 to 1, centred on 0, from 0 up, or made for the numbers at hand."""

_ERRORS = ("forecasts", "errors", "loss")
_SEED = re.compile(r"seed \d+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A verdict on its scale; every mark is a share of the scale's length, from 0 to 1, or None where it has none.

    `lowest` and `highest` are the values at the scale's ends, `seeds` the marks of single trainings.
    """

    kind: Kind
    lowest: float
    highest: float
    estimate: float | None
    lower: float | None
    upper: float | None
    bar: float | None
    seeds: tuple[float, ...] = ()


def strip(verdict: Mapping[str, Any]) -> Strip:
    """The marks of a verdict.

    Shares have the scale [0, 1] and correlations [-1, 1]. A difference has 0 in the middle. Errors,
    losses, metrics of a user's own and whatever leaves its range have a scale made for their numbers: it starts at 0
    (or below, if one is negative) and ends at the first of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten that holds
    all of them.
    """
    values = {name: drawable(verdict[name]) for name in ("estimate", "lower", "upper", "bar")}
    singles = [value for raw in seeds(verdict) if (value := drawable(raw)) is not None]
    known = [*(value for value in values.values() if value is not None), *singles]
    smallest, largest = min(known, default=0.0), max(known, default=1.0)
    kind = _kind(verdict)
    if kind == "difference":
        reach = max(-smallest, largest, 0.0)
        highest = round_up(reach) if reach > 0 else 1.0
        lowest = -highest
    elif kind == "correlation" and smallest >= -1 and largest <= 1:
        lowest, highest = -1.0, 1.0
    elif kind == "share" and smallest >= 0 and largest <= 1:
        lowest, highest = 0.0, 1.0
    else:
        lowest, highest = _fitted(smallest, largest)
        if verdict["metric"] == "r2" and highest < 1:
            highest = 1.0
        kind = "error" if kind == "error" and lowest == 0 else "other"
    length = highest - lowest
    marks = {name: None if value is None else (value - lowest) / length for name, value in values.items()}
    dots = tuple((value - lowest) / length for value in singles)
    return Strip(kind=kind, lowest=lowest, highest=highest, **marks, seeds=dots)


def is_difference(verdict: Mapping[str, Any]) -> bool:
    """Whether its numbers are differences: from a baseline, between training and test data, or between slices."""
    return str(verdict["gate"]).startswith(("no_regression(", "generalization_gap(", "gap("))


def seeds(verdict: Mapping[str, Any]) -> list[Number]:
    """The values of the single trainings, where the verdict is one over seeds."""
    if not str(verdict["gate"]).startswith("over_seeds("):
        return []
    return [value for name, value in (verdict.get("details") or {}).items() if _SEED.fullmatch(name)]


def figure(verdict: Mapping[str, Any], name: str, **missing: str) -> str:
    """The estimate, the bar or a bound as text, told apart from the bar (the bar: from the estimate).

    A difference has its sign.
    """
    write = signed if is_difference(verdict) else number
    return write(verdict[name], verdict["estimate" if name == "bar" else "bar"], **missing)


def _kind(verdict: Mapping[str, Any]) -> Kind:
    """What the verdict's metric asks for; a metric that the registry does not know is a user's own."""
    from pytest_modelgate.metrics.registry import METRICS

    if is_difference(verdict):
        return "difference"
    metric = METRICS.get(verdict["metric"])
    if metric is None:
        return "other"
    if metric.needs in _ERRORS and not metric.higher_is_better:
        return "error"
    return "correlation" if metric.lowest == -1 else "share"


def _fitted(smallest: float, largest: float) -> tuple[float, float]:
    """The ends of a scale that holds the values and 0; where both ends differ from 0, both are round in one unit."""
    if smallest >= 0 or largest <= 0:
        lowest = -round_up(-smallest) if smallest < 0 else 0.0
        highest = round_up(largest) if largest > 0 else 0.0
        return (lowest, highest) if lowest < highest else (0.0, 1.0)
    unit = round_up(max(-smallest, largest)) / 10
    lowest, highest = floor(smallest / unit) * unit, ceil(largest / unit) * unit
    return min(float(f"{lowest:.6g}"), smallest), max(float(f"{highest:.6g}"), largest)


def drawable(value: Number) -> float | None:
    """The value where it can be drawn: None where it is not finite or above 1e300, and 0 where it is below 1e-300."""
    known = finite(value)
    if known is None or abs(known) > 1e300:
        return None
    return known if abs(known) >= 1e-300 else 0.0


def round_up(value: float) -> float:
    """The smallest round number that is at least the value, which is above 0.

    >>> round_up(0.23), round_up(7), round_up(10)
    (0.3, 8.0, 10.0)
    """
    power = 10.0 ** floor(log10(value))
    for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10):
        rounded = float(f"{factor * power:.3g}")
        if rounded >= value:
            return rounded
    return value
