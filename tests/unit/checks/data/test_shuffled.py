"""Pipelines on shuffled labels: what they are given, what they must return, and what stays as it was."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from pytest_modelgate import Evaluation, EvidenceError, TrainingError
from pytest_modelgate.checks.data.shuffled import audit_shuffled_labels

RNG = np.random.default_rng(0)
INPUTS, TARGET = RNG.normal(size=(80, 4)), np.arange(80) % 2


def guessing(inputs: Any, target: Any) -> Evaluation:
    """Scores that have nothing to do with the target."""
    return Evaluation.from_predictions(target=target, preds=inputs[:, 0], outputs="logits")


def knowing(inputs: Any, target: Any) -> Evaluation:
    """The target itself."""
    return Evaluation.from_predictions(target=target, preds=target, outputs="labels", labels=(0, 1))


def test_each_shuffle_is_another_and_the_same_again() -> None:
    seen: list[Any] = []

    def train(inputs: Any, target: Any) -> Evaluation:
        assert np.array_equal(inputs, INPUTS)
        assert sorted(target) == sorted(TARGET)
        seen.append(target)
        return guessing(inputs, target)

    first = audit_shuffled_labels(train, INPUTS, TARGET, seed=3)
    assert len({tuple(each) for each in [*seen, TARGET]}) == 6
    assert first == audit_shuffled_labels(train, INPUTS, TARGET, seed=3)
    assert first != audit_shuffled_labels(train, INPUTS, TARGET, seed=4)
    assert [one.name for one in first.findings] == ["all shuffles", *(f"seed {seed}" for seed in range(3, 8))]
    skills = [2 * roc_auc_score(target, INPUTS[:, 0]) - 1 for target in seen[:5]]
    assert [one.estimate for one in first.findings[1:]] == pytest.approx(skills)
    assert first["all shuffles"].estimate == pytest.approx(np.mean(skills))
    assert dict(first.sizes) == {"samples": 80, "held out": 400, "shuffles": 5}


@pytest.mark.parametrize("kind", ["array", "list", "tensor", "texts", "column"])
def test_the_target_stays_what_it_is(kind: str) -> None:
    given: Any = {
        "array": TARGET,
        "list": TARGET.tolist(),
        "tensor": torch.tensor(TARGET),
        "texts": ["ok", "bad"] * 40,
        "column": TARGET[:, None],
    }[kind]
    before = repr(given)

    def train(inputs: Any, target: Any) -> Evaluation:
        assert type(target) is type(given)
        assert len(target) == 80
        target[0] = target[1]
        inputs[:] = 0
        return guessing(INPUTS, RNG.permutation(TARGET))

    features = torch.tensor(INPUTS, requires_grad=True) * 1
    audit_shuffled_labels(train, features, given, shuffles=3)
    assert repr(given) == before
    assert np.array_equal(features.detach().numpy(), INPUTS)


def test_features_of_any_form_are_copied() -> None:
    given = {"a": INPUTS.copy(), "b": [1, 2]}

    def train(inputs: Any, target: Any) -> Evaluation:
        inputs["a"][:] = 0
        inputs["b"].clear()
        return guessing(INPUTS, target)

    audit_shuffled_labels(train, given, TARGET, shuffles=3)
    assert np.array_equal(given["a"], INPUTS)
    assert given["b"] == [1, 2]


def test_a_target_that_is_read_once() -> None:
    seen: list[Any] = []

    def train(inputs: Any, target: Any) -> Evaluation:
        seen.append(target)
        return guessing(inputs, target)

    audit_shuffled_labels(train, INPUTS, iter(TARGET.tolist()))
    assert all(sorted(target) == sorted(TARGET) for target in seen)


def test_features_that_cannot_be_copied() -> None:
    with pytest.raises(EvidenceError, match="features of type generator cannot be copied"):
        audit_shuffled_labels(guessing, (row for row in INPUTS), TARGET)
    grown = {"x": torch.zeros(80, 2, requires_grad=True) * 2}  # with a history
    with pytest.raises(EvidenceError, match="features of type dict cannot be copied"):
        audit_shuffled_labels(guessing, grown, TARGET)


def test_random_state_is_set_and_restored() -> None:
    drawn: list[tuple[float, ...]] = []

    def train(inputs: Any, target: Any) -> Evaluation:
        drawn.append((random.random(), np.random.random(), float(torch.rand(()))))
        return guessing(inputs, target)

    def broken(inputs: Any, target: Any) -> Evaluation:
        raise ValueError("mine")

    state = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    for _ in range(2):
        audit_shuffled_labels(train, INPUTS, TARGET, shuffles=3)
    with pytest.raises(ValueError, match="mine"):
        audit_shuffled_labels(broken, INPUTS, TARGET)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == state
    assert drawn[:3] == drawn[3:]
    assert len(set(drawn)) == 3


def test_labels_alone_and_several_classes() -> None:
    found = audit_shuffled_labels(knowing, INPUTS, TARGET)["all shuffles"]
    assert found.estimate == pytest.approx(1.0)
    assert found.p < 0.001
    assert "Cohen's kappa over 5 shuffles" in found.text

    def three(inputs: Any, target: Any) -> list[Evaluation]:
        halves = np.split(np.arange(80), 2)
        return [
            Evaluation.from_predictions(
                target=target[half] % 3, preds=RNG.permutation(target)[half] % 3, outputs="labels", labels=(0, 1, 2)
            )
            for half in halves
        ]

    assert abs(audit_shuffled_labels(three, INPUTS, np.arange(80))["all shuffles"].estimate) < 0.2


def test_regression() -> None:
    seen: list[float] = []

    def train(inputs: Any, target: Any) -> Evaluation:
        seen.append(stats.spearmanr(target, inputs[:, 1]).statistic)
        return Evaluation.from_predictions(target=target, preds=inputs[:, 1], outputs="values")

    found = audit_shuffled_labels(train, INPUTS, INPUTS[:, 0])
    assert found["all shuffles"].estimate == pytest.approx(np.mean(seen))
    assert "rank correlation" in found["all shuffles"].text


def test_constant_predictions_tell_nothing() -> None:
    def train(inputs: Any, target: Any) -> Evaluation:
        return Evaluation.from_predictions(target=target, preds=0 * target, outputs="labels", labels=(0, 1))

    found = audit_shuffled_labels(train, INPUTS, TARGET)
    assert found.findings[0].name == "constant"
    assert all(one.estimate is None for one in found.findings)


def test_one_class_only_is_undefined_and_trains_nothing() -> None:
    def train(inputs: Any, target: Any) -> Evaluation:
        raise AssertionError

    assert "all 80 targets are the same" in audit_shuffled_labels(train, INPUTS, 0 * TARGET)["undefined"].text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "returned a NoneType"),
        (0.5, "returned a float"),
        ([], "returned an empty list"),
        ([guessing(INPUTS, TARGET), None], "returned a NoneType"),
        (Evaluation.from_predictions(target=[0.5], preds=[1.0], outputs="values", keep="counts"), "no predictions"),
    ],
)
def test_what_train_fn_must_return(answer: Any, text: str) -> None:
    with pytest.raises(EvidenceError, match=text):
        audit_shuffled_labels(lambda inputs, target: answer, INPUTS, TARGET)


@pytest.mark.parametrize("shuffles", [0, 1, 2, True, 2.5, "3"])
def test_too_few_shuffles(shuffles: Any) -> None:
    with pytest.raises(TrainingError, match="at least 3"):
        audit_shuffled_labels(guessing, INPUTS, TARGET, shuffles=shuffles)


def test_no_target() -> None:
    with pytest.raises(EvidenceError, match="holds none"):
        audit_shuffled_labels(guessing, INPUTS, [])
