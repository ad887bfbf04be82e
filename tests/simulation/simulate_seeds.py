"""Error rates for a proportion over seeds: models that share a test set, and differ by seed.

Each model's accuracy is drawn from a beta distribution around the truth; which samples it gets right is drawn by a
Gaussian copula, so that samples which are hard for one model are hard for the others.

    python tests/simulation/simulate_seeds.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from rates import Rate
from scipy.special import ndtri

from pytest_modelgate.statistics.effective import clopper_pearson_effective
from pytest_modelgate.statistics.interval import Interval
from pytest_modelgate.statistics.seeds import over_seeds_interval, values_over_seeds_interval

SEEDS = (3, 5, 10)
SIZES = (200, 1_000)
SPREADS = (0.0, 0.01, 0.03)  # standard deviation of the accuracy between seeds
SHARES = (0.8, 0.9, 0.97)
HARDNESS = 0.8  # correlation between models of how hard a sample is

Bounds = Callable[[Sequence[float], int], Interval]


def draw_shares(truth: float, spread: float, seeds: int, size: int, runs: int, rng: np.random.Generator) -> np.ndarray:
    """The share of right answers of each model [runs, S]."""
    if spread:
        both = truth * (1 - truth) / spread**2 - 1
        chances = rng.beta(truth * both, (1 - truth) * both, (runs, seeds))
    else:
        chances = np.full((runs, seeds), truth)
    return draw_answers(chances, size, rng)


def draw_answers(chances: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The share of right answers of each model [runs, S], whose true shares are given, on one test set a run."""
    runs, seeds = chances.shape
    cuts = ndtri(chances).astype(np.float32)
    found = np.empty((runs, seeds))
    for run in range(runs):
        ease = rng.standard_normal(size, dtype=np.float32) * np.float32(HARDNESS**0.5)
        own = rng.standard_normal((seeds, size), dtype=np.float32) * np.float32((1 - HARDNESS) ** 0.5)
        found[run] = (own + ease < cuts[run][:, None]).mean(axis=1)
    return found


def pooled(shares: Sequence[float], size: int) -> Interval:
    """All answers of all models as if they were independent."""
    return clopper_pearson_effective(float(np.mean(shares)), float(size * len(shares)))


def plain_t(shares: Sequence[float], size: int) -> Interval:
    """The mean -+ t standard errors."""
    found = values_over_seeds_interval(
        shares, [float(np.mean(shares) * (1 - np.mean(shares))) / size] * len(shares), size - 1
    )
    return found or Interval(float(np.mean(shares)), float(np.mean(shares)))


def rates(methods: dict[str, Bounds], runs: int, seed: int) -> list[Rate]:
    """How often the bounds miss the truth, with the same draws for each method."""
    found = []
    for seeds in SEEDS:
        for size in SIZES:
            for spread in SPREADS:
                for truth in SHARES:
                    rng = np.random.default_rng([seed, seeds, size, round(1000 * spread), round(100 * truth)])
                    drawn = draw_shares(truth, spread, seeds, size, runs, rng)
                    for method, bounds in methods.items():
                        intervals = [bounds(row, size) for row in drawn.tolist()]
                        found.append(
                            Rate(
                                metric="accuracy, over seeds",
                                method=method,
                                scenario=f"{seeds} seeds, n = {size}, spread {spread:g}, truth {truth:g}",
                                false_pass=float(np.mean([lower > truth for lower, _ in intervals])),
                                false_fail=float(np.mean([upper < truth for _, upper in intervals])),
                                runs=runs,
                            )
                        )
    return found


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """The package's bounds."""
    return rates({"effective size": over_seeds_interval}, runs, seed)


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """Every answer of every model taken as independent, and the plain t."""
    return rates({"pooled": pooled, "plain t": plain_t}, runs, seed)


if __name__ == "__main__":
    for rate in [*measure(400), *controls(400)]:
        print(f"{rate.method:16} {rate.scenario:45} {rate.false_pass:6.1%} {rate.false_fail:6.1%}")
