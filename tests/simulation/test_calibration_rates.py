"""Bounds of the calibration error err in at most 5% of data sets either way; wrong methods break the same assertion.

600 data sets a model and size, seed 0 (the bootstrap: 150); tolerance three standard errors of a share at 5%.
"""

from __future__ import annotations

import pytest
from rates import allowed, times
from simulate_calibration import controls, measure

RUNS = times(600)


def check(rates):
    assert max(share for rate in rates for share in (rate.false_pass, rate.false_fail)) <= allowed(0.05, rates[0].runs)


def test_at_most_five_percent_either_way():
    check(measure(RUNS))


@pytest.mark.parametrize("method", ["percentile bootstrap of the plug-in", "signs", "as if independent"])
def test_wrong_methods_break_it(method, wrong):
    with pytest.raises(AssertionError):
        check([rate for rate in wrong if rate.method == method])


@pytest.fixture(scope="module")
def wrong():
    return controls(RUNS)
