"""`Store`: each value is made once, in a process and in all processes that share a folder."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_modelgate import recording
from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.evidence.history import History
from pytest_modelgate.evidence.origin import Call, Origin
from pytest_modelgate.gatefiles.sharing import Store, dumps, loads


def evaluation() -> Evaluation:
    return Evaluation.from_predictions(
        target=[0, 1, 1, 0, 1], preds=[0.2, 0.9, 0.4, 0.1, 0.7], outputs="probabilities", ids=list("abcde")
    )


def test_a_value_is_made_once() -> None:
    made: list[int] = []
    store = Store()
    assert store.once("a", lambda: made.append(1)) is store.once("a", lambda: made.append(2))
    store.once("b", lambda: made.append(3))
    assert made == [1, 3]


def test_an_error_is_raised_each_time_and_made_once() -> None:
    store, calls = Store(), []

    def crash() -> None:
        calls.append(1)
        raise RuntimeError("no data")

    depths = []
    for _ in range(3):
        with pytest.raises(RuntimeError, match="no data") as found:
            store.once("a", crash)
        depths.append(len(found.traceback))
    assert len(calls) == 1
    assert depths[1] == depths[2]


def test_what_ends_the_run_is_not_kept() -> None:
    store, calls = Store(), []

    def interrupt() -> None:
        calls.append(1)
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            store.once("a", interrupt)
    assert len(calls) == 2


def test_another_process_takes_what_the_first_one_left(tmp_path: Path) -> None:
    made, key = evaluation(), ("evaluation", ("model", None), 1)
    assert Store(tmp_path).evaluation(key, lambda: made) is made
    found = Store(tmp_path).evaluation(key, lambda: pytest.fail("evaluated again"))
    assert found == made
    assert found.fingerprint == made.fingerprint
    other = replace(made, threshold=0.4)
    assert Store(tmp_path).evaluation((*key, 2), lambda: other) is other


def test_another_process_records_the_training_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[History] = []
    monkeypatch.setattr(recording, "listener", lambda: SimpleNamespace(history=heard.append))
    trained = History(model="Net", loss="mse_loss")
    trained.log(epoch=1, train_loss=0.5)
    trained.log(epoch=2, train_loss=float("nan"))
    trained.origin = {"state": "trained", "key": "abc", "trained_at": None}
    for _ in range(2):
        Store(tmp_path).evaluation("a", evaluation, history=lambda: trained)
    assert [one.summary() for one in heard] == [trained.summary()]
    assert heard[0].origin == trained.origin
    for folder in (tmp_path, None):
        Store(folder).evaluation("b", evaluation)
    assert len(heard) == 1


def test_others_wait_for_the_one_that_evaluates(tmp_path: Path) -> None:
    made, calls, inside, answered = evaluation(), [], threading.Event(), threading.Event()
    found: list[Evaluation] = []

    def slow() -> Evaluation:
        calls.append(1)
        inside.set()
        answered.wait(0.2)  # the second asks meanwhile, and gets no answer of its own
        return made

    def ask() -> None:
        found.append(Store(tmp_path).evaluation("a", slow))
        answered.set()

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    assert inside.wait(10)
    second.start()
    first.join(10)
    second.join(10)
    assert len(calls) == 1
    assert found == [made, made]


def test_one_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        Store(tmp_path).evaluation("a", crash)
    made = evaluation()
    assert Store(tmp_path).evaluation("a", lambda: made) is made


def crash() -> Evaluation:
    raise RuntimeError


def test_without_a_folder_each_makes_its_own(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "of-another-machine"):
        made = evaluation()
        assert Store(folder).evaluation("a", lambda made=made: made) is made  # type: ignore[misc]
    assert list(tmp_path.iterdir()) == []


def test_the_origin_comes_along_but_for_the_derivation() -> None:
    training = {"state": "cached", "key": "abc", "trained_at": "2026-01-01"}
    origin = Origin(model="Net", steps=("at 0.4",), training=training, tuned="recall", derivation=Call())
    found = loads(dumps(replace(evaluation(), origin=origin)))
    assert found.origin == origin
    assert found.origin.derivation is None
    assert loads(dumps(evaluation())) == evaluation()
