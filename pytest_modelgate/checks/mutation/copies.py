"""Copies of a model that share its tensors: what a copy's forward pass writes, the model does not see."""

from __future__ import annotations

__tracebackhide__ = True

import copy
import weakref
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.checks.mutation.faults import BATCHNORM, DROPOUT, Fault
from pytest_modelgate.checks.mutation.weights import Layer, layers_of, parametrized

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    Shared = dict[int, Any]


class Original:
    """A model as it stood before the first batch.

    Args:
        module: in evaluation mode, on its device.

    Raises:
        Exception: whatever a part of the model raises that cannot be copied.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        import torch

        module = getattr(module, "_orig_mod", module)  # what torch.compile was given
        self.exchangeable = not isinstance(module, torch.jit.ScriptModule)
        self.layers: list[Layer] = []
        self.layers_left_out = 0
        if self.exchangeable:
            self.layers, self.layers_left_out = layers_of(module)
        held = _held(module) if self.exchangeable else ()
        self._twins: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
        self._common: dict[int, tuple[Any, Any]] = {}  # what each copy shares with the model: as it is, as it was
        self._before = {id(one): (one, _copied(one)) for one in held}
        self._shared: Shared = {id(one): one for one in module.parameters()}
        self._shared |= {key: one for key, (one, _) in self._before.items()}
        self._template = copy.deepcopy(module, dict(self._shared))

    def settle(self) -> None:
        """Called after the model's first forward pass: what it wrote to, each copy gets as it was before."""
        for key, (now, before) in list(self._before.items()):
            if _same(now, before):
                self._common[key] = self._before.pop(key)

    def part(self) -> None:
        """Called after each later pass of the model: what it wrote to only now, each copy gets as it was before."""
        for key, (now, before) in list(self._common.items()):
            if not _same(now, before):
                del self._common[key]
                for twin in self._twins:
                    _exchange(twin, now, _copied(before))

    def take_back(self, twin: torch.nn.Module) -> None:
        """Called after each pass of a copy: what it wrote to is its own from now on, and the model's as before."""
        for now, before in self._common.values():
            if not _same(now, before):
                _exchange(twin, now, _copied(now))
                now[...] = before

    def twin(self) -> torch.nn.Module:
        """A copy without a fault."""
        return self._copy({})

    def with_weights(self, layer: Layer, tensors: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """A copy in which a layer has other tensors, as have all modules that share them."""
        import torch

        own = layer.module._parameters
        changed = {
            id(own[name]): torch.nn.Parameter(tensor, requires_grad=False)
            for name, tensor in tensors.items()
            if own.get(name) is not None
        }
        twin = self._copy(changed)
        acting = set(parametrized(layer.module)) & set(tensors)
        place: Any = twin.get_submodule(layer.name)
        for name in acting:
            place.parametrizations[name] = _constant(tensors[name])
        return twin

    def with_fault(self, fault: Fault) -> torch.nn.Module | None:
        """A copy with dropout left on, or without the statistics of its BatchNorms; None where it has none such."""
        if not self.exchangeable:
            return None
        if fault.kind == DROPOUT:
            twin = self._copy({})
            dropping = [part for part in twin.modules() if any(map(_drops, part.modules()))]
            for part in dropping:
                if _drops(part) or type(part).__module__.startswith("torch.nn."):
                    part.training = True
            return twin if dropping else None
        assert fault.kind == BATCHNORM
        lost = {}
        for part in self._template.modules():
            if _tracks(part):
                mean, variance = part.get_buffer("running_mean"), part.get_buffer("running_var")
                lost[id(mean)] = mean.new_zeros(mean.shape)
                lost[id(variance)] = variance.new_ones(variance.shape)
        return self._copy(lost) if lost else None

    def _copy(self, changed: Shared) -> torch.nn.Module:
        as_before = {key: _copied(before) for key, (_, before) in self._before.items()}
        twin = copy.deepcopy(self._template, {**self._shared, **as_before, **changed})
        self._twins.add(twin)
        return twin


def key_of(module: torch.nn.Module) -> str:
    """12 hexadecimal digits that name a model by its class and its state dict, alike in every process."""
    import torch

    module = getattr(module, "_orig_mod", module)
    digest = blake2b(type(module).__name__.encode(), digest_size=6)
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        if isinstance(value, torch.Tensor):
            digest.update(f"{value.dtype} {list(value.shape)}".encode())
            if value.layout is torch.strided and not value.is_quantized:
                digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _held(module: torch.nn.Module) -> Iterator[Any]:
    """The plain tensors and arrays beside the parameters: buffers, and attributes of the modules, each once."""
    import torch

    seen = {id(one) for one in module.parameters()}
    for part in module.modules():
        for one in (*part._buffers.values(), *vars(part).values()):
            plain = type(one) is torch.Tensor and one.layout is torch.strided and not one.is_quantized
            if (plain or (type(one) is np.ndarray and one.dtype.kind in "biufc")) and id(one) not in seen:
                seen.add(id(one))
                yield one


def _exchange(module: torch.nn.Module, old: Any, new: Any) -> None:
    """Put `new` wherever a module holds `old` as `_held` finds it."""
    for part in module.modules():
        for place in (part._buffers, vars(part)):
            for name in [name for name, one in place.items() if one is old]:
                place[name] = new


def _copied(held: Any) -> Any:
    return held.copy() if isinstance(held, np.ndarray) else held.detach().clone()


def _same(one: Any, other: Any) -> bool:
    """Whether nothing was written; NaN counts as written."""
    import torch

    if isinstance(one, np.ndarray):
        return one.shape == other.shape and bool((one == other).all())
    return torch.equal(one, other)


def _drops(module: torch.nn.Module) -> bool:
    """Whether a module leaves some of its numbers out at random while it is trained."""
    if "drop" in type(module).__name__.lower():
        return getattr(module, "p", None) != 0
    share = getattr(module, "dropout", None)
    return isinstance(share, float) and share > 0 and type(module).__module__.startswith("torch.nn.")


def _tracks(module: torch.nn.Module) -> bool:
    return all(module._buffers.get(name) is not None for name in ("running_mean", "running_var"))


def _constant(tensor: torch.Tensor) -> torch.nn.Module:
    """In the place of a tensor's parametrizations: the tensor itself."""
    import torch

    class Constant(torch.nn.Module):
        def forward(self) -> torch.Tensor:
            return tensor

    return Constant()
