"""What was measured of a model on a set of samples: a frozen value that merges."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_modelgate.evidence.memory import Memory, as_key
from pytest_modelgate.evidence.origin import Origin
from pytest_modelgate.evidence.shapes import Task
from pytest_modelgate.evidence.sources import no_matrix, source_of
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.computing import WEIGHTLESS
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.metrics.measurement import Bounds, Measurement
from pytest_modelgate.metrics.ranking import RankCounts, Scores
from pytest_modelgate.metrics.registry import get_metric
from pytest_modelgate.metrics.samples import Samples
from pytest_modelgate.metrics.weighting import weighted_matrix
from pytest_modelgate.statistics.interval import check_level

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from pytest_modelgate.evidence.multilabel import Multilabel
    from pytest_modelgate.evidence.slices import Slices
    from pytest_modelgate.evidence.thresholds import Thresholds
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.metric import Metric
    from pytest_modelgate.statistics.interval import Interval

Outputs = Literal["logits", "probabilities", "labels", "values", "counts"]
_COMPARED = ("task", "n", "outputs", "threshold", "matrix", "mean_loss", "ranks", "scores", "samples", "multilabel")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Evaluation:
    """Sufficient statistics of a model's outputs on `n` samples; `a + b` is the evidence of both sets.

    Made by `evaluate`, by the fixture `evaluate_model` or by `Evaluation.from_predictions`. Equality does not depend
    on the order of the samples.

    Attributes:
        task: "binary", "multiclass", "multilabel" or "regression".
        n: how many samples; of tokens and pixels how many decisions.
        labels: the class names, in the order of the indices; empty for regression.
        outputs: what the model gave: "logits", "probabilities", "labels" or "values"; "counts" for a matrix alone.
        threshold: a sample is positive iff its probability is at least this; None but for binary scores.
        mean_loss: the exact mean loss, where a loss was given.
        ranks: how often the target's class was ranked first, second, ...; what top-k accuracy needs.
        scores: score and target of each sample, where they were kept; what ROC-AUC, Brier score and calibration need.
        samples: what else was kept of each sample: losses, regression values, ids, groups, weights, slices.
        multilabel: the evaluations of the single labels, where samples have several; None for other tasks.
        fingerprint: a number that names the data, alike in any order; None where it is not known. Not compared.
    """

    task: Task
    n: int
    outputs: Outputs
    matrix: ConfusionMatrix | None = None
    threshold: float | None = None
    mean_loss: MeanLoss | None = None
    ranks: RankCounts | None = None
    scores: Scores | None = None
    samples: Samples | None = None
    multilabel: Multilabel | None = None
    fingerprint: int | None = None
    origin: Origin = field(default=Origin())
    _found: Memory = field(default_factory=Memory, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.multilabel is not None:
            object.__setattr__(self, "multilabel", self.multilabel.within(self))

    @classmethod
    def from_predictions(
        cls,
        *,
        target: Any,
        preds: Any,
        outputs: Outputs,
        labels: Sequence[Label] | None = None,
        threshold: float = 0.5,
        ids: Any = None,
        slices: Any = None,
        groups: Any = None,
        weights: Any = None,
        task: str | None = None,
        ignore_index: int | None = None,
        keep: str = "auto",
        file: str | os.PathLike[str] | None = None,
        chunk_rows: int | None = None,
    ) -> Evaluation:
        """The evidence of predictions that any framework made, in memory or in a file.

        Args:
            target: the true classes [N], as indices or as names out of `labels` (where labels are integers, integers
                are names); with "values" the true values [N] or [N, D].
            preds: with "logits" or "probabilities" scores [N] or [N, 1] of the last of two classes, or [N, K];
                with "labels" the predicted classes [N]; with "values" the predicted values.
            outputs: what `preds` are; it is never guessed.
            labels: the class names, in the order of the indices.
            threshold: for two classes: positive iff probability >= threshold; between 0 and 1.
            ids: a name for each sample [N], strings or whole numbers; what a comparison with a baseline needs.
            slices: what the samples are cut by: each slicing's name, with the value of each sample [N].
            groups: the group of each sample [N], such as its patient, where samples of one group hang together.
            weights: how much each sample counts [N]; finite, none negative, not all zero.
            task, ignore_index: as for `evaluate`.
            keep: as for `evaluate`; "scores" keeps the scores of many classes.
            file: a .npz, .csv, .jsonl, .ndjson or .parquet file (text also as .gz); target, preds, ids, groups and
                weights are then names of its columns (preds also a list of K), and slices a list of names.
            chunk_rows: how many rows of the file are read at a time; by default as many as some 32 MB hold.

        Raises:
            EvidenceError: shapes, labels or scores that do not fit together, no samples, or a file that cannot be read.
        """
        from pytest_modelgate.evidence.predicted import from_predictions

        return from_predictions(
            file=file,
            chunk_rows=chunk_rows,
            target=target,
            preds=preds,
            outputs=outputs,
            task=task,
            labels=labels,
            threshold=threshold,
            ids=ids,
            slices=slices,
            groups=groups,
            weights=weights,
            ignore_index=ignore_index,
            keep=keep,
        )

    @classmethod
    def from_confusion_matrix(cls, matrix: ConfusionMatrix) -> Evaluation:
        """The evidence that a confusion matrix alone holds."""
        task: Task = "binary" if matrix.num_classes == 2 else "multiclass"
        origin = matrix.origin or Origin()
        origin = Origin(derivation=origin.then(cls.from_confusion_matrix), tuned=origin.tuned)
        return cls(task=task, n=matrix.n, outputs="counts", matrix=matrix, origin=origin)

    @property
    def confusion_matrix(self) -> ConfusionMatrix:
        """The counts, rows actual, columns predicted; an `EvidenceError` for regression, which has none."""
        if self.matrix is None:
            raise EvidenceError(no_matrix(self))
        origin = Origin(derivation=self.origin.then(_confusion_matrix), tuned=self.origin.tuned)
        return self.matrix.with_origin(origin) if origin.derivation or origin.tuned else self.matrix

    @property
    def labels(self) -> tuple[Label, ...]:
        """The class names, or those of the labels where a sample may have several."""
        named = self.matrix or self.multilabel
        return named.labels if named is not None else ()

    @property
    def loss(self) -> float:
        """The mean loss over the samples; NaN where a sample's loss is not finite."""
        if self.mean_loss is None or self.mean_loss.mean is None:
            raise EvidenceError("no loss was measured: evaluate with loss=..., as in loss=torch.nn.CrossEntropyLoss()")
        return self.mean_loss.mean

    def measure(
        self,
        name: str | Metric,
        *,
        label: Label | None = None,
        average: str | None = None,
        **parameters: Any,
    ) -> Measurement:
        """A metric's value with the counts behind it, or the cause why it is undefined; see `metric`."""
        metric = get_metric(name)
        if self.multilabel is not None and metric.needs != "loss":
            return self.multilabel.measure(metric, label=label, average=average, **parameters)
        rows = self.samples
        asked: dict[str, Any] = {"label": label, "average": average, "parameters": parameters, "rows": rows}
        found = metric.measure(self.source(metric), labels=self.labels, **asked)
        if rows is None or rows.weights is None or metric.needs != "counts" or found.value is None:
            return found
        matrix = self._found.get("weighted", lambda: weighted_matrix(rows, self.confusion_matrix))
        weighed = metric.measure(matrix, **asked)
        return Measurement(weighed.value, found.support, cause=WEIGHTLESS if weighed.value is None else None)

    def bounds(
        self,
        name: str | Metric,
        *,
        label: Label | None = None,
        average: str | None = None,
        confidence: float = 0.95,
        found: Measurement | None = None,
        **parameters: Any,
    ) -> Bounds:
        """What true values of a metric these samples allow, by which method, or why that cannot be told.

        Arguments as in `metric`; `found` is what `measure` gave for them, where it was asked already.
        """
        metric = get_metric(name)
        if found is None:
            found = self.measure(metric, label=label, average=average, **parameters)
        asked: dict[str, Any] = {"label": label, "average": average, "confidence": confidence}
        key = (metric, found, as_key({**asked, **parameters}))
        if self.multilabel is not None and metric.needs != "loss":
            of_labels = self.multilabel
            return self._found.get(key, lambda: of_labels.bounds(metric, found=found, **asked, **parameters))
        rows: dict[str, Any] = {"parameters": parameters, "labels": self.labels, "rows": self.samples}
        return self._found.get(key, lambda: metric.find_bounds(self.source(metric), found, **asked, **rows))

    @property
    def slices(self) -> Slices:
        """The evidence of each slice by name, such as `e.slices["region=north"]`, or `e.slices.by("region")`.

        Raises:
            EvidenceError: the evaluation was made without slices.

        >>> scores = {"target": [0, 1, 1, 1], "preds": [0.1, 0.8, 0.3, 0.8], "outputs": "probabilities"}
        >>> e = Evaluation.from_predictions(**scores, slices={"region": ["north", "north", "south", "south"]})
        >>> {name: one.metric("recall") for name, one in e.slices.by("region").items()}
        {'region=north': 1.0, 'region=south': 0.5}
        """
        from pytest_modelgate.evidence.slices import Slices

        return Slices(self)

    def source(self, metric: Metric) -> Any:
        """What a metric is computed from; an `EvidenceError` where it was not kept."""
        return source_of(self, metric)

    def metric(
        self,
        name: str | Metric,
        *,
        label: Label | None = None,
        average: str | None = None,
        **parameters: Any,
    ) -> float | None:
        """The value of a metric on these samples; None where it is undefined.

        Args:
            name: one of the registry's names, such as "recall", or what `custom_metric` made.
            label: one class, by name or index. With two classes the last is meant where neither is given.
            average: "macro", "micro" or "weighted" over the classes.
            parameters: what the metric takes: `beta` for "fbeta", `k` for "top_k_accuracy".

        Raises:
            MetricError: an unknown metric or label, or one that needs `label` or `average`.
            EvidenceError: what the metric needs was not kept.
        """
        return self.measure(name, label=label, average=average, **parameters).value

    def interval(
        self,
        name: str | Metric,
        *,
        label: Label | None = None,
        average: str | None = None,
        confidence: float = 0.95,
        **parameters: Any,
    ) -> Interval:
        """Two one-sided bounds of a metric, each at `confidence`; arguments as in `metric`.

        Raises:
            EvidenceError: the metric is undefined here, or these samples give it no bounds.
            BarError: unless 0 < confidence < 1.
        """
        check_level(confidence)
        title = get_metric(name).name
        found = self.measure(name, label=label, average=average, **parameters)
        if found.value is None:
            raise EvidenceError(f"{title} is undefined: {found.cause}")
        bounds = self.bounds(name, label=label, average=average, confidence=confidence, found=found, **parameters)
        if bounds.interval is None:
            raise EvidenceError(f"{title} has no bounds here: {bounds.why}")
        return bounds.interval

    def at_threshold(self, threshold: float) -> Evaluation:
        """The same samples, decided at another threshold: positive iff probability >= `threshold`."""
        if self.multilabel is not None:
            return self.multilabel.decided_at(self, threshold)
        from pytest_modelgate.evidence.thresholds import decided_at

        return decided_at(self, threshold)

    def thresholds(self, *, false_positive_cost: float = 1.0, false_negative_cost: float = 1.0) -> Thresholds:
        """What recall, precision and mean cost each distinct threshold gives on these samples; of two classes.

        Args:
            false_positive_cost, false_negative_cost: what a wrong alarm and a miss cost, at least 0.

        Raises:
            EvidenceError: the scores of two classes were not kept, or no sample is positive.
            BarError: a cost that is none.

        >>> scores = {"target": [0, 0, 1, 1], "preds": [0.1, 0.4, 0.3, 0.8], "outputs": "probabilities"}
        >>> print(Evaluation.from_predictions(**scores).thresholds(false_negative_cost=5))
        of 4 samples 2 are 1
        threshold  recall  precision    cost
              0.3   1.000      0.667    0.25  lowest cost
              0.8   0.500      1.000    1.25
        """
        from pytest_modelgate.evidence.thresholds import thresholds_of

        return thresholds_of(self, false_positive_cost=false_positive_cost, false_negative_cost=false_negative_cost)

    def best_threshold(self, *, recall_at_least: float | None = None, precision_at_least: float | None = None) -> float:
        """The threshold that suits best on these samples; see `Thresholds.best_threshold`, `thresholds` has costs."""
        return self.thresholds().best_threshold(recall_at_least=recall_at_least, precision_at_least=precision_at_least)

    def __add__(self, other: Evaluation) -> Evaluation:
        if not isinstance(other, Evaluation):
            return NotImplemented
        from pytest_modelgate.evidence.merging import merged

        return merged(self, other)

    def __radd__(self, other: object) -> Evaluation:
        """So that `sum(evaluations)` works, which starts from 0."""
        return self if other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Evaluation):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        classes = ", ".join(map(repr, self.labels[:5])) + (", ..." if len(self.labels) > 5 else "")
        loss = f"; {self.mean_loss.name} {self.mean_loss.mean:.4g}" if self.mean_loss and self.mean_loss.mean else ""
        return f"<Evaluation of {self.n:,} samples: {self.task} {self.outputs}{f' of {classes}' * bool(classes)}{loss}>"

    def summary(self) -> dict[str, Any]:
        """What the report shows of it, as plain types: counts and means, not the single samples."""
        from pytest_modelgate.evidence.summarising import summary

        return summary(self)

    def to_json(self) -> str:
        """The whole evaluation as JSON text, kept samples included; `from_json` gives it back without loss."""
        from pytest_modelgate.evidence.storing import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Evaluation:
        """The evaluation that `to_json` was called on.

        Raises:
            EvidenceError: the text is no evaluation, or one of a newer version of this package.
        """
        from pytest_modelgate.evidence.storing import from_json

        return from_json(text)


def as_evaluation(evidence: Evaluation | ConfusionMatrix) -> Evaluation:
    """The evidence of a gate: an `Evaluation`, or a `ConfusionMatrix`, which is one without scores and loss."""
    if isinstance(evidence, Evaluation):
        return evidence
    if isinstance(evidence, ConfusionMatrix):
        return Evaluation.from_confusion_matrix(evidence)
    raise EvidenceError(
        f"a gate judges an Evaluation or a ConfusionMatrix, not {type(evidence).__name__}; "
        "evaluate_model(model, data) gives one"
    )


def _confusion_matrix(evaluation: Evaluation) -> ConfusionMatrix:
    return evaluation.confusion_matrix
