"""Families of slices keep their error rates: by slice exactly, gaps and other metrics by draws with fixed seeds."""

from __future__ import annotations

import pytest
from rates import Rate, allowed, times
from simulate_slices import agree, controls, drawn_rates, measure

RUNS = times(1_000)
DRAWN = times(60)
SIDES = ("false_pass", "false_fail")
GAP = 0.052  # a pair's bounds err so often: see simulate_gap


@pytest.fixture(scope="module")
def rates() -> list[Rate]:
    return measure(RUNS)


@pytest.fixture(scope="module")
def wrong() -> list[Rate]:
    return controls(RUNS)


def worst(rates: list[Rate], side: str, **of: str) -> float:
    found = [getattr(rate, side) for rate in rates if all(getattr(rate, key) == value for key, value in of.items())]
    assert len(found) >= 50
    return max(found)


@pytest.mark.parametrize("side", SIDES)
def test_by_slice(rates, side):
    assert 0.045 < worst(rates, side, metric="recall, by slice") <= 0.05


@pytest.mark.parametrize("side", SIDES)
def test_gaps(rates, side):
    assert worst(rates, side, metric="recall, gap between slices") <= allowed(GAP, RUNS)


def test_the_controls_break_it(wrong):
    """Each slice for itself, each pair for itself, and the plain comparisons."""
    assert worst(wrong, "false_fail", method="uncorrected") > 0.9
    assert worst(wrong, "false_fail", method="estimate") > 0.99
    assert worst(wrong, "false_fail", method="MOVER, uncorrected") > 0.5
    assert worst(wrong, "false_fail", method="difference") > 0.99
    assert worst(wrong, "false_pass", method="difference") > 0.4


def test_twenty_slices_at_the_bar(wrong):
    """What "estimate" would mean for a family: nearly every sound model is red."""
    red = [rate.false_fail for rate in wrong if rate.method == "estimate" and rate.scenario.startswith("20 slices")]
    assert min(red) > 0.97


def test_errors_are_skewed_and_kept_all_the_same():
    found = list(drawn_rates(DRAWN, 0, 20, ("mae",)))
    assert len(found) == 2
    for rate in found:
        assert max(rate.false_pass, rate.false_fail) <= allowed(0.05, DRAWN)


def test_the_rules_are_the_packages():
    assert agree()
