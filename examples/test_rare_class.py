"""A detector of something rare, where false alarms are costly: gated on precision, with its recall beside it.

Is this digit an 8? Made from `load_digits`, with a third of the 8s left out, so that 1 image in 15 is one. Think of a
spam filter: each false alarm loses somebody's mail, so of the mails called spam nearly all must be spam. The threshold
trades one error for the other; it is chosen on validation data and judged on test data.
"""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from pytest_modelgate import GateFailure, assert_beats_majority_class, assert_precision_at_least, assert_recall_at_least


class EightNet(nn.Sequential):
    """64 pixels in, one logit [N, 1] out: how much this looks like an 8."""

    def __init__(self):
        super().__init__(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))


def split():
    """Training, validation and test data (30, 30 and 40%): few samples are 8s, and all three parts need some."""
    data = load_digits()
    is_eight = data.target == 8
    eights = np.random.default_rng(0).choice(np.flatnonzero(is_eight), 120, replace=False)
    rows = np.concatenate([np.flatnonzero(~is_eight), eights])
    x, x_test, y, y_test = train_test_split(
        data.data[rows], is_eight[rows], test_size=0.4, stratify=is_eight[rows], random_state=0
    )
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.5, stratify=y, random_state=0)
    mean, spread = x_train.mean(), x_train.std()
    return tuple(((x - mean) / spread, y) for x, y in ((x_train, y_train), (x_val, y_val), (x_test, y_test)))


@pytest.fixture(scope="module")
def evaluations(train_model, evaluate_model):
    """The trained model on validation and on test data."""
    train, validation, test = split()
    weight = (1 - train[1].mean()) / train[1].mean()  # an 8 counts as much more as it is rarer
    trained = train_model(
        EightNet,
        train,
        loss=nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weight)),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.3),
        epochs=15,
    )
    return tuple(evaluate_model(trained, data, labels=("other", "eight")) for data in (validation, test))


@pytest.fixture(scope="module")
def cautious(evaluations):
    """The test evaluation at the lowest threshold whose alarms are right nine times in ten on validation data."""
    validation, test = evaluations
    for threshold in np.arange(0.5, 1, 0.05).round(2).tolist():
        precision = validation.at_threshold(threshold).metric("precision", label="eight")
        if precision is not None and precision >= 0.9:
            return test.at_threshold(threshold)
    raise ValueError("no threshold is cautious enough")


def test_at_one_half(evaluations):
    _, test = evaluations
    assert test.threshold == 0.5
    assert_recall_at_least(test, 0.8, label="eight")
    with pytest.raises(GateFailure, match="precision of 'eight'"):
        assert_precision_at_least(test, 0.75, label="eight")


def test_precision(cautious):
    assert_precision_at_least(cautious, 0.75, label="eight")


def test_recall(cautious):
    assert_recall_at_least(cautious, 0.5, label="eight")


def test_beats_majority(cautious):
    assert_beats_majority_class(cautious)


# What rare_class.modelgate.yaml names, the same gates as a file.


def for_training():
    return split()[0]


def for_validation():
    return split()[1]


def for_testing():
    return split()[2]
