"""Bounds for means: Hall's formula worked anew, scipy's t, exact bounds, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics import means
from pytest_modelgate.statistics.means import mean_interval
from pytest_modelgate.statistics.proportions import clopper_pearson

laws = settings(max_examples=50, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def skewed(seed, n):
    return np.random.default_rng(seed).exponential(size=n)


def halls(values, confidence=0.95):
    """The formula as it is printed, with scipy's skewness and quantiles."""
    n, g = len(values), float(scipy.stats.skew(values))
    t = scipy.stats.t.ppf(confidence, n - 1)

    def h(q):
        return 3 / g * (np.cbrt(1 + g * (q / math.sqrt(n) - g / (6 * n))) - 1)

    m, s = np.mean(values), np.std(values, ddof=1)
    return m - s * h(t), m - s * h(-t)


class TestHall:
    @laws
    @given(seeds, st.integers(50, 300), st.floats(0.6, 0.999))
    def test_against_the_printed_formula(self, seed, n, confidence):
        values = skewed(seed, n)
        assert mean_interval(values, confidence=confidence) == pytest.approx(halls(values, confidence), rel=1e-10)

    def test_without_skewness_it_is_the_plain_t(self):
        values = np.concatenate((np.arange(-40, 0), np.arange(1, 41))) / 7
        expected = scipy.stats.t.interval(0.9, 79, loc=0.0, scale=scipy.stats.sem(values))
        assert mean_interval(values) == pytest.approx(expected, rel=1e-12)

    def test_a_trace_of_skewness_changes_a_trace(self):
        values = np.concatenate((np.arange(-40, 0), np.arange(1, 41))) / 7
        values[-1] += 1e-5
        expected = scipy.stats.t.interval(0.9, 79, loc=values.mean(), scale=scipy.stats.sem(values))
        assert mean_interval(values) == pytest.approx(expected, rel=1e-6)

    def test_a_long_tail_above_moves_both_bounds_up(self):
        values = skewed(0, 100)
        lower, upper = mean_interval(values)
        plain = scipy.stats.t.interval(0.9, 99, loc=values.mean(), scale=scipy.stats.sem(values))
        assert lower > plain[0]
        assert upper > plain[1]

    @laws
    @given(seeds)
    def test_a_huge_mean_loses_nothing(self, seed):
        values = np.round(skewed(seed, 80) * 2**20) / 2**20
        moved = mean_interval(values + 2.0**30)
        assert [bound - 2.0**30 for bound in moved] == pytest.approx(list(mean_interval(values)), abs=1e-6)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_a_mean_far_beyond_the_spread(self, weighted):
        values = np.random.default_rng(0).integers(0, 16, 3000).astype(float)
        weights = np.append(0.5, np.ones(2999)) if weighted else None
        moved = mean_interval(values + 2.0**43, weights=weights)
        expected = mean_interval(values, weights=weights)
        assert [bound - 2.0**43 for bound in moved] == pytest.approx(list(expected), abs=0.01)

    @laws
    @given(seeds)
    def test_mirrored(self, seed):
        values = skewed(seed, 60)
        lower, upper = mean_interval(values)
        assert mean_interval(-values) == pytest.approx((-upper, -lower), rel=1e-12)

    @laws
    @given(seeds, st.sampled_from([1e-12, 3.0, 1e12]))
    def test_scaled(self, seed, factor):
        values = skewed(seed, 60)
        expected = [factor * bound for bound in mean_interval(values)]
        assert list(mean_interval(values * factor)) == pytest.approx(expected, rel=1e-9)

    @laws
    @given(seeds)
    def test_more_confidence_is_wider(self, seed):
        values = skewed(seed, 60)
        low, usual, high = (mean_interval(values, confidence=level) for level in (0.8, 0.95, 0.99))
        assert high.lower < usual.lower < low.lower < values.mean() < low.upper < usual.upper < high.upper


class TestFewSamples:
    def test_below_fifty_of_unknown_range(self):
        assert mean_interval(skewed(0, 49)) is None
        assert mean_interval(skewed(0, 50)) is not None
        assert mean_interval([]) is None

    @pytest.mark.parametrize("n", [1, 2, 10, 49, 50, 200])
    def test_flawless_is_as_for_a_proportion(self, n):
        """All losses 0 of a possible 1: what Clopper and Pearson say of no error."""
        lower, upper = mean_interval(np.zeros(n), largest=1.0)
        assert lower == 0.0
        assert upper == pytest.approx(clopper_pearson(0, n).upper, rel=1e-9)

    @pytest.mark.parametrize(("hits", "n"), [(1, 10), (3, 30), (20, 40)])
    def test_zeros_and_ones_are_as_for_a_proportion(self, hits, n):
        """The Bayesian bootstrap with one more at the end is Clopper and Pearson's bound, but for the draws' error."""
        found = mean_interval(np.arange(n) < hits, largest=1.0)
        assert found == pytest.approx(clopper_pearson(hits, n), abs=0.005)

    def test_flawless_at_the_maximum(self):
        lower, upper = mean_interval(np.full(20, 3.0), smallest=-1.0, largest=3.0)
        assert upper == 3.0
        assert lower == pytest.approx(-1 + 4 * clopper_pearson(20, 20).lower)

    def test_rare_wild_errors_that_were_not_seen(self):
        """199 tiny losses: their own spread says nothing about what a loss of 1 does."""
        values = np.linspace(0, 1e-4, 200)
        assert mean_interval(values).upper < 1e-4
        assert mean_interval(values, largest=1.0).upper > 0.0148

    def test_the_range_ends_the_bounds(self):
        lower, upper = mean_interval([0.0, 0.0, 1.0], largest=1.0)
        assert 0 <= lower < 1 / 3 < upper <= 1

    def test_smallest_alone_cuts_and_says_no_more(self):
        assert mean_interval(np.ones(20), smallest=0.0) is None
        values = (np.arange(60) == 0) * 1.0 + 1e-3
        assert mean_interval(values, smallest=0.0).lower >= 0.0

    @pytest.mark.parametrize("value", [0.1, 1e9, -0.3, 0.0])
    def test_no_spread_is_no_evidence_of_certainty(self, value):
        assert mean_interval(np.full(1000, value)) is None
        assert mean_interval(np.full(1000, value) + 1e-16 * abs(value)) is None
        assert mean_interval(np.full(1000, value), weights=np.arange(1, 1001)) is None
        assert mean_interval(np.full(1000, value), groups=np.arange(1000) % 50) is None

    def test_infinite_losses(self):
        values = np.append(skewed(0, 60), math.inf)
        assert mean_interval(values) is None
        assert mean_interval(-values) is None


class TestWeights:
    @laws
    @given(seeds, st.floats(1e-6, 1e6))
    def test_alike_weights_change_nothing(self, seed, weight):
        values = skewed(seed, 70)
        assert mean_interval(values, weights=np.full(70, weight)) == pytest.approx(mean_interval(values), rel=1e-9)

    def test_no_weight_is_no_sample(self):
        values = skewed(1, 120)
        weights = np.repeat([1.0, 0.0], 60)
        assert mean_interval(values, weights=weights) == pytest.approx(mean_interval(values[:60]), rel=1e-12)
        values[-1] = math.inf
        assert mean_interval(values, weights=weights) is not None

    def test_unequal_weights_tell_less(self):
        values, weights = skewed(2, 400), np.random.default_rng(0).exponential(size=400)
        found, alike = mean_interval(values, weights=weights), mean_interval(values)
        assert found.upper - found.lower > 1.1 * (alike.upper - alike.lower)
        assert found.lower < np.average(values, weights=weights) < found.upper

    def test_the_error_is_that_of_a_weighted_mean(self):
        """sqrt(sum w^2 (x - m)^2) / sum w, and Kish's n / (n - 1); the values mirror each other, so no skewness."""
        half, w = skewed(3, 100), np.random.default_rng(1).random(100) + 0.2
        values, weights = np.concatenate((half, -half)), np.concatenate((w, w))
        size = weights.sum() ** 2 / (weights**2).sum()
        error = math.sqrt(((weights * values) ** 2).sum() * size / (size - 1)) / weights.sum()
        reach = scipy.stats.t.ppf(0.95, size - 1) * error
        assert mean_interval(values, weights=weights) == pytest.approx((-reach, reach), rel=1e-6)

    def test_fifty_after_kish(self):
        assert mean_interval(skewed(0, 60), weights=np.append(np.full(59, 0.1), 100.0)) is None

    def test_few_with_weights_and_a_known_range(self):
        values, weights = skewed(0, 30) / 20, np.random.default_rng(0).random(30)
        lower, upper = mean_interval(values, weights=weights, largest=1.0)
        assert 0 <= lower < np.average(values, weights=weights) < upper < 1

    def test_one_weight_above_all(self):
        values = np.random.default_rng(0).random(100_000)
        lower, upper = mean_interval(values, weights=np.append(1e9, np.ones(99_999)), largest=1.0)
        assert lower < values[0] < upper
        assert upper - lower > 0.5

    @pytest.mark.parametrize("weights", [[-1.0] + [1.0] * 59, [math.nan] * 60, [math.inf] + [1.0] * 59, [0.0] * 60])
    def test_no_weights(self, weights):
        with pytest.raises(EvidenceError, match="weights must be finite, none negative, and not all zero"):
            mean_interval(skewed(0, 60), weights=weights)


class TestGroups:
    def test_equal_groups_are_their_means(self):
        values = skewed(4, 60 * 7)
        groups = np.repeat(np.arange(60), 7)
        found = mean_interval(values, groups=groups)
        assert found == pytest.approx(mean_interval(values.reshape(60, 7).mean(axis=1)), rel=1e-10)

    @laws
    @given(seeds)
    def test_groups_of_one_change_nothing(self, seed):
        values = skewed(seed, 70)
        assert mean_interval(values, groups=np.arange(70)[::-1]) == pytest.approx(mean_interval(values), rel=1e-10)

    @laws
    @given(seeds)
    def test_copies_tell_nothing_new(self, seed):
        values = skewed(seed, 60)
        copied = mean_interval(np.repeat(values, 9), groups=np.repeat(np.arange(60), 9))
        assert copied == pytest.approx(mean_interval(values), rel=1e-10)

    def test_ten_groups_are_enough(self):
        values = skewed(0, 100)
        assert mean_interval(values, groups=np.arange(100) % 9) is None
        assert mean_interval(values, groups=np.arange(100) % 10) is not None

    def test_few_groups_with_a_known_range(self):
        values = skewed(0, 100) / 20
        few, more = (mean_interval(values, groups=np.arange(100) % g, largest=1.0) for g in (2, 9))
        assert 0 <= few.lower <= more.lower < values.mean() < more.upper < few.upper <= 1

    def test_weights_within_groups(self):
        values, groups = skewed(5, 600), np.arange(600) % 60
        weights = 1.0 + groups / 200
        sums = np.bincount(groups, weights * values) / np.bincount(groups, weights)
        found = mean_interval(values, weights=weights, groups=groups)
        assert found == pytest.approx(mean_interval(sums, weights=1 + np.arange(60) / 200), rel=1e-9)


class TestLaws:
    @laws
    @given(seeds, st.sampled_from([(), ("w",), ("g",), ("w", "g")]), st.sampled_from([20, 49, 50, 400]))
    def test_the_order_of_the_samples_takes_no_part(self, seed, given_, n):
        rng = np.random.default_rng(seed)
        values, weights, groups = rng.random(n).round(2), rng.random(n).round(1) + 0.1, rng.integers(0, 25, n)
        order = rng.permutation(n)

        def bounds(at):
            return mean_interval(
                values[at],
                weights=weights[at] if "w" in given_ else None,
                groups=groups[at] if "g" in given_ else None,
                largest=1.0,
            )

        assert bounds(np.arange(n)) == bounds(order)

    @laws
    @given(seeds)
    def test_the_names_of_the_groups_take_no_part(self, seed):
        rng = np.random.default_rng(seed)
        values, groups = rng.random(300), rng.integers(0, 25, 300)
        assert mean_interval(values, groups=groups) == mean_interval(values, groups=(groups * 7 + 3) % 31 - 5)

    def test_plain_floats(self):
        for found in (mean_interval(np.arange(60, dtype=np.float32)), mean_interval([0.5], largest=1)):
            assert [type(bound) for bound in found] == [float, float]

    def test_float32_is_computed_in_float64(self):
        values = (1e4 + skewed(0, 5000)).astype(np.float32)
        assert mean_interval(values) == mean_interval(values.astype(np.float64))

    def test_the_draws_are_the_same_every_time(self):
        assert mean_interval([0.1, 0.7], largest=1) == mean_interval([0.7, 0.1], largest=1)

    @pytest.mark.parametrize("where", [0, 5, 59])
    def test_nan(self, where):
        values = skewed(0, 60)
        values[where] = math.nan
        with pytest.raises(EvidenceError, match="1 are NaN"):
            mean_interval(values)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"largest": 1.0}, r"the greatest possible value is given as 1.0, but there is a 1.5"),
            ({"largest": 2.0, "smallest": 0.6}, r"the least possible value is given as 0.6, but there is a 0.5"),
            ({"weights": [1.0]}, "differ in length"),
            ({"groups": [1, 2, 3]}, "differ in length"),
        ],
    )
    def test_what_does_not_fit(self, arguments, message):
        with pytest.raises(EvidenceError, match=message):
            mean_interval([0.5, 1.5], **arguments)

    @pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
    def test_confidence_out_of_range(self, confidence):
        with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
            mean_interval([0.5, 1.5], confidence=confidence)

    def test_a_long_rest_is_taken_together(self):
        """More units than are drawn one by one: the rest counts as one, so the bounds are wider, never narrower."""
        values = np.random.default_rng(0).random(2000)
        weights = np.where(np.arange(2000) < 30, 1.0, 1e-3)
        found = mean_interval(values, weights=weights, largest=1.0)
        alone = mean_interval(values[:30], largest=1.0)
        assert means.MOST_DRAWN < 2000
        assert found == pytest.approx(alone, abs=0.03)
