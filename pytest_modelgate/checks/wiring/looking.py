"""What a model's outputs look like beside what its loss takes."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from pytest_modelgate.checks.wiring.setting import Wiring

_CLOSE = 1e-3
_FEW = 8
_MANY_ZEROS = 0.1


def misfit(wiring: Wiring, outputs: torch.Tensor, *, surely: bool = True) -> str | None:
    """Why outputs of these values cannot be what the loss takes, with what to do; None where nothing shows it.

    Said only where a sound model gives such outputs by chance next to never; with `surely=False` also where it may,
    which explains a failure and is none.
    """
    loss, outputs = wiring.loss_read, outputs.detach().float()
    if outputs.numel() < _FEW or not outputs.isfinite().all():
        return None
    low, high = float(outputs.min()), float(outputs.max())
    over_classes = outputs.ndim >= 2 and outputs.shape[1] >= 2
    if loss.kind in ("cross_entropy", "multi_margin_loss") and over_classes and low >= 0:
        for dim, over in ((1, "the classes"), (0, "the samples of the batch")):
            if outputs.shape[dim] > 1 and _near_one(outputs.sum(dim)):
                return (
                    f"the outputs add up to 1 over {over}, as softmax(dim={dim}) gives them, and {loss.kind} takes "
                    "logits: remove the softmax"
                )
    if loss.kind == "nll_loss" and over_classes and not _near_one(outputs.exp().sum(1)):
        return "the outputs are no log-probabilities, which nll_loss takes: put log_softmax(dim=1) behind the model"
    zeros = float((outputs == 0).float().mean())
    if (
        loss.outputs in ("logits", "values")
        and low >= 0
        and zeros < 1
        and zeros >= (_MANY_ZEROS if surely else 1e-9)
        and _wants_negative(wiring)
    ):
        return (
            f"no output is below 0 and {zeros:.0%} are exactly 0, as a ReLU behind the last layer gives them: remove it"
        )
    if loss.kind == "binary_cross_entropy_with_logits" and low >= 0 and high <= 1 and not surely:
        return (
            "all outputs are between 0 and 1, as a sigmoid gives them, and binary_cross_entropy_with_logits takes "
            "logits: remove the sigmoid"
        )
    return None


def _near_one(sums: torch.Tensor) -> bool:
    return bool(((sums - 1).abs() < _CLOSE).all())


def _wants_negative(wiring: Wiring) -> bool:
    """Whether outputs below 0 have a use: always as logits, and where targets are below 0."""
    return wiring.loss_read.outputs == "logits" or bool((wiring.targets < 0).any())
