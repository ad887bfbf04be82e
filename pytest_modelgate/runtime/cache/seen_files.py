"""The files and folders of a run: read, written, listed or looked up, and which of them it depended on."""

from __future__ import annotations

__tracebackhide__ = True

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pytest_modelgate.runtime.cache.places import place

ABSENT = "absent"
_UNLISTED = {"__pycache__", ".pytest_cache"}
_SYSTEM = ("/proc/", "/sys/", "/dev/")

Signature = tuple[int, int, int, int]


def digest(content: bytes) -> str:
    """The hash that manifests are made of."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def digest_of_file(path: str | Path) -> str | None:
    """The hash of a file's content; None where there is no file that can be read."""
    hashed = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(1 << 20):
                hashed.update(chunk)
    except OSError:
        return None
    return hashed.hexdigest()


def digest_of_listing(path: str | Path) -> str:
    """The hash of the names in a folder, "absent" where there is none. Caches of Python and pytest do not count."""
    try:
        names = sorted(set(os.listdir(path)) - _UNLISTED)
    except OSError:
        return ABSENT
    return digest("\0".join(names).encode("utf-8", "surrogateescape"))


def look_up(path: str | Path) -> str:
    """What stands at a path, in words: its size too, unless it is source, whose comments do not count."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ABSENT
    if stat.S_ISDIR(found.st_mode):
        return "folder"
    return "file" if str(path).endswith(".py") else f"file of {found.st_size} bytes"


def normal_path(path: Any) -> str | None:
    """The absolute path of a file that a run may depend on; None for all others, and for open files."""
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, (str, bytes)):
        return None
    try:
        text = os.path.abspath(os.fsdecode(path))
        known = place(text)
    except (OSError, ValueError):  # the working folder is gone, or a zero byte in the name: opening it fails too
        return None
    if text.startswith(_SYSTEM) or text.endswith(".pyc") or "__pycache__" in text:
        return None
    if text in ("/proc", "/sys", "/dev") or os.path.basename(text).lower() == "nul":
        return None
    return text if known == "first party" else None


class SeenFiles:
    """What one watch saw. Paths are absolute; `settle` turns it into `files`, `listings` and `stats`."""

    def __init__(self, root: Path) -> None:
        self.files: dict[str, str | None] = {}
        self.listings: dict[str, str] = {}
        self.stats: dict[str, str] = {}
        self.ignored: set[str] = set()
        self.generated: set[str] = set()
        self._root = root
        self._started = time.time_ns()
        self._read: dict[str, Signature | None] = {}
        self._written: set[str] = set()
        self._removed: set[str] = set()
        self._folders: set[str] = set()

    def was_read(self, path: str) -> bool:
        return path in self._read

    def was_written(self, path: str) -> bool:
        return path in self._written

    def was_listed(self, path: str) -> bool:
        return path in self.listings

    def was_looked_up(self, path: str) -> bool:
        return path in self.stats or path in self._read

    def read(self, path: str) -> None:
        """A file is about to be read. What the run itself wrote is no dependency."""
        if path in self._read or self._is_own(path):
            return
        found = _stat(path)
        if found is not None and stat.S_ISDIR(found.st_mode):
            self.list(path)
        else:
            self._read[path] = _signature(found)

    def write(self, path: str) -> None:
        if os.path.isdir(path):  # a file without a name in there, gone when it is closed
            return
        self._written.add(path)
        self.generated.add(path)

    def list(self, path: str) -> None:
        if path not in self.listings and not self._is_own(path):
            self.listings[path] = digest_of_listing(path)

    def look_up(self, path: str) -> None:
        if path not in self.stats and not self._is_own(path):
            self.stats[path] = look_up(path)

    def make_folder(self, path: str) -> None:
        """A folder is about to be made; where one stands already, the call will fail."""
        if not os.path.lexists(path):
            self._folders.add(path)

    def remove(self, path: str) -> None:
        """A file is about to go, by its removal or by another name."""
        if not self._is_own(path) and os.path.lexists(path):
            self._removed.add(path)

    def add_unseen(self, opened: Iterable[str], read: set[str], altered: set[str]) -> None:
        """Take in what the system saw and Python did not: native code's reads, or another process's."""
        for path in sorted(opened):
            known = path in self._read or path in self.ignored or self._is_own(path)
            if known or path.endswith(".py") or normal_path(path) is None:
                continue
            if path not in altered or path in read:
                self.read(path)

    def settle(self) -> Iterator[str]:
        """Hash what was read, and say which files are not what the run read."""
        for path, before in sorted(self._read.items()):
            after = _signature(_stat(path))
            if self._is_own(path) and after is None and before is None:
                continue
            if after is None and before is not None and self._began_later(before):
                continue  # made and removed during the run, by native code
            self.files[path] = None if after is None else digest_of_file(path)
            if before != after or _signature(_stat(path)) != after:
                if path not in self._written:
                    yield f"{self._name(path)} changed while the training ran"
            elif after is not None and self._began_later(after) and path not in self._written:
                yield f"{self._name(path)} was written while the training ran"
            elif after is not None and self.files[path] is None:
                yield f"{self._name(path)} cannot be read any more"
        self.stats = {path: seen for path, seen in self.stats.items() if path not in self.files}

    def left_behind(self) -> Iterator[str]:
        """What a model from the cache would not make, write or remove."""
        made = sorted(path for path in self._folders if os.path.isdir(path))
        for path in made:
            if os.path.dirname(path) not in made:
                yield f"the training makes the folder {self._name(path)}, which a cached model would not"
        for path in sorted(self._written):
            if os.path.lexists(path) and not any(Path(folder) in Path(path).parents for folder in made):
                yield f"the training writes {self._name(path)}, which a cached model would not"
        for path in sorted(self._removed - self._written):
            if not os.path.lexists(path):
                yield f"the training removes {self._name(path)}, which a cached model would not"

    def _is_own(self, path: str) -> bool:
        """Whether the run made it: the file, or a folder above it."""
        if path in self._written or path in self._folders:
            return True
        return bool(self._folders) and any(str(folder) in self._folders for folder in Path(path).parents)

    def _began_later(self, signature: Signature) -> bool:
        return signature[3] >= self._started

    def _name(self, path: str) -> str:
        found = Path(path)
        return str(found.relative_to(self._root)) if found.is_relative_to(self._root) else path


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _signature(found: os.stat_result | None) -> Signature | None:
    """What changes with a file: when it was modified, its size, its number, and when it last changed at all."""
    if found is None:
        return None
    changed = found.st_mtime_ns if os.name == "nt" else found.st_ctime_ns
    return found.st_mtime_ns, found.st_size, found.st_ino, changed
