"""Which shapes of outputs and targets a pass takes, and the task that they tell."""

from __future__ import annotations

__tracebackhide__ = True

from math import prod
from typing import TYPE_CHECKING, Any, Literal, get_args

from pytest_modelgate.exceptions import EvidenceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_modelgate.metrics.labels import Label

OUTPUTS = ("logits", "probabilities", "labels", "values")
KEEP = ("auto", "counts", "scores")
Task = Literal["binary", "multiclass", "multilabel", "regression"]


def check_task(task: str | None, outputs: str, ignore_index: int | None) -> str | None:
    """The task, as far as the settings tell it; an `EvidenceError` where they do not fit together."""
    if task is not None:
        one_of("task", task, get_args(Task))
    if outputs == "values" and task is None:
        task = "regression"
    if (outputs == "values") != (task == "regression"):
        raise EvidenceError(f"task={task!r} and outputs={outputs!r} do not fit: 'values' are for 'regression'")
    if ignore_index is None:
        return task
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
        raise EvidenceError(f"ignore_index={ignore_index!r} is not a whole number, as the targets to leave out are")
    if task in ("regression", "multilabel"):
        raise EvidenceError(f"ignore_index={ignore_index} is for classes, not for task={task!r}: drop these samples")
    return task


def one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """An `EvidenceError` where a setting is none of its choices."""
    if value not in choices:
        hint = did_you_mean(value, choices)
        raise EvidenceError(f"{name}={value!r} is not one of {', '.join(map(repr, choices))}{hint}")


def columns_of(outputs: Sequence[int], target: Sequence[int], *, kind: str, task: str | None) -> int:
    """How many columns a batch's outputs have (1 for [n] and [n, 1]), given both shapes.

    Raises:
        EvidenceError: outputs and targets do not fit together.
    """
    if not target:
        raise EvidenceError(
            "a batch has a single target and no dimension for samples: these are samples, not batches; "
            "give a Dataset, a DataLoader, or a pair (inputs, targets) of stacked tensors"
        )
    if not outputs or outputs[0] != target[0]:
        raise EvidenceError(
            f"outputs of shape {list(outputs)} and targets of shape {list(target)} do not fit: "
            "give one output (or row of outputs) and one target a sample"
        )
    if kind == "values":
        return 1
    if task == "multilabel":
        if len(target) != 2 or tuple(outputs) != tuple(target):
            raise EvidenceError(
                f"task='multilabel' takes outputs and targets of one shape [N, L], a column for each label; these are "
                f"{list(outputs)} and {list(target)}"
            )
        return target[1]
    if prod(target[1:]) != 1:
        raise not_one_class(outputs, target)
    columns = prod(outputs[1:])
    if columns != 1 and (len(outputs) > 2 or kind == "labels"):
        raise EvidenceError(
            f"outputs of shape {list(outputs)} are not {kind} of one sample a row; "
            + ("give class indices [N]" if kind == "labels" else "give [N], [N, 1] or [N, K]")
        )
    return columns


def not_one_class(outputs: Sequence[int], target: Sequence[int]) -> EvidenceError:
    """What to say of targets with several numbers a sample that do not fit the outputs."""
    if tuple(outputs) == tuple(target):
        many = f" ({target[1]} labels a sample)" if len(target) == 2 else " (outputs and targets [N, L])"
        return EvidenceError(
            f"targets of shape {list(target)} are not one class a sample, and outputs of the same shape do not tell "
            f"what they are: give class indices, or say task='multilabel'{many}, or task='binary' (a decision of two "
            "classes at each place)"
        )
    return EvidenceError(
        f"targets of shape {list(target)} are not one class a sample, and do not fit outputs of shape {list(outputs)}; "
        "give class indices [N] and outputs [N, K], or for a class at each token or pixel targets [N, *D] and outputs "
        "[N, K, *D] or [N, *D, K]"
    )


def task_of(task: Any, columns: int, labels: Sequence[Label] | None) -> Any:
    """The task that the columns of the first batch tell; an `EvidenceError` where the settings say otherwise."""
    if task == "binary" and columns > 2:
        raise EvidenceError(f"task='binary', but the model gives {columns} outputs a sample")
    if task == "multiclass" and columns == 1:
        raise EvidenceError("task='multiclass', but the model gives one output a sample; that is a binary score")
    if task == "multilabel":
        if columns < 2:
            raise EvidenceError("task='multilabel' takes two labels a sample or more; for one say task='binary'")
        if labels is not None and len(labels) != columns:
            raise EvidenceError(f"{len(labels)} labels {list(labels)!r} were given, but outputs have {columns} columns")
    elif labels is not None and len(labels) != max(columns, 2):
        raise EvidenceError(
            f"{len(labels)} labels {list(labels)!r} were given, but the model's outputs tell "
            f"{max(columns, 2)} classes apart"
        )
    return task or ("binary" if columns <= 2 else "multiclass")
