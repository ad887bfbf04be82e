"""A model that is no torch module: a forest of scikit-learn, gated like any other.

1,797 images of digits, 8 x 8 pixels (scikit-learn's `load_digits`). `evaluate_model` takes a fitted estimator or
pipeline, whose `predict_proba` it asks, and any function of the inputs too.
"""

import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from pytest_modelgate import assert_accuracy_at_least, assert_every_class_recall_at_least, assert_metric


def split():
    """Training and test data, 60 and 40%."""
    pixels, digits = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(pixels, digits, test_size=0.4, stratify=digits, random_state=0)
    return (x, y), (x_test, y_test)


def fitted():
    """A forest that was trained; it has no epochs, and no history to judge."""
    (x, y), _ = split()
    return RandomForestClassifier(100, random_state=0).fit(x, y)


@pytest.fixture(scope="module")
def evaluation(evaluate_model):
    _, test = split()
    return evaluate_model(fitted(), test, outputs="probabilities", keep="scores")


def test_overall(evaluation):
    assert_accuracy_at_least(evaluation, 0.9)
    assert_metric(evaluation, "top_k_accuracy", k=2, at_least=0.97)


def test_every_digit(evaluation):
    assert_every_class_recall_at_least(evaluation, 0.8)


def test_probabilities(evaluation):
    """Not the decisions alone: always saying 0.1 of each digit would cost 2.3."""
    assert_metric(evaluation, "log_loss", at_most=0.5)


# What forest.modelgate.yaml names, the same gates as a file.


def for_testing():
    return split()[1]
