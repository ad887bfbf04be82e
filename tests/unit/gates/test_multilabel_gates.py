"""Gates on several labels a sample: judged as the evidence of one label, of all decisions, or of all labels at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pytest_modelgate as mg
from pytest_modelgate import BarError, Evaluation, EvidenceError, Gate, MetricError, Outcome

N, LABELS = 400, ("cat", "dog", "cow")
draw = np.random.default_rng(8)
TARGET = (draw.random((N, 3)) < [0.5, 0.3, 0.2]).astype(int)
PREDS = np.where(draw.random((N, 3)) < 0.9, TARGET, 1 - TARGET)


def made(preds: Any = PREDS, target: Any = TARGET, **more: Any) -> Evaluation:
    how: dict[str, Any] = {"outputs": "labels", "task": "multilabel", "labels": LABELS}
    return Evaluation.from_predictions(target=target, preds=preds, **how | more)


WHOLE = made()


def test_a_label_is_judged_as_two_classes_are() -> None:
    alone = Evaluation.from_predictions(
        target=TARGET[:, 1], preds=PREDS[:, 1], outputs="labels", labels=("not dog", "dog")
    )
    for bar in (0.5, 0.9, 0.99):
        gate = Gate("recall", at_least=bar, label="dog")
        assert gate.check(WHOLE) == gate.check(alone)
        assert gate.glance(WHOLE).passed == gate.check(alone).passed
    verdict = Gate("recall", at_least=0.5, label=1).check(WHOLE)
    assert (verdict.gate, verdict.label) == ("recall[dog] >= 0.5", "dog")


@pytest.mark.parametrize(
    ("gate", "text", "support"),
    [
        (Gate("recall", at_least=0.5, average="macro"), "recall[macro] >= 0.5", N),
        (Gate("recall", at_least=0.5, average="micro"), "recall[micro] >= 0.5", int(TARGET.sum())),
        (Gate("exact_match", at_least=0.5), "exact_match >= 0.5", N),
    ],
)
def test_averages_and_exact_matches(gate: Gate, text: str, support: int) -> None:
    verdict = gate.check(WHOLE)
    assert (verdict.gate, verdict.support, verdict.label) == (text, support, None)
    assert verdict.outcome is Outcome.PASS
    assert verdict.lower is not None
    assert verdict.upper is not None
    assert 0.5 <= verdict.lower < verdict.estimate < verdict.upper  # type: ignore[operator]
    assert mg.Verdict.from_json(verdict.to_json()) == verdict


def test_assertions_take_it() -> None:
    assert mg.assert_recall_at_least(WHOLE, 0.5, label="cow").passed
    assert mg.assert_f1_at_least(WHOLE, 0.5, average="macro").passed
    assert mg.assert_metric(WHOLE, "exact_match", at_least=0.5).passed
    with pytest.raises(mg.GateFailure):
        mg.assert_metric(WHOLE, "exact_match", at_least=0.95)


def test_a_bar_that_the_most_frequent_set_meets_is_vacuous() -> None:
    rare = (draw.random((N, 3)) < 0.02).astype(int)
    found = made(np.where(draw.random((N, 3)) < 0.99, rare, 1 - rare), rare)
    with pytest.raises(BarError, match="always answering 'no label' already scores"):
        Gate("exact_match", at_least=0.9).check(found)
    assert Gate("exact_match", at_least=0.5, allow_vacuous=True).check(found).passed
    with pytest.raises(BarError, match="vacuous"):
        Gate("accuracy", at_least=0.9, label="cat").check(found)
    sets = np.tile([1, 1, 0], (N, 1))
    sets[0] = 0
    with pytest.raises(BarError, match="'cat, dog'"):
        Gate("exact_match", at_least=0.9).check(made(sets, sets))


@pytest.mark.parametrize("name", ["exact_match", "recall"])
def test_a_constant_answer_never_passes(name: str) -> None:
    asked = {} if name == "exact_match" else {"average": "macro"}
    same = np.tile([1, 1, 1], (N, 1))
    verdict = Gate(name, at_least=0.0001, **asked).check(made(same, keep="counts"))  # type: ignore[arg-type]
    assert verdict.outcome is Outcome.UNDEFINED
    assert not verdict.passed
    assert "all 400 answers are the same labels" in verdict.explanation


def test_an_undefined_label_is_red() -> None:
    target = TARGET * [1, 1, 0]
    for asked in ({"label": "cow"}, {"average": "macro"}):
        verdict = Gate("recall", at_least=0.1, **asked).check(made(target=target))  # type: ignore[arg-type]
        assert verdict.outcome is Outcome.UNDEFINED
        assert "no sample of class 'cow'" in verdict.explanation


def test_bounds_at_every_look() -> None:
    gate = Gate("recall", at_least=0.5, label="cat", anytime=True)
    assert gate.check(WHOLE).method == "beta mixture, at every look"
    assert Gate("exact_match", at_least=0.5, anytime=True).check(WHOLE).passed
    for average in ("macro", "micro"):  # decisions of one sample hang together
        with pytest.raises(MetricError, match="anytime"):
            Gate("recall", at_least=0.5, average=average, anytime=True).check(WHOLE)


def test_what_judges_one_matrix_says_whose() -> None:
    for judge in (
        lambda: mg.assert_beats_majority_class(WHOLE),
        lambda: mg.assert_every_class_recall_at_least(WHOLE, 0.5),
    ):
        with pytest.raises(EvidenceError, match=r"evaluation\.multilabel\['cat'\]"):
            judge()
    with pytest.raises(MetricError, match="say which with label="):
        Gate("recall", at_least=0.5).check(WHOLE)
    assert WHOLE.multilabel is not None
    assert mg.assert_beats_majority_class(WHOLE.multilabel["cat"]).passed
