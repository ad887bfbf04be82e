"""What each threshold gives, which suits best, and that it is known where a threshold was chosen."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from pytest_modelgate import BarError, Evaluation, EvidenceError, evaluate
from pytest_modelgate.evidence.thresholds import Thresholds

draw = np.random.default_rng(8)
TARGET = draw.integers(0, 2, 400)
LOGITS = (draw.standard_normal(400) + 1.5 * TARGET - 1).astype(np.float32)
EXTREMES = [0.0, -0.0, 1e-30, -1e-30, -1e-17, 1e-9, -1e-9, 30.0, 40.0, 41.0, 90.0, -90.0, -745.0, -800.0, 3e38, -3e38]


def scored(target: Any = TARGET, preds: Any = LOGITS, **options: Any) -> Evaluation:
    return Evaluation.from_predictions(**{"target": target, "preds": preds, "outputs": "logits"} | options)


def few(*scores: float, target: tuple[int, ...], **options: Any) -> Evaluation:
    return scored(list(target), list(scores), **{"outputs": "probabilities"} | options)


def test_against_scikit_learn() -> None:
    for evaluation, scores in ((scored(), LOGITS), (scored(preds=draw.random(400), outputs="probabilities"), None)):
        found = evaluation.thresholds()
        p = evaluation.scores.values if scores is None else 1 / (1 + np.exp(-scores.astype(np.float64)))
        precision, recall, threshold = sk.precision_recall_curve(TARGET, p, drop_intermediate=False)
        np.testing.assert_allclose(found.threshold, threshold, rtol=1e-15)
        np.testing.assert_array_equal(found.recall, recall[:-1])
        np.testing.assert_array_equal(found.precision, precision[:-1])
        assert found.positives == TARGET.sum()
        assert (found.n, len(found), found.label) == (400, len(threshold), 1)


def promised(evaluation: Evaluation) -> None:
    """Every threshold gives exactly what it promises, and between two there is no other."""
    found = evaluation.thresholds()
    assert (np.diff(found.threshold) > 0).all()
    assert (np.diff(found.tp + found.fp) < 0).all()
    for row, threshold in enumerate(found.threshold.tolist()):
        decided = evaluation.at_threshold(threshold)
        table = decided.confusion_matrix.one_vs_rest(1)
        assert (table.tp, table.fp) == (found.tp[row], found.fp[row])
        assert decided.metric("recall") == found.recall[row]
        assert decided.metric("precision") == found.precision[row]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(EXTREMES) | st.floats(width=32, allow_nan=False, allow_infinity=False), st.booleans()
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([np.float32, np.float64]),
)
@example([(-1e-17, True), (0.0, False), (-0.0, True)], np.float64)
@settings(deadline=None, max_examples=80)
def test_a_threshold_of_logits_gives_exactly_what_it_promises(rows: list[tuple[float, bool]], kind: type) -> None:
    logits = np.array([score for score, _ in rows] + [-3.0, 2.0], dtype=kind)
    promised(scored([*(int(positive) for _, positive in rows), 0, 1], logits))


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, -0.0, 0.3, 0.5, 1.0]) | st.floats(0, 1, width=32), st.booleans()), max_size=30
    ),
    st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None, max_examples=60)
def test_a_threshold_of_probabilities_gives_exactly_what_it_promises(rows: list[Any], kind: type) -> None:
    p = np.array([score for score, _ in rows] + [0.1, 0.7], dtype=kind)
    promised(scored([*(int(positive) for _, positive in rows), 0, 1], p, outputs="probabilities"))


def test_a_half_is_decided_by_the_sign_of_the_logit() -> None:
    evaluation = scored([1, 0, 1], np.array([-1e-17, 0.0, 5.0]))
    assert evaluation.thresholds().threshold.tolist() == [
        math.nextafter(0.5, 0),
        0.5,
        pytest.approx(0.99330715),
    ]


@pytest.mark.parametrize(("fp", "fn"), [(1.0, 1.0), (1.0, 5.0), (7.5, 0.0), (0.0, 2.0)])
def test_costs_by_hand(fp: float, fn: float) -> None:
    found = few(0.1, 0.4, 0.3, 0.8, target=(0, 0, 1, 1)).thresholds(false_positive_cost=fp, false_negative_cost=fn)
    assert found.threshold.tolist() == [0.1, 0.3, 0.4, 0.8]
    assert found.cost.tolist() == [2 * fp / 4, fp / 4, (fp + fn) / 4, fn / 4]
    assert found.never == 2 * fn / 4


def brute(found: Thresholds, recall: float | None, precision: float | None) -> float | None:
    """The best row by the definition: filter, then the greatest of the tuple."""
    rows = [
        row
        for row in range(len(found))
        if (recall is None or found.recall[row] >= recall) and (precision is None or found.precision[row] >= precision)
    ]

    def rank(row: int) -> tuple[float, ...]:
        shares = (found.recall[row], found.precision[row], found.threshold[row])
        if (recall is None) == (precision is None):
            return (-found.cost[row], *shares)
        return shares if recall is None else (shares[1], shares[0], shares[2])

    return float(found.threshold[max(rows, key=rank)]) if rows else None


@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=25),
    st.none() | st.floats(0, 1),
    st.none() | st.floats(0, 1),
)
@settings(deadline=None, max_examples=150)
def test_the_best_threshold(rows: list[tuple[int, bool]], recall: float | None, precision: float | None) -> None:
    evaluation = few(*(score / 12 for score, _ in rows), 0.5, target=(*(int(hit) for _, hit in rows), 1))
    found = evaluation.thresholds(false_negative_cost=30)
    expected = brute(found, recall, precision)
    asked = {"recall_at_least": recall, "precision_at_least": precision}
    if expected is None:
        with pytest.raises(BarError, match="no threshold reaches a precision of"):
            found.best_threshold(**asked)
        return
    best = found.best_threshold(**asked)
    assert best == expected
    decided = evaluation.at_threshold(best)
    assert recall is None or decided.metric("recall") >= recall
    assert precision is None or decided.metric("precision") >= precision


def test_a_bar_that_is_just_reached_is_reached() -> None:
    evaluation = few(0.1, 0.3, 0.4, 0.8, target=(0, 1, 0, 1))
    assert evaluation.best_threshold(recall_at_least=0.5) == 0.8
    assert evaluation.best_threshold(precision_at_least=2 / 3) == 0.3
    assert evaluation.best_threshold(recall_at_least=1.0, precision_at_least=2 / 3) == 0.3


def test_among_equals_the_highest_threshold_is_the_best() -> None:
    evaluation = few(0.2, 0.4, 0.5, 0.6, target=(0, 1, 0, 1), weights=[1.0, 0.0, 0.0, 1.0])
    for bars in ({}, {"recall_at_least": 0.5}, {"precision_at_least": 0.5}):
        assert evaluation.best_threshold(**bars) == 0.6


def test_the_shortcut() -> None:
    assert scored().best_threshold(recall_at_least=0.9) == scored().thresholds().best_threshold(recall_at_least=0.9)


def test_a_bar_that_no_threshold_reaches_is_an_error_with_the_best_there_is() -> None:
    evaluation = few(0.9, 0.8, 0.4, target=(0, 1, 1))
    with pytest.raises(
        BarError, match=r"precision of 0.9 on these samples: the highest is 0.6667, at 0.4 \(recall 1\)"
    ):
        evaluation.best_threshold(precision_at_least=0.9)
    with pytest.raises(BarError, match=r"together with a recall of 0\.7"):
        evaluation.best_threshold(recall_at_least=0.7, precision_at_least=0.9)


def test_where_no_alarm_pays_there_is_no_cheapest_threshold() -> None:
    found = few(0.9, 0.1, 0.2, target=(0, 1, 0)).thresholds(false_positive_cost=10)
    with pytest.raises(EvidenceError, match=r"no threshold pays: .* to call no sample 1 costs 0.3333"):
        found.best_threshold()


@pytest.mark.parametrize("bar", [-0.1, 1.5, math.nan, True, "0.9"])
def test_bars_that_are_none(bar: Any) -> None:
    for name in ("recall_at_least", "precision_at_least"):
        with pytest.raises(BarError, match=f"{name}=.* is not a share"):
            scored().best_threshold(**{name: bar})


@pytest.mark.parametrize("cost", [-1, math.inf, math.nan, True, "1"])
def test_costs_that_are_none(cost: Any) -> None:
    for name in ("false_positive_cost", "false_negative_cost"):
        with pytest.raises(BarError, match=f"{name}=.* is not a cost"):
            scored().thresholds(**{name: cost})


def test_evidence_without_thresholds() -> None:
    with pytest.raises(EvidenceError, match=r"thresholds need scores of two classes; these are multiclass logits"):
        scored([0, 1, 2], np.eye(3) * 4 - 1, keep="scores").thresholds()
    with pytest.raises(EvidenceError, match="these are binary labels"):
        scored([0, 1], [0, 1], outputs="labels").thresholds()
    with pytest.raises(EvidenceError, match="keep='auto'"):
        scored(keep="counts").thresholds()
    with pytest.raises(EvidenceError, match="no sample is 'fraud' among 2"):
        few(0.1, 0.7, target=(0, 0), labels=["ok", "fraud"]).thresholds()


def test_weights_count() -> None:
    weights = draw.integers(0, 5, 400)
    found = scored(weights=weights).thresholds()
    repeated = scored(np.repeat(TARGET, weights), np.repeat(LOGITS, weights)).thresholds()
    rows = np.searchsorted(found.threshold, repeated.threshold)
    np.testing.assert_array_equal(found.threshold[rows], repeated.threshold)
    for name in ("recall", "precision", "cost"):
        np.testing.assert_allclose(getattr(found, name)[rows], getattr(repeated, name), rtol=1e-13)
    assert found.never == pytest.approx(repeated.never, rel=1e-13)
    best = found.best_threshold(recall_at_least=0.9)
    assert scored(weights=weights).at_threshold(best).metric("recall") >= 0.9


def test_equal_weights_and_groups_change_nothing() -> None:
    plain = scored().thresholds()
    for options in ({"weights": np.full(400, 0.1)}, {"groups": np.arange(400) % 7}):
        found = scored(**options).thresholds()
        for name in ("threshold", "tp", "fp", "recall", "precision", "cost"):
            np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))


def test_positives_without_weight_are_none() -> None:
    with pytest.raises(EvidenceError, match="have weight 0"):
        few(0.2, 0.7, target=(0, 1), weights=[1.0, 0.0]).thresholds()
    found = few(0.2, 0.9, 0.7, target=(0, 0, 1), weights=[1.0, 0.0, 2.0]).thresholds()
    assert found.threshold.tolist() == [0.2, 0.7]  # above 0.7 nothing that counts is positive


@given(st.integers(0, 99))
@settings(deadline=None, max_examples=10)
def test_the_order_of_the_samples_does_not_matter(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(400)
    weights = np.linspace(0.1, 3, 400) ** 3
    logits = LOGITS.round(0)
    for options in ({}, {"weights": weights}):
        mixed = {name: value[order] for name, value in options.items()}
        one = scored(preds=logits, **options).thresholds()
        other = scored(TARGET[order], logits[order], **mixed).thresholds()
        for name in ("threshold", "tp", "fp", "recall", "precision", "cost"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert one.data == other.data


def test_the_table_is_short_and_names_the_cheapest() -> None:
    lines = str(scored().thresholds()).splitlines()
    assert lines[0] == f"of 400 samples {TARGET.sum()} are 1"
    assert len(lines) <= 12
    assert sum("lowest cost" in line for line in lines) == 1
    assert repr(scored().thresholds()).startswith("<Thresholds: ")
    with pytest.raises(ValueError, match="read-only"):
        scored().thresholds().recall[0] = 1


def test_a_chosen_threshold_is_a_plain_number_in_all_else() -> None:
    best = scored().best_threshold(recall_at_least=0.9)
    value = float(best)
    assert type(value) is float
    assert (repr(best), str(best), json.dumps([best])) == (repr(value), str(value), json.dumps([value]))
    assert (best, hash(best)) == (value, hash(value))
    assert type(pickle.loads(pickle.dumps(best))) is type(copy.deepcopy(best)) is type(best + 0) is float
    decided = scored().at_threshold(best)
    assert type(decided.threshold) is float
    assert decided == scored(threshold=value)
    assert decided.origin.steps == (f"at_threshold({value!r})",)


class TestWhereItWasChosen:
    CHOSEN = staticmethod(lambda evaluation=None: (evaluation or scored()).best_threshold(recall_at_least=0.9))

    def test_on_the_same_samples_it_is_known(self) -> None:
        best = self.CHOSEN()
        order = np.random.default_rng(1).permutation(400)
        for evaluation in (
            scored().at_threshold(best),
            scored(threshold=best),
            scored(TARGET[order], LOGITS[order], threshold=best),
            scored().at_threshold(0.5).at_threshold(best),
        ):
            assert evaluation.origin.tuned == "recall"
        assert scored().at_threshold(scored().best_threshold(precision_at_least=0.7)).origin.tuned == "precision"
        assert scored().at_threshold(scored().best_threshold()).origin.tuned == "cost"
        both = scored().best_threshold(recall_at_least=0.5, precision_at_least=0.5)
        assert scored().at_threshold(both).origin.tuned == "cost"

    def test_elsewhere_it_is_not(self) -> None:
        best = self.CHOSEN()
        for evaluation in (
            scored().at_threshold(float(best)),
            scored().at_threshold(best).at_threshold(0.5),
            scored(preds=-LOGITS).at_threshold(best),
            scored(1 - TARGET).at_threshold(best),
            scored(TARGET[:399], LOGITS[:399], threshold=best),
            scored(keep="counts", threshold=best),
        ):
            assert evaluation.origin.tuned is None

    def test_samples_are_known_by_their_inputs_whatever_the_scores(self) -> None:
        data = (torch.from_numpy(LOGITS), torch.from_numpy(TARGET))
        one = evaluate(torch.nn.Identity(), data, outputs="logits")
        best = self.CHOSEN(one)
        again = evaluate(torch.nn.Hardtanh(-9, 9), data, outputs="logits", threshold=best, keep="counts", batch_size=7)
        assert again.origin.tuned == "recall"
        assert again.origin.model == "Hardtanh"
        other = (data[0] + 1, data[1])
        assert evaluate(torch.nn.Identity(), other, outputs="logits", threshold=best).origin.tuned is None

    def test_ids_that_only_number_the_samples_do_not_mix_up_two_sets(self) -> None:
        best = self.CHOSEN(scored(ids=range(400)))
        assert scored(ids=range(400)).at_threshold(best).origin.tuned == "recall"
        flipped = TARGET.copy()
        flipped[0] = 1 - flipped[0]
        assert scored(flipped, ids=range(400)).at_threshold(best).origin.tuned is None

    def test_it_stays_known_in_sums_and_matrices(self) -> None:
        decided = scored().at_threshold(self.CHOSEN())
        assert (decided + decided).origin.tuned == "recall"
        assert (scored(threshold=float(decided.threshold)) + decided).origin.tuned == "recall"
        assert Evaluation.from_confusion_matrix(decided.confusion_matrix).origin.tuned == "recall"
        assert scored().confusion_matrix.origin is None
