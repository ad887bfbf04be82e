"""Columns that cut samples into slices: one of few values for each sample, kept in a byte or two."""

from __future__ import annotations

__tracebackhide__ = True

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

SliceValue: TypeAlias = "str | int | bool"

MOST_VALUES = 4096
_CHUNK = 1 << 18
_SPAN = 1 << 16
_BOTH = (True, False)
_WANTED = "give every sample a string, a whole number or a bool"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SliceColumn:
    """What one column says of each sample. `+` concatenates.

    Attributes:
        name: the column's name.
        codes: where each sample's value stands among `values`, uint8 or, beyond 256 values, uint16 [N].
        values: the distinct values, sorted, each of some sample; of a column of bools always True and False.
    """

    name: str
    codes: NDArray[Any]
    values: tuple[SliceValue, ...]

    def __post_init__(self) -> None:
        self.codes.flags.writeable = False

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def titles(self) -> tuple[str, ...]:
        """The names of its slices: "region=north" and so on; of bools "urgent" and "not urgent"."""
        return tuple(map(self.title, range(len(self.values))))

    def title(self, code: int) -> str:
        """The name of one of its slices."""
        if self.values == _BOTH:
            return f"not {self.name}" if code else self.name
        return f"{self.name}={self.values[code]}"

    def find(self, title: str) -> int | None:
        """The code of the slice of this name; None where there is none.

        >>> slice_column("age", [30, 50, 30]).find("age=50")
        1
        """
        if self.values == _BOTH:
            return {self.name: 0, f"not {self.name}": 1}.get(title)
        name, _, text = title.partition("=")
        if name != self.name or not self.values:
            return None
        value: Any = text
        if not isinstance(self.values[0], str):
            try:
                value = int(text)
            except ValueError:
                return None
        code = bisect_left(self.values, value)
        return code if code < len(self.values) and self.title(code) == title else None

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many samples have each value."""
        return np.bincount(self.codes, minlength=len(self.values)).astype(np.int64, copy=False)

    def take(self, order: NDArray[Any]) -> SliceColumn:
        """The entries of these row numbers, in this order."""
        return _compact(self.name, self.codes[order], self.values)

    def __add__(self, other: object) -> SliceColumn:
        if not isinstance(other, SliceColumn):
            return NotImplemented
        return joined((self, other))

    def __repr__(self) -> str:
        return f"<SliceColumn {self.name!r}: {len(self.values)} values of {len(self)} samples>"


def check_name(name: object) -> str:
    """The name of a column; an `EvidenceError` where the names of its slices could be another's.

    >>> check_name("region=north")
    Traceback (most recent call last):
    pytest_modelgate.EvidenceError: slices: a column cannot be named 'region=north': take another name, without '='
    """
    if not isinstance(name, str):
        raise EvidenceError(f"slices: a column is named by a string, not {name!r}")
    if not name.strip() or "=" in name or name.startswith("not "):
        rule = "without '='" if "=" in name else "that does not begin with 'not '" if name.strip() else "with letters"
        raise EvidenceError(f"slices: a column cannot be named {name!r}: take another name, {rule}")
    return name


def slice_column(name: str, values: Any, *, start: int = 0) -> SliceColumn:
    """A column of values, or a part of one that begins at the row number `start`.

    Args:
        name: the column's name.
        values: [N] strings, whole numbers or bools, of one kind; or a `SliceColumn`.

    Raises:
        EvidenceError: another shape, a value that is missing or of another kind, or too many values.

    >>> slice_column("region", ["north", "south", "north"]).titles
    ('region=north', 'region=south')
    """
    check_name(name)
    if isinstance(values, SliceColumn):
        return SliceColumn(name, values.codes, values.values)
    if isinstance(values, (str, bytes)) or not (hasattr(values, "__len__") or hasattr(values, "__iter__")):
        raise EvidenceError(f"slices {name!r}: {values!r} is a single value; give one for each sample")
    if isinstance(values, (list, tuple)):  # numpy would make 1 a string beside strings
        return _of_objects(name, values, start)
    array = to_numpy(values)
    if array.ndim != 1:
        raise EvidenceError(f"slices {name!r} must have the shape [N], one for each sample, not {list(array.shape)}")
    kind = array.dtype.kind
    if kind == "b":
        return SliceColumn(name, (~array).view(np.uint8), _BOTH)
    if kind in "iu":
        return _of_integers(name, array)
    if kind == "f":
        return _of_floats(name, array, start)
    if kind not in "UOT":
        raise EvidenceError(f"slices {name!r} are of the type {array.dtype}: {_WANTED}")
    if len(array) <= _CHUNK:
        return _of_objects(name, array.tolist(), start)
    places = range(0, len(array), _CHUNK)
    return joined([_of_objects(name, array[at : at + _CHUNK].tolist(), start + at) for at in places])


def joined(parts: Sequence[SliceColumn]) -> SliceColumn:
    """The parts of one column, at least one, behind one another: the same whatever the parts are.

    Raises:
        EvidenceError: values of different kinds, or too many of them.
    """
    some = [part for part in parts if len(part)] or list(parts[:1])
    name = some[0].name
    kinds: dict[type, SliceValue] = {type(value): value for part in some for value in part.values}
    if len(kinds) > 1:
        one, other = list(kinds.values())[:2]
        raise EvidenceError(f"slices {name!r} are {one!r} here and {other!r} there: give values of one kind")
    if len(some) == 1:
        return some[0]
    every = _BOTH if bool in kinds else tuple(sorted({value for part in some for value in part.values}))
    _refuse_many(name, every, sum(map(len, some)))
    place = {value: code for code, value in enumerate(every)}
    kind = _dtype(len(every))
    tables = [np.array([place[value] for value in part.values], dtype=kind) for part in some]
    return SliceColumn(name, np.concatenate([t[part.codes] for t, part in zip(tables, some, strict=True)]), every)


def checked_column(name: object, codes: NDArray[Any], values: Iterable[object]) -> SliceColumn:
    """A column out of its stored parts; an `EvidenceError` where they are not what a column has."""
    title, every = check_name(name), tuple(values)
    kinds = {type(value) for value in every}
    whole = codes.ndim == 1 and codes.dtype == _dtype(len(every)) and len(kinds) == 1 and kinds <= {str, int, bool}
    if not whole or codes.max(initial=0) >= len(every):
        raise EvidenceError(f"slices {title!r}: these codes and values do not fit together")
    found = SliceColumn(title, codes, every)  # type: ignore[arg-type]
    usual = _BOTH if kinds == {bool} else tuple(sorted(set(every)))  # type: ignore[type-var]
    if every != usual or (kinds != {bool} and not found.counts.all()):
        raise EvidenceError(f"slices {title!r}: the values are not in order, or some have no sample")
    return found


def same_columns(
    mine: tuple[SliceColumn, ...] | None, theirs: tuple[SliceColumn, ...] | None
) -> Iterator[tuple[SliceColumn, SliceColumn]]:
    """The columns of two sets of samples, name by name.

    Raises:
        EvidenceError: one set has a column that the other lacks.
    """
    if mine is None or theirs is None:
        if mine is not theirs:
            raise EvidenceError("an evaluation with slices and one without cannot be merged; give slices to both")
        return
    other = {column.name: column for column in theirs}
    if {column.name for column in mine} != other.keys():
        raise EvidenceError(
            f"evaluations with the slices {[column.name for column in mine]} and {list(other)} cannot be merged; "
            "give both the same"
        )
    for column in mine:
        yield column, other[column.name]


def _of_objects(name: str, values: Sequence[Any], start: int) -> SliceColumn:
    kinds = set(map(type, values))
    if all(issubclass(kind, str) for kind in kinds):
        every: tuple[SliceValue, ...] = tuple(sorted(map(str, set(values))))
        _refuse_many(name, every, len(values))
        place = {value: code for code, value in enumerate(every)}
        codes = np.fromiter(map(place.__getitem__, values), dtype=_dtype(len(every)), count=len(values))
        return SliceColumn(name, codes, every)
    if kinds <= {bool, np.bool_}:
        return slice_column(name, np.array(values, dtype=bool))
    if kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        return _of_integers(name, np.array(values, dtype=np.int64))
    first: str | None = None
    for row, value in enumerate(values, start):
        kind = _kind(value)
        if kind is None:
            raise EvidenceError(f"slices {name!r}: row {row:,} is {value!r}: {_WANTED}")
        if first not in (None, kind):
            raise EvidenceError(
                f"slices {name!r}: row {row:,} is {value!r} and row {start:,} is {values[0]!r}: give values of one kind"
            )
        first = kind
    return _of_integers(name, np.array([int(value) for value in values]))


def _kind(value: object) -> str | None:
    """What a value is; None where it can name no slice."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, (int, np.integer)):
        return "number" if -(2**63) <= value < 2**63 else None
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer() and abs(value) < 2**63
    return "number" if whole else None


def _of_floats(name: str, array: NDArray[Any], start: int) -> SliceColumn:
    with np.errstate(invalid="ignore"):
        bad = ~((array == np.floor(array)) & (np.abs(array) < 2.0**63))
    if bad.any():
        row = int(np.argmax(bad))
        value = array[row].item()
        more = "" if np.isnan(value) else "; cut values into ranges first, such as age // 10"
        raise EvidenceError(f"slices {name!r}: row {start + row:,} is {value!r}: {_WANTED}{more}")
    return _of_integers(name, array.astype(np.int64))


def _of_integers(name: str, array: NDArray[Any]) -> SliceColumn:
    if not len(array):
        return SliceColumn(name, np.zeros(0, np.uint8), ())
    low, high = int(array.min()), int(array.max())
    if high - low < _SPAN and high < 2**63:
        shifted = array.astype(np.int64) - low
        present = np.flatnonzero(np.bincount(shifted))
        every: tuple[SliceValue, ...] = tuple((present + low).tolist())
        _refuse_many(name, every, len(array))
        table = np.zeros(high - low + 1, dtype=_dtype(len(every)))
        table[present] = np.arange(len(every))
        return SliceColumn(name, table[shifted], every)
    found, codes = np.unique(array, return_inverse=True)
    every = tuple(found.tolist())
    _refuse_many(name, every, len(array))
    return SliceColumn(name, codes.reshape(-1).astype(_dtype(len(every))), every)


def _compact(name: str, codes: NDArray[Any], values: tuple[SliceValue, ...]) -> SliceColumn:
    """The column without values that no sample has."""
    if values == _BOTH:
        return SliceColumn(name, codes, values)
    present = np.flatnonzero(np.bincount(codes, minlength=len(values)))
    if len(present) == len(values):
        return SliceColumn(name, codes, values)
    table = np.zeros(len(values), dtype=_dtype(len(present)))
    table[present] = np.arange(len(present))  # the values stand in order, and so do those that are left
    return SliceColumn(name, table[codes], tuple(values[code] for code in present.tolist()))


def _dtype(values: int) -> type[np.uint8 | np.uint16]:
    return np.uint8 if values <= 256 else np.uint16


def _refuse_many(name: str, values: Sequence[SliceValue], samples: int) -> None:
    if len(values) > MOST_VALUES:
        some = ", ".join(repr(value) for value in values[:3])
        raise EvidenceError(
            f"slices {name!r} have {len(values):,} different values in {samples:,} samples ({some}, ...): that looks "
            f"like an id; cut by something of at most {MOST_VALUES:,} values"
        )
