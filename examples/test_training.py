"""What the curves of a training tell: one that learns, one that memorises, one that diverges.

1,797 images of digits, 8 x 8 pixels (scikit-learn's `load_digits`), and a patient's disease a year on
(`load_diabetes`). The curves of all three stand in the report, each with a diagnosis.
"""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from pytest_modelgate import (
    GateFailure,
    NoOverfitting,
    assert_converged,
    assert_generalization_gap_at_most,
    assert_loss_decreases,
    assert_metric_improves,
    assert_no_overfitting,
    assert_over_seeds,
    assert_training_stable,
)


class Convolutions(nn.Sequential):
    """Two small layers of convolutions, with dropout."""

    def __init__(self):
        super().__init__(
            *(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Dropout(0.3), nn.Linear(128, 10)),
        )


class Wide(nn.Sequential):
    """More parameters than 200 images can fill."""

    def __init__(self):
        super().__init__(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def shown(raised):
    """The first lines of what pytest would have shown."""
    print(f"{raised.type.__name__}: {raised.value}")


def split():
    """Training, validation and test data (45, 15 and 40%)."""
    pixels, targets = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(pixels / 16, targets, test_size=0.4, stratify=targets, random_state=0)
    x, x_val, y, y_val = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    return (x, y), (x_val, y_val), (x_test, y_test)


@pytest.fixture(scope="module")
def digits():
    return split()


RECIPE = {
    "loss": nn.CrossEntropyLoss(),
    "optimizer": lambda parameters: torch.optim.Adam(parameters, lr=2e-3),
    "batch_size": 64,
    "metrics": ["recall"],
}


@pytest.fixture(scope="module")
def healthy(train_models, digits):
    """Three trainings that differ by their seed. Each stops when validation no longer gains, and keeps the best."""
    train, validation, _ = digits
    return train_models(Convolutions, train, validation_data=validation, seeds=3, epochs=40, early_stopping=5, **RECIPE)


def test_a_healthy_training(healthy):
    trained = healthy[0]
    assert_loss_decreases(trained)
    assert_training_stable(trained)
    assert_no_overfitting(trained)
    assert_converged(trained)
    assert_metric_improves(trained, "val_recall")
    print(trained.history.diagnose())


def test_no_seed_overfits(healthy):
    assert_over_seeds(healthy, NoOverfitting(), claim="worst")


def test_test_data_are_read_as_well(healthy, evaluate_model, digits):
    """At most five points of accuracy are lost between the data that were trained on and others."""
    train, _, test = digits
    evaluations = [evaluate_model(healthy[0], data) for data in (train, test)]
    assert_generalization_gap_at_most(*evaluations, "accuracy", 0.05)


def test_a_memorising_training(train_model, digits):
    """200 images with labels drawn by lot: all that can be learned of these is by heart."""
    (x, _), validation, _ = digits
    labels = np.random.default_rng(0).integers(0, 10, 200)
    trained = train_model(Wide, (x[:200], labels), validation_data=validation, epochs=60, **RECIPE)
    assert_loss_decreases(trained)
    with pytest.raises(GateFailure, match="validation") as raised:
        assert_no_overfitting(trained)
    shown(raised)


def test_a_diverging_training(train_model):
    """A learning rate that is too high: each step overshoots by more than the last."""
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    trained = train_model(
        lambda: nn.Linear(10, 1),
        (x, y),
        loss=nn.MSELoss(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.3),
        batch_size=len(y),
        epochs=25,
    )
    with pytest.raises(GateFailure) as raised:
        assert_training_stable(trained)
    shown(raised)
    with pytest.raises(GateFailure) as raised:
        assert_loss_decreases(trained)
    shown(raised)


# What training.modelgate.yaml names, the gates on a healthy training as a file.


def for_training():
    return split()[0]


def for_validation():
    return split()[1]


def for_testing():
    return split()[2]
