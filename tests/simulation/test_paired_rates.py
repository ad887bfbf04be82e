"""The paired tests keep their error rates, exactly: every outcome of 20 to 200 pairs, no draws and no tolerance."""

from __future__ import annotations

import pytest
from rates import Rate
from simulate_paired import controls, measure, power

MCNEMAR = 0.0505  # 5.0%: a mid-p test may pass 5% by a hair, .0502 at worst where up to half of 5 to 400 pairs differ
TANGO = 0.058  # over all shares of pairs that differ, from none but the margin's to 40%


@pytest.fixture(scope="module")
def rates() -> list[Rate]:
    return measure()


def worst(rates: list[Rate], method: str, side: str) -> float:
    found = [getattr(rate, side) for rate in rates if rate.method == method]
    assert len(found) >= 30
    return max(found)


@pytest.mark.parametrize("side", ["false_pass", "false_fail"])
def test_no_margin(rates, side):
    assert 0.045 < worst(rates, "McNemar mid-p", side) <= MCNEMAR


@pytest.mark.parametrize("side", ["false_pass", "false_fail"])
def test_a_margin(rates, side):
    assert 0.045 < worst(rates, "Tango score, worst quarter", side) <= TANGO


def test_the_controls_break_it():
    """Wald's test, and Tango's score without the quarter of a pair that speaks against the word."""
    wrong = controls()
    assert worst(wrong, "Wald", "false_pass") > 0.094 > TANGO
    for side in ("false_pass", "false_fail"):
        assert worst(wrong, "Tango score", side) > TANGO


@pytest.mark.parametrize(("pairs", "proved"), [(300, 0.86), (1000, 0.999)])
def test_power(pairs, proved):
    """From .90 to .87 where 4% of the pairs differ."""
    assert power(pairs, loss_share=0.035, win_share=0.005) >= proved
