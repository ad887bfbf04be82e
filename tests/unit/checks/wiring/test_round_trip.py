"""A checkpoint holds all of a model, or the check says what it misses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import EvidenceError, Outcome, TrainingError, Verdict
from pytest_modelgate.checks.wiring.round_trip import check_checkpoint_round_trip


class Net(nn.Module):
    """Sound: tied weights, BatchNorm, a mask that is cached in a plain attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm, self.drop = nn.Embedding(9, 8), nn.BatchNorm1d(8), nn.Dropout(0.2)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)
        self.head = nn.Linear(8, 9, bias=False)
        self.head.weight = self.embed.weight
        self.mask: torch.Tensor | None = None
        self.alias = self.norm.weight.data
        self.unused = torch.ones(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mask is None:
            self.mask = torch.triu(torch.full((5, 5), -torch.inf), 1)
        out = self.encoder(self.embed(x), self.mask)[:, -1]
        return self.head(self.drop(self.norm(out)) + self.alias)


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(9, 8), nn.LSTM(8, 8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        return self.rnn(self.embed(x))


class Constant(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("angles", torch.arange(1.0, 10.0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.angles


class Plain(Net):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.rand(9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.scale


class Listed(Net):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = {"last": [nn.Linear(9, 9)]}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks["last"][0](super().forward(x))


class Forgetful(Net):
    strict = True

    def state_dict(self, *args: Any, **options: Any) -> Any:
        state = super().state_dict(*args, **options)
        del state["norm.running_mean"]
        return state

    def load_state_dict(self, state: Any, strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(state, strict=self.strict)


class Halved(Net):
    def state_dict(self, *args: Any, **options: Any) -> Any:
        state = super().state_dict(*args, **options)
        return {name: one.half() if one.is_floating_point() else one for name, one in state.items()}


class Pickled(Net):
    def get_extra_state(self) -> Any:
        return object

    def set_extra_state(self, state: Any) -> None:
        """Nothing to do."""


class Setting(Net):
    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) / self.temperature


class AlwaysRandom(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + torch.rand(9)


def check(model: nn.Module, factory: Any = None, rows: int = 4) -> Verdict:
    return check_checkpoint_round_trip(model, (torch.randint(0, 9, (rows, 5)), torch.zeros(rows)), factory=factory)


@pytest.mark.parametrize("kind", [Net, Lstm, Constant, AlwaysRandom, Setting])
def test_sound_networks_do_not_alarm(kind: Any) -> None:
    for seed in range(2):
        torch.manual_seed(seed)
        model = kind()
        for factory in (None, kind):
            verdict = check(model, factory, rows=1 + seed)
            assert (verdict.outcome, verdict.estimate) == (Outcome.PASS, 0.0)
            named = kind is Constant and factory is None
            assert [note[:64] for note in verdict.notes] == [
                "not in the state dict, and the output depends on it: angles; giv"
            ] * named


def test_a_model_that_was_used_before() -> None:
    model = Net()
    model(torch.randint(0, 9, (4, 5)))
    assert model.mask is not None
    assert check(model).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("make", "factory", "said"),
    [
        (Plain, None, "what no state dict holds: scale"),
        (Plain, Plain, "not in the state dict, and another in the fresh model: scale"),
        (Listed, None, "what no state dict holds: blocks"),
        (Listed, Listed, "another in the fresh model: blocks"),
        (Forgetful, None, 'Missing key(s) in state_dict: "norm.running_mean"'),
        (Halved, None, "did not come back bit for bit: embed.weight"),
        (Pickled, None, "weights_only=True: "),
        (lambda: Setting(2.0), Setting, "another in the fresh model: temperature"),
        (Net, Lstm, "does not load into a fresh copy: "),
    ],
)
def test_each_plant_is_found_and_named(make: Any, factory: Any, said: str) -> None:
    for seed in range(2):
        torch.manual_seed(seed)
        verdict = check(make(), factory)
        assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)
        assert said in verdict.explanation
        assert verdict.notes[0]


def test_what_is_missing_and_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forgetful, "strict", False)
    verdict = check(Forgetful())
    assert verdict.outcome is Outcome.FAIL
    assert "1 tensor did not come back bit for bit: norm.running_mean" in verdict.explanation
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_factories_that_are_none() -> None:
    model = Net()
    with pytest.raises(EvidenceError, match="the model itself"):
        check(model, lambda: model)
    with pytest.raises(TrainingError, match="cannot be called"):
        check(model, 3)


def test_what_cannot_be_judged() -> None:
    model = Net()
    model.kept = model.head.weight * 2  # with a graph: deepcopy refuses it
    verdict = check(model)
    assert (verdict.outcome, "give factory=" in verdict.explanation) == (Outcome.UNDEFINED, True)
    broken = Net()
    broken.norm.weight.data.fill_(torch.nan)
    assert check(broken).outcome is Outcome.UNDEFINED


def test_the_model_is_left_as_it_was() -> None:
    model = Plain()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    scale, kept, state = model.scale, model.scale.clone(), torch.get_rng_state()
    check(model, rows=1)
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert model.scale is scale
    assert torch.equal(scale, kept)
    assert (model.mask, model.training) == (None, True)
    torch.set_rng_state(state)
