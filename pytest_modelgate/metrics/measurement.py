"""What a metric came to: a value, what it rests on, what the data allow, or why there is none."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_modelgate.statistics.interval import Interval


@dataclass(frozen=True, slots=True)
class Measurement:
    """The value of one metric on one piece of evidence.

    Attributes:
        value: the metric, or None where it is undefined.
        support: the denominator of a proportion; TP + FP + FN for F1, F-beta and Jaccard of a class; else all samples.
        hits: the numerator where the value is `hits / support` over samples that count alike, else None.
        cause: why the value is undefined, else None.
    """

    value: float | None
    support: int
    hits: int | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What true values of a metric the data allow.

    Attributes:
        interval: two one-sided bounds, or None where the data give none.
        method: how they were computed, in a few words; with "approximate" where only simulation vouches for them.
        why: why there are none, else None.
        remarks: what to know of them, such as too few groups; a sentence each.
    """

    interval: Interval | None
    method: str
    why: str | None = None
    remarks: tuple[str, ...] = ()


def undefined(cause: str, support: int = 0) -> Measurement:
    """A measurement without a value, and why."""
    return Measurement(value=None, support=support, cause=cause)
