"""How sure one must be: the confidence, and the colour of a verdict that the data leave open."""

from __future__ import annotations

__tracebackhide__ = True

from pytest_modelgate.exceptions import BarError, did_you_mean

CONFIDENCE = 0.95
IF_UNSURE = ("estimate", "fail", "warn")


def check_confidence(confidence: object, where: str = "confidence") -> float:
    """The confidence as a float between 0.5 and 1; a `BarError` otherwise, which asks about percents."""
    if isinstance(confidence, bool) or not isinstance(confidence, (int, float)) or not 0.5 <= confidence < 1:
        meant = ""
        if isinstance(confidence, (int, float)) and 50 <= confidence < 100:
            meant = f"; was {confidence / 100:g} meant?"
        raise BarError(f"{where}={confidence!r} is not a confidence: give a number from 0.5 to below 1{meant}")
    return float(confidence)


def check_if_unsure(if_unsure: object, where: str = "if_unsure") -> str:
    """One of "estimate", "fail" and "warn"; a `BarError` otherwise."""
    if not isinstance(if_unsure, str) or if_unsure not in IF_UNSURE:
        choices = ", ".join(map(repr, IF_UNSURE))
        raise BarError(f"{where}={if_unsure!r} is not one of {choices}{did_you_mean(if_unsure, IF_UNSURE)}")
    return if_unsure


def colour_of_doubt(if_unsure: str, meets: bool) -> bool:
    """Whether an `INCONCLUSIVE` verdict is green, given whether its estimate meets the bar."""
    return {"estimate": meets, "fail": False, "warn": True}[if_unsure]
