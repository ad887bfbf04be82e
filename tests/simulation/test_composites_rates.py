"""The error rates of composite metrics, at a modest number of runs, and that the percentile bootstrap breaks them.

R is the number of data sets a scenario. A rate is held to its limit plus three standard errors at that R (`allowed`);
a mean over scenarios to its limit plus three standard errors of all their data sets together.
"""

from __future__ import annotations

import numpy as np
import pytest
from rates import Rate, allowed, times
from simulate_composites import (
    BINARY,
    CLASSES,
    HUNDRED,
    PAIRED,
    binary,
    classes,
    controls,
    drawn_recall,
    exact_f1,
    few,
    hundred,
    paired,
    rare,
)

EXACT_WORST = 0.05
WORST, MEAN = 0.06, 0.03
WORST_OF_CLASSES, MEAN_OF_CLASSES = 0.06, 0.04
"""Of averages over classes, false FAIL included: without the step outwards macro F1 fails falsely in up to 10%."""

FEW_OF_A_CLASS = 0.055
RARE_PASS, RARE_FAIL = 0.02, 0.08
"""Macro F1 of rare classes, measured with 1,000: at most 1.2% and 7.6%. A remark says that it errs more often."""


def worst(rates: list[Rate], side: str) -> float:
    return max(getattr(rate, side) for rate in rates)


def mean(rates: list[Rate], side: str) -> float:
    return float(np.mean([getattr(rate, side) for rate in rates]))


def holds(rates: list[Rate], scenarios: list, limit: float, limit_of_mean: float) -> bool:
    runs = rates[0].runs
    return all(
        worst(rates, side) <= allowed(limit, runs)
        and mean(rates, side) <= allowed(limit_of_mean, runs * len(scenarios))
        for side in ("false_pass", "false_fail")
    )


def test_exact_f1():
    assert holds(exact_f1(runs=times(10_000)), BINARY, EXACT_WORST, MEAN)


def test_two_classes():
    assert holds(binary(runs=times(500)), BINARY, WORST, MEAN)


def test_several_classes():
    assert holds(classes(runs=times(250)), CLASSES, WORST_OF_CLASSES, MEAN_OF_CLASSES)


def test_a_hundred_classes():
    """No mean: as the tables are large, both sides come close to their nominal 5%."""
    assert holds(hundred(runs=times(120)), HUNDRED, WORST_OF_CLASSES, 0.05)


def test_pairs():
    assert holds(paired(runs=times(300)), PAIRED, WORST, MEAN)


@pytest.mark.parametrize("side", ["false_pass", "false_fail"])
def test_few_samples_a_class(side):
    runs = times(600)
    assert worst(few(runs), side) <= allowed(FEW_OF_A_CLASS, runs)
    assert worst(few(runs, bounds=drawn_recall), side) > 0.2 > allowed(FEW_OF_A_CLASS, runs)


def test_rare_classes():
    rates = rare(runs=times(200))
    assert worst(rates, "false_pass") <= allowed(RARE_PASS, rates[0].runs)
    assert worst(rates, "false_fail") <= allowed(RARE_FAIL, rates[0].runs)


def test_the_percentile_bootstrap_breaks():
    found = [rate for rate in controls(runs=times(100)) if rate.method == "percentile bootstrap"]
    two, many = ([rate for rate in found if rate.scenario.startswith(start)] for start in ("n ", "100 classes"))
    assert not holds(two, BINARY, WORST, MEAN)
    assert worst(two, "false_pass") > 0.3
    assert not holds(many, HUNDRED[:1], WORST_OF_CLASSES, 0.05)


@pytest.mark.parametrize("simulate", [binary, classes, hundred, paired, few, rare])
def test_a_seed_is_a_result(simulate):
    assert simulate(runs=2, seed=3) == simulate(runs=2, seed=3)
