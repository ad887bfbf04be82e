"""Who sits in on evaluations, and that nobody does inside a training."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import evaluate, train_model
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.runtime import observing

INPUTS, TARGETS = torch.arange(12.0).reshape(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
LOSS = nn.CrossEntropyLoss()


class Watcher:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def begin(self, module: nn.Module, *, collector: Any, loss: Any, place: torch.device) -> Watcher:
        self.told.append(("begin", type(module).__name__, module.training, collector.n, loss.name, place.type))
        return self

    def before(self, inputs: torch.Tensor) -> None:
        self.told.append(("before", inputs.tolist()))

    def after(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.told.append(("after", tuple(outputs.shape), targets.tolist()))

    def finish(self, found: Any, preds: Any) -> Any:
        self.told.append(("finish", found.n, sum(map(len, preds))))
        return "twins"


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    one = Watcher()
    observing.install(one)
    yield one
    observing.remove(one)


def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(2, 3)


def test_nobody_observes_by_default() -> None:
    assert observing.observing() is None
    assert evaluate(model(), (INPUTS, TARGETS), loss=LOSS).origin.derivation.twins is None


def test_an_observer_is_told_every_batch_in_order(watcher: Watcher) -> None:
    found = evaluate(model().train(), (INPUTS, TARGETS), loss=LOSS, batch_size=4)
    assert watcher.told == [
        ("begin", "Linear", False, 0, "cross_entropy", "cpu"),
        ("before", INPUTS[:4].tolist()),
        ("after", (4, 3), [0, 1, 2, 0]),
        ("before", INPUTS[4:].tolist()),
        ("after", (2, 3), [1, 2]),
        ("finish", 6, 6),
    ]
    assert found.origin.derivation.twins == "twins"


def test_an_evaluation_that_fails_is_not_finished(watcher: Watcher) -> None:
    with pytest.raises(EvidenceError):
        evaluate(model(), (INPUTS, TARGETS + 1), loss=LOSS)
    assert [one[0] for one in watcher.told] == ["begin", "before"]


def test_the_last_observer_is_asked_and_others_come_back(watcher: Watcher) -> None:
    other = Watcher()
    observing.install(other)
    assert observing.observing() is other
    observing.remove(other)
    assert observing.observing() is watcher


def test_unobserved_is_for_its_own_thread_and_ends_with_an_error(watcher: Watcher) -> None:
    seen: list[Any] = []
    with observing.unobserved():
        with observing.unobserved():
            assert observing.observing() is None
        thread = threading.Thread(target=lambda: seen.append(observing.observing()))
        thread.start()
        thread.join()
        assert observing.observing() is None
    assert seen == [watcher]

    def fails() -> None:
        with observing.unobserved():
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert observing.observing() is watcher


def test_what_a_training_evaluates_is_not_observed(watcher: Watcher) -> None:
    def fit(module: nn.Module, run: Any) -> None:
        run.history.log(epoch=1, val_loss=evaluate(module, (INPUTS, TARGETS), loss=LOSS).loss)

    trained = train_model(model, (INPUTS, TARGETS), fit=fit)
    assert watcher.told == []
    evaluate(trained, (INPUTS, TARGETS), loss=LOSS)
    assert watcher.told[-1] == ("finish", 6, 6)
