"""What a loss costs at best on a batch: for outputs that know their sample, and for one output for all of them."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.wiring.setting import Wiring, tensors_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

_ITERATIONS = 40
_CLOSE = 1e-3


@dataclass(frozen=True, slots=True)
class Reach:
    """Costs on a batch.

    Attributes:
        constant: at best where the output is the same for every sample: what ignoring the input costs.
        floor: at best where equal inputs have equal outputs: what memorising the batch costs.
        alike: two samples with equal inputs and different targets, or None.
    """

    constant: float
    floor: float
    alike: tuple[int, int] | None

    def share(self, cost: float) -> float:
        """Where a cost lies: 0 at the floor, 1 at that of a constant output."""
        return (cost - self.floor) / (self.constant - self.floor)

    @property
    def tells(self) -> bool:
        """Whether knowing the input helps on this batch at all."""
        return self.constant - self.floor > 1e-3 * max(abs(self.constant), 1e-12)


def reach(wiring: Wiring, outputs: torch.Tensor) -> Reach:
    """The costs of the batch, from outputs of the model for their shape and as a start."""
    import torch

    kinds = _kinds(wiring)
    outputs = outputs.detach()
    start = torch.zeros_like(outputs) if wiring.loss_read.outputs in ("logits", "probabilities") else outputs
    dim = _log_probabilities(outputs) if wiring.loss_read.outputs is None else None
    everywhere = torch.zeros(wiring.rows, dtype=torch.long, device=outputs.device)
    which = torch.tensor(kinds, device=outputs.device)
    constant = _lowest(wiring, start.mean(0, keepdim=True), everywhere, dim)
    first = [kinds.index(kind) for kind in range(max(kinds) + 1)]
    floor = min(constant, _lowest(wiring, start[first], which, dim))
    if wiring.loss_read.kind is None and floor < 0 < constant:
        floor = 0.0  # a density without bounds, or outputs that no model gives, such as log-probabilities above 0
    return Reach(constant, floor, _alike(wiring, kinds))


def _lowest(wiring: Wiring, start: torch.Tensor, which: torch.Tensor, dim: int | None) -> float:
    """The least cost of outputs `free[which]` over `free`; log-probabilities over `dim`, where that is one."""
    import torch

    loss = wiring.loss_read
    into: Callable[[torch.Tensor], torch.Tensor] = lambda free: free  # noqa: E731
    if loss.outputs == "probabilities":
        into = torch.sigmoid
    elif loss.kind == "nll_loss":
        into = lambda free: torch.log_softmax(free, 1)  # noqa: E731
    elif dim is not None:
        into = lambda free: torch.log_softmax(free, dim)  # noqa: E731
    free = start.float().contiguous().clone().requires_grad_()  # LBFGS takes views, so no transposed outputs
    optimizer = torch.optim.LBFGS([free], max_iter=_ITERATIONS, history_size=5, line_search_fn="strong_wolfe")
    lowest = math.inf

    def closure() -> float:
        nonlocal lowest
        optimizer.zero_grad()
        cost = wiring.cost(into(free)[which])
        if cost.requires_grad:
            cost.backward()  # type: ignore[no-untyped-call]
        value = float(cost.detach())
        lowest = min(lowest, value) if math.isfinite(value) else lowest
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return lowest


def _log_probabilities(outputs: torch.Tensor) -> int | None:
    """The dimension over which outputs are log-probabilities, as CTC and KL divergence take them, if there is one."""
    if not outputs.is_floating_point() or not outputs.numel() or not float(outputs.max()) <= 0:
        return None
    dims = [dim for dim in dict.fromkeys((1, outputs.ndim - 1)) if 0 < dim < outputs.ndim and outputs.shape[dim] > 1]
    return next((dim for dim in dims if float((outputs.exp().sum(dim) - 1).abs().max()) < _CLOSE), None)


def _kinds(wiring: Wiring) -> list[int]:
    """A number for each sample; equal inputs have the same one."""
    import torch

    seen: dict[tuple[bytes, ...], int] = {}
    parts: list[Any] = [
        tensor.detach().cpu().contiguous().reshape(wiring.rows, -1).view(torch.uint8).numpy()
        for tensor in tensors_of(wiring.inputs)
        if tensor.ndim and len(tensor) == wiring.rows
    ]
    return [seen.setdefault(tuple(part[row].tobytes() for part in parts), len(seen)) for row in range(wiring.rows)]


def _alike(wiring: Wiring, kinds: list[int]) -> tuple[int, int] | None:
    """The first two samples that no model can both fit."""
    import torch

    for row, kind in enumerate(kinds):
        first = kinds.index(kind)
        if first < row and not torch.equal(wiring.targets[first], wiring.targets[row]):
            return first, row
    return None
