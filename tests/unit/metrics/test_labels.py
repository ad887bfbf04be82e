"""Names of classes: which are taken, how they are looked up, and what the errors say."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelgate.exceptions import EvidenceError, MetricError
from pytest_modelgate.metrics.labels import check_labels, class_indices, count_classes, index_of


def test_index_by_name_then_by_index():
    assert index_of(("ok", "fraud"), "fraud") == 1
    assert index_of(("ok", "fraud"), 1) == 1
    assert index_of(("ok", "fraud"), np.int64(0)) == 0


def test_names_win_where_labels_are_integers():
    assert index_of((1, 0), 1) == 0
    assert index_of((7, 1, 0), 1) == 1
    assert index_of((7, 9), 1) == 1


@pytest.mark.parametrize("label", [2, -1, None, 0.5, "froud"])
def test_an_unknown_class(label):
    with pytest.raises(MetricError, match=r"unknown class .*\(the classes are 'ok', 'fraud'\)"):
        index_of(("ok", "fraud"), label)


def test_the_error_names_a_close_one():
    with pytest.raises(MetricError, match="unknown class 'froud'; did you mean 'fraud'"):
        index_of(("ok", "fraud"), "froud")


def test_many_classes_are_not_all_listed():
    with pytest.raises(MetricError, match=r"18, 19, \.\.\.\)"):
        index_of(tuple(range(100)), 100)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("ab", "not the one string 'ab'"),
        (["a"], "at least two classes, not 1"),
        (["a", "b", "a"], "'a' stands 2 times"),
        (["a", 1.5], "strings or integers, not 1.5"),
        (["a", None], "strings or integers, not None"),
    ],
)
def test_labels_that_are_refused(labels, message):
    with pytest.raises(EvidenceError, match=message):
        check_labels(labels)


def test_labels_and_number_of_classes_agree():
    with pytest.raises(EvidenceError, match="2 labels for 3 classes"):
        check_labels(["a", "b"], 3)


def test_numpy_names_become_plain():
    names = check_labels(np.array(["a", "b"]))
    assert [type(name) for name in names] == [str, str]
    assert [type(name) for name in check_labels(np.array([3, 4]))] == [int, int]


@pytest.mark.parametrize(
    ("values", "labels", "indices"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        (np.array(["b", "a"], dtype=object), ("a", "b"), [1, 0]),
        ([1, 0], ("a", "b"), [1, 0]),
        ([1.0, 0.0], ("a", "b"), [1, 0]),
        ([7, 3], (3, 7), [1, 0]),
        ([0, 1], (1, 0), [1, 0]),
        ([7.0, 3.0], (3, 7), [1, 0]),
        ([2, 0], (0, 1, 2), [2, 0]),
        ([2, 0], None, [2, 0]),
        ([], ("a", "b"), []),
    ],
)
def test_classes_to_indices(values, labels, indices):
    assert class_indices(values, labels, "target").tolist() == indices


def test_an_unknown_name_in_the_data():
    with pytest.raises(
        EvidenceError,
        match=r"^target must be names of classes: 2 of 4 are not, "
        r"the first is 'dgo' at position 1; did you mean 'dog'\?$",
    ):
        class_indices(["cat", "dgo", "dog", "cow"], ("cat", "dog"), "target")


def test_an_unknown_integer_name():
    with pytest.raises(EvidenceError, match=r"preds must be names of classes: 1 of 2 are not, the first is 0"):
        class_indices([3, 0], (3, 7), "preds")


def test_a_missing_value_among_names():
    with pytest.raises(EvidenceError, match="the first is None at position 1"):
        class_indices(np.array(["a", None, "b"], dtype=object), ("a", "b"), "target")


def test_names_without_labels():
    with pytest.raises(EvidenceError, match="target are names of classes: give labels="):
        class_indices(["a"], None, "target")


def test_an_index_column_by_mistake():
    ids = np.array([12, 1_000_000])
    with pytest.raises(EvidenceError, match="a class index of 1,000,000 is hard to believe"):
        count_classes(ids, ids)
