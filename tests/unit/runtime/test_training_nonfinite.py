"""A training that breaks says when, and which parameter's gradient broke first."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import TrainedModel, TrainingError, train_model
from pytest_modelgate.runtime import training
from pytest_modelgate.runtime.loop import Loop

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).abs() + 0.1
Y = X.sum(1, keepdim=True)
BATCHES = [(X[i : i + 10], Y[i : i + 10]) for i in range(0, 40, 10)]


def sgd(rate: float) -> Any:
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


def train(factory: Any, data: Any = BATCHES, rate: float = 0.01, **options: Any) -> TrainedModel:
    given = {"loss": nn.MSELoss(), "optimizer": sgd(rate), "epochs": 3, "device": "cpu"} | options
    return train_model(factory, data, **given)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1))


class Longer(nn.Module):
    """What feeds the square root is itself fed: both of their gradients break, the latter's first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False)
        self.feeds = nn.Linear(3, 1, bias=False)
        self.head = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.feeds(self.first(x)).square().sqrt())


class Root(nn.Module):
    """The square root has an infinite slope at 0: the loss is finite there, the gradient of what feeds it is not."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)  # first by name, last in the forward pass
        self.feeds = nn.Linear(3, 1, bias=False)
        nn.init.constant_(self.feeds.weight, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.feeds(x).square().sqrt())


BROKEN_THIRD = [*BATCHES[:2], (X[20:30] * 0, Y[20:30]), *BATCHES[3:]]


def first_broken_by_hand(rate: float) -> tuple[int, int, float]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = mlp()
        optimizer = sgd(rate)(model.parameters())
        last = math.nan
        for epoch in range(1, 4):
            for number, (x, y) in enumerate(BATCHES, 1):
                loss = nn.functional.mse_loss(model(x), y)
                if not math.isfinite(loss.item()):
                    return epoch, number, last
                last = loss.item()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    raise AssertionError("it does not break")


@pytest.mark.parametrize("rate", [1.0, 3.0, 1e6])
def test_a_learning_rate_that_is_too_high(rate: float) -> None:
    """Epoch, batch and the last finite loss are those of the loop by hand."""
    epoch, batch, last = first_broken_by_hand(rate)
    with pytest.raises(TrainingError) as caught:
        train(mlp, rate=rate)
    said = str(caught.value)
    assert f"in epoch {epoch}, batch {batch} (the last finite one was {last:.4g})" in said
    assert re.search(r"gradient (of|is that of) \d\.(weight|bias)", said)
    assert "Lower the learning rate, clip gradients (clip_norm=1.0)" in said


@pytest.mark.parametrize("optimizer", [sgd(0.01), lambda p: torch.optim.Adam(p, lr=0.01)], ids=["SGD", "Adam"])
def test_a_gradient_that_breaks_while_the_loss_does_not(optimizer: Any) -> None:
    with pytest.raises(
        TrainingError, match=r"loss is nan in epoch 1, batch 4 .*gradient of feeds\.weight broke first"
    ) as e:
        train(Root, BROKEN_THIRD, optimizer=optimizer)
    assert "in the step before" in str(e.value)
    assert "more)" not in str(e.value)  # no other gradient broke in that step


def test_clipping_sees_the_gradient_itself() -> None:
    """The norm shows it in the batch in which it breaks, before clipping spreads it over all gradients."""
    with pytest.raises(
        TrainingError, match=r"epoch 1, batch 3, with a loss of .*gradient of feeds\.weight broke first\. "
    ):
        train(Root, BROKEN_THIRD, clip_norm=1.0)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}], ids=["plain", "clipped"])
def test_the_first_of_two_gradients(options: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=r"the gradient of feeds\.weight broke first.* \(and 1 more\)"):
        train(Longer, BROKEN_THIRD, **options)


def test_a_break_in_the_very_last_step() -> None:
    """No later loss shows it, and the model would be NaN."""
    with pytest.raises(TrainingError, match=r"epoch 1, batch 3, with a loss of .*feeds\.weight broke first"):
        train(Root, BROKEN_THIRD[:3], epochs=1)
    stopped = train(Root, BROKEN_THIRD[:3], epochs=1, on_nonfinite="stop")
    assert math.isnan(stopped.history.train_loss[0])


def test_of_several_gradients_the_first_in_the_backward_pass_is_named() -> None:
    """Names and order of the parameters do not tell; the path back from the loss does."""

    class Deep(Root):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(3, 3, bias=False)  # last by name, first in the forward pass

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(self.body(x))

    with pytest.raises(
        TrainingError, match=r"gradient of feeds\.weight broke first, in the step before \(and 1 more\)"
    ):
        train(Deep, BROKEN_THIRD)


@pytest.mark.parametrize("what", ["inputs", "targets", "inputs and targets"])
def test_data_that_are_not_finite(what: str) -> None:
    """No learning rate mends them, so none is spoken of."""
    x, y = X[20:30].clone(), Y[20:30].clone()
    for name, values in (("inputs", x), ("targets", y)):
        values[4] = math.nan if name in what else 1.0
    with pytest.raises(TrainingError, match=rf"epoch 1, batch 3 .*the {what} of this batch are not finite") as caught:
        train(mlp, [*BATCHES[:2], (x, y)])
    assert "every weight is. Look at the data; on_nonfinite=" in str(caught.value)
    assert "gradient" not in str(caught.value)


def test_data_after_a_model_that_broke() -> None:
    """What broke first is told, not what is there last."""
    with pytest.raises(TrainingError, match=r"batch 4 .*gradient of feeds\.weight broke first") as caught:
        train(Root, [*BROKEN_THIRD[:3], (X[30:] * math.nan, Y[30:])])
    assert "inputs" not in str(caught.value)


def test_the_last_finite_loss_is_of_the_epoch_before() -> None:
    """Where the first batch of an epoch breaks."""
    losses = iter([2.5, 1.5, math.nan])

    def own(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.sum() * 0 + next(losses)

    with pytest.raises(TrainingError, match=r"is nan in epoch 3, batch 1 \(the last finite one was 1\.5\)"):
        train(mlp, BATCHES[:1], loss=own)


def test_a_loss_that_breaks_alone() -> None:
    def own(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.mean() + math.inf

    with pytest.raises(TrainingError, match=r"epoch 1, batch 1: .*the loss itself overflowed; .*outputs reach from"):
        train(mlp, loss=own)


def test_a_forward_pass_that_breaks() -> None:
    class Overflows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x) * 1e30 * 1e30

    with pytest.raises(TrainingError, match=r"epoch 1, batch 1: .*in this batch the gradient of body\.2\."):
        train(Overflows)


def test_validation_that_is_not_finite() -> None:
    """Before anyone looks at the weights, which are fine."""
    with pytest.raises(
        TrainingError,
        match=r"the validation loss is nan after epoch 1: every weight is finite\. Look at the validation data; on_non",
    ):
        train(mlp, validation_data=[(X * math.nan, Y)])


@pytest.mark.parametrize("early_stopping", [None, 2])
def test_stopping_instead(early_stopping: int | None) -> None:
    """NaN stands in the history where it broke, nothing comes after, and the best weights before are restored."""
    epoch, _, _ = first_broken_by_hand(1.0)
    options: dict[str, Any] = {"validation_data": (X, Y), "early_stopping": early_stopping} if early_stopping else {}
    history = train(mlp, rate=1.0, on_nonfinite="stop", **options).history
    assert len(history) == epoch
    assert math.isnan(history.train_loss[-1])
    assert all(map(math.isfinite, history.train_loss[:-1]))


@pytest.fixture
def _fetched_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator."""
    monkeypatch.setattr(training, "Loop", lambda **given: Loop(**given | {"losses_at_once": False}))


@pytest.mark.usefixtures("_fetched_once_an_epoch")
class TestOnAnAccelerator:
    """Losses are not looked at within an epoch; what is told is the same."""

    def test_the_gradient_that_broke_first(self) -> None:
        match = r"loss is nan in epoch 1, batch 4 \(the last.*gradient of feeds\.weight broke first, in batch 3\. Lower"
        with pytest.raises(TrainingError, match=match):
            train(Root, BROKEN_THIRD)

    def test_the_first_of_two_gradients(self) -> None:
        with pytest.raises(TrainingError, match=r"gradient of feeds\.weight broke first, in batch 3 \(and 1 more\)"):
            train(Longer, BROKEN_THIRD)

    def test_the_learning_rate(self) -> None:
        epoch, batch, last = first_broken_by_hand(1.0)
        with pytest.raises(TrainingError) as caught:
            train(mlp, rate=1.0)
        assert f"in epoch {epoch}, batch {batch} (the last finite one was {last:.4g})" in str(caught.value)

    def test_the_last_step(self) -> None:
        with pytest.raises(TrainingError, match=r"epoch 1, batch 3, with a loss of .*feeds\.weight broke first"):
            train(Root, BROKEN_THIRD[:3], epochs=1)

    def test_stopping_instead(self) -> None:
        assert math.isnan(train(Root, BROKEN_THIRD, on_nonfinite="stop").history.train_loss[-1])


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.01}, {"accumulate": 3}, {"validation_data": (X, Y)}])
def test_when_losses_are_looked_at_changes_nothing(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    one = train(mlp, **options)
    monkeypatch.setattr(training, "Loop", lambda **given: Loop(**given | {"losses_at_once": False}))
    other = train(mlp, **options)
    assert one.history == other.history
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


def test_sparse_gradients() -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 1, sparse=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.table(x)

    data = [(torch.arange(4), torch.ones(4, 1))] * 3
    assert len(train(Sparse, data).history) == 3
    with pytest.raises(TrainingError, match=r"table\.weight"):
        train(Sparse, data, rate=1e30)
