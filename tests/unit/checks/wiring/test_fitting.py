"""Memorising a batch: what it costs at best, and the batches that tell nothing."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_modelgate import Outcome, Verdict, train_model
from pytest_modelgate.checks.wiring.fitting import check_fits_one_batch, check_learns_from_input, zeroed
from pytest_modelgate.checks.wiring.reaching import reach
from pytest_modelgate.checks.wiring.setting import read

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
Y = torch.arange(16) % 4
SHARES = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))


def net(outputs: int = 4, inputs: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, outputs))


def costs(targets: torch.Tensor, loss: Any, outputs: int = 4, inputs: torch.Tensor = X) -> Any:
    wiring = read(net(outputs), (inputs, targets), loss)
    return reach(wiring, wiring.outputs())


def smoothed(share: float, classes: int) -> float:
    """The entropy of a target with label smoothing: what memorising costs."""
    rest = share / classes
    return -(1 - share + rest) * math.log(1 - share + rest) - (classes - 1) * rest * math.log(rest)


@pytest.mark.parametrize(
    ("targets", "loss", "outputs", "constant", "floor"),
    [
        (Y, nn.CrossEntropyLoss(), 4, math.log(4), 0.0),
        ((Y == 0).long(), nn.CrossEntropyLoss(), 2, SHARES, 0.0),
        (Y == 0, nn.BCEWithLogitsLoss(), 1, SHARES, 0.0),
        (Y, nn.CrossEntropyLoss(label_smoothing=0.1), 4, math.log(4), smoothed(0.1, 4)),
        (Y[:, None] * 2.0, nn.MSELoss(), 1, 4 * 1.25, 0.0),
        (Y[:, None] * 2.0, nn.L1Loss(), 1, 2.0, 0.0),
        (Y, lambda scores, targets: F.cross_entropy(scores, targets) + 7, 4, 7 + math.log(4), 7.0),
    ],
)
def test_what_a_batch_costs_at_best(
    targets: torch.Tensor, loss: Any, outputs: int, constant: float, floor: float
) -> None:
    found = costs(targets, loss, outputs)
    assert found.constant == pytest.approx(constant, rel=0.01)
    assert found.floor == pytest.approx(floor, abs=0.01 * constant)
    assert found.tells
    assert found.alike is None


def test_outputs_that_are_probabilities() -> None:
    wiring = read(nn.Sequential(net(1), nn.Sigmoid()), (X, Y == 0), nn.BCELoss())
    assert reach(wiring, wiring.outputs()).constant == pytest.approx(SHARES, rel=1e-3)
    wiring = read(nn.Sequential(net(2), nn.LogSoftmax(1)), (X, (Y == 0).long()), nn.NLLLoss())
    assert reach(wiring, wiring.outputs()).constant == pytest.approx(SHARES, rel=1e-3)


def test_equal_inputs_with_different_targets() -> None:
    inputs = X.clone()
    inputs[5] = inputs[2]  # of class 1 and class 2: half each at best, log 2 for each of the two
    found = costs(Y, nn.CrossEntropyLoss(), inputs=inputs)
    assert found.alike == (2, 5)
    assert found.floor == pytest.approx(2 * math.log(2) / 16, rel=0.01)
    verdict = check_fits_one_batch(net(), (inputs, Y), loss=nn.CrossEntropyLoss())
    assert verdict.passed
    assert "samples 2 and 5 have equal inputs and different targets" in str(verdict)


def test_the_verdict() -> None:
    verdict = check_fits_one_batch(net(), (X, Y), loss=nn.CrossEntropyLoss())
    assert (verdict.outcome, verdict.metric, verdict.bar, verdict.support) == (Outcome.PASS, "fits_one_batch", 0.8, 16)
    assert verdict.estimate is not None
    assert verdict.estimate >= 0.8
    assert verdict.explanation.startswith("PASS: Sequential memorises 16 samples: loss 0.")
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert check_fits_one_batch(net(), (X, Y), loss=nn.CrossEntropyLoss()) == verdict  # no chance in it


@pytest.mark.parametrize("check", [check_fits_one_batch, check_learns_from_input])
@pytest.mark.parametrize(
    ("inputs", "targets", "said"),
    [
        (X[:1], Y[:1], "there is one sample"),
        (X, torch.zeros(16, dtype=torch.long), "one output for all of them fits as well as any"),
        (torch.ones(16, 4), Y, "one output for all of them fits as well as any"),
    ],
)
def test_batches_that_tell_nothing(check: Any, inputs: torch.Tensor, targets: torch.Tensor, said: str) -> None:
    verdict = check(net(), (inputs, targets), loss=nn.CrossEntropyLoss())
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert said in verdict.explanation


def test_a_small_model_must_fit_two_samples() -> None:
    verdict = check_fits_one_batch(nn.Linear(4, 4), (X, (X**2).sum(1).long() % 4), loss=nn.CrossEntropyLoss())
    assert verdict.passed
    assert verdict.support == 2
    assert "16 samples were too many" in str(verdict)


def test_targets_far_from_the_outputs() -> None:
    far = 50 + 10 * torch.randn(16, 1, generator=torch.Generator().manual_seed(3))
    assert check_fits_one_batch(net(1), (X, far), loss=nn.MSELoss()).passed
    verdict = check_fits_one_batch(net(1), (X, 5000 * far), loss=nn.MSELoss())
    assert verdict.outcome is Outcome.FAIL
    assert "targets of another scale than the outputs" in str(verdict)


def test_train_model_sees_to_the_targets_shape() -> None:
    trained = train_model(
        partial(net, 1),
        (X, Y.float()),
        epochs=1,
        loss=nn.MSELoss(),
        optimizer=torch.optim.SGD,
        device="cpu",
        cache=None,
    )
    assert check_fits_one_batch(trained, (X, Y.float())).passed
    assert not check_fits_one_batch(trained.model, (X, Y.float()), loss=nn.MSELoss()).passed


def test_dropout_does_not_stand_in_the_way() -> None:
    class Dropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.LSTM(4, 16, 2, batch_first=True, dropout=0.9)
            self.head = nn.Linear(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = F.dropout(self.cells(x[:, None])[0][:, 0], 0.9, training=self.training)
            return self.head(h)

    model = Dropped()
    assert check_fits_one_batch(model, (X, Y), loss=nn.CrossEntropyLoss()).passed
    assert model.cells.dropout == 0.9


def test_zeroed_inputs() -> None:
    wiring = read(net(), (X, Y))
    assert not zeroed(wiring).any()
    tokens = torch.arange(32).reshape(16, 2)
    blind = zeroed(read(net(), ({"t": tokens, "mask": torch.ones(3, dtype=torch.bool)}, Y)))
    assert (blind["t"] == tokens[0]).all()
    assert blind["mask"].all()


def test_learning_from_the_input() -> None:
    verdict = check_learns_from_input(net(), (X, Y), loss=nn.CrossEntropyLoss())
    assert (verdict.outcome, verdict.metric, verdict.bar) == (Outcome.PASS, "learns_from_input", 0.25)
    details = dict(verdict.details)
    assert details["loss"] < 0.5 * math.log(4) + 0.01
    assert details["loss_zeroed"] == pytest.approx(math.log(4), rel=0.1)


def test_a_frozen_body_that_tells_little_is_no_bug_of_the_wiring() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
    with torch.no_grad():
        model[0].weight.mul_(1e-4)
    model[0].requires_grad_(False)
    verdict = check_fits_one_batch(model, (X, Y), loss=nn.CrossEntropyLoss())
    assert verdict.passed
    assert "only with its frozen parameters set free" in str(verdict)
    assert not model[0].weight.requires_grad


class Swapped(nn.Module):
    """Scores [rows, classes, tokens], as cross-entropy takes them: a transposed tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(40, 32), nn.Linear(32, 5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.embed(tokens))
        return scores.transpose(1, 2)


@pytest.mark.parametrize("check", [check_fits_one_batch, check_learns_from_input])
def test_outputs_that_are_transposed(check: Any) -> None:
    torch.manual_seed(0)
    tokens = torch.randint(0, 40, (16, 6))
    verdict = check(Swapped(), (tokens, tokens % 5), loss=nn.CrossEntropyLoss())
    assert verdict.outcome is Outcome.PASS


def density(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.gaussian_nll_loss(outputs[:, 0], targets, outputs[:, 1].exp())


def test_a_loss_of_ones_own_without_a_least_value() -> None:
    found = costs(X[:, 0], density, 2)
    assert found.constant > 0
    assert found.floor == 0


@pytest.mark.parametrize(
    "loss", [nn.KLDivLoss(reduction="batchmean"), lambda out, targets: -(out * targets).sum(1).mean()]
)
def test_log_probabilities_stay_such(loss: Any) -> None:
    shares = torch.softmax(3 * torch.randn(16, 4, generator=torch.Generator().manual_seed(2)), 1)
    model = nn.Sequential(net(), nn.LogSoftmax(1))
    wiring = read(model, (X, shares), loss)
    found = reach(wiring, wiring.outputs())
    assert found.tells
    known = shares.mean(0).log().expand(16, 4)
    assert found.constant == pytest.approx(float(loss(known, shares)), rel=0.01)
    assert found.floor == pytest.approx(float(loss(shares.log(), shares)), abs=0.01)


@pytest.mark.parametrize("check", [check_fits_one_batch, check_learns_from_input])
def test_two_samples_that_tell_nothing(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_modelgate.checks.wiring.fitting.STEPS", 0)
    verdict = check(net(), (X, Y), loss=lambda scores, targets: F.cross_entropy(scores, targets) * (len(scores) > 2))
    assert verdict.outcome is Outcome.FAIL
    assert "16 samples" in verdict.explanation or "no better" in verdict.explanation
