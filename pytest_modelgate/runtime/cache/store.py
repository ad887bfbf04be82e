"""The store: one folder of entries, each a trained model and its record, written whole or not at all.

    <folder>/<key>/<entry>/entry.json, model.safetensors      an entry: its folder is renamed into place
    <folder>/<key>.lock                                       held while the model of this key is trained and stored
    <folder>/<key>.<entry>.tmp/                               being written or removed, by the holder of the lock
    <folder>/<key>.refused                                    the run that found this key not to be storable, and why
    <folder>/.lock                                            held for the moment of taking or removing another lock

Reading takes no lock. Names of keys and entries are 32 hexadecimal digits, and anything else is left alone.
"""

from __future__ import annotations

__tracebackhide__ = True

import hashlib
import json
import os
import re
import shutil
import stat
import time
import uuid
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import ModelgateWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from filelock import BaseFileLock

SCHEMA = 1
ENTRIES_OF_A_KEY = 8
"""A key has several entries when files that the training reads changed; those used last are kept."""

_NAME = re.compile(r"[0-9a-f]{32}")
_OF_A_KEY = re.compile(r"([0-9a-f]{32})(\.lock|\.refused|\.[0-9a-f]{32}\.tmp)?")
_RECORD, _WEIGHTS = "entry.json", "model.safetensors"
_TAGS = {
    ".gitignore": "*\n",
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n# Trained models, made by pytest-modelgate.\n",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored model: the folder it lies in, and its record, whose checksum was right."""

    path: Path
    record: dict[str, Any]


class _Damaged(Exception):  # noqa: N818 - says what is wrong with an entry, and never leaves this file
    pass


class Store:
    """The folder of trained models.

    Args:
        folder: made when first needed.
        limit: the most bytes of entries to keep; the least recently used go first.
        run: the id of this run of the tests, the same in all its processes.
    """

    def __init__(self, folder: Path, *, limit: int, run: str) -> None:
        self.folder = folder
        self.limit = limit
        self.run = run
        self._warned: set[Path] = set()

    def entries(self, key: str) -> list[Entry]:
        """The intact entries of a key, the last trained first; a damaged one is discarded with a warning."""
        found = []
        for path in self._paths(key):
            try:
                found.append(Entry(path, _read(path)))
            except (_Damaged, OSError) as error:
                self.discard(path, str(error))
        return sorted(found, key=lambda entry: str(entry.record["trained_at"]), reverse=True)

    def records(self) -> Iterator[dict[str, Any]]:
        """The records of all intact entries."""
        for key in self._keys():
            for path in self._paths(key):
                with suppress(_Damaged, OSError):  # its own look-up says so
                    yield _read(path)

    def weights(self, entry: Entry) -> bytes | None:
        """What `write` was given, or None where it is damaged (said with a warning) or was removed since."""
        try:
            content = _content(entry.path / _WEIGHTS)
            if _checksum(content) != entry.record["weights"]:
                raise _Damaged(f"the checksum of {_WEIGHTS} is wrong")
        except (_Damaged, OSError) as error:
            self.discard(entry.path, str(error))
            return None
        return content

    def touch(self, entry: Entry) -> None:
        """Note that an entry was used now."""
        with suppress(OSError):  # a store that can only be read serves all the same
            os.utime(entry.path / _RECORD)

    def discard(self, path: Path, why: str) -> None:
        """Remove an entry that cannot be used, with one warning; nothing where another process removed it already."""
        if not os.path.lexists(path) or path in self._warned:
            return
        self._warned.add(path)
        self._remove(path)
        warnings.warn(
            f"the cached model {path} was discarded and is trained anew: {why}", ModelgateWarning, stacklevel=2
        )

    def write(self, key: str, record: dict[str, Any], weights: bytes) -> Path:
        """Store an entry and give its folder. The caller holds the key's lock.

        Raises:
            OSError: it cannot be written; nothing is left of it then.
        """
        self._prepare()
        entry = uuid.uuid4().hex
        staging = self.folder / f"{key}.{entry}.tmp"
        try:
            staging.mkdir()
            _put(staging / _WEIGHTS, weights)
            _put(staging / _RECORD, _sealed({**record, "key": key, "weights": _checksum(weights)}))
            home = self.folder / key
            home.mkdir(exist_ok=True)
            staging.rename(home / entry)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return home / entry

    def refuse(self, key: str, reason: str) -> None:
        """Tell the other processes of this run that the key's model cannot be stored, so that they need not wait."""
        staging = self.folder / f"{key}.{uuid.uuid4().hex}.tmp"
        staging.write_text(json.dumps({"run": self.run, "reason": reason}), encoding="utf-8")
        staging.replace(self.folder / f"{key}.refused")

    def refused(self, key: str) -> str | None:
        """Why this run could not store the key's model; None where it did not try or could."""
        try:
            said = json.loads(_content(self.folder / f"{key}.refused"))
            return str(said["reason"]) if said["run"] == self.run else None
        except (_Damaged, OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def lock(self, key: str, waiting: Callable[[], bool]) -> Iterator[bool]:
        """Hold the key's lock; while another holds it, ask `waiting` several times a second whether to go on waiting.

        Gives whether the lock is held. The system frees the lock of a process that dies.

        Raises:
            OSError: the folder cannot be written.
        """
        self._prepare()
        held = self._try(key)
        while held is None and waiting():
            time.sleep(0.05)
            held = self._try(key)
        try:
            yield held is not None
        finally:
            if held is not None:
                held.release()

    def tidy(self, keep: Path) -> None:
        """Remove what crashed runs left, and the least recently used entries above the limit, never `keep`.

        What belongs to a key whose lock is held stays. Call it without holding a lock.
        """
        used: list[tuple[int, int, Path]] = []
        for key in self._keys():
            mine = sorted(map(_use, self._paths(key)), reverse=True)
            used += mine[:ENTRIES_OF_A_KEY]
            for _, _, path in mine[ENTRIES_OF_A_KEY:]:
                self._evict(path, keep)
        excess = sum(size for _, size, _ in used) - self.limit
        for _, size, path in sorted(used):
            if excess > 0 and self._evict(path, keep):
                excess -= size
        for key in self._keys(parts=True):
            if any(self.folder.glob(f"{key}.*.tmp")) or not self._paths(key):
                self._clear(key)

    def _evict(self, path: Path, keep: Path) -> bool:
        """Whether the entry was removed."""
        held = None if path == keep else self._try(path.parent.name)
        if held is None:
            return False
        try:
            return self._remove(path)
        finally:
            held.release()

    def _clear(self, key: str) -> None:
        """Remove a key's leftovers, and all its files where it has no entry."""
        held = self._try(key)
        if held is None:
            return
        try:
            for path in self.folder.glob(f"{key}.*.tmp"):
                _delete(path)
            with suppress(OSError):  # it has entries
                (self.folder / key).rmdir()
            unused = not (self.folder / key).exists() and self.refused(key) is None
            if unused:
                (self.folder / f"{key}.refused").unlink(missing_ok=True)
            # Whoever waits for this lock opens its file anew at each try, and tries only while holding the guard: no
            # two processes can come to hold locks on two files of this name.
            with self._guard():
                held.release()
                if unused:
                    (self.folder / f"{key}.lock").unlink(missing_ok=True)
        finally:
            held.release()

    def _try(self, key: str) -> BaseFileLock | None:
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / f"{key}.lock")
        with self._guard():
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return None
        return lock

    @contextmanager
    def _guard(self) -> Iterator[None]:
        from filelock import FileLock

        lock = FileLock(self.folder / ".lock")
        lock.acquire(poll_interval=0.005)
        try:
            yield
        finally:
            lock.release()

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in _TAGS.items():
            if not (self.folder / name).exists():
                (self.folder / name).write_text(text, encoding="utf-8")

    def _keys(self, *, parts: bool = False) -> list[str]:
        """The keys that have a folder; with `parts` also those of which only other files are there."""
        try:
            names = sorted(os.listdir(self.folder))
        except OSError:
            return []
        found = [match for name in names if (match := _OF_A_KEY.fullmatch(name)) is not None]
        return list(dict.fromkeys(match[1] for match in found if parts or match[2] is None))

    def _paths(self, key: str) -> list[Path]:
        home = self.folder / key
        if not _NAME.fullmatch(key) or home.is_symlink():
            return []
        try:
            return [home / name for name in sorted(os.listdir(home)) if _NAME.fullmatch(name)]
        except OSError:
            return []

    def _remove(self, path: Path) -> bool:
        """Rename first: nobody sees half an entry. False where that cannot be, as with an open file on Windows."""
        aside = self.folder / f"{path.parent.name}.{uuid.uuid4().hex}.tmp"
        try:
            path.rename(aside)
        except OSError:
            return False
        _delete(aside)
        return True


def _read(path: Path) -> dict[str, Any]:
    if path.is_symlink():
        raise _Damaged("it is a symbolic link")
    try:
        document = json.loads(_content(path / _RECORD))
        if document["schema"] != SCHEMA:
            raise _Damaged(f"it has schema {document['schema']!r}, and this version writes {SCHEMA}")
        record: dict[str, Any] = document["entry"]
        if document["checksum"] != _checksum(_text(record)) or record["key"] != path.parent.name:
            raise _Damaged(f"the checksum of {_RECORD} is wrong")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _Damaged(f"{_RECORD} cannot be read ({error})") from error
    return record


def _sealed(record: dict[str, Any]) -> bytes:
    text = _text(record)
    return b'{"schema": %d, "checksum": "%s", "entry": %s}\n' % (SCHEMA, _checksum(text).encode(), text)


def _text(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode()


def _content(path: Path) -> bytes:
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise _Damaged(f"{path.name} is not a plain file")
    return path.read_bytes()


def _checksum(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def _put(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _use(path: Path) -> tuple[int, int, Path]:
    """When an entry was last used, and its bytes; long ago where it is not whole."""
    try:
        sizes = [os.lstat(path / name) for name in (_RECORD, _WEIGHTS)]
    except OSError:
        return 0, 0, path
    return sizes[0].st_mtime_ns, sum(one.st_size for one in sizes), path


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
