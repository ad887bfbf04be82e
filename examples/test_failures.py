"""One example of each kind of failure, and what a user reads.

Every test here expects its failure with `pytest.raises` and prints the message: run `pytest examples/test_failures.py
-rP` to read them all. Two kinds of error come out of a gate. `GateFailure` (an `AssertionError`): the model was judged
and is not good enough, or nothing could be shown. A `ModelgateError`: the question or the data were wrong, and nothing
was judged. In your own tests leave out `pytest.raises`.
"""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from pytest_modelgate import (
    BarError,
    CheckpointError,
    ConfusionMatrix,
    Evaluation,
    EvidenceError,
    GateFailure,
    MetricError,
    ModelgateWarning,
    TrainingError,
    assert_accuracy_at_least,
    assert_beats_majority_class,
    assert_every_class_recall_at_least,
    assert_loss_at_most,
    assert_precision_at_least,
    assert_recall_at_least,
)

LABELS = ("malignant", "benign")


def shown(raised):
    """Print what a failed test would show."""
    print(f"{raised.type.__name__}: {raised.value}")


# A model that looks good and is not: it has learnt to answer 'other' always, and accuracy does not tell.


@pytest.fixture(scope="module")
def careless(train_model, evaluate_model):
    """'Is this digit an 8?' with few 8s, and a training that ends before the rare class was learnt."""
    data = load_digits()
    rows = np.concatenate([np.flatnonzero(data.target != 8), np.flatnonzero(data.target == 8)[:100]])
    x_train, x_test, y_train, y_test = train_test_split(
        data.data[rows] / 16, data.target[rows] == 8, test_size=0.5, stratify=data.target[rows] == 8, random_state=0
    )
    trained = train_model(
        lambda: nn.Linear(64, 1),
        (x_train, y_train),
        loss=nn.BCEWithLogitsLoss(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
        epochs=2,
    )
    return evaluate_model(trained, (x_test, y_test), labels=("other", "eight"))


def test_accuracy_hides_a_rare_class(careless):
    assert careless.metric("accuracy") > 0.9
    with pytest.raises(GateFailure, match="accuracy hides this failure") as raised:
        assert_recall_at_least(careless, 0.8, label="eight")
    shown(raised)


def test_no_better_than_always_answering_other(careless):
    with pytest.raises(GateFailure, match="no proof that the model is better") as raised:
        assert_beats_majority_class(careless)
    shown(raised)


def test_a_bar_that_the_majority_class_meets(careless):
    with pytest.raises(BarError, match="vacuous") as raised:
        assert_accuracy_at_least(careless, 0.9)
    shown(raised)


def test_one_class_given_up():
    counts = [[46, 2, 2], [3, 45, 2], [20, 12, 18]]
    with pytest.raises(GateFailure, match="lowest recall, of 'bird'") as raised:
        assert_every_class_recall_at_least(ConfusionMatrix(counts, labels=("cat", "dog", "bird")), 0.7)
    shown(raised)


# Data that cannot tell, or hold nothing to judge.


@pytest.fixture(scope="module")
def tumours(train_model):
    """A good tumour model and its test data."""
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.4, stratify=y, random_state=0)
    mean, spread = x_train.mean(axis=0), x_train.std(axis=0)
    trained = train_model(
        lambda: nn.Linear(30, 2),
        ((x_train - mean) / spread, y_train),
        loss=nn.CrossEntropyLoss(),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
        epochs=10,
    )
    return trained, (x_test - mean) / spread, y_test


def test_too_few_samples_to_be_sure(tumours, evaluate_model):
    """Ten malignant samples prove no recall of 0.9, however well they are found: a release wants proof."""
    trained, x, y = tumours
    few = np.concatenate([np.flatnonzero(y == 0)[:10], np.flatnonzero(y == 1)[:10]])
    evaluation = evaluate_model(trained, (x[few], y[few]), labels=LABELS)
    with pytest.raises(GateFailure, match="INCONCLUSIVE") as raised:
        assert_recall_at_least(evaluation, 0.9, label="malignant", if_unsure="fail")
    shown(raised)
    with pytest.warns(ModelgateWarning, match="INCONCLUSIVE"):
        assert_recall_at_least(evaluation, 0.9, label="malignant", if_unsure="warn")


def test_no_malignant_sample(tumours, evaluate_model):
    trained, x, y = tumours
    evaluation = evaluate_model(trained, (x[y == 1], y[y == 1]), labels=LABELS)
    with pytest.raises(GateFailure, match=r"UNDEFINED.*no sample of class 'malignant'") as raised:
        assert_recall_at_least(evaluation, 0.9, label="malignant")
    shown(raised)


def test_never_predicted(careless):
    """Precision over no prediction is neither 0 nor 1."""
    with pytest.raises(GateFailure, match=r"UNDEFINED.*'eight' was never predicted") as raised:
        assert_precision_at_least(careless, 0.9, label="eight")
    shown(raised)


def test_empty_data(tumours, evaluate_model):
    trained, x, y = tumours
    with pytest.raises(EvidenceError, match="empty") as raised:
        evaluate_model(trained, (x[:0], y[:0]))
    shown(raised)


# The loss.


def test_loss_above_its_bar(tumours, evaluate_model):
    trained, x, y = tumours
    with pytest.raises(GateFailure, match=r"loss \(cross_entropy\)") as raised:
        assert_loss_at_most(evaluate_model(trained, (x, y)), 0.01)
    shown(raised)


def minus_log_likelihood(outputs, targets):
    """A loss of our own, one number a sample; infinite where probability 0 was given to what is there."""
    return -torch.log(torch.where(targets == 1, outputs, 1 - outputs))


def test_loss_that_is_not_finite(evaluate_model):
    probabilities, targets = torch.tensor([0.0, 0.9, 1.0]), torch.tensor([1, 1, 1])
    evaluation = evaluate_model(
        nn.Identity(), (probabilities, targets), loss=minus_log_likelihood, outputs="probabilities"
    )
    with pytest.raises(GateFailure, match=r"UNDEFINED.*1 of 3 samples is not finite") as raised:
        assert_loss_at_most(evaluation, 1000)
    shown(raised)


def test_scores_that_are_not_numbers(tumours, evaluate_model):
    """One missing value in the inputs makes the model answer NaN, which is no answer."""
    trained, x, y = tumours
    holes = x.copy()
    holes[7, 3] = np.nan
    with pytest.raises(EvidenceError, match="finite") as raised:
        evaluate_model(trained, (holes, y), labels=LABELS)
    shown(raised)


# Logits, probabilities and labels are told apart, never guessed.


class WithSigmoid(nn.Module):
    def forward(self, inputs):
        return torch.sigmoid(inputs)


def test_probabilities_given_as_logits(evaluate_model):
    """Read as logits, probabilities are all positive: recall would be 1.000."""
    scores, targets = torch.linspace(-3, 3, 100), torch.arange(100) >= 50
    with pytest.raises(EvidenceError, match="as probabilities do") as raised:
        evaluate_model(WithSigmoid(), (scores, targets), outputs="logits")
    shown(raised)


def test_logits_given_as_probabilities():
    logits, target = np.linspace(-3, 3, 100), np.arange(100) >= 50
    with pytest.raises(EvidenceError, match="outputs='probabilities', but") as raised:
        Evaluation.from_predictions(target=target, preds=logits, outputs="probabilities")
    shown(raised)


def test_outputs_not_declared(evaluate_model):
    with pytest.raises(EvidenceError, match="not known what the model gives") as raised:
        evaluate_model(nn.Linear(4, 2), (torch.zeros(8, 4), torch.zeros(8)))
    shown(raised)


# Data that do not fit together.


def test_target_out_of_range(tumours, evaluate_model):
    trained, x, y = tumours
    with pytest.raises(EvidenceError, match="target") as raised:
        evaluate_model(trained, (x, y + 1), loss=None, outputs="logits", labels=LABELS)
    shown(raised)


def test_lengths_differ(tumours, evaluate_model):
    trained, x, y = tumours
    with pytest.raises(EvidenceError, match="lengths must match") as raised:
        evaluate_model(trained, (x, y[:-1]))
    shown(raised)


# Questions that make no sense.

EVIDENCE = ConfusionMatrix.from_counts(tp=36, fp=2, fn=4, tn=58, labels=("ok", "fraud"))


def test_a_bar_in_percent():
    with pytest.raises(BarError, match=r"was 0\.90 meant") as raised:
        assert_recall_at_least(EVIDENCE, 90)
    shown(raised)


def test_an_unknown_label():
    with pytest.raises(MetricError, match="did you mean 'fraud'") as raised:
        assert_recall_at_least(EVIDENCE, 0.8, label="frod")
    shown(raised)


def test_which_of_three_classes():
    three = ConfusionMatrix([[46, 2, 2], [3, 45, 2], [2, 2, 46]], labels=("cat", "dog", "bird"))
    with pytest.raises(MetricError, match="say which") as raised:
        assert_recall_at_least(three, 0.8)
    shown(raised)


# Training and files.


def test_training_without_a_loss(train_model):
    with pytest.raises(TrainingError, match="needs loss=") as raised:
        train_model(lambda: nn.Linear(4, 2), (torch.zeros(8, 4), torch.zeros(8)), epochs=1, optimizer=torch.optim.Adam)
    shown(raised)


def test_a_file_of_another_model(tmp_path, load_model):
    torch.save(nn.Linear(30, 2).state_dict(), tmp_path / "tumours.pt")
    with pytest.raises(CheckpointError, match="do not fit") as raised:
        load_model(tmp_path / "tumours.pt", lambda: nn.Linear(64, 10))
    shown(raised)
