"""Areas under curves of scores, their variances and bounds, against published values, scipy, and counting by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics.areas import (
    auc_cap,
    auc_effective_size,
    average_precision_area,
    difference_interval,
    effective_size,
    hanley_mcneil_variance,
    one_more_interval,
    roc_auc_area,
    sum_of_squares,
    sums_by_group,
)

laws = settings(max_examples=60, deadline=None, derandomize=True)
proper = st.floats(0.001, 0.999)
sizes = st.integers(1, 500)
weights = st.lists(st.floats(0.01, 100), min_size=1, max_size=20).map(np.array)
tables = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8).map(
    lambda pairs: (np.array([hits for hits, _ in pairs]), np.array([misses for _, misses in pairs]))
)


class TestHanleyMcNeil:
    @pytest.mark.parametrize(("auc", "m", "n"), [(0.9, 10, 100), (0.5, 20, 20), (0.3, 7, 5), (0.99, 1, 1)])
    def test_by_their_first_formula(self, auc, m, n):
        """Hanley and McNeil 1982, with Q1 = A / (2 - A) and Q2 = 2A**2 / (1 + A)."""
        first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
        expected = (auc * (1 - auc) + (m - 1) * (first - auc**2) + (n - 1) * (second - auc**2)) / (m * n)
        assert hanley_mcneil_variance(auc, m, n) == pytest.approx(expected, rel=1e-12)

    @laws
    @given(proper, sizes, sizes)
    def test_turning_the_classes_around(self, auc, m, n):
        assert hanley_mcneil_variance(1 - auc, n, m) == pytest.approx(hanley_mcneil_variance(auc, m, n))

    @pytest.mark.parametrize(("auc", "m", "n"), [(-0.1, 1, 1), (1.1, 1, 1), (math.nan, 1, 1), (0.5, 0, 1), (0.5, 1, 0)])
    def test_out_of_range(self, auc, m, n):
        with pytest.raises(EvidenceError, match="must"):
            hanley_mcneil_variance(auc, m, n)


class TestEffectiveSize:
    @pytest.mark.parametrize("auc", [0.0, 1.0])
    def test_a_perfect_or_perfectly_wrong_area_counts_the_rarer_kind(self, auc):
        assert auc_effective_size(auc, 10, 100, 0.0) == auc_effective_size(auc, 100, 10, 0.0) == 10

    def test_delong_where_it_is_larger(self):
        assert auc_effective_size(0.8, 50, 50, 0.01) == pytest.approx(16)

    def test_hanley_and_mcneil_where_delong_collapses(self):
        expected = 0.09 / hanley_mcneil_variance(0.9, 50, 50)
        assert auc_effective_size(0.9, 50, 50, 1e-9) == auc_effective_size(0.9, 50, 50, 0.0) == pytest.approx(expected)
        assert expected > 50

    def test_never_capped_below_the_rarer_kind(self):
        assert effective_size(0.9, 1e-9, 0.09, 20) == 20
        assert effective_size(0.9, 0.0, 0.0, 20) == 20
        assert effective_size(0.9, 0.009, 0.09, 20) == pytest.approx(10)

    @laws
    @given(proper, sizes, sizes, st.floats(0, 0.25))
    def test_no_more_than_the_cap(self, auc, m, n, variance):
        size = auc_effective_size(auc, m, n, variance)
        assert 0 < size <= max(auc * (1 - auc) / auc_cap(auc, m, n), min(m, n)) * (1 + 1e-12)
        if variance:
            assert size <= auc * (1 - auc) / variance * (1 + 1e-12)

    @laws
    @given(proper, sizes, sizes, st.floats(0, 0.25))
    def test_which_kind_is_called_positive_proves_nothing(self, auc, m, n, variance):
        size = auc_effective_size(auc, m, n, variance)
        assert auc_effective_size(auc, n, m, variance) == pytest.approx(size)
        assert auc_effective_size(1 - auc, n, m, variance) == pytest.approx(size)

    def test_the_cap_is_the_larger_variance(self):
        few, many = hanley_mcneil_variance(0.998, 500, 10), hanley_mcneil_variance(0.998, 10, 500)
        assert many > 20 * few
        assert auc_cap(0.998, 500, 10) == auc_cap(0.998, 10, 500) == many


def bootstrap(placed, shares, confidence, draws=100_000):
    """The quantiles by drawing: the Bayesian bootstrap with one more of value 0 (for the lower bound), or of 1."""
    rng = np.random.default_rng(7)
    drawn = rng.standard_exponential((draws, len(placed))) * shares
    extra = rng.standard_exponential(draws) * (shares**2).sum()
    won, total = drawn @ placed, drawn.sum(axis=1) + extra
    return np.quantile(won / total, 1 - confidence), np.quantile((won + extra) / total, confidence)


class TestOneMore:
    def kind(self, size, hardness, even, seed=0):
        rng = np.random.default_rng([seed, size])
        shares = np.ones(size) if even else rng.exponential(size=size)
        return rng.beta(hardness, 1, size), shares / shares.sum()

    def interval(self, placed, shares, confidence=0.95):
        area = (placed * shares).sum()
        return one_more_interval(area, [(shares * (placed - area), shares)], confidence)

    @pytest.mark.parametrize("size", [2, 10, 60])
    @pytest.mark.parametrize("hardness", [1, 8, 100])
    @pytest.mark.parametrize("even", [True, False])
    @pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
    def test_by_drawing(self, size, hardness, even, confidence):
        placed, shares = self.kind(size, hardness, even)
        found, drawn = self.interval(placed, shares, confidence), bootstrap(placed, shares, confidence)
        assert tuple(found) == pytest.approx(drawn, abs=0.012 if size == 2 else 0.006)

    @pytest.mark.parametrize("hardness", [1, 100])
    def test_the_middle_of_many_is_normal(self, hardness):
        placed, shares = self.kind(2000, hardness, even=False)
        drawn = bootstrap(placed, shares, 0.95, 5_000)
        assert tuple(self.interval(placed, shares)) == pytest.approx(drawn, abs=0.001)

    @pytest.mark.parametrize("size", [5, 10, 100, 199])
    @pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
    def test_equal_placements_by_their_beta_distribution(self, size, confidence):
        shares = np.full(size, 1 / size)
        lower, upper = one_more_interval(0.9, [(np.zeros(size), shares)], confidence)
        assert lower == pytest.approx(0.9 * (1 - confidence) ** (1 / size), abs=0.004)
        assert 1 - upper == pytest.approx(0.1 * (1 - confidence) ** (1 / size), abs=0.004)

    @pytest.mark.parametrize("size", [7, 150, 450])
    def test_turning_around(self, size):
        placed, shares = self.kind(size, 8, even=False)
        lower, upper = self.interval(placed, shares)
        assert self.interval(1 - placed, shares) == (pytest.approx(1 - upper), pytest.approx(1 - lower))

    @pytest.mark.parametrize("size", [7, 450])
    def test_the_order_changes_no_digit(self, size):
        placed, shares = self.kind(size, 8, even=False)
        order = np.random.default_rng(1).permutation(size)
        moved = shares * (placed - 0.9)
        assert one_more_interval(0.9, [(moved, shares)]) == one_more_interval(0.9, [(moved[order], shares[order])])

    def test_two_kinds_are_the_widest_of_each(self):
        kinds, found = [], []
        for size, hardness, seed in ((8, 30, 1), (250, 30, 2)):
            placed, shares = self.kind(size, hardness, even=True, seed=seed)
            kinds.append((shares * (placed - (placed * shares).sum()), shares))
            found.append(one_more_interval(0.95, kinds[-1:]))
        expected = min(one.lower for one in found), max(one.upper for one in found)
        assert tuple(one_more_interval(0.95, kinds)) == pytest.approx(expected, abs=1e-12)
        assert one_more_interval(0.95, kinds) == one_more_interval(0.95, kinds[::-1])

    @pytest.mark.parametrize("area", [0.0, 1.0, math.nan])
    def test_out_of_range(self, area):
        with pytest.raises(EvidenceError, match="must lie between 0 and 1"):
            one_more_interval(area, [(np.zeros(3), np.full(3, 1 / 3))])


class TestAreas:
    @laws
    @given(tables)
    def test_roc_auc_by_counting_pairs(self, table):
        hits, misses = table
        assume(hits.any() and misses.any())
        won = sum(
            p * n * ((i > j) + (i == j) / 2) for (i, p), (j, n) in itertools.product(enumerate(hits), enumerate(misses))
        )
        assert roc_auc_area(hits, misses).value == pytest.approx(won / (hits.sum() * misses.sum()), abs=1e-12)

    @laws
    @given(tables)
    def test_average_precision_by_hand(self, table):
        hits, misses = table
        assume(hits.any())
        terms = [p * hits[i:].sum() / (hits[i:].sum() + misses[i:].sum()) for i, p in enumerate(hits) if p]
        assert average_precision_area(hits, misses).value == pytest.approx(sum(terms) / hits.sum(), abs=1e-12)

    @pytest.mark.parametrize("function", [roc_auc_area, average_precision_area])
    def test_derivatives_by_small_steps(self, function):
        hits, misses = np.array([0.5, 1.0, 0.0, 2.0, 1.5]), np.array([2.0, 1.0, 3.0, 0.25, 0.5])
        area = function(hits, misses)
        for level in range(5):
            step = np.eye(5)[level] * 1e-7
            by_positive = function(hits + step, misses).value - area.value
            by_negative = function(hits, misses + step).value - area.value
            assert by_positive / 1e-7 == pytest.approx(area.of_positive[level], abs=1e-5)
            assert by_negative / 1e-7 == pytest.approx(area.of_negative[level], abs=1e-5)

    @laws
    @given(tables)
    def test_the_influences_add_up_to_nothing(self, table):
        hits, misses = table
        assume(hits.any() and misses.any())
        for function in (roc_auc_area, average_precision_area):
            area = function(hits, misses)
            assert (hits * area.of_positive + misses * area.of_negative).sum() == pytest.approx(0, abs=1e-12)

    def test_weights_of_any_size_leave_perfection_perfect(self):
        odd = np.array([0.1, 0.7, 1e-12, 0.3, 3e7])
        none = np.zeros(5)
        up, down = np.concatenate((none, odd)), np.concatenate((odd, none))
        assert roc_auc_area(up, down).value == average_precision_area(up, down).value == 1.0
        assert roc_auc_area(down, up).value == 0.0

    def test_the_bias_of_average_precision(self):
        """All orders of 4 positive among 20 samples, that is without skill: over half of the bias is known of."""
        estimates, biases = [], []
        for places in itertools.combinations(range(20), 4):
            hits = np.bincount(places, minlength=20)
            area = average_precision_area(hits, 1 - hits)
            estimates.append(area.value)
            biases.append((hits * area.own).sum())
        chance = 3 / 19  # how many of the other samples are positive
        assert np.mean(estimates) - chance > 0.1
        assert 0.5 < np.mean(biases) / (np.mean(estimates) - chance) < 1.0


class TestSums:
    def test_sums(self):
        moved = np.array([1.0, -1.0, 2.0])
        assert sum_of_squares(moved) == 6.0
        assert sums_by_group(moved, np.array([3, 9, 3])).tolist() == [3.0, -1.0]

    @laws
    @given(st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 4)), min_size=1), st.randoms(use_true_random=False))
    def test_the_order_changes_no_digit(self, drawn, random):
        shuffled = random.sample(drawn, len(drawn))
        moved, again = (np.array([value for value, _ in pairs]) for pairs in (drawn, shuffled))
        groups, others = (np.array([group for _, group in pairs]) for pairs in (drawn, shuffled))
        assert sum_of_squares(moved) == sum_of_squares(again)
        assert sums_by_group(moved, groups).tolist() == sums_by_group(again, others).tolist()


class TestDifference:
    moved = np.array([0.02, -0.03, 0.01, 0.0])

    def test_by_hand(self):
        t, variance = scipy.stats.t.ppf(0.95, 3), 0.0014
        lower, upper = difference_interval(0.05, self.moved, 3)
        assert lower == pytest.approx(0.05 - 0.03 - t * (variance + 0.0009) ** 0.5)
        assert upper == pytest.approx(0.05 + 0.02 + t * (variance + 0.0004) ** 0.5)

    def test_turning_around(self):
        lower, upper = difference_interval(0.05, self.moved, 3)
        assert difference_interval(-0.05, -self.moved, 3) == pytest.approx((-upper, -lower))

    def test_never_beyond_one(self):
        assert difference_interval(0.9, self.moved * 20, 3) == (pytest.approx(-1), 1.0)

    def test_no_variance_is_no_proof(self):
        assert difference_interval(0.0, np.zeros(50), 49) is None
