"""Two trainings with one seed: alike to the last bit, or the first difference by name."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import History, Outcome, Run, TrainingError, Verdict
from pytest_modelgate.checks.reproducibility import check_training_reproducible

X = torch.randn(60, 3, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def check(factory: Any = Net, data: Any = (X, Y), **options: Any) -> tuple[Verdict, History]:
    given: dict[str, Any] = {"device": "cpu"}
    if "fit" not in options:
        given |= {"loss": nn.CrossEntropyLoss(), "optimizer": torch.optim.Adam}
    return check_training_reproducible(factory, data, **given | options)


def test_a_sound_training() -> None:
    verdict, history = check(validation_data=(X, Y), seed=4)
    assert (verdict.outcome, verdict.passed, verdict.estimate, verdict.bar) == (Outcome.PASS, True, 1.0, 1.0)
    assert verdict.explanation == "PASS: two trainings with seed 4 gave the same 9 tensors and 2 curves, bit for bit"
    assert verdict.support == verdict.hits == 11
    assert len(history) == 2  # short, where nothing is said
    assert (history.origin, history.seed) == (None, 4)
    assert len(check(epochs=3)[1]) == 3
    assert Verdict.from_json(verdict.to_json()) == verdict


def log(run: Run, *losses: float) -> None:
    for loss in losses:
        run.history.log(train_loss=loss)


def test_a_generator_without_a_seed() -> None:
    loose = torch.Generator()

    def fit(model: nn.Module, run: Run) -> None:
        loose.seed()
        with torch.no_grad():
            model.head.weight += torch.randn(2, 4, generator=loose)
        log(run, 1.0, 0.5)

    verdict, _ = check(fit=fit)
    assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)
    assert (verdict.hits, verdict.support) == (9, 10)
    assert "differ in 1 of 9 tensors and 0 of 1 curve: first in head.weight, by up to" in verdict.explanation
    assert "epoch" not in verdict.explanation
    assert "run.seed" in verdict.notes[-1]


def test_a_counter_that_outlives_the_training() -> None:
    counter = itertools.count()

    def fit(model: nn.Module, run: Run) -> None:
        start = next(counter)
        log(run, 1.0, 0.5 + start, 0.25 + start)

    verdict, _ = check(fit=fit)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.explanation == (
        "FAIL: two trainings with seed 0 differ in 0 of 9 tensors and 1 of 1 curve; "
        "the histories differ from epoch 2 on"
    )


def test_a_loader_with_a_generator_of_its_own() -> None:
    """Each training finds it in the same state; one that nobody restores, the check finds."""
    loader = DataLoader(TensorDataset(X, Y), 16, shuffle=True, generator=torch.Generator().manual_seed(0))
    assert check(data=loader)[0].passed
    hidden = torch.Generator().manual_seed(0)
    assert not check(data=DataLoader(TensorDataset(X, Y), 16, collate_fn=lambda rows: noisy(rows, hidden)))[0].passed
    assert check(data=DataLoader(TensorDataset(X, Y), 16, shuffle=True))[0].passed


def noisy(rows: list[tuple[torch.Tensor, torch.Tensor]], generator: torch.Generator) -> tuple[Any, Any]:
    inputs = torch.stack([x for x, _ in rows])
    return inputs + torch.randn(inputs.shape, generator=generator), torch.stack([y for _, y in rows])


def test_one_module_trained_twice() -> None:
    """Compared with itself it would always be alike."""
    only = Net()
    verdict, _ = check(factory=lambda: only)
    assert not verdict.passed
    assert verdict.hits == 0
    assert any("the same module" in note for note in verdict.notes)


def test_data_that_the_training_changes() -> None:
    inputs = X.clone()

    def fit(model: nn.Module, run: Run) -> None:
        inputs.mul_(2)
        log(run, float(inputs.abs().mean()))

    assert not check(fit=fit)[0].passed


def test_the_furthest_and_the_first_are_named() -> None:
    steps = itertools.count()

    def fit(model: nn.Module, run: Run) -> None:
        if next(steps):
            with torch.no_grad():
                model.body[0].bias += 0.5
                model.head.bias += 3.0
        log(run, 1.0)

    verdict, _ = check(fit=fit)
    assert "first in body.0.bias, by up to 3 in head.bias" in verdict.explanation


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (0.0, -0.0, "in their bits alone"),
        (math.nan, 1.0, "by up to nan"),
        (math.inf, 1.0, "by up to inf"),
    ],
)
def test_bits_count(one: float, other: float, message: str) -> None:
    values = iter((one, other, one, one))

    def fit(model: nn.Module, run: Run) -> None:
        with torch.no_grad():
            model.head.bias.fill_(next(values))
        log(run, 1.0)

    assert message in check(fit=fit)[0].explanation
    assert check(fit=fit)[0].passed  # NaN is NaN


def test_a_buffer_out_of_the_state_dict_and_another_shape() -> None:
    sizes = itertools.count(1)

    def fit(model: nn.Module, run: Run) -> None:
        model.register_buffer("aside", torch.zeros(next(sizes)), persistent=False)
        log(run, 1.0)

    assert "first in aside, and aside has another shape" in check(fit=fit)[0].explanation


def test_a_curve_that_is_there_once() -> None:
    runs = itertools.count()

    def fit(model: nn.Module, run: Run) -> None:
        run.history.log(epoch=1, train_loss=math.nan, **({"val_recall": 0.5} if next(runs) else {}))

    verdict, _ = check(fit=fit)
    assert (verdict.hits, verdict.support) == (10, 11)
    assert verdict.explanation.endswith("from epoch 1 on")


def test_an_operation_without_a_deterministic_implementation_is_named() -> None:
    class Puts(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x.clone().put_(torch.tensor([0]), torch.tensor([1.0]))
            return super().forward(x)

    verdict, history = check(factory=Puts)
    assert verdict.passed  # it was alike all the same
    assert verdict.notes == ("put_ has no deterministic implementation",)
    assert history.nondeterministic == ("put_",)


@pytest.mark.filterwarnings("ignore:fit logged nothing")
def test_nothing_to_compare() -> None:
    verdict, _ = check(factory=nn.ReLU, fit=lambda model, run: None)
    assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)


def test_a_cache_is_not_asked() -> None:
    class Refuses:
        def get(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("the cache was asked")

    assert check(cache=Refuses())[0].passed


def test_data_that_can_be_read_once() -> None:
    with pytest.raises(TrainingError, match="train_data is an iterator"):
        check(data=iter([(X, Y)]))
