"""Data in any of its usual forms, as batches of (inputs, targets)."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    import torch

DEFAULT_BATCH = 256
_SLICE = 1 << 15


class Batches:
    """Batches of (inputs, targets) out of a DataLoader, a Dataset, a pair of arrays, or an iterable of batches.

    Args:
        data: see `evaluate`. Arrays become tensors; float arrays are cast to `dtype`, since numpy's default
            (float64) is rarely the model's.
        batch_size: samples a batch for a Dataset or a pair; ignored where the data come in batches already.
        shuffle: draw another order in each pass, for a Dataset or a pair, from torch's seeded state.
        dtype: the model's floating type.
        what: the data's name in errors.
    """

    def __init__(
        self,
        data: Any,
        *,
        batch_size: int = DEFAULT_BATCH,
        shuffle: bool = False,
        dtype: torch.dtype | None = None,
        what: str = "data",
    ) -> None:
        import torch
        from torch.utils.data import DataLoader, Dataset, IterableDataset

        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise EvidenceError(f"batch_size={batch_size!r} is not a whole number of 1 or more")
        self._what = what
        self._dtype = dtype
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._pair: tuple[Any, Any] | None = None
        self._batches: Iterable[Any] = ()
        if _is_pair(data):
            inputs, targets = _convert(data[0], dtype), _tensor(data[1], None)
            for length in _lengths(inputs):
                if length != len(targets):
                    raise EvidenceError(f"{what}: {length:,} inputs and {len(targets):,} targets: lengths must match")
            self._pair = inputs, targets
        elif isinstance(data, DataLoader):
            self._batches = data
        elif isinstance(data, Dataset):
            shuffled = shuffle and not isinstance(data, IterableDataset)
            self._batches = DataLoader(data, batch_size=batch_size, shuffle=shuffled) if _filled(data) else ()
        elif isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping, torch.Tensor)):
            self._batches = data
        else:
            raise EvidenceError(
                f"{what} of type {type(data).__name__} cannot be read: give a DataLoader, a Dataset, "
                "a pair (inputs, targets) of tensors or arrays, or an iterable of such batches"
            )

    def at_hand(self) -> Iterator[tuple[Any, torch.Tensor]]:
        """All inputs and targets in large slices, where they are there as tensors; nothing where they are not.

        What is worked out of them costs less than batch by batch.
        """
        from torch.utils.data import DataLoader, Subset, TensorDataset

        whole = self._pair
        dataset: Any = self._batches.dataset if isinstance(self._batches, DataLoader) else None
        rows: Any = slice(None)
        if isinstance(dataset, Subset):
            dataset, rows = dataset.dataset, list(dataset.indices)
        if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2:
            whole = dataset.tensors[0][rows], dataset.tensors[1][rows]
        if whole is None:
            return
        inputs, targets = whole
        for start in range(0, len(targets), _SLICE):
            yield rows_of(inputs, slice(start, start + _SLICE)), targets[start : start + _SLICE]

    def __iter__(self) -> Iterator[tuple[Any, torch.Tensor]]:
        import torch

        if self._pair is not None:
            inputs, targets = self._pair
            order = torch.randperm(len(targets)) if self._shuffle else None
            for start, stop in self._slices(len(targets)):
                rows: Any = slice(start, stop)
                if order is not None:
                    rows = order[rows]
                yield rows_of(inputs, rows), targets[rows]
            return
        for number, batch in enumerate(self._batches):
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                parts = f"a {type(batch).__name__}"
                if isinstance(batch, (tuple, list)):
                    parts += f" of {len(batch)} parts"
                raise EvidenceError(f"{self._what}: batch {number} is {parts}; give pairs (inputs, targets)")
            inputs, targets = batch
            yield _convert(inputs, self._dtype), _tensor(targets, None)

    def _slices(self, samples: int) -> Iterator[tuple[int, int]]:
        """Where the batches begin and end; in training a last batch of one, which BatchNorm refuses, joins another."""
        size = self._batch_size
        for start in range(0, samples, size):
            if self._shuffle and size > 1 and start and samples - start == 1:
                return
            joined = self._shuffle and size > 1 and samples - start - size == 1
            yield start, samples if joined else min(start + size, samples)


def refuse_shuffled(data: Any, given: list[str]) -> None:
    """An `EvidenceError` where a DataLoader may draw the samples in another order than that of what was given."""
    from torch.utils.data import DataLoader

    if given and isinstance(data, DataLoader) and not _in_order(data):
        names = " and ".join(f"{name}=" for name in given)
        raise EvidenceError(
            f"{names} go with the samples in their order, and this DataLoader may draw them in another one: give it "
            "shuffle=False and no sampler of your own, or give the data set itself"
        )


def _in_order(loader: Any) -> bool:
    """Whether a DataLoader draws the samples in the order of its data set, as far as its type tells."""
    from torch.utils.data import BatchSampler, IterableDataset, SequentialSampler

    if isinstance(loader.dataset, IterableDataset):
        return int(loader.num_workers) <= 1
    batches = loader.batch_sampler  # may be the user's own: the loader's sampler is then not asked
    sampler = loader.sampler if batches is None else getattr(batches, "sampler", None)
    return isinstance(sampler, SequentialSampler) and (batches is None or type(batches) is BatchSampler)


def move(inputs: Any, device: torch.device) -> Any:
    """Inputs (a tensor, or tuples, lists and dicts of them) on the device."""
    import torch

    if isinstance(inputs, torch.Tensor):
        return inputs.to(device, non_blocking=True)
    if isinstance(inputs, Mapping):
        return {key: move(value, device) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return _rebuilt(inputs, [move(value, device) for value in inputs])
    return inputs


def call(model: Any, inputs: Any) -> Any:
    """The model's outputs: a tuple or list of inputs is spread as arguments, a dict as keywords."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)


def model_dtype(model: torch.nn.Module) -> torch.dtype | None:
    """The type of the model's first floating parameter."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), None)


def _is_array(value: object) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_pair(data: object) -> bool:
    """Whether this is (inputs, targets) of all samples; the inputs may be a tuple or dict of arrays."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return False
    if _is_array(data[0]) and isinstance(data[1], (list, tuple)) and data[1] and isinstance(data[1][0], (int, float)):
        return True
    if not _is_array(data[1]):
        return False
    inputs = data[0].values() if isinstance(data[0], Mapping) else data[0]
    return _is_array(data[0]) or (isinstance(data[0], (tuple, Mapping)) and all(map(_is_array, inputs)))


def _rebuilt(like: Any, parts: list[Any]) -> Any:
    """The parts as a list, tuple or named tuple, as they came."""
    return like._make(parts) if hasattr(like, "_make") else type(like)(parts)


def _parts(inputs: Any) -> list[Any]:
    if isinstance(inputs, Mapping):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]


def _lengths(inputs: Any) -> list[int]:
    return [len(part) if part.ndim else 0 for part in _parts(inputs)]


def rows_of(inputs: Any, rows: Any) -> Any:
    """The rows of a batch's inputs: of one tensor, or of each in a tuple or a dict."""
    if isinstance(inputs, Mapping):
        return {key: value[rows] for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return _rebuilt(inputs, [value[rows] for value in inputs])
    return inputs[rows]


def _filled(dataset: Any) -> bool:
    """Whether a data set has samples; one without a length is taken to have."""
    return not hasattr(dataset, "__len__") or len(dataset) > 0


def _convert(inputs: Any, dtype: torch.dtype | None) -> Any:
    if isinstance(inputs, Mapping):
        return {key: _convert(value, dtype) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return _rebuilt(inputs, [_convert(value, dtype) for value in inputs])
    return _tensor(inputs, dtype)


def _tensor(values: Any, dtype: torch.dtype | None) -> torch.Tensor:
    """A tensor as it is; an array as a tensor, its floats in the model's type; a list as torch makes it one."""
    import torch

    if isinstance(values, torch.Tensor):
        return values
    if hasattr(values, "flags") and (not values.flags.writeable or min(values.strides, default=0) < 0):
        values = values.copy()  # torch shares an array's memory, which it must be able to write to and step through
    try:
        tensor = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise EvidenceError(
            f"data of type {type(values).__name__} ({getattr(values, 'dtype', 'no dtype')}) cannot become a tensor; "
            "give numbers, and classes as indices from 0 on"
        ) from error
    if dtype is not None and tensor.is_floating_point():
        return tensor.to(dtype)
    return tensor
