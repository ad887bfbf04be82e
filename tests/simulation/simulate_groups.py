"""Error rates for samples that come in groups, or that weigh differently, where the heavy ones may be the hard ones.

Groups are beta-binomial with a known intra-class correlation.

python tests/simulation/simulate_groups.py
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rates import Rate

from pytest_modelgate.metrics.bounds import influences
from pytest_modelgate.metrics.margins import margin_metric
from pytest_modelgate.statistics.composites import dirichlet_interval
from pytest_modelgate.statistics.effective import (
    clopper_pearson_effective,
    effective_trials,
    kish_size,
    weighted_size,
)
from pytest_modelgate.statistics.interval import normal_quantile, student_quantile

FindSize = Callable[[np.ndarray, np.ndarray], float]

EQUAL = {f"{count} groups of 20": (20,) * count for count in (20, 30, 50)}
UNEQUAL = {
    "30 groups of 10 to 30": (10,) * 20 + (30,) * 10,
    "20 groups of 5 to 60": (5,) * 10 + (20,) * 6 + (60,) * 4,
}
SHARES = (0.8, 0.9, 0.95, 0.99)
# Samples, the part of them that is heavy, their weight, and the share of hits of the heavy and of the others.
WEIGHTED = [
    (300, 0.10, 10.0, 0.70, 0.98),
    (1000, 0.02, 10.0, 0.50, 1.0),
    (1000, 0.10, 5.0, 0.80, 0.99),
    (1000, 0.10, 5.0, 0.90, 0.90),
    (5000, 0.02, 10.0, 0.50, 1.0),
    (1000, 0.50, 3.0, 0.99, 0.80),
]
DRAWS = 2_000


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


def kish_alone(values: np.ndarray, weights: np.ndarray) -> float:
    """The named wrong method: as if the weights had nothing to do with the errors."""
    return kish_size(weights)


def named(n: int, part: float, weight: float, heavy: float, light: float) -> str:
    return f"n {n:,}, {part:.0%} weigh {weight:g}, hits {heavy:g} of these and {light:g} of the others"


def weighted_recall(
    runs: int, seed: int = 0, size: FindSize = weighted_size, method: str = "weighted size"
) -> list[Rate]:
    """A share of samples in two strata that differ in weight and in the share of hits."""
    found = []
    for scenario in WEIGHTED:
        n, part, weight, heavy, light = scenario
        mass = np.array([part * weight, 1 - part])
        truth = float((mass * [heavy, light]).sum() / mass.sum())
        cells = [part * heavy, part * (1 - heavy), (1 - part) * light, (1 - part) * (1 - light)]
        rng = np.random.default_rng([seed, n, round(100 * part)])
        drawn, times = np.unique(rng.multinomial(n, cells, size=runs), axis=0, return_counts=True)
        wrong = np.zeros(2)
        for counts, often in zip(drawn, times, strict=True):
            hits = np.repeat([1.0, 0.0, 1.0, 0.0], counts)
            weights = np.repeat([weight, weight, 1.0, 1.0], counts)
            share = float((hits * weights).sum() / weights.sum())
            lower, upper = clopper_pearson_effective(min(share, 1.0), size(hits, weights))
            wrong += often * np.array([lower > truth, upper < truth])
        false_pass, false_fail = (wrong / runs).tolist()
        found.append(
            Rate(
                metric="recall, weighted",
                method=method,
                scenario=named(*scenario),
                false_pass=false_pass,
                false_fail=false_fail,
                runs=runs,
            )
        )
    return found


def weighted_mcc(runs: int, seed: int = 0, size: FindSize = weighted_size, method: str = "weighted size") -> list[Rate]:
    """MCC of two classes, half of the samples each, in the same strata."""
    found, metric = [], margin_metric("mcc", average=None, index=None)
    for scenario in WEIGHTED[:4]:
        n, part, weight, heavy, light = scenario
        strata = np.array([[heavy, 1 - heavy, 1 - heavy, heavy], [light, 1 - light, 1 - light, light]]) / 2
        cells = np.array([[part], [1 - part]]) * strata
        each = np.array([[weight], [1.0]])
        whole = (each * cells).sum(axis=0).reshape(2, 2)
        truth = float(metric(whole.diagonal(), whole.sum(axis=1), whole.sum(axis=0)))
        rng = np.random.default_rng([seed, n, round(100 * part)])
        wrong = np.zeros(2)
        for counts in rng.multinomial(n, cells.ravel(), size=runs):
            table = (each * counts.reshape(2, 4)).sum(axis=0).reshape(2, 2)
            table *= n / table.sum()
            influence = np.repeat(np.tile(influences(table, metric).ravel(), 2), counts)
            factor = size(influence, np.repeat(np.repeat(each.ravel(), 4), counts)) / n
            lower, upper = dirichlet_interval(table * factor, metric, lowest=-1.0, highest=1.0, draws=DRAWS)
            wrong += [lower > truth, upper < truth]
        false_pass, false_fail = (wrong / runs).tolist()
        found.append(
            Rate(
                metric="mcc, weighted",
                method=method,
                scenario=named(*scenario),
                false_pass=false_pass,
                false_fail=false_fail,
                runs=runs,
            )
        )
    return found


def grouped(runs: int, seed: int = 0) -> list[Rate]:
    """The package's own effective size: groups of equal size, and of unequal."""
    return scenarios("effective size", package_size, EQUAL | UNEQUAL, (0.3, 0.05), runs, seed)


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """Groups and weights; the composite metric in fewer runs."""
    return [*grouped(runs, seed), *weighted_recall(runs, seed), *weighted_mcc(max(runs // 3, 1), seed)]


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """The samples taken as independent, Korn and Graubard's size as published, and Kish's for any weights."""
    first = {"20 groups of 20": EQUAL["20 groups of 20"]}
    return [
        *scenarios("groups ignored", naive_size, first, (0.3,), runs, seed),
        *scenarios("Korn-Graubard", korn_graubard_size, EQUAL | UNEQUAL, (0.3,), runs, seed),
        *weighted_recall(runs, seed, kish_alone, "Kish's size"),
        *weighted_mcc(max(runs // 3, 1), seed, kish_alone, "Kish's size"),
    ]


if __name__ == "__main__":
    for found in [*measure(2_000), *controls(2_000)]:
        print(
            f"{found.metric:16} {found.method:16} {found.scenario:65} {found.false_pass:6.1%} {found.false_fail:6.1%}"
        )
