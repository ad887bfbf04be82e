"""The mean loss of a data set: exact sums, so that no order or cut of the samples changes the result."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.sums import exact_sum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanLoss:
    """A loss summed over samples, without rounding: `a + b` is the loss of both sets of samples.

    Attributes:
        name: which loss, with the parameters that differ from its defaults; losses of other names never merge.
        total: the exact sum of the finite values of weight times loss.
        weight: the exact sum of the weights that the mean divides by (the number of samples where none are given).
        samples: how many samples were seen.
        count_not_finite: for how many of them the loss is NaN or infinite; the mean is then not finite either.
    """

    name: str
    total: Fraction = Fraction(0)
    weight: Fraction = Fraction(0)
    samples: int = 0
    count_not_finite: int = 0

    @classmethod
    def of(cls, name: str, values: NDArray[Any], weights: NDArray[Any] | None = None) -> MeanLoss:
        """The mean of `values` [N], each already times its weight, over the sum of `weights` [N] (default 1)."""
        finite = np.isfinite(values)
        bad = values.size - int(np.count_nonzero(finite))
        if bad:
            values = values[finite]
        return cls(
            name=name,
            total=exact_sum(values),
            weight=Fraction(finite.size) if weights is None else exact_sum(weights),
            samples=finite.size,
            count_not_finite=bad,
        )

    @property
    def mean(self) -> float | None:
        """Total over weight, rounded once; NaN where a sample's loss is not finite; None where nothing was weighed."""
        if self.count_not_finite:
            return math.nan
        return float(self.total / self.weight) if self.weight else None

    def __add__(self, other: MeanLoss) -> MeanLoss:
        if not isinstance(other, MeanLoss):
            return NotImplemented
        if self.name != other.name:
            raise EvidenceError(
                f"losses of different kinds cannot be merged or compared: {self.name!r} and {other.name!r}; "
                "evaluate both with the same loss"
            )
        return MeanLoss(
            name=self.name,
            total=self.total + other.total,
            weight=self.weight + other.weight,
            samples=self.samples + other.samples,
            count_not_finite=self.count_not_finite + other.count_not_finite,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the exact sums as fractions in text."""
        return {
            "name": self.name,
            "total": str(self.total),
            "weight": str(self.weight),
            "samples": self.samples,
            "count_not_finite": self.count_not_finite,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> MeanLoss:
        """The value that `to_dict` was called on."""
        return cls(**{**plain, "total": Fraction(plain["total"]), "weight": Fraction(plain["weight"])})
