"""Bad input is a `ModelgateError` that names the value and the remedy; never a verdict, never a bare crash."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from pytest_modelgate import DeviceError, EvidenceError, ModelgateError, evaluate

LOGITS = torch.tensor([[2.0, -1.0, 0.3], [-0.5, 1.0, 0.1], [0.2, -3.0, 4.0], [5.0, 1.0, -1.0]])
CLASS = torch.tensor([0, 1, 2, 1])
SCORES = torch.tensor([-2.0, 1.5, 3.0, -0.5])
POSITIVE = torch.tensor([0, 1, 1, 0])


def with_value(value: float, tensor: torch.Tensor = LOGITS) -> torch.Tensor:
    changed = tensor.clone()
    changed.view(-1)[1] = value
    return changed


class Nothing(IterableDataset):
    def __iter__(self) -> Any:
        return iter(())


def on(data: Any, **options: Any) -> None:
    """Evaluate a model whose inputs are its outputs."""
    evaluate(nn.Identity(), data, **{"outputs": "logits"} | options)


@pytest.mark.parametrize(
    "data",
    [
        (LOGITS[:0], CLASS[:0]),
        (np.empty((0, 3), np.float32), np.empty(0, np.int64)),
        [],
        (),
        iter([]),
        TensorDataset(LOGITS[:0], CLASS[:0]),
        DataLoader(TensorDataset(LOGITS[:0], CLASS[:0])),
        Nothing(),
        [(LOGITS[:0], CLASS[:0])],
    ],
    ids=["pair", "arrays", "list", "tuple", "iterator", "Dataset", "DataLoader", "IterableDataset", "an empty batch"],
)
def test_empty_data(data: Any) -> None:
    with pytest.raises(EvidenceError, match="empty"):
        on(data)


def test_an_empty_batch_among_others_is_no_error() -> None:
    on([(LOGITS, CLASS), (LOGITS[:0], CLASS[:0])], loss=nn.CrossEntropyLoss())


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        # targets
        ((LOGITS, CLASS + 1), {}, "target.*0 to 2.* 3 "),
        ((LOGITS, CLASS - 1), {}, "target.*0 to 2.* -1 "),
        ((SCORES, POSITIVE + 1), {}, "target.*0 to 1.* 2 "),
        ((SCORES, POSITIVE * 2 - 1), {}, "target.*0 to 1.* -1 "),
        ((LOGITS, CLASS + 0.5), {}, "target must be whole numbers.* 0.5 "),
        ((LOGITS, with_value(math.nan, CLASS.float())), {}, "target must be whole numbers.* nan "),
        ((LOGITS, torch.eye(3)[CLASS]), {}, r"\[4, 3\] are not one class a sample"),
        ((LOGITS, np.array(["cat", "dog", "newt", "cat"])), {}, "indices"),
        # lengths
        ((LOGITS, CLASS[:3]), {}, "4 inputs and 3 targets"),
        ([(LOGITS, CLASS[:3])], {}, r"\[4, 3\] and targets of shape \[3\] do not fit"),
        ([(LOGITS, CLASS[:1])], {}, r"\[4, 3\] and targets of shape \[1\] do not fit"),
        ([(LOGITS, CLASS[:3])], {"loss": nn.CrossEntropyLoss()}, r"\[4, 3\] and targets of shape \[3\] do not fit"),
        # scores
        ((with_value(math.nan), CLASS), {}, "logits must be finite, but sample [0-3] has nan"),
        ((with_value(math.inf), CLASS), {}, "logits must be finite, but sample [0-3] has inf"),
        ((with_value(-math.inf, SCORES), POSITIVE), {}, "logits must be finite, but sample [0-3] has -inf"),
        ((with_value(math.nan, SCORES.sigmoid()), POSITIVE), {"outputs": "probabilities"}, "sample [0-3] has nan"),
        ((with_value(math.nan, SCORES), SCORES), {"loss": nn.MSELoss(), "outputs": "values"}, "sample [0-3] has nan"),
        # logits and probabilities
        ((SCORES.sigmoid(), POSITIVE), {}, r"all 4 samples lie in \[0, 1\].*outputs='probabilities'"),
        ((SCORES.sigmoid()[:, None], POSITIVE), {"loss": nn.BCEWithLogitsLoss()}, r"lie in \[0, 1\]"),
        ((LOGITS.softmax(1), CLASS), {}, r"lie in \[0, 1\].*softmax"),
        ((LOGITS.softmax(1), CLASS), {"loss": nn.CrossEntropyLoss()}, r"lie in \[0, 1\].*softmax"),
        ((torch.stack([1 - SCORES.sigmoid(), SCORES.sigmoid()], 1), POSITIVE), {}, r"lie in \[0, 1\]"),
        ((SCORES, POSITIVE), {"outputs": "probabilities"}, "reach from -2 to 3.*outputs='logits'"),
        ((LOGITS, CLASS), {"outputs": "probabilities"}, "reach from -3 to 5.*outputs='logits'"),
        ((LOGITS.sigmoid(), CLASS), {"outputs": "probabilities"}, "sum to .*softmax"),
        # shapes
        ([(LOGITS, CLASS), (LOGITS[:, :2], POSITIVE)], {}, "2 classes, the batches before it for 3"),
        ((LOGITS[:, None], CLASS), {}, r"\[4, 1, 3\]"),
        ((LOGITS, CLASS), {"task": "binary"}, "task='binary', but the model gives 3 outputs"),
        ((SCORES, POSITIVE), {"task": "multiclass"}, "task='multiclass', but the model gives one output"),
        ((LOGITS, CLASS), {"labels": ("cat", "dog")}, "2 labels .*'cat', 'dog'.* 3 classes"),
        ((LOGITS, CLASS), {"labels": ("cat", "dog", "cat")}, "'cat' stands 2 times"),
        ((LOGITS, CLASS), {"labels": "abc"}, "not the one string 'abc'"),
        # structure
        (LOGITS, {}, "data of type Tensor"),
        ({"x": LOGITS}, {}, "data of type dict"),
        ("data.csv", {}, "data of type str"),
        (7, {}, "data of type int"),
        ([LOGITS], {}, "batch 0 is a Tensor; give pairs"),
        ([(LOGITS, CLASS), (LOGITS,)], {}, "batch 1 is a tuple of 1 parts?; give pairs"),
        ([(LOGITS, LOGITS, CLASS)], {}, "batch 0 is a tuple of 3 parts; give pairs"),
        (TensorDataset(LOGITS), {}, "batch 0 is a (list|tuple) of 1 parts?; give pairs"),
        ([{"x": LOGITS, "y": CLASS}], {}, "batch 0 is a dict; give pairs"),
        ([(LOGITS[0], 1), (LOGITS[1], 0)], {}, "these are samples, not batches"),
        # options
        ((LOGITS, CLASS), {"outputs": None}, "say outputs='logits'"),
        ((LOGITS, CLASS), {"outputs": "logit"}, "outputs='logit'.*did you mean 'logits'?"),
        ((LOGITS, CLASS), {"task": "multilabel"}, "one shape .N, L., a column for each label"),
        ((LOGITS, CLASS), {"task": "regression"}, "do not fit"),
        ((LOGITS, CLASS), {"outputs": "values", "task": "binary", "loss": nn.MSELoss()}, "do not fit"),
        ((LOGITS, CLASS), {"keep": "all"}, "keep='all'"),
        ((SCORES, POSITIVE), {"threshold": 50}, "threshold=50"),
        ((SCORES, POSITIVE), {"threshold": math.nan}, "threshold=nan"),
        ((LOGITS, CLASS), {"batch_size": 0}, "batch_size=0"),
        ((LOGITS, CLASS), {"batch_size": 2.5}, "batch_size=2.5"),
        ((LOGITS, CLASS), {"loss": nn.CrossEntropyLoss(), "outputs": "probabilities"}, "cross_entropy takes logits"),
        ((SCORES, POSITIVE), {"loss": nn.BCELoss(), "outputs": "logits"}, "binary_cross_entropy takes probabilities"),
        # decided labels
        ((torch.tensor([0.5, 1.0]), torch.tensor([0, 1])), {"outputs": "labels"}, "whole numbers.* 0.5 "),
        ((torch.tensor([0, 3]), torch.tensor([0, 1])), {"outputs": "labels", "labels": ("a", "b")}, "0 to 1.* 3 "),
        ((LOGITS, CLASS), {"outputs": "labels"}, r"class indices \[N\]"),
        ((CLASS, CLASS), {"outputs": "labels", "task": "binary"}, "binary"),
    ],
)  # fmt: skip
def test_bad_input(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        on(data, **options)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "cpu:1"])
def test_malformed_devices(device: str) -> None:
    with pytest.raises(DeviceError, match=re.escape(f"{device!r} is not a device")):
        on((LOGITS, CLASS), device=device)


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", "xpu"])
def test_absent_devices(device: str) -> None:
    if torch.accelerator.is_available():
        pytest.skip("this machine has an accelerator")
    with pytest.raises(DeviceError, match=f"device '{device}' is not here: this machine has cpu"):
        on((LOGITS, CLASS), device=device)


@pytest.mark.parametrize("kind", ["logits", "probabilities", "labels"])
def test_a_model_that_gives_one_number_for_all(kind: str) -> None:
    class Mean(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs.mean()

    with pytest.raises(EvidenceError, match=r"outputs of shape \[\] and targets of shape \[4\] do not fit"):
        evaluate(Mean(), (LOGITS, CLASS), outputs=kind)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Identity, r"give an instance, Identity\(\)"),
        (3, "a model is a torch.nn.Module"),
        ("model.pt", "not str"),
        (None, "not NoneType"),
    ],
    ids=["class", "number", "path", "nothing"],
)
def test_what_is_no_model(model: Any, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        evaluate(model, (LOGITS, CLASS), outputs="logits")


class Two(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return x, x


class Named(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return {"logits": x}


@pytest.mark.parametrize(("model", "what"), [(Two(), "tuple"), (Named(), "dict")])
def test_outputs_that_are_no_tensor(model: nn.Module, what: str) -> None:
    with pytest.raises(EvidenceError, match=f"the model gave {what}, not a tensor; wrap it"):
        evaluate(model, (LOGITS, CLASS), outputs="logits")


def test_logits_that_only_sometimes_look_like_probabilities_are_logits() -> None:
    """The whole data set decides, not the first batch."""
    found = evaluate(
        nn.Identity(), (torch.tensor([0.1, 0.9, 0.4, -3.0]), POSITIVE), outputs="logits", batch_size=2, keep="counts"
    )
    assert found.confusion_matrix.counts.tolist() == [[1, 1], [0, 2]]


def test_probabilities_far_into_the_data_are_noticed() -> None:
    scores = torch.cat([torch.full((300,), 0.5), torch.tensor([1.5])])
    with pytest.raises(EvidenceError, match=r"reach from 0.5 to 1.5"):
        evaluate(nn.Identity(), (scores, torch.ones(301)), outputs="probabilities", batch_size=100)


def test_no_message_is_endless() -> None:
    """A data set of many bad values is named by its first."""
    with pytest.raises(ModelgateError) as caught:
        on((torch.full((5000, 3), math.nan), torch.zeros(5000)))
    assert len(str(caught.value)) < 300


def test_one_batch_that_looks_like_probabilities_among_others_is_no_error() -> None:
    """More samples than one chunk: it takes all of them to look like probabilities."""
    scores = torch.cat([torch.full((40_000,), -2.0), torch.full((40_000,), 0.7)])
    for order in (scores, scores.flip(0)):
        assert evaluate(nn.Identity(), (order, (order > 0).long()), outputs="logits").metric("accuracy") == 1.0
    with pytest.raises(EvidenceError, match="lie in"):
        on((scores.abs() / 2, (scores > 0).long()), outputs="logits")


def test_two_columns_in_the_unit_interval_are_no_logits() -> None:
    with pytest.raises(EvidenceError, match="lie in"):
        on((torch.tensor([[0.2, 0.9], [0.8, 0.7]]), torch.tensor([0, 1])), outputs="logits")


def test_probabilities_that_do_not_sum_to_one() -> None:
    with pytest.raises(EvidenceError, match=r"sum to 0\.9, not 1"):
        on((torch.tensor([[0.2, 0.3, 0.5], [0.3, 0.3, 0.3]]), torch.tensor([0, 1])), outputs="probabilities")


def test_the_place_of_a_bad_score_is_counted_over_all_batches() -> None:
    scores = torch.linspace(-3, 3, 70_000)
    scores[66_000] = math.nan
    with pytest.raises(EvidenceError, match="sample 66,000 has nan; look"):
        on((scores, (scores > 0).long()), outputs="logits", batch_size=1000)


def test_a_threshold_for_many_classes() -> None:
    with pytest.raises(EvidenceError, match=r"threshold=0.9 is for the scores of two classes; these are multiclass"):
        on((LOGITS, CLASS), outputs="logits", threshold=0.9)
