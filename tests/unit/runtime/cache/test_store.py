"""The store: what is written comes back whole or not at all, whatever is done to the folder."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_modelgate import ModelgateWarning
from pytest_modelgate.runtime.cache import store as store_module
from pytest_modelgate.runtime.cache.store import ENTRIES_OF_A_KEY, Store

KEY, OTHER = "a" * 32, "b" * 32


def record(second: int = 0, **values: Any) -> dict[str, Any]:
    return {"run": "one", "trained_at": f"2026-01-01T00:00:{second:02d}+00:00", **values}


def never() -> bool:
    return False


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache" / "models", limit=2**30, run="one")


def age(path: Path, seconds: int) -> None:
    os.utime(path / "entry.json", (seconds, seconds))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_was_written_comes_back(store: Store) -> None:
    assert store.entries(KEY) == []
    assert list(store.records()) == []
    path = store.write(KEY, record(history={"epochs": [1.5]}), b"weights")
    (entry,) = store.entries(KEY)
    assert entry.path == path
    assert entry.record["history"] == {"epochs": [1.5]}
    assert store.weights(entry) == b"weights"
    assert [one["key"] for one in store.records()] == [KEY]
    assert store.entries(OTHER) == []


def test_the_last_trained_comes_first(store: Store) -> None:
    for second in (3, 9, 1):
        store.write(KEY, record(second), b"w")
    assert [entry.record["trained_at"][17:19] for entry in store.entries(KEY)] == ["09", "03", "01"]


def test_backups_and_git_leave_the_folder_alone(store: Store) -> None:
    store.write(KEY, record(), b"w")
    assert (store.folder / ".gitignore").read_text() == "*\n"
    assert (store.folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "a bit of the weights": lambda entry: flip(entry / "model.safetensors", 3),
    "weights cut short": lambda entry: os.truncate(entry / "model.safetensors", 5),
    "no weights": lambda entry: (entry / "model.safetensors").unlink(),
    "weights that are a folder": lambda entry: [
        (entry / "model.safetensors").unlink(),
        (entry / "model.safetensors").mkdir(),
    ],
    "a digit of the record": lambda entry: (entry / "entry.json").write_text(
        (entry / "entry.json").read_text().replace("1.5", "1.6")
    ),
    "a record cut short": lambda entry: os.truncate(entry / "entry.json", 40),
    "an empty record": lambda entry: os.truncate(entry / "entry.json", 0),
    "no record": lambda entry: (entry / "entry.json").unlink(),
    "a record that is no object": lambda entry: (entry / "entry.json").write_text("[1]"),
    "a record that is no text": lambda entry: (entry / "entry.json").write_bytes(b"\xff\xfe\x00"),
    "a deep record": lambda entry: (entry / "entry.json").write_text("[" * 100_000),
    "another schema": lambda entry: edit(entry / "entry.json", schema=999),
    "an entry without content": lambda entry: edit(entry / "entry.json", entry={}),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_entry_is_discarded_with_one_warning(store: Store, what: str) -> None:
    good = store.write(KEY, record(1), b"good")
    bad = store.write(KEY, record(2, history=1.5), b"weights")
    DAMAGE[what](bad)
    with pytest.warns(ModelgateWarning, match=bad.name) as said:
        found = [store.weights(entry) for entry in store.entries(KEY)]
    assert [content for content in found if content is not None] == [b"good"]
    assert len(said) == 1
    assert not bad.exists()
    assert [entry.path for entry in store.entries(KEY)] == [good]
    assert not list(store.folder.glob("*.tmp"))


def test_an_entry_of_another_key_is_foreign(store: Store) -> None:
    path = store.write(KEY, record(), b"w")
    (store.folder / OTHER).mkdir()
    path.rename(store.folder / OTHER / path.name)
    with pytest.warns(ModelgateWarning, match=path.name):
        assert store.entries(OTHER) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_not_followed(store: Store, tmp_path: Path) -> None:
    path = store.write(KEY, record(), b"w")
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.warns(ModelgateWarning, match="symbolic link"):
        assert store.entries(KEY) == []
    assert names(elsewhere) == {"entry.json", "model.safetensors"}
    (store.folder / KEY).rmdir()
    (store.folder / KEY).symlink_to(tmp_path)
    (tmp_path / ("c" * 32)).mkdir()
    assert store.entries(KEY) == []
    other = store.write(OTHER, record(), b"w")
    (other / "model.safetensors").rename(tmp_path / "weights")
    (other / "model.safetensors").symlink_to(tmp_path / "weights")
    (entry,) = store.entries(OTHER)
    with pytest.warns(ModelgateWarning, match="plain file"):
        assert store.weights(entry) is None
    assert (tmp_path / "weights").exists()


@pytest.mark.parametrize("name", ["..", "../..", "", ".", "A" * 32, "a" * 31, f"{'a' * 30}/x", "con"])
def test_no_other_name_is_a_key(store: Store, name: str) -> None:
    store.write(KEY, record(), b"w")
    assert store.entries(name) == []


def test_an_entry_removed_meanwhile_is_a_miss_without_a_word(store: Store) -> None:
    store.write(KEY, record(), b"w")
    (entry,) = store.entries(KEY)
    assert store._remove(entry.path)
    assert store.weights(entry) is None
    store.touch(entry)
    store.discard(entry.path, "gone")
    assert not store._remove(entry.path)


def test_what_cannot_be_removed_is_said_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.write(KEY, record(), b"w")
    os.truncate(path / "entry.json", 3)
    monkeypatch.setattr(store, "_remove", lambda path: False)
    with pytest.warns(ModelgateWarning) as said:
        assert store.entries(KEY) == store.entries(KEY) == []
    assert len(said) == 1


def failing(*, after: int) -> Callable[..., Any]:
    calls = []

    def fails(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) > after:
            raise OSError(28, "No space left on device")
        return real_put(*args, **kwargs)

    real_put = store_module._put
    return fails


@pytest.mark.parametrize("point", ["the folder", "the weights", "the record", "the rename", "half of the weights"])
def test_a_full_disk_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    store.write(KEY, record(), b"before")
    full = failing(after=0)
    if point == "the folder":
        monkeypatch.setattr(Path, "mkdir", full)
    elif point == "the rename":
        monkeypatch.setattr(Path, "rename", full)
    elif point == "half of the weights":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(store_module, "_put", failing(after=("the weights", "the record").index(point)))
    with pytest.raises(OSError, match="No space"):
        store.write(KEY, record(1), b"w" * 1000)
    monkeypatch.undo()
    assert [store.weights(entry) for entry in store.entries(KEY)] == [b"before"]
    assert not list(store.folder.glob("*.tmp"))


def test_the_least_recently_used_go_first(store: Store) -> None:
    size = 10_000
    paths = {}
    for number in range(4):
        paths[number] = store.write(f"{number:032x}", record(number), b"w" * size)
        age(paths[number], 1000 + number)
    (oldest,) = store.entries(f"{0:032x}")
    store.touch(oldest)
    store.limit = 3 * size
    newest = store.write(KEY, record(9), b"w" * size)
    store.tidy(keep=newest)
    assert {number for number, path in paths.items() if path.exists()} == {0}
    assert newest.exists()
    assert {path.name for path in store.folder.iterdir() if path.is_dir()} == {KEY, f"{0:032x}"}


def test_what_was_just_stored_stays_even_above_the_limit(store: Store) -> None:
    store.limit = 10
    path = store.write(KEY, record(), b"w" * 100)
    age(path, 5)
    store.tidy(keep=path)
    assert path.exists()


def test_no_entry_goes_while_its_lock_is_held(store: Store) -> None:
    store.limit = 10
    held = store.write(OTHER, record(), b"w" * 100)
    age(held, 5)
    kept = store.write(KEY, record(), b"w" * 100)
    with store.lock(OTHER, never) as got:
        assert got
        store.tidy(keep=kept)
        assert held.exists()
    store.tidy(keep=kept)
    assert not held.exists()
    assert not (store.folder / OTHER).exists()


def test_a_key_keeps_its_last_used_entries_only(store: Store) -> None:
    paths = [store.write(KEY, record(second), b"w") for second in range(ENTRIES_OF_A_KEY + 3)]
    for position, path in enumerate(paths):
        age(path, 2000 - position)
    store.tidy(keep=paths[-1])
    assert [path.exists() for path in paths] == [True] * ENTRIES_OF_A_KEY + [False, False, True]


def test_leftovers_go_when_nobody_holds_the_lock(store: Store) -> None:
    kept = store.write(KEY, record(), b"w")
    left = store.folder / f"{OTHER}.{'c' * 32}.tmp"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    (store.folder / f"{OTHER}.{'d' * 32}.tmp").write_text("a note")
    (store.folder / ("e" * 32)).mkdir()
    (store.folder / f"{'f' * 32}.lock").touch()
    mine = {"notes.txt", "f.lock", "x.tmp"}
    for name in mine:
        (store.folder / name).touch()
    with store.lock(OTHER, never):
        store.tidy(keep=kept)
        assert left.exists()
    assert store.entries(OTHER) == []
    store.tidy(keep=kept)
    assert names(store.folder) == {KEY, ".lock", ".gitignore", "CACHEDIR.TAG"} | mine


def test_why_a_key_was_refused_is_known_to_its_run_alone(store: Store) -> None:
    kept = store.write(KEY, record(), b"w")
    assert store.refused(OTHER) is None
    store.refuse(OTHER, "it reads a socket")
    same, another = (Store(store.folder, limit=2**30, run=run) for run in ("one", "two"))
    assert same.refused(OTHER) == "it reads a socket"
    assert another.refused(OTHER) is None
    same.tidy(keep=kept)
    assert same.refused(OTHER) == "it reads a socket"
    another.tidy(keep=kept)
    assert same.refused(OTHER) is None
    (store.folder / f"{OTHER}.refused").write_text("[]")
    assert same.refused(OTHER) is None


def test_a_lock_excludes_other_threads_and_is_free_after_an_error(store: Store) -> None:
    got: list[bool] = []

    def other() -> None:
        with Store(store.folder, limit=1, run="one").lock(KEY, never) as held:
            got.append(held)

    def in_a_thread() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    def interrupted() -> None:
        with store.lock(KEY, never):
            in_a_thread()
            with store.lock(OTHER, never) as held:  # a model trained inside another's training
                assert held
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    in_a_thread()
    assert got == [False, True]


def test_removing_lock_files_never_lets_two_in(store: Store) -> None:
    """Threads that take the lock while others remove its file: at no time are two inside."""
    kept = store.write(OTHER, record(), b"w")
    inside, most, entered = [0], [0], [0]
    count = threading.Lock()

    def enter() -> None:
        mine = Store(store.folder, limit=2**30, run="one")
        for _ in range(20):
            with mine.lock(KEY, lambda: True):
                with count:
                    inside[0] += 1
                    entered[0] += 1
                    most[0] = max(most[0], inside[0])
                with count:
                    inside[0] -= 1
            mine.tidy(keep=kept)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], entered[0], inside[0]) == (1, 80, 0)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        store = Store(folder, limit=1, run="one")
        assert store.entries(KEY) == []
        assert list(store.records()) == []
        with pytest.raises(OSError, match="file"), store.lock(KEY, never):
            pass
    assert (tmp_path / "file").read_text() == "mine"
