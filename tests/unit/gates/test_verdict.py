"""The verdict as a value: it goes to JSON and back, and no number that is not one makes it green."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate import ConfusionMatrix, Evaluation, Gate, GateFailure, Outcome, Verdict
from pytest_modelgate.metrics.losses import MeanLoss

numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
verdicts = st.builds(
    Verdict,
    gate=texts,
    outcome=st.sampled_from(Outcome),
    passed=st.booleans(),
    metric=texts,
    estimate=st.none() | numbers,
    support=st.integers(0, 2**62),
    bar=st.none() | numbers,
    direction=st.sampled_from(["at_least", "at_most", "above"]),
    explanation=texts,
    label=st.none() | texts | st.integers(-5, 5),
    average=st.none() | st.sampled_from(["macro", "micro", "weighted"]),
    slice=st.none() | texts,
    lower=st.none() | numbers,
    upper=st.none() | numbers,
    hits=st.none() | st.integers(0, 2**62),
    confidence=st.floats(0.5, 0.999),
    if_unsure=st.sampled_from(["estimate", "fail", "warn"]),
    method=st.none() | texts,
    notes=st.lists(texts, max_size=3).map(tuple),
    parameters=st.dictionaries(st.sampled_from(["beta", "k"]), numbers | st.integers(1, 9)).map(
        lambda given: tuple(given.items())
    ),
)


@given(verdict=verdicts)
@settings(deadline=None, max_examples=100)
def test_json_and_back(verdict: Verdict) -> None:
    again = Verdict.from_json(verdict.to_json())
    assert again == verdict
    assert type(again.label) is type(verdict.label)
    assert isinstance(again.outcome, Outcome)
    assert hash(again) == hash(verdict)


@given(verdict=verdicts)
@settings(deadline=None, max_examples=50)
def test_the_json_is_plain(verdict: Verdict) -> None:
    """Strict JSON of the documented keys; an unknown key, as a later version may write, is no obstacle."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} in JSON")

    plain = json.loads(verdict.to_json(), parse_constant=refuse)
    assert plain["outcome"] in ("PASS", "FAIL", "INCONCLUSIVE", "UNDEFINED")
    assert type(plain["passed"]) is bool
    assert Verdict.from_dict(plain | {"of_a_later_version": 1}) == verdict


def test_the_keys_of_a_verdict() -> None:
    verdict = Gate("recall", at_least=0.9).check(ConfusionMatrix([[9, 1], [2, 8]]))
    assert set(verdict.to_dict()) == {
        "gate", "metric", "label", "average", "slice", "outcome", "passed", "estimate", "lower", "upper", "hits",
        "support", "bar", "direction", "confidence", "if_unsure", "method", "explanation", "family", "details",
        "notes", "parameters",
    }  # fmt: skip


def test_numbers_of_numpy_do_not_get_in() -> None:
    evidence = ConfusionMatrix(np.array([[9, 1], [2, 8]]), labels=np.array([3, 4]))
    gate = Gate("fbeta", at_least=np.float64(0.5), label=np.int64(4), parameters={"beta": np.float64(2)})
    verdict = gate.check(evidence)
    assert Verdict.from_json(verdict.to_json()) == verdict
    for name in ("estimate", "bar", "support", "label", "passed", "confidence"):
        assert type(getattr(verdict, name)).__module__ == "builtins"


def test_a_verdict_is_frozen_and_copies() -> None:
    verdict = Gate("recall", at_least=0.9).check(ConfusionMatrix([[9, 1], [2, 8]]))
    with pytest.raises(AttributeError):
        verdict.passed = True
    assert copy.deepcopy(verdict) == pickle.loads(pickle.dumps(verdict)) == verdict
    assert not verdict


def test_a_failure_carries_its_verdict_through_pickle() -> None:
    """As it must, to cross processes."""
    verdict = Gate("recall", at_least=0.9).check(ConfusionMatrix([[9, 1], [2, 8]]))
    failure = pickle.loads(pickle.dumps(GateFailure(verdict)))
    assert isinstance(failure, AssertionError)
    assert failure.verdict == verdict
    assert str(failure) == str(verdict)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["at_least", "at_most"])
@pytest.mark.parametrize("if_unsure", ["estimate", "fail", "warn"])
def test_a_loss_that_is_no_number_never_passes(value: float, direction: str, if_unsure: str) -> None:
    loss = MeanLoss.of("mse_loss", np.array([0.5, value, 0.1]))
    evidence = Evaluation(task="regression", n=3, outputs="values", mean_loss=loss)
    verdict = Gate("loss", **{direction: 1e300 if direction == "at_most" else -1e300}, if_unsure=if_unsure).check(
        evidence
    )
    assert not verdict.passed
    assert verdict.outcome in (Outcome.FAIL, Outcome.UNDEFINED)
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert "1 of 3" in verdict.explanation


def test_a_loss_that_is_one_is_judged_by_its_estimate() -> None:
    loss = MeanLoss.of("mse_loss", np.array([0.5, 0.25]))
    evidence = Evaluation(task="regression", n=2, outputs="values", mean_loss=loss)
    assert Gate("loss", at_most=0.375).check(evidence).passed
    assert not Gate("loss", at_most=0.3749).check(evidence).passed
    assert Gate("loss", at_most=0.5).check(evidence).explanation == (
        "INCONCLUSIVE (leans pass): loss (mse_loss) = 0.375, required <= 0.500"
    )
