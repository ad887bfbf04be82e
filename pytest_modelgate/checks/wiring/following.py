"""What passes through a model's layers, forwards and backwards, by their qualified names."""

from __future__ import annotations

__tracebackhide__ = True

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.wiring.setting import tensors_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


@dataclass(slots=True)
class Trace:
    """The layers in the order in which they finished, and what they gave.

    Attributes:
        with_gradient: the last layer whose output has a gradient, or None.
        first_broken: the first layer whose output is not finite, or None.
        broken_before: what goes into that layer is not finite either.
        backwards: layers and whether the gradient of their output is finite, in the order of the backward pass.
    """

    with_gradient: str | None = None
    first_broken: str | None = None
    broken_before: bool = False
    backwards: list[tuple[str, bool]] = field(default_factory=list)

    def broke_between(self) -> tuple[str | None, str] | None:
        """Going backwards: the last layer with a finite gradient, and the next, whose gradient is not finite."""
        before = None
        for name, finite in self.backwards:
            if not finite:
                return before, name
            before = name
        return None


@contextmanager
def followed(module: torch.nn.Module) -> Iterator[Trace]:
    """Follow the forward passes inside, and the backward passes of what they gave."""
    import torch

    trace = Trace()
    hooks = [
        each.register_forward_hook(partial(_note, trace, name))
        for name, each in module.named_modules()
        if name and not next(each.children(), None) and not isinstance(each, torch.jit.ScriptModule)
    ]
    try:
        yield trace
    finally:
        for hook in hooks:
            hook.remove()


def finite(tensor: torch.Tensor) -> bool:
    """Whether each number is finite."""
    import torch

    return bool(torch.isfinite(dense(tensor)).all())


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers of a tensor; those of a sparse one that are stored, and of a nested one zeros where it has none."""
    import torch

    if tensor.is_nested:
        padded: torch.Tensor = torch.nested.to_padded_tensor(tensor, 0.0)
        return padded
    return tensor.coalesce().values() if tensor.is_sparse else tensor


def _note(trace: Trace, name: str, layer: torch.nn.Module, given: Any, outputs: Any) -> None:
    for tensor in tensors_of(outputs):
        if trace.first_broken is None and not finite(tensor.detach()):
            trace.first_broken = name
            trace.broken_before = not all(finite(part.detach()) for part in tensors_of(given))
        if tensor.requires_grad:
            trace.with_gradient = name
            tensor.register_hook(partial(_note_gradient, trace, name))  # type: ignore[no-untyped-call]


def _note_gradient(trace: Trace, name: str, gradient: torch.Tensor) -> None:
    trace.backwards.append((name, finite(gradient)))
