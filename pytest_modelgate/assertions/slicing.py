"""Assertions on slices: on one of them, on each as one family, and on the gap between them."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any, Protocol

from pytest_modelgate.assertions.settle import Judged, settled
from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.exceptions import BarError
from pytest_modelgate.gates.slices import MIN_SUPPORT, BySlice, OnSlice, sliced

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.gates.slices import Sliced
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.metrics.confusion import ConfusionMatrix


class JudgesOne(Protocol):
    """A gate on one evaluation."""

    def check(self, evidence: Evaluation | ConfusionMatrix) -> Verdict: ...


def settle_on(
    make: Callable[[], JudgesOne],
    evidence: Evaluation | ConfusionMatrix,
    *,
    slice: str | None = None,
    by_slice: str | None = None,
    min_support: int | None = None,
) -> Verdict:
    """Settle a gate on all samples, on one slice, or on each slice of a column as one family.

    Args:
        make: builds the gate; one that `BySlice` takes where `by_slice` is asked for.
        slice: the slice's name, such as "region=north".
        by_slice: the name of the slicing, such as "region".
        min_support: with `by_slice`: on how many samples a slice that is judged must rest; default 30.

    Raises:
        GateFailure: the verdict is red.
        ModelgateError: wrong use, such as an unknown slice.
    """

    def judged() -> Judged:
        check_asked(slice, by_slice, min_support)
        evaluation, gate = as_evaluation(evidence), make()
        if by_slice is not None:
            gate = family(gate, by_slice, min_support)
        elif slice is not None:
            name, evaluation = sliced(evaluation, slice)
            gate = OnSlice(gate, name)
        return Judged(gate.check(evaluation), [evaluation], getattr(gate, "glance", gate.check))

    return settled(judged)


def family(gate: Any, by_slice: str, min_support: int | None) -> BySlice:
    """The gate on each slice of a column."""
    judge: Sliced = gate
    return BySlice(judge, by_slice, min_support=MIN_SUPPORT if min_support is None else min_support)


def check_asked(slice: object, by_slice: object, min_support: object) -> None:
    """A `BarError` where the keywords on slices do not go together."""
    if slice is not None and by_slice is not None:
        raise BarError(f"give slice={slice!r} (one slice) or by_slice={by_slice!r} (each slice), not both")
    if min_support is not None and by_slice is None:
        raise BarError(f"min_support={min_support!r} is for by_slice=, which judges each slice of a column")
