"""Where the marks of a verdict stand on its scale: the same for every renderer."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports.numbers import Number, finite

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIGNED = ("mcc", "cohen_kappa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A verdict on its scale; every mark is a share of the scale's length, from 0 to 1, or None where it has none.

    `lowest` and `highest` are the values at the scale's ends.
    """

    lowest: float
    highest: float
    estimate: float | None
    lower: float | None
    upper: float | None
    bar: float | None


def strip(verdict: Mapping[str, Any]) -> Strip:
    """The marks of a verdict.

    Metrics within [0, 1] have that scale and correlations [-1, 1]; a loss and whatever leaves that range starts
    at 0 (or the lowest value, if negative) and ends at the first of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten
    that holds all values.
    """
    values = {name: drawable(verdict[name]) for name in ("estimate", "lower", "upper", "bar")}
    known = [value for value in values.values() if value is not None]
    smallest, largest = min(known, default=0.0), max(known, default=1.0)
    if verdict["metric"] in _SIGNED and smallest >= -1 and largest <= 1:
        lowest, highest = -1.0, 1.0
    elif "loss" not in verdict["metric"] and smallest >= 0 and largest <= 1:
        lowest, highest = 0.0, 1.0
    else:
        highest = round_up(largest) if largest > 0 else 0.0
        lowest = -round_up(-smallest) if smallest < 0 else 0.0
        if lowest == highest:
            highest = lowest + 1.0
    length = highest - lowest
    marks = {name: None if value is None else (value - lowest) / length for name, value in values.items()}
    return Strip(lowest=lowest, highest=highest, **marks)


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
