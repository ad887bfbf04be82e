"""Faults in a model's weights: which layers, and what becomes of their tensors."""

from __future__ import annotations

__tracebackhide__ = True

import copy
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.mutation.faults import (
    BITS,
    NOISE,
    NOISES,
    QUANTISED,
    REINITIALISED,
    ZEROED,
    Fault,
    seed_of,
)
from pytest_modelgate.runtime.seeds import seeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch

MOST_LAYERS = 5


class Layer:
    """A module with weights of its own: floating tensors of two or more dimensions (of one, where no module has more).

    Args:
        name: the qualified name.
        module: the module.
        weights: its weights by name, those of parametrizations as they act.
    """

    def __init__(self, name: str, module: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
        self.name = name
        self.module = module
        self.weights = weights

    @property
    def where(self) -> str:
        """How the layer is called in a fault."""
        return f"'{self.name}'" if self.name else "the model itself"

    def faulted(self, fault: Fault) -> dict[str, torch.Tensor]:
        """The tensors that a fault changes, by name, as new ones."""
        if fault.kind == REINITIALISED:
            return _reinitialised(self, fault)
        changed = {}
        for name, tensor in self.weights.items():
            if fault.kind == ZEROED:
                changed[name] = tensor.new_zeros(tensor.shape)
            elif fault.kind == NOISE:
                strength = (fault.strength or 0.0) * float(tensor.float().std(correction=0))
                changed[name] = tensor + (strength * _normal(tensor, f"{fault.kind} {self.name} {name}")).to(tensor)
            else:
                changed[name] = _quantised(tensor, int(fault.strength or 0))
        return changed


def layers_of(module: torch.nn.Module) -> tuple[list[Layer], int]:
    """The layers to be faulted, the first, the last and some evenly between, and how many others there are."""
    found = _layers(module, dimensions=2) or _layers(module, dimensions=1)
    if len(found) <= MOST_LAYERS:
        return found, 0
    chosen = [round(number * (len(found) - 1) / (MOST_LAYERS - 1)) for number in range(MOST_LAYERS)]
    return [found[number] for number in chosen], len(found) - MOST_LAYERS


def weight_faults(layer: Layer) -> Iterator[Fault]:
    """All faults of a layer's weights, harsh ones first."""
    yield Fault(ZEROED, layer.where)
    yield Fault(REINITIALISED, layer.where)
    for strength in NOISES:
        yield Fault(NOISE, layer.where, strength)
    for bits in BITS:
        yield Fault(QUANTISED, layer.where, bits)


def _layers(module: torch.nn.Module, dimensions: int) -> list[Layer]:
    from torch.nn.parameter import is_lazy

    found = []
    seen: set[int] = set()
    for name, part in module.named_modules():
        if "parametrizations" in name.split("."):
            continue
        own = {key: value for key, value in part._parameters.items() if value is not None and id(value) not in seen}
        seen.update(map(id, own.values()))
        every = {**own, **{key: getattr(part, key) for key in parametrized(part)}}
        weights = {
            key: value.detach()
            for key, value in every.items()
            if not is_lazy(value) and value.is_floating_point() and value.ndim >= dimensions and value.numel()
        }
        if weights:
            found.append(Layer(name, part, weights))
    return found


def parametrized(module: torch.nn.Module) -> list[str]:
    """The names of a module's tensors that `torch.nn.utils.parametrize` computes."""
    from torch.nn.utils.parametrize import is_parametrized

    return list(module.parametrizations) if is_parametrized(module) else []  # type: ignore[arg-type]


def _reinitialised(layer: Layer, fault: Fault) -> dict[str, torch.Tensor]:
    """All parameters of the layer as `reset_parameters` draws them, or weights drawn with their own mean and spread."""
    own = {name: value for name, value in layer.module._parameters.items() if value is not None}
    reset = {} if parametrized(layer.module) else _reset(layer.module, seed_of(fault.name))
    if reset:
        return {name: value.to(own[name]) for name, value in reset.items()}
    changed = {}
    for name, tensor in layer.weights.items():
        values = tensor.float()
        drawn = values.mean() + values.std(correction=0) * _normal(tensor, f"{fault.name} {name}")
        changed[name] = drawn.to(tensor)
    return changed


def _reset(module: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """A module's own parameters after `reset_parameters`, drawn on the CPU; nothing where it has no such method."""
    import torch

    if not callable(getattr(module, "reset_parameters", None)):
        return {}
    new: Any = copy.deepcopy(module).to("cpu")
    try:
        with seeded(seed, torch.device("cpu")):
            new.reset_parameters()
    except Exception:  # the user's own method, which may need what a copy lacks: the weights are drawn instead
        return {}
    return {name: value.detach() for name, value in new._parameters.items() if value is not None}


def _normal(like: torch.Tensor, name: str) -> torch.Tensor:
    """Standard normal numbers in float32, drawn on the CPU: alike on every device."""
    import torch

    generator = torch.Generator().manual_seed(seed_of(name))
    return torch.randn(like.shape, generator=generator, dtype=torch.float32).to(like.device)


def _quantised(tensor: torch.Tensor, bits: int) -> torch.Tensor:
    """The nearest of 2**bits - 1 evenly spaced values from -max|w| to max|w|."""
    levels = 2 ** (bits - 1) - 1
    values = tensor.float()
    step = values.abs().max() / levels
    return (values.div(step).round() * step).to(tensor) if float(step) > 0 else tensor.clone()
