"""Loss functions as torch has them, read so that a data set's mean does not depend on its batches."""

from __future__ import annotations

__tracebackhide__ = True

import copy
import functools
import inspect
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import EvidenceError, did_you_mean
from pytest_modelgate.metrics.arrays import to_numpy
from pytest_modelgate.metrics.losses import MeanLoss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch

    from pytest_modelgate.evidence.collecting import Collector

# What a loss of torch's is called, and what the outputs that it takes are.
_KNOWN = {
    "CrossEntropyLoss": ("cross_entropy", "logits"),
    "NLLLoss": ("nll_loss", "logits"),
    "BCEWithLogitsLoss": ("binary_cross_entropy_with_logits", "logits"),
    "BCELoss": ("binary_cross_entropy", "probabilities"),
    "MSELoss": ("mse_loss", "values"),
    "L1Loss": ("l1_loss", "values"),
    "SmoothL1Loss": ("smooth_l1_loss", "values"),
    "HuberLoss": ("huber_loss", "values"),
    "PoissonNLLLoss": ("poisson_nll_loss", "values"),
    "MultiMarginLoss": ("multi_margin_loss", "logits"),
    "MultiLabelSoftMarginLoss": ("multilabel_soft_margin_loss", "logits"),
}
_OUTPUTS = dict(_KNOWN.values())
_CLASS_INDEX = ("cross_entropy", "nll_loss", "multi_margin_loss")
_ELEMENTWISE = (
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "poisson_nll_loss",
    "multilabel_soft_margin_loss",
)
_DIVIDES_BY_WEIGHT = ("cross_entropy", "nll_loss")


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss function with what is known of it.

    Attributes:
        function: what training calls, with its own reduction: `function(outputs, targets)`.
        name: torch's functional name, with the parameters that differ from the defaults.
        kind: the name alone, for a loss of torch's; None for any other.
        each: the same without reduction, where the loss has one; else None.
        reduction: the loss's own: "mean", "sum", "none" or "batchmean".
        weight: class weights, or None; the mean of cross-entropy divides by their sum.
        ignored: a class that the loss leaves out of its mean, or None.
        left_out: the target that the loss leaves out, a class or a number that is none, such as -100; or None.
    """

    function: Callable[[Any, Any], Any]
    name: str
    kind: str | None
    each: Callable[[Any, Any], Any] | None
    reduction: str
    weight: torch.Tensor | None
    ignored: int | None
    left_out: int | None = None

    @property
    def classes_first(self) -> bool:
        """Whether the classes are dimension 1 of the outputs that the loss takes."""
        return self.kind in _CLASS_INDEX

    @property
    def outputs(self) -> str | None:
        """What the loss takes: "logits", "probabilities" or "values"; None where it is not known."""
        return _OUTPUTS.get(self.kind or "")

    def cast(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Targets as the loss needs them: class indices as int64, else floats of the outputs' type and shape.

        Raises:
            EvidenceError: targets that no cast makes fit, such as another shape or a class out of range.
        """
        if self.kind in _CLASS_INDEX:
            return _class_indices(outputs, targets)
        if self.kind in _ELEMENTWISE:
            if targets.numel() != outputs.numel() or len(targets) != len(outputs):
                raise EvidenceError(
                    f"{self.kind} takes one target for each output: outputs have shape {list(outputs.shape)}, "
                    f"targets {list(targets.shape)}"
                    + ("; for classes use CrossEntropyLoss" if self.outputs != "values" else "")
                )
            return targets.reshape(outputs.shape).to(outputs.dtype)
        return targets

    def on(self, place: torch.device) -> Loss:
        """The same loss with its own tensors, such as class weights, on a device; the user's is left where it is."""
        if place.type == "cpu":
            return self
        return replace(self, function=_moved(self.function, place), each=self.each and _moved(self.each, place))

    def refuse_no_tensor(self, value: object) -> None:
        """An `EvidenceError` where a loss of the user's gives something else than a tensor."""
        import torch

        if not isinstance(value, torch.Tensor):
            raise EvidenceError(f"the loss {self.name} gave {type(value).__name__}, not a tensor; it must return one")

    def refuse_sum(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        """An `EvidenceError` where a loss of the user's adds up over samples: it would grow with the batch.

        Looked at once, on the first batch and its halves; what torch names its reduction needs no look.
        """
        half = len(targets) // 2
        if self.kind is not None or self.reduction != "mean" or half == 0 or len(outputs) != len(targets):
            return
        parts = (slice(None), slice(half), slice(half, None))
        losses = [self.function(outputs[rows], self.cast(outputs[rows], targets[rows])) for rows in parts]
        for loss in losses:
            self.refuse_no_tensor(loss)
        if any(loss.numel() != 1 for loss in losses):
            return
        whole, first, second = (float(loss) for loss in losses)
        added, mean = first + second, (first * half + second * (len(targets) - half)) / len(targets)
        if abs(whole - added) <= 1e-4 * abs(whole) < abs(whole - mean):
            raise EvidenceError(
                f"the loss {self.name} adds up over samples, so its value grows with the batch; return the mean, "
                "or one value a sample"
            )

    def failed(self, outputs: torch.Tensor, targets: torch.Tensor, error: Exception) -> EvidenceError:
        """What to tell the user where a loss of torch's raised."""
        why = str(error).strip().rstrip(".")
        if isinstance(error, IndexError) and outputs.ndim == 2:
            why += (
                f"; the model tells {outputs.shape[1]} classes apart, so targets run from 0 to {outputs.shape[1] - 1}"
            )
        if self.kind == "binary_cross_entropy":
            why += "; this loss takes probabilities: put a sigmoid behind the model, or use BCEWithLogitsLoss"
        return EvidenceError(
            f"the loss {self.name} failed on outputs of shape {list(outputs.shape)} and targets of shape "
            f"{list(targets.shape)}: {why}"
        )

    def add_to(self, collector: Collector, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Measure one batch (targets as `cast` gave them) for the data set's mean; CPU tensors."""
        losses, weights = self.measure(outputs, targets)
        if losses.ndim == 0:
            collector.add_mean_loss(self.of_batch(float(losses), len(targets)))
        else:
            collector.add_loss(to_numpy(losses), None if weights is None else to_numpy(weights))

    def add_mean_of(self, collector: Collector, outputs: torch.Tensor, targets: torch.Tensor, decisions: int) -> None:
        """Measure one batch of tokens or pixels, as it came, by a loss of the user's: only a mean is known.

        A loss of one number counts by the batch's decisions, one of a number a sample by samples.
        """
        losses, _ = self.measure(outputs, targets)
        of_samples = losses.ndim > 0
        collector.add_mean_loss(
            MeanLoss.of(self.name, to_numpy(losses)) if of_samples else self.of_batch(float(losses), decisions)
        )

    def total(self, measured: Iterable[tuple[torch.Tensor, torch.Tensor | None, int]]) -> MeanLoss:
        """The mean over batches that were measured on any device: losses, weights and length of each."""
        import torch

        whole = MeanLoss(name=self.name)
        vectors, weights = [], []
        for losses, weight, samples in measured:
            if losses.ndim == 0:
                whole = whole + self.of_batch(float(losses), samples)
            else:
                vectors.append(losses)
                weights += [] if weight is None else [weight]
        if vectors:
            values = to_numpy(torch.cat(vectors))
            whole = whole + MeanLoss.of(self.name, values, to_numpy(torch.cat(weights)) if weights else None)
        return whole

    def measure(self, outputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The loss of each sample [n] and the weight [n] of each, or one number where the loss gives no more."""
        try:
            losses = (self.each or self.function)(outputs, targets)
        except (IndexError, RuntimeError, ValueError) as error:
            if self.kind is None:
                raise  # the user's own loss: its own traceback says more
            raise self.failed(outputs, targets, error) from error
        self.refuse_no_tensor(losses)
        losses = losses.detach()
        if losses.ndim and len(losses) == len(targets):
            if losses.ndim > 1:
                losses = losses.flatten(1).mean(1)
            return losses.float() if losses.element_size() == 2 else losses, self._weights(targets)
        if losses.numel() == 1:
            return losses.reshape(()), None
        raise EvidenceError(
            f"the loss {self.name} gave shape {list(losses.shape)} for a batch of {len(targets)}; "
            "it must give one number, or one a sample"
        )

    def of_batch(self, value: float, samples: int) -> MeanLoss:
        """A batch whose loss is known as one number: its own reduction is undone by the batch's length."""
        if not math.isfinite(value):
            return MeanLoss(name=self.name, weight=Fraction(samples), samples=samples, count_not_finite=samples)
        total = Fraction(value) if self.reduction == "sum" else Fraction(value) * samples
        return MeanLoss(name=self.name, total=total, weight=Fraction(samples), samples=samples)

    def _weights(self, targets: torch.Tensor) -> torch.Tensor | None:
        if self.kind not in _DIVIDES_BY_WEIGHT or self.reduction != "mean" or targets.is_floating_point():
            return None
        ignored = None if self.ignored is None else targets == self.ignored
        if self.weight is not None:
            weights = self.weight.to(targets.device)[targets]
        elif ignored is not None:
            weights = (~ignored).float()
        else:
            return None
        return weights if ignored is None else weights.masked_fill(ignored, 0)


def read_loss(loss: Any) -> Loss:
    """A `Loss` of a torch loss (module, function or its name), a partial of one, or any `loss(outputs, targets)`.

    Raises:
        EvidenceError: it is no loss.
    """
    import torch
    import torch.nn.functional as F

    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        if loss not in _OUTPUTS:
            raise EvidenceError(
                f"loss {loss!r} is none of torch's that are known by name{did_you_mean(loss, _OUTPUTS)}"
            )
        loss = getattr(F, loss)
    if isinstance(loss, type) or not callable(loss):
        made = f"; give an instance, {loss.__name__}()" if isinstance(loss, type) else ""
        raise EvidenceError(f"loss={loss!r} is not a loss{made}; it is called as loss(outputs, targets)")
    settings: dict[str, Any] = {}
    inner = loss
    if isinstance(loss, torch.nn.Module):
        torchs = [cls for cls in type(loss).__mro__ if cls.__module__.startswith("torch.nn") and cls.__name__ in _KNOWN]
        kind = _KNOWN[torchs[0].__name__][0] if torchs else None
        name = kind if kind and torchs[0] is type(loss) else type(loss).__name__
        settings = {key: value for key, value in vars(loss).items() if not key.startswith("_") and key != "training"}
        settings |= dict(loss.named_buffers(recurse=False))
        defaults = _defaults(type(loss).__init__)
    else:
        while isinstance(inner, functools.partial):
            settings = inner.keywords | settings
            inner = inner.func
        name = getattr(inner, "__name__", type(inner).__name__)
        if name == "<lambda>":
            name = f"lambda at {Path(inner.__code__.co_filename).name}:{inner.__code__.co_firstlineno}"
        kind = name if getattr(F, name, None) is inner and name in _OUTPUTS else None
        defaults = _defaults(inner)
    reduction = settings.get("reduction", defaults.get("reduction", "mean"))
    described = _describe(settings, defaults)
    ignored = settings.get("ignore_index", defaults.get("ignore_index"))
    return Loss(
        function=loss,
        name=f"{name}({described})" if described else name,
        kind=kind,
        each=_without_reduction(loss) if kind else None,
        reduction=reduction,
        weight=settings.get("weight"),
        ignored=ignored if ignored is not None and ignored >= 0 else None,
        left_out=ignored if kind in _DIVIDES_BY_WEIGHT else None,
    )


def _moved(function: Any, place: torch.device) -> Any:
    import torch

    if isinstance(function, torch.nn.Module):
        return copy.deepcopy(function).to(place)
    if isinstance(function, functools.partial):
        keywords = {k: v.to(place) if isinstance(v, torch.Tensor) else v for k, v in function.keywords.items()}
        return functools.partial(_moved(function.func, place), *function.args, **keywords)
    return function


def _without_reduction(loss: Any) -> Callable[[Any, Any], Any]:
    """A loss of torch's that gives one number a sample."""
    import torch

    if isinstance(loss, torch.nn.Module):
        twin = copy.copy(loss)
        twin.reduction = "none"  # type: ignore[assignment]
        return twin
    return functools.partial(loss, reduction="none")


def _defaults(function: Any) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature: nothing is known of it
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _describe(settings: dict[str, Any], defaults: dict[str, Any]) -> str:
    """The settings that change a loss's value, as text: two losses with other settings are not comparable."""
    parts = []
    for key in sorted(settings):
        value = settings[key]
        if key == "reduction" or key not in defaults or value is None:
            continue
        if hasattr(value, "tolist"):
            value = value.tolist()
        if value != defaults[key]:
            parts.append(f"{key}={value!r}")
    return ", ".join(parts)


def _class_indices(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if outputs.ndim != 2:
        raise EvidenceError(f"this loss takes outputs [N, K], one column a class; the model gave {list(outputs.shape)}")
    if targets.is_floating_point() and targets.shape == outputs.shape:
        return targets.to(outputs.dtype)
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets.squeeze(1)
    if targets.shape != outputs.shape[:1]:
        raise EvidenceError(
            f"outputs of shape {list(outputs.shape)} and targets of shape {list(targets.shape)} do not fit: "
            "give one class index a sample"
        )
    return targets.long()
