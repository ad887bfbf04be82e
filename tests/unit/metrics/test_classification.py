"""Metrics of counts: published tables, scikit-learn and torchmetrics as oracles, and the laws they obey."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_modelgate.metrics.classification import Ratio, mean_of_ratios
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.registry import METRICS, measure
from pytest_modelgate.strategies import confusion_matrices

laws = settings(max_examples=60, deadline=None, derandomize=True)
small = confusion_matrices(max_count=12)
AVERAGES = ("macro", "micro", "weighted")
RATIOS = [name for name, metric in METRICS.items() if metric.needs == "counts" and metric.averages]
OVERALL = [name for name, metric in METRICS.items() if metric.needs == "counts" and not metric.averages]


def samples(matrix):
    """The actual and the predicted class of every sample that a matrix counts."""
    rows, columns = np.indices(matrix.counts.shape)
    counts = matrix.counts.ravel()
    return np.repeat(rows.ravel(), counts), np.repeat(columns.ravel(), counts)


def close(value):
    return pytest.approx(value, rel=1e-12, abs=1e-12)


PUBLISHED = [
    (
        {"tp": 40, "fp": 5, "fn": 10, "tn": 45},
        {
            "accuracy": 85 / 100,
            "balanced_accuracy": 0.85,
            "precision": 40 / 45,
            "recall": 40 / 50,
            "specificity": 45 / 50,
            "negative_predictive_value": 45 / 55,
            "false_positive_rate": 5 / 50,
            "false_negative_rate": 10 / 50,
            "f1": 80 / 95,
            "jaccard": 40 / 55,
            "mcc": 1750 / math.sqrt(45 * 50 * 50 * 55),
            "cohen_kappa": 0.7,
        },
    ),
    (
        {"tp": 35, "fp": 10, "fn": 5, "tn": 50},
        {
            "accuracy": 85 / 100,
            "balanced_accuracy": (35 / 40 + 50 / 60) / 2,
            "precision": 35 / 45,
            "recall": 35 / 40,
            "specificity": 50 / 60,
            "negative_predictive_value": 50 / 55,
            "false_positive_rate": 10 / 60,
            "false_negative_rate": 5 / 40,
            "f1": 70 / 85,
            "jaccard": 35 / 50,
            "mcc": 1700 / math.sqrt(45 * 40 * 60 * 55),
            "cohen_kappa": (0.85 - 0.51) / (1 - 0.51),
        },
    ),
    (
        {"tp": 8, "fp": 1, "fn": 2, "tn": 9},
        {
            "accuracy": 17 / 20,
            "balanced_accuracy": 0.85,
            "precision": 8 / 9,
            "recall": 8 / 10,
            "specificity": 9 / 10,
            "negative_predictive_value": 9 / 11,
            "false_positive_rate": 1 / 10,
            "false_negative_rate": 2 / 10,
            "f1": 16 / 19,
            "jaccard": 8 / 11,
            "mcc": 70 / math.sqrt(9 * 10 * 10 * 11),
            "cohen_kappa": 0.7,
        },
    ),
]


@pytest.mark.parametrize(("counts", "name", "value"), [(c, n, v) for c, vs in PUBLISHED for n, v in vs.items()])
def test_published_tables(counts, name, value):
    found = ConfusionMatrix.from_counts(**counts).metric(name)
    if name in ("mcc", "cohen_kappa", "balanced_accuracy"):
        assert found == pytest.approx(value, rel=1e-15)
    else:
        assert found == value


def test_published_table_as_rows():
    matrix = ConfusionMatrix([[50, 10], [5, 35]])
    assert matrix == ConfusionMatrix.from_counts(tp=35, fp=10, fn=5, tn=50, labels=(0, 1))
    assert matrix.per_class("recall") == {0: 50 / 60, 1: 35 / 40}
    assert matrix.per_class("precision") == {0: 50 / 55, 1: 35 / 45}
    assert matrix.metric("fbeta", beta=2) == 5 * 35 / (5 * 35 + 4 * 5 + 10)


def test_thirty_six_of_forty_is_nine_tenths():
    matrix = ConfusionMatrix.from_counts(tp=36, fp=0, fn=4, tn=7)
    assert matrix.metric("recall") == 0.9
    assert matrix.metric("recall") >= 0.9


def test_averages_are_divided_once_too():
    assert mean_of_ratios([Ratio(7, 10), Ratio(1, 1), Ratio(1, 1)]) == 0.9
    thirds = ConfusionMatrix([[9, 1, 0], [3, 27, 0], [0, 6, 54]])
    assert thirds.metric("recall", average="macro") == 0.9
    assert thirds.metric("recall", average="weighted") == thirds.metric("accuracy") == 0.9


@laws
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**4)), min_size=1, max_size=40)
)
def test_mean_of_ratios_is_the_exact_mean_rounded_once(drawn):
    ratios = [Ratio(part, of) for part, of, _ in drawn]
    weights = [weight for *_, weight in drawn]
    exact = sum((Fraction(r.part, r.of) for r in ratios), start=Fraction(0)) / len(ratios)
    assert mean_of_ratios(ratios) == exact.numerator / exact.denominator
    if sum(weights):
        exact = sum(w * Fraction(r.part, r.of) for w, r in zip(weights, ratios, strict=True)) / sum(weights)
        assert mean_of_ratios(ratios, weights) == exact.numerator / exact.denominator
    else:
        assert mean_of_ratios(ratios, weights) is None


class TestAgainstScikitLearn:
    @laws
    @given(small)
    def test_per_class(self, matrix):
        target, preds = samples(matrix)
        assume(len(target))
        arguments = {"labels": range(matrix.num_classes), "average": None, "zero_division": np.nan}
        expected = {
            "recall": oracle.recall_score(target, preds, **arguments),
            "precision": oracle.precision_score(target, preds, **arguments),
            "f1": oracle.f1_score(target, preds, **arguments),
            "fbeta": oracle.fbeta_score(target, preds, beta=0.5, **arguments),
        }
        for name, values in expected.items():
            parameters = {"beta": 0.5} if name == "fbeta" else {}
            for ours, theirs in zip(matrix.per_class(name, **parameters).values(), values, strict=True):
                assert ours is None if math.isnan(theirs) else ours == close(theirs)

    @laws
    @given(small)
    def test_from_the_four_counts_of_each_class(self, matrix):
        target, preds = samples(matrix)
        assume(len(target))
        tables = oracle.multilabel_confusion_matrix(target, preds, labels=range(matrix.num_classes))
        for label, ((tn, fp), (fn, tp)) in enumerate(tables.tolist()):
            assert matrix.one_vs_rest(label) == (tp, fp, fn, tn)
            for name, part, of in [
                ("specificity", tn, tn + fp),
                ("negative_predictive_value", tn, tn + fn),
                ("false_positive_rate", fp, fp + tn),
                ("false_negative_rate", fn, fn + tp),
                ("jaccard", tp, tp + fp + fn),
                ("accuracy", tp + tn, tp + tn + fp + fn),
            ]:
                assert matrix.metric(name, label=label) == (part / of if of else None)

    @pytest.mark.parametrize("average", AVERAGES)
    @laws
    @given(small)
    def test_averages(self, average, matrix):
        target, preds = samples(matrix)
        assume(len(target))
        arguments = {"labels": range(matrix.num_classes), "average": average, "zero_division": 0}
        expected = {
            "recall": oracle.recall_score(target, preds, **arguments),
            "precision": oracle.precision_score(target, preds, **arguments),
            "f1": oracle.f1_score(target, preds, **arguments),
            "fbeta": oracle.fbeta_score(target, preds, beta=2, **arguments),
            "jaccard": oracle.jaccard_score(target, preds, **arguments),
        }
        for name, theirs in expected.items():
            parameters = {"beta": 2} if name == "fbeta" else {}
            ours = matrix.metric(name, average=average, **parameters)
            assert ours is None or ours == close(theirs)

    @laws
    @given(confusion_matrices(max_count=12, min_support=1))
    def test_overall(self, matrix):
        target, preds = samples(matrix)
        assert matrix.metric("accuracy") == oracle.accuracy_score(target, preds)
        assert matrix.metric("balanced_accuracy") == close(oracle.balanced_accuracy_score(target, preds))
        assert matrix.metric("cohen_kappa") == close(oracle.cohen_kappa_score(target, preds))
        ours = matrix.metric("mcc")
        # scikit-learn calls the correlation with a constant 0.
        assert oracle.matthews_corrcoef(target, preds) == close(0.0 if ours is None else ours)
        assert (ours is None) == (len(set(preds)) == 1)

    @laws
    @given(confusion_matrices(max_count=12))
    def test_one_class_of_the_overall_metrics(self, matrix):
        target, preds = samples(matrix)
        for label in matrix.labels:
            ours = {name: matrix.metric(name, label=label) for name in OVERALL}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if ours["mcc"] is not None:
                    assert ours["mcc"] == close(oracle.matthews_corrcoef(target == label, preds == label))
                if ours["cohen_kappa"] is not None:
                    assert ours["cohen_kappa"] == close(oracle.cohen_kappa_score(target == label, preds == label))
                if ours["balanced_accuracy"] is not None:
                    assert ours["balanced_accuracy"] == close(
                        oracle.balanced_accuracy_score(target == label, preds == label)
                    )


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_against_torchmetrics(average):
    import torch
    import torchmetrics.functional.classification as torchmetrics

    rng = np.random.default_rng(5)
    target = rng.integers(0, 4, 300)
    preds = np.where(rng.random(300) < 0.6, target, rng.integers(0, 4, 300))
    matrix = ConfusionMatrix.from_labels(target=target, preds=preds)
    t, p = torch.from_numpy(target), torch.from_numpy(preds)
    for name, function in {
        "recall": torchmetrics.multiclass_recall,
        "precision": torchmetrics.multiclass_precision,
        "specificity": torchmetrics.multiclass_specificity,
        "f1": torchmetrics.multiclass_f1_score,
        "jaccard": torchmetrics.multiclass_jaccard_index,
    }.items():
        theirs = float(function(p, t, num_classes=4, average=average))
        assert matrix.metric(name, average=average) == pytest.approx(theirs, abs=2e-7)
    assert matrix.counts.tolist() == torchmetrics.multiclass_confusion_matrix(p, t, num_classes=4).tolist()
    for name, function in {
        "mcc": torchmetrics.multiclass_matthews_corrcoef,
        "cohen_kappa": torchmetrics.multiclass_cohen_kappa,
    }.items():
        assert matrix.metric(name) == pytest.approx(float(function(p, t, num_classes=4)), abs=2e-7)


class TestLaws:
    @laws
    @given(small)
    def test_ranges(self, matrix):
        for name in OVERALL + RATIOS:
            metric = METRICS[name]
            values = [matrix.metric(name, average=average) for average in metric.averages]
            values += matrix.per_class(name).values()
            if not metric.averages:
                values.append(matrix.metric(name))
            assert all(value is None or metric.lowest <= value <= metric.highest for value in values)

    @laws
    @given(small, st.randoms())
    def test_the_order_of_the_classes_does_not_matter(self, matrix, random):
        order = list(matrix.labels)
        random.shuffle(order)
        other = ConfusionMatrix(matrix.counts[np.ix_(order, order)], order)
        for name in OVERALL:
            assert other.metric(name) == matrix.metric(name)
        for name in RATIOS:
            assert other.per_class(name) == matrix.per_class(name)
            for average in AVERAGES:
                assert other.metric(name, average=average) == matrix.metric(name, average=average)

    @laws
    @given(small)
    def test_micro_averages_are_the_accuracy(self, matrix):
        accuracy = measure("accuracy", matrix)
        for name in ("precision", "recall", "f1", "fbeta"):
            assert measure(name, matrix, average="micro") == accuracy
        assert measure("fbeta", matrix, average="micro", parameters={"beta": 0.3}) == accuracy
        assert matrix.metric("recall", average="weighted") == accuracy.value

    @laws
    @given(small, st.floats(0.01, 100))
    def test_fbeta_lies_between_precision_and_recall(self, matrix, beta):
        for label in matrix.labels:
            recall, precision = (matrix.metric(name, label=label) for name in ("recall", "precision"))
            fbeta = matrix.metric("fbeta", label=label, beta=beta)
            if recall is not None and precision is not None and recall + precision > 0:
                assert min(recall, precision) <= fbeta <= max(recall, precision)

    @laws
    @given(small)
    def test_fbeta_with_one_is_f1_and_its_limits_are_precision_and_recall(self, matrix):
        assert matrix.per_class("fbeta") == matrix.per_class("fbeta", beta=1) == matrix.per_class("f1")
        for label, table in zip(matrix.labels, matrix.every_one_vs_rest(), strict=True):
            if table.tp:
                assert matrix.metric("fbeta", label=label, beta=1e-9) == close(matrix.metric("precision", label=label))
                assert matrix.metric("fbeta", label=label, beta=1e9) == close(matrix.metric("recall", label=label))

    @laws
    @given(small)
    def test_complements(self, matrix):
        for one, other in [("recall", "false_negative_rate"), ("specificity", "false_positive_rate")]:
            for label in matrix.labels:
                a, b = matrix.metric(one, label=label), matrix.metric(other, label=label)
                assert (a is None) == (b is None)
                assert a is None or a + b == close(1)

    @laws
    @given(confusion_matrices(num_classes=2, max_count=12))
    def test_two_classes_mirror_each_other(self, matrix):
        for one, other in [("recall", "specificity"), ("precision", "negative_predictive_value")]:
            assert matrix.metric(one, label=0) == matrix.metric(other, label=1)
        for name in OVERALL:
            assert matrix.metric(name) == matrix.metric(name, label=0) == matrix.metric(name, label=1)

    @laws
    @given(small, st.integers(2, 10**6))
    def test_all_counts_times_a_factor_change_nothing(self, matrix, factor):
        larger = ConfusionMatrix(matrix.counts * factor)
        for name in OVERALL:
            ours, theirs = matrix.metric(name), larger.metric(name)
            assert theirs == ours if ours is None else theirs == close(ours)
        for name in RATIOS:
            assert larger.per_class(name) == matrix.per_class(name)

    @laws
    @given(small)
    def test_the_mirrored_matrix_swaps_precision_and_recall(self, matrix):
        mirrored = ConfusionMatrix(matrix.counts.T)
        assert mirrored.per_class("precision") == matrix.per_class("recall")
        assert mirrored.metric("mcc") == matrix.metric("mcc")
        assert mirrored.metric("cohen_kappa") == matrix.metric("cohen_kappa")
        assert mirrored.per_class("jaccard") == matrix.per_class("jaccard")

    @laws
    @given(small)
    def test_f1_and_jaccard_say_the_same(self, matrix):
        for label in matrix.labels:
            f1, jaccard = matrix.metric("f1", label=label), matrix.metric("jaccard", label=label)
            assert (f1 is None) == (jaccard is None)
            assert f1 is None or f1 == close(2 * jaccard / (1 + jaccard))


class TestLargeCounts:
    @pytest.mark.parametrize("size", [10**5, 2**31, 2**53 + 1, 2**60])
    def test_mcc_does_not_overflow(self, size):
        assert ConfusionMatrix([[size, 0], [0, size]]).metric("mcc") == 1.0
        assert ConfusionMatrix([[0, size], [size, 0]]).metric("mcc") == -1.0
        assert ConfusionMatrix([[size, size], [size, size]]).metric("mcc") == 0.0

    @laws
    @given(st.integers(1, 2**60), st.integers(0, 2**60))
    def test_mcc_of_even_margins_is_one_division(self, right, wrong):
        assert ConfusionMatrix([[right, wrong], [wrong, right]]).metric("mcc") == (right - wrong) / (right + wrong)

    def test_perfect_and_hopeless_are_exact_for_every_k(self):
        for k in (2, 3, 50):
            perfect = ConfusionMatrix(np.diag(np.arange(1, k + 1) * 10**9))
            assert [perfect.metric(name) for name in OVERALL] == [1.0] * 4

    def test_ratios_above_what_float64_counts(self):
        matrix = ConfusionMatrix.from_counts(tp=2**60 + 1, fp=0, fn=2**60 - 1, tn=0)
        assert matrix.metric("recall") == (2**60 + 1) / 2**61
        assert measure("recall", matrix).hits == 2**60 + 1
