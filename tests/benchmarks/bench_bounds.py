"""What verdicts and their bounds cost.

    python -m pytest tests/benchmarks/bench_bounds.py -q

pytest-benchmark's table shows the times; `LIMITS` are what was asked for, on one thread of an idle machine.
"""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelgate import ConfusionMatrix, Evaluation, Gate, NoRegression

SECOND, MILLI, MICRO = 1.0, 1e-3, 1e-6
LIMITS = {
    "a proportion": 100 * MICRO,
    "F1 of a class": 100 * MICRO,
    "mcc, K = 2": 20 * MILLI,
    "macro f1, K = 10": 100 * MILLI,
    "macro f1, K = 100": SECOND,
    "roc_auc, N = 1e6": 0.2 * SECOND,
    "average_precision, N = 1e6": 0.5 * SECOND,
    "loss, N = 1e6": 0.2 * SECOND,
    "accuracy against a baseline, N = 1e5": SECOND,
}
RNG = np.random.default_rng(0)


def table(classes: int, n: int) -> ConfusionMatrix:
    target = RNG.integers(0, classes, n)
    preds = np.where(RNG.random(n) < 0.9, target, RNG.integers(0, classes, n))
    return ConfusionMatrix.from_labels(target=target, preds=preds, num_classes=classes)


def scored(n: int, **options: object) -> Evaluation:
    target = RNG.integers(0, 2, n)
    scores = 1 / (1 + np.exp(-RNG.normal(2.0 * target - 1.0, 1.0)))
    return Evaluation.from_predictions(target=target, preds=scores, outputs="probabilities", **options)


def valued(n: int) -> Evaluation:
    target = RNG.normal(size=n)
    return Evaluation.from_predictions(target=target, preds=target + RNG.exponential(size=n), outputs="values")


def cases() -> dict[str, object]:
    two, ten, hundred, million = table(2, 1000), table(10, 10_000), table(100, 100_000), scored(1_000_000)
    now, values = scored(100_000, ids=np.arange(100_000)), valued(1_000_000)
    then = now.at_threshold(0.55)
    return {
        "a proportion": lambda: Gate("recall", at_least=0.5).check(two),
        "F1 of a class": lambda: Gate("f1", at_least=0.5).check(two),
        "mcc, K = 2": lambda: Gate("mcc", at_least=0.5).check(two),
        "macro f1, K = 10": lambda: Gate("f1", at_least=0.5, average="macro").check(ten),
        "macro f1, K = 100": lambda: Gate("f1", at_least=0.5, average="macro").check(hundred),
        "roc_auc, N = 1e6": lambda: million.interval("roc_auc"),
        "average_precision, N = 1e6": lambda: million.interval("average_precision"),
        "loss, N = 1e6": lambda: values.interval("mae"),
        "accuracy against a baseline, N = 1e5": lambda: NoRegression("accuracy").check(now, then),
    }


CASES = cases()


@pytest.mark.parametrize("name", LIMITS)
def test_cost(benchmark, name):
    benchmark.extra_info["limit in seconds"] = LIMITS[name]
    benchmark.pedantic(CASES[name], rounds=7, warmup_rounds=1)
