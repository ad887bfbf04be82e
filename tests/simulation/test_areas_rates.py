"""Bounds for ROC-AUC and average precision keep their error rates; the usual methods break the same assertions.

R data sets for each scenario (fewer where that takes longer), a fixed seed. Limits on the worst
scenario have room for three standard errors of so many draws; the mean over scenarios has none. Each test takes under
30 s on one busy core.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from rates import Rate, allowed
from simulate_areas import AREAS, controls_of, measure_area

R = 300
FEWER = {"averages": 150, "few of one kind": 150}


def keeps(rates: Iterable[Rate], false_pass: float, false_fail: float, mean: float) -> bool:
    """Whether the worst scenario keeps within its limits, and the mean over scenarios on either side."""
    rates = list(rates)
    passes, fails = [rate.false_pass for rate in rates], [rate.false_fail for rate in rates]
    runs = min(rate.runs for rate in rates)
    worst = max(passes) <= allowed(false_pass, runs) and max(fails) <= allowed(false_fail, runs)
    return worst and max(sum(passes), sum(fails)) / len(rates) <= mean


LIMITS = {
    # the part of `AREAS`, the metric: false PASS at worst, false FAIL at worst, and either on average
    ("roc_auc", "roc_auc"): (0.059, 0.051, 0.025),
    ("average_precision", "average_precision"): (0.065, 0.056, 0.025),
    ("few of one kind", "roc_auc"): (0.05, 0.05, 0.025),
    ("few groups of one kind", "roc_auc"): (0.05, 0.05, 0.04),
    ("groups", "roc_auc"): (0.067, 0.04, 0.04),
    ("groups", "average_precision"): (0.067, 0.055, 0.03),
    ("weights", "roc_auc"): (0.06, 0.06, 0.03),
    ("weights", "average_precision"): (0.06, 0.06, 0.03),
    ("averages", "macro roc_auc"): (0.05, 0.05, 0.025),
    ("averages", "weighted roc_auc"): (0.05, 0.05, 0.025),
    ("averages", "macro average_precision"): (0.085, 0.06, 0.04),
    ("averages", "weighted average_precision"): (0.11, 0.07, 0.04),
    ("paired", "paired roc_auc"): (0.06, 0.05, 0.03),
    ("paired", "paired average_precision"): (0.11, 0.05, 0.035),
}


@pytest.mark.parametrize("area", AREAS)
def test_rates(area: str) -> None:
    rates = measure_area(area, FEWER.get(area, R))
    metrics = {rate.metric for rate in rates}
    assert metrics == {metric for part, metric in LIMITS if part == area}
    for metric in metrics:
        found = [rate for rate in rates if rate.metric == metric]
        assert keeps(found, *LIMITS[area, metric]), max(found, key=lambda rate: max(rate.false_pass, rate.false_fail))


@pytest.mark.parametrize("area", [area for area in AREAS if area != "averages"])
def test_wrong_methods_break_them(area: str) -> None:
    """DeLong on the logit, ignoring groups or weights, paired DeLong with a normal quantile."""
    rates = controls_of(area, R)
    assert rates
    for name in {(rate.metric, rate.method) for rate in rates}:
        assert not keeps([rate for rate in rates if (rate.metric, rate.method) == name], *LIMITS[area, name[0]]), name
