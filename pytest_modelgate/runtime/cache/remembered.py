"""What functions with `functools.lru_cache` remember."""

from __future__ import annotations

__tracebackhide__ = True

import gc
from typing import Any


class Remembered:
    """What functions remembered when they were first asked, and nothing that they remember since.

    A training that fills them changes nothing that it depends on: what it remembers it computed, and was seen to.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, list[tuple[Any, Any]] | None]] = {}  # holds the functions, and so their ids

    def of(self, function: Any) -> list[tuple[Any, Any]] | None:
        """The calls with their results, oldest first; None if unreadable."""
        if id(function) not in self._known:
            self._known[id(function)] = function, results_of(function)
        return self._known[id(function)][1]


def results_of(function: Any) -> list[tuple[Any, Any]] | None:
    """The calls that a function with `lru_cache` remembers, with their results, oldest first; None if unreadable.

    >>> import functools
    >>> @functools.lru_cache
    ... def double(x):
    ...     return 2 * x
    >>> [double(3), double(4)]
    [6, 8]
    >>> results_of(double)
    [(3, 6), (4, 8)]
    """
    size = function.cache_info().currsize
    if size == 0:
        return []
    held = gc.get_referents(function)
    tables = [each for each in held if type(each) is dict and each is not vars(function) and len(each) == size]
    if len(tables) != 1:
        return None
    [table] = tables
    if not any(type(each).__name__ == "_lru_list_elem" for each in table.values()):
        return list(table.items())
    for step in (2, 3):  # key, result and, in some versions of Python, a type: again and again among what it holds
        for start in range(len(held) - step * size + 1):
            keys = held[start : start + step * size : step]
            if {id(key) for key in keys} == {id(key) for key in table}:
                return list(zip(keys, held[start + 1 : start + step * size : step], strict=True))
    return None
