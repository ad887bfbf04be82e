"""Exact bounds and tests for proportions, against scipy, published figures, and sums of the binomial distribution."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics.proportions import (
    clopper_pearson,
    tail_at_least,
    tail_at_most,
)

laws = settings(max_examples=60, deadline=None, derandomize=True)
counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
bars = st.floats(0.001, 0.999)


def exact_tail(first, last, trials, p):
    """P(first <= X <= last) in whole fractions."""
    p = Fraction(p)
    return float(sum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(first, last + 1)))


class TestClopperPearson:
    @pytest.mark.parametrize(
        ("hits", "trials", "lower", "upper"),
        [
            (12, 100, 0.071, 0.187),
            (36, 40, 0.786, 0.965),
        ],
    )
    def test_published(self, hits, trials, lower, upper):
        found = clopper_pearson(hits, trials)
        assert (round(found.lower, 3), round(found.upper, 3)) == (lower, upper)

    @pytest.mark.parametrize(("bar", "trials"), [(0.8, 14), (0.9, 29), (0.95, 59), (0.99, 299)])
    def test_flawless_runs_that_prove_a_bar(self, bar, trials):
        assert clopper_pearson(trials, trials).lower >= bar
        assert clopper_pearson(trials - 1, trials - 1).lower < bar

    @laws
    @given(counts, st.floats(0.5, 0.999))
    def test_against_scipy(self, drawn, confidence):
        hits, trials = drawn
        two_sided = 2 * confidence - 1
        if two_sided > 0:
            expected = scipy.stats.binomtest(hits, trials).proportion_ci(two_sided, method="exact")
            assert clopper_pearson(hits, trials, confidence) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-12)

    @laws
    @given(counts)
    def test_the_bounds_hold_the_estimate_and_the_tails(self, drawn):
        hits, trials = drawn
        lower, upper = clopper_pearson(hits, trials)
        assert 0 <= lower <= hits / trials <= upper <= 1
        assert (lower == 0) == (hits == 0)
        assert (upper == 1) == (hits == trials)
        if hits:
            assert tail_at_least(hits, trials, lower) == pytest.approx(0.05)
        if hits < trials:
            assert tail_at_most(hits, trials, upper) == pytest.approx(0.05)

    @laws
    @given(counts)
    def test_hits_and_misses_mirror_each_other(self, drawn):
        hits, trials = drawn
        lower, upper = clopper_pearson(trials - hits, trials)
        assert clopper_pearson(hits, trials) == pytest.approx((1 - upper, 1 - lower), abs=1e-12)

    def test_coverage_is_exact(self):
        """Under any truth, at most 5% of samples have a lower bound above it, and 5% an upper bound below it."""
        trials = 40
        bounds = [clopper_pearson(hits, trials) for hits in range(trials + 1)]
        for truth in np.linspace(0.01, 0.99, 99):
            chances = scipy.stats.binom.pmf(np.arange(trials + 1), trials, truth)
            assert sum(c for c, b in zip(chances, bounds, strict=True) if b.lower > truth) <= 0.05 + 1e-9
            assert sum(c for c, b in zip(chances, bounds, strict=True) if b.upper < truth) <= 0.05 + 1e-9

    def test_nothing_tried_nothing_known(self):
        assert clopper_pearson(0, 0) == (0.0, 1.0)

    def test_large_counts(self):
        lower, upper = clopper_pearson(9 * 10**8, 10**9)
        assert lower < 0.9 < upper
        assert upper - lower == pytest.approx(2 * 1.645 * math.sqrt(0.09 / 10**9), rel=1e-3)

    def test_plain_floats_from_numpy_counts(self):
        found = clopper_pearson(np.int64(12), np.int64(100))
        assert [type(bound) for bound in found] == [float, float]
        assert [type(bound) for bound in clopper_pearson(0, 5)] == [float, float]

    @pytest.mark.parametrize(("hits", "trials"), [(-1, 5), (6, 5), (1, 0), (0, -1)])
    def test_hits_out_of_range(self, hits, trials):
        for function in (clopper_pearson, lambda h, n: tail_at_least(h, n, 0.5), lambda h, n: tail_at_most(h, n, 0.5)):
            with pytest.raises(EvidenceError, match=f"not {hits} of {trials}"):
                function(hits, trials)

    def test_fractions_of_hits(self):
        with pytest.raises(EvidenceError, match=r"must be whole numbers, not 0\.9 of 1"):
            clopper_pearson(0.9, 1)

    @pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, math.nan])
    def test_confidence_out_of_range(self, confidence):
        with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
            clopper_pearson(1, 2, confidence)


class TestTails:
    @laws
    @given(counts, bars)
    def test_against_scipy(self, drawn, p):
        hits, trials = drawn
        assert tail_at_least(hits, trials, p) == pytest.approx(
            scipy.stats.binom.sf(hits - 1, trials, p), rel=1e-9, abs=0
        )
        assert tail_at_most(hits, trials, p) == pytest.approx(scipy.stats.binom.cdf(hits, trials, p), rel=1e-9, abs=0)

    @pytest.mark.parametrize(("hits", "trials"), [(0, 3), (1, 3), (3, 3), (17, 40), (39, 40)])
    @pytest.mark.parametrize("p", [0.0, 0.25, 0.9, 1.0])
    def test_against_whole_fractions(self, p, hits, trials):
        assert tail_at_least(hits, trials, p) == pytest.approx(exact_tail(hits, trials, trials, p), rel=1e-12, abs=0)
        assert tail_at_most(hits, trials, p) == pytest.approx(exact_tail(0, hits, trials, p), rel=1e-12, abs=0)

    def test_small_tails_keep_their_digits(self):
        assert tail_at_least(60, 60, 0.5) == pytest.approx(0.5**60, rel=1e-12, abs=0)
        assert tail_at_most(0, 60, 0.5) == pytest.approx(0.5**60, rel=1e-12, abs=0)

    def test_no_trials(self):
        assert tail_at_least(0, 0, 0.3) == tail_at_most(0, 0, 0.3) == 1.0

    @pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
    def test_no_probability(self, p):
        for tail in (tail_at_least, tail_at_most):
            with pytest.raises(EvidenceError, match="a probability must lie between 0 and 1, not"):
                tail(1, 2, p)
