"""Whatever happens to a model inside, it is as before afterwards, to the last bit."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_modelgate import EvidenceError
from pytest_modelgate.checks.wiring.beginning import check_initial_loss_sane
from pytest_modelgate.checks.wiring.fitting import check_fits_one_batch, check_learns_from_input
from pytest_modelgate.checks.wiring.gradients import check_all_parameters_train, check_finite_gradients
from pytest_modelgate.checks.wiring.keeping import untouched
from pytest_modelgate.checks.wiring.table import check_model


class Net(nn.Module):
    """With all that a module may hold: buffers of every kind, its own generators, tensors, lists and counters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.head = nn.Linear(4, 2)
        self.register_buffer("hidden", torch.tensor([float("nan"), -0.0]), persistent=False)
        self.register_buffer("wide", torch.ones(1).expand(3))
        self.memory = torch.zeros(2)
        self.calls: list[int] = []
        self.count = 0
        self.generator = torch.Generator().manual_seed(3)
        self.numpy_generator = np.random.default_rng(4)
        self.python_generator = random.Random(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(x))
        self.count += 1
        self.memory += 1
        self.hidden = self.hidden + 1  # another tensor takes its place
        torch.rand(1, generator=self.generator)
        self.numpy_generator.random()
        self.python_generator.random()
        random.random()
        np.random.rand()
        return self.head(self.body(x))


def state(model: nn.Module) -> dict[str, Any]:
    """All of it, the objects by their identity and the tensors by their bits."""
    found: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": str(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "enabled": torch.is_grad_enabled(),
    }
    for name, module in model.named_modules():
        found[f"{name} mode"] = module.training
        for key, value in vars(module).items():
            found[f"{name}.{key}"] = id(value)
            if isinstance(value, torch.Generator):
                found[f"{name}.{key} state"] = value.get_state().tolist()
            elif isinstance(value, np.random.Generator):
                found[f"{name}.{key} state"] = str(value.bit_generator.state)
            elif isinstance(value, random.Random):
                found[f"{name}.{key} state"] = value.getstate()
            elif isinstance(value, (list, int)):
                found[f"{name}.{key} value"] = str(value)
            elif isinstance(value, torch.Tensor):
                found[f"{name}.{key} bits"] = bits(value)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        gradient = tensor.grad
        found[name] = (id(tensor), tensor.data_ptr(), bits(tensor), tensor.dtype, tensor.requires_grad, id(gradient))
        found[f"{name} gradient"] = None if gradient is None else bits(gradient)
    return found


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().numpy().tobytes()


def net() -> Net:
    torch.manual_seed(0)
    model = Net()
    model.head.bias.requires_grad_(False)
    model.body[1].eval()
    model.head.weight.grad = torch.full((2, 4), float("nan"))
    model.body[0].weight.grad = torch.ones(4, 3)
    return model


X = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([0, 1, 0, 1, 1, 0])


def train(model: Net) -> None:
    model.train()
    nn.functional.cross_entropy(model(X), Y).backward()
    torch.optim.Adam(model.parameters(), lr=0.1).step()


def replace(model: Net) -> None:
    model.head.weight = nn.Parameter(torch.zeros(2, 4))
    model.body[1].running_mean = None
    model.body = nn.Sequential(nn.Identity())
    model.extra = nn.Linear(1, 1)
    del model.memory


def convert(model: Net) -> None:
    model.double().requires_grad_(True)
    model.head.weight.data = torch.zeros(5, 5).double()


def clear(model: Net) -> None:
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.zero_()


def disable(_: Net) -> None:
    torch.set_grad_enabled(False)
    torch.manual_seed(99)


ACTS = [train, replace, convert, clear, disable]


def _act_and_raise(act: Callable[[Net], None], model: Net, error: type[BaseException]) -> None:
    act(model)
    raise error


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("error", [None, ZeroDivisionError, KeyboardInterrupt])
def test_all_is_as_before(act: Callable[[Net], None], error: type[BaseException] | None) -> None:
    model = net()
    before = state(model)
    if error is None:
        with untouched(model):
            act(model)
            assert state(model) != before
    else:
        with pytest.raises(error), untouched(model):
            _act_and_raise(act, model, error)
    assert state(model) == before


def test_an_optimizer_of_the_users_goes_on() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with untouched(model):
        train(model)
    model.head.weight.grad = torch.ones(2, 4)
    expected = model.head.weight.detach() - 0.1
    optimizer.step()
    assert torch.equal(model.head.weight, expected)


def test_a_graph_of_the_users_stays_valid() -> None:
    model = net()
    cost = model(X).sum()
    with untouched(model):
        model(X)
    cost.backward()  # to put the same bits back does not count as a change


def test_an_interrupt_while_restoring(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_modelgate.checks.wiring import keeping

    model, calls = net(), []
    before = state(model)
    restore = keeping._Kept.restore

    def interrupted(self: Any) -> None:
        calls.append(self)
        if len(calls) == 3:
            raise KeyboardInterrupt
        restore(self)

    def spoil() -> None:
        train(model)
        monkeypatch.setattr(keeping._Kept, "restore", interrupted)

    with pytest.raises(KeyboardInterrupt), untouched(model):
        spoil()
    assert state(model) == before


def test_gradients_are_recorded_inside_whatever_the_callers_mode() -> None:
    model = net()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            with untouched(model):
                assert model(X).requires_grad
            assert not torch.is_grad_enabled()


def test_other_tensors_and_the_seed() -> None:
    model, other = net(), torch.zeros(2)
    drawn = []
    for _ in range(2):
        with untouched(model, other):
            drawn.append(torch.rand(1).item())
            other += 1
    assert drawn[0] == drawn[1]
    assert other.tolist() == [0, 0]
    torch.manual_seed(8)
    with untouched(model, seed=None):
        inside = torch.rand(1).item()
    assert inside == torch.rand(1).item()


def test_tied_and_sparse() -> None:
    model = nn.ModuleDict({"a": nn.Embedding(4, 2, sparse=True), "b": nn.Linear(2, 4, bias=False)})
    model["b"].weight = model["a"].weight
    model["a"](torch.tensor([1, 1])).sum().backward()
    gradient = model["a"].weight.grad
    assert gradient is not None
    before = gradient.to_dense().clone()
    weight = model["a"].weight.detach().clone()
    with untouched(model):
        model["a"](torch.tensor([2])).sum().backward()
        model["a"].weight.data.fill_(9)
    assert model["a"].weight.grad is gradient
    assert torch.equal(gradient.to_dense(), before)
    assert torch.equal(model["b"].weight, weight)
    assert model["b"].weight is model["a"].weight


def test_a_lazy_model_cannot_be_kept() -> None:
    with pytest.raises(EvidenceError, match="call it once on a batch"), untouched(nn.LazyLinear(3)):
        pass


CHECKS = [
    check_all_parameters_train,
    check_finite_gradients,
    check_initial_loss_sane,
    check_fits_one_batch,
    check_learns_from_input,
]


@pytest.mark.parametrize("check", CHECKS)
def test_no_check_changes_anything(check: Callable[..., Any]) -> None:
    model = net()
    inputs, targets = X.clone(), Y.clone()
    before = state(model)
    with torch.inference_mode():
        check(model, (inputs, targets), loss=nn.CrossEntropyLoss())
    assert state(model) == before
    assert torch.equal(inputs, X)
    assert torch.equal(targets, Y)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("at", [1, 2])
def test_nothing_is_restored_halfway(check: Callable[..., Any], at: int) -> None:
    class Stop(BaseException):
        pass

    model, passes = net(), []
    before = state(model)

    def stop(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        passes.append(1)
        if len(passes) >= at or check in (check_finite_gradients, check_initial_loss_sane):
            raise Stop
        return nn.functional.cross_entropy(outputs, targets)

    with pytest.raises(Stop):
        check(model, (X, Y), loss=stop)
    assert state(model) == before


def test_inside_autocast() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2)), torch.randn(16, 4)
    with torch.autocast("cpu", torch.bfloat16):
        before = model(x)
        verdict = check_model(model, (x, torch.arange(16) % 2), nn.CrossEntropyLoss(), export=False)
        assert torch.equal(model(x), before)
    assert verdict.passed, verdict


def test_what_stands_in_containers_of_containers_is_put_back() -> None:
    class Caching(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.cache: Any = {"k": torch.zeros(2), "more": [{"seen": 0}], "last": deque([1], maxlen=2)}
            self.pair = (torch.zeros(2), np.zeros(2))
            self.fixed = np.zeros(2)
            self.fixed.flags.writeable = False

    model = Caching()
    cache, k, pair = model.cache, model.cache["k"], model.pair
    with untouched(model):
        model.cache["k"] += 1
        model.cache["more"][0]["seen"] += 1
        model.cache["more"].append("new")
        model.cache["last"].append(7)
        model.pair[0].add_(1)
        model.pair[1][:] = 1
        model.cache = {}
    assert model.cache is cache
    assert cache["k"] is k
    assert k.tolist() == pair[0].tolist() == pair[1].tolist() == [0, 0]
    assert (cache["more"], cache["last"]) == ([{"seen": 0}], deque([1], maxlen=2))
    assert model.pair is pair
