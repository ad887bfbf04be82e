"""Error rates for the gap between training and test data, at a true gap that equals the bar.

Proportions are enumerated: every outcome with its probability. F1, AUC and losses are drawn. Training scores near 1,
as of a model that has memorised its data, and small test sets are where other methods err.

    python tests/simulation/simulate_gap.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from rates import Rate
from scipy.special import betaincinv, ndtri
from scipy.stats import binom

from pytest_modelgate import Evaluation
from pytest_modelgate.gates.generalization import GeneralizationGap
from pytest_modelgate.statistics.differences import difference_interval
from pytest_modelgate.statistics.interval import Interval
from pytest_modelgate.statistics.proportions import clopper_pearson

TRAIN_SIZES = (100, 1_000, 5_000)
TEST_SIZES = (20, 50, 200, 1_000)
TRAIN_SHARES = (0.8, 0.9, 0.99, 1.0)
GAPS = (0.0, 0.02, 0.1, 0.3)
Z = 1.6448536
RARE = 1e-9  # outcomes of the training set that are less likely are left out

Join = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def exact_bounds(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share, and Clopper and Pearson's bounds, of every possible count; the package's, for all counts at once."""
    hits = np.arange(size + 1)
    lower = np.where(hits > 0, betaincinv(np.maximum(hits, 1), size - hits + 1, 0.05), 0.0)
    upper = np.where(hits < size, betaincinv(hits + 1, np.maximum(size - hits, 1), 0.95), 1.0)
    assert np.allclose(clopper_pearson(size // 3, size), (lower[size // 3], upper[size // 3]), rtol=1e-12)
    return hits / size, lower, upper


def mover(
    a: np.ndarray, a_lower: np.ndarray, a_upper: np.ndarray, b: np.ndarray, b_lower: np.ndarray, b_upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The package's formula for arrays; the test compares the two."""
    return a - b - np.hypot(a - a_lower, b_upper - b), a - b + np.hypot(a_upper - a, b - b_lower)


def subtracted(
    a: np.ndarray, a_lower: np.ndarray, a_upper: np.ndarray, b: np.ndarray, b_lower: np.ndarray, b_upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The difference of the estimates, taken for the truth."""
    return a - b + 0 * a_lower, a - b + 0 * b_lower


def proportion_rates(method: str, join: Join | None) -> Iterator[Rate]:
    """One exact rate for each pair of sizes and shares; without `join` Wald's bounds."""
    for n_train in TRAIN_SIZES:
        a, a_lower, a_upper = exact_bounds(n_train)
        for n_test in TEST_SIZES:
            b, b_lower, b_upper = exact_bounds(n_test)
            for share in TRAIN_SHARES:
                of_train = binom.pmf(np.arange(n_train + 1), n_train, share)
                likely = np.flatnonzero(of_train > RARE)
                columns = [column[likely, None] for column in (a, a_lower, a_upper)]
                if join is None:
                    error = np.sqrt(columns[0] * (1 - columns[0]) / n_train + b * (1 - b) / n_test)
                    bounds = columns[0] - b - Z * error, columns[0] - b + Z * error
                else:
                    bounds = join(*columns, b, b_lower, b_upper)
                for gap in GAPS:
                    weight = of_train[likely, None] * binom.pmf(np.arange(n_test + 1), n_test, share - gap)
                    yield Rate(
                        metric="accuracy or recall, gap",
                        method=method,
                        scenario=f"n = {n_train} and {n_test}, train {share:g}, gap {gap:g}",
                        false_pass=float(weight[bounds[1] < gap - 1e-12].sum()),
                        false_fail=float(weight[bounds[0] > gap + 1e-12].sum()),
                        runs=0,
                    )


def draw_labels(recall: float, precision: float, size: int, rng: np.random.Generator) -> Evaluation:
    """Decisions whose true F1 is 2 / (1 / recall + 1 / precision), with 30% positives."""
    shares = np.array([0.3 * recall, 0.3 * (1 - recall), 0.3 * recall * (1 / precision - 1)])
    tp, fn, fp, tn = rng.multinomial(size, [*shares, 1 - shares.sum()])
    target, preds = np.repeat([1, 1, 0, 0], [tp, fn, fp, tn]), np.repeat([1, 0, 1, 0], [tp, fn, fp, tn])
    return Evaluation.from_predictions(target=target, preds=preds, outputs="labels")


def draw_scores(area: float, size: int, rng: np.random.Generator) -> Evaluation:
    """Normal scores with a true AUC, half of them of positives."""
    target = np.arange(size) % 2
    return Evaluation.from_predictions(
        target=target, preds=rng.normal(size=size) + ndtri(area) * 2**0.5 * target, outputs="logits"
    )


def draw_errors(mean: float, size: int, rng: np.random.Generator) -> Evaluation:
    """Absolute errors with an exponential distribution, a skew one, and a true mean."""
    return Evaluation.from_predictions(target=np.zeros(size), preds=rng.exponential(mean, size), outputs="values")


def f1_of(recall: float) -> float:
    return 2 / (1 / recall + 1 / 0.95)


DRAWN: dict[str, tuple[str, list[tuple[float, float]], tuple[tuple[int, int], ...]]] = {
    "f1": ("F1", [(0.98, 0.9), (0.9, 0.7)], ((1_000, 100), (1_000, 400))),
    "roc_auc": ("AUC", [(0.99, 0.9), (0.8, 0.75)], ((1_000, 100), (1_000, 400))),
    "mae": ("mean error", [(0.1, 0.5), (1.0, 1.1)], ((1_000, 200), (2_000, 1_000))),
}


def drawn_rates(runs: int, seed: int) -> Iterator[Rate]:
    """The gate itself on drawn evaluations."""
    for metric, (title, truths, sizes) in DRAWN.items():
        for train, test in truths:
            gap = f1_of(train) - f1_of(test) if metric == "f1" else abs(train - test)
            gate = GeneralizationGap(metric, gap)
            for n_train, n_test in sizes:
                rng = np.random.default_rng([seed, n_train, n_test, round(1000 * train), round(1000 * test)])
                words = []
                for _ in range(runs):
                    both = [
                        draw_labels(truth, 0.95, size, rng)
                        if metric == "f1"
                        else (draw_scores if metric == "roc_auc" else draw_errors)(truth, size, rng)
                        for truth, size in ((train, n_train), (test, n_test))
                    ]
                    words.append(str(gate.check(*both).outcome))
                yield Rate(
                    metric=f"{title}, gap",
                    method="MOVER",
                    scenario=f"n = {n_train} and {n_test}, {train:g} and {test:g}",
                    false_pass=words.count("PASS") / runs,
                    false_fail=words.count("FAIL") / runs,
                    runs=runs,
                )


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """The package's bounds; `runs` counts for what is drawn."""
    return [*proportion_rates("MOVER", mover), *drawn_rates(runs, seed)]


def controls(runs: int = 0, seed: int = 0) -> list[Rate]:
    """Wald's bounds, and no bounds at all. Exact: `runs` and `seed` change nothing."""
    return [*proportion_rates("Wald", None), *proportion_rates("difference", subtracted)]


def agree(count: int = 200, seed: int = 0) -> bool:
    """Whether the formula here is the package's."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        low, mid, high = np.sort(rng.random((3, 2)), axis=0)
        ours = difference_interval(mid[0], Interval(low[0], high[0]), mid[1], Interval(low[1], high[1]))
        if not np.allclose(ours, mover(mid[0], low[0], high[0], mid[1], low[1], high[1]), rtol=0, atol=1e-15):
            return False
    return True


if __name__ == "__main__":
    found = [*measure(2_000), *controls()]
    for key in dict.fromkeys((rate.metric, rate.method) for rate in found):
        own = [rate for rate in found if (rate.metric, rate.method) == key]
        for side in ("false_pass", "false_fail"):
            shares = [getattr(rate, side) for rate in own]
            print(f"{key[0]:25} {key[1]:12} {side}: mean {np.mean(shares):.2%}, worst {max(shares):.2%}")
