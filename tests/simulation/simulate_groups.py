"""Error rates for proportions of samples that come in groups: beta-binomial groups of known intra-class correlation.

python tests/simulation/simulate_groups.py
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rates import Rate

from pytest_modelgate.statistics.effective import clopper_pearson_effective, effective_trials
from pytest_modelgate.statistics.interval import normal_quantile, student_quantile

FindSize = Callable[[np.ndarray, np.ndarray], float]

EQUAL = {f"{count} groups of 20": (20,) * count for count in (20, 30, 50)}
UNEQUAL = {
    "30 groups of 10 to 30": (10,) * 20 + (30,) * 10,
    "20 groups of 5 to 60": (5,) * 10 + (20,) * 6 + (60,) * 4,
}
SHARES = (0.8, 0.9, 0.95, 0.99)


def draw_groups(share: float, correlation: float, sizes: np.ndarray, runs: int, rng: np.random.Generator) -> np.ndarray:
    """The hits of each group [runs, G]: binomial, with each group's own chance from a beta distribution."""
    if correlation == 0:
        chances = np.full((runs, len(sizes)), share)
    else:
        both = 1 / correlation - 1
        chances = rng.beta(share * both, (1 - share) * both, (runs, len(sizes)))
    return rng.binomial(sizes, chances)


def package_size(hits: np.ndarray, groups: np.ndarray) -> float:
    size = effective_trials(hits, groups)
    assert size is not None
    return size


def naive_size(hits: np.ndarray, groups: np.ndarray) -> float:
    return float(len(hits))


def korn_graubard_size(hits: np.ndarray, groups: np.ndarray) -> float:
    """As published, with groups - 1 degrees of freedom."""
    share, count = hits.mean(), int(groups.max()) + 1
    if share in (0, 1):
        return float(count)
    sums = np.bincount(groups, weights=hits - share)
    variance = count / (count - 1) * (sums**2).sum() / len(hits) ** 2
    penalty = (normal_quantile(0.95) / student_quantile(0.95, count - 1)) ** 2
    return min(float(len(hits)), share * (1 - share) / variance * penalty)


def rate(
    method: str, find_size: FindSize, name: str, sizes: tuple[int, ...], share: float, icc: float, runs: int, seed: int
) -> Rate:
    """How often the bounds of one method miss the share."""
    every = np.array(sizes)
    groups = np.repeat(np.arange(len(every)), every)
    drawn = draw_groups(share, icc, every, runs, np.random.default_rng([seed, len(every), round(100 * share)]))
    false_pass = false_fail = 0
    for row in drawn:
        # Hits and misses of each group in turn: the order of the samples makes no difference.
        hits = np.repeat(np.tile([1, 0], len(every)), np.column_stack([row, every - row]).ravel())
        lower, upper = clopper_pearson_effective(float(hits.mean()), find_size(hits, groups))
        false_pass += lower > share
        false_fail += upper < share
    return Rate(
        metric="recall, grouped",
        method=method,
        scenario=f"{name}, correlation {icc:g}, truth {share:g}",
        false_pass=false_pass / runs,
        false_fail=false_fail / runs,
        runs=runs,
    )


def scenarios(
    method: str,
    find_size: FindSize,
    designs: dict[str, tuple[int, ...]],
    correlations: tuple[float, ...],
    runs: int,
    seed: int,
) -> list[Rate]:
    return [
        rate(method, find_size, name, sizes, share, icc, runs, seed)
        for name, sizes in designs.items()
        for icc in correlations
        for share in SHARES
    ]


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """The package's own effective size: groups of equal size, and of unequal."""
    return scenarios("effective size", package_size, EQUAL | UNEQUAL, (0.3, 0.05), runs, seed)


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """The samples taken as independent, and Korn and Graubard's size as published."""
    first = {"20 groups of 20": EQUAL["20 groups of 20"]}
    return [
        *scenarios("groups ignored", naive_size, first, (0.3,), runs, seed),
        *scenarios("Korn-Graubard", korn_graubard_size, EQUAL | UNEQUAL, (0.3,), runs, seed),
    ]


if __name__ == "__main__":
    for found in [*measure(2_000), *controls(2_000)]:
        print(f"{found.method:16} {found.scenario:55} {found.false_pass:6.1%} {found.false_fail:6.1%}")
