"""A module stored and loaded is the same module; where it would not be, there is a reason that names the part."""

from __future__ import annotations

import collections
import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.utils.prune
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytest_modelgate.runtime.cache.models import NotStorable, checked_bytes, from_bytes, to_bytes
from pytest_modelgate.runtime.cache.sameness import difference

CPU = torch.device("cpu")


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Embedding(5, 3)
        self.decode = nn.Linear(3, 5, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 1


class Rich(nn.Module):
    """Attributes of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)
        self.count = 0
        self.total = 0.0
        self.nothing = float("nan")
        self.seen: list[Any] = []
        self.by_name = {"a": [1], "b": torch.zeros(2)}
        self.names = {"a"}
        self.queue = collections.deque([1], maxlen=3)
        self.defaults = collections.defaultdict(list)
        self.array = np.arange(3.0)
        self.dice = random.Random(0)
        self.generator = torch.Generator().manual_seed(1)
        self.plain = torch.zeros(3)
        self.slotted = Slotted()
        self.activation = functools.partial(nn.functional.leaky_relu, negative_slope=0.1)
        scale = [1.0]
        self.scaled = lambda x: x * scale[0]
        self.method = self.layer.forward
        self.scale = scale
        self.register_buffer("running", torch.zeros(2), persistent=False)
        self.register_forward_hook(lambda module, inputs, outputs: None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layer(x))


def local() -> nn.Module:
    class Local(nn.Linear):
        sizes = (2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 2

    return Local(2, 2)


def channels_last() -> nn.Module:
    return nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


STORED: dict[str, Callable[[], nn.Module]] = {
    "a layer": lambda: nn.Linear(3, 2),
    "no parameters": nn.ReLU,
    "nothing": nn.Sequential,
    "buffers": lambda: nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2)),
    "recurrent": lambda: nn.LSTM(3, 2, num_layers=2, bidirectional=True),
    "attention": lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
    "tied weights": Tied,
    "many attributes": Rich,
    "a class of the factory": local,
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2)),
    "pruned": lambda: nn.utils.prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5),
    "bfloat16": lambda: nn.Linear(2, 2).bfloat16(),
    "channels last": channels_last,
    "a scalar and an empty parameter": lambda: nn.ParameterDict(
        {"scalar": nn.Parameter(torch.tensor(1.0)), "empty": nn.Parameter(torch.zeros(0, 3))}
    ),
    "shared halves": lambda: nn.ParameterList(torch.arange(6.0).split(3)),
    "weights that are transposed": lambda: nn.ParameterList([torch.arange(6.0).reshape(2, 3).T]),
}


def trained(factory: Callable[[], nn.Module], change: Callable[[Any], Any] = lambda module: None) -> nn.Module:
    torch.manual_seed(0)
    module = factory()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, dtype=parameter.dtype))
    change(module)
    return module.eval()


def store(module: nn.Module, factory: Callable[[], nn.Module]) -> nn.Module:
    return checked_bytes(module, factory, seed=0, device=CPU)[1]


@pytest.mark.parametrize("kind", STORED)
def test_what_is_stored_comes_back(kind: str) -> None:
    module = trained(STORED[kind])
    state = torch.get_rng_state()
    content, restored = checked_bytes(module, STORED[kind], seed=0, device=CPU)
    assert restored is not module
    mine, its = module.state_dict(), restored.state_dict()
    assert list(mine) == list(its)
    assert all(torch.equal(mine[name], its[name]) for name in mine)
    assert not any(part.training for part in restored.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert difference(from_bytes(content, STORED[kind], seed=0, device=CPU), restored) is None


def test_the_same_outputs() -> None:
    module = trained(STORED["attention"])
    x = torch.randn(4, 3, 8)
    with torch.no_grad():
        assert torch.equal(module(x), store(module, STORED["attention"])(x))


def test_tied_weights_stay_tied() -> None:
    restored = store(trained(Tied), Tied)
    assert isinstance(restored, Tied)
    assert restored.decode.weight is restored.encode.weight


def test_gradients_are_no_part_of_a_model() -> None:
    module = trained(lambda: nn.Linear(2, 1))
    module(torch.ones(1, 2)).sum().backward()
    assert all(parameter.grad is None for parameter in store(module, lambda: nn.Linear(2, 1)).parameters())


def replace(name: str, value: Any) -> Callable[[Any], None]:
    return lambda module: setattr(module, name, value)


CHANGED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a number": (replace("count", 1), "Rich.count"),
    "True for 1": (replace("count", False), "Rich.count"),
    "minus nought": (replace("total", -0.0), "Rich.total"),
    "a list": (lambda m: m.seen.append(1), "Rich.seen"),
    "a list in a dict": (lambda m: m.by_name["a"].append(1), "['a']"),
    "a tensor in a dict": (lambda m: m.by_name["b"].add_(1), "['b']"),
    "a new key": (lambda m: m.by_name.update(c=1), "Rich.by_name"),
    "a set": (lambda m: m.names.add("b"), "Rich.names"),
    "a deque": (lambda m: m.queue.append(2), "Rich.queue"),
    "a defaultdict": (lambda m: m.defaults["x"].append(2), "Rich.defaults"),
    "an array": (lambda m: m.array.__setitem__(0, 5), "Rich.array"),
    "a random generator": (lambda m: m.dice.random(), "Rich.dice"),
    "a torch generator": (lambda m: torch.rand(1, generator=m.generator), "Rich.generator"),
    "a tensor": (lambda m: m.plain.add_(1), "Rich.plain"),
    "a bit of a tensor": (lambda m: m.plain.neg_(), "Rich.plain"),
    "a slot": (lambda m: setattr(m.slotted, "value", 2), "Rich.slotted"),
    "a buffer that is not kept": (lambda m: m.running.add_(1), "Rich.running"),
    "a new attribute": (replace("extra", 1), "Rich.extra"),
    "a removed attribute": (lambda m: delattr(m, "count"), "Rich.count"),
    "a lost tie": (lambda m: setattr(m, "scale", [1.0]), "Rich.scale"),
    "a closure": (lambda m: m.scale.__setitem__(0, 2.0), "Rich.scale"),
    "a function": (replace("scaled", lambda x: x), "Rich.scaled"),
    "a partial": (replace("activation", functools.partial(nn.functional.leaky_relu)), "Rich.activation"),
    "a method": (lambda m: setattr(m, "method", m.norm.forward), "Rich.method"),
    "frozen weights": (lambda m: m.layer.requires_grad_(False), "requires_grad"),
    "a forward hook": (lambda m: m.layer.register_forward_pre_hook(lambda *_: None), "_forward_pre_hooks"),
    "a hook on a weight": (lambda m: m.layer.weight.register_hook(lambda grad: grad), "hooks"),
    "an attribute of a weight": (lambda m: setattr(m.layer.weight, "note", 1), "layer.weight"),
    "another dtype": (lambda m: m.double(), "dtype"),
    "another memory layout": (
        lambda m: setattr(m.layer, "weight", nn.Parameter(m.layer.weight.detach().T.contiguous().T)),
        "memory layout",
    ),
    "a new layer": (lambda m: m.add_module("more", nn.Linear(1, 1)), "more"),
    "a new layer without weights": (lambda m: m.add_module("more", nn.ReLU()), "Rich._modules"),
    "another layer of the same size": (lambda m: setattr(m, "norm", nn.BatchNorm1d(2, eps=1.0)), "Rich.norm.eps"),
    "another kind of layer": (lambda m: setattr(m, "norm", nn.SyncBatchNorm(2)), "SyncBatchNorm"),
    "its own forward": (replace("forward", lambda x: x), "Rich.forward"),
    "another class": (replace("__class__", type("Changed", (Rich,), {})), "Changed"),
    "what cannot be compared": (replace("count", iter([1]).__next__), "Rich.count"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_what_a_state_dict_does_not_hold_is_seen(what: str) -> None:
    change, named = CHANGED[what]
    with pytest.raises(NotStorable) as reason:
        store(trained(Rich, change), Rich)
    assert named in str(reason.value)


class ExtraState(nn.Linear):
    def get_extra_state(self) -> Any:
        return {"epochs": 3}

    def set_extra_state(self, state: Any) -> None:
        raise AssertionError("what is no tensor is never stored")


NOT_STORED: dict[str, tuple[Callable[[], nn.Module], Callable[[Any], Any], str]] = {
    "extra state": (lambda: ExtraState(1, 1), lambda m: None, "_extra_state"),
    "a lazy module": (lambda: nn.LazyLinear(2), lambda m: m(torch.ones(1, 3)), "LazyLinear"),
    "a lazy module that saw no data": (lambda: nn.LazyLinear(2), lambda m: None, "no values"),
    "a dtype that safetensors lacks": (lambda: nn.Linear(2, 2, dtype=torch.complex128), lambda m: None, "complex128"),
    "a sparse tensor": (
        nn.Module,
        lambda m: m.register_buffer("table", torch.eye(2).to_sparse()),
        "table",
    ),
    "an untied weight": (Tied, lambda m: setattr(m.decode, "weight", nn.Parameter(m.encode.weight + 0)), "decode"),
}


@pytest.mark.parametrize("what", NOT_STORED)
def test_what_is_not_stored(what: str) -> None:
    factory, change, named = NOT_STORED[what]
    torch.manual_seed(0)
    module = factory()
    change(module)
    with pytest.raises(NotStorable) as reason:
        store(module.eval(), factory)
    assert named in str(reason.value)


def test_a_tie_made_in_training_is_seen() -> None:
    def untied() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))

    def tie(module: Any) -> None:
        module[1].weight = module[0].weight

    with pytest.raises(NotStorable, match="shares its memory"):
        store(trained(untied, tie), untied)


def test_a_factory_with_one_module_for_all() -> None:
    module = nn.Linear(1, 1)
    with pytest.raises(NotStorable, match="the same module each time"):
        store(module.eval(), lambda: module)


def test_a_factory_that_differs_each_time() -> None:
    sizes = iter([2, 3])
    module = trained(factory := lambda: nn.Linear(next(sizes), 1))
    with pytest.raises(NotStorable, match="do not fit"):
        store(module, factory)
    shifts = iter([2, 3])
    module = trained(leaky := lambda: nn.LeakyReLU(next(shifts)))
    with pytest.raises(NotStorable, match="negative_slope"):
        store(module, leaky)


def test_the_factory_runs_under_the_seed_of_the_training() -> None:
    class Permuted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.order = torch.randperm(20)
            self.shift = random.random()

    def make() -> nn.Module:
        random.seed(0) if torch.initial_seed() == 0 else random.seed(1)
        return Permuted()

    torch.manual_seed(0)
    module = make().eval()
    torch.manual_seed(77)
    assert store(module, make) is not module
    with pytest.raises(NotStorable, match="order"):
        checked_bytes(module, make, seed=1, device=CPU)


@pytest.mark.parametrize("content", [b"", b"12345678", b"\xff" * 100])
def test_bytes_that_are_no_weights(content: bytes) -> None:
    with pytest.raises(NotStorable, match="cannot be read"):
        from_bytes(content, lambda: nn.Linear(1, 1), seed=0, device=CPU)


def test_weights_of_another_model() -> None:
    with pytest.raises(NotStorable, match="do not fit"):
        from_bytes(to_bytes(nn.Linear(2, 2)), lambda: nn.Linear(3, 3), seed=0, device=CPU)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(width=32), min_size=1, max_size=8),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.bool]),
)
def test_every_bit_comes_back(values: list[float], dtype: torch.dtype) -> None:
    """NaN payloads, infinities, subnormal numbers and minus nought included."""

    def make() -> nn.Module:
        module = nn.Module()
        module.register_buffer("values", torch.zeros(len(values), dtype=dtype))
        return module

    module = make().eval()
    finite = [0.0 if value != value or abs(value) > 2**62 else value for value in values]
    numbers = torch.tensor(values if dtype.is_floating_point else finite, dtype=torch.float64).to(dtype)
    module.values.copy_(numbers)  # type: ignore[union-attr,operator]
    restored: Any = store(module, make)
    assert torch.equal(restored.values.view(torch.uint8), numbers.view(torch.uint8))
