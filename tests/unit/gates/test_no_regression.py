"""Against a baseline: what is proved, what is red, and what is no comparison at all."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pytest_modelgate as mg
from pytest_modelgate import BarError, Evaluation, EvidenceError, GateFailure, MetricError, NoRegression, Outcome

N = 400
draw = np.random.default_rng(5)
IDS = [f"s{i}" for i in range(N)]
TARGET = draw.integers(0, 2, N)
TARGET3 = draw.integers(0, 3, N)
TRUTH = draw.normal(size=N)
UNSURE = ["estimate", "fail", "warn"]


def binary(right: float, seed: int, ids: Any = IDS, target: Any = TARGET, **more: Any) -> Evaluation:
    """A model whose scores are noise around a share of the truth."""
    noise = np.random.default_rng(seed).random(len(target))
    preds = right * np.asarray(target) + (1 - right) * noise
    return Evaluation.from_predictions(
        target=target, preds=preds, outputs="probabilities", labels=("ok", "fraud"), ids=ids, **more
    )


def three(right: float, seed: int) -> Evaluation:
    noise = np.random.default_rng(seed).dirichlet(np.ones(3), N)
    preds = right * np.eye(3)[TARGET3] + (1 - right) * noise
    return Evaluation.from_predictions(target=TARGET3, preds=preds, outputs="probabilities", ids=IDS, keep="scores")


def values(right: float, seed: int) -> Evaluation:
    noise = np.random.default_rng(seed).normal(size=N)
    preds = TRUTH + (1 - right) * noise
    return Evaluation.from_predictions(target=TRUTH, preds=preds, outputs="values", ids=IDS)


def with_loss(right: float, seed: int, loss: Any = "cross_entropy", **more: Any) -> Evaluation:
    noise = np.random.default_rng(seed).dirichlet(np.ones(3), N)
    logits = np.log(right * np.eye(3)[TARGET3] + (1 - right) * noise).astype(np.float32)
    more.setdefault("ids", IDS)
    return mg.evaluate(
        torch.nn.Identity(), (logits, TARGET3), outputs="logits", loss=getattr(torch.nn.functional, loss), **more
    )


CASES: list[tuple[str, Any, dict[str, Any]]] = [
    *((name, binary, {}) for name in ("accuracy", "recall", "specificity", "precision", "f1", "mcc", "jaccard")),
    *((name, binary, {}) for name in ("balanced_accuracy", "cohen_kappa", "negative_predictive_value")),
    *((name, binary, {}) for name in ("false_negative_rate", "false_positive_rate", "roc_auc", "average_precision")),
    *((name, binary, {}) for name in ("log_loss", "brier")),
    ("recall", binary, {"label": "ok"}),
    ("fbeta", binary, {"beta": 2}),
    ("f1", three, {"average": "macro"}),
    ("recall", three, {"average": "weighted"}),
    ("precision", three, {"average": "micro"}),
    ("recall", three, {"label": 2}),
    ("top_k_accuracy", three, {"k": 2}),
    ("roc_auc", three, {"label": 1}),
    ("brier", three, {}),
    ("log_loss", three, {}),
    *((name, values, {}) for name in ("mae", "rmse", "r2")),
    ("loss", with_loss, {}),
]
IDENTITY = [f"{name} of {make.__name__}" + "".join(f" {v}" for v in more.values()) for name, make, more in CASES]


@pytest.mark.parametrize(("name", "make", "more"), CASES, ids=IDENTITY)
class TestEveryMetric:
    def test_a_clear_drop_is_red(self, name: str, make: Any, more: Any) -> None:
        new, old = make(0.05, 1), make(0.55, 2)
        for if_unsure in UNSURE:
            with pytest.raises(GateFailure) as caught:
                mg.assert_no_regression(new, old, name, if_unsure=if_unsure, **more)
            verdict = caught.value.verdict
            assert verdict.outcome is Outcome.FAIL
            assert "drop allowed" in str(verdict) or "rise allowed" in str(verdict)
        at_least = verdict.direction == "at_least"
        assert verdict.upper < 0 if at_least else verdict.lower > 0

    def test_a_clear_gain_passes(self, name: str, make: Any, more: Any) -> None:
        verdict = mg.assert_no_regression(make(0.55, 1), make(0.05, 2), name, if_unsure="fail", **more)
        assert verdict.outcome is Outcome.PASS
        assert verdict.lower >= 0 if verdict.direction == "at_least" else verdict.upper <= 0

    def test_the_same_model_again(self, name: str, make: Any, more: Any) -> None:
        one = make(0.2, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # identical decisions: nothing to warn of
            for if_unsure in ("estimate", "warn"):
                verdict = mg.assert_no_regression(one, one, name, if_unsure=if_unsure, **more)
                assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, True)
                assert verdict.estimate == 0
        with pytest.raises(GateFailure, match="no difference") as caught:
            mg.assert_no_regression(one, one, name, if_unsure="fail", **more)
        assert caught.value.verdict.outcome is Outcome.INCONCLUSIVE
        assert "takes nothing but proof" in str(caught.value)

    def test_a_margin_moves_the_bar(self, name: str, make: Any, more: Any) -> None:
        new, old = make(0.3, 1), make(0.3, 2)
        wide = mg.assert_no_regression(new, old, name, 0.9, **more)
        assert wide.outcome is Outcome.PASS
        assert abs(wide.bar) == 0.9
        near = NoRegression(name, 0.05, **split(more)).check(new, old)
        none = NoRegression(name, **split(more)).check(new, old)
        order = [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS]
        assert order.index(near.outcome) >= order.index(none.outcome)

    def test_the_verdict_is_plain_and_comes_back(self, name: str, make: Any, more: Any) -> None:
        verdict = NoRegression(name, 0.01, **split(more)).check(make(0.3, 1), make(0.35, 2))
        assert mg.Verdict.from_json(verdict.to_json()) == verdict
        holds_plain_types(verdict.to_dict())
        assert verdict.family is None
        assert verdict.estimate is not None
        if verdict.lower is not None:
            assert verdict.lower <= verdict.estimate <= verdict.upper
            at_least = verdict.direction == "at_least"
            proved = verdict.lower >= verdict.bar if at_least else verdict.upper <= verdict.bar
            refuted = verdict.upper < verdict.bar if at_least else verdict.lower > verdict.bar
            word = Outcome.PASS if proved else Outcome.FAIL if refuted else Outcome.INCONCLUSIVE
            assert verdict.outcome is word


def split(more: dict[str, Any]) -> dict[str, Any]:
    """Keywords of a helper as those of a gate."""
    known = {name: value for name, value in more.items() if name in ("label", "average")}
    return known | {"parameters": {name: value for name, value in more.items() if name not in known}}


def holds_plain_types(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is str
            holds_plain_types(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            holds_plain_types(item)
    else:
        assert value is None or type(value) in (bool, int, float, str), (value, type(value))


GOOD = binary(0.4, 1)
OTHERS = {
    "no ids here": (binary(0.6, 1, ids=None), GOOD),
    "no ids there": (GOOD, binary(0.2, 1, ids=None)),
    "a confusion matrix": (GOOD.confusion_matrix, GOOD),
    "other ids": (binary(0.6, 1, ids=range(N)), GOOD),
    "some missing": (binary(0.6, 1, ids=IDS[:300], target=TARGET[:300]), GOOD),
    "changed labels": (binary(0.6, 1, target=np.r_[1 - TARGET[:1], TARGET[1:]]), GOOD),
    "duplicated ids": (binary(0.6, 1, ids=["s0"] * N), binary(0.2, 2, ids=["s0"] * N)),
    "other weights": (binary(0.6, 1, weights=np.ones(N)), GOOD),
}


@pytest.mark.parametrize("name", ["accuracy", "recall", "f1", "roc_auc", "brier"])
@pytest.mark.parametrize("case", OTHERS)
@pytest.mark.parametrize("if_unsure", UNSURE)
def test_other_samples_are_red_and_said(name: str, case: str, if_unsure: str) -> None:
    """The candidate is far better, and yet nothing is proved."""
    evidence, baseline = OTHERS[case]
    if case == "a confusion matrix" and name in ("roc_auc", "brier"):
        pytest.skip("a matrix has no scores")
    with pytest.raises(GateFailure, match="not compared pair by pair") as caught:
        mg.assert_no_regression(evidence, baseline, name, 0.1, if_unsure=if_unsure)
    verdict = caught.value.verdict
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, False)
    assert (verdict.lower, verdict.upper, verdict.method) == (None, None, None)
    assert verdict.would_settle() == ()
    assert re.search("no ids|not the same samples|the same ids|an id stands for|only this evaluation", str(verdict))


def test_a_drop_that_chance_explains_is_green_and_warned_of_where_asked() -> None:
    rows = np.arange(60)
    target, ids = TARGET[rows], [IDS[i] for i in rows]
    right = target.copy()
    right[:3] = 1 - right[:3]
    new = Evaluation.from_predictions(target=target, preds=right, outputs="labels", ids=ids, labels=(0, 1))
    old = Evaluation.from_predictions(target=target, preds=target, outputs="labels", ids=ids, labels=(0, 1))
    assert mg.assert_no_regression(new, old, "accuracy").outcome is Outcome.INCONCLUSIVE
    with pytest.warns(mg.ModelgateWarning, match=r"leans fail.*accuracy = 0.950, baseline 1.000: -0.050, no drop"):
        assert mg.assert_no_regression(new, old, "accuracy", if_unsure="warn").passed
    with pytest.warns(mg.ModelgateWarning, match="leans pass"):  # a drop within the margin is a drop that is not proved
        assert mg.assert_no_regression(new, old, "accuracy", 0.06, if_unsure="warn").passed
    with pytest.raises(GateFailure):
        mg.assert_no_regression(new, old, "accuracy", if_unsure="fail")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mg.assert_no_regression(old, new, "accuracy", if_unsure="warn").outcome is Outcome.INCONCLUSIVE
    assert mg.assert_no_regression(old, new, "false_negative_rate", if_unsure="warn").passed


def test_the_message_says_what_was_seen_and_how_decisions_moved() -> None:
    target, old = np.ones(100, dtype=int), np.ones(100, dtype=int)
    new = old.copy()
    new[:9], old[99] = 0, 0
    both = [
        Evaluation.from_predictions(target=target, preds=p, outputs="labels", labels=("ok", "very bad"), ids=range(100))
        for p in (new, old)
    ]
    verdict = NoRegression("recall").check(*both)
    assert str(verdict).splitlines() == [
        "FAIL: recall of 'very bad' = 0.910, baseline 0.990: -0.080, no drop allowed",
        f"  the data allow {verdict.lower:.3f} to {verdict.upper:.3f} "
        "(95% each way, McNemar mid-p, bounds after Tango)",
        "  10 of 100 decisions changed: 1 fix, 9 breaks",
    ]
    assert verdict.gate == "no_regression(recall[very bad], margin=0)"
    assert verdict.details == (("changed", 10), ("fixes", 1), ("breaks", 9), ("of", 100))
    assert (verdict.support, verdict.bar, verdict.direction) == (100, 0, "at_least")
    assert NoRegression("fbeta", 0.02, parameters={"beta": 2}).check(*both).gate == (
        "no_regression(fbeta(beta=2)[very bad], margin=0.02)"
    )


@pytest.mark.parametrize(
    ("margin", "says"),
    [
        (-0.01, "0 or more"),
        (float("nan"), "0 or more"),
        (float("inf"), "0 or more"),
        ("0.1", "0 or more"),
        (True, "0 or more"),
        (None, "0 or more"),
        (1, "was 0.01 meant"),
        (5, "was 0.05 meant"),
    ],
)
def test_a_margin_that_is_none(margin: Any, says: str) -> None:
    with pytest.raises(BarError, match=says):
        mg.assert_no_regression(GOOD, GOOD, "accuracy", margin)


def test_margins_are_in_the_metrics_units() -> None:
    assert NoRegression("loss", 5).margin == 5
    assert NoRegression("mcc", 1).margin == 1
    assert NoRegression("accuracy", np.float64(0.5)).margin == 0.5
    assert type(NoRegression("accuracy", np.float64(0.5)).margin) is float


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: mg.assert_no_regression(GOOD, 0.9, "accuracy"), EvidenceError, "must be an Evaluation, not float"),
        (lambda: mg.assert_no_regression(GOOD, None, "accuracy"), EvidenceError, "must be an Evaluation"),
        (lambda: mg.assert_no_regression(GOOD, GOOD.confusion_matrix, "accuracy"), EvidenceError, "ConfusionMatrix"),
        (lambda: mg.assert_no_regression(0.9, GOOD, "accuracy"), EvidenceError, "judges an Evaluation"),
        (lambda: mg.assert_no_regression(GOOD, three(0.3, 1), "accuracy"), EvidenceError, "different task"),
        (lambda: mg.assert_no_regression(GOOD, values(0.3, 1), "accuracy"), EvidenceError, "different task"),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "calibration_error"), MetricError, "these can: accuracy"),
        (lambda: mg.assert_no_regression(values(0, 1), values(0, 1), "median_error"), MetricError, "these can"),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "recal"), MetricError, "recall"),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "recall", label="fruad"), MetricError, "fraud"),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "recall", average="makro"), MetricError, "macro"),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "accuracy", beta=2), MetricError, "takes no parameter"),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "accuracy", bar=0.9), MetricError, "takes no bar="),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "accuracy", confidence=95), BarError, "0.95"),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "accuracy", if_unsure="wran"), BarError, "warn"),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "loss"), EvidenceError, "no loss was measured"),
        (lambda: mg.assert_no_regression(GOOD, GOOD, "mae"), EvidenceError, "values"),
        (lambda: mg.assert_no_regression(THREE, THREE, "roc_auc", average="macro"), MetricError, "label="),
        (lambda: mg.assert_no_regression(with_loss(0.3, 1), OTHER_LOSS, "loss"), EvidenceError, "different kinds"),
    ],
)  # fmt: skip
def test_wrong_use(wrong: Any, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        wrong()


THREE = three(0.3, 1)
OTHER_LOSS = with_loss(0.3, 1, "multi_margin_loss")


def test_losses_of_other_class_weights_are_no_pairs() -> None:
    noise = np.random.default_rng(0).dirichlet(np.ones(3), N)
    logits = np.log(noise).astype(np.float32)

    def found(weight: Any, name: str | None = None) -> Evaluation:
        loss = torch.nn.CrossEntropyLoss(weight=torch.tensor(weight))
        one = mg.evaluate(torch.nn.Identity(), (logits, TARGET3), outputs="logits", loss=loss, ids=IDS)
        assert one.mean_loss is not None
        return one if name is None else replace(one, mean_loss=replace(one.mean_loss, name=name))

    assert NoRegression("loss").check(found([1.0, 2.0, 3.0]), found([1.0, 2.0, 3.0])).estimate == 0
    with pytest.raises(EvidenceError, match="different kinds"):
        NoRegression("loss").check(found([1.0, 2.0, 3.0]), found([3.0, 2.0, 1.0]))
    with pytest.raises(EvidenceError, match="class weights"):
        NoRegression("loss").check(found([1.0, 2.0, 3.0], "mine"), found([3.0, 2.0, 1.0], "mine"))


def test_ids_by_content() -> None:
    inputs, target = draw.normal(size=(N, 4)).astype(np.float32), TARGET3
    first, second = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    mixed = draw.permutation(N)
    new = mg.evaluate(first, (inputs, target), outputs="logits", ids="content")
    old = mg.evaluate(second, (inputs[mixed], target[mixed]), outputs="logits", ids="content")
    assert NoRegression("accuracy", 0.9).check(new, old).outcome is Outcome.PASS
    changed = inputs.copy()
    changed[0, 0] += 1
    other = mg.evaluate(second, (changed, target), outputs="logits", ids="content")
    assert not NoRegression("accuracy", 0.9).check(new, other).passed


@pytest.mark.parametrize("which", ["candidate", "baseline"])
def test_what_is_undefined_is_red(which: str) -> None:
    nothing = Evaluation.from_predictions(
        target=TARGET, preds=np.zeros(N, dtype=int), outputs="labels", labels=("ok", "fraud"), ids=IDS
    )
    some = Evaluation.from_predictions(target=TARGET, preds=TARGET, outputs="labels", labels=("ok", "fraud"), ids=IDS)
    pair = (nothing, some) if which == "candidate" else (some, nothing)
    for if_unsure in UNSURE:
        verdict = NoRegression("precision", if_unsure=if_unsure).check(*pair)
        assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
    whose = "" if which == "candidate" else "the baseline's "
    assert verdict.explanation.startswith(f"UNDEFINED: {whose}precision of 'fraud' cannot be judged: ")
    assert verdict.notes == ("where there is nothing to judge a gate never passes",)


def test_groups_and_weights_in_both() -> None:
    groups, weights = np.arange(N) // 10, draw.exponential(size=N)
    more = {"groups": groups, "weights": weights}
    for name in ("accuracy", "recall", "f1", "mcc", "roc_auc", "average_precision", "brier", "log_loss"):
        assert NoRegression(name).check(binary(0.05, 1, **more), binary(0.55, 2, **more)).outcome is Outcome.FAIL
        assert NoRegression(name).check(binary(0.55, 1, **more), binary(0.05, 2, **more)).outcome is Outcome.PASS
        same = NoRegression(name).check(GOOD_IN_GROUPS, GOOD_IN_GROUPS)
        assert (same.outcome, same.passed) == (Outcome.INCONCLUSIVE, True)


GOOD_IN_GROUPS = binary(0.2, 1, groups=np.arange(N) // 10)


def test_one_group_is_no_comparison() -> None:
    """All of one patient: nothing is known of another, however clear the drop."""
    one = {"groups": np.zeros(N, dtype=int)}
    for name in ("accuracy", "f1", "roc_auc", "log_loss"):
        verdict = NoRegression(name, if_unsure="fail").check(binary(0.55, 1, **one), binary(0.05, 2, **one))
        assert verdict.outcome is not Outcome.PASS, name
        assert not verdict.passed


@given(
    rows=st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1, max_size=60),
    name=st.sampled_from(["accuracy", "recall", "precision", "f1", "mcc", "false_negative_rate"]),
    margin=st.sampled_from([0.0, 0.02, 0.3]),
    if_unsure=st.sampled_from(UNSURE),
    random=st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=80)
def test_laws(rows: list[tuple[int, int, int]], name: str, margin: float, if_unsure: str, random: Any) -> None:
    """Any order, the same verdict; swapped models, the difference with the other sign; colours as documented."""
    order = list(range(len(rows)))
    random.shuffle(order)
    kind: dict[str, Any] = {"outputs": "labels", "labels": ("ok", "fraud")}
    new, old = (
        Evaluation.from_predictions(
            target=[r[0] for r in rows], preds=[r[i] for r in rows], ids=range(len(rows)), **kind
        )
        for i in (1, 2)
    )
    mixed = Evaluation.from_predictions(
        target=[rows[i][0] for i in order], preds=[rows[i][2] for i in order], ids=order, **kind
    )
    gate = NoRegression(name, margin, if_unsure=if_unsure)
    verdict = gate.check(new, old)
    assert gate.check(new, mixed) == verdict
    if verdict.outcome is Outcome.UNDEFINED:
        assert not verdict.passed
        return
    expected = verdict.outcome is Outcome.PASS or (verdict.outcome is Outcome.INCONCLUSIVE and if_unsure != "fail")
    assert verdict.passed == expected
    back = gate.check(old, new)
    assert back.estimate == -verdict.estimate  # type: ignore[operator]
    if margin == 0:
        swapped = {Outcome.PASS: Outcome.FAIL, Outcome.FAIL: Outcome.PASS}
        assert back.outcome is swapped.get(verdict.outcome, verdict.outcome)
    json.loads(verdict.to_json())


def test_the_fixes_and_breaks_of_a_class_are_told_apart_from_all() -> None:
    """Of 100 positives 1 is found that was missed and 9 are missed that were found; 3 negatives changed besides."""
    target = np.repeat([0, 1], 100)
    old, new = target.copy(), target.copy()
    old[199], new[100:109], new[:3] = 0, 0, 1
    both = [
        Evaluation.from_predictions(target=target, preds=preds, outputs="labels", labels=("ok", "bad"), ids=range(200))
        for preds in (new, old)
    ]
    text = str(NoRegression("recall").check(*both))
    assert "of the 100 samples that count: 1 fix, 9 breaks" in text
    assert "13 of 200 decisions changed: 1 fix, 12 breaks" in text
    assert "samples that count" not in str(NoRegression("accuracy").check(*both))
