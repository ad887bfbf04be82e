"""How many rows would lie so near by chance: against draws from the law itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import gamma

from pytest_modelgate.statistics.nearness import TAIL, expected_nearer


def test_as_the_integral() -> None:
    """Averaged over the Gamma distribution of the exponent by quadrature."""
    within = np.arange(1.0, 41.0)
    rate = np.log(TAIL / within[:TAIL]).sum()
    law = gamma(TAIL - 1, scale=1 / rate)
    expected, _ = quad(lambda d: TAIL / 40 * (0.5 / TAIL) ** d * law.pdf(d), 0, 60)
    found = expected_nearer(np.array([0.5, 100.0]), within, np.array([1_000, 1_000]))
    assert found[0] == pytest.approx(2 * expected, rel=1e-6)
    assert found[1] == pytest.approx(2 * TAIL / 40)  # beyond the tail nothing is rare


@pytest.mark.parametrize("dimension", [1, 3, 10])
def test_how_often_the_nearest_is_rare(dimension: int) -> None:
    """The smallest of 100 distances with share r**D is expected 0.05 times or less in at most 5% of draws."""
    rng = np.random.default_rng(dimension)
    alarms = 0
    for _ in range(600):
        distances, within = (rng.random(size) ** (1 / dimension) for size in (100, 300))
        alarms += expected_nearer(distances, within, np.full(100, 50)).min() <= 0.05
    assert 5 <= alarms <= 42  # of 30; 2.2 standard deviations above


def test_no_more_than_the_features_allow() -> None:
    """Distances on a lattice are alike, and say nothing of the exponent: it is at most the number of features."""
    within = np.full(50, 1.0)
    assert expected_nearer(np.array([0.1]), within, np.array([1])).tolist() == [1.0]
    within[:25] = 0.999
    one, five = (expected_nearer(np.array([0.01]), within, np.array([d]))[0] for d in (1, 5))
    assert 0.01 < one < 0.3
    assert five < one


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30), st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30))
def test_nearer_is_never_more_expected(distances: list[float], within: list[float]) -> None:
    ordered = np.sort(distances)
    found = expected_nearer(ordered, np.array(within), np.full(len(ordered), 3))
    assert ((found >= 0) & (found <= len(ordered))).all()
    assert (np.diff(found) >= -1e-12).all()
