"""What a watch does itself must not look like the run's doing."""

from __future__ import annotations

__tracebackhide__ = True

import threading

_thread = threading.local()


def is_quiet() -> bool:
    """Whether this thread is inside `quietly()`."""
    return getattr(_thread, "quiet", False)


class quietly:  # noqa: N801 - used as a function; contextlib's generators cost a microsecond each
    """What this thread does inside is no event; or is one again, with `quietly(False)` inside of it."""

    def __init__(self, quiet: bool = True) -> None:
        self._quiet = quiet

    def __enter__(self) -> None:
        self._before = is_quiet()
        _thread.quiet = self._quiet

    def __exit__(self, *_: object) -> None:
        _thread.quiet = self._before
