"""Plans by metric, what a test set can tell, and how wrong questions are answered."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from pytest_modelgate import BarError, ConfusionMatrix, Evaluation, EvidenceError, Gate, MetricError, custom_metric
from pytest_modelgate.gates.planning import (
    COUNTED,
    chance_to_prove,
    counted,
    plan_sample_size,
    share_text,
    what_can_be_told,
)
from pytest_modelgate.metrics.registry import METRICS

LOWER_IS_BETTER = ("false_positive_rate", "false_negative_rate")
MATRIX = ConfusionMatrix.from_counts(tp=36, fp=2, fn=4, tn=40, labels=("ok", "fraud"))


class TestPlan:
    @pytest.mark.parametrize(
        ("bar", "expected", "size"),
        [(0.8, 0.9, 94), (0.9, 0.92, 1365), (0.9, 0.93, 593), (0.9, 0.95, 203), (0.95, 0.98, 286), (0.99, 0.995, 2185)],
    )
    @pytest.mark.parametrize("metric", [name for name in COUNTED if name not in ("f1", "roc_auc")])
    def test_published(self, metric, bar, expected, size):
        if metric in LOWER_IS_BETTER:
            bar, expected = 1 - bar, 1 - expected
        assert plan_sample_size(metric, bar, expected) == size

    def test_f1_through_jaccard(self):
        """F1 of .8 and .9 are Jaccard indices of 2/3 and 9/11."""
        assert plan_sample_size("f1", 0.8, 0.9) == plan_sample_size("jaccard", 0.8 / 1.2, 0.9 / 1.1)
        assert plan_sample_size("f1", 0.8, 0.9) < plan_sample_size("recall", 0.8, 0.9)

    def test_flawless_runs(self):
        assert [plan_sample_size("recall", bar, 1) for bar in (0.8, 0.9, 0.95, 0.99)] == [14, 29, 59, 299]
        assert plan_sample_size("roc_auc", 0.9, 1) == 29
        assert plan_sample_size("false_positive_rate", 0.1, 0) == 29

    def test_the_rarer_class_of_an_area(self):
        assert plan_sample_size("roc_auc", 0.85, 0.9) == 173

    def test_confidence_and_power(self):
        sizes = [plan_sample_size("recall", 0.9, 0.95, confidence=c, power=p) for c in (0.9, 0.99) for p in (0.5, 0.9)]
        assert sizes[0] < sizes[1] < sizes[3]
        assert sizes[0] < sizes[2] < sizes[3]

    def test_the_gate_keeps_the_promise(self):
        """Of all counts of that many samples, those that the gate passes have the power promised."""
        size = plan_sample_size("recall", 0.9, 0.95)
        passed = [
            Gate("recall", at_least=0.9).check(ConfusionMatrix.from_counts(tp=k, fp=0, fn=size - k, tn=9)).outcome
            == "PASS"
            for k in range(size + 1)
        ]
        power = scipy.stats.binom.pmf(np.arange(size + 1), size, 0.95)[passed].sum()
        assert power >= 0.8
        assert chance_to_prove("recall", size, 0.9, 0.95) == pytest.approx(power)

    @pytest.mark.parametrize("metric", COUNTED)
    def test_the_size_has_the_power(self, metric):
        bar, expected = (0.1, 0.05) if metric in LOWER_IS_BETTER else (0.9, 0.95)
        size = plan_sample_size(metric, bar, expected)
        assert chance_to_prove(metric, size, bar, expected) >= 0.8
        assert chance_to_prove(metric, size // 2, bar, expected) < 0.8
        assert chance_to_prove(metric, 0, bar, expected) == 0


class TestWrongUse:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("recall", 90, 93), r"bar=90 is outside the range of recall, 0 to 1; was 0\.90 meant\?"),
            (("recall", 0.9, 93), r"expected=93 is outside the range of recall, 0 to 1; was 0\.93 meant\?"),
            (("recall", -0.1, 0.9), r"bar=-0\.1 is outside the range of recall, 0 to 1$"),
            (("recall", math.nan, 0.9), "bar=nan is outside the range"),
            (("recall", 0.9, math.nan), "expected=nan is outside the range"),
            (("recall", "0.9", 0.95), "bar='0.9' is no number"),
            (("recall", 0.9, None), "expected=None is no number"),
            (("recall", True, 0.9), "bar=True is no number"),
            (("recall", 0.9, 0.9), "a model that is just at the bar cannot be proved at any size"),
            (("recall", 0.9, 0.9), "give an expected recall above it"),
            (("recall", 1, 1), "just at the bar"),
            (("false_positive_rate", 0.1, 0.1), "give an expected false-positive rate below it"),
            (("recall", 0.9, 0.88), r"expected=0\.88 is below the bar of 0\.9: more samples would prove"),
            (("false_positive_rate", 0.1, 0.2), r"expected=0\.2 is above the bar of 0\.1"),
            (("recall", 0, 0.9), "every model meets a bar of 0 on recall"),
            (("false_positive_rate", 1, 0.9), "every model meets a bar of 1 on false_positive_rate"),
            (("recall", 0.9, 0.9001), r"it takes more than a million samples of the class to tell 0\.9001"),
            (("roc_auc", 0.9, 0.9001), "more than a million"),
        ],
    )  # fmt: skip
    def test_bars(self, arguments, message):
        with pytest.raises(BarError, match=message):
            plan_sample_size(*arguments)

    @pytest.mark.parametrize("function", [lambda **levels: plan_sample_size("recall", 0.9, 0.95, **levels),
                                          lambda **levels: what_can_be_told(MATRIX, 0.9, **levels)])  # fmt: skip
    def test_levels(self, function):
        for confidence in (95, 0, 1, math.nan, "0.95"):
            with pytest.raises(BarError, match=r"is not a confidence"):
                function(confidence=confidence)
        for power in (80, 0, 1, math.nan, "0.8", None, True):
            with pytest.raises(BarError, match=r"is not a power: give a number from 0\.5 to below 1"):
                function(power=power)
        with pytest.raises(BarError, match=r"power=80 is not a power.*; was 0\.80 meant\?"):
            function(power=80)
        with pytest.raises(BarError, match=r"confidence=95 .*; was 0\.95 meant\?"):
            function(confidence=95)

    @pytest.mark.parametrize("metric", sorted(set(METRICS) - set(COUNTED)))
    def test_metrics_without_a_plan(self, metric):
        with pytest.raises(MetricError, match=rf"accuracy, top_k_accuracy, recall.*what_can_be_told.*'{metric}'"):
            plan_sample_size(metric, 0.5, 0.6)

    def test_unknown_metrics(self):
        with pytest.raises(MetricError, match="did you mean 'recall'"):
            plan_sample_size("recal", 0.5, 0.6)
        with pytest.raises(MetricError, match="here it is called 'recall'"):
            what_can_be_told(MATRIX, 0.5, "sensitivity")


class TestCounted:
    @pytest.mark.parametrize(
        ("metric", "text"),
        [
            ("accuracy", "samples"),
            ("recall", "samples of 'fraud'"),
            ("precision", "samples predicted as 'fraud'"),
            ("negative_predictive_value", "samples not predicted as 'fraud'"),
            ("specificity", "samples not of 'fraud'"),
            ("fbeta", "samples of or predicted as 'fraud'"),
            ("f1", "samples of or predicted as 'fraud'"),
            ("roc_auc", "samples of the rarer class"),
            ("mcc", "samples"),
            ("cost_of_my_own", "samples"),
        ],
    )
    def test_by_metric(self, metric, text):
        assert counted(metric, "fraud") == text

    def test_labels(self):
        assert counted("recall") == "samples of the class"
        assert counted("recall", 3) == "samples of class 3"


class TestWhatCanBeTold:
    def test_recall(self):
        """40 samples: 40 of 40 are needed to prove .9, at most 32 refute it."""
        assert scipy.stats.binom.cdf(32, 40, 0.9) <= 0.05 < scipy.stats.binom.cdf(33, 40, 0.9)
        told = what_can_be_told(MATRIX, 0.9)
        assert (told.label, told.support, told.direction, told.approximate) == ("fraud", 40, "at_least", False)
        assert told.provable == pytest.approx(0.8 ** (1 / 40))
        assert scipy.stats.binom.cdf(32, 40, told.refutable) == pytest.approx(0.8)
        assert told.flawless == pytest.approx(0.05 ** (1 / 40))
        assert str(told) == (
            "recall of 'fraud' >= 0.9 on 40 samples of 'fraud' (95% confidence):\n"
            "  in 80% of cases or more PASS for a true value from 0.994 on, FAIL for a true value up to 0.755\n"
            "  a flawless run proves at least 0.928"
        )

    def test_only_the_support_counts(self):
        other = ConfusionMatrix.from_counts(tp=3, fp=20, fn=37, tn=1, labels=("ok", "fraud"))
        assert what_can_be_told(other, 0.9) == what_can_be_told(MATRIX, 0.9)

    def test_the_predictions_count_for_precision(self):
        told = what_can_be_told(MATRIX, 0.9, "precision")
        assert told.support == 38
        assert "on 38 samples predicted as 'fraud'" in str(told)

    def test_too_few(self):
        told = what_can_be_told(MATRIX, 0.95)
        assert told.provable is None
        assert told.flawless < 0.95
        assert "of cases or more no true value is proved, FAIL for a true value up to" in str(told)
        told = what_can_be_told(MATRIX, 0.02)
        assert told.refutable is None
        assert str(told).splitlines()[1].endswith(", no true value is refuted")

    def test_lower_is_better(self):
        told = what_can_be_told(MATRIX, 0.1, "false_negative_rate", label="fraud")
        mirrored = what_can_be_told(MATRIX, 0.9)
        assert told.direction == "at_most"
        assert told.provable == pytest.approx(1 - mirrored.provable)
        assert told.refutable == pytest.approx(1 - mirrored.refutable)
        assert told.flawless == pytest.approx(1 - mirrored.flawless)
        assert "PASS for a true value up to 0.006, FAIL for a true value from 0.245 on" in str(told)
        assert "a flawless run proves at most 0.072" in str(told)

    def test_accuracy_and_averages(self):
        assert what_can_be_told(MATRIX, 0.9, "accuracy").support == 82
        micro = what_can_be_told(MATRIX, 0.9, average="micro")
        assert (micro.label, micro.support, micro.approximate) == (None, 82, False)
        assert "micro recall >= 0.9 on 82 samples (" in str(micro)

    def test_f1_through_jaccard(self):
        told = what_can_be_told(MATRIX, 0.9, "f1", label="fraud")
        assert (told.support, told.approximate) == (42, False)
        share = 0.05 ** (1 / 42)
        assert told.flawless == pytest.approx(2 * share / (1 + share))
        assert told.provable > 0.9 > told.refutable

    @pytest.mark.parametrize("metric", ["mcc", "balanced_accuracy"])
    def test_by_the_width_of_the_interval(self, metric):
        evaluation = Evaluation.from_confusion_matrix(
            ConfusionMatrix.from_counts(tp=360, fp=20, fn=40, tn=400, labels=("ok", "fraud"))
        )
        lower, upper = evaluation.interval(metric)
        value = evaluation.metric(metric)
        told = what_can_be_told(evaluation, 0.8, metric)
        stretch = 1 + 0.8416 / 1.6449
        assert (told.approximate, told.flawless, told.support) == (True, None, 820)
        assert told.provable == pytest.approx(0.8 + stretch * (value - lower), abs=1e-4)
        assert told.refutable == pytest.approx(0.8 - stretch * (upper - value), abs=1e-4)
        assert "roughly, in 80% of cases or more PASS" in str(told)

    def test_out_of_range(self):
        told = what_can_be_told(MATRIX, 0.999, "mcc")
        assert told.provable is None
        told = what_can_be_told(MATRIX, 0.9, "mcc", confidence=0.5)
        assert told.provable is None
        assert told.refutable is None

    def test_many_classes(self):
        matrix = ConfusionMatrix(np.diag([50, 30, 20]), labels=("a", "b", "c"))
        assert what_can_be_told(matrix, 0.8, label="b").support == 30
        assert what_can_be_told(matrix, 0.8, label=2).label == "c"
        with pytest.raises(MetricError, match="say which with label="):
            what_can_be_told(matrix, 0.8)

    def test_nothing_to_judge(self):
        matrix = ConfusionMatrix.from_counts(tp=0, fp=2, fn=0, tn=40)
        with pytest.raises(EvidenceError, match="nothing can be told about recall: no sample of class 'positive'"):
            what_can_be_told(matrix, 0.9)

    def test_wrong_use(self):
        with pytest.raises(BarError, match=r"bar=90 is outside .* was 0\.90 meant"):
            what_can_be_told(MATRIX, 90)
        with pytest.raises(BarError, match="every model meets"):
            what_can_be_told(MATRIX, 0)
        with pytest.raises(EvidenceError, match="an Evaluation or a ConfusionMatrix, not list"):
            what_can_be_told([1, 2], 0.9)
        with pytest.raises(MetricError, match="unknown class 'frod'"):
            what_can_be_told(MATRIX, 0.9, label="frod")

    def test_frozen(self):
        with pytest.raises(AttributeError):
            what_can_be_told(MATRIX, 0.9).bar = 0.5


def test_shares_are_never_none_or_all():
    assert [share_text(p) for p in (0, 0.0099, 0.9901, 0.9999, 1)] == ["less than 1%"] * 2 + ["more than 99%"] * 3
    assert [share_text(p) for p in (0.01, 0.274, 0.99)] == ["1%", "27%", "99%"]


class TestAnyMetric:
    def test_of_the_users_own(self):
        metric = custom_metric(lambda t: float(t.trace() / t.sum()), name="mine", lowest=0, highest=1)
        told = what_can_be_told(MATRIX, 0.8, metric)
        assert (told.metric, told.what, told.parameters, told.approximate) == ("mine", "mine", (), True)
        assert str(told).startswith("mine >= 0.8 on 82 samples (95% confidence):\n  roughly, ")
        assert told.refutable < 0.8 < told.provable

    def test_parameters_are_passed_on(self):
        scores = np.eye(3)[np.arange(60) % 3] * 0.4 + 0.2
        target = np.where(np.arange(60) < 45, np.arange(60) % 3, (np.arange(60) + 1) % 3)
        evidence = Evaluation.from_predictions(target=target, preds=scores, outputs="probabilities", keep="scores")
        told = what_can_be_told(evidence, 0.5, "top_k_accuracy", k=2)
        assert (told.parameters, told.support, told.approximate) == ((("k", 2),), 60, False)
        assert str(told).startswith("top-k accuracy (k=2) >= 0.5 on 60 samples (95% confidence):")
        told = what_can_be_told(MATRIX, 0.8, "fbeta", beta=2)
        assert str(told).startswith("F-beta (beta=2) of 'fraud' >= 0.8 on ")
        assert told.approximate
        values = Evaluation.from_predictions(target=np.zeros(9), preds=np.arange(9) / 9, outputs="values")
        told = what_can_be_told(values, 2, "mae", max_error=3)
        assert told.parameters == (("max_error", 3),)
        assert str(told).startswith("mean absolute error (max_error=3) <= 2 on 9 samples")
        with pytest.raises(MetricError, match="recall takes no parameter, not 'k'"):
            what_can_be_told(MATRIX, 0.9, k=2)

    @pytest.mark.parametrize("exponent", [33, 40, 58, 62])
    def test_counts_beyond_all_test_sets(self, exponent):
        matrix = ConfusionMatrix.from_counts(tp=2**exponent, fp=1, fn=1, tn=1)
        told = what_can_be_told(matrix, 0.9)
        assert told.refutable < 0.9 < told.provable
        assert told.provable == pytest.approx(0.9, abs=1e-4)
        assert "nan" not in str(told)
