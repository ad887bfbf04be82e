"""The evaluation of some of the samples of an evaluation."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.counting import labels_to_counts
from pytest_modelgate.metrics.losses import MeanLoss
from pytest_modelgate.metrics.ranking import RankCounts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.samples import Samples


def subset(evaluation: Evaluation, rows: NDArray[Any]) -> Evaluation:
    """The evidence of the samples of these row numbers alone, [M], as kept with ids, groups or weights.

    What was not kept sample by sample, such as a loss known as a mean only, is not there.

    Raises:
        EvidenceError: no rows, or an evaluation that kept no single samples.
    """
    every = evaluation.samples
    if every is None or every.ids is None:
        raise EvidenceError("this evaluation kept no ids, so none of its samples can be told: evaluate with ids=")
    if not len(rows):
        raise EvidenceError("an evaluation of no samples says nothing")
    samples, scores, matrix = every.take(rows), evaluation.scores and evaluation.scores.take(rows), None
    if evaluation.matrix is not None:
        assert samples.target is not None
        assert samples.preds is not None
        classes = evaluation.matrix.num_classes
        matrix = ConfusionMatrix(labels_to_counts(samples.target, samples.preds, classes), evaluation.labels)
    loss = evaluation.mean_loss
    if loss is not None:
        loss = None if samples.losses is None else _mean_loss(loss.name, samples)
    ranks = None
    if evaluation.ranks is not None and samples.ranks is not None:
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
        fingerprint=None,
        origin=replace(origin, steps=(*origin.steps, f"{len(rows):,} samples"), derivation=origin.then(subset, rows)),
    )


def _mean_loss(name: str, samples: Samples) -> MeanLoss:
    assert samples.losses is not None
    losses, weights = samples.losses.astype(np.float64), samples.loss_weights
    if samples.weights is not None:
        weights = samples.weights if weights is None else weights * samples.weights
        with np.errstate(invalid="ignore"):  # infinite times zero: it is counted as not finite
            losses = losses * samples.weights
    return MeanLoss.of(name, losses, weights)
