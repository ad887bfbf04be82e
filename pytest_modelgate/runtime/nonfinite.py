"""A loss that is not finite: when it happened, and which parameter's gradient broke first.

On the CPU each batch's loss is looked at before its step, so that what is at hand is the state in which it broke: the
weights, the gradients of the step before, and the graph of this batch. On an accelerator a look would wait for the
device; there the largest gradient of each parameter is kept on the device, and looked at once an epoch.
"""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

LOWER = "Lower the learning rate, clip gradients (clip_norm=1.0), or look at the data"


class NotFinite(Exception):  # noqa: N818 - how the loop ends itself, never seen by the user
    """Ends the loop: `why` is what broke, `remedy` what to do."""

    def __init__(
        self, value: float, why: str, *, epoch: int, batch: int | None, last: float | None = None, remedy: str = LOWER
    ) -> None:
        super().__init__(why)
        self.value = value
        self.why = why
        self.epoch = epoch
        self.batch = batch
        self.last = last
        self.remedy = remedy

    def sentence(self) -> str:
        """What to tell the user."""
        if self.batch is None:
            what = f"the validation loss is {self.value} after epoch {self.epoch}"
        elif math.isfinite(self.value):
            what = f"the training broke in epoch {self.epoch}, batch {self.batch}, with a loss of {self.value:.4g}"
        else:
            what = f"the training loss is {self.value} in epoch {self.epoch}, batch {self.batch}"
        if self.last is not None:
            what += f" (the last finite one was {self.last:.4g})"
        return (
            f"{what}: {self.why}. {self.remedy}; "
            "on_nonfinite='stop' keeps the history up to here instead, for gates to judge"
        )


def explain_data(model: torch.nn.Module, inputs: Any, targets: Any) -> str | None:
    """What of a batch is not finite, where the model still was: weights and the gradients of the step before."""
    if _broken(model, lambda parameter: parameter.grad) or _broken(model, lambda parameter: parameter):
        return None
    broken = [name for name, values in (("inputs", inputs), ("targets", targets)) if not _all_finite(values)]
    return f"the {' and '.join(broken)} of this batch are not finite, and every weight is" if broken else None


def explain_loss(model: torch.nn.Module, loss: torch.Tensor, outputs: Any) -> str:
    """Why a batch's loss is not finite though its data are, before the batch's own backward pass.

    Args:
        model: with the gradients of the step before.
        loss: of this batch, with its graph, which is used up.
        outputs: the model's for this batch.
    """
    gradients = _broken(model, lambda parameter: parameter.grad)
    weights = _broken(model, lambda parameter: parameter)
    order, now = _backward(model, loss)
    if gradients or weights:
        return _of_the_step(_sorted(gradients, order), _sorted(weights, order))
    if now:
        others = _and_others(len(now) - 1)
        return (
            f"every weight and earlier gradient was finite; in this batch the gradient of {now[0]} broke first{others}"
        )
    return f"every weight and gradient is still finite, so the loss itself overflowed{_largest(model, outputs)}"


def explain_weights(model: torch.nn.Module) -> str | None:
    """Which parameters are not finite after a step; None where all are."""
    weights = _broken(model, lambda parameter: parameter)
    if not weights:
        return None
    return _of_the_step(_broken(model, lambda parameter: parameter.grad), weights)


def explain_gradients(model: torch.nn.Module) -> str:
    """Which gradients are not finite, before the step that would take them over."""
    first, *others = _broken(model, lambda parameter: parameter.grad) or ["no single parameter"]
    return f"the gradient of {first} broke first{_and_others(len(others))}"


@dataclass(slots=True)
class Norms:
    """The largest absolute gradient of each parameter in each step, kept on the device: no step waits for it."""

    names: list[list[str]]
    rows: list[torch.Tensor]
    batches: list[int]

    def add(self, model: torch.nn.Module, batch: int) -> None:
        """After a backward pass that ends with `batch`."""
        import torch

        found = [(name, _dense(p.grad)) for name, p in model.named_parameters() if p.grad is not None]
        if found:
            self.names.append([name for name, _ in found])
            self.rows.append(torch.stack(torch._foreach_norm([grad for _, grad in found], math.inf)))
            self.batches.append(batch)

    def explain(self) -> str | None:
        """Which gradient broke first, and in which batch; None where none did."""
        for names, row, batch in zip(self.names, self.rows, self.batches, strict=True):
            broken = [name for name, norm in zip(names, row.tolist(), strict=True) if not math.isfinite(norm)]
            if broken:
                return f"the gradient of {broken[-1]} broke first, in batch {batch}{_and_others(len(broken) - 1)}"
        return None


def _of_the_step(gradients: Sequence[str], weights: Sequence[str]) -> str:
    """What the step before this batch broke; each the first in the order of the backward pass."""
    if gradients:
        return (
            f"the gradient of {gradients[0]} broke first, in the step before{_and_others(len(gradients) - 1)}, "
            "and took the weights with it"
        )
    return (
        f"the step before made {weights[0]} not finite{_and_others(len(weights) - 1)}, though its gradients were finite"
    )


def _broken(model: torch.nn.Module, of: Callable[[Any], Any]) -> list[str]:
    """The parameters of which something is not finite; last ones first, as the backward pass comes to them."""
    found = [name for name, parameter in model.named_parameters() if not _all_finite(of(parameter))]
    return found[::-1]


def _sorted(names: Sequence[str], order: Sequence[str]) -> list[str]:
    place = {name: number for number, name in enumerate(order)}
    return sorted(names, key=lambda name: place.get(name, len(place)))


def _backward(model: torch.nn.Module, loss: torch.Tensor) -> tuple[list[str], list[str]]:
    """The parameters in the order in which the backward pass reaches them, and those whose gradient breaks in it."""
    order: list[str] = []
    broken: list[str] = []

    def note(name: str) -> Callable[[Any], None]:
        def hook(parameter: Any) -> None:
            order.append(name)
            if not _all_finite(parameter.grad):
                broken.append(name)

        return hook

    model.zero_grad()
    hooks = [
        parameter.register_post_accumulate_grad_hook(note(name))  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    ]
    try:
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
    finally:
        for hook in hooks:
            hook.remove()
    return order, broken


def _all_finite(values: Any) -> bool:
    """Whether a tensor, or each in a tuple, list or dict, is finite; anything else is taken to be."""
    import torch

    if isinstance(values, torch.Tensor):
        return bool(torch.isfinite(_dense(values.detach())).all())
    if isinstance(values, (tuple, list)):
        return all(map(_all_finite, values))
    return all(map(_all_finite, values.values())) if hasattr(values, "values") else True


def _dense(values: torch.Tensor) -> torch.Tensor:
    return values.coalesce().values() if values.is_sparse else values


def _largest(model: torch.nn.Module, outputs: Any) -> str:
    """Which gradient is the largest, and how far the model's outputs reach."""
    import torch

    said = ""
    sizes = {
        name: float(_dense(parameter.grad).abs().max())
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and _dense(parameter.grad).numel()
    }
    if sizes:
        name = max(sizes, key=lambda each: sizes[each])
        said = f"; the largest gradient is that of {name}, {sizes[name]:.3g}"
    if isinstance(outputs, torch.Tensor) and outputs.numel():
        low, high = outputs.detach().aminmax()
        said += f", and the model's outputs reach from {float(low):.3g} to {float(high):.3g}"
    return said


def _and_others(count: int) -> str:
    return f" (and {count} more)" if count else ""
