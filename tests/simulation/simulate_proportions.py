"""Exact error rates of verdicts on a proportion: no draws, every count of every size, weighed by its probability.

The truth is just at the bar, where both errors are likeliest. Recall, precision and accuracy are alike.
"""

from __future__ import annotations

import functools

import numpy as np
from rates import Rate
from scipy.special import ndtri
from scipy.stats import binom

from pytest_modelgate.gates.gate import judge_proportion

BARS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
LARGEST = 500
ASKED_ALL = 150
METRIC = "recall, precision, accuracy"
WORTH = {"FAIL": -1, "INCONCLUSIVE": 0, "PASS": 1}
Z = float(ndtri(0.95))


@functools.lru_cache(maxsize=len(BARS) * LARGEST)
def outcomes(trials, bar):
    """What the gate says of every count: -1 FAIL, 0 INCONCLUSIVE, 1 PASS, for 0 to `trials` hits.

    Asked of the gate itself: count by count up to `ASKED_ALL` trials, above that not in between two judged alike.
    """
    said = np.full(trials + 1, 9)

    def fill(low, high):
        for k in (low, high):
            if said[k] == 9:
                said[k] = WORTH[judge_proportion(k, trials, bar, "at_least", 0.95)]
        if trials > ASKED_ALL and said[low] == said[high]:
            said[low : high + 1] = said[low]
        elif high - low > 1:
            middle = (low + high) // 2
            fill(low, middle)
            fill(middle, high)

    fill(0, trials)
    return said


def worst(bar, sizes=range(1, LARGEST + 1)):
    """The largest probabilities over all sizes of a false PASS and of a false FAIL, where the truth is the bar."""
    errors = []
    for n in sizes:
        chances, said = binom.pmf(np.arange(n + 1), n, bar), outcomes(n, bar)
        errors.append((chances[said == 1].sum(), chances[said == -1].sum()))
    return tuple(float(side) for side in np.max(errors, axis=0))


def wilson(k, n):
    """Wilson's score interval (1927), 95% on each side."""
    p = k / n
    centre, half = p + Z * Z / (2 * n), Z * np.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return (centre - half) / (1 + Z * Z / n), (centre + half) / (1 + Z * Z / n)


def wald(k, n):
    """The estimate and 1.645 of its standard errors on each side: nothing wide where no error was seen."""
    p = k / n
    half = Z * np.sqrt(p * (1 - p) / n)
    return p - half, p + half


def worst_of_interval(interval, bar, sizes=range(10, 1001)):
    """As `worst`, of a gate that proves by these bounds."""
    errors = []
    for n in sizes:
        k = np.arange(n + 1)
        lower, upper = interval(k, n)
        chances = binom.pmf(k, n, bar)
        errors.append((chances[lower >= bar].sum(), chances[upper < bar].sum()))
    return tuple(float(side) for side in np.max(errors, axis=0))


def measure(runs=0, seed=0):
    """The worst rates at each bar over all sizes from 1 to 500; exact, so that `runs` is 0 whatever is asked."""
    return [_rate("Clopper-Pearson", f"bar {bar}, worst of n = 1 to {LARGEST}", worst(bar)) for bar in BARS]


def controls(runs=0, seed=0):
    """The same of intervals that are wrong at few samples, for n from 10 to 1,000."""
    return [
        _rate(interval.__name__.title(), f"bar {bar}, worst of n = 10 to 1000", worst_of_interval(interval, bar))
        for interval in (wilson, wald)
        for bar in BARS
    ]


def _rate(method, scenario, errors):
    return Rate(metric=METRIC, method=method, scenario=scenario, false_pass=errors[0], false_fail=errors[1], runs=0)
