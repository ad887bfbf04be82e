"""What a check looks at: a module, a loss and a batch, read in the forms in which people have them."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.runtime.data import Batches, call, model_dtype, move
from pytest_modelgate.runtime.devices import device_of
from pytest_modelgate.runtime.losses import Loss, read_loss
from pytest_modelgate.runtime.modules import TrainedModel, module_and_loss

if TYPE_CHECKING:
    import torch


CLASS_INDEX = ("cross_entropy", "nll_loss", "multi_margin_loss")


class InputOverwritten(EvidenceError):  # noqa: N818 - what it says is what happened
    """The model changes its input in place."""


class LossRefused(EvidenceError):  # noqa: N818 - what it says is what happened
    """The loss cannot take the model's outputs with these targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """A model with one batch, on the model's device.

    Attributes:
        module: the model itself, not a copy.
        loss: what trains it; None where none was given and none is needed.
        inputs: a tensor, or a tuple, list or dict of them; never given to the model itself, which gets copies.
        targets: [rows, ...].
        fitted: the targets are shaped as the loss needs them by `train_model`, which trained this model.
    """

    module: torch.nn.Module
    loss: Loss | None
    inputs: Any
    targets: torch.Tensor
    fitted: bool = False

    @property
    def rows(self) -> int:
        """How many samples the batch has."""
        return len(self.targets)

    @property
    def name(self) -> str:
        """The model's class."""
        return type(self.module).__name__

    @property
    def loss_read(self) -> Loss:
        """The loss, where one is needed.

        Raises:
            EvidenceError: there is none.
        """
        if self.loss is None:
            raise EvidenceError(
                f"how is {self.name} trained? Give loss=, such as torch.nn.CrossEntropyLoss() or any function "
                "loss(outputs, targets)"
            )
        return self.loss

    def first(self, rows: int) -> Wiring:
        """The same with the first rows of the batch."""
        if rows >= self.rows:
            return self
        return replace(self, inputs=rows_of(self.inputs, self.rows, slice(rows)), targets=self.targets[:rows])

    def outputs(self, inputs: Any = None) -> torch.Tensor:
        """The model's outputs, in the mode that it is in, on copies of the inputs (of these or of the batch).

        Raises:
            EvidenceError: they are no tensor, or BatchNorm refuses a batch of one.
            InputOverwritten: the model changed the copy.
        """
        import torch

        given = self.inputs if inputs is None else inputs
        lent = copies(given)
        try:
            outputs = call(self.module, lent)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise EvidenceError(
                f"BatchNorm in training mode needs two samples or more, and this batch has {self.rows}: {error}"
            ) from error
        changed = differing(given, lent)
        if changed is not None:
            raise InputOverwritten(
                f"{self.name} changes its input in place ({changed}): whoever uses the batch again gets other "
                "numbers. Usual causes: x += ..., x[...] = ..., relu_() or inplace=True on the input; write "
                "x = x + ..., or clone it first"
            )
        if not isinstance(outputs, torch.Tensor):
            raise EvidenceError(
                f"{self.name} gave {type(outputs).__name__}, not a tensor; wrap it in a module that returns its scores"
            )
        return outputs

    def cost(self, outputs: torch.Tensor) -> torch.Tensor:
        """The loss of outputs of the batch's rows: one number with its graph, the mean over samples.

        Raises:
            EvidenceError: no loss.
            LossRefused: outputs and targets that it cannot take.
        """
        loss = self.loss_read
        try:
            targets = self.targets_for(outputs)
        except EvidenceError as error:
            raise LossRefused(str(error)) from error
        try:
            value: torch.Tensor = loss.function(outputs, targets)
        except (IndexError, RuntimeError, ValueError) as error:
            if loss.kind is None:
                raise  # the user's own loss: its own traceback says more
            raise LossRefused(str(loss.failed(outputs, targets, error))) from error
        loss.refuse_no_tensor(value)
        if value.numel() != 1:
            return value.mean()
        value = value.reshape(())
        return value / max(targets.numel(), 1) if loss.reduction == "sum" else value

    def targets_for(self, outputs: torch.Tensor) -> torch.Tensor:
        """The targets as the loss needs them."""
        loss = self.loss_read
        if (
            loss.kind in CLASS_INDEX and outputs.ndim != 2
        ):  # a class a token or a pixel: torch says where they do not fit
            return self.targets if self.targets.is_floating_point() else self.targets.long()
        return loss.cast(outputs, self.targets)


def read(model: Any, batch: Any, loss: Any = None, *, trains: bool = False) -> Wiring:
    """A model, a batch and a loss, checked.

    Args:
        model: a module, or what `train_model` gave, which brings its loss.
        batch: a pair (inputs, targets) of tensors, arrays, or for the inputs a tuple (spread as arguments) or dict
            (as keywords) of them; the first dimension counts the samples.
        loss: as for `evaluate`.
        trains: the check trains, so that it needs a loss and parameters.

    Raises:
        EvidenceError: a batch that is no pair, is empty, or whose parts differ in length; no loss or no parameters
            where the check needs them.
    """
    import torch

    fitted = isinstance(model, TrainedModel)
    module, loss = module_and_loss(model, loss)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        parts = f" of {len(batch)} parts" if isinstance(batch, (tuple, list)) else ""
        raise EvidenceError(
            f"the batch is a {type(batch).__name__}{parts}: give a pair (inputs, targets), such as next(iter(loader))"
        )
    place = device_of(module)
    inputs, targets = next(iter(Batches([batch], dtype=model_dtype(module), what="the batch")))
    if not targets.ndim or not len(targets):
        what = "is empty" if targets.ndim else "has one number as its targets"
        raise EvidenceError(f"the batch {what}: give some samples, [rows, ...], and their targets")
    lengths = {len(tensor) if tensor.ndim else 0 for tensor in tensors_of(inputs)}
    if len(targets) not in lengths:
        has = f"{max(lengths):,} inputs" if lengths else "no input tensor"
        raise EvidenceError(
            f"the batch has {has} and {len(targets):,} targets: the first dimension of both counts the samples"
        )
    with torch.inference_mode(False):  # what is made in that mode takes no part in training
        wiring = Wiring(
            module=module,
            loss=None if loss is None else read_loss(loss).on(place),
            inputs=move(copies(inputs), place),
            targets=targets.detach().clone().to(place),
            fitted=fitted,
        )
    if trains:
        wiring.loss_read  # noqa: B018 - raises where there is none
        if next(module.parameters(), None) is None:
            raise EvidenceError(f"{wiring.name} has no parameters, so there is nothing to train")
    return wiring


def tensors_of(inputs: Any) -> list[torch.Tensor]:
    """All tensors in a tensor, tuple, list or dict of them."""
    import torch

    if isinstance(inputs, torch.Tensor):
        return [inputs]
    parts = inputs.values() if isinstance(inputs, Mapping) else inputs if isinstance(inputs, (tuple, list)) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]


def mapped(inputs: Any, function: Any) -> Any:
    """The same structure, with a function applied to each tensor in it."""
    import torch

    if isinstance(inputs, torch.Tensor):
        return function(inputs)
    if isinstance(inputs, Mapping):
        return {key: mapped(value, function) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        parts = [mapped(value, function) for value in inputs]
        return inputs._make(parts) if hasattr(inputs, "_make") else type(inputs)(parts)
    return inputs


def copies(inputs: Any) -> Any:
    """The same inputs in other memory."""
    return mapped(inputs, lambda tensor: tensor.detach().clone().requires_grad_(tensor.requires_grad))


def rows_of(inputs: Any, rows: int, which: Any) -> Any:
    """The inputs of some of the samples: what has `rows` of them is indexed, the rest (such as a mask) stays whole."""
    return mapped(inputs, lambda tensor: tensor[which] if tensor.ndim and len(tensor) == rows else tensor)


def differing(before: Any, after: Any) -> str | None:
    """Which tensor of two like structures is not the same, in words; None where all are. NaN equals itself."""
    pairs = list(zip(tensors_of(before), tensors_of(after), strict=False))
    for number, (one, other) in enumerate(pairs):
        if one.shape != other.shape or not bool(((one == other) | ((one != one) & (other != other))).all()):
            return "the input" if len(pairs) == 1 else f"input {number + 1} of {len(pairs)}"
    return None
