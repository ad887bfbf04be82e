"""Weighted metrics of counts are scikit-learn's, whatever the scale of the weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from pytest_modelgate import Evaluation, Gate
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics import weighting
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.samples import Samples
from pytest_modelgate.metrics.weighting import relative, weighted_matrix, weighted_table
from pytest_modelgate.statistics.sums import CHUNK

N = 300
RNG = np.random.default_rng(7)
WEIGHTS = RNG.exponential(size=N)
WEIGHTS[::17] = 0.0


def samples(classes):
    rng = np.random.default_rng(classes)
    target = rng.integers(0, classes, N)
    preds = np.where(rng.random(N) < 0.7, target, rng.integers(0, classes, N))
    return target, preds


def evaluation(classes, weights=WEIGHTS):
    target, preds = samples(classes)
    return Evaluation.from_predictions(target=target, preds=preds, outputs="labels", weights=weights)


OF_CLASS = {
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "fbeta": lambda *a, **k: sk.fbeta_score(*a, beta=2.0, **k),
    "jaccard": sk.jaccard_score,
}
OVERALL = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "mcc": sk.matthews_corrcoef,
    "cohen_kappa": sk.cohen_kappa_score,
}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300, 2.0**-1050])
@pytest.mark.parametrize("name", OVERALL)
def test_overall_metrics_are_scikit_learns(name, classes, scale):
    target, preds = samples(classes)
    ours = evaluation(classes, WEIGHTS * scale).metric(name)
    assert ours == pytest.approx(OVERALL[name](target, preds, sample_weight=WEIGHTS), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "asked", [{"label": 0}, {"label": 1}, *({"average": a} for a in ("macro", "weighted", "micro"))]
)
@pytest.mark.parametrize("name", OF_CLASS)
def test_metrics_of_a_class_are_scikit_learns(name, asked, classes):
    target, preds = samples(classes)
    as_theirs = (
        {"average": asked["average"]} if "average" in asked else {"labels": [asked["label"]], "average": "macro"}
    )
    theirs = OF_CLASS[name](target, preds, sample_weight=WEIGHTS, **as_theirs)
    more = {"beta": 2.0} if name == "fbeta" else {}
    assert evaluation(classes).metric(name, **asked, **more) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", [*OVERALL, *OF_CLASS])
def test_equal_weights_change_nothing(name, classes):
    asked = {} if name in OVERALL or classes == 2 else {"average": "macro"}
    target, preds = samples(classes)
    plain = Evaluation.from_predictions(target=target, preds=preds, outputs="labels")
    for size in (1.0, 3.0, 2.0**-40):
        weighed = evaluation(classes, np.full(N, size))
        assert weighed.metric(name, **asked) == plain.metric(name, **asked)
        ours, theirs = weighed.interval(name, **asked), plain.interval(name, **asked)
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_36_of_40_meets_a_bar_of_nine_tenths_with_weights_too():
    target, preds = np.ones(40, int), np.arange(40) >= 4
    evidence = Evaluation.from_predictions(
        target=np.append(target, 0), preds=np.append(preds, 0).astype(int), outputs="labels", weights=np.full(41, 0.1)
    )
    verdict = Gate("recall", at_least=0.9).check(evidence)
    assert verdict.estimate == 0.9
    assert verdict.passed
    assert verdict.outcome.value == "INCONCLUSIVE"


def test_a_weight_of_two_is_a_sample_twice():
    target, preds = samples(2)
    weights = RNG.integers(0, 4, N)
    again = np.repeat(np.arange(N), weights)
    twice = Evaluation.from_predictions(target=target[again], preds=preds[again], outputs="labels")
    for name in ("recall", "precision", "mcc", "cohen_kappa", "f1"):
        assert evaluation(2, weights).metric(name) == twice.metric(name)


@pytest.mark.parametrize("name", ["recall", "f1", "mcc", "balanced_accuracy"])
def test_positives_without_weight_are_undefined_and_never_pass(name):
    target = np.array([0] * 30 + [1] * 10)
    preds = np.array([0] * 30 + [1] * 10)
    evidence = Evaluation.from_predictions(target=target, preds=preds, outputs="labels", weights=1.0 - target)
    verdict = Gate(name, at_least=0.0, if_unsure="warn").check(evidence)
    assert verdict.outcome.value == "UNDEFINED"
    assert not verdict.passed
    assert "weight 0" in verdict.explanation
    assert evidence.bounds(name).interval is None


def test_errors_without_weight_do_not_count():
    target, preds = np.array([1] * 40 + [0] * 40), np.array([1] * 30 + [0] * 50)
    weights = (target == preds).astype(float)
    evidence = Evaluation.from_predictions(target=target, preds=preds, outputs="labels", weights=weights)
    assert evidence.metric("recall") == 1.0
    assert evidence.interval("recall").lower == pytest.approx(0.05 ** (1 / 30))
    assert evidence.metric("mcc") == 1.0
    for groups in (None, np.arange(80) // 2):
        weighed = Evaluation.from_predictions(
            target=target, preds=preds, outputs="labels", weights=weights, groups=groups
        )
        lower, upper = weighed.interval("mcc")
        assert 0.5 < lower < upper == 1.0


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1, -1, 1], "-1.0 at position 1"),
        ([1, float("nan"), 1], "nan at position 1"),
        ([1, float("inf"), 1], "inf at position 1"),
        ([0, 0, 0], "not all be zero"),
        ([1, 1], "2 weights for 3 samples"),
        ([1, 1, 1, 1], "4 weights for 3 samples"),
        ([[1], [1], [1]], r"\[3, 1\]"),
        (["a", "b", "c"], "must be numbers"),
        (2.0, r"shape \[N\]"),
    ],
)
def test_what_is_no_weight_is_refused(weights, said):
    with pytest.raises(EvidenceError, match=said):
        Evaluation.from_predictions(target=[0, 1, 1], preds=[0, 1, 0], outputs="labels", weights=weights)


def test_the_table_does_not_depend_on_the_order():
    target, preds = samples(3)
    rows = Samples(target=target, preds=preds, weights=WEIGHTS)
    table = weighted_table(rows, 3)
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(N)
        assert np.array_equal(weighted_table(rows.take(order), 3), table)
    assert table.sum() == pytest.approx(WEIGHTS.sum() / WEIGHTS.max())


def test_the_matrix_keeps_small_whole_numbers_exactly():
    rows = Samples(target=np.array([0, 1, 1]), preds=np.array([0, 1, 0]), weights=np.array([3.0, 5.0, 0.0]))
    counts = weighted_matrix(rows, ConfusionMatrix([[1, 0], [1, 1]])).counts
    assert counts[0, 0] * 5 == counts[1, 1] * 3
    assert counts[1, 0] == 0


def test_relative_weights_are_over_the_greatest():
    assert relative(np.array([0.1, 0.1])).tolist() == [1, 1]
    assert relative(np.array([1e308, 5e307, 0.0])).tolist() == [1, 0.5, 0]
    assert relative(np.array([2.0, 3.0])).tolist() == [2, 3]
    assert relative(np.array([])).size == 0


def test_cells_need_the_class_of_each_sample():
    with pytest.raises(EvidenceError, match="class of each sample was not kept"):
        weighted_table(Samples(weights=np.ones(3)), 2)


@pytest.mark.parametrize("classes", [2, 30])
def test_tables_are_exact_in_any_order_and_chunk(classes):
    rng = np.random.default_rng(3)
    n = 2 * CHUNK + 5
    target, preds = (rng.integers(0, classes, n, dtype=np.uint8) for _ in range(2))
    weights = rng.exponential(size=n) * 10.0 ** rng.integers(-9, 9, n)
    table = weighted_table(Samples(target=target, preds=preds, weights=weights), classes)
    order = rng.permutation(n)
    assert np.array_equal(
        table, weighted_table(Samples(target=target, preds=preds, weights=weights).take(order), classes)
    )
    over = weights / weights.max()
    for actual, predicted in ((0, 0), (1, 0), (classes - 1, classes - 1)):
        assert table[actual, predicted] == math.fsum(over[(target == actual) & (preds == predicted)].tolist())


def test_the_matrix_of_weights_is_made_once(monkeypatch):
    one, made = evaluation(3), []
    original = weighting.weighted_table
    monkeypatch.setattr(weighting, "weighted_table", lambda *given: (made.append(1), original(*given))[1])
    assert one.metric("accuracy") == evaluation(3).metric("accuracy")
    del made[:]
    assert one.metric("mcc") == one.metric("mcc")
    assert made == []
