"""What is claimed of several trainings: the worst, a share of them, or how many histories are fine."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import pytest_modelgate as mg
from pytest_modelgate import BarError, ConfusionMatrix, EvidenceError, Gate, History, MetricError, Outcome, OverSeeds
from pytest_modelgate.gates.histories import LossDecreases, MetricImproves, NoOverfitting
from pytest_modelgate.reports.facts import corrected, seeds_text
from pytest_modelgate.reports.strip import strip

N = 400


def model(tp: int, n: int = N) -> ConfusionMatrix:
    return ConfusionMatrix.from_counts(tp=tp, fn=n - tp, fp=10, tn=n - 10, labels=("ok", "fraud"))


def bound(hits: int, level: float, side: str, n: int = N) -> float:
    """Clopper and Pearson's one-sided bound at a level alpha, by scipy."""
    interval = stats.binomtest(hits, n).proportion_ci(1 - 2 * level, method="exact")
    return float(getattr(interval, side))


def worst(*hits: int, bar: float = 0.9, **more: Any) -> mg.Verdict:
    return OverSeeds(Gate("recall", at_least=bar, **more), claim="worst").check([model(tp) for tp in hits])


def share(*hits: int, bar: float = 0.9, of: float = 0.8, **more: Any) -> mg.Verdict:
    return OverSeeds(Gate("recall", at_least=bar, **more), claim="share", share=of).check([model(tp) for tp in hits])


class TestWorst:
    def test_by_hand(self) -> None:
        verdict = worst(380, 384, 371, 376, 388)
        assert verdict.estimate == 371 / N
        assert verdict.lower == pytest.approx(bound(371, 0.05, "low"), abs=1e-9)
        assert verdict.upper == pytest.approx(bound(371, 0.01, "high"), abs=1e-9)
        assert (verdict.outcome, verdict.passed) == (Outcome.PASS, True)
        assert verdict.gate == "over_seeds(recall[fraud] >= 0.9, claim='worst')"
        assert (verdict.method, verdict.family) == ("Clopper-Pearson", "Bonferroni over 5 seeds")
        assert verdict.explanation == (
            "PASS: recall of 'fraud' over 5 seeds = 0.927 at worst (the others up to 0.970), required >= 0.900"
        )
        assert verdict.details == tuple((f"seed {i}", tp / N) for i, tp in enumerate((380, 384, 371, 376, 388), 1))
        assert mg.Verdict.from_json(verdict.to_json()) == verdict

    def test_pass_takes_a_proof_of_each(self) -> None:
        """371 of 400 prove .9 alone, 370 do not; the mean of such seeds would pass all the same."""
        passes = [Gate("recall", at_least=0.9).check(model(tp)).outcome for tp in (371, 370)]
        assert passes == [Outcome.PASS, Outcome.INCONCLUSIVE]
        assert worst(390, 390, 371).outcome is Outcome.PASS
        verdict = worst(390, 390, 370)
        assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, True)
        assert OverSeeds(Gate("recall", at_least=0.9)).check([model(tp) for tp in (390, 390, 370)]).passed

    def test_fail_is_corrected_for_the_number_of_seeds(self) -> None:
        """The worst of many seeds is below the bar by luck more often than one is."""
        alone = next(tp for tp in range(360, 300, -1) if stats.binom.cdf(tp, N, 0.9) <= 0.05)
        corrected_ = next(tp for tp in range(360, 300, -1) if stats.binom.cdf(tp, N, 0.9) <= 0.01)
        assert Gate("recall", at_least=0.9).check(model(alone)).outcome is Outcome.FAIL
        assert worst(390, 390, 390, 390, corrected_ + 1).outcome is Outcome.INCONCLUSIVE
        assert worst(390, 390, 390, 390, corrected_).outcome is Outcome.FAIL

    def test_what_is_lower_is_better(self) -> None:
        gate = Gate("false_negative_rate", at_most=0.1)
        verdict = OverSeeds(gate, claim="worst").check([model(tp) for tp in (384, 371, 376)])
        assert verdict.estimate == (N - 371) / N
        assert verdict.upper == pytest.approx(1 - bound(371, 0.05, "low"), abs=1e-9)
        assert verdict.lower == pytest.approx(1 - bound(371, 0.05 / 3, "high"), abs=1e-9)
        assert "= 0.072 at worst (the others down to 0.040), required <= 0.100" in verdict.explanation
        assert verdict.outcome is Outcome.PASS

    @pytest.mark.parametrize(("if_unsure", "green"), [("estimate", False), ("fail", False), ("warn", True)])
    def test_colours(self, if_unsure: str, green: bool) -> None:
        verdict = worst(390, 390, 355, if_unsure=if_unsure)
        assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, green)
        assert verdict.explanation.startswith("INCONCLUSIVE (leans fail): ")
        assert ("takes nothing but proof" in str(verdict)) == (if_unsure == "fail")
        assert "proved, corrected for the number of seeds: the bar met by 2 of 3, missed by 0" in verdict.notes

    def test_a_training_that_cannot_be_judged_leaves_nothing_to_judge(self) -> None:
        never = ConfusionMatrix.from_counts(tp=0, fn=N, fp=0, tn=N, labels=("ok", "fraud"))
        for if_unsure in ("estimate", "fail", "warn"):
            gate = OverSeeds(Gate("precision", at_least=0.5, if_unsure=if_unsure), claim="worst")
            verdict = gate.check([model(380), never, model(390)])
            assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
            assert "over 3 seeds cannot be judged: of seed 2, " in verdict.explanation
            assert verdict.details[1] == ("seed 2", None)

    @pytest.mark.parametrize("claim", ["mean", "worst"])
    def test_a_constant_answer_proves_nothing(self, claim: str) -> None:
        """It has full recall, and neither the mean nor the worst may hide it."""
        always = ConfusionMatrix.from_counts(tp=N, fn=0, fp=N, tn=0, labels=("ok", "fraud"))
        assert Gate("recall", at_least=0.5).check(always).outcome is Outcome.UNDEFINED
        verdict = OverSeeds(Gate("recall", at_least=0.5), claim=claim).check([model(380), model(390), always])
        assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
        assert "of seed 3, all 800 predictions are 'fraud'" in verdict.explanation


class TestShare:
    def test_by_hand(self) -> None:
        """4 of 5 needed, one may miss: PASS takes four proofs at .05 / 2, FAIL two at .05 / 4."""
        verdict = share(380, 384, 345, 373, 388)
        assert verdict.estimate == 373 / N
        assert verdict.lower == pytest.approx(bound(373, 0.025, "low"), abs=1e-9)
        assert verdict.upper == pytest.approx(bound(373, 0.0125, "high"), abs=1e-9)
        assert (verdict.outcome, verdict.passed) == (Outcome.PASS, True)
        assert verdict.gate == "over_seeds(recall[fraud] >= 0.9, share=0.8)"
        assert verdict.explanation == (
            "PASS: recall of 'fraud': 4 of 5 seeds reach 0.900 (0.863 to 0.970), required 4 of 5"
        )
        interval = stats.binomtest(4, 5).proportion_ci(0.9, method="exact")
        assert (
            f"4 of 5 seeds meet the bar: of all such trainings {interval.low:.0%} to {interval.high:.0%} would on "
            "these samples (95% each way, Clopper-Pearson)"
        ) in verdict.notes
        assert "proved, corrected for the number of seeds: the bar met by 4 of 5, missed by 1" in verdict.notes

    def test_words(self) -> None:
        least = next(tp for tp in range(360, 400) if stats.binom.sf(tp - 1, N, 0.9) <= 0.025)
        most = next(tp for tp in range(360, 300, -1) if stats.binom.cdf(tp, N, 0.9) <= 0.0125)
        assert share(390, 390, 390, least, 200).outcome is Outcome.PASS
        assert share(390, 390, 390, least - 1, 200).outcome is Outcome.INCONCLUSIVE
        assert share(390, 390, 390, most, most).outcome is Outcome.FAIL
        assert share(390, 390, 390, most, most + 1).outcome is Outcome.INCONCLUSIVE

    def test_doubt_leans_where_the_estimates_do(self) -> None:
        leans_pass, leans_fail = share(390, 390, 390, 361, 355), share(390, 390, 390, 359, 355)
        assert (leans_pass.outcome, leans_pass.passed) == (Outcome.INCONCLUSIVE, True)
        assert leans_pass.explanation.startswith("INCONCLUSIVE (leans pass): recall of 'fraud': 4 of 5 seeds reach")
        assert (leans_fail.outcome, leans_fail.passed) == (Outcome.INCONCLUSIVE, False)
        assert leans_fail.explanation.startswith("INCONCLUSIVE (leans fail): recall of 'fraud': 3 of 5 seeds reach")
        assert not share(390, 390, 390, 361, 355, if_unsure="fail").passed
        assert share(390, 390, 390, 359, 355, if_unsure="warn").passed

    def test_a_collapsed_training_counts_as_one_that_does_not_meet_the_bar(self) -> None:
        never = ConfusionMatrix.from_counts(tp=0, fn=N, fp=0, tn=N, labels=("ok", "fraud"))
        gate = OverSeeds(Gate("precision", at_least=0.5, if_unsure="warn"), claim="share", share=0.6)
        good = [model(380), model(384), model(390)]
        verdict = gate.check([*good, never])
        assert verdict.outcome is Outcome.PASS
        assert "3 of 4 seeds reach 0.500" in verdict.explanation
        assert any(
            "of seed 4 " in note and "counts as one that does not meet the bar" in note for note in verdict.notes
        )
        assert gate.check([*good[:2], never, never]).outcome is Outcome.UNDEFINED
        assert not gate.check([*good[:2], never, never]).passed

    def test_a_loss_that_is_not_finite_is_the_worst(self) -> None:
        """Where lower is better, no number is small enough for it."""

        class Shift(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x + self.by

        def root(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return (outputs - targets).sqrt()

        def trained(by: float) -> mg.Evaluation:
            shift = Shift()
            shift.by = by
            inputs = torch.linspace(0, 0.1, 50)
            return mg.evaluate(shift, (inputs, torch.zeros(50)), loss=root, outputs="values", device="cpu")

        gate = OverSeeds(Gate("loss", at_most=1.5, if_unsure="warn"), claim="share", share=0.75)
        verdict = gate.check([trained(by) for by in (1.0, 1.2, 1.4, -9.0)])
        assert verdict.estimate == trained(1.4).metric("loss")
        assert "3 of 4 seeds stay within 1.500" in verdict.explanation

    def test_all_of_them_is_the_worst(self) -> None:
        for hits in ((390, 390, 370), (390, 390, 369), (390, 390, 330), (390, 380, 340)):
            every, least = share(*hits, of=1.0), worst(*hits)
            same = ("outcome", "passed", "estimate", "lower", "upper", "details", "method", "family")
            assert [getattr(every, name) for name in same] == [getattr(least, name) for name in same]

    @given(st.lists(st.integers(0, 60), min_size=3, max_size=6), st.floats(0.05, 1), st.floats(0.01, 1))
    def test_the_word_is_the_bounds_whatever_the_order(self, hits: list[int], of: float, bar: float) -> None:
        gate = OverSeeds(Gate("recall", at_least=bar), claim="share", share=of)
        verdict = gate.check([model(tp, 60) for tp in hits])
        assert verdict.lower <= verdict.estimate <= verdict.upper  # type: ignore[operator]
        assert (verdict.outcome is Outcome.PASS) == (verdict.lower >= bar)  # type: ignore[operator]
        assert (verdict.outcome is Outcome.FAIL) == (verdict.upper < bar)  # type: ignore[operator]
        again = gate.check([model(tp, 60) for tp in sorted(hits)])
        assert (again.explanation, again.lower, again.upper) == (verdict.explanation, verdict.lower, verdict.upper)

    def test_metrics_with_other_bounds_and_with_none(self) -> None:
        rng = np.random.default_rng(3)
        target = rng.integers(0, 2, 200)
        seeds = [
            mg.Evaluation.from_predictions(target=target, preds=target + rng.normal(size=200), outputs="logits")
            for _ in range(4)
        ]
        for name in ("mcc", "roc_auc", "f1", "log_loss"):
            bar: dict[str, Any] = {"at_most": 2.0} if name == "log_loss" else {"at_least": 0.1}
            verdict = OverSeeds(Gate(name, **bar), claim="share", share=0.75).check(seeds)
            assert verdict.outcome is Outcome.PASS
        few = [
            mg.Evaluation.from_predictions(target=[0.0, 1.0], preds=[0.5, 0.5 + i], outputs="values") for i in range(3)
        ]
        verdict = OverSeeds(Gate("mae", at_most=0.1, if_unsure="fail"), claim="worst").check(few)
        assert (verdict.outcome, verdict.lower, verdict.upper, verdict.method) == (
            Outcome.INCONCLUSIVE,
            None,
            None,
            None,
        )
        assert "no bounds: for the worst seed the samples alone give none" in str(verdict)

    def test_reports_show_the_seeds(self) -> None:
        row = share(380, 384, 345, 373, 388).to_dict()
        assert len(strip(row).seeds) == 5
        assert strip(row).kind == "share"
        assert seeds_text(row) == "seeds: 0.950, 0.960, 0.863, 0.932, 0.970"
        assert corrected(row) == "corrected for 5 seeds (Bonferroni)"


def curve(*, falls: bool = True, follows: bool = True, epochs: int = 12) -> History:
    history = History("cross_entropy")
    for epoch in range(epochs):
        train = 2 * 0.7**epoch if falls else 2.0
        history.log(
            train_loss=train, val_loss=train + 0.05 if follows else 2.0 - 0.02 * epoch, val_recall=1 - train / 2
        )
    history.freeze()
    return history


class TestHistories:
    def test_worst(self) -> None:
        gate = OverSeeds(NoOverfitting(), claim="worst")
        verdict = gate.check([curve() for _ in range(5)])
        assert (verdict.outcome, verdict.passed) == (Outcome.PASS, True)
        assert verdict.explanation == "PASS: no_overfitting: 5 of 5 seeds are green, required 5 of 5"
        assert verdict.gate == "over_seeds(no_overfitting, claim='worst')"
        assert (verdict.estimate, verdict.hits, verdict.support, verdict.bar) == (1.0, 5, 5, 1.0)
        assert any("5 of 5 seeds are green: of all such trainings 55% to 100% would be" in one for one in verdict.notes)
        red = gate.check([curve(), curve(follows=False), curve()])
        assert (red.outcome, red.passed, red.estimate) == (Outcome.FAIL, False, 2 / 3)
        assert red.details == (("seed 1", "PASS"), ("seed 2", "FAIL"), ("seed 3", "PASS"))
        assert any(note.startswith("seed 2: FAIL: ") for note in red.notes)
        assert mg.Verdict.from_json(red.to_json()) == red

    def test_share(self) -> None:
        gate = OverSeeds(LossDecreases(), claim="share", share=0.8)
        fine, stuck = curve(), curve(falls=False)
        assert gate.check([fine] * 4 + [stuck]).outcome is Outcome.PASS
        verdict = gate.check([fine] * 3 + [stuck] * 2)
        assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)
        assert verdict.explanation == "FAIL: loss_decreases: 3 of 5 seeds are green, required 4 of 5"
        assert (verdict.gate, verdict.bar) == ("over_seeds(loss_decreases, share=0.8)", 0.8)

    @pytest.mark.parametrize(("if_unsure", "green"), [("estimate", True), ("fail", False), ("warn", True)])
    def test_doubt(self, if_unsure: str, green: bool) -> None:
        """A training loss that never fell has nothing to overfit: INCONCLUSIVE without an estimate."""
        unsure = curve(falls=False)
        assert NoOverfitting().check(unsure).outcome is Outcome.INCONCLUSIVE
        verdict = OverSeeds(NoOverfitting(if_unsure=if_unsure), claim="worst").check([curve(), curve(), unsure])
        assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, green)
        assert ("takes nothing but proof" in str(verdict)) == (if_unsure == "fail")
        assert (
            OverSeeds(NoOverfitting(), claim="share", share=0.6).check([curve(), curve(), unsure]).outcome
            is Outcome.PASS
        )

    def test_too_few_epochs_are_red(self) -> None:
        short = curve(epochs=2)
        for if_unsure in ("estimate", "fail", "warn"):
            verdict = OverSeeds(LossDecreases(if_unsure=if_unsure), claim="worst").check([curve(), short, curve()])
            assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
        verdict = OverSeeds(LossDecreases(), claim="share", share=0.6).check([curve(), short, curve()])
        assert verdict.outcome is Outcome.PASS

    def test_trained_models_stand_for_their_histories(self) -> None:
        models = [SimpleNamespace(history=curve()) for _ in range(3)]
        gate = OverSeeds(MetricImproves("val_recall"), claim="worst")
        assert gate.check(models) == gate.check([one.history for one in models])  # type: ignore[arg-type]

    def test_reports_show_the_words(self) -> None:
        row = OverSeeds(NoOverfitting(), claim="worst").check([curve(), curve(follows=False), curve()]).to_dict()
        assert seeds_text(row) == "seeds: PASS, FAIL, PASS"
        assert strip(row).seeds == ()


class TestWrongUse:
    @pytest.mark.parametrize(
        ("more", "says"),
        [
            ({"claim": "wurst"}, "claim='wurst' is not one of 'mean', 'worst', 'share'; did you mean 'worst'"),
            ({"claim": None}, "claim=None is not one of"),
            ({"claim": "share"}, "claim='share': give share=, such as share=0.8"),
            ({"share": 0.8}, "claim='mean': share=0.8 is for claim='share'"),
            ({"claim": "worst", "share": 1.0}, "share=1.0 is for claim='share'"),
            ({"claim": "share", "share": 80}, "share=80 is not a share of the seeds: .*; was 0.8 meant"),
            ({"claim": "share", "share": 0}, "share=0 is not a share"),
        ],
    )
    def test_claims(self, more: dict[str, Any], says: str) -> None:
        with pytest.raises(BarError, match=says):
            OverSeeds(Gate("recall", at_least=0.9), **more)

    def test_histories_have_no_mean(self) -> None:
        with pytest.raises(MetricError, match="no_overfitting has no mean over seeds: claim='worst'"):
            OverSeeds(NoOverfitting())

    def test_evidence_of_another_kind(self) -> None:
        models: Any = [SimpleNamespace(history=curve()) for _ in range(3)]
        for claim, share_ in (("mean", None), ("worst", None), ("share", 0.5)):
            gate = OverSeeds(Gate("recall", at_least=0.9), claim=claim, share=share_)
            for given_ in (models, [curve()] * 3, [model(380), model(380), curve()]):
                with pytest.raises(EvidenceError, match="evaluate the trained models first"):
                    gate.check(given_)
        with pytest.raises(EvidenceError, match="no_overfitting judges histories: give them, or the trained models"):
            OverSeeds(NoOverfitting(), claim="worst").check([curve(), curve(), model(380)])
        with pytest.raises(EvidenceError, match="2 trainings say too little"):
            OverSeeds(NoOverfitting(), claim="worst").check([curve(), curve()])
        with pytest.raises(EvidenceError, match="give a list"):
            OverSeeds(NoOverfitting(), claim="worst").check(curve())  # type: ignore[arg-type]

    @pytest.mark.parametrize("claim", ["worst", "share"])
    def test_other_samples(self, claim: str) -> None:
        gate = OverSeeds(Gate("recall", at_least=0.9), claim=claim, share=0.5 if claim == "share" else None)
        with pytest.raises(EvidenceError, match="evaluation 3 is not of the same samples"):
            gate.check([model(380), model(380), model(280, 300)])
        with pytest.raises(EvidenceError, match="2 evaluations say too little"):
            gate.check([model(380), model(380)])
        with pytest.raises(BarError, match="vacuous"):
            OverSeeds(Gate("accuracy", at_least=0.5), claim=claim, share=gate.share).check([model(380)] * 3)


def test_every_order_of_histories_gives_one_word() -> None:
    seeds = [curve(), curve(follows=False), curve(falls=False)]
    gate = OverSeeds(NoOverfitting(), claim="share", share=0.6)
    assert len({gate.check(list(order)).explanation for order in itertools.permutations(seeds)}) == 1
