"""What a Hugging Face Trainer predicted, from the library's own Trainer and as plain values."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import nn

from pytest_modelgate import EvidenceError
from pytest_modelgate.runtime.adapters.trainer import from_trainer_output

draw = np.random.default_rng(3)


class Output(NamedTuple):
    """As `PredictionOutput` is."""

    predictions: Any
    label_ids: Any
    metrics: Any = None


class Rows(torch.utils.data.Dataset):
    """Sequences of 12 tokens of 5 classes, the last ones padded."""

    def __init__(self, n: int = 20, tokens: int = 12) -> None:
        self.features = torch.randn(n, tokens, 4, generator=torch.Generator().manual_seed(1))
        self.labels = torch.randint(5, (n, tokens), generator=torch.Generator().manual_seed(2))
        self.labels[:, tokens - 3 :] = -100

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"features": self.features[index], "labels": self.labels[index]}


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 5)

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        logits = self.net(features)
        assert labels is not None
        return {"loss": nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}


def test_the_trainers_own_output_of_tokens(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = transformers.TrainingArguments(str(tmp_path), use_cpu=True, report_to=[], disable_tqdm=True)
        output = transformers.Trainer(Tagger(), options).predict(Rows())
    assert output.predictions.shape == (20, 12, 5)
    found = from_trainer_output(output, labels=["O", "PER", "ORG", "LOC", "MISC"])
    counted = output.label_ids != -100
    target, preds = output.label_ids[counted], output.predictions.argmax(-1)[counted]
    assert found.n == 180
    assert found.confusion_matrix.counts.tolist() == sk.confusion_matrix(target, preds).tolist()
    assert found.metric("f1", average="macro") == pytest.approx(sk.f1_score(target, preds, average="macro"))
    assert found.samples is not None
    assert found.samples.num_groups == 20


@pytest.mark.parametrize("tokens", [4, 5, 6])
def test_as_many_tokens_as_classes_are_no_riddle(tokens: int) -> None:
    preds, target = draw.normal(size=(7, tokens, 5)), draw.integers(0, 5, size=(7, tokens))
    target[0, 1:] = -100
    found = from_trainer_output(Output(preds, target), ids=[f"s{row}" for row in range(7)])
    counted = target != -100
    expected = sk.confusion_matrix(target[counted], preds.argmax(-1)[counted], labels=range(5))
    assert found.confusion_matrix.counts.tolist() == expected.tolist()
    assert found.samples is not None
    assert found.samples.ids is not None
    assert len(np.unique(found.samples.ids)) == counted.sum()


def test_whole_sequences() -> None:
    logits, target = draw.normal(size=(40, 2)), draw.integers(0, 2, size=40)
    expected = sk.confusion_matrix(target, logits.argmax(1)).tolist()
    for predictions in (logits, (logits, np.zeros((40, 3, 8)))):  # hidden states after the logits
        found = from_trainer_output(Output(predictions, target), labels=["no", "yes"])
        assert found.confusion_matrix.counts.tolist() == expected
        assert found.metric("roc_auc") == pytest.approx(sk.roc_auc_score(target, logits[:, 1] - logits[:, 0]))
    found = from_trainer_output(Output(logits.argmax(1), target), outputs="labels")
    assert found.confusion_matrix.counts.tolist() == expected


def test_values_and_several_labels() -> None:
    values, target = draw.normal(size=(30, 1)), draw.normal(size=30)
    found = from_trainer_output(Output(values, target[:, None]), outputs="values")
    assert found.metric("mae") == pytest.approx(np.abs(values[:, 0] - target).mean())
    logits, several = draw.normal(size=(30, 3)), draw.integers(0, 2, size=(30, 3)).astype(np.float32)
    found = from_trainer_output(Output(logits, several), task="multilabel", labels=["a", "b", "c"])
    expected = sk.recall_score(several[:, 1], logits[:, 1] >= 0)
    assert found.metric("recall", label="b") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.zeros(3), r"ndarray has no predictions and label_ids; give what trainer\.predict"),
        (Output(np.zeros((3, 2)), None), "no label_ids: predict a data set that has labels"),
        (Output(np.zeros((3, 2)), (np.zeros(3), np.zeros(3))), "2 sets of label_ids"),
        (Output(np.zeros((3, 4, 2)), np.full((3, 4), -100)), "(?i)ignore"),
        (Output(np.zeros((3, 2)), np.zeros(4, dtype=int)), "do not fit"),
        (Output(np.zeros((3, 2)), np.array([0.5, 0, 1])), "whole numbers"),
    ],
)
def test_bad_outputs(output: Any, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        from_trainer_output(output)
