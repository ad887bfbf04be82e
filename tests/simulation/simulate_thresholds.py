"""How often a PASS is wrong where the threshold was chosen on the very samples that are judged.

Scores are normal, so that the true recall, precision and accuracy of every threshold are known: N(0, 1) of the
negative samples and N(d, 1) of the positive ones; at d = 0 the model tells nothing.

    python tests/simulation/simulate_thresholds.py
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from rates import Rate, times
from scipy.special import betaincinv, ndtr

from pytest_modelgate import BarError, Evaluation, EvidenceError

SCENARIOS = ((100, 0.5, 0.0), (1000, 0.1, 0.5), (200, 0.1, 1.5), (1000, 0.5, 1.5))
"""Samples, the share of positive ones, d."""
WAYS = {
    "recall": {"recall_at_least": 0.9},
    "precision": {"precision_at_least": 0.6},
    "cost": {},
}
METRICS = ("recall", "precision", "accuracy")
BARS = np.linspace(0.005, 0.995, 199)


class Drawn(NamedTuple):
    """One chosen threshold: of each metric its hits, its support and its true value, [3] each."""

    hits: list[int]
    support: list[int]
    truth: list[float]


def draw(n: int, share: float, d: float, seed: int) -> tuple[Evaluation, dict[str, float]]:
    """A data set with at least one positive sample, and the threshold that each way chooses on it."""
    random = np.random.default_rng([seed, n])
    target = (random.random(n) < share).astype(int)
    target[0] = 1
    evaluation = Evaluation.from_predictions(target=target, preds=random.normal(size=n) + d * target, outputs="logits")
    found, chosen = evaluation.thresholds(), {}
    for way, options in WAYS.items():
        try:
            chosen[way] = found.best_threshold(**options)
        except (BarError, EvidenceError):  # no threshold reaches the precision, or pays
            continue
    return evaluation, chosen


def judged(evaluation: Evaluation, threshold: float, share: float, d: float) -> Drawn:
    """The counts at a threshold, and the truth that they stand for."""
    table = evaluation.at_threshold(threshold).confusion_matrix.one_vs_rest(1)
    logit = np.log(threshold) - np.log1p(-threshold)
    recall, alarms = float(ndtr(d - logit)), float(ndtr(-logit))
    right = share * recall
    precision, accuracy = right / (right + (1 - share) * alarms), right + (1 - share) * (1 - alarms)
    hits = [table.tp, table.tp, table.tp + table.tn]
    return Drawn(hits, [table.tp + table.fn, table.tp + table.fp, table.n], [recall, precision, accuracy])


def measure(runs: int) -> tuple[list[Rate], dict[str, float]]:
    """The wrong words at the worst of the bars; and how often a threshold misses the bar that it was tuned to."""
    rates, missed = [], {}
    for n, share, d in SCENARIOS:
        found: dict[str, list[Drawn]] = {way: [] for way in WAYS}
        for seed in range(runs):
            evaluation, chosen = draw(n, share, d, seed)
            for way, threshold in chosen.items():
                found[way].append(judged(evaluation, threshold, share, d))
        scenario = f"n = {n}, {share:.0%} positive, d = {d}"
        for way, drawn in found.items():
            hits, support, truth = (np.array(part, dtype=float) for part in zip(*drawn, strict=True))
            lower = np.where(hits > 0, betaincinv(np.maximum(hits, 1), support - hits + 1, 0.05), 0.0)
            upper = np.where(hits < support, betaincinv(hits + 1, np.maximum(support - hits, 1), 0.95), 1.0)
            if way == "recall":
                missed[scenario] = float(np.mean(truth[:, 0] < 0.9))
            for index, metric in enumerate(METRICS):
                low, high, true = (part[:, index, None] for part in (lower, upper, truth))
                rates.append(
                    Rate(
                        metric=metric,
                        method=way,
                        scenario=scenario,
                        false_pass=float(((low >= BARS) & (true < BARS)).mean(axis=0).max()),
                        false_fail=float(((high < BARS) & (true >= BARS)).mean(axis=0).max()),
                        runs=len(drawn),
                    )
                )
    return rates, missed


if __name__ == "__main__":
    every, own = measure(times(1000))
    for rate in every:
        print(
            f"{rate.method:9} {rate.metric:9} {rate.scenario:34} {rate.false_pass:.3f} {rate.false_fail:.3f}", rate.runs
        )
    print({scenario: round(share, 2) for scenario, share in own.items()})
