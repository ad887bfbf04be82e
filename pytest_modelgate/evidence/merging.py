"""The evidence of two sets of samples as that of both."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALIKE: Sequence[str] = ("task", "outputs", "threshold", "labels")
_ADDED: Sequence[str] = ("matrix", "mean_loss", "ranks", "scores", "multilabel")


def merged(mine: Evaluation, theirs: Evaluation) -> Evaluation:
    """The evidence of both; what only one of them kept is not there.

    Raises:
        EvidenceError: they do not measure the same.
    """
    for name in _ALIKE:
        one, other = getattr(mine, name), getattr(theirs, name)
        if one != other:
            raise EvidenceError(f"evaluations of different {name} cannot be merged: {one!r} and {other!r}")
    if (mine.mean_loss is None) != (theirs.mean_loss is None):
        raise EvidenceError("an evaluation with a loss and one without cannot be merged; evaluate both with loss=")
    numbers = mine.fingerprint, theirs.fingerprint
    return Evaluation(
        task=mine.task,
        n=mine.n + theirs.n,
        outputs=mine.outputs,
        threshold=mine.threshold,
        samples=_both_samples(mine.samples, theirs.samples),
        fingerprint=None if numbers[0] is None or numbers[1] is None else (numbers[0] + numbers[1]) % 2**64,
        origin=mine.origin.plus(theirs.origin),
        **{name: _both(getattr(mine, name), getattr(theirs, name)) for name in _ADDED},
    )


def _both_samples(mine: Samples | None, theirs: Samples | None) -> Samples | None:
    if mine is None and theirs is None:
        return None
    both = (mine or Samples()) + (theirs or Samples())
    return both if both.n else None


def _both(mine: Any, theirs: Any) -> Any:
    return None if mine is None or theirs is None else mine + theirs
