"""A model as it was: whatever a check does to it is undone at the end, bit for bit."""

from __future__ import annotations

__tracebackhide__ = True

import copy
import random
from collections import deque
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.runtime.devices import device_of
from pytest_modelgate.runtime.seeds import seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

SEED = 0


@contextmanager
def untouched(model: torch.nn.Module, *tensors: torch.Tensor, seed: int | None = SEED) -> Iterator[None]:
    """Undo at the end what happens to a model: nothing of it is changed, also where the block raises.

    Restored are weights and buffers (the same objects, with the same bits), gradients (the same objects; None stays
    None), `requires_grad`, each module's mode and attributes (with what stands in containers and arrays, but not within
    objects of other kinds), generators that modules hold, and the random state of Python, numpy and torch. Inside,
    gradients are recorded, whatever the caller's mode.

    Args:
        model: a module.
        tensors: further tensors to restore, such as the batch.
        seed: what the random state is set to inside; None leaves it as it is.

    Raises:
        EvidenceError: the model has parameters without a shape yet.
    """
    import torch

    restore = _restorer(model, tensors)
    with torch.inference_mode(False), torch.enable_grad(), seeded(seed, device_of(model)):
        try:
            yield
        finally:
            try:
                restore()
            except KeyboardInterrupt:
                restore()  # once more from its beginning: nothing is left half restored
                raise


def _restorer(model: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> Callable[[], None]:
    """Remember all; what is returned puts it back, however often it is called."""
    import torch

    modules = list(model.modules())
    modes = [(module, module.training) for module in modules]
    attributes = [vars(module) for module in modules if not isinstance(module, torch.jit.ScriptModule)]
    values = _reached(attributes)
    contents = [(value, copy.copy(value)) for value in values if isinstance(value, (dict, list, set, deque))]
    arrays = [(value, value.copy()) for value in values if isinstance(value, np.ndarray) and value.flags.writeable]
    loose = [value for value in values if isinstance(value, torch.Tensor)]
    every = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers(), *loose, *tensors)}
    held = [_Kept(tensor) for tensor in every.values()]
    generators = [put_back for put_back in map(_generator, values) if put_back is not None]

    def restore() -> None:
        for container, content in contents:
            container.clear()
            (container.extend if isinstance(container, (list, deque)) else container.update)(content)
        for array, numbers in arrays:
            array[...] = numbers
        for module, training in modes:
            if module.training != training:
                module.training = training
        with torch.no_grad():
            for one in held:
                one.restore()
        for put_back in generators:
            put_back()
        torch.clear_autocast_cache()  # of a caller's autocast, which holds casts of weights as they were meanwhile

    return restore


def _reached(attributes: list[dict[str, Any]]) -> list[Any]:
    """The modules' dictionaries, and all that stands in them, in containers of containers too; each once."""
    found: dict[int, Any] = {}
    waiting: list[Any] = list(attributes)
    while waiting:
        value = waiting.pop()
        if id(value) not in found:
            found[id(value)] = value
            if isinstance(value, dict):
                waiting += value.values()
            elif isinstance(value, (list, tuple, set, frozenset, deque)):
                waiting += value
    return list(found.values())


class _Kept:
    """A tensor, its memory and its gradient, with a copy of the bits of each."""

    __slots__ = ("bits", "gradient", "memory", "requires_grad", "tensor")

    def __init__(self, tensor: torch.Tensor) -> None:
        import torch

        if torch.nn.parameter.is_lazy(tensor):
            raise EvidenceError(
                "the model has lazy parameters, which have no shape yet: call it once on a batch before it is checked"
            )
        self.tensor = tensor
        self.memory = tensor.data
        self.bits = _once(self.memory).clone()
        self.requires_grad = tensor.requires_grad
        gradient = tensor.grad if tensor.is_leaf else None
        self.gradient = None if gradient is None else _Kept(gradient)

    def restore(self) -> None:
        tensor, memory, gradient = self.tensor, self.memory, self.gradient
        _once(memory).copy_(self.bits)
        if not _same_place(tensor, memory):
            tensor.data = memory
        if not tensor.is_leaf:
            return
        tensor.requires_grad_(self.requires_grad)
        if gradient is not None:
            gradient.restore()
        kept = None if gradient is None else gradient.tensor
        if tensor.grad is not kept:
            tensor.grad = kept


def _once(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with each place in memory once: an expanded one cannot be written to."""
    import torch

    if tensor.layout is not torch.strided:
        return tensor
    for dim, step in enumerate(tensor.stride()):
        if step == 0 and tensor.shape[dim] > 1:
            tensor = tensor.narrow(dim, 0, 1)
    return tensor


def _same_place(one: torch.Tensor, other: torch.Tensor) -> bool:
    import torch

    if (one.dtype, one.device, one.layout, one.shape) != (other.dtype, other.device, other.layout, other.shape):
        return False
    # A sparse tensor grows in other memory than it had.
    return one.layout is torch.strided and one.stride() == other.stride() and one.data_ptr() == other.data_ptr()


def _generator(value: object) -> Callable[[], None] | None:
    """How to put back the state of a random generator that a module holds; None for anything else."""
    import numpy as np
    import torch

    if isinstance(value, torch.Generator):
        return partial(_set_state, value, value.get_state())
    if isinstance(value, np.random.Generator):
        return partial(setattr, value.bit_generator, "state", copy.deepcopy(value.bit_generator.state))
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    return None


def _set_state(generator: torch.Generator, state: torch.Tensor) -> None:
    generator.set_state(state)
