"""A column that batches are appended to."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST = 1 << 12


class Growing:
    """One array [N, ...] in one piece of memory, which grows by an eighth; where the system can, without a copy.

    Many pieces would stand in memory twice when they are joined, and leave gaps in it when they are freed.

    >>> column = Growing()
    >>> column.append(np.array([1, 2], dtype=np.uint8))
    >>> column.append(np.array([300], dtype=np.uint16))
    >>> column.take()
    array([  1,   2, 300], dtype=uint16)
    """

    def __init__(self) -> None:
        self._array: NDArray[Any] | None = None
        self._filled = 0

    @property
    def filled(self) -> NDArray[Any]:
        """What was appended so far, to be read before the next is."""
        return np.zeros(0) if self._array is None else self._array[: self._filled]

    def append(self, part: NDArray[Any]) -> None:
        """Append entries of the same shape; their type may be wider than before, as in `np.concatenate`."""
        if self._array is None:
            self._array = np.empty((max(len(part), _LEAST), *part.shape[1:]), dtype=part.dtype)
        elif self._array.dtype != part.dtype:
            kind = np.result_type(self._array.dtype, part.dtype)
            if kind != self._array.dtype:
                self._array = self.filled.astype(kind)
        stop = self._filled + len(part)
        if stop > len(self._array):
            self._resize(max(stop, len(self._array) + max(_LEAST, len(self._array) // 8)))
        self._array[self._filled : stop] = part
        self._filled = stop

    def take(self) -> NDArray[Any]:
        """All of it, which is then the taker's alone."""
        assert self._array is not None
        self._resize(self._filled)
        array, self._array, self._filled = self._array, None, 0
        return array

    def _resize(self, rows: int) -> None:
        assert self._array is not None
        self._array.resize((rows, *self._array.shape[1:]), refcheck=False)  # nothing else refers to its memory
