"""Sample sizes of proportions: against published sizes, scipy's binomial, and every size up to a limit, one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.gates.gate import judge_proportion
from pytest_modelgate.statistics.planning import (
    auc_samples_to_settle,
    effective_pairs,
    power_of_proportion,
    provable_from,
    refutable_from,
    samples_to_settle,
)

laws = settings(max_examples=60, deadline=None, derandomize=True)
shares = st.floats(0.01, 0.99)
levels = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])


def power_by_scipy(n, bar, truth, confidence=0.95):
    """The chance of a proof, from scipy's tails of every count."""
    k = np.arange(n + 1)
    if truth > bar:
        proves = scipy.stats.binom.sf(k - 1, n, bar) <= 1 - confidence
    else:
        proves = scipy.stats.binom.cdf(k, n, bar) <= 1 - confidence
    return scipy.stats.binom.pmf(k, n, truth)[proves].sum()


def tied(n, bar, confidence):
    """Whether some tail is 1 - confidence to the last digits, so that rounding decides."""
    k = np.arange(n + 1)
    tails = np.concatenate([scipy.stats.binom.sf(k - 1, n, bar), scipy.stats.binom.cdf(k, n, bar)])
    return (abs(tails - (1 - confidence)) < 1e-12).any()


class TestPower:
    @laws
    @given(st.integers(0, 300), shares, shares, levels)
    def test_against_scipy(self, n, bar, truth, confidence):
        assume(truth != bar and not tied(n, bar, confidence))
        found = power_of_proportion(n, bar, truth, confidence=confidence)
        assert found == pytest.approx(power_by_scipy(n, bar, truth, confidence), abs=1e-9)

    @pytest.mark.parametrize("bar", [0.05, 0.5, 0.9, 0.99])
    @pytest.mark.parametrize("truth", [0.02, 0.3, 0.7, 0.95, 0.999])
    @pytest.mark.parametrize("n", [1, 7, 40, 59, 299])
    def test_it_is_how_often_the_gate_says_so(self, n, truth, bar):
        outcome = "PASS" if truth > bar else "FAIL"
        chances = scipy.stats.binom.pmf(np.arange(n + 1), n, truth)
        said = [judge_proportion(k, n, bar, "at_least", 0.95) == outcome for k in range(n + 1)]
        assert power_of_proportion(n, bar, truth) == pytest.approx(chances[said].sum(), abs=1e-9)

    @pytest.mark.parametrize(
        ("bar", "confidence"),
        [(0.99, 0.5), (0.99, 0.6), (0.999, 0.99), (0.001, 0.99), (0.9999, 0.9999), (0.01, 1 - 1e-9)],
    )
    @pytest.mark.parametrize("truth", [0.0, 0.2, 0.75, 1.0])
    def test_at_far_bars_and_levels(self, truth, bar, confidence):
        n = np.array([1, 2, 3, 5, 35, 39, 67, 68, 90, 267, 667, 1000])
        expected = [power_by_scipy(one, bar, truth, confidence) for one in n]
        assert power_of_proportion(n, bar, truth, confidence=confidence) == pytest.approx(expected, abs=1e-9)

    @laws
    @given(st.integers(1, 300), shares, shares)
    def test_hits_and_misses_mirror_each_other(self, n, bar, truth):
        assume(abs(bar - truth) > 1e-9 and not tied(n, bar, 0.95))
        mirrored = power_of_proportion(n, 1 - bar, 1 - truth)
        assert power_of_proportion(n, bar, truth) == pytest.approx(mirrored, abs=1e-9)

    def test_arrays_keep_their_shape(self):
        n = np.array([[0, 28, 29], [40, 593, 1000]])
        found = power_of_proportion(n, 0.9, 0.93)
        assert found.shape == (2, 3)
        assert found.tolist() == [[power_of_proportion(int(one), 0.9, 0.93) for one in row] for row in n]
        assert type(power_of_proportion(40, 0.9, 0.93)) is float

    def test_nothing_is_proved_at_the_bar_or_without_trials(self):
        assert power_of_proportion(10_000, 0.9, 0.9) == 0
        assert power_of_proportion(0, 0.9, 0.99) == 0
        assert power_of_proportion(28, 0.9, 1.0) == 0
        assert power_of_proportion(29, 0.9, 1.0) == 1

    def test_many_trials(self):
        """At 10^9 trials the binomial is normal."""
        bar, n = 0.9, 10**9
        sigma = math.sqrt(bar * (1 - bar) / n)
        assert power_of_proportion(n, bar, bar + 2 * sigma) == pytest.approx(
            scipy.stats.norm.sf(1.644854 - 2), abs=1e-3
        )


class TestSamplesToSettle:
    @pytest.mark.parametrize(
        ("bar", "truth", "size"),
        [(0.8, 0.9, 94), (0.9, 0.92, 1365), (0.9, 0.93, 593), (0.9, 0.95, 203), (0.95, 0.98, 286), (0.99, 0.995, 2185)],
    )
    def test_published(self, bar, truth, size):
        assert samples_to_settle(bar, truth) == size
        assert samples_to_settle(1 - bar, 1 - truth) == size

    @pytest.mark.parametrize(("bar", "size"), [(0.8, 14), (0.9, 29), (0.95, 59), (0.99, 299)])
    def test_flawless_runs(self, bar, size):
        assert samples_to_settle(bar, 1.0) == size

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(shares, st.floats(0.0, 1.0), levels, st.sampled_from([0.1, 0.5, 0.8, 0.9, 0.99]))
    def test_the_least_that_no_larger_one_falls_short_of(self, bar, truth, confidence, power):
        assume(abs(truth - bar) > 0.03)
        size = samples_to_settle(bar, truth, confidence=confidence, power=power)
        chances = power_of_proportion(np.arange(1, 5 * size + 300), bar, truth, confidence=confidence)
        assert (chances[size - 1 :] >= power).all()
        assert size == 1 or chances[size - 2] < power

    def test_smaller_ones_may_do_by_chance(self):
        """The power is a sawtooth: the least size with enough power is not safe."""
        chances = power_of_proportion(np.arange(1, 593), 0.9, 0.93)
        assert (chances >= 0.8).sum() > 5
        assert chances[591] < 0.8

    def test_nothing_settles_a_truth_at_the_bar(self):
        assert samples_to_settle(0.9, 0.9) is None

    def test_the_limit(self):
        assert samples_to_settle(0.9, 0.9001) is None
        assert samples_to_settle(0.9, 0.9 - 1e-12) is None
        assert samples_to_settle(0.9, 0.93, limit=593) == 593
        assert samples_to_settle(0.9, 0.93, limit=592) is None
        assert samples_to_settle(0.9, 1.0, limit=29) == 29
        assert samples_to_settle(0.9, 1.0, limit=28) is None

    @pytest.mark.parametrize(("bar", "truth"), [(0.9, 0.901), (0.5, 0.4987), (0.9999, 0.99995), (0.0001, 0.00016)])
    def test_close_calls(self, bar, truth):
        size = samples_to_settle(bar, truth)
        after = np.linspace(size, 2 * size, 1000).astype(int)
        assert power_of_proportion(size - 1, bar, truth) < 0.8
        assert (power_of_proportion(after, bar, truth) >= 0.8).all()
        normal = (1.6449 * math.sqrt(bar * (1 - bar)) + 0.8416 * math.sqrt(truth * (1 - truth))) / (truth - bar)
        assert size == pytest.approx(normal**2, rel=0.2)  # the normal approximation, rough near the ends

    def test_bars_at_the_ends(self):
        """One miss refutes perfection: the chance that n samples hold one is 1 - truth^n."""
        assert samples_to_settle(1.0, 0.99) == math.ceil(math.log(0.2) / math.log(0.99))
        assert samples_to_settle(0.0, 0.01) == math.ceil(math.log(0.2) / math.log(0.99))
        assert samples_to_settle(1.0, 0.0) == samples_to_settle(0.0, 1.0) == 1


class TestResolved:
    @laws
    @given(st.integers(1, 400), shares, levels, st.sampled_from([0.5, 0.8, 0.95]))
    def test_the_power_there_is_just_enough(self, n, bar, confidence, power):
        provable = provable_from(n, bar, confidence=confidence, power=power)
        if provable is None:
            assert power_of_proportion(n, bar, 1.0, confidence=confidence) == 0
        elif provable > bar:
            assert power_of_proportion(n, bar, provable, confidence=confidence) == pytest.approx(power)
        refutable = refutable_from(n, bar, confidence=confidence, power=power)
        if refutable is None:
            assert power_of_proportion(n, bar, 0.0, confidence=confidence) == 0
        elif refutable < bar:
            assert power_of_proportion(n, bar, refutable, confidence=confidence) == pytest.approx(power)

    def test_out_of_reach(self):
        assert provable_from(28, 0.9) is None
        assert provable_from(29, 0.9) == pytest.approx(0.8 ** (1 / 29))
        assert provable_from(0, 0.9) is refutable_from(0, 0.9) is None
        assert refutable_from(28, 0.1) is None
        assert provable_from(1000, 1.0) is None
        assert refutable_from(1, 1.0) == pytest.approx(0.2)

    def test_with_the_sizes(self):
        assert provable_from(593, 0.9) <= 0.93 < provable_from(540, 0.9)


class TestAuc:
    def test_a_flawless_area(self):
        assert effective_pairs(29, 1.0) == 29
        assert auc_samples_to_settle(0.9, 1.0) == 29
        assert auc_samples_to_settle(0.9, 1.0, limit=28) is None

    @pytest.mark.parametrize(("bar", "truth"), [(0.85, 0.9), (0.7, 0.8), (0.9, 0.95), (0.6, 0.55), (0.9, 0.85)])
    def test_the_least_with_enough_effective_pairs(self, bar, truth):
        size, trials = auc_samples_to_settle(bar, truth), samples_to_settle(bar, truth)
        assert effective_pairs(size, truth) >= trials > effective_pairs(size - 1, truth)
        assert size < trials

    def test_hanley_and_mcneil(self):
        """The variance as they print it, with Q1 = A / (2 - A) and Q2 = 2A^2 / (1 + A)."""
        m, area = 50, 0.8
        q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
        variance = (area * (1 - area) + (m - 1) * (q1 - area**2) + (m - 1) * (q2 - area**2)) / m**2
        assert effective_pairs(m, area) == pytest.approx(area * (1 - area) / variance)

    def test_never_fewer_than_a_flawless_area_needs(self):
        assert auc_samples_to_settle(0.95, 0.9999) >= 59

    def test_none(self):
        assert auc_samples_to_settle(0.9, 0.9) is None
        assert auc_samples_to_settle(0.9, 0.90001) is None

    @pytest.mark.parametrize(("bar", "truth", "spread"), [(0.85, 0.9, 1), (0.9, 0.95, 1), (0.7, 0.8, 0.5)])
    def test_the_power_on_normal_scores(self, bar, truth, spread):
        """2,000 data sets of normal scores each, a bound as Hanley and McNeil's variance alone gives it."""
        rng, runs, m = np.random.default_rng(1), 2000, auc_samples_to_settle(bar, truth)
        shift = scipy.stats.norm.ppf(truth) * math.sqrt(1 + spread**2)
        negatives = np.sort(rng.standard_normal((runs, m)), axis=1)
        positives = rng.normal(shift, spread, (runs, m))
        areas = np.array([np.searchsorted(n, p).mean() / m for n, p in zip(negatives, positives, strict=True)])
        sizes = np.array([effective_pairs(m, area) for area in areas])
        lower = scipy.stats.beta.ppf(0.05, areas * sizes, sizes - areas * sizes + 1)
        assert 0.74 <= (lower >= bar).mean() <= 0.9


@pytest.mark.parametrize(
    "function",
    [
        lambda bar=0.9, truth=0.95, **levels: samples_to_settle(bar, truth, **levels),
        lambda bar=0.9, truth=0.95, **levels: auc_samples_to_settle(bar, truth, **levels),
        lambda bar=0.9, truth=0.95, power=0.8, **levels: power_of_proportion(9, bar, truth, **levels),
        lambda bar=0.9, truth=None, **levels: provable_from(9, bar, **levels),
        lambda bar=0.9, truth=None, **levels: refutable_from(9, bar, **levels),
    ],
)
class TestWrongUse:
    @pytest.mark.parametrize("bar", [-0.1, 1.5, 90, math.nan])
    def test_bars(self, function, bar):
        with pytest.raises(EvidenceError, match="the bar of a proportion must lie between 0 and 1"):
            function(bar)

    @pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
    def test_confidence(self, function, confidence):
        with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
            function(confidence=confidence)


@pytest.mark.parametrize("power", [0, 1, 80, math.nan])
def test_powers(power):
    for function in (samples_to_settle, auc_samples_to_settle):
        with pytest.raises(BarError, match="power must lie between 0 and 1"):
            function(0.9, 0.95, power=power)
    for function in (provable_from, refutable_from):
        with pytest.raises(BarError, match="power must lie between 0 and 1"):
            function(9, 0.95, power=power)


def test_truths_and_trials():
    with pytest.raises(EvidenceError, match="the true value of a proportion must lie between 0 and 1, not 93"):
        samples_to_settle(0.9, 93)
    for function in (provable_from, refutable_from):
        with pytest.raises(EvidenceError, match="must not be negative"):
            function(-1, 0.9)
    with pytest.raises(EvidenceError, match="must not be negative"):
        power_of_proportion([1, -1], 0.9, 0.95)
