"""A model, a batch and a loss in the forms in which people have them, and what is refused."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_modelgate import EvidenceError, train_model
from pytest_modelgate.checks.wiring.gradients import check_finite_gradients
from pytest_modelgate.checks.wiring.setting import InputOverwritten, differing, mapped, read, rows_of

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([0, 1, 0, 1, 1, 0])
LOSS = nn.CrossEntropyLoss()


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.head(x * mask)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (nn.Linear(3, 2), X),
        (nn.Linear(3, 2), X.numpy()),
        (nn.Linear(3, 2), X.double().numpy()),
        (Two(), (X, torch.ones(6, 3))),
        (Two(), [X, torch.ones(6, 3)]),
        (Two(), {"mask": torch.ones(3), "x": X}),
        (Two(), {"mask": np.ones((6, 3)), "x": X.numpy()}),
    ],
)
@pytest.mark.parametrize("targets", [Y, Y.numpy(), Y.tolist(), Y[:, None], Y.int()])
def test_batches(model: nn.Module, inputs: Any, targets: Any) -> None:
    wiring = read(model, (inputs, targets), LOSS, trains=True)
    assert wiring.rows == 6
    outputs = wiring.outputs()
    assert outputs.shape == (6, 2)
    by_hand = model(X, torch.ones(3)) if isinstance(model, Two) else model(X)
    assert torch.equal(outputs, by_hand)
    assert wiring.cost(outputs).item() == F.cross_entropy(by_hand, Y).item()
    first = wiring.first(4)
    assert first.rows == len(first.outputs()) == 4
    assert wiring.first(6) is wiring.first(9) is wiring


def test_a_trained_model_brings_its_loss() -> None:
    trained = train_model(
        lambda: nn.Linear(3, 2), (X, Y), epochs=1, loss=LOSS, optimizer=torch.optim.SGD, device="cpu", cache=None
    )
    wiring = read(trained, (X, Y), trains=True)
    assert (wiring.module, wiring.loss_read.kind, wiring.fitted) == (trained.model, "cross_entropy", True)


@pytest.mark.parametrize(
    ("model", "batch", "loss", "said"),
    [
        (nn.Linear(3, 2), X, LOSS, "the batch is a Tensor: give a pair"),
        (nn.Linear(3, 2), (X, Y, Y), LOSS, "the batch is a tuple of 3 parts"),
        (nn.Linear(3, 2), {"x": X, "y": Y}, LOSS, "next.iter.loader"),
        (nn.Linear(3, 2), (X[:0], Y[:0]), LOSS, "the batch is empty"),
        (nn.Linear(3, 2), (X[0], Y[0]), LOSS, "has one number as its targets"),
        (nn.Linear(3, 2), (X, Y[:4]), LOSS, "the batch has 6 inputs and 4 targets"),
        (nn.Linear(3, 2), ("text", Y), LOSS, "cannot become a tensor"),
        (nn.Linear(3, 2), (X, Y), None, "how is Linear trained. Give loss="),
        (nn.Linear(3, 2), (X, Y), "cross", "none of torch's"),
        (nn.Linear(3, 2), (X, Y), nn.CrossEntropyLoss, "give an instance"),
        (nn.ReLU(), (X, Y), LOSS, "ReLU has no parameters"),
        (nn.Linear, (X, Y), LOSS, "give an instance"),
    ],
)
def test_wrong_use(model: Any, batch: Any, loss: Any, said: str) -> None:
    with pytest.raises(EvidenceError, match=said):
        read(model, batch, loss, trains=True)


class Acting(nn.Module):
    """A layer that does something with its input first."""

    def __init__(self, act: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.act = act
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> Any:
        found = self.act(x)
        return self.head(x) if found is x or found is None else found


@pytest.mark.parametrize(
    "act", [lambda x: x.relu_(), lambda x: x.add_(1), lambda x: x.resize_(3, 3), lambda x: x[0].fill_(float("nan"))]
)
def test_a_model_that_changes_its_input(act: Callable[[torch.Tensor], Any]) -> None:
    inputs = X.clone()
    targets = Y
    with pytest.raises(InputOverwritten, match=r"Acting changes its input in place \(the input\)"):
        check_finite_gradients(Acting(act), (inputs, targets), loss=LOSS)
    assert torch.equal(inputs, X)


def test_an_input_that_holds_nan_is_not_changed() -> None:
    inputs = X.clone()
    inputs[0, 0] = float("nan")
    assert read(nn.Linear(3, 2), (inputs, Y)).outputs().shape == (6, 2)


def test_outputs_that_are_no_tensor() -> None:
    with pytest.raises(EvidenceError, match="gave dict, not a tensor"):
        read(Acting(lambda x: {"logits": x}), (X, Y)).outputs()


def test_batchnorm_on_a_batch_of_one() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(
        EvidenceError, match="BatchNorm in training mode needs two samples or more, and this batch has 1"
    ):
        read(model, (X[:1], Y[:1])).outputs()
    with pytest.raises(ValueError, match="of the user's own"):
        read(Acting(lambda x: (_ for _ in ()).throw(ValueError("of the user's own"))), (X, Y)).outputs()


def test_losses() -> None:
    outputs = torch.randn(6, 2, generator=torch.Generator().manual_seed(3))

    def cost(loss: Any, targets: torch.Tensor = Y, scores: torch.Tensor = outputs) -> float:
        return float(read(nn.Linear(3, 2), (X, targets), loss).cost(scores))

    mean = float(F.cross_entropy(outputs, Y))
    assert cost(nn.CrossEntropyLoss(reduction="sum")) == pytest.approx(mean)
    assert cost(nn.CrossEntropyLoss(reduction="none")) == pytest.approx(mean)
    assert cost(lambda scores, targets: F.cross_entropy(scores, targets)) == mean
    values = outputs[:, 0]
    assert cost(nn.MSELoss(), Y.float(), values) == pytest.approx(float(F.mse_loss(values, Y.float())))
    assert cost(nn.MSELoss(reduction="sum"), Y, values) == pytest.approx(float(F.mse_loss(values, Y.float())))
    assert cost(nn.BCEWithLogitsLoss(), Y, values) == pytest.approx(
        float(F.binary_cross_entropy_with_logits(values, Y.float()))
    )
    tokens = torch.randn(6, 4, 5)
    classes = torch.randint(0, 4, (6, 5))
    assert cost(LOSS, classes, tokens) == pytest.approx(float(F.cross_entropy(tokens, classes)))
    with pytest.raises(EvidenceError, match="tells 2 classes apart, so targets run from 0 to 1"):
        cost(LOSS, Y + 1)
    with pytest.raises(EvidenceError, match="gave float, not a tensor"):
        cost(lambda scores, targets: 1.0)


def test_structures() -> None:
    Pair = namedtuple("Pair", "a b")
    inputs = {"x": Pair(torch.arange(3), torch.eye(2)), "scale": 2}
    doubled = mapped(inputs, lambda tensor: tensor * 2)
    assert isinstance(doubled["x"], Pair)
    assert doubled["x"].a.tolist() == [0, 2, 4]
    assert doubled["scale"] == 2
    some = rows_of(inputs, 3, slice(1))
    assert [len(part) for part in some["x"]] == [1, 2]
    assert differing(inputs, inputs) is None
    assert differing(inputs, doubled) == "input 1 of 2"
