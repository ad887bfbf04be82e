"""The one point where an observer sits in on `evaluate`, with the model, each batch and what the model gave for it.

Nobody does by default. The observer is one for the whole process; what is made inside `unobserved` it does not see.
"""

from __future__ import annotations

__tracebackhide__ = True

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.collecting import Collector
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.runtime.losses import Loss


class Pass(Protocol):
    """What an observer does in one pass of a model over data. None of it raises."""

    def before(self, inputs: Any) -> None:
        """Called with each batch's inputs, on the model's device, before the model gets them."""

    def after(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Called with what the model gave for them, once it is kept."""

    def finish(self, found: Evaluation, preds: Sequence[NDArray[Any]]) -> Any:
        """Called once, after the last batch, with the model's evidence and its decisions, part by part.

        What it gives is kept as `Call.twins`.
        """


class Observer(Protocol):
    """Who sits in on evaluations."""

    def begin(self, module: torch.nn.Module, *, collector: Collector, loss: Loss | None, place: torch.device) -> Pass:
        """Called before the first batch, in evaluation and inference mode, with the model on the device `place`.

        Args:
            module: the model.
            collector: an empty one for another model's outputs on the same samples; its `twin()` gives more.
            loss: the loss, on the device.
            place: where the pass runs.
        """


_observers: list[Observer] = []
_hidden: ContextVar[bool] = ContextVar("modelgate_unobserved", default=False)


def observing() -> Observer | None:
    """The observer that was installed last; None where there is none, or inside `unobserved`."""
    return _observers[-1] if _observers and not _hidden.get() else None


def install(observer: Observer) -> None:
    """Let `observer` sit in on every evaluation until `remove` is called with it."""
    _observers.append(observer)


def remove(observer: Observer) -> None:
    """Send `observer` away; whoever observed before observes again."""
    _observers.remove(observer)


@contextmanager
def unobserved() -> Iterator[None]:
    """Nobody sits in on what this thread evaluates inside, such as a training's own validation."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)
