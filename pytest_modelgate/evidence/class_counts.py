"""Scores of one class a sample, decided and counted batch by batch."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.growing import Growing
from pytest_modelgate.evidence.outputs import (
    check_log_probabilities,
    check_probabilities,
    decide,
    log_softmax,
    refuse_not_finite,
    within_unit,
)
from pytest_modelgate.metrics.arrays import as_floats
from pytest_modelgate.metrics.counting import labels_to_counts, logits_to_labels
from pytest_modelgate.metrics.ranking import RankCounts, Scores, target_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Decided = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]


class ClassCounts:
    """Counts batches of logits or probabilities, whose shapes were checked.

    Args:
        outputs: what they are: "logits" or "probabilities".
        threshold: for two classes: positive iff probability >= threshold.
        keep: as for `evaluate`.
        log_probabilities: whether the "logits" must be log-probabilities.

    Attributes:
        num_classes: how many classes there are; to be set before the first batch.
        counts: how many samples of each class were decided as each, int64 [K, K]; 0 where none were counted.
        like_probabilities: whether all "logits" could be probabilities.
    """

    def __init__(self, outputs: str, threshold: float, *, keep: str, log_probabilities: bool) -> None:
        self._outputs = outputs
        self._threshold = threshold
        self._keep = keep
        self._log_probabilities = log_probabilities
        self._rank_counts: Any = 0
        self._scores, self._targets = Growing(), Growing()
        self.num_classes = 0
        self.counts: Any = 0
        self.like_probabilities = outputs == "logits"

    def twin(self) -> ClassCounts:
        """An empty one that takes logits which look like probabilities as they are."""
        how = {"keep": self._keep, "log_probabilities": self._log_probabilities}
        twin = ClassCounts(self._outputs, self._threshold, **how)  # type: ignore[arg-type]
        twin.like_probabilities = False
        return twin

    @property
    def ranks(self) -> RankCounts | None:
        """How often the actual class came first, second, ...; None of two classes, and where only counts are kept."""
        return None if isinstance(self._rank_counts, int) else RankCounts(self._rank_counts)

    def take_scores(self) -> Scores | None:
        """The scores that were kept, and their targets; which are then kept no more."""
        return Scores(self._scores.take(), self._targets.take()) if len(self._scores.filled) else None

    def add(self, outputs: NDArray[Any], target: NDArray[Any], before: int) -> Decided:
        """A batch after so many samples: the actual and the predicted class and the actual one's rank, [n] each.

        Raises:
            EvidenceError: outputs that are not finite, or not what they are said to be; a class out of range.
        """
        refuse_not_finite(outputs, self._outputs, before)
        outputs = as_floats(outputs, self._outputs)
        if outputs.size == len(outputs):
            outputs = outputs.reshape(len(outputs))
        if self._outputs == "probabilities":
            check_probabilities(outputs)
        elif self._log_probabilities:
            check_log_probabilities(float(np.abs(np.exp(outputs).sum(axis=-1) - 1).max()))
            self.like_probabilities = False
        elif self.like_probabilities:
            self.like_probabilities = within_unit(outputs)
        return self._two(outputs, target) if self.num_classes == 2 else self._many(outputs, target)

    def add_decided(self, preds: NDArray[Any], ranks: NDArray[Any], target: NDArray[Any]) -> None:
        """A batch of many classes that was decided elsewhere, [n] each."""
        self.counts = self.counts + labels_to_counts(target, preds, self.num_classes)
        if self._keep != "counts":
            self._rank_counts = self._rank_counts + np.bincount(ranks, minlength=self.num_classes)

    def _keep_scores(self, scores: NDArray[Any], target: NDArray[Any]) -> None:
        self._scores.append(scores)
        self._targets.append(target)

    def _two(self, outputs: NDArray[Any], target: NDArray[Any]) -> Decided:
        scores = outputs
        if outputs.ndim == 2:
            scores = outputs[:, 1] - outputs[:, 0] if self._outputs == "logits" else outputs[:, 1]
        preds = decide(scores, self._threshold, self._outputs).view(np.uint8)
        self.counts = self.counts + labels_to_counts(target, preds, 2)
        actual = target.astype(np.uint8)
        if self._keep != "counts":
            self._keep_scores(scores, actual)
        return actual, preds, None

    def _many(self, outputs: NDArray[Any], target: NDArray[Any]) -> Decided:
        preds = logits_to_labels(outputs)
        self.counts = self.counts + labels_to_counts(target, preds, self.num_classes)
        ranks = None
        if self._keep != "counts":
            ranks = target_ranks(outputs, target)
            self._rank_counts = self._rank_counts + np.bincount(ranks, minlength=self.num_classes)
        if self._keep == "scores":
            comparable = log_softmax(outputs) if self._outputs == "logits" else outputs
            self._keep_scores(comparable, target.astype(np.int32))
        return target, preds, ranks
