"""From outputs and targets, batch by batch, to an `Evaluation`: shapes and values are checked, counts are deferred.

Batches are kept as they come and counted together in chunks: counting each small batch costs more than the maths.
"""

from __future__ import annotations

__tracebackhide__ = True

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.class_counts import ClassCounts
from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.evidence.flattening import LEFT_OUT, Flattener, encoded
from pytest_modelgate.evidence.identity import Fingerprint, fingerprint_of_ids, hash_rows
from pytest_modelgate.evidence.label_counts import LabelCounts
from pytest_modelgate.evidence.loss_sums import LossSums
from pytest_modelgate.evidence.multilabel import multilabel_of
from pytest_modelgate.evidence.origin import Origin
from pytest_modelgate.evidence.outputs import LIKE_PROBABILITIES, check_threshold, refuse_not_finite
from pytest_modelgate.evidence.rows import Rows
from pytest_modelgate.evidence.shapes import KEEP, OUTPUTS, check_task, columns_of, one_of, task_of
from pytest_modelgate.evidence.thresholds import tuned
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy, whole_numbers
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.labels import check_labels, class_indices

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.losses import MeanLoss
    from pytest_modelgate.metrics.samples import Samples

_FLUSH_SAMPLES = 1 << 15
_FLUSH_NUMBERS = 1 << 20
_SMALL = 1 << 16


class Collector:
    """Collects one pass over the data.

    Args:
        outputs: what the model gives: "logits", "probabilities", "labels" or "values".
        task: "binary", "multiclass", "multilabel" or "regression"; None takes it from the shape of the outputs.
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
        ignore_index: targets that are left out, with their outputs.
        classes_first: whether outputs of tokens and pixels are known to be [N, K, *D].
        later: those of "ids", "groups" and "weights" that `add_design` is given batch by batch.
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
        slices: Any = None,
        groups: Any = None,
        weights: Any = None,
        ignore_index: int | None = None,
        classes_first: bool = False,
        later: Collection[str] = (),
    ) -> None:
        one_of("outputs", outputs, OUTPUTS)
        one_of("keep", keep, KEEP)
        self.outputs: Any = outputs
        self.task: Any = check_task(task, outputs, ignore_index)
        self.labels = None if labels is None else check_labels(labels)
        self.threshold = check_threshold(threshold)
        self._chosen = threshold
        self.keep = keep
        self.n = 0
        self._counted = 0
        self._model = model
        self._columns: int | None = None
        self._pending: list[tuple[Any, Any]] = []
        self._pending_samples = 0
        self._labels_only: list[tuple[Any, Any]] = []
        self._counts = ClassCounts(outputs, self.threshold, keep=keep, log_probabilities=log_probabilities)
        self._losses = LossSums(loss)
        self._fingerprint = Fingerprint()
        self._rows = Rows(keep=keep, ids=ids, slices=slices, groups=groups, weights=weights, later=later)
        self._grouped = groups is not None or "groups" in later
        self._label_counts: LabelCounts | None = None
        self._ignore = ignore_index
        self._flattener: Flattener | None = None
        if self.task not in ("regression", "multilabel"):
            ignore = LEFT_OUT if ignore_index is not None and self._looks_up else ignore_index
            self._flattener = Flattener(kind=outputs, task=task, keep=keep, ignore=ignore, classes_first=classes_first)
        self.preds: list[NDArray[Any]] | None = None  # the decisions [n], part by part, where somebody wants them

    def twin(self) -> Collector:
        """An empty collector for another model's outputs on the same samples, which keeps its decisions.

        To be called before anything is added. Ids, groups and weights are shared, ids by content left out. Logits
        that look like probabilities are taken as they are: what these outputs are was told by the first model's.
        """
        twin = copy.copy(self)
        twin._pending, twin._labels_only, twin._losses = [], [], self._losses.twin()
        twin._fingerprint, twin._rows = Fingerprint(), self._rows.twin()
        twin._flattener = None if self._flattener is None else self._flattener.twin()
        twin._counts, twin.preds = self._counts.twin(), []
        return twin

    @property
    def named_by_integers(self) -> bool:
        """Whether integer targets are names, not indices: labels such as (3, 5)."""
        labels = self.labels or ()
        named = any(isinstance(label, int) for label in labels) and labels != tuple(range(len(labels)))
        return named and self.task != "multilabel"

    @property
    def several(self) -> bool:
        """Whether samples have several labels, or a decision at each token or pixel, as far as was seen."""
        return self.task == "multilabel" or (self._flattener is not None and self._flattener.several)

    @property
    def _looks_up(self) -> bool:
        return self.named_by_integers and self.outputs != "labels"

    def encode_target(self, target: Any) -> NDArray[Any]:
        """Targets as an array of indices: names out of `labels` are looked up, which integers are where labels are."""
        array = to_numpy(target)
        if self.outputs in ("values", "labels") or self.task == "multilabel":
            return array
        return encoded(array, self.labels, self._ignore if self._looks_up else None)

    def takes_rows(self, outputs: NDArray[Any], target: NDArray[Any]) -> bool:
        """Whether a batch needs no `flatten`; to be asked instead of it, since the batch then counts as flattened."""
        return self._flattener is None or self._flattener.takes(outputs, target)

    def flatten(self, outputs: Any, target: Any) -> tuple[Any, Any]:
        """A batch of arrays or tensors as `add_rows` takes it: one decision a row, without what is to be ignored.

        To be called once for each batch. What is one class a sample and has nothing to ignore is given back as it is.
        """
        if self._flattener is None:
            return outputs, target
        outputs, target, units = self._flattener.flat(outputs, target)
        if units is not None:
            self._rows.keep(unit=units)
        return outputs, target

    def add(self, outputs: NDArray[Any], target: NDArray[Any]) -> None:
        """One batch: outputs [n], [n, 1] or [n, K], targets [n] or [n, 1]; or as `flatten` takes it."""
        self.add_rows(*self.flatten(outputs, target))

    def add_rows(self, outputs: NDArray[Any], target: NDArray[Any]) -> None:
        """One batch as `flatten` gave it: outputs [n], [n, 1] or [n, K], targets [n] or [n, 1]."""
        columns = self.check_shapes(outputs.shape, target.shape)
        if len(target) == 0:
            return
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
        columns = columns_of(outputs, target, kind=self.outputs, task=self.task)
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
        self._counts.like_probabilities = self._counts.like_probabilities and like_probabilities
        self.n += len(target)
        self._counts.add_decided(preds, ranks, target)
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

    def add_design(self, **columns: NDArray[Any] | None) -> None:
        """More of the ids, groups (both hashed) and weights that were said to come `later`."""
        self._rows.keep(**columns)

    def cut(self, inputs: Any, target: Any, samples: int) -> None:
        """What the functions among the slices are asked of a batch of so many samples: inputs and targets, as given."""
        self._rows.cut(inputs, target, samples=samples)

    @property
    def cuts_batches(self) -> bool:
        """Whether there are functions among the slices, so that `cut` must be called with each batch."""
        return self._rows.needs_batches

    @property
    def sorted_ids(self) -> NDArray[np.uint64]:
        """The ids that came with `add_design` so far, hashed and in order."""
        return self._rows.sorted_ids()

    @property
    def needs_content(self) -> bool:
        """Whether samples are named by a hash of their inputs, which `add_inputs` must then be given."""
        return self._rows.by_content

    def add_loss(self, values: NDArray[Any], weights: NDArray[Any] | None = None) -> None:
        """The losses of a batch [n], each times its weight, and the weights [n] that the mean divides by."""
        self._losses.add(_detached(values), None if weights is None else _detached(weights))

    def add_mean_loss(self, mean: MeanLoss) -> None:
        """The loss of a batch that is known only as a mean."""
        self._rows.forget("losses", "loss_weights")
        self._losses.add_mean(mean)

    def finish(self) -> Evaluation:
        """The evaluation of all that was added.

        Raises:
            EvidenceError: nothing was added, or what was added does not fit together.
        """
        if self.n == 0:
            if self._flattener is not None and self._flattener.samples:
                raise EvidenceError(f"all targets are {self._ignore}, which ignore_index leaves out: nothing is left")
            raise EvidenceError("the data set is empty: there is no sample to evaluate")
        self._flush()
        matrix: ConfusionMatrix | None = None
        if self.task == "multilabel":
            pass
        elif self.outputs == "labels":
            preds, target = (np.concatenate(parts) for parts in zip(*self._labels_only, strict=True))
            matrix = ConfusionMatrix.from_labels(target=target, preds=preds, labels=self.labels)
            if self.task == "binary" and matrix.num_classes > 2:
                raise EvidenceError(f"task='binary', but there are {matrix.num_classes} classes")
            self.task = self.task or ("binary" if matrix.num_classes == 2 else "multiclass")
            self._decided(
                class_indices(target, matrix.labels, "target"),
                class_indices(preds, matrix.labels, "preds"),
            )
        elif self.task != "regression":
            matrix = ConfusionMatrix(self._counts.counts, self.labels)
        if self._counts.like_probabilities and self.task != "regression":
            raise EvidenceError(LIKE_PROBABILITIES.format(n=self.n))
        if self.threshold != 0.5 and not self._thresholded:
            raise EvidenceError(
                f"threshold={self.threshold:g} is for the scores of two classes; these are {self.task} {self.outputs}"
            )
        samples = self._kept_rows()
        found = Evaluation(
            task=self.task,
            n=self.n,
            outputs=self.outputs,
            matrix=matrix,
            threshold=self.threshold if self._thresholded else None,
            mean_loss=self._losses.mean_of(samples),
            ranks=self._counts.ranks,
            scores=self._counts.take_scores(),
            samples=samples if samples.n else None,
            multilabel=None if self._label_counts is None else multilabel_of(self._label_counts, self.labels),
            fingerprint=self._data_fingerprint(samples),
            origin=Origin(model=self._model),
        )
        tuning = tuned(self._chosen, found)
        return found if tuning is None else replace(found, origin=replace(found.origin, tuned=tuning))

    def _kept_rows(self) -> Samples:
        """What was kept of each row."""
        if self._flattener is None:
            return self._rows.finish(self.n)
        samples = self._rows.finish(self.n, self._flattener.samples)
        alone = not self._flattener.several and not self._grouped  # no sample has more than one row
        return replace(samples, groups=None) if alone and samples.groups is not None else samples

    def _data_fingerprint(self, samples: Samples) -> int | None:
        if samples.ids is not None:
            return fingerprint_of_ids(samples.ids)
        return self._fingerprint.of(self.n if self._flattener is None else self._flattener.samples)

    @property
    def _thresholded(self) -> bool:
        return bool(self.task in ("binary", "multilabel") and self.outputs != "labels")

    def _begin(self, columns: int) -> None:
        """The first batch decides the task and the number of classes."""
        self._columns = columns
        if self.task != "multilabel" and self.outputs in ("labels", "values"):
            return
        self._counts.num_classes = max(columns, 2)
        self.task = task_of(self.task, columns, self.labels)

    def _flush(self) -> None:
        self._rows.keep(**self._losses.flush())
        if not self._pending:
            return
        if self.task == "multilabel":
            self._count_labels(*(np.concatenate(parts) for parts in zip(*self._pending, strict=True)))
        elif self.outputs == "labels":
            self._labels_only += [(np.reshape(o, len(o)), np.reshape(t, len(t))) for o, t in self._pending]
        else:
            outputs = np.concatenate([o for o, _ in self._pending])
            if self.outputs == "values":
                refuse_not_finite(outputs, self.outputs, self._counted)
                self._rows.valued(outputs, np.concatenate([t for _, t in self._pending]))
            else:
                target = np.concatenate([t for _, t in self._pending]).reshape(len(outputs))
                self._decided(*self._counts.add(outputs, whole_numbers(target, "target"), self._counted))
        self._counted += self._pending_samples
        self._pending, self._pending_samples = [], 0

    def _count_labels(self, outputs: NDArray[Any], target: NDArray[Any]) -> None:
        """Several labels a sample, [n, L] each."""
        counts = self._label_counts = self._label_counts or LabelCounts(self.outputs, self.threshold)
        actual, preds, scores = counts.add(outputs, target, self._counted)
        self._counts.like_probabilities = self._counts.like_probabilities and counts.like_probabilities
        if self.keep == "counts":
            self._rows.decided(actual, preds)
        else:
            self._rows.keep(target=actual, preds=preds, predicted=scores)
        if self.preds is not None:
            self.preds.append(preds)


def _detached(batch: NDArray[Any]) -> NDArray[Any]:
    """A small batch out of the framework's memory: blocks that stay alive there slow its next passes by a tenth."""
    return batch.copy() if batch.nbytes <= _SMALL else batch
