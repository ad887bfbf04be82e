"""Cells of a file as numbers, names and classes; what is none is an error that names its line."""

from __future__ import annotations

__tracebackhide__ = True

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.identity import hash_names
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.slicing import SliceColumn, slice_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.tables.table import Table

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,999})")  # Python reads no number of more than 4,300 digits
_BOOLS = {"True": True, "true": True, "False": False, "false": False}


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one column in one chunk.

    Attributes:
        values: an array, or a list where the format has no types; [n], or [n, K].
        column: the column's name.
        table: the file.
        start: the number of the chunk's first row.
    """

    values: Any
    column: str
    table: Table
    start: int

    def wrong(self, row: int, says: str) -> EvidenceError:
        """An error at a row of this chunk."""
        return EvidenceError(f"{self.table.place(self.start + row)}, column {self.column!r}: {says}")

    def unlike(self, says: str) -> EvidenceError:
        """An error of the whole column."""
        return EvidenceError(f"{self.table.name}, column {self.column!r}: {says}")

    @property
    def filled(self) -> Any:
        """The values; an `EvidenceError` where one is empty, null or NaN."""
        row = _first_empty(self.values)
        if row is not None:
            is_nan = isinstance(self.values, np.ndarray) and self.values.dtype.kind == "f"
            raise self.wrong(row, "the value is NaN" if is_nan else "the cell is empty")
        return self.values


def numbers(cells: Cells) -> NDArray[Any]:
    """Finite numbers, [n] or [n, K]."""
    values = cells.filled
    if not isinstance(values, np.ndarray):
        values = _parsed(cells) if cells.table.text else _of_json(cells)
    if values.dtype.kind not in "fiub":
        raise cells.wrong(0, f"{values[0]!r} is no number")
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            row = int(np.argmin(finite.reshape(len(values), -1).all(axis=1)))
            raise cells.wrong(row, f"{values[row].tolist()!r} is not finite")
    return np.asarray(values)


def weights(cells: Cells) -> NDArray[np.float64]:
    """Finite numbers of at least 0, [n]."""
    found = _one_column(cells, numbers(cells))
    if found.min(initial=0) < 0:
        row = int(np.argmax(found < 0))
        raise cells.wrong(row, f"the weight {found[row]} is negative")
    return np.asarray(found, dtype=np.float64)


def names(cells: Cells) -> NDArray[np.uint64]:
    """A 64-bit hash of each name, uint64 [n]; text that reads as a whole number, such as 17 but not 017, is one."""
    values = cells.filled
    if isinstance(values, np.ndarray):
        _one_column(cells, values)
        if values.dtype.kind not in "iuUO":
            raise cells.unlike(f"names must be strings or whole numbers, not {values.dtype}")
    elif cells.table.text:
        values = _whole_where_possible(values)
    elif not set(map(type, values)) <= {str, int}:
        row = next(row for row, value in enumerate(values) if type(value) not in (str, int))
        raise cells.wrong(row, f"{values[row]!r} is no name; give strings or whole numbers")
    return hash_names(values, cells.column)


def slicing(cells: Cells) -> Any:
    """The values that samples are cut by, [n]."""
    return cells.filled


def slicing_of_text(column: SliceColumn) -> SliceColumn:
    """The whole column, of text: as bools where every value is true or false, as numbers where each reads as one.

    >>> slicing_of_text(slice_column("age", ["9", "10", "9"])).values
    (9, 10)
    """
    values: list[Any] = [str(value) for value in column.values]
    if values and set(values) <= _BOOLS.keys():
        values = [_BOOLS[value] for value in values]
    elif all(_WHOLE.fullmatch(value) and value != "-0" and -(2**63) <= int(value) < 2**63 for value in values):
        values = list(map(int, values))
    typed = slice_column(column.name, values)
    return SliceColumn(column.name, typed.codes[column.codes], typed.values)


def as_index(text: object) -> int | None:
    """The whole number that a cell holds, or text that reads as one; None where it does not.

    >>> as_index("17"), as_index("1.0"), as_index(2.0), as_index("017"), as_index("x")
    (17, 1, 2, None, None)
    """
    if isinstance(text, str):
        number = text.removesuffix(".0")
        return int(number) if _WHOLE.fullmatch(number) else None
    whole = isinstance(text, int) or (isinstance(text, float) and text.is_integer())
    return int(text) if whole else None  # type: ignore[call-overload]


def _first_empty(values: Any) -> int | None:
    if not isinstance(values, np.ndarray):
        return next((values.index(empty) for empty in (None, "") if empty in values), None)
    if values.dtype.kind == "f":
        bad = np.isnan(values)
    elif values.dtype.kind in "UO":
        bad = values == ""
    else:
        return None
    return int(np.argmax(bad.reshape(len(values), -1).any(axis=1))) if bad.any() else None


def _one_column(cells: Cells, values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 1:
        raise cells.unlike(f"one value a row is wanted, not {values.shape[1]}")
    return values


def _parsed(cells: Cells) -> NDArray[Any]:
    """Text as numbers, or as bools where all is true or false; Python's own 1_000 is none."""
    if cells.values[0] in _BOOLS and set(cells.values) <= _BOOLS.keys():
        return np.array([_BOOLS[value] for value in cells.values], dtype=bool)
    try:
        found = np.array(cells.values, dtype=np.float64)
        if "_" not in "".join(cells.values):
            return found
    except ValueError:
        pass
    row = next(row for row, value in enumerate(cells.values) if not _is_number(value))
    raise cells.wrong(row, f"{cells.values[row]!r} is no number")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _of_json(cells: Cells) -> NDArray[Any]:
    values = cells.values
    lists = isinstance(values[0], list)
    width = len(values[0]) if lists else 1
    for row, value in enumerate(values):
        each: Sequence[Any] = value if isinstance(value, list) else (value,)
        if len(each) != width or not width or isinstance(value, list) != lists:
            raise cells.wrong(row, f"{_shape(value)}, but {_shape(values[0])} in the first row")
        for one in each:
            if type(one) not in (int, float, bool):
                raise cells.wrong(row, f"{one!r} is no number")
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise cells.unlike(f"a number is too large: {error}") from error


def _shape(value: Any) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else "a single value"


def _whole_where_possible(values: list[str]) -> Any:
    """Text as whole numbers: all at once where every one is, else one by one."""
    try:
        whole = list(map(int, values))
        if list(map(str, whole)) == values:
            return np.array(whole) if min(whole) >= -(2**63) and max(whole) < 2**63 else whole
    except ValueError:
        pass
    return [int(value) if _WHOLE.fullmatch(value) and value != "-0" else value for value in values]
