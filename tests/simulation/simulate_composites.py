"""Error rates of the bounds of composite metrics: tables drawn from known ones, whose metric is the truth.

An estimate that is undefined is an UNDEFINED verdict: neither a false PASS nor a false FAIL. So is a truth that a
bound meets exactly, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from rates import Rate

from pytest_modelgate.metrics.margins import MarginMetric, margin_metric
from pytest_modelgate.statistics.composites import (
    dirichlet_interval,
    f1_interval,
    mean_of_shares_interval,
    paired_dirichlet_interval,
)
from pytest_modelgate.statistics.interval import Interval

DRAWS = 2_000
"""Fewer than the default for few cells: it adds noise to a bound, of about a twentieth of a standard error."""
ROUNDING = 1e-12

Bounds = Callable[[np.ndarray], "Interval | None"]

# Samples, share of positives, recall, precision.
BINARY = [
    (50, 0.5, 0.94, 0.94),
    (100, 0.3, 0.98, 0.98),
    (200, 0.1, 0.98, 0.98),
    (200, 0.1, 0.90, 0.90),
    (1000, 0.03, 0.95, 0.90),
    (1000, 0.05, 0.98, 0.95),
    (1000, 0.5, 0.90, 0.95),
]
BINARY_METRICS = ("fbeta", "jaccard", "mcc", "cohen_kappa", "balanced_accuracy")
# Classes, samples, recall of the first class and of the last, how often the last occurs for one of the first.
CLASSES = [
    (3, 50, 0.90, 0.90, 1.0),
    (3, 300, 0.98, 0.90, 0.2),
    (5, 100, 0.90, 0.90, 1.0),
    (5, 300, 0.97, 0.80, 0.2),
    (10, 100, 0.90, 0.90, 1.0),
    (10, 500, 0.95, 0.90, 0.2),
    (10, 1000, 0.98, 0.95, 0.1),
]
CLASS_METRICS = (("f1", "macro"), ("recall", "macro"), ("precision", "macro"), ("f1", "weighted"), ("mcc", None))
# The first is drawn (some 300 cells), the others go by the delta method (3,000 and 5,000 cells).
HUNDRED = [(100, 2_000, 0.90, 0.90, 1.0), (100, 10_000, 0.75, 0.60, 0.2), (100, 100_000, 0.98, 0.80, 0.1)]
HUNDRED_METRICS = (("f1", "macro"), ("precision", "macro"), ("f1", "weighted"), ("mcc", None))
# The samples of each class, and the recall of the first and of the last.
FEW = [
    ((1,) * 20, 0.90, 0.90),
    ((1,) * 20, 0.70, 0.70),
    ((3,) * 20, 0.95, 0.85),
    ((1, 2, 3, 5, 30) * 2, 0.95, 0.95),
    ((1, 2, 3, 20, 100), 0.90, 0.90),
    ((200,) * 3 + (3,), 0.98, 0.80),
    ((9,) * 10, 0.98, 0.90),
]
# Of 20 classes half are as common as they can be, and half have so many samples.
RARE = [(20, 400, 3), (20, 1000, 5), (20, 1000, 1)]
# Classes, samples, share of the last class, recall of the baseline, of the candidate where the baseline was right, and
# where it was wrong.
PAIRED = [
    (2, 200, 0.2, 0.95, 0.98, 0.50),
    (2, 1000, 0.05, 0.90, 0.97, 0.30),
    (2, 300, 0.5, 0.90, 0.99, 0.10),
    (3, 300, 1 / 3, 0.90, 0.97, 0.30),
    (10, 500, 0.1, 0.90, 0.97, 0.30),
]


def binary_table(positives: float, recall: float, precision: float) -> np.ndarray:
    """The shares of the four cells, rows actual."""
    tp = positives * recall
    fp = tp * (1 - precision) / precision
    return np.array([[1 - positives - fp, fp], [positives - tp, tp]])


def class_table(k: int, first: float, last: float, rarest: float) -> np.ndarray:
    """Recalls and class sizes go evenly from the first class to the last; the errors are spread unevenly."""
    errors = np.random.default_rng(k).dirichlet(np.full(k - 1, 0.5), size=k)
    table = np.zeros((k, k))
    recalls, sizes = np.linspace(first, last, k), np.geomspace(1.0, rarest, k)
    for i in range(k):
        table[i, np.arange(k) != i] = errors[i] * (1 - recalls[i])
        table[i, i] = recalls[i]
    return table * (sizes / sizes.sum())[:, np.newaxis]


def paired_table(k: int, share: float, recall: float, kept: float, mended: float) -> np.ndarray:
    """The shares of (actual, baseline's, candidate's): errors are spread evenly over the wrong classes."""
    sizes = np.append(np.full(k - 1, (1 - share) / (k - 1)), share)
    same = np.eye(k)
    wrong = (1 - same) / (k - 1)
    before = recall * same + (1 - recall) * wrong
    after_right, after_wrong = (p * same + (1 - p) * wrong for p in (kept, mended))
    after = np.where(same[:, :, np.newaxis] > 0, after_right[:, np.newaxis], after_wrong[:, np.newaxis])
    return sizes[:, np.newaxis, np.newaxis] * before[:, :, np.newaxis] * after


def of_table(metric: MarginMetric, table: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        return float(metric(table.diagonal(), table.sum(axis=1), table.sum(axis=0)))


def rate(
    names: tuple[str, str, str], table: np.ndarray, truth: float, n: int, bounds: Bounds, runs: int, seed: int
) -> Rate:
    """Draw n samples from the table, so many times, and see on which side the truth is missed."""
    rng = np.random.default_rng([seed, n, table.size])
    drawn, times = np.unique(rng.multinomial(n, table.ravel(), size=runs), axis=0, return_counts=True)
    found = [bounds(counts.reshape(table.shape).astype(np.float64)) for counts in drawn]
    high = sum(t for t, b in zip(times, found, strict=True) if b and b.lower > truth + ROUNDING)
    low = sum(t for t, b in zip(times, found, strict=True) if b and b.upper < truth - ROUNDING)
    metric, method, scenario = names
    return Rate(
        metric=metric,
        method=method,
        scenario=scenario,
        false_pass=float(high / runs),
        false_fail=float(low / runs),
        runs=runs,
    )


def imprecise(metric: MarginMetric, counts: np.ndarray, draws: int | None = DRAWS) -> Interval | None:
    if np.isnan(of_table(metric, counts)):
        return None
    return dirichlet_interval(counts, metric, lowest=-1.0, highest=1.0, draws=draws)


def percentile_bootstrap(metric: MarginMetric, counts: np.ndarray, draws: int = 500) -> Interval | None:
    """The named wrong method: quantiles of the metric over resampled tables."""
    if np.isnan(of_table(metric, counts)):
        return None
    n, rng = int(counts.sum()), np.random.default_rng(0)
    tables = rng.multinomial(n, (counts / n).ravel(), size=draws).reshape(draws, *counts.shape).astype(np.float64)
    with np.errstate(all="ignore"):
        values = metric(tables.diagonal(axis1=1, axis2=2), tables.sum(axis=2), tables.sum(axis=1))
    return Interval(*np.nanquantile(values, [0.05, 0.95]).tolist())


def exact_f1(runs: int, seed: int = 0) -> list[Rate]:
    metric = margin_metric("f1", average=None, index=1)
    return [
        rate(
            ("f1", "exact", scenario),
            table,
            of_table(metric, table),
            n,
            lambda c: f1_interval(c[1, 1], c[0, 1], c[1, 0]) if c.sum() > c[0, 0] else None,
            runs,
            seed,
        )
        for n, table, scenario in binary_scenarios()
    ]


def binary(runs: int, seed: int = 0, bounds: Callable = imprecise, method: str = "imprecise Dirichlet") -> list[Rate]:
    found = []
    for n, table, scenario in binary_scenarios():
        for name in BINARY_METRICS:
            index = 1 if name in ("fbeta", "jaccard") else None
            metric = margin_metric(name, average=None, index=index, beta=2.0)
            names = (name, method, scenario)
            found.append(rate(names, table, of_table(metric, table), n, lambda c, m=metric: bounds(m, c), runs, seed))
    return found


def classes(runs: int, seed: int = 0, bounds: Callable = imprecise, method: str = "imprecise Dirichlet") -> list[Rate]:
    return many(CLASSES, CLASS_METRICS, runs, seed, bounds, method)


def hundred(runs: int, seed: int = 0) -> list[Rate]:
    """100 classes: drawn up to 2,000 cells, and by the delta method above."""

    def default(metric: MarginMetric, counts: np.ndarray) -> Interval | None:
        return imprecise(metric, counts, draws=None)

    drawn = many(HUNDRED[:1], HUNDRED_METRICS, runs, seed, imprecise, "imprecise Dirichlet")
    return drawn + many(HUNDRED[1:], HUNDRED_METRICS, runs, seed, default, "delta")


def many(scenarios: list, metrics: tuple, runs: int, seed: int, bounds: Callable, method: str) -> list[Rate]:
    found = []
    for k, n, first, last, rarest in scenarios:
        table = class_table(k, first, last, rarest)
        scenario = f"{k} classes, n {n:,}, recalls {first} to {last}, rarest {rarest:g}"
        for name, average in metrics:
            metric = margin_metric(name, average=average, index=None)
            names = (f"{average} {name}" if average else name, method, scenario)
            found.append(rate(names, table, of_table(metric, table), n, lambda c, m=metric: bounds(m, c), runs, seed))
    return found


def mean_recall(counts: np.ndarray) -> Interval:
    """What the package says of classes with few samples: the wider of two."""
    sizes = counts.sum(axis=1)
    bounds = drawn_recall(counts)
    wider = mean_of_shares_interval(float((counts.diagonal() / sizes).mean()), sizes)
    return Interval(min(bounds.lower, wider.lower), max(bounds.upper, wider.upper))


def drawn_recall(counts: np.ndarray) -> Interval:
    """The named wrong method where classes have few samples."""
    metric = margin_metric("balanced_accuracy", average=None, index=None)
    return dirichlet_interval(counts, metric, lowest=0.0, highest=1.0, draws=DRAWS)


def few(
    runs: int, seed: int = 0, bounds: Callable = mean_recall, method: str = "imprecise Dirichlet and Clopper-Pearson"
) -> list[Rate]:
    """The mean recall of classes with given numbers of samples, most of them few; errors go to the next class."""
    found = []
    for sizes, first, last in FEW:
        k, recalls = len(sizes), np.linspace(first, last, len(sizes))
        hits = np.random.default_rng([seed, k, sum(sizes)]).binomial(sizes, recalls, size=(runs, k))
        drawn, times = np.unique(hits, axis=0, return_counts=True)
        truth, wrong = float(recalls.mean()), np.zeros(2)
        for row, often in zip(drawn, times, strict=True):
            table = np.diag(row) + np.roll(np.diag(np.array(sizes) - row), 1, axis=1)
            lower, upper = bounds(table.astype(np.float64))
            wrong += often * np.array([lower > truth + ROUNDING, upper < truth - ROUNDING])
        false_pass, false_fail = (wrong / runs).tolist()
        shown = f"{min(sizes)} to {max(sizes)} samples" if min(sizes) < max(sizes) else f"{sizes[0]} each"
        found.append(
            Rate(
                metric="balanced accuracy, few samples a class",
                method=method,
                scenario=f"{k} classes of {shown}, recalls {first:g} to {last:g}",
                false_pass=false_pass,
                false_fail=false_fail,
                runs=runs,
            )
        )
    return found


def rare(runs: int, seed: int = 0) -> list[Rate]:
    """Macro F1 where half of the classes have so few samples that a remark says so."""
    found, metric = [], margin_metric("f1", average="macro", index=None)
    for k, n, of_rare in RARE:
        table = class_table(k, 0.95, 0.85, 1.0)
        sizes = np.where(np.arange(k) % 2, of_rare, 2 * n / k - of_rare) / n
        table *= (sizes / table.sum(axis=1))[:, np.newaxis]
        names = ("macro f1, rare classes", "imprecise Dirichlet", f"{k} classes, n {n:,}, of half about {of_rare}")
        found.append(rate(names, table, of_table(metric, table), n, lambda c: imprecise(metric, c), runs, seed))
    return found


def paired(runs: int, seed: int = 0) -> list[Rate]:
    found = []
    for k, n, share, recall, kept, mended in PAIRED:
        table = paired_table(k, share, recall, kept, mended)
        scenario = f"{k} classes, n {n:,}, last {share:.2f}, recall {recall}, kept {kept}, mended {mended}"
        for name in ("f1", "mcc"):
            one = name == "f1" and k == 2
            average = "macro" if name == "f1" and k > 2 else None
            metric = margin_metric(name, average=average, index=1 if one else None)

            def difference(joint: np.ndarray, metric: MarginMetric = metric) -> float:
                return of_table(metric, joint.sum(axis=1)) - of_table(metric, joint.sum(axis=2))

            def bounds(counts: np.ndarray, metric: MarginMetric = metric) -> Interval | None:
                cells = np.nonzero(counts)
                return paired_dirichlet_interval(
                    *cells, counts[cells], len(counts), metric, lowest=-2.0, highest=2.0, draws=DRAWS
                )

            names = (f"{average} {name}" if average else name, "paired imprecise Dirichlet", scenario)
            found.append(rate(names, table, difference(table), n, bounds, runs, seed))
    return found


def binary_scenarios() -> Iterator[tuple[int, np.ndarray, str]]:
    for n, positives, recall, precision in BINARY:
        scenario = f"n {n:,}, positives {positives:g}, recall {recall}, precision {precision}"
        yield n, binary_table(positives, recall, precision), scenario


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """Every composite metric in every scenario; each metric of 100 classes and each pair in fewer runs."""
    some = max(runs // 3, 1)
    return [
        *exact_f1(10 * runs, seed),
        *binary(runs, seed),
        *classes(runs, seed),
        *hundred(some, seed),
        *paired(runs, seed),
        *few(runs, seed),
        *rare(some, seed),
    ]


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """The percentile bootstrap, and the draws alone where classes have few samples: both must break."""
    wrong = "percentile bootstrap"
    return [
        *binary(runs, seed, percentile_bootstrap, wrong),
        *many(HUNDRED[:1], HUNDRED_METRICS[:1], max(runs // 3, 1), seed, percentile_bootstrap, wrong),
        *few(runs, seed, drawn_recall, "imprecise Dirichlet"),
    ]
