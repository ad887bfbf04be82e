"""The evidence of predictions in a file: chunk by chunk, so that memory holds no more than what is kept."""

from __future__ import annotations

__tracebackhide__ = True

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pytest_modelgate.evidence.collecting import Collector
from pytest_modelgate.evidence.tables.cells import Cells, names, numbers, slicing, slicing_of_text, weights
from pytest_modelgate.evidence.tables.classes import Classes, FoundClasses
from pytest_modelgate.evidence.tables.opening import open_table
from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.evidence.tables.table import Table

Chunk: TypeAlias = Mapping[str, Cells]
_LATER = ("ids", "groups", "weights")


def read_predictions(
    file: str | os.PathLike[str],
    *,
    chunk_rows: int | None,
    target: Any,
    preds: Any,
    ids: Any,
    slices: Any,
    groups: Any,
    weights: Any,
    **settings: Any,
) -> Evaluation:
    """See `Evaluation.from_predictions`; columns are given by their names, `settings` are the collector's.

    Raises:
        EvidenceError: the file, one of its columns or one of its cells is not what it must be; names file and line.
    """
    if chunk_rows is not None and (isinstance(chunk_rows, bool) or not isinstance(chunk_rows, int) or chunk_rows < 1):
        raise EvidenceError(f"chunk_rows={chunk_rows!r} is no number of rows; give a whole number of at least 1")
    scores, actual = _several("preds", preds), _several("target", target)
    design = {name: _one(name, value) for name, value in zip(_LATER, (ids, groups, weights), strict=True)}
    given = {name: column for name, column in design.items() if column is not None}
    cuts = _slicings(slices)
    with open_table(file) as table:
        found = {name: partial(_cut, column) for name, column in cuts.items()}
        collector = Collector(
            ids=None,
            groups=None,
            weights=None,
            slices=found or None,
            later=tuple(given),
            model=table.path.name,
            **settings,
        )
        reading = _Reading(table, collector, scores, actual, given, settings.get("ignore_index"))
        wanted = list(dict.fromkeys(chain(scores, actual, given.values(), cuts.values())))
        start = 0
        for columns in table.chunks(wanted, chunk_rows):
            start += reading.add({name: Cells(values, name, table, start) for name, values in columns.items()})
        if not start:
            raise EvidenceError(f"{table.name} has no rows: there is no sample to evaluate")
        if "ids" in given:
            _refuse_repeated(table, given["ids"], collector.sorted_ids, chunk_rows)
        return reading.finish()


class _Reading:
    """One pass over a file."""

    def __init__(
        self,
        table: Table,
        collector: Collector,
        scores: Sequence[str],
        actual: Sequence[str],
        design: Mapping[str, str],
        ignore: int | None,
    ) -> None:
        self._table = table
        self._collector = collector
        self._scores = scores
        self._actual = actual
        self._design = design
        self._ignore = ignore
        self._classes: Classes | None = None
        self._found: FoundClasses | None = None
        self._decisions: Classes | None = None
        self._weighed = False
        if collector.outputs == "labels" and collector.task != "multilabel":
            if collector.labels is not None:
                self._decisions = self._lookup(len(collector.labels), None)
            elif ignore is not None:
                raise EvidenceError(f"ignore_index={ignore} with outputs='labels' in a file needs labels=")
            else:
                self._found = FoundClasses()

    def add(self, chunk: Chunk) -> int:
        """Take in a chunk, and say how many rows it has."""
        rows = len(next(iter(chunk.values())).values)
        self._add_design(chunk)
        if self._found is not None:
            columns = {"target": self._single(chunk, "target"), "preds": self._single(chunk, "preds")}
            self._found.add(**columns)
        else:
            self._named(self._collector.add, *self._outputs_and_target(chunk))
        if self._collector.cuts_batches:
            self._named(self._collector.cut, chunk, None, rows)
        return rows

    def finish(self) -> Evaluation:
        """The evaluation of all chunks."""
        if self._found is not None:
            self._collector.labels, target, preds = self._found.finish(self._table.name)
            self._found = None
            self._named(self._collector.add, preds, target)
        if "weights" in self._design and not self._weighed:
            raise EvidenceError(
                f"{self._table.name}, column {self._design['weights']!r}: all weights are 0, so that no sample counts"
            )
        found: Evaluation = self._named(self._collector.finish)
        kept = found.samples
        if not self._table.text or kept is None or kept.slices is None:
            return found
        return replace(found, samples=replace(kept, slices=tuple(map(slicing_of_text, kept.slices))))

    def _add_design(self, chunk: Chunk) -> None:
        design: dict[str, NDArray[Any]] = {}
        for name, column in self._design.items():
            design[name] = weights(chunk[column]) if name == "weights" else names(chunk[column])
        self._weighed = self._weighed or bool(design.get("weights", np.zeros(1)).any())
        self._collector.add_design(**design)

    def _outputs_and_target(self, chunk: Chunk) -> tuple[NDArray[Any], NDArray[Any]]:
        kind, task = self._collector.outputs, self._collector.task
        if self._decisions is not None:
            outputs = self._decisions.indices(self._single(chunk, "preds"))
            num_classes = len(self._collector.labels or ())
        else:
            outputs = self._named(_stacked, [numbers(chunk[column]) for column in self._scores])
            num_classes = max(2, outputs.shape[1] if outputs.ndim == 2 else 1)
        if kind == "values" or task == "multilabel":
            return outputs, self._named(_stacked, [numbers(chunk[column]) for column in self._actual])
        if self._classes is None:
            self._named(self._collector.check_shapes, outputs.shape, outputs.shape[:1])
            self._classes = self._lookup(num_classes, self._ignore)
        target = self._classes.indices(self._single(chunk, "target"))
        return outputs, self._collector.encode_target(target)

    def _lookup(self, num_classes: int, ignore: int | None) -> Classes:
        return Classes(
            self._collector.labels,
            num_classes,
            text=self._table.text,
            integers_are_names=self._collector.named_by_integers,
            ignore=ignore,
        )

    def _single(self, chunk: Chunk, role: str) -> Cells:
        columns = self._actual if role == "target" else self._scores
        if len(columns) > 1:
            raise EvidenceError(f"{role}={list(columns)!r}: one class a sample stands in one column; give its name")
        return chunk[columns[0]]

    def _named(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function gives; what it refuses is told of this file."""
        try:
            return function(*arguments)
        except EvidenceError as error:
            text = str(error)
            raise EvidenceError(text if self._table.name in text else f"{self._table.name}: {text}") from error


def _cut(column: str, chunk: Chunk, _: None) -> Any:
    return slicing(chunk[column])


def _stacked(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One column as it is, several side by side."""
    if len(columns) == 1:
        return columns[0]
    if any(column.ndim != 1 for column in columns):
        raise EvidenceError("several columns must hold one number a row each; or give one column of K numbers a row")
    return np.stack(columns, axis=1)


def _several(name: str, value: Any) -> tuple[str, ...]:
    columns = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (list, tuple)) else ()
    if not columns or not all(isinstance(column, str) for column in columns):
        raise EvidenceError(f"{name}={_shown(value)}: with file= give the name of a column, or a list of such")
    if len(set(columns)) < len(columns):
        raise EvidenceError(f"{name}={list(columns)!r}: each column must be named once")
    return columns


def _one(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise EvidenceError(f"{name}={_shown(value)}: with file= give the name of a column")


def _slicings(slices: Any) -> dict[str, str]:
    """Each slicing's name with its column."""
    if slices is None:
        return {}
    columns = slices if isinstance(slices, Mapping) else {}
    if isinstance(slices, (list, tuple)):
        columns = {column: column for column in slices if isinstance(column, str)}
        if len(columns) < len(slices):
            raise EvidenceError(f"slices={list(slices)!r}: with file= give names of columns, each once")
    if not columns or not all(isinstance(column, str) for column in columns.values()):
        raise EvidenceError(f"slices={_shown(slices)}: with file= give a list of names of columns")
    return dict(columns)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:40]}..."


def _refuse_repeated(table: Table, column: str, every: NDArray[np.uint64], chunk_rows: int | None) -> None:
    """An `EvidenceError` where an id stands twice: the file is then read again to tell where."""
    twice = every[1:][every[1:] == every[:-1]]
    if not len(twice):
        return
    first: int | None = None
    start = 0
    for columns in table.chunks([column], chunk_rows):
        cells = Cells(columns[column], column, table, start)
        for row in np.flatnonzero(names(cells) == twice[0]).tolist():
            if first is not None:
                value = cells.values[row]
                shown = value.item() if isinstance(value, np.generic) else value
                more = f"; {len(twice) - 1:,} more rows repeat one" if len(twice) > 1 else ""
                raise cells.wrong(row, f"{shown!r} is also in {table.place(first)}, and an id names one sample{more}")
            first = start + row
        start += len(cells.values)
    raise EvidenceError(f"{table.name}, column {column!r} changed while it was read; read it again")
