"""Two one-sided bounds, and the quantiles that they are made with."""

from __future__ import annotations

__tracebackhide__ = True

from typing import NamedTuple

from pytest_modelgate.exceptions import BarError


class Interval(NamedTuple):
    """Two one-sided bounds: the truth is below `lower`, or above `upper`, each in at most `1 - confidence` of cases."""

    lower: float
    upper: float


def check_level(confidence: float) -> float:
    """The confidence, if it lies between 0 and 1; a `BarError` otherwise."""
    number = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
    if not number or not 0.0 < confidence < 1.0:
        meant = f"; was {confidence / 100:g} meant?" if number and 50 <= confidence < 100 else ""
        raise BarError(f"confidence must lie between 0 and 1, such as 0.95, not {confidence!r}{meant}")
    return confidence


def normal_quantile(probability: float) -> float:
    """The value that a standard normal variable stays below with this probability.

    >>> round(normal_quantile(0.95), 6)
    1.644854
    """
    from scipy.special import ndtri

    return float(ndtri(probability))


def student_quantile(probability: float, degrees: float) -> float:
    """The value that Student's t with these degrees of freedom stays below with this probability.

    >>> round(student_quantile(0.95, 10), 6)
    1.812461
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))
