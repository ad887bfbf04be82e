"""What `train_model` tells a cache: everything that decides the result, and nothing else."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import TrainingError, train_model
from pytest_modelgate.runtime.cache.lookup import Cache

DATA = [(torch.ones(4, 2), torch.zeros(4, dtype=torch.long))]
GIVEN_APART = {"factory", "loss", "seed", "device", "threads", "depends_on"}
DECIDES_NOTHING = {"cache", "progress"}


class Notes:
    """Stands for a cache; notes what it is asked for, and trains."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def get(self, train: Any, **asked: Any) -> Any:
        self.asked = asked
        return train()


def ask(**options: Any) -> dict[str, Any]:
    cache = Notes()
    given: dict[str, Any] = {
        "loss": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD,
        "epochs": 1,
        "device": "cpu",
        "cache": cache,
    }
    train_model(lambda: nn.Linear(2, 2), DATA, **given | options)
    return cache.asked


def test_every_argument_is_told() -> None:
    """One that is added and not told would serve a stale model."""
    parameters = set(inspect.signature(train_model).parameters)
    asked = ask()
    assert parameters == set(asked["arguments"]) | GIVEN_APART | DECIDES_NOTHING
    assert set(asked) == GIVEN_APART | {"arguments", "loss_of"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validation_data", DATA),
        ("batch_size", 7),
        ("epochs", 2),
        ("clip_norm", 0.5),
        ("accumulate", 2),
        ("class_weights", (1.0, 2.0)),
        ("mixed_precision", True),
        ("on_nonfinite", "stop"),
    ],
)
def test_as_it_was_given(name: str, value: Any) -> None:
    assert ask(**{name: value})["arguments"][name] is value


def test_what_is_given_apart() -> None:
    before = torch.get_num_threads()
    asked = ask(seed=3, threads=before + 1, depends_on=("a.csv",))
    assert (asked["seed"], asked["threads"], asked["device"]) == (3, before + 1, torch.device("cpu"))
    assert asked["depends_on"] == ("a.csv",)
    assert ask()["threads"] == before
    assert ask()["loss_of"] is None


def test_the_loss_of_a_stored_model_has_the_class_weights() -> None:
    made = ask(class_weights=(1, 2))["loss_of"](nn.Linear(2, 2).double())
    assert made.weight.tolist() == [1, 2]
    assert made.weight.dtype == torch.float64


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="this torch has the older setting alone")
def test_newer_settings_of_torch_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a project sets `torch.backends.cuda.matmul.fp32_precision`, torch refuses to tell the older setting."""

    def refuse() -> str:
        raise RuntimeError("you have used mix of the legacy and new APIs to set the matmul precision")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", refuse)
    cache = Cache(tmp_path, root=tmp_path, run="1")
    given: dict[str, Any] = {"loss": "cross_entropy", "optimizer": torch.optim.SGD, "epochs": 1, "device": "cpu"}
    trained = train_model(lambda: nn.Linear(2, 2), DATA, cache=cache, **given)
    assert trained.history.origin is not None


def test_without_a_cache_nothing_is_said_of_one() -> None:
    trained = train_model(lambda: nn.Linear(2, 2), DATA, loss="cross_entropy", optimizer=torch.optim.SGD, epochs=1)
    assert trained.history.origin is None


def test_wrong_use_is_told_before_the_cache_is_asked() -> None:
    cache = Notes()
    with pytest.raises(TrainingError):
        train_model(lambda: nn.Linear(2, 2), DATA, loss="cross_entropy", optimizer=torch.optim.SGD, cache=cache)
    assert not cache.asked
