"""Rows that leak into each other: each plant is found and named, and no clean twin alarms."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pytest_modelgate import EvidenceError, Outcome, Verdict
from pytest_modelgate.checks.wiring.mixing import check_no_batch_mixing


class Dense(nn.Module):
    def __init__(self, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(6, 16), norm or nn.BatchNorm1d(16)
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.norm(self.first(x)).relu()))


class Images(nn.Module):
    def __init__(self, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), norm or nn.BatchNorm2d(4), nn.Dropout(0.2))
        self.head = nn.Linear(4 * 36, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).flatten(1))


class Tokens(nn.Module):
    """With whole numbers as inputs."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embed(x)).mean(1))


class Series(nn.Module):
    """With a dict of outputs, one of which counts rows in its second dimension."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 7, num_layers=2, batch_first=batch_first, dropout=0.3)
        self.head = nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        out, (hidden, _) = self.rnn(x)
        return {"logits": self.head(out[:, -1]), "hidden": hidden}


class Changed(Dense):
    """The dense network with another formula around it."""

    def __init__(self, formula: Any, norm: nn.Module | None = None) -> None:
        super().__init__(norm)
        self.formula = formula

    def forward(self, x: torch.Tensor) -> Any:
        return self.formula(super().forward, x)


class AlwaysTraining(Dense):
    def train(self, mode: bool = True) -> AlwaysTraining:
        return super().train(True)


class Rolled(Series):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return super().forward(torch.cat([x[:, :1].roll(1, 0), x[:, 1:]], 1))


SHAPES: dict[type[nn.Module], Any] = {
    Dense: lambda n: torch.randn(n, 6),
    Images: lambda n: torch.randn(n, 1, 8, 8),
    Tokens: lambda n: torch.randint(0, 11, (n, 5)),
    Series: lambda n: torch.randn(n, 5, 4),
}


def check(make: Any, rows: int, seed: int = 0) -> Verdict:
    torch.manual_seed(seed)
    model = make()
    inputs = next(draw for kind, draw in SHAPES.items() if isinstance(model, kind))(rows)
    return check_no_batch_mixing(model, (inputs, torch.zeros(rows)))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("rows", [2, 5, 8, 17])
def test_no_sound_network_alarms(kind: Any, rows: int) -> None:
    for seed in range(2):
        verdict = check(kind, rows, seed)
        assert (verdict.outcome, verdict.notes) == (Outcome.PASS, ())
        assert verdict.estimate is not None
        assert verdict.bar is not None
        assert verdict.estimate < verdict.bar / 100  # far from an alarm, and not by luck
        assert verdict.support == rows


@pytest.mark.parametrize(
    "formula",
    [
        lambda f, x: f(x) * torch.tensor([1e6, 1.0, 1e-6]),
        lambda f, x: f(x).masked_fill(x[:, :3] > 0, -1e9),
        lambda f, x: f(x).masked_fill(x[:, :3] > 0, -float("inf")).index_fill(1, torch.tensor(0), 1.0),
        lambda f, x: (f(x), f(x).argmax(1), torch.ones(8), x.mean()),  # the last two have no rows
        lambda f, x: f(x)[:, None].expand(-1, 4, -1).flatten(0, 1),  # four entries a row
        lambda f, x: f(x)[:, 0].squeeze(),
    ],
)
def test_outputs_of_many_kinds(formula: Any) -> None:
    assert check(lambda: Changed(formula), 8).outcome is Outcome.PASS


MIXED = [
    ("forward of Changed", lambda: Changed(lambda f, x: F.softmax(f(x), 0))),
    ("forward of Changed", lambda: Changed(lambda f, x: f(x) - f(x).mean(0))),
    ("forward of Changed, before it calls first", lambda: Changed(lambda f, x: f(x / x.abs().amax(0)))),
    ("forward of Changed", lambda: Changed(lambda f, x: f(x) / len(x))),
    ("forward of Changed", lambda: Changed(lambda f, x: f(x) + 0.3 * torch.arange(len(x))[:, None])),
    ("forward of Changed", lambda: Changed(lambda f, x: f(x).view(3, -1).cumsum(1).view(-1, 3))),
    ("forward of Changed", lambda: Changed(lambda f, x: {"a": f(x), "b": f(x) @ f(x).T @ f(x)})),
    ("forward of Changed", lambda: Changed(lambda f, x: F.softmax(f(x), 0).masked_fill(x[:, :3] > 0.5, -1e9))),
    ("norm (Softmax)", lambda: Dense(nn.Softmax(dim=0))),
    ("norm (BatchNorm1d)", lambda: Dense(nn.BatchNorm1d(16, track_running_stats=False))),
    ("norm (BatchNorm1d)", AlwaysTraining),
    ("body.2 (BatchNorm2d)", lambda: Images(nn.BatchNorm2d(4, track_running_stats=False))),
    ("encoder.layers.0.self_attn (MultiheadAttention)", lambda: Tokens(batch_first=False)),
    ("rnn (LSTM)", lambda: Series(batch_first=False)),
    ("forward of Rolled, before it calls rnn", Rolled),
]


@pytest.mark.parametrize(("where", "make"), MIXED, ids=[f"{i}-{where}" for i, (where, _) in enumerate(MIXED)])
def test_each_plant_is_found_and_named(where: str, make: Any) -> None:
    for rows in (2, 9):
        verdict = check(make, rows)
        assert verdict.outcome is Outcome.FAIL
        assert verdict.estimate is None or verdict.estimate > verdict.bar
    assert verdict.explanation.endswith(where)
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_the_cause_is_that_of_the_module() -> None:
    said = {where: check(make, 8).notes[0] for where, make in MIXED}
    assert "dim=0" in said["norm (Softmax)"]
    assert "after eval()" in said["norm (BatchNorm1d)"]
    assert "track_running_stats" in said["body.2 (BatchNorm2d)"]
    assert "batch_first=True" in said["rnn (LSTM)"]
    assert "batch_first=True" in said["encoder.layers.0.self_attn (MultiheadAttention)"]


def test_any_two_rows_are_told_apart() -> None:
    """One row leaks a little into one other, for each pair."""
    for source, sink in itertools.product(range(5), range(5)):
        weights = torch.eye(5)
        weights[sink, source] += 0.01 * (source != sink)
        verdict = check(lambda weights=weights: Changed(lambda f, x: weights[: len(x), : len(x)] @ f(x)), 5)
        assert verdict.passed == (source == sink)


def test_random_outputs_are_not_taken_for_mixing() -> None:
    verdict = check(lambda: Changed(lambda f, x: F.dropout(f(x))), 8)
    assert verdict.outcome is Outcome.PASS
    assert "random in evaluation mode" in verdict.notes[0]


@pytest.mark.parametrize(
    ("why", "rows", "formula"),
    [
        ("batch of one", 1, lambda f, x: f(x)),
        ("no output has a row", 4, lambda f, x: f(x).mean()),
        ("not finite", 4, lambda f, x: f(x) * torch.nan),
        ("same output", 4, lambda f, x: f(torch.zeros_like(x))),
    ],
)
def test_what_cannot_be_judged_is_red(why: str, rows: int, formula: Any) -> None:
    verdict = check(lambda: Changed(formula), rows)
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert why in verdict.explanation


def test_rows_that_are_alike() -> None:
    verdict = check_no_batch_mixing(Dense(), (torch.ones(4, 6), torch.zeros(4)))
    assert (verdict.outcome, "are alike" in verdict.explanation) == (Outcome.UNDEFINED, True)


def test_a_batch_size_that_is_written_into_the_model() -> None:
    verdict = check(lambda: Changed(lambda f, x: f(x.view(12, 6))), 12)
    assert verdict.outcome is Outcome.PASS
    assert verdict.notes[0].startswith("not run: when the batch is cut to 8 rows (RuntimeError: shape '[12, 6]'")
    for formula in (
        lambda f, x: F.softmax(f(x.view(12, 6)), 0),
        lambda f, x: f(x.view(12, 6)) + torch.arange(12.0)[:, None],
    ):
        assert check(lambda formula=formula: Changed(formula), 12).outcome is Outcome.FAIL


def test_a_small_leak_that_grows_is_named_where_it_begins() -> None:
    class Leak(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1e-4 * x.mean(0)

    class Grow(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (100 * x).sin()

    verdict = check_no_batch_mixing(nn.Sequential(Leak(), Grow()), (torch.randn(8, 6), torch.zeros(8)))
    assert verdict.explanation.endswith("; the rows first mix in 0 (Leak)")


def test_inputs_in_a_dict_with_a_part_that_has_no_rows() -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor]:
            x += 1  # the model gets copies
            return (x * scale,)

    inputs = {"x": torch.randn(6, 3), "scale": torch.ones(3)}
    kept = inputs["x"].clone()
    verdict = check_no_batch_mixing(Two(), (inputs, torch.zeros(6)))
    assert verdict.outcome is Outcome.PASS
    assert "in place" in verdict.notes[0]
    assert torch.equal(inputs["x"], kept)


def test_the_model_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    model = AlwaysTraining()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state, hooks = torch.get_rng_state(), len(model.first._forward_hooks)
    check_no_batch_mixing(model, (torch.randn(4, 6, generator=torch.Generator()), torch.zeros(4)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert (len(model.first._forward_hooks), model.training) == (hooks, True)


def test_no_tensor_in_the_output() -> None:
    with pytest.raises(EvidenceError, match="without a tensor"):
        check(lambda: Changed(lambda f, x: "done"), 4)
