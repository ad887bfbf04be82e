"""Columns out of CSV: a header, then one line a sample (RFC 4180, commas, UTF-8)."""

from __future__ import annotations

__tracebackhide__ = True

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, TextIO

from pytest_modelgate.evidence.tables.lines import open_text
from pytest_modelgate.evidence.tables.table import Table
from pytest_modelgate.exceptions import EvidenceError

_ROWS = 1 << 14


class CsvTable(Table):
    """A CSV file; every cell is text. Empty lines are passed over."""

    text = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with open_text(path) as text:
            header = next(self._rows(text), None)
        if header is None:
            raise EvidenceError(f"{self.name} is empty: its first line must name the columns")
        self.columns = tuple(header[1])

    def chunks(self, wanted: Sequence[str], rows: int | None) -> Iterator[dict[str, Any]]:
        self.require(wanted)
        at = [(column, self.columns.index(column)) for column in wanted]
        width = len(self.columns)
        with open_text(self.path) as text:
            reader = csv.reader(text, strict=True)
            with self._told(reader):
                while not next(reader):  # the header comes after empty lines, if any
                    pass
                while chunk := list(islice(reader, rows or _ROWS)):
                    if set(map(len, chunk)) != {width}:
                        chunk = [cells for cells in chunk if cells]
                        if any(len(cells) != width for cells in chunk):
                            self._refuse_ragged()
                    if chunk:
                        yield {column: [cells[index] for cells in chunk] for column, index in at}

    def place(self, row: int) -> str:
        with open_text(self.path) as text:
            line, _ = next(islice(self._rows(text), row + 1, None))
        return f"{self.name}:{line}"

    def _rows(self, text: TextIO) -> Iterator[tuple[int, list[str]]]:
        """Each row that is not empty with its last line's number, the header included."""
        reader = csv.reader(text, strict=True)
        with self._told(reader):
            for cells in reader:
                if cells:
                    yield reader.line_num, cells

    def _refuse_ragged(self) -> NoReturn:
        """An error for the first row of another length, which is found by reading once more."""
        width = len(self.columns)
        with open_text(self.path) as text:
            for line, cells in self._rows(text):
                if len(cells) != width:
                    raise EvidenceError(f"{self.name}:{line}: {len(cells)} cells, but the header names {width} columns")
        raise EvidenceError(f"{self.name} changed while it was read; read it again")

    @contextmanager
    def _told(self, reader: Any) -> Iterator[None]:
        """What the reader refuses, told with file and line."""
        try:
            yield
        except csv.Error as error:
            raise EvidenceError(f"{self.name}:{reader.line_num}: this is not CSV: {error}") from error

    def _hint(self) -> str:
        other = next((mark for mark in ";\t|" if len(self.columns) == 1 and mark in self.columns[0]), None)
        return f"; its cells seem to be parted by {other!r}, and CSV has commas" if other else ""
