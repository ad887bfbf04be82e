"""How often the gates on data alarm on sound data, and how often they miss a planted fault.

`measure` gives one row for each scenario: of sound data the share of red verdicts, and of `FAIL`; of faults the share
that was not red.

    python tests/simulation/simulate_audits.py [runs]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn import datasets

from pytest_modelgate import Evaluation, Verdict
from pytest_modelgate.checks.data.distribution import audit_distribution
from pytest_modelgate.checks.data.label_leakage import audit_label_leakage
from pytest_modelgate.checks.data.shuffled import audit_shuffled_labels
from pytest_modelgate.gates.distribution import SameDistribution
from pytest_modelgate.gates.label_leakage import NoLabelLeakage
from pytest_modelgate.gates.shuffled import ChanceOnShuffledLabels
from pytest_modelgate.gates.verdict import Outcome

Rng = np.random.Generator
Draw = Callable[[Rng], Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One scenario: whether it holds a fault, and the shares of red verdicts and of the word `FAIL`."""

    gate: str
    scenario: str
    faulty: bool
    red: float
    fail: float
    runs: int


# -- one feature that tells the label --------------------------------------------------------------------------------


def by_label(make: Callable[[Any, Rng], Any], classes: int, per_class: int, others: int, rng: Rng) -> Verdict:
    """One feature made of the target, among others that tell nothing."""
    target = np.repeat(np.arange(classes), per_class)
    columns: dict[str, Any] = {f"noise {place}": rng.normal(size=len(target)) for place in range(others)}
    columns["made"] = make(target, rng)
    return NoLabelLeakage().check(audit_label_leakage(columns, target))


def honest(target: Any, rng: Rng) -> Any:
    """Normal, with a ROC-AUC of .95 between neighbouring classes."""
    return rng.normal(size=len(target)) + 2.3262 * target


def flipped(target: Any, rng: Rng) -> Any:
    """The class itself, wrong in 1 of 20: a ROC-AUC of .95."""
    return np.where(rng.random(len(target)) < 0.05, 1 - target, target)


def unique_ids(target: Any, rng: Rng) -> Any:
    """An identifier that never repeats."""
    return rng.permutation(len(target)).astype(str).astype(object)


def repeated_ids(target: Any, rng: Rng) -> Any:
    """An identifier with 4 rows each, that has nothing to do with the class."""
    return rng.permutation(len(target)) // 4


def copied(target: Any, rng: Rng) -> Any:
    return target.copy()


def noised(target: Any, rng: Rng) -> Any:
    return target + 0.1 * rng.normal(size=len(target))


def folded(target: Any, rng: Rng) -> Any:
    """The class is how far the feature is from 0."""
    return (target + rng.uniform(0.05, 0.95, len(target))) * rng.choice([-1, 1], len(target))


def coded(target: Any, rng: Rng) -> Any:
    """Each class has 5 codes of its own, mixed with those of the others."""
    return rng.permutation(5 * (target.max() + 1))[target * 5 + rng.integers(0, 5, len(target))]


def named(target: Any, rng: Rng) -> Any:
    """The same as texts."""
    return np.array([f"code {each}" for each in coded(target, rng)], dtype=object)


def absent(target: Any, rng: Rng) -> Any:
    """Missing where the class is the last one."""
    return np.where(target == target.max(), np.nan, rng.normal(size=len(target)))


# -- drift between two sets ------------------------------------------------------------------------------------------


def split(data: Any, change: Callable[[Any, Any, Rng], Any] | None, rng: Rng) -> Verdict:
    """A random split of real data, three quarters to one, or what a change makes of it."""
    inputs, target = data
    order = rng.permutation(len(target))
    cut = 3 * len(target) // 4
    train, test = ((inputs[rows], target[rows]) for rows in (order[:cut], order[cut:]))
    return SameDistribution().check(audit_distribution(train, test if change is None else change(*test, rng)))


def shifted(inputs: Any, target: Any, rng: Rng) -> Any:
    """The first feature that is not constant moves by a standard deviation."""
    moved = inputs.astype(np.float64)
    place = int(np.flatnonzero(moved.std(axis=0) > 0)[2])
    moved[:, place] += moved[:, place].std()
    return moved, target


def thinned(inputs: Any, target: Any, rng: Rng) -> Any:
    """Three quarters of one class are gone."""
    keep = (target != 0) | (rng.random(len(target)) < 0.25)
    return inputs[keep], target[keep]


# -- pipelines on shuffled labels ------------------------------------------------------------------------------------


def centroids(inputs: Any, target: Any, rows: Any) -> Any:
    """Scores of a nearest-centroid classifier that is trained on some rows, for all rows."""
    means = [inputs[rows][target[rows] == label].mean(axis=0) for label in (0, 1)]
    return inputs @ (means[1] - means[0])


def selecting(whole: bool, inputs: Any, target: Any) -> Evaluation:
    """The 10 features that differ most between the classes, of all rows or of the training rows; then centroids."""
    order = np.random.permutation(len(target))
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    rows = order if whole else train
    gaps = [inputs[rows][target[rows] == label].mean(axis=0) for label in (0, 1)]
    best = np.argsort(-np.abs(gaps[1] - gaps[0]))[:10]
    scores = centroids(inputs[:, best], target, train)[test]
    return Evaluation.from_predictions(target=target[test], preds=scores, outputs="logits")


def encoding(whole: bool, labels: bool, inputs: Any, target: Any) -> Evaluation:
    """A category with few rows each as its mean target, of all rows or of the training rows."""
    order = np.random.permutation(len(target))
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    rows = order if whole else train
    codes = inputs[:, 0].astype(int)
    sums = np.bincount(codes[rows], target[rows], minlength=codes.max() + 1)
    counts = np.bincount(codes[rows], minlength=codes.max() + 1)
    shares = (sums + target[rows].mean()) / (counts + 1)
    scores = shares[codes[test]]
    if labels:
        return Evaluation.from_predictions(
            target=target[test], preds=(scores > 0.5).astype(int), outputs="labels", labels=(0, 1)
        )
    return Evaluation.from_predictions(target=target[test], preds=scores, outputs="probabilities")


def folds(inputs: Any, target: Any) -> list[Evaluation]:
    """Centroids, cross-validated in 5 folds."""
    parts = np.array_split(np.random.permutation(len(target)), 5)
    found = []
    for part in parts:
        rows = np.setdiff1d(np.arange(len(target)), part)
        scores = centroids(inputs, target, rows)[part] - np.median(centroids(inputs, target, rows)[rows])
        found.append(
            Evaluation.from_predictions(target=target[part], preds=scores, outputs="logits", labels=("no", "yes"))
        )
    return found


def rare(inputs: Any, target: Any) -> Evaluation:
    """Labels alone of a rare class: the twentieth of the rows with the largest score is called positive."""
    order = np.random.permutation(len(target))
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    scores = centroids(inputs, target, train)[test]
    preds = (scores >= np.quantile(scores, 0.95)).astype(int)
    return Evaluation.from_predictions(target=target[test], preds=preds, outputs="labels", labels=(0, 1))


def regressing(whole: bool, inputs: Any, target: Any) -> Evaluation:
    """The feature that correlates most with the target, of all rows or of the training rows."""
    order = np.random.permutation(len(target))
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    rows = order if whole else train
    products = (inputs[rows] - inputs[rows].mean(axis=0)).T @ (target[rows] - target[rows].mean())
    best = np.argsort(-np.abs(products))[:10]
    return Evaluation.from_predictions(
        target=target[test], preds=inputs[test][:, best] @ products[best], outputs="values"
    )


def pipeline(train: Callable[[Any, Any], Any], share: float | None, n: int, d: int, rng: Rng) -> Verdict:
    """A pipeline on noise: a share of positives, or a regression; with one column it is a category of 3 rows each."""
    inputs = rng.normal(size=(n, d)) if d > 1 else rng.permutation(n)[:, None] // 3
    target = rng.normal(size=n) if share is None else (rng.permutation(n) < share * n).astype(int)
    audit = audit_shuffled_labels(train, inputs, target, seed=int(rng.integers(0, 2**31)))
    return ChanceOnShuffledLabels().check(audit)


# -- all of it -------------------------------------------------------------------------------------------------------


def scenarios() -> Iterator[tuple[str, str, bool, Draw]]:
    """The gate, a name, whether there is a fault, and how to draw a verdict."""
    for per_class in (30, 100, 500):
        yield "label leakage", f"honest .95, {per_class} a class", False, partial(by_label, honest, 2, per_class, 0)
    yield "label leakage", "honest .95, 3 classes of 50", False, partial(by_label, honest, 3, 50, 5)
    yield "label leakage", "right in .95, 100 a class", False, partial(by_label, flipped, 2, 100, 0)
    yield "label leakage", "unique ids, 200 a class", False, partial(by_label, unique_ids, 2, 200, 5)
    yield "label leakage", "ids of 4 rows, 200 a class", False, partial(by_label, repeated_ids, 2, 200, 5)
    yield "label leakage", "50 of noise, 10 a class", False, partial(by_label, repeated_ids, 2, 10, 50)
    for per_class, others in ((8, 0), (10, 10), (30, 30), (200, 20)):
        text = f"a copy, {per_class} a class among {others}"
        yield "label leakage", text, True, partial(by_label, copied, 2, per_class, others)
    for make in (noised, folded, coded, named):
        yield "label leakage", f"{make.__name__}, 3 classes of 100", True, partial(by_label, make, 3, 100, 10)
    yield "label leakage", "missing, 100 a class", True, partial(by_label, absent, 2, 100, 10)
    for name in ("digits", "breast_cancer", "wine"):
        data = getattr(datasets, f"load_{name}")(return_X_y=True)
        yield "distribution", f"{name}, random split", False, partial(split, data, None)
        yield "distribution", f"{name}, a feature moved", True, partial(split, data, shifted)
    data = datasets.load_breast_cancer(return_X_y=True)
    yield "distribution", "breast_cancer, a class thinned", True, partial(split, data, thinned)
    for whole in (False, True):
        text = "on all rows" if whole else "on training rows"
        select = partial(selecting, whole)
        yield "shuffled", f"selection {text}, 100 x 1000", whole, partial(pipeline, select, 0.5, 100, 1000)
        for labels in (False, True):
            kind = "labels" if labels else "scores"
            encode = partial(encoding, whole, labels)
            yield "shuffled", f"encoding {text}, {kind}, n = 300", whole, partial(pipeline, encode, 0.5, 300, 1)
        regress = partial(regressing, whole)
        yield "shuffled", f"regression {text}, 100 x 500", whole, partial(pipeline, regress, None, 100, 500)
    yield "shuffled", "5 folds, 100 x 20", False, partial(pipeline, folds, 0.5, 100, 20)
    yield "shuffled", "rare class, labels, 400 x 5", False, partial(pipeline, rare, 0.05, 400, 5)


def measure(runs: int, seed: int = 0, only: str = "") -> Iterator[Found]:
    """All scenarios whose gate or name holds `only`."""
    for gate, scenario, faulty, draw in scenarios():
        if only not in f"{gate}: {scenario}":
            continue
        verdicts = [draw(np.random.default_rng([seed, run])) for run in range(runs)]
        red = sum(not one.passed for one in verdicts) / runs
        fail = sum(one.outcome is Outcome.FAIL for one in verdicts) / runs
        yield Found(gate=gate, scenario=scenario, faulty=faulty, red=red, fail=fail, runs=runs)


if __name__ == "__main__":
    for row in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200, only=sys.argv[2] if len(sys.argv) > 2 else ""):
        kind = "fault" if row.faulty else "sound"
        print(
            f"{row.gate:14} {kind} {row.scenario:45} red {100 * row.red:5.1f}%  FAIL {100 * row.fail:5.1f}%", flush=True
        )
