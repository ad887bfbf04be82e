"""The confusion matrix: a frozen, mergeable table of counts with named classes. Rows are actual, columns predicted."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex

import numpy as np

from pytest_modelgate.exceptions import EvidenceError, MetricError
from pytest_modelgate.metrics.arrays import some_of, to_numpy, whole_numbers
from pytest_modelgate.metrics.counting import check_same_length, labels_to_counts
from pytest_modelgate.metrics.labels import Label as Label
from pytest_modelgate.metrics.labels import check_labels as check_labels
from pytest_modelgate.metrics.labels import class_indices as class_indices
from pytest_modelgate.metrics.labels import count_classes, holds_names, sorted_names
from pytest_modelgate.metrics.labels import index_of as index_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

DRAWN_CLASSES = 10
"""The largest number of classes that `str()` draws as a table."""


class OneVsRest(NamedTuple):
    """One class against all others: true and false positives, false and true negatives."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n(self) -> int:
        """All samples."""
        return self.tp + self.fp + self.fn + self.tn


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class ConfusionMatrix:
    """How many samples of each actual class (row) were predicted as each class (column).

    Args:
        counts: nested lists, an array or a tensor of shape [K, K], K at least 2; whole numbers, none negative.
        labels: the names of the classes, K different strings or integers; by default 0 to K - 1.

    Raises:
        EvidenceError: another shape, counts that are not counts, a sum that int64 cannot hold, wrong labels.

    >>> matrix = ConfusionMatrix([[45, 5], [10, 40]], labels=("ok", "fraud"))
    >>> print(matrix)
                    predicted ok   predicted fraud
    actual ok                 45                 5
    actual fraud              10                40
    >>> matrix.metric("recall", label="fraud")
    0.8
    >>> (matrix + matrix).n
    200
    """

    counts: NDArray[np.int64]
    labels: tuple[Label, ...]
    origin: Any

    def __init__(self, counts: object, labels: Iterable[Label] | None = None) -> None:
        table = _checked_counts(counts)
        object.__setattr__(self, "counts", table)
        object.__setattr__(self, "labels", check_labels(range(len(table)) if labels is None else labels, len(table)))
        object.__setattr__(self, "origin", None)

    def with_origin(self, origin: object) -> ConfusionMatrix:
        """The same table, which knows what it was derived from; that takes no part in `==`, `repr` and JSON."""
        table = object.__new__(ConfusionMatrix)
        for name, value in (("counts", self.counts), ("labels", self.labels), ("origin", origin)):
            object.__setattr__(table, name, value)
        return table

    @classmethod
    def zeros(cls, labels: SupportsIndex | Iterable[Label]) -> ConfusionMatrix:
        """No samples yet, for so many classes or for these: the start of a sum."""
        names = check_labels(labels if isinstance(labels, Iterable) else range(labels))
        return cls(np.zeros((len(names), len(names)), dtype=np.int64), names)

    @classmethod
    def from_labels(
        cls,
        *,
        target: object,
        preds: object,
        num_classes: int | None = None,
        labels: Iterable[Label] | None = None,
    ) -> ConfusionMatrix:
        """Count samples from the actual and the predicted class of each.

        Args:
            target: the actual classes, shape [N]: a sequence, array or tensor of indices from 0, or of names.
            preds: the predicted classes, likewise.
            num_classes: K, for indices; by default what `labels` say, else the largest index + 1, at least 2.
            labels: the names of the classes. Where they are integers, the data are read as these names.
                By default the indices, or the sorted names that occur.

        Raises:
            EvidenceError: lengths that differ, indices out of range, an unknown name, nothing to tell the classes by.

        >>> ConfusionMatrix.from_labels(target=[0, 1, 1, 1], preds=[0, 0, 1, 1]).counts.tolist()
        [[1, 0], [1, 2]]
        >>> ConfusionMatrix.from_labels(target=["cat", "dog"], preds=["cat", "cat"]).labels
        ('cat', 'dog')
        """
        names = None if labels is None else check_labels(labels, num_classes)
        actual, predicted = to_numpy(target), to_numpy(preds)
        check_same_length(actual, predicted)
        if names is None and len(actual) == 0 and num_classes is None:
            raise EvidenceError("no samples, so the classes are unknown: give num_classes= or labels=")
        if names is None and (holds_names(actual) or holds_names(predicted)):
            names = check_labels(sorted_names(actual, predicted), num_classes)
        if names is None:
            actual, predicted = whole_numbers(actual, "target"), whole_numbers(predicted, "preds")
            names = check_labels(range(count_classes(actual, predicted) if num_classes is None else num_classes))
        actual, predicted = class_indices(actual, names, "target"), class_indices(predicted, names, "preds")
        return cls(labels_to_counts(actual, predicted, len(names)), names)

    @classmethod
    def from_counts(
        cls,
        *,
        tp: SupportsIndex,
        fp: SupportsIndex,
        fn: SupportsIndex,
        tn: SupportsIndex,
        labels: Iterable[Label] = ("negative", "positive"),
    ) -> ConfusionMatrix:
        """The table of two classes, the second of which is the positive one.

        >>> ConfusionMatrix.from_counts(tp=8, fp=1, fn=2, tn=9).metric("precision")
        0.8888888888888888
        """
        return cls([[tn, fp], [fn, tp]], labels)

    @property
    def n(self) -> int:
        """All samples."""
        return int(self.counts.sum())

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.labels)

    @property
    def support(self) -> NDArray[np.int64]:
        """The samples of each actual class: int64 [K]."""
        return np.asarray(self.counts.sum(axis=1))

    def index_of(self, label: Label) -> int:
        """The row of a class, given its name, or its index where no name is equal to it; else MetricError."""
        return index_of(self.labels, label)

    def one_vs_rest(self, label: Label) -> OneVsRest:
        """The table of one class against all others; MetricError where there is no such class."""
        k = self.index_of(label)
        tp = int(self.counts[k, k])
        fn, fp = int(self.counts[k].sum()) - tp, int(self.counts[:, k].sum()) - tp
        return OneVsRest(tp=tp, fp=fp, fn=fn, tn=self.n - tp - fn - fp)

    def every_one_vs_rest(self) -> list[OneVsRest]:
        """The table of each class against all others, in the order of the labels."""
        n = self.n
        columns = zip(
            self.counts.diagonal().tolist(),
            self.counts.sum(axis=0).tolist(),
            self.counts.sum(axis=1).tolist(),
            strict=True,
        )
        return [OneVsRest(hits, found - hits, there - hits, n - there - found + hits) for hits, found, there in columns]

    def normalized(self, over: str) -> np.ma.MaskedArray[Any, np.dtype[np.float64]]:
        """The counts as shares of each row ("true"), each column ("pred") or all samples ("all"): float64 [K, K].

        Shares of nothing are masked. MetricError for any other word.
        """
        if over not in ("true", "pred", "all"):
            raise MetricError(f"normalized takes 'true', 'pred' or 'all', not {over!r}")
        whole = self.counts.sum(axis={"true": 1, "pred": 0, "all": None}[over], keepdims=True)
        whole = np.broadcast_to(whole, self.counts.shape)
        shares = np.divide(self.counts, whole, out=np.zeros(self.counts.shape), where=whole > 0)
        return np.ma.MaskedArray(shares, mask=whole == 0)

    def metric(
        self, name: str, *, label: Label | None = None, average: str | None = None, **parameters: float
    ) -> float | None:
        """The value of a metric, or None where it is undefined.

        Args:
            name: such as "recall"; `pytest_modelgate.metrics.registry.METRICS` has them all.
            label: the class; by default the last of two.
            average: "macro", "micro" or "weighted" over all classes, instead of `label`.
            parameters: such as `beta=2` of "fbeta".

        Raises:
            MetricError: an unknown metric, class, average or parameter.
        """
        from pytest_modelgate.metrics.registry import measure

        return measure(name, self, label=label, average=average, parameters=parameters).value

    def per_class(self, name: str, **parameters: float) -> dict[Label, float | None]:
        """The value of a metric for each class, None where it is undefined; MetricError as in `metric`."""
        from pytest_modelgate.metrics.registry import measure

        return {label: measure(name, self, label=label, parameters=parameters).value for label in self.labels}

    def to_dict(self) -> dict[str, Any]:
        """The matrix as plain types that JSON can hold."""
        return {"labels": list(self.labels), "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ConfusionMatrix:
        """The matrix that `to_dict` was called on; EvidenceError where a key is missing."""
        missing = {"labels", "counts"} - set(plain)
        if missing:
            raise EvidenceError(f"a confusion matrix needs the keys 'labels' and 'counts'; missing: {sorted(missing)}")
        return cls(plain["counts"], plain["labels"])

    def __add__(self, other: object) -> ConfusionMatrix:
        """The counts of both; EvidenceError where the classes differ."""
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        if self.labels != other.labels:
            raise EvidenceError(f"confusion matrices of different classes: {self.labels!r} and {other.labels!r}")
        if self.n + other.n > np.iinfo(np.int64).max:
            raise EvidenceError("the sum of these confusion matrices does not fit into int64")
        total = ConfusionMatrix(self.counts + other.counts, self.labels)
        known = self.origin is not None and other.origin is not None
        return total.with_origin(self.origin.plus(other.origin)) if known else total

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        return self.labels == other.labels and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash((self.labels, self.counts.tobytes()))

    def __reduce__(self) -> tuple[type[ConfusionMatrix], tuple[list[list[int]], tuple[Label, ...]]]:
        """Pickle through the constructor, so that a copy is checked and read-only too."""
        return ConfusionMatrix, (self.counts.tolist(), self.labels)

    def __repr__(self) -> str:
        if self.num_classes > DRAWN_CLASSES:
            return f"<ConfusionMatrix of {self.num_classes} classes, {self.n} samples>"
        return f"ConfusionMatrix({self.counts.tolist()!r}, labels={self.labels!r})"

    def __str__(self) -> str:
        """The table, with rows and columns named; with more than ten classes the most frequent confusions."""
        if self.num_classes > DRAWN_CLASSES:
            return self._most_frequent_confusions()
        names = [str(label) for label in self.labels]
        lines = [["", *(f"predicted {name}" for name in names)]]
        lines += [[f"actual {name}", *map(str, row)] for name, row in zip(names, self.counts.tolist(), strict=True)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "   ".join([line[0].ljust(widths[0] + 1), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
        )

    def _most_frequent_confusions(self) -> str:
        head = f"{self.num_classes} classes, {self.n} samples"
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        cells = np.argsort(-wrong, axis=None, kind="stable")[:10]
        cells = cells[wrong.ravel()[cells] > 0]
        if len(cells) == 0:
            return f"{head}, no confusions"
        rows = [
            (f"actual {self.labels[i]}", f"predicted {self.labels[j]}", str(wrong[i, j]))
            for i, j in zip(*np.unravel_index(cells, wrong.shape), strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{a.ljust(widths[0])}   {p.ljust(widths[1])}   {c.rjust(widths[2])}" for a, p, c in rows]
        return "\n".join([f"{head}, most frequent confusions:", *lines])


def _checked_counts(counts: object) -> NDArray[np.int64]:
    """A read-only copy as int64 [K, K] whose sum fits int64."""
    array = to_numpy(counts)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise EvidenceError(f"counts must have the shape [K, K] with K >= 2, not {list(array.shape)}")
    whole = whole_numbers(array, "counts")
    if whole.dtype.kind == "i" and (negative := whole < 0).any():
        raise EvidenceError(f"counts must not be negative: {some_of(whole, negative)}")
    largest = int(whole.max())
    if largest * whole.size > np.iinfo(np.int64).max and sum(whole.ravel().tolist()) > np.iinfo(np.int64).max:
        raise EvidenceError(f"counts must have a sum below 2**63; the largest is {largest}")
    table = whole.astype(np.int64, order="C", copy=True)
    table.flags.writeable = False
    return table
