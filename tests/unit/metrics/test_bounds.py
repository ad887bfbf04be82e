"""Which method bounds which metric, what is said of it, and the edges: nothing, one class, huge counts."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from pytest_modelgate import ConfusionMatrix, Evaluation, Gate
from pytest_modelgate.metrics.bounds import influences, roles
from pytest_modelgate.metrics.margins import margin_metric
from pytest_modelgate.metrics.registry import METRICS, get_metric
from pytest_modelgate.metrics.samples import Samples

COUNTED = [name for name, metric in METRICS.items() if metric.needs == "counts"]


def asked(name, classes=2):
    metric = METRICS[name]
    return {"average": "macro"} if classes > 2 and metric.averages else {}


class TestMethods:
    def test_a_proportion_is_exact(self):
        bounds = Evaluation.from_confusion_matrix(ConfusionMatrix([[50, 2], [4, 36]])).bounds("recall")
        assert bounds.method == "Clopper-Pearson"
        assert bounds.interval.lower == pytest.approx(stats.beta.ppf(0.05, 36, 5))
        assert bounds.interval.upper == pytest.approx(stats.beta.ppf(0.95, 37, 4))

    @pytest.mark.parametrize("name", ["f1", "fbeta"])
    def test_f1_is_exact(self, name):
        bounds = Evaluation.from_confusion_matrix(ConfusionMatrix([[70, 0], [0, 30]])).bounds(name)
        assert bounds.method == "exact, through Jaccard"
        jaccard = 0.05 ** (1 / 30)
        assert bounds.interval.lower == pytest.approx(2 * jaccard / (1 + jaccard))

    def test_the_rest_is_the_imprecise_dirichlet(self):
        evidence = Evaluation.from_confusion_matrix(ConfusionMatrix([[70, 1], [2, 30]]))
        for name in ("mcc", "cohen_kappa", "balanced_accuracy"):
            assert evidence.bounds(name).method == "imprecise Dirichlet"
        assert evidence.bounds("recall", average="macro").method == "imprecise Dirichlet"

    def test_weights_count_as_fewer_samples(self):
        weights = np.r_[np.ones(30), np.full(30, 3.0)]
        hits = np.r_[np.ones(25), np.zeros(5), np.ones(29), np.zeros(1)].astype(int)
        evidence = Evaluation.from_predictions(
            target=np.ones(60, int), preds=hits, outputs="labels", labels=(0, 1), weights=weights
        )
        share = (weights * hits).sum() / weights.sum()
        kish = weights.sum() ** 2 / (weights**2).sum()
        spread = ((weights * (hits - share)) ** 2).sum() / weights.sum() ** 2
        size = min(kish, share * (1 - share) / spread)
        bounds = evidence.bounds("recall")
        assert bounds.interval.lower == pytest.approx(stats.beta.ppf(0.05, share * size, size - share * size + 1))
        assert bounds.method == f"Clopper-Pearson, as of {size:.1f} independent samples: weights, approximate"

    def test_heavy_samples_that_are_wrong_leave_fewer_than_kish_says(self):
        target = np.arange(200) % 2
        wrong = np.arange(200) % 40 == 0
        weights = np.where(wrong, 5.0, 1.0)
        evidence = Evaluation.from_predictions(
            target=target, preds=np.where(wrong, 1 - target, target), outputs="labels", labels=(0, 1), weights=weights
        )
        kish = weights.sum() ** 2 / (weights**2).sum()
        for name in ("mcc", "cohen_kappa", "balanced_accuracy", "f1", "accuracy"):
            size = float(evidence.bounds(name).method.split("as of ")[1].split()[0])
            assert size < 0.5 * kish, name


class TestEdges:
    @pytest.mark.parametrize("name", COUNTED)
    def test_no_samples(self, name):
        bounds = Evaluation.from_confusion_matrix(ConfusionMatrix.zeros(2)).bounds(name)
        assert bounds.interval is None
        assert bounds.why

    @pytest.mark.parametrize("name", COUNTED)
    @pytest.mark.parametrize("counts", [[[40, 0], [0, 0]], [[0, 0], [0, 40]], [[0, 40], [0, 0]], [[20, 0], [20, 0]]])
    @pytest.mark.parametrize("grouped", [False, True])
    def test_one_class_or_one_answer(self, name, counts, grouped):
        matrix = ConfusionMatrix(counts)
        actual, predicted = (np.repeat(index.ravel(), matrix.counts.ravel()) for index in np.indices((2, 2)))
        given = {"groups": np.arange(40) // 2, "weights": np.full(40, 0.3)} if grouped else {}
        evidence = Evaluation.from_predictions(target=actual, preds=predicted, outputs="labels", labels=(0, 1), **given)
        found, bounds = evidence.measure(name), evidence.bounds(name)
        if found.value is None:
            assert bounds.interval is None
            assert bounds.why == found.cause
        else:
            metric = METRICS[name]
            assert metric.lowest <= bounds.interval.lower <= found.value <= bounds.interval.upper <= metric.highest
            assert bounds.interval.lower < bounds.interval.upper

    @pytest.mark.parametrize("name", COUNTED)
    @pytest.mark.parametrize("counts", [[[2**60, 1], [3, 2**60]], [[2**62, 0], [0, 1]]])
    def test_counts_above_two_to_the_53(self, name, counts):
        evidence = Evaluation.from_confusion_matrix(ConfusionMatrix(counts))
        found = evidence.metric(name)
        for confidence in (0.5, 0.95, 0.999):
            lower, upper = evidence.interval(name, confidence=confidence)
            assert METRICS[name].lowest <= lower <= found <= upper <= METRICS[name].highest

    @pytest.mark.parametrize("name", COUNTED)
    def test_flawless_never_claims_certainty(self, name):
        classes = 3
        evidence = Evaluation.from_confusion_matrix(ConfusionMatrix(np.diag([20] * classes)))
        lower, upper = evidence.interval(name, **asked(name, classes))
        assert lower < upper
        bar = {"at_least": 0.999} if METRICS[name].higher_is_better else {"at_most": 0.001}
        verdict = Gate(name, **bar, **asked(name, classes)).check(evidence)
        assert verdict.outcome.value == "INCONCLUSIVE"

    @pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
    def test_equal_scores(self, name):
        evidence = Evaluation.from_predictions(target=[0, 1] * 20, preds=[0.5] * 40, outputs="probabilities")
        lower, upper = evidence.interval(name)
        assert 0 <= lower < 0.5 < upper <= 1

    @pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
    def test_positives_without_weight(self, name):
        evidence = Evaluation.from_predictions(
            target=[0, 1] * 20, preds=np.linspace(0, 1, 40), outputs="probabilities", weights=[1, 0] * 20
        )
        verdict = Gate(name, at_least=0.0, if_unsure="warn").check(evidence)
        assert verdict.outcome.value == "UNDEFINED"
        assert "weight 0" in verdict.explanation


class TestFewSamples:
    def loss(self, n=200, **given):
        rng = np.random.default_rng(0)
        target = rng.integers(0, 2, n)
        return Evaluation.from_predictions(target=target, preds=rng.random(n), outputs="probabilities", **given)

    def test_few_samples_are_said_to_be_few(self):
        assert self.loss(49).bounds("log_loss").why.startswith("49 samples are too few")
        assert self.loss(50).bounds("log_loss").interval is not None

    def test_few_groups_are_said_to_be_few(self):
        few = self.loss(groups=np.arange(200) // 25)
        assert few.bounds("log_loss").why.startswith("8 groups are too few")
        assert "(from 10 on)" in few.bounds("log_loss").why
        assert self.loss(groups=np.arange(200) // 20).bounds("log_loss").interval is not None

    def test_weights_may_leave_few(self):
        few = self.loss(weights=np.r_[np.ones(10), np.full(190, 1e-9)])
        assert "worth 10.0 samples are too few" in few.bounds("log_loss").why

    def test_the_method_is_named_as_it_was(self):
        assert self.loss(49).bounds("brier").method == "Bayesian bootstrap, one sample more at the maximum"
        assert self.loss(50).bounds("brier").method == "Hall's skew-corrected t, approximate"
        grouped = self.loss(groups=np.arange(200) // 10)
        assert grouped.bounds("brier").method.startswith("Hall's skew-corrected t, 20 groups")

    def test_a_spread_that_rests_on_few_samples(self):
        errors = np.zeros(200)
        errors[0] = 9.0
        evidence = Evaluation.from_predictions(target=np.zeros(200), preds=errors, outputs="values")
        (remark,) = evidence.bounds("mae").remarks
        assert remark == (
            "the spread rests on about 1 sample: these bounds err more often than they say; "
            "say max_error= if the greatest possible value is known"
        )
        (remark,) = evidence.bounds("rmse", max_error=10.0).remarks
        assert remark.endswith("than they say")
        even = Evaluation.from_predictions(target=np.zeros(200), preds=np.arange(200.0), outputs="values")
        assert even.bounds("mae").remarks == ()


class TestFewSamplesOfAClass:
    FEW = Evaluation.from_confusion_matrix(ConfusionMatrix(np.eye(20, dtype=int)))
    ENOUGH = Evaluation.from_confusion_matrix(ConfusionMatrix(10 * np.eye(20, dtype=int)))

    def test_the_mean_recall_is_as_of_so_many_trials(self):
        for name, asked in [("balanced_accuracy", {}), ("recall", {"average": "macro"})]:
            bounds = self.FEW.bounds(name, **asked)
            assert bounds.interval.lower == pytest.approx(0.05 ** (1 / 20))
            assert bounds.method == "imprecise Dirichlet and Clopper-Pearson, approximate"
            assert self.ENOUGH.bounds(name, **asked).method == "imprecise Dirichlet"
        error = self.FEW.bounds("false_negative_rate", average="macro")
        assert error.interval.upper == pytest.approx(1 - 0.05 ** (1 / 20))
        verdict = Gate("balanced_accuracy", at_least=0.95).check(ConfusionMatrix(np.eye(20, dtype=int)))
        assert verdict.outcome.value == "INCONCLUSIVE"

    def test_the_sizes_are_harmonic(self):
        evidence = Evaluation.from_confusion_matrix(ConfusionMatrix(np.diag([2, 2, 400])))
        assert evidence.interval("balanced_accuracy").lower == pytest.approx(0.05 ** (1 / (9 / (1 + 1 / 400))))

    @pytest.mark.parametrize(("name", "average"), [("f1", "macro"), ("precision", "weighted"), ("mcc", None)])
    def test_others_are_remarked(self, name, average):
        bounds = self.FEW.bounds(name, average=average)
        assert bounds.method == "imprecise Dirichlet, approximate"
        assert bounds.remarks == (
            "20 of 20 classes have fewer than 10 samples: these bounds err more often than they say",
        )
        enough = self.ENOUGH.bounds(name, average=average)
        assert (enough.method, enough.remarks) == ("imprecise Dirichlet", ())


class TestParts:
    @pytest.mark.parametrize("name", COUNTED)
    @pytest.mark.parametrize("average", [None, "micro", "weighted"])
    @pytest.mark.parametrize("classes", [2, 4])
    def test_hits_are_those_of_the_proportion(self, name, average, classes):
        metric = get_metric(name)
        if (average and average not in metric.averages) or (name == "fbeta" and average):
            return
        rng = np.random.default_rng(0)
        target, preds = rng.integers(0, classes, 300), rng.integers(0, classes, 300)
        evidence = Evaluation.from_predictions(target=target, preds=preds, outputs="labels")
        given = {"average": average, "label": 1 if average is None and metric.averages else None}
        found = evidence.measure(name, **given)
        if found.hits is None:
            return
        request = metric.request(evidence.matrix, **given)
        rows = Samples(target=target, preds=preds)
        hits, counts = roles(metric.compute, evidence.matrix, request, rows)
        assert int((hits & counts).sum()) == found.hits
        assert int(counts.sum()) == found.support

    @pytest.mark.parametrize("name", ["mcc", "cohen_kappa", "balanced_accuracy"])
    @pytest.mark.parametrize("classes", [2, 3, 40])
    def test_influences_are_the_jackknifes(self, name, classes):
        rng = np.random.default_rng(classes)
        table = rng.integers(0, 30, (classes, classes)) + np.diag(np.full(classes, 200))
        metric = margin_metric(name, average=None, index=None)
        found = influences(table.astype(float), metric)
        assert (found * table).sum() == pytest.approx(0, abs=1e-6)
        assert np.all(found[table == 0] == 0)
        n, whole = table.sum(), Evaluation.from_confusion_matrix(ConfusionMatrix(table)).metric(name)
        for cell in [(0, 0), (0, 1), (1, 0)]:
            less = table.copy()
            less[cell] -= 1
            moved = (whole - Evaluation.from_confusion_matrix(ConfusionMatrix(less)).metric(name)) * (n - 1)
            assert found[cell] == pytest.approx(moved, rel=0.03, abs=0.02)

    def test_influences_of_tiny_cells_are_finite_and_quiet(self):
        table = np.array([[1.0, 0.0, 0.0], [1e-9, 1e-12, 0.0], [0.0, 0.0, 1.0]])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for name in ("mcc", "cohen_kappa", "balanced_accuracy"):
                assert np.isfinite(influences(table, margin_metric(name, average=None, index=None))).all()
