"""Effective sizes against published formulas written out, known cases, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics.effective import (
    clopper_pearson_effective,
    effective_size,
    effective_trials,
    kish_size,
    resting_on,
    size_factor,
    weighted_size,
)
from pytest_modelgate.statistics.proportions import clopper_pearson

laws = settings(max_examples=80, deadline=None, derandomize=True)
BITS = st.sampled_from([0.0, 1.0])
weights = st.lists(st.floats(0.01, 100), min_size=1, max_size=30)


@st.composite
def grouped(draw, numbers=BITS):
    """(values [N], groups [N]) of 2 to 6 groups."""
    count = draw(st.integers(2, 40))
    groups = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count).filter(lambda found: len(set(found)) > 1))
    return draw(st.lists(numbers, min_size=count, max_size=count)), groups


def sample(sizes, hits):
    """(hits [N], groups [N]) from the size of each group and its number of hits."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return np.concatenate([np.arange(n) < k for n, k in zip(sizes, hits, strict=True)]).astype(int), groups


class TestKish:
    @pytest.mark.parametrize(
        ("given_weights", "size"),
        [([1, 1, 1], 3), ([5, 5], 2), ([1, 0, 0], 1), ([1, 2, 3], 36 / 14), ([1e300, 1e300], 2)],
    )
    def test_by_hand(self, given_weights, size):
        assert kish_size(given_weights) == pytest.approx(size)

    @laws
    @given(weights)
    def test_at_most_their_number_and_free_of_scale(self, found):
        assert 1 - 1e-12 <= kish_size(found) <= len(found) + 1e-9
        assert kish_size([4 * weight for weight in found]) == kish_size(found)
        assert kish_size(found[::-1]) == kish_size(found)

    @pytest.mark.parametrize("found", [[], [0, 0], [1, -1], [1, math.nan], [math.inf], [[1, 2]]])
    def test_out_of_range(self, found):
        with pytest.raises(EvidenceError, match="weight"):
            kish_size(found)


class TestWeightedSize:
    def test_by_hand(self):
        """p (1 - p) over the linearised variance of a weighted share."""
        hits, weights = np.repeat([1, 0], [20, 2]), np.array([1] * 15 + [2] * 5 + [5, 4])
        p = (hits * weights).sum() / weights.sum()
        variance = ((weights * (hits - p)) ** 2).sum() / weights.sum() ** 2
        assert p * (1 - p) / variance < kish_size(weights)
        assert weighted_size(hits, weights) == pytest.approx(p * (1 - p) / variance)
        assert weighted_size(5 - 3 * hits, weights) == pytest.approx(p * (1 - p) / variance)

    def test_kish_where_it_is_less_or_nothing_was_missed(self):
        weights = np.array([1, 1, 1, 1, 5, 5])
        assert weighted_size([0, 1, 1, 0, 1, 1], weights) == kish_size(weights)
        for flat in ([1] * 6, [0] * 6, [1, 1, 1, 1, 1, 1 + 1e-12]):
            assert weighted_size(flat, weights) == kish_size(weights)

    def test_samples_without_weight_do_not_count(self):
        assert weighted_size([1, 0, 1, 0, 0], [1, 2, 3, 1, 0]) == weighted_size([1, 0, 1, 0], [1, 2, 3, 1])

    @laws
    @given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 100)), min_size=1, max_size=30), st.randoms())
    def test_at_most_kish_and_bitwise_the_same_in_any_order(self, pairs, random):
        size = weighted_size(*zip(*pairs, strict=True))
        assert 0 < size <= kish_size([weight for _, weight in pairs])
        random.shuffle(pairs)
        assert weighted_size(*zip(*pairs, strict=True)) == size

    @pytest.mark.parametrize(
        ("values", "weights"), [([1, 0], [1]), ([math.nan, 1], [1, 1]), ([1, 0], [1, -1]), ([1, 0], [0, 0])]
    )
    def test_out_of_range(self, values, weights):
        with pytest.raises(EvidenceError):
            weighted_size(values, weights)


@pytest.mark.parametrize(
    ("deviations", "number"),
    [([2, -2, 2], 3), ([0, 7, 0], 1), ([0, 0], 0), ([], 0), ([1e300, 1e300], 2), ([3, 1], 100 / 82)],
)
def test_resting_on(deviations, number):
    assert resting_on(deviations) == pytest.approx(number)


class TestEffectiveTrials:
    def test_korn_and_graubard_by_hand(self):
        """Groups of equal size: p (1 - p) / variance, the variance G / (G - 1) sum of squares, and (z / t)^2."""
        sizes, hits = [10] * 8, [10, 9, 7, 10, 8, 10, 9, 6]
        p, deviations = 69 / 80, np.array(hits) - 69 / 8
        variance = 8 / 7 * (deviations**2).sum() / 80**2
        degrees = 1.5 * (deviations**2).sum() ** 2 / (deviations**4).sum()
        assert 1 < degrees < 7
        penalty = (scipy.stats.norm.ppf(0.95) / scipy.stats.t.ppf(0.95, degrees)) ** 2
        assert effective_trials(*sample(sizes, hits)) == pytest.approx(p * (1 - p) / variance * penalty, rel=1e-9)

    def test_the_variance_is_the_jackknife(self):
        """Groups of unequal size, against leaving each out in turn."""
        sizes, hits = np.array([5, 30, 10, 20]), np.array([4, 15, 9, 20])
        p = hits.sum() / sizes.sum()
        left = (hits.sum() - hits) / (sizes.sum() - sizes)
        variance = 3 / 4 * ((left - p) ** 2).sum()
        squares = (left - p) ** 2
        share = sizes / sizes.sum()
        degrees = max(1.0, 1.5 * squares.sum() ** 2 / (squares**2).sum() / (share**2).sum() / 4)
        penalty = (scipy.stats.norm.ppf(0.95) / scipy.stats.t.ppf(0.95, degrees)) ** 2
        assert effective_trials(*sample(sizes, hits)) == pytest.approx(p * (1 - p) / variance * penalty, rel=1e-9)

    @pytest.mark.parametrize(
        ("sizes", "hits", "size"),
        [
            ([4, 4, 4], [4, 4, 4], 3),  # flawless: a group is a sample
            ([4, 4, 4], [0, 0, 0], 3),
            ([9, 1, 1], [9, 1, 1], 3),
            ([1] * 7, [1, 1, 0, 1, 1, 1, 0], 7),  # each its own group: independent
            ([1] * 7, [1] * 7, 7),
            ([4, 4], [3, 3], 8),  # groups that balance are worth no more than their samples
            ([10, 10, 10], [7, 7, 7], 30),  # whatever the rounding of 0.7
            ([12], [9], None),
            ([0, 12], [0, 9], None),  # a group without a trial is none
        ],
    )
    def test_table(self, sizes, hits, size):
        assert effective_trials(*sample(sizes, hits)) == size

    def test_copies_are_worth_less_than_the_originals(self):
        """Ten exact copies of each of 30 samples."""
        hits = np.repeat([1] * 24 + [0] * 6, 10)
        size = effective_trials(hits, np.repeat(np.arange(30), 10))
        assert 20 < size < 30

    def test_no_samples(self):
        assert effective_trials([], []) is None

    def test_confidence_asks_for_more(self):
        found = sample([10] * 8, [10, 9, 7, 10, 8, 10, 9, 6])
        sizes = [effective_trials(*found, confidence=level) for level in (0.5, 0.9, 0.95, 0.99)]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] > sizes[-1]

    def test_equal_weights_change_nothing(self):
        hits, groups = sample([10, 20, 5, 8], [9, 12, 5, 7])
        assert effective_trials(hits, groups, weights=np.full(43, 4.0)) == pytest.approx(effective_trials(hits, groups))

    def test_samples_without_weight_do_not_count(self):
        hits, groups = sample([10, 20, 5, 8, 6], [9, 12, 5, 7, 0])
        kept = groups < 4
        assert effective_trials(hits, groups, weights=kept) == pytest.approx(effective_trials(hits[kept], groups[kept]))
        assert effective_trials(hits, groups, weights=groups == 1) is None

    def test_weights_cost(self):
        hits, groups = [1, 0, 1, 1, 0, 1], ["a", "a", "a", "b", "b", "b"]
        uneven = [1, 9, 1, 1, 9, 1]
        assert effective_trials(hits, groups, weights=uneven) == pytest.approx(weighted_size(hits, uneven))
        alone = [1, 2, 3, 4, 5, 6]
        assert effective_trials(hits, range(6), weights=alone) == weighted_size(hits, alone)

    @laws
    @given(grouped(), st.randoms(use_true_random=False))
    def test_bitwise_the_same_in_any_order(self, drawn, random):
        hits, groups = drawn
        weight = [1 + 0.1 * group + 0.3 * hit for hit, group in zip(hits, groups, strict=True)]
        order = list(range(len(hits)))
        random.shuffle(order)
        moved = [[column[index] for index in order] for column in (hits, groups, weight)]
        assert effective_trials(moved[0], moved[1]) == effective_trials(hits, groups)
        assert effective_trials(*moved[:2], weights=moved[2]) == effective_trials(hits, groups, weights=weight)
        names = [f"patient {9 - group}" for group in groups]
        assert effective_trials(hits, names) == effective_trials(hits, groups)
        assert effective_trials(hits, np.array(groups, dtype=object)) == effective_trials(hits, groups)

    @laws
    @given(grouped())
    def test_at_most_their_number_and_the_same_for_misses(self, drawn):
        hits, groups = drawn
        size = effective_trials(hits, groups)
        assert 0 < size <= len(hits)
        assert effective_trials([1 - hit for hit in hits], groups) == pytest.approx(size)

    @pytest.mark.parametrize("hits", [[0.5, 1], [2, 0], [math.nan, 1], [[1, 0]]])
    def test_no_hits(self, hits):
        with pytest.raises(EvidenceError, match="hits must be"):
            effective_trials(hits, [1, 2])

    @pytest.mark.parametrize("groups", [[None, "a", "b"], [math.nan, 1.0, 2.0], [1, None, 2]])
    def test_missing_group(self, groups):
        with pytest.raises(EvidenceError, match=r"sample [01] has no group"):
            effective_trials([1, 0, 1], groups)

    @pytest.mark.parametrize(("groups", "weights"), [([1, 2], None), ([1, 2, 3, 4], None), ([1, 2, 3], [1, 1])])
    def test_lengths(self, groups, weights):
        with pytest.raises(EvidenceError, match="3 samples need as many groups and weights"):
            effective_trials([1, 0, 1], groups, weights=weights)

    def test_groups_of_two_dimensions(self):
        with pytest.raises(EvidenceError, match="one label a sample"):
            effective_trials([1, 0], [[1], [2]])

    @pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
    def test_confidence_out_of_range(self, confidence):
        for function in (effective_trials, size_factor):
            with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
                function([1, 0], [1, 2], confidence=confidence)


class TestSizeFactor:
    def test_a_proportion_is_its_own_influence(self):
        hits, groups = sample([10, 20, 5, 8], [9, 12, 5, 7])
        assert size_factor(hits - hits.mean(), groups) == pytest.approx(effective_trials(hits, groups) / 43)
        assert size_factor(3 * hits, groups) == pytest.approx(effective_trials(hits, groups) / 43)

    def test_no_influence(self):
        assert size_factor([0.0] * 6, [1, 1, 1, 2, 2, 2]) == pytest.approx(1 / 3)
        assert size_factor([1e-12, -1e-12, 0, 0, 0, 0], [1, 1, 1, 2, 2, 2]) == pytest.approx(1 / 3)

    @pytest.mark.parametrize("groups", [[], [1, 1, 1]])
    def test_nothing_to_tell_from(self, groups):
        assert size_factor([0.1 * k for k in range(len(groups))], groups) is None

    @laws
    @given(grouped(st.floats(-5, 5)), st.randoms(use_true_random=False))
    def test_at_most_1_and_bitwise_the_same_in_any_order(self, drawn, random):
        values, groups = drawn
        factor = size_factor(values, groups)
        order = list(range(len(values)))
        random.shuffle(order)
        assert 0 < factor <= 1
        assert size_factor([values[i] for i in order], [groups[i] for i in order]) == factor

    def test_design_effect_of_drawn_groups(self):
        """200 groups of 20, correlation .3: a design effect of 1 + 19 * .3 = 6.7."""
        rng = np.random.default_rng(0)
        values = np.repeat(rng.normal(0, 0.3**0.5, 200), 20) + rng.normal(0, 0.7**0.5, 4000)
        found = size_factor(values, np.repeat(np.arange(200), 20), confidence=0.5)
        assert 1 / found == pytest.approx(6.7, rel=0.15)
        alone = size_factor(rng.normal(size=4000), np.repeat(np.arange(200), 20), confidence=0.5)
        assert alone > 0.75

    @pytest.mark.parametrize("influence", [[math.nan, 1], [math.inf, 1], [[1, 2]]])
    def test_not_finite(self, influence):
        with pytest.raises(EvidenceError, match="influence must be finite"):
            effective_size(influence, [1, 2])


class TestClopperPearsonEffective:
    @laws
    @given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_whole_numbers_are_clopper_pearson(self, drawn):
        hits, trials = drawn
        assert clopper_pearson_effective(hits / trials, trials) == pytest.approx(
            clopper_pearson(hits, trials), abs=1e-9
        )

    @laws
    @given(st.floats(0, 1), st.floats(0.01, 1e6))
    def test_against_scipy(self, share, size):
        hits = share * size
        lower, upper = clopper_pearson_effective(share, size)
        assert 0 <= lower <= share + 1e-9
        assert share - 1e-9 <= upper <= 1
        if 1e-3 < hits < size - 1e-3:
            assert lower == pytest.approx(scipy.stats.beta.ppf(0.05, hits, size - hits + 1), rel=1e-6, abs=1e-9)
            assert upper == pytest.approx(scipy.stats.beta.ppf(0.95, hits + 1, size - hits), rel=1e-6, abs=1e-9)

    def test_nothing_tried_nothing_known(self):
        assert clopper_pearson_effective(0.9, 0) == (0.0, 1.0)

    @pytest.mark.parametrize(("share", "size"), [(1.1, 5), (-0.1, 5), (math.nan, 5), (0.5, -1), (0.5, math.nan)])
    def test_out_of_range(self, share, size):
        with pytest.raises(EvidenceError, match="must"):
            clopper_pearson_effective(share, size)
