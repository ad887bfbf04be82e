"""The evaluation as a value: it merges, does not know an order, and goes to JSON and back."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn import metrics as sk

from pytest_modelgate import BarError, ConfusionMatrix, Evaluation, EvidenceError, Gate, MetricError, evaluate

draw = np.random.default_rng(4)
TARGET = draw.integers(0, 2, 60)
LOGITS = draw.standard_normal(60).astype(np.float32)
MANY = draw.standard_normal((60, 4)).astype(np.float32)
CLASS = draw.integers(0, 4, 60)


def binary(target: Any = TARGET, preds: Any = LOGITS, **options: Any) -> Evaluation:
    return Evaluation.from_predictions(**{"target": target, "preds": preds, "outputs": "logits"} | options)


def many(rows: Any = slice(None), *, keep: str = "scores", loss: str = "cross_entropy") -> Evaluation:
    return evaluate(torch.nn.Identity(), (MANY[rows], CLASS[rows]), loss=loss, keep=keep)


PARTS = [slice(0, 7), slice(7, 30), slice(30, 60)]


@pytest.mark.parametrize("keep", ["auto", "counts", "scores"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_merging_many_classes(keep: str, order: tuple[int, ...]) -> None:
    a, b, c = (many(PARTS[number], keep=keep) for number in order)
    whole = many(keep=keep)
    assert (a + b) + c == a + (b + c) == whole
    assert a + b == b + a
    assert whole != a
    assert (a + b + c).loss == pytest.approx(whole.loss, abs=1e-6)


@given(cut=st.integers(1, 59), seed=st.integers(0, 99), threshold=st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_merging_two_classes_does_not_know_an_order(cut: int, seed: int, threshold: float) -> None:
    order = np.random.default_rng(seed).permutation(60)
    one, other = order[:cut], order[cut:]
    logits = np.concatenate([LOGITS, [-9]])[:60]
    parts = [
        Evaluation.from_predictions(
            target=TARGET[rows], preds=special.expit(logits[rows]), outputs="probabilities", threshold=threshold
        )
        for rows in (one, other)
    ]
    whole = Evaluation.from_predictions(
        target=TARGET, preds=special.expit(logits), outputs="probabilities", threshold=threshold
    )
    assert parts[0] + parts[1] == parts[1] + parts[0] == whole
    assert (parts[0] + parts[1]).metric("roc_auc") == whole.metric("roc_auc")
    assert (parts[1] + parts[0]).metric("average_precision") == whole.metric("average_precision")


def test_kept_evidence_is_what_both_kept() -> None:
    merged = many(PARTS[0], keep="scores") + many(PARTS[1], keep="counts")
    assert (merged.ranks, merged.scores) == (None, None)
    with pytest.raises(EvidenceError, match="keep='auto'"):
        merged.metric("top_k_accuracy", k=2)
    with pytest.raises(EvidenceError, match="keep='scores'"):
        merged.metric("roc_auc", average="macro")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: binary(threshold=0.4), "different threshold.*0.5 and 0.4"),
        (lambda: binary(preds=special.expit(LOGITS), outputs="probabilities"), "different outputs"),
        (lambda: binary(labels=("ok", "fraud")), "different labels"),
        (lambda: many(), "different task"),
    ],
)
def test_what_does_not_merge(other: Any, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        binary() + other()


def test_it_merges_with_nothing_else() -> None:
    with pytest.raises(TypeError):
        binary() + ConfusionMatrix.zeros(2)
    assert binary() != ConfusionMatrix.zeros(2)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["[N]", "[N, 1]", "[N, 2]", "list", "tensor", "integers as float"])
def test_predictions_of_any_shape(kind: type, form: str) -> None:
    logits = LOGITS.astype(kind)
    preds: Any = {
        "[N]": logits,
        "[N, 1]": logits[:, None],
        "[N, 2]": np.stack([-logits / 2, logits / 2], 1),
        "list": logits.tolist(),
        "tensor": torch.from_numpy(logits),
        "integers as float": logits,
    }[form]
    found = binary(TARGET.astype(float) if form == "integers as float" else TARGET, preds)
    assert found.confusion_matrix.counts.tolist() == sk.confusion_matrix(TARGET, logits >= 0).tolist()
    assert found.metric("roc_auc") == pytest.approx(sk.roc_auc_score(TARGET, logits), abs=1e-12)
    assert (found.n, found.task, found.outputs, found.threshold, found.labels) == (60, "binary", "logits", 0.5, (0, 1))


def test_predictions_of_many_classes() -> None:
    for preds in (MANY, MANY.astype(np.float64), MANY.tolist()):
        found = Evaluation.from_predictions(target=CLASS, preds=preds, outputs="logits")
        assert found.confusion_matrix.counts.tolist() == sk.confusion_matrix(CLASS, MANY.argmax(1)).tolist()
        assert found.metric("top_k_accuracy", k=2) == sk.top_k_accuracy_score(CLASS, MANY, k=2)
        assert (found.task, found.threshold) == ("multiclass", None)


def test_decided_labels() -> None:
    found = Evaluation.from_predictions(
        target=["cat", "dog", "dog"], preds=["cat", "cat", "dog"], outputs="labels", labels=("dog", "cat")
    )
    assert found.confusion_matrix == ConfusionMatrix([[1, 1], [0, 1]], labels=("dog", "cat"))
    assert (found.task, found.threshold) == ("binary", None)
    for metric in ("roc_auc", "top_k_accuracy"):
        with pytest.raises(EvidenceError, match="only decided labels"):
            found.metric(metric)
    with pytest.raises(EvidenceError, match="at_threshold needs scores"):
        found.at_threshold(0.3)


def test_names_as_targets_of_scores() -> None:
    named = binary(np.array(["ok", "fraud"])[TARGET], labels=("ok", "fraud"))
    assert named.confusion_matrix == binary(labels=("ok", "fraud")).confusion_matrix
    with pytest.raises(EvidenceError, match=r"did you mean 'fraud'?"):
        binary(["ok", "fruad"], [1.0, -1.0], labels=("ok", "fraud"))


def test_names_win_where_labels_are_integers() -> None:
    """Digits 3 and 5, told apart: the data speak of 3 and 5, or the names are in another order than the indices."""
    found = binary(np.array([3, 5])[TARGET], labels=(3, 5))
    assert found.confusion_matrix.counts.tolist() == binary().confusion_matrix.counts.tolist()
    turned = binary(1 - TARGET, labels=(1, 0))
    assert turned.confusion_matrix.counts.tolist() == binary().confusion_matrix.counts.tolist()
    assert Gate("recall", at_least=0.1, label=0).check(turned).support == int((TARGET == 1).sum())
    assert turned.metric("roc_auc", label=0) == turned.metric("roc_auc")


def test_evaluate_and_from_predictions_read_targets_alike() -> None:
    """The same labels, the same targets, the same scores: the same evidence."""
    target = np.array([3, 5])[TARGET]
    ours = evaluate(torch.nn.Identity(), (LOGITS, target), outputs="logits", labels=(3, 5))
    assert ours == binary(target, labels=(3, 5))
    with pytest.raises(EvidenceError, match="names of classes"):
        evaluate(torch.nn.Identity(), (LOGITS, TARGET), outputs="logits", labels=(3, 5))


@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.25, 0.5, 0.7, 0.99, 1.0])
def test_at_threshold(outputs: str, threshold: float) -> None:
    probabilities = special.expit(LOGITS.astype(np.float64))
    preds = LOGITS if outputs == "logits" else probabilities
    found = binary(preds=preds, outputs=outputs).at_threshold(threshold)
    expected = sk.confusion_matrix(TARGET, probabilities >= threshold, labels=[0, 1])
    assert found.confusion_matrix.counts.tolist() == expected.tolist()
    assert found.threshold == threshold
    assert found == binary(preds=preds, outputs=outputs, threshold=threshold)
    assert found.at_threshold(0.5) == binary(preds=preds, outputs=outputs)
    assert found.metric("roc_auc") == binary(preds=preds, outputs=outputs).metric("roc_auc")


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_threshold_is_the_same_number_whatever_its_type(kind: type) -> None:
    """0.7 lies between two float32 numbers."""
    preds = np.array([0.7, 0.6999999, 0.7000001, 0.1], dtype=kind)
    target = [1, 0, 1, 0]
    found = Evaluation.from_predictions(target=target, preds=preds, outputs="probabilities", threshold=0.7)
    other = Evaluation.from_predictions(target=target, preds=preds, outputs="probabilities", threshold=np.float64(0.7))
    assert found == other
    assert other.at_threshold(np.float64(0.1)) == found.at_threshold(0.1)


def test_thresholds_that_are_none() -> None:
    for threshold in (-0.1, 1.1, 50, math.nan, "0.5", True):
        with pytest.raises(EvidenceError, match="threshold="):
            binary().at_threshold(threshold)
    with pytest.raises(EvidenceError, match="two classes"):
        many().at_threshold(0.5)


def test_huge_logits_are_no_trouble() -> None:
    found = binary([0, 1, 1], np.array([-1e30, 1e30, 800.0]))
    assert found.at_threshold(0.9).confusion_matrix.counts.tolist() == [[1, 0], [0, 2]]
    assert found.at_threshold(0.0).confusion_matrix.counts.tolist() == [[0, 1], [0, 2]]


def evaluations() -> dict[str, Evaluation]:
    return {
        "binary": binary(labels=("ok", "día ☃")),
        "binary float64": binary(preds=LOGITS.astype(np.float64) / 3),
        "at a threshold": binary().at_threshold(0.1),
        "[N, 2]": binary(preds=np.stack([LOGITS, -LOGITS], 1)),
        "probabilities": binary(preds=special.expit(LOGITS), outputs="probabilities"),
        "many": many(),
        "many, ranks": many(keep="auto"),
        "many, counts": many(keep="counts"),
        "labels": Evaluation.from_predictions(
            target=CLASS + 7, preds=CLASS[::-1] + 7, outputs="labels", labels=(7, 8, 9, 10)
        ),
        "regression": evaluate(torch.nn.Identity(), (LOGITS, LOGITS[::-1].copy()), loss="mse_loss"),
        "NaN loss": evaluate(torch.nn.Identity(), (LOGITS[:2], np.array([math.nan, 1.0])), loss="mse_loss"),
        "a matrix": Evaluation.from_confusion_matrix(ConfusionMatrix([[1, 2], [3, 4]])),
    }


@pytest.mark.parametrize("case", evaluations())
def test_json_and_back(case: str) -> None:
    evaluation = evaluations()[case]

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} in JSON")

    json.loads(evaluation.to_json(), parse_constant=refuse)
    again = Evaluation.from_json(evaluation.to_json())
    assert again == evaluation
    assert again.to_json() == evaluation.to_json()
    assert again.labels == evaluation.labels
    if evaluation.scores is not None:
        assert again.scores.values.dtype == evaluation.scores.values.dtype
        assert again.scores.values.tobytes() == evaluation.scores.values.tobytes()
    if case == "binary":
        assert again.at_threshold(0.37) == evaluation.at_threshold(0.37)
    if evaluation.mean_loss is not None:
        assert again + evaluation == evaluation + evaluation


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", "5", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "task": "binary"}', "not json"],
)
def test_other_texts(text: str) -> None:
    with pytest.raises(EvidenceError):
        Evaluation.from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        {"scores": {"values": {"dtype": "object", "shape": [1], "data": ""}, "target": None}},
        {"scores": {"values": {"dtype": "<f4", "shape": [3], "data": "AAAA"}, "target": None}},
        {"matrix": {"labels": ["a", "b"], "counts": [[1, 2]]}},
        {"matrix": {"labels": ["a", "b"]}},
        {"mean_loss": {"name": "mse_loss"}, "scores": 5},
        {"mean_loss": {"name": "mse_loss", "surprise": 1}},
    ],
)
def test_damaged_texts(change: dict[str, Any]) -> None:
    document = json.loads(binary().to_json()) | change
    with pytest.raises(EvidenceError):
        Evaluation.from_json(json.dumps(document))


def test_intervals_are_scipys() -> None:
    found = binary()
    (_, _), (fn, tp) = found.confusion_matrix.counts.tolist()
    for confidence in (0.95, 0.8):
        expected = stats.binomtest(tp, tp + fn).proportion_ci(2 * confidence - 1, method="exact")
        got = found.interval("recall", confidence=confidence)
        assert (got.lower, got.upper) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.interval("f1").lower < found.metric("f1") < found.interval("f1").upper
    with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
        found.interval("recall", confidence=95)
    empty = Evaluation.from_confusion_matrix(ConfusionMatrix([[3, 0], [0, 0]]))
    with pytest.raises(EvidenceError, match="recall is undefined: no sample"):
        empty.interval("recall")


def test_an_evaluation_is_frozen() -> None:
    found = binary()
    with pytest.raises(AttributeError):
        found.n = 5
    with pytest.raises(ValueError, match="read-only"):
        found.scores.values[0] = 9
    with pytest.raises(ValueError, match="read-only"):
        found.confusion_matrix.counts[0, 0] = 9


def test_it_keeps_no_hold_on_the_callers_arrays() -> None:
    logits, target = LOGITS.copy(), TARGET.copy()
    found = binary(target, logits)
    before = found.to_json()
    logits[:] = 0
    target[:] = 0
    assert found.to_json() == before


def test_where_it_came_from_takes_no_part() -> None:
    one = evaluate(torch.nn.Identity(), (LOGITS, TARGET), outputs="logits")
    assert one.origin.model == "Identity"
    assert binary().origin.model is None
    assert one == binary()
    mine, other = json.loads(one.to_json()), json.loads(binary().to_json())
    assert mine.pop("fingerprint") != other.pop("fingerprint") is None
    assert mine == other
    assert "Identity" not in repr(one)
    assert one.at_threshold(0.3).origin.steps == ("at_threshold(0.3)",)


def test_questions_it_cannot_answer() -> None:
    regression = evaluations()["regression"]
    with pytest.raises(EvidenceError, match="no confusion matrix"):
        regression.confusion_matrix  # noqa: B018
    with pytest.raises(EvidenceError):
        regression.metric("recall")
    with pytest.raises(EvidenceError, match="loss="):
        binary().loss  # noqa: B018
    with pytest.raises(MetricError, match=r"did you mean 'recall'?"):
        binary().metric("recal")


def test_the_summary_is_small_and_plain() -> None:
    for evaluation in evaluations().values():
        json.dumps(evaluation.summary(), allow_nan=False)
    counts = np.zeros((150, 150), dtype=np.int64)
    counts[3, 149], counts[0, 0] = 5, 2
    summary = Evaluation.from_confusion_matrix(ConfusionMatrix(counts)).summary()
    assert summary["counts"] is None
    assert summary["cells"] == [[0, 0, 2], [3, 149, 5]]


@pytest.mark.parametrize("schema", [0, 3, "1", None])
def test_text_of_another_schema_is_refused(schema: object) -> None:
    document = json.loads(binary().to_json()) | {"schema": schema}
    with pytest.raises(EvidenceError, match="schema"):
        Evaluation.from_json(json.dumps(document))
