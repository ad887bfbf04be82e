"""The BCa bootstrap against scipy.stats.bootstrap, and laws."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics import resampling
from pytest_modelgate.statistics.resampling import bca_interval, bca_of_sums, canonical_order

laws = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
SEED = "rng" if "rng" in inspect.signature(scipy.stats.bootstrap).parameters else "random_state"  # before scipy 1.15


def pairs(n=80, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=n)
    return x, x + rng.normal(size=n)


def correlation(x, y):
    return float(np.corrcoef(x, y)[0, 1])


def mean_of_sums(sums):
    return sums[..., 0] / sums[..., 1]


def with_ones(values):
    return np.column_stack((values, np.ones(len(values))))


def by_scipy(columns, statistic, draws=9_999):
    found = scipy.stats.bootstrap(
        columns, statistic, paired=True, vectorized=False, confidence_level=0.9, n_resamples=draws, **{SEED: 1}
    )
    return tuple(found.confidence_interval)


class TestAgainstScipy:
    """Two-sided 90% there is two one-sided 95% here. The tolerance is the Monte Carlo error of 2,000 draws."""

    @pytest.mark.parametrize("statistic", [np.mean, np.std, scipy.stats.skew, np.median])
    def test_one_column(self, statistic):
        x, _ = pairs()
        expected = by_scipy((x,), statistic)
        assert bca_interval([x], statistic) == pytest.approx(expected, abs=0.08 * (expected[1] - expected[0]))

    def test_two_columns(self):
        expected = by_scipy(pairs(), correlation)
        found = bca_interval(pairs(), correlation)
        assert found == pytest.approx(expected, abs=0.08 * (expected[1] - expected[0]))

    def test_the_acceleration_matters(self):
        """The variance of few skewed values: BCa lies far above the percentiles of the resamples."""
        x, _ = pairs(30, seed=3)
        rng = np.random.default_rng(0)
        plain = np.quantile(x[rng.integers(30, size=(4000, 30))].var(axis=1), 0.95)
        found, expected = bca_interval([x], np.var).upper, by_scipy((x,), np.var)[1]
        assert abs(found - expected) < 0.5 * abs(plain - expected)

    @pytest.mark.parametrize("n", [40, 1_999, 2_500])
    def test_sums(self, n):
        x, y = pairs(n)
        expected = by_scipy((x, y), lambda a, b: np.sum(b) / np.sum(a), draws=2_000)
        found = bca_of_sums(np.column_stack((y, x)), mean_of_sums)
        assert found == pytest.approx(expected, abs=0.12 * (expected[1] - expected[0]))


class TestUnits:
    def test_sums_and_samples_agree(self):
        x, _ = pairs(200)
        plain, fast = bca_interval([x], np.mean), bca_of_sums(with_ones(x), mean_of_sums)
        assert fast == pytest.approx(plain, abs=0.1 * (plain.upper - plain.lower))

    @pytest.mark.parametrize("bounds", [
        lambda x, g: bca_interval([x], np.mean, groups=g, draws=9_999),
        lambda x, g: bca_of_sums(with_ones(x), mean_of_sums, groups=g, draws=9_999),
    ])  # fmt: skip
    def test_copies_in_a_group_tell_nothing_new(self, bounds):
        x, _ = pairs(100)
        alone = bca_interval([x], np.mean, draws=9_999)
        copied = bounds(np.repeat(x, 5), np.repeat(np.arange(100), 5))
        ignored = bca_interval([np.repeat(x, 5)], np.mean)
        width = alone.upper - alone.lower
        assert copied == pytest.approx(alone, abs=0.1 * width)
        assert ignored.upper - ignored.lower < 0.6 * width

    @pytest.mark.parametrize("weights", [np.arange(100) % 3, (np.arange(100) % 3) / 3.7])
    def test_weights(self, weights):
        """Whole weights are copies that stand together; others come close to it."""
        x, _ = pairs(100)
        copies = np.arange(100) % 3
        expected = bca_interval([np.repeat(x, copies)], np.mean, groups=np.repeat(np.arange(100), copies))
        width = expected.upper - expected.lower
        assert bca_interval([x], np.mean, weights=weights) == pytest.approx(expected, abs=0.12 * width)
        assert bca_of_sums(with_ones(x), mean_of_sums, weights=weights) == pytest.approx(expected, abs=0.12 * width)

    def test_unequal_groups(self):
        rng = np.random.default_rng(0)
        groups = np.repeat(np.arange(60), rng.integers(1, 9, 60))
        x = rng.normal(size=60)[groups]
        fast = bca_of_sums(with_ones(x), mean_of_sums, groups=groups)
        slow = bca_interval([x], np.mean, groups=groups)
        assert slow == pytest.approx(fast, abs=0.1 * (fast.upper - fast.lower))

    @pytest.mark.parametrize("few_values", [False, True])
    def test_many_samples_in_blocks(self, few_values):
        """Equal samples must not share a block more often than others do."""
        x = np.random.default_rng(0).exponential(size=30_000)
        x = (x > 1) * 1.0 if few_values else x
        reach = 1.645 * x.std() / math.sqrt(len(x))
        found = bca_of_sums(with_ones(x), mean_of_sums)
        assert found == pytest.approx((x.mean() - reach, x.mean() + reach), abs=0.1 * reach)

    @pytest.mark.parametrize(("most", "draws"), [(10**9, 2_000), (300_000, 600), (1_000, 500)])
    def test_the_work_is_bounded(self, most, draws, monkeypatch):
        monkeypatch.setattr(resampling, "MOST_TOUCHED", most)
        calls = []

        def statistic(x):
            calls.append(len(x))
            return float(x.mean())

        bca_interval([np.random.default_rng(0).random(500)], statistic)
        assert len(calls) == draws + 200 + 1  # the jackknife leaves out 200 blocks
        assert set(calls) == {500, 497, 498}


class TestNothingToSay:
    def test_constant(self):
        assert bca_interval([np.full(50, 0.1)], np.mean) is None
        assert bca_interval([np.arange(50)], lambda x: 1.0) is None
        assert bca_of_sums(with_ones(np.full(50, 0.1)), mean_of_sums) is None

    def test_too_few(self):
        x, _ = pairs(19)
        assert bca_interval([x], np.mean) is None
        assert bca_of_sums(with_ones(x), mean_of_sums) is None
        assert bca_interval([np.repeat(x, 9)], np.mean, groups=np.repeat(np.arange(19), 9)) is None
        assert bca_interval([x[:0]], np.mean) is None

    @pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
    def test_often_undefined(self, nothing):
        """With 2 marked samples in 40 a resample has none in 13% of cases; with 12 nearly never."""
        x, _ = pairs(40)

        def statistic(x, marked):
            return float(x[marked].mean()) if marked.any() else nothing

        assert bca_interval((x, np.arange(40) < 2), statistic) is None
        assert bca_interval((x, np.arange(40) < 2), statistic, confidence=0.7) is None
        assert bca_interval((x, np.arange(40) < 12), statistic) is not None

    def test_undefined_resamples_count_against_both_bounds(self):
        """With 4 marked samples in 60 about 1.6% have none."""
        x, _ = pairs(60)
        marked = np.arange(60) % 15 == 0

        def statistic(x, marked):
            return float(x[~marked].mean()) if marked.any() else math.nan

        whole = bca_interval((x, marked), lambda x, marked: float(x[~marked].mean()))
        some = bca_interval((x, marked), statistic)
        assert some.lower < whole.lower
        assert some.upper > whole.upper

    def test_a_statistic_that_every_resample_lowers(self):
        """The number of different values: resampling repeats some, so that it says nothing of the truth."""
        assert bca_interval([np.arange(50)], lambda x: len(np.unique(x))) is None

    def test_errors_of_the_statistic_come_through(self):
        def broken(x):
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            bca_interval([np.arange(50)], broken)


class TestLaws:
    @laws
    @given(seeds, st.sampled_from([(), ("w",), ("g",), ("w", "g")]))
    def test_the_order_of_the_samples_takes_no_part(self, seed, given_):
        rng = np.random.default_rng(seed)
        n = 300
        x, y = rng.random(n).round(1), rng.random((n, 2)).round(1)
        weights, groups, order = rng.random(n).round(1) + 0.1, rng.integers(0, 40, n), rng.permutation(n)

        def bounds(at):
            options = {
                "weights": weights[at] if "w" in given_ else None,
                "groups": groups[at] if "g" in given_ else None,
                "draws": 100,
            }
            statistic = lambda x, y: float((x[:, None] * y).mean())  # noqa: E731
            return bca_interval((x[at], y[at]), statistic, **options), bca_of_sums(
                np.column_stack((x, y, np.ones(n)))[at], lambda sums: sums[..., 0] / sums[..., -1], **options
            )

        found, again = bounds(np.arange(n)), bounds(order)
        assert found[0] == pytest.approx(again[0], rel=1e-12)  # the statistic itself may add up in another order
        assert found[1] == again[1]

    @laws
    @given(seeds)
    def test_canonical_order(self, seed):
        rng = np.random.default_rng(seed)
        x, y, z = rng.normal(size=200).round(1), rng.integers(0, 3, (200, 2)), rng.random(200) < 0.5
        order = rng.permutation(200)
        first, second = canonical_order(x, y, z), canonical_order(x[order], y[order], z[order])
        for column in (x, y, z):
            assert np.array_equal(column[first], column[order][second])

    def test_minus_zero_is_zero(self):
        x = np.array([0.0, 1.0, 2.0, 3.0])
        assert np.array_equal(canonical_order(x), canonical_order(np.array([-0.0, 1.0, 2.0, 3.0])))

    def test_plain_floats_and_the_seed(self):
        x, _ = pairs()
        found = bca_interval([x], np.mean)
        assert [type(bound) for bound in found] == [float, float]
        assert found == bca_interval([x], np.mean)
        assert found != bca_interval([x], np.mean, seed=1)

    def test_lists_of_other_lengths_and_nan(self):
        with pytest.raises(EvidenceError, match=r"differ in length: \[30, 20\]"):
            bca_interval([np.arange(30), np.arange(20)], correlation)
        with pytest.raises(EvidenceError, match="some are NaN"):
            bca_interval([np.append(np.arange(30.0), math.nan)], np.mean)
        with pytest.raises(EvidenceError, match="some are NaN"):
            bca_of_sums([[math.nan, 1.0]] * 30, mean_of_sums)

    def test_confidence_out_of_range(self):
        for bounds in (lambda: bca_interval([np.arange(30)], np.mean, confidence=95),
                       lambda: bca_of_sums(with_ones(np.arange(30)), mean_of_sums, confidence=0)):  # fmt: skip
            with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
                bounds()


class TestExtremes:
    """No resample knows a greater value than the greatest seen: bounds of extremes would be false certainty."""

    @pytest.mark.parametrize("statistic", [np.max, np.min, np.ptp])
    @pytest.mark.parametrize("n", [20, 200])
    def test_none(self, statistic, n):
        assert bca_interval([np.random.default_rng(1).random(n)], statistic) is None

    def test_of_groups_and_weights(self):
        x = np.random.default_rng(1).random(200)
        assert bca_interval([x], np.max, groups=np.arange(200) // 5) is None
        assert bca_interval([x], np.max, weights=1 + x) is None

    def test_in_any_order_of_addition(self):
        """The share of equal resamples is not taken for one above or below by the last bit."""
        x = np.random.default_rng(1).random(200)
        noise = np.random.default_rng(2)
        assert bca_interval([x], lambda x: x.max() * (1 + 1e-15 * noise.integers(-1, 2))) is None

    @pytest.mark.parametrize("shift", [0.0, 1e3])
    def test_a_median_has_bounds(self, shift):
        x = np.random.default_rng(1).random(201)
        lower, upper = bca_interval([x + shift], np.median)
        assert lower < np.median(x) + shift < upper
