"""A new version of a model against the last one, on the same images; and a way of training, over several seeds.

1,797 images of digits, 8 x 8 pixels (scikit-learn's `load_digits`).
"""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from pytest_modelgate import Gate, GateFailure, assert_no_regression, assert_over_seeds

SEEDS = range(5)


def split():
    """Training and test data, 40 and 60%, and a name for each test image, by which evaluations are matched."""
    data = load_digits()
    x, y = data.data / 16, data.target
    rows = np.arange(len(y))
    x_train, x_test, y_train, y_test, _, names = train_test_split(x, y, rows, test_size=0.6, stratify=y, random_state=0)
    return (x_train, y_train), (x_test, y_test), [f"image {row}" for row in names]


def linear():
    return nn.Linear(64, 10)


def deeper():
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


@pytest.fixture(scope="module")
def make(train_model, evaluate_model):
    """A function that trains a model and evaluates it on the test images."""
    train, test, names = split()

    def trained(factory, *, seed=0, spoil=False):
        x, y = train
        if spoil:
            y = np.where(np.arange(len(y)) % 3 == 0, (y + 1) % 10, y)  # every third label is wrong
        model = train_model(
            factory,
            (x, y),
            loss=nn.CrossEntropyLoss(),
            optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
            epochs=8,
            seed=seed,
        )
        return evaluate_model(model, test, ids=names)

    return trained


@pytest.fixture(scope="module")
def last_version(make):
    return make(linear)


def test_a_better_version(make, last_version):
    """At most one point of accuracy may be lost; in truth some is won."""
    new = make(deeper)
    assert_no_regression(new, last_version, "accuracy", margin=0.01)
    assert_no_regression(new, last_version, "f1", average="macro", margin=0.01)
    assert_no_regression(new, last_version, "loss", margin=0.02)


def test_same_version_again(make, last_version):
    """Another seed changes decisions, and chance explains the difference: that is no regression."""
    assert_no_regression(make(linear, seed=2), last_version, "accuracy")


def test_a_worse_version(make, last_version):
    """A third of the labels was wrong: the drop is proved, and the message counts what broke."""
    with pytest.raises(GateFailure) as raised:
        assert_no_regression(make(linear, spoil=True), last_version, "accuracy")
    print(f"{raised.type.__name__}: {raised.value}")


def test_over_seeds(make):
    """One good training may be luck: this way of training is judged by five, which differ by their seed alone."""
    assert_over_seeds([make(linear, seed=seed) for seed in SEEDS], Gate("accuracy", at_least=0.9))


# What new_version.modelgate.yaml names, a gate file that README.md walks through.


def for_training():
    return split()[0]


def for_testing():
    _, (x, y), names = split()
    return {"inputs": x, "targets": y, "ids": names}
