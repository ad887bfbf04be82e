"""The loss of a data set is torch's own over all samples in one batch, whatever its reduction and the batch size."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_modelgate import EvidenceError, ModelgateError, TrainedModel, evaluate, train_model
from pytest_modelgate.runtime.losses import read_loss

N, CLASSES = 203, 4
draw = torch.Generator().manual_seed(7)
LOGITS = torch.randn(N, CLASSES, generator=draw) * 2
SCORES = torch.randn(N, generator=draw) * 2
CLASS = torch.randint(CLASSES, (N,), generator=draw)
POSITIVE = torch.randint(2, (N,), generator=draw)
NUMBERS = torch.randn(N, generator=draw)
WEIGHTS = torch.tensor([0.3, 1.0, 2.5, 7.0])


class Penalised(nn.CrossEntropyLoss):
    """A user's loss on top of torch's."""

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return super().forward(outputs, targets) + 0.25


class Own(nn.Module):
    """A user's loss with torch's reductions."""

    def __init__(self, reduction: str) -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        each = (outputs[:, 0] - targets) ** 2
        return {"sum": each.sum, "mean": each.mean, "none": lambda: each}[self.reduction]()


def own(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """A mean over the batch, known by nothing but its value."""
    return F.cross_entropy(outputs, targets) * 3


def own_of_each(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(outputs, targets, reduction="none") * 3


def cross_entropy(**settings: Any) -> tuple[Any, Any, Any, Any]:
    """Loss, outputs, targets, and torch's value over all samples in one batch."""
    expected = F.cross_entropy(LOGITS.double(), CLASS, **settings) if "weight" not in settings else F.cross_entropy(
        LOGITS.double(), CLASS, **settings | {"weight": settings["weight"].double()}
    )  # fmt: skip
    return nn.CrossEntropyLoss(**settings), LOGITS, CLASS, expected


LOG_PROBABILITIES = LOGITS.log_softmax(1)
MEAN = F.cross_entropy(LOGITS.double(), CLASS)
BINARY = F.binary_cross_entropy_with_logits(SCORES.double(), POSITIVE.double())
SQUARED = F.mse_loss(SCORES.double(), NUMBERS.double())
CASES: dict[str, tuple[Any, Any, Any, Any]] = {
    "CrossEntropyLoss": cross_entropy(),
    "with class weights": cross_entropy(weight=WEIGHTS),
    "with label smoothing": cross_entropy(label_smoothing=0.1),
    "with weights and smoothing": cross_entropy(label_smoothing=0.2, weight=WEIGHTS),
    "with an ignored class": cross_entropy(ignore_index=2),
    "with weights and an ignored class": cross_entropy(ignore_index=2, weight=WEIGHTS),
    "CrossEntropyLoss, sum": (nn.CrossEntropyLoss(reduction="sum"), LOGITS, CLASS, MEAN),
    "CrossEntropyLoss, none": (nn.CrossEntropyLoss(reduction="none"), LOGITS, CLASS, MEAN),
    "CrossEntropyLoss of float targets": (nn.CrossEntropyLoss(), LOGITS, CLASS.float(), MEAN),
    "CrossEntropyLoss of [N, 1] targets": (nn.CrossEntropyLoss(), LOGITS, CLASS[:, None], MEAN),
    "cross_entropy": (F.cross_entropy, LOGITS, CLASS, MEAN),
    "'cross_entropy'": ("cross_entropy", LOGITS, CLASS, MEAN),
    "partial": (functools.partial(F.cross_entropy, weight=WEIGHTS), *cross_entropy(weight=WEIGHTS)[1:]),
    "partial, sum": (functools.partial(F.cross_entropy, reduction="sum"), LOGITS, CLASS, MEAN),
    "partial of partial": (
        functools.partial(functools.partial(F.cross_entropy, label_smoothing=0.5), label_smoothing=0.1),
        *cross_entropy(label_smoothing=0.1)[1:],
    ),
    "subclass": (Penalised(), LOGITS, CLASS, MEAN + 0.25),
    "NLLLoss": (nn.NLLLoss(), LOG_PROBABILITIES, CLASS, MEAN),
    "NLLLoss with weights": (nn.NLLLoss(weight=WEIGHTS), LOG_PROBABILITIES, *cross_entropy(weight=WEIGHTS)[2:]),
    "nll_loss": (F.nll_loss, LOG_PROBABILITIES, CLASS, MEAN),
    "MultiMarginLoss": (nn.MultiMarginLoss(), LOGITS, CLASS, F.multi_margin_loss(LOGITS.double(), CLASS)),
    "BCEWithLogitsLoss [N]": (nn.BCEWithLogitsLoss(), SCORES, POSITIVE.float(), BINARY),
    "BCEWithLogitsLoss [N, 1]": (nn.BCEWithLogitsLoss(), SCORES[:, None], POSITIVE.float()[:, None], BINARY),
    "BCEWithLogitsLoss [N, 1] of [N]": (nn.BCEWithLogitsLoss(), SCORES[:, None], POSITIVE.float(), BINARY),
    "BCEWithLogitsLoss [N] of [N, 1]": (nn.BCEWithLogitsLoss(), SCORES, POSITIVE.float()[:, None], BINARY),
    "BCEWithLogitsLoss of integers": (nn.BCEWithLogitsLoss(), SCORES[:, None], POSITIVE, BINARY),
    "BCEWithLogitsLoss of booleans": (nn.BCEWithLogitsLoss(), SCORES, POSITIVE.bool(), BINARY),
    "BCEWithLogitsLoss, sum": (nn.BCEWithLogitsLoss(reduction="sum"), SCORES, POSITIVE, BINARY),
    "BCEWithLogitsLoss, none": (nn.BCEWithLogitsLoss(reduction="none"), SCORES, POSITIVE, BINARY),
    "with pos_weight": (
        nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0)),
        SCORES,
        POSITIVE,
        F.binary_cross_entropy_with_logits(
            SCORES.double(), POSITIVE.double(), pos_weight=torch.tensor(3.0, dtype=torch.float64)
        ),
    ),
    "with pos_weight [1]": (
        nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0])),
        SCORES[:, None],
        POSITIVE,
        F.binary_cross_entropy_with_logits(
            SCORES.double(), POSITIVE.double(), pos_weight=torch.tensor([3.0], dtype=torch.float64)
        ),
    ),
    "bce_with_logits": (F.binary_cross_entropy_with_logits, SCORES, POSITIVE, BINARY),
    "BCELoss": (nn.BCELoss(), SCORES.sigmoid(), POSITIVE, BINARY),
    "BCELoss [N, 1]": (nn.BCELoss(), SCORES.sigmoid()[:, None], POSITIVE, BINARY),
    "MSELoss": (nn.MSELoss(), SCORES, NUMBERS, SQUARED),
    "MSELoss [N, 1] of [N]": (nn.MSELoss(), SCORES[:, None], NUMBERS, SQUARED),
    "MSELoss [N] of [N, 1]": (nn.MSELoss(), SCORES, NUMBERS[:, None], SQUARED),
    "MSELoss, sum": (nn.MSELoss(reduction="sum"), SCORES[:, None], NUMBERS, SQUARED),
    "MSELoss of two values": (nn.MSELoss(), LOGITS[:, :2], LOGITS[:, 2:], F.mse_loss(LOGITS[:, :2], LOGITS[:, 2:])),
    "MSELoss of float64": (nn.MSELoss(), SCORES, NUMBERS.double(), SQUARED),
    "L1Loss": (nn.L1Loss(), SCORES[:, None], NUMBERS, (SCORES.double() - NUMBERS).abs().mean()),
    "HuberLoss": (nn.HuberLoss(delta=0.5), SCORES, NUMBERS, F.huber_loss(SCORES.double(), NUMBERS.double(), delta=0.5)),
    "SmoothL1Loss": (nn.SmoothL1Loss(), SCORES, NUMBERS, F.smooth_l1_loss(SCORES.double(), NUMBERS.double())),
    "own function": (own, LOGITS, CLASS, MEAN * 3),
    "own function of each sample": (own_of_each, LOGITS, CLASS, MEAN * 3),
    "own lambda": (lambda outputs, targets: F.cross_entropy(outputs, targets), LOGITS, CLASS, MEAN),
    "own module, sum": (Own("sum"), SCORES[:, None], NUMBERS, SQUARED),
    "own module, mean": (Own("mean"), SCORES[:, None], NUMBERS, SQUARED),
    "own module, none": (Own("none"), SCORES[:, None], NUMBERS, SQUARED),
}  # fmt: skip
NEEDS_OUTPUTS = {
    "own function": "logits",
    "own function of each sample": "logits",
    "own lambda": "logits",
} | dict.fromkeys(("own module, sum", "own module, mean", "own module, none"), "values")


@pytest.mark.parametrize("size", [1, 7, 64, N])
@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_torchs_over_one_batch(case: str, size: int) -> None:
    loss, outputs, targets, expected = CASES[case]
    found = evaluate(
        nn.Identity(), (outputs, targets), loss=loss, outputs=NEEDS_OUTPUTS.get(case), batch_size=size, keep="counts"
    )
    assert found.loss == pytest.approx(expected.item(), abs=1e-6)
    assert found.n == (int((targets != 2).sum()) if "an ignored class" in case else N)
    assert type(found.loss) is float


@pytest.mark.parametrize("case", [case for case in CASES if case not in NEEDS_OUTPUTS])
def test_evaluating_leaves_the_loss_as_it_was(case: str) -> None:
    loss, outputs, targets, _ = CASES[case]
    if isinstance(loss, nn.Module):
        before = loss.reduction, loss.training
        evaluate(nn.Identity(), (outputs, targets), loss=loss)
        assert (loss.reduction, loss.training) == before


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        (nn.CrossEntropyLoss(), F.cross_entropy, "cross_entropy"),
        (nn.CrossEntropyLoss(reduction="sum"), "cross_entropy", "cross_entropy"),
        (
            nn.CrossEntropyLoss(label_smoothing=0.1),
            functools.partial(F.cross_entropy, label_smoothing=0.1),
            "cross_entropy(label_smoothing=0.1)",
        ),
        (
            nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 1.0, 1.0])),
            functools.partial(F.cross_entropy, weight=torch.tensor([1.0, 2.0, 1.0, 1.0])),
            "cross_entropy(weight=[1.0, 2.0, 1.0, 1.0])",
        ),
    ],
)
def test_a_loss_carries_its_name_and_what_changes_its_value(one: Any, other: Any, name: str) -> None:
    first, second = (evaluate(nn.Identity(), (LOGITS, CLASS), loss=loss) for loss in (one, other))
    assert first.mean_loss.name == second.mean_loss.name == name
    assert (first + second).loss == pytest.approx(first.loss)


def test_losses_of_different_kinds_never_merge() -> None:
    plain, smooth = (
        evaluate(nn.Identity(), (LOGITS, CLASS), loss=nn.CrossEntropyLoss(label_smoothing=value))
        for value in (0.0, 0.1)
    )
    with pytest.raises(EvidenceError, match="different kinds"):
        plain + smooth
    with pytest.raises(EvidenceError, match="one without"):
        plain + evaluate(nn.Identity(), (LOGITS, CLASS), outputs="logits")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_kept_as_such(bad: float) -> None:
    targets = NUMBERS.clone()
    targets[17] = bad
    found = evaluate(nn.Identity(), (SCORES, targets), loss=nn.MSELoss(), batch_size=10)
    assert not abs(found.loss) < float("inf")
    assert found.mean_loss.count_not_finite == 1


def test_bce_of_a_sure_wrong_answer() -> None:
    """torch clamps the logarithm at -100."""
    found = evaluate(nn.Identity(), (torch.tensor([0.0, 1.0]), torch.tensor([1, 1])), loss=nn.BCELoss())
    assert found.loss == 50.0


def test_a_trained_model_brings_its_loss() -> None:
    trained = train_model(
        lambda: nn.Linear(CLASSES, CLASSES),
        (LOGITS, CLASS),
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
        optimizer=torch.optim.Adam,
        epochs=1,
        device="cpu",
    )
    assert isinstance(trained, TrainedModel)
    with torch.no_grad():
        expected = F.cross_entropy(trained(LOGITS), CLASS, label_smoothing=0.1).item()
    assert evaluate(trained, (LOGITS, CLASS)).loss == pytest.approx(expected, abs=1e-6)
    other = evaluate(trained, (LOGITS, CLASS), loss="cross_entropy")
    assert other.mean_loss.name == "cross_entropy"


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "message"),
    [
        (nn.CrossEntropyLoss, LOGITS, CLASS, r"give an instance, CrossEntropyLoss\(\)"),
        ("cross_entropi", LOGITS, CLASS, "did you mean 'cross_entropy'?"),
        (5, LOGITS, CLASS, "loss=5 is not a loss"),
        (nn.CrossEntropyLoss(), SCORES, POSITIVE, r"\[N, K\]"),
        (nn.CrossEntropyLoss(), LOGITS, CLASS + 1, "target.* 4 "),
        (nn.CrossEntropyLoss(), LOGITS, CLASS - 1, "target.* -1 "),
        (nn.CrossEntropyLoss(weight=WEIGHTS[:3]), LOGITS, CLASS, r"weight"),
        (nn.BCEWithLogitsLoss(), LOGITS, CLASS, r"one target for each output.*CrossEntropyLoss"),
        (nn.BCELoss(), SCORES, POSITIVE, "probabilities|sigmoid|BCEWithLogitsLoss"),
        (nn.MSELoss(), LOGITS, CLASS, r"\[203, 4\].*\[203\]"),
        (lambda outputs, targets: outputs.sum(0), LOGITS, CLASS, "one number, or one a sample"),
    ],
    ids=[
        "class", "typo", "number", "no columns", "above", "below", "weights", "BCE of classes", "BCE of logits",
        "broadcast", "shape",
    ],
)  # fmt: skip
def test_losses_that_do_not_fit(loss: Any, outputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(ModelgateError, match=message):
        evaluate(nn.Identity(), (outputs, targets), loss=loss, outputs="logits" if inspect.isfunction(loss) else None)


def test_an_error_inside_a_users_loss_is_its_own() -> None:
    def broken(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        evaluate(nn.Identity(), (LOGITS, CLASS), loss=broken, outputs="logits")


def test_nll_loss_takes_log_probabilities_only() -> None:
    logs = LOGITS.log_softmax(1)
    assert evaluate(nn.Identity(), (logs, CLASS), loss=nn.NLLLoss()).loss == pytest.approx(
        float(F.cross_entropy(LOGITS, CLASS)), abs=1e-6
    )
    for wrong in (LOGITS, LOGITS.softmax(1)):
        with pytest.raises(EvidenceError, match="LogSoftmax"):
            evaluate(nn.Identity(), (wrong, CLASS), loss=nn.NLLLoss())


@pytest.mark.parametrize("size", [7, 64])
def test_a_users_loss_that_adds_up_is_refused(size: int) -> None:
    def added(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs, targets, reduction="sum")

    with pytest.raises(EvidenceError, match="added adds up over samples"):
        evaluate(nn.Identity(), (LOGITS, CLASS), loss=added, outputs="logits", batch_size=size)


def test_a_loss_that_gives_no_tensor() -> None:
    def number(outputs: torch.Tensor, targets: torch.Tensor) -> float:
        return 0.5

    with pytest.raises(EvidenceError, match="number gave float, not a tensor"):
        evaluate(nn.Identity(), (LOGITS, CLASS), loss=number, outputs="logits")


def test_two_lambdas_are_two_losses() -> None:
    one, other = (
        evaluate(nn.Identity(), (LOGITS, CLASS), loss=loss, outputs="logits")
        for loss in (
            lambda outputs, targets: F.cross_entropy(outputs, targets),
            lambda outputs, targets: 2 * F.cross_entropy(outputs, targets),
        )
    )
    with pytest.raises(EvidenceError, match="different kinds"):
        one + other


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(weight=WEIGHTS), functools.partial(F.cross_entropy, weight=WEIGHTS)]
)
def test_a_losss_own_tensors_follow_to_the_device(loss: Any) -> None:
    """The meta device computes shapes alone, and refuses tensors of another device as an accelerator does."""
    meta = torch.device("meta")
    outputs, targets = LOGITS.to(meta), CLASS.to(meta)
    with pytest.raises(EvidenceError, match="device"):
        read_loss(loss).measure(outputs, targets)
    losses, weights = read_loss(loss).on(meta).measure(outputs, targets)
    assert (losses.device, losses.shape, weights is not None and weights.shape) == (meta, (N,), (N,))
    assert WEIGHTS.device.type == "cpu"


def test_half_precision_losses_are_added_in_single_precision() -> None:
    half = LOGITS.bfloat16()
    found = evaluate(nn.Identity(), (half, CLASS), loss=nn.CrossEntropyLoss()).loss
    assert found == pytest.approx(float(F.cross_entropy(half, CLASS, reduction="none").double().mean()), abs=1e-6)
