"""The confusion matrix as a value: made, merged, compared, drawn, refused."""

from __future__ import annotations

import copy
import json
import pickle
from functools import reduce
from operator import add

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import EvidenceError, MetricError
from pytest_modelgate.metrics.confusion import ConfusionMatrix, OneVsRest
from pytest_modelgate.strategies import confusion_matrices, predictions

LARGEST = 2**63 - 1
laws = settings(max_examples=60, deadline=None, derandomize=True)
FRAUD = ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud"))


class TestMade:
    @pytest.mark.parametrize(
        "counts",
        [
            [[1, 2], [3, 4]],
            ((1, 2), (3, 4)),
            np.array([[1, 2], [3, 4]], dtype=np.uint8),
            np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float16),
            np.asfortranarray([[1, 2], [3, 4]]),
            torch.tensor([[1, 2], [3, 4]], dtype=torch.int32),
        ],
    )
    def test_from_anything_like_a_table(self, counts):
        matrix = ConfusionMatrix(counts)
        assert matrix.counts.dtype == np.int64
        assert matrix.counts.tolist() == [[1, 2], [3, 4]]
        assert matrix.labels == (0, 1)
        assert (matrix.n, matrix.num_classes, matrix.support.tolist()) == (10, 2, [3, 7])
        assert type(matrix.n) is int

    def test_it_keeps_a_copy_that_is_read_only(self):
        counts = np.array([[1, 2], [3, 4]])
        matrix = ConfusionMatrix(counts)
        counts[0, 0] = 99
        assert matrix.counts[0, 0] == 1
        with pytest.raises(ValueError, match="read-only"):
            matrix.counts[0, 0] = 5
        with pytest.raises(AttributeError):
            matrix.labels = ("a", "b")

    @pytest.mark.parametrize(
        ("counts", "message"),
        [
            ([1, 2], r"shape \[K, K\] with K >= 2, not \[2\]"),
            ([[1]], r"not \[1, 1\]"),
            ([[1, 2, 3], [4, 5, 6]], r"not \[2, 3\]"),
            ([[1, 2], [3]], "rows of different lengths"),
            ([[1, -2], [3, -4]], r"must not be negative: 2 of 4, the first is -2 at \[0, 1\]"),
            ([[1, 0.5], [3, 4]], r"counts must be whole numbers: 1 of 4, the first is 0.5 at \[0, 1\]"),
            ([[1, float("nan")], [3, 4]], r"the first is nan at \[0, 1\]"),
            ([["a", "b"], ["c", "d"]], "counts must be whole numbers, but their type is"),
            ([[2**64, 0], [0, 0]], "counts must be whole numbers below 2"),
        ],
    )
    def test_what_is_no_table(self, counts, message):
        with pytest.raises(EvidenceError, match=message):
            ConfusionMatrix(counts)

    def test_labels_must_fit(self):
        with pytest.raises(EvidenceError, match="3 labels for 2 classes"):
            ConfusionMatrix([[1, 2], [3, 4]], labels=("a", "b", "c"))

    def test_zeros(self):
        assert ConfusionMatrix.zeros(3) == ConfusionMatrix(np.zeros((3, 3), dtype=int))
        assert ConfusionMatrix.zeros(np.int64(2)) == ConfusionMatrix([[0, 0], [0, 0]])
        assert ConfusionMatrix.zeros(["a", "b"]) == ConfusionMatrix([[0, 0], [0, 0]], labels=("a", "b"))

    @pytest.mark.parametrize("labels", [0, 1, -3, ["a"]])
    def test_zeros_of_too_few_classes(self, labels):
        with pytest.raises(EvidenceError, match="at least two classes"):
            ConfusionMatrix.zeros(labels)

    def test_from_counts(self):
        matrix = ConfusionMatrix.from_counts(tp=40, fp=5, fn=10, tn=45)
        assert matrix.counts.tolist() == [[45, 5], [10, 40]]
        assert matrix.labels == ("negative", "positive")
        assert matrix.one_vs_rest("positive") == OneVsRest(tp=40, fp=5, fn=10, tn=45)
        assert matrix.one_vs_rest("negative") == OneVsRest(tp=45, fp=10, fn=5, tn=40)


class TestFromLabels:
    def test_the_number_of_classes_is_the_largest_index_plus_one(self):
        matrix = ConfusionMatrix.from_labels(target=[0, 2], preds=[3, 2])
        assert matrix.labels == (0, 1, 2, 3)
        assert ConfusionMatrix.from_labels(target=[0, 0], preds=[0, 0]).num_classes == 2

    def test_names_are_sorted_where_nothing_else_is_said(self):
        matrix = ConfusionMatrix.from_labels(target=["dog", "cat", "dog"], preds=["cat", "cat", "eel"])
        assert matrix.labels == ("cat", "dog", "eel")
        assert matrix.counts.tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0]]

    def test_labels_give_the_order(self):
        matrix = ConfusionMatrix.from_labels(target=["a", "b"], preds=["b", "b"], labels=("b", "a"))
        assert matrix.counts.tolist() == [[1, 0], [1, 0]]

    def test_names_on_one_side_and_indices_on_the_other(self):
        matrix = ConfusionMatrix.from_labels(target=["a", "b"], preds=np.array([1, 1]), labels=("a", "b"))
        assert matrix.counts.tolist() == [[0, 1], [0, 1]]

    def test_integers_are_names_where_the_labels_are_integers(self):
        matrix = ConfusionMatrix.from_labels(target=[3, 7], preds=[7, 7], labels=(7, 3))
        assert matrix.counts.tolist() == [[1, 0], [1, 0]]
        swapped = ConfusionMatrix.from_labels(target=[0, 0], preds=[0, 1], labels=(1, 0))
        assert swapped.counts.tolist() == [[0, 0], [1, 1]]

    def test_nothing_with_known_classes(self):
        assert ConfusionMatrix.from_labels(target=[], preds=[], num_classes=2) == ConfusionMatrix.zeros(2)
        assert ConfusionMatrix.from_labels(target=[], preds=[], labels=["a", "b"]) == ConfusionMatrix.zeros(["a", "b"])

    def test_bool_tensors(self):
        target, preds = torch.tensor([True, False]), torch.tensor([True, True])
        assert ConfusionMatrix.from_labels(target=target, preds=preds).counts.tolist() == [[0, 1], [0, 1]]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"target": [], "preds": []}, "no samples, so the classes are unknown: give num_classes= or labels="),
            ({"target": [0, 1], "preds": [0]}, "target has 2 samples, but preds has 1"),
            ({"target": ["a", "b"], "preds": ["a"]}, "target has 2 samples, but preds has 1"),
            ({"target": [0, 1], "preds": [0.5, 1]}, "preds must be whole numbers: 1 of 2, the first is 0.5"),
            ({"target": [0, 1], "preds": [0, float("nan")]}, "the first is nan at position 1"),
            ({"target": [0, 5], "preds": [0, 1], "num_classes": 3}, "target must be class indices from 0 to 2: 1 of 2"),
            ({"target": [0, -1], "preds": [0, 1]}, "target must be class indices from 0 to 1: 1 of 2, the first is -1"),
            ({"target": ["a", "a"], "preds": ["a", "a"]}, "at least two classes, not 1: give labels="),
            ({"target": ["a", "b"], "preds": [0, 1]}, "names of classes and other values are mixed, such as"),
            ({"target": ["a", None], "preds": ["a", "b"]}, "names of classes and other values are mixed, such as None"),
            ({"target": np.array(["a", np.nan]), "preds": ["a", "b"]}, "a class is called 'nan'"),
            ({"target": ["a", "c"], "preds": ["a", "b"], "labels": ("a", "b")}, "the first is 'c' at position 1"),
            ({"target": [0, 1], "preds": [0, 1], "labels": ("a", "b"), "num_classes": 3}, "2 labels for 3 classes"),
            ({"target": [10**6], "preds": [0]}, "hard to believe"),
            ({"target": [[0, 1]], "preds": [[0, 1]]}, r"not shape \[1, 2\]"),
        ],
    )
    def test_what_is_refused(self, arguments, message):
        with pytest.raises(EvidenceError, match=message):
            ConfusionMatrix.from_labels(**arguments)

    @laws
    @given(predictions(num_classes=3), st.data())
    def test_no_way_of_cutting_the_batches_changes_the_counts(self, drawn, data):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(drawn.target)), max_size=5)))
        batches = zip(np.split(drawn.target, cuts), np.split(drawn.preds, cuts), strict=True)
        parts = [ConfusionMatrix.from_labels(target=t, preds=p, num_classes=3) for t, p in batches]
        whole = ConfusionMatrix.from_labels(target=drawn.target, preds=drawn.preds, num_classes=3)
        assert sum(parts, start=ConfusionMatrix.zeros(3)) == whole

    @laws
    @given(predictions(num_classes=4), st.randoms())
    def test_the_order_of_the_samples_does_not_matter(self, drawn, random):
        order = list(range(len(drawn.target)))
        random.shuffle(order)
        given_order = ConfusionMatrix.from_labels(target=drawn.target, preds=drawn.preds, num_classes=4)
        other = ConfusionMatrix.from_labels(target=drawn.target[order], preds=drawn.preds[order], num_classes=4)
        assert other == given_order


class TestMerging:
    three = confusion_matrices(num_classes=3)

    @laws
    @given(three, three, three)
    def test_associative_commutative_with_zero(self, a, b, c):
        assert (a + b) + c == a + (b + c)
        assert a + b == b + a
        assert a + ConfusionMatrix.zeros(3) == a
        assert (a + b).n == a.n + b.n

    def test_classes_must_be_the_same(self):
        with pytest.raises(EvidenceError, match=r"different classes: \('a', 'b'\) and \('b', 'a'\)"):
            ConfusionMatrix.zeros(["a", "b"]) + ConfusionMatrix.zeros(["b", "a"])

    def test_only_with_its_like(self):
        with pytest.raises(TypeError):
            FRAUD + 1

    def test_counts_stay_exact_up_to_int64(self):
        big = ConfusionMatrix([[2**62, 1], [0, 2**53 + 1]])
        assert big.n == 2**62 + 2**53 + 2
        assert (big + ConfusionMatrix([[1, 0], [0, 0]])).counts[0, 0] == 2**62 + 1
        assert big.one_vs_rest(1) == OneVsRest(tp=2**53 + 1, fp=1, fn=0, tn=2**62)

    @pytest.mark.parametrize(
        "counts", [[[LARGEST, 1], [0, 0]], [[2**62, 0], [0, 2**62]], np.array([[2**63, 0], [0, 0]], dtype=np.uint64)]
    )
    def test_a_table_whose_sum_overflows(self, counts):
        with pytest.raises(EvidenceError, match=r"sum below 2\*\*63"):
            ConfusionMatrix(counts)

    def test_a_merge_that_overflows(self):
        almost = ConfusionMatrix([[LARGEST - 1, 0], [0, 0]])
        assert (almost + ConfusionMatrix([[0, 0], [0, 1]])).n == LARGEST
        with pytest.raises(EvidenceError, match="does not fit into int64"):
            almost + ConfusionMatrix([[0, 0], [0, 2]])


class TestValue:
    @laws
    @given(confusion_matrices())
    def test_json_pickle_and_copies_give_it_back(self, matrix):
        again = [
            ConfusionMatrix.from_dict(json.loads(json.dumps(matrix.to_dict()))),
            pickle.loads(pickle.dumps(matrix)),
            copy.copy(matrix),
            copy.deepcopy(matrix),
            eval(repr(matrix)),
        ]
        for other in again:
            assert other == matrix
            assert hash(other) == hash(matrix)
            assert not other.counts.flags.writeable

    def test_equal_only_with_the_same_labels_and_counts(self):
        assert ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud")) == FRAUD
        assert ConfusionMatrix([[4892, 8], [88, 12]]) != FRAUD
        assert ConfusionMatrix([[4892, 8], [88, 13]], labels=("ok", "fraud")) != FRAUD
        assert FRAUD != "fraud"

    def test_from_dict_without_a_key(self):
        with pytest.raises(EvidenceError, match=r"missing: \['labels'\]"):
            ConfusionMatrix.from_dict({"counts": [[1, 2], [3, 4]]})


class TestNormalized:
    matrix = ConfusionMatrix([[1, 3, 0], [0, 0, 0], [2, 2, 0]])

    @pytest.mark.parametrize(
        ("over", "shares"),
        [
            ("true", [[0.25, 0.75, 0.0], [None] * 3, [0.5, 0.5, 0.0]]),
            ("pred", [[1 / 3, 0.6, None], [0.0, 0.0, None], [2 / 3, 0.4, None]]),
            ("all", [[0.125, 0.375, 0.0], [0.0, 0.0, 0.0], [0.25, 0.25, 0.0]]),
        ],
    )
    def test_shares_of_nothing_are_masked(self, over, shares):
        assert self.matrix.normalized(over).tolist() == shares

    def test_no_samples(self):
        assert ConfusionMatrix.zeros(2).normalized("all").mask.all()

    def test_an_unknown_word(self):
        with pytest.raises(MetricError, match="takes 'true', 'pred' or 'all', not 'rows'"):
            self.matrix.normalized("rows")


class TestDrawn:
    def test_rows_and_columns_are_named(self):
        assert str(FRAUD).splitlines() == [
            "                predicted ok   predicted fraud",
            "actual ok               4892                 8",
            "actual fraud              88                12",
        ]

    def test_many_classes_show_the_most_frequent_confusions(self):
        counts = np.diag(np.full(100, 50))
        counts[3, 97], counts[5, 4] = 12, 120
        assert str(ConfusionMatrix(counts)).splitlines() == [
            "100 classes, 5132 samples, most frequent confusions:",
            "actual 5   predicted 4    120",
            "actual 3   predicted 97    12",
        ]
        assert repr(ConfusionMatrix(counts)) == "<ConfusionMatrix of 100 classes, 5132 samples>"

    def test_many_classes_show_ten_of_them(self):
        lines = str(ConfusionMatrix(np.arange(121).reshape(11, 11))).splitlines()
        assert len(lines) == 11
        assert lines[1] == "actual 10   predicted 9   119"

    def test_many_classes_without_confusions(self):
        assert str(ConfusionMatrix(np.diag(np.full(11, 2)))) == "11 classes, 22 samples, no confusions"

    @laws
    @given(confusion_matrices(num_classes=st.integers(2, 12), max_count=10**6))
    def test_every_count_is_there_and_lines_end_clean(self, matrix):
        lines = str(matrix).splitlines()
        assert all(line == line.rstrip() for line in lines)
        if matrix.num_classes <= 10:
            assert [[int(word) for word in line.split()[2:]] for line in lines[1:]] == matrix.counts.tolist()


@laws
@given(confusion_matrices())
def test_every_one_vs_rest_is_each_one_vs_rest(matrix):
    tables = matrix.every_one_vs_rest()
    assert tables == [matrix.one_vs_rest(label) for label in matrix.labels]
    assert all(table.n == matrix.n for table in tables)
    assert reduce(add, (table.tp for table in tables)) == matrix.counts.trace()
