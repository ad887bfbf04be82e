"""What people read: the failure text, and what wrong use of a gate gets."""

from __future__ import annotations

import math
import re
from textwrap import dedent

import numpy as np
import pytest

from pytest_modelgate import (
    BarError,
    BeatsMajorityClass,
    ConfusionMatrix,
    Evaluation,
    EvidenceError,
    Gate,
    MetricError,
    ModelgateError,
    Outcome,
)

RARE = ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud"))
"""98% accuracy, 12% recall: the accuracy paradox."""
THREE = ConfusionMatrix([[8, 1, 1], [2, 7, 1], [0, 3, 7]], labels=("cat", "dog", "newt"))


def test_the_failure_reads_as_promised() -> None:
    expected = dedent(
        """\
        FAIL: recall of 'fraud' = 0.120 (12 of 100), required >= 0.900
          the data allow 0.071 to 0.187 (95% each way, Clopper-Pearson)
                          predicted ok   predicted fraud
          actual ok               4892                 8
          actual fraud              88                12
          accuracy is 0.981, but always answering 'ok' scores 0.980: accuracy hides this failure"""
    )
    assert str(Gate("recall", at_least=0.9, label="fraud").check(RARE)) == expected


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (Gate("recall", at_least=0.9), "recall[fraud] >= 0.9"),
        (Gate("recall", at_least=0.9, label="ok"), "recall[ok] >= 0.9"),
        (Gate("recall", at_least=0.9, label=0), "recall[ok] >= 0.9"),
        (Gate("false_positive_rate", at_most=0.1), "false_positive_rate[fraud] <= 0.1"),
        (Gate("f1", at_least=0.5, average="macro"), "f1[macro] >= 0.5"),
        (Gate("fbeta", at_least=0.5, parameters={"beta": 2}), "fbeta(beta=2)[fraud] >= 0.5"),
        (Gate("accuracy", at_least=0.99), "accuracy >= 0.99"),
        (Gate("mcc", at_least=0.25), "mcc >= 0.25"),
        (Gate("recall", at_least=np.float64(0.9)), "recall[fraud] >= 0.9"),
    ],
)
def test_a_gate_as_text(gate: Gate, text: str) -> None:
    assert gate.check(RARE).gate == text


UNSURE = "INCONCLUSIVE "


@pytest.mark.parametrize(
    ("metric", "options", "sentence"),
    [
        (
            "precision",
            {"at_least": 0.3, "label": 0},
            "PASS: precision of 'ok' = 0.982 (4,892 of 4,980), required >= 0.300",
        ),
        ("recall", {"at_most": 0.5}, "PASS: recall of 'fraud' = 0.120 (12 of 100), required <= 0.500"),
        ("recall", {"at_most": 0.1}, UNSURE + "(leans fail): recall of 'fraud' = 0.120 (12 of 100), required <= 0.100"),
        ("f1", {"at_least": 0.5, "average": "macro"}, "PASS: macro F1 = 0.595, required >= 0.500"),
        ("balanced_accuracy", {"at_least": 0.9}, "FAIL: balanced accuracy = 0.559, required >= 0.900"),
        # 12 of 100 against a bar that three decimals cannot tell from it
        (
            "recall",
            {"at_least": 0.1200001},
            UNSURE + "(leans fail): recall of 'fraud' = 0.120 (12 of 100), required >= 0.1200001",
        ),
    ],
)
def test_the_sentence(metric: str, options: dict[str, object], sentence: str) -> None:
    assert Gate(metric, **options).check(RARE).explanation == sentence


def test_a_metric_without_bounds_says_so_and_is_judged_by_its_estimate() -> None:
    evidence = Evaluation.from_predictions(target=[0.0, 1.0, 2.0], preds=[0.5, 1.5, 2.0], outputs="values")
    for bar, passed in ((0.5, True), (0.1, False)):
        verdict = Gate("mae", at_most=bar).check(evidence)
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert verdict.passed is passed
        assert (verdict.lower, verdict.upper, verdict.method) == (None, None, None)
        assert any("no bounds: 3 samples are too few" in note and "say max_error=" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("bar", "hint"),
    [
        (90, "was 0.90 meant?"),
        (95.0, "was 0.95 meant?"),
        (100, "was 1.00 meant?"),
        (99.5, "was 0.995 meant?"),
        (99.95, "was 0.9995 meant?"),
    ],
)
def test_a_bar_in_percent_is_asked_about(bar: float, hint: str) -> None:
    with pytest.raises(BarError, match=re.escape(f"a bar of {bar:g} is outside the range of recall, 0 to 1")) as caught:
        Gate("recall", at_least=bar)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at_least": -0.1}, "outside the range of recall, 0 to 1"),
        ({"at_least": 101}, "outside the range of recall, 0 to 1"),
        ({"at_least": math.nan}, "the bar of recall is nan"),
        ({"at_most": math.nan}, "the bar of recall is nan"),
        ({"at_least": math.inf}, "the bar of recall is inf"),
        ({"at_least": "0.9"}, "must be a number, not '0.9'"),
        ({"at_least": True}, "must be a number, not True"),
        ({}, "at_least= or at_most="),
        ({"at_least": 0.5, "at_most": 0.9}, "at_least= or at_most="),
        ({"at_least": 0.9, "confidence": 95}, "confidence=95.*was 0.95 meant?"),
        ({"at_least": 0.9, "confidence": 99.9}, "was 0.999 meant?"),
        ({"at_least": 0.9, "confidence": 1.0}, "confidence=1.0"),
        ({"at_least": 0.9, "confidence": 0.05}, "confidence=0.05"),
        ({"at_least": 0.9, "confidence": math.nan}, "confidence=nan"),
        ({"at_least": 0.9, "if_unsure": "fial"}, "if_unsure='fial'.*did you mean 'fail'?"),
        ({"at_least": 0.9, "if_unsure": None}, "if_unsure=None"),
    ],
)
def test_wrong_bars_and_settings(options: dict[str, object], message: str) -> None:
    with pytest.raises(BarError, match=message):
        Gate("recall", **options)


@pytest.mark.parametrize(("metric", "bar"), [("mcc", 1.01), ("mcc", -1.01), ("cohen_kappa", 2), ("f1", 1.0001)])
def test_each_metric_has_its_own_range(metric: str, bar: float) -> None:
    with pytest.raises(BarError, match=f"outside the range of {metric}"):
        Gate(metric, at_least=bar)


def test_negative_bars_are_fine_where_the_metric_has_them() -> None:
    assert Gate("mcc", at_least=-0.5).check(RARE).passed


@pytest.mark.parametrize(
    ("metric", "options", "message"),
    [
        ("recal", {}, "unknown metric 'recal'; did you mean 'recall'?"),
        ("sensitivity", {}, "'recall'"),
        ("recall", {"label": "fruad"}, "unknown class 'fruad'; did you mean 'fraud'?"),
        ("recall", {"label": 2}, "unknown class 2"),
        ("recall", {"label": -1}, "unknown class -1"),
        ("recall", {"average": "marco"}, "not 'marco'; did you mean 'macro'?"),
        ("recall", {"label": "ok", "average": "macro"}, "not both"),
        ("mcc", {"average": "macro"}, "mcc takes no average"),
        ("fbeta", {"parameters": {"bta": 2}}, "did you mean 'beta'?"),
        ("fbeta", {"parameters": {"beta": 0}}, "beta must be a number above 0"),
        ("recall", {"parameters": {"beta": 2}}, "takes no parameter"),
    ],
)
def test_wrong_questions(metric: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(MetricError, match=re.escape(message)):
        Gate(metric, at_least=0.5, **options).check(RARE)


def test_of_many_classes_one_must_be_named() -> None:
    with pytest.raises(MetricError, match=r"label=.*'newt'.*average="):
        Gate("recall", at_least=0.5).check(THREE)
    assert Gate("recall", at_least=0.5, label="newt").check(THREE).estimate == 0.7
    assert Gate("recall", at_least=0.5, label=2).check(THREE).label == "newt"
    assert Gate("recall", at_least=0.5, average="macro").check(THREE).estimate == pytest.approx((0.8 + 0.7 + 0.7) / 3)


def test_names_win_over_indices_where_labels_are_integers() -> None:
    matrix = ConfusionMatrix([[9, 1], [5, 5]], labels=(1, 0))
    assert Gate("recall", at_least=0.1, label=1).check(matrix).estimate == 0.9
    assert Gate("recall", at_least=0.1, label=0).check(matrix).estimate == 0.5
    assert Gate("recall", at_least=0.1).check(matrix).label == 0  # the last of two


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "top_k_accuracy"])
def test_a_matrix_has_no_scores(metric: str) -> None:
    with pytest.raises(EvidenceError, match=f"{metric} needs scores"):
        Gate(metric, at_least=0.5).check(RARE)


def test_a_matrix_has_no_loss() -> None:
    with pytest.raises(EvidenceError, match="loss="):
        Gate("loss", at_most=0.5).check(RARE)


@pytest.mark.parametrize("evidence", [0.9, [[1, 2], [3, 4]], None, {"recall": 0.9}])
def test_evidence_must_be_evidence(evidence: object) -> None:
    for gate in (Gate("recall", at_least=0.5), BeatsMajorityClass()):
        with pytest.raises(EvidenceError, match=f"not {type(evidence).__name__}"):
            gate.check(evidence)


@pytest.mark.parametrize("bar", [0, 0.5, 0.98])
def test_a_bar_of_accuracy_that_the_majority_meets_is_wrong_use(bar: float) -> None:
    with pytest.raises(BarError, match=r"vacuous: always answering 'ok' already scores 0.980.*allow_vacuous=True"):
        Gate("accuracy", at_least=bar).check(RARE)
    assert Gate("accuracy", at_least=bar, allow_vacuous=True).check(RARE).passed


def test_bars_of_accuracy_that_say_something() -> None:
    assert not Gate("accuracy", at_least=0.99).check(RARE).passed
    assert Gate("accuracy", at_least=0.9).check(ConfusionMatrix([[50, 2], [1, 50]])).passed
    assert Gate("accuracy", at_most=0.99).check(RARE).passed
    assert Gate("balanced_accuracy", at_least=0.5).check(RARE).passed


def test_accuracy_of_one_class_is_vacuous_by_that_classs_share() -> None:
    with pytest.raises(BarError, match=r"not newt.* already scores 0\.667"):
        Gate("accuracy", at_least=0.6, label="newt").check(THREE)
    assert Gate("accuracy", at_least=0.7, label="newt").check(THREE).estimate == 25 / 30


def test_the_hint_at_accuracy_appears_only_where_accuracy_would_hide_it() -> None:
    hidden = "accuracy hides this failure"
    assert hidden in str(Gate("f1", at_least=0.9).check(RARE))
    assert hidden not in str(Gate("recall", at_least=0.99).check(RARE))  # accuracy would miss that bar too
    balanced = ConfusionMatrix([[50, 0], [10, 40]])
    assert hidden not in str(Gate("recall", at_least=0.85).check(balanced))


def test_a_green_verdict_draws_no_table() -> None:
    assert "predicted" not in str(Gate("recall", at_least=0.05).check(RARE))


def test_gates_are_values() -> None:
    assert Gate("fbeta", at_least=0.5, parameters={"beta": 2}) == Gate("fbeta", at_least=0.5, parameters={"beta": 2})
    assert len({Gate("recall", at_least=0.5), Gate("recall", at_least=0.5), Gate("recall", at_most=0.5)}) == 2
    mine = {"beta": 2.0}
    gate = Gate("fbeta", at_least=0.5, parameters=mine)
    before = gate.check(RARE)
    mine["beta"] = 0.5
    assert gate.check(RARE) == before
    with pytest.raises(AttributeError):
        gate.at_least = 0.1


def test_every_error_is_a_modelgate_error() -> None:
    assert issubclass(BarError, ModelgateError)
    assert not issubclass(ModelgateError, AssertionError)
