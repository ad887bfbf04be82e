"""How often the bounds of calibration error are wrong, where the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rates import Rate

from pytest_modelgate.metrics.calibration import BINS, calibration_interval
from pytest_modelgate.statistics.interval import Interval, student_quantile

Method = Callable[[np.ndarray, np.ndarray], Interval | None]


@dataclass(frozen=True)
class Model:
    """What a model states, and how often that comes true.

    Attributes:
        name: in a few words.
        quantiles: maps uniform numbers to stated probabilities.
        chance: maps stated probabilities to true ones.
    """

    name: str
    quantiles: Callable[[np.ndarray], np.ndarray]
    chance: Callable[[np.ndarray], np.ndarray]

    def draw(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        stated = self.quantiles(rng.random(n))
        return stated, rng.random(n) < self.chance(stated)

    @cached_property
    def truth(self) -> float:
        """The root mean square gap over bins, on a fine grid of the population."""
        stated = self.quantiles((np.arange(1_500_000) + 0.5) / 1_500_000)
        number = np.minimum((stated * BINS).astype(int), BINS - 1)
        gaps = np.bincount(number, weights=self.chance(stated) - stated, minlength=BINS)
        weight = np.bincount(number, minlength=BINS)
        return float((gaps[weight > 0] ** 2 / weight[weight > 0]).sum() / len(stated)) ** 0.5


def _sure(u):
    return 0.5 + 0.5 * u**0.3


def _same(p):
    return p


MODELS = [
    Model("perfectly calibrated", np.sqrt, _same),
    Model("perfectly calibrated, sure", _sure, _same),
    Model("overconfident", _sure, lambda p: 0.5 + 0.6 * (p - 0.5)),
    Model("slightly overconfident", _sure, lambda p: 0.5 + 0.9 * (p - 0.5)),
    Model("underconfident", np.sqrt, lambda p: 0.5 + 0.5 * np.clip(2.5 * (p - 0.5), -1, 1)),
    Model("one bad bin", np.sqrt, lambda p: np.where((p * BINS).astype(int) == 12, 0.4, p)),
    Model("always 99% sure, right 95%", lambda u: 0.985 + 0.01 * u, lambda p: 0.95 + 0 * p),
    Model("always 60% sure, right 97%", lambda u: 0.6 + 0.05 * u, lambda p: 0.97 + 0 * p),
    Model("rare events, twice too often", lambda u: 0.3 * u**6, lambda p: p / 2),
]


def plug_in(stated: np.ndarray, happened: np.ndarray) -> Interval:
    """A wrong method: the percentile bootstrap of the root mean square gap as it is found, without correction."""
    rng, n = np.random.default_rng(0), len(stated)
    number = np.minimum((stated * BINS).astype(int), BINS - 1)
    drawn = rng.integers(n, size=(200, n))
    keys = number[drawn] + BINS * np.arange(200)[:, None]
    gaps = np.bincount(keys.ravel(), weights=(happened - stated)[drawn].ravel(), minlength=200 * BINS)
    weight = np.maximum(1, np.bincount(keys.ravel(), minlength=200 * BINS))
    found = ((gaps**2 / weight).reshape(200, BINS).sum(axis=1) / n) ** 0.5
    return Interval(*np.quantile(found, [0.05, 0.95]))


def signs(stated: np.ndarray, happened: np.ndarray) -> Interval:
    """A wrong method for the root mean square: signs of the gaps, whose mean product bounds the mean absolute gap."""
    n = len(stated)
    number = np.minimum((stated * BINS).astype(int), BINS - 1)
    residual = happened - stated
    half = np.random.default_rng(0).permutation(n) < n // 2

    def by(rows):
        return np.sign(np.bincount(number[rows], weights=residual[rows], minlength=BINS))[number]

    crossed = np.where(half, by(~half), by(half)) * residual
    whole = by(np.ones(n, dtype=bool)) * residual
    reach = student_quantile(0.95, n - 1) / n**0.5
    return Interval(crossed.mean() - reach * crossed.std(ddof=1), whole.mean() + reach * whole.std(ddof=1))


def rates(name: str, method: Method, models: list[Model], sizes, runs: int, seed: int) -> list[Rate]:
    """How often a method's bounds leave out the true error, for every model at every size."""
    found = []
    for model in models:
        for n in sizes:
            rng = np.random.default_rng((seed, n, *model.name.encode()))
            bounds = [method(*model.draw(rng, n)) for _ in range(runs)]
            below = sum(upper < model.truth for _, upper in bounds) / runs
            above = sum(lower > model.truth for lower, _ in bounds) / runs
            found.append(
                Rate(
                    metric="calibration error",
                    method=name,
                    scenario=f"{model.name}, n = {n}",
                    false_pass=below,
                    false_fail=above,
                    runs=runs,
                )
            )
    return found


def dependent(runs: int, seed: int = 0, *, naive: bool = False) -> list[Rate]:
    """30 groups of 20 with one stated probability each, .8, and true chances that differ: Beta(5.6, 1.4)."""
    rng, codes = np.random.default_rng((seed, 20)), np.repeat(np.arange(30), 20)
    stated = np.full(len(codes), 0.81)
    above = below = 0
    for _ in range(runs):
        happened = rng.random(len(codes)) < rng.beta(5.6, 1.4, size=30)[codes]
        lower, upper = calibration_interval(stated, happened, groups=None if naive else codes)
        above, below = above + (lower > 0.01), below + (upper < 0.01)
    return [
        Rate(
            metric="calibration error",
            method="as if independent" if naive else "cross-fitted directions over groups",
            scenario="30 groups of 20",
            false_pass=below / runs,
            false_fail=above / runs,
            runs=runs,
        )
    ]


def weighted(runs: int, seed: int = 0) -> list[Rate]:
    """An overconfident model whose samples have weights between 0.1 and 1.1 that say nothing."""
    model, rng = MODELS[2], np.random.default_rng((seed, 30))
    bounds = [calibration_interval(*model.draw(rng, 400), weights=rng.random(400) + 0.1) for _ in range(runs)]
    return [
        Rate(
            metric="calibration error",
            method="cross-fitted directions, weights",
            scenario=f"{model.name}, n = 400",
            false_pass=sum(upper < model.truth for _, upper in bounds) / runs,
            false_fail=sum(lower > model.truth for lower, _ in bounds) / runs,
            runs=runs,
        )
    ]


def measure(runs: int, seed: int = 0, sizes=(20, 100, 400, 2000)) -> list[Rate]:
    """All models at all sizes, and groups and weights."""
    return [
        *rates("cross-fitted directions", calibration_interval, MODELS, sizes, runs, seed),
        *dependent(runs, seed),
        *weighted(runs, seed),
    ]


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """Wrong methods: the uncorrected error with a percentile bootstrap, signs, and groups ignored."""
    return [
        *rates("percentile bootstrap of the plug-in", plug_in, MODELS[:2], (400,), max(1, runs // 4), seed),
        *rates("signs", signs, MODELS, (400,), runs, seed),
        *dependent(runs, seed, naive=True),
    ]
