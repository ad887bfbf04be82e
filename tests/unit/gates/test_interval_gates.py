"""Gates on every kind of metric: the word follows the bounds, the colour `if_unsure`; UNDEFINED is red."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pytest_modelgate as mg
from pytest_modelgate import ConfusionMatrix, Evaluation, Gate, Outcome, custom_metric
from pytest_modelgate.metrics.registry import METRICS

N = 200
draw = np.random.default_rng(4)
TARGET = np.arange(N) % 2
TARGET3 = np.arange(N) % 3
PREDS = np.clip(0.3 + 0.4 * TARGET + draw.normal(0, 0.3, N), 0.001, 0.999)
PREDS3 = 0.5 * np.eye(3)[TARGET3] + 0.5 * draw.dirichlet(np.ones(3), N)
TRUTH = draw.normal(size=N)
TARGETS = np.stack([TARGET, TARGET3 > 0], axis=1)
PREDS2 = np.clip(0.3 + 0.4 * TARGETS + np.random.default_rng(5).normal(0, 0.3, (N, 2)), 0.001, 0.999)
DESIGNS: dict[str, dict[str, Any]] = {
    "alike": {},
    "groups": {"groups": np.arange(N) // 5},
    "weights": {"weights": draw.exponential(size=N)},
}


def evidence(kind: str, **design: Any) -> Evaluation:
    made = {
        "binary": {"target": TARGET, "preds": PREDS, "outputs": "probabilities"},
        "three": {"target": TARGET3, "preds": PREDS3, "outputs": "probabilities", "keep": "scores"},
        "labels": {"target": TARGETS, "preds": PREDS2, "outputs": "probabilities", "task": "multilabel"},
        "values": {"target": TRUTH, "preds": TRUTH + draw.normal(0, 0.5, N), "outputs": "values"},
    }
    return Evaluation.from_predictions(**made[kind], **design)


def with_loss() -> Evaluation:
    import torch

    scores = np.log(PREDS3).astype(np.float32)
    return mg.evaluate(torch.nn.Identity(), (scores, TARGET3), outputs="logits", loss=torch.nn.functional.cross_entropy)


COST = custom_metric(
    lambda t: (5 * t[1, 0] + t[0, 1]) / t.sum(), name="cost", lowest=0, highest=5, higher_is_better=False
)
GAP = custom_metric(
    lambda t, s: float(np.mean(s[t == 1]) - np.mean(s[t == 0])), of="scores", name="gap", lowest=-1, highest=1
)
OF_VALUES = ("mae", "rmse", "r2", "median_error")
CASES: list[tuple[Any, str, dict[str, Any]]] = [
    *((name, "binary", {}) for name in METRICS if name not in (*OF_VALUES, "loss", "top_k_accuracy", "exact_match")),
    *((name, "three", {"average": "macro"}) for name in ("recall", "precision", "f1", "roc_auc")),
    ("f1", "three", {"average": "weighted"}),
    ("top_k_accuracy", "three", {"parameters": {"k": 2}}),
    *((name, "values", {}) for name in OF_VALUES),
    ("exact_match", "labels", {}),
    *((name, "labels", {"label": 1}) for name in ("recall", "f1", "roc_auc", "brier", "mcc")),
    *((name, "labels", {"average": "macro"}) for name in ("recall", "precision", "f1", "roc_auc")),
    *((name, "labels", {"average": "micro"}) for name in ("recall", "precision", "f1", "specificity")),
    (COST, "binary", {}),
    (GAP, "binary", {}),
]
IDENTITY = [f"{name if isinstance(name, str) else name.name} of {kind} {more or ''}" for name, kind, more in CASES]


def judged(metric: Any, found: Evaluation, bar: float, direction: str, **more: Any) -> mg.Verdict:
    return Gate(metric, allow_vacuous=True, **{direction: bar}, **more).check(found)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize(("metric", "kind", "more"), CASES, ids=IDENTITY)
def test_words_and_colours(metric: Any, kind: str, more: dict[str, Any], design: str) -> None:
    if metric is GAP and design == "weights":
        pytest.skip("a custom metric of scores knows no weights")
    if metric is COST and design == "groups":
        pytest.skip("a custom metric of counts has no bounds for groups")
    found = evidence(kind, **DESIGNS[design])
    entry = METRICS.get(metric, metric) if isinstance(metric, str) else metric
    first = judged(metric, found, entry.highest if np.isfinite(entry.highest) else 1e6, "at_most", **more)
    assert first.lower is not None
    assert first.upper is not None
    assert first.estimate is not None
    assert first.lower <= first.estimate <= first.upper
    assert first.lower < first.upper
    width = first.upper - first.lower
    marks = [first.lower - width, (first.lower + first.estimate) / 2, (first.upper + first.estimate) / 2]
    for bar in [mark for mark in (*marks, first.upper + width) if entry.lowest <= mark <= entry.highest]:
        for direction in ("at_least", "at_most"):
            higher = direction == "at_least"
            proved = first.lower >= bar if higher else first.upper <= bar
            refuted = first.upper < bar if higher else first.lower > bar
            word = Outcome.PASS if proved else Outcome.FAIL if refuted else Outcome.INCONCLUSIVE
            meets = first.estimate >= bar if higher else first.estimate <= bar
            colours = {"estimate": meets, "fail": False, "warn": True}
            for if_unsure, colour in colours.items():
                verdict = judged(metric, found, bar, direction, if_unsure=if_unsure, **more)
                assert verdict.outcome is word
                assert verdict.passed == (colour if word is Outcome.INCONCLUSIVE else word is Outcome.PASS)
                assert verdict.family is None
            leans = f"INCONCLUSIVE (leans {'pass' if meets else 'fail'}): "
            assert verdict.explanation.startswith(leans if word is Outcome.INCONCLUSIVE else f"{word}: ")
            assert "the data allow" in str(verdict)
            assert (verdict.would_settle() != ()) == (word is Outcome.INCONCLUSIVE)
            assert mg.Verdict.from_json(verdict.to_json()) == verdict
            plain(verdict.to_dict())


def plain(value: object) -> None:
    """Only types that JSON has: no NumPy numbers."""
    if isinstance(value, (dict, list, tuple)):
        for item in value.items() if isinstance(value, dict) else value:
            plain(item)
    else:
        assert value is None or type(value) in (bool, int, float, str), (value, type(value))


def test_a_loss() -> None:
    found = with_loss()
    verdict = judged("loss", found, 1.0, "at_most")
    assert verdict.outcome is Outcome.PASS
    assert verdict.lower < found.loss < verdict.upper  # type: ignore[operator]
    plain(verdict.to_dict())


ONE_CLASS = Evaluation.from_predictions(target=np.zeros(60, dtype=int), preds=PREDS[:60], outputs="probabilities")
SAME_TRUTH = Evaluation.from_predictions(target=np.ones(60), preds=TRUTH[:60], outputs="values")


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        ("recall", ONE_CLASS),
        ("roc_auc", ONE_CLASS),
        ("average_precision", ONE_CLASS),
        ("mcc", ONE_CLASS),
        ("r2", SAME_TRUTH),
        (custom_metric(lambda table: None, name="nothing"), ONE_CLASS),
        (custom_metric(lambda table: float("nan"), name="nan"), ONE_CLASS),
    ],
)
def test_what_is_undefined_is_red_whatever_is_unsure(metric: Any, found: Evaluation) -> None:
    for if_unsure in ("estimate", "fail", "warn"):
        verdict = Gate(metric, at_least=0, if_unsure=if_unsure).check(found)
        assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
        assert (verdict.lower, verdict.upper, verdict.method, verdict.would_settle()) == (None, None, None, ())
        assert "cannot be judged" in verdict.explanation
        plain(verdict.to_dict())


@pytest.mark.parametrize("name", ["accuracy", "recall", "precision", "specificity"])
def test_copies_in_groups_prove_no_more(name: str) -> None:
    """Ten photographs of each patient: the counts grow tenfold, and what they prove does not."""
    target, preds = np.arange(60) % 2, np.arange(60) % 2
    preds = np.where(np.arange(60) % 12 == 0, 1 - preds, preds)
    preds = np.where(np.arange(60) % 13 == 0, 1 - preds, preds)
    copies = Evaluation.from_predictions(
        target=np.repeat(target, 10), preds=np.repeat(preds, 10), outputs="labels", groups=np.repeat(np.arange(60), 10)
    )
    single = Evaluation.from_predictions(target=target, preds=preds, outputs="labels")
    bar = single.metric(name) - 0.05  # type: ignore[operator]
    assert Gate(name, at_least=bar).check(single).outcome is Outcome.INCONCLUSIVE
    assert Gate(name, at_least=bar).check(copies).outcome is Outcome.INCONCLUSIVE
    blind = Evaluation.from_predictions(target=np.repeat(target, 10), preds=np.repeat(preds, 10), outputs="labels")
    assert Gate(name, at_least=bar).check(blind).outcome is Outcome.PASS


@pytest.mark.parametrize("name", ["accuracy", "recall", "f1", "mcc", "roc_auc"])
def test_one_group_proves_nothing(name: str) -> None:
    found = evidence("binary", groups=np.zeros(N, dtype=int))
    for bar in (0.05, 0.99):
        verdict = Gate(name, at_least=bar, if_unsure="fail", allow_vacuous=True).check(found)
        assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, False)
        assert "no bounds: " in str(verdict)
        assert "one group" in str(verdict)


CONSTANT = ConfusionMatrix([[0, 10], [0, 190]], labels=("ok", "fraud"))


@pytest.mark.parametrize(
    ("metric", "bar"),
    [("recall", 0.9), ("f1", 0.9), ("jaccard", 0.9), ("precision", 0.9)],
)
def test_a_constant_answer_never_passes(metric: str, bar: float) -> None:
    """190 of 200 samples are positive, and the model always says so: recall 1, F1 .974, proved, and worth nothing."""
    verdict = Gate(metric, at_least=bar, if_unsure="warn").check(CONSTANT)
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert "but all 200 predictions are 'fraud'" in verdict.explanation
    assert verdict.explanation.startswith("UNDEFINED")
    assert "allow_vacuous=True" in str(verdict)
    assert Gate(metric, at_least=bar, allow_vacuous=True).check(CONSTANT).outcome is Outcome.PASS


def test_a_constant_answer_still_fails() -> None:
    verdict = Gate("recall", at_least=0.9, label="ok").check(CONSTANT)
    assert verdict.outcome is Outcome.FAIL


def test_one_class_never_passes_what_needs_two() -> None:
    """Only positive samples: any model has precision 1. Their recall may be judged."""
    alone = ConfusionMatrix([[0, 0], [10, 190]], labels=("ok", "fraud"))
    verdict = Gate("precision", at_least=0.9).check(alone)
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert "but all 200 samples are 'fraud'" in verdict.explanation
    assert Gate("recall", at_least=0.9).check(alone).outcome is Outcome.PASS
    flawless = ConfusionMatrix([[0, 0], [0, 29]], labels=("ok", "fraud"))
    assert Gate("recall", at_least=0.9).check(flawless).outcome is Outcome.PASS


def test_constant_scores_and_values_never_pass() -> None:
    rare = Evaluation.from_predictions(target=[1] * 4 + [0] * 96, preds=[0.04] * 100, outputs="probabilities")
    for metric in ("brier", "calibration_error"):
        verdict = Gate(metric, at_most=0.5).check(rare)
        assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
        assert "all 100 scores are alike" in verdict.explanation
    flat = Evaluation.from_predictions(target=np.linspace(0, 1, 100), preds=[0.5] * 100, outputs="values")
    assert Gate("mae", at_most=0.9).check(flat).outcome is Outcome.UNDEFINED
    assert Gate("mae", at_most=0.1).check(flat).outcome is Outcome.FAIL


def test_what_is_not_finite_never_passes() -> None:
    huge = Evaluation.from_predictions(target=[1e300, -1e300] * 50, preds=[-1e300, 1e300] * 50, outputs="values")
    for metric, bar in (("r2", {"at_least": 0.5}), ("rmse", {"at_most": 1e9})):
        verdict = Gate(metric, if_unsure="warn", **bar).check(huge)
        assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
        verdict.to_json()
