"""Stand-ins while a run is watched, for what Python reports no event of: `os.stat`, `os.environ`, native files.

Each passes its call on unchanged. When the last watch ends, everything is as it was before.
"""

from __future__ import annotations

__tracebackhide__ = True

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

Tell = Callable[[str, Any], None]

_MISSING = object()
# Functions that open files natively: module, owner inside it, name, what they do with the path, their first argument.
_NATIVE = (
    ("torch", "", "from_file", "read"),
    ("torch", "UntypedStorage", "from_file", "read"),
    ("torch.serialization", "", "_open_zipfile_writer", "write"),
    ("safetensors", "", "safe_open", "read"),
    ("safetensors.torch", "", "safe_open", "read"),
    ("safetensors.torch", "", "serialize_file", "write second"),
    ("safetensors.numpy", "", "serialize_file", "write second"),
)
_STATS = ("stat", "lstat", "access")


class StandIns:
    """The replaced attributes, and what stood there."""

    def __init__(self, tell: Tell) -> None:
        """Put them in place: each use calls `tell("stat" | "read" | "write", path)` or tells of the environment,
        `tell("variable", name)`, `tell("set variable", name)`, `tell("all variables", None)`; of a module asked for
        by name, `tell("module", name)`, and of a process, `tell("process", ...)`.
        """
        from multiprocessing.process import BaseProcess

        self._before: list[tuple[Any, str, Any]] = []
        self._sets: list[tuple[set[Any], Any]] = []
        self._environments: list[tuple[Any, type]] = []
        for name in _STATS:
            self._replace_stat(name, tell)
        if os.name == "nt":  # asks the system itself, without os.stat
            for name in ("exists", "lexists", "isfile", "isdir"):
                self._put(os.path, name, _path_told(getattr(os.path, name), "stat", tell))
        # Processes that are spawned, not forked, raise no audit event.
        self._put(BaseProcess, "start", _path_told(BaseProcess.start, "process", tell))
        self._put(importlib, "import_module", _module_told(importlib.import_module, tell))
        for module, inside, name, what in _NATIVE:
            owner = sys.modules.get(module)
            if owner is not None and inside:
                owner = getattr(owner, inside, None)
            if owner is not None and hasattr(owner, name):
                self._put(owner, name, _path_told(getattr(owner, name), what, tell))
        recording = _recording(type(os.environ), tell)
        for environment in (os.environ, getattr(os, "environb", None)):
            if environment is not None:
                self._environments.append((environment, type(environment)))
                environment.__class__ = recording

    def undo(self) -> None:
        for owner, name, before in reversed(self._before):
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        for functions, stand_in in self._sets:
            functions.discard(stand_in)
        for environment, kind in self._environments:
            environment.__class__ = kind

    def _put(self, owner: Any, name: str, stand_in: Any) -> None:
        self._before.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, stand_in)

    def _replace_stat(self, name: str, tell: Tell) -> None:
        original = getattr(os, name)
        stand_in = _path_told(original, "stat", tell)
        # shutil and others ask, when they are imported, whether os.stat is among these.
        for functions in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
            if original in functions:
                functions.add(stand_in)
                self._sets.append((functions, stand_in))
        self._put(os, name, stand_in)
        accessor = getattr(sys.modules.get("pathlib"), "_NormalAccessor", None)  # Python 3.10 binds them there
        if accessor is not None and name in vars(accessor):
            self._put(accessor, name, staticmethod(stand_in))


def _path_told(original: Callable[..., Any], what: str, tell: Tell) -> Callable[..., Any]:
    what, _, second = what.partition(" ")

    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        paths = args[1:2] if second else args[:1]
        named = (kwargs.get(name) for name in ("path", "filename", "name_or_buffer"))
        path = paths[0] if paths else next((value for value in named if value is not None), None)
        if kwargs.get("dir_fd") is None:
            tell(what, path)
        return original(*args, **kwargs)

    return stand_in


def _module_told(original: Callable[..., Any], tell: Tell) -> Callable[..., Any]:
    @functools.wraps(original)
    def stand_in(name: str, package: str | None = None) -> Any:
        module = original(name, package)
        tell("module", getattr(module, "__name__", None))
        return module

    return stand_in


def _recording(kind: Any, tell: Tell) -> type:
    def text(name: Any) -> str:
        return os.fsdecode(name) if isinstance(name, (str, bytes)) else repr(name)

    class RecordingEnviron(kind):  # type: ignore[misc]
        """`os.environ` while a run is watched."""

        def __getitem__(self, name: Any) -> Any:
            tell("variable", text(name))
            return super().__getitem__(name)

        def __setitem__(self, name: Any, value: Any) -> None:
            tell("set variable", text(name))
            super().__setitem__(name, value)

        def __delitem__(self, name: Any) -> None:
            tell("set variable", text(name))
            super().__delitem__(name)

        def __iter__(self) -> Iterator[Any]:
            tell("all variables", None)
            everything: Iterator[Any] = super().__iter__()
            return everything

        def __len__(self) -> int:
            tell("all variables", None)
            return int(super().__len__())

        def __repr__(self) -> str:
            tell("all variables", None)
            return str(super().__repr__())

        def copy(self) -> Any:
            tell("all variables", None)
            return super().copy()

    return RecordingEnviron
