"""What Linux saw: which files of a project were opened, by whatever code, native code included."""

from __future__ import annotations

__tracebackhide__ = True

import ctypes
import os
import struct
import sys
import threading
from collections import deque
from pathlib import Path

_OPEN, _CLOSE_NOWRITE, _CLOSE_WRITE, _MODIFY, _CREATE, _MOVED_TO = 0x20, 0x10, 0x08, 0x02, 0x100, 0x80
_ALTERED = _CLOSE_WRITE | _MODIFY | _CREATE | _MOVED_TO
_OVERFLOW, _IS_FOLDER, _ONLY_FOLDERS = 0x4000, 0x40000000, 0x01000000
_EVENT = struct.Struct("iIII")
_FOLDERS = 1000
_SKIPPED = {"__pycache__", "node_modules", "site-packages", "dist-packages"}


class Inotify:
    """The files opened below a folder from now on; where inotify is missing it sees nothing.

    Hidden folders, virtual environments and what lies behind the first 1,000 folders are not looked at. Other
    processes' accesses are in it too: Linux does not say whose they are.

    Attributes:
        opened: paths of files that were opened.
        read: those of them that were closed by somebody who could not write.
        altered: paths that were made, written or moved to.
        overflown: whether the kernel dropped events.
    """

    def __init__(self, root: Path) -> None:
        self.opened: set[str] = set()
        self.read: set[str] = set()
        self.altered: set[str] = set()
        self.overflown = False
        self._folders: dict[int, str] = {}
        self._file = -1
        self._lock = threading.RLock()
        if not sys.platform.startswith("linux"):
            return
        library = ctypes.CDLL(None, use_errno=True)
        self._file = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0:  # too many instances: the fallback is the list of native readers
            return
        for folder in _folders_below(str(root)):
            mask = ctypes.c_uint32(_OPEN | _CLOSE_NOWRITE | _ALTERED | _ONLY_FOLDERS)
            number = library.inotify_add_watch(self._file, os.fsencode(folder), mask)
            if number >= 0:
                self._folders[number] = folder

    def drain(self) -> None:
        """Take the events that wait: the kernel holds 16,384."""
        with self._lock:
            while self._file >= 0:
                try:
                    buffer = os.read(self._file, 1 << 16)
                except BlockingIOError:
                    return
                self._take(buffer)

    def close(self) -> None:
        self.drain()
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _take(self, buffer: bytes) -> None:
        offset = 0
        while offset < len(buffer):
            number, mask, _, length = _EVENT.unpack_from(buffer, offset)
            offset += _EVENT.size + length
            if mask & _OVERFLOW:
                self.overflown = True
            if mask & _IS_FOLDER or not length or number not in self._folders:
                continue
            name = os.fsdecode(buffer[offset - length : offset].rstrip(b"\0"))
            path = os.path.join(self._folders[number], name)
            if mask & _OPEN:
                self.opened.add(path)
            if mask & _CLOSE_NOWRITE:
                self.read.add(path)
            if mask & _ALTERED:
                self.altered.add(path)


def _folders_below(root: str) -> list[str]:
    found: list[str] = []
    waiting = deque([root])
    while waiting and len(found) < _FOLDERS:
        folder = waiting.popleft()
        found.append(folder)
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:  # not ours to read
            continue
        for path in inside:
            name = os.path.basename(path)
            if not name.startswith(".") and name not in _SKIPPED and not os.path.exists(path + "/pyvenv.cfg"):
                waiting.append(path)
    return found
