"""How often the bounds of mean losses and of regression metrics are wrong, where the truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from rates import Rate

from pytest_modelgate.metrics.regression import (
    mean_absolute_error_interval,
    median_absolute_error_interval,
    r2_interval,
    root_mean_squared_error_interval,
)
from pytest_modelgate.statistics.interval import Interval, student_quantile
from pytest_modelgate.statistics.means import mean_interval

Draw = Callable[[np.random.Generator, int], np.ndarray]


def classifier_losses(rng, n):
    """Cross-entropy of a classifier that is mostly sure, now and then wrong, with probabilities clipped at 1e-3."""
    margin = rng.normal(2.5, 2.0, size=n)
    return np.minimum(np.logaddexp(0.0, -margin), -math.log(1e-3))


def brier_losses(rng, n):
    """Squared errors of a calibrated probability that is mostly near 0 or 1."""
    p = rng.beta(0.3, 0.3, size=n)
    return ((rng.random(n) < p) - p) ** 2


# Draw, and the mean of what is drawn; `classifier` is integrated on a fine grid.
_GRID = np.linspace(-9.5, 14.5, 200_001)
_DENSITY = np.exp(-((_GRID - 2.5) ** 2) / 8)
CLASSIFIER_MEAN = float((np.minimum(np.logaddexp(0.0, -_GRID), -math.log(1e-3)) * _DENSITY).sum() / _DENSITY.sum())
BRIER_MEAN = 0.3 * 0.3 / (0.6 * 1.6)  # E p (1 - p) for Beta(a, b): ab / ((a + b)(a + b + 1))
RARE = 0.01 * (1 - 2 * 0.0005) + 0.001**2 / 3  # E (y - u)^2 for y of 1% and u uniform to .001
LOSSES: dict[str, tuple[Draw, float]] = {
    "exponential": (lambda rng, n: rng.exponential(size=n), 1.0),
    "lognormal(0, 1)": (lambda rng, n: rng.lognormal(size=n), math.exp(0.5)),
    "gamma(0.5)": (lambda rng, n: rng.gamma(0.5, size=n), 0.5),
    "cross-entropy of a classifier": (classifier_losses, CLASSIFIER_MEAN),
    "Brier": (brier_losses, BRIER_MEAN),
    "absolute normal errors": (lambda rng, n: np.abs(rng.normal(size=n)), math.sqrt(2 / math.pi)),
    "squared normal errors": (lambda rng, n: rng.normal(size=n) ** 2, 1.0),
    "squared t5 errors": (lambda rng, n: rng.standard_t(5, size=n) ** 2, 5 / 3),
}
# The greatest value that counts as possible, where one is known.
BOUNDED: dict[str, tuple[Draw, float, float]] = {
    "cross-entropy of a classifier": (classifier_losses, CLASSIFIER_MEAN, -math.log(1e-3)),
    "Brier": (brier_losses, BRIER_MEAN, 1.0),
    "wrong 5% of the time": (lambda rng, n: (rng.random(n) < 0.05) * 1.0, 0.05, 1.0),
    "Brier, sure, wrong 1% of the time": (
        lambda rng, n: ((rng.random(n) < 0.01) - 0.001 * rng.random(n)) ** 2,
        RARE,
        1.0,
    ),
    "uniform": (lambda rng, n: rng.random(n), 0.5, 1.0),
}
CORRELATION = 0.3  # within groups of 20
CAUCHY_MEDIAN, R2 = 1.0, 0.8


def grouped(rng, groups, skewed):
    """Values in groups of 20 with an intra-class correlation, and their groups; normal or lognormal."""
    codes = np.repeat(np.arange(groups), 20)
    shared, own = rng.normal(size=groups)[codes], rng.normal(size=len(codes))
    values = math.sqrt(CORRELATION) * shared + math.sqrt(1 - CORRELATION) * own
    return (np.exp(values) if skewed else values), codes


def linear(rng, n, heavy):
    """Targets of which a prediction explains 80% of the variance, and the predictions; the errors normal or t5."""
    predicted = rng.normal(size=n)
    noise = rng.standard_t(5, size=n) / math.sqrt(5 / 3) if heavy else rng.normal(size=n)
    return predicted + 0.5 * noise, predicted


def plain_t(values: np.ndarray) -> Interval:
    """The wrong method for skewed values: Student's t."""
    reach = student_quantile(0.95, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return Interval(values.mean() - reach, values.mean() + reach)


def rate(
    metric: str,
    method: str,
    scenario: str,
    bounds: Callable[[np.random.Generator], Interval | None],
    truth: float,
    runs: int,
    seed: int,
    higher_is_better: bool = False,
) -> Rate:
    """The share of drawn bounds that leave out the truth; None leaves out nothing."""
    rng = np.random.default_rng((seed, *scenario.encode()))
    found = [interval for interval in (bounds(rng) for _ in range(runs)) if interval is not None]
    above = sum(lower > truth for lower, _ in found) / runs
    below = sum(upper < truth for _, upper in found) / runs
    false_pass, false_fail = (above, below) if higher_is_better else (below, above)
    return Rate(
        metric=metric, method=method, scenario=scenario, false_pass=false_pass, false_fail=false_fail, runs=runs
    )


def losses(method: str, interval: Callable[[np.ndarray], Interval | None], sizes, runs: int, seed: int) -> list[Rate]:
    """Every kind of loss at every size."""
    return [
        rate("mean loss", method, f"{name}, n = {n}", lambda rng, d=draw, n=n: interval(d(rng, n)), mean, runs, seed)
        for name, (draw, mean) in LOSSES.items()
        for n in sizes
    ]


def bounded(sizes, runs: int, seed: int) -> list[Rate]:
    """Losses of a known range."""
    return [
        rate(
            "mean loss",
            "Bayesian bootstrap and one at the maximum" if n < 50 else "Hall's t, known range",
            f"{name}, greatest known, n = {n}",
            lambda rng, d=draw, n=n, most=most: mean_interval(d(rng, n), largest=most),
            mean,
            runs,
            seed,
        )
        for name, (draw, mean, most) in BOUNDED.items()
        for n in sizes
    ]


def dependent(numbers, runs: int, seed: int, naive: bool = False) -> list[Rate]:
    """Values in groups."""

    def bounds(rng, groups, skewed):
        values, codes = grouped(rng, groups, skewed)
        return mean_interval(values, groups=None if naive else codes)

    return [
        rate(
            "mean loss",
            "as if independent" if naive else "Hall's t over groups",
            f"{'lognormal' if skewed else 'normal'}, {groups} groups of 20",
            partial(bounds, groups=groups, skewed=skewed),
            math.exp(0.5) if skewed else 0.0,
            runs,
            seed,
        )
        for groups in numbers
        for skewed in (False, True)
    ]


def weighted(sizes, runs: int, seed: int) -> list[Rate]:
    """Exponential losses with weights between 0.1 and 1.1."""
    return [
        rate(
            "mean loss",
            "Hall's t, weights",
            f"exponential, weighted, n = {n}",
            lambda rng, n=n: mean_interval(rng.exponential(size=n), weights=rng.random(n) + 0.1),
            1.0,
            runs,
            seed,
        )
        for n in sizes
    ]


def regression(sizes, runs: int, seed: int) -> list[Rate]:
    """MAE and RMSE of normal and t5 errors, the median of Cauchy errors, R2 (a tenth of the runs)."""
    rates = []
    t5_mean = 2 * math.sqrt(5) * math.gamma(3) / (math.sqrt(math.pi) * math.gamma(2.5) * 4)
    kinds = {"normal": (math.sqrt(2 / math.pi), 1.0), "t5": (t5_mean, math.sqrt(5 / 3))}
    for n in sizes:
        zeros = np.zeros(n)
        for kind, truths in kinds.items():
            draw = (
                (lambda rng, n=n: rng.normal(size=n)) if kind == "normal" else (lambda rng, n=n: rng.standard_t(5, n))
            )
            for metric, interval, truth in (
                ("mae", mean_absolute_error_interval, truths[0]),
                ("rmse", root_mean_squared_error_interval, truths[1]),
            ):
                scenario = f"{kind} errors, n = {n}"
                bounds = lambda rng, f=interval, d=draw, z=zeros: f(z, d(rng))  # noqa: E731
                rates.append(rate(metric, "Hall's t", scenario, bounds, truth, runs, seed))
            bounds = lambda rng, n=n, k=kind: r2_interval(*linear(rng, n, k == "t5"))  # noqa: E731
            scenario = f"{kind} errors, n = {n}"
            rates.append(rate("r2", "BCa of sums", scenario, bounds, R2, max(1, runs // 10), seed, True))
        bounds = lambda rng, n=n, z=zeros: median_absolute_error_interval(z, rng.standard_cauchy(n))  # noqa: E731
        method = "order statistics"
        rates.append(
            rate("median absolute error", method, f"Cauchy errors, n = {n}", bounds, CAUCHY_MEDIAN, runs, seed)
        )
    return rates


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """All scenarios, each with so many data sets (those that resample: a tenth)."""
    return [
        *losses("Hall's t", mean_interval, (50, 200, 1000), runs, seed),
        *bounded((10, 30), max(1, runs // 10), seed),
        *bounded((50, 200), runs, seed),
        *dependent((10, 20, 30), runs, seed),
        *weighted((80, 200, 1000), runs, seed),
        *regression((50, 200), runs, seed),
    ]


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """Wrong methods: the plain t, and groups ignored."""
    return [*losses("plain t", plain_t, (200, 1000), runs, seed), *dependent((20,), runs, seed, naive=True)]
