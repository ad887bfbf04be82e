"""Distances between two samples, against scipy, and how often their bounds are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_modelgate.statistics.shifts import class_shift, kolmogorov_shift

BOTH = {"alpha": 0.05, "strict": 0.05}
NUMBERS = st.lists(st.integers(-3, 3), min_size=1, max_size=30)


@pytest.mark.filterwarnings("ignore:ks_2samp")  # scipy itself falls back to the limiting law
@settings(max_examples=50)
@given(NUMBERS, NUMBERS)
def test_kolmogorov_smirnov_is_scipys(first: list[int], second: list[int]) -> None:
    found = kolmogorov_shift(np.array(first), np.array(second), **BOTH)
    theirs = stats.ks_2samp(first, second)
    assert found.estimate == pytest.approx(theirs.statistic, abs=1e-12)
    size = len(first) * len(second) / (len(first) + len(second))
    assert found.p == pytest.approx(stats.kstwobign.sf(theirs.statistic * math.sqrt(size)), abs=1e-9)
    assert found.p > 0.05 or found.p >= theirs.pvalue  # in its tail the limiting law errs on the careful side


def test_missing_values_are_one_more_value() -> None:
    a, b = np.array([1.0, 2.0, np.nan, np.nan]), np.array([1.0, 2.0, 3.0, np.nan])
    assert kolmogorov_shift(a, b, **BOTH).estimate == 0.25
    assert kolmogorov_shift(a, a[::-1], **BOTH).estimate == 0.0
    assert kolmogorov_shift(np.full(3, np.nan), np.full(4, np.nan), **BOTH).p == 1.0
    assert kolmogorov_shift(np.array([0.0, np.inf]), np.array([-0.0, -np.inf]), **BOTH).estimate == 0.5


def test_bounds_of_kolmogorov_smirnov_by_hand() -> None:
    found = kolmogorov_shift(np.arange(200), np.arange(100, 300), alpha=0.05, strict=0.01)
    assert found.lower == pytest.approx(0.5 - stats.kstwobign.isf(0.01) / 10, abs=1e-6)
    assert found.upper == pytest.approx(0.5 + stats.kstwobign.isf(0.05) / 10, abs=1e-6)


def test_bounds_of_kolmogorov_smirnov_cover() -> None:
    """A share of .2 of the second sample lies beyond all of the first: the distance is .2."""
    rng, missed = np.random.default_rng(0), np.zeros(2)
    for _ in range(400):
        second = rng.random(150) + (rng.random(150) < 0.2)
        found = kolmogorov_shift(rng.random(300), second, **BOTH)
        missed += (found.lower > 0.2, found.upper < 0.2)
    assert (missed / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5).all()


def test_class_shares_by_hand() -> None:
    found = class_shift(np.array([50, 50, 0]), np.array([20, 60, 20]), alpha=0.05, strict=0.01)
    assert found.estimate == pytest.approx(0.3)
    spread = math.sqrt(0.02 / 2)
    chance = (math.sqrt(0.25 / 100 + 0.16 / 100) + math.sqrt(0.25 / 100 + 0.24 / 100) + math.sqrt(0.16 / 100)) / 2
    assert found.upper == pytest.approx(0.3 + spread * math.sqrt(math.log(20)))
    assert found.lower == pytest.approx(max(0, 0.3 - chance - spread * math.sqrt(math.log(100))))
    assert found.p == pytest.approx(stats.chi2_contingency([[50, 50, 0], [20, 60, 20]], correction=False).pvalue)


@pytest.mark.parametrize(
    ("first", "second", "pooled"),
    [
        ([90, 4, 6], [80, 10, 10], [[90, 4, 6], [80, 10, 10]]),
        ([90, 2, 3, 5], [80, 3, 2, 15], [[90, 5, 5], [80, 5, 15]]),
        ([90, 50, 40, 1], [80, 60, 50, 1], [[90, 50, 41], [80, 60, 51]]),
        ([99, 0], [80, 0], None),
    ],
)
def test_rare_classes_are_put_together(first: list[int], second: list[int], pooled: list[list[int]] | None) -> None:
    found = class_shift(np.array(first), np.array(second), **BOTH)
    if pooled is None:
        assert found.p == 1.0
        return
    assert found.p == pytest.approx(stats.chi2_contingency(pooled, correction=False).pvalue)


@given(st.lists(st.integers(0, 40), min_size=4, max_size=4))
def test_two_classes_are_judged_exactly(counts: list[int]) -> None:
    a, b, c, d = counts
    if a + b == 0 or c + d == 0:
        return
    found = class_shift(np.array([a, b]), np.array([c, d]), **BOTH)
    chance = stats.hypergeom(a + b + c + d, a + c, a + b)
    expected = min(1.0, 2 * min(chance.cdf(a), chance.sf(a - 1)))
    assert found.p == pytest.approx(expected, rel=1e-6)


def test_bounds_of_class_shares_cover() -> None:
    """Ten classes with a true distance of .1."""
    rng, missed = np.random.default_rng(0), np.zeros(2)
    shares = np.full(10, 0.1)
    other = shares + np.repeat([0.02, -0.02], 5)
    for _ in range(300):
        found = class_shift(rng.multinomial(300, shares), rng.multinomial(200, other), **BOTH)
        missed += (found.lower > 0.1, found.upper < 0.1)
    assert (missed / 300 <= 0.05).all()
