"""The look-up: a model is trained once, and each doubt is a reason not to serve a stored one."""

from __future__ import annotations

import errno
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import History, ModelgateWarning, TrainedModel, TrainingError
from pytest_modelgate.runtime.cache.lookup import Cache
from pytest_modelgate.runtime.cache.store import Store
from pytest_modelgate.runtime.modules import make_module
from pytest_modelgate.runtime.seeds import seeded

CPU = torch.device("cpu")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.total = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Other(Net):
    pass


class Project:
    """A folder, the runs of its tests, and how often something was trained in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trainings: list[str] = []
        self.said: list[str] = []

    def run(self, name: str = "first", **options: Any) -> Cache:
        options = {"root": self.folder, "say": self.said.append} | options
        return Cache(self.folder / ".models", run=name, **options)

    def get(
        self,
        cache: Cache,
        *,
        factory: Callable[[], nn.Module] = Net,
        work: Callable[[Any], Any] = lambda model: None,
        seed: int = 0,
        depends_on: Any = (),
        loss: Any = "cross_entropy",
        trained_loss: Any = None,
        loss_of: Any = None,
        threads: int = 1,
        during: Callable[[], Any] = lambda: None,
        **arguments: Any,
    ) -> TrainedModel:
        def train() -> TrainedModel:
            self.trainings.append(threading.current_thread().name)
            with seeded(seed, CPU):
                model = make_module(factory)
                history = History(loss="cross_entropy", model="Net", seed=seed, device="cpu", threads=1)
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.add_(torch.randn(parameter.shape))
                returned = work(model)
            during()
            history.log(train_loss=0.5, val_loss=float("nan"), val_recall=0.5, accuracy=0.4)
            history.freeze()
            model = model if returned is None else returned
            mine = loss if trained_loss is None else trained_loss
            return TrainedModel(model=model.eval(), history=history, device=CPU, seed=seed, loss=mine)

        return cache.get(
            train,
            arguments={"fit": work, **arguments},
            factory=factory,
            loss=loss,
            seed=seed,
            device=CPU,
            threads=threads,
            depends_on=depends_on,
            loss_of=loss_of,
        )

    def stored(self) -> list[Path]:
        return sorted((self.folder / ".models").glob("*/*/entry.json"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def origin(trained: TrainedModel) -> dict[str, Any]:
    assert trained.history.origin is not None
    return trained.history.origin


def same(one: TrainedModel, other: TrainedModel) -> bool:
    mine, its = one.model.state_dict(), other.model.state_dict()
    return list(mine) == list(its) and all(torch.equal(mine[name], its[name]) for name in mine)


def test_trained_once_then_taken_from_the_store(project: Project) -> None:
    first = project.get(project.run())
    again = project.get(cache := project.run("second"))
    once_more = project.get(cache)
    assert len(project.trainings) == 1
    assert same(first, again)
    assert same(again, once_more)
    assert again.model is not once_more.model
    said = origin(first)
    assert (said["state"], said["changed"], said["reason"]) == ("trained", [], None)
    assert len(said["key"]) == 12
    assert said["trained_at"] is None, "now: what a run did itself is the same in every run's report"
    when = origin(again)["trained_at"]
    assert abs((datetime.now(timezone.utc) - datetime.fromisoformat(when)).total_seconds()) < 3600
    assert origin(again) == origin(once_more) == {**said, "state": "cached", "trained_at": when}
    assert again.history.names == first.history.names
    assert again.history.summary() == first.history.summary()
    assert (again.history.loss, again.loss, again.seed, again.device) == ("cross_entropy", "cross_entropy", 0, CPU)
    with pytest.raises(TrainingError, match="frozen"):
        again.history.log(train_loss=1.0)
    assert not any(module.training for module in again.model.modules())
    assert project.said == []


def test_what_this_run_trained_counts_as_trained_for_all_its_processes(project: Project) -> None:
    """Reports must not depend on how the tests were spread over workers."""
    first = project.get(project.run("gw"))
    assert origin(project.get(project.run("gw"))) == origin(first)
    assert len(project.trainings) == 1


def test_off_and_refresh(project: Project) -> None:
    project.get(project.run())
    assert origin(project.get(project.run("second", mode="off"))) == {
        "state": "trained", "key": None, "trained_at": None, "changed": [], "reason": None,
    }  # fmt: skip
    refreshing = project.run("third", mode="refresh")
    assert [origin(project.get(refreshing))["state"] for _ in range(2)] == ["trained", "trained"]
    assert len(project.trainings) == 3
    assert origin(project.get(project.run("fourth")))["state"] == "cached"


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"epochs": 2}, ["epochs"]),
        ({"epochs": 1.0}, ["epochs"]),
        ({"threads": 2}, ["threads"]),
        ({"loss": "mse_loss"}, ["loss"]),
        ({"data": torch.ones(3)}, ["data"]),
        ({"data": torch.zeros(3, dtype=torch.float64)}, ["data"]),
        ({"more": None}, ["more"]),
    ],
    ids=str,
)
def test_each_argument_counts(project: Project, change: dict[str, Any], changed: list[str]) -> None:
    options: dict[str, Any] = {"epochs": 1, "data": torch.zeros(3)}
    project.get(project.run(), **options)
    trained = project.get(project.run("second"), **(options | change))
    assert len(project.trainings) == 2
    assert origin(trained)["changed"] == changed
    assert origin(project.get(project.run("third"), **options))["state"] == "cached"


def test_other_models_and_seeds_are_no_change(project: Project) -> None:
    cache = project.run()
    assert origin(project.get(cache, seed=0))["changed"] == []
    assert origin(project.get(cache, seed=1))["changed"] == []
    assert origin(project.get(cache, factory=Other))["changed"] == []
    assert origin(project.get(cache, epochs=9))["changed"] == [], "trained in the same run: another model"
    second = project.run("second")
    project.get(second, epochs=9)
    project.get(second)
    assert origin(project.get(second, epochs=10))["changed"] == [], "both stored ones are in use"
    assert len(project.trainings) == 5


def test_a_file_that_the_training_reads(project: Project) -> None:
    file = project.folder / "config.txt"

    def work(model: Net) -> None:
        with torch.no_grad():
            model.layer.bias.fill_(float(file.read_text()))

    for text, states in {"1": ["trained", "cached"], "2": ["trained", "cached"]}.items():
        file.write_text(text)
        found = [project.get(project.run(f"{text} {n}"), work=work) for n in range(2)]
        assert [origin(one)["state"] for one in found] == states
        assert found[1].model.layer.bias.tolist() == [float(text)] * 2  # type: ignore[union-attr,operator]
    assert len(project.stored()) == 2
    assert "config.txt" in str(origin(found[0])["changed"])
    file.write_text("1")
    back = project.get(project.run("back"), work=work)
    assert (origin(back)["state"], back.model.layer.bias.tolist()) == ("cached", [1.0, 1.0])  # type: ignore[union-attr,operator]


def numbers() -> Iterator[int]:
    yield 1


def test_what_cannot_be_fingerprinted_is_not_cached_and_said_once(project: Project) -> None:
    cache = project.run()
    for _ in range(2):
        found = origin(project.get(cache, data=numbers()))
        assert (found["state"], found["key"]) == ("not cached", None)
        assert "data" in found["reason"]
    assert len(project.trainings) == 2
    assert project.stored() == []
    (said,) = project.said
    assert "Net" in said
    assert found["reason"] in said


def test_depends_on_stands_for_what_cannot_be_seen(project: Project) -> None:
    file = project.folder / "data.bin"
    folder = project.folder / "parts"
    folder.mkdir()
    for path in (file, folder / "a", folder / "b"):
        path.write_text("1")

    def state(name: str, **options: Any) -> str:
        given = {"depends_on": [str(file), folder, 7], "data": numbers()} | options
        return str(origin(project.get(project.run(name), **given))["state"])

    assert [state("1"), state("2")] == ["trained", "cached"]
    assert state("3", depends_on=[str(file), folder, 8]) == "trained"
    file.write_text("2")
    assert state("4") == "trained"
    (folder / "b").write_text("2")
    assert state("5") == "trained"
    (folder / "b").rename(folder / "c")
    assert [state("6"), state("7")] == ["trained", "cached"]
    assert state("8", depends_on=file) == "trained"
    assert state("9", depends_on=str(file)) == "cached"
    assert state("10", depends_on=()) == "not cached"
    assert state("11", depends_on=None) == "not cached"
    with pytest.raises(TrainingError, match="nowhere"):
        state("12", depends_on=[folder / "nowhere"])


def test_the_same_file_elsewhere_is_the_same_dependency(project: Project, tmp_path: Path) -> None:
    files = [tmp_path / name / "data.bin" for name in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        file.write_text("1")
    found = [project.get(project.run(file.parent.name), depends_on=file) for file in files]
    assert [origin(one)["state"] for one in found] == ["trained", "cached"]


def test_what_the_training_leaves_behind_is_a_reason(project: Project) -> None:
    def work(model: Net) -> None:
        (project.folder / "log.txt").write_text("trained")

    cache = project.run()
    for _ in range(2):
        found = origin(project.get(cache, work=work))
        assert found["state"] == "not cached"
        assert "log.txt" in found["reason"]
    assert project.stored() == []
    assert len(project.said) == 1


def test_the_training_changes_what_it_depends_on(project: Project) -> None:
    seen: list[int] = []

    def work(model: Net) -> None:
        seen.append(1)

    for options in ({}, {"depends_on": [1]}):
        found = origin(project.get(project.run(), work=work, **options))
        assert found["state"] == "not cached"
        assert "changed" in found["reason"]
        assert "work" in found["reason"]
    data = torch.zeros(3)

    def shift(model: Net) -> None:
        data.add_(1)

    found = origin(project.get(project.run(), work=shift, data=data))
    assert "data" in found["reason"]


def test_what_does_not_survive_is_a_reason(project: Project) -> None:
    def work(model: Net) -> None:
        model.total += 1.0

    trained = project.get(project.run(), work=work)
    assert "Net.total" in origin(trained)["reason"]
    assert trained.model.total == 1.0
    another = project.get(project.run(), work=lambda model: nn.Sequential(model))
    assert "Sequential" in origin(another)["reason"]
    assert isinstance(another.model, nn.Sequential)
    assert project.stored() == []


def test_what_fit_returns_is_stored_where_the_factory_makes_the_same(project: Project) -> None:
    def work(model: Net) -> nn.Module:
        other = Net()
        other.load_state_dict(model.state_dict())
        return other

    found = [project.get(project.run(str(n)), work=work) for n in range(2)]
    assert [origin(one)["state"] for one in found] == ["trained", "cached"]
    assert same(*found)


def test_a_loss_that_the_training_made(project: Project) -> None:
    weighted = nn.CrossEntropyLoss(weight=torch.ones(2))
    found = project.get(project.run(), trained_loss=weighted)
    assert "loss" in origin(found)["reason"]
    assert found.loss is weighted
    for n in range(2):
        found = project.get(project.run(str(n)), trained_loss=weighted, loss_of=lambda model: weighted, epochs=2)
        assert (origin(found)["state"], found.loss) == (["trained", "cached"][n], weighted)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, FileNotFoundError])
def test_errors_of_the_training_pass_and_free_the_lock(project: Project, error: type[BaseException]) -> None:
    broken = [True]

    def work(model: Net) -> None:
        if broken:
            raise error("mine")

    with pytest.raises(error, match="mine"):
        project.get(project.run(), work=work)
    assert project.stored() == []
    broken.clear()
    trained = in_a_thread(lambda: project.get(project.run(), work=work))
    assert origin(trained)["state"] == "trained"
    assert origin(project.get(project.run("second"), work=work))["state"] == "cached"


def in_a_thread(work: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive(), "a deadlock"
    (result,) = found
    return result


def test_threads_train_once(project: Project) -> None:
    cache = project.run()
    found: list[TrainedModel] = []
    started = threading.Barrier(3)

    def work() -> None:
        started.wait()
        found.append(project.get(cache))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 3
    assert len(project.trainings) == 1
    assert {origin(one)["state"] for one in found} == {"trained"}


def test_a_training_inside_another_is_the_outer_ones_to_watch(project: Project) -> None:
    """Served from the store, the inner one would hide from the outer what it depends on."""
    file = project.folder / "config.txt"
    file.write_text("1")

    def inner(model: Net) -> None:
        model.layer.bias.data.fill_(float(file.read_text()))

    class Whole(Project):
        def __init__(self) -> None:
            super().__init__(project.folder)
            self.states: list[str] = []

    whole, inside = Whole(), Project(project.folder)
    project.get(project.run("before"), work=inner)
    caches: list[Cache] = []

    def get_outer(name: str) -> TrainedModel:
        def train() -> TrainedModel:
            found = inside.get(caches[0], work=inner)
            whole.states.append(origin(found)["state"])
            return found

        caches[:] = [project.run(name)]
        return caches[0].get(
            train, arguments={"outer": 1}, factory=Net, loss="cross_entropy", seed=0, device=CPU, threads=1
        )

    outer = [get_outer("1")]
    assert whole.states == ["not cached"]
    file.write_text("2")
    outer += [get_outer("2")]
    assert outer[1].model.layer.bias.tolist() == [2.0, 2.0]  # type: ignore[union-attr,operator]


def test_waiting_is_said_once_and_the_result_is_shared(project: Project) -> None:
    waits: list[str] = []
    training, go_on = threading.Event(), threading.Event()
    found: list[TrainedModel] = []

    def during() -> None:
        training.set()
        assert go_on.wait(30)

    def waiting(sentence: str) -> None:
        waits.append(sentence)
        threading.Timer(0.2, go_on.set).start()  # long enough to be asked again

    def get() -> None:
        found.append(project.get(project.run(waiting=waiting), during=during))

    one = threading.Thread(target=get)
    one.start()
    assert training.wait(30)
    get()
    one.join(30)
    assert len(project.trainings) == 1
    assert len(waits) == 1
    assert "Net" in waits[0]
    assert len(found) == 2
    assert same(*found)


def test_nobody_waits_for_what_cannot_be_stored(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that finds the lock held goes on by itself once it is told that there will be no entry."""
    cache = project.run()
    tried: list[str] = []

    def held(self: Store, key: str) -> None:
        tried.append(key)
        if len(tried) == 2:
            self.refuse(key, "it reads a socket")

    monkeypatch.setattr(Store, "_try", held)
    found = origin(project.get(cache))
    assert (found["state"], found["reason"]) == ("not cached", "it reads a socket")
    assert len(tried) in (2, 3)


def test_a_damaged_entry_is_trained_anew(project: Project) -> None:
    first = project.get(project.run())
    (entry,) = project.stored()
    weights = entry.with_name("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.warns(ModelgateWarning, match="checksum") as said:
        again = project.get(project.run("second"))
    assert len(said) == 1
    assert origin(again)["state"] == "trained"
    assert same(first, again)
    assert origin(project.get(project.run("third")))["state"] == "cached"


def full(*args: Any, **kwargs: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("point", ["prepare", "lock", "write", "tidy", "a file in its place"])
def test_a_folder_that_cannot_be_written(project: Project, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    if point == "a file in its place":
        (project.folder / ".models").write_text("mine")
    else:
        name = {"prepare": "_prepare", "lock": "_guard", "write": "write", "tidy": "tidy"}[point]
        monkeypatch.setattr(Store, name, full)
    cache = project.run()
    with pytest.warns(ModelgateWarning, match="cannot be written") as said:
        found = [project.get(cache, epochs=n) for n in range(3)]
    assert len(said) == 1
    assert len(project.trainings) == 3
    for one in found:
        assert origin(one)["state"] == ("trained" if point == "tidy" else "not cached")
        assert point == "tidy" or "cannot be written" in origin(one)["reason"]
    assert bool(project.stored()) == (point == "tidy")


def test_a_store_that_can_only_be_read_serves(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.get(project.run())
    for name in ("_prepare", "write", "_guard"):
        monkeypatch.setattr(Store, name, full)
    monkeypatch.setattr("os.utime", full)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert origin(project.get(project.run("second")))["state"] == "cached"


def test_the_limit(project: Project) -> None:
    cache = project.run(limit=1)
    for seed in range(3):
        project.get(cache, seed=seed)
    assert len(project.stored()) == 1
    assert origin(project.get(project.run("second"), seed=2))["state"] == "cached"


def test_the_random_state_is_left_alone(project: Project) -> None:
    project.get(project.run())
    torch.manual_seed(5)
    state = torch.get_rng_state()
    project.get(project.run("second"))
    assert torch.equal(torch.get_rng_state(), state)


def test_settings_of_torch_count(project: Project) -> None:
    project.get(project.run())
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        trained = project.get(project.run("second"))
    finally:
        torch.set_default_dtype(before)
    assert origin(trained)["state"] == "trained"
    assert trained.model.layer.weight.dtype is torch.float64  # type: ignore[union-attr]
