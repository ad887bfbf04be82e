"""A tumour classifier, gated on what matters in a clinic: how many malignant tumours it finds.

569 tumours with 30 measurements each (scikit-learn's `load_breast_cancer`), of which 212 are malignant. A missed
malignant tumour is the costly error, so the first gate is on the recall of 'malignant'.
"""

import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

from pytest_modelgate import (
    assert_beats_majority_class,
    assert_loss_at_most,
    assert_recall_at_least,
    assert_roc_auc_at_least,
)


class TumourNet(nn.Sequential):
    """30 measurements in, a logit for each of two classes out."""

    def __init__(self):
        super().__init__(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 2))


def split():
    """Training, validation and test data (45, 15 and 40%), and the names of the classes.

    The mean and the spread come from the training data alone: what the test data know must not leak into the model.
    """
    data = load_breast_cancer()
    x, x_test, y, y_test = train_test_split(data.data, data.target, test_size=0.4, stratify=data.target, random_state=0)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    mean, spread = x_train.mean(axis=0), x_train.std(axis=0)

    def scale(inputs):
        return (inputs - mean) / spread

    labels = tuple(data.target_names.tolist())  # ('malignant', 'benign'), in the order of the class indices 0 and 1
    return (scale(x_train), y_train), (scale(x_val), y_val), (scale(x_test), y_test), labels


@pytest.fixture(scope="module")
def evaluation(train_model, evaluate_model):
    """The trained model on tumours that it has never seen: trained once, judged by every test below."""
    train, validation, test, labels = split()
    trained = train_model(
        TumourNet,
        train,
        validation_data=validation,
        loss=nn.CrossEntropyLoss(),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
        epochs=60,
        early_stopping=5,
    )
    return evaluate_model(trained, test, labels=labels)


def test_malignant_recall(evaluation):
    assert_recall_at_least(evaluation, 0.85, label="malignant")


def test_benign_recall(evaluation):
    assert_recall_at_least(evaluation, 0.85, label="benign")


def test_loss(evaluation):
    assert_loss_at_most(evaluation, 0.25)


def test_roc_auc(evaluation):
    assert_roc_auc_at_least(evaluation, 0.95, label="malignant")


def test_beats_majority(evaluation):
    assert_beats_majority_class(evaluation)


# What tumour.modelgate.yaml names, the same gates as a file.


def for_training():
    return split()[0]


def for_validation():
    return split()[1]


def for_testing():
    return split()[2]
