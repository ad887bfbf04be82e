"""Features as columns, and when a target is classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelgate import EvidenceError
from pytest_modelgate.checks.data.columns import as_column, read_columns, read_target

DAYS = np.array(["2024-01-02", "2024-01-01", "NaT"], dtype="datetime64[D]")


@pytest.mark.parametrize(
    ("values", "codes", "ordered"),
    [
        (np.array([0.5, np.nan, -1.0, np.nan]), [1, 2, 0, 2], True),
        (np.array([0.0, -0.0, np.inf, -np.inf]), [1, 1, 2, 0], True),
        (np.array([True, False]), [1, 0], True),
        (np.array([2**62 + 1, 2**62]), [1, 0], True),
        (np.array([3, None, 2.5, np.nan], dtype=object), [1, 2, 0, 2], True),
        (np.array(["b", "a", "b"]), [1, 0, 1], False),
        (np.array([10**400, 1, 10**400], dtype=object), [0, 1, 0], False),
        (np.array(["b", None, 3, "b", np.nan], dtype=object), [0, 2, 1, 0, 2], False),
        (DAYS, [2, 1, 0], True),
    ],
)
def test_values_by_their_places(values: Any, codes: list[int], ordered: bool) -> None:
    column = as_column("x", values)
    assert column.codes.tolist() == codes
    assert column.ordered is ordered


def test_columns_of_every_form() -> None:
    table = np.arange(6.0).reshape(3, 2)
    expected = [("feature 0", [0, 2, 4]), ("feature 1", [1, 3, 5])]
    for features in (table, torch.tensor(table, requires_grad=True), table.tolist()):
        assert [(name, values.tolist()) for name, values in read_columns(features)] == expected
    assert [name for name, _ in read_columns(table, ["a", "b"])] == ["a", "b"]
    assert [name for name, _ in read_columns({"a": [1, 2], 3: ["x", "y"]})] == ["a", "3"]
    assert len(read_columns(np.zeros((4, 2, 3)))) == 6
    assert len(read_columns(np.zeros(4))) == 1
    assert len(read_columns(np.zeros((0, 2)))) == 2


class Frame(dict[str, Any]):
    """What a data frame has of a mapping."""

    columns = ("a",)


def test_a_data_frame_is_read_by_its_columns() -> None:
    assert [name for name, _ in read_columns(Frame(a=np.zeros(2)))] == ["a"]


@pytest.mark.parametrize(
    ("features", "names", "text"),
    [
        ({}, None, "no features"),
        (np.zeros((3, 0)), None, "no features"),
        (3, None, "must be an array"),
        ({"a": [1], "b": [1, 2]}, None, "different lengths: 'a' 1, 'b' 2"),
        ({"a": [[1, 2]]}, None, r"'a' has the shape \[1, 2\]"),
        ({"a": [1]}, ["b"], "names= goes with an array"),
        (np.zeros((3, 2)), ["a"], "1 names for 2 features"),
        (np.zeros((3, 2)), ["a", "a"], "'a' twice"),
        (np.zeros((3, 2)), "ab", "1 names for 2"),
    ],
)
def test_features_that_cannot_be_read(features: Any, names: Any, text: str) -> None:
    with pytest.raises(EvidenceError, match=text):
        read_columns(features, names)


def test_entries_that_are_no_values() -> None:
    with pytest.raises(EvidenceError, match="x holds complex128"):
        as_column("x", np.array([1j]))
    with pytest.raises(EvidenceError, match="x holds entries that are neither"):
        as_column("x", np.array([[1], "a"], dtype=object))


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        ([0, 1, 2, 0, 1, 2], None, 3),
        ([5, 5, 9], None, 2),
        ([0.0, 1.0, 1.0], None, 2),
        ([0.5, 0.25], None, 2),
        (["a", "b", "c"], None, 3),
        ([True, False], None, 2),
        (torch.tensor([[0.0], [1.0]]), None, 2),
        ([0.5, 0.25, 0.75], None, 0),
        ([1.0, 2.0, 3.0], "regression", 0),
        ([1.0, 2.0, 3.0], "classification", 3),
        ([1, 2, 3], "regression", 0),
        ([1, 2, 3], "classification", 3),
    ],
)
def test_classes_or_amounts(target: Any, task: str | None, classes: int) -> None:
    assert read_target(target, task).num_classes == classes


def test_times_are_amounts() -> None:
    told = read_target(DAYS, None)
    assert (told.num_classes, told.codes.tolist(), told.rows.tolist()) == (0, [1, 0], [0, 1])


def test_rows_without_a_target() -> None:
    found = read_target(np.array([1.0, np.nan, 0.0]), None)
    assert (found.rows.tolist(), found.codes.tolist(), found.given) == ([0, 2], [1, 0], 3)
    found = read_target(["a", None, "b"], None)
    assert (found.rows.tolist(), found.num_classes) == ([0, 2], 2)
    assert read_target([np.nan, np.nan], None).rows.size == 0


@pytest.mark.parametrize(
    ("target", "task", "text"),
    [
        ([1.0, 2.0, 3.0], None, "floats are all whole, 3 different ones.*task="),
        ([1, 2, 3], None, "3 different whole numbers in 3 samples.*task="),
        (["a", "b"], "regression", "needs a target of numbers"),
        ([0, 1], "clustering", "'clustering' is not one of"),
        ([[0, 1], [1, 0]], None, r"shape \[N\].*\[2, 2\]"),
    ],
)
def test_targets_that_must_be_said(target: Any, task: str | None, text: str) -> None:
    with pytest.raises(EvidenceError, match=text):
        read_target(target, task)
