"""Columns out of Parquet, read by pyarrow in batches."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.tables.table import Table
from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BUFFER = 1 << 20
_ROWS = 1 << 15


class ParquetTable(Table):
    """A Parquet file; a column holds numbers, text, or lists of K numbers."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise EvidenceError(
                f"{self.name}: Parquet is read by pyarrow, which is not there: pip install pytest-modelgate[parquet]"
            ) from error
        self._arrow = pyarrow
        self._unreadable = (pyarrow.ArrowException, OSError, ValueError)
        try:
            # Without a buffer the whole of a row group's column would be read at once, however large.
            self._file = pyarrow.parquet.ParquetFile(
                path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
            )
        except self._unreadable as error:
            raise EvidenceError(f"{self.name} is no Parquet file, or is cut off: {_short(error)}") from error
        self.columns = tuple(self._file.schema_arrow.names)

    def close(self) -> None:
        self._file.close()

    def place(self, row: int) -> str:
        return f"{self.name}, row {row:,}"

    def chunks(self, wanted: Sequence[str], rows: int | None) -> Iterator[dict[str, Any]]:
        self.require(wanted)
        try:
            yield from self._chunks(wanted, rows or _ROWS)
        finally:
            self._arrow.default_memory_pool().release_unused()

    def _chunks(self, wanted: Sequence[str], rows: int) -> Iterator[dict[str, Any]]:
        batches = self._file.iter_batches(rows, columns=list(wanted))
        before = 0
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                chunk = {column: self._array(batch.column(column), column, before) for column in wanted}
            except self._unreadable as error:
                raise EvidenceError(f"{self.name} cannot be read past row {before:,}: {_short(error)}") from error
            before += batch.num_rows
            yield chunk

    def _array(self, column: Any, name: str, before: int) -> NDArray[Any]:
        kinds = self._arrow.types
        if column.null_count:
            row = before + column.is_null().index(True).as_py()
            raise EvidenceError(f"{self.place(row)}, column {name!r}: the cell is empty")
        if kinds.is_dictionary(column.type):
            column = column.dictionary_decode()
        if kinds.is_list(column.type) or kinds.is_large_list(column.type) or kinds.is_fixed_size_list(column.type):
            return self._table(column, name, before)
        number = self._is_number(column.type)
        if not number and not kinds.is_string(column.type) and not kinds.is_large_string(column.type):
            raise EvidenceError(f"{self.name}, column {name!r} is of the type {column.type}: save numbers or text")
        if not number:
            return np.array(column.to_pylist(), dtype=object)
        if kinds.is_boolean(column.type):
            return _numbers(column.cast("uint8")).view(np.bool_)
        return _numbers(column)

    def _is_number(self, kind: Any) -> bool:
        kinds = self._arrow.types
        return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind))

    def _table(self, column: Any, name: str, before: int) -> NDArray[Any]:
        """Lists of K numbers as an array [n, K]."""
        lengths = column.value_lengths() if hasattr(column, "value_lengths") else None
        flat = column.flatten()
        if not len(flat) or not self._is_number(flat.type):
            raise EvidenceError(
                f"{self.name}, column {name!r} is of the type {column.type}, and holds no K numbers a row"
            )
        if flat.null_count:
            raise EvidenceError(f"{self.name}, column {name!r}: a list holds an empty cell")
        numbers = self._array(flat, name, before)
        width = len(numbers) // max(1, len(column))
        if lengths is not None:
            other = _numbers(lengths) != lengths[0].as_py()
            if other.any():
                row = before + int(other.argmax())
                raise EvidenceError(
                    f"{self.place(row)}, column {name!r}: {lengths[row - before]} numbers, but {lengths[0]} before it"
                )
        return numbers.reshape(len(column), width)


def _numbers(column: Any) -> NDArray[Any]:
    """The column's memory as an array, [n]; its own to_numpy would import pandas, where that is installed."""
    memory = column.buffers()[1]
    kind: np.dtype[Any] = np.dtype(column.type.to_pandas_dtype())
    if memory is None or not len(column):
        return np.zeros(0, dtype=kind)
    return np.frombuffer(memory, dtype=kind, count=len(column), offset=column.offset * kind.itemsize)


def _short(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
