"""Check, record, raise: what every assertion helper does and no more."""

from __future__ import annotations

__tracebackhide__ = True

import contextlib
import sys
import warnings
from typing import TYPE_CHECKING, NamedTuple

from pytest_modelgate.exceptions import GateFailure, ModelgateError, ModelgateWarning
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.recording import listener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_modelgate import recording
    from pytest_modelgate.gates.verdict import Verdict

PACKAGE = __name__.rpartition(".")[0]


class Judged(NamedTuple):
    """A verdict and what it rests on.

    Attributes:
        verdict: the verdict.
        evidence: the evidence, that of other seeds or of the training data after the judged one.
        again: `again(*evidence)` settles the same gate on other evidence; None where the verdict rests on none, or on
            none that a model made.
    """

    verdict: Verdict
    evidence: Sequence[recording.Evidence] = ()
    again: Callable[..., Verdict] | None = None


def _unproved(verdict: Verdict) -> bool:
    return verdict.outcome is not Outcome.PASS


def settled(judged: Callable[[], Judged], doubtful: Callable[[Verdict], bool] = _unproved) -> Verdict:
    """Record, raise, warn: `judged` gives a verdict and the evidence that it rests on."""
    try:
        verdict, evidence, again = judged()
        said = listener().verdict(verdict, *evidence, again=again)
    except ModelgateError as error:
        # Without the frames below, which are this package's: the traceback ends at the caller's line.
        raise error.with_traceback(None) from None
    if not verdict.passed:
        if said is not None:
            with contextlib.suppress(ModelgateWarning):  # an error by the user's filter: the red gate goes first
                warnings.warn(said, ModelgateWarning, stacklevel=_depth())
        raise GateFailure(verdict)
    if said is not None:
        warnings.warn(said, ModelgateWarning, stacklevel=_depth())
    if verdict.if_unsure == "warn" and doubtful(verdict):
        warnings.warn(str(verdict), ModelgateWarning, stacklevel=_depth())
    return verdict


def _depth() -> int:
    """How many frames above `settled` the user's line stands, counted as `warnings` counts them."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith(PACKAGE):
        frame, depth = frame.f_back, depth + 1
    return depth
