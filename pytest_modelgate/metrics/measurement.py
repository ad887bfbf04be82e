"""What a metric came to: a value, what it rests on, or why there is none."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """The value of one metric on one piece of evidence.

    Attributes:
        value: the metric, or None where it is undefined.
        support: the denominator of a proportion; TP + FP + FN for F1, F-beta and Jaccard of a class; else all samples.
        hits: the numerator where the value is `hits / support` over independent samples, else None.
        cause: why the value is undefined, else None.
    """

    value: float | None
    support: int
    hits: int | None = None
    cause: str | None = None


def undefined(cause: str, support: int = 0) -> Measurement:
    """A measurement without a value, and why."""
    return Measurement(value=None, support=support, cause=cause)
