"""What is kept of each sample while batches come in."""

from __future__ import annotations

__tracebackhide__ = True

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.identity import hash_names
from pytest_modelgate.evidence.outputs import check_weights
from pytest_modelgate.exceptions import EvidenceError, did_you_mean
from pytest_modelgate.metrics.arrays import as_floats
from pytest_modelgate.metrics.samples import Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DESIGN = ("ids", "groups", "weights")


class Rows:
    """Gathers the columns of `Samples`.

    Losses and regression values are kept unless only counts are; classes only where samples have ids, groups or
    weights, since counts tell as much otherwise.

    Args:
        keep: "counts" keeps no single sample.
        ids: a name for each sample, in the order of the data, or "content" where hashes of the inputs will be kept.
        groups: the group that each sample belongs to.
        weights: how much each sample counts.
    """

    def __init__(self, *, keep: str, ids: Any, groups: Any, weights: Any) -> None:
        self.by_content = isinstance(ids, str) and ids == "content"
        if isinstance(ids, str) and not self.by_content:
            meant = did_you_mean(ids, ["content"])
            raise EvidenceError(f"ids={ids!r} is a single name; give one for each sample, or ids='content'{meant}")
        self._design = {
            "ids": None if ids is None or self.by_content else hash_names(ids, "ids"),
            "groups": None if groups is None else hash_names(groups, "groups"),
            "weights": None if weights is None else check_weights(weights),
        }
        self._classes = self.by_content or any(column is not None for column in self._design.values())
        if self._classes and keep == "counts":
            raise EvidenceError("ids, groups and weights are kept sample by sample: say keep='auto', not 'counts'")
        self._wanted = keep != "counts"
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._forgotten: set[str] = set()

    def twin(self) -> Rows:
        """An empty copy for another model's outputs on the same samples: their ids, groups and weights are shared."""
        twin = copy.copy(self)
        twin._parts, twin._forgotten = {}, set()
        return twin

    def keep(self, **columns: NDArray[Any] | None) -> None:
        """More entries of some columns; None is nothing."""
        for name, column in columns.items():
            if column is not None and self._wanted:
                self._parts.setdefault(name, []).append(column)

    def forget(self, *names: str) -> None:
        """These columns are not known of every sample."""
        self._forgotten.update(names)

    def decided(self, target: NDArray[Any], preds: NDArray[Any], ranks: NDArray[Any] | None = None) -> None:
        """The actual and predicted class of each sample of a batch, and the actual one's rank where it is known."""
        if self._classes:
            self.keep(target=_small(target), preds=_small(preds), ranks=None if ranks is None else _small(ranks))

    def valued(self, outputs: NDArray[Any], target: NDArray[Any]) -> None:
        """A regression's predicted and true values, where there is one for the other."""
        if target.size != outputs.size or target.dtype.kind not in "fiub":
            self.forget("actual", "predicted")
            return
        predicted = as_floats(outputs, "values").reshape(len(outputs), -1)
        actual = as_floats(target, "target").reshape(len(target), -1)
        one = predicted.shape[1] == 1
        self.keep(actual=actual[:, 0] if one else actual, predicted=predicted[:, 0] if one else predicted)

    def finish(self, samples: int) -> Samples:
        """The columns of so many samples; an `EvidenceError` where there is not one id, group or weight for each."""
        columns = {name: np.concatenate(parts) for name, parts in self._parts.items() if name not in self._forgotten}
        columns |= {name: column for name, column in self._design.items() if column is not None}
        for name in _DESIGN:
            if name in columns and len(columns[name]) != samples:
                raise EvidenceError(f"{len(columns[name]):,} {name} for {samples:,} samples: give one for each sample")
        return Samples(**columns)


def _small(numbers: NDArray[Any]) -> NDArray[Any]:
    """Class numbers in four bytes, or fewer if they came in fewer."""
    return numbers if numbers.dtype.itemsize <= 4 else numbers.astype(np.int32)
