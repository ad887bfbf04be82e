"""The evaluation of some of the samples of an evaluation."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.identity import fingerprint_of_ids
from pytest_modelgate.evidence.outputs import decide
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.counting import labels_to_counts
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.metrics.ranking import RankCounts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.ranking import Scores
    from pytest_modelgate.metrics.samples import Samples

_NOTHING = "this evaluation kept nothing of single samples, so none of them can be judged alone"


def subset(evaluation: Evaluation, rows: NDArray[Any]) -> Evaluation:
    """The evidence of the samples of these row numbers alone, [M], as far as it was kept sample by sample.

    A loss known as a mean only, or ranks known as counts, are not there.

    Raises:
        EvidenceError: no rows, or an evaluation that kept no single samples.
    """
    if not len(rows):
        raise EvidenceError("an evaluation of no samples says nothing")
    every, scores = evaluation.samples, evaluation.scores and evaluation.scores.take(rows)
    samples = None if every is None else every.take(rows)
    matrix = None
    if evaluation.matrix is not None:
        counts = labels_to_counts(*_classes(evaluation, samples, scores), evaluation.matrix.num_classes)
        matrix = ConfusionMatrix(counts, evaluation.labels)
    loss = evaluation.mean_loss
    if loss is not None:
        loss = None if samples is None or samples.losses is None else _mean_loss(loss.name, samples)
    multilabel = None if evaluation.multilabel is None else evaluation.multilabel.take(rows)
    if matrix is None and multilabel is None and loss is None and (samples is None or samples.actual is None):
        raise EvidenceError(f"{_NOTHING}: evaluate with keep='auto'")
    ranks = None
    if evaluation.ranks is not None and samples is not None and samples.ranks is not None:
        ranks = RankCounts(np.bincount(samples.ranks, minlength=len(evaluation.ranks.counts)))
    origin = evaluation.origin
    return replace(
        evaluation,
        n=len(rows),
        matrix=matrix,
        mean_loss=loss,
        ranks=ranks,
        scores=scores,
        samples=samples,
        multilabel=multilabel,
        fingerprint=None if samples is None or samples.ids is None else fingerprint_of_ids(samples.ids),
        origin=replace(origin, steps=(*origin.steps, f"{len(rows):,} samples"), derivation=origin.then(subset, rows)),
    )


def _classes(evaluation: Evaluation, samples: Samples | None, scores: Scores | None) -> tuple[Any, Any]:
    """The actual and the predicted class of each sample, as kept or as its score decides."""
    if samples is not None and samples.target is not None and samples.preds is not None:
        return samples.target, samples.preds
    if scores is None or evaluation.threshold is None:
        raise EvidenceError(f"{_NOTHING}: evaluate with ids= or slices=")
    return scores.target, decide(scores.values, evaluation.threshold, evaluation.outputs).view(np.uint8)


def _mean_loss(name: str, samples: Samples) -> MeanLoss:
    assert samples.losses is not None
    losses, weights = samples.losses.astype(np.float64), samples.loss_weights
    if samples.weights is not None:
        weights = samples.weights if weights is None else weights * samples.weights
        with np.errstate(invalid="ignore"):  # infinite times zero: it is counted as not finite
            losses = losses * samples.weights
    return MeanLoss.of(name, losses, weights)
