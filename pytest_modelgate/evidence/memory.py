"""What was already worked out of one value, so that it is not worked out again."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

T = TypeVar("T")


class Memory:
    """Results by what was asked. A deep copy, or what pickle brings back, starts with none."""

    __slots__ = ("_results",)

    def __init__(self) -> None:
        self._results: dict[Hashable, Any] = {}

    def get(self, key: Hashable, work_out: Callable[[], T]) -> T:
        """The result of an earlier call with this key, else that of `work_out`; what cannot be hashed is not kept.

        >>> memory = Memory()
        >>> memory.get("a", lambda: 1), memory.get("a", lambda: 2), memory.get(["a"], lambda: 3)
        (1, 1, 3)
        """
        try:
            hash(key)
        except TypeError:
            return work_out()
        if key not in self._results:
            self._results[key] = work_out()
        result: T = self._results[key]
        return result

    def __reduce__(self) -> tuple[type[Memory], tuple[()]]:
        return Memory, ()


def as_key(asked: Mapping[str, Any]) -> tuple[tuple[str, type, Any], ...]:
    """Named values in the order of their names, each with its type: 1, 1.0 and True are three questions.

    >>> as_key({"k": 1}) == as_key({"k": True})
    False
    """
    return tuple(sorted((name, type(value), value) for name, value in asked.items()))
