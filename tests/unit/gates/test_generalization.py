"""The gap between training and test data: its sign, its bounds, and what may not be compared."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import pytest_modelgate as mg
from pytest_modelgate import ConfusionMatrix, Evaluation, EvidenceError, Gate, MetricError, Outcome, Verdict
from pytest_modelgate.gates.generalization import GeneralizationGap
from pytest_modelgate.metrics.losses import MeanLoss


def matrix(tp: int, fn: int, fp: int = 5, tn: int = 95) -> ConfusionMatrix:
    return ConfusionMatrix.from_counts(tp=tp, fp=fp, fn=fn, tn=tn, labels=("ok", "fraud"))


def scored(seed: int, n: int = 300, skill: float = 0.6, **more: Any) -> Evaluation:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, n)
    preds = np.clip(0.5 + (2 * target - 1) * skill * rng.random(n) + 0.3 * rng.normal(size=n), 0.01, 0.99)
    return Evaluation.from_predictions(
        target=target, preds=preds, outputs="probabilities", labels=("ok", "fraud"), **more
    )


def measured(seed: int, noise: float, n: int = 300, **more: Any) -> Evaluation:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=n)
    return Evaluation.from_predictions(
        target=target, preds=target + noise * rng.normal(size=n), outputs="values", **more
    )


def test_recall_by_hand() -> None:
    """495 of 500 against 41 of 50: the sides that count are Clopper and Pearson's, added as squares."""
    verdict = GeneralizationGap("recall", 0.05).check(matrix(495, 5), matrix(41, 9))
    train, test = (stats.binomtest(k, n).proportion_ci(0.9, method="exact") for k, n in ((495, 500), (41, 50)))
    assert verdict.estimate == pytest.approx(0.99 - 0.82, abs=1e-12)
    assert verdict.lower == pytest.approx(0.17 - math.hypot(0.99 - train.low, test.high - 0.82), abs=1e-9)
    assert verdict.upper == pytest.approx(0.17 + math.hypot(train.high - 0.99, 0.82 - test.low), abs=1e-9)
    assert (verdict.outcome, verdict.passed, verdict.bar, verdict.direction) == (Outcome.FAIL, False, 0.05, "at_most")
    assert verdict.gate == "generalization_gap(recall[fraud]) <= 0.05"
    assert (verdict.metric, verdict.label, verdict.support) == ("recall", "fraud", 50)
    assert verdict.details == (("train", 0.99), ("test", 0.82))
    assert verdict.explanation == (
        "FAIL: gap of recall of 'fraud' = 0.170 (train 0.990, test 0.820), required <= 0.050"
    )
    assert verdict.method == "MOVER on Clopper-Pearson"
    assert Verdict.from_json(verdict.to_json()) == verdict
    surer = GeneralizationGap("recall", 0.05, confidence=0.99).check(matrix(495, 5), matrix(41, 9))
    test = stats.binomtest(41, 50).proportion_ci(0.98, method="exact")
    assert surer.upper == pytest.approx(0.17 + math.hypot(0.01, 0.82 - test.low), abs=2e-4)


@pytest.mark.parametrize(
    ("gap", "outcome", "passed", "leans"),
    [
        (0.3, Outcome.PASS, True, ""),
        (0.2, Outcome.INCONCLUSIVE, True, " (leans pass)"),
        (0.1, Outcome.INCONCLUSIVE, False, " (leans fail)"),
        (0.05, Outcome.FAIL, False, ""),
    ],
)
def test_words(gap: float, outcome: Outcome, passed: bool, leans: str) -> None:
    verdict = GeneralizationGap("recall", gap).check(matrix(495, 5), matrix(41, 9))
    assert (verdict.outcome, verdict.passed) == (outcome, passed)
    assert verdict.explanation.startswith(f"{outcome}{leans}: gap of recall")
    for if_unsure, green in (("fail", False), ("warn", True)):
        other = GeneralizationGap("recall", gap, if_unsure=if_unsure).check(matrix(495, 5), matrix(41, 9))
        assert other.passed == (green if outcome is Outcome.INCONCLUSIVE else passed)
    red = GeneralizationGap("recall", gap, if_unsure="fail").check(matrix(495, 5), matrix(41, 9))
    assert ("takes nothing but proof" in str(red)) == (outcome is Outcome.INCONCLUSIVE)


def test_a_model_that_is_better_on_test_data_has_a_negative_gap() -> None:
    verdict = GeneralizationGap("recall", 0.0).check(matrix(400, 100), matrix(480, 20))
    assert verdict.estimate == pytest.approx(-0.16)
    assert verdict.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("metric", "more"),
    [
        ("accuracy", {}),
        ("f1", {}),
        ("f1", {"average": "macro"}),
        ("recall", {"label": "ok"}),
        ("mcc", {}),
        ("fbeta", {"parameters": {"beta": 2}}),
        ("roc_auc", {}),
        ("brier", {}),
        ("log_loss", {}),
        ("calibration_error", {}),
    ],
)
@pytest.mark.parametrize("design", ["plain", "groups", "weights"])
def test_every_metric_with_bounds(metric: str, more: dict[str, Any], design: str) -> None:
    """The gap is of Gate's own values and bounds, worse on test counting up whatever the metric's direction."""
    kept: list[dict[str, Any]] = [{}, {}]
    if design == "groups":
        kept = [{"groups": [f"{i}-{row // 5}" for row in range(300)]} for i in range(2)]
    if design == "weights":
        kept = [{"weights": np.random.default_rng(i).exponential(size=300)} for i in range(2)]
    train, test = scored(1, skill=0.9, **kept[0]), scored(2, skill=0.3, **kept[1])
    verdict = GeneralizationGap(metric, 0.0, **more).check(train, test)
    bar: dict[str, Any] = (
        {"at_most": 0.3} if metric in ("brier", "log_loss", "calibration_error") else {"at_least": 0.3}
    )
    singles = [Gate(metric, **bar, **more, allow_vacuous=True).check(one) for one in (train, test)]
    better, worse = singles if "at_least" in bar else reversed(singles)
    assert verdict.estimate == better.estimate - worse.estimate  # type: ignore[operator]
    assert verdict.estimate > 0 or metric == "calibration_error"
    below = math.hypot(better.estimate - better.lower, worse.upper - worse.estimate)  # type: ignore[operator]
    above = math.hypot(better.upper - better.estimate, worse.estimate - worse.lower)  # type: ignore[operator]
    widest = math.inf if metric == "log_loss" else 1 if metric != "mcc" else 2
    assert verdict.lower == pytest.approx(verdict.estimate - below, abs=1e-12)
    assert verdict.upper == pytest.approx(min(verdict.estimate + above, widest), abs=1e-12)


def test_losses_and_errors() -> None:
    train, test = measured(1, 0.1), measured(2, 0.4)
    verdict = GeneralizationGap("rmse", 0.1).check(train, test)
    assert verdict.estimate == test.metric("rmse") - train.metric("rmse")  # type: ignore[operator]
    assert verdict.outcome is Outcome.FAIL
    assert GeneralizationGap("rmse", 0.5).check(train, test).outcome is Outcome.PASS
    losses = [
        replace(scored(seed), mean_loss=MeanLoss.of(name, np.full(300, value)))
        for seed, name, value in ((1, "nll", 0.1), (2, "nll", 0.5), (2, "mse", 0.5))
    ]
    verdict = GeneralizationGap("loss", 0.5).check(losses[0], losses[1])
    assert verdict.estimate == pytest.approx(0.4)
    assert verdict.explanation.startswith("INCONCLUSIVE (leans pass): gap of loss (nll) = 0.400 (train 0.100, test 0.5")
    assert (verdict.lower, verdict.upper, verdict.method) == (None, None, None)
    assert "no bounds: of the training data alone" in str(verdict)
    with pytest.raises(EvidenceError, match="different kinds: nll on the training data, mse on the test data"):
        GeneralizationGap("loss", 0.5).check(losses[0], losses[2])


def test_a_side_without_bounds_is_named() -> None:
    few = measured(2, 0.4, n=4)
    verdict = GeneralizationGap("mae", 0.1, if_unsure="fail").check(measured(1, 0.1), few)
    assert (verdict.outcome, verdict.passed, verdict.upper) == (Outcome.INCONCLUSIVE, False, None)
    assert "no bounds: of the test data alone " in str(verdict)


@pytest.mark.parametrize("side", ["training", "test"])
def test_undefined_and_nan_are_red(side: str) -> None:
    nothing, fine = matrix(0, 0), matrix(30, 10)
    pair = (nothing, fine) if side == "training" else (fine, nothing)
    verdict = GeneralizationGap("recall", 0.9, if_unsure="warn").check(*pair)
    assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
    assert verdict.explanation.startswith(f"UNDEFINED: gap of recall of 'fraud' cannot be judged: on the {side} data ")
    assert Verdict.from_json(verdict.to_json()) == verdict
    broken, other = (
        replace(scored(seed), mean_loss=MeanLoss.of("nll", np.array([0.5, value])))
        for seed, value in ((1, math.nan), (2, 0.5))
    )
    verdict = GeneralizationGap("loss", 9.0, if_unsure="warn").check(
        *((broken, other) if side == "training" else (other, broken))
    )
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert f"on the {side} data the loss of 1 of 2 samples is not finite" in str(verdict)


def test_an_infinite_value_is_red() -> None:
    sure, fine = (
        Evaluation.from_predictions(target=[0, 1] * 50, preds=[low, 0.9] * 50, outputs="probabilities")
        for low in (1.0, 0.1)
    )
    verdict = GeneralizationGap("log_loss", 9.0, if_unsure="warn").check(fine, sure)
    assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
    assert "cannot be judged: on the test data 50 of 100 samples have probability 0" in verdict.explanation


class TestSamplesOnBothSides:
    GAP = GeneralizationGap("recall", 0.1)

    def test_the_same_evaluation(self) -> None:
        one = scored(1)
        table = matrix(30, 10)
        for pair in ((one, one), (one, scored(1)), (table, table)):
            with pytest.raises(EvidenceError, match="are of the same samples: give one of the training data"):
                self.GAP.check(*pair)
        assert self.GAP.check(matrix(30, 10), matrix(30, 10)).estimate == 0  # other samples may count alike

    def test_the_same_data_by_its_fingerprint(self) -> None:
        one, other = replace(scored(1), fingerprint=7), replace(scored(2), fingerprint=7)
        with pytest.raises(EvidenceError, match="of the same samples"):
            self.GAP.check(one, other)
        assert self.GAP.check(one, replace(other, fingerprint=8)).estimate is not None
        assert self.GAP.check(replace(one, fingerprint=None), replace(other, fingerprint=None)).estimate is not None

    def test_shared_ids(self) -> None:
        train, test = scored(1, n=4, ids=["a", "b", "c", "d"]), scored(2, n=3, ids=["x", "c", "y"])
        with pytest.raises(EvidenceError, match=r"1 sample is in .* such as row 2 of the one and row 1 of the other"):
            self.GAP.check(train, test)
        with pytest.raises(EvidenceError, match="200 samples are in the training and in the test data"):
            self.GAP.check(scored(1, ids=range(300)), scored(2, ids=range(100, 400)))
        assert self.GAP.check(scored(1, ids=range(300)), scored(2, ids=range(300, 600))).estimate is not None
        assert self.GAP.check(scored(1, ids=range(300)), scored(2)).estimate is not None

    def test_shared_groups_are_noted(self) -> None:
        train, test = (scored(seed, groups=[f"{row // 5 + 59 * (seed - 1)}" for row in range(300)]) for seed in (1, 2))
        assert "1 group is in both sets" in str(self.GAP.check(train, test))
        other = scored(2, groups=[f"x{row // 5}" for row in range(300)])
        assert "in both sets" not in str(self.GAP.check(train, other))


class TestWrongUse:
    @pytest.mark.parametrize(
        ("gap", "says"),
        [
            (-0.1, "gap=-0.1: how much worse recall may be on test data is a number of 0 or more"),
            (math.nan, "gap=nan"),
            (math.inf, "gap=inf"),
            (True, "gap=True"),
            ("0.1", "gap='0.1'"),
            (1.0, "a gap of 1 lets recall fall all the way; was 0.01 meant"),
            (5, "a gap of 5 lets recall fall all the way; was 0.05 meant"),
        ],
    )
    def test_gaps(self, gap: Any, says: str) -> None:
        with pytest.raises(mg.BarError, match=says):
            GeneralizationGap("recall", gap)

    def test_settings(self) -> None:
        assert GeneralizationGap("mcc", 1.5).gap == 1.5
        assert GeneralizationGap("rmse", 400).gap == 400.0
        for more in ({"confidence": 95}, {"if_unsure": "maybe"}):
            with pytest.raises(mg.BarError):
                GeneralizationGap("recall", 0.1, **more)  # type: ignore[arg-type]
        with pytest.raises(MetricError, match="did you mean 'recall'"):
            GeneralizationGap("recal", 0.1)
        for more in ({"average": "mean"}, {"parameters": {"beta": 2}}, {"label": "x"}):
            with pytest.raises(MetricError):
                GeneralizationGap("recall", 0.1, **more).check(matrix(30, 10), matrix(30, 11))  # type: ignore[arg-type]

    def test_evaluations_of_different_kinds(self) -> None:
        gap = GeneralizationGap("accuracy", 0.1)
        for other, says in [
            (measured(1, 0.1), "different task"),
            (ConfusionMatrix.from_counts(tp=1, fp=1, fn=1, tn=1), "different labels"),
            (scored(2).at_threshold(0.3), "different threshold"),
            ("test", "judges an Evaluation"),
        ]:
            with pytest.raises(EvidenceError, match=says):
                gap.check(scored(1), other)  # type: ignore[arg-type]
        assert GeneralizationGap("roc_auc", 0.1).check(scored(1), scored(2).at_threshold(0.3)).estimate is not None
        with pytest.raises(EvidenceError, match="no loss was measured"):
            GeneralizationGap("loss", 0.1).check(scored(1), scored(2))


@given(*[st.integers(0, 40)] * 4, st.floats(0, 0.99))
def test_the_word_is_the_bounds(tp: int, fn: int, tp_test: int, fn_test: int, gap: float) -> None:
    verdict = GeneralizationGap("recall", gap).check(matrix(tp, fn), matrix(tp_test, fn_test))
    if not (tp + fn and tp_test + fn_test):
        assert verdict.outcome is Outcome.UNDEFINED
        return
    assert -1 <= verdict.lower <= verdict.estimate <= verdict.upper <= 1  # type: ignore[operator]
    assert (verdict.outcome is Outcome.PASS) == (verdict.upper <= gap)  # type: ignore[operator]
    assert (verdict.outcome is Outcome.FAIL) == (verdict.lower > gap)  # type: ignore[operator]
    higher = GeneralizationGap("recall", gap, confidence=0.99).check(matrix(tp, fn), matrix(tp_test, fn_test))
    assert higher.lower <= verdict.lower  # type: ignore[operator]
    assert higher.upper >= verdict.upper  # type: ignore[operator]
