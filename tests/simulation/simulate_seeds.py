"""Error rates for a proportion over seeds: models that share a test set, and differ by seed.

Each model's accuracy is drawn from a beta distribution around the truth; which samples it gets right is drawn by a
Gaussian copula, so that samples which are hard for one model are hard for the others.

The claims "worst" and "share" are of the very models that were trained: so many have the accuracy of the bar, or one
just below it, and the others are better (where too few meet the bar) or worse (where enough do).

    python tests/simulation/simulate_seeds.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from rates import Rate
from scipy.special import ndtri
from scipy.stats import binom

from pytest_modelgate.statistics.effective import clopper_pearson_effective
from pytest_modelgate.statistics.interval import Interval
from pytest_modelgate.statistics.seeds import (
    confidences_of_seeds,
    over_seeds_interval,
    seeds_needed,
    values_over_seeds_interval,
)

SEEDS = (3, 5, 10)
SIZES = (200, 1_000)
SPREADS = (0.0, 0.01, 0.03)  # standard deviation of the accuracy between seeds
SHARES = (0.8, 0.9, 0.97)
HARDNESS = 0.8  # correlation between models of how hard a sample is

Bounds = Callable[[Sequence[float], int], Interval]


CLAIMED = ((5, 1.0), (5, 0.8), (5, 0.6), (10, 1.0), (10, 0.8))  # seeds, and the share of them that is claimed
CLAIM_SIZE = 200
BARS = (0.8, 0.9, 0.97)
OTHERS = (0.0, 0.03, 1.0)  # how far the other models are from the bar, as a share of the way to 1 or to a half

Confidences = Callable[[int, int], tuple[float, float]]


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


def claim_rates(methods: dict[str, Confidences], runs: int, seed: int) -> list[Rate]:
    """How often "so many of these models meet the bar" is said wrongly, either way, with the same draws for each."""
    found, counts = [], np.arange(CLAIM_SIZE + 1)
    for seeds, share in CLAIMED:
        needed = seeds_needed(share, seeds)
        for bar in BARS:
            of_many, of_few = binom.sf(counts - 1, CLAIM_SIZE, bar), binom.cdf(counts, CLAIM_SIZE, bar)
            for way in OTHERS:
                rng = np.random.default_rng([seed, seeds, needed, round(100 * bar), round(100 * way)])
                # One too few meet the bar, and the rest lie just below it; then just enough do, and the rest are worse.
                best, least = bar + way * (0.9999 - bar), bar - way * (bar - 0.5)
                too_few = [best] * (needed - 1) + [bar] * (seeds - needed + 1)
                enough = [bar] * needed + [least] * (seeds - needed)
                few, many = (
                    np.rint(CLAIM_SIZE * draw_answers(np.tile(chances, (runs, 1)), CLAIM_SIZE, rng)).astype(int)
                    for chances in (too_few, enough)
                )
                for method, confidences in methods.items():
                    for_pass, for_fail = (1 - level for level in confidences(needed, seeds))
                    good = (of_many <= for_pass)[few].sum(axis=1) >= needed
                    bad = (of_few <= for_fail)[many].sum(axis=1) > seeds - needed
                    found.append(
                        Rate(
                            metric="accuracy, of so many seeds",
                            method=method,
                            scenario=f"{needed} of {seeds} seeds, bar {bar:g}, others {way:g}",
                            false_pass=float(good.mean()),
                            false_fail=float(bad.mean()),
                            runs=runs,
                        )
                    )
    return found


def uncorrected(needed: int, seeds: int) -> tuple[float, float]:
    """Each seed judged as if it stood alone."""
    return 0.95, 0.95


def measure_claims(runs: int, seed: int = 0) -> list[Rate]:
    """The package's confidences for single seeds."""
    return claim_rates({"partial conjunction": confidences_of_seeds}, runs, seed)


def claim_controls(runs: int, seed: int = 0) -> list[Rate]:
    """No correction for the number of seeds."""
    return claim_rates({"uncorrected": uncorrected}, runs, seed)


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """The package's bounds."""
    return rates({"effective size": over_seeds_interval}, runs, seed)


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """Every answer of every model taken as independent, and the plain t."""
    return rates({"pooled": pooled, "plain t": plain_t}, runs, seed)


if __name__ == "__main__":
    for rate in [*measure(400), *controls(400), *measure_claims(400), *claim_controls(400)]:
        print(f"{rate.method:16} {rate.scenario:45} {rate.false_pass:6.1%} {rate.false_fail:6.1%}")
