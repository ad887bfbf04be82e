"""Several labels a sample: counts of each label, and the evaluations of one label and of all decisions."""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.label_counts import count_labels
from pytest_modelgate.evidence.origin import Origin
from pytest_modelgate.evidence.outputs import check_threshold, decide
from pytest_modelgate.exceptions import EvidenceError, MetricError, did_you_mean
from pytest_modelgate.metrics.arrays import whole_numbers
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.labels import check_labels, index_of
from pytest_modelgate.metrics.measurement import Bounds, Measurement, undefined
from pytest_modelgate.metrics.ranking import RankCounts, Scores
from pytest_modelgate.metrics.samples import Samples
from pytest_modelgate.statistics.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.evidence.label_counts import LabelCounts
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.metric import Metric

AVERAGES = ("macro", "micro")
PRESENT = "present"
_POOLED = ("absent", PRESENT)
_HANG_TOGETHER = "a sample's decisions hang together, and keep='counts' kept no single sample to see how"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Multilabel:
    """How often each of L labels was rightly and wrongly given; what `Evaluation.multilabel` is.

    `multilabel["cat"]` is the `Evaluation` of one label alone: of two classes, `'not cat'` and `'cat'`.

    Attributes:
        labels: the names of the labels, in the order of the columns.
        counts: a confusion matrix for each label, int64 [L, 2, 2]: rows actual, columns predicted, absent first.
        exact: for how many samples all labels are right.
    """

    labels: tuple[Label, ...]
    counts: NDArray[np.int64]
    exact: int
    _whole: tuple[Any, ...] = field(default=(None, None, None, None), repr=False)
    _origin: Origin = field(default=Origin(), repr=False)

    def within(self, evaluation: Evaluation) -> Multilabel:
        """The same, which knows what was kept of the samples of the evaluation that it is a part of."""
        whole = (evaluation.outputs, evaluation.threshold, evaluation.samples, evaluation.fingerprint)
        return replace(self, _whole=whole, _origin=evaluation.origin)

    @property
    def n(self) -> int:
        """How many samples."""
        return int(self.counts[0].sum())

    def __getitem__(self, label: Label) -> Evaluation:
        index = index_of(self.labels, label)
        name = self.labels[index]
        kept = self._kept
        rows = scores = None
        if kept is not None:
            assert kept.target is not None
            target, preds = np.ascontiguousarray(kept.target[:, index]), self._column(kept.preds, index)
            rows = replace(_design(kept), target=target, preds=preds)
            if kept.predicted is not None:
                scores = Scores(self._column(kept.predicted, index), target)
        return self._binary(self.counts[index], (f"not {name}", name), rows, scores, str(name), _label, name)

    def __iter__(self) -> Iterator[Label]:
        """The labels, as of a mapping from labels to evaluations."""
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def pooled(self) -> Evaluation:
        """All decisions of all samples as so many samples of two classes, those of one sample as a group."""
        kept = self._kept
        rows = scores = None
        if kept is not None:
            size = len(self.labels)
            assert kept.target is not None
            assert kept.preds is not None
            groups = np.arange(kept.n, dtype=np.uint64) if kept.groups is None else kept.groups
            weights = None if kept.weights is None else np.repeat(kept.weights, size)
            target = kept.target.reshape(-1)
            rows = Samples(groups=np.repeat(groups, size), weights=weights, target=target, preds=kept.preds.reshape(-1))
            if kept.predicted is not None:
                scores = Scores(kept.predicted.reshape(-1), target)
        return self._binary(self.counts.sum(axis=0), _POOLED, rows, scores, "all labels", _pooled)

    def part(self, label: Label | None, average: str | None) -> Evaluation | None:
        """The evaluation of two classes that a metric of one label, or a micro average, is of; None for others."""
        if label is not None:
            return self[label]
        return self.pooled() if average == "micro" else None

    def measure(self, metric: Metric, *, label: Label | None, average: str | None, **parameters: Any) -> Measurement:
        """See `Evaluation.measure`; metrics of the loss alone are not asked here."""
        self._check(metric, label, average, parameters)
        if metric.needs == "matches":
            ranks, rows = self._matches()
            return metric.measure(ranks, rows=rows)
        part = self.part(label, average)
        if part is not None:
            return part.measure(metric, label=None if label is None else part.labels[1], **parameters)
        each = [self[name].measure(metric, **parameters) for name in self.labels]
        for name, found in zip(self.labels, each, strict=True):
            if found.value is None:
                return undefined(f"of label {name!r}, {found.cause}", self.n)
        return Measurement(math.fsum(found.value or 0.0 for found in each) / len(each), self.n)

    def bounds(
        self,
        metric: Metric,
        *,
        label: Label | None,
        average: str | None,
        confidence: float,
        found: Measurement,
        **parameters: Any,
    ) -> Bounds:
        """See `Evaluation.bounds`.

        Those of a mean over labels are the mean of the labels' bounds. Whatever the labels have to do with each other,
        the standard error of a mean is at most the mean of the standard errors.
        """
        self._check(metric, label, average, parameters)
        if metric.needs == "matches":
            ranks, rows = self._matches()
            return metric.find_bounds(ranks, found, rows=rows, confidence=confidence)
        part = self.part(label, average)
        if part is not None:
            if label is None and part.samples is None:
                return Bounds(None, metric.bounded_by, _HANG_TOGETHER)
            name = None if label is None else part.labels[1]
            asked = found if label is not None else part.measure(metric, **parameters)
            return part.bounds(metric, label=name, confidence=confidence, found=asked, **parameters)
        method = f"mean of the labels' bounds: {metric.bounded_by.partition(';')[0].removesuffix(', approximate')}"
        method = f"{method}, approximate"
        if found.value is None:
            return Bounds(None, method, found.cause)
        lowers, uppers = [], []
        remarks: dict[str, None] = {}
        for name in self.labels:
            one = self[name].bounds(metric, confidence=confidence, **parameters)
            if one.interval is None:
                return Bounds(None, method, f"label {name!r} has none: {one.why}")
            lowers.append(one.interval.lower)
            uppers.append(one.interval.upper)
            remarks |= dict.fromkeys(one.remarks)
        interval = Interval(math.fsum(lowers) / len(lowers), math.fsum(uppers) / len(uppers))
        return Bounds(interval, method, remarks=tuple(remarks))

    def majority(self) -> tuple[tuple[Label, ...], float] | None:
        """The most frequent set of labels, and its share of the samples; None where single samples were not kept."""
        kept = self._kept
        if kept is None or kept.target is None:
            return None
        sets = np.packbits(kept.target, axis=1)
        rows = np.ascontiguousarray(sets).view(f"V{sets.shape[1]}").reshape(-1)
        _, first, counts = np.unique(rows, return_index=True, return_counts=True)
        most = int(counts.argmax())
        own = kept.target[first[most]]
        return tuple(name for name, has in zip(self.labels, own, strict=True) if has), int(counts[most]) / len(sets)

    def constant_answer(self) -> str | None:
        """Why exact matches are none of the model's doing: all samples, or all answers, are alike; else None."""
        for axis, what in ((2, "samples have"), (1, "answers are")):
            margins = self.counts.sum(axis=axis)
            if (margins == 0).any(axis=1).all():
                return f"all {self.n:,} {what} the same labels"
        return None

    def take(self, rows: NDArray[Any]) -> Multilabel:
        """The counts of the samples of these row numbers alone, [M].

        Raises:
            EvidenceError: single samples were not kept.
        """
        kept = self._kept
        if kept is None:
            raise EvidenceError("the decisions of single samples were not kept: evaluate with keep='auto'")
        assert kept.target is not None
        assert kept.preds is not None
        counts, exact = count_labels(kept.target[rows], kept.preds[rows])
        return replace(self, counts=counts, exact=exact)

    def decided_at(self, evaluation: Evaluation, threshold: float) -> Evaluation:
        """See `Evaluation.at_threshold`: every label at one threshold."""
        value, kept = check_threshold(threshold), self._kept
        if kept is None or kept.predicted is None or kept.target is None:
            raise EvidenceError("at_threshold needs the scores of every label: evaluate logits with keep='auto'")
        preds = decide(kept.predicted, value, evaluation.outputs).view(np.uint8)
        counts, exact = count_labels(kept.target, preds)
        origin = evaluation.origin
        return replace(
            evaluation,
            samples=replace(kept, preds=preds),
            multilabel=replace(self, counts=counts, exact=exact),
            threshold=value,
            origin=replace(
                origin,
                steps=(*origin.steps, f"at_threshold({value!r})"),
                derivation=origin.then(type(evaluation).at_threshold, threshold),
            ),
        )

    def __add__(self, other: object) -> Multilabel:
        if not isinstance(other, Multilabel):
            return NotImplemented
        return Multilabel(labels=self.labels, counts=self.counts + other.counts, exact=self.exact + other.exact)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Multilabel):
            return NotImplemented
        same = self.labels == other.labels and self.exact == other.exact
        return same and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Multilabel: {len(self.labels)} labels of {self.n:,} samples, {self.exact:,} with all right>"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"labels": list(self.labels), "counts": self.counts.tolist(), "exact": self.exact}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Multilabel:
        """The value that `to_dict` was called on."""
        counts = whole_numbers(plain["counts"], "counts of labels").astype(np.int64)
        if counts.shape != (len(plain["labels"]), 2, 2):
            raise EvidenceError(f"counts of labels have the shape {list(counts.shape)}, not one table a label")
        return cls(labels=check_labels(plain["labels"]), counts=counts, exact=int(plain["exact"]))

    @property
    def _kept(self) -> Samples | None:
        """What was kept of the samples, where their decisions are among it."""
        kept: Samples | None = self._whole[2]
        return None if kept is None or kept.target is None or kept.preds is None else kept

    def _column(self, table: Any, index: int) -> NDArray[Any]:
        return np.ascontiguousarray(table[:, index])

    def _matches(self) -> tuple[RankCounts, Samples | None]:
        """Exact matches as what comes first in a ranking, and the others second."""
        kept, ranks = self._kept, RankCounts([self.exact, self.n - self.exact])
        if kept is None:
            return ranks, None
        assert kept.target is not None
        return ranks, replace(_design(kept), ranks=(kept.target != kept.preds).any(axis=1).view(np.uint8))

    def _binary(
        self,
        counts: NDArray[np.int64],
        labels: Sequence[Label],
        rows: Samples | None,
        scores: Scores | None,
        step: str,
        apply: Callable[..., Any],
        *arguments: Any,
    ) -> Evaluation:
        from pytest_modelgate.evidence.evaluation import Evaluation

        outputs, threshold, _, fingerprint = self._whole
        origin = self._origin
        return Evaluation(
            task="binary",
            n=int(counts.sum()),
            outputs=outputs,
            matrix=ConfusionMatrix(counts, labels),
            threshold=threshold,
            scores=scores,
            samples=rows,
            fingerprint=fingerprint,
            origin=replace(origin, steps=(*origin.steps, step), derivation=origin.then(apply, *arguments)),
        )

    def _check(self, metric: Metric, label: Label | None, average: str | None, parameters: Mapping[str, Any]) -> None:
        """A `MetricError` for what makes no sense of several labels a sample."""
        if metric.needs == "matches":
            metric.request(RankCounts([0, 0]), label=label, average=average, parameters=parameters)
            return
        shown = ", ".join(map(repr, self.labels[:20])) + (", ..." if len(self.labels) > 20 else "")
        if metric.needs in ("ranks", "errors") or not (metric.of_a_class or metric.averages):
            raise MetricError(
                f"{metric.name} is not for several labels a sample: ask a metric of one label (label= one of {shown}), "
                "or exact_match; evaluation.multilabel[label] is the evaluation of one label"
            )
        if label is not None and average is not None:
            raise MetricError(f"{metric.name} takes label= or average=, not both ({label!r} and {average!r})")
        if label is not None:
            index_of(self.labels, label)
            return
        takes = [one for one in AVERAGES if one in metric.averages]
        if average in takes:
            return
        averages = f", average= {' or '.join(map(repr, takes))}" if takes else ""
        hint = did_you_mean(average, takes) if average is not None else ""
        asked = "" if average is None else f", not average={average!r}{hint}"
        raise MetricError(
            f"{metric.name} of {len(self.labels)} labels a sample: say which with label= (one of {shown})"
            f"{averages}{asked}; exact_match asks for all labels at once"
        )


def multilabel_of(counted: LabelCounts, labels: Sequence[Label] | None) -> Multilabel:
    """The counts of all that was added, with these names; by default the numbers of the columns."""
    names = check_labels(range(len(counted.counts)) if labels is None else labels, len(counted.counts))
    return Multilabel(labels=names, counts=counted.counts, exact=counted.exact)


def _design(kept: Samples) -> Samples:
    """The ids, groups, weights and slices alone."""
    return Samples(ids=kept.ids, groups=kept.groups, weights=kept.weights, slices=kept.slices)


def _label(evaluation: Evaluation, name: Label) -> Evaluation:
    assert evaluation.multilabel is not None
    return evaluation.multilabel[name]


def _pooled(evaluation: Evaluation) -> Evaluation:
    assert evaluation.multilabel is not None
    return evaluation.multilabel.pooled()
