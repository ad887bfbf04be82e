"""From outputs and targets, batch by batch, to an `Evaluation`: shapes and values are checked, counts are deferred.

Batches are kept as they come and counted together in chunks: counting each small batch costs more than the maths.
"""

from __future__ import annotations

__tracebackhide__ = True

import copy
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from pytest_modelgate.evidence.evaluation import Evaluation, Task
from pytest_modelgate.evidence.identity import Fingerprint, fingerprint_of_ids, hash_rows
from pytest_modelgate.evidence.origin import Origin
from pytest_modelgate.evidence.outputs import (
    LIKE_PROBABILITIES,
    check_log_probabilities,
    check_probabilities,
    check_threshold,
    decide,
    log_softmax,
    refuse_not_finite,
    within_unit,
)
from pytest_modelgate.evidence.rows import Rows
from pytest_modelgate.evidence.thresholds import tuned
from pytest_modelgate.exceptions import EvidenceError, did_you_mean
from pytest_modelgate.metrics.arrays import as_floats, to_numpy, whole_numbers
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.counting import labels_to_counts, logits_to_labels
from pytest_modelgate.metrics.labels import check_labels, class_indices
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.metrics.ranking import RankCounts, Scores, target_ranks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.samples import Samples

OUTPUTS = ("logits", "probabilities", "labels", "values")
KEEP = ("auto", "counts", "scores")
_FLUSH_SAMPLES = 1 << 15
_FLUSH_NUMBERS = 1 << 20
_SMALL = 1 << 16


class Collector:
    """Collects one pass over the data.

    Args:
        outputs: what the model gives: "logits", "probabilities", "labels" or "values".
        task: "binary", "multiclass" or "regression"; None takes it from the shape of the outputs.
        labels: the class names.
        threshold: for two classes: positive iff probability >= threshold.
        keep: "counts" keeps counts alone; "auto" adds ranks, and the scores of two classes (4 bytes a sample);
            "scores" keeps the scores of many classes too (4 K bytes a sample).
        loss: the loss's name, where losses will be added.
        log_probabilities: whether the "logits" must be log-probabilities, as `NLLLoss` takes them.
        model: the model's name, for the report.
        ids: a name for each sample, in the order of the data, or "content" where `add` will be given them.
        groups: the group that each sample belongs to.
        weights: how much each sample counts.
    """

    def __init__(
        self,
        *,
        outputs: str,
        task: str | None = None,
        labels: Sequence[Label] | None = None,
        threshold: float = 0.5,
        keep: str = "auto",
        loss: str | None = None,
        log_probabilities: bool = False,
        model: str | None = None,
        ids: Any = None,
        groups: Any = None,
        weights: Any = None,
    ) -> None:
        _one_of("outputs", outputs, OUTPUTS)
        _one_of("keep", keep, KEEP)
        if task is not None:
            _one_of("task", task, get_args(Task))
        if (outputs == "values") != (task == "regression") and (task or outputs == "values"):
            if outputs == "values" and task is None:
                task = "regression"
            else:
                raise EvidenceError(f"task={task!r} and outputs={outputs!r} do not fit: 'values' are for 'regression'")
        self.outputs: Any = outputs
        self.task: Any = task
        self.labels = None if labels is None else check_labels(labels)
        self.threshold = check_threshold(threshold)
        self._chosen = threshold
        self.keep = keep
        self.n = 0
        self._counted = 0
        self._model = model
        self._num_classes = 0
        self._columns: int | None = None
        self._pending: list[tuple[Any, Any]] = []
        self._pending_samples = 0
        self._counts: Any = 0
        self._rank_counts: Any = 0
        self._kept: list[tuple[Any, Any]] = []
        self._like_probabilities = outputs == "logits"
        self._log_probabilities = log_probabilities
        self._loss_name = loss
        self._mean_loss = None if loss is None else MeanLoss(name=loss)
        self._losses: list[Any] = []
        self._loss_weights: list[Any] = []
        self._fingerprint = Fingerprint()
        self._rows = Rows(keep=keep, ids=ids, groups=groups, weights=weights)
        self.preds: list[NDArray[Any]] | None = None  # the decisions [n], part by part, where somebody wants them

    def twin(self) -> Collector:
        """An empty collector for another model's outputs on the same samples, which keeps its decisions.

        To be called before anything is added. Ids, groups and weights are shared, ids by content left out. Logits
        that look like probabilities are taken as they are: what these outputs are was told by the first model's.
        """
        twin = copy.copy(self)
        twin._pending, twin._kept, twin._losses, twin._loss_weights = [], [], [], []
        twin._fingerprint, twin._rows = Fingerprint(), self._rows.twin()
        twin._like_probabilities, twin.preds = False, []
        return twin

    @property
    def named_by_integers(self) -> bool:
        """Whether integer targets are names, not indices: labels such as (3, 5)."""
        labels = self.labels or ()
        return any(isinstance(label, int) for label in labels) and labels != tuple(range(len(labels)))

    def encode_target(self, target: Any) -> NDArray[Any]:
        """Targets as an array of indices: names out of `labels` are looked up, which integers are where labels are."""
        array = to_numpy(target)
        if self.outputs in ("values", "labels"):
            return array
        if array.ndim == 2 and array.size == len(array):
            array = array.reshape(len(array))
        return class_indices(array, self.labels, "target")

    def add(self, outputs: NDArray[Any], target: NDArray[Any]) -> None:
        """One batch: outputs [n], [n, 1] or [n, K], targets [n] or [n, 1]."""
        columns = self.check_shapes(outputs.shape, target.shape)
        self.n += len(target)
        self._pending.append((_detached(outputs), _detached(target)))
        self._pending_samples += len(target)
        if self._pending_samples >= _FLUSH_SAMPLES or self._pending_samples * columns >= _FLUSH_NUMBERS:
            self._flush()

    def check_shapes(self, outputs: Sequence[int], target: Sequence[int]) -> int:
        """How many columns a batch's outputs have (1 for [n] and [n, 1]), given both shapes.

        Raises:
            EvidenceError: outputs and targets do not fit together, or not to the batches before.
        """
        columns = self._columns_of(outputs, target)
        if self._columns is None:
            self._begin(columns)
        elif columns != self._columns:
            raise EvidenceError(
                f"a batch has outputs for {columns} classes, the batches before it for {self._columns}; "
                "the model must give one shape"
            )
        return columns

    def add_decided(
        self, preds: NDArray[Any], ranks: NDArray[Any], target: NDArray[Any], *, like_probabilities: bool
    ) -> None:
        """A batch of many classes, whose shapes were checked, that was decided elsewhere: all [n].

        `preds` is the predicted class, `ranks` the target's rank; `like_probabilities` tells whether the outputs
        could be probabilities.
        """
        self._like_probabilities = self._like_probabilities and like_probabilities
        self.n += len(target)
        self._counts = self._counts + labels_to_counts(target, preds, self._num_classes)
        if self.keep != "counts":
            self._rank_counts = self._rank_counts + np.bincount(ranks, minlength=self._num_classes)
        self._decided(target, preds, ranks)

    def _decided(self, target: NDArray[Any], preds: NDArray[Any], ranks: NDArray[Any] | None = None) -> None:
        self._rows.decided(target, preds, ranks)
        if self.preds is not None:
            self.preds.append(preds)

    def add_inputs(self, inputs: Any, target: NDArray[Any] | None) -> None:
        """What tells a batch's inputs from others; the target None where it is not at hand."""
        if self._rows.by_content:
            self._rows.keep(ids=hash_rows(inputs))
        self._fingerprint.add(inputs, target)

    @property
    def needs_content(self) -> bool:
        """Whether samples are named by a hash of their inputs, which `add_inputs` must then be given."""
        return self._rows.by_content

    def add_loss(self, values: NDArray[Any], weights: NDArray[Any] | None = None) -> None:
        """The losses of a batch [n], each times its weight, and the weights [n] that the mean divides by."""
        self._losses.append(_detached(values))
        if weights is not None:
            self._loss_weights.append(_detached(weights))

    def add_mean_loss(self, mean: MeanLoss) -> None:
        """The loss of a batch that is known only as a mean."""
        self._rows.forget("losses", "loss_weights")
        self._add_mean(mean)

    def _add_mean(self, mean: MeanLoss) -> None:
        self._mean_loss = mean if self._mean_loss is None else self._mean_loss + mean

    def finish(self) -> Evaluation:
        """The evaluation of all that was added.

        Raises:
            EvidenceError: nothing was added, or what was added does not fit together.
        """
        if self.n == 0:
            raise EvidenceError("the data set is empty: there is no sample to evaluate")
        self._flush()
        matrix: ConfusionMatrix | None = None
        if self.outputs == "labels":
            preds, target = (np.concatenate(parts) for parts in zip(*self._kept, strict=True))
            matrix = ConfusionMatrix.from_labels(target=target, preds=preds, labels=self.labels)
            if self.task == "binary" and matrix.num_classes > 2:
                raise EvidenceError(f"task='binary', but there are {matrix.num_classes} classes")
            self.task = self.task or ("binary" if matrix.num_classes == 2 else "multiclass")
            self._kept = []
            self._decided(
                class_indices(target, matrix.labels, "target"),
                class_indices(preds, matrix.labels, "preds"),
            )
        elif self.task != "regression":
            matrix = ConfusionMatrix(self._counts, self.labels)
        if self._like_probabilities and self.task != "regression":
            raise EvidenceError(LIKE_PROBABILITIES.format(n=self.n))
        if self.threshold != 0.5 and not self._thresholded:
            raise EvidenceError(
                f"threshold={self.threshold:g} is for the scores of two classes; these are {self.task} {self.outputs}"
            )
        samples = self._rows.finish(self.n)
        scores = None
        if self._kept:
            values, target = (np.concatenate(parts) for parts in zip(*self._kept, strict=True))
            scores = Scores(values, target)
        found = Evaluation(
            task=self.task,
            n=self.n,
            outputs=self.outputs,
            matrix=matrix,
            threshold=self.threshold if self._thresholded else None,
            mean_loss=self._weighed_loss(samples),
            ranks=None if isinstance(self._rank_counts, int) else RankCounts(self._rank_counts),
            scores=scores,
            samples=samples if samples.n else None,
            fingerprint=self._data_fingerprint(samples),
            origin=Origin(model=self._model),
        )
        tuning = tuned(self._chosen, found)
        return found if tuning is None else replace(found, origin=replace(found.origin, tuned=tuning))

    def _weighed_loss(self, samples: Samples) -> MeanLoss | None:
        """The mean loss, in which samples count by their weights where they have some."""
        if self._mean_loss is None or samples.weights is None:
            return self._mean_loss
        if samples.losses is None:
            raise EvidenceError(
                "weights need the loss of each sample, and this loss gives one number a batch; return one a sample"
            )
        each = np.ones(samples.n) if samples.loss_weights is None else samples.loss_weights.astype(np.float64)
        losses = samples.losses.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinite times zero: it is counted as not finite
            return MeanLoss.of(self._mean_loss.name, losses * samples.weights, each * samples.weights)

    def _data_fingerprint(self, samples: Samples) -> int | None:
        if samples.ids is not None:
            return fingerprint_of_ids(samples.ids)
        return self._fingerprint.of(self.n)

    @property
    def _thresholded(self) -> bool:
        return bool(self.task == "binary" and self.outputs != "labels")

    def _columns_of(self, outputs: Sequence[int], target: Sequence[int]) -> int:
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
        if self.outputs == "values":
            return 1
        if prod(target[1:]) != 1:
            raise EvidenceError(
                f"targets of shape {list(target)} are not one class a sample; give class indices [N] "
                "(evaluate several labels a sample one at a time)"
            )
        columns = prod(outputs[1:])
        if columns != 1 and (len(outputs) > 2 or self.outputs == "labels"):
            raise EvidenceError(
                f"outputs of shape {list(outputs)} are not {self.outputs} of one sample a row; "
                + ("give class indices [N]" if self.outputs == "labels" else "give [N], [N, 1] or [N, K]")
            )
        return columns

    def _begin(self, columns: int) -> None:
        """The first batch decides the task and the number of classes."""
        self._columns = columns
        if self.outputs in ("labels", "values"):
            return
        self._num_classes = max(columns, 2)
        task = "binary" if columns <= 2 else "multiclass"
        if self.task == "binary" and columns > 2:
            raise EvidenceError(f"task='binary', but the model gives {columns} outputs a sample")
        if self.task == "multiclass" and columns == 1:
            raise EvidenceError("task='multiclass', but the model gives one output a sample; that is a binary score")
        self.task = self.task or task
        if self.labels is not None and len(self.labels) != self._num_classes:
            raise EvidenceError(
                f"{len(self.labels)} labels {list(self.labels)!r} were given, but the model's outputs tell "
                f"{self._num_classes} classes apart"
            )

    def _flush(self) -> None:
        if self._losses:
            weights = np.concatenate(self._loss_weights) if self._loss_weights else None
            losses = np.concatenate(self._losses)
            self._add_mean(MeanLoss.of(self._loss_name or "loss", losses, weights))
            self._losses, self._loss_weights = [], []
            self._rows.keep(losses=losses, loss_weights=weights)
        if not self._pending:
            return
        if self.outputs == "labels":
            self._kept += [(np.reshape(o, len(o)), np.reshape(t, len(t))) for o, t in self._pending]
        else:
            outputs = np.concatenate([o for o, _ in self._pending])
            if self.outputs == "values":
                refuse_not_finite(outputs, self.outputs, self._counted)
                self._rows.valued(outputs, np.concatenate([t for _, t in self._pending]))
            else:
                target = np.concatenate([t for _, t in self._pending]).reshape(len(outputs))
                self._count(outputs, whole_numbers(target, "target"))
        self._counted += len(outputs) if self.outputs != "labels" else 0
        self._pending, self._pending_samples = [], 0

    def _count(self, outputs: NDArray[Any], target: NDArray[Any]) -> None:
        refuse_not_finite(outputs, self.outputs, self._counted)
        outputs = as_floats(outputs, self.outputs)
        if self._columns == 1:
            outputs = outputs.reshape(len(outputs))
        if self.outputs == "probabilities":
            check_probabilities(outputs)
        elif self._log_probabilities:
            check_log_probabilities(float(np.abs(np.exp(outputs).sum(axis=-1) - 1).max()))
            self._like_probabilities = False
        elif self._like_probabilities:
            self._like_probabilities = within_unit(outputs)
        if self.task == "binary":
            scores = outputs
            if self._columns == 2:
                scores = outputs[:, 1] - outputs[:, 0] if self.outputs == "logits" else outputs[:, 1]
            preds = decide(scores, self.threshold, self.outputs).view(np.uint8)
            self._counts = self._counts + labels_to_counts(target, preds, 2)
            if self.keep != "counts":
                self._kept.append((scores, target.astype(np.uint8)))
            self._decided(target.astype(np.uint8), preds)
        else:
            preds = logits_to_labels(outputs)
            self._counts = self._counts + labels_to_counts(target, preds, self._num_classes)
            ranks = None
            if self.keep != "counts":
                ranks = target_ranks(outputs, target)
                self._rank_counts = self._rank_counts + np.bincount(ranks, minlength=self._num_classes)
            self._decided(target, preds, ranks)
            if self.keep == "scores":
                comparable = log_softmax(outputs) if self.outputs == "logits" else outputs
                self._kept.append((comparable, target.astype(np.int32)))


def _detached(batch: NDArray[Any]) -> NDArray[Any]:
    """A small batch out of the framework's memory: blocks that stay alive there slow its next passes by a tenth."""
    return batch.copy() if batch.nbytes <= _SMALL else batch


def _one_of(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        hint = "; evaluate each label by itself" if value == "multilabel" else did_you_mean(value, choices)
        raise EvidenceError(f"{name}={value!r} is not one of {', '.join(map(repr, choices))}{hint}")
