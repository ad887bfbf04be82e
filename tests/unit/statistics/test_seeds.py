"""Bounds over seeds against scipy's t, published figures, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics.proportions import clopper_pearson
from pytest_modelgate.statistics.seeds import (
    confidences_of_seeds,
    over_seeds_interval,
    seeds_needed,
    seeds_prove,
    values_over_seeds_interval,
)

laws = settings(max_examples=80, deadline=None, derandomize=True)
shares = st.lists(st.integers(0, 1000).map(lambda hits: hits / 1000), min_size=3, max_size=10)


class TestShares:
    def test_by_hand(self):
        """Written out, with scipy's t and beta."""
        found, size = [0.92, 0.95, 0.93, 0.94, 0.91], 1000
        m, of_seeds = 0.93, np.var(found, ddof=1) / 5
        of_samples = m * (1 - m) / size
        degrees = (of_seeds + of_samples) ** 2 / (of_seeds**2 / 4 + of_samples**2 / 999)
        ratio = scipy.stats.norm.ppf(0.95) / scipy.stats.t.ppf(0.95, degrees)
        n = m * (1 - m) / (of_seeds + of_samples) * ratio**2
        expected = (
            scipy.stats.beta.ppf(0.05, m * n, n - m * n + 1),
            scipy.stats.beta.ppf(0.95, m * n + 1, n - m * n),
        )
        assert over_seeds_interval(found, size) == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize(("share", "hits"), [(1.0, 200), (0.0, 0)])
    def test_flawless_models_are_one_flawless_test_set(self, share, hits):
        assert over_seeds_interval([share] * 5, 200) == pytest.approx(clopper_pearson(hits, 200))

    def test_models_that_agree_are_one_model(self):
        """Five models of the same share say no more about other test sets than one."""
        lower, upper = over_seeds_interval([0.9] * 5, 200)
        once = clopper_pearson(180, 200)
        assert lower == pytest.approx(once.lower, abs=5e-4)
        assert upper == pytest.approx(once.upper, abs=5e-4)
        assert lower <= once.lower < once.upper <= upper

    def test_spread_widens(self):
        still = over_seeds_interval([0.9, 0.9, 0.9], 1000)
        spread = over_seeds_interval([0.85, 0.9, 0.95], 1000)
        assert spread.lower < still.lower < still.upper < spread.upper

    @laws
    @given(shares, st.integers(1, 10_000), st.sampled_from([0.8, 0.95, 0.99]))
    def test_holds_the_mean_and_stays_within_0_and_1(self, found, size, confidence):
        lower, upper = over_seeds_interval(found, size, confidence)
        mean = math.fsum(found) / len(found)
        assert 0 <= lower <= mean + 1e-12
        assert mean - 1e-12 <= upper <= 1
        assert lower < upper

    @laws
    @given(shares, st.randoms(use_true_random=False))
    def test_order_does_not_matter(self, found, random):
        shuffled = found.copy()
        random.shuffle(shuffled)
        assert over_seeds_interval(shuffled, 300) == over_seeds_interval(found, 300)

    @laws
    @given(shares, st.integers(1, 10_000))
    def test_hits_and_misses_mirror_each_other(self, found, size):
        lower, upper = over_seeds_interval(found, size)
        mirrored = over_seeds_interval([1 - share for share in found], size)
        assert mirrored == pytest.approx((1 - upper, 1 - lower), abs=1e-6)

    @pytest.mark.parametrize("found", [[], [0.9], [0.9, 0.8]])
    def test_too_few(self, found):
        with pytest.raises(EvidenceError, match=f"{len(found)} seeds say too little .* at least 3"):
            over_seeds_interval(found, 100)
        with pytest.raises(EvidenceError, match=f"{len(found)} seeds say too little .* at least 3"):
            values_over_seeds_interval(found, found, 10)

    @pytest.mark.parametrize("share", [math.nan, math.inf, -0.1, 1.1])
    def test_share_out_of_range(self, share):
        with pytest.raises(EvidenceError, match="a share must"):
            over_seeds_interval([0.9, 0.8, share], 100)

    @pytest.mark.parametrize("size", [0, -1, math.nan, math.inf])
    def test_size_out_of_range(self, size):
        with pytest.raises(EvidenceError, match="number of samples must be positive"):
            over_seeds_interval([0.9, 0.8, 0.7], size)

    @pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
    def test_confidence_out_of_range(self, confidence):
        for interval in (over_seeds_interval, lambda v, s, c: values_over_seeds_interval(v, v, s, c)):
            with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
                interval([0.9, 0.8, 0.7], 100, confidence)


class TestValues:
    @pytest.mark.parametrize("confidence", [0.9, 0.95])
    def test_seeds_alone_are_the_one_sample_t(self, confidence):
        found = [0.40, 0.44, 0.42, 0.47]
        expected = scipy.stats.t.interval(2 * confidence - 1, 3, np.mean(found), scipy.stats.sem(found))
        assert values_over_seeds_interval(found, [0.0] * 4, 99, confidence) == pytest.approx(expected, rel=1e-9)

    def test_samples_alone(self):
        lower, upper = values_over_seeds_interval([0.4] * 3, [0.01] * 3, math.inf)
        assert (lower, upper) == pytest.approx((0.4 - 0.1644854, 0.4 + 0.1644854), rel=1e-6)

    def test_both_by_welch(self):
        """Satterthwaite's degrees are Welch's: scipy's two-sample test of unequal variances gives the same bound."""
        a, b = [0.2, 0.5, 0.9, 0.4], [1.0, 3.0, 2.5, 2.0, 4.0]
        of_b = np.var(b, ddof=1) / len(b)
        expected = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
        lower, upper = values_over_seeds_interval(a, [of_b] * 4, len(b) - 1)
        assert (lower - np.mean(b), upper - np.mean(b)) == pytest.approx(tuple(expected), rel=1e-9)

    def test_no_spread_is_no_certainty(self):
        assert values_over_seeds_interval([0.4] * 3, [0.0] * 3, 10) is None

    def test_variances_that_do_not_fit(self):
        with pytest.raises(EvidenceError, match="3 values need as many variances, not 4"):
            values_over_seeds_interval([1.0] * 3, [1.0] * 4, 10)
        with pytest.raises(EvidenceError, match="must not be negative"):
            values_over_seeds_interval([1.0] * 3, [1.0, -1.0, 1.0], 10)
        with pytest.raises(EvidenceError, match="a variance must be a finite number"):
            values_over_seeds_interval([1.0] * 3, [1.0, math.nan, 1.0], 10)

    @pytest.mark.parametrize("degrees", [0, 0.5, math.nan])
    def test_degrees_out_of_range(self, degrees):
        with pytest.raises(EvidenceError, match="degrees of freedom must be at least 1"):
            values_over_seeds_interval([1.0, 2.0, 3.0], [1.0] * 3, degrees)


class TestSeedsProve:
    @pytest.mark.parametrize(("seeds", "share"), [(1, 0.05), (5, 0.55), (29, 0.90), (59, 0.95)])
    def test_published(self, seeds, share):
        assert round(seeds_prove(seeds), 2) == share
        assert seeds_prove(seeds) == pytest.approx(clopper_pearson(seeds, seeds).lower)

    @pytest.mark.parametrize("seeds", [0, -1])
    def test_none(self, seeds):
        with pytest.raises(EvidenceError, match="must be positive"):
            seeds_prove(seeds)


class TestNeeded:
    @pytest.mark.parametrize(
        ("share", "seeds", "needed"),
        [
            (0.8, 5, 4),
            (0.8, 3, 3),
            (0.6, 5, 3),
            (1, 7, 7),
            (1.0, 1, 1),
            (0.01, 5, 1),
            (0.5, 7, 4),
            (0.7, 10, 7),
            (0.29, 100, 29),
        ],
    )
    def test_table(self, share, seeds, needed):
        assert seeds_needed(share, seeds) == needed

    @laws
    @given(st.integers(1, 500), st.data())
    def test_the_share_that_some_of_them_are_needs_those(self, seeds, data):
        some = data.draw(st.integers(1, seeds))
        assert seeds_needed(some / seeds, seeds) == some

    @pytest.mark.parametrize("share", [0, -0.1, 1.01, math.nan, math.inf, True, "0.8", None])
    def test_wrong_shares(self, share):
        with pytest.raises(BarError, match="is not a share of the seeds"):
            seeds_needed(share, 5)

    def test_percents(self):
        with pytest.raises(BarError, match=r"share=80 .*; was 0\.8 meant"):
            seeds_needed(80, 5)
        with pytest.raises(EvidenceError, match="must be positive, not 0"):
            seeds_needed(0.8, 0)


class TestPartialConjunction:
    @laws
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.data(), st.sampled_from([0.05, 0.2]))
    def test_the_combined_p_value_of_benjamini_and_heller(self, p_values, data, alpha):
        """(n - u + 1) p_(u) <= alpha, their equation for dependent tests, where u of n hold at the level."""
        seeds = len(p_values)
        needed = data.draw(st.integers(1, seeds))
        for_pass, for_fail = confidences_of_seeds(needed, seeds, 1 - alpha)
        for confidence, least in ((for_pass, needed), (for_fail, seeds - needed + 1)):
            level = 1 - confidence
            combined = (seeds - least + 1) * sorted(p_values)[least - 1]
            if abs(combined - alpha) > 1e-9:
                assert (sum(p <= level for p in p_values) >= least) == (combined <= alpha)

    def test_all_of_them(self):
        """Proof that all are good is as hard as of one; that one is bad takes Bonferroni's correction."""
        assert confidences_of_seeds(5, 5) == pytest.approx((0.95, 0.99))
        assert confidences_of_seeds(1, 5) == pytest.approx((0.99, 0.95))
        assert confidences_of_seeds(1, 1, 0.9) == pytest.approx((0.9, 0.9))

    @pytest.mark.parametrize(("needed", "seeds"), [(0, 5), (6, 5), (-1, 5)])
    def test_wrong_use(self, needed, seeds):
        with pytest.raises(EvidenceError, match=f"of 5 seeds {needed} cannot be needed"):
            confidences_of_seeds(needed, seeds)
        with pytest.raises(BarError):
            confidences_of_seeds(1, 5, 95)
