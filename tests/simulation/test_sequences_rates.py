"""A confidence sequence errs rarely over all looks together: R = 10,000 test sets, 3 standard errors of room."""

from __future__ import annotations

from rates import allowed, times
from simulate_sequences import controls, measure

RUNS = times(10_000)
LIMIT = 0.01  # the guarantee is 5% for both sides and for ever; 100 looks at up to 2,000 samples use little of it


def test_the_sequence_at_100_looks():
    for rate in measure(RUNS):
        assert rate.false_pass <= allowed(LIMIT, RUNS), rate
        assert rate.false_fail <= allowed(LIMIT, RUNS), rate


def test_clopper_pearson_at_100_looks_breaks_it():
    for rate in controls(RUNS):
        assert rate.false_pass > 0.15 > allowed(LIMIT, RUNS), rate
        assert rate.false_fail > 0.15 > allowed(LIMIT, RUNS), rate
