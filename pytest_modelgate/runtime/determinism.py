"""Deterministic operations and a fixed number of threads for a while, and the names of what is not deterministic."""

from __future__ import annotations

__tracebackhide__ = True

import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# What torch says where an operation has no deterministic implementation.
_SAID = (
    re.compile(r"(.+?) does not have a deterministic implementation"),
    re.compile(r"(.+? attention) defaults to a non-deterministic algorithm", re.IGNORECASE),
    re.compile(r"Deterministic behavior was enabled with .*(CuBLAS)", re.DOTALL),
)


class _Overheard:
    """Stands in a warnings filter as its message: hears of every warning, and takes torch's on determinism.

    A filter is asked about each warning and changes nothing about those that it does not match: they go the way that
    they would have gone, to pytest's recorder, to the screen or into an error.
    """

    def __init__(self, *, keep: bool) -> None:
        self.operations: dict[str, None] = {}
        self._keep = keep

    def match(self, text: str) -> bool:
        """Note the operation that a warning names; true where the warning ends here."""
        for pattern in _SAID:
            found = pattern.match(text)
            if found is not None:
                self.operations[found[1].strip()] = None
                return not self._keep
        return False


@contextmanager
def deterministic() -> Iterator[dict[str, None]]:
    """Let torch take its deterministic algorithms; gives the names of operations that have none, as they occur.

    Their warnings are not shown. A mode that the user has set himself stays as it is, and so do its warnings. Memory
    that is not initialised is not filled, as torch would do in this mode: that costs time and changes no sound model.
    """
    import torch
    import torch.utils.deterministic as memory

    mode = torch.get_deterministic_debug_mode()
    fills = memory.fill_uninitialized_memory  # type: ignore[attr-defined]
    heard = _Overheard(keep=mode != 0)
    entry: Any = ("ignore", heard, Warning, None, 0)
    _insert(entry)
    try:
        if mode == 0:
            # The same switch as use_deterministic_algorithms, without loading torch's compiler for it.
            torch.set_deterministic_debug_mode(1)
            memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        yield heard.operations
    finally:
        if mode == 0:
            torch.set_deterministic_debug_mode(0)
            memory.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
        _remove(entry)


@contextmanager
def threads_pinned(threads: int) -> Iterator[None]:
    """So many CPU threads for torch's operations, and as many as before at the end."""
    import torch

    before = torch.get_num_threads()
    if before != threads:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def _insert(entry: Any) -> None:
    filters: Any = warnings.filters
    filters.insert(0, entry)
    _forget_seen()


def _remove(entry: Any) -> None:
    filters: Any = warnings.filters
    filters[:] = [one for one in filters if one is not entry]
    _forget_seen()


def _forget_seen() -> None:
    """Have Python ask the filters again about warnings that it has shown once, as each change of filters does."""
    changed = getattr(warnings, "_filters_mutated", None) or getattr(warnings, "_filters_mutated_lock_held", None)
    if changed is not None:
        changed()
