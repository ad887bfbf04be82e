"""Hypothesis strategies for whoever tests code that judges models: confusion matrices, predictions, loss curves.

pip install 'pytest-modelgate[hypothesis]'

from hypothesis import given
from pytest_modelgate.strategies import confusion_matrices

@given(confusion_matrices(num_classes=3))
def test_report(matrix): ...
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.counting import logits_to_labels

try:
    from hypothesis import strategies as st
    from hypothesis.extra.numpy import arrays
except ImportError as error:
    raise ImportError(
        "pytest_modelgate.strategies needs Hypothesis: pip install 'pytest-modelgate[hypothesis]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.confusion import Label

__all__ = ["Predictions", "confusion_matrices", "loss_curves", "predictions"]

T = TypeVar("T")


class Predictions(NamedTuple):
    """Actual classes [N], predicted classes [N], and the scores [N, K] that the predictions come from, or None."""

    target: NDArray[np.int64]
    preds: NDArray[np.int64]
    scores: NDArray[np.float32] | None


@st.composite
def confusion_matrices(
    draw: DrawFn,
    num_classes: int | SearchStrategy[int] | None = None,
    max_count: int = 1000,
    *,
    min_support: int = 0,
    labels: Sequence[Label] | None = None,
) -> ConfusionMatrix:
    """Confusion matrices, with empty rows and columns among them.

    Args:
        num_classes: K, or a strategy for it; by default 2 to 5, or as many as there are `labels`.
        max_count: the largest count of a cell.
        min_support: how many samples each actual class has at least, at most `max_count`; 1 makes every recall defined.
        labels: the names of the classes; by default 0 to K - 1.
    """
    if not 0 <= min_support <= max_count:
        raise ValueError(f"min_support must lie between 0 and max_count, not {min_support} (max_count={max_count})")
    if num_classes is None:
        num_classes = st.integers(2, 5) if labels is None else len(labels)
    k = draw(_as_strategy(num_classes))
    counts = draw(arrays(np.int64, (k, k), elements=st.integers(0, max_count)))
    for row, missing in enumerate(np.maximum(min_support - counts.sum(axis=1), 0)):
        counts[row, row] += missing
    return ConfusionMatrix(counts, labels)


@st.composite
def predictions(
    draw: DrawFn,
    num_classes: int | SearchStrategy[int] | None = None,
    *,
    min_samples: int = 1,
    max_samples: int = 50,
    scores: str | None = None,
) -> Predictions:
    """Actual and predicted classes, and on demand the scores behind them, with ties among them.

    Args:
        num_classes: K, or a strategy for it; by default 2 to 5. Not every class need occur.
        min_samples, max_samples: the range of N.
        scores: None, "logits" (from -20 to 20) or "probabilities" (each row sums to 1), as float32. The predicted class
            then is the largest score, ties to the lowest index; of two classes the second where its probability is at
            least 0.5, as in an evaluation.
    """
    if scores not in (None, "logits", "probabilities"):
        raise ValueError(f"scores must be None, 'logits' or 'probabilities', not {scores!r}")
    k = draw(_as_strategy(st.integers(2, 5) if num_classes is None else num_classes))
    n = draw(st.integers(min_samples, max_samples))
    classes = st.integers(0, k - 1)
    target = draw(arrays(np.int64, n, elements=classes))
    if scores is None:
        return Predictions(target, draw(arrays(np.int64, n, elements=classes)), None)
    # Multiples of 1/8 make ties frequent; all are exact in float32.
    table = draw(arrays(np.int16, (n, k), elements=st.integers(-160, 160))).astype(np.float32) / np.float32(8)
    if scores == "probabilities":
        table = np.exp(table - table.max(axis=1, initial=0.0, keepdims=True))
        table /= table.sum(axis=1, keepdims=True)
    if k > 2:
        preds = logits_to_labels(table)
    else:
        preds = table[:, 1] >= (table[:, 0] if scores == "logits" else np.float32(0.5))
    return Predictions(target, preds.astype(np.int64), table)


@st.composite
def loss_curves(
    draw: DrawFn, kind: str = "any", *, min_epochs: int = 1, max_epochs: int = 50, not_finite: bool = False
) -> list[float]:
    """The losses of a training run, one for each epoch.

    Args:
        kind: "falling" (towards a floor, with noise of at most 1% of the drop), "flat" (noise of at most 1% around a
            level), "diverging" (doubling with each epoch from some epoch on) or "any" numbers from 0 to 1e6.
        min_epochs, max_epochs: the range of the length.
        not_finite: whether NaN and infinity may occur, in "any" and at the end of "diverging".
    """
    epochs = draw(st.integers(min_epochs, max_epochs))
    if kind == "any":
        values = st.floats(0, 1e6)
        if not_finite:
            values |= st.sampled_from([math.nan, math.inf])
        return draw(st.lists(values, min_size=epochs, max_size=epochs))
    if kind not in ("falling", "flat", "diverging"):
        raise ValueError(f"kind must be 'any', 'falling', 'flat' or 'diverging', not {kind!r}")
    noise = np.array(draw(st.lists(st.floats(-0.01, 0.01), min_size=epochs, max_size=epochs)))
    level, at = draw(st.floats(0.1, 10)), np.arange(epochs)
    if kind == "flat":
        return [float(value) for value in level * (1 + noise)]
    rate = draw(st.floats(0.05, 1))
    curve = level * (0.05 + np.exp(-rate * at) + noise * (at > 0))
    if kind == "diverging":
        turn = draw(st.integers(0, max(0, epochs - 2)))
        curve = np.where(at > turn, curve[turn] * 2.0 ** (at - turn), curve)
        if not_finite and draw(st.booleans()):
            curve[-1] = draw(st.sampled_from([math.nan, math.inf]))
    return [float(value) for value in curve]


def _as_strategy(value: T | SearchStrategy[T]) -> SearchStrategy[Any]:
    return value if isinstance(value, st.SearchStrategy) else st.just(value)
