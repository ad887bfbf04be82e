"""An evaluation leaves no trace: modes, gradients, random state, device."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import EvidenceError, evaluate
from pytest_modelgate.runtime.modules import placed

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 4


class Watcher(nn.Module):
    """Notes how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Sequential(nn.Linear(3, 4), nn.Dropout())
        self.body = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout())
        self.fail_at: int | None = None
        self.calls: list[dict[str, Any]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(
            {
                "training": [module.training for module in self.modules()],
                "grad": torch.is_grad_enabled(),
                "inference": torch.is_inference_mode_enabled(),
                "size": len(x),
            }
        )
        if len(self.calls) == self.fail_at:
            raise ZeroDivisionError("the model")
        torch.rand(3)
        random.random()
        np.random.rand()
        return self.body(self.frozen(x))


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def random_state() -> tuple[Any, ...]:
    return (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        np.random.get_state()[2],
        torch.get_rng_state().tolist(),
    )


@pytest.fixture
def model() -> Watcher:
    """In training mode, but for one part that its author froze."""
    made = Watcher()
    made.train()
    made.frozen.eval()
    return made


def test_the_model_runs_in_evaluation_mode_without_gradients(model: Watcher) -> None:
    evaluate(model, (X, Y), outputs="logits", batch_size=16)
    assert [call["size"] for call in model.calls] == [16, 16, 8]  # one pass, no more
    assert not any(any(call["training"]) for call in model.calls)
    assert not any(call["grad"] for call in model.calls)
    assert all(call["inference"] for call in model.calls)


def test_each_parts_mode_is_restored(model: Watcher) -> None:
    before = modes(model)
    assert True in before
    assert False in before
    evaluate(model, (X, Y), outputs="logits")
    assert modes(model) == before
    assert torch.is_grad_enabled()


def test_a_model_in_evaluation_mode_stays_so(model: Watcher) -> None:
    model.eval()
    evaluate(model, (X, Y), outputs="logits")
    assert not any(modes(model))


@pytest.mark.parametrize("fail_at", [1, 2])
def test_all_is_restored_where_the_model_raises(model: Watcher, fail_at: int) -> None:
    model.fail_at = fail_at
    before, state = modes(model), random_state()
    with pytest.raises(ZeroDivisionError, match="the model"):
        evaluate(model, (X, Y), outputs="logits", batch_size=16)
    assert modes(model) == before
    assert random_state() == state
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_all_is_restored_where_the_data_are_wrong(model: Watcher) -> None:
    before, state = modes(model), random_state()
    with pytest.raises(EvidenceError):
        evaluate(model, (X, Y + 9), outputs="logits")
    assert modes(model) == before
    assert random_state() == state


def test_the_random_state_is_restored(model: Watcher) -> None:
    state = random_state()
    evaluate(model, DataLoader(TensorDataset(X, Y), shuffle=True, batch_size=4), outputs="logits")
    assert random_state() == state


def test_weights_and_statistics_do_not_move(model: Watcher) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, (X, Y), loss=nn.CrossEntropyLoss())
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_training_can_go_on(model: Watcher) -> None:
    """Nothing of inference mode stays behind in the model or its data."""
    evaluate(model, (X, Y), loss=nn.CrossEntropyLoss())
    nn.CrossEntropyLoss()(model(X), Y).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_data_are_not_changed(model: Watcher) -> None:
    x, y = X.numpy().copy(), Y.numpy().copy()
    evaluate(model, (x, y), outputs="logits")
    assert np.array_equal(x, X.numpy())
    assert np.array_equal(y, Y.numpy())


@pytest.mark.parametrize("device", [None, "cpu", "auto", torch.device("cpu")])
def test_the_model_stays_on_its_device(model: Watcher, device: Any) -> None:
    evaluate(model, (X, Y), outputs="logits", device="cpu" if device == "auto" else device)
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


def test_a_model_without_parameters() -> None:
    assert evaluate(nn.Identity(), (torch.randn(9, 3), torch.arange(9) % 3), outputs="logits").n == 9


def test_a_module_shared_within_the_model() -> None:
    shared = nn.Dropout()
    model = nn.Sequential(nn.Linear(3, 4), shared, nn.Sequential(shared))
    shared.eval()
    model.training = True
    before = modes(model)
    evaluate(model, (X, Y), outputs="logits")
    assert modes(model) == before


class Moving(nn.Linear):
    """Remembers where it was sent."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.way: list[str] = []

    def to(self, place: torch.device) -> Moving:  # type: ignore[override]
        self.way.append(str(place))
        return self


def test_a_model_comes_back_from_another_device_whatever_happens_there() -> None:
    model, home, away = Moving(), torch.device("cpu"), torch.device("meta")
    with placed(model, home, away):
        assert model.way == ["meta"]
    assert model.way == ["meta", "cpu"]
    with pytest.raises(ValueError, match="there"), placed(model, home, away):
        raise ValueError("there")
    assert model.way == ["meta", "cpu"] * 2
    with placed(model, home, home):
        assert len(model.way) == 4
