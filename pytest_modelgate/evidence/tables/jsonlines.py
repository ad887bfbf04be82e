"""Columns out of JSON Lines: one object a line, with a key for each column."""

from __future__ import annotations

__tracebackhide__ = True

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from pytest_modelgate.evidence.tables.lines import open_text
from pytest_modelgate.evidence.tables.table import Table
from pytest_modelgate.exceptions import EvidenceError, did_you_mean

_ROWS = 1 << 14
_DECODER = json.JSONDecoder()
_LINE_ENDS = ("\n", "\r\n", "")


class JsonLinesTable(Table):
    """A file of JSON Lines; the first line's keys are the columns. Empty lines are passed over."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with open_text(path) as text:
            first = next(self._rows(text), None)
        if first is None:
            raise EvidenceError(f"{self.name} has no rows")
        self.columns = tuple(first[1])

    def chunks(self, wanted: Sequence[str], rows: int | None) -> Iterator[dict[str, Any]]:
        self.require(wanted)
        with open_text(self.path) as text:
            found = self._rows(text)
            while chunk := list(islice(found, rows or _ROWS)):
                yield {column: self._column(column, chunk) for column in wanted}

    def place(self, row: int) -> str:
        with open_text(self.path) as text:
            line, _ = next(islice(self._rows(text), row, None))
        return f"{self.name}:{line}"

    def _column(self, column: str, chunk: list[tuple[int, dict[str, Any]]]) -> list[Any]:
        try:
            return [row[column] for _, row in chunk]
        except KeyError:
            line, row = next((line, row) for line, row in chunk if column not in row)
            raise EvidenceError(
                f"{self.name}:{line}: this row has no {column!r}{did_you_mean(column, row)}; give every row each column"
            ) from None

    def _rows(self, text: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in enumerate(text, 1):
            if line.isspace():
                continue
            try:
                row = _loaded(line)
            except (ValueError, RecursionError) as error:
                raise EvidenceError(f"{self.name}:{number}: this line is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise EvidenceError(f"{self.name}:{number}: a {type(row).__name__}, and no object with named values")
            yield number, row


def _loaded(line: str) -> Any:
    """`json.loads` of a line, in two thirds of the time where nothing but its end stands around an object."""
    if line[0] == "{":
        row, end = _DECODER.raw_decode(line)
        if line[end:] in _LINE_ENDS:
            return row
    return json.loads(line)
