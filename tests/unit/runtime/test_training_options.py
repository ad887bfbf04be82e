"""The built-in loop's options: each gives the bits of the loop that a person would write."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

from pytest_modelgate import (
    EvidenceError,
    History,
    MetricError,
    ModelgateError,
    Run,
    TrainedModel,
    TrainingError,
    evaluate,
    train_model,
)

draw = torch.Generator().manual_seed(3)
X = torch.randn(110, 4, generator=draw)
Y = (X[:, 0] + X[:, 1] > 0.7).long() + (X[:, 2] > 1).long()
BATCHES = [(X[i : i + 32], Y[i : i + 32]) for i in range(0, 110, 32)]  # 32, 32, 32, 14
HELD = (torch.randn(90, 4, generator=draw), (torch.arange(90) % 5).clamp(max=2))  # 18, 18, 54
BINARY = [(x, (y > 0).long()) for x, y in BATCHES]


class Net(nn.Module):
    """Three classes, with dropout, so that the order of random draws counts, and a BatchNorm, so that buffers do."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(8, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def train(data: Any = BATCHES, **options: Any) -> TrainedModel:
    given = {"loss": nn.CrossEntropyLoss(), "optimizer": sgd, "epochs": 2, "device": "cpu"} | options
    return train_model(given.pop("factory", Net), data, **given)


def by_hand(steps: Callable[[nn.Module, torch.optim.Optimizer], None], factory: Any = Net) -> nn.Module:
    """Two epochs of `steps`, written out."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = factory().train()
        optimizer = sgd(model.parameters())
        for _ in range(2):
            steps(model, optimizer)
    return model


def same(trained: TrainedModel, model: nn.Module) -> bool:
    left, right = trained.model.state_dict(), model.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def plain(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for x, y in BATCHES:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def clipped(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for x, y in BATCHES:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        optimizer.step()


def in_bfloat16(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for x, y in BATCHES:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()


def weighted(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    weight = torch.tensor(compute_class_weight("balanced", classes=np.arange(3), y=Y.numpy()), dtype=torch.float32)
    for x, y in BATCHES:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y, weight=weight).backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (plain, {}),
        (plain, {"validation_data": HELD, "metrics": ("recall", "accuracy"), "threads": torch.get_num_threads()}),
        (plain, {"clip_norm": 1e9}),
        (clipped, {"clip_norm": 0.05}),
        (in_bfloat16, {"mixed_precision": True}),
        (weighted, {"class_weights": "balanced"}),
        (weighted, {"class_weights": "balanced", "loss": "cross_entropy"}),
        (weighted, {"class_weights": "balanced", "loss": F.cross_entropy}),
    ],
    ids=["plain", "validated", "loose clip", "clip", "mixed", "balanced", "balanced, by name", "balanced, function"],
)
def test_it_is_the_loop_written_by_hand(steps: Any, options: dict[str, Any]) -> None:
    assert same(train(**options), by_hand(steps))


def test_mixed_precision_leaves_targets_their_digits() -> None:
    """1.003 is 1 in bfloat16; torch's losses run in full precision under autocast."""
    target = 1.003 + 0.001 * X[:, :1]
    batches = [(X[i : i + 32], target[i : i + 32]) for i in range(0, 110, 32)]

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for x, y in batches:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()

    trained = train(batches, factory=lambda: Net(1), loss=nn.MSELoss(), mixed_precision=True)
    assert same(trained, by_hand(steps, lambda: Net(1)))


def test_the_loops_by_hand_differ() -> None:
    """Else the test above would prove nothing."""
    trained = train()
    assert not any(same(trained, by_hand(steps)) for steps in (clipped, in_bfloat16, weighted))


def smooth(outputs: int = 3) -> nn.Module:
    """Nothing in it mixes the samples of a batch."""
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs))


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 7.0])),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.CrossEntropyLoss(reduction="none"),
    ],
    ids=["mean", "weights", "sum", "ignoring", "none"],
)
@pytest.mark.parametrize("accumulate", [2, 3, 4, 50])
def test_accumulated_batches_are_one_large_batch(loss: nn.Module, accumulate: int) -> None:
    """Whatever lengths they have; a group at the end may be shorter."""
    slow: dict[str, Any] = {"optimizer": lambda p: torch.optim.SGD(p, lr=0.01), "factory": smooth, "loss": loss}
    groups = [BATCHES[i : i + accumulate] for i in range(0, len(BATCHES), accumulate)]
    large = [(torch.cat([x for x, _ in group]), torch.cat([y for _, y in group])) for group in groups]
    parts, whole = train(accumulate=accumulate, **slow), train(large, **slow)
    for one, other in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    if accumulate == 50:  # one step an epoch, so the first epoch's losses are of the same weights
        assert parts.history.train_loss[0] == pytest.approx(whole.history.train_loss[0], rel=1e-6)


def test_accumulated_equal_batches_are_what_is_usually_written() -> None:
    def steps(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        for x, y in BATCHES[:3]:
            (F.cross_entropy(model(x), y) / 3).backward()
        optimizer.step()

    assert same(train(BATCHES[:3], accumulate=3), by_hand(steps))


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=torch.tensor([0.1, 1, 9])),
        nn.CrossEntropyLoss(weight=torch.tensor([0.1, 1, 9]), reduction="sum"),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.CrossEntropyLoss(),
    ],
)
def test_both_losses_mean_the_same(loss: nn.Module) -> None:
    """With a model that does not move, the training loss over uneven batches is the validation loss of one."""
    still = train(
        factory=smooth,
        loss=loss,
        epochs=1,
        optimizer=lambda p: torch.optim.SGD(p, lr=1e-12),
        validation_data=[(X, Y)],
    )
    assert still.history.train_loss[0] == pytest.approx(still.history.val_loss[0], rel=1e-6)


@pytest.mark.parametrize(
    ("schedule", "every", "expected"),
    [
        (lambda o: lr_scheduler.StepLR(o, 2, gamma=0.5), "epoch", [0.1, 0.1, 0.05, 0.05]),
        (lambda o: lr_scheduler.StepLR(o, 4, gamma=0.5), "batch", [0.1, 0.05, 0.025, 0.0125]),
        (lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)), "batch", [0.1 / n for n in (4, 8, 12, 16)]),
    ],
    ids=["epoch", "batch", "each batch"],
)
def test_schedules(schedule: Any, every: str, expected: list[float]) -> None:
    trained = train(schedule=schedule, schedule_every=every, epochs=4)
    assert trained.history["learning_rate"] == pytest.approx(expected)
    assert not train().history["learning_rate"]

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Net().train()
        optimizer = sgd(model.parameters())
        moves = schedule(optimizer)
        for _ in range(4):
            for x, y in BATCHES:
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
                if every == "batch":
                    moves.step()
            if every == "epoch":
                moves.step()
    assert same(trained, model)


def test_a_schedule_that_waits_for_a_plateau_gets_the_validation_loss() -> None:
    seen: list[float] = []

    class Watching(lr_scheduler.ReduceLROnPlateau):
        def step(self, metrics: Any, epoch: Any = None) -> None:
            seen.append(metrics)
            super().step(metrics, epoch)

    history = train(
        schedule=lambda o: Watching(o, patience=0, threshold=10), validation_data=HELD, epochs=4
    ).history  # fmt: skip
    assert seen == list(history.val_loss)
    assert history["learning_rate"] == pytest.approx([0.1, 0.01, 0.001, 0.0001])


def test_a_schedule_that_ends_too_soon() -> None:
    with pytest.raises(TrainingError, match=r"schedule= cannot go on.*step 5 times|schedule= cannot go on.*4"):
        train(schedule=lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=4), schedule_every="batch")


def test_binary_class_weights() -> None:
    """pos_weight is what a positive counts against a negative; the name says so, and evaluate uses it."""
    positives = sum(int(y.sum()) for _, y in BINARY)
    ratio = (110 - positives) / positives
    given: dict[str, Any] = {"factory": lambda: Net(1), "loss": nn.BCEWithLogitsLoss()}
    balanced = train(BINARY, class_weights="balanced", **given)
    assert same(balanced, train(BINARY, class_weights=[ratio], **given).model)
    assert same(balanced, train(BINARY, class_weights=torch.tensor([ratio]), **given).model)

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for x, y in BINARY:
            optimizer.zero_grad()
            target = y.float().reshape(-1, 1)
            F.binary_cross_entropy_with_logits(model(x), target, pos_weight=torch.tensor([ratio])).backward()
            optimizer.step()

    assert same(balanced, by_hand(steps, lambda: Net(1)))
    assert balanced.history.loss is not None
    assert balanced.history.loss.startswith("binary_cross_entropy_with_logits(pos_weight=[")
    assert balanced.history.chance_loss is None


@pytest.mark.parametrize("data", [(X, Y), BATCHES], ids=["at hand", "batches"])
def test_weighted_losses_are_named_and_agree(data: Any) -> None:
    own = nn.CrossEntropyLoss()
    trained = train(data, loss=own, class_weights=(1, 2, 3), validation_data=HELD)
    assert trained.history.loss == "cross_entropy(weight=[1.0, 2.0, 3.0])"
    assert trained.history.validation_loss is None
    assert own.weight is None  # the user's is left as it was
    assert trained.history.val_loss[-1] == pytest.approx(evaluate(trained, HELD).loss, abs=1e-6)


def test_counting_the_classes_takes_no_random_numbers() -> None:
    """A shuffled loader is read before the training, and its order in the training stays the same."""
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=32, shuffle=True)
    subset = torch.utils.data.Subset(_Wrapped(), range(110))
    balanced = tuple(compute_class_weight("balanced", classes=np.arange(3), y=Y.numpy()))
    for one in (data, subset):
        assert same(train(one, class_weights="balanced"), train(one, class_weights=balanced).model)


class _Wrapped(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return 110

    def __getitem__(self, i: int) -> Any:
        return X[i], Y[i]


def asked_of(expected: Any, predicted: Any) -> dict[str, float]:
    return {
        "val_recall": reference.recall_score(expected, predicted, average="macro"),
        "val_precision": float(
            np.mean(reference.precision_score(expected, predicted, average=None, zero_division=math.nan))
        ),
        "val_accuracy": reference.accuracy_score(expected, predicted),
        "val_mcc": reference.matthews_corrcoef(expected, predicted),
    }


@pytest.mark.parametrize("size", [7, 90])
def test_metrics_of_each_epoch_are_scikit_learns(size: int) -> None:
    """Over the whole set, whatever its batches are; read off the model by the progress hook."""
    seen: list[dict[str, float]] = []
    models: list[nn.Module] = []

    def factory() -> nn.Module:
        models.append(Net())
        return models[-1]

    def progress(history: History, done: int, total: int | None) -> None:
        model = models[-1]
        model.eval()
        with torch.no_grad():
            seen.append(asked_of(HELD[1].numpy(), model(HELD[0]).argmax(1).numpy()))

    batches = [(HELD[0][i : i + size], HELD[1][i : i + size]) for i in range(0, 90, size)]
    names = ("recall", "precision", "accuracy", "mcc")
    history = train(
        factory=factory, validation_data=batches, metrics=names, epochs=5, progress=progress, optimizer=sgd
    ).history
    for name in names:
        expected = [each[f"val_{name}"] for each in seen]
        assert history[f"val_{name}"] == pytest.approx([one for one in expected if not math.isnan(one)], abs=1e-12)


@pytest.mark.parametrize(
    ("outputs", "loss"),
    [(1, nn.BCEWithLogitsLoss()), (2, nn.CrossEntropyLoss()), ("sigmoid", nn.BCELoss())],
    ids=["one", "two", "probabilities"],
)
def test_metrics_of_two_classes_are_of_the_last_one(outputs: Any, loss: nn.Module) -> None:
    held = (HELD[0], (HELD[1] > 1).long())
    factory: Any = (lambda: nn.Sequential(Net(1), nn.Sigmoid())) if outputs == "sigmoid" else lambda: Net(outputs)
    asked = {"recall": {}, "specificity": {"label": 0}, "fbeta": {"beta": 2}}
    trained = train(BINARY, factory=factory, loss=loss, validation_data=held, metrics=asked)
    found = evaluate(trained, held)
    assert trained.history["val_recall"][-1] == found.metric("recall")
    assert trained.history["val_specificity"][-1] == found.metric("specificity", label=0)
    assert trained.history["val_fbeta"][-1] == found.metric("fbeta", beta=2)


def test_an_undefined_metric_is_not_logged() -> None:
    """Precision of a class that is never predicted is not 0, not NaN: there is none."""

    def always_first() -> nn.Module:
        model = nn.Linear(4, 3)
        with torch.no_grad():
            model.weight.zero_()
            model.bias.copy_(torch.tensor([9.0, 0, 0]))
        return model

    history = train(
        factory=always_first,
        validation_data=HELD,
        metrics=("precision", "accuracy"),
        optimizer=lambda p: torch.optim.SGD(p, lr=1e-9),
    ).history
    assert history["val_precision"] == ()
    assert history["val_accuracy"] == (0.2, 0.2)


def test_early_logits_between_zero_and_one_are_no_mistake() -> None:
    """`evaluate` refuses them; here they are the outputs of a model that has not learned yet."""

    def timid() -> nn.Module:
        model = nn.Linear(4, 1)
        with torch.no_grad():
            model.weight.zero_()
            model.bias.fill_(0.5)
        return model

    slow: Any = lambda p: torch.optim.SGD(p, lr=1e-9)  # noqa: E731
    held = (HELD[0], (HELD[1] > 1).long())
    history = train(
        BINARY, factory=timid, loss=nn.BCEWithLogitsLoss(), validation_data=held, metrics=["recall"], optimizer=slow
    ).history
    assert history["val_recall"] == (1.0, 1.0)


class Shaky(nn.Module):
    """A validation loss by script; its weight counts the epochs, and a buffer out of the state dict does too."""

    losses: tuple[float, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.epoch = nn.Parameter(torch.zeros(()))
        self.register_buffer("aside", torch.zeros(()), persistent=False)
        self.register_buffer("kept", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.aside += 1
            self.kept += 1
            return self.epoch.expand(len(x), 1)
        return torch.full((len(x), 1), float(self.losses[int(self.kept) - 1]))


def shaky(losses: tuple[float, ...], **options: Any) -> TrainedModel:
    Shaky.losses = losses
    one = [(torch.zeros(4, 1), torch.zeros(4, 1))]
    given: dict[str, Any] = {"factory": Shaky, "loss": nn.L1Loss(), "validation_data": one, "epochs": len(losses)}
    return train(one, **given | options)


@pytest.mark.parametrize(
    ("losses", "patience", "epochs", "kept"),
    [
        ((3, 2, 1, 2, 3, 0), 2, 5, 3),
        ((3, 2, 1, 2, 3, 0), 3, 6, 6),
        ((1, 1, 1, 1), 2, 3, 1),
        ((3, 2, 1), 1, 3, 3),
        ((1, 2, 3), 9, 3, 1),
    ],
)
def test_early_stopping_keeps_the_best_epoch(losses: tuple[float, ...], patience: int, epochs: int, kept: int) -> None:
    """Weights and all buffers; the history says which epoch it was where it is not the last."""
    trained = shaky(losses, early_stopping=patience)
    assert len(trained.history) == epochs
    assert trained.history.kept == (None if kept == epochs else kept)
    assert trained.history.until_kept().epochs[-1] == kept
    assert (trained.model.kept, trained.model.aside) == (kept, kept)


def test_a_loss_that_is_not_finite_is_never_the_best() -> None:
    trained = shaky((3, 2, math.nan, 1), early_stopping=3, on_nonfinite="stop")
    assert trained.history.kept == trained.model.kept == 2
    assert math.isnan(trained.history.val_loss[-1])
    first = shaky((math.nan, 1), early_stopping=3, on_nonfinite="stop")
    assert (first.history.kept, first.model.kept) == (None, 1)
    with pytest.raises(TrainingError, match="the validation loss is nan after epoch 3"):
        shaky((3, 2, math.nan, 1), early_stopping=3)


@pytest.mark.parametrize(
    ("factory", "loss", "data", "chance"),
    [
        (Net, nn.CrossEntropyLoss(), BATCHES, math.log(3)),
        (Net, nn.CrossEntropyLoss(reduction="sum"), BATCHES, math.log(3)),
        (lambda: Net(5), "cross_entropy", BATCHES, math.log(5)),
        (lambda: nn.Sequential(Net(), nn.LogSoftmax(1)), nn.NLLLoss(), BATCHES, math.log(3)),
        (lambda: Net(1), nn.BCEWithLogitsLoss(), BINARY, math.log(2)),
        (lambda: nn.Sequential(Net(1), nn.Sigmoid()), nn.BCELoss(), BINARY, math.log(2)),
        (Net, nn.CrossEntropyLoss(label_smoothing=0.1), BATCHES, None),
        (Net, nn.CrossEntropyLoss(weight=torch.ones(3) * 2), BATCHES, None),
        (lambda: Net(1), nn.MSELoss(), BINARY, None),
        (lambda: Net(2), nn.BCEWithLogitsLoss(), [(x, torch.zeros(len(x), 2)) for x, _ in BATCHES], None),
        (Net, lambda outputs, targets: F.cross_entropy(outputs, targets), BATCHES, None),
    ],
)
def test_the_loss_of_chance(factory: Any, loss: Any, data: Any, chance: float | None) -> None:
    assert train(data, factory=factory, loss=loss, epochs=1).history.chance_loss == chance


def test_progress() -> None:
    said: list[Any] = []

    def progress(history: History, done: int, total: int | None) -> None:
        said.append((done, total, len(history)))

    train(epochs=3, progress=progress)
    assert said == [(1, 3, 1), (2, 3, 2), (3, 3, 3)]
    said.clear()
    shaky((1, 2, 3, 4), early_stopping=2, progress=progress)
    assert said == [(1, 4, 1), (2, 4, 2), (3, 3, 3)]  # it ends here, so these are all
    said.clear()

    def fit(model: nn.Module, run: Run) -> None:
        run.history.log(epoch=1, train_loss=1.0)
        run.progress(1, total=2)
        run.progress(2)
        for wrong in (1.5, True, None):
            with pytest.raises(TrainingError, match=r"run\.progress: done="):
                run.progress(wrong)  # type: ignore[arg-type]

    train_model(Net, None, fit=fit, progress=progress)
    assert said == [(1, 2, 1), (2, None, 1)]
    train_model(Net, None, fit=fit)  # nobody listens


def once() -> Iterator[Any]:
    yield from BATCHES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"early_stopping": 1.5, "validation_data": HELD}, r"early_stopping=1\.5"),
        ({"early_stopping": True, "validation_data": HELD}, "early_stopping=True"),
        ({"clip_norm": 0}, "clip_norm=0 is not a number above 0"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
        ({"clip_norm": math.nan}, "clip_norm=nan"),
        ({"clip_norm": math.inf}, "clip_norm=inf"),
        ({"clip_norm": "1"}, "clip_norm='1'"),
        ({"accumulate": 0}, "accumulate=0"),
        ({"accumulate": 2.0}, "accumulate=2.0"),
        ({"accumulate": None}, "accumulate=None"),
        ({"mixed_precision": "yes"}, "mixed_precision='yes'"),
        ({"schedule_every": "step", "schedule": lr_scheduler.ConstantLR}, "'epoch', 'batch'"),
        ({"schedule_every": "batch"}, "is for a schedule="),
        ({"schedule": "cosine"}, "a function of the optimizer"),
        ({"schedule": lambda o: None}, "made NoneType"),
        ({"schedule": lambda o: lr_scheduler.ReduceLROnPlateau(o)}, "give validation_data="),
        (
            {"schedule": lr_scheduler.ReduceLROnPlateau, "schedule_every": "batch", "validation_data": HELD},
            "schedule_every='epoch' is for it",
        ),
        (
            {"schedule": lambda o: lr_scheduler.ConstantLR(sgd([nn.Parameter(torch.ones(1))]))},
            "of another optimizer",
        ),
        ({"optimizer": lambda p: torch.optim.LBFGS(p)}, "LBFGS.*fit="),
        ({"factory": nn.ReLU}, "ReLU has no parameters"),
        ({"on_nonfinite": "ignore"}, "'raise', 'stop'"),
        ({"class_weights": "balance"}, "give 'balanced'"),
        ({"class_weights": [1, 2]}, "3 classes apart and there are weights for 2"),
        ({"class_weights": [1, -2, 3]}, "finite numbers of 0 or more"),
        ({"class_weights": [0, 0, 0]}, "some above 0"),
        ({"class_weights": [1, math.nan, 3]}, "finite numbers of 0 or more"),
        ({"class_weights": []}, "finite numbers of 0 or more"),
        ({"class_weights": [[1, 2, 3]]}, "finite numbers of 0 or more"),
        ({"class_weights": ["a", "b", "c"]}, "are not numbers"),
        ({"class_weights": {0: 1, 1: 2, 2: 3}}, "are not numbers"),
        ({"class_weights": "balanced", "loss": nn.MSELoss()}, "class_weights= is for cross_entropy"),
        ({"class_weights": "balanced", "loss": lambda o, t: o.sum()}, "class_weights= is for cross_entropy"),
        ({"class_weights": "balanced", "loss": nn.CrossEntropyLoss(weight=torch.ones(3) * 2)}, "has weights already"),
        ({"class_weights": [1, 2], "loss": nn.BCEWithLogitsLoss(), "data": BINARY}, r"class_weights=\[2\]"),
        ({"class_weights": "balanced", "loss": nn.BCEWithLogitsLoss()}, "two classes; a target is 2"),
        ({"class_weights": "balanced", "data": [(X, Y * 0)]}, "no weight for class 1"),
        ({"class_weights": "balanced", "data": [(X, Y - 5)]}, "counts classes from 0 up"),
        ({"class_weights": "balanced", "data": []}, "train_data is empty"),
        ({"class_weights": "balanced", "data": (X, torch.eye(3)[Y])}, r"shape \[110, 3\]: give numbers"),
        ({"class_weights": "balanced", "factory": lambda: Net(4)}, "4 classes apart and there are weights for 3"),
        ({"metrics": "recall", "validation_data": HELD}, "give names"),
        ({"metrics": 5, "validation_data": HELD}, "give names"),
        ({"metrics": ["recal"], "validation_data": HELD}, "did you mean 'recall'"),
        ({"metrics": ["roc_auc"], "validation_data": HELD}, "those of the confusion matrix"),
        ({"metrics": ["recall", "recall"], "validation_data": HELD}, "recall twice"),
        ({"metrics": {"recall": 1}, "validation_data": HELD}, "give options"),
        ({"metrics": {"recall": {"label": 7}}, "validation_data": HELD}, "7"),
        ({"metrics": {"recall": {"beta": 2}}, "validation_data": HELD}, "beta"),
        ({"metrics": ["recall"]}, "give validation_data="),
        ({"metrics": ["recall"], "validation_data": HELD, "loss": nn.MSELoss()}, "the loss mse_loss takes values"),
        ({"metrics": ["recall"], "validation_data": HELD, "loss": lambda o, t: o.sum()}, "does not tell"),
        ({"threads": 0}, "threads=0"),
        ({"threads": 1.5}, "threads=1.5"),
        ({"fit": print, "epochs": None, "optimizer": None, "clip_norm": 1.0}, "clip_norm belongs into it"),
        (
            {"fit": print, "epochs": None, "optimizer": None, "metrics": ["recall"], "accumulate": 2},
            "accumulate, metrics",
        ),
    ],
)
def test_wrong_use(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelgateError, match=message):
        train(**options)


def test_wrong_use_has_its_own_types() -> None:
    with pytest.raises(MetricError):
        train(metrics=["recal"], validation_data=HELD)
    with pytest.raises(EvidenceError):
        train(class_weights="balanced", data=[])


def test_balanced_weights_need_data_that_can_be_read_twice() -> None:
    with pytest.raises(ModelgateError, match="iterator"):
        train(once(), class_weights="balanced", epochs=1)


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 0.1},
        {"accumulate": 3},
        {"mixed_precision": True},
        {"class_weights": "balanced"},
        {"metrics": ("recall",), "validation_data": HELD, "early_stopping": 1},
        {"schedule": lambda o: lr_scheduler.CosineAnnealingLR(o, 8), "schedule_every": "batch"},
    ],
    ids=["clip", "accumulate", "mixed", "weights", "metrics", "schedule"],
)
def test_each_option_repeats_to_the_last_bit(options: dict[str, Any]) -> None:
    one, other = train((X, Y), epochs=3, **options), train((X, Y), epochs=3, **options)
    assert same(one, other.model)
    assert one.history == other.history
    assert not same(one, train((X, Y), epochs=3, seed=1, **options).model)
