"""What is kept of each sample while batches come in."""

from __future__ import annotations

__tracebackhide__ = True

import copy
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.growing import Growing
from pytest_modelgate.evidence.identity import hash_names, numbered
from pytest_modelgate.evidence.outputs import check_weights
from pytest_modelgate.exceptions import EvidenceError, did_you_mean
from pytest_modelgate.metrics.arrays import as_floats
from pytest_modelgate.metrics.counting import index_dtype
from pytest_modelgate.metrics.samples import Samples
from pytest_modelgate.metrics.slicing import SliceColumn, check_name, joined, slice_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DESIGN = ("ids", "groups", "weights")


class Rows:
    """Gathers the columns of `Samples`.

    Losses and regression values are kept unless only counts are; classes only where samples have ids, groups, weights
    or slices, since counts tell as much otherwise. With slices they are kept with counts alone, too.

    Where a sample has several decisions, such as one a pixel, `keep(unit=...)` tells the row number of each decision's
    sample, in order; ids, groups, weights and slices are one a sample, all else is one a decision.

    Args:
        keep: "counts" keeps no single sample.
        ids: a name for each sample, in the order of the data, or "content" where hashes of the inputs will be kept.
        slices: what the samples are cut by: each column's name with its values, or with a function for `cut`.
        groups: the group that each sample belongs to.
        weights: how much each sample counts.
        later: those of "ids", "groups" and "weights" that come batch by batch through `keep`: ids and groups hashed.
    """

    def __init__(
        self, *, keep: str, ids: Any, slices: Any = None, groups: Any, weights: Any, later: Collection[str] = ()
    ) -> None:
        self.by_content = isinstance(ids, str) and ids == "content"
        if isinstance(ids, str) and not self.by_content:
            meant = did_you_mean(ids, ["content"])
            raise EvidenceError(f"ids={ids!r} is a single name; give one for each sample, or ids='content'{meant}")
        self._design = {
            "ids": None if ids is None or self.by_content else hash_names(ids, "ids"),
            "groups": None if groups is None else hash_names(groups, "groups"),
            "weights": None if weights is None else check_weights(weights),
        }
        self._wanted = keep != "counts"
        designed = self.by_content or bool(later) or any(column is not None for column in self._design.values())
        if designed and not self._wanted:
            raise EvidenceError("ids, groups and weights are kept sample by sample: say keep='auto', not 'counts'")
        given = _check_slices(slices)
        self._slices = {name: None if callable(one) else slice_column(name, one) for name, one in given.items()}
        self._predicates = {name: one for name, one in given.items() if callable(one)}
        self._said: dict[str, list[SliceColumn]] = {}
        self._cut = 0
        self._classes, self._skipped = designed or bool(given), False
        self._kept: dict[str, Growing] = {}
        self._forgotten: set[str] = set()

    def twin(self) -> Rows:
        """An empty copy for another model's outputs on the same samples: their design and slices are shared.

        What depends on the inputs, ids by content and slices by a function, is left out.
        """
        twin = copy.copy(self)
        twin._kept, twin._forgotten, twin._said, twin._predicates = {}, set(), {}, {}
        twin._skipped = False
        return twin

    @property
    def needs_batches(self) -> bool:
        """Whether there are functions to ask what they say of each batch; see `cut`."""
        return bool(self._predicates)

    def cut(self, *batch: Any, samples: int) -> None:
        """Ask the functions among the slices what they say of a batch of so many samples: `function(*batch)`."""
        for name, predicate in self._predicates.items():
            said = slice_column(name, predicate(*batch), start=self._cut)
            if len(said) != samples:
                raise EvidenceError(
                    f"slices {name!r}: its function gave {len(said):,} values for a batch of {samples:,} samples; "
                    "give one for each"
                )
            self._said.setdefault(name, []).append(said)
        self._cut += samples

    def keep(self, **columns: NDArray[Any] | None) -> None:
        """More entries of some columns; None is nothing."""
        self._classes = self._classes or (columns.get("unit") is not None and not self._skipped)
        for name, column in columns.items():
            if column is not None and (self._wanted or name == "unit"):
                self._kept.setdefault(name, Growing()).append(column)

    def sorted_ids(self) -> NDArray[np.uint64]:
        """The ids that came through `keep` so far, in order."""
        return np.sort(self._kept["ids"].filled)

    def forget(self, *names: str) -> None:
        """These columns are not known of every sample."""
        self._forgotten.update(names)

    def decided(self, target: NDArray[Any], preds: NDArray[Any], ranks: NDArray[Any] | None = None) -> None:
        """The actual and predicted class of each sample of a batch, and the actual one's rank where it is known."""
        if not self._classes:
            self._skipped = True
            return
        for name, column in (("target", target), ("preds", preds), ("ranks", ranks if self._wanted else None)):
            if column is not None:
                self._kept.setdefault(name, Growing()).append(_small(column))

    def valued(self, outputs: NDArray[Any], target: NDArray[Any]) -> None:
        """A regression's predicted and true values, where there is one for the other."""
        if target.size != outputs.size or target.dtype.kind not in "fiub":
            self.forget("actual", "predicted")
            return
        predicted = as_floats(outputs, "values").reshape(len(outputs), -1)
        actual = as_floats(target, "target").reshape(len(target), -1)
        one = predicted.shape[1] == 1
        self.keep(actual=actual[:, 0] if one else actual, predicted=predicted[:, 0] if one else predicted)

    def finish(self, decisions: int, samples: int | None = None) -> Samples:
        """The columns of so many decisions, by default one a sample; to be called once.

        Args:
            decisions: how many rows there are.
            samples: of how many samples they are, where `unit` was kept.

        Raises:
            EvidenceError: there is not one id, group, weight or slice for each sample.
        """
        columns = {name: column.take() for name, column in self._kept.items() if name not in self._forgotten}
        columns |= {name: column for name, column in self._design.items() if column is not None}
        slices = {name: column for name, column in self._slices.items() if column is not None}
        slices |= {name: joined(parts) for name, parts in self._said.items()}
        unit = columns.pop("unit", None)
        of = decisions if unit is None else int(unit.max()) + 1 if samples is None else samples
        for name, each in [(name, columns[name]) for name in _DESIGN if name in columns] + [
            (f"slices {name!r}", column) for name, column in slices.items()
        ]:
            if len(each) != of:
                raise EvidenceError(f"{len(each):,} {name} for {of:,} samples: give one for each sample")
        every = tuple(slices[name] for name in self._slices if name in slices) or None
        if unit is None:
            return Samples(**columns, slices=every)
        return Samples(**_repeated(columns, unit), slices=every and tuple(column.take(unit) for column in every))


def _check_slices(slices: Any) -> Mapping[str, Any]:
    if slices is None:
        return {}
    if not isinstance(slices, Mapping):
        raise EvidenceError(
            f"slices= takes a mapping of names to columns, such as {{'region': regions}}, not {type(slices).__name__}"
        )
    return {check_name(name): column for name, column in slices.items()}


def _repeated(columns: dict[str, NDArray[Any]], unit: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The columns with ids, groups and weights for each decision; decisions of a sample are a group by default."""
    position = np.arange(len(unit)) - np.searchsorted(unit, unit)  # within its sample: they stand in order
    design = {name: columns[name] for name in _DESIGN if name in columns}
    if "groups" not in design:
        design["groups"] = design["ids"] if "ids" in design else _groups_of(unit, columns)
    design = {name: column[unit] for name, column in design.items()}
    if "ids" in design:
        design["ids"] = numbered(design["ids"], position)
    return columns | design


def _groups_of(unit: NDArray[np.int64], columns: dict[str, NDArray[Any]]) -> NDArray[np.uint64]:
    """A name for each sample that has no id, [samples]: its row number in this set, which its targets tell from others.

    So that samples of two sets that are added up stay apart, and two models' evidence of one set has the same groups.
    """
    told = columns.get("target", columns.get("actual", unit))
    digest = blake2b(told.tobytes(), digest_size=8).digest()
    numbers = hash_names(np.arange(int(unit.max(initial=-1)) + 1), "groups")
    return np.asarray(numbers ^ np.uint64(int.from_bytes(digest, "little")))


def _small(numbers: NDArray[Any]) -> NDArray[Any]:
    """Class numbers in as few bytes as their greatest needs."""
    return numbers.astype(index_dtype(int(numbers.max(initial=0)) + 1), copy=False)
