"""What knowing nothing costs, worked out by hand, and which starts are too far from it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_modelgate import EvidenceError, Outcome, Verdict
from pytest_modelgate.checks.wiring.beginning import check_initial_loss_sane

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(1))
K = 5
CLASSES = torch.arange(30) % K
VALUES = torch.linspace(-1.0, 2.0, 30)[:, None]
WEIGHTS = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])


class Gives(nn.Module):
    """Always these outputs."""

    def __init__(self, outputs: torch.Tensor) -> None:
        super().__init__()
        self.outputs = nn.Parameter(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outputs[: len(x)]


def check(outputs: torch.Tensor, targets: torch.Tensor, loss: Any, **options: Any) -> Verdict:
    return check_initial_loss_sane(Gives(outputs), (X, targets), loss=loss, **options)


LOGITS = 0.1 * torch.randn(30, K, generator=torch.Generator().manual_seed(2))
ONE = LOGITS[:, :1]
# Of targets from -1 to 2 the best constant is 0.5: the cost of 0 is the larger one for each of these losses.
SQUARES = float((VALUES**2).mean())


@pytest.mark.parametrize(
    ("outputs", "targets", "loss", "expected"),
    [
        (LOGITS, CLASSES, nn.CrossEntropyLoss(), math.log(K)),
        (LOGITS, CLASSES, nn.CrossEntropyLoss(weight=WEIGHTS), math.log(K)),
        (LOGITS, CLASSES, nn.CrossEntropyLoss(label_smoothing=0.2), math.log(K)),
        (LOGITS, CLASSES, nn.CrossEntropyLoss(reduction="sum"), math.log(K)),
        (LOGITS, CLASSES, "cross_entropy", math.log(K)),
        (LOGITS.log_softmax(1), CLASSES, nn.NLLLoss(), math.log(K)),
        (ONE, CLASSES > 2, nn.BCEWithLogitsLoss(), math.log(2)),
        (ONE.sigmoid(), CLASSES > 2, nn.BCELoss(), math.log(2)),
        (LOGITS, F.one_hot(CLASSES), nn.BCEWithLogitsLoss(), math.log(2)),
        (ONE, VALUES, nn.MSELoss(), SQUARES),
        (ONE, VALUES, nn.L1Loss(), float(VALUES.abs().mean())),
        (ONE, 10 + VALUES, nn.MSELoss(), float(((10 + VALUES) ** 2).mean())),
        (LOGITS, CLASSES, nn.MultiMarginLoss(), (K - 1) / K),
    ],
)
def test_what_knowing_nothing_costs(outputs: torch.Tensor, targets: torch.Tensor, loss: Any, expected: float) -> None:
    verdict = check(outputs, targets, loss, fresh=True)
    assert verdict.outcome is Outcome.PASS, verdict
    assert dict(verdict.details)["expected"] == pytest.approx(expected, rel=1e-5)
    assert f"knowing nothing costs {expected:.4g}" in verdict.explanation
    assert verdict.direction == "at_most"


def test_a_constant_costs_more_than_0_where_logarithms_are_taken() -> None:
    counts = torch.full((30, 1), 3.0)
    verdict = check(torch.zeros(30, 1), counts, nn.PoissonNLLLoss())
    assert dict(verdict.details)["expected"] == pytest.approx(1.0)  # exp(0) - 3 * 0, against 3 - 3 log 3 at best


@pytest.mark.parametrize(
    ("outputs", "targets", "loss"),
    [
        (60 * LOGITS, CLASSES, nn.CrossEntropyLoss()),
        (60 * LOGITS.log_softmax(1), CLASSES, nn.NLLLoss()),
        (ONE * 200, CLASSES > 2, nn.BCEWithLogitsLoss()),
        (ONE + 5, VALUES, nn.MSELoss()),
        (LOGITS * float("nan"), CLASSES, nn.CrossEntropyLoss()),
    ],
)
def test_a_start_that_is_too_high(outputs: torch.Tensor, targets: torch.Tensor, loss: Any) -> None:
    verdict = check(outputs, targets, loss)
    assert verdict.outcome is Outcome.FAIL
    assert "and a start is at most" in verdict.explanation
    assert "inputs or targets that are not scaled" in str(verdict)


def test_a_trained_model_is_lower_and_a_fresh_one_cannot_be() -> None:
    outputs = 10.0 * F.one_hot(CLASSES).float() - 3.0
    assert check(outputs, CLASSES, nn.CrossEntropyLoss()).passed
    verdict = check(outputs, CLASSES, nn.CrossEntropyLoss(), fresh=True)
    assert verdict.outcome is Outcome.FAIL
    assert "the target is among the inputs" in str(verdict)


def test_log_probabilities_are_asked_for() -> None:
    verdict = check(LOGITS, CLASSES, nn.NLLLoss())
    assert verdict.outcome is Outcome.FAIL
    assert "put log_softmax(dim=1) behind the model" in str(verdict)


def test_outputs_of_zero_alone_are_a_start() -> None:
    assert check(torch.zeros(30, K), CLASSES, nn.CrossEntropyLoss(), fresh=True).passed


def test_a_loss_of_the_users() -> None:
    def own(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(scores, targets)

    verdict = check(LOGITS, CLASSES, own)
    assert verdict.outcome is Outcome.UNDEFINED
    assert "expected=math.log(10)" in str(verdict)
    assert check(LOGITS, CLASSES, own, expected=math.log(K)).passed
    assert not check(60 * LOGITS, CLASSES, own, expected=math.log(K) / 10).passed
    with pytest.raises(EvidenceError, match="is no loss"):
        check(LOGITS, CLASSES, own, expected=math.nan)
