"""The record of a training: rows of numbers that are written once."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate import History, TrainingError


def test_what_is_logged_can_be_read() -> None:
    history = History("cross_entropy", model="Net", seed=3)
    history.log(train_loss=1.5, val_recall=0.1)
    history.log(epoch=1, val_loss=1.7)
    history.log(epoch=2, train_loss=torch.tensor(1.25), val_loss=np.float32(1.5), val_recall=torch.tensor([0.5]))
    history.log(epoch=5, train_loss=1)
    assert history.train_loss == (1.5, 1.25, 1.0)
    assert history.val_loss == (1.7, 1.5)
    assert history["val_recall"] == (0.1, 0.5)
    assert history["nothing"] == ()
    assert history.epochs == (1, 2, 5)
    assert history.names == ("train_loss", "val_loss", "val_recall")
    assert all(type(value) is float for value in history.train_loss)
    assert len(history) == 3


def test_an_empty_history_is_true() -> None:
    """It is an object with a record, not a list: `history or History()` must not drop it."""
    assert History()
    assert len(History()) == 0
    assert (History().train_loss, History().names, History().epochs) == ((), (), ())


def test_what_is_not_finite_is_kept() -> None:
    history = History()
    history.log(train_loss=math.nan, val_loss=math.inf)
    assert math.isnan(history.train_loss[0])
    assert history.summary()["epochs"] == [{"epoch": 1, "train_loss": "nan", "val_loss": "inf"}]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing was logged for epoch 3"),
        ({"epoch": 1, "train_loss": 0.5}, "epoch 1 was logged after epoch 2"),
        ({"epoch": 2, "train_loss": 0.5}, "train_loss of epoch 2 was logged twice"),
        ({"epoch": -1, "train_loss": 0.5}, "epoch=-1"),
        ({"epoch": 2.5, "train_loss": 0.5}, "epoch=2.5"),
        ({"epoch": True, "train_loss": 0.5}, "epoch=True"),
        ({"train_loss": "low"}, "train_loss='low' is not one number"),
        ({"train_loss": torch.zeros(2)}, "is not one number"),
        ({"train_loss": [0.5]}, "is not one number"),
    ],
)
def test_wrong_rows(given: dict[str, Any], message: str) -> None:
    history = History()
    history.log(epoch=1, train_loss=1.0)
    history.log(epoch=2, train_loss=0.9)
    before = history.summary()
    with pytest.raises(TrainingError, match=message):
        history.log(**given)
    assert history.summary() == before


def test_a_frozen_history() -> None:
    history = History()
    history.freeze()
    with pytest.raises(TrainingError, match="frozen"):
        history.log(train_loss=1.0)


numbers = st.floats() | st.integers(-5, 5)


@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from(["train_loss", "val_loss", "val_f1"]), numbers, min_size=1), max_size=6
    )
)
@settings(deadline=None, max_examples=60)
def test_plain_types_and_back(rows: list[dict[str, float]]) -> None:
    history = History("mse_loss", model="Net", seed=1, device="cpu", threads=2)
    for row in rows:
        history.log(**row)
    plain = json.loads(json.dumps(history.summary(), allow_nan=False))
    again = History.from_summary(plain)
    assert again == history
    assert again.summary() == history.summary()


def test_equality() -> None:
    one, other = History("a"), History("a")
    assert one == other
    other.log(train_loss=1.0)
    assert one != other
    assert History("a") != History("b")
    assert one != "history"
