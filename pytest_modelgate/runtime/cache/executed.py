"""Which code runs: each code object once, by `sys.monitoring` from Python 3.12 on, by a profile function before."""

from __future__ import annotations

__tracebackhide__ = True

import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Protocol

from pytest_modelgate.runtime.cache.places import place
from pytest_modelgate.runtime.cache.quiet import quietly


class Listener(Protocol):
    def ran(self, code: CodeType, kind: str) -> None:
        """A code object of the user's ("first party") or of an installed distribution ("third party") ran."""


_lock = threading.RLock()
_listeners: tuple[Listener, ...] = ()
# Tool ids that neither debuggers, coverage nor profilers have by convention come first.
_TOOL_IDS = (4, 3, 5, 0)
_tool: int | None = None
_depths = threading.local()
_known: dict[int, CodeType] = {}  # keeps the code alive, so that an id is not given again
_hook_before: Any = None


def start(listener: Listener) -> str | None:
    """Tell the listener of all code that runs from now on; the reason where that is impossible."""
    global _listeners
    with _lock:
        problem = _begin()
        if problem is None:
            _listeners = (*_listeners, listener)
            _known.clear()
        return problem


def stop(listener: Listener) -> None:
    """Tell the listener no more; the last one gone, nothing of this stays in the interpreter."""
    global _listeners
    with _lock:
        if not any(known is listener for known in _listeners):
            return
        _listeners = tuple(known for known in _listeners if known is not listener)
        _end()
        if not _listeners:
            _known.clear()


def _tell(code: CodeType, frame: Callable[[], FrameType]) -> None:
    with quietly():  # it looks links up
        kind = place(code.co_filename)
        if kind == "generated" and _generated_by_the_user(code, frame()):
            kind = "first party"
    if kind in ("first party", "third party"):
        for listener in _listeners:
            listener.ran(code, kind)


def _generated_by_the_user(code: CodeType, frame: FrameType) -> bool:
    """Whether code without a file is the user's, made before the run, and no method that a decorator wrote.

    What the run itself compiles comes from its source, its arguments or the files that it reads: they are seen.
    """
    if code.co_name.startswith(("__", "<")):  # of a dataclass; <module> and <lambda> of exec and eval
        return False
    module = sys.modules.get(frame.f_globals.get("__name__", ""))
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and place(file) == "first party"


if sys.version_info >= (3, 12):
    _monitoring = sys.monitoring

    def _begin() -> str | None:
        global _tool
        if _tool is None:
            _tool = next((tool for tool in _TOOL_IDS if _monitoring.get_tool(tool) is None), None)
            if _tool is None:
                return "every tool id of sys.monitoring is in use, so that it cannot be seen which code ran"
            events = _monitoring.events.PY_START | _monitoring.events.PY_RESUME
            _monitoring.use_tool_id(_tool, "pytest-modelgate")
            for event in (_monitoring.events.PY_START, _monitoring.events.PY_RESUME):
                _monitoring.register_callback(_tool, event, _on_start)
            _monitoring.set_events(_tool, events)
        _monitoring.restart_events()  # code that an earlier run saw speaks up again
        return None

    def _end() -> None:
        global _tool
        if _listeners or _tool is None:
            return
        _monitoring.set_events(_tool, 0)
        for event in (_monitoring.events.PY_START, _monitoring.events.PY_RESUME):
            _monitoring.register_callback(_tool, event, None)
        _monitoring.free_tool_id(_tool)
        _tool = None

    def _on_start(code: CodeType, offset: int) -> Any:
        _tell(code, lambda: sys._getframe(3))
        return _monitoring.DISABLE

else:

    def _begin() -> str | None:
        global _hook_before
        if sys.getprofile() is not None and sys.getprofile() is not _profile:
            return "another profiler is active, so that it cannot be seen which code ran"
        _depths.here = getattr(_depths, "here", 0) + 1
        if not _listeners:
            _hook_before = threading.getprofile()
            threading.setprofile(_profile)
        sys.setprofile(_profile)
        return None

    def _end() -> None:
        if not _listeners:
            threading.setprofile(_hook_before)
        _depths.here = getattr(_depths, "here", 0) - 1
        if _depths.here <= 0:
            _depths.here = 0
            if sys.getprofile() is _profile:
                sys.setprofile(None)

    def _profile(frame: FrameType, event: str, argument: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        if id(code) not in _known:
            if not _listeners:  # a thread that outlived the run
                sys.setprofile(None)
                return
            _known[id(code)] = code
            _tell(code, lambda: frame)
