"""The losses of a pass: those of single samples, and means of batches."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.losses import MeanLoss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.samples import Samples


class LossSums:
    """Adds up losses batch by batch.

    Args:
        name: the loss's name; None where no loss is measured.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._mean = None if name is None else MeanLoss(name=name)
        self._losses: list[NDArray[Any]] = []
        self._weights: list[NDArray[Any]] = []

    def twin(self) -> LossSums:
        """An empty one of the same loss."""
        return LossSums(self._name)

    def add(self, values: NDArray[Any], weights: NDArray[Any] | None) -> None:
        """The losses of a batch [n], each times its weight, and the weights [n] that the mean divides by."""
        self._losses.append(values)
        if weights is not None:
            self._weights.append(weights)

    def add_mean(self, mean: MeanLoss) -> None:
        """The loss of a batch that is known only as a mean."""
        self._mean = mean if self._mean is None else self._mean + mean

    def flush(self) -> dict[str, NDArray[Any] | None]:
        """Work off what was added: the losses and weights of the samples since the last time, as columns."""
        if not self._losses:
            return {}
        losses = np.concatenate(self._losses)
        weights = np.concatenate(self._weights) if self._weights else None
        self._losses, self._weights = [], []
        self.add_mean(MeanLoss.of(self._name or "loss", losses, weights))
        return {"losses": losses, "loss_weights": weights}

    def mean_of(self, samples: Samples) -> MeanLoss | None:
        """The mean loss, in which samples count by their weights where they have some."""
        if self._mean is None or samples.weights is None:
            return self._mean
        if samples.losses is None:
            raise EvidenceError(
                "weights need the loss of each sample, and this loss gives one number a batch; return one a sample"
            )
        each = np.ones(samples.n) if samples.loss_weights is None else samples.loss_weights.astype(np.float64)
        losses = samples.losses.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinite times zero: it is counted as not finite
            return MeanLoss.of(self._mean.name, losses * samples.weights, each * samples.weights)
