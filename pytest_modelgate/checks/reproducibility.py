"""Is a training reproducible: two trainings with one seed, compared bit for bit."""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import TrainingError
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.training import train_model

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from pytest_modelgate.evidence.history import History
    from pytest_modelgate.runtime.modules import TrainedModel

_EPOCHS = 2
_NAME = "training_reproducible"


def check_training_reproducible(
    factory: Callable[[], torch.nn.Module], train_data: Any, **training: Any
) -> tuple[Verdict, History]:
    """Train twice with the same seed, and compare weights, buffers and histories bit for bit.

    The estimate is the share of tensors and logged curves that are equal; it must be 1. No training comes from the
    cache.

    Args:
        factory, train_data: as for `train_model`.
        training: every other argument of `train_model`; `epochs` is 2 by default.

    Returns:
        The verdict, and the history of the first training.

    Raises:
        TrainingError: data that can be read once only, or as `train_model`.
        EvidenceError: as `train_model`.
    """
    for name, data in (("train_data", train_data), ("validation_data", training.get("validation_data"))):
        if hasattr(data, "__next__"):
            raise TrainingError(
                f"{name} is an iterator, which can be read for one training only: give a list or loader"
            )
    if training.get("fit") is None and training.get("epochs") is None:
        training = training | {"epochs": _EPOCHS}
    training = training | {"cache": None}
    first = train_model(factory, train_data, **training)
    before = _tensors(first)  # copied: a second training of the same module would change what is compared
    second = train_model(factory, train_data, **training)
    same_module = first.model is second.model
    return _verdict(before, _tensors(second), first.history, second.history, same_module), first.history


def _verdict(
    before: dict[str, torch.Tensor],
    after: dict[str, torch.Tensor],
    first: History,
    second: History,
    same_module: bool,
) -> Verdict:
    tensors = list(dict.fromkeys([*before, *after]))
    curves = list(dict.fromkeys([*first.names, *second.names]))
    unlike = [name for name in tensors if not _equal(before.get(name), after.get(name))]
    bent = [name for name in curves if _bits(first[name]) != _bits(second[name])]
    support = len(tensors) + len(curves)
    equal = support - len(unlike) - len(bent)
    what = f"two trainings with seed {first.seed}"
    notes = [
        f"{name} has no deterministic implementation" for name in first.nondeterministic or second.nondeterministic
    ]
    if support == 0:
        outcome, sentence = (
            Outcome.UNDEFINED,
            f"{what} cannot be judged: the model has no weights and nothing was logged",
        )
    elif equal == support:
        compared = f"{counted(len(tensors), 'tensor')} and {counted(len(curves), 'curve')}"
        outcome, sentence = Outcome.PASS, f"{what} gave the same {compared}, bit for bit"
    else:
        outcome = Outcome.FAIL
        differing = (
            f"{len(unlike)} of {counted(len(tensors), 'tensor')} and {len(bent)} of {counted(len(curves), 'curve')}"
        )
        sentence = f"{what} differ in {differing}"
        if unlike:
            sentence += f": first in {unlike[0]}, {_how_far(unlike, before, after)}"
        epoch = _first_epoch(first, second)
        if epoch is not None:
            sentence += f"; the histories differ from epoch {epoch} on"
        if same_module:
            notes.append("both trainings gave the same module, so the second went on from the first one's weights")
        notes.append(
            "what is random must come from the seeds that are set before the training (Python, numpy, torch), or from "
            "generators made of run.seed; no state may outlive a training: globals, a loader's generator, changed data"
        )
    return Verdict(
        gate=_NAME,
        outcome=outcome,
        passed=outcome is Outcome.PASS,
        metric=_NAME,
        estimate=equal / support if support else None,
        hits=equal if support else None,
        support=support,
        bar=1.0,
        direction="at_least",
        explanation=f"{outcome}: {sentence}",
        notes=tuple(notes),
    )


def _tensors(trained: TrainedModel) -> dict[str, torch.Tensor]:
    """Copies of all weights and buffers, those out of the state dict too."""
    parts = (*trained.model.named_parameters(), *trained.model.named_buffers())
    return {name: tensor.detach().cpu().clone() for name, tensor in parts}


def _equal(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Whether two tensors have the same bits: NaN equals itself, 0.0 is not -0.0."""
    import torch

    if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.layout != torch.strided or other.layout != torch.strided:
        return one.layout == other.layout and torch.equal(one.to_dense(), other.to_dense())
    return torch.equal(_bytes(one), _bytes(other))


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    import torch

    return tensor.contiguous().flatten().view(torch.uint8)


def _bits(values: tuple[float, ...]) -> list[str]:
    return [value.hex() if math.isfinite(value) else str(value) for value in values]


def _how_far(names: list[str], before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> str:
    """The largest difference over all tensors, and where it is."""
    furthest, where = 0.0, ""
    for name in names:
        one, other = before.get(name), after.get(name)
        if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
            return f"and {name} has another shape or type, or is there once"
        difference = (one.to_dense().to(_wide(one)) - other.to_dense().to(_wide(one))).abs()
        largest = float(difference.max()) if difference.numel() else 0.0
        if not largest <= furthest:
            furthest, where = largest, name
        if math.isnan(largest):
            break
    return f"by up to {furthest:.3g} in {where}" if where else "in their bits alone, such as the sign of a zero"


def _wide(tensor: torch.Tensor) -> torch.dtype:
    import torch

    return torch.complex128 if tensor.is_complex() else torch.float64


def _first_epoch(first: History, second: History) -> int | None:
    """The first epoch of which something else was logged."""
    rows = [{row["epoch"]: _row(row) for row in history.summary()["epochs"]} for history in (first, second)]
    for epoch in sorted({*rows[0], *rows[1]}):
        if rows[0].get(epoch) != rows[1].get(epoch):
            return int(epoch)
    return None


def _row(row: dict[str, Any]) -> dict[str, str]:
    return {name: value.hex() if isinstance(value, float) else str(value) for name, value in row.items()}
