"""What is kept of each single sample: columns with one entry a sample, for what sums over samples cannot tell."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.slicing import same_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.metrics.slicing import SliceColumn

_DESIGN = ("ids", "groups", "weights")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Samples:
    """Columns of equal length, each None where it was not kept. `+` concatenates; equality ignores the order.

    Attributes:
        ids: a 64-bit hash that names each sample, uint64 [N].
        groups: a 64-bit hash of the group that each sample belongs to, such as a patient, uint64 [N].
        weights: how much each sample counts, float64 [N], none negative.
        target, preds: the actual and the predicted class, [N].
        ranks: how many classes are scored above the actual one, [N].
        actual, predicted: the true and the predicted values of a regression, [N] or [N, D].
        losses: each sample's loss times its class weight, [N].
        loss_weights: the class weight that the mean loss divides by, [N]; None where all count alike.
        slices: what the samples can be cut by: columns [N] of different names.
    """

    ids: NDArray[np.uint64] | None = None
    groups: NDArray[np.uint64] | None = None
    weights: NDArray[np.float64] | None = None
    target: NDArray[Any] | None = None
    preds: NDArray[Any] | None = None
    ranks: NDArray[Any] | None = None
    actual: NDArray[Any] | None = None
    predicted: NDArray[Any] | None = None
    losses: NDArray[Any] | None = None
    loss_weights: NDArray[Any] | None = None
    slices: tuple[SliceColumn, ...] | None = None

    def __post_init__(self) -> None:
        each = [(name, len(column)) for name, column in self.columns()]
        each += [(f"slices {column.name!r}", len(column)) for column in self.slices or ()]
        if len({length for _, length in each}) > 1:
            lengths = ", ".join(f"{name} {length:,}" for name, length in each)
            raise EvidenceError(f"the columns of samples have different lengths: {lengths}")
        for _, column in self.columns():
            column.flags.writeable = False

    def columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """The names and columns of numbers that were kept; slices are none."""
        for field in fields(self):
            column = getattr(self, field.name)
            if column is not None and field.name != "slices":
                yield field.name, column

    @property
    def n(self) -> int:
        """How many samples; 0 where nothing was kept of them."""
        return next((len(column) for _, column in self.columns()), len(self.slices[0]) if self.slices else 0)

    @property
    def group_codes(self) -> NDArray[np.int64] | None:
        """The group of each sample as a number from 0 on, alike for the same groups in any order; or None."""
        if self.groups is None:
            return None
        return np.unique(self.groups, return_inverse=True)[1].astype(np.int64, copy=False).reshape(-1)

    @property
    def num_groups(self) -> int:
        """How many groups there are; 0 where the samples are independent."""
        return 0 if self.groups is None else len(np.unique(self.groups))

    @property
    def weighed(self) -> bool:
        """Whether samples differ in weight, or hang together in groups: sums of counts then do not tell all."""
        return self.weights is not None or self.groups is not None

    def take(self, order: NDArray[Any]) -> Samples:
        """The samples of these row numbers, in this order."""
        slices = None if self.slices is None else tuple(column.take(order) for column in self.slices)
        return Samples(**{name: column[order] for name, column in self.columns()}, slices=slices)

    def __add__(self, other: object) -> Samples:
        if not isinstance(other, Samples):
            return NotImplemented
        for name in _DESIGN:
            if (getattr(self, name) is None) != (getattr(other, name) is None):
                raise EvidenceError(f"an evaluation with {name} and one without cannot be merged; give {name} to both")
        slices = tuple(mine + theirs for mine, theirs in same_columns(self.slices, other.slices))
        kept = [name for name, _ in self.columns() if getattr(other, name) is not None]
        if (self.loss_weights is None) != (other.loss_weights is None):
            kept = [name for name in kept if name != "losses"]  # they would be divided by other sums
        columns = {name: np.concatenate((getattr(self, name), getattr(other, name))) for name in kept}
        return Samples(**columns, slices=slices or None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Samples):
            return NotImplemented
        if _values(self) != _values(other):
            return False
        mine, theirs = _numbers(self), _numbers(other)
        if mine.keys() != theirs.keys() or self.n != other.n:
            return False
        if any(mine[name].shape != theirs[name].shape for name in mine):
            return False
        return all(
            np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f")
            for a, b in zip(_in_order(mine), _in_order(theirs), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        names = [name for name, _ in self.columns()] + ["slices"] * bool(self.slices)
        return f"<Samples: {', '.join(names) or 'nothing'} of {self.n:,}>"


def _values(samples: Samples) -> dict[str, tuple[object, ...]]:
    """The values of each slicing: where they are equal, equal codes mean equal values."""
    return {column.name: column.values for column in samples.slices or ()}


def _numbers(samples: Samples) -> dict[str, NDArray[Any]]:
    """Every column in an order of its own, those of slices as codes."""
    slices = {f"slices {column.name}": column.codes for column in samples.slices or ()}
    return dict(samples.columns()) | {name: slices[name] for name in sorted(slices)}


def _in_order(columns: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """The columns in an order of the rows that depends on their content only."""
    keys = [part for column in columns.values() for part in column.reshape(len(column), -1).T]
    order = np.lexsort(keys) if keys else np.arange(0)
    return [column[order] for column in columns.values()]
