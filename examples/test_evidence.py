"""Is the evidence sound? Clean data, a model that is wired right, and what a fault in either looks like.

569 tumours with 30 measurements each (scikit-learn's `load_breast_cancer`). A gate on recall is worth no more than the
data and the model behind it: test rows that were trained on make every metric look wonderful, and a network with a
detached layer still learns something.
"""

import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

from pytest_modelgate import (
    Evaluation,
    GateFailure,
    assert_all_parameters_train,
    assert_chance_on_shuffled_labels,
    assert_no_label_leakage,
    assert_no_leakage,
    assert_same_distribution,
    check_model,
)

DATA = load_breast_cancer()


class TumourNet(nn.Module):
    """30 measurements in, a logit for each of two classes out."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(30)
        self.hidden = nn.Linear(30, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(torch.relu(self.hidden(self.norm(x))))


class DetachedNet(TumourNet):
    """The same with a slip: what is in front of the head never learns."""

    def forward(self, x):
        return self.head(torch.relu(self.hidden(self.norm(x))).detach())


def split():
    """Training and test data, as float32."""
    x, y = torch.tensor(DATA.data, dtype=torch.float32), torch.tensor(DATA.target)
    train, test = train_test_split(range(len(y)), test_size=0.4, stratify=y, random_state=0)
    return (x[train], y[train]), (x[test], y[test])


@pytest.fixture(scope="module")
def sets():
    return split()


def test_no_row_is_on_both_sides(sets):
    train, test = sets
    assert_no_leakage(train, test, near=True)


def test_no_measurement_tells_the_answer(sets):
    train, _ = sets
    assert_no_label_leakage(*train, names=list(DATA.feature_names))


def test_both_sets_are_alike(sets):
    train, test = sets
    assert_same_distribution(train, test, names=list(DATA.feature_names))


def nearest_centre(features, target):
    """A whole pipeline, small enough to run five times: split, scale, train, and judge held-out data."""
    x, x_test, y, y_test = train_test_split(features, target, test_size=0.5, random_state=0)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    benign, malignant = (((x[y == k] - mean) / spread).mean(axis=0) for k in (1, 0))
    scores = ((x_test - mean) / spread) @ (benign - malignant)
    return Evaluation.from_predictions(target=y_test, preds=scores, outputs="logits", labels=("malignant", "benign"))


def test_the_pipeline_learns_nothing_from_shuffled_labels():
    assert_chance_on_shuffled_labels(nearest_centre, DATA.data, DATA.target)


def test_the_model_is_wired_right(sets):
    (x, y), _ = sets
    torch.manual_seed(0)
    check_model(TumourNet(), (x[:32], y[:32]), nn.CrossEntropyLoss())


def test_a_leak_is_found(sets):
    """Three rows of the training data slip into the test data: one in a hundred."""
    (x, y), (x_test, y_test) = sets
    leaky = torch.cat([x_test, x[:3]]), torch.cat([y_test, y[:3]])
    with pytest.raises(GateFailure) as caught:
        assert_no_leakage((x, y), leaky)
    print(caught.value.verdict)


def test_a_detached_layer_is_found(sets):
    (x, y), _ = sets
    with pytest.raises(GateFailure) as caught:
        assert_all_parameters_train(DetachedNet(), (x[:32], y[:32]), loss=nn.CrossEntropyLoss())
    print(caught.value.verdict)


# What evidence.modelgate.yaml names, the gates on data and model as a file.


def for_training():
    return split()[0]


def for_testing():
    return split()[1]
