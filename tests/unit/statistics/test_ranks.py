"""Two samples by ranks, and cross-fitted means, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_modelgate.statistics.ranks import (
    FOLDS,
    correlation_bounds,
    cross_fitted,
    folds_of,
    mann_whitney,
    mid_ranks,
    normal_tail,
    rank_correlation,
)

VALUES = st.lists(st.integers(0, 6), min_size=1, max_size=30)


def counted(values: list[int]) -> np.ndarray:
    return np.bincount(values, minlength=7)


@given(VALUES, VALUES)
def test_mann_whitney_is_scipys(first: list[int], second: list[int]) -> None:
    area, p = mann_whitney(counted(first), counted(second))
    if len({*first, *second}) == 1:
        assert (area, p) == (0.5, 1.0)
        return
    theirs = stats.mannwhitneyu(first, second, method="asymptotic")
    assert area == pytest.approx(theirs.statistic / (len(first) * len(second)), abs=1e-12)
    assert p == pytest.approx(theirs.pvalue, rel=1e-9)


@given(VALUES)
def test_mid_ranks_are_scipys(values: list[int]) -> None:
    assert np.array_equal(mid_ranks(counted(values))[values], stats.rankdata(values))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=30))
def test_rank_correlation_is_spearmans(pairs: list[tuple[int, int]]) -> None:
    a, b = (list(each) for each in zip(*pairs, strict=True))
    found = rank_correlation(mid_ranks(counted(a))[a], mid_ranks(counted(b))[b])
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert found == 0.0
    else:
        assert found == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_normal_tail() -> None:
    assert [normal_tail(z) for z in (-1.0, 0.0, 1.6448536, 9.0)] == pytest.approx(
        stats.norm.sf([-1.0, 0.0, 1.6448536, 9.0]), rel=1e-9
    )


def test_bounds_of_a_correlation() -> None:
    steps = np.array([-1.6448536, 1.6448536]) * np.sqrt(1.125 / 97)
    assert correlation_bounds(0.5, 100, 0.95) == pytest.approx(tuple(np.tanh(np.arctanh(0.5) + steps)), abs=1e-7)
    assert correlation_bounds(0.5, 3, 0.95) == (-1.0, 1.0)
    lower, upper = correlation_bounds(1.0, 30, 0.95)
    assert 0.9 < lower < 0.95
    assert upper == 1.0
    assert correlation_bounds(-1.0, 30, 0.95) == pytest.approx((-upper, -lower))


def test_bounds_of_a_correlation_cover() -> None:
    rng, truth, missed = np.random.default_rng(0), 6 / np.pi * np.arcsin(0.8 / 2), np.zeros(2)
    for _ in range(300):
        a = rng.normal(size=60)
        b = 0.8 * a + 0.6 * rng.normal(size=60)
        lower, upper = correlation_bounds(rank_correlation(stats.rankdata(a), stats.rankdata(b)), 60, 0.95)
        missed += (lower > truth, upper < truth)
    assert (missed / 300 <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5).all()


def test_folds_spread_each_stratum() -> None:
    strata = np.repeat([3, 1, 2], [50, 10, 5])
    folds = folds_of(strata)
    for stratum in (1, 2, 3):
        sizes = np.bincount(folds[strata == stratum], minlength=FOLDS)
        assert sizes.max() - sizes.min() <= 1
    assert not np.array_equal(folds, folds_of(strata, seed=1))
    assert np.array_equal(folds, folds_of(strata))


def test_cross_fitted_by_hand() -> None:
    """A value that the other folds have: their mean and one row at the mean of all."""
    codes, folds = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 1, 2])
    outcomes = np.array([[1.0], [0.0], [1.0], [0.0], [0.0]])
    told = cross_fitted(codes, outcomes, folds, ordered=False)
    assert told[0, 0] == pytest.approx((0 + 1 + 1 / 4) / 3)  # rows 1 and 2, and the mean of rows 1 to 4
    assert told[3, 0] == pytest.approx((0 + 2 / 3) / 2)  # row 4, and the mean of rows 0, 2 and 4


def test_a_new_value_takes_its_neighbours_or_nothing() -> None:
    codes, folds = np.arange(20), np.where(np.arange(20) == 10, 0, 1)
    outcomes = (np.arange(20) > 8).astype(float)[:, None]
    near = cross_fitted(codes, outcomes, folds, ordered=True)[10, 0]
    assert near == pytest.approx((4 + 10 / 19) / 7)  # of 7, 8, 9, 11, 12 and 13 four are above 8
    assert cross_fitted(codes, outcomes, folds, ordered=False)[10, 0] == pytest.approx(10 / 19)


@given(st.integers(0, 2**32 - 1))
def test_what_never_repeats_tells_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.permutation(np.repeat([0.0, 1.0], 50))[:, None]
    folds = folds_of(target[:, 0])
    told = cross_fitted(rng.permutation(100), target, folds, ordered=False)
    assert np.allclose(told, 0.5)
