"""The kernels beside scikit-learn, torchmetrics as shipped, and the limit: reading (or sorting) the input once.

    python -m pytest tests/benchmarks/bench_metrics.py -q
    python -m pytest tests/benchmarks/bench_metrics.py -q --benchmark-json=metrics.json -k auc

All contestants run on one thread, in turns within one process, so that a slow moment of the machine slows all of them;
the figures are ratios of medians: how many times longer the other one takes, and how many times the limit ours takes.
The results are compared too. pytest-benchmark's own table shows the absolute times of ours.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics.functional.classification as torchmetrics

from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.counting import logits_to_counts
from pytest_modelgate.metrics.ranking import RankCounts, average_precision, roc_auc

SECONDS = 6.0
"""How long one comparison goes on, at least three rounds."""
NUMBERS = 2 * 10**7
"""How many scores a table holds, whatever the number of classes."""

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def one_thread():
    """torch on one thread; numpy and scikit-learn use one here anyway."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def compare(benchmark, capsys, request):
    """A function that times contestants in turns, prints the ratios, and leaves them in the benchmark's extra_info."""

    def run(limit: Callable[[], Any], **contestants: Callable[[], Any]) -> None:
        contestants = {**contestants, "limit": limit}
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for function in contestants.values():
            function()
        begin = time.perf_counter()
        while len(times["ours"]) < 3 or (time.perf_counter() - begin < SECONDS and len(times["ours"]) < 50):
            for name, function in contestants.items():
                start = time.perf_counter()
                function()
                times[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(values) for name, values in times.items()}
        ours = medians.pop("ours")
        limit_ratio = ours / medians.pop("limit")
        ratios = {name: seconds / ours for name, seconds in medians.items()}
        benchmark.extra_info.update({**ratios, "of the limit": limit_ratio, "rounds": len(times["ours"])})
        benchmark.pedantic(contestants["ours"], rounds=3)
        shown = [f"ours {ours * 1e3:8.2f} ms"]
        shown += [f"{name} {ratio:6.1f}x" for name, ratio in ratios.items()]
        with capsys.disabled():
            print(f"\n{request.node.name:<34}{'   '.join(shown)}   {limit_ratio:5.2f}x the limit", end=" ")

    return run


def labels(samples: int, num_classes: int):
    """Actual classes, and predictions of which nine in ten are right, as int64."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, num_classes, samples)
    return target, np.where(rng.random(samples) < 0.9, target, rng.integers(0, num_classes, samples))


def table(num_classes: int):
    """Scores as float32 [N, K] with the actual class raised, and the actual classes."""
    rng = np.random.default_rng(0)
    samples = NUMBERS // num_classes
    target = rng.integers(0, num_classes, samples)
    scores = rng.standard_normal((samples, num_classes), dtype=np.float32)
    scores[np.arange(samples), target] += 2
    return scores, target


@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_labels_to_counts(compare, num_classes):
    """Targets: scikit-learn 30x, torchmetrics 25x."""
    target, preds = labels(10**6, num_classes)
    t, p = torch.from_numpy(target), torch.from_numpy(preds)
    ours = ConfusionMatrix.from_labels(target=target, preds=preds, num_classes=num_classes)
    assert (ours.counts == sklearn.metrics.confusion_matrix(target, preds)).all()
    compare(
        ours=lambda: ConfusionMatrix.from_labels(target=target, preds=preds, num_classes=num_classes),
        sklearn=lambda: sklearn.metrics.confusion_matrix(target, preds),
        torchmetrics=lambda: torchmetrics.multiclass_confusion_matrix(p, t, num_classes=num_classes),
        limit=lambda: (target.sum(), preds.sum()),
    )


@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_labels_to_counts_of_ten_million(compare, num_classes):
    """Target: 3.5x the limit."""
    target, preds = labels(10**7, num_classes)
    compare(
        ours=lambda: ConfusionMatrix.from_labels(target=target, preds=preds, num_classes=num_classes),
        limit=lambda: (target.sum(), preds.sum()),
    )


@pytest.mark.parametrize("num_classes", [3, 10, 100, 1000])
def test_logits_to_counts(compare, num_classes):
    """Targets: scikit-learn 8x (K <= 10) and 1.3x (K >= 100), torchmetrics 2.5x, 2.5x the limit at K = 1000."""
    scores, target = table(num_classes)
    s, t = torch.from_numpy(scores), torch.from_numpy(target)
    classes = range(num_classes)
    expected = sklearn.metrics.confusion_matrix(target, scores.argmax(axis=1), labels=classes)
    assert (logits_to_counts(scores, target) == expected).all()
    compare(
        ours=lambda: logits_to_counts(scores, target),
        sklearn=lambda: sklearn.metrics.confusion_matrix(target, scores.argmax(axis=1), labels=classes),
        torchmetrics=lambda: torchmetrics.multiclass_confusion_matrix(s, t, num_classes=num_classes),
        limit=lambda: scores.sum(),
    )


@pytest.mark.parametrize("num_classes", [100, 1000])
def test_top_k(compare, num_classes):
    """Targets: scikit-learn 25x, torchmetrics 40x."""
    scores, target = table(num_classes)
    s, t = torch.from_numpy(scores), torch.from_numpy(target)
    classes = range(num_classes)
    hits = RankCounts.from_scores(scores, target).counts[:5].sum()
    assert hits == sklearn.metrics.top_k_accuracy_score(target, scores, k=5, labels=classes, normalize=False)
    compare(
        ours=lambda: RankCounts.from_scores(scores, target),
        sklearn=lambda: sklearn.metrics.top_k_accuracy_score(target, scores, k=5, labels=classes),
        torchmetrics=lambda: torchmetrics.multiclass_accuracy(s, t, num_classes=num_classes, top_k=5, average="micro"),
        limit=lambda: scores.sum(),
    )


def binary(kind: str):
    """A million float32 scores, a tenth of them positive."""
    rng = np.random.default_rng(0)
    positive = rng.random(10**6) < 0.1
    scores = rng.normal(size=10**6) + 1.5 * positive - 1
    if kind != "logits":
        scores = 1 / (1 + np.exp(-scores))
    if kind == "ties":
        scores = np.round(scores, 3)
    return scores.astype(np.float64 if kind == "float64" else np.float32), positive


@pytest.mark.parametrize("kind", ["probabilities", "logits", "ties", "float64"])
def test_roc_auc(compare, kind):
    """Targets: scikit-learn 25x, torchmetrics 10x, 4x numpy's sort. "ties": a thousand different scores."""
    scores, positive = binary(kind)
    s, t = torch.from_numpy(scores), torch.from_numpy(positive.astype(np.int64))
    assert roc_auc(scores, positive) == pytest.approx(sklearn.metrics.roc_auc_score(positive, scores), abs=1e-12)
    compare(
        ours=lambda: roc_auc(scores, positive),
        sklearn=lambda: sklearn.metrics.roc_auc_score(positive, scores),
        torchmetrics=lambda: torchmetrics.binary_auroc(s, t),
        limit=lambda: np.sort(scores),
    )


@pytest.mark.parametrize("kind", ["probabilities", "logits", "ties", "float64"])
def test_average_precision(compare, kind):
    """Targets: scikit-learn 9x, torchmetrics 7x, 4x numpy's sort."""
    scores, positive = binary(kind)
    s, t = torch.from_numpy(scores), torch.from_numpy(positive.astype(np.int64))
    expected = sklearn.metrics.average_precision_score(positive, scores)
    assert average_precision(scores, positive) == pytest.approx(expected, abs=1e-12)
    compare(
        ours=lambda: average_precision(scores, positive),
        sklearn=lambda: sklearn.metrics.average_precision_score(positive, scores),
        torchmetrics=lambda: torchmetrics.binary_average_precision(s, t),
        limit=lambda: np.sort(scores),
    )
