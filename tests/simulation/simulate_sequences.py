"""Error rates of a test set that grows and is looked at after every batch.

python tests/simulation/simulate_sequences.py
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from rates import Rate

from pytest_modelgate.statistics.interval import Interval
from pytest_modelgate.statistics.proportions import clopper_pearson
from pytest_modelgate.statistics.sequences import anytime_interval

LOOKS = tuple(range(20, 2_001, 20))
SHARES = (0.8, 0.9, 0.95, 0.99)

Bounds = Callable[[int, int], Interval]


def first_where(condition: Callable[[int], bool], count: int) -> int:
    """The smallest number from 0 to count that meets a condition which, once met, stays met; count + 1 if none."""
    low, high = 0, count + 1
    while low < high:
        middle = (low + high) // 2
        if condition(middle):
            high = middle
        else:
            low = middle + 1
    return low


@functools.cache
def limits(bounds: Bounds, share: float) -> tuple[np.ndarray, np.ndarray]:
    """At each look, the fewest hits whose lower bound exceeds the share, and whose upper bound reaches it."""
    too_many = [first_where(lambda k, n=n: bounds(k, n).lower > share, n) for n in LOOKS]
    enough = [first_where(lambda k, n=n: bounds(k, n).upper >= share, n) for n in LOOKS]
    return np.array(too_many), np.array(enough)


def rates(method: str, bounds: Bounds, runs: int, seed: int) -> list[Rate]:
    """How often a bound misses the truth at any look."""
    found = []
    for share in SHARES:
        batches = np.random.default_rng(seed).binomial(LOOKS[1] - LOOKS[0], share, (runs, len(LOOKS)))
        hits = batches.cumsum(axis=1)
        too_many, enough = limits(bounds, share)
        found.append(
            Rate(
                metric="accuracy, anytime",
                method=method,
                scenario=f"{len(LOOKS)} looks, n = {LOOKS[0]} to {LOOKS[-1]}, truth {share:g}",
                false_pass=float((hits >= too_many).any(axis=1).mean()),
                false_fail=float((hits < enough).any(axis=1).mean()),
                runs=runs,
            )
        )
    return found


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """The package's confidence sequence."""
    return rates("beta-mixture sequence", anytime_interval, runs, seed)


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """Exact bounds for one look, taken at every look."""
    return rates("Clopper-Pearson at every look", clopper_pearson, runs, seed)


if __name__ == "__main__":
    for rate in [*measure(20_000), *controls(20_000)]:
        print(f"{rate.method:30} {rate.scenario:40} {rate.false_pass:6.2%} {rate.false_fail:6.2%}")
