"""The built-in loop: forward, loss, backward, step, over batches and epochs."""

from __future__ import annotations

__tracebackhide__ = True

import copy
import math
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import EvidenceError, TrainingError
from pytest_modelgate.runtime.data import Batches, call, move
from pytest_modelgate.runtime.measuring import Decisions
from pytest_modelgate.runtime.modules import evaluating
from pytest_modelgate.runtime.nonfinite import (
    LOWER,
    Norms,
    NotFinite,
    explain_data,
    explain_gradients,
    explain_loss,
    explain_weights,
)
from pytest_modelgate.runtime.weighing import batch_weight, refuse_wrong_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

    from pytest_modelgate.evidence.history import History
    from pytest_modelgate.runtime.losses import Loss
    from pytest_modelgate.runtime.recipe import Recipe

_BINARY = ("binary_cross_entropy_with_logits", "binary_cross_entropy")


@dataclass(slots=True, kw_only=True)
class Loop:
    """One training.

    Attributes:
        recipe: the options, checked.
        metrics: what to measure on the validation set, as `check_metrics` gives it.
        losses_at_once: whether each loss is looked at before its step; on an accelerator, where that would wait for
            the device, losses are fetched once an epoch.
    """

    model: torch.nn.Module
    loss: Loss
    recipe: Recipe
    metrics: dict[str, dict[str, Any]]
    optimizer: torch.optim.Optimizer
    schedule: Any
    autocast: Callable[[], Any] | None
    scaler: Any
    place: torch.device
    train: Batches
    validation: Batches | None
    history: History
    progress: Callable[[History, int, int | None], None] | None
    losses_at_once: bool
    _last: float | None = field(default=None, init=False)
    _learning_rate: float = field(default=math.nan, init=False)
    _seen: int = field(default=0, init=False)

    def run(self) -> None:
        """Train; the history holds what happened, and the model the last weights, or the best with early stopping.

        Raises:
            TrainingError: a loss is not finite, unless `on_nonfinite="stop"`.
        """
        best = _Best()
        patience, epochs = self.recipe.early_stopping, self.recipe.epochs
        for epoch in range(1, epochs + 1):
            broke = self._epoch(epoch)
            if patience is not None and broke is None:
                best.see(self.history.val_loss[-1], epoch, self.model)
            ends = broke is not None or (patience is not None and epoch - best.epoch >= patience)
            if self.progress is not None:
                self.progress(self.history, epoch, epoch if ends else epochs)
            if broke is not None and self.recipe.on_nonfinite == "raise":
                raise TrainingError(broke.sentence())
            if ends:
                break
        if best.epoch:
            if best.epoch != self.history.epochs[-1]:
                self.history.keep(best.epoch)
            best.restore(self.model)

    def _epoch(self, epoch: int) -> NotFinite | None:
        """One epoch, logged; what broke, or None."""
        try:
            train_loss = self._train(epoch)
            if epoch == self.recipe.epochs and (why := explain_weights(self.model)) is not None:
                raise NotFinite(train_loss, why, epoch=epoch, batch=self._seen)
        except NotFinite as broke:
            self.history.log(epoch=epoch, train_loss=math.nan)
            return broke
        self.history.log(epoch=epoch, train_loss=train_loss)
        val_loss = math.nan
        if self.validation is not None:
            val_loss, metrics = self._validate(epoch)
            self.history.log(epoch=epoch, val_loss=val_loss, **metrics)
        if self.schedule is not None:
            self.history.log(epoch=epoch, learning_rate=self._learning_rate)
            if self.recipe.schedule_every == "epoch":
                self._move_schedule(*((val_loss,) if self._waits_for_a_plateau() else ()))
        if self.validation is not None and not math.isfinite(val_loss):
            broken = explain_weights(self.model)
            why, remedy = (
                (broken, LOWER) if broken is not None else ("every weight is finite", "Look at the validation data")
            )
            return NotFinite(val_loss, why, epoch=epoch, batch=None, remedy=remedy)
        return None

    def _train(self, epoch: int) -> float:
        """The mean training loss of one epoch, as the weights moved."""
        import torch

        model, place, optimizer, scaler = self.model, self.place, self.optimizer, self.scaler
        on_cpu = place.type == "cpu"
        model.train()
        losses: list[Any] = []
        weights: list[float] = []
        norms = None if self.losses_at_once or scaler is not None else Norms([], [], [])
        plain_step = self.recipe.clip_norm is None and scaler is None and self.schedule is None
        for inputs, targets, weight, share, begins, ends in self._batches():
            if self.autocast is None:
                plain = on_cpu and isinstance(inputs, torch.Tensor)  # the shortest way, in which small models are most
                outputs = model(inputs) if plain else call(model, move(inputs, place))
                loss = self._loss(outputs, targets)
            else:
                with self.autocast():
                    outputs = call(model, move(inputs, place))
                    loss = self._loss(outputs, targets)
            kept: Any = loss.item() if self.losses_at_once else loss.detach()
            losses.append(kept)
            weights.append(weight)
            if self.losses_at_once and not math.isfinite(kept):
                last = losses[-2] if len(losses) > 1 else self._last
                bad = explain_data(model, inputs, targets)
                why, remedy = (
                    (bad, "Look at the data") if bad is not None else (explain_loss(model, loss, outputs), LOWER)
                )
                raise NotFinite(kept, why, epoch=epoch, batch=len(losses), last=last, remedy=remedy)
            if begins:
                optimizer.zero_grad()
            if share != 1.0:
                loss = loss * share
            (loss if scaler is None else scaler.scale(loss)).backward()
            if not ends:
                continue
            if norms is not None:
                norms.add(model, len(losses))
            if plain_step:
                optimizer.step()
            else:
                self._step(epoch, len(losses), kept)
            if epoch == 1 and len(losses) <= self.recipe.accumulate:
                self._learn_chance(outputs)
        if not losses:
            raise _empty("train_data", epoch)
        values = losses if self.losses_at_once else self._fetched(losses, norms, epoch)
        self._last, self._seen = values[-1], len(values)
        return self._mean(values, weights)

    def _batches(self) -> Iterator[tuple[Any, torch.Tensor, float, float, bool, bool]]:
        """Inputs and targets, how much the batch counts, its share in its step, and whether it begins and ends one."""
        accumulate, loss = self.recipe.accumulate, self.loss
        counted = loss.weight is not None or loss.ignored is not None
        if accumulate == 1:
            for inputs, targets in self.train:
                yield inputs, targets, batch_weight(loss, targets) if counted else len(targets), 1.0, True, True
            return
        batches = iter(self.train)
        while group := list(islice(batches, accumulate)):
            weights = [batch_weight(loss, targets) for _, targets in group]
            whole = math.fsum(weights)
            for i, (inputs, targets) in enumerate(group):
                share = 1.0 if loss.reduction == "sum" or whole == 0 else weights[i] / whole
                yield inputs, targets, weights[i], share, i == 0, i == len(group) - 1

    def _loss(self, outputs: Any, targets: torch.Tensor) -> torch.Tensor:
        if self.autocast is not None and self.loss.kind is not None and outputs.element_size() == 2:
            outputs = outputs.float()  # as autocast does for torch's losses; targets must not lose their digits either
        if not self.losses_at_once:
            targets = targets.to(self.place, non_blocking=True)
        try:
            loss = self.loss.function(outputs, self.loss.cast(outputs, targets))
        except (IndexError, RuntimeError, ValueError) as error:
            if self.loss.kind is None:
                raise  # the user's own loss: its own traceback says more
            refuse_wrong_number(self.loss, outputs)
            raise self.loss.failed(outputs, targets, error) from error
        self.loss.refuse_no_tensor(loss)
        mean: torch.Tensor = loss if loss.ndim == 0 else loss.mean()
        return mean

    def _fetched(self, losses: list[torch.Tensor], norms: Norms | None, epoch: int) -> list[float]:
        """The losses of an epoch that were kept on the device."""
        import torch

        values: list[float] = torch.stack(losses).cpu().double().tolist()
        for batch, value in enumerate(values, 1):
            if not math.isfinite(value):
                why = norms.explain() if norms is not None else None
                why = why or "every gradient before was finite, as far as can be told once the epoch has ended"
                last = values[batch - 2] if batch > 1 else self._last
                raise NotFinite(value, why, epoch=epoch, batch=batch, last=last)
        return values

    def _mean(self, values: list[float], weights: list[float]) -> float:
        """The mean over samples of what is known as one number a batch."""
        if self.loss.reduction == "sum":
            return math.fsum(values) / math.fsum(weights)
        return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / math.fsum(weights)

    def _step(self, epoch: int, batch: int, loss: Any) -> None:
        """Clip, step, and move a schedule that goes by batches; `loss` is the batch's, for what may be said of it."""
        import torch

        clip = self.recipe.clip_norm
        if clip is not None:
            if self.scaler is not None:
                self.scaler.unscale_(self.optimizer)
            parameters = [p for p in self.model.parameters() if p.grad is not None]
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            if self.losses_at_once and not math.isfinite(norm.item()):
                why = explain_gradients(self.model)
                raise NotFinite(loss, why, epoch=epoch, batch=batch)
            torch.nn.utils.clip_grads_with_norm_(parameters, clip, norm)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.schedule is not None:
            self._learning_rate = float(self.optimizer.param_groups[0]["lr"])
            if self.recipe.schedule_every == "batch":
                self._move_schedule()

    def _waits_for_a_plateau(self) -> bool:
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        return isinstance(self.schedule, ReduceLROnPlateau)

    def _move_schedule(self, *values: float) -> None:
        try:
            self.schedule.step(*values)
        except ValueError as error:  # such as OneCycleLR, which knows how many steps there will be
            raise TrainingError(f"schedule= cannot go on: {error}") from error

    def _validate(self, epoch: int) -> tuple[float, dict[str, float]]:
        """The mean validation loss, in full precision, and the metrics that are defined."""
        import torch

        measured = []
        decisions = Decisions(self.loss) if self.metrics else None
        with evaluating(self.model), torch.no_grad():
            for inputs, targets in self.validation or ():
                outputs = call(self.model, move(inputs, self.place))
                cast = self.loss.cast(outputs, targets.to(self.place, non_blocking=True))
                measured.append((*self.loss.measure(outputs, cast), len(targets)))
                if decisions is not None:
                    decisions.add(outputs, targets)
        if not measured:
            raise _empty("validation_data", epoch)
        mean = self.loss.total(measured).mean
        if mean is None or not math.isfinite(mean):
            return math.nan, {}
        return mean, decisions.measure(self.metrics) if decisions is not None else {}

    def _learn_chance(self, outputs: Any) -> None:
        """Note the loss of a model that knows nothing, where the loss is one whose value there is known."""
        if self.loss.name != self.loss.kind or not isinstance(getattr(outputs, "shape", None), tuple):
            return
        if self.loss.kind in ("cross_entropy", "nll_loss") and outputs.ndim == 2:
            self.history.chance_loss = math.log(outputs.shape[1])
        elif self.loss.kind in _BINARY and outputs.numel() == len(outputs):
            self.history.chance_loss = math.log(2)


class _Best:
    """The state of the model after the epoch with the lowest validation loss."""

    def __init__(self) -> None:
        self.epoch = 0
        self._loss = math.inf
        self._state: dict[str, Any] = {}
        self._rest: dict[str, torch.Tensor] = {}

    def see(self, loss: float, epoch: int, model: torch.nn.Module) -> None:
        """Keep the state if this is the lowest loss so far; NaN never is."""
        if not loss < self._loss:
            return
        self._loss, self.epoch = loss, epoch
        self._state = copy.deepcopy(model.state_dict())
        self._rest = {name: buffer.clone() for name, buffer in model.named_buffers() if name not in self._state}

    def restore(self, model: torch.nn.Module) -> None:
        """Give the model the state that was kept, buffers that are not in its state dict too."""
        model.load_state_dict(self._state)
        for name, buffer in model.named_buffers():
            if name in self._rest:
                buffer.copy_(self._rest[name])


def _empty(what: str, epoch: int) -> EvidenceError:
    again = "" if epoch == 1 else f" in epoch {epoch}: an iterator can be read once, give a list or a loader"
    return EvidenceError(f"{what} is empty{again}")
