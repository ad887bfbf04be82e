"""`anytime=True`: bounds that hold at every look, for proportions and F1, and for nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pytest_modelgate as mg
from pytest_modelgate import BarError, ConfusionMatrix, Evaluation, Gate, MetricError, Outcome
from pytest_modelgate.statistics.sequences import anytime_interval

GOOD = ConfusionMatrix([[90, 10], [5, 95]], labels=("ok", "fraud"))
draw = np.random.default_rng(1)
TARGET = np.arange(200) % 2
SCORED: dict[str, Any] = {"target": TARGET, "preds": 0.5 * TARGET + 0.5 * draw.random(200), "outputs": "probabilities"}
# metric, hits, trials
PROPORTIONS = [
    ("accuracy", 185, 200),
    ("recall", 95, 100),
    ("precision", 95, 105),
    ("specificity", 90, 100),
    ("negative_predictive_value", 90, 95),
    ("jaccard", 95, 110),
]


@pytest.mark.parametrize(("name", "hits", "trials"), PROPORTIONS)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_proportions(name: str, hits: int, trials: int, confidence: float) -> None:
    gate = Gate(name, at_least=0.6, anytime=True, confidence=confidence)
    verdict = gate.check(GOOD)
    assert (verdict.lower, verdict.upper) == tuple(anytime_interval(hits, trials, confidence))
    assert verdict.outcome is Outcome.PASS
    fixed = Gate(name, at_least=0.6, confidence=confidence).check(GOOD)
    assert verdict.lower < fixed.lower < verdict.estimate < fixed.upper < verdict.upper  # type: ignore[operator]
    assert mg.Verdict.from_json(verdict.to_json()) == verdict


def test_the_reader_sees_it() -> None:
    verdict = Gate("recall", at_least=0.6, anytime=True).check(GOOD)
    assert verdict.method == "beta mixture, at every look"
    assert "at every look" in str(verdict)
    assert verdict.gate == "recall[fraud] >= 0.6"
    assert verdict.family is None


def test_f1_is_through_jaccard() -> None:
    verdict = Gate("f1", at_least=0.5, anytime=True).check(GOOD)
    bounds = anytime_interval(95, 110)
    assert (verdict.lower, verdict.upper) == pytest.approx([2 * j / (1 + j) for j in bounds], abs=1e-12)
    assert verdict.method == "beta mixture, at every look, through Jaccard"
    other = Gate("f1", at_least=0.5, anytime=True, label="ok").check(GOOD)
    bounds = anytime_interval(90, 105)
    assert (other.lower, other.upper) == pytest.approx([2 * j / (1 + j) for j in bounds], abs=1e-12)


@pytest.mark.parametrize(("metric", "kind"), [("recall", {}), ("f1", {}), ("recall", {"average": "micro"})])
def test_words_follow_the_bounds_in_both_directions(metric: str, kind: dict[str, Any]) -> None:
    for hits in range(0, 41, 4):
        matrix = ConfusionMatrix([[40, 0], [40 - hits, hits]])
        for bar in (0.2, 0.5, 0.9):
            for direction in ("at_least", "at_most"):
                verdict = Gate(metric, anytime=True, allow_vacuous=True, **{direction: bar}, **kind).check(matrix)
                lower, upper = verdict.lower, verdict.upper
                assert lower is not None
                assert upper is not None
                proved, refuted = (
                    (lower >= bar, upper < bar) if direction == "at_least" else (upper <= bar, lower > bar)
                )
                word = Outcome.PASS if proved else Outcome.FAIL if refuted else Outcome.INCONCLUSIVE
                assert verdict.outcome is word


def test_looking_daily_is_no_way_to_pass() -> None:
    """A model just at the bar, judged after every tenth sample: the plain gate passes in the end, this one does not."""
    passed = {True: 0, False: 0}
    for run in range(100):
        right = np.random.default_rng(run).random(1000) < 0.8
        seen = np.cumsum(right)[9::10]
        for anytime in (True, False):
            gate = Gate("recall", at_least=0.8, anytime=anytime)
            passed[anytime] += any(
                gate.check(ConfusionMatrix([[0, 0], [n - hits, hits]])).outcome is Outcome.PASS
                for hits, n in zip(seen.tolist(), range(10, 1001, 10), strict=True)
            )
    assert passed[True] <= 5
    assert passed[False] > 15


def test_undefined_is_red() -> None:
    for name in ("recall", "precision", "f1"):
        verdict = Gate(name, at_least=0.1, anytime=True, if_unsure="warn").check(ConfusionMatrix([[9, 0], [0, 0]]))
        assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("mcc", {}),
        ("cohen_kappa", {}),
        ("balanced_accuracy", {}),
        ("fbeta", {"parameters": {"beta": 2}}),
        ("recall", {"average": "macro"}),
        ("f1", {"average": "weighted"}),
        ("roc_auc", {}),
        ("average_precision", {}),
        ("brier", {}),
        ("log_loss", {}),
        ("calibration_error", {}),
    ],
)
def test_no_such_bounds_for_the_rest(name: str, more: dict[str, Any]) -> None:
    with pytest.raises(MetricError, match="proportions and F1 of one class"):
        Gate(name, at_least=0.5, anytime=True, **more).check(Evaluation.from_predictions(**SCORED))


@pytest.mark.parametrize("name", ["accuracy", "recall", "f1", "mcc"])
@pytest.mark.parametrize("design", [{"groups": TARGET // 2 + np.arange(200) // 10}, {"weights": 1 + TARGET}])
def test_no_such_bounds_for_weights_and_groups(name: str, design: Any) -> None:
    evaluation = Evaluation.from_predictions(**SCORED, **design)
    with pytest.raises(MetricError, match="weights and groups"):
        Gate(name, at_least=0.6, anytime=True).check(evaluation)


def test_a_vacuous_bar_stays_one() -> None:
    with pytest.raises(BarError, match="vacuous"):
        Gate("accuracy", at_least=0.5, anytime=True).check(GOOD)
