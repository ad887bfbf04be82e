"""Any function of the inputs as a model, and what no model is."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from pytest_modelgate import EvidenceError, evaluate

draw = np.random.default_rng(1)
N = 120
X = draw.normal(size=(N, 3))
Y = (X[:, 0] + 0.3 * draw.normal(size=N) > 0).astype(np.int64)
P = 1 / (1 + np.exp(-X[:, 0]))
MANY = draw.integers(0, 4, size=N)
LOGITS = draw.normal(size=(N, 4))


def probability(inputs: Any) -> Any:
    return 1 / (1 + np.exp(-inputs[:, 0]))


def as_tensor(inputs: Any) -> torch.Tensor:
    return torch.as_tensor(probability(inputs)).requires_grad_()


def as_list(inputs: Any) -> list[float]:
    return list(probability(inputs).tolist())


class Model:
    def __call__(self, inputs: Any) -> Any:
        return probability(inputs)


def shifted(inputs: Any, by: float) -> Any:
    return probability(inputs) + by


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (probability, "probability"),
        (as_tensor, "as_tensor"),
        (as_list, "as_list"),
        (Model(), "Model"),
        (functools.partial(shifted, by=0), "shifted"),
        (lambda inputs: probability(inputs).astype(np.float32)[:, None], "function"),
        (lambda inputs: np.stack([1 - probability(inputs), probability(inputs)], axis=1)[::1], "function"),
        (lambda inputs: probability(inputs)[::-1][::-1], "function"),
    ],
)
@pytest.mark.parametrize("size", [None, 7])
def test_whatever_gives_numbers(model: Any, name: str, size: int | None) -> None:
    found = evaluate(model, (X, Y), outputs="probabilities", labels=["no", "yes"], batch_size=size)
    assert found.origin.model == name
    assert found.metric("roc_auc") == pytest.approx(sk.roc_auc_score(Y, P))
    assert found.confusion_matrix.counts.tolist() == sk.confusion_matrix(Y, P >= 0.5).tolist()


def test_inputs_are_handed_over_as_they_came() -> None:
    seen: list[Any] = []

    def model(*inputs: Any, **named: Any) -> Any:
        seen.append(inputs or named)
        return np.zeros(2)

    rows, other = np.zeros((4, 2)), ["a", "b", "c", "d"]
    for inputs in (rows, other, (rows, other), {"x": rows, "text": other}, torch.zeros(4, 2, dtype=torch.float64)):
        evaluate(model, (inputs, [0, 1, 1, 0]), outputs="labels", batch_size=2)
    arrays, lists, spread, named, tensors = seen[::2]
    assert isinstance(arrays[0], np.ndarray)
    assert arrays[0].dtype == np.float64
    assert lists == (["a", "b"],)
    assert spread[1] == ["a", "b"]
    assert named["text"] == ["a", "b"]
    assert tensors[0].dtype == torch.float64
    pair = [([torch.zeros(2, 2), torch.ones(2)], [0, 1])]  # a DataLoader makes a list of several inputs
    evaluate(model, pair, outputs="labels")
    assert len(seen[-1]) == 2


@pytest.mark.parametrize("named", [["a", "b", "c", "d"], [10, 20, 30, 40]])
@pytest.mark.parametrize("kind", ["logits", "labels", "names"])
def test_many_classes_and_names(named: list[Any], kind: str) -> None:
    indices = LOGITS.argmax(1)
    given = {"logits": LOGITS, "labels": np.array(named)[indices], "names": np.array(named)[indices].tolist()}[kind]
    outputs = "logits" if kind == "logits" else "labels"
    found = evaluate(lambda _: given, [(X, np.array(named)[MANY])], outputs=outputs, labels=named)
    expected = sk.confusion_matrix(MANY, indices, labels=range(4))
    assert found.labels == tuple(named)
    assert found.confusion_matrix.counts.tolist() == expected.tolist()


def test_the_device_is_that_of_modules() -> None:
    found = evaluate(probability, (X, Y), outputs="probabilities", device=torch.device("meta"))
    assert found == evaluate(probability, (X, Y), outputs="probabilities")


def test_values() -> None:
    target = 2 * X[:, 0]
    found = evaluate(lambda inputs: inputs[:, 0], (X, target.tolist()), outputs="values", loss="l1_loss")
    assert found.loss == pytest.approx(np.abs(X[:, 0]).mean())


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda _: None, {}, "gave NoneType; it must return an array or a tensor"),
        (lambda _: {"logits": P}, {}, "gave dict; it must"),
        (lambda _: np.array(["x"] * N), {}, "must be numbers, but their type is <U1"),
        (lambda _: np.array([None] * N), {}, "must be numbers, but hold NoneType"),
        (lambda _: P[:-1], {}, "do not fit"),
        (lambda _: np.float64(0.5), {}, r"outputs of shape \[\] and targets of shape \[120\] do not fit"),
        (lambda _: np.int64(1), {"outputs": "labels"}, r"outputs of shape \[\] and targets"),
        (lambda _: P * np.nan, {}, "probabilities must be finite"),
        (lambda _: P + 1, {}, "probabilities"),
        (lambda _: np.array(["yes", "nope"] * 60), {"outputs": "labels"}, "preds must be names.*'nope' at position 1"),
        (lambda _: np.array(["yes"] * N), {"outputs": "labels", "labels": None}, "preds are names.*give labels="),
    ],
)  # fmt: skip
def test_bad_outputs(model: Any, options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"outputs": "probabilities", "labels": ["no", "yes"]} | options
    with pytest.raises(EvidenceError, match=message):
        evaluate(model, (X, Y), **given)


@pytest.mark.parametrize("model", [None, 3, "model", [1]])
def test_what_is_no_model(model: Any) -> None:
    with pytest.raises(EvidenceError, match=r"a model is a torch\.nn\.Module"):
        evaluate(model, (X, Y), outputs="probabilities")


def test_what_the_function_raises_is_the_users() -> None:
    def broken(inputs: Any) -> Any:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        evaluate(broken, (X, Y), outputs="probabilities")


def test_no_other_library_is_imported() -> None:
    code = (
        "import sys, pytest_modelgate as m\n"
        "m.evaluate(lambda x: x, ([.2, .7], [0, 1]), outputs='probabilities')\n"
        "import pytest_modelgate.runtime.adapters.trainer, pytest_modelgate.runtime.adapters.torchmetric\n"
        "import pytest_modelgate.runtime.adapters.estimators, pytest_modelgate.runtime.adapters.onnx_model\n"
        "heavy = {'sklearn', 'pandas', 'onnx', 'onnxruntime', 'lightning', 'transformers', 'torchmetrics'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
