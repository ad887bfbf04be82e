"""Evaluation on an accelerator: each batch is reduced where it is, and fetched once, after the last one.

Nothing here waits for the device inside the loop. Not run on a GPU by this project's own tests, which hold it to the
CPU's results on CPU tensors.
"""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence.outputs import check_log_probabilities
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy, whole_numbers
from pytest_modelgate.metrics.counting import check_range

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
        self._finite: list[Any] = []
        self._log_sums: list[Any] = []
        self._like_probabilities: list[Any] = []

    def add(self, outputs: torch.Tensor, targets: torch.Tensor, place: torch.device) -> None:
        """One batch; `targets` are checked where they come from, before they go to the device."""
        given, whole = outputs, targets
        outputs, targets = self._collector.flatten(outputs, targets)
        columns = self._collector.check_shapes(tuple(outputs.shape), tuple(targets.shape))
        several = self._collector.task == "multilabel"
        many = columns > 2 and self._collector.outputs == "logits" and self._collector.keep != "scores" and not several
        if columns > 1 and targets.device.type == "cpu" and not several:
            # A class out of range would end a CUDA process; loaders put the targets on the host, where it is seen.
            check_range(whole_numbers(to_numpy(targets).reshape(len(targets)), "target"), columns, "target")
        on_device = targets.to(place, non_blocking=True)
        if self._loss is not None:
            if not self._batches:
                self._loss.refuse_sum(given, whole.to(place, non_blocking=True))
            if outputs is given or self._loss.kind is not None:
                cast = self._loss.cast(outputs, on_device)
                self._losses.append((*self._loss.measure(outputs, cast), len(targets)))
            else:
                self._loss.add_mean_of(self._collector, given, whole.to(place), len(targets))
        if many and len(targets):
            flat = on_device.reshape(len(targets)).long()
            self._batches.append((*decide_many(outputs, flat.clamp(0, columns - 1)), flat))
            self._finite.append(outputs.isfinite().all())
            self._log_sums.append((outputs.exp().sum(dim=1) - 1).abs().max())
            rows = (outputs.sum(dim=1) - 1).abs() < 1e-3
            self._like_probabilities.append(((outputs >= 0) & (outputs <= 1)).all() & rows.all())
        elif not many:
            self._batches.append((outputs, targets))

    def finish(self) -> None:
        """Fetch everything and hand it over."""
        import torch

        if self._finite and not bool(torch.stack(self._finite).all()):
            raise EvidenceError(
                "logits must be finite, but some are NaN or infinite; look at the training or the inputs"
            )
        if self._log_sums and self._loss is not None and self._loss.kind == "nll_loss":
            check_log_probabilities(float(torch.stack(self._log_sums).max()))
        like = bool(self._like_probabilities) and bool(torch.stack(self._like_probabilities).all())
        for batch in self._batches:
            if len(batch) == 2:
                self._collector.add_rows(to_numpy(batch[0]), to_numpy(batch[1]))
            else:
                preds, ranks, flat = (to_numpy(part) for part in batch)
                self._collector.add_decided(preds, ranks, flat, like_probabilities=like)
        if self._loss is not None and self._losses:
            self._fetch_losses(self._loss)

    def _fetch_losses(self, loss: Loss) -> None:
        import torch

        vectors, weights = [], []
        for losses, weight, samples in self._losses:
            if losses.ndim == 0:
                self._collector.add_mean_loss(loss.of_batch(float(losses), samples))
            else:
                vectors.append(losses)
                weights += [] if weight is None else [weight]
        if vectors:
            together = to_numpy(torch.cat(weights)) if weights else None
            self._collector.add_loss(to_numpy(torch.cat(vectors)), together)


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
