"""Evaluation on an accelerator: each batch is reduced where it is, and fetched once, after the last one.

Nothing here waits for the device inside the loop. Not run on a GPU by this project's own tests, which hold it to the
CPU's results on CPU tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy

if TYPE_CHECKING:
    import torch

    from pytest_modelgate.evidence.collecting import Collector
    from pytest_modelgate.runtime.losses import Loss


class DeviceSink:
    """Takes batches of outputs on a device, and hands the collector what it needs at the end."""

    def __init__(self, collector: Collector, loss: Loss | None) -> None:
        self._collector = collector
        self._loss = loss
        self._batches: list[tuple[Any, ...]] = []
        self._losses: list[tuple[Any, Any, int]] = []
        self._flags: list[Any] = []

    def add(self, outputs: torch.Tensor, targets: torch.Tensor, place: torch.device) -> None:
        """One batch; `targets` are checked where they come from, before they go to the device."""
        __tracebackhide__ = True
        many = outputs.ndim == 2 and outputs.shape[1] > 2
        many = many and self._collector.outputs == "logits" and self._collector.keep != "scores"
        if many or (self._loss is not None and outputs.ndim == 2 and outputs.shape[1] > 1):
            _check_range(targets, int(outputs.shape[1]))
        on_device = targets.to(place, non_blocking=True)
        if self._loss is not None:
            cast = self._loss.cast(outputs, on_device)
            self._losses.append((*self._loss.measure(outputs, cast), len(targets)))
        if many:
            if len(targets) != len(outputs):
                raise EvidenceError(f"{len(outputs)} outputs and {len(targets)} targets in a batch; lengths must match")
            flat = on_device.reshape(len(targets)).long()
            self._batches.append((*decide_many(outputs, flat), flat, int(outputs.shape[1])))
            self._flags.append(outputs.isfinite().all())
        else:
            self._batches.append((outputs, targets))

    def finish(self) -> None:
        """Fetch everything and hand it over."""
        import torch

        if self._flags and not bool(torch.stack(self._flags).all()):
            raise EvidenceError("the model's logits hold NaN or infinity; look at the training, or the inputs' scale")
        for batch in self._batches:
            if len(batch) == 2:
                self._collector.add(to_numpy(batch[0]), to_numpy(batch[1]))
            else:
                preds, ranks, flat, classes = batch
                self._collector.add_decided(to_numpy(preds), to_numpy(ranks), to_numpy(flat), classes)
        if self._loss is not None:
            for losses, weights, samples in self._losses:
                self._loss.hand_over(self._collector, losses, weights, samples)


def decide_many(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The predicted class and the target's rank [n] of logits [n, K]; ties go to the lowest index in both."""
    import torch

    classes = torch.arange(logits.shape[1], device=logits.device)
    highest = logits.max(dim=1, keepdim=True).values
    preds = torch.where(logits == highest, classes, logits.shape[1]).min(dim=1).values
    own = logits.gather(1, target[:, None])
    before = (logits == own) & (classes < target[:, None])
    ranks = ((logits > own) | before).sum(dim=1)
    return preds.clamp(max=logits.shape[1] - 1), ranks


def _check_range(targets: torch.Tensor, classes: int) -> None:
    """An out-of-range class ends a CUDA process; it is found on the host, where loaders put the targets."""
    if targets.is_floating_point() or targets.numel() == 0 or targets.device.type != "cpu":
        return
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise EvidenceError(
            f"target {wrong} is out of range: the model tells {classes} classes apart, 0 to {classes - 1}"
        )
