"""Probabilities of classes, out of whatever scores were kept, and how each fared."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.ranking import Scores


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """The probability that a model gave each class of each sample.

    Attributes:
        probabilities: float64: of the last of two classes [N], or of each class [N, K].
        target: the actual class of each sample [N].
        losses: minus the logarithm of the probability of the actual class [N]; infinite where that is 0.
    """

    probabilities: NDArray[np.float64]
    target: NDArray[Any]
    losses: NDArray[np.float64]

    @classmethod
    def from_scores(cls, scores: Scores | None, outputs: str) -> Forecasts:
        """Forecasts out of kept scores: logits of two classes, log-probabilities of many, or probabilities.

        Logits are turned in float64, and their losses without a detour over the probabilities, which may round to 0.
        """
        if scores is None or outputs not in ("logits", "probabilities"):
            raise EvidenceError(f"{outputs} are not probabilities; evaluate logits or probabilities")
        values, target = scores.values.astype(np.float64), scores.target
        rows = np.arange(len(target))
        with np.errstate(divide="ignore", over="ignore"):
            if outputs == "probabilities":
                own = values[rows, target] if values.ndim == 2 else np.where(target == 1, values, 1.0 - values)
                return cls(values, target, -np.log(own) + 0.0)
            if values.ndim == 2:
                return cls(np.exp(values), target, -values[rows, target] + 0.0)
            losses = np.logaddexp(0.0, np.where(target == 1, -values, values))
            return cls(1.0 / (1.0 + np.exp(-values)), target, losses)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.probabilities.shape[1] if self.probabilities.ndim == 2 else 2

    @property
    def n(self) -> int:
        """All samples."""
        return len(self.target)

    def of_class(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The probability of one class [N], and whether each sample is of it."""
        if self.probabilities.ndim == 2:
            return self.probabilities[:, index], self.target == index
        return self.probabilities if index == 1 else 1.0 - self.probabilities, self.target == index

    def top(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The probability of the class that was found most probable [N], and whether it was right."""
        if self.probabilities.ndim == 1:
            return self.of_class(1)
        best = self.probabilities.argmax(axis=1)
        return self.probabilities[np.arange(self.n), best], self.target == best
