"""A model from a file: saved as a state dict and as safetensors, loaded again, judged alike.

A pipeline that trains and tests in two steps gates the file that it ships, not the model in memory.
"""

import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

from pytest_modelgate import CheckpointError, assert_loss_at_most, assert_recall_at_least


class ScaledNet(nn.Module):
    """Keeps the scale of its inputs in buffers, so that the file holds all that is needed to use the model."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(30))
        self.register_buffer("spread", torch.ones(30))
        self.layers = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, inputs):
        return self.layers((inputs - self.mean) / self.spread)


LABELS = ("malignant", "benign")
LOSS = nn.CrossEntropyLoss()


def split():
    """Training and test data (60 and 40%), as pairs of inputs and targets."""
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.4, stratify=y, random_state=0)
    return (x_train, y_train), (x_test, y_test)


@pytest.fixture(scope="module")
def data():
    return split()


@pytest.fixture(scope="module")
def trained(train_model, data):
    train, _ = data

    def make():
        model = ScaledNet()
        model.mean += torch.tensor(train[0].mean(axis=0))
        model.spread *= torch.tensor(train[0].std(axis=0))
        return model

    return train_model(
        make, train, loss=LOSS, optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=3e-3), epochs=15
    )


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_same_verdicts(name, trained, data, tmp_path, load_model, evaluate_model):
    path = tmp_path / name
    weights = trained.model.state_dict()
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)

    loaded = load_model(path, ScaledNet)

    evaluation = evaluate_model(loaded, data[1], loss=LOSS, labels=LABELS)
    assert evaluation == evaluate_model(trained, data[1], labels=LABELS)
    assert_recall_at_least(evaluation, 0.85, label="malignant")
    assert_loss_at_most(evaluation, 0.25)


def test_whole_module(trained, tmp_path, load_model):
    """A pickled module can run any code when it is loaded, so it is not, unless `trust=True` says so."""
    torch.save(trained.model, tmp_path / "module.pt")
    with pytest.raises(CheckpointError, match="can run code"):
        load_model(tmp_path / "module.pt")


# What saved_model.modelgate.yaml names, a gate file that README.md walks through.


def for_testing():
    return split()[1]
