"""Faults in what a model is given: a feature or channel that is dropped, shuffled or rescaled."""

from __future__ import annotations

__tracebackhide__ = True

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.mutation.faults import DROPPED, RESCALED, SCALE, SHUFFLED, Fault, seed_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

_MOST = 3


@dataclass(frozen=True, slots=True)
class Column:
    """One feature (of [N, D]) or channel (of [N, C, ...]) of one tensor among a model's inputs.

    Attributes:
        part: which tensor, in the order in which `mapped` meets them.
        name: the tensor's key or position; empty where it is the only one.
        index: which entry of dimension `dim`; None for a tensor [N].
        channel: whether it is a channel.
        dim: of a tensor [N, A, B], in which channels or features may come first: 1 or 2; else None, which is 1.
        floating: whether the tensor holds floats.
    """

    part: int
    name: str
    index: int | None
    channel: bool
    floating: bool
    dim: int | None = None

    @property
    def where(self) -> str:
        """How it is called in a fault.

        >>> Column(0, "age", 3, False, True).where
        "feature 3 of input 'age'"
        """
        own = "feature" if self.index is None else f"{'channel' if self.channel else 'feature'} {self.index}"
        own = f"entry {self.index} of dimension {self.dim}" if self.dim is not None else own
        return f"{own} of input {self.name!r}" if self.name else own


def columns_of(inputs: Any) -> list[Column]:
    """Up to three features or channels that are not alike in the whole batch, drawn by a seed."""
    found = [
        column
        for part, (name, tensor) in enumerate(_named(inputs))
        if tensor.ndim and len(tensor) and not tensor.is_complex()
        for column in _varying(part, name, tensor)
    ]
    draw = random.Random(seed_of(f"{_MOST} of {len(found)} columns"))
    chosen = draw.sample(found, min(_MOST, len(found)))
    return sorted(chosen, key=lambda column: (column.part, column.dim or 0, column.index or 0))


def input_faults(column: Column) -> Iterator[Fault]:
    """All faults of a column; whole numbers, such as tokens, cannot be rescaled."""
    yield Fault(DROPPED, column.where)
    yield Fault(SHUFFLED, column.where)
    if column.floating:
        yield Fault(RESCALED, column.where, SCALE)


def faulted(inputs: Any, fault: Fault, column: Column, batch: int) -> Any:
    """Inputs that may be written to, with the fault; a batch that lacks the column stays as it is."""
    import torch

    parts = iter(range(1 << 30))

    def change(tensor: torch.Tensor) -> torch.Tensor:
        if next(parts) != column.part or not tensor.ndim:
            return tensor
        dim = column.dim or 1
        if column.index is not None and (tensor.ndim <= dim or tensor.shape[dim] <= column.index):
            return tensor
        values = tensor if column.index is None else tensor.select(dim, column.index)
        if fault.kind == DROPPED:
            values.zero_()
        elif fault.kind == RESCALED:
            values.mul_(SCALE)
        else:
            generator = torch.Generator().manual_seed(seed_of(f"{fault.name} {batch}"))
            order = torch.randperm(len(tensor), generator=generator).to(tensor.device)
            values.copy_(values[order])
        return tensor

    return mapped(inputs, change)


def mapped(inputs: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The same inputs with every tensor changed, in tuples, lists and dicts too; all else as it is."""
    import torch

    if isinstance(inputs, torch.Tensor):
        return change(inputs)
    if isinstance(inputs, Mapping):
        return {key: mapped(value, change) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        parts: list[Any] = [mapped(value, change) for value in inputs]
        return inputs._make(parts) if hasattr(inputs, "_make") else type(inputs)(parts)
    return inputs


def copied(inputs: Any) -> Any:
    """Inputs that nobody else writes to."""
    return mapped(inputs, lambda tensor: tensor.clone())


def _named(inputs: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors among the inputs, in the order of `mapped`, with the key or position of each."""
    import torch

    if isinstance(inputs, torch.Tensor):
        yield name, inputs
    elif isinstance(inputs, (Mapping, tuple, list)):
        items = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
        for key, value in items:
            yield from _named(value, f"{name}.{key}" if name else str(key))


def _varying(part: int, name: str, tensor: torch.Tensor) -> list[Column]:
    """The columns of a tensor that are not constant."""
    floating = tensor.is_floating_point()
    if tensor.ndim == 1:  # whole numbers are often lengths, of which 0 is none: a crash would be nobody's merit
        return [Column(part, name, None, False, floating)] if floating and bool((tensor != tensor[0]).any()) else []
    if tensor.ndim != 3:
        return [Column(part, name, index, tensor.ndim > 2, floating) for index in _not_constant(tensor, 1)]
    found = []
    for dim in (1, 2):
        own = [Column(part, name, index, False, floating, dim) for index in _not_constant(tensor, dim)]
        draw = random.Random(seed_of(f"2 of {len(own)} entries of dimension {dim}"))
        found += draw.sample(own, min(2, len(own)))
    return found


def _not_constant(tensor: torch.Tensor, dim: int) -> list[int]:
    """Which entries of a dimension are not alike in the whole batch."""
    flat = tensor.transpose(0, dim).reshape(tensor.shape[dim], -1) if tensor.numel() else tensor.new_zeros(0, 1)
    return [index for index, one in enumerate((flat != flat[:, :1]).any(dim=1).tolist()) if one]
