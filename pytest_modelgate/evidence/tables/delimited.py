"""Columns out of CSV: a header, then one line a sample (RFC 4180, commas, UTF-8)."""

from __future__ import annotations

__tracebackhide__ = True

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

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
        with open_text(self.path) as text:
            found = self._rows(text)
            next(found)
            while chunk := [cells for _, cells in islice(found, rows or _ROWS)]:
                yield {column: [cells[index] for cells in chunk] for column, index in at}

    def place(self, row: int) -> str:
        with open_text(self.path) as text:
            line, _ = next(islice(self._rows(text), row + 1, None))
        return f"{self.name}:{line}"

    def _rows(self, text: TextIO) -> Iterator[tuple[int, list[str]]]:
        """Each row with its last line's number, the header included; an error for one of another length."""
        reader = csv.reader(text, strict=True)
        width = 0
        try:
            for cells in reader:
                if not cells:
                    continue
                width = width or len(cells)
                if len(cells) != width:
                    raise EvidenceError(
                        f"{self.name}:{reader.line_num}: {len(cells)} cells, but the header names {width} columns"
                    )
                yield reader.line_num, cells
        except csv.Error as error:
            raise EvidenceError(f"{self.name}:{reader.line_num}: this is not CSV: {error}") from error

    def _hint(self) -> str:
        other = next((mark for mark in ";\t|" if len(self.columns) == 1 and mark in self.columns[0]), None)
        return f"; its cells seem to be parted by {other!r}, and CSV has commas" if other else ""
