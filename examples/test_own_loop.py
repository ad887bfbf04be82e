"""Your own training loop: `fit(model, run)` trains as you like and logs what it sees.

Nothing else is asked of the loop. This one warms its learning rate up, clips gradients, measures recall and loss on the
validation data after each epoch, stops when the loss has not improved for a while, and keeps the best weights. What
it logs stands in the report as a chart; `test_account` prints it as text (run it with `-rP`).
"""

import copy

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import assert_every_class_recall_at_least, assert_loss_at_most, assert_recall_at_least, evaluate

LOSS = nn.CrossEntropyLoss()
PATIENCE = 5


class DigitNet(nn.Sequential):
    """64 pixels in, a logit for each of ten digits out."""

    def __init__(self):
        super().__init__(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))


def split():
    """Training, validation and test data (45, 15 and 40%), standardised with the training data's mean and spread."""
    pixels, digits = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(pixels, digits, test_size=0.4, stratify=digits, random_state=0)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    mean, spread = x_train.mean(), x_train.std()
    return [
        TensorDataset(torch.tensor((x - mean) / spread, dtype=torch.float32), torch.tensor(y))
        for x, y in ((x_train, y_train), (x_val, y_val), (x_test, y_test))
    ]


def fit(model, run):
    """The loop. `run` has the device, the seed (already set), the data as they were given, and the history."""
    batches = DataLoader(run.train_data, batch_size=64, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: min(1.0, (epoch + 1) / 4))
    best_loss, best_epoch, best_weights = float("inf"), 0, None
    for epoch in range(1, 41):
        model.train()
        total = 0.0
        for inputs, targets in batches:
            loss = LOSS(model(inputs.to(run.device)), targets.to(run.device))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(targets)
        validation = evaluate(model, run.validation_data, loss=LOSS)
        run.history.log(
            epoch=epoch,
            train_loss=total / len(run.train_data),
            val_loss=validation.loss,
            val_recall=validation.metric("recall", average="macro"),
            learning_rate=warm_up.get_last_lr()[0],
        )
        warm_up.step()
        if validation.loss < best_loss:
            best_loss, best_epoch, best_weights = validation.loss, epoch, copy.deepcopy(model.state_dict())
        elif epoch - best_epoch >= PATIENCE:
            break
    model.load_state_dict(best_weights)


@pytest.fixture(scope="module")
def data():
    return split()


@pytest.fixture(scope="module")
def trained(train_model, data):
    train, validation, _ = data
    return train_model(DigitNet, train, validation_data=validation, loss=LOSS, fit=fit)


@pytest.fixture(scope="module")
def evaluation(evaluate_model, trained, data):
    return evaluate_model(trained, data[2])  # with the loss that train_model was told of


def test_recall(evaluation):
    assert_recall_at_least(evaluation, 0.92, average="macro")
    assert_every_class_recall_at_least(evaluation, 0.75)


def test_loss(evaluation):
    assert_loss_at_most(evaluation, 0.3)


def test_history(trained):
    history = trained.history
    assert history.names == ("train_loss", "val_loss", "val_recall", "learning_rate")
    assert len(history) == len(history.val_loss) <= 40
    assert min(history.val_loss) < history.val_loss[0] / 2
    assert max(history["val_recall"]) > 0.9


def test_account(trained):
    """The loss as text: a line an epoch, `#` for each fortieth of the first validation loss."""
    history = trained.history
    print("epoch  train    val")
    rows = zip(history.epochs, history.train_loss, history.val_loss, strict=True)
    for epoch, train_loss, val_loss in rows:
        print(f"{epoch:5}  {train_loss:5.3f}  {val_loss:5.3f}  {'#' * round(40 * val_loss / history.val_loss[0])}")


# What own_loop.modelgate.yaml names, the same gates as a file.


def for_training():
    return split()[0]


def for_validation():
    return split()[1]


def for_testing():
    return split()[2]
