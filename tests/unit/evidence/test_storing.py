"""An evaluation as text and back: nothing is lost, and older texts are read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_modelgate import ConfusionMatrix, Evaluation
from pytest_modelgate.evidence.storing import from_json
from pytest_modelgate.exceptions import EvidenceError

N = 120
RNG = np.random.default_rng(0)
TARGET = RNG.integers(0, 2, N)
P = RNG.random(N)
DESIGN = {"ids": [f"s{i}" for i in range(N)], "groups": np.arange(N) // 3, "weights": RNG.random(N)}

SLICES = {"region": RNG.choice(["north", "süd"], N), "hour": np.arange(N) % 7 - 3, "late": np.arange(N) % 7 > 4}


def evaluations():
    yield Evaluation.from_confusion_matrix(ConfusionMatrix([[3, 1], [0, 4]], labels=("a", "ö")))
    for design in ({}, DESIGN, {"ids": DESIGN["ids"]}, {"slices": SLICES}, {**DESIGN, "slices": SLICES}):
        yield Evaluation.from_predictions(target=TARGET, preds=P, outputs="probabilities", threshold=0.3, **design)
        yield Evaluation.from_predictions(target=TARGET, preds=TARGET, outputs="labels", **design)
        yield Evaluation.from_predictions(target=P, preds=P.astype(np.float32), outputs="values", **design)
        table = RNG.normal(size=(N, 3))
        yield Evaluation.from_predictions(target=TARGET, preds=table, outputs="logits", keep="scores", **design)
        yield Evaluation.from_predictions(target=TARGET, preds=table, outputs="logits", **design)
    yield Evaluation.from_predictions(target=np.append(P, np.nan), preds=np.append(P, 0), outputs="values")


@pytest.mark.parametrize("evidence", list(evaluations()), ids=repr)
def test_round_trip(evidence):
    back = Evaluation.from_json(evidence.to_json())
    assert back == evidence
    assert back.fingerprint == evidence.fingerprint
    assert back.labels == evidence.labels
    if evidence.samples is not None and evidence.samples.slices:
        assert dict(back.slices) == dict(evidence.slices)
        assert [one.values for one in back.samples.slices] == [one.values for one in evidence.samples.slices]
    assert back.to_json() == evidence.to_json()
    json.loads(evidence.to_json(), parse_constant=pytest.fail)
    if evidence.samples is not None:
        for name, column in evidence.samples.columns():
            stored = getattr(back.samples, name)
            assert stored.dtype == column.dtype
            assert np.array_equal(stored, column, equal_nan=column.dtype.kind == "f")
    if evidence.matrix is not None:
        for name in ("accuracy", "mcc"):
            assert back.bounds(name) == evidence.bounds(name)


def old():
    """As the first layout had it: no samples, no fingerprint."""
    evidence = Evaluation.from_predictions(target=TARGET, preds=P, outputs="probabilities")
    document = json.loads(evidence.to_json())
    del document["samples"], document["fingerprint"]
    return evidence, {**document, "schema": 1}


def test_a_text_of_the_first_layout():
    evidence, document = old()
    back = from_json(json.dumps(document))
    assert back == evidence
    assert back.samples is None
    assert back.fingerprint is None
    assert back.interval("roc_auc") == evidence.interval("roc_auc")


@pytest.mark.parametrize("schema", [0, 3, "2", None])
def test_other_layouts_are_refused(schema):
    with pytest.raises(EvidenceError, match="schema"):
        from_json(json.dumps({**old()[1], "schema": schema}))


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", "null", '{"schema": 2}', "not json"])
def test_other_texts_are_refused(text):
    with pytest.raises(EvidenceError, match="not an evaluation"):
        from_json(text)


@pytest.mark.parametrize(
    "samples",
    [
        {"unheard_of": {"dtype": "float64", "shape": [0], "data": ""}},
        {"weights": {"dtype": "object", "shape": [1], "data": "AAAAAAAAAAA="}},
        {"weights": {"dtype": "float64", "shape": [3], "data": "AAAAAAAAAAA="}},
        {"weights": {"dtype": "float64", "shape": [1], "data": "?"}},
        {"weights": {"dtype": "float64", "shape": [1], "data": "AAAAAAAAAAA="}},
        {"weights": 3},
        [1],
    ],
)
def test_broken_samples_are_refused(samples):
    with pytest.raises(EvidenceError):
        from_json(json.dumps({**old()[1], "schema": 2, "samples": samples}))


@pytest.mark.parametrize(
    "slices",
    [
        [{"name": "c", "values": ["a"], "codes": {"dtype": "uint8", "shape": [3], "data": "AAEB"}}],
        [{"name": "c", "values": ["a", "b"], "codes": {"dtype": "uint8", "shape": [2], "data": "AAE="}}],
        [{"name": "c", "values": ["a", "b"]}],
        [{"name": "c=d", "values": ["a", "b"], "codes": {"dtype": "uint8", "shape": [3], "data": "AAEB"}}],
        {"c": ["a", "b", "b"]},
    ],
    ids=repr,
)
def test_slices_that_do_not_fit_are_refused(slices):
    evidence = Evaluation.from_predictions(
        target=[0, 1, 1], preds=[0.1, 0.8, 0.9], outputs="probabilities", slices={"c": ["a", "b", "b"]}
    )
    document = json.loads(evidence.to_json())
    assert from_json(json.dumps(document)) == evidence
    with pytest.raises(EvidenceError):
        from_json(json.dumps({**document, "slices": slices}))
