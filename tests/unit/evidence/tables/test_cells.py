"""Cells as numbers, names and slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pytest_modelgate.evidence.identity import hash_names
from pytest_modelgate.evidence.tables.cells import Cells, as_index, names, numbers, slicing_of_text, weights
from pytest_modelgate.evidence.tables.table import Table
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.slicing import slice_column


class Made(Table):
    def __init__(self, text):
        super().__init__(Path("made"))
        self.text = text

    def chunks(self, wanted, rows):
        yield {}

    def place(self, row):
        return f"made:{row}"


def cells(values, text=False):
    return Cells(values, "c", Made(text), 100)


@pytest.mark.parametrize(
    ("values", "text", "wanted"),
    [
        (["1", "-2.5", "1e3", " 4 "], True, [1, -2.5, 1000, 4]),
        (["True", "false"], True, [1, 0]),
        ([1, 2.5, True], False, [1, 2.5, 1]),
        ([[1, 2], [3, 4.5]], False, [[1, 2], [3, 4.5]]),
        (np.array([1, 2], np.uint8), False, [1, 2]),
    ],
)
def test_numbers(values, text, wanted):
    assert numbers(cells(values, text)).tolist() == wanted


@pytest.mark.parametrize(
    ("values", "text", "says"),
    [
        (["1", ""], True, "made:101, column 'c': the cell is empty"),
        (["1", "x"], True, "made:101, column 'c': 'x' is no number"),
        (["1", "True"], True, "made:101, column 'c': 'True' is no number"),
        ([[1], [[2]]], False, r"made:101, column 'c': \[2\] is no number"),
        ([[1], 2], False, "made:101, column 'c': a single value, but a list of 1 in the first row"),
        ([[]], False, "made:100, column 'c': a list of 0"),
        ([[1.0, 2.0], [1.0, float("nan")]], False, r"made:101, column 'c': \[1.0, nan\] is not finite"),
    ],
)
def test_no_numbers(values, text, says):
    with pytest.raises(EvidenceError, match=says):
        numbers(cells(values, text))


def test_weights_are_one_a_row_and_not_negative():
    assert weights(cells(["0", "2"], True)).dtype == np.float64
    with pytest.raises(EvidenceError, match="one value a row is wanted, not 2"):
        weights(cells([[1, 2], [3, 4]]))
    with pytest.raises(EvidenceError, match="made:101, column 'c': the weight -2 is negative"):
        weights(cells(np.array([1, -2])))


@pytest.mark.parametrize(
    ("values", "text", "as_given"),
    [
        (["1", "2"], True, [1, 2]),
        (["1", "b", "03"], True, [1, "b", "03"]),
        (["1", str(2**64)], True, [1, 2**64]),
        (["1", "9" * 5000], True, [1, "9" * 5000]),
        (["1", 1], False, ["1", 1]),
        (np.array(["a", "1"]), False, ["a", "1"]),
        (np.array([5, -6]), False, [5, -6]),
    ],
)
def test_names(values, text, as_given):
    assert names(cells(values, text)).tolist() == hash_names(as_given, "ids").tolist()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (["True", "false", "true"], [True, False, True]),
        (["false"], [False]),
        (["True", "no"], ["True", "no"]),
        (["10", "9", "-1", "9"], [10, 9, -1, 9]),
        (["10", "09"], ["10", "09"]),
        (["10", "-0"], ["10", "-0"]),
        (["1", "1.0"], ["1", "1.0"]),
        (["1", str(2**63)], ["1", str(2**63)]),
        (["1", "9" * 5000], ["1", "9" * 5000]),
        (["1", "True"], ["1", "True"]),
    ],
)
def test_text_cuts_as_what_all_of_it_reads_as(text, values):
    found, wanted = slicing_of_text(slice_column("c", text)), slice_column("c", values)
    assert found.values == wanted.values
    assert found.codes.tolist() == wanted.codes.tolist()
    assert list(map(type, found.values)) == list(map(type, wanted.values))


@pytest.mark.parametrize("cell", ["", "a", "1.5", "1.00", "٣", "1e0", "1" * 5000, None, 1.5, [1]])
def test_what_is_no_index(cell):
    assert as_index(cell) is None
