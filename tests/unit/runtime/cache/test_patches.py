"""What the user's code puts into installed modules counts, and what a training only fills does not."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

from pytest_modelgate.runtime.cache.patches import is_the_users
from pytest_modelgate.runtime.cache.values import Fingerprint, fingerprint


def make() -> nn.Module:
    return nn.Sequential(nn.TransformerEncoderLayer(4, 2), nn.Linear(4, 2))


def of(**named: Any) -> Fingerprint:
    found = fingerprint({"factory": make, **named})
    assert not found.reasons
    return found


class Doubling(TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


PATCHES: dict[str, tuple[Any, str, Any]] = {
    "an initialisation": (nn.init, "kaiming_uniform_", lambda tensor, **_: tensor),
    "another installed one": (nn.init, "kaiming_uniform_", nn.init.ones_),
    "a builtin by another": (torch, "relu", torch.tanh),
    "a function that modules call": (nn.functional, "linear", lambda *_: None),
    "the loss": (nn.functional, "cross_entropy", functools.partial(lambda *_: None)),
    "the order of batches": (torch, "randperm", lambda n, **_: torch.arange(n)),
    "a method": (nn.Module, "train", lambda self, mode=True: self),
    "a method of tensors": (torch.Tensor, "backward", lambda self: None),
    "an optimizer's step": (torch.optim.SGD, "step", lambda self: None),
    "a class": (nn, "LayerNorm", type("Mine", (nn.LayerNorm,), {})),
    "a property": (nn.Linear, "features", property(lambda self: 1)),
    "a function of numpy": (np.random, "permutation", lambda n: n),
    "a decorated function": (nn.init, "kaiming_uniform_", torch.no_grad()(lambda tensor, **_: tensor)),
    "a mock": (nn.init, "kaiming_uniform_", mock.Mock()),
}


@pytest.mark.parametrize("what", PATCHES)
def test_a_patch_of_what_the_code_reaches_only_through_installed_code(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of().digest
    with monkeypatch.context() as patch:
        patch.setattr(*PATCHES[what], raising=False)
        assert fingerprint({"factory": make}).digest != before
    assert of().digest == before


def removing(handle: Any) -> Iterator[None]:
    yield
    handle.remove()


def with_mode() -> Iterator[None]:
    with Doubling():
        yield


GLOBALLY: dict[str, Callable[[], Iterator[None]]] = {
    "a hook of all modules": lambda: removing(
        nn.modules.module.register_module_forward_hook(lambda module, args, out: out)
    ),
    "a hook of all optimizers": lambda: removing(register_optimizer_step_pre_hook(lambda *_: None)),
    "a mode": with_mode,
}


@pytest.mark.parametrize("what", GLOBALLY)
def test_what_holds_for_the_whole_process(what: str) -> None:
    before = of().digest
    for _ in GLOBALLY[what]():
        assert fingerprint({"factory": make}).digest != before
    assert of().digest == before


def test_modules_without_patches_hold_nothing_of_the_users() -> None:
    assert not any(map(is_the_users, vars(nn.functional).values()))
    assert is_the_users(make)


# What a training fills


class Flags(enum.IntFlag):
    ONE = 1
    TWO = 2


class Own(torch.optim.Optimizer):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": 0.1})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Nothing."""


@functools.lru_cache(maxsize=2)
def remembering(value: int) -> list[int]:
    return [value]


@functools.singledispatch
def kinds(value: Any) -> int:
    return 0


def lazily() -> Any:
    from wave import Wave_read  # a module that nothing else here imports

    return Wave_read


FILLED: dict[str, tuple[Any, Callable[[], Any]]] = {
    "combinations of flags": (Flags, lambda: Flags.ONE | Flags.TWO),
    "an optimizer of one's own": (Own, lambda: Own([nn.Parameter(torch.ones(1))])),
    "what lru_cache remembers": (remembering, lambda: [remembering(n) for n in range(4)]),
    "what singledispatch looked up": (kinds, lambda: kinds(1)),
    "an import in the function": (lazily, lazily),
}


@pytest.mark.parametrize("what", FILLED)
def test_a_training_that_only_fills_something_changes_nothing(what: str) -> None:
    value, fill = FILLED[what]
    before = of(value=value)
    fill()
    assert fingerprint({"factory": make, "value": value}, before.remembered).digest == before.digest


def test_results_remembered_before_the_training_count() -> None:
    remembering.cache_clear()
    before = of(value=remembering)
    remembering(7).append(8)
    assert of(value=remembering).digest != before.digest
    during = of(value=remembering)
    remembering(7).append(9)
    assert fingerprint({"factory": make, "value": remembering}, during.remembered).digest != during.digest


def test_a_dict_that_answers_attributes() -> None:
    class Config(dict[str, Any]):
        __getattr__ = dict.__getitem__

    one, other = (of(value=Config(rate=rate, deep=Config(a=1))) for rate in (0.1, 0.2))
    assert one.digest != other.digest


def test_other_code_in_a_function_of_torch_after_a_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function is the same object: only its code tells."""

    def ones_instead(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.fill_(1.0)

    before = of(value=1)
    monkeypatch.setattr(nn.init.zeros_, "__code__", ones_instead.__code__)
    assert of(value=1).digest != before.digest
    monkeypatch.undo()
    assert of(value=1).digest == before.digest
