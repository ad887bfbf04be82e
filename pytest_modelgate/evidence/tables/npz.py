"""Columns out of numpy's .npz, which is a zip of arrays: read piece by piece, compressed or not, never unpickled."""

from __future__ import annotations

__tracebackhide__ = True

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.tables.table import Table, rows_within
from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHOLE_BYTES = 1 << 28
_HEADER_BYTES = 1 << 16
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)


class NpzTable(Table):
    """An .npz file; each array is a column of its name, [N] or [N, K]."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise EvidenceError(f"{self.name} is no .npz file, or is cut off: {error}") from error
        members = self._archive.namelist()
        self.columns = tuple(member[: -len(".npy")] for member in members if member.endswith(".npy"))

    def close(self) -> None:
        self._archive.close()

    def place(self, row: int) -> str:
        return f"{self.name}, row {row:,}"

    def chunks(self, wanted: Sequence[str], rows: int | None) -> Iterator[dict[str, Any]]:
        self.require(wanted)
        arrays = {column: _Array(self._archive, column, self.name) for column in wanted}
        try:
            lengths = {column: array.length for column, array in arrays.items()}
            if len(set(lengths.values())) > 1:
                shown = ", ".join(f"{column} {length:,}" for column, length in lengths.items())
                raise EvidenceError(f"{self.name} has columns of different lengths: {shown}")
            length = max(lengths.values())
            step = rows_within(sum(array.row_bytes for array in arrays.values()), rows)
            for start in range(0, length, step):
                yield {column: array.read(min(step, length - start)) for column, array in arrays.items()}
        finally:
            for array in arrays.values():
                array.close()


class _Array:
    """One array of the archive, read from its first row on."""

    def __init__(self, archive: zipfile.ZipFile, column: str, file: str) -> None:
        self._what = f"{file}, array {column!r}"
        self._whole: NDArray[Any] | None = None
        self._read = 0
        try:
            with archive.open(f"{column}.npy") as member:
                head = io.BytesIO(member.read(_HEADER_BYTES))  # no more, however long the header says that it is
            version = np.lib.format.read_magic(head)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, by_columns, self._dtype = read[version](head)
            self._stream: IO[bytes] = archive.open(f"{column}.npy")
            self._stream.read(head.tell())
        except KeyError as error:  # of a version that numpy writes for arrays of named fields alone
            raise EvidenceError(f"{self._what} is no array of numbers or text: {error}") from error
        except _UNREADABLE as error:
            raise EvidenceError(f"{self._what} cannot be read: {error}") from error
        if self._dtype.kind not in "fiubUS":
            remedy = "it would have to be unpickled; save numbers or text" if self._dtype.hasobject else "save numbers"
            raise EvidenceError(f"{self._what} is of the type {self._dtype}: {remedy}")
        if len(shape) not in (1, 2) or 0 in shape[1:] or not self._dtype.itemsize:
            raise EvidenceError(f"{self._what} has the shape {list(shape)}; a column is [N] or [N, K]")
        self.length: int = shape[0]
        self._shape = shape[1:]
        self.row_bytes = self._dtype.itemsize * prod(self._shape)
        if self.row_bytes > _WHOLE_BYTES:
            raise EvidenceError(f"{self._what} has rows of {self.row_bytes:,} bytes, which are too large to be read")
        self._by_columns = bool(by_columns) and len(shape) == 2
        if self._by_columns and self.length * self.row_bytes > _WHOLE_BYTES:
            raise EvidenceError(
                f"{self._what} stands column by column, so that it would be read whole, and it is large: save "
                "np.ascontiguousarray of it"
            )

    def close(self) -> None:
        self._stream.close()

    def read(self, rows: int) -> NDArray[Any]:
        """The next rows, in the machine's byte order."""
        if self._by_columns:
            if self._whole is None:
                self._whole = self._values(self.length).reshape(*self._shape, self.length).T
            array = self._whole[self._read : self._read + rows]
        else:
            array = self._values(rows).reshape(rows, *self._shape)
        self._read += rows
        if array.dtype.kind == "S":
            try:
                return np.char.decode(array, "utf-8")
            except UnicodeDecodeError as error:
                raise EvidenceError(f"{self._what} is text that is not UTF-8") from error
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def _values(self, rows: int) -> NDArray[Any]:
        """So many rows' values out of the stream, [rows * K]."""
        wanted = rows * self.row_bytes
        try:
            read = self._stream.read(wanted)
        except _UNREADABLE as error:
            raise EvidenceError(f"{self._what} cannot be read past row {self._read:,}: {error}") from error
        if len(read) < wanted:
            raise EvidenceError(f"{self._what} is cut off: it ends before row {self._read + rows:,} of {self.length:,}")
        return np.frombuffer(read, dtype=self._dtype)
