"""Features in any form as single columns, and targets as classes or as numbers."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

TASKS = ("classification", "regression")
_PLAIN = "biufSU"
_TIMES = "mM"


class Column(NamedTuple):
    """One feature: its name, and for each sample the place of its value among the distinct ones.

    `ordered` is whether the order of the places means anything. Missing values share the last place.
    """

    name: str
    codes: NDArray[np.int64]
    ordered: bool


def read_columns(features: Any, names: Sequence[str] | None = None) -> list[tuple[str, NDArray[Any]]]:
    """The names and columns of an array or tensor [N, ...], or of a mapping (or data frame) of names to columns [N].

    Raises:
        EvidenceError: no features, lengths that differ, or names that do not fit.
    """
    if isinstance(features, Mapping) or (hasattr(features, "columns") and hasattr(features, "items")):
        if names is not None:
            raise EvidenceError("names= goes with an array: columns of a mapping have names already")
        tables = [(str(name), to_numpy(values)) for name, values in features.items()]
        for name, values in tables:
            if values.ndim != 1:
                raise EvidenceError(f"feature {name!r} has the shape {list(values.shape)}; a column has the shape [N]")
    else:
        table = to_numpy(features)
        if table.ndim == 0:
            raise EvidenceError(f"features must be an array [N, D] or a mapping of columns, not {features!r}")
        table = table.reshape(len(table), -1) if len(table) else table.reshape(0, int(np.prod(table.shape[1:])))
        labels = named(table.shape[1], names)
        tables = [(label, table[:, index]) for index, label in enumerate(labels)]
    if not tables:
        raise EvidenceError("there are no features: nothing can leak, and nothing was judged")
    lengths = {len(values) for _, values in tables}
    if len(lengths) > 1:
        shown = ", ".join(f"{name!r} {len(values):,}" for name, values in tables[:5])
        raise EvidenceError(f"the features have different lengths: {shown}")
    return tables


def named(count: int, names: Sequence[str] | None) -> list[str]:
    """The features' names: those given, else "feature 0" and so on.

    Raises:
        EvidenceError: not one name for each feature, or a name twice.
    """
    if names is None:
        return [f"feature {index}" for index in range(count)]
    given = [names] if isinstance(names, str) else [str(name) for name in names]
    if len(given) != count:
        raise EvidenceError(f"{len(given):,} names for {count:,} features: give one for each")
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise EvidenceError(f"names= holds {twice!r} twice")
    return given


def as_column(name: str, values: NDArray[Any]) -> Column:
    """A column's values by their places; an `EvidenceError` where they are neither numbers nor categories."""
    kind = values.dtype.kind
    if kind in "O":
        numbers = _as_numbers(values)
        if numbers is None:
            return Column(name, _by_content(name, values), False)
        values = numbers
    elif kind in _TIMES:
        values = values.view(np.int64)
    elif kind not in _PLAIN:
        raise EvidenceError(f"{name} holds {values.dtype}, which are neither numbers nor categories")
    codes = np.unique(values, return_inverse=True)[1].reshape(-1)
    return Column(name, codes.astype(np.int64, copy=False), kind not in "SU")


def _as_numbers(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """An object array as floats, where each entry is a number or missing; None otherwise."""
    if not all(value is None or isinstance(value, (bool, int, float, np.number, np.bool_)) for value in values):
        return None
    try:
        return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
    except OverflowError:  # whole numbers beyond all floats are names
        return None


def _by_content(name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    places: dict[object, int] = {}
    missing = [value is None or value != value for value in values]
    try:
        codes = [
            -1 if gone else places.setdefault(value, len(places)) for gone, value in zip(missing, values, strict=True)
        ]
    except TypeError as error:
        raise EvidenceError(f"{name} holds entries that are neither numbers nor categories: {error}") from None
    return np.where(np.array(codes) < 0, len(places), np.array(codes)).astype(np.int64)


class Target(NamedTuple):
    """What is to be told: class numbers from 0 on or ranks [n], of the rows that have a target.

    `rows` are these rows, out of `given`; `num_classes` is 0 for a regression.
    """

    codes: NDArray[np.int64]
    rows: NDArray[np.intp]
    num_classes: int
    given: int


def read_target(target: Any, task: str | None) -> Target:
    """A target [N] or [N, 1] as classes or ranks; rows without one are left out.

    With `task=None` texts, booleans and whole numbers are classes, numbers with a fraction and times a regression.
    Where that may be wrong it is an error: floats that are all whole and have more than two values, and whole numbers
    of which most occur once.

    Raises:
        EvidenceError: another shape, or a task that must be said.
    """
    if task is not None and task not in TASKS:
        raise EvidenceError(f"task={task!r} is not one of {', '.join(map(repr, TASKS))}")
    values = to_numpy(target)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise EvidenceError(f"target must have the shape [N], one for each sample, not {list(values.shape)}")
    numbers = _as_numbers(values) if values.dtype.kind == "O" else None
    values = values if numbers is None else numbers
    if values.dtype.kind == "O":
        here = np.array([not (value is None or value != value) for value in values], dtype=bool)
    else:
        missing = {"f": np.isnan, "m": np.isnat, "M": np.isnat}.get(values.dtype.kind)
        here = np.ones(len(values), dtype=bool) if missing is None else ~missing(values)
    rows = np.flatnonzero(here)
    kept = as_column("target", values[rows])
    distinct = int(kept.codes.max()) + 1 if len(rows) else 0
    if task is None:
        task = _task(values[rows], distinct)
    if task == "regression" and not kept.ordered:
        raise EvidenceError('task="regression" needs a target of numbers')
    return Target(kept.codes, rows, distinct if task == "classification" else 0, len(values))


def _task(values: NDArray[Any], distinct: int) -> str:
    kind = values.dtype.kind
    say = 'say which it is: task="classification" or task="regression"'
    if kind in _TIMES:
        return "regression"
    if kind == "f" and distinct > 2:
        if (values != np.floor(values)).any():
            return "regression"
        raise EvidenceError(
            f"the target's floats are all whole, {distinct:,} different ones, classes or amounts: {say}"
        )
    if kind in "iu" and distinct > 2 and 2 * distinct > len(values):
        raise EvidenceError(
            f"the target has {distinct:,} different whole numbers in {len(values):,} samples, classes or amounts: {say}"
        )
    return "classification"
