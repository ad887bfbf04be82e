"""The gates against the accuracy paradox, against scipy and by enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_modelgate import BarError, BeatsMajorityClass, ConfusionMatrix, Evaluation, EveryClassRecall, Gate, Outcome
from pytest_modelgate.statistics.paired import mcnemar_mid_p

RARE = ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud"))


def paired(wins: int, losses: int, both: int = 200) -> ConfusionMatrix:
    """A model that alone is right on `wins` samples, while the constant answer alone is right on `losses`."""
    return ConfusionMatrix([[both, losses], [0, wins]])


@pytest.mark.parametrize(
    ("losses", "wins", "p"),
    [
        (0, 0, 0.5),
        (2, 0, 0.125),  # P(X > 2) = 0, P(X = 2) / 2 = 1/8
        (0, 2, 0.875),
        (3, 1, 3 / 16),  # P(X = 4) = 1/16, P(X = 3) / 2 = 2/16
        (5, 0, 1 / 64),
        (4, 1, (1 + 5 / 2) / 32),
        (10, 2, (12 + 1 + 66 / 2) / 4096),
    ],
)
def test_mid_p_by_hand(losses: int, wins: int, p: float) -> None:
    assert mcnemar_mid_p(losses, wins) == pytest.approx(p, abs=1e-15)


@given(losses=st.integers(0, 400), wins=st.integers(0, 400))
@settings(deadline=None, max_examples=100)
def test_mid_p_is_scipys(losses: int, wins: int) -> None:
    chance = stats.binom(losses + wins, 0.5)
    assert mcnemar_mid_p(losses, wins) == pytest.approx(chance.sf(losses) + chance.pmf(losses) / 2, abs=1e-12)
    assert mcnemar_mid_p(losses, wins) + mcnemar_mid_p(wins, losses) == pytest.approx(1)


@given(wins=st.integers(0, 200), losses=st.integers(0, 200))
@settings(deadline=None, max_examples=150)
def test_the_word_is_the_paired_test(wins: int, losses: int) -> None:
    verdict = BeatsMajorityClass().check(paired(wins, losses))
    chance = stats.binom(wins + losses, 0.5)
    better = chance.sf(wins) + chance.pmf(wins) / 2
    worse = chance.sf(losses) + chance.pmf(losses) / 2
    if wins == 0:  # one class alone: nothing can beat it
        assert verdict.outcome is Outcome.UNDEFINED
    else:
        # Against each of two constant answers: FAIL is corrected for their number.
        expected = Outcome.PASS if better <= 0.05 else Outcome.FAIL if worse <= 0.025 else Outcome.INCONCLUSIVE
        assert verdict.outcome is expected
    assert verdict.passed == (verdict.outcome is Outcome.PASS)


def test_98_percent_accuracy_with_12_percent_recall_is_no_proof() -> None:
    """98.08% against 98.00%: 12 samples won, 8 lost; mid-p = 0.19."""
    verdict = BeatsMajorityClass().check(RARE)
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, False)
    assert (verdict.estimate, verdict.bar, verdict.direction) == (0.9808, 0.98, "above")
    assert "always answering 'ok' scores 0.980, which is no proof" in verdict.explanation
    p = stats.binom(20, 0.5).sf(12) + stats.binom(20, 0.5).pmf(12) / 2
    assert f"p = {p:.3f}" in str(verdict)
    assert "actual fraud" in str(verdict)


@pytest.mark.parametrize(("wins", "losses"), [(5, 0), (15, 5), (60, 40)])
def test_proved_is_green(wins: int, losses: int) -> None:
    assert BeatsMajorityClass().check(paired(wins, losses)).outcome is Outcome.PASS


@pytest.mark.parametrize(("wins", "losses"), [(1, 9), (40, 65)])
def test_proved_worse_is_fail(wins: int, losses: int) -> None:
    assert BeatsMajorityClass().check(paired(wins, losses)).outcome is Outcome.FAIL


def test_always_answering_the_majority_is_no_proof() -> None:
    verdict = BeatsMajorityClass().check(ConfusionMatrix([[980, 0], [20, 0]]))
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, False)


def test_more_confidence_asks_for_more() -> None:
    matrix = paired(15, 5)  # mid-p = 0.0133
    assert BeatsMajorityClass(confidence=0.95).check(matrix).passed
    assert not BeatsMajorityClass(confidence=0.99).check(matrix).passed
    with pytest.raises(BarError, match=r"was 0\.95 meant"):
        BeatsMajorityClass(confidence=95)


@pytest.mark.parametrize("matrix", [ConfusionMatrix.zeros(2), ConfusionMatrix([[30, 0], [0, 0]])])
def test_nothing_to_beat_is_undefined(matrix: ConfusionMatrix) -> None:
    verdict = BeatsMajorityClass().check(matrix)
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)


def test_which_class_is_the_majority_does_not_matter() -> None:
    """The same model with its classes in another order."""
    matrix = ConfusionMatrix([[60, 10, 5], [9, 20, 3], [2, 4, 7]])
    turned = ConfusionMatrix(matrix.counts[::-1, ::-1])
    one, other = BeatsMajorityClass().check(matrix), BeatsMajorityClass().check(turned)
    assert (one.outcome, one.estimate, one.bar) == (other.outcome, other.estimate, other.bar)


def test_nearly_level_classes_are_both_beaten_or_none() -> None:
    """50 and 50: which of the two comes first decided the word, where only the first was compared with."""
    counts = ConfusionMatrix([[49, 1], [44, 6]]).counts
    words = {BeatsMajorityClass().check(ConfusionMatrix(table)).outcome for table in (counts, counts[::-1, ::-1])}
    assert words == {Outcome.INCONCLUSIVE}


@pytest.mark.parametrize("share", [0.48, 0.495])
def test_proof_is_wrong_in_at_most_5_percent_where_classes_are_level(share: float) -> None:
    """The model is exactly as accurate as the constant answer 1; in many samples 0 is the more frequent class."""
    rng = np.random.default_rng(5)
    cells = [[share * 0.9, share * 0.1], [(1 - share) - (1 - share - share * 0.9), 1 - share - share * 0.9]]
    assert np.trace(cells) == pytest.approx(1 - share)
    draws = rng.multinomial(300, np.ravel(cells), size=600).reshape(-1, 2, 2)
    passes = np.mean([BeatsMajorityClass().check(ConfusionMatrix(table)).passed for table in draws])
    assert passes <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_every_class_fail_is_wrong_in_at_most_5_percent(classes: int) -> None:
    """All classes at the bar: Holm keeps the chance of any false `FAIL` at 5%, whatever the number of classes."""
    size, bar, gate = 12, 0.8, EveryClassRecall(0.8)
    fails_alone = {}
    for hits in range(size + 1):
        counts = [[0] * classes for _ in range(classes)]
        for k in range(classes):
            counts[k][k] = size
        counts[0][0], counts[0][1] = hits, size - hits
        fails_alone[hits] = gate.check(ConfusionMatrix(counts)).outcome is Outcome.FAIL
    quiet = sum(stats.binom.pmf(hits, size, bar) for hits, fails in fails_alone.items() if not fails)
    assert 1 - quiet**classes <= 0.05 + 1e-9
    assert any(fails_alone.values())


def test_holm_asks_more_of_many_classes() -> None:
    """5 of 10 at a bar of 0.8: P(X <= 5) = 0.0328 refutes one class alone; among two it must be at most 0.025."""
    assert stats.binom.cdf(5, 10, 0.8) == pytest.approx(0.0328, abs=1e-4)
    matrix = ConfusionMatrix([[5, 5], [0, 10]])
    assert Gate("recall", at_least=0.8, label=0).check(matrix).outcome is Outcome.FAIL
    assert EveryClassRecall(0.8).check(matrix).outcome is Outcome.INCONCLUSIVE
    assert EveryClassRecall(0.8).check(ConfusionMatrix([[4, 6], [0, 10]])).outcome is Outcome.FAIL


def test_every_class_pass_needs_proof_of_each() -> None:
    assert EveryClassRecall(0.8).check(ConfusionMatrix([[14, 0], [0, 14]])).outcome is Outcome.PASS
    assert EveryClassRecall(0.8).check(ConfusionMatrix([[13, 0], [0, 1000]])).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("if_unsure", "green"), [("estimate", True), ("fail", False), ("warn", True)])
def test_every_class_if_unsure(if_unsure: str, green: bool) -> None:
    verdict = EveryClassRecall(0.8, if_unsure=if_unsure).check(ConfusionMatrix([[13, 0], [0, 1000]]))
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, green)


def test_one_class_below_the_bar_is_enough_for_red() -> None:
    verdict = EveryClassRecall(0.8).check(ConfusionMatrix([[700, 300], [0, 1000]], labels=("newt", "cat")))
    assert (verdict.outcome, verdict.label, verdict.estimate) == (Outcome.FAIL, "newt", 0.7)
    assert "lowest recall, of 'newt', = 0.700 (700 of 1,000), required >= 0.800 for each of 2 classes" in str(verdict)


def test_the_accuracy_paradox_breaks_the_floor() -> None:
    verdict = EveryClassRecall(0.5).check(RARE)
    assert (verdict.outcome, verdict.label) == (Outcome.FAIL, "fraud")


def test_a_class_without_a_sample_is_undefined() -> None:
    verdict = EveryClassRecall(0.0, if_unsure="warn").check(ConfusionMatrix([[9, 1, 0], [0, 0, 0], [1, 0, 9]]))
    assert (verdict.outcome, verdict.passed, verdict.label) == (Outcome.UNDEFINED, False, 1)
    assert "no sample of class 1 in 20" in verdict.explanation


def test_every_class_bounds_hold_the_lowest_recall() -> None:
    verdict = EveryClassRecall(0.8).check(ConfusionMatrix([[30, 10, 0], [0, 35, 5], [2, 0, 38]]))
    assert verdict.lower <= verdict.estimate <= verdict.upper
    assert verdict.estimate == 0.75


def test_every_class_bar_in_percent() -> None:
    with pytest.raises(BarError, match=r"was 0\.90 meant"):
        EveryClassRecall(90)


def test_the_upper_bound_of_the_lowest_recall_is_corrected_as_the_proof_is() -> None:
    """`FAIL` of the worst of three classes is Holm's: its upper bound is at 1 - 0.05 / 3."""
    matrix = ConfusionMatrix([[36, 4, 0], [1, 60, 2], [0, 1, 70]])
    found = EveryClassRecall(0.5).check(matrix)
    assert found.upper == pytest.approx(stats.beta.ppf(1 - 0.05 / 3, 37, 4), abs=1e-12)
    assert found.lower == pytest.approx(stats.beta.ppf(0.05, 36, 5), abs=1e-12)


NEVER = ConfusionMatrix.from_counts(tp=0, fp=0, fn=20, tn=980, labels=("ok", "fraud"))


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("accuracy", {}),
        ("recall", {"average": "micro"}),
        ("precision", {"average": "micro"}),
        ("f1", {"average": "micro"}),
        ("jaccard", {"average": "micro"}),
        ("recall", {"average": "weighted"}),
        ("accuracy", {"label": "ok"}),
        ("accuracy", {"label": "fraud"}),
    ],
)
def test_accuracy_by_any_name_is_refused_a_vacuous_bar(metric: str, options: dict[str, str]) -> None:
    with pytest.raises(BarError, match=r"vacuous: always answering '(ok|not fraud)'"):
        Gate(metric, at_least=0.9, **options).check(NEVER)
    assert Gate(metric, at_least=0.9, allow_vacuous=True, **options).check(NEVER).support == 1000
    assert not Gate(metric, at_least=0.99, allow_vacuous=True, **options).check(NEVER).passed
    assert Gate(metric, at_most=0.999, **options).check(NEVER).bar == 0.999  # the other direction is no such claim


def test_a_label_of_less_than_half_is_answered_by_its_absence() -> None:
    matrix = ConfusionMatrix([[40, 5], [10, 45]])
    with pytest.raises(BarError, match=r"'not 0' already scores 0\.550"):
        Gate("accuracy", at_least=0.5, label=0).check(matrix)
    assert Gate("accuracy", at_least=0.56, label=0).check(matrix).passed


def test_one_class_alone_leaves_no_bar_to_set() -> None:
    with pytest.raises(BarError, match="Evaluate on data of more than one class"):
        Gate("accuracy", at_least=0.9).check(ConfusionMatrix([[20, 1], [0, 0]]))


def test_a_tail_of_just_the_error_rate_is_proof() -> None:
    """P(X >= 4 | 4, 0.5) is 1/16, exactly 1 - 0.9375."""
    assert Gate("recall", at_least=0.5, confidence=0.9375).check(ConfusionMatrix([[9, 0], [0, 4]])).outcome == "PASS"


@pytest.mark.parametrize(("hits", "of", "bar", "text"), [(9999, 10000, 0.99999, "0.99999"), (1, 3000, 0.5, "0.000333")])
def test_no_number_reads_as_certain_or_as_the_bar_that_it_is_not(hits: int, of: int, bar: float, text: str) -> None:
    found = str(Gate("recall", at_least=bar).check(ConfusionMatrix([[9, 0], [of - hits, hits]])))
    assert text in found
    assert "1.0000" not in found
    assert "to 1.000 (" not in found


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        ([[500, 20], [30, 50]], Outcome.PASS),
        ([[500, 20], [62, 18]], Outcome.INCONCLUSIVE),
        ([[440, 80], [60, 20]], Outcome.FAIL),
    ],
)
def test_the_bounds_agree_with_the_word(counts: list[list[int]], outcome: Outcome) -> None:
    verdict = BeatsMajorityClass().check(ConfusionMatrix(counts))
    assert verdict.outcome is outcome
    assert 0 <= verdict.lower <= verdict.estimate <= verdict.upper <= 1
    assert (verdict.lower >= verdict.bar) == (outcome is Outcome.PASS)
    assert (verdict.upper <= verdict.bar) == (outcome is Outcome.FAIL)
    assert ("samples in all settle a model at" in str(verdict)) == (outcome is Outcome.INCONCLUSIVE)


def test_copies_in_a_group_prove_nothing_new() -> None:
    """4 wins and 1 loss of 40 patients, each with 20 alike images."""
    target = np.repeat([0, 1], [30, 10])
    preds = np.where(np.arange(40) < 29, 0, np.where(np.arange(40) < 34, 1, 0))
    outcomes = {}
    for design in ("none", "alone", "groups"):
        groups = {"none": None, "alone": np.arange(800), "groups": np.repeat(np.arange(40), 20)}[design]
        evidence = Evaluation.from_predictions(
            target=np.repeat(target, 20), preds=np.repeat(preds, 20), outputs="labels", labels=(0, 1), groups=groups
        )
        outcomes[design] = BeatsMajorityClass().check(evidence).outcome
    assert outcomes == {"none": Outcome.PASS, "alone": Outcome.PASS, "groups": Outcome.INCONCLUSIVE}


@pytest.mark.parametrize("turned", [False, True])
def test_nearly_level_classes_of_grouped_samples_are_both_beaten_or_none(turned: bool) -> None:
    counts = np.array([[98, 2], [88, 12]])
    counts = counts[::-1, ::-1] if turned else counts
    cells = np.repeat(np.arange(4), counts.ravel())
    found = Evaluation.from_predictions(target=cells // 2, preds=cells % 2, outputs="labels", groups=range(200))
    assert BeatsMajorityClass().check(found).outcome is Outcome.INCONCLUSIVE
