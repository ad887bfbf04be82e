"""A regression: the progression of a disease, with gates on its errors.

442 patients with ten measurements each, and how far their diabetes had come a year later, from 25 to 346
(scikit-learn's `load_diabetes`).
"""

import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch import nn

from pytest_modelgate import assert_metric


class Progression(nn.Module):
    """Ten measurements in, one number out, [N]; the scale of the targets is built in."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(10, 1)

    def forward(self, x):
        return 150 + 75 * self.layer(x).squeeze(1)


def split():
    """Training and test data, half of the patients each."""
    x, y = load_diabetes(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x / x.std(), y, test_size=0.5, random_state=0)
    return (x_train, y_train), (x_test, y_test)


@pytest.fixture(scope="module")
def evaluation(train_model, evaluate_model):
    train, test = split()
    trained = train_model(
        Progression,
        train,
        loss=nn.MSELoss(),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.02),
        epochs=40,
    )
    return evaluate_model(trained, test)


def test_errors(evaluation):
    """Half of all errors are below the median error; single large ones show in the RMSE alone."""
    assert_metric(evaluation, "median_error", at_most=50)
    assert_metric(evaluation, "mae", at_most=52)
    assert_metric(evaluation, "rmse", at_most=65)


def test_explains_more_than_the_mean(evaluation):
    """Always answering the mean has an R2 of 0."""
    assert_metric(evaluation, "r2", at_least=0.2)


# What progression.modelgate.yaml names, the same gates as a file.


def for_training():
    return split()[0]


def for_testing():
    return split()[1]
