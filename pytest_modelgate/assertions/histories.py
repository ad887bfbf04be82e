"""Assertions on training: what a history shows, and whether a training can be repeated."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any, Protocol

from pytest_modelgate.assertions.settle import Judged, settled
from pytest_modelgate.gates.histories import (
    Converged,
    LossDecreases,
    MetricImproves,
    NoOverfitting,
    TrainingStable,
    as_history,
)
from pytest_modelgate.recording import listener

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from pytest_modelgate.evidence.history import History
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.runtime.modules import TrainedModel


class _Judge(Protocol):
    def check(self, history: History) -> Verdict: ...


def assert_loss_decreases(history: History | TrainedModel, *, if_unsure: str | None = None) -> Verdict:
    """Fail unless the training loss fell, steadily and by more than its own noise. See `LossDecreases`.

    Args:
        history: what a training logged, or the `TrainedModel` that has it.
        if_unsure: the colour where the epochs cannot tell: "estimate", "fail" or "warn"; default the project's.

    Raises:
        GateFailure: the loss is stuck, rises, jumps or is not finite.
        ModelgateError: wrong use, such as a history without a training loss.
    """
    return _judged(LossDecreases, history, if_unsure)


def assert_training_stable(history: History | TrainedModel, *, if_unsure: str | None = None) -> Verdict:
    """Fail where a loss jumps, diverges or is not finite. See `TrainingStable`.

    Arguments and errors as in `assert_loss_decreases`.
    """
    return _judged(TrainingStable, history, if_unsure)


def assert_converged(history: History | TrainedModel, *, if_unsure: str | None = None) -> Verdict:
    """Fail where the training is stuck, or was stopped while its loss still fell fast. See `Converged`.

    Arguments and errors as in `assert_loss_decreases`.
    """
    return _judged(Converged, history, if_unsure)


def assert_no_overfitting(history: History | TrainedModel, *, if_unsure: str | None = None) -> Verdict:
    """Fail where validation did not follow what training learned, or lost it again. See `NoOverfitting`.

    Training loss 1.2 to 0.3 with a validation loss that stays at 1.1 fails, on any scale of the loss. Arguments as in
    `assert_loss_decreases`.

    Raises:
        GateFailure: the model overfits, or a loss is not finite.
        ModelgateError: wrong use, such as a history without validation loss, or losses of different names.
    """
    return _judged(NoOverfitting, history, if_unsure)


def assert_metric_improves(
    history: History | TrainedModel,
    name: str,
    *,
    higher_is_better: bool | None = None,
    if_unsure: str | None = None,
) -> Verdict:
    """Fail unless a logged metric, such as "val_recall", got better by more than its own noise. See `MetricImproves`.

    The loss may fall while accuracy does not move.

    Args:
        history: what a training logged, or the `TrainedModel` that has it.
        name: as it was logged.
        higher_is_better: default what the registry of metrics says of the name; losses and errors should fall.
        if_unsure: as in `assert_loss_decreases`.

    Raises:
        GateFailure: the metric did not move, got worse or is not finite.
        ModelgateError: wrong use, such as a name that was not logged.
    """
    return _judged(
        lambda if_unsure: MetricImproves(name, higher_is_better=higher_is_better, if_unsure=if_unsure),
        history,
        if_unsure,
    )


def assert_training_reproducible(factory: Callable[[], torch.nn.Module], train_data: Any, **training: Any) -> Verdict:
    """Fail unless two trainings give the same weights, bit for bit. Keep them short: few epochs, few samples.

    Args:
        factory, train_data, training: as for `train_model`, which is called twice, without the cache.

    Raises:
        GateFailure: the weights or the histories differ; the message names the first, and what is not deterministic.
        ModelgateError: wrong use, as for `train_model`.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.reproducibility import check_training_reproducible

        verdict, history = check_training_reproducible(factory, train_data, **training)
        return Judged(verdict, [history])

    return settled(judged)


def _judged(make: Callable[..., _Judge], evidence: History | TrainedModel, if_unsure: str | None) -> Verdict:
    def judged() -> Judged:
        history = as_history(evidence)
        gate = make(if_unsure=listener().if_unsure if if_unsure is None else if_unsure)
        return Judged(gate.check(history), [history])

    return settled(judged)
