"""What a run is watched for: before Python 3.12 all code of its first epoch, later versions' of every one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelgate import History, train_model
from pytest_modelgate.runtime.cache import lookup
from pytest_modelgate.runtime.cache.lookup import Cache
from pytest_modelgate.runtime.cache.watching import Watch

X, Y = torch.randn(12, 3), torch.arange(12) % 2


def in_the_first_epoch() -> None: ...


def in_the_third_epoch() -> None: ...


def fit(model: torch.nn.Module, run: Any) -> None:
    for epoch in (1, 2, 3):
        if epoch == 1:
            in_the_first_epoch()
        run.history.log(epoch=epoch, train_loss=1.0 / epoch)
        run.history.log(epoch=epoch, val_loss=1.0)
        if epoch == 3:
            in_the_third_epoch()


def test_code_is_seen_until_a_second_epoch_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watches: list[Watch] = []

    def watch(root: Path | None) -> Watch:
        watches.append(Watch(root))
        return watches[-1]

    monkeypatch.setattr(lookup, "Watch", watch)
    cache = Cache(tmp_path / "models", run="one")
    train_model(lambda: torch.nn.Linear(3, 2), None, fit=fit, device="cpu", cache=cache)
    seen = {code.co_name for code in watches[0].code}
    assert "in_the_first_epoch" in seen
    assert ("in_the_third_epoch" in seen) == (sys.version_info >= (3, 12))


def test_a_history_tells_of_its_second_epoch_once() -> None:
    told: list[int] = []
    history = History()
    history.at_second_epoch(lambda: told.append(len(history)))
    history.log(epoch=1, train_loss=1.0)
    history.log(epoch=1, val_loss=1.0)
    assert told == []
    history.log(epoch=2, train_loss=0.5)
    history.log(epoch=3, train_loss=0.4)
    assert told == [2]


def test_what_torch_loads_first_is_loaded_before_and_draws_no_number() -> None:
    lookup._load_optimizers.cache_clear()
    before = torch.get_rng_state()
    lookup._load_optimizers()
    assert torch.equal(torch.get_rng_state(), before)
