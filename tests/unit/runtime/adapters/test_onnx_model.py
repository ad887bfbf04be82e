"""ONNX files, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_modelgate import CheckpointError, EvidenceError, evaluate, load_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

draw = np.random.default_rng(2)
WEIGHT = draw.normal(size=(3, 2)).astype(np.float32)
BIAS = draw.normal(size=2).astype(np.float32)
X = draw.normal(size=(50, 3)).astype(np.float32)
Y = draw.integers(0, 2, size=50)
LOGITS = X @ WEIGHT + BIAS


def save(path: Path, nodes: Any, inputs: Any, outputs: Any) -> Path:
    weights = [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(BIAS, "b")]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def linear(path: Path, *, batch: Any = "n", kind: int = TensorProto.FLOAT) -> Path:
    """Logits [N, 2] of rows [N, 3]."""
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["float", "w", "b"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info("x", kind, [batch, 3])]
    return save(path, nodes, inputs, [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 2])])


def two_in_three_out(path: Path) -> Path:
    """(x + shift) W + b as "logits", its softmax as "probabilities", and a text for each row."""
    nodes = [
        helper.make_node("Add", ["x", "shift"], ["moved"]),
        helper.make_node("Gemm", ["moved", "w", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("Cast", ["logits"], ["text"], to=TensorProto.STRING),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("x", "shift")]
    kinds = {"logits": TensorProto.FLOAT, "probabilities": TensorProto.FLOAT, "text": TensorProto.STRING}
    return save(
        path, nodes, inputs, [helper.make_tensor_value_info(name, kind, ["n", 2]) for name, kind in kinds.items()]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("batch", ["n", None, 1, 8, 50, 64])
@pytest.mark.parametrize("size", [None, 7])
def test_it_gives_what_the_formula_gives(path: Path, batch: Any, size: int | None) -> None:
    """With a fixed batch size too, which the data need not be a multiple of."""
    model = load_model(linear(path, batch=batch))
    assert isinstance(model, nn.Module)
    found = evaluate(model, (X, Y), loss=nn.CrossEntropyLoss(), batch_size=size)
    assert found.confusion_matrix.counts.sum() == 50
    assert found.metric("accuracy") == np.mean(LOGITS.argmax(1) == Y)
    expected = nn.functional.cross_entropy(torch.tensor(LOGITS), torch.tensor(Y))
    assert found.loss == pytest.approx(float(expected), abs=1e-6)
    assert found.origin.model == "OnnxModel"


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8, bool])
def test_numbers_are_cast_to_the_type_that_the_file_declares(path: Path, dtype: Any) -> None:
    rows = np.arange(30).reshape(10, 3).astype(dtype)
    given = load_model(linear(path))(torch.tensor(rows))
    np.testing.assert_allclose(given.numpy(), rows.astype(np.float32) @ WEIGHT + BIAS, rtol=1e-5)


def test_floats_do_not_become_whole_numbers(path: Path) -> None:
    model = load_model(linear(path, kind=TensorProto.INT64))
    assert model(torch.ones(2, 3, dtype=torch.int32)).shape == (2, 2)
    with pytest.raises(EvidenceError, match=r"cannot be run on x \[2, 3\]: Unexpected input data type"):
        model(torch.full((2, 3), 0.5))


def test_several_inputs_by_place_and_by_name_and_one_of_several_outputs(path: Path) -> None:
    model: Any = load_model(two_in_three_out(path))
    assert model.inputs == ("x", "shift")
    assert model.outputs == ("logits", "probabilities", "text")
    shift = np.ones_like(X)
    logits = (X + 1) @ WEIGHT + BIAS
    chosen = model.output("logits")
    for inputs in ((X, shift), {"shift": shift, "x": X}):
        found = evaluate(chosen, (inputs, Y), outputs="logits")
        assert found.metric("accuracy") == np.mean(logits.argmax(1) == Y)
    found = evaluate(model.output("probabilities"), ((X, shift), Y), outputs="probabilities")
    assert found.metric("accuracy") == np.mean(logits.argmax(1) == Y)
    assert chosen.output("probabilities") is not chosen


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: m(X, X), r"gives logits, probabilities, text: choose one, as in load_model\('model.onnx'\).output"),
        (lambda m: m.output("logit"), "no output 'logit'; did you mean 'logits'"),
        (lambda m: m.output("text")(X, X), "holds object, not numbers; choose another"),
        (lambda m: m.output("logits")(X), "also takes 'shift'"),
        (lambda m: m.output("logits")(X, shft=X), "no input 'shft'; did you mean 'shift'"),
        (lambda m: m.output("logits")(X, X, X), r"takes 2 inputs \(x, shift\)"),
        (lambda m: m.output("logits")(X[:, :2], X), r"cannot be run on x \[50, 2\], shift \[50, 3\]: Got invalid dim"),
    ],
)
def test_wrong_use(path: Path, ask: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        ask(load_model(two_in_three_out(path)))


def test_bad_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model\.onnx cannot be read as an ONNX model"):
        load_model(path)
    whole = linear(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"model\.onnx cannot be read as an ONNX model"):
        load_model(path)
    path.write_bytes(whole)
    with pytest.raises(CheckpointError, match="holds the whole model: give no factory="):
        load_model(path, nn.Identity)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_model(path.with_name("other.onnx"))
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(CheckpointError, match="pip install onnxruntime"):
        load_model(path)
