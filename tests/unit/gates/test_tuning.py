"""What a gate says of the threshold: that it was chosen on the very samples, and which one would reach the bar."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate import BeatsMajorityClass, ConfusionMatrix, Evaluation, EveryClassRecall, Gate, Outcome, Verdict
from pytest_modelgate.gates.tuning import NO_PROOF, TUNED_HERE

draw = np.random.default_rng(11)
TARGET = draw.integers(0, 2, 1000)
LOGITS = (draw.standard_normal(1000) + 1.5 * TARGET - 1).astype(np.float32)
NAMES = ("ok", "fraud")
FLAG = (("threshold_tuned_here", True),)


def scored(target: Any = TARGET, preds: Any = LOGITS, **options: Any) -> Evaluation:
    return Evaluation.from_predictions(
        **{"target": target, "preds": preds, "outputs": "logits", "labels": NAMES} | options
    )


def by_recall(least: float = 0.95) -> Evaluation:
    return scored().at_threshold(scored().best_threshold(recall_at_least=least))


class TestChosenHere:
    def test_the_recall_that_it_was_chosen_for_may_pass_and_is_flagged(self) -> None:
        verdict = Gate("recall", at_least=0.9).check(by_recall())
        assert (verdict.outcome, verdict.passed, verdict.details) == (Outcome.PASS, True, FLAG)
        assert TUNED_HERE in verdict.notes
        assert NO_PROOF not in verdict.notes
        assert Verdict.from_json(verdict.to_json()) == verdict
        assert Gate("false_negative_rate", at_most=0.1).check(by_recall()).outcome is Outcome.PASS

    @pytest.mark.parametrize(
        "gate",
        [
            Gate("precision", at_least=0.5),
            Gate("recall", at_least=0.3, label="ok"),
            Gate("recall", at_least=0.5, average="macro"),
            Gate("specificity", at_least=0.3),
            Gate("false_positive_rate", at_most=0.7),
            Gate("accuracy", at_least=0.6),
            Gate("f1", at_least=0.5),
            Gate("mcc", at_least=0.1),
        ],
        ids=lambda gate: f"{gate.metric}-{gate.label}",
    )
    def test_nothing_else_passes(self, gate: Gate) -> None:
        verdict = gate.check(by_recall())
        assert (verdict.outcome, verdict.passed, verdict.details) == (Outcome.INCONCLUSIVE, True, FLAG)
        assert "(leans pass)" in verdict.explanation
        assert verdict.notes[1:3] == (TUNED_HERE, NO_PROOF)
        assert verdict.would_settle() == ()
        elsewhere = gate.check(scored().at_threshold(float(by_recall().threshold or 0)))
        assert (elsewhere.outcome, elsewhere.details) == (Outcome.PASS, ())
        assert not {TUNED_HERE, NO_PROOF} & set(elsewhere.notes)

    @pytest.mark.parametrize(
        "options", [{"precision_at_least": 0.8}, {}, {"recall_at_least": 0.8, "precision_at_least": 0.6}]
    )
    def test_chosen_for_something_else_no_recall_passes(self, options: dict[str, float]) -> None:
        decided = scored().at_threshold(scored().best_threshold(**options))
        verdict = Gate("recall", at_least=0.3).check(decided)
        assert (verdict.outcome, verdict.details) == (Outcome.INCONCLUSIVE, FLAG)

    @pytest.mark.parametrize(("if_unsure", "passed"), [("estimate", True), ("warn", True), ("fail", False)])
    def test_the_colour_is_that_of_doubt(self, if_unsure: str, passed: bool) -> None:
        assert Gate("precision", at_least=0.5, if_unsure=if_unsure).check(by_recall()).passed is passed

    def test_a_failure_stays_one(self) -> None:
        verdict = Gate("precision", at_least=0.99).check(by_recall())
        assert (verdict.outcome, verdict.passed, verdict.details) == (Outcome.FAIL, False, FLAG)
        assert TUNED_HERE in verdict.notes
        assert NO_PROOF not in verdict.notes

    def test_metrics_of_scores_know_no_threshold(self) -> None:
        verdict = Gate("roc_auc", at_least=0.5).check(by_recall())
        assert (verdict.outcome, verdict.details) == (Outcome.PASS, ())

    def test_its_confusion_matrix_is_flagged_too(self) -> None:
        assert Gate("recall", at_least=0.9).check(by_recall().confusion_matrix).details == FLAG

    @pytest.mark.parametrize(("guard", "passed"), [(EveryClassRecall(0.2), True), (BeatsMajorityClass(), False)])
    def test_the_guards_against_the_paradox_are_too(self, guard: Any, passed: bool) -> None:
        """What takes nothing but proof is red: the threshold that costs least was picked for accuracy."""
        here = guard.check(scored().at_threshold(scored().best_threshold()))
        assert (here.outcome, here.passed, here.details) == (Outcome.INCONCLUSIVE, passed, FLAG)
        assert here.notes[-2:] == (TUNED_HERE, NO_PROOF)
        assert here.explanation.startswith("INCONCLUSIVE (leans pass): ")
        elsewhere = guard.check(scored().at_threshold(float(scored().best_threshold())))
        assert (elsewhere.outcome, elsewhere.passed, elsewhere.details) == (Outcome.PASS, True, ())

    def test_other_samples_are_not(self) -> None:
        threshold = scored().best_threshold(recall_at_least=0.95)
        other = scored(TARGET[:600], LOGITS[:600], threshold=threshold)
        assert Gate("precision", at_least=0.5).check(other).details == ()


def line(verdict: Verdict) -> list[str]:
    """The line on thresholds, if there is one."""
    return [note for note in verdict.notes if "threshold" in note and note not in (TUNED_HERE, NO_PROOF)]


class TestWhatWouldReach:
    FEW = staticmethod(
        lambda **options: scored(
            [1, 1, 1, 1, 0, 0, 0, 0],
            [0.9, 0.8, 0.4, 0.3, 0.7, 0.35, 0.2, 0.1],
            **{"outputs": "probabilities"} | options,
        )
    )

    @pytest.mark.parametrize(
        ("metric", "bar", "label", "expected"),
        [
            # positives 0.9 0.8 0.4 0.3, negatives 0.7 0.35 0.2 0.1
            (
                "recall",
                0.75,
                "fraud",
                "0.4 instead of 0.5 reaches 0.750 on these samples, at a precision of 0.750 (now 0.667)",
            ),
            (
                "recall",
                0.9,
                "fraud",
                "0.3 instead of 0.5 reaches 1.000 on these samples, at a precision of 0.667 (now 0.667)",
            ),
            (
                "precision",
                0.9,
                "fraud",
                "0.8 instead of 0.5 reaches 1.000 on these samples, at a recall of 0.500 (now 0.500)",
            ),
            (
                "recall",
                0.9,
                "ok",
                "0.8 instead of 0.5 reaches 1.000 on these samples, at a precision of 0.667 (now 0.600)",
            ),
            (
                "precision",
                0.9,
                "ok",
                "0.3 instead of 0.5 reaches 1.000 on these samples, at a recall of 0.500 (now 0.750)",
            ),
        ],
    )
    def test_by_hand(self, metric: str, bar: float, label: str, expected: str) -> None:
        verdict = Gate(metric, at_least=bar, label=label).check(self.FEW())
        assert line(verdict) == [f"a threshold of {expected}; choose it on other data"]

    def test_a_precision_out_of_reach(self) -> None:
        found = scored([1, 0, 1], [0.4, 0.9, 0.6], outputs="probabilities")
        assert line(Gate("precision", at_least=0.9).check(found)) == [
            "no threshold reaches 0.9 on these samples: the highest precision is 0.667, at a recall of 1.000"
        ]

    @pytest.mark.parametrize("metric", ["recall", "precision"])
    @pytest.mark.parametrize("label", NAMES)
    @pytest.mark.parametrize("target", [0, 1])
    def test_where_a_class_has_no_sample(self, metric: str, label: str, target: int) -> None:
        found = scored([target] * 3, [0.4, 0.3, 0.1], outputs="probabilities")
        verdict = Gate(metric, at_least=0.9, label=label).check(found)
        assert "nan" not in str(verdict).lower()

    def test_where_nothing_is_called_positive(self) -> None:
        found = scored([1, 1, 0], [0.4, 0.3, 0.1], outputs="probabilities")
        (text,) = line(Gate("recall", at_least=0.4).check(found))
        assert text.startswith("a threshold of 0.3 instead of 0.5 reaches 1.000")
        assert "at a precision of 1.000 (now undefined)" in text
        assert line(Gate("precision", at_least=0.4).check(found))

    @given(st.integers(0, 2**32), st.sampled_from(["recall", "precision"]), st.sampled_from(NAMES), st.floats(0.05, 1))
    @settings(deadline=None, max_examples=80)
    def test_it_gives_what_it_says(self, seed: int, metric: str, label: str, bar: float) -> None:
        random = np.random.default_rng(seed)
        n = int(random.integers(4, 60))
        target = np.append(random.integers(0, 2, n), [0, 1])
        found = scored(target, (random.standard_normal(n + 2) * 4 + target).round(int(random.integers(0, 4))))
        verdict = Gate(metric, at_least=bar, label=label).check(found)
        for text in line(verdict):
            numbers = re.match(r"a threshold of (\S+) instead of 0.5 reaches (\S+) on .* of (\S+) \(now", text)
            if numbers is None:
                assert text.startswith("no threshold reaches")
                continue
            decided = found.at_threshold(float(numbers[1]))
            other = "precision" if metric == "recall" else "recall"
            reached, cost = decided.metric(metric, label=label), decided.metric(other, label=label)
            assert reached >= bar
            assert (float(numbers[2]), float(numbers[3])) == pytest.approx((reached, cost), abs=0.0006)

    def test_weights_count(self) -> None:
        weights = [1, 1, 1, 9, 1, 1, 1, 1]
        (text,) = line(Gate("recall", at_least=0.75).check(self.FEW(weights=weights)))
        assert text.startswith(
            "a threshold of 0.3 instead of 0.5 reaches 1.000 on these samples, at a precision of 0.857"
        )
        assert line(Gate("recall", at_least=0.9, label="ok").check(self.FEW(weights=weights))) == []

    def test_single_precision_counts_the_same_samples(self) -> None:
        high = np.nextafter(np.float32(1), np.float32(0))
        preds = np.array([high, np.nextafter(high, np.float32(0)), 0.2, 0.1], dtype=np.float32)
        evaluation = scored(target=[1, 0, 1, 0], preds=preds, outputs="probabilities", threshold=0.1)
        said = Gate("precision", at_least=0.9).check(evaluation).notes[-1]
        threshold = float(re.findall(r"threshold of (\S+)", said)[0])
        assert evaluation.at_threshold(threshold).metric("precision") == 1
        assert "reaches 1.000" in said

    def test_among_equals_it_is_the_highest(self) -> None:
        options = {"outputs": "probabilities", "weights": [1.0, 0.0, 0.0, 1.0]}
        found = scored([0, 1, 0, 1], [0.2, 0.3, 0.35, 0.4], **options)
        (text,) = line(Gate("recall", at_least=0.4).check(found))
        assert text.startswith("a threshold of 0.4 instead of 0.5 reaches 1.000")

    @pytest.mark.parametrize(
        "gate",
        [
            Gate("recall", at_least=0.4),
            Gate("recall", at_least=0.4, if_unsure="fail"),
            Gate("recall", at_most=0.1),
            Gate("f1", at_least=0.9),
            Gate("recall", at_least=0.9, average="macro"),
        ],
        ids=str,
    )
    def test_other_gates_and_green_ones_say_nothing(self, gate: Gate) -> None:
        assert line(gate.check(self.FEW())) == []

    def test_without_scores_there_is_nothing_to_say(self) -> None:
        gate = Gate("recall", at_least=0.9)
        assert line(gate.check(ConfusionMatrix([[3, 1], [2, 2]], labels=NAMES))) == []
        assert line(gate.check(self.FEW(keep="counts"))) == []
        assert line(gate.check(scored([0, 0], [0.1, 0.7], outputs="probabilities"))) == []
        assert line(Gate("precision", at_least=0.9).check(scored([0, 0], [0.1, 0.7], outputs="probabilities"))) == []
        many = scored([0, 1, 2], np.eye(3)[[1, 0, 2]] * 4 - 1, labels=("a", "b", "c"), keep="scores")
        assert line(Gate("recall", at_least=0.9, label="a").check(many)) == []
