"""Class weights: how much the samples of each class count in a loss, and how much a batch counts in a mean."""

from __future__ import annotations

__tracebackhide__ = True

import copy
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError, TrainingError
from pytest_modelgate.metrics.arrays import to_numpy, whole_numbers
from pytest_modelgate.runtime.losses import read_loss

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from pytest_modelgate.runtime.data import Batches
    from pytest_modelgate.runtime.losses import Loss

# Which setting of a loss takes the weights.
_TAKES = {"cross_entropy": "weight", "nll_loss": "weight", "binary_cross_entropy_with_logits": "pos_weight"}
_IGNORED = -100  # the class that torch's losses leave out by default


def check_class_weights(class_weights: Any, loss: Any) -> None:
    """A `TrainingError` for weights that are none, or a loss that takes none or has its own."""
    if class_weights is None:
        return
    read = read_loss(loss)
    setting = _TAKES.get(read.kind or "")
    if setting is None:
        raise TrainingError(f"class_weights= is for {', '.join(_TAKES)}; the loss {read.name} takes none")
    if f"{setting}=" in read.name:
        raise TrainingError(f"the loss {read.name} has weights already: leave class_weights= out")
    if isinstance(class_weights, str):
        if class_weights != "balanced":
            raise TrainingError(f"class_weights={class_weights!r}: give 'balanced', or one number for each class")
        return
    values = _numbers(class_weights)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise TrainingError(
            f"class_weights={class_weights!r} are not finite numbers of 0 or more, one for each class, some above 0"
        )
    if setting == "pos_weight" and values.size == 2:
        raise TrainingError(
            f"{read.name} takes one weight, of the positive class against the negative: "
            f"class_weights=[{values[1] / values[0] if values[0] else values[1]:g}]"
        )


def weigh(loss: Any, class_weights: Any, train: Batches, dtype: torch.dtype | None) -> Any:
    """The same loss with class weights in it; "balanced" weighs a class of n_k of n samples by n / (K n_k).

    That is what scikit-learn's "balanced" means. For two classes and one output the positive weigh n_0 / n_1.

    Args:
        loss: as `check_class_weights` has checked it.
        class_weights: "balanced", or a number for each class.
        train: where "balanced" counts the classes.
        dtype: the model's type.
    """
    import torch
    import torch.nn.functional as F

    read = read_loss(loss)
    setting = _TAKES[read.kind or ""]
    values = _balanced(train, read) if isinstance(class_weights, str) else _numbers(class_weights)
    weights = torch.as_tensor(values, dtype=dtype)
    if isinstance(loss, torch.nn.Module):
        weighed = copy.deepcopy(loss)
        setattr(weighed, setting, weights)
        return weighed
    return functools.partial(getattr(F, loss) if isinstance(loss, str) else loss, **{setting: weights})


def batch_weight(loss: Loss, targets: torch.Tensor) -> float:
    """How much a batch counts in the mean over samples: what the loss's own mean of the batch divides by."""
    if loss.reduction != "mean" or (loss.weight is None and loss.ignored is None):
        return len(targets)
    if loss.kind not in ("cross_entropy", "nll_loss") or targets.is_floating_point():
        return len(targets)
    classes = targets.reshape(-1).long().cpu()
    classes = classes[classes != (_IGNORED if loss.ignored is None else loss.ignored)]
    if loss.weight is None:
        return len(classes)
    if not ((classes >= 0) & (classes < len(loss.weight))).all():
        return len(targets)  # the loss itself will refuse this batch, and say why
    return float(loss.weight.cpu()[classes].double().sum())


def refuse_wrong_number(loss: Loss, outputs: torch.Tensor) -> None:
    """A `TrainingError` where the loss has weights for another number of classes than the model tells apart."""
    if loss.weight is not None and outputs.ndim == 2 and len(loss.weight) != outputs.shape[1]:
        raise TrainingError(
            f"the model tells {outputs.shape[1]} classes apart and there are weights for {len(loss.weight)}: "
            "'balanced' needs every class in train_data, else give one number for each class"
        )


def _numbers(class_weights: Any) -> NDArray[np.float64]:
    if isinstance(class_weights, (int, float)) and not isinstance(class_weights, bool):
        class_weights = [class_weights]
    try:
        return np.asarray(to_numpy(class_weights), dtype=np.float64)
    except (TypeError, ValueError, EvidenceError) as error:
        raise TrainingError(f"class_weights={class_weights!r} are not numbers, one for each class") from error


def _balanced(train: Batches, loss: Loss) -> NDArray[np.float64]:
    counts = np.zeros(0, dtype=np.int64)
    for targets in _targets(train):
        found = np.bincount(targets[targets != (_IGNORED if loss.ignored is None else loss.ignored)])
        both = np.zeros(max(len(counts), len(found)), dtype=np.int64)
        both[: len(counts)] += counts
        both[: len(found)] += found
        counts = both
    if not counts.size:
        raise EvidenceError("train_data is empty")
    positive_only = loss.kind == "binary_cross_entropy_with_logits"
    if positive_only and len(counts) > 2:
        raise TrainingError(f"class_weights='balanced': {loss.name} is for two classes; a target is {len(counts) - 1}")
    absent = [k for k in range(max(len(counts), 2)) if k >= len(counts) or not counts[k]]
    if absent:
        raise TrainingError(
            f"class_weights='balanced' has no weight for class {absent[0]}, which does not occur in train_data; "
            "give one number for each class"
        )
    if positive_only:
        return np.asarray([counts[0] / counts[1]])
    return np.asarray(counts.sum() / (len(counts) * counts))


def _targets(train: Batches) -> Iterator[NDArray[Any]]:
    """The classes of all training samples, in any order."""
    told = False
    for _, targets in train.at_hand():
        told = True
        yield _classes(targets)
    if not told:
        for _, targets in train:
            yield _classes(targets)


def _classes(targets: torch.Tensor) -> NDArray[Any]:
    array = to_numpy(targets)
    if array.ndim and array.size != len(array):
        raise TrainingError(
            f"class_weights='balanced' counts one class a sample; targets have shape {list(array.shape)}: give numbers"
        )
    classes = whole_numbers(array.reshape(-1), "target")
    if (classes[classes != _IGNORED] < 0).any():
        raise TrainingError("class_weights='balanced' counts classes from 0 up; a target is negative")
    return classes.astype(np.int64)
