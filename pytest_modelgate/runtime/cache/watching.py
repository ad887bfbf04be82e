"""What a run used beyond its arguments: files, folders, environment variables, code; and what nobody can see."""

from __future__ import annotations

__tracebackhide__ = True

import importlib.machinery
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from pytest_modelgate.runtime.cache import executed, stand_ins
from pytest_modelgate.runtime.cache.events import UNSEEN, native_reader, native_reader_by_name
from pytest_modelgate.runtime.cache.inotify import Inotify
from pytest_modelgate.runtime.cache.places import distribution, is_first_party, place
from pytest_modelgate.runtime.cache.quiet import is_quiet, quietly
from pytest_modelgate.runtime.cache.seen_files import SeenFiles, digest, normal_path

# What terminals and pytest set, and where temporary files go: they differ from run to run and shape no model.
_IDLE_VARIABLES = {
    "COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "PYTEST_CURRENT_TEST", "TMPDIR", "TEMP", "TMP",
}  # fmt: skip
_OWN_FILES = {__file__, stand_ins.__file__, executed.__file__}
_PLUGIN = str(Path(__file__).resolve().parents[2] / "plugin") + os.sep  # writes the journal of verdicts

_lock = threading.RLock()
_active: tuple[Watch, ...] = ()
_hooked = False
_stand_ins: stand_ins.StandIns | None = None


class Watch:
    """Sees what runs inside `with Watch() as watch:`, in every thread of the process.

    Several may be active at once, nested or in threads; each then sees what happens in all of them.

    Args:
        root: the project's folder; the working folder by default. Native code's reads are seen inside it, on Linux.

    Attributes, complete when the block has ended:
        root: as given, absolute.
        started: when, in nanoseconds since 1970.
        code: the code objects of the user's own files that ran; before Python 3.12 until `first_epoch_over()`.
        files: path to digest of each file that was read; None where there was none.
        listings: path to digest of the names in each folder that was listed.
        stats: path to kind and size of what was only looked up: "absent", "folder", "file", "file of 12 bytes".
        environment: name to digest of the value of each variable that was read; None where it was not set.
        distributions: name to version of the installed distributions whose code ran.
        modules: files of the user's modules that were asked for by name (`importlib.import_module`).
        generated: source and data that the run wrote itself.
        reasons: what could not be seen or undone, a sentence each.
        unstable: those of them about files that changed meanwhile: no declaration can lift these.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = Path(os.path.abspath(root or Path.cwd()))
        self.code: tuple[CodeType, ...] = ()
        self.files: dict[str, str | None] = {}
        self.listings: dict[str, str] = {}
        self.stats: dict[str, str] = {}
        self.environment: dict[str, str | None] = {}
        self.distributions: dict[str, str] = {}
        self.started = time.time_ns()
        self._reasons: dict[str, None] = {}
        self.unstable: tuple[str, ...] = ()
        self.generated: set[str] = set()
        self._set_variables: set[str] = set()
        self._third_party: set[str] = set()
        self._code: dict[tuple[str, CodeType], None] = {}
        self._tracing = False
        self.modules: set[str] = set()

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(self._reasons)

    def __enter__(self) -> Watch:
        import multiprocessing

        for child in multiprocessing.active_children():
            self.cannot(f"another process was running already ({child.name}), whose work cannot be seen")
        with quietly():
            self._inotify = Inotify(self.root)
        self._seen = SeenFiles(self.root)
        try:
            problem = executed.start(self)
            self._tracing = problem is None
            if problem is not None:
                self.cannot(problem)
            _activate(self)
        except BaseException:
            executed.stop(self)
            self._inotify.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        _deactivate(self)
        executed.stop(self)
        self._inotify.close()
        if error[0] is None:
            with quietly():
                self._finish()

    def first_epoch_over(self) -> None:
        """Before Python 3.12, see no more code: it costs there. Later versions go on, it costs them nothing."""
        if sys.version_info < (3, 12) and self._tracing:
            executed.stop(self)
            self._tracing = False

    def cannot(self, reason: str) -> None:
        """Note why a model of this run must not be served again."""
        self._reasons[reason] = None

    def ran(self, code: CodeType, kind: str) -> None:
        """A code object ran: called by the tracer."""
        if kind == "first party":
            self._code[code.co_filename, code] = None
            return
        self._third_party.add(code.co_filename)
        reader = native_reader(code)
        if reader is not None:
            self.cannot(f"{reader} reads files by native code, which cannot be seen")

    def _finish(self) -> None:
        self.code = tuple(code for _, code in self._code)  # a set would take equal code of two files for one
        for reader in sorted({reader for code in self.code for reader in native_reader_by_name(code)}):
            self.cannot(f"{reader} reads files by native code, which cannot be seen")
        for path in sorted(self._third_party):
            found = distribution(path)
            if found is not None and not found[0].startswith("__editable__"):  # setuptools' finder of editable installs
                self.distributions[found[0]] = found[1]
        for path in _own_extensions():
            self._seen.read(path)
        if self._inotify.overflown:
            self.cannot("more files were opened than could be watched")
        self._seen.add_unseen(self._inotify.opened, self._inotify.read, self._inotify.altered)
        self.unstable = tuple(self._seen.settle())
        for reason in (*self.unstable, *self._seen.left_behind()):
            self.cannot(reason)
        self.generated = self._seen.generated
        self.files, self.listings, self.stats = self._seen.files, self._seen.listings, self._seen.stats

    def _variable(self, name: str) -> None:
        name = name.upper() if os.name == "nt" else name
        if name in self.environment or name in self._set_variables or name in _IDLE_VARIABLES:
            return
        value = os.environ.get(name)
        self.environment[name] = None if value is None else digest(f"{name}={value}".encode("utf-8", "surrogateescape"))


def first_epoch_over() -> None:
    """Tell every watch that is active."""
    for watch in _active:
        watch.first_epoch_over()


def _activate(watch: Watch) -> None:
    global _active, _hooked, _stand_ins
    with _lock:
        if not _hooked:
            sys.addaudithook(_hook)
            _hooked = True
        if _stand_ins is None:
            _stand_ins = stand_ins.StandIns(_told)
        _active = (*_active, watch)


def _deactivate(watch: Watch) -> None:
    global _active, _stand_ins
    with _lock:
        _active = tuple(other for other in _active if other is not watch)
        if not _active and _stand_ins is not None:
            _stand_ins.undo()
            _stand_ins = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """The audit hook. It stays for good: with no watch active it returns at once."""
    if not _active:
        return
    handler, unseen = _HANDLERS.get(event), UNSEEN.get(event)
    if (handler is None and unseen is None) or is_quiet():
        return
    with quietly():
        if handler is not None:
            handler(*arguments)
        elif unseen is not None and _asked_for():
            for watch in _active:
                watch.cannot(unseen(*arguments))


def _told(what: str, value: Any) -> None:
    """What a stand-in saw."""
    if not _active or is_quiet():
        return
    with quietly():
        _TOLD[what](value)


def _asked_for() -> bool:
    """Whether the event that is being handled is the run's: no import, no display of source, no note in the report.

    The imports of installed packages read files and variables too: the version of the package stands for these.
    """
    frame: FrameType | None = sys._getframe(1)
    innermost = True
    while frame is not None:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        kind = place(path)
        if kind == "first party":
            return True
        if kind == "import system" and name != "get_data" and "_bootstrap" in path:
            return False
        if kind == "standard library" and path.endswith("linecache.py"):
            return False
        if kind == "standard library" and name.startswith("_rmtree"):  # names relative to folders that it opened
            return False
        if innermost and path.startswith(_PLUGIN):
            return False
        if kind in ("third party", "modelgate") and path not in _OWN_FILES:
            innermost = False
        frame = frame.f_back
    return True


def _each(path: Any, note: Callable[[SeenFiles, str], None], known: Callable[[SeenFiles, str], bool]) -> None:
    """Note a path in every active watch, if it matters and the run asked for it."""
    text = normal_path(path)
    if text is None or all(known(watch._seen, text) for watch in _active):
        return
    asked = _asked_for()
    for watch in _active:
        if asked:
            note(watch._seen, text)
        else:
            watch._seen.ignored.add(text)
            if note is SeenFiles.write:
                watch._seen.generated.add(text)


def _on_open(path: Any, mode: Any, flags: Any) -> None:
    flags = flags if isinstance(flags, int) else 0
    if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
        _each(path, SeenFiles.read, SeenFiles.was_read)
    else:
        if not flags & (os.O_WRONLY | os.O_TRUNC):
            _each(path, SeenFiles.read, SeenFiles.was_read)
        _each(path, SeenFiles.write, SeenFiles.was_written)
    for watch in _active:
        watch._inotify.drain()


def _on_list(path: Any = None) -> None:
    _each("." if path is None else path, SeenFiles.list, SeenFiles.was_listed)


def _on_write(path: Any, *_: Any) -> None:
    _each(path, SeenFiles.write, SeenFiles.was_written)


def _on_rename(source: Any, target: Any, *_: Any) -> None:
    _each(source, SeenFiles.remove, SeenFiles.was_written)
    _on_write(target)


def _on_folder(path: Any, *_: Any) -> None:
    _each(path, SeenFiles.make_folder, SeenFiles.was_written)


def _on_remove(path: Any, *_: Any) -> None:
    _each(path, SeenFiles.remove, SeenFiles.was_written)


def _on_library(name: Any) -> None:
    if isinstance(name, (str, bytes)) and os.path.exists(name):
        _on_read(name)


def _on_read(path: Any) -> None:
    _each(path, SeenFiles.read, SeenFiles.was_read)


def _on_stat(path: Any) -> None:
    _each(path, SeenFiles.look_up, SeenFiles.was_looked_up)


def _on_variable(name: str) -> None:
    if all(name in watch.environment for watch in _active) or not _asked_for():
        return
    for watch in _active:
        watch._variable(name)


def _on_set_variable(name: str) -> None:
    for watch in _active:
        watch._set_variables.add(name.upper() if os.name == "nt" else name)


def _on_all_variables(_: Any) -> None:
    if _asked_for():
        for watch in _active:
            watch.cannot("all environment variables were read, of which some differ in every run")


def _on_module(name: Any) -> None:
    """A module asked for by name: what of it was used cannot be told from the code."""
    file = getattr(sys.modules.get(name if isinstance(name, str) else ""), "__file__", None)
    if isinstance(file, str) and is_first_party(file) and _asked_for():
        for watch in _active:
            watch.modules.add(file)


def _on_process(_: Any) -> None:
    if _asked_for():
        for watch in _active:
            watch.cannot("another process was started (multiprocessing), whose work cannot be seen")


_HANDLERS: dict[str, Callable[..., None]] = {
    "open": _on_open,
    "os.listdir": _on_list,
    "os.scandir": _on_list,
    "os.rename": _on_rename,
    "os.link": lambda source, target, *_: _on_write(target),
    "os.symlink": lambda source, target, *_: _on_write(target),
    "os.truncate": _on_write,
    "os.mkdir": _on_folder,
    "os.remove": _on_remove,
    "os.rmdir": _on_remove,
    "shutil.rmtree": _on_remove,
    "ctypes.dlopen": _on_library,
}

_TOLD: dict[str, Callable[[Any], None]] = {
    "stat": _on_stat,
    "read": _on_read,
    "write": _on_write,
    "variable": _on_variable,
    "set variable": _on_set_variable,
    "all variables": _on_all_variables,
    "process": _on_process,
    "module": _on_module,
}


def _own_extensions() -> list[str]:
    """The compiled modules of the user's own that are loaded: their code leaves no trace when it runs."""
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return sorted(
        {file for file in files if isinstance(file, str) and file.endswith(suffixes) and is_first_party(file)}
    )
