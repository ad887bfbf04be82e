"""Confusion matrices as the renderers show them: all cells with their shares, or the most frequent confusions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Evaluation = Mapping[str, Any]

LARGEST_DRAWN = 30
"""Up to this many classes a matrix is drawn whole."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: how many samples, and which share of the samples of its actual class (0 where there are none)."""

    count: int
    share: float


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class: its row of cells, its samples, and its recall; None where it has no sample."""

    label: str
    cells: Sequence[Cell]
    support: int
    recall: float | None


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A whole matrix; `precisions` has an entry for each column, None where the class was never predicted."""

    labels: Sequence[str]
    rows: Sequence[ClassRow]
    precisions: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Samples of one class that were taken for another, and their share of the actual class."""

    actual: str
    predicted: str
    count: int
    share: float


def num_classes(evaluation: Evaluation) -> int:
    """How many classes the evaluation has; 0 for a regression."""
    if evaluation["labels"]:
        return len(evaluation["labels"])
    return len(evaluation["counts"] or ())


def heat_map(evaluation: Evaluation) -> HeatMap | None:
    """The whole matrix, or None where there is none or it has more classes than can be read."""
    size = num_classes(evaluation)
    if not 0 < size <= LARGEST_DRAWN:
        return None
    counts = [[0] * size for _ in range(size)]
    for actual, predicted, cell in _cells(evaluation):
        counts[actual][predicted] = cell
    labels = _labels(evaluation)
    rows = []
    for index, (label, row) in enumerate(zip(labels, counts, strict=True)):
        support = sum(row)
        cells = [Cell(cell, cell / support if support else 0.0) for cell in row]
        rows.append(ClassRow(label, cells, support, cells[index].share if support else None))
    totals = [sum(column) for column in zip(*counts, strict=True)]
    precisions = [counts[index][index] / total if total else None for index, total in enumerate(totals)]
    return HeatMap(labels, rows, precisions)


def confusions(evaluation: Evaluation, most: int) -> tuple[list[Confusion], int]:
    """The most frequent confusions, largest first, and how many kinds of confusion there are in all."""
    support = [0] * num_classes(evaluation)
    wrong = []
    for actual, predicted, cell in _cells(evaluation):
        support[actual] += cell
        if actual != predicted and cell:
            wrong.append((-cell, actual, predicted))
    wrong.sort()
    labels = _labels(evaluation)
    largest = [
        Confusion(labels[actual], labels[predicted], -cell, -cell / support[actual])
        for cell, actual, predicted in wrong[:most]
    ]
    return largest, len(wrong)


def accuracy(evaluation: Evaluation) -> float | None:
    """The share of samples on the diagonal; None without samples or classes."""
    total = right = 0
    for actual, predicted, cell in _cells(evaluation):
        total += cell
        right += cell if actual == predicted else 0
    return right / total if total else None


def _cells(evaluation: Evaluation) -> list[tuple[int, int, int]]:
    """The cells that are not zero: actual class, predicted class, count."""
    if evaluation["counts"] is not None:
        return [
            (actual, predicted, cell)
            for actual, row in enumerate(evaluation["counts"])
            for predicted, cell in enumerate(row)
            if cell
        ]
    return [(actual, predicted, cell) for actual, predicted, cell in evaluation["cells"] or ()]


def _labels(evaluation: Evaluation) -> list[str]:
    if evaluation["labels"]:
        return [str(label) for label in evaluation["labels"]]
    return [str(index) for index in range(num_classes(evaluation))]
