"""Several labels a sample: scikit-learn and torchmetrics say what each metric is; parts add up to the whole."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from pytest_modelgate import Evaluation, EvidenceError, MetricError
from pytest_modelgate.evidence.label_counts import LabelCounts, count_labels

N, LABELS = 240, ("cat", "dog", "cow")
draw = np.random.default_rng(8)
TARGET = (draw.random((N, 3)) < [0.5, 0.3, 0.2]).astype(int)
LOGITS = draw.normal(size=(N, 3)) + 1.5 * TARGET - 0.7
PREDS = (LOGITS >= 0).astype(int)
SKLEARN = {
    "recall": sk.recall_score,
    "precision": sk.precision_score,
    "f1": sk.f1_score,
    "jaccard": sk.jaccard_score,
}


def made(rows: Any = slice(None), **more: Any) -> Evaluation:
    how: dict[str, Any] = {"outputs": "logits", "task": "multilabel", "labels": LABELS, "preds": LOGITS[rows]}
    return Evaluation.from_predictions(target=TARGET[rows], **how | more)


WHOLE = made()


def test_one_batch_out_of_range_tells_logits() -> None:
    """Probabilities that were said to be logits lie in [0, 1] in every batch, not in the last one alone."""
    counted, target = LabelCounts("logits", 0.5), np.array([[0, 1]])
    for scores, alike in (([[0.2, 0.9]], True), ([[-2.0, 3.0]], False), ([[0.2, 0.9]], False)):
        counted.add(np.array(scores), target, 0)
        assert counted.like_probabilities is alike


class TestAgainstOthers:
    @pytest.mark.parametrize("name", SKLEARN)
    @pytest.mark.parametrize("average", ["macro", "micro"])
    def test_averages_are_sklearns(self, name: str, average: str) -> None:
        expected = SKLEARN[name](TARGET, PREDS, average=average)
        assert WHOLE.metric(name, average=average) == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("name", SKLEARN)
    @pytest.mark.parametrize("label", LABELS)
    def test_a_label_is_sklearns(self, name: str, label: str) -> None:
        expected = SKLEARN[name](TARGET, PREDS, average=None)[LABELS.index(label)]
        assert WHOLE.metric(name, label=label) == pytest.approx(expected, abs=1e-12)
        assert WHOLE.metric(name, label=LABELS.index(label)) == WHOLE.metric(name, label=label)

    def test_areas_and_exact_matches_are_sklearns(self) -> None:
        for name, function in (("roc_auc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)):
            expected = function(TARGET, LOGITS, average="macro")
            assert WHOLE.metric(name, average="macro") == pytest.approx(expected, abs=1e-12)
        assert WHOLE.metric("exact_match") == sk.accuracy_score(TARGET, PREDS)
        tables = sk.multilabel_confusion_matrix(TARGET, PREDS)
        assert WHOLE.multilabel is not None
        assert WHOLE.multilabel.counts.tolist() == tables.tolist()

    @pytest.mark.parametrize("average", ["macro", "micro"])
    def test_averages_are_torchmetrics(self, average: Any) -> None:
        from torchmetrics.functional import classification as tm

        given_, actual = torch.from_numpy(LOGITS), torch.from_numpy(TARGET)
        for name, function in (
            ("specificity", tm.multilabel_specificity),
            ("f1", tm.multilabel_f1_score),
            ("accuracy", tm.multilabel_accuracy),
        ):
            expected = float(function(given_, actual, num_labels=3, average=average))
            if name == "accuracy":  # per label only, here
                assert np.mean([WHOLE.metric(name, label=each) for each in LABELS]) == pytest.approx(expected, 1e-6)
            else:
                assert WHOLE.metric(name, average=average) == pytest.approx(expected, 1e-6)
        assert WHOLE.metric("exact_match") == pytest.approx(float(tm.multilabel_exact_match(given_, actual, 3)))

    def test_weights_are_sklearns(self) -> None:
        weights = draw.exponential(size=N)
        found = made(weights=weights)
        for average in ("macro", "micro"):
            expected = sk.recall_score(TARGET, PREDS, average=average, sample_weight=weights)
            assert found.metric("recall", average=average) == pytest.approx(expected, abs=1e-9)
        expected = sk.accuracy_score(TARGET, PREDS, sample_weight=weights)
        assert found.metric("exact_match") == pytest.approx(expected, abs=1e-9)

    def test_another_threshold(self) -> None:
        at, again = WHOLE.at_threshold(0.3), made(threshold=0.3)
        assert at == again
        preds = 1 / (1 + np.exp(-LOGITS)) >= 0.3
        assert at.metric("exact_match") == sk.accuracy_score(TARGET, preds)
        assert at.metric("f1", average="micro") == pytest.approx(sk.f1_score(TARGET, preds, average="micro"))

    @pytest.mark.parametrize(
        ("outputs", "preds"), [("probabilities", 1 / (1 + np.exp(-LOGITS))), ("labels", PREDS), ("labels", PREDS > 0)]
    )
    def test_other_outputs_decide_alike(self, outputs: str, preds: Any) -> None:
        found = made(outputs=outputs, preds=preds)
        assert found.multilabel == WHOLE.multilabel
        assert (found.threshold is None) == (outputs == "labels")


class TestParts:
    def test_a_label_alone_is_an_evaluation_of_two_classes(self) -> None:
        assert WHOLE.multilabel is not None
        alone = Evaluation.from_predictions(
            target=TARGET[:, 1], preds=LOGITS[:, 1], outputs="logits", labels=("not dog", "dog")
        )
        part = WHOLE.multilabel["dog"]
        assert part.confusion_matrix == alone.confusion_matrix
        assert part.scores == alone.scores
        assert part.interval("recall") == alone.interval("recall") == WHOLE.interval("recall", label="dog")
        assert part.interval("roc_auc") == WHOLE.interval("roc_auc", label="dog")
        assert list(WHOLE.multilabel) == list(LABELS) == list(WHOLE.labels)

    def test_micro_bounds_know_that_a_samples_decisions_hang_together(self) -> None:
        """Labels that are copies of one another tell no more than one of them."""
        copies = Evaluation.from_predictions(
            target=TARGET[:, [0] * 8], preds=LOGITS[:, [0] * 8], outputs="logits", task="multilabel"
        )
        lower, upper = copies.interval("recall", average="micro")
        alone = WHOLE.interval("recall", label="cat")
        assert upper - lower == pytest.approx(alone.upper - alone.lower, rel=0.15)

    def test_macro_bounds_are_the_mean_of_the_labels(self) -> None:
        each = [WHOLE.interval("recall", label=label) for label in LABELS]
        assert WHOLE.interval("recall", average="macro") == pytest.approx(np.mean(each, axis=0))
        bounds = WHOLE.bounds("f1", average="macro")
        assert bounds.method == "mean of the labels' bounds: exact, through Jaccard, approximate"

    def test_groups_reach_every_part(self) -> None:
        groups = np.arange(N) // 4
        found = made(groups=groups)
        for asked in ({"label": "cat"}, {"average": "micro"}, {"average": "macro"}):
            assert found.interval("recall", **asked) != WHOLE.interval("recall", **asked)
        assert "groups" in found.bounds("exact_match").method

    def test_counts_alone(self) -> None:
        found = made(keep="counts")
        assert found.samples is None
        assert found.metric("recall", average="micro") == WHOLE.metric("recall", average="micro")
        assert found.interval("recall", average="macro") == WHOLE.interval("recall", average="macro")
        assert found.interval("exact_match") == WHOLE.interval("exact_match")
        bounds = found.bounds("recall", average="micro")
        assert bounds.interval is None
        assert "hang together" in str(bounds.why)

    def test_the_most_frequent_set_of_labels(self) -> None:
        assert WHOLE.multilabel is not None
        sets, counts = np.unique(TARGET, axis=0, return_counts=True)
        names, share = WHOLE.multilabel.majority() or ((), 0.0)
        assert share == counts.max() / N
        assert [label in names for label in LABELS] == sets[counts.argmax()].astype(bool).tolist()


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, N - 1), max_size=4), ids=st.booleans())
def test_parts_add_up_to_the_whole(cuts: list[int], ids: bool) -> None:
    edges = [0, *sorted(set(cuts)), N]
    names = {"ids": np.arange(N)} if ids else {}
    parts = [
        made(slice(start, stop), **{name: column[start:stop] for name, column in names.items()})
        for start, stop in itertools.pairwise(edges)
    ]
    whole = made(**names)
    assert sum(reversed(parts)) == whole
    for average in ("macro", "micro"):
        assert sum(parts).interval("f1", average=average) == pytest.approx(whole.interval("f1", average=average))


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=12))
def test_counts_are_those_of_a_loop(rows: list[tuple[bool, ...]]) -> None:
    table = np.array(rows, dtype=np.uint8)
    counts, exact = count_labels(table[:, :2], table[:, 2:])
    expected = np.zeros((2, 2, 2), dtype=int)
    for row in table.tolist():
        for label in range(2):
            expected[label, row[label], row[2 + label]] += 1
    assert counts.tolist() == expected.tolist()
    assert exact == sum(row[:2] == row[2:] for row in table.tolist())


def test_json_loses_nothing() -> None:
    whole = made(ids=np.arange(N), weights=np.ones(N), slices={"half": np.arange(N) < N // 2})
    again = Evaluation.from_json(whole.to_json())
    assert again == whole
    assert again.interval("recall", average="micro") == whole.interval("recall", average="micro")
    assert again != made(ids=np.arange(N), weights=np.ones(N))


def test_slices_hold_the_labels() -> None:
    found = made(slices={"half": np.where(np.arange(N) < N // 2, "first", "second")})
    rows = slice(0, N // 2)
    part = found.slices["half=first"]
    assert part.metric("recall", average="micro") == sk.recall_score(TARGET[rows], PREDS[rows], average="micro")
    assert part.metric("exact_match") == sk.accuracy_score(TARGET[rows], PREDS[rows])
    assert found.multilabel is not None
    assert found.multilabel["cat"].slices["first"].n == N // 2


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("recall", {}, r"say which with label= \(one of 'cat', 'dog', 'cow'\), average= 'macro' or 'micro'; exact_"),
        ("recall", {"average": "weighted"}, "'macro' or 'micro', not average='weighted'"),
        ("recall", {"average": "marco"}, "did you mean 'macro'"),
        ("recall", {"label": "Dog"}, "unknown class 'Dog'; did you mean 'dog'"),
        ("recall", {"label": "dog", "average": "micro"}, "not both"),
        ("accuracy", {}, r"one of 'cat', 'dog', 'cow'\); exact_match"),
        ("roc_auc", {"average": "micro"}, "average= 'macro', not average='micro'"),
        ("top_k_accuracy", {"k": 1}, "not for several labels a sample"),
        ("mae", {}, "not for several labels a sample"),
        ("exact_match", {"label": "cat"}, "takes no label"),
        ("exact_match", {"average": "macro"}, "takes no average"),
    ],
)
def test_what_makes_no_sense(name: str, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        WHOLE.metric(name, **asked)


def test_exact_match_is_for_several_labels() -> None:
    with pytest.raises(MetricError, match=r"task='multilabel'.* it is accuracy"):
        Evaluation.from_predictions(target=[0, 1], preds=[0, 1], outputs="labels").metric("exact_match")


def test_an_undefined_label_leaves_the_mean_undefined() -> None:
    target = TARGET.copy()
    target[:, 2] = 0
    found = Evaluation.from_predictions(
        target=target, preds=LOGITS, outputs="logits", task="multilabel", labels=LABELS
    ).measure("recall", average="macro")
    assert found.value is None
    assert found.cause == "of label 'cow', no sample of class 'cow' in 240"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"target": TARGET + 1}, "0 or 1"),
        ({"target": TARGET - 0.5}, "whole numbers"),
        ({"preds": np.where(LOGITS > 2, np.nan, LOGITS)}, "finite"),
        ({"preds": LOGITS, "outputs": "probabilities"}, "probabilities"),
        ({"preds": LOGITS[:, :2]}, r"one shape \[N, L\]"),
        ({"preds": LOGITS[:, 0], "target": TARGET[:, 0], "labels": None}, r"one shape \[N, L\]"),
        ({"preds": LOGITS[:, :1], "target": TARGET[:, :1], "labels": None}, "two labels a sample or more"),
        ({"labels": ("cat", "dog")}, "2 labels .* 3 columns"),
        ({"preds": PREDS + 1, "outputs": "labels"}, "0 or 1"),
        ({"preds": 1 / (1 + np.exp(-LOGITS))}, "lie in"),
        ({"ignore_index": -1}, "not for task='multilabel'"),
        ({"task": None, "labels": None}, "task='multilabel'"),
        ({"outputs": "labels", "preds": PREDS, "threshold": 0.4}, "threshold"),
    ],
)
def test_bad_input(how: dict[str, Any], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        Evaluation.from_predictions(
            **{"target": TARGET, "preds": LOGITS, "outputs": "logits", "task": "multilabel", "labels": LABELS} | how
        )


def test_what_needs_one_matrix_says_whose() -> None:
    with pytest.raises(EvidenceError, match=r"evaluation\.multilabel\['cat'\]"):
        _ = WHOLE.confusion_matrix
    other = Evaluation.from_predictions(
        target=TARGET, preds=LOGITS, outputs="logits", task="multilabel", labels=("a", "b", "c")
    )
    with pytest.raises(EvidenceError, match="different labels"):
        _ = WHOLE + other


def test_the_summary_shows_each_label() -> None:
    from pytest_modelgate.reports.facts import evaluation_facts

    row = WHOLE.summary()
    assert row["labels"] == []
    assert row["multilabel"]["counts"] == sk.multilabel_confusion_matrix(TARGET, PREDS).tolist()
    facts = dict(evaluation_facts(row))
    exact = int((TARGET == PREDS).all(axis=1).sum())
    assert facts["exact match"] == f"{exact} of {N}"
    found = int((TARGET[:, 0] & PREDS[:, 0]).sum())
    wrong = int(((1 - TARGET[:, 0]) & PREDS[:, 0]).sum())
    assert facts["cat"] == f"{found} of {int(TARGET[:, 0].sum())} found, {wrong} wrongly given"
