"""What a model's outputs are: logits and probabilities told apart, and turned into decisions; settings checked."""

from __future__ import annotations

__tracebackhide__ = True

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import as_floats, some_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def decide(scores: NDArray[Any], threshold: float, outputs: str) -> NDArray[np.bool_]:
    """Which samples are positive: probability >= threshold. Logits are turned to probabilities in float64."""
    if outputs == "probabilities":
        return np.asarray(scores >= threshold)
    if threshold == 0.5:
        return np.asarray(scores >= 0)
    return np.asarray(probability_of_logits(scores) >= threshold)


def probability_of_logits(logits: NDArray[Any]) -> NDArray[np.float64]:
    """The probability of the last of two classes, float64 [N]; far below 0 it is exactly 0."""
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-logits.astype(np.float64))))


def log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Log-probabilities [N, K] of logits, in their own type: comparable between samples, as logits are not."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def check_threshold(threshold: float) -> float:
    """The threshold as a float; an `EvidenceError` unless it is a number from 0 to 1."""
    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not 0 <= threshold <= 1:
        raise EvidenceError(f"threshold={threshold!r} is not a probability; give a number from 0 to 1")
    return float(threshold)


def check_weights(weights: Any) -> NDArray[np.float64]:
    """Sample weights as float64 [N]; an `EvidenceError` unless they are finite, not negative, and not all zero."""
    array = as_floats(weights, "weights")
    if array.ndim != 1:
        raise EvidenceError(f"weights must have the shape [N], one for each sample, not {list(array.shape)}")
    array = array.astype(np.float64)
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        raise EvidenceError(f"weights must be finite and not negative: {some_of(array, bad)}")
    if len(array) and not array.any():
        raise EvidenceError("weights must not all be zero: then no sample counts")
    return array


LIKE_PROBABILITIES = (
    "outputs='logits', but the outputs of all {n:,} samples lie in [0, 1] as probabilities do: read as logits they "
    "would all be positive, or all but alike; say outputs='probabilities', or take the sigmoid or softmax out of the "
    "model (CrossEntropyLoss and BCEWithLogitsLoss want logits)"
)


def check_log_probabilities(furthest: float) -> None:
    """An `EvidenceError` where the exponentials of a row sum to something else than 1, by at most `furthest`."""
    if not furthest < 1e-2:
        raise EvidenceError(
            "NLLLoss takes log-probabilities, but the exponentials of a sample's outputs do not sum to 1: put a "
            "LogSoftmax behind the model, or use CrossEntropyLoss"
        )


def within_unit(outputs: NDArray[Any]) -> bool:
    """Whether these could be probabilities: all in [0, 1] and, with more than two columns, rows that sum to 1."""
    if outputs.min() < 0 or outputs.max() > 1:
        return False
    return outputs.ndim == 1 or outputs.shape[1] == 2 or bool(np.all(np.abs(outputs.sum(axis=1) - 1) < 1e-3))


def check_probabilities(outputs: NDArray[Any]) -> None:
    low, high = float(outputs.min()), float(outputs.max())
    if low < 0 or high > 1:
        raise EvidenceError(
            f"outputs='probabilities', but they reach from {low:.4g} to {high:.4g}; say outputs='logits', "
            "or put a sigmoid or softmax behind them"
        )
    if outputs.ndim == 2:
        sums = outputs.sum(axis=1)
        worst = int(np.argmax(np.abs(sums - 1)))
        if abs(sums[worst] - 1) > 1e-2:
            raise EvidenceError(f"the probabilities of a sample sum to {sums[worst]:.4g}, not 1; is the softmax there?")


def refuse_not_finite(outputs: NDArray[Any], what: str, before: int) -> None:
    """An `EvidenceError` that names the first sample, counted from `before`, with an output that is not finite."""
    finite = np.isfinite(as_floats(outputs, what))
    if finite.all():
        return
    bad = ~finite.reshape(len(outputs), -1).all(axis=1)
    row = int(np.argmax(bad))
    value = outputs[row].reshape(-1)[int(np.argmin(finite[row].reshape(-1)))]
    others = int(np.count_nonzero(bad)) - 1
    raise EvidenceError(
        f"{what} must be finite, but sample {before + row:,} has {value:g}"
        + (f", and {others:,} more of {len(outputs):,} are not" if others else "")
        + "; look at the training, or at the scale of the inputs"
    )
