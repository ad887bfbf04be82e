"""Assertions on a model's wiring: each runs it on one batch and leaves it as it was."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.assertions.settle import Judged, settled
from pytest_modelgate.recording import listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import torch

    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.runtime.modules import TrainedModel

    Model = torch.nn.Module | TrainedModel
    MakeOptimizer = Callable[[Iterator[torch.nn.Parameter]], torch.optim.Optimizer]


def check_model(
    model: Model,
    batch: Any,
    loss: Any = None,
    *,
    optimizer: MakeOptimizer | None = None,
    frozen: Iterable[str] | None = None,
    export: bool = True,
) -> Verdict:
    """Fail unless a model passes every check of its wiring that can run; the verdict is one table.

    A check that cannot run, such as that of two devices where there is one, is shown with its reason and counts
    neither way. An exception out of the model fails the check that it broke. Weights, buffers, modes, gradients and
    random state are as before at the end.

    Args:
        model: a module, or what `train_model` gave, which brings its loss.
        batch: a pair (inputs, targets), such as `next(iter(loader))`: tensors or arrays, or for the inputs a tuple
            (spread as arguments) or a dict (as keywords) of them. 16 samples or more of several classes tell most.
        loss: what trains the model: a torch loss, or any function loss(outputs, targets).
        optimizer, frozen: as in `assert_all_parameters_train`.
        export: run `assert_export_parity` too; False for a model that is never exported.

    Raises:
        GateFailure: a check failed, or none could run.
        EvidenceError: a batch that is no pair, is empty, or whose parts differ in length; a model without
            parameters; no loss.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.table import check_model

        return Judged(check_model(model, batch, loss, optimizer=optimizer, frozen=frozen, export=export))

    return settled(judged)


def assert_fits_one_batch(model: Model, batch: Any, *, loss: Any = None) -> Verdict:
    """Fail unless the model can memorise the first 16 samples of a batch.

    It takes at most 100 steps of Adam with each of three learning rates,
    without dropout, and gets its weights back. Where 16 samples are too many, as for a linear model, two must do.

    Args:
        model, batch, loss: as in `check_model`.

    Raises:
        GateFailure: the loss does not fall four fifths of the way from what one output for all samples costs.
        EvidenceError: as in `check_model`, or the model changes its input.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.fitting import check_fits_one_batch

        return Judged(check_fits_one_batch(model, batch, loss=loss))

    return settled(judged)


def assert_learns_from_input(model: Model, batch: Any, *, loss: Any = None) -> Verdict:
    """Fail unless training on the inputs beats training on zeroed inputs, from the same weights.

    Args:
        model, batch, loss: as in `check_model`.

    Raises:
        GateFailure: the inputs make no difference.
        EvidenceError: as in `check_model`, or the model changes its input.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.fitting import check_learns_from_input

        return Judged(check_learns_from_input(model, batch, loss=loss))

    return settled(judged)


def assert_all_parameters_train(
    model: Model,
    batch: Any,
    *,
    loss: Any = None,
    optimizer: MakeOptimizer | None = None,
    frozen: Iterable[str] | None = None,
) -> Verdict:
    """Fail unless every trainable parameter gets a gradient and moves, and what is frozen stays put.

    The statistics of a BatchNorm whose parameters are frozen, or that is in evaluation mode, must stay too.

    Args:
        model, batch, loss: as in `check_model`.
        optimizer: called with the model's parameters, gives the optimizer that trains it, such as
            `lambda parameters: torch.optim.SGD(parameters, lr=0.1)`: a parameter that it does not hold is found.
        frozen: the parameters that are meant to be frozen, by their names or how these begin, such as `["body."]`: any
            other that is frozen fails. Default: whatever has `requires_grad=False`.

    Raises:
        GateFailure: a parameter does not train, or something frozen moves.
        EvidenceError: as in `check_model`, or a name in `frozen` that no parameter has.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.gradients import check_all_parameters_train

        return Judged(check_all_parameters_train(model, batch, loss=loss, optimizer=optimizer, frozen=frozen))

    return settled(judged)


def assert_finite_gradients(model: Model, batch: Any, *, loss: Any = None) -> Verdict:
    """Fail unless outputs, loss and gradients are finite; names the layer where the first is not.

    Args:
        model, batch, loss: as in `check_model`.

    Raises:
        GateFailure: there is a NaN or an infinity.
        EvidenceError: as in `check_model`, or the model changes its input.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.gradients import check_finite_gradients

        return Judged(check_finite_gradients(model, batch, loss=loss))

    return settled(judged)


def assert_initial_loss_sane(
    model: Model, batch: Any, *, loss: Any = None, expected: float | None = None, fresh: bool = False
) -> Verdict:
    """Fail where the loss is far above what knowing nothing costs: log K for K classes, the targets' spread for values.

    At most 2.5 above it for losses of classes, and four times it for losses of values. Outputs that cannot be what the
    loss takes, such as probabilities where it takes logits, fail too.

    Args:
        model, batch, loss: as in `check_model`.
        expected: what knowing nothing costs; needed for a loss that is not one of torch's common ones.
        fresh: the model was not trained: a loss below half of `expected` fails too.

    Raises:
        GateFailure: the loss is not in these bounds, or its expected value is not known.
        EvidenceError: as in `check_model`, or the model changes its input.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.beginning import check_initial_loss_sane

        return Judged(check_initial_loss_sane(model, batch, loss=loss, expected=expected, fresh=fresh))

    return settled(judged)


def assert_no_batch_mixing(model: Model, batch: Any, *, loss: Any = None) -> Verdict:
    """Fail unless each sample's output depends on that sample alone, in evaluation mode.

    Args:
        model, batch: as in `check_model`; two samples or more.
        loss: not needed.

    Raises:
        GateFailure: samples of a batch leak into each other.
        EvidenceError: as in `check_model`.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.mixing import check_no_batch_mixing

        return Judged(check_no_batch_mixing(model, batch, loss=loss))

    return settled(judged)


def assert_deterministic(model: Model, batch: Any, *, loss: Any = None) -> Verdict:
    """Fail unless the same input gives the same output in evaluation mode.

    Args:
        model, batch: as in `check_model`.
        loss: not needed.

    Raises:
        GateFailure: the outputs differ, as with dropout that was left on.
        EvidenceError: as in `check_model`.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.repeating import check_deterministic

        return Judged(check_deterministic(model, batch, loss=loss))

    return settled(judged)


def assert_same_on_devices(
    model: Model,
    batch: Any,
    *,
    loss: Any = None,
    devices: Sequence[str | torch.device] | None = None,
    if_unsure: str | None = None,
) -> Verdict:
    """Fail where the model gives another output on another device (by more than 1%), or a tensor stays behind.

    On a machine without an accelerator the move is simulated: tensors that would stay behind fail; values cannot be
    compared, so that without a finding the outcome is `INCONCLUSIVE`.

    Args:
        model, batch: as in `check_model`.
        loss: not needed.
        devices: two or more; default the CPU and the accelerator. "meta" asks for the simulated move alone.
        if_unsure: the colour of `INCONCLUSIVE`: "estimate" (green), "fail" or "warn"; default the project's.

    Raises:
        GateFailure: the outputs differ, or a tensor stays behind.
        EvidenceError: as in `check_model`.
        DeviceError: a device that this machine does not have.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.devices import check_same_on_devices

        unsure = listener().if_unsure if if_unsure is None else if_unsure
        return Judged(check_same_on_devices(model, batch, loss=loss, devices=devices, if_unsure=unsure))

    return settled(judged)


def assert_checkpoint_round_trip(
    model: Model, batch: Any, *, loss: Any = None, factory: Callable[[], torch.nn.Module] | None = None
) -> Verdict:
    """Fail unless the model's state dict, saved and loaded into a fresh copy, gives the same outputs.

    Args:
        model, batch: as in `check_model`.
        loss: not needed.
        factory: makes a fresh model; default a deep copy whose weights are spoilt before loading.

    Raises:
        GateFailure: a weight, a buffer or an output does not come back.
        EvidenceError: as in `check_model`.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.round_trip import check_checkpoint_round_trip

        return Judged(check_checkpoint_round_trip(model, batch, loss=loss, factory=factory))

    return settled(judged)


def assert_export_parity(
    model: Model, batch: Any, *, loss: Any = None, formats: Sequence[str] = ("export",)
) -> Verdict:
    """Fail unless the model gives the same output when it is exported or compiled.

    Args:
        model, batch: as in `check_model`.
        loss: not needed.
        formats: of "export" (torch.export), "compile" (torch.compile, which takes a compiler) and "onnx".

    Raises:
        GateFailure: the outputs differ, or a form cannot be made on this machine.
        EvidenceError: as in `check_model`, or an unknown form.
    """

    def judged() -> Judged:
        from pytest_modelgate.checks.wiring.exporting import check_export_parity

        return Judged(check_export_parity(model, batch, loss=loss, formats=formats))

    return settled(judged)
