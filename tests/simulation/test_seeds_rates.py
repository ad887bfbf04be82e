"""Bounds over seeds keep their error rates: R = 1,000 sets of models a scenario, 3 standard errors of room."""

from __future__ import annotations

import pytest
from rates import Rate, allowed, times
from simulate_seeds import controls, measure

RUNS = times(1_000)
LIMIT = 0.054
SKEWED = "spread 0.03, truth 0.97"  # the spread between seeds is as large as the share of errors
SKEWED_LIMIT = 0.11


@pytest.fixture(scope="module")
def rates() -> list[Rate]:
    return measure(RUNS)


@pytest.fixture(scope="module")
def wrong() -> list[Rate]:
    return controls(RUNS)


def worst(rates: list[Rate], side: str, method: str, *, skewed: bool = False) -> float:
    found = [
        getattr(rate, side) for rate in rates if rate.method == method and rate.scenario.endswith(SKEWED) == skewed
    ]
    assert len(found) >= 6
    return max(found)


@pytest.mark.parametrize("side", ["false_pass", "false_fail"])
def test_over_seeds(rates, side):
    assert worst(rates, side, "effective size") <= allowed(LIMIT, RUNS)


def test_skewed_seeds(rates):
    assert worst(rates, "false_pass", "effective size", skewed=True) <= allowed(SKEWED_LIMIT, RUNS)
    assert worst(rates, "false_fail", "effective size", skewed=True) <= allowed(LIMIT, RUNS)


@pytest.mark.parametrize("side", ["false_pass", "false_fail"])
def test_pooling_breaks_it(wrong, side):
    assert worst(wrong, side, "pooled") > 0.25 > allowed(LIMIT, RUNS)


def test_the_plain_t_breaks_it(wrong):
    assert worst(wrong, "false_pass", "plain t") > allowed(LIMIT, RUNS)
    assert worst(wrong, "false_pass", "plain t", skewed=True) > allowed(SKEWED_LIMIT, RUNS)
