"""Confusion matrices as the renderers show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_modelgate.reports.matrices import Confusion, accuracy, confusions, heat_map, num_classes

if TYPE_CHECKING:
    from types import SimpleNamespace


def test_a_row_has_shares_of_its_actual_class_and_its_recall(make: SimpleNamespace) -> None:
    matrix = heat_map(make.evaluation("e", counts=[[4892, 8], [88, 12]]))

    assert matrix is not None
    fraud = matrix.rows[1]
    assert (fraud.label, fraud.support, fraud.recall) == ("fraud", 100, 0.12)
    assert [cell.share for cell in fraud.cells] == [0.88, 0.12]
    assert matrix.precisions == [4892 / 4980, 0.6]


def test_a_class_without_samples_has_no_recall_and_one_never_predicted_no_precision(make: SimpleNamespace) -> None:
    matrix = heat_map(make.evaluation("e", counts=[[5, 0], [0, 0]]))

    assert matrix is not None
    assert (matrix.rows[1].recall, matrix.precisions[1]) == (None, None)


def test_the_most_frequent_confusions_come_first(make: SimpleNamespace) -> None:
    evaluation = make.evaluation("e", labels=["a", "b", "c"], counts=[[9, 1, 0], [3, 5, 0], [0, 3, 7]])
    largest, total = confusions(evaluation, 2)

    assert total == 3
    assert largest == [Confusion("b", "a", 3, 3 / 8), Confusion("c", "b", 3, 0.3)]


def test_counts_and_cells_say_the_same(make: SimpleNamespace) -> None:
    whole = make.evaluation("e", counts=[[9, 1], [3, 5]])
    sparse = make.evaluation("e", counts=None, cells=[[0, 0, 9], [0, 1, 1], [1, 0, 3], [1, 1, 5]])

    assert heat_map(whole) == heat_map(sparse)
    assert confusions(whole, 5) == confusions(sparse, 5)
    assert accuracy(whole) == accuracy(sparse) == 14 / 18


@pytest.mark.parametrize(("size", "drawn"), [(2, True), (30, True), (31, False)])
def test_a_matrix_is_drawn_whole_up_to_thirty_classes(make: SimpleNamespace, size: int, drawn: bool) -> None:
    evaluation = make.evaluation("e", labels=list(range(size)), counts=[[1] * size for _ in range(size)])
    assert (heat_map(evaluation) is not None) is drawn


@pytest.mark.parametrize("labels", [None, []])
def test_a_regression_has_no_matrix(make: SimpleNamespace, labels: list[str] | None) -> None:
    evaluation = make.evaluation("e", labels=labels, counts=None)
    assert (num_classes(evaluation), heat_map(evaluation), confusions(evaluation, 5)) == (0, None, ([], 0))
    assert accuracy(evaluation) is None
