"""Training: a plain, explicit loop, or the user's own."""

from __future__ import annotations

__tracebackhide__ = True

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence.history import History
from pytest_modelgate.exceptions import EvidenceError, TrainingError, at_the_caller
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.runtime.data import Batches, call, model_dtype, move
from pytest_modelgate.runtime.devices import resolve_device
from pytest_modelgate.runtime.losses import Loss, read_loss
from pytest_modelgate.runtime.modules import TrainedModel, evaluating, make_module
from pytest_modelgate.runtime.seeds import check_seed, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the user's own loop, `fit(model, run)`, gets.

    Attributes:
        device: where the model lies and the data should go.
        seed: what Python, numpy and torch were seeded with.
        train_data, validation_data: as they were given to `train_model`.
        history: log into it: `run.history.log(epoch=1, train_loss=..., val_loss=..., val_recall=...)`.
    """

    device: torch.device
    seed: int
    train_data: Any
    validation_data: Any
    history: History


@at_the_caller
def train_model(
    factory: Callable[[], torch.nn.Module],
    train_data: Any,
    *,
    validation_data: Any = None,
    loss: Any = None,
    optimizer: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer] | None = None,
    epochs: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
    early_stopping: int | None = None,
    fit: Callable[[torch.nn.Module, Run], Any] | None = None,
    device: str | torch.device = "auto",
) -> TrainedModel:
    """Train a model: forward, loss, backward, step; or with `fit`, by the user's own loop.

    Seeds are set before the model is made and restored after the training. The history logs `train_loss` and, with
    validation data, `val_loss` for each epoch: means over samples, the former as the weights moved.

    Args:
        factory: makes the model, such as its class: it is called after seeding, so that its weights are reproducible.
        train_data, validation_data: as for `evaluate`; pairs and Datasets are shuffled in each epoch of training.
        loss: a torch loss or any `loss(outputs, targets)` that gives a tensor to call `backward()` on.
        optimizer: makes the optimizer of the parameters, such as `lambda p: torch.optim.Adam(p, lr=1e-3)`.
        epochs: how many passes over the training data; with `early_stopping` at most so many.
        batch_size: samples a batch for a Dataset or a pair.
        seed: for Python, numpy and torch.
        early_stopping: stop after so many epochs without a new lowest validation loss, and restore its weights.
        fit: `fit(model, run)` trains the model itself; nothing else is required then. It may return another module.
        device: as for `--modelgate-device`.

    Raises:
        TrainingError: something is missing, or the factory makes no module.
        EvidenceError: data that cannot be read, are empty, or do not fit the loss.
    """
    import torch

    check_seed(seed)
    place = resolve_device(device)
    read = None if loss is None else read_loss(loss)
    if fit is None:
        _require(loss=loss, optimizer=optimizer, epochs=epochs)
        _check_plan(epochs, early_stopping, validation_data)
    elif early_stopping is not None or epochs is not None or optimizer is not None:
        raise TrainingError("with fit= the loop is yours: epochs, optimizer and early_stopping belong into it")
    with seeded(seed, place):
        model = make_module(factory).to(place)
        history = History(
            loss=None if read is None else read.name,
            model=type(model).__name__,
            seed=seed,
            device=str(place),
            threads=torch.get_num_threads(),
        )
        if fit is not None:
            run = Run(device=place, seed=seed, train_data=train_data, validation_data=validation_data, history=history)
            returned = fit(model, run)
            if returned is not None and not isinstance(returned, torch.nn.Module):
                raise TrainingError(
                    f"fit returned {type(returned).__name__}; return the trained module, or nothing to keep the given"
                )
            model = model if returned is None else returned
        else:
            dtype = model_dtype(model)
            loop = _Loop(
                model=model,
                loss=read.on(place),  # type: ignore[union-attr]
                optimizer=_optimizer(optimizer, model),
                place=place,
                train=Batches(train_data, batch_size=batch_size, shuffle=True, dtype=dtype, what="train_data"),
                validation=None
                if validation_data is None
                else Batches(validation_data, batch_size=max(batch_size, 256), dtype=dtype, what="validation_data"),
            )
            loop.run(history, epochs or 0, early_stopping)
    history.freeze()
    model.eval()
    return TrainedModel(model=model, history=history, device=place, seed=seed, loss=loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """The plain loop."""

    model: torch.nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    place: torch.device
    train: Batches
    validation: Batches | None

    def run(self, history: History, epochs: int, patience: int | None) -> None:
        best, best_epoch, best_weights = math.inf, 0, None
        for epoch in range(1, epochs + 1):
            history.log(epoch=epoch, train_loss=self._train_epoch(epoch))
            if self.validation is None:
                continue
            val_loss = self._validate(epoch)
            history.log(epoch=epoch, val_loss=val_loss)
            if patience is None:
                continue
            if val_loss < best:
                best, best_epoch, best_weights = val_loss, epoch, copy.deepcopy(self.model.state_dict())
            elif epoch - best_epoch >= patience:
                break
        if best_weights is not None:
            self.model.load_state_dict(best_weights)

    def _train_epoch(self, epoch: int) -> float:
        import torch

        self.model.train()
        seen: list[tuple[torch.Tensor, int]] = []
        for inputs, targets in self.train:
            outputs = call(self.model, move(inputs, self.place))
            loss = self._loss(outputs, targets)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            seen.append((loss.detach(), len(targets)))
        if not seen:
            raise _empty("train_data", epoch)
        values = torch.stack([loss for loss, _ in seen]).cpu().double().tolist()  # fetched once an epoch
        batches = (self.loss.of_batch(value, samples) for value, (_, samples) in zip(values, seen, strict=True))
        mean = sum(batches, start=MeanLoss(name=self.loss.name)).mean
        return math.nan if mean is None else mean

    def _validate(self, epoch: int) -> float:
        import torch

        measured = []
        with evaluating(self.model), torch.no_grad():
            for inputs, targets in self.validation or ():
                outputs = call(self.model, move(inputs, self.place))
                cast = self.loss.cast(outputs, targets.to(self.place, non_blocking=True))
                measured.append((*self.loss.measure(outputs, cast), len(targets)))
        if not measured:
            raise _empty("validation_data", epoch)
        mean = self.loss.total(measured).mean
        return math.nan if mean is None else mean

    def _loss(self, outputs: Any, targets: torch.Tensor) -> torch.Tensor:
        try:
            loss = self.loss.function(outputs, self.loss.cast(outputs, targets.to(self.place, non_blocking=True)))
        except (IndexError, RuntimeError, ValueError) as error:
            if self.loss.kind is None:
                raise  # the user's own loss: its own traceback says more
            raise self.loss.failed(outputs, targets, error) from error
        self.loss.refuse_no_tensor(loss)
        mean: torch.Tensor = loss if loss.ndim == 0 else loss.mean()
        return mean


def _empty(what: str, epoch: int) -> EvidenceError:
    again = "" if epoch == 1 else f" in epoch {epoch}: an iterator can be read once, give a list or a loader"
    return EvidenceError(f"{what} is empty{again}")


def _require(**given: Any) -> None:
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise TrainingError(
            f"train_model needs {', '.join(f'{name}=' for name in missing)}, or fit=, your own training loop"
        )


def _check_plan(epochs: Any, early_stopping: Any, validation_data: Any) -> None:
    for name, value in (("epochs", epochs), ("early_stopping", early_stopping)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise TrainingError(f"{name}={value!r} is not a whole number of 1 or more")
    if early_stopping is not None and validation_data is None:
        raise TrainingError("early_stopping watches the validation loss: give validation_data=")


def _optimizer(make: Any, model: torch.nn.Module) -> torch.optim.Optimizer:
    import torch

    if isinstance(make, torch.optim.Optimizer) or not callable(make):
        raise TrainingError(
            "optimizer= takes a function of the parameters, such as torch.optim.Adam or "
            "lambda parameters: torch.optim.SGD(parameters, lr=0.1)"
        )
    optimizer = make(model.parameters())
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TrainingError(f"optimizer= made {type(optimizer).__name__}, not a torch.optim.Optimizer")
    return optimizer
