"""The same input, the same output: what draws, counts or remembers in evaluation mode is found and named."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pytest_modelgate import EvidenceError, Outcome, Verdict
from pytest_modelgate.checks.wiring.repeating import check_deterministic


class Net(nn.Module):
    """Sound, with a formula behind it."""

    def __init__(self, formula: Any = None, **parts: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 16), parts.get("norm", nn.BatchNorm1d(16)), nn.ReLU())
        self.drop = parts.get("drop", nn.Dropout(0.2))
        self.rnn = nn.LSTM(16, 5, num_layers=2, dropout=0.3, batch_first=True)
        self.head = nn.Linear(5, 3)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.calls, self.hidden = 0, None
        self.generator = torch.Generator()
        self.formula = formula

    def forward(self, x: torch.Tensor) -> Any:
        out = self.rnn(self.drop(self.body(x))[:, None], self.hidden)[0]
        out = self.head(out[:, 0])
        return out if self.formula is None else self.formula(self, out)


class StuckDropout(nn.Dropout):
    def train(self, mode: bool = True) -> StuckDropout:
        return super().train(True)


class StuckNorm(nn.BatchNorm1d):
    def train(self, mode: bool = True) -> StuckNorm:
        return super().train(True)


class StuckRnn(Net):
    def train(self, mode: bool = True) -> StuckRnn:
        super().train(mode)
        self.rnn.training = True
        return self


class Switches(Net):
    def forward(self, x: torch.Tensor) -> Any:
        self.drop.train()
        return super().forward(x)


class Remembers(Net):
    def forward(self, x: torch.Tensor) -> Any:
        out, self.hidden = self.rnn(self.body(x)[:, None], self.hidden)
        return self.head(out[:, 0])


class Overwrites(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x.mul_(2))


def check(model: Any, rows: int = 6) -> Verdict:
    return check_deterministic(model, (torch.randn(rows, 4), torch.zeros(rows)))


def counted(net: Any, out: torch.Tensor) -> torch.Tensor:
    net.calls += 1
    return out * (1 + 0.01 * net.calls)


def moving(net: Any, out: torch.Tensor) -> torch.Tensor:
    net.mean.mul_(0.9).add_(out.mean(0), alpha=0.1)
    return out - net.mean


def only_seen(net: Any, out: torch.Tensor) -> torch.Tensor:
    net.seen += 1
    return out


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_sound_networks_do_not_alarm(rows: int) -> None:
    for seed in range(2):
        torch.manual_seed(seed)
        for model in (Net(), Net(lambda net, out: {"a": (out, out.argmax(1)), "b": [out[:, :0]]}), nn.Softmax(dim=1)):
            verdict = check(model, rows)
            assert (verdict.outcome, verdict.notes, verdict.estimate) == (Outcome.PASS, (), 0.0)
            assert verdict.support == rows


PLANTS = {
    "forward of Net|F.dropout(x)": lambda: Net(lambda net, out: F.dropout(out, 0.1)),
    "forward of Net|are drawn": lambda: Net(lambda net, out: out * (1 + 0.1 * random.random())),
    "drop (StuckDropout)|after eval()": lambda: Net(drop=StuckDropout(0.1)),
    "drop (Dropout)|train() is called in forward": Switches,
    "rnn (LSTM)|its dropout is on": StuckRnn,
    "forward of Net|from call to call is calls": lambda: Net(counted),
    "forward of Net|from call to call is mean": lambda: Net(moving),
    "forward of Net|generator of the model's own": lambda: Net(
        lambda net, out: out + torch.rand(3, generator=net.generator)
    ),
    "forward of Remembers, before it calls rnn|hidden": Remembers,
    "body.1.running_mean, body.1.running_var move|in training mode after eval(): body.1": lambda: Net(
        norm=StuckNorm(16)
    ),
    "in place (the input)|x = x +": Overwrites,
}


@pytest.mark.parametrize("plant", PLANTS)
def test_each_plant_is_found_with_its_place_and_cause(plant: str) -> None:
    where, cause = plant.split("|")
    for seed in range(2):
        torch.manual_seed(seed)
        for rows in (2, 20) if "move" in where else (1, 20):
            verdict = check(PLANTS[plant](), rows)
            assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)
            assert where in verdict.explanation
            assert cause in " ".join(verdict.notes)


def test_a_counter_is_no_failure() -> None:
    verdict = check(Net(only_seen))
    assert (verdict.outcome, verdict.notes) == (Outcome.PASS, ("counted in evaluation mode too: seen",))


def test_last_bits_are_no_failure() -> None:
    verdict = check(Net(lambda net, out: out * (1 + 1e-6 * random.random())))
    assert verdict.outcome is Outcome.PASS
    assert verdict.notes[0].startswith("not bit for bit")


def test_all_that_the_runs_changed_is_put_back() -> None:
    torch.manual_seed(0)
    for model in (Net(moving), Net(counted), Remembers(), Switches()):
        mean, state = model.mean.clone(), torch.get_rng_state()
        check_deterministic(model, (torch.ones(2, 4), torch.zeros(2)))
        assert torch.equal(model.mean, mean)
        assert torch.equal(torch.get_rng_state(), state)
        assert (model.calls, model.hidden, model.training, model.drop.training) == (0, None, True, True)


def test_what_cannot_be_judged() -> None:
    verdict = check(Net(lambda net, out: out / 0))
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    with pytest.raises(EvidenceError, match="is in training mode after eval"):
        check(Net(norm=StuckNorm(16)), 1)
