"""Cells as classes: names out of labels, or indices, alike whatever the chunks."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.tables.cells import Cells, as_index
from pytest_modelgate.exceptions import EvidenceError, did_you_mean
from pytest_modelgate.metrics.arrays import whole_numbers
from pytest_modelgate.metrics.counting import index_dtype
from pytest_modelgate.metrics.labels import INFERRED_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_modelgate.metrics.labels import Label


class Classes:
    """Looks up classes that are known beforehand.

    Args:
        labels: the names, in the order of the indices; None where there are only indices.
        num_classes: K.
        text: whether all cells are text: names then are what they look like.
        integers_are_names: whether labels are integers such as (3, 5): they are then given as they are, not as indices.
        ignore: an integer that stands for no class.
    """

    def __init__(
        self,
        labels: Sequence[Label] | None,
        num_classes: int,
        *,
        text: bool,
        integers_are_names: bool = False,
        ignore: int | None = None,
    ) -> None:
        self._labels = labels
        self._num_classes = num_classes
        self._ignore = ignore
        self._integers_are_names = integers_are_names
        every = labels or ()
        self._codes: dict[object, Any] = {
            str(label) if text else label: label if integers_are_names else code for code, label in enumerate(every)
        }
        self._kind = object if any(isinstance(code, str) for code in self._codes.values()) else np.int64
        integers = any(isinstance(label, int) or (text and as_index(label) is not None) for label in every)
        indices = [] if integers else [*range(num_classes)]
        for index in indices if ignore is None else [*indices, ignore]:
            for cell in (str(index), f"{index}.0") if text else (index,):
                self._codes.setdefault(cell, index)
        if indices and text and num_classes == 2:
            for cell, index in (("False", 0), ("false", 0), ("True", 1), ("true", 1)):
                self._codes.setdefault(cell, index)

    def indices(self, cells: Cells) -> NDArray[Any]:
        """The index of each cell's class, or its integer name, [n]; an `EvidenceError` for what is no class."""
        values = cells.filled
        if isinstance(values, np.ndarray):
            _refuse_tables(cells, values)
            if values.dtype.kind in "fiub":
                return self._of_numbers(cells, values)
            values = values.tolist()
        try:
            found = list(map(self._codes.__getitem__, values))
        except (KeyError, TypeError):
            row = next(row for row, value in enumerate(values) if not self._knows(value))
            raise self._unknown(cells, row, values[row]) from None
        return np.array(found, dtype=self._kind)

    def _knows(self, value: object) -> bool:
        try:
            return value in self._codes
        except TypeError:  # a list
            return False

    def _of_numbers(self, cells: Cells, values: NDArray[Any]) -> NDArray[Any]:
        if values.dtype.kind == "f":
            whole = values == np.floor(values)
            if not whole.all():
                row = int(np.argmin(whole))
                raise self._unknown(cells, row, values[row].item())
        array = whole_numbers(values, cells.column)
        if self._integers_are_names:
            known = np.isin(array, [label for label in self._labels or () if isinstance(label, int)])
        else:
            known = (array >= 0) & (array < self._num_classes)
        if self._ignore is not None:
            known |= array == self._ignore
        if not known.all():
            row = int(np.argmin(known))
            raise self._unknown(cells, row, array[row].item())
        return array

    def _unknown(self, cells: Cells, row: int, value: object) -> EvidenceError:
        if self._labels is not None:
            shown = ", ".join(map(repr, self._labels[:20])) + (", ..." if len(self._labels) > 20 else "")
            return cells.wrong(
                row, f"{value!r} is no class{did_you_mean(value, self._labels)} (the classes are {shown})"
            )
        if isinstance(value, str) and as_index(value) is None:
            return cells.wrong(row, f"{value!r} is the name of a class: give labels=, in the order of the scores")
        return cells.wrong(row, f"{value!r} is no class index from 0 to {self._num_classes - 1}")


class FoundClasses:
    """Gathers decided classes whose names nobody gave: numbers are indices, names are put in order at the end."""

    def __init__(self) -> None:
        self._codes: dict[object, int] = {}
        self._parts: dict[str, list[NDArray[Any]]] = {"target": [], "preds": []}
        self._numbers: set[bool] = set()

    def add(self, **columns: Cells) -> None:
        """More cells of "target" and of "preds"."""
        for name, cells in columns.items():
            values = cells.filled
            if isinstance(values, np.ndarray):
                _refuse_tables(cells, values)
            if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
                part = self._indices(cells, values)
            else:
                part = self._coded(cells, values if isinstance(values, list) else values.tolist())
            self._parts[name].append(part)

    def _indices(self, cells: Cells, values: NDArray[Any]) -> NDArray[Any]:
        bad = (values < 0) | (values >= INFERRED_CLASSES) | (values != np.floor(values))
        if bad.any():
            row = int(np.argmax(bad))
            raise cells.wrong(row, f"{values[row].item()!r} is no class index below {INFERRED_CLASSES:,}: give labels=")
        self._numbers.add(True)
        return values.astype(index_dtype(int(values.max(initial=0)) + 1))

    def _coded(self, cells: Cells, values: list[Any]) -> NDArray[Any]:
        try:
            for value in set(values).difference(self._codes):
                self._codes[value] = len(self._codes)
        except TypeError:
            row = next(row for row, value in enumerate(values) if isinstance(value, (list, dict)))
            raise cells.wrong(row, f"{values[row]!r} is no class") from None
        if "nan" in {str(value).lower() for value in self._codes}:
            row = next(row for row, value in enumerate(values) if str(value).lower() == "nan")
            raise cells.wrong(row, "the value is NaN (where a class is called so, give labels=)")
        if len(self._codes) > INFERRED_CLASSES:
            raise cells.unlike(f"more than {INFERRED_CLASSES:,} different values are no classes; give labels=")
        self._numbers.add(False)
        codes = np.fromiter(map(self._codes.__getitem__, values), dtype=np.int64, count=len(values))
        return codes.astype(index_dtype(len(self._codes)))

    def finish(self, file: str) -> tuple[tuple[str, ...] | None, NDArray[Any], NDArray[Any]]:
        """The names in order, None where the cells were numbers; the classes' indices: target, preds."""
        target, preds = (np.concatenate(self._parts.pop(name)) for name in ("target", "preds"))
        if self._numbers == {True}:
            return None, target, preds
        cells = list(self._codes)
        indices = [as_index(cell) for cell in cells]
        names: tuple[str, ...] | None = None
        if None in indices or len(self._numbers) > 1:
            odd = next((cell for cell in cells if not isinstance(cell, str)), None)
            if odd is not None or len(self._numbers) > 1:
                raise EvidenceError(f"{file}: some classes are names and some are numbers; give labels=")
            names = tuple(sorted(map(str, cells)))
            order = {name: code for code, name in enumerate(names)}
            indices = [order[str(cell)] for cell in cells]
        table = np.array(indices, dtype=np.int64)
        if table.min() < 0 or table.max() >= INFERRED_CLASSES:
            odd = cells[int(np.argmin(table) if table.min() < 0 else np.argmax(table))]
            raise EvidenceError(f"{file}: {odd!r} is no class index below {INFERRED_CLASSES:,}: give labels=")
        table = table.astype(index_dtype(int(table.max()) + 1))
        return names, table[target], table[preds]


def _refuse_tables(cells: Cells, values: NDArray[Any]) -> None:
    if values.ndim != 1:
        raise cells.unlike(f"one class a row is wanted, not {values.shape[1]} values")
