"""Training: it learns, it can be repeated to the last bit, and it leaves the random state as it was."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import (
    EvidenceError,
    ModelgateError,
    ModelgateWarning,
    Run,
    TrainedModel,
    TrainingError,
    evaluate,
    train_model,
)

draw = torch.Generator().manual_seed(11)
X = torch.randn(300, 4, generator=draw)
Y = (X[:, 0] + X[:, 1] > 0).long()
X_VAL = torch.randn(400, 4, generator=draw)
Y_VAL = (X_VAL[:, 0] + X_VAL[:, 1] > 0).long()


class Net(nn.Module):
    """Random in its weights and in its dropout; notes which samples it saw in training."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
        self.seen: list[list[float]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen.append(x[:, 0].tolist())
        return self.body(x)


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.02)


def train(data: Any = (X, Y), **options: Any) -> TrainedModel:
    given = {"loss": nn.CrossEntropyLoss(), "optimizer": adam, "epochs": 3, "device": "cpu"} | options
    return train_model(given.pop("factory", Net), data, **given)


def same_weights(one: TrainedModel, other: TrainedModel) -> bool:
    left, right = one.model.state_dict(), other.model.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def random_state() -> tuple[Any, ...]:
    return (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        np.random.get_state()[2],
        torch.get_rng_state().tolist(),
    )


def test_it_learns() -> None:
    trained = train(epochs=8, validation_data=(X_VAL, Y_VAL))
    assert evaluate(trained, (X_VAL, Y_VAL)).metric("accuracy") > 0.9
    assert trained.history.train_loss[-1] < trained.history.train_loss[0] / 2
    assert len(trained.history.train_loss) == len(trained.history.val_loss) == len(trained.history) == 8
    assert (trained.seed, trained.device, trained.history.seed) == (0, torch.device("cpu"), 0)
    assert (trained.history.loss, trained.history.model, trained.history.device) == ("cross_entropy", "Net", "cpu")
    assert not any(module.training for module in trained.model.modules())


@pytest.mark.parametrize(
    "data", [(X, Y), (X.numpy(), Y.numpy()), TensorDataset(X, Y)], ids=["pair", "arrays", "Dataset"]
)
def test_the_same_seed_gives_the_same_bits(data: Any) -> None:
    one = train(data)
    torch.rand(5)
    random.random()
    np.random.rand()
    other = train(data)
    assert same_weights(one, other)
    assert one.history == other.history
    assert not same_weights(one, train(data, seed=1))


def test_a_shuffled_loader_repeats_too() -> None:
    assert same_weights(
        *(train(DataLoader(TensorDataset(X, Y), batch_size=50, shuffle=True)) for _ in range(2))
    )  # fmt: skip


@pytest.mark.parametrize("sampled", [False, True])
def test_a_loaders_own_generator_is_restored(sampled: bool) -> None:
    """So the next training with the same loader is the same, and a stored model stands for it."""
    data, generator = TensorDataset(X, Y), torch.Generator().manual_seed(3)
    loader = DataLoader(
        data,
        batch_size=50,
        **(
            {"sampler": torch.utils.data.RandomSampler(data, generator=generator)}
            if sampled
            else {"shuffle": True, "generator": generator}
        ),
    )
    before = generator.get_state()
    one = train(loader)
    assert torch.equal(generator.get_state(), before)
    other = train(loader)
    assert one.model.seen == other.model.seen
    assert same_weights(one, other)
    generator.manual_seed(4)
    assert one.model.seen != train(loader).model.seen


@pytest.mark.parametrize("fails", [False, True])
def test_the_random_state_is_restored(fails: bool) -> None:
    random.seed(1234)
    np.random.seed(1234)
    torch.manual_seed(1234)
    state = random_state()
    if fails:
        with pytest.raises(EvidenceError):
            train((X, Y + 7))
    else:
        train(validation_data=(X_VAL, Y_VAL), early_stopping=1)
    assert random_state() == state


@pytest.mark.parametrize("make", [lambda: (X, Y), lambda: TensorDataset(X, Y)], ids=["pair", "Dataset"])
def test_each_epoch_has_all_samples_in_another_order(make: Any) -> None:
    seen = train(make(), epochs=2, batch_size=64).model.seen
    assert [len(batch) for batch in seen] == [64, 64, 64, 64, 44] * 2
    first, second = sum(seen[:5], []), sum(seen[5:], [])  # noqa: RUF017 - ten short lists
    assert sorted(first) == sorted(second) == sorted(X[:, 0].tolist())
    assert first != second
    assert first != X[:, 0].tolist()


def test_a_loader_keeps_its_own_order_and_batches() -> None:
    seen = train(DataLoader(TensorDataset(X, Y), batch_size=100), epochs=1).model.seen
    assert seen == [X[i : i + 100, 0].tolist() for i in (0, 100, 200)]


def test_it_is_the_plain_loop() -> None:
    """Forward, loss, backward, step: written out, with the same seed and order."""
    trained = train(DataLoader(TensorDataset(X, Y), batch_size=100), epochs=2, seed=5)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = Net().train()
        optimizer, losses = adam(model.parameters()), []
        for _ in range(2):
            each = []
            for x, y in DataLoader(TensorDataset(X, Y), batch_size=100):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                each.append(loss.item())
            losses.append(sum(each) / 3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), trained.model.parameters(), strict=True))
    assert trained.history.train_loss == pytest.approx(losses, abs=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=torch.tensor([0.1, 5.0])),
        "cross_entropy",
    ],
    ids=["plain", "sum", "smoothing", "weights", "name"],
)
@pytest.mark.parametrize("size", [1, 32, 500])
def test_the_validation_loss_is_what_evaluate_says(loss: Any, size: int) -> None:
    batches = [(X_VAL[i : i + size], Y_VAL[i : i + size]) for i in range(0, len(X_VAL), size)]
    slow = {"optimizer": lambda p: torch.optim.SGD(p, lr=1e-4)}
    for validation in (batches, (X_VAL, Y_VAL)):
        trained = train(loss=loss, epochs=1, validation_data=validation, **slow)
        assert trained.history.val_loss[-1] == pytest.approx(evaluate(trained, (X_VAL, Y_VAL)).loss, abs=1e-6)


def test_early_stopping_restores_the_best_weights() -> None:
    """A learning rate that soon makes it worse."""
    trained = train(
        epochs=60, optimizer=lambda p: torch.optim.SGD(p, lr=3.0), validation_data=(X_VAL, Y_VAL), early_stopping=4
    )
    losses = trained.history.val_loss
    best = min(losses)
    assert losses.index(best) == len(losses) - 1 - 4  # it stopped four epochs after the best
    assert len(losses) < 60
    assert evaluate(trained, (X_VAL, Y_VAL)).loss == pytest.approx(best, abs=1e-6)
    assert losses[-1] != best


def test_a_run_that_ends_before_patience_does_has_the_best_weights_too() -> None:
    trained = train(
        epochs=6, optimizer=lambda p: torch.optim.SGD(p, lr=3.0), validation_data=(X_VAL, Y_VAL), early_stopping=50
    )
    assert evaluate(trained, (X_VAL, Y_VAL)).loss == pytest.approx(min(trained.history.val_loss), abs=1e-6)


def test_integer_targets_of_a_binary_loss() -> None:
    trained = train(factory=lambda: nn.Linear(4, 1), loss=nn.BCEWithLogitsLoss(), epochs=8)
    assert evaluate(trained, (X_VAL, Y_VAL)).metric("recall") > 0.8


def test_regression_with_targets_of_one_dimension() -> None:
    """[N, 1] outputs and [N] targets would broadcast to [N, N] and learn the mean alone."""
    target = X @ torch.tensor([1.0, -2.0, 0.5, 0.0])
    trained = train((X, target), factory=lambda: nn.Linear(4, 1), loss=nn.MSELoss(), epochs=60)
    assert evaluate(trained, (X, target)).loss < 0.01


def test_a_loss_of_the_users_own() -> None:
    def own(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, targets) * 2

    trained = train(loss=own, epochs=1)
    assert trained.history.loss == "own"
    plain = train(epochs=1)
    assert trained.history.train_loss[0] == pytest.approx(2 * plain.history.train_loss[0], rel=0.2)


def test_a_loop_of_the_users_own() -> None:
    def fit(model: nn.Module, run: Run) -> None:
        assert (run.device, run.seed, run.train_data, run.validation_data) == (torch.device("cpu"), 3, "mine", None)
        assert run.history.seed == 3
        with torch.no_grad():
            model.body[0].weight.fill_(torch.rand(()))
        run.history.log(epoch=1, train_loss=0.5, val_recall=torch.tensor(0.25))

    trained, again = (train_model(Net, "mine", fit=fit, seed=3, device="cpu") for _ in range(2))
    assert trained.history["val_recall"] == (0.25,)
    assert same_weights(trained, again)
    assert not trained.model.training
    assert trained.history.chance_loss is None
    with pytest.raises(TrainingError, match="frozen"):
        trained.history.log(epoch=2, train_loss=0.1)


def test_a_loop_may_give_another_module() -> None:
    made = nn.Linear(1, 1)
    with pytest.warns(ModelgateWarning, match=r"fit logged nothing.*run\.history\.log"):
        assert train_model(Net, None, fit=lambda model, run: made, device="cpu").model is made
    with pytest.raises(TrainingError, match="fit returned float"):
        train_model(Net, None, fit=lambda model, run: 0.5, device="cpu")


def once(data: Any) -> Iterator[Any]:
    yield from data


def test_an_iterator_that_is_used_up() -> None:
    batches = [(X[:50], Y[:50]), (X[50:], Y[50:])]
    assert len(train(once(batches), epochs=1).history) == 1
    with pytest.raises(EvidenceError, match=r"train_data is empty in epoch 2.*list or a loader"):
        train(once(batches), epochs=2)
    with pytest.raises(EvidenceError, match=r"validation_data is empty in epoch 2.*list or a loader"):
        train(epochs=2, validation_data=once(batches))


class NotANumber(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) * float("nan")


def test_a_loss_that_is_no_number_is_a_finding_where_that_is_wanted() -> None:
    """It stands in the history, which a gate judges; it is no crash, and no number."""
    (loss,) = train(factory=NotANumber, epochs=2, on_nonfinite="stop").history.train_loss
    assert math.isnan(loss)


def no_module() -> Any:
    return 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": None}, "needs loss="),
        ({"optimizer": None, "epochs": None}, "needs optimizer=, epochs="),
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": 2.5}, "epochs=2.5"),
        ({"early_stopping": 2}, "validation_data="),
        ({"early_stopping": 0, "validation_data": (X, Y)}, "early_stopping=0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**32}, "seed=4294967296"),
        ({"seed": "a"}, "seed='a'"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"factory": Net()}, r"the class or a function that makes the model"),
        ({"factory": no_module}, "made int, not a torch.nn.Module"),
        ({"factory": "Net"}, "cannot be called"),
        ({"optimizer": adam(nn.Linear(1, 1).parameters())}, "function of the parameters"),
        ({"optimizer": "adam"}, "function of the parameters"),
        ({"optimizer": lambda p: None}, "made NoneType"),
        ({"fit": print}, "with fit= the loop is yours"),
        ({"loss": nn.CrossEntropyLoss}, r"CrossEntropyLoss\(\)"),
        ({"data": (X, Y[:-1])}, "300 inputs and 299 targets"),
        ({"data": (X[:0], Y[:0])}, "train_data is empty"),
        ({"data": []}, "train_data is empty"),
        ({"data": (X, Y + 1)}, "target|class"),
        ({"validation_data": (X[:0], Y[:0])}, "validation_data is empty"),
        ({"validation_data": (X, Y - 1)}, "target|class"),
        ({"data": "train.csv"}, "train_data of type str"),
        ({"device": "gpu"}, "not a device"),
    ],
)
def test_wrong_use(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelgateError, match=message):
        train(**options)


def test_a_last_batch_of_one_joins_the_one_before() -> None:
    """BatchNorm refuses a training batch of one sample."""
    sizes: list[int] = []

    class Counting(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                sizes.append(len(x))
            return super().forward(x)

    inputs, targets = torch.randn(65, 3), torch.arange(65) % 2
    train_model(
        lambda: Counting(nn.BatchNorm1d(3), nn.Linear(3, 2)),
        (inputs, targets),
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.SGD,
        epochs=1,
        batch_size=32,
        device="cpu",
    )
    assert sizes == [32, 33]
