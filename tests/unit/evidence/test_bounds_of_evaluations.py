"""What all bounds have in common: order, range and confidence, and that no order or cut of the samples matters."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from pytest_modelgate import Evaluation, Gate
from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.metrics.registry import METRICS

N = 180
KINDS = ("binary", "classes", "labels", "values")
DESIGNS = ("plain", "weights", "groups", "both")


def columns(kind):
    rng = np.random.default_rng(5)
    if kind == "values":
        target = rng.normal(size=N)
        return target, target + rng.normal(size=N) * 0.3, "values"
    if kind == "binary":
        target = rng.integers(0, 2, N)
        return target, np.clip(0.5 + 0.3 * (target - 0.5) + rng.normal(0, 0.25, N), 0.001, 0.999), "probabilities"
    target = rng.integers(0, 3, N)
    if kind == "labels":
        return target, np.where(rng.random(N) < 0.7, target, rng.integers(0, 3, N)), "labels"
    table = rng.normal(size=(N, 3))
    table[np.arange(N), target] += 1.5
    return target, table, "logits"


def design(name, n=N):
    rng = np.random.default_rng(6)
    weights, groups = rng.exponential(size=n), [f"patient {i // 4}" for i in range(n)]
    return {
        **({"weights": weights} if name in ("weights", "both") else {}),
        **({"groups": np.array(groups)} if name in ("groups", "both") else {}),
    }


def evaluation(kind, of="plain", rows=slice(None)):
    target, preds, outputs = columns(kind)
    given = {name: column[rows] for name, column in design(of).items()}
    labels = (0, 1, 2) if kind == "labels" else None
    return Evaluation.from_predictions(
        target=target[rows],
        preds=preds[rows],
        outputs=outputs,
        labels=labels,
        keep="scores",
        ids=np.arange(N)[rows],
        **given,
    )


def questions(kind):
    """Every metric that this kind of evidence answers, of a class and with each average."""
    for name, metric in METRICS.items():
        answered = {
            "binary": metric.needs in ("counts", "scores", "forecasts"),
            "classes": metric.needs in ("counts", "scores", "forecasts", "ranks"),
            "labels": metric.needs == "counts",
            "values": metric.needs == "errors",
        }[kind]
        if not answered:
            continue
        more = {"top_k_accuracy": {"k": 2}, "fbeta": {"beta": 2.0}}.get(name, {})
        yield name, {**more, **({"label": 1} if metric.averages else {})}
        for average in metric.averages:
            yield name, {**more, "average": average}


CASES = [(kind, of) for kind in KINDS for of in DESIGNS]


@pytest.mark.parametrize(("kind", "of"), CASES)
def test_no_order_no_cut_and_no_storing_matters(kind, of):
    whole = evaluation(kind, of)
    order = np.random.default_rng(1).permutation(N)
    others = [
        sum(evaluation(kind, of, rows) for rows in np.array_split(order, 4)),
        Evaluation.from_json(whole.to_json()),
    ]
    for name, asked in questions(kind):
        for other in others:
            assert other == whole
            assert other.measure(name, **asked) == whole.measure(name, **asked), name
            assert other.bounds(name, **asked) == whole.bounds(name, **asked), name


@pytest.mark.parametrize(("kind", "of"), CASES)
def test_bounds_hold_the_estimate_within_the_range_and_widen(kind, of):
    evidence = evaluation(kind, of)
    for name, asked in questions(kind):
        before = None
        found, metric = evidence.metric(name, **asked), METRICS[name]
        for confidence in (0.5, 0.95, 0.999):
            interval = evidence.bounds(name, **asked, confidence=confidence).interval
            assert interval is not None, (name, asked)
            lower, upper = interval
            assert metric.lowest <= lower <= found <= upper <= metric.highest, (name, asked, confidence)
            if before is not None:
                assert lower <= before.lower + 1e-12, (name, asked, confidence)
                assert upper >= before.upper - 1e-12, (name, asked, confidence)
            before = interval


@pytest.mark.parametrize("kind", KINDS)
def test_each_sample_a_group_of_its_own_is_nearly_none(kind):
    target, preds, outputs = columns(kind)
    plain = evaluation(kind)
    alone = Evaluation.from_predictions(target=target, preds=preds, outputs=outputs, keep="scores", groups=range(N))
    for name, asked in questions(kind):
        assert alone.metric(name, **asked) == plain.metric(name, **asked)
        ours, theirs = alone.interval(name, **asked), plain.interval(name, **asked)
        width = theirs.upper - theirs.lower  # of the median another method, the bootstrap
        assert ours == pytest.approx(theirs, abs=(0.5 if name == "median_error" else 0.12) * width), name


@pytest.mark.parametrize("kind", KINDS)
def test_one_group_proves_nothing(kind):
    target, preds, outputs = columns(kind)
    one = Evaluation.from_predictions(target=target, preds=preds, outputs=outputs, keep="scores", groups=["x"] * N)
    for name, asked in questions(kind):
        bounds = one.bounds(name, **asked)
        assert bounds.interval is None, name
        assert "one group" in bounds.why
        metric = METRICS[name]
        found = one.metric(name, **asked)
        bar = {"at_least": found - 0.1} if metric.higher_is_better else {"at_most": found + 0.1}
        parameters = {key: value for key, value in asked.items() if key not in ("label", "average")}
        rest = {key: value for key, value in asked.items() if key in ("label", "average")}
        gate = Gate(name, **bar, **rest, parameters=parameters, allow_vacuous=True, if_unsure="fail")
        verdict = gate.check(one)
        assert verdict.outcome.value == "INCONCLUSIVE", name
        assert not verdict.passed
        with pytest.raises(EvidenceError, match="has no bounds here"):
            one.interval(name, **asked)


def test_another_process_with_another_hash_seed():
    code = (
        "import sys, json; from pytest_modelgate import Evaluation as E; e = E.from_json(sys.stdin.read());"
        "print(json.dumps([e.bounds(n).interval for n in ('recall', 'f1', 'mcc', 'roc_auc', 'brier')]))"
    )
    evidence = evaluation("binary", "both")
    ours = json.dumps([evidence.bounds(name).interval for name in ("recall", "f1", "mcc", "roc_auc", "brier")])
    env = {"PYTHONHASHSEED": "77", "PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], input=evidence.to_json(), capture_output=True, text=True, check=True, env=env
    )
    assert ran.stdout.strip() == ours


@pytest.mark.parametrize("confidence", [0, 1, 95, float("nan")])
def test_a_confidence_that_is_none(confidence):
    with pytest.raises(BarError):
        evaluation("binary").interval("recall", confidence=confidence)


@pytest.mark.parametrize("of", DESIGNS)
def test_another_threshold_moves_the_classes_of_samples_too(of):
    moved = evaluation("binary", of).at_threshold(0.7)
    target, preds, outputs = columns("binary")
    fresh = Evaluation.from_predictions(
        target=target, preds=preds, outputs=outputs, threshold=0.7, ids=np.arange(N), **design(of)
    )
    assert moved == fresh
    for name in ("recall", "mcc", "f1"):
        assert moved.bounds(name) == fresh.bounds(name)


@pytest.mark.parametrize("name", ["ids", "groups", "weights"])
def test_parts_with_and_without_a_design_do_not_merge(name):
    target, preds, outputs = columns("binary")
    given = {"ids": range(N), "groups": range(N), "weights": np.ones(N)}[name]
    one = Evaluation.from_predictions(target=target, preds=preds, outputs=outputs, **{name: given})
    other = Evaluation.from_predictions(target=target, preds=preds, outputs=outputs)
    for parts in ((one, other), (other, one)):
        with pytest.raises(EvidenceError, match=f"with {name} and one without"):
            sum(parts)


@pytest.mark.parametrize("length", [0, N - 1, N + 1])
def test_groups_of_another_length(length):
    target, preds, outputs = columns("binary")
    with pytest.raises(EvidenceError, match=f"{length} groups for {N} samples"):
        Evaluation.from_predictions(target=target, preds=preds, outputs=outputs, groups=range(length))


def test_a_few_groups_are_remarked():
    target, preds, outputs = columns("binary")
    few = Evaluation.from_predictions(target=target, preds=preds, outputs=outputs, groups=np.arange(N) // 20)
    for name in ("recall", "mcc", "roc_auc"):
        assert any("groups are few" in remark for remark in few.bounds(name).remarks)
