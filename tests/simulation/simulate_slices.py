"""Error rates of families of slices, at a truth that equals the bar: a gate by slice, and the gap between slices.

Proportions by slice are enumerated: every outcome with its probability. Gaps, and other metrics, are drawn.

    python tests/simulation/simulate_slices.py
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
from rates import Rate
from scipy.special import betaincinv, ndtri
from scipy.stats import binom

from pytest_modelgate import Evaluation, Gate
from pytest_modelgate.gates.gap import GapAtMost
from pytest_modelgate.gates.slices import BySlice

ALPHA = 0.05
COUNTS = (1, 2, 5, 20, 100)
SIZES = {"30": (30,), "50": (50,), "200": (200,), "1000": (1000,), "30 to 1000": (30, 50, 100, 300, 1000)}
BARS = (0.5, 0.8, 0.95, 0.99)
GAP_COUNTS = (2, 5, 10)
GAP_SIZES = {"100": (100,), "1000": (1000,), "50 to 2000": (50, 2000, 100, 500), "30": (30,)}
GAPS = ((0.95, 0.0), (0.95, 0.05), (0.85, 0.1), (0.6, 0.3), (1.0, 0.05))
SHAPES = ("one low", "one high", "halves")


def sizes_of(kind: tuple[int, ...], count: int) -> list[int]:
    return list(islice(cycle(kind), count))


@functools.cache
def refuted(size: int, bar: float, level: float) -> float:
    """How often a proportion that equals the bar is refuted, by all outcomes."""
    tails = binom.cdf(np.arange(size + 1), size, bar)
    return float(binom.pmf(np.arange(size + 1), size, bar)[tails <= level].sum())


@functools.cache
def proved(size: int, bar: float) -> float:
    tails = binom.sf(np.arange(size + 1) - 1, size, bar)
    return float(binom.pmf(np.arange(size + 1), size, bar)[tails <= ALPHA].sum())


@functools.cache
def missed(size: int, bar: float) -> float:
    """How often the estimate is below the bar, rounding aside."""
    hits = np.arange(size + 1)
    return float(binom.pmf(hits, size, bar)[hits < bar * size - 1e-9].sum())


def family_rates(method: str) -> Iterator[Rate]:
    """`FAIL`: every slice is at the bar. `PASS`: one is, the others are flawless."""
    for count in COUNTS:
        for name, kind in SIZES.items():
            sizes = sizes_of(kind, count)
            for bar in BARS:
                if method == "estimate":
                    single = [missed(size, bar) for size in sizes]
                else:
                    level = ALPHA / count if method == "Holm" else ALPHA
                    single = [refuted(size, bar, level) for size in sizes]
                yield Rate(
                    metric="recall, by slice",
                    method=method,
                    scenario=f"{count} slices of {name}, bar {bar:g}",
                    false_pass=max(proved(size, bar) for size in sizes),
                    false_fail=1 - float(np.prod([1 - one for one in single])),
                    runs=0,
                )


@functools.cache
def table_of(size: int, confidence: float) -> np.ndarray:
    """[size + 1, 2] Clopper and Pearson's bounds of every possible count."""
    hits = np.arange(size + 1)
    lower = np.where(hits > 0, betaincinv(np.maximum(hits, 1), size - hits + 1, 1 - confidence), 0.0)
    upper = np.where(hits < size, betaincinv(hits + 1, np.maximum(size - hits, 1), confidence), 1.0)
    return np.stack([lower, upper], axis=1)


def bounds_of(hits: np.ndarray, sizes: list[int], confidence: float) -> np.ndarray:
    tables = {size: table_of(size, confidence) for size in set(sizes)}
    return np.stack([tables[size][hits[:, i]] for i, size in enumerate(sizes)], axis=1)


def truths_of(shape: str, top: float, gap: float, count: int) -> np.ndarray:
    """The slices' true shares, whose largest difference is the gap."""
    low = {"one low": 1, "one high": count - 1, "halves": count // 2}[shape]
    return np.array([top - gap] * low + [top] * (count - low))


def gap_words(hits: np.ndarray, sizes: list[int], at_most: float, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether the gap is proved and refuted in each run: the package's rule for all runs at once."""
    count = len(sizes)
    shares = hits / np.array(sizes)
    differences = shares[:, :, None] - shares[:, None, :]
    if method == "difference":
        largest = differences.max(axis=(1, 2))
        return largest < at_most - 1e-12, largest > at_most + 1e-12
    plain = bounds_of(hits, sizes, 1 - ALPHA)
    corrected = ALPHA / (count * (count - 1)) if method == "MOVER" else ALPHA
    surer = bounds_of(hits, sizes, 1 - corrected)
    apart = ~np.eye(count, dtype=bool)
    above, below = plain[..., 1] - shares, shares - plain[..., 0]
    upper = (differences + np.hypot(above[:, :, None], below[:, None, :]))[:, apart].max(axis=1)
    over, under = surer[..., 1] - shares, shares - surer[..., 0]
    lower = (differences - np.hypot(under[:, :, None], over[:, None, :]))[:, apart].max(axis=1)
    return upper <= at_most + 1e-12, lower > at_most + 1e-12


def gap_rates(method: str, runs: int, seed: int) -> Iterator[Rate]:
    for count in GAP_COUNTS:
        for name, kind in GAP_SIZES.items():
            sizes = sizes_of(kind, count)
            for top, gap in GAPS:
                for shape in SHAPES if gap and count > 2 else SHAPES[:1]:
                    rng = np.random.default_rng([seed, count, round(1000 * top), round(1000 * gap), len(name)])
                    hits = rng.binomial(sizes, truths_of(shape, top, gap, count), (runs, count))
                    passed, failed = gap_words(hits, sizes, gap, method)
                    yield Rate(
                        metric="recall, gap between slices",
                        method=method,
                        scenario=f"{count} slices of {name}, {top:g} and {top - gap:g}, {shape}",
                        false_pass=float(passed.mean()),
                        false_fail=float(failed.mean()),
                        runs=runs,
                    )


def draw(metric: str, truths: list[float], sizes: list[int], rng: np.random.Generator) -> Evaluation:
    """Slices whose true AUC, mean error or MCC is given, one for each."""
    part = np.repeat(np.arange(len(sizes)), sizes)
    truth = np.repeat(truths, sizes)
    kept: dict[str, Any] = {"slices": {"part": part}}
    if metric == "mae":
        return Evaluation.from_predictions(
            target=np.zeros(len(part)), preds=rng.exponential(1, len(part)) * truth, outputs="values", **kept
        )
    target = rng.random(len(part)) < 0.5
    if metric == "roc_auc":
        preds = rng.normal(size=len(part)) + ndtri(truth) * 2**0.5 * target
        return Evaluation.from_predictions(target=target.astype(int), preds=preds, outputs="logits", **kept)
    right = rng.random(len(part)) < (1 + truth) / 2  # of balanced classes with equal errors: MCC = 2 accuracy - 1
    return Evaluation.from_predictions(
        target=target.astype(int), preds=(target == right).astype(int), outputs="labels", **kept
    )


TRUTHS = {"mcc": 0.6, "roc_auc": 0.85, "mae": 1.0}
DRAWN_SIZES = (60, 100, 200, 400)


def drawn_rates(runs: int, seed: int, slices: int = 20, metrics: tuple[str, ...] = tuple(TRUTHS)) -> Iterator[Rate]:
    """The gates themselves on drawn evaluations whose slices are all at the bar, or have no gap."""
    for metric in metrics:
        truth, sizes = TRUTHS[metric], sizes_of(DRAWN_SIZES, slices)
        bar: dict[str, Any] = {"at_most" if metric == "mae" else "at_least": truth}
        gates = {
            "by slice": BySlice(Gate(metric, **bar), "part"),
            "gap between slices": GapAtMost(metric, by="part", at_most=0.0),
        }
        rng = np.random.default_rng([seed, slices, len(metric)])
        words: dict[str, list[str]] = {name: [] for name in gates}
        for _ in range(runs):
            drawn = draw(metric, [truth] * slices, sizes, rng)
            for name, gate in gates.items():
                words[name].append(str(gate.check(drawn).outcome))
        for name, found in words.items():
            yield Rate(
                metric=f"{metric}, {name}",
                method="Holm" if name == "by slice" else "MOVER",
                scenario=f"{slices} slices of 60 to 400, all at {truth:g}",
                false_pass=found.count("PASS") / runs,
                false_fail=found.count("FAIL") / runs,
                runs=runs,
            )


def measure(runs: int, seed: int = 0) -> list[Rate]:
    """The package's rules; `runs` counts for what is drawn."""
    return [*family_rates("Holm"), *gap_rates("MOVER", runs, seed)]


def controls(runs: int, seed: int = 0) -> list[Rate]:
    """Each slice for itself, and the plain comparisons."""
    every = [*family_rates("uncorrected"), *family_rates("estimate")]
    return [*every, *gap_rates("MOVER, uncorrected", runs, seed), *gap_rates("difference", runs, seed)]


def agree(count: int = 40, seed: int = 0) -> bool:
    """Whether the rules here are the package's."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        slices = int(rng.integers(2, 7))
        sizes = rng.choice([30, 50, 100, 300], slices).tolist()
        bar, at_most = float(rng.choice([0.8, 0.9])), float(rng.choice([0.0, 0.1, 0.3]))
        hits = rng.binomial(sizes, np.clip(bar + rng.normal(0, 0.08, slices), 0, 1))
        part = np.repeat(np.arange(slices), sizes)
        preds = np.concatenate([np.arange(size) < hit for size, hit in zip(sizes, hits, strict=True)]).astype(int)
        drawn = Evaluation.from_predictions(
            target=np.append(np.ones(len(part), int), 0),
            preds=np.append(preds, 0),
            outputs="labels",
            slices={"part": np.append(part, 0)},
        )
        tails = np.sort(binom.cdf(hits, sizes, bar))
        word = str(BySlice(Gate("recall", at_least=bar), "part").check(drawn).outcome)
        if (word == "FAIL") != bool(tails[0] <= ALPHA / slices):
            return False
        if (word == "PASS") != bool((binom.sf(hits - 1, sizes, bar) <= ALPHA).all()):
            return False
        passed, failed = gap_words(hits[None], sizes, at_most, "MOVER")
        word = str(GapAtMost("recall", by="part", at_most=at_most).check(drawn).outcome)
        if word != ("PASS" if passed[0] else "FAIL" if failed[0] else "INCONCLUSIVE"):
            return False
    return True


if __name__ == "__main__":
    found = [*measure(4_000), *controls(4_000), *drawn_rates(300, 1)]
    for key in dict.fromkeys((rate.metric, rate.method) for rate in found):
        own = [rate for rate in found if (rate.metric, rate.method) == key]
        for side in ("false_pass", "false_fail"):
            shares = [getattr(rate, side) for rate in own]
            worst = max(own, key=lambda rate: getattr(rate, side))
            rates = f"{side}: mean {np.mean(shares):.2%}, worst {max(shares):.2%}"
            print(f"{key[0]:28} {key[1]:18} {rates} ({worst.scenario})")
