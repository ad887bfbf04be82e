"""The path of accelerators gives what the path of the CPU gives, on the same (CPU) tensors; no GPU is needed."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from sklearn import metrics as sk
from torch import nn

from pytest_modelgate import Evaluation, EvidenceError, ModelgateError, evaluate
from pytest_modelgate.evidence.collecting import Collector
from pytest_modelgate.runtime.accelerator import DeviceSink, decide_many
from pytest_modelgate.runtime.losses import read_loss

draw = torch.Generator().manual_seed(5)
LOGITS = torch.randn(111, 4, generator=draw) * 3
CLASS = torch.randint(4, (111,), generator=draw)
SCORES = torch.randn(111, generator=draw)
POSITIVE = torch.randint(2, (111,), generator=draw)
CPU = torch.device("cpu")


def by_sink(
    outputs: torch.Tensor,
    targets: torch.Tensor,
    *,
    loss: Any = None,
    kind: str = "logits",
    keep: str = "auto",
    size: int = 32,
    **options: Any,
) -> Evaluation:
    """As `evaluate` does for a device that is not the CPU."""
    read = None if loss is None else read_loss(loss)
    collector = Collector(outputs=kind, keep=keep, loss=read and read.name, model="Identity", **options)
    sink = DeviceSink(collector, read)
    with torch.inference_mode():
        for start in range(0, max(len(outputs), 1), size):
            sink.add(outputs[start : start + size], targets[start : start + size], CPU)
        sink.finish()
    return collector.finish()


def by_cpu(
    outputs: torch.Tensor, targets: torch.Tensor, *, kind: str = "logits", size: int = 32, **options: Any
) -> Evaluation:
    data = [(outputs[i : i + size], targets[i : i + size]) for i in range(0, len(outputs), size)]
    return evaluate(nn.Identity(), data, outputs=kind, **options)


CASES: dict[str, tuple[torch.Tensor, torch.Tensor, dict[str, Any]]] = {
    "many classes": (LOGITS, CLASS, {"loss": nn.CrossEntropyLoss()}),
    "many classes, no loss": (LOGITS, CLASS, {}),
    "many classes, counts": (LOGITS, CLASS, {"loss": nn.CrossEntropyLoss(), "keep": "counts"}),
    "many classes, scores": (LOGITS, CLASS, {"loss": nn.CrossEntropyLoss(), "keep": "scores"}),
    "many classes, weights": (LOGITS, CLASS, {"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, 3, 4]))}),
    "many classes, labels": (LOGITS, CLASS, {"labels": ("a", "b", "c", "d")}),
    "many classes, targets [N, 1]": (LOGITS, CLASS[:, None], {"loss": nn.CrossEntropyLoss()}),
    "many classes, float targets": (LOGITS, CLASS.float(), {}),
    "many classes, uint8 targets": (LOGITS, CLASS.to(torch.uint8), {"loss": nn.CrossEntropyLoss()}),
    "many probabilities": (LOGITS.softmax(1), CLASS, {"kind": "probabilities"}),
    "half precision": (LOGITS.half(), CLASS, {"loss": nn.CrossEntropyLoss()}),
    "bfloat16": (LOGITS.bfloat16(), CLASS, {"loss": nn.CrossEntropyLoss()}),
    "float64": (LOGITS.double(), CLASS, {"loss": nn.CrossEntropyLoss()}),
    "binary [N]": (SCORES, POSITIVE, {"loss": nn.BCEWithLogitsLoss()}),
    "binary [N, 1]": (SCORES[:, None], POSITIVE, {"loss": nn.BCEWithLogitsLoss(reduction="sum")}),
    "binary [N, 2]": (LOGITS[:, :2], POSITIVE, {"loss": nn.CrossEntropyLoss()}),
    "binary, threshold": (SCORES, POSITIVE, {"threshold": 0.8}),
    "binary bfloat16": (SCORES.bfloat16(), POSITIVE, {"loss": nn.BCEWithLogitsLoss()}),
    "probabilities": (SCORES.sigmoid(), POSITIVE, {"kind": "probabilities", "loss": nn.BCELoss()}),
    "values": (SCORES[:, None], SCORES.roll(1), {"kind": "values", "loss": nn.MSELoss()}),
    "labels": (CLASS.roll(1), CLASS, {"kind": "labels"}),
    "own loss": (LOGITS, CLASS, {"loss": lambda outputs, targets: (outputs.sum(1) - targets).abs().mean()}),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 32, 111])
@pytest.mark.parametrize("case", CASES)
def test_both_paths_agree(case: str, size: int) -> None:
    outputs, targets, options = CASES[case]
    assert by_sink(outputs, targets, size=size, **options) == by_cpu(outputs, targets, size=size, **options)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16])
def test_classes_and_ranks_with_many_ties(kind: torch.dtype) -> None:
    """Whole-number scores tie often; the lowest index wins, as in numpy's argmax and a stable sort."""
    logits = torch.randint(-2, 3, (500, 6), generator=torch.Generator().manual_seed(0)).to(kind)
    target = torch.randint(6, (500,), generator=torch.Generator().manual_seed(1))
    preds, ranks = decide_many(logits, target)
    assert preds.tolist() == logits.numpy().argmax(1).tolist()
    order = (-logits.numpy()).argsort(axis=1, kind="stable")
    assert ranks.tolist() == (order == target.numpy()[:, None]).argmax(1).tolist()
    assert by_sink(logits, target, size=70) == by_cpu(logits, target, size=70)


def test_top_k_is_scikit_learns() -> None:
    found = by_sink(LOGITS, CLASS)
    assert found.metric("top_k_accuracy", k=2) == sk.top_k_accuracy_score(CLASS, LOGITS, k=2, labels=range(4))
    assert found.confusion_matrix.counts.tolist() == sk.confusion_matrix(CLASS, LOGITS.argmax(1)).tolist()


def spoiled(value: float, tensor: torch.Tensor = LOGITS) -> torch.Tensor:
    changed = tensor.clone()
    changed.view(-1)[200 if tensor is LOGITS else 50] = value
    return changed


BAD: dict[str, tuple[torch.Tensor, torch.Tensor, dict[str, Any]]] = {
    "NaN": (spoiled(math.nan), CLASS, {}),
    "infinity": (spoiled(math.inf), CLASS, {}),
    "a row without a largest": (torch.full((3, 4), math.nan), torch.tensor([0, 1, 2]), {}),
    "NaN of two": (spoiled(math.nan, SCORES), POSITIVE, {}),
    "above": (LOGITS, CLASS + 1, {}),
    "below": (LOGITS, CLASS - 1, {}),
    "above, with a loss": (LOGITS, CLASS + 1, {"loss": nn.CrossEntropyLoss()}),
    "below, with a loss": (LOGITS, CLASS - 1, {"loss": nn.CrossEntropyLoss()}),
    "above, float": (LOGITS, CLASS.float() + 1, {}),
    "not whole": (LOGITS, CLASS + 0.5, {}),
    "above, of two": (SCORES, POSITIVE + 1, {"loss": nn.BCEWithLogitsLoss()}),
    "one-hot targets": (LOGITS, torch.eye(4)[CLASS], {}),
    "targets of another length": (LOGITS, CLASS.repeat(2), {"size": 200}),
    "probabilities as logits": (LOGITS.softmax(1), CLASS, {}),
    "probabilities as logits, with a loss": (LOGITS.softmax(1), CLASS, {"loss": nn.CrossEntropyLoss()}),
    "probabilities as logits, of two": (SCORES.sigmoid(), POSITIVE, {}),
    "logits as probabilities": (LOGITS, CLASS, {"kind": "probabilities"}),
    "labels that do not fit": (LOGITS, CLASS, {"labels": ("a", "b")}),
    "a wrong task": (LOGITS, CLASS, {"task": "binary"}),
    "no samples": (LOGITS[:0], CLASS[:0], {}),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_on_the_cpu_is_wrong_here(case: str) -> None:
    outputs, targets, options = BAD[case]
    with pytest.raises(EvidenceError):
        by_cpu(outputs, targets, **options)
    with pytest.raises(ModelgateError):
        by_sink(outputs, targets, **options)


def test_a_change_of_shape_between_batches() -> None:
    collector = Collector(outputs="logits")
    sink = DeviceSink(collector, None)
    sink.add(LOGITS, CLASS, CPU)
    with pytest.raises(EvidenceError, match="3 classes, the batches before it for 4"):  # noqa: PT012 - here or at the end
        sink.add(LOGITS[:, :3], CLASS.clamp(max=2), CPU)
        sink.finish()
