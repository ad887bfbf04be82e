"""Real processes that are killed, that come at once, or that have no room: the next one goes on by itself."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import History, ModelgateWarning, TrainedModel
from pytest_modelgate.runtime.cache import store as store_module
from pytest_modelgate.runtime.cache.lookup import Cache

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, to have processes in no time")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(30, 20)


def get(folder: Path, during: Callable[[], Any] = lambda: None, **options: Any) -> str:
    """Where the model came from: "trained" where this call did it, else "taken", or "not cached"."""
    called = []

    def train() -> TrainedModel:
        called.append(1)
        during()
        model = Net()
        model.load_state_dict({name: torch.ones_like(value) for name, value in model.state_dict().items()})
        history = History(seed=0, device="cpu", threads=1)
        history.log(train_loss=1.0)
        history.freeze()
        return TrainedModel(model=model.eval(), history=history, device=torch.device("cpu"), seed=0)

    cache = Cache(folder / ".models", root=folder, run="one", **options)
    trained = cache.get(
        train, arguments={}, factory=Net, loss=None, seed=0, device=torch.device("cpu"), threads=1
    )  # fmt: skip
    assert all(bool((value == 1).all()) for value in trained.model.state_dict().values())
    origin = trained.history.origin or {}
    return "not cached" if origin["state"] == "not cached" else "trained" if called else "taken"


class Child:
    """A process that does `work(self)`, and can say a word to its parent."""

    def __init__(self, work: Callable[[Child], Any]) -> None:
        self._out, self._in = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch has threads; none of them is in the way here
            self.pid = os.fork()
        if not self.pid:
            try:
                work(self)
                os._exit(0)
            except BaseException as error:
                os.write(2, repr(error).encode())
                os._exit(1)
        os.close(self._in)

    def say(self, word: str) -> None:
        os.write(self._in, word.encode())

    def pause(self) -> None:
        self.say("paused")
        time.sleep(60)

    def heard(self) -> str:
        """The next word; "" when the process has ended."""
        return os.read(self._out, 100).decode()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        assert self.exit_code() == -signal.SIGKILL

    def exit_code(self) -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._out)
        return code


@pytest.mark.parametrize("point", ["before the weights", "in the weights", "before the record", "before the rename"])
def test_killed_in_the_middle_of_a_store(tmp_path: Path, point: str) -> None:
    def work(child: Child) -> None:
        put, written = store_module._put, []

        def pausing(path: Path, content: bytes) -> None:
            if point == "in the weights":
                path.write_bytes(content[:100])
            if point == "before the record" and not written:
                written.append(path)
                put(path, content)
            else:
                child.pause()

        if point == "before the rename":
            Path.rename = lambda *_: child.pause()  # type: ignore[assignment,method-assign]
        else:
            store_module._put = pausing  # type: ignore[assignment]
        get(tmp_path)

    child = Child(work)
    assert child.heard() == "paused"
    (left,) = (tmp_path / ".models").glob("*.tmp")
    child.kill()
    assert get(tmp_path) == "trained"
    assert not left.exists()
    assert get(tmp_path) == "taken"


def test_killed_in_training_while_another_waits(tmp_path: Path) -> None:
    one = Child(lambda child: get(tmp_path, during=child.pause))
    assert one.heard() == "paused"
    other = Child(lambda child: child.say(get(tmp_path, waiting=lambda sentence: child.say("waiting"))))
    assert other.heard() == "waiting"
    one.kill()
    assert other.heard() == "trained"
    assert other.exit_code() == 0
    assert get(tmp_path) == "taken"


def test_processes_at_once_train_once(tmp_path: Path) -> None:
    children = [Child(lambda child: child.say(get(tmp_path, during=lambda: time.sleep(0.1)))) for _ in range(4)]
    assert sorted(child.heard() for child in children) == ["taken"] * 3 + ["trained"]
    assert [child.exit_code() for child in children] == [0] * 4


def test_no_room_for_the_file(tmp_path: Path) -> None:
    import resource

    def work(child: Child) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
        with pytest.warns(ModelgateWarning, match="cannot be written"):
            child.say(get(tmp_path))

    child = Child(work)
    assert child.heard() == "not cached"
    assert child.exit_code() == 0
    assert not list((tmp_path / ".models").glob("*.tmp"))
    assert not list((tmp_path / ".models").glob("*/*"))


def test_eviction_while_others_read(tmp_path: Path) -> None:
    """A limit that throws out every entry as soon as the next is there: nobody gets half a model, or a warning."""

    def work(child: Child) -> None:
        for _ in range(10):
            child.say(get(tmp_path, limit=1))
            for entry in (tmp_path / ".models").glob("*/*"):
                store_module.Store(tmp_path / ".models", limit=1, run="one")._remove(entry)

    children = [Child(work) for _ in range(3)]
    for child in children:
        while child.heard():
            pass
    assert [child.exit_code() for child in children] == [0] * 3
