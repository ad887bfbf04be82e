"""The registry: names, the rules for label and average, what is undefined and why, and what the errors say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics

from pytest_modelgate import Evaluation
from pytest_modelgate.exceptions import MetricError
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.forecasts import Forecasts
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.metrics.measurement import Measurement
from pytest_modelgate.metrics.ranking import RankCounts, Scores
from pytest_modelgate.metrics.registry import METRICS, get_metric, measure
from pytest_modelgate.metrics.samples import Samples

FRAUD = ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud"))
PETS = ConfusionMatrix([[5, 1, 0], [2, 6, 0], [0, 3, 1]], labels=("cat", "dog", "eel"))
SCORES = Scores(values=[0.1, 0.4, 0.35, 0.8], target=[0, 0, 1, 1])
RANKS = RankCounts([6, 3, 1])

NAMES = [
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "negative_predictive_value",
    "false_positive_rate",
    "false_negative_rate",
    "f1",
    "fbeta",
    "jaccard",
    "mcc",
    "cohen_kappa",
    "top_k_accuracy",
    "roc_auc",
    "average_precision",
    "calibration_error",
    "brier",
    "log_loss",
    "mae",
    "rmse",
    "r2",
    "median_error",
    "exact_match",
    "loss",
]


class TestEntries:
    def test_the_names(self):
        assert list(METRICS) == NAMES

    @pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
    def test_an_entry_is_whole(self, metric):
        assert metric.title
        assert metric.formula
        assert metric.lowest < metric.highest
        assert metric.needs in ("counts", "ranks", "scores", "forecasts", "errors", "matches", "loss")
        assert metric.bounded_by
        assert METRICS[metric.name] is metric

    def test_no_synonym_stands_twice_or_is_a_name(self):
        synonyms = [word for metric in METRICS.values() for word in metric.also_called]
        assert len(synonyms) == len(set(synonyms))
        assert not set(synonyms) & set(METRICS)

    @pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.highest == 1.0])
    def test_the_direction_is_right(self, name):
        perfect, hopeless = np.diag([9, 9]), np.array([[0, 9], [9, 0]])
        metric = METRICS[name]
        good, bad = {
            "counts": (ConfusionMatrix(perfect), ConfusionMatrix(hopeless)),
            "ranks": (RankCounts([9, 0]), RankCounts([0, 9])),
            "matches": (RankCounts([9, 0]), RankCounts([0, 9])),
            "scores": (Scores([0.0, 1.0], [0, 1]), Scores([1.0, 0.0], [0, 1])),
            "forecasts": (
                Forecasts.from_scores(Scores([0.0, 1.0] * 2, [0, 1] * 2), "probabilities"),
                Forecasts.from_scores(Scores([1.0, 0.0] * 2, [0, 1] * 2), "probabilities"),
            ),
            "errors": (
                Samples(actual=np.array([1.0, 2.0]), predicted=np.array([1.0, 2.0])),
                Samples(actual=np.array([1.0, 2.0]), predicted=np.array([2.0, 1.0])),
            ),
        }[metric.needs]
        parameters = {"k": 1} if "k" in metric.parameters else {}
        better, worse = (measure(name, source, parameters=parameters).value for source in (good, bad))
        assert (better > worse) == metric.higher_is_better
        assert better == (metric.highest if metric.higher_is_better else metric.lowest)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("recal", "unknown metric 'recal'; did you mean 'recall'"),
            ("sensitivity", "here it is called 'recall'"),
            ("ROC-AUC", "here it is called 'roc_auc'"),
            ("AUC", "here it is called 'roc_auc'"),
            ("F1 score", "here it is called 'f1'"),
            ("ppv", "here it is called 'precision'"),
            ("nonsense", r"unknown metric 'nonsense' \(the metrics are accuracy, balanced_accuracy, "),
        ],
    )
    def test_an_unknown_name(self, name, message):
        with pytest.raises(MetricError, match=message):
            get_metric(name)


class TestWhichClass:
    def test_the_last_of_two(self):
        assert measure("recall", FRAUD) == measure("recall", FRAUD, label="fraud") == Measurement(0.12, 100, 12)

    def test_by_name_or_index(self):
        assert (
            measure("recall", FRAUD, label=0)
            == measure("recall", FRAUD, label="ok")
            == Measurement(4892 / 4900, 4900, 4892)
        )

    def test_more_than_two_need_a_word(self):
        with pytest.raises(
            MetricError,
            match=r"recall of 3 classes: say which with label= \(such as 'eel'\), or average= "
            r"\(one of 'macro', 'micro', 'weighted'\)",
        ):
            measure("recall", PETS)

    def test_not_both(self):
        with pytest.raises(MetricError, match=r"label= or average=, not both \('cat' and 'macro'\)"):
            measure("recall", PETS, label="cat", average="macro")

    def test_an_unknown_class(self):
        with pytest.raises(MetricError, match="unknown class 'Dog'; did you mean 'dog'"):
            measure("recall", PETS, label="Dog")

    def test_an_unknown_average(self):
        with pytest.raises(MetricError, match="takes 'macro', 'micro', 'weighted', not 'marco'; did you mean 'macro'"):
            measure("recall", PETS, average="marco")

    @pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "mcc", "cohen_kappa"])
    def test_overall_metrics_have_no_average(self, name):
        with pytest.raises(MetricError, match=f"{name} is one figure for all classes: it takes no average='macro'"):
            measure(name, PETS, average="macro")

    @pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "mcc", "cohen_kappa"])
    def test_overall_metrics_of_one_class(self, name):
        tp, fp, fn, tn = PETS.one_vs_rest("dog")
        two = ConfusionMatrix.from_counts(tp=tp, fp=fp, fn=fn, tn=tn)
        assert measure(name, PETS, label="dog") == measure(name, two)

    def test_no_micro_average_of_ranking_metrics(self):
        with pytest.raises(MetricError, match="roc_auc takes 'macro', 'weighted', not 'micro'"):
            measure("roc_auc", SCORES, average="micro")

    def test_no_class_of_a_loss_or_of_top_k(self):
        with pytest.raises(MetricError, match="loss is one figure for all classes and takes no label"):
            measure("loss", MeanLoss(name="x"), label=1)
        with pytest.raises(MetricError, match="top_k_accuracy is one figure for all classes"):
            measure("top_k_accuracy", RANKS, label=1, parameters={"k": 1})


class TestParameters:
    def test_unknown(self):
        with pytest.raises(MetricError, match="recall takes no parameter, not 'beta'"):
            FRAUD.metric("recall", beta=2)
        with pytest.raises(MetricError, match="fbeta takes beta, not 'bata'; did you mean 'beta'"):
            FRAUD.metric("fbeta", bata=2)

    @pytest.mark.parametrize("beta", [0, -1, math.nan, math.inf, "2", None, True])
    def test_beta(self, beta):
        with pytest.raises(MetricError, match="beta must be a number above 0, not"):
            FRAUD.metric("fbeta", beta=beta)

    @pytest.mark.parametrize("beta", [5e-324, 1e-200, 1e200, 1.7e308])
    def test_extreme_beta(self, beta):
        limit = "precision" if beta < 1 else "recall"
        assert FRAUD.metric("fbeta", beta=beta) == FRAUD.metric(limit)

    @pytest.mark.parametrize("k", [0, 4, -1, 1.5, math.nan, math.inf, "1", None, True])
    def test_k(self, k):
        with pytest.raises(MetricError, match="k must be a whole number from 1 to the 3 classes, not"):
            measure("top_k_accuracy", RANKS, parameters={"k": k})

    def test_the_default_k_of_few_classes(self):
        with pytest.raises(MetricError, match="from 1 to the 3 classes, not 5: give k="):
            measure("top_k_accuracy", RANKS)


class TestMeasurements:
    @pytest.mark.parametrize(
        ("name", "hits", "support"),
        [
            ("accuracy", 4904, 5000),
            ("precision", 12, 20),
            ("recall", 12, 100),
            ("specificity", 4892, 4900),
            ("negative_predictive_value", 4892, 4980),
            ("false_positive_rate", 8, 4900),
            ("false_negative_rate", 88, 100),
        ],
    )
    def test_proportions_say_their_hits(self, name, hits, support):
        assert measure(name, FRAUD) == Measurement(hits / support, support, hits)

    @pytest.mark.parametrize(
        ("name", "support"),
        [
            ("f1", 108),
            ("fbeta", 108),
            ("mcc", 5000),
            ("cohen_kappa", 5000),
            ("balanced_accuracy", 5000),
        ],
    )
    def test_others_do_not(self, name, support):
        found = measure(name, FRAUD)
        assert (found.hits, found.support, found.cause) == (None, support, None)

    @pytest.mark.parametrize(
        ("name", "hits"), [("recall", 12), ("precision", 12), ("f1", 12), ("fbeta", 12), ("false_negative_rate", 6)]
    )
    def test_pooled_counts_of_samples(self, name, hits):
        assert measure(name, PETS, average="micro") == Measurement(hits / 18, 18, hits)

    @pytest.mark.parametrize("name", ["specificity", "negative_predictive_value", "false_positive_rate", "jaccard"])
    def test_pooled_counts_that_use_samples_more_than_once(self, name):
        found = measure(name, PETS, average="micro")
        assert (found.hits, found.support) == (None, 18)

    def test_pooled_counts_of_two_classes(self):
        assert measure("specificity", FRAUD, average="micro") == Measurement(4904 / 5000, 5000, 4904)
        assert measure("false_positive_rate", FRAUD, average="micro") == Measurement(96 / 5000, 5000, 96)
        assert measure("jaccard", FRAUD, average="micro") == Measurement(4904 / 5096, 5000)

    def test_averages_over_classes(self):
        recalls = [5 / 6, 6 / 8, 1 / 4]
        assert measure("recall", PETS, average="macro") == Measurement(pytest.approx(sum(recalls) / 3), 18)
        assert measure("recall", PETS, average="weighted") == Measurement(12 / 18, 18, 12)
        assert measure("precision", PETS, average="weighted").hits is None

    def test_top_k(self):
        assert measure("top_k_accuracy", RANKS, parameters={"k": 2}) == Measurement(0.9, 10, 9)
        assert measure("top_k_accuracy", RANKS, parameters={"k": 1.0}) == Measurement(0.6, 10, 6)

    def test_of_scores(self):
        assert measure("roc_auc", SCORES, labels=("ok", "bad")) == Measurement(0.75, 4)
        assert measure("roc_auc", SCORES, labels=("ok", "bad"), label="ok") == Measurement(0.75, 4)

    def test_a_loss(self):
        loss = MeanLoss.of("l1", np.array([0.5, 1.0]))
        assert measure("loss", loss) == Measurement(0.75, 2)


class TestUndefined:
    EMPTY_FRAUD = ConfusionMatrix([[1204, 0], [0, 0]], labels=("ok", "fraud"))
    EMPTY_EEL = ConfusionMatrix([[5, 1, 0], [2, 6, 0], [0, 0, 0]], labels=("cat", "dog", "eel"))
    ONLY_EEL = ConfusionMatrix([[0, 0, 0], [0, 0, 0], [0, 0, 7]], labels=("cat", "dog", "eel"))

    @pytest.mark.parametrize(
        ("matrix", "name", "arguments", "cause"),
        [
            (EMPTY_FRAUD, "recall", {}, "no sample of class 'fraud' in 1,204"),
            (EMPTY_FRAUD, "false_negative_rate", {}, "no sample of class 'fraud' in 1,204"),
            (EMPTY_FRAUD, "precision", {}, "class 'fraud' was never predicted in 1,204 samples"),
            (EMPTY_FRAUD, "f1", {}, "class 'fraud' neither occurs nor was predicted in 1,204 samples"),
            (EMPTY_FRAUD, "jaccard", {}, "class 'fraud' neither occurs nor was predicted in 1,204 samples"),
            (EMPTY_FRAUD, "specificity", {"label": "ok"}, "no sample of class 'fraud' in 1,204"),
            (
                EMPTY_FRAUD,
                "negative_predictive_value",
                {"label": "ok"},
                "class 'ok' was predicted for all 1,204 samples",
            ),
            (EMPTY_FRAUD, "balanced_accuracy", {}, "no sample of class 'fraud' in 1,204"),
            (EMPTY_FRAUD, "mcc", {}, "all 1,204 samples are of class 'ok'"),
            (EMPTY_FRAUD, "cohen_kappa", {}, "all 1,204 samples and all predictions are of class 'ok'"),
            (ConfusionMatrix([[3, 0], [4, 0]]), "mcc", {}, "all 7 predictions are of class 0"),
            (EMPTY_EEL, "recall", {"label": "eel"}, "no sample of class 'eel' in 14"),
            (EMPTY_EEL, "recall", {"average": "macro"}, "no sample of class 'eel' in 14"),
            (EMPTY_EEL, "precision", {"average": "macro"}, "class 'eel' was never predicted in 14 samples"),
            (EMPTY_EEL, "mcc", {"label": "eel"}, "all 14 samples are of a class other than 'eel'"),
            (ONLY_EEL, "specificity", {"label": "eel"}, "no sample of a class other than 'eel' in 7"),
            (ONLY_EEL, "specificity", {"average": "weighted"}, "no sample of a class other than 'eel' in 7"),
        ],
    )
    def test_the_cause_is_named(self, matrix, name, arguments, cause):
        found = measure(name, matrix, **arguments)
        assert (found.value, found.hits, found.cause) == (None, None, cause)

    def test_classes_without_samples_have_no_weight(self):
        assert self.EMPTY_EEL.metric("recall", average="weighted") == 11 / 14
        assert self.EMPTY_EEL.metric("precision", average="weighted") == pytest.approx((6 * 5 / 7 + 8 * 6 / 7) / 14)

    def test_kappa_of_a_constant_model_is_no_agreement(self):
        assert ConfusionMatrix([[3, 0], [4, 0]]).metric("cohen_kappa") == 0.0

    @pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.needs == "counts"])
    def test_no_samples(self, name):
        assert measure(name, ConfusionMatrix.zeros(2)) == Measurement(None, 0, cause="no samples")
        for average in METRICS[name].averages:
            assert measure(name, ConfusionMatrix.zeros(3), average=average) == Measurement(None, 0, cause="no samples")

    def test_no_samples_of_scores(self):
        nothing = Measurement(None, 0, cause="no samples")
        assert measure("top_k_accuracy", RankCounts.zeros(5)) == nothing
        for name in ("roc_auc", "average_precision"):
            assert measure(name, Scores([], [])) == nothing
            assert measure(name, Scores(np.zeros((0, 3)), []), average="macro") == nothing

    def test_one_kind_of_sample(self):
        labels = ("ok", "bad")
        good, bad = Scores([0.1, 0.2], [0, 0]), Scores([0.1, 0.2], [1, 1])
        assert measure("roc_auc", good, labels=labels).cause == "no sample of class 'bad' in 2"
        assert measure("roc_auc", bad, labels=labels).cause == "no sample of class 'ok' in 2"
        assert measure("average_precision", good, labels=labels).cause == "no sample of class 'bad' in 2"
        assert measure("average_precision", bad, labels=labels).cause == "no sample of class 'ok' in 2"
        only = Scores(np.eye(3), [2, 2, 2])
        assert measure("roc_auc", only, label=2).cause == "no sample of a class other than 2 in 3"
        assert measure("roc_auc", only, average="macro").cause == "no sample of class 0 in 3"

    def test_losses(self):
        assert measure("loss", MeanLoss(name="l1")) == Measurement(None, 0, cause="no samples")
        partly = MeanLoss.of("l1", np.array([1.0] * 117 + [math.nan, math.inf, -math.inf]))
        assert measure("loss", partly) == Measurement(None, 120, cause="the loss of 3 of 120 samples is not finite")


class TestSources:
    @pytest.mark.parametrize(
        ("name", "source", "message"),
        [
            ("recall", SCORES, "recall is computed from a confusion matrix, not from a Scores"),
            ("roc_auc", FRAUD, r"roc_auc is computed from the scores of every sample \(keep='scores'\)"),
            ("top_k_accuracy", FRAUD, "top_k_accuracy is computed from the ranks"),
            ("loss", FRAUD, "loss is computed from a mean loss, not from a ConfusionMatrix"),
            ("loss", None, "not from a NoneType"),
        ],
    )
    def test_the_wrong_evidence(self, name, source, message):
        with pytest.raises(MetricError, match=message):
            measure(name, source)

    def test_labels_that_do_not_fit(self):
        with pytest.raises(MetricError, match="3 labels for scores of 2 classes"):
            measure("roc_auc", SCORES, labels=("a", "b", "c"))


class TestErrors:
    ROWS = Samples(actual=np.array([3.0, -0.5, 2.0, 7.0]), predicted=np.array([2.5, 0.0, 2.0, 8.0]))

    @pytest.mark.parametrize(
        ("name", "value"), [("mae", 0.5), ("rmse", 0.6123724356957945), ("r2", 0.948608137045), ("median_error", 0.5)]
    )
    def test_values_as_in_scikit_learns_documentation(self, name, value):
        assert measure(name, self.ROWS).value == pytest.approx(value)
        assert measure(name, self.ROWS).support == 4

    @pytest.mark.parametrize("name", ["mae", "rmse", "r2", "median_error"])
    def test_no_samples_are_undefined(self, name):
        empty = Samples(actual=np.zeros(0), predicted=np.zeros(0))
        assert measure(name, empty) == Measurement(None, 0, cause="no samples")

    def test_r2_of_equal_targets_is_undefined(self):
        found = measure("r2", Samples(actual=np.ones(9), predicted=np.arange(9.0)))
        assert found.value is None
        assert found.cause == "all actual values are alike"

    @pytest.mark.parametrize("name", ["mae", "rmse"])
    @pytest.mark.parametrize("largest", [0, -1.0, math.inf, math.nan, "1", True])
    def test_a_greatest_error_that_is_none(self, name, largest):
        with pytest.raises(MetricError, match="above 0"):
            measure(name, self.ROWS, parameters={"max_error": largest})

    def test_other_evidence_is_refused(self):
        with pytest.raises(MetricError, match="true and predicted values"):
            measure("mae", FRAUD)

    @pytest.mark.parametrize("name", ["r2", "rmse"])
    def test_what_overflows_is_undefined(self, name):
        ends = np.array([1e300, -1e300])
        found = measure(name, Samples(actual=ends, predicted=-ends))
        assert found.cause == "the errors of 2 samples are too large: the result is not finite"


@pytest.mark.parametrize(
    ("name", "function"), [("roc_auc", "roc_auc_score"), ("average_precision", "average_precision_score")]
)
def test_a_weighted_average_is_by_the_weights_of_the_samples(name, function):
    rng = np.random.default_rng(0)
    target, values = rng.integers(0, 3, 200), rng.normal(size=(200, 3))
    values[np.arange(200), target] += 0.2 + target
    values = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    weights = rng.exponential(size=200) * (1 + 5 * target)
    each = [getattr(sklearn.metrics, function)(target == k, values[:, k], sample_weight=weights) for k in range(3)]
    found = Evaluation.from_predictions(
        target=target, preds=values, outputs="probabilities", weights=weights, keep="scores"
    ).metric(name, average="weighted")
    assert found == pytest.approx(np.average(each, weights=np.bincount(target, weights=weights)), abs=1e-9)
    assert found != pytest.approx(np.average(each, weights=np.bincount(target)), abs=1e-3)


class TestForecasts:
    FORECASTS = Forecasts.from_scores(SCORES, "probabilities")

    def test_values(self):
        assert measure("brier", self.FORECASTS).value == pytest.approx((0.01 + 0.16 + 0.65**2 + 0.04) / 4)
        losses = -np.log([0.9, 0.6, 0.35, 0.8])
        assert measure("log_loss", self.FORECASTS).value == pytest.approx(losses.mean())

    @pytest.mark.parametrize("name", ["brier", "log_loss", "calibration_error"])
    def test_no_samples_are_undefined(self, name):
        none = Forecasts(np.zeros(0), np.zeros(0, int), np.zeros(0))
        assert measure(name, none).value is None

    @pytest.mark.parametrize("bins", [0, 1001, 2.5, True, "15"])
    def test_bins_that_are_none(self, bins):
        with pytest.raises(MetricError, match="whole number from 1 to 1,000"):
            measure("calibration_error", self.FORECASTS, parameters={"bins": bins})

    def test_log_loss_is_of_all_classes_at_once(self):
        with pytest.raises(MetricError, match="takes no label"):
            measure("log_loss", self.FORECASTS, label=1)
