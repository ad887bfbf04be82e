"""Names of classes: checked, looked up, and turned to indices."""

from __future__ import annotations

__tracebackhide__ = True

import operator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pytest_modelgate.exceptions import EvidenceError, MetricError, did_you_mean
from pytest_modelgate.metrics.arrays import to_numpy, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

Label: TypeAlias = str | int
"""What a class is called."""
INFERRED_CLASSES = 10_000
"""The largest number of classes that is believed where only the data say so."""


def index_of(labels: Sequence[Label], label: object) -> int:
    """The index of a class among `labels`, given its name, or its index where no name is equal to it.

    Raises:
        MetricError: no such class; says which there are.
    """
    if label in labels:
        return labels.index(label)
    try:
        index = operator.index(label)  # type: ignore[arg-type]
    except TypeError:
        index = -1
    if 0 <= index < len(labels):
        return index
    shown = ", ".join(map(repr, labels[:20])) + (", ..." if len(labels) > 20 else "")
    raise MetricError(f"unknown class {label!r}{did_you_mean(label, labels)} (the classes are {shown})")


def check_labels(labels: Iterable[Label], num_classes: int | None = None) -> tuple[Label, ...]:
    """Names of classes as a tuple of different str and int, at least two or `num_classes`; else EvidenceError."""
    if isinstance(labels, str):
        raise EvidenceError(f"labels must be a sequence of names, not the one string {labels!r}")
    names = tuple(name.item() if isinstance(name, np.generic) else name for name in labels)
    for name in names:
        if not isinstance(name, (str, int)):
            raise EvidenceError(f"labels must be strings or integers, not {name!r}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise EvidenceError(f"labels must differ, but {twice!r} stands {names.count(twice)} times")
    if num_classes is not None and len(names) != num_classes:
        raise EvidenceError(f"{len(names)} labels for {num_classes} classes: {names[:20]!r}")
    if len(names) < 2:
        raise EvidenceError(f"a confusion matrix needs at least two classes, not {len(names)}: give labels=")
    return names


def class_indices(values: object, labels: Sequence[Label] | None, what: str) -> NDArray[Any]:
    """Classes as indices: names are looked up among `labels`, integers too where `labels` hold integers.

    Args:
        values: names or indices, shape [N]: a sequence, array or tensor.
        labels: the names, in the order of the indices; None where the values are indices.
        what: what the values are, for the message of an error.

    Raises:
        EvidenceError: an unknown name, names without labels, or numbers that are not whole. The range of indices is
            not checked.

    >>> class_indices(["dog", "cat"], ("cat", "dog"), "target").tolist()
    [1, 0]
    """
    array = to_numpy(values)
    if holds_names(array):
        if labels is None:
            raise EvidenceError(f"{what} are names of classes: give labels=, in the order of the indices")
        return _look_up(array, labels, what)
    array = whole_numbers(array, what)
    if labels is None or tuple(labels) == tuple(range(len(labels))):
        return array
    return _look_up(array, labels, what) if any(isinstance(label, int) for label in labels) else array


def holds_names(array: NDArray[Any]) -> bool:
    """Whether these are strings."""
    if array.dtype.kind == "O":
        return any(isinstance(value, str) for value in array.tolist())
    return array.dtype.kind in "US"


def sorted_names(*arrays: NDArray[Any]) -> list[Label]:
    """The names that occur, sorted; EvidenceError where some values are no strings."""
    found = {value for array in arrays for value in array.tolist()}
    odd = next((value for value in found if not isinstance(value, str)), None)
    if odd is not None or None in found:
        raise EvidenceError(f"names of classes and other values are mixed, such as {odd!r}: give labels=")
    if any(name.lower() == "nan" for name in found):
        raise EvidenceError("a class is called 'nan', as NaN is among names: where it is meant, give labels=")
    return sorted(found)


def _look_up(array: NDArray[Any], names: Sequence[Label], what: str) -> NDArray[np.int64]:
    rows: dict[object, int] = {name: row for row, name in enumerate(names)}
    values = array.tolist()
    indices = np.array([rows.get(value, -1) for value in values], dtype=np.int64)
    if len(indices) and indices.min() < 0:
        first = int(np.argmin(indices))
        raise EvidenceError(
            f"{what} must be names of classes: {int(np.count_nonzero(indices < 0)):,} of {len(values):,} are not, "
            f"the first is {values[first]!r} at position {first}{did_you_mean(values[first], names)}"
        )
    return indices


def count_classes(actual: NDArray[Any], predicted: NDArray[Any]) -> int:
    """The largest index + 1, at least 2."""
    largest = max(int(actual.max(initial=0)), int(predicted.max(initial=0)))
    if largest >= INFERRED_CLASSES:
        raise EvidenceError(f"a class index of {largest:,} is hard to believe: give num_classes= where it is meant")
    return max(2, largest + 1)
