"""Bounds for the largest difference between several estimates: pair by pair, and laws."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate import BarError, EvidenceError
from pytest_modelgate.statistics.differences import difference_interval
from pytest_modelgate.statistics.gaps import corrected_for_pairs, gap_interval
from pytest_modelgate.statistics.interval import Interval

width = st.floats(0, 3) | st.just(math.inf)
estimate = st.tuples(st.floats(-5, 5), width, width, st.floats(1, 2))


@given(st.lists(estimate, min_size=2, max_size=7))
def test_it_is_the_worst_pair(given_: list[tuple[float, float, float, float]]) -> None:
    """Of every ordered pair by itself, as `difference_interval` has it."""
    values = [value for value, *_ in given_]
    plain = [Interval(value - below, value + above) for value, below, above, _ in given_]
    surer = [Interval(value - below * more, value + above * more) for value, below, above, more in given_]
    lower, upper = gap_interval(values, plain, surer)
    pairs = list(permutations(range(len(values)), 2))
    lowers = [difference_interval(values[i], surer[i], values[j], surer[j]).lower for i, j in pairs]
    uppers = [difference_interval(values[i], plain[i], values[j], plain[j]).upper for i, j in pairs]
    assert lower == pytest.approx(max(0.0, *lowers), abs=1e-12)
    assert upper == pytest.approx(max(uppers), abs=1e-12)
    assert lower <= max(values) - min(values) <= upper


@given(st.lists(estimate, min_size=2, max_size=6), st.randoms())
def test_the_order_is_nothing(given_: list[tuple[float, float, float, float]], random: object) -> None:
    def found(rows: list[tuple[float, float, float, float]]) -> Interval:
        bounds = [Interval(value - below, value + above) for value, below, above, _ in rows]
        return gap_interval([value for value, *_ in rows], bounds, bounds)

    other = given_[:]
    random.shuffle(other)  # type: ignore[attr-defined]
    assert found(other) == found(given_)


def test_what_has_no_bounds_leaves_the_rest() -> None:
    """The gap of the others is a lower bound still; nothing is known above."""
    known, narrow = [Interval(0.8, 0.9), Interval(0.2, 0.3)], [Interval(0.7, 0.95), Interval(0.1, 0.4)]
    lower, upper = gap_interval([0.85, 0.25], known, narrow)
    assert gap_interval([0.85, 0.25, 0.5], [*known, None], [*narrow, None]) == (lower, math.inf)
    assert lower == pytest.approx(0.6 - math.hypot(0.15, 0.15))
    assert upper == pytest.approx(0.6 + math.hypot(0.05, 0.05))
    assert gap_interval([0.5, 0.6], [None, None], [None, None]) == (0.0, math.inf)


def test_corrected_for_pairs() -> None:
    assert [corrected_for_pairs(0.95, k) for k in (2, 5, 10)] == pytest.approx([0.975, 0.9975, 1 - 0.05 / 90])
    with pytest.raises(EvidenceError, match="between two estimates or more, not 1"):
        corrected_for_pairs(0.95, 1)
    with pytest.raises(BarError):
        corrected_for_pairs(1.0, 2)


@pytest.mark.parametrize(
    ("values", "bounds", "says"),
    [
        ([0.5], [Interval(0, 1)], "two estimates or more, not 1"),
        ([0.5, math.nan], [Interval(0, 1)] * 2, "finite numbers"),
        ([0.5, math.inf], [Interval(0, 1)] * 2, "finite numbers"),
        ([0.5, 0.7], [Interval(0, 1), Interval(0, 0.6)], "must hold their estimate"),
        ([0.5, 0.7], [Interval(0, 1), Interval(0, math.nan)], "must hold their estimate"),
        ([0.5, 0.7], [Interval(0, 1)], "1 bounds for 2 estimates"),
    ],
)
def test_wrong_use(values: list[float], bounds: list[Interval], says: str) -> None:
    with pytest.raises(EvidenceError, match=says):
        gap_interval(values, bounds, bounds)


def test_many_estimates() -> None:
    values = np.linspace(0.4, 0.6, 500).tolist()
    bounds = [Interval(value - 0.1, value + 0.1) for value in values]
    assert gap_interval(values, bounds, bounds) == pytest.approx((0.2 - 0.1 * 2**0.5, 0.2 + 0.1 * 2**0.5))
