"""Paired tests against whole fractions, published values, and their own laws."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics.paired import judge_pairs, mcnemar_mid_p, tango_interval, tango_z

laws = settings(max_examples=80, deadline=None, derandomize=True)
margins = st.sampled_from([0.0, 0.01, 0.02, 0.05, 0.2, 0.9])


@st.composite
def tables(draw):
    pairs = draw(st.integers(1, 400))
    losses = draw(st.integers(0, pairs))
    return losses, draw(st.integers(0, pairs - losses)), pairs


def exact_tail(first, last, trials):
    """P(first <= X <= last) of as many coins, in whole fractions."""
    return float(sum(Fraction(math.comb(trials, k), 2**trials) for k in range(first, last + 1)))


class TestMcNemar:
    @laws
    @given(st.integers(0, 80), st.integers(0, 80))
    def test_against_whole_fractions(self, losses, wins):
        trials = losses + wins
        expected = exact_tail(losses + 1, trials, trials) + exact_tail(losses, losses, trials) / 2
        assert mcnemar_mid_p(losses, wins) == pytest.approx(expected, rel=1e-12, abs=0)

    @laws
    @given(st.integers(0, 200), st.integers(0, 200))
    def test_the_two_sides_add_up_to_one(self, losses, wins):
        assert mcnemar_mid_p(losses, wins) + mcnemar_mid_p(wins, losses) == pytest.approx(1)

    @pytest.mark.parametrize(("losses", "wins", "p"), [(0, 0, 0.5), (2, 0, 0.125), (0, 2, 0.875), (5, 5, 0.5)])
    def test_by_hand(self, losses, wins, p):
        assert mcnemar_mid_p(losses, wins) == pytest.approx(p)

    def test_small_where_the_losses_outnumber_the_wins(self):
        assert mcnemar_mid_p(losses=20, wins=5) < 0.01
        assert mcnemar_mid_p(losses=5, wins=20) > 0.99

    @pytest.mark.parametrize(("losses", "wins"), [(-1, 0), (0, -1)])
    def test_negative_counts(self, losses, wins):
        with pytest.raises(EvidenceError, match="must not be negative"):
            mcnemar_mid_p(losses, wins)

    @pytest.mark.parametrize(("losses", "wins"), [(0.5, 0), (0, math.nan), ("1", 2)])
    def test_no_counts(self, losses, wins):
        with pytest.raises(EvidenceError, match="must be whole numbers"):
            mcnemar_mid_p(losses, wins)


class TestTango:
    @pytest.mark.parametrize(
        ("losses", "wins", "pairs", "difference", "z"),
        [
            (0, 3, 40, -0.1, 2.788867),
            (9, 4, 200, -0.02, -0.281459),
            (25, 16, 100, 0.0, -9 / math.sqrt(41)),  # without a margin it is McNemar's chi, uncorrected
            (0, 0, 100, -0.1, 10 / 3),  # sqrt(n m / (1 - m))
        ],
    )
    def test_values(self, losses, wins, pairs, difference, z):
        assert tango_z(losses, wins, pairs, difference) == pytest.approx(z, abs=5e-7)

    @laws
    @given(tables(), st.floats(-0.98, 0.98))
    def test_against_the_likelihood_maximised(self, table, difference):
        """The nuisance share by maximising the likelihood numerically, instead of by the quadratic formula."""
        b, c, n = table

        def minus_likelihood(q):
            shares = ((b, q), (c, q + difference), (n - b - c, 1 - 2 * q - difference))
            return -sum(k * math.log(max(share, 1e-300)) for k, share in shares if k)

        low, high = max(0.0, -difference), (1 - difference) / 2
        found = scipy.optimize.minimize_scalar(
            minus_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
        )
        z = (c - b - n * difference) / math.sqrt(n * (2 * found.x + difference * (1 - difference)))
        assert tango_z(b, c, n, difference) == pytest.approx(z, rel=1e-4, abs=1e-4)

    @pytest.mark.parametrize(
        ("losses", "wins", "pairs", "difference", "z"),
        [
            (0, 0, 10, 0.0, 0.0),
            (0, 0, 0, 0.3, 0.0),
            (5, 0, 5, -1.0, 0.0),
            (4, 0, 5, -1.0, math.inf),
            (0, 5, 5, 1.0, 0.0),
            (0, 4, 5, 1.0, -math.inf),
        ],
    )
    def test_nothing_by_nothing(self, losses, wins, pairs, difference, z):
        assert tango_z(losses, wins, pairs, difference) == z
        assert math.copysign(1, tango_z(losses, wins, pairs, difference)) == math.copysign(1, z)

    @laws
    @given(tables(), st.floats(-1, 1))
    def test_swapping_the_models_swaps_the_sign(self, table, difference):
        b, c, n = table
        assert tango_z(b, c, n, difference) == -tango_z(c, b, n, -difference)

    @laws
    @given(tables(), st.floats(-0.9, 0.9))
    def test_monotone(self, table, difference):
        b, c, n = table
        z = tango_z(b, c, n, difference)
        assert tango_z(b, c, n, difference + 0.05) < z
        if b + c < n:
            assert tango_z(b + 1, c, n, difference) <= z + 1e-12
            assert tango_z(b, c + 1, n, difference) >= z - 1e-12

    @pytest.mark.parametrize("difference", [-1.1, 1.1, math.nan])
    def test_difference_out_of_range(self, difference):
        with pytest.raises(EvidenceError, match="between -1 and 1"):
            tango_z(1, 2, 10, difference)

    @pytest.mark.parametrize(("losses", "wins", "pairs"), [(6, 5, 10), (0, 0, -1), (0, 0, 2.5)])
    def test_counts_out_of_range(self, losses, wins, pairs):
        for function in (tango_interval, judge_pairs, lambda b, c, n: tango_z(b, c, n, 0.0)):
            with pytest.raises(EvidenceError, match="pairs"):
                function(losses, wins, pairs)


class TestTangoInterval:
    def test_published(self):
        """Airway hyper-responsiveness before and after transplantation: Fagerland, Lydersen and Laake (2014)."""
        found = tango_interval(7, 1, 21, confidence=0.975, worst_pair=0)
        assert tuple(round(bound, 3) for bound in found) == (-0.517, -0.026)

    @laws
    @given(tables(), st.sampled_from([0.9, 0.95, 0.99]))
    def test_holds_the_estimate_and_the_plain_interval(self, table, confidence):
        b, c, n = table
        lower, upper = tango_interval(b, c, n, confidence)
        plain = tango_interval(b, c, n, confidence, worst_pair=0)
        assert -1 <= lower <= plain.lower <= (c - b) / n <= plain.upper <= upper <= 1
        assert tango_interval(c, b, n, confidence) == (-upper, -lower)

    @laws
    @given(tables(), st.sampled_from([0.01, 0.02, 0.05, 0.2, 0.9]))
    def test_the_word_is_where_the_bound_lies(self, table, margin):
        lower, upper = tango_interval(*table)
        if min(abs(lower + margin), abs(upper + margin)) > 1e-9:
            expected = 1 if lower > -margin else -1 if upper < -margin else 0
            assert judge_pairs(*table, margin=margin) == expected

    def test_no_pairs(self):
        assert tango_interval(0, 0, 0) == (-1.0, 1.0)

    def test_no_pair_that_differs_is_no_certainty(self):
        lower, upper = tango_interval(0, 0, 100)
        assert -0.05 < lower < -0.02
        assert upper == -lower

    def test_large_counts(self):
        lower, upper = tango_interval(4 * 10**7, 3 * 10**7, 10**9)
        assert lower < -0.01 < upper
        assert upper - lower == pytest.approx(2 * 1.645 * math.sqrt((0.07 - 0.01**2) / 10**9), rel=1e-3)


class TestJudgePairs:
    @pytest.mark.parametrize(
        ("losses", "wins", "pairs", "margin", "word"),
        [
            (0, 0, 1000, 0.0, 0),
            (31, 9, 1000, 0.0, -1),
            (9, 31, 1000, 0.0, 1),
            (9, 4, 200, 0.02, 0),
            (0, 3, 200, 0.02, 1),
            (30, 4, 200, 0.02, -1),
            (9, 3, 50, 0.0, -1),  # McNemar's mid-p .046, where Tango's score is not sure
            (3, 9, 50, 0.0, 1),
            (0, 0, 0, 0.0, 0),
            (0, 0, 0, 0.5, 0),
            (0, 0, 10, 0.02, 0),
            (0, 0, 10**6, 0.02, 1),
        ],
    )
    def test_table(self, losses, wins, pairs, margin, word):
        assert judge_pairs(losses, wins, pairs, margin) == word

    @laws
    @given(tables(), margins, st.sampled_from([0.3, 0.5, 0.9, 0.95, 0.99]))
    def test_monotone(self, table, margin, confidence):
        b, c, n = table
        word = judge_pairs(b, c, n, margin, confidence)
        if b + c < n:
            assert judge_pairs(b, c + 1, n, margin, confidence) >= word
            assert judge_pairs(b + 1, c, n, margin, confidence) <= word
        if margin and confidence > 0.5:
            assert judge_pairs(b, c, n, margin / 2, confidence) <= word or margin / 2 == 0

    @pytest.mark.parametrize("pairs", [1, 7, 30])
    @pytest.mark.parametrize("margin", [0.0, 0.03, 0.3])
    def test_monotone_over_every_table(self, pairs, margin):
        for losses in range(pairs + 1):
            words = [judge_pairs(losses, wins, pairs, margin) for wins in range(pairs - losses + 1)]
            assert words == sorted(words)

    @pytest.mark.parametrize("margin", [0.03, 0.1, 0.3])
    def test_the_word_is_where_the_bound_lies_for_every_table(self, margin):
        for losses in range(26):
            for wins in range(26 - losses):
                lower, upper = tango_interval(losses, wins, 25)
                expected = 1 if lower > -margin else -1 if upper < -margin else 0
                assert judge_pairs(losses, wins, 25, margin) == expected

    def test_both_words_at_once_are_none(self):
        """Below a confidence of one half both sides can be 'proved'."""
        assert judge_pairs(5, 5, 100, confidence=0.3) == 0

    def test_numpy_counts(self):
        assert judge_pairs(np.int64(31), np.int32(9), np.uint16(1000)) == -1

    @pytest.mark.parametrize("margin", [-0.1, 1.0, 2, math.nan])
    def test_margin_out_of_range(self, margin):
        with pytest.raises(BarError, match="margin must be at least 0 and below 1"):
            judge_pairs(1, 2, 10, margin)

    @pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
    def test_confidence_out_of_range(self, confidence):
        for function in (tango_interval, lambda b, c, n, confidence: judge_pairs(b, c, n, 0.1, confidence)):
            with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
                function(1, 2, 10, confidence=confidence)
