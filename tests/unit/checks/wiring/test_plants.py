"""Each wiring bug in an otherwise sound network is found by its check, and the sound twin passes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_modelgate import Outcome, Verdict
from pytest_modelgate.checks.wiring.beginning import check_initial_loss_sane
from pytest_modelgate.checks.wiring.fitting import check_fits_one_batch, check_learns_from_input
from pytest_modelgate.checks.wiring.gradients import check_all_parameters_train, check_finite_gradients

SAMPLES, CLASSES = 24, 3
CROSS_ENTROPY = nn.CrossEntropyLoss()
# What the table of all checks gives, over these and the checks that look at outputs alone, is in test_table.py.
CHECKS: dict[str, Callable[..., Verdict]] = {
    "parameters": check_all_parameters_train,
    "finite": check_finite_gradients,
    "initial": partial(check_initial_loss_sane, fresh=True),
    "fits": check_fits_one_batch,
    "learns": check_learns_from_input,
}


class Mlp(nn.Module):
    """Two hidden layers; `bug` says what is wrong."""

    def __init__(self, bug: str = "", outputs: int = CLASSES) -> None:
        super().__init__()
        self.bug = bug
        self.first = nn.Linear(6, 16)
        self.second = nn.Linear(16, 16)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(16, outputs)
        if bug == "unused":
            self.spare = nn.Linear(16, 16)
        if bug == "parameter unused":
            self.scale = nn.Parameter(torch.ones(16))
        if bug == "zero":
            for parameter in self.parameters():
                nn.init.zeros_(parameter)
        if bug == "zero head":  # sound: the head trains in the first step, the rest from the second on
            nn.init.zeros_(self.head.weight)
        if bug == "all frozen":
            self.requires_grad_(False)
        if bug == "dead":
            nn.init.constant_(self.first.bias, -100.0)
        if bug == "huge":
            nn.init.normal_(self.head.weight, std=30.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bug = self.bug
        if bug == "ignores":
            x = torch.zeros_like(x)
        if bug == "overwritten":
            x = torch.ones_like(x)
        h = self.first(x)
        if bug == "sqrt":  # its slope at 0 is infinite, and the next step takes it times 0
            h = torch.sqrt(h - h.amin(1, keepdim=True))
        if bug == "where":  # what it leaves out has a gradient all the same
            h = torch.where(h > 0, torch.sqrt(h), torch.zeros_like(h))
        h = torch.log(F.relu(h)) if bug == "log" else F.relu(h)
        if bug == "detach":
            h = h.detach()
        if bug == "data":
            h = h.data
        if bug == "numpy":
            h = torch.from_numpy(h.detach().numpy())
        if bug == "no_grad":
            with torch.no_grad():
                h = F.relu(self.second(h))
        elif bug == "weight alone":
            h = F.relu(F.linear(h, self.second.weight))
        else:
            h = F.relu(self.second(h))
        out = self.head(self.drop(h))
        if bug == "softmax":
            return out.softmax(1)
        if bug == "softmax over the batch":
            return out.softmax(0)
        if bug == "relu":
            return F.relu(out)
        if bug == "sigmoid":
            return out.sigmoid()
        if bug == "argmax":
            return F.one_hot(out.argmax(1), CLASSES).float()
        if bug == "cut":
            return out.detach()
        return out


class Cnn(nn.Module):
    """Two convolutions with BatchNorm, then Dropout and a head."""

    def __init__(self, bug: str = "") -> None:
        super().__init__()
        self.bug = bug
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        )  # fmt: skip
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, CLASSES)
        if bug in ("frozen, statistics too", "frozen, statistics move"):
            self.body.requires_grad_(False)
        if bug == "frozen, statistics too":
            self.body.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.body(x).mean((2, 3))
        if self.bug == "detach":
            h = h.detach()
        if self.bug == "ignores":
            h = h * 0
        out = self.head(self.drop(h))
        return out.softmax(1) if self.bug == "softmax" else out


class Transformer(nn.Module):
    """Two layers over six tokens."""

    def __init__(self, bug: str = "") -> None:
        super().__init__()
        self.bug = bug
        self.embedding = nn.Embedding(20, 16)
        self.place = nn.Parameter(torch.randn(1, 6, 16) * 0.02)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, CLASSES)
        if bug == "tied head":  # drawn from N(0, 1), as an embedding is
            nn.init.normal_(self.head.weight, std=8.0)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if self.bug == "ignores":
            tokens = torch.zeros_like(tokens)
        h = self.embedding(tokens)
        if self.bug != "place unused":
            h = h + self.place
        if self.bug == "detach":
            h = h.detach()
        return self.head(self.encoder(h).mean(1))


class Lstm(nn.Module):
    """Two layers with dropout between them."""

    def __init__(self, bug: str = "") -> None:
        super().__init__()
        self.bug = bug
        self.cells = nn.LSTM(4, 12, 2, batch_first=True, dropout=0.3)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, _ = self.cells(x)
        if self.bug == "first step":  # of zeros, where the sequence is padded in front
            h = h[:, :1] * 0
        h = h[:, -1]
        return self.head(h.detach() if self.bug == "detach" else h)


class Adapter(nn.Module):
    """A frozen body with a low-rank adapter, whose second half starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 16).requires_grad_(False)
        self.down = nn.Parameter(torch.randn(6, 2) * 0.3)
        self.up = nn.Parameter(torch.zeros(2, 16))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.body(x) + x @ self.down @ self.up))


class Tied(nn.Module):
    """One matrix as embedding and head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 16, sparse=False)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.mix = nn.Linear(16, 16)
        self.head = nn.Linear(16, 20, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.mix(self.embedding(tokens).mean(1))))


def batch(model: nn.Module, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, CLASSES, (SAMPLES,), generator=generator)
    if isinstance(model, (Transformer, Tied)):
        return torch.randint(0, 20, (SAMPLES, 6), generator=generator), targets
    shape = {Cnn: (1, 8, 8), Lstm: (5, 4)}.get(type(model), (6,))
    return torch.randn(SAMPLES, *shape, generator=generator), targets


SOUND: dict[str, Callable[[], nn.Module]] = {
    "mlp": Mlp,
    "mlp, head at zero": partial(Mlp, "zero head"),
    "cnn": Cnn,
    "cnn, frozen": partial(Cnn, "frozen, statistics too"),
    "transformer": Transformer,
    "lstm": Lstm,
    "adapter": Adapter,
    "tied": Tied,
    "linear": lambda: nn.Linear(6, CLASSES),
}


@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize("name", SOUND)
def test_a_sound_network_passes(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    model = SOUND[name]()
    for check in CHECKS.values():
        verdict = check(model, batch(model, seed), loss=CROSS_ENTROPY)
        assert verdict.outcome is Outcome.PASS, verdict


PLANTS = [
    (Mlp, "unused", "parameters", "spare.weight, spare.bias: no gradient"),
    (Mlp, "parameter unused", "parameters", "scale: no gradient"),
    (Mlp, "detach", "parameters", "first.weight, first.bias: no gradient"),
    (Mlp, "data", "parameters", "first.weight, first.bias: no gradient"),
    (Mlp, "numpy", "parameters", "first.weight, first.bias: no gradient"),
    (Mlp, "no_grad", "parameters", "first.weight, first.bias, second.weight, second.bias: no gradient"),
    (Mlp, "weight alone", "parameters", "second.bias: no gradient"),
    (Mlp, "zero", "parameters", "first.weight, first.bias, second.weight, second.bias, head.weight: a gradient of"),
    (Mlp, "dead", "parameters", "first.weight, first.bias, second.weight: a gradient of exactly 0"),
    (Mlp, "cut", "parameters", "no gradient reaches any of the 6 parameters of Mlp"),
    (Mlp, "cut", "fits", "behind head"),
    (Mlp, "argmax", "fits", "behind head"),
    (Mlp, "argmax", "finite", "argmax()"),
    (Mlp, "all frozen", "parameters", "all 6 parameters are frozen"),
    (Mlp, "all frozen", "fits", "all 6 parameters are frozen"),
    (Cnn, "detach", "parameters", "body.0.weight, body.0.bias, body.1.weight"),
    (Cnn, "frozen, statistics move", "parameters", "body.1.running_mean, body.1.running_var"),
    (Transformer, "detach", "parameters", "place, embedding.weight: no gradient"),
    (Transformer, "place unused", "parameters", "place: no gradient"),
    (Lstm, "detach", "parameters", "cells.weight_ih_l0"),
    (Mlp, "sqrt", "finite", "behind the output of first, before that of second"),
    (Mlp, "where", "finite", "behind the output of first, before that of second"),
    (Mlp, "log", "finite", "what goes into second is the first that is not"),
    (Mlp, "huge", "initial", "knowing nothing costs 1.099 (log 3)"),
    (Transformer, "tied head", "initial", "outputs are"),
    (Mlp, "softmax", "initial", "remove the softmax"),
    (Mlp, "softmax over the batch", "initial", "softmax(dim=0)"),
    (Mlp, "relu", "initial", "a ReLU behind the last layer"),
    (Mlp, "softmax", "fits", "remove the softmax"),
    (Mlp, "softmax over the batch", "fits", "softmax(dim=0)"),
    (Mlp, "zero", "fits", "usual cause"),
    (Mlp, "ignores", "learns", "no better than"),
    (Mlp, "overwritten", "learns", "does not use its argument"),
    (Mlp, "dead", "learns", "no better than"),
    (Lstm, "first step", "learns", "no better than"),
]


@pytest.mark.parametrize(("make", "bug", "check", "said"), PLANTS)
def test_a_bug_is_found(make: Callable[[str], nn.Module], bug: str, check: str, said: str) -> None:
    torch.manual_seed(0)
    model = make(bug)
    verdict = CHECKS[check](model, batch(model, 0), loss=CROSS_ENTROPY)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert said in str(verdict)


@pytest.mark.parametrize("bug", ["sigmoid", "relu"])
def test_outputs_of_two_classes_that_are_no_logits(bug: str) -> None:
    torch.manual_seed(0)
    model = Mlp(bug, outputs=1)
    x, y = batch(model, 0)
    verdict = check_fits_one_batch(model, (x, y > 0), loss=nn.BCEWithLogitsLoss())
    assert verdict.outcome is Outcome.FAIL
    assert f"remove {'the sigmoid' if bug == 'sigmoid' else 'it'}" in str(verdict)
    assert check_fits_one_batch(Mlp(outputs=1), (x, y > 0), loss=nn.BCEWithLogitsLoss()).passed


def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return ((outputs - targets) ** 2).mean()


@pytest.mark.parametrize("loss", [nn.MSELoss(), squared, nn.L1Loss(), nn.HuberLoss()])
def test_targets_that_broadcast(loss: Any) -> None:
    torch.manual_seed(0)
    model = Mlp(outputs=1)
    x, _ = batch(model, 0)
    y = torch.randn(SAMPLES)
    verdict = check_fits_one_batch(model, (x, y), loss=loss)
    assert verdict.outcome is Outcome.FAIL
    if loss is not squared:
        assert "gives [16, 1] and the targets are [16]" in verdict.explanation
    assert check_fits_one_batch(model, (x, y[:, None]), loss=loss).passed


def test_outputs_that_cannot_reach_the_targets() -> None:
    torch.manual_seed(0)
    model = Mlp("relu", outputs=4)
    x, _ = batch(model, 0)
    y = torch.randn(SAMPLES, 4)
    assert not check_fits_one_batch(model, (x, y), loss=nn.MSELoss()).passed
    assert check_fits_one_batch(model, (x, y.abs()), loss=nn.MSELoss()).passed
    assert "a ReLU behind the last layer" in str(check_initial_loss_sane(model, (x, y), loss=nn.MSELoss()))
