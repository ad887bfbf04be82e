"""A gate over several trainings: the mean, its two sources of luck, and what one collapsed seed does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import pytest_modelgate as mg
from pytest_modelgate import Evaluation, EvidenceError, Gate, GateFailure, MetricError, Outcome, OverSeeds, recording
from pytest_modelgate.statistics.seeds import over_seeds_interval

N = 400
draw = np.random.default_rng(9)
TARGET = (draw.random(N) < 0.5).astype(int)
TRUTH = draw.normal(size=N)


def model(seed: int, right: float = 0.4, n: int = N, **more: Any) -> Evaluation:
    preds = right * TARGET[:n] + (1 - right) * np.random.default_rng(seed).random(n)
    return Evaluation.from_predictions(
        target=TARGET[:n], preds=preds, outputs="probabilities", labels=("ok", "fraud"), **more
    )


def decided(preds: Any, **more: Any) -> Evaluation:
    return Evaluation.from_predictions(target=TARGET, preds=preds, outputs="labels", labels=("ok", "fraud"), **more)


SEEDS = [model(seed) for seed in range(5)]


def test_proportions_have_the_combined_variance() -> None:
    verdict = OverSeeds(Gate("recall", at_least=0.5)).check(SEEDS)
    shares = [one.metric("recall") for one in SEEDS]
    assert verdict.estimate == pytest.approx(np.mean(shares), abs=1e-12)
    assert (verdict.lower, verdict.upper) == pytest.approx(over_seeds_interval(shares, int(TARGET.sum())), abs=1e-12)  # type: ignore[arg-type]
    assert verdict.gate == "over_seeds(recall[fraud] >= 0.5)"
    assert verdict.details == tuple((f"seed {i}", share) for i, share in enumerate(shares, 1))
    assert (verdict.hits, verdict.support, verdict.family) == (None, int(TARGET.sum()), None)
    assert "5 of 5 seeds meet the bar, which proves only that 55% of such trainings do" in str(verdict)
    assert mg.Verdict.from_json(verdict.to_json()) == verdict


@pytest.mark.parametrize(
    "name", ["f1", "mcc", "balanced_accuracy", "roc_auc", "average_precision", "brier", "log_loss"]
)
def test_other_metrics(name: str) -> None:
    """As wide as m -+ t sqrt(s^2 / S + v), v from the bounds of the single models; wider than each part alone."""
    lower_is_better = name in ("brier", "log_loss")
    bar: dict[str, float] = {"at_most": 0.9} if lower_is_better else {"at_least": 0.1}
    verdict = OverSeeds(Gate(name, **bar)).check(SEEDS)  # type: ignore[arg-type]
    singles = [Gate(name, **bar).check(one) for one in SEEDS]  # type: ignore[arg-type]
    assert verdict.outcome is Outcome.PASS
    values = [single.estimate for single in singles]
    of_seeds = np.var(values, ddof=1) / 5  # type: ignore[arg-type]
    below = np.mean([(single.estimate - single.lower) ** 2 for single in singles]) / 1.6448536**2  # type: ignore[operator]
    assert verdict.estimate - verdict.lower == pytest.approx(1.65 * np.sqrt(of_seeds + below), rel=0.1)  # type: ignore[operator]
    assert verdict.lower < verdict.estimate < verdict.upper  # type: ignore[operator]
    assert "Student's t" in verdict.method  # type: ignore[operator]


@pytest.mark.parametrize("name", ["recall", "f1", "mcc", "roc_auc"])
def test_flawless_models_do_not_prove_perfection(name: str) -> None:
    """Bounds stay in the metric's range, and the lower one is about that of one flawless model."""
    perfect = [
        Evaluation.from_predictions(target=TARGET[:60], preds=0.1 + 0.8 * TARGET[:60], outputs="probabilities")
    ] * 5
    single = Gate(name, at_least=0.5).check(perfect[0])
    verdict = OverSeeds(Gate(name, at_least=0.999, if_unsure="fail")).check(perfect)
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, False)
    assert (verdict.estimate, verdict.upper) == (1, 1)
    assert verdict.lower == pytest.approx(single.lower, abs=0.01)
    assert verdict.lower <= single.lower + 1e-9  # type: ignore[operator]


def test_regression() -> None:
    seeds = [
        Evaluation.from_predictions(
            target=TRUTH, preds=TRUTH + np.random.default_rng(s).normal(0, 0.3, N), outputs="values"
        )
        for s in range(4)
    ]
    assert OverSeeds(Gate("rmse", at_most=0.4)).check(seeds).outcome is Outcome.PASS
    assert OverSeeds(Gate("rmse", at_most=0.2)).check(seeds).outcome is Outcome.FAIL
    other = Evaluation.from_predictions(target=TRUTH + 1, preds=TRUTH, outputs="values")
    with pytest.raises(EvidenceError, match=r"evaluation 5 .* other targets"):
        OverSeeds(Gate("rmse", at_most=0.4)).check([*seeds, other])


def test_seeds_that_differ_prove_less_than_their_pooled_samples() -> None:
    wild = [model(seed, right) for seed, right in enumerate((0.1, 0.3, 0.5, 0.7, 0.2))]
    verdict = OverSeeds(Gate("recall", at_least=0.6)).check(wild)
    pooled = Gate("recall", at_least=0.6).check(sum(wild))  # type: ignore[arg-type]
    assert verdict.lower < pooled.lower - 0.03  # type: ignore[operator]


def test_one_collapsed_seed_is_red_whatever_the_mean() -> None:
    collapsed = decided(np.zeros(N, dtype=int))
    others = [decided(TARGET)] * 4
    for if_unsure in ("estimate", "fail", "warn"):
        verdict = OverSeeds(Gate("precision", at_least=0.1, if_unsure=if_unsure)).check(
            [*others[:2], collapsed, *others]
        )
        assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
    assert verdict.explanation.startswith("UNDEFINED: precision of 'fraud' over 7 seeds cannot be judged: of seed 3, ")
    assert verdict.explanation.count("cannot be judged") == 1
    assert verdict.details[2] == ("seed 3", None)
    assert mg.Verdict.from_json(verdict.to_json()) == verdict
    recall = OverSeeds(Gate("recall", at_least=0.6)).check([*others, collapsed])
    assert recall.outcome is Outcome.INCONCLUSIVE
    assert "4 of 5 seeds meet the bar" in str(recall)


@pytest.mark.parametrize(
    ("if_unsure", "bar", "green"),
    [("estimate", "below", True), ("estimate", "above", False), ("fail", "below", False), ("warn", "above", True)],
)
def test_the_gates_own_if_unsure_and_confidence(if_unsure: str, bar: str, green: bool) -> None:
    mean = float(np.mean([one.metric("recall") for one in SEEDS]))  # type: ignore[arg-type]
    at_least = mean - 0.01 if bar == "below" else mean + 0.01
    verdict = OverSeeds(Gate("recall", at_least=at_least, if_unsure=if_unsure, confidence=0.99)).check(SEEDS)
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, green)
    assert (verdict.confidence, verdict.if_unsure) == (0.99, if_unsure)
    assert ("takes nothing but proof" in str(verdict)) == (if_unsure == "fail")
    narrow = OverSeeds(Gate("recall", at_least=at_least, confidence=0.8)).check(SEEDS)
    assert narrow.lower > verdict.lower  # type: ignore[operator]


def test_the_order_of_the_seeds_changes_no_judgement() -> None:
    for name in ("recall", "mcc"):
        gate = OverSeeds(Gate(name, at_least=0.5))
        found = {
            (v.estimate, v.lower, v.upper, v.outcome, v.explanation)
            for v in map(gate.check, itertools.permutations(SEEDS[:4]))
        }
        assert len(found) == 1


def test_groups_and_weights() -> None:
    groups, weights = np.arange(N) // 20, draw.exponential(size=N)
    grouped = [model(seed, groups=groups, weights=weights) for seed in range(4)]
    for name in ("recall", "f1", "mcc", "roc_auc", "log_loss"):
        bar: dict[str, float] = {"at_most": 9} if name == "log_loss" else {"at_least": 0.1}
        verdict = OverSeeds(Gate(name, **bar)).check(grouped)  # type: ignore[arg-type]
        assert verdict.outcome is Outcome.PASS
        assert verdict.lower < verdict.estimate < verdict.upper  # type: ignore[operator]
    one_group = [model(seed, groups=np.zeros(N, dtype=int)) for seed in range(4)]
    verdict = OverSeeds(Gate("recall", at_least=0.1, if_unsure="fail")).check(one_group)
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, False)
    assert "no bounds: the samples of seed 1 alone give none" in str(verdict)


class TestWrongUse:
    @pytest.mark.parametrize(
        ("evaluations", "says"),
        [
            ([], "0 evaluations say too little"),
            (SEEDS[:1], "1 evaluation says too little"),
            (SEEDS[:2], "at least 3, better 5"),
            (SEEDS[0], "give a list of evaluations"),
            (None, "give a list of evaluations"),
            ("abc", "give a list of evaluations"),
            ([0.9, 0.8, 0.7], "judges an Evaluation"),
            ([*SEEDS, model(7, n=300)], "evaluation 6 is not of the same samples as .*: it has 300 samples, not 400"),
            ([*SEEDS[:2], decided(1 - TARGET)], None),
            ([model(1, ids=range(N)), model(2, ids=range(N)), model(3, ids=range(1, N + 1))], "other ids"),
            ([model(1, ids=range(N)), model(2), model(3)], "evaluation 2 .* other ids"),
            ([model(1), model(2, weights=np.ones(N)), model(3)], "other weights"),
            ([model(1), model(2, groups=range(N)), model(3)], "other groups"),
            ([*SEEDS, Evaluation.from_predictions(
                target=1 - TARGET, preds=TARGET, outputs="labels", labels=("ok", "fraud"))], "other targets"),
            ([*SEEDS, Evaluation.from_predictions(target=TARGET, preds=TARGET, outputs="labels")], "other classes"),
            ([*SEEDS, Evaluation.from_predictions(target=TRUTH, preds=TRUTH, outputs="values")], "another task"),
        ],
    )  # fmt: skip
    def test_evaluations(self, evaluations: Any, says: str | None) -> None:
        if says is None:
            assert OverSeeds(Gate("recall", at_least=0.5)).check(evaluations)
            return
        with pytest.raises(EvidenceError, match=says):
            mg.assert_over_seeds(evaluations, Gate("recall", at_least=0.5))

    @pytest.mark.parametrize("gate", ["recall", None, 0.9, mg.BeatsMajorityClass()])
    def test_gates(self, gate: Any) -> None:
        with pytest.raises(MetricError, match="give a Gate"):
            mg.assert_over_seeds(SEEDS, gate)

    def test_no_method_for_both(self) -> None:
        with pytest.raises(MetricError, match="anytime"):
            mg.assert_over_seeds(SEEDS, Gate("recall", at_least=0.5, anytime=True))

    def test_a_vacuous_bar_stays_one(self) -> None:
        with pytest.raises(mg.BarError, match="vacuous"):
            mg.assert_over_seeds(SEEDS, Gate("accuracy", at_least=0.5))


class Listener:
    confidence, if_unsure = 0.95, "estimate"

    def __init__(self) -> None:
        self.heard: list[tuple[mg.Verdict, tuple[Evaluation, ...]]] = []

    def verdict(self, verdict: mg.Verdict, *evidence: Evaluation, again: object = None) -> None:
        self.heard.append((verdict, evidence))

    def evaluation(self, evaluation: Evaluation) -> None: ...

    def history(self, history: mg.History) -> None: ...


@pytest.fixture
def heard() -> Iterator[Listener]:
    listener = Listener()
    recording.install(listener)
    yield listener
    recording.remove(listener)


def test_a_generator_is_walked_once_and_each_seeds_evidence_is_heard(heard: Listener) -> None:
    """The same samples are not five times as many: what is recorded is each evaluation, not their sum."""
    seeds = [model(seed, ids=range(N)) for seed in range(5)]
    verdict = mg.assert_over_seeds((one for one in seeds), Gate("recall", at_least=0.5))
    ((recorded, evidence),) = heard.heard
    assert recorded is verdict
    assert evidence == tuple(seeds)
    with pytest.raises(GateFailure) as caught:
        mg.assert_over_seeds(iter(seeds), Gate("recall", at_least=0.99))
    assert caught.value.verdict.outcome is Outcome.FAIL
    assert len(heard.heard) == 2
    mg.assert_over_seeds([one.confusion_matrix for one in seeds], Gate("recall", at_least=0.5))


def test_evaluations_that_cannot_be_merged_are_judged_all_the_same(heard: Listener) -> None:
    thresholds = [one.at_threshold(0.45 + 0.01 * i) for i, one in enumerate(SEEDS)]
    assert mg.assert_over_seeds(thresholds, Gate("recall", at_least=0.5)).passed


def test_wrong_use_records_nothing(heard: Listener) -> None:
    with pytest.raises(EvidenceError):
        mg.assert_over_seeds(SEEDS[:2], Gate("recall", at_least=0.5))
    assert heard.heard == []


def test_bounds_stay_in_the_metrics_range() -> None:
    nearly = [decided(np.where(np.arange(N) < 12 * wrong, 1 - TARGET, TARGET)) for wrong in (0, 0, 2, 0)]
    for name in ("f1", "mcc", "balanced_accuracy"):
        verdict = OverSeeds(Gate(name, at_least=0.5)).check(nearly)
        assert verdict.upper == 1


def test_an_unsure_verdict_says_whose_luck_it_is() -> None:
    hits = [TARGET * (np.random.default_rng(seed).random(N) < 0.9) for seed in range(5)]
    alike = OverSeeds(Gate("recall", at_least=0.9)).check([decided(preds) for preds in hits])
    assert alike.outcome is Outcome.INCONCLUSIVE
    assert "most of the doubt is the test set's luck" in str(alike)
    shares = (0.6, 0.95, 0.99, 0.7, 0.9)
    hits = [TARGET * (np.random.default_rng(seed).random(N) < share) for seed, share in enumerate(shares)]
    unlike = OverSeeds(Gate("recall", at_least=0.8)).check([decided(preds) for preds in hits])
    assert unlike.outcome is Outcome.INCONCLUSIVE
    assert "more seeds would settle it sooner" in str(unlike)
    assert OverSeeds(Gate("recall", at_least=0.82, confidence=0.5)).check([decided(preds) for preds in hits]).estimate


def test_other_inputs_with_the_same_targets_are_told_apart() -> None:
    same, other, unknown = ([replace(one, fingerprint=number) for one in SEEDS[:3]] for number in (7, 8, None))
    gate = OverSeeds(Gate("recall", at_least=0.1))
    with pytest.raises(EvidenceError, match=r"evaluation 3 is not of the same samples as the first: .* other inputs"):
        gate.check([*same[:2], other[2]])
    for third in (same[2], unknown[2]):
        assert gate.check([*same[:2], third]).outcome is Outcome.PASS


def test_few_groups_have_few_degrees_of_freedom() -> None:
    """m -+ t sqrt(s^2 / S + v), t with Satterthwaite's degrees of freedom, here nearly those of 5 groups."""
    groups = np.arange(N) % 5
    seeds = [model(seed, groups=groups) for seed in range(3)]
    verdict = OverSeeds(Gate("brier", at_most=0.9)).check(seeds)
    singles = [Gate("brier", at_most=0.9).check(one) for one in seeds]
    values = np.array([single.estimate for single in singles])
    above = np.mean([((single.upper - single.estimate) / stats.norm.ppf(0.95)) ** 2 for single in singles])  # type: ignore[operator]
    of_seeds = values.var(ddof=1) / 3
    whole = of_seeds + above
    degrees = 1 / ((of_seeds / whole) ** 2 / 2 + (above / whole) ** 2 / 4)
    assert degrees < 7
    expected = values.mean() + stats.t.ppf(0.95, degrees) * np.sqrt(whole)
    assert verdict.upper == pytest.approx(expected, rel=1e-6)
