"""Modules as the runtime handles them: trained ones, and the mode and place that a module is in for a while."""

from __future__ import annotations

__tracebackhide__ = True

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import EvidenceError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from pytest_modelgate.evidence.history import History


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A model that was trained, with its record; accepted wherever a module is.

    Attributes:
        model: the module, in evaluation mode, on `device`.
        history: what the training logged, frozen.
        device: where it was trained.
        seed: what the random generators were seeded with.
        loss: the training's loss, which `evaluate` takes by default; None where none was given.
    """

    model: torch.nn.Module
    history: History
    device: torch.device
    seed: int
    loss: Any = field(default=None, repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The model's outputs."""
        return self.model(*args, **kwargs)


def module_and_loss(model: Any, loss: Any) -> tuple[torch.nn.Module, Any]:
    import torch

    if isinstance(model, TrainedModel):
        return model.model, model.loss if loss is None else loss
    if isinstance(model, torch.nn.Module):
        return model, loss
    hint = f"; give an instance, {model.__name__}()" if isinstance(model, type) else ""
    raise EvidenceError(f"a model is a torch.nn.Module or what train_model gave, not {type(model).__name__}{hint}")


def training_of(model: Any) -> dict[str, Any] | None:
    """Whether a model was trained or came from the cache, where `train_model` gave it."""
    return model.history.origin if isinstance(model, TrainedModel) else None


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and each of its modules back in its own mode at the end."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        if any(training for _, training in modes):
            try:
                model.eval()
            except NotImplementedError:  # a loaded torch.export program: its mode was fixed when it was exported
                modes = []
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def placed(module: torch.nn.Module, home: torch.device, place: torch.device) -> Iterator[None]:
    """The model on another device for a while."""
    if home == place:
        yield
        return
    module.to(place)
    try:
        yield
    finally:
        module.to(home)


def make_module(factory: Any) -> torch.nn.Module:
    """What the factory makes; a `TrainingError` where it is none, or makes no module."""
    import torch

    if isinstance(factory, torch.nn.Module):
        raise TrainingError(
            f"factory= is the class or a function that makes the model, not a made one: give {type(factory).__name__} "
            "or lambda: ..., so that its weights are drawn after seeding and no two models share them"
        )
    if not callable(factory):
        raise TrainingError(f"factory={factory!r} cannot be called; give the model's class or a function")
    model = factory()
    if not isinstance(model, torch.nn.Module):
        raise TrainingError(f"the factory made {type(model).__name__}, not a torch.nn.Module")
    return model
