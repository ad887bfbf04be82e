"""What was derived can be derived again from another pass over the same data."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import numpy as np

import pytest_modelgate as mg
from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.evidence.origin import Call, Origin, calls, replay

TARGET = np.array([0, 1] * 20)


def made(seed: int, call: Call | None) -> mg.Evaluation:
    """What a call gave: scores drawn anew."""
    scores = np.random.default_rng(seed).random(40)
    found = mg.Evaluation.from_predictions(target=TARGET, preds=scores, outputs="probabilities")
    return found if call is None else replace(found, origin=Origin(model="Net", derivation=call))


def again(evidence: mg.Evaluation, other: dict[Call, mg.Evaluation]) -> Any:
    derivation = evidence.origin.derivation
    assert derivation is not None
    return replay(derivation, other.__getitem__)


def test_the_same_steps_on_another_pass() -> None:
    call, second = Call(), Call()
    one, two = made(1, call), made(2, second)
    other = {call: made(3, None), second: made(4, None)}
    three, four = other[call], other[second]
    pairs = [
        (one, three),
        (one.at_threshold(0.3), three.at_threshold(0.3)),
        (one.at_threshold(0.3).at_threshold(0.7), three.at_threshold(0.7)),
        (one + two, three + four),
        ((one + two).at_threshold(0.2), (three + four).at_threshold(0.2)),
        (one.at_threshold(0.2) + two.at_threshold(0.2), (three + four).at_threshold(0.2)),
        (as_evaluation(one.confusion_matrix), as_evaluation(three.confusion_matrix)),
        (
            as_evaluation(one.confusion_matrix + two.at_threshold(0.3).confusion_matrix),
            as_evaluation(three.confusion_matrix + four.at_threshold(0.3).confusion_matrix),
        ),
        (
            as_evaluation(one.at_threshold(0.9).confusion_matrix),
            as_evaluation(three.at_threshold(0.9).confusion_matrix),
        ),
    ]
    for evidence, expected in pairs:
        assert again(evidence, other) == expected
        assert evidence != expected


def test_which_calls_it_goes_back_to() -> None:
    first, second, third = Call(), Call(), Call()
    total = sum([made(1, first), made(2, second), made(3, third)])
    derivation = total.origin.derivation
    assert derivation is not None
    assert list(calls(derivation)) == [first, second, third]
    assert len(derivation.of) == 3  # type: ignore[union-attr]  # flat, so that a sum of thousands can be replayed
    assert (total.origin.model, total.origin.steps) == ("Net", ())


def test_evidence_of_unknown_origin() -> None:
    known = made(1, Call())
    assert made(1, None).origin.derivation is None
    assert (known + made(2, None)).origin.derivation is None
    assert made(1, None).at_threshold(0.2).origin.derivation is None
    assert as_evaluation(made(1, None).confusion_matrix).origin.derivation is None
    matrix = known.confusion_matrix
    assert as_evaluation(matrix + mg.ConfusionMatrix([[1, 2], [3, 4]])).origin.derivation is None


def test_it_takes_no_part_in_equality_repr_and_json() -> None:
    plain, known = made(1, None), made(1, Call())
    assert plain == known
    assert plain.confusion_matrix == known.confusion_matrix
    assert hash(plain.confusion_matrix) == hash(known.confusion_matrix)
    assert repr(plain) == repr(known)
    assert repr(plain.confusion_matrix) == repr(known.confusion_matrix)
    assert plain.to_json() == known.to_json()
    assert Origin(model="Net", derivation=Call()) == Origin(model="Net")


def test_copies_go_back_to_the_same_call_and_pickles_to_none_with_twins() -> None:
    call = Call(twins="something that cannot travel: " + repr(lambda: 0))
    evidence = made(1, call).at_threshold(0.3)
    copied = copy.deepcopy(evidence).origin.derivation
    assert copied is not None
    assert list(calls(copied)) == [call]
    loaded = pickle.loads(pickle.dumps(evidence))
    assert loaded == evidence
    (other,) = calls(loaded.origin.derivation)
    assert other.twins is None
    assert replay(loaded.origin.derivation, lambda _: made(1, None)) == evidence
