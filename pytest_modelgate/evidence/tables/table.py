"""A file of columns with one row a sample, whatever its format."""

from __future__ import annotations

__tracebackhide__ = True

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import EvidenceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Self

CHUNK_ROWS = 1 << 17
"""Most rows of a chunk where the user says nothing."""
CHUNK_BYTES = 1 << 25
"""Most bytes of a chunk where the user says nothing."""


class Table(AbstractContextManager["Table"], ABC):
    """An open file. A column of a chunk is an array, or a list of cells where the format has no types.

    Attributes:
        name: what the user calls the file, for messages.
        columns: the names of its columns.
        text: whether every cell is text, numbers too.
    """

    text = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.columns: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the file holds."""

    @abstractmethod
    def chunks(self, wanted: Sequence[str], rows: int | None) -> Iterator[dict[str, Any]]:
        """The wanted columns, at most so many rows at a time, from the first row on; may be called again.

        Raises:
            EvidenceError: the file is not what its name says, is cut off, or its columns differ in length.
        """

    @abstractmethod
    def place(self, row: int) -> str:
        """File and line of a row that is counted from 0, or the row where there are no lines."""

    def require(self, wanted: Sequence[str]) -> None:
        """An `EvidenceError` unless the file has each of these columns, once."""
        for column in wanted:
            found = self.columns.count(column)
            if found > 1:
                raise EvidenceError(f"{self.name} has {found} columns {column!r}; give each a name of its own")
            if not found:
                shown = ", ".join(map(repr, self.columns[:20])) + (", ..." if len(self.columns) > 20 else "")
                raise EvidenceError(
                    f"{self.name} has no column {column!r}{did_you_mean(column, self.columns)} "
                    f"(it has {shown or 'none'}){self._hint()}"
                )

    def _hint(self) -> str:
        return ""


def rows_within(row_bytes: int, rows: int | None) -> int:
    """How many rows a chunk has: what the user said, else as many as fit.

    >>> rows_within(8, None), rows_within(8000, None), rows_within(8, 10)
    (131072, 4194, 10)
    """
    return rows or max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(1, row_bytes)))
