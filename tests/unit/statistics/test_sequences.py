"""The confidence sequence against whole fractions, its martingale, and its laws."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.statistics.proportions import clopper_pearson
from pytest_modelgate.statistics.sequences import anytime_interval

laws = settings(max_examples=80, deadline=None, derandomize=True)
counts = st.integers(1, 2_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def mixture(hits, trials):
    """B(1/2 + hits, 1/2 + misses) / B(1/2, 1/2) in whole fractions: the chance of one such order of hits and misses."""
    found = Fraction(1)
    for k in range(hits):
        found *= Fraction(2 * k + 1, 2)
    for k in range(trials - hits):
        found *= Fraction(2 * k + 1, 2)
    return found / math.factorial(trials)


def evidence(hits, trials, p):
    p = Fraction(p)
    return mixture(hits, trials) / (p**hits * (1 - p) ** (trials - hits))


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (1, 1), (1, 2), (3, 10), (36, 40), (40, 40), (0, 40), (150, 200)])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_bounds_are_where_the_evidence_reaches_one_in_alpha(hits, trials, confidence):
    lower, upper = anytime_interval(hits, trials, confidence)
    for bound in (lower, upper):
        if 0 < bound < 1:
            assert float(evidence(hits, trials, bound)) == pytest.approx(1 / (1 - confidence), rel=1e-6)
    assert (lower == 0) == (hits == 0)
    assert (upper == 1) == (hits == trials)


def test_the_evidence_is_a_martingale():
    """Under the truth the next trial changes it by nothing on average; and it starts at 1."""
    assert mixture(0, 0) == 1
    p = Fraction(9, 10)
    for hits, trials in [(0, 0), (3, 5), (17, 20)]:
        after = p * evidence(hits + 1, trials + 1, p) + (1 - p) * evidence(hits, trials + 1, p)
        assert after == evidence(hits, trials, p)


@laws
@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_wider_than_one_look_and_mirrored(drawn, confidence):
    hits, trials = drawn
    lower, upper = anytime_interval(hits, trials, confidence)
    once = clopper_pearson(hits, trials, confidence)
    assert 0 <= lower <= once.lower <= hits / trials <= once.upper <= upper <= 1
    assert anytime_interval(trials - hits, trials, confidence) == pytest.approx((1 - upper, 1 - lower), abs=1e-12)


@laws
@given(counts)
def test_monotone(drawn):
    hits, trials = drawn
    lower, upper = anytime_interval(hits, trials)
    if hits < trials:
        more = anytime_interval(hits + 1, trials)
        assert more.lower >= lower
        assert more.upper >= upper


def test_monotone_over_every_count():
    bounds = np.array([anytime_interval(hits, 300) for hits in range(301)])
    assert np.all(np.diff(bounds, axis=0) >= 0)


@pytest.mark.parametrize("trials", [10**6, 10**9])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.999999])
def test_large_counts(trials, share):
    """Robbins' normal approximation: sqrt(p q / n * (2 log 1/alpha + log(n pi / 2) ...)) for the mixture with 1/2."""
    lower, upper = anytime_interval(round(share * trials), trials)
    assert 0 < lower < share < upper < 1
    if trials * (1 - share) > 10**4:
        excess = 2 * math.log(1 / 0.05) + math.log(math.pi * trials / 2)
        expected = math.sqrt(share * (1 - share) / trials * excess)
        assert upper - share == pytest.approx(expected, rel=5e-3)
        assert share - lower == pytest.approx(expected, rel=5e-3)


def test_flawless_and_hopeless_large_counts():
    lower, upper = anytime_interval(10**9, 10**9)
    assert upper == 1
    assert 1 - lower == pytest.approx((math.log(20) + math.log(math.pi * 10**9) / 2) / 10**9, rel=1e-4)
    assert anytime_interval(0, 10**9).upper == pytest.approx(1 - lower, rel=1e-4)


def test_nothing_tried_nothing_known():
    assert anytime_interval(0, 0) == (0.0, 1.0)


def test_plain_floats_from_numpy_counts():
    assert [type(bound) for bound in anytime_interval(np.int64(36), np.int32(40))] == [float, float]


@pytest.mark.parametrize(("hits", "trials"), [(-1, 5), (6, 5), (1, 0), (0, -1)])
def test_hits_out_of_range(hits, trials):
    with pytest.raises(EvidenceError, match=f"not {hits} of {trials}"):
        anytime_interval(hits, trials)


@pytest.mark.parametrize("hits", [0.9, math.nan, "1"])
def test_no_count(hits):
    with pytest.raises(EvidenceError, match="must be whole numbers"):
        anytime_interval(hits, 1)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, math.nan])
def test_confidence_out_of_range(confidence):
    with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
        anytime_interval(1, 2, confidence)
