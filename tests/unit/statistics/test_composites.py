"""Bounds of composite metrics: against Clopper and Pearson's, which the method becomes for a proportion, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.metrics.margins import margin_metric
from pytest_modelgate.statistics.composites import (
    MOST_CELLS,
    dirichlet_interval,
    dirichlet_interval_of,
    f1_interval,
    f1_of_jaccard,
    jaccard_of_f1,
    paired_dirichlet_interval,
)

laws = settings(max_examples=40, deadline=None, derandomize=True)
counts = st.integers(0, 300)
tables = st.lists(st.integers(0, 60), min_size=4, max_size=4).map(lambda cells: np.reshape(cells, (2, 2)))

accuracy = margin_metric("accuracy", average=None, index=None)
mcc = margin_metric("mcc", average=None, index=None)
macro_f1 = margin_metric("f1", average="macro", index=None)


def of_last(name):
    return margin_metric(name, average=None, index=1)


def value(metric, table):
    table = np.asarray(table, dtype=np.float64)
    with np.errstate(all="ignore"):
        return float(metric(table.diagonal(), table.sum(axis=1), table.sum(axis=0)))


def proportion(hits, trials):
    """Clopper and Pearson's bounds, by scipy."""
    return scipy.stats.binomtest(hits, trials).proportion_ci(0.9, method="exact")


def shares(k, right):
    """Evenly many samples of each class; errors more often for the next classes."""
    table = np.array([[0.5 ** ((j - i) % k) for j in range(k)] for i in range(k)]) + 0.05
    np.fill_diagonal(table, 0.0)
    table *= (1 - right) / table.sum(axis=1, keepdims=True)
    np.fill_diagonal(table, right)
    return table / k


class TestF1:
    def test_published(self):
        lower, upper = f1_interval(30, 0, 0)
        assert round(lower, 4) == 0.9501
        assert upper == 1.0
        assert jaccard_of_f1(lower) == pytest.approx(0.05 ** (1 / 30))

    @laws
    @given(counts, counts, counts)
    def test_against_scipy(self, tp, fp, fn):
        if tp + fp + fn:
            lower, upper = (f1_of_jaccard(bound) for bound in proportion(tp, tp + fp + fn))
            assert f1_interval(tp, fp, fn) == pytest.approx((lower, upper), rel=1e-9, abs=1e-12)

    @laws
    @given(st.floats(0, 1))
    def test_jaccard_and_back(self, f1):
        assert f1_of_jaccard(jaccard_of_f1(f1)) == pytest.approx(f1, abs=1e-15)

    @laws
    @given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 1e4))
    def test_effective_counts(self, tp, fp, fn):
        found = f1_interval(tp, fp, fn)
        assert 0 <= found.lower <= found.upper <= 1
        if tp + fp + fn > 0:
            f1 = 2 * tp / (2 * tp + fp + fn) if tp else 0.0
            assert found.lower <= f1 + 1e-9
            assert found.upper >= f1 - 1e-9
        assert f1_interval(tp + 0.5, fp, fn).lower >= found.lower - 1e-9
        assert f1_interval(tp, fp + 0.5, fn).upper <= found.upper + 1e-9

    def test_nothing_known(self):
        assert f1_interval(0, 0, 0) == (0.0, 1.0)

    @pytest.mark.parametrize("huge", [2**53 + 1, 10**18])
    def test_large_counts(self, huge):
        lower, upper = f1_interval(huge, huge // 10, huge // 10)
        assert lower <= upper
        assert lower == pytest.approx(1 / 1.1, rel=1e-5)

    def test_plain_floats(self):
        assert [type(bound) for bound in f1_interval(np.int64(3), np.int64(1), np.float64(0.5))] == [float, float]

    @pytest.mark.parametrize("wrong", [-1, math.nan, math.inf])
    def test_no_counts(self, wrong):
        for counts in ((wrong, 1, 1), (1, wrong, 1), (1, 1, wrong)):
            with pytest.raises(EvidenceError, match="must be finite and not negative"):
                f1_interval(*counts)

    def test_confidence(self):
        assert f1_interval(9, 1, 1, 0.99).lower < f1_interval(9, 1, 1, 0.95).lower
        with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
            f1_interval(9, 1, 1, 95)


class TestDirichlet:
    def test_published(self):
        found = dirichlet_interval([[70, 0], [0, 30]], of_last("f1"), lowest=0, highest=1)
        assert found.lower == pytest.approx(0.9501, abs=0.002)
        assert found.upper == 1.0

    @pytest.mark.parametrize("table", [[[45, 5], [2, 48]], [[980, 0], [1, 19]], [[10, 0], [10, 0]], [[3, 1], [0, 2]]])
    def test_of_a_proportion_it_is_clopper_and_pearson(self, table):
        """With s = 1 the lower bound is a quantile of Beta(k, n - k + 1): Walley (1996)."""
        (tn, fp), (fn, tp) = table
        for metric, hits, trials in (
            (accuracy, tn + tp, tn + fp + fn + tp),
            (of_last("recall"), tp, tp + fn),
            (of_last("specificity"), tn, tn + fp),
            (of_last("false_positive_rate"), fp, tn + fp),
            (of_last("jaccard"), tp, tp + fp + fn),
        ):
            lower, upper = proportion(hits, trials)
            found = dirichlet_interval(table, metric, lowest=0, highest=1, draws=40_000)
            width = upper - lower
            assert found == pytest.approx((lower, upper), abs=0.03 * width)

    @pytest.mark.parametrize("k", [3, 10])
    def test_accuracy_of_many_classes_too(self, k):
        table = np.round(shares(k, 0.9) * 200)
        lower, upper = proportion(int(table.trace()), int(table.sum()))
        found = dirichlet_interval(table, accuracy, lowest=0, highest=1)
        assert found == pytest.approx((lower, upper), abs=0.05 * (upper - lower))

    @laws
    @given(tables)
    def test_the_bounds_hold_the_estimate_and_mirror(self, table):
        found = dirichlet_interval(table, mcc, lowest=-1, highest=1, draws=500)
        estimate = value(mcc, table)
        if math.isnan(estimate):
            assert found == (-1, 1)
            return
        assert -1 <= found.lower <= estimate <= found.upper <= 1
        assert found.lower < found.upper
        mirrored = dirichlet_interval(table, lambda *margins: -mcc(*margins), lowest=-1, highest=1, draws=500)
        assert mirrored == pytest.approx((-found.upper, -found.lower))

    def test_a_perfect_and_a_hopeless_matrix(self):
        lower, upper = dirichlet_interval([[50, 0], [0, 50]], mcc, lowest=-1, highest=1)
        assert 0.8 < lower < 0.97
        assert upper == 1
        lower, upper = dirichlet_interval([[0, 50], [50, 0]], mcc, lowest=-1, highest=1)
        assert lower == -1
        assert -0.97 < upper < -0.8

    @pytest.mark.parametrize("table", [np.zeros((2, 2)), [[5, 0], [0, 0]], np.zeros((40, 40))])
    def test_undefined_is_unknown(self, table):
        assert dirichlet_interval(table, mcc, lowest=-1, highest=1) == (-1, 1)

    def test_a_single_cell(self):
        lower, upper = dirichlet_interval([[0, 0], [0, 59]], accuracy, lowest=0, highest=1)
        assert lower == pytest.approx(0.95, abs=0.002)
        assert upper == 1

    def test_undefined_draws_count_as_the_worst(self):
        def sometimes(right, actual, predicted):
            found = accuracy(right, actual, predicted)
            return np.where(found > 0.93, np.nan, found)

        found = dirichlet_interval([[45, 5], [5, 45]], sometimes, lowest=0, highest=1)
        assert found.lower == 0
        assert found.upper == 1

    def test_a_class_that_never_occurs_leaves_weighted_averages_defined(self):
        weighted = margin_metric("precision", average="weighted", index=None)
        table = [[40, 2, 0], [1, 30, 0], [0, 0, 0]]
        found = dirichlet_interval(table, weighted, lowest=0, highest=1)
        assert 0.85 < found.lower < value(weighted, table) < found.upper < 1

    def test_the_same_counts_have_the_same_bounds(self):
        table = np.array([[45, 5, 1], [2, 48, 0], [3, 1, 30]])
        first = dirichlet_interval(table, macro_f1, lowest=0, highest=1)
        for same in (table.tolist(), np.asfortranarray(table, dtype=np.float64), table.astype(np.uint8)):
            assert dirichlet_interval(same, macro_f1, lowest=0, highest=1) == first
        assert [type(bound) for bound in first] == [float, float]

    @pytest.mark.parametrize("scale", [1e12, 1e17])
    def test_large_counts(self, scale):
        table = np.array([[0.6, 0.1], [0.05, 0.25]]) * scale
        lower, upper = dirichlet_interval(table, mcc, lowest=-1, highest=1)
        estimate = value(mcc, table)
        assert lower < estimate < upper
        assert upper - lower < 10 / math.sqrt(scale)

    def test_effective_counts(self):
        table = np.array([[45.0, 5.0], [2.0, 48.0]])
        whole, half = (dirichlet_interval(table * share, mcc, lowest=-1, highest=1) for share in (1, 0.5))
        assert half.lower < whole.lower < whole.upper < half.upper
        tiny = dirichlet_interval(table * 1e-3, mcc, lowest=-1, highest=1)
        assert tiny.lower < -0.3

    def test_confidence(self):
        table = [[450, 50], [20, 480]]
        found = [dirichlet_interval(table, mcc, lowest=-1, highest=1, confidence=c) for c in (0.9, 0.95, 0.99, 0.9995)]
        lowers, uppers = zip(*found, strict=True)
        assert list(lowers) == sorted(set(lowers), reverse=True)
        assert list(uppers) == sorted(set(uppers))
        lower, _ = dirichlet_interval(table, accuracy, lowest=0, highest=1, confidence=0.9995)
        assert lower == pytest.approx(scipy.stats.beta.ppf(0.0005, 930, 71), abs=0.002)

    def test_more_confidence_than_draws_can_tell(self):
        assert dirichlet_interval([[45, 5], [2, 48]], mcc, lowest=-1, highest=1, confidence=1 - 1e-9) == (-1, 1)

    def test_small_classes_bias_macro_f1(self):
        """The estimate is too low on average, and the draws once more: the upper bound allows for both."""
        rng = np.random.default_rng(0)
        table = rng.multinomial(2000, shares(100, 0.9).ravel()).reshape(100, 100)
        estimate = value(macro_f1, table)
        lower, upper = dirichlet_interval(table, macro_f1, lowest=0, highest=1)
        assert upper - estimate > 0.85 * (estimate - lower)

    @pytest.mark.parametrize("wrong", [math.nan, -1, math.inf])
    def test_no_counts(self, wrong):
        with pytest.raises(EvidenceError, match="counts must be finite and not negative"):
            dirichlet_interval([[1, wrong], [1, 1]], mcc, lowest=-1, highest=1)

    @pytest.mark.parametrize("table", [[1, 2], [[1, 2, 3], [4, 5, 6]], [[1]], np.zeros((2, 2, 2))])
    def test_no_table(self, table):
        with pytest.raises(EvidenceError, match=r"counts must have the shape \[K, K\]"):
            dirichlet_interval(table, mcc, lowest=-1, highest=1)

    @pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
    def test_no_confidence(self, confidence):
        with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
            dirichlet_interval([[1, 1], [1, 1]], mcc, lowest=-1, highest=1, confidence=confidence)


class TestManyCells:
    """The delta method, above 2,000 nonzero cells."""

    @pytest.mark.parametrize(
        ("name", "average"),
        [("recall", "macro"), ("precision", "weighted"), ("mcc", None), ("cohen_kappa", None), ("f1", "weighted")],
    )
    def test_where_many_samples_leave_no_bias_it_agrees_with_the_draws(self, name, average):
        table = np.round(shares(50, 0.7) * 1_000_000)
        assert np.count_nonzero(table) > MOST_CELLS
        metric = margin_metric(name, average=average, index=None)
        delta = dirichlet_interval(table, metric, lowest=-1, highest=1)
        drawn = dirichlet_interval(table, metric, lowest=-1, highest=1, draws=2000)
        assert delta == pytest.approx(drawn, abs=0.05 * (drawn.upper - drawn.lower))

    def test_accuracy(self):
        table = np.round(shares(50, 0.7) * 100_000)
        lower, upper = proportion(int(table.trace()), int(table.sum()))
        found = dirichlet_interval(table, accuracy, lowest=0, highest=1)
        assert found == pytest.approx((lower, upper), abs=0.02 * (upper - lower))

    def test_it_takes_the_bias_out(self):
        """The mean of macro F1 over tables drawn from one lies below its macro F1; by as much the bounds lie above."""
        shares_of_cells = np.full((60, 60), 0.4 / 59 / 60)
        np.fill_diagonal(shares_of_cells, 0.6 / 60)
        table = shares_of_cells * np.geomspace(1, 20, 60)[:, np.newaxis]
        table *= 2_000 / table.sum()
        estimate, rng = value(macro_f1, table), np.random.default_rng(0)
        drawn = rng.multinomial(2_000, table.ravel() / 2_000, size=2_000).reshape(-1, 60, 60).astype(float)
        values = macro_f1(drawn.diagonal(axis1=1, axis2=2), drawn.sum(axis=2), drawn.sum(axis=1))
        bias = np.nanmean(values) - estimate
        assert bias < -0.001
        lower, upper = dirichlet_interval(table, macro_f1, lowest=0, highest=1)
        assert (lower + upper) / 2 - estimate == pytest.approx(-bias, rel=0.25)

    def test_no_error_seen(self):
        classes = MOST_CELLS + 10
        lower, upper = dirichlet_interval(np.diag(np.full(classes, 3.0)), accuracy, lowest=0, highest=1)
        assert 1 - lower == pytest.approx(-math.log(0.05) / (3 * classes), rel=0.05)
        assert upper == 1


class TestOwnFunction:
    def test_it_agrees_with_the_metric(self):
        table = [[60, 4], [6, 30]]
        own = dirichlet_interval_of(table, lambda t: float(value(mcc, t)), lowest=-1, highest=1)
        found = dirichlet_interval(table, mcc, lowest=-1, highest=1)
        assert own == pytest.approx(found, abs=0.06 * (found.upper - found.lower))

    def test_unbounded_functions(self):
        lower, upper = dirichlet_interval_of([[60, 4], [6, 30]], lambda t: t[0, 1] * 10 + t[1, 0])
        assert lower < 46 < upper

    @pytest.mark.parametrize("undefined", ["nan", "none", "zero"])
    def test_an_undefined_value(self, undefined):
        def function(table):
            if table[1, 1] / table.sum() > 0.35:
                return {"nan": math.nan, "none": None}[undefined] if undefined != "zero" else 1 // 0
            return table[1, 1] / table.sum()

        lower, upper = dirichlet_interval_of([[60, 4], [6, 30]], function, lowest=-7, highest=9)
        assert lower == -7
        assert upper == 9

    def test_warnings_and_changes_of_the_table_do_no_harm(self):
        def function(table):
            share = np.divide(table[1, 1], table[1].sum())
            table[:] = 0
            np.divide(table, table)
            return share

        found = dirichlet_interval_of([[60, 4], [6, 30]], function, lowest=0, highest=1)
        assert found == pytest.approx(proportion(30, 36), abs=0.015)

    @pytest.mark.parametrize(("k", "most"), [(2, 6_000), (10, 11_000)])
    def test_how_often_it_is_called(self, k, most):
        calls = []
        dirichlet_interval_of(shares(k, 0.9) * 500, lambda t: calls.append(t.shape) or t.trace() / t.sum())
        assert set(calls) == {(k, k)}
        assert len(calls) <= most

    def test_nothing_counted(self):
        assert dirichlet_interval_of(np.zeros((3, 3)), lambda t: t.trace() / t.sum(), lowest=0, highest=1) == (0, 1)

    def test_no_confidence(self):
        with pytest.raises(BarError, match="confidence must lie"):
            dirichlet_interval_of([[1, 1], [1, 1]], lambda t: t.trace(), confidence=95)


CELLS = np.indices((2, 2, 2)).reshape(3, -1)
JOINT = np.array([600, 20, 15, 40, 10, 12, 18, 285])


class TestPaired:
    def test_identical_predictions_leave_room_for_one_sample(self):
        """No pair of n differed: the difference could be 1 - .05^(1/n), as of a proportion."""
        target, same = [0, 0, 1, 1], [0, 1, 0, 1]
        lower, upper = paired_dirichlet_interval(target, same, same, [70, 5, 2, 23], 2, accuracy)
        assert upper == pytest.approx(1 - 0.05 ** (1 / 100), rel=0.03)
        assert lower == pytest.approx(-upper, rel=1e-9)

    def test_identical_predictions_of_more_classes(self):
        same = np.arange(5)
        lower, upper = paired_dirichlet_interval(same, same, same, np.full(5, 20), 5, accuracy)
        assert (lower, upper) == pytest.approx((0.05 ** (1 / 100) - 1, 1 - 0.05 ** (1 / 100)), rel=0.05)

    def test_identical_predictions_in_many_cells(self):
        k, rng = 60, np.random.default_rng(8)
        target, same = np.indices((k, k)).reshape(2, -1)
        counts = rng.gamma(0.3, size=k * k) + np.where(target == same, 20, 0)
        lower, upper = paired_dirichlet_interval(target, same, same, counts, k, macro_f1)
        assert lower < 0 < upper < 0.005
        assert lower == pytest.approx(-upper, rel=0.1)

    def test_losses_without_wins_are_a_proportion(self):
        lower, upper = paired_dirichlet_interval(
            [0, 0, 1], [0, 0, 1], [0, 1, 1], [50, 8, 42], 2, accuracy, draws=40_000
        )
        assert lower == pytest.approx(-proportion(8, 100).high, abs=0.003)
        assert -proportion(8, 100).low < upper < 0

    @pytest.mark.parametrize("name", ["f1", "mcc"])
    def test_the_other_way_round(self, name):
        metric = mcc if name == "mcc" else of_last(name)
        target, before, after = CELLS
        lower, upper = paired_dirichlet_interval(target, before, after, JOINT, 2, metric, lowest=-2, highest=2)
        turned = paired_dirichlet_interval(target, after, before, JOINT, 2, metric, lowest=-2, highest=2)
        assert turned == pytest.approx((-upper, -lower), abs=0.03 * (upper - lower))
        tables = np.zeros((2, 2, 2))
        np.add.at(tables, (0, target, before), JOINT)
        np.add.at(tables, (1, target, after), JOINT)
        assert lower < value(metric, tables[1]) - value(metric, tables[0]) < upper

    def test_pairs_tell_more_than_two_separate_intervals(self):
        target, before, after = CELLS
        lower, upper = paired_dirichlet_interval(target, before, after, JOINT, 2, mcc)
        separate = 0.0
        for predicted in (before, after):
            table = np.zeros((2, 2))
            np.add.at(table, (target, predicted), JOINT)
            found = dirichlet_interval(table, mcc, lowest=-1, highest=1)
            separate += (found.upper - found.lower) ** 2
        assert upper - lower < 1.1 * math.sqrt(separate)

    def test_the_order_of_the_cells_does_not_matter(self):
        expected = paired_dirichlet_interval(*CELLS, JOINT, 2, mcc)
        order = np.random.default_rng(0).permutation(8)
        assert paired_dirichlet_interval(*CELLS[:, order], JOINT[order], 2, mcc) == expected
        twice = np.concatenate([CELLS, CELLS], axis=1)
        assert paired_dirichlet_interval(*twice, np.concatenate([JOINT - 1, np.ones(8)]), 2, mcc) == expected

    def test_the_order_of_effective_counts_does_not_matter(self):
        rng = np.random.default_rng(0)
        parts, weights = np.tile(CELLS, 40), rng.random(320)
        orders = [np.arange(320), *(rng.permutation(320) for _ in range(5))]
        found = {paired_dirichlet_interval(*parts[:, o], weights[o], 2, mcc, draws=500) for o in orders}
        assert len(found) == 1

    @pytest.mark.parametrize("k", [3, 40])
    def test_more_classes(self, k):
        """Two models that err by themselves: the variance of the difference of accuracies is b + c - (c - b)^2 / n."""
        rng = np.random.default_rng(k)
        target = rng.integers(0, k, size=6000)
        before, after = (np.where(rng.random(6000) < 0.9, target, rng.integers(0, k, size=6000)) for _ in range(2))
        cells, n = np.unique([target, before, after], axis=1, return_counts=True)
        lower, upper = paired_dirichlet_interval(*cells, n, k, accuracy)
        b, c = (((x == target) & (y != target)).sum() for x, y in ((before, after), (after, before)))
        error = 1.645 * math.sqrt(b + c - (c - b) ** 2 / 6000) / 6000
        assert (lower, upper) == pytest.approx(((c - b) / 6000 - error, (c - b) / 6000 + error), abs=0.15 * error)
        both = paired_dirichlet_interval(*cells, n, k, macro_f1)
        assert both.lower < both.upper

    def test_many_cells(self):
        k, rng = 50, np.random.default_rng(7)
        target = rng.integers(0, k, size=20_000)
        before, after = (np.where(rng.random(20_000) < 0.8, target, rng.integers(0, k, size=20_000)) for _ in range(2))
        cells, n = np.unique([target, before, after], axis=1, return_counts=True)
        assert len(n) > MOST_CELLS
        for metric in (accuracy, mcc, macro_f1):
            delta = paired_dirichlet_interval(*cells, n, k, metric)
            drawn = paired_dirichlet_interval(*cells, n, k, metric, draws=1000)
            assert delta == pytest.approx(drawn, abs=0.08 * (drawn.upper - drawn.lower))

    def test_undefined_is_unknown(self):
        assert paired_dirichlet_interval([0], [0], [0], [9], 2, mcc, lowest=-2, highest=2) == (-2, 2)
        assert paired_dirichlet_interval([], [], [], [], 2, mcc) == (-1, 1)

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            (([0, 1], [0, 1], [0], [5, 5]), "arrays of one length"),
            (([0, 1], [0, 1], [0, 2], [5, 5]), "whole numbers from 0 to 1"),
            (([0, 1], [0, -1], [0, 1], [5, 5]), "whole numbers from 0 to 1"),
            (([0, 1], [0.5, 1], [0, 1], [5, 5]), "whole numbers from 0 to 1"),
            (([0, 1], [0, 1], [0, 1], [5, math.nan]), "finite and not negative"),
            (([0, 1], [0, 1], [0, 1], [5, -5]), "finite and not negative"),
        ],
    )
    def test_no_cells(self, cells, message):
        with pytest.raises(EvidenceError, match=message):
            paired_dirichlet_interval(*cells, 2, accuracy)
