"""Gates on proportions: their bounds, their words, and how often the words are wrong, against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_modelgate import ConfusionMatrix, Gate, Outcome, Verdict
from pytest_modelgate.gates.gate import judge_proportion

BARS = (0.05, 0.5, 0.8, 0.9, 0.95, 0.99)
SIZES = range(1, 61)


def recall(hits: int, trials: int, **options: object) -> Verdict:
    """The verdict on a recall of `hits` of `trials`."""
    evidence = ConfusionMatrix.from_counts(tp=hits, fp=3, fn=trials - hits, tn=70, labels=("ok", "fraud"))
    return Gate("recall", **options).check(evidence)


@given(trials=st.integers(1, 3000), data=st.data(), confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
@settings(deadline=None, max_examples=100)
def test_bounds_are_clopper_pearsons(trials: int, data: st.DataObject, confidence: float) -> None:
    """Each bound is one-sided at the confidence; scipy's interval is two-sided, so it gets twice the error."""
    hits = data.draw(st.integers(0, trials))
    verdict = recall(hits, trials, at_least=0.9, confidence=confidence)
    expected = stats.binomtest(hits, trials).proportion_ci(2 * confidence - 1, method="exact")
    assert (verdict.lower, verdict.upper) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert verdict.estimate == hits / trials
    assert (verdict.hits, verdict.support) == (hits, trials)


@pytest.mark.parametrize(
    ("hits", "trials", "lower", "upper"),
    # One-sided 95% limits, from the beta distribution: BETA.INV(0.05; k; n - k + 1) and BETA.INV(0.95; k + 1; n - k).
    [(36, 40, 0.786, 0.965), (12, 100, 0.071, 0.187), (0, 10, 0.0, 0.259), (10, 10, 0.741, 1.0), (1, 1, 0.05, 1.0)],
)
def test_bounds_that_can_be_read_in_a_table(hits: int, trials: int, lower: float, upper: float) -> None:
    verdict = recall(hits, trials, at_least=0.9)
    assert (round(verdict.lower, 3), round(verdict.upper, 3)) == (lower, upper)


@given(trials=st.integers(1, 400), data=st.data(), bar=st.floats(0.01, 0.99), direction=st.booleans())
@settings(deadline=None, max_examples=150)
def test_the_word_is_the_binomial_tests(trials: int, data: st.DataObject, bar: float, direction: bool) -> None:
    """`PASS` iff scipy's one-sided binomial test refutes the bar from one side, `FAIL` iff from the other."""
    hits = data.draw(st.integers(0, trials))
    above = stats.binomtest(hits, trials, bar, alternative="greater").pvalue
    below = stats.binomtest(hits, trials, bar, alternative="less").pvalue
    if min(abs(above - 0.05), abs(below - 0.05)) < 1e-9:
        return
    many, few = (above, below) if direction else (below, above)
    expected = Outcome.PASS if many <= 0.05 else Outcome.FAIL if few <= 0.05 else Outcome.INCONCLUSIVE
    bars = {"at_least" if direction else "at_most": bar}
    assert recall(hits, trials, **bars).outcome is expected


def worst_error_rates(judge: object) -> tuple[float, float]:
    """The largest probability of a wrong `PASS` and of a wrong `FAIL` over sizes, bars and truths at or by the bar.

    The wrong `PASS` is likeliest for a truth just below the bar, the wrong `FAIL` for one at the bar.
    """
    false_pass = false_fail = 0.0
    for bar in BARS:
        for trials in SIZES:
            outcomes = [judge(hits, trials, bar) for hits in range(trials + 1)]
            chances = stats.binom.pmf(range(trials + 1), trials, bar)
            false_pass = max(false_pass, sum(c for c, o in zip(chances, outcomes, strict=True) if o is Outcome.PASS))
            false_fail = max(false_fail, sum(c for c, o in zip(chances, outcomes, strict=True) if o is Outcome.FAIL))
    return false_pass, false_fail


def by_wilson(hits: int, trials: int, bar: float) -> Outcome:
    """A rule that is often used and does not keep its promise."""
    interval = stats.binomtest(hits, trials).proportion_ci(0.9, method="wilson")
    return Outcome.PASS if interval.low >= bar else Outcome.FAIL if interval.high < bar else Outcome.INCONCLUSIVE


@pytest.mark.parametrize("direction", ["at_least", "at_most"])
def test_a_word_is_wrong_in_at_most_5_percent(direction: str) -> None:
    rates = worst_error_rates(lambda hits, trials, bar: judge_proportion(hits, trials, bar, direction, 0.95))
    assert max(rates) <= 0.05 + 1e-9
    assert min(rates) > 0.045  # the promise is used up: the rule is not needlessly timid


def test_the_check_of_error_rates_notices_wilsons_rule() -> None:
    """The negative control: where the check above could not fail, it would hold nothing."""
    false_pass, false_fail = worst_error_rates(by_wilson)
    assert false_pass > 0.08
    assert false_fail > 0.08


@pytest.mark.parametrize("bar", BARS)
def test_more_hits_never_make_the_word_worse(bar: float) -> None:
    rank = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}
    for trials in SIZES:
        up = [rank[judge_proportion(hits, trials, bar, "at_least", 0.95)] for hits in range(trials + 1)]
        down = [rank[judge_proportion(hits, trials, bar, "at_most", 0.95)] for hits in range(trials + 1)]
        assert up == sorted(up)
        assert down == sorted(down, reverse=True)


@pytest.mark.parametrize(("bar", "needed"), [(0.8, 14), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_flawless_runs_needed_for_proof(bar: float, needed: int) -> None:
    """bar ** n <= 0.05: the published rule of three, exactly."""
    assert recall(needed, needed, at_least=bar).outcome is Outcome.PASS
    assert recall(needed - 1, needed - 1, at_least=bar).outcome is Outcome.INCONCLUSIVE


def test_the_word_agrees_with_the_bounds() -> None:
    for hits in range(61):
        verdict = recall(hits, 60, at_least=0.8)
        if abs(verdict.lower - 0.8) > 1e-9 and abs(verdict.upper - 0.8) > 1e-9:
            expected = Outcome.PASS if verdict.lower > 0.8 else Outcome.FAIL if verdict.upper < 0.8 else None
            assert verdict.outcome is (expected or Outcome.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("hits", "trials", "bars", "outcome"),
    [
        (36, 40, {"at_least": 0.0}, Outcome.PASS),
        (0, 40, {"at_least": 0}, Outcome.PASS),
        (40, 40, {"at_most": 1.0}, Outcome.PASS),
        (40, 40, {"at_least": 1.0}, Outcome.INCONCLUSIVE),
        (39, 40, {"at_least": 1.0}, Outcome.FAIL),
        (0, 40, {"at_most": 0.0}, Outcome.INCONCLUSIVE),
        (1, 40, {"at_most": 0.0}, Outcome.FAIL),
        (40, 40, {"at_most": 0.5}, Outcome.FAIL),
        (0, 40, {"at_most": 0.5}, Outcome.PASS),
    ],
)
def test_bars_at_the_ends_of_the_range(hits: int, trials: int, bars: dict[str, float], outcome: Outcome) -> None:
    assert recall(hits, trials, **bars).outcome is outcome


def test_36_of_40_meets_a_bar_of_nine_tenths() -> None:
    """36/40 in float32 is 0.8999999762; the data cannot tell, the estimate meets the bar."""
    verdict = recall(36, 40, at_least=0.9)
    assert verdict.passed
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.explanation == ("INCONCLUSIVE (leans pass): recall of 'fraud' = 0.900 (36 of 40), required >= 0.900")
    assert verdict.notes[0] == "the data allow 0.786 to 0.965 (95% each way, Clopper-Pearson)"


@pytest.mark.parametrize(
    ("hits", "if_unsure", "outcome", "passed"),
    [
        (36, "estimate", "INCONCLUSIVE", True),
        (36, "fail", "INCONCLUSIVE", False),
        (36, "warn", "INCONCLUSIVE", True),
        (35, "estimate", "INCONCLUSIVE", False),
        (35, "fail", "INCONCLUSIVE", False),
        (35, "warn", "INCONCLUSIVE", True),
        (40, "fail", "PASS", True),
        (30, "estimate", "FAIL", False),
        (30, "warn", "FAIL", False),
    ],
)
def test_if_unsure_colours_what_the_data_leave_open(hits: int, if_unsure: str, outcome: str, passed: bool) -> None:
    verdict = recall(hits, 40, at_least=0.9, if_unsure=if_unsure)
    assert (verdict.outcome, verdict.passed, bool(verdict)) == (Outcome(outcome), passed, passed)


@given(trials=st.integers(1, 300), data=st.data(), bar=st.floats(0, 1))
@settings(deadline=None, max_examples=150)
def test_estimate_is_never_greener_than_a_plain_comparison(trials: int, data: st.DataObject, bar: float) -> None:
    hits = data.draw(st.integers(0, trials))
    assert recall(hits, trials, at_least=bar).passed <= (hits / trials >= bar)
    assert recall(hits, trials, at_most=bar).passed <= (hits / trials <= bar)


@given(trials=st.integers(1, 300), data=st.data(), bar=st.floats(0, 1))
@settings(deadline=None, max_examples=100)
def test_colours_are_ordered(trials: int, data: st.DataObject, bar: float) -> None:
    """What only proof makes green is green by estimate, and that is green with a warning."""
    hits = data.draw(st.integers(0, trials))
    fail, estimate, warn = (
        recall(hits, trials, at_least=bar, if_unsure=word).passed for word in ("fail", "estimate", "warn")
    )
    assert fail <= estimate <= warn


@pytest.mark.parametrize("if_unsure", ["estimate", "fail", "warn"])
@pytest.mark.parametrize("bars", [{"at_least": 0.0}, {"at_least": 0.9}, {"at_most": 0.9}, {"at_most": 1.0}])
def test_undefined_is_always_red(if_unsure: str, bars: dict[str, float]) -> None:
    verdict = recall(0, 0, **bars, if_unsure=if_unsure)
    assert verdict.outcome is Outcome.UNDEFINED
    assert not verdict.passed
    assert (verdict.estimate, verdict.lower, verdict.upper) == (None, None, None)
    assert "no sample of class 'fraud' in 73" in verdict.explanation


@pytest.mark.parametrize("metric", ["recall", "precision", "specificity", "false_positive_rate"])
@pytest.mark.parametrize("direction", ["at_least", "at_most"])
def test_an_empty_matrix_never_passes(metric: str, direction: str) -> None:
    verdict = Gate(metric, **{direction: 0.5}).check(ConfusionMatrix.zeros(2))
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)


@given(matrix=st.lists(st.integers(0, 40), min_size=4, max_size=4), data=st.data())
@settings(deadline=None, max_examples=60)
def test_bounds_hold_the_estimate(matrix: list[int], data: st.DataObject) -> None:
    tp, fp, fn, tn = matrix
    evidence = ConfusionMatrix.from_counts(tp=tp, fp=fp, fn=fn, tn=tn)
    metric = data.draw(st.sampled_from(["recall", "precision", "specificity", "negative_predictive_value"]))
    verdict = Gate(metric, at_least=0.5).check(evidence)
    if verdict.estimate is not None:
        assert 0 <= verdict.lower <= verdict.estimate <= verdict.upper <= 1
        assert not math.isnan(verdict.estimate)
