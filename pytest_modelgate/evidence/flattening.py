"""Classes of tokens and pixels: batches of many decisions a sample as rows of one decision each."""

from __future__ import annotations

__tracebackhide__ = True

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.shapes import not_one_class
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy
from pytest_modelgate.metrics.labels import class_indices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_modelgate.metrics.labels import Label

LEFT_OUT = -1
"""What stands among the indices of integer names for targets that are ignored."""
COUNTS_ALONE = (
    "keep='counts' keeps no single sample, and the decisions within a sample hang together: bounds that took them for "
    "independent would be too narrow; say keep='auto'"
)


class Flattener:
    """Turns targets [N, *D] with outputs [N, K, *D] or [N, *D, K] into rows, and leaves out what is to be ignored.

    Arrays and tensors alike. Batches of one class a sample with nothing to leave out are passed on as they are.

    Args:
        kind: what the outputs are: "logits", "probabilities" or "labels".
        task: "binary", "multiclass", or None; outputs of the targets' shape need it.
        keep: as for `evaluate`.
        ignore: the target that is left out, or None.
        classes_first: whether the classes are known to be dimension 1, as torch's losses take them.

    Attributes:
        samples: how many samples came in.
        several: whether a sample had more than one decision.
    """

    def __init__(self, *, kind: str, task: str | None, keep: str, ignore: int | None, classes_first: bool) -> None:
        self._kind = kind
        self._task = task
        self._keep = keep
        self._ignore = ignore
        self._axis: int | None = 1 if classes_first else None
        self._units_kept = False
        self.samples = 0
        self.several = False

    def twin(self) -> Flattener:
        """One in its first state."""
        twin = Flattener(kind=self._kind, task=self._task, keep=self._keep, ignore=self._ignore, classes_first=False)
        twin._axis = self._axis
        return twin

    def takes(self, outputs: NDArray[Any], target: NDArray[Any]) -> bool:
        """Whether `flat` would pass this batch on as it is; if so, it counts as passed. Quicker for small batches."""
        if target.ndim != 1 or outputs.ndim not in (1, 2) or self._units_kept or len(outputs) != len(target):
            return False
        if self._ignore is not None and target.dtype.kind in "iufb" and np.count_nonzero(target == self._ignore):
            return False
        self.samples += len(target)
        return True

    def flat(self, outputs: Any, target: Any) -> tuple[Any, Any, NDArray[np.int64] | None]:
        """The batch's outputs [M] or [M, K], its targets [M], and the sample of each [M], counted from the first.

        The samples are None as long as row i is sample i. Where they are told for the first time, those of all
        earlier batches come before them.

        Raises:
            EvidenceError: shapes that do not fit, or do not tell where the classes are.
        """
        shape = target.shape
        if not shape or not outputs.shape or outputs.shape[0] != shape[0]:
            return outputs, target, None  # refused with all other shapes that do not fit
        before = self.samples
        self.samples += shape[0]
        places = 1
        if len(outputs.shape) > 2 or prod(shape[1:]) != 1:
            outputs, target, places = self._rows(outputs, target)
        kept = None
        if self._ignore is not None:
            actual = to_numpy(target).reshape(len(target))
            kept = actual != self._ignore if actual.dtype.kind in "iufb" else None
            if kept is not None and kept.all():
                kept = None
        if places == 1 and kept is None and not self._units_kept:
            return outputs, target, None
        units = np.repeat(np.arange(before, self.samples), places)
        if kept is not None:
            mask: Any = target.reshape(len(target)) != self._ignore  # of the targets' own kind
            outputs = outputs[mask.to(outputs.device) if hasattr(mask, "to") else mask]
            target, units = target[mask], units[kept]
        if not self._units_kept:
            self._units_kept = True
            units = np.concatenate((np.arange(before), units))
        return outputs, target, units

    def _rows(self, outputs: Any, target: Any) -> tuple[Any, Any, int]:
        """Outputs as rows, targets [M], and how many decisions each sample has."""
        given, actual = tuple(outputs.shape), tuple(target.shape)
        squeezed = (actual[0], *actual[2:])
        channel = len(actual) > 2 and actual[1] == 1
        if channel and (given == squeezed or (len(given) == len(actual) and given[2:] == actual[2:])):
            actual = squeezed  # a mask with a channel of its own: [N, 1, H, W]
        elif given == actual and not self._known(given):
            raise not_one_class(given, tuple(target.shape))
        places = prod(actual[1:])
        if places > 1:
            self.several = True
            if self._keep == "counts":
                raise EvidenceError(COUNTS_ALONE)
        if given == actual:
            return outputs.reshape(-1), target.reshape(-1), places
        axis = self._classes_at(given, actual)
        if axis is None:
            raise not_one_class(given, tuple(target.shape))
        if axis == 1:
            outputs = outputs.movedim(1, -1) if hasattr(outputs, "movedim") else np.moveaxis(outputs, 1, -1)
        return outputs.reshape(-1, given[axis]), target.reshape(-1), places

    def _known(self, shape: tuple[int, ...]) -> bool:
        """Whether outputs of the targets' shape are known to be one decision at each place."""
        return self._task == "binary" or (self._kind == "labels" and self._task is not None)

    def _classes_at(self, given: tuple[int, ...], actual: tuple[int, ...]) -> int | None:
        """The dimension of the classes: 1 or -1; None where the shapes do not fit."""
        if len(given) != len(actual) + 1 or self._kind == "labels":
            return None
        fitting = [axis for axis, rest in ((1, given[2:]), (-1, given[1:-1])) if rest == actual[1:]]
        if len(fitting) < 2:
            if fitting and self._axis not in (None, *fitting):
                where = {1: "[N, K, *D]", -1: "[N, *D, K]"}
                raise EvidenceError(
                    f"outputs of shape {list(given)} have their classes as in {where[fitting[0]]}, the batches before "
                    f"(or the loss) as in {where[self._axis or 1]}; the model must give one shape"
                )
            self._axis = fitting[0] if fitting else self._axis
            return fitting[0] if fitting else None
        if self._axis is None and prod(given[1:]) > 1:
            raise EvidenceError(
                f"outputs of shape {list(given)} for targets of shape {list(actual)} may be [N, K, *D] or [N, *D, K]: "
                "give a torch loss such as CrossEntropyLoss, which takes [N, K, *D], or rows [N * D, K] with groups="
            )
        return self._axis or 1


def encoded(target: NDArray[Any], labels: Sequence[Label] | None, ignore: int | None) -> NDArray[Any]:
    """Targets of any shape as indices, by `class_indices`; those to ignore as `LEFT_OUT`.

    >>> encoded(np.array([[5, 9], [3, 5]]), (3, 5), 9).tolist()
    [[1, -1], [0, 1]]
    """
    if ignore is None or target.dtype.kind in "US":
        return class_indices(target.reshape(-1), labels, "target").reshape(target.shape) if target.ndim else target
    codes = np.full(target.shape, LEFT_OUT, dtype=np.int64)
    kept = target != ignore
    codes[kept] = class_indices(target[kept], labels, "target")
    return codes
