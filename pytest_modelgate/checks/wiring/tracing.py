"""Where in a model two runs part: the first module whose output differs although its input does not."""

from __future__ import annotations

__tracebackhide__ = True

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_modelgate.checks.wiring.answers import leaves
from pytest_modelgate.checks.wiring.setting import copies
from pytest_modelgate.runtime.data import call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch


class Place(NamedTuple):
    """A module by its qualified name, "" for the model itself; `before`: the child it had not called yet."""

    name: str
    module: torch.nn.Module
    before: str | None = None

    def __str__(self) -> str:
        text = named(self.name, self.module)
        if any(self.module.children()) and not type(self.module).__module__.startswith("torch.nn"):
            return f"the forward of {text}" + (f", before it calls {self.before}" if self.before else "")
        return text


class Event(NamedTuple):
    """What went into a module or came out of it; `caller` is the module in whose forward that happened."""

    name: str
    enters: bool
    caller: str
    tensors: dict[str, torch.Tensor]


def named(name: str, module: torch.nn.Module) -> str:
    """A module's qualified name and class."""
    return f"{name} ({type(module).__name__})" if name else type(module).__name__


@contextmanager
def watched(model: torch.nn.Module, see: Callable[[str, bool, str, Any], None] | None = None) -> Iterator[list[str]]:
    """The names of the modules whose forward is under way, the innermost last; "" is the model itself.

    Args:
        model: any.
        see: told of each entry and exit: the module's name, whether it is entered, its caller's name, the tensors.
    """
    names = {module: name for name, module in model.named_modules()}
    under_way: list[str] = []

    def enter(module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        if see is not None:
            see(names[module], True, under_way[-1] if under_way else "", (args, kwargs))
        under_way.append(names[module])

    def leave(module: torch.nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        under_way.pop()
        if see is not None:
            see(names[module], False, names[module], output)

    hooks = []
    try:
        for module in names:
            hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            hooks.append(module.register_forward_hook(leave, with_kwargs=True))
        yield under_way
    finally:
        for hook in hooks:
            hook.remove()


def trace(model: torch.nn.Module, inputs: Any) -> list[Event]:
    """All that went into the modules and came out of them in one run, in order, copied."""
    import torch

    events: list[Event] = []

    def see(name: str, enters: bool, caller: str, value: Any) -> None:
        events.append(Event(name, enters, caller, {path: tensor.clone() for path, tensor in leaves(value)}))

    with torch.no_grad(), watched(model, see):
        call(model, copies(inputs))
    return events


def first_difference(
    model: torch.nn.Module,
    one: list[Event],
    other: list[Event],
    same: Callable[[torch.Tensor, torch.Tensor], bool],
) -> Place | None:
    """The module in which two runs part; None where they do not, or part in what a module does not show."""
    modules = dict(model.named_modules())
    for mine, theirs in zip(one, other, strict=False):
        if (mine.name, mine.enters) != (theirs.name, theirs.enters):
            return Place(mine.caller, modules[mine.caller])
        if mine.tensors.keys() != theirs.tensors.keys() or not all(
            same(tensor, theirs.tensors[path]) for path, tensor in mine.tensors.items()
        ):
            if mine.enters and mine.name:
                return Place(mine.caller, modules[mine.caller], mine.name)
            return Place(mine.name, modules[mine.name])
    return None
