"""How the built-in loop trains: the options of `train_model` that are for it alone, checked."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import ModelgateWarning, TrainingError, did_you_mean
from pytest_modelgate.runtime.losses import read_loss
from pytest_modelgate.runtime.measuring import check_countable, check_metrics
from pytest_modelgate.runtime.weighing import check_class_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

EVERY = ("epoch", "batch")
ON_NONFINITE = ("raise", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Options of the built-in loop; see `train_model`."""

    optimizer: Any = None
    epochs: Any = None
    early_stopping: int | None = None
    schedule: Any = None
    schedule_every: str = "epoch"
    clip_norm: float | None = None
    accumulate: int = 1
    class_weights: Any = None
    mixed_precision: bool = False
    metrics: Any = ()
    on_nonfinite: str = "raise"

    def refuse_with_fit(self) -> None:
        """A `TrainingError` where options of the built-in loop are given together with the user's own."""
        given = [
            field.name
            for field in fields(self)
            if field.default is not MISSING and not _same(getattr(self, field.name), field.default)
        ]
        if given:
            raise TrainingError(
                f"with fit= the loop is yours: {', '.join(given)} belong{'s' * (len(given) == 1)} into it"
            )

    def check(self, loss: Any, train_data: Any, validation_data: Any) -> None:
        """A `TrainingError` for what is missing, makes no sense, or does not fit together."""
        _require(loss=loss, optimizer=self.optimizer, epochs=self.epochs)
        if not callable(self.optimizer):
            raise TrainingError(
                "optimizer= takes a function of the parameters, such as torch.optim.Adam or "
                "lambda parameters: torch.optim.SGD(parameters, lr=0.1)"
            )
        for name in ("epochs", "early_stopping", "accumulate"):
            _whole(name, getattr(self, name), or_none=name == "early_stopping")
        if self.clip_norm is not None and not _positive(self.clip_norm):
            raise TrainingError(
                f"clip_norm={self.clip_norm!r} is not a number above 0, the largest norm of the gradient"
            )
        if not isinstance(self.mixed_precision, bool):
            raise TrainingError(f"mixed_precision={self.mixed_precision!r} is neither True nor False")
        _one_of("schedule_every", self.schedule_every, EVERY)
        _one_of("on_nonfinite", self.on_nonfinite, ON_NONFINITE)
        if self.schedule is None and self.schedule_every != "epoch":
            raise TrainingError(f"schedule_every={self.schedule_every!r} is for a schedule=, and none is given")
        if self.schedule is not None and not callable(self.schedule):
            raise TrainingError(
                "schedule= takes a function of the optimizer, such as "
                "lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, step_size=10)"
            )
        if self.early_stopping is not None and validation_data is None:
            raise TrainingError("early_stopping watches the validation loss: give validation_data=")
        if check_metrics(self.metrics):
            if validation_data is None:
                raise TrainingError("metrics= are measured on the validation set: give validation_data=")
            check_countable(read_loss(loss))
        check_class_weights(self.class_weights, loss)
        if isinstance(self.class_weights, str) and hasattr(train_data, "__next__"):
            raise TrainingError(
                "class_weights='balanced' reads train_data once before the training, and an iterator can be read once: "
                "give a list or a loader, or one number for each class"
            )

    def make_optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """The optimizer of the model's parameters."""
        import torch

        if not any(True for _ in model.parameters()):
            raise TrainingError(f"{type(model).__name__} has no parameters, so there is nothing to train")
        optimizer = self.optimizer(model.parameters())
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TrainingError(f"optimizer= made {type(optimizer).__name__}, not a torch.optim.Optimizer")
        if isinstance(optimizer, torch.optim.LBFGS):
            raise TrainingError("LBFGS computes the loss anew within a step: train with your own loop, fit=")
        return optimizer

    def make_schedule(self, optimizer: torch.optim.Optimizer, *, validated: bool) -> Any:
        """The learning-rate schedule, or None."""
        from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

        if self.schedule is None:
            return None
        made = self.schedule(optimizer)
        if not isinstance(made, (LRScheduler, ReduceLROnPlateau)):
            raise TrainingError(f"schedule= made {type(made).__name__}, not one of torch.optim.lr_scheduler's")
        if getattr(made, "optimizer", optimizer) is not optimizer:
            raise TrainingError("schedule= made a schedule of another optimizer than the one that it was given")
        if isinstance(made, ReduceLROnPlateau):
            if self.schedule_every == "batch":
                raise TrainingError("ReduceLROnPlateau watches the validation loss: schedule_every='epoch' is for it")
            if not validated:
                raise TrainingError("ReduceLROnPlateau watches the validation loss: give validation_data=")
        return made

    def make_precision(self, place: torch.device) -> tuple[Callable[[], Any] | None, Any]:
        """What makes the autocast context of one forward pass, and the gradient scaler; None where there is none.

        float16 with a gradient scaler on CUDA, bfloat16 elsewhere; a `ModelgateWarning` where the device has neither.
        """
        import warnings

        import torch

        if not self.mixed_precision:
            return None, None
        if not torch.amp.is_autocast_available(place.type):
            warnings.warn(
                ModelgateWarning(f"{place.type} has no mixed precision: this training runs in full precision"),
                stacklevel=2,
            )
            return None, None
        if place.type == "cuda":
            return lambda: torch.autocast("cuda", torch.float16), torch.amp.GradScaler("cuda")
        return lambda: torch.autocast(place.type, torch.bfloat16), None


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))


def _require(**given: Any) -> None:
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise TrainingError(
            f"train_model needs {', '.join(f'{name}=' for name in missing)}, or fit=, your own training loop"
        )


def _whole(name: str, value: Any, *, or_none: bool) -> None:
    if or_none and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TrainingError(f"{name}={value!r} is not a whole number of 1 or more")


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _one_of(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise TrainingError(
            f"{name}={value!r} is not one of {', '.join(map(repr, choices))}{did_you_mean(value, choices)}"
        )
