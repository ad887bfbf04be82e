"""Batches of (inputs, targets) whose inputs stay what they are: data frames, sparse matrices, lists of texts."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    import torch

_SCALARS = (str, bytes, bool, int, float, np.generic)


class RowBatches:
    """Batches for a model that takes inputs as they came.

    Args:
        data: a pair (inputs, targets), or as for `evaluate`. Inputs are anything that can be cut by rows: arrays,
            tensors, data frames, sparse matrices, lists; or a tuple or dict of such.
        batch_size: rows a batch of a pair or a Dataset.
        encode: turns targets to a tensor.
    """

    def __init__(self, data: Any, *, batch_size: int, encode: Callable[[Any], torch.Tensor]) -> None:
        from torch.utils.data import DataLoader, Dataset

        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise EvidenceError(f"batch_size={batch_size!r} is not a whole number of 1 or more")
        self._batch_size = batch_size
        self._encode = encode
        self._pair: tuple[Any, torch.Tensor] | None = None
        self._batches: Iterable[Any] = ()
        if _is_pair(data):
            inputs, targets = data[0], encode(data[1])
            for length in _lengths(inputs):
                if length != len(targets):
                    raise EvidenceError(f"data: {length:,} inputs and {len(targets):,} targets: lengths must match")
            self._pair = inputs, targets
        elif isinstance(data, Dataset) and not isinstance(data, DataLoader):
            empty = hasattr(data, "__len__") and len(data) == 0
            self._batches = () if empty else DataLoader(data, batch_size=batch_size)
        elif isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping)) and not _cuttable(data):
            self._batches = data
        else:
            raise EvidenceError(
                f"data of type {type(data).__name__} cannot be read: give a pair (inputs, targets), a DataLoader, a "
                "Dataset, or an iterable of such batches"
            )

    def at_hand(self) -> Iterator[tuple[Any, torch.Tensor]]:
        """Nothing: the rows are told batch by batch."""
        return iter(())

    def __iter__(self) -> Iterator[tuple[Any, torch.Tensor]]:
        if self._pair is not None:
            inputs, targets = self._pair
            for start in range(0, len(targets), self._batch_size):
                rows = slice(start, start + self._batch_size)
                yield _cut(inputs, rows), targets[rows]
            return
        for number, batch in enumerate(self._batches):
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                parts = f" of {len(batch)} parts" if isinstance(batch, (tuple, list)) else ""
                raise EvidenceError(
                    f"data: batch {number} is a {type(batch).__name__}{parts}; give pairs (inputs, targets)"
                )
            inputs, targets = batch
            if isinstance(inputs, list) and inputs and all(map(_is_array, inputs)):
                inputs = tuple(inputs)  # several inputs, as a DataLoader collates a tuple
            yield inputs, self._encode(targets)


def _is_array(value: object) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _cuttable(value: object) -> bool:
    """Whether this is one table or column: an array, tensor, data frame, series or sparse matrix."""
    return hasattr(value, "shape")


def _is_pair(data: object) -> bool:
    """Whether this is (inputs, targets) of all samples, and not two batches."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return False
    target = data[1]
    if _cuttable(target):
        return True
    return isinstance(target, (list, tuple)) and len(target) > 0 and all(isinstance(one, _SCALARS) for one in target)


def _lengths(inputs: Any) -> list[int]:
    if isinstance(inputs, (tuple, Mapping)):
        parts = inputs.values() if isinstance(inputs, Mapping) else inputs
        return [length for part in parts for length in _lengths(part)]
    if _cuttable(inputs):
        return [int(inputs.shape[0]) if len(inputs.shape) else 0]
    if hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__") and not isinstance(inputs, (str, bytes)):
        return [len(inputs)]
    raise EvidenceError(
        f"inputs of type {type(inputs).__name__} cannot be cut by rows; give an array, a tensor, a data frame or a list"
    )


def _cut(inputs: Any, rows: slice) -> Any:
    if isinstance(inputs, Mapping):
        return {key: _cut(value, rows) for key, value in inputs.items()}
    if isinstance(inputs, tuple):
        parts = [_cut(value, rows) for value in inputs]
        return inputs._make(parts) if hasattr(inputs, "_make") else tuple(parts)
    by_place = getattr(inputs, "iloc", None)
    return inputs[rows] if by_place is None else by_place[rows]
