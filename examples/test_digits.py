"""Ten classes at once: handwritten digits, gated on all of them together, on each of them, and on one.

1,797 images of 8 x 8 pixels (scikit-learn's `load_digits`). With more than two classes a gate says which it means:
`label=` for one of them, or `average=` over all.
"""

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import (
    assert_accuracy_at_least,
    assert_every_class_recall_at_least,
    assert_f1_at_least,
    assert_metric,
    assert_precision_at_least,
    assert_recall_at_least,
)


class DigitNet(nn.Sequential):
    """Images [N, 1, 8, 8] in, a logit for each digit [N, 10] out."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(512, 10),
        )


def loaders():
    """Training, validation and test data (45, 15 and 40%), standardised with the training data's mean and spread."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1)
    digits = torch.tensor(data.target)
    rest, test = train_test_split(range(len(digits)), test_size=0.4, stratify=digits, random_state=0)
    train, validation = train_test_split(rest, test_size=0.25, stratify=digits[rest], random_state=0)
    mean, spread = images[train].mean(), images[train].std()

    def loader(rows, shuffle=False):
        return DataLoader(TensorDataset((images[rows] - mean) / spread, digits[rows]), batch_size=64, shuffle=shuffle)

    return loader(train, shuffle=True), loader(validation), loader(test)


@pytest.fixture(scope="module")
def evaluation(train_model, evaluate_model):
    """The trained model on digits that it has never seen."""
    train, validation, test = loaders()
    trained = train_model(
        DigitNet,
        train,
        validation_data=validation,
        loss=nn.CrossEntropyLoss(),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=3e-3),
        epochs=12,
        early_stopping=3,
    )
    return evaluate_model(trained, test)


def test_overall(evaluation):
    assert_accuracy_at_least(evaluation, 0.85)
    assert_recall_at_least(evaluation, 0.93, average="macro")
    assert_f1_at_least(evaluation, 0.93, average="macro")


def test_every_digit(evaluation):
    assert_every_class_recall_at_least(evaluation, 0.8)


def test_eight(evaluation):
    assert_precision_at_least(evaluation, 0.8, label=8)
    assert_recall_at_least(evaluation, 0.8, label=8)


def test_top_three(evaluation):
    assert_metric(evaluation, "top_k_accuracy", k=3, at_least=0.97)


def test_false_alarms(evaluation):
    assert_metric(evaluation, "false_positive_rate", average="macro", at_most=0.02)


# What digits.modelgate.yaml names, the same gates as a file.


def for_training():
    return loaders()[0]


def for_validation():
    return loaders()[1]


def for_testing():
    return loaders()[2]
