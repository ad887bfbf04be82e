"""Bounds for a difference of independent estimates: a published table, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_modelgate import EvidenceError
from pytest_modelgate.statistics.differences import difference_interval
from pytest_modelgate.statistics.interval import Interval

# Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10: two-sided 95%.
NEWCOMBE = [
    ((56, 70, 48, 80), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.6791, 1.0000)),
    ((10, 10, 0, 10), (0.6075, 1.0000)),
]


def wilson(hits: int, trials: int) -> Interval:
    return Interval(*stats.binomtest(hits, trials).proportion_ci(0.95, method="wilson"))


@pytest.mark.parametrize(("counts", "bounds"), NEWCOMBE)
def test_newcombes_table(counts: tuple[int, int, int, int], bounds: tuple[float, float]) -> None:
    a, m, b, n = counts
    found = difference_interval(a / m, wilson(a, m), b / n, wilson(b, n))
    assert found == pytest.approx(bounds, abs=5.1e-5)


@given(st.floats(-9, 9), st.floats(-9, 9), st.floats(0.01, 3), st.floats(0.01, 3))
def test_of_normal_estimates_it_is_the_normal_difference(a: float, b: float, s: float, t: float) -> None:
    z = stats.norm.ppf(0.95)
    found = difference_interval(a, Interval(a - z * s, a + z * s), b, Interval(b - z * t, b + z * t))
    expected = stats.norm(a - b, np.sqrt(s * s + t * t)).ppf([0.05, 0.95])
    assert found == pytest.approx(tuple(expected), abs=1e-9)


side = st.floats(0, 5) | st.just(math.inf)


@given(st.floats(-9, 9), st.floats(-9, 9), side, side, side, side)
def test_laws(a: float, b: float, p: float, q: float, r: float, s: float) -> None:
    """Exchanged it is the negative; it holds the difference, lies in the worst case, and is as wide as each part."""
    first, second = Interval(a - p, a + q), Interval(b - r, b + s)
    lower, upper = difference_interval(a, first, b, second)
    assert difference_interval(b, second, a, first) == (-upper, -lower)
    assert first.lower - second.upper <= lower + 1e-9
    assert upper - 1e-9 <= first.upper - second.lower
    assert lower <= a - b - max(p, s) + 1e-9
    assert a - b + max(q, r) - 1e-9 <= upper
    assert math.isinf(lower) == (math.isinf(p) or math.isinf(s))


def test_a_value_known_without_doubt_shifts_the_other() -> None:
    assert difference_interval(1.0, Interval(1.0, 1.0), 0.5, Interval(0.25, 0.875)) == (0.125, 0.75)


@pytest.mark.parametrize(
    ("a", "of_a", "says"),
    [
        (math.nan, (0.0, 1.0), "finite numbers, not of nan"),
        (math.inf, (0.0, math.inf), "finite numbers, not of inf"),
        (2.0, (0.0, 1.0), "bounds of 0.0 to 1.0 do not hold their estimate 2.0"),
        (0.5, (math.nan, 1.0), "do not hold"),
    ],
)
def test_wrong_use(a: float, of_a: tuple[float, float], says: str) -> None:
    with pytest.raises(EvidenceError, match=says):
        difference_interval(a, Interval(*of_a), 0.5, Interval(0.0, 1.0))
    with pytest.raises(EvidenceError, match=says):
        difference_interval(0.5, Interval(0.0, 1.0), a, Interval(*of_a))
