"""Tokens and pixels: each layout gives what the flat rows give, and what is ignored leaves no trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from pytest_modelgate import Evaluation, EvidenceError

draw = np.random.default_rng(3)
TOKENS = draw.integers(0, 4, (30, 5))
SCORES = draw.normal(size=(30, 5, 4)) + 2 * np.eye(4)[TOKENS]
PADDED = np.where(draw.random((30, 5)) < 0.3, -100, TOKENS)
MASK = draw.integers(0, 2, (6, 3, 4))
PIXELS = draw.normal(size=(6, 3, 4)) + MASK


def made(target: Any, preds: Any, outputs: str = "logits", **more: Any) -> Evaluation:
    return Evaluation.from_predictions(target=target, preds=preds, outputs=outputs, **more)


def counts(target: Any, preds: Any, size: int) -> list[list[int]]:
    return sk.confusion_matrix(np.ravel(target), np.ravel(preds), labels=range(size)).tolist()


def test_classes_first_or_last() -> None:
    last, first = made(TOKENS, SCORES), made(TOKENS, np.moveaxis(SCORES, -1, 1))
    assert first == last
    assert last.n == 150
    assert last.confusion_matrix.counts.tolist() == counts(TOKENS, SCORES.argmax(-1), 4)
    flat = made(TOKENS.reshape(-1), SCORES.reshape(-1, 4), groups=np.repeat(np.arange(30), 5))
    assert last.confusion_matrix == flat.confusion_matrix
    assert last.interval("accuracy") == flat.interval("accuracy")


def test_one_sample_in_two_sets_is_one_group() -> None:
    """Its id tells so, whatever its row; without ids the samples of two sets are different ones."""
    ids = np.arange(30)
    whole = made(TOKENS[:20], SCORES[:20], ids=ids[:20]) + made(TOKENS[:9:-1], SCORES[:9:-1], ids=ids[:9:-1])
    assert whole.samples is not None
    assert whole.samples.groups is not None
    assert np.unique(whole.samples.groups, return_counts=True)[1].tolist().count(10) == 10
    unnamed = made(TOKENS[:20], SCORES[:20]) + made(TOKENS[:9:-1], SCORES[:9:-1])
    assert unnamed.samples is not None
    assert len(np.unique(unnamed.samples.groups)) == 40


@pytest.mark.parametrize(
    ("target", "preds", "more"),
    [
        (MASK, PIXELS, {"task": "binary"}),
        (MASK, PIXELS[:, None], {}),
        (MASK[:, None], PIXELS[:, None], {}),
        (MASK[:, None], PIXELS, {}),
        (MASK, np.stack([-PIXELS, PIXELS], axis=1) / 2, {}),
        (MASK, np.stack([-PIXELS, PIXELS], axis=-1) / 2, {}),
        (MASK[:, None], np.stack([-PIXELS, PIXELS], axis=1) / 2, {}),
    ],
    ids=["same shape", "channel", "both channels", "channel of targets", "K first", "K last", "K and a channel"],
)
def test_masks_in_every_layout(target: Any, preds: Any, more: dict[str, Any]) -> None:
    found = made(target, preds, **more)
    assert found.task == "binary"
    assert found.n == MASK.size
    assert found.confusion_matrix.counts.tolist() == counts(MASK, PIXELS >= 0, 2)
    assert found.metric("jaccard") == pytest.approx(sk.jaccard_score(MASK.ravel(), PIXELS.ravel() >= 0))
    assert found.samples is not None
    assert found.samples.num_groups == 6


def test_decided_labels() -> None:
    found = made(PADDED, SCORES.argmax(-1), "labels", task="multiclass", ignore_index=-100, labels=tuple("abcd"))
    kept = PADDED != -100
    assert found.confusion_matrix.counts.tolist() == counts(PADDED[kept], SCORES.argmax(-1)[kept], 4)


def test_what_is_ignored_leaves_no_trace() -> None:
    kept = PADDED != -100
    found = made(PADDED, SCORES, ignore_index=-100)
    wild = SCORES.copy()
    wild[~kept] = np.nan  # a model may give anything for padding
    assert made(PADDED, wild, ignore_index=-100) == found
    assert found.n == kept.sum()
    assert found.confusion_matrix.counts.tolist() == counts(PADDED[kept], SCORES.argmax(-1)[kept], 4)


def test_one_class_a_sample_can_be_ignored_too() -> None:
    target, preds = np.array([0, 1, 9, 1, 9, 0]), np.array([0.1, 0.8, 0.9, 0.4, 0.2, 0.7])
    weights = np.array([1.0, 2, 3, 4, 5, 6])
    kept = target != 9
    slices = np.array(list("abcabc"))
    found = made(target, preds, "probabilities", ignore_index=9, ids=range(6), weights=weights, slices={"s": slices})
    plain = made(
        target[kept], preds[kept], "probabilities", weights=weights[kept], slices={"s": slices[kept]}, keep="auto"
    )
    assert found.samples is not None
    assert found.samples.groups is None  # no sample has more than one decision
    assert found.metric("recall") == plain.metric("recall")
    assert found.interval("recall") == plain.interval("recall")
    assert [one.n for one in found.slices.by("s").values()] == [2, 1, 1]
    alone = made(target, preds, "probabilities", ignore_index=9, keep="counts", slices={"s": slices})
    assert [one.n for one in alone.slices.by("s").values()] == [2, 1, 1]


def test_the_columns_of_samples_follow_their_decisions() -> None:
    samples = np.repeat(np.arange(30), 5)[(PADDED != -100).ravel()]
    weights, region = draw.exponential(size=30), np.arange(30) % 3
    found = made(PADDED, SCORES, ignore_index=-100, ids=range(30), weights=weights, slices={"region": region})
    rows = found.samples
    assert rows is not None
    assert rows.weights is not None
    assert rows.ids is not None
    assert rows.weights.tolist() == weights[samples].tolist()
    assert len(np.unique(rows.ids)) == found.n
    assert rows.num_groups == len(np.unique(samples))
    assert [one.n for one in found.slices.by("region").values()] == np.bincount(samples % 3).tolist()
    given_ = made(PADDED, SCORES, ignore_index=-100, groups=region)
    assert given_.samples is not None
    assert given_.samples.num_groups == 3


@settings(max_examples=40, deadline=None)
@given(
    target=hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(2, 4)), elements=st.integers(-1, 2)),
    last=st.booleans(),
)
def test_a_loop_over_the_places_counts_the_same(target: Any, last: bool) -> None:
    scores = np.random.default_rng(target.size).normal(size=(*target.shape, 5)) - 5 * (np.arange(5) > 2)
    if not (target >= 0).any():
        with pytest.raises(EvidenceError, match="all targets are -1"):
            made(target, scores, ignore_index=-1)
        return
    found = made(target, scores if last else np.moveaxis(scores, -1, 1), ignore_index=-1)
    expected = np.zeros((5, 5), dtype=int)
    for place in np.ndindex(target.shape):
        if target[place] >= 0:
            expected[target[place], scores[place].argmax()] += 1
    assert found.confusion_matrix.counts.tolist() == expected.tolist()


def test_integer_names_can_be_ignored() -> None:
    named = np.where(PADDED == -100, 0, PADDED + 5)  # 0 is the index of class 5, and no name
    found = made(named, SCORES, labels=(5, 6, 7, 8), ignore_index=0)
    assert found.confusion_matrix.counts.tolist() == made(PADDED, SCORES, ignore_index=-100).matrix.counts.tolist()  # type: ignore[union-attr]


def test_names_of_classes_at_each_place() -> None:
    names = np.array(list("abcd"))
    assert made(names[TOKENS], SCORES, labels=tuple("abcd")).confusion_matrix.counts.tolist() == counts(
        TOKENS, SCORES.argmax(-1), 4
    )


@pytest.mark.parametrize(
    ("target", "preds", "more", "message"),
    [
        (TOKENS[:, :4], SCORES[:, :4], {}, r"may be \[N, K, \*D\] or \[N, \*D, K\]"),
        (MASK[:, 0], PIXELS[:, 0], {}, r"task='multilabel' \(4 labels a sample\), or task='binary'"),
        (MASK, PIXELS, {}, "task='binary'"),
        (TOKENS, SCORES.argmax(-1), {"outputs": "labels"}, "do not tell what they are"),
        (TOKENS, SCORES[:, :3], {}, "do not fit outputs of shape"),
        (TOKENS, SCORES[:, 0], {}, "do not fit outputs of shape"),
        (TOKENS, SCORES, {"keep": "counts"}, "hang together"),
        (np.full((30, 5), -100), SCORES, {"ignore_index": -100}, "all targets are -100"),
        (PADDED, SCORES, {}, "-100"),
        (PADDED, SCORES, {"ignore_index": True}, "ignore_index=True"),
        (PADDED, SCORES, {"ignore_index": "pad"}, "ignore_index='pad'"),
        (TOKENS, TOKENS * 1.0, {"outputs": "values", "ignore_index": 0}, "task='regression'"),
        (TOKENS, SCORES, {"ids": range(150)}, "150 ids for 30 samples"),
    ],
)
def test_bad_input(target: Any, preds: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        made(target, preds, **more)
