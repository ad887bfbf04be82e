"""What the report is told of an evaluation's scores: bins of stated probabilities, and points of the thresholds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from sklearn.calibration import calibration_curve

from pytest_modelgate import Evaluation

draw = np.random.default_rng(9)
TARGET = draw.integers(0, 2, 3000)
LOGITS = (draw.standard_normal(3000) + 1.5 * TARGET - 1).astype(np.float32)


def scored(target: Any = TARGET, preds: Any = LOGITS, **options: Any) -> Evaluation:
    return Evaluation.from_predictions(**{"target": target, "preds": preds, "outputs": "logits"} | options)


def column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=float)


def test_reliability_against_scikit_learn_and_scipy() -> None:
    found = scored().summary()["reliability"]
    p = special.expit(LOGITS.astype(np.float64))
    share, mean = calibration_curve(TARGET, p, n_bins=15)
    np.testing.assert_allclose(column(found["bins"], "share"), share, rtol=1e-5)
    np.testing.assert_allclose(column(found["bins"], "mean"), mean, rtol=1e-5)
    counts, edges = np.histogram(p, bins=15, range=(0, 1))
    np.testing.assert_array_equal(column(found["bins"], "n"), counts)
    np.testing.assert_allclose(column(found["bins"], "lower"), edges[:-1], rtol=1e-5)
    np.testing.assert_allclose(column(found["bins"], "upper"), edges[1:], rtol=1e-5)
    for row, n, part in zip(found["bins"], counts, share, strict=True):
        exact = stats.binomtest(round(part * n), n).proportion_ci(0.9, "exact")
        assert (row["low"], row["high"]) == pytest.approx((exact.low, exact.high), rel=1e-5)
    assert found["error"] == pytest.approx(scored().metric("calibration_error"), rel=1e-5)


def test_of_many_classes_the_most_probable_one_counts() -> None:
    target, logits = draw.integers(0, 4, 500), draw.standard_normal((500, 4)) * 2
    p = special.softmax(logits, axis=1)
    by_logits = scored(target, logits, keep="scores").summary()
    by_probabilities = scored(target, p, outputs="probabilities", keep="scores").summary()
    share, mean = calibration_curve(p.argmax(axis=1) == target, p.max(axis=1), n_bins=15)
    for found in (by_logits, by_probabilities):
        np.testing.assert_allclose(column(found["reliability"]["bins"], "share"), share, rtol=1e-5)
        np.testing.assert_allclose(column(found["reliability"]["bins"], "mean"), mean, rtol=1e-5)
        assert found["thresholds"] is None
    assert scored(target, logits).summary()["reliability"] is None


def test_weights_count_in_bins_which_then_have_no_exact_bounds() -> None:
    weights = draw.integers(0, 4, 3000)
    found = scored(weights=weights).summary()
    repeated = scored(np.repeat(TARGET, weights), np.repeat(LOGITS, weights)).summary()
    for name in ("mean", "share"):
        mine, theirs = column(found["reliability"]["bins"], name), column(repeated["reliability"]["bins"], name)
        np.testing.assert_allclose(mine, theirs, rtol=2e-5)
    assert column(found["reliability"]["bins"], "n").sum() == 3000
    assert {row["low"] for row in found["reliability"]["bins"]} == {None}
    grouped = scored(groups=np.arange(3000) % 9).summary()["reliability"]["bins"]
    assert {row["high"] for row in grouped} == {None}


def test_points_are_few_true_and_hold_the_last_threshold_of_each_recall() -> None:
    evaluation = scored()
    points, found = evaluation.summary()["thresholds"], evaluation.thresholds()
    assert 40 <= len(points) <= 49
    assert (np.diff(column(points, "threshold")) > 0).all()
    rows = [int(np.abs(found.threshold - one["threshold"]).argmin()) for one in points]
    assert rows[0] == 0
    for name in ("recall", "precision"):
        np.testing.assert_allclose(column(points, name), getattr(found, name)[rows], rtol=1e-5)
    last = max(one["threshold"] for one in points if one["recall"] >= 0.9)
    assert last == pytest.approx(found.threshold[found.recall >= 0.9].max(), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"target": [0, 0], "preds": [0.2, 0.9], "outputs": "probabilities"},
        {"target": [0, 1], "preds": [0.2, 0.9], "outputs": "probabilities", "weights": [1.0, 0.0]},
    ],
)
def test_no_points_without_a_positive_sample(options: dict[str, Any]) -> None:
    found = scored(**options).summary()
    assert found["thresholds"] is None
    assert found["reliability"] is not None


def test_scores_that_are_all_alike_are_one_point() -> None:
    found = scored([0, 1, 1], [0.5, 0.5, 0.5], outputs="probabilities").summary()
    assert found["thresholds"] == [{"threshold": 0.5, "recall": 1.0, "precision": 0.666667}]
    assert [row["n"] for row in found["reliability"]["bins"]] == [3]


def test_it_is_small_plain_and_does_not_know_an_order() -> None:
    text = json.dumps(scored().summary(), allow_nan=False)
    assert len(text) < 8000
    order = draw.permutation(3000)
    assert json.dumps(scored(TARGET[order], LOGITS[order]).summary(), allow_nan=False) == text
    for bare in (
        scored(keep="counts"),
        scored([0, 1, 1], [0, 1, 0], outputs="labels"),
        scored(preds=LOGITS, target=LOGITS, outputs="values"),
    ):
        assert bare.summary()["reliability"] is bare.summary()["thresholds"] is None


def test_it_says_where_the_threshold_was_chosen() -> None:
    assert scored().summary()["tuned"] is None
    assert scored().at_threshold(scored().best_threshold()).summary()["tuned"] == "cost"
