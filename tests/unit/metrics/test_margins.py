"""Vectorised metrics of margins, against the registry's whole-number ones and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import MetricError
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.margins import margin_metric
from pytest_modelgate.metrics.registry import METRICS, measure

laws = settings(max_examples=150, deadline=None, derandomize=True)

OF_COUNTS = [metric for metric in METRICS.values() if metric.needs == "counts"]
OVERALL = [metric.name for metric in OF_COUNTS if not metric.averages]
AVERAGED = [(metric.name, average) for metric in OF_COUNTS for average in metric.averages]

counts = st.one_of(st.integers(0, 3), st.integers(0, 1000), st.integers(0, 10**9))
tables = st.integers(2, 5).flatmap(lambda k: st.lists(st.lists(counts, min_size=k, max_size=k), min_size=k, max_size=k))
betas = st.floats(0.01, 100)


def margins(table):
    table = np.asarray(table, dtype=np.float64)
    return (
        np.diagonal(table, axis1=-2, axis2=-1),
        table.sum(axis=-1),
        table.sum(axis=-2),
    )


def both(name, table, *, average=None, index=None, beta=None):
    """The same question to the registry and to the margins."""
    expected = measure(
        name,
        ConfusionMatrix(table),
        label=index,
        average=average,
        parameters={} if beta is None else {"beta": beta},
    ).value
    found = margin_metric(name, average=average, index=index, beta=1.0 if beta is None else beta)(*margins(table))
    return math.nan if expected is None else expected, float(found)


class TestAgainstTheRegistry:
    @laws
    @given(tables, st.data())
    def test_every_metric_average_and_class(self, table, data):
        index = data.draw(st.integers(0, len(table) - 1))
        beta = data.draw(betas)
        for metric in OF_COUNTS:
            parameters = {"beta": beta} if metric.parameters else {}
            choices = [{"average": average} for average in metric.averages] or [{}]
            for choice in [*choices, {"index": index}]:
                expected, found = both(metric.name, table, **choice, **parameters)
                assert found == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True), (metric.name, choice)

    @pytest.mark.parametrize("table", [[[0, 0], [0, 0]], [[5, 0], [0, 0]], [[0, 0], [7, 0]], [[9, 0], [0, 1]]])
    @pytest.mark.parametrize("name", OVERALL)
    def test_undefined_alike(self, name, table):
        expected, found = both(name, table)
        assert found == pytest.approx(expected, nan_ok=True)

    @pytest.mark.parametrize(("name", "average"), AVERAGED)
    def test_a_class_without_samples(self, name, average):
        for table in (
            [[4, 1, 0], [2, 5, 0], [0, 0, 0]],
            [[4, 1, 2], [2, 5, 0], [0, 0, 0]],
            [[4, 1, 0], [2, 5, 0], [1, 0, 0]],
        ):
            expected, found = both(name, table, average=average)
            assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)


class TestShapes:
    @pytest.mark.parametrize(("name", "average"), [("f1", "macro"), ("precision", "weighted"), ("jaccard", "micro")])
    def test_many_tables_at_once(self, name, average):
        many = np.random.default_rng(0).integers(0, 20, size=(3, 4, 5, 5))
        metric = margin_metric(name, average=average, index=None)
        found = metric(*margins(many))
        assert found.shape == (3, 4)
        assert found[1, 2] == pytest.approx(float(metric(*margins(many[1, 2]))))

    @pytest.mark.parametrize("name", OVERALL)
    def test_many_tables_of_one_class(self, name):
        many = np.random.default_rng(0).integers(0, 20, size=(6, 3, 3))
        found = margin_metric(name, average=None, index=2)(*margins(many))
        assert found.shape == (6,)
        assert found[4] == pytest.approx(both(name, many[4].tolist(), index=2)[0])

    @pytest.mark.parametrize("name", [*OVERALL, "f1"])
    def test_the_scale_does_not_matter(self, name):
        metric = margin_metric(name, average=None if name in OVERALL else "macro", index=None)
        table = np.random.default_rng(1).integers(1, 50, size=(4, 4))
        expected = float(metric(*margins(table)))
        assert float(metric(*margins(table * 1e15))) == pytest.approx(expected, rel=1e-12)
        assert float(metric(*margins(table * 1e-9))) == pytest.approx(expected, rel=1e-9)


def test_against_scikit_learn():
    rng = np.random.default_rng(2)
    target, preds = rng.integers(0, 4, size=(2, 300))
    table = sklearn.metrics.confusion_matrix(target, preds)
    for average in ("macro", "weighted", "micro"):
        found = margin_metric("fbeta", average=average, index=None, beta=0.5)(*margins(table))
        assert float(found) == pytest.approx(sklearn.metrics.fbeta_score(target, preds, beta=0.5, average=average))
    for name, function in (
        ("mcc", sklearn.metrics.matthews_corrcoef),
        ("cohen_kappa", sklearn.metrics.cohen_kappa_score),
        ("balanced_accuracy", sklearn.metrics.balanced_accuracy_score),
    ):
        found = margin_metric(name, average=None, index=None)(*margins(table))
        assert float(found) == pytest.approx(function(target, preds))


def test_very_large_and_very_small_beta():
    table = [[50, 10], [5, 35]]
    recall, precision = 35 / 40, 35 / 45
    for beta, limit in ((1e200, recall), (1e-200, precision)):
        assert float(margin_metric("fbeta", average=None, index=1, beta=beta)(*margins(table))) == pytest.approx(limit)


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("recal", {"average": None, "index": 0}, "no metric of counts is called 'recal'; did you mean 'recall'"),
        ("recall", {"average": None, "index": None}, "average is one of macro, micro, weighted, not None"),
        ("recall", {"average": "samples", "index": None}, "average is one of macro, micro, weighted, not 'samples'"),
        ("recall", {"average": "macro", "index": 1}, "takes one of label= and average="),
        ("mcc", {"average": "macro", "index": None}, "mcc takes no average='macro'"),
        ("roc_auc", {"average": None, "index": 0}, "no metric of counts is called 'roc_auc'"),
    ],
)
def test_wrong_use(name, choice, message):
    with pytest.raises(MetricError, match=message):
        margin_metric(name, **choice)
