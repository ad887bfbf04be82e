"""What a comparison with a recorded baseline costs, and how large its files are.

    python -m pytest tests/benchmarks/bench_baseline.py -q -s

pytest-benchmark's table shows the times; `LIMITS` are what was asked for, on one thread of an idle machine. A paired
comparison is all that a test does with samples that were read: bring them back and judge. The sizes are printed.
"""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelgate import Evaluation, NoRegression
from pytest_modelgate.baselines.baseline import Baseline
from pytest_modelgate.baselines.entry import Entry
from pytest_modelgate.baselines.files import read, samples_file, write
from pytest_modelgate.baselines.samples import StoredSamples
from pytest_modelgate.baselines.storing import restore, store

N = 1_000_000
METRICS = ("recall", "f1", "roc_auc", "log_loss")
LIMITS = {f"{metric} against a baseline, N = 1e6": 1.0 for metric in METRICS}


def scored(share: float, noise: float) -> Evaluation:
    data, model = np.random.default_rng(0), np.random.default_rng(int(100 * noise))
    target = (data.random(N) < share).astype(np.uint8)
    scores = 1 / (1 + np.exp(-(3.0 * target - 2 + data.normal(0, 1, N) + model.normal(0, noise, N))))
    labels = ["ok", "fraud"]
    return Evaluation.from_predictions(
        target=target, preds=scores, outputs="probabilities", ids=np.arange(N), labels=labels
    )


def entry(number: int, samples: str | None = None) -> Entry:
    return Entry(
        test=f"tests/test_model.py::test_gate_{number}",
        gate="no_regression(recall[fraud], margin=0.01)",
        outcome="PASS",
        estimate=0.0,
        lower=-0.001,
        upper=0.001,
        support=N,
        bar=-0.01,
        direction="at_least",
        confidence=0.95,
        if_unsure="estimate",
        samples=samples,
    )


@pytest.fixture(scope="module")
def evaluations() -> tuple[Evaluation, Evaluation]:
    return scored(0.05, 0.0), scored(0.05, 0.1)


@pytest.mark.parametrize("metric", METRICS)
def test_comparison(benchmark, evaluations, metric):
    before, now = evaluations
    stored = store(before, metric)
    benchmark.extra_info["limit in seconds"] = LIMITS[f"{metric} against a baseline, N = 1e6"]
    gate = NoRegression(metric, margin=0.01)
    benchmark.pedantic(lambda: gate.check(now, restore(stored, now)), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("metric", METRICS)
def test_recording(benchmark, evaluations, metric):
    benchmark.pedantic(lambda: store(evaluations[0], metric), rounds=5, warmup_rounds=1)


def baseline(stored: StoredSamples, entries: int) -> Baseline:
    every = (entry(0, stored.key), *map(entry, range(1, entries)))
    return Baseline(entries=every, samples={stored.key: stored}, provenance={"commit": "0123abc"})


@pytest.mark.parametrize("act", ["write", "read"])
def test_files(benchmark, evaluations, tmp_path, act):
    """1,000 verdicts and the decisions on a million samples."""
    path = tmp_path / "modelgate-baseline.json"
    whole = baseline(store(evaluations[0], "recall"), 1000)
    write(path, whole)
    benchmark.pedantic((lambda: write(path, whole)) if act == "write" else (lambda: read(path)), rounds=5)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_sizes(benchmark, tmp_path, share):
    path, evaluation = tmp_path / "modelgate-baseline.json", scored(share, 0.0)
    for metric in METRICS:
        write(path, baseline(store(evaluation, metric), 1))
        size = samples_file(path).stat().st_size
        print(
            f"\n{metric}, {share:.0%} positive: {size:,} bytes for {N:,} samples, {8 * size / N:.2f} bits each", end=""
        )
    benchmark.pedantic(lambda: read(path), rounds=3)
