"""Several seeds: counted or listed, and each model the one that its seed alone gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import TrainingError, train_model
from pytest_modelgate.runtime.training import train_models

DATA = [(torch.ones(4, 2), torch.zeros(4, 1))]
SAME: dict[str, Any] = {"loss": nn.MSELoss(), "optimizer": torch.optim.SGD, "epochs": 1, "device": "cpu"}


def factory() -> nn.Module:
    return nn.Linear(2, 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"seeds": 1}, [0]),
        ({"seeds": 3, "seed": 7}, [7, 8, 9]),
        ({"seeds": [5, 2, 2**32 - 1]}, [5, 2, 2**32 - 1]),
        ({"seeds": (4,), "seed": 9}, [4]),
        ({"seeds": range(2, 4)}, [2, 3]),
    ],
)
def test_which_seeds(given: dict[str, Any], expected: list[int]) -> None:
    models = train_models(factory, DATA, **given, **SAME)
    assert [one.seed for one in models] == [one.history.seed for one in models] == expected
    for one in models:
        alone = train_model(factory, DATA, seed=one.seed, **SAME)
        assert torch.equal(one.model.weight, alone.model.weight)
        assert one.history == alone.history
    assert len({float(one.model.bias.detach()) for one in models}) == len(models)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seeds": 0}, "seeds=0 trains nothing"),
        ({"seeds": -3}, "seeds=-3 trains nothing"),
        ({"seeds": 2.0}, r"seeds=2\.0 is neither"),
        ({"seeds": True}, "seeds=True is neither"),
        ({"seeds": None}, "seeds=None is neither"),
        ({"seeds": "123"}, "seeds='123' is neither"),
        ({"seeds": {1, 2}}, "is neither"),
        ({"seeds": []}, r"seeds=\[\] is neither"),
        ({"seeds": [1, 2, 1]}, "names 1 twice"),
        ({"seeds": [1, -2]}, r"seeds\[1\]=-2 is not a seed"),
        ({"seeds": [1, 2.5]}, r"seeds\[1\]=2\.5 is not a seed"),
        ({"seeds": 2, "seed": 2**32 - 1}, "the last of 2 seeds from seed=4294967295 on"),
        ({"seeds": 2, "seed": -1}, "seed=-1 is not a seed"),
    ],
)
def test_wrong_seeds(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        train_models(factory, DATA, **given, **SAME)


@pytest.mark.parametrize("name", ["train_data", "validation_data"])
def test_data_that_can_be_read_once(name: str) -> None:
    given = {"train_data": DATA} | {name: iter(DATA)}
    with pytest.raises(TrainingError, match=f"{name} is an iterator, which can be read for one seed only"):
        train_models(factory, **given, seeds=2, **SAME)
    assert len(train_models(factory, **given, seeds=1, **SAME)) == 1
