"""What the report shows of an evaluation: counts, means and a few points of its curves, as plain types."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.history import plain
from pytest_modelgate.evidence.outputs import probability_of_logits
from pytest_modelgate.evidence.thresholds import has_thresholds, thresholds_of
from pytest_modelgate.metrics.calibration import reliability
from pytest_modelgate.statistics.proportions import clopper_pearson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation

_RECALLS = (1.0, 0.99, 0.98, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
_PLACES = np.linspace(0.0, 1.0, 33)


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """See `Evaluation.summary`."""
    matrix, loss = evaluation.matrix, evaluation.mean_loss
    counts = cells = None
    if matrix is not None and matrix.num_classes <= 100:
        counts = matrix.counts.tolist()
    elif matrix is not None:
        rows, columns = np.nonzero(matrix.counts)
        cells = np.stack([rows, columns, matrix.counts[rows, columns]], axis=1).tolist()
    mean = loss.mean if loss is not None else None
    return {
        "kind": "confusion_matrix" if evaluation.outputs == "counts" else "evaluation",
        "model": evaluation.origin.model,
        "task": evaluation.task,
        "outputs": evaluation.outputs,
        "fingerprint": None if evaluation.fingerprint is None else f"{evaluation.fingerprint:016x}",
        "n": evaluation.n,
        "labels": [] if evaluation.multilabel is not None else list(evaluation.labels),
        "counts": counts,
        "cells": cells,
        "multilabel": evaluation.multilabel and evaluation.multilabel.to_dict(),
        "loss": {"name": loss.name, "mean": plain(mean)} if loss and mean is not None else None,
        "threshold": evaluation.threshold,
        "tuned": evaluation.origin.tuned,
        "reliability": _reliability(evaluation),
        "thresholds": _thresholds(evaluation),
        "derivation": list(evaluation.origin.steps),
    }


def _reliability(evaluation: Evaluation) -> dict[str, Any] | None:
    """How often what was called so probable was so, in bins; of many classes that of the most probable one.

    `low` and `high` bound the share after Clopper and Pearson, at 95% each way; None for weights and groups.
    """
    stated = _stated(evaluation)
    if stated is None:
        return None
    rows = evaluation.samples
    error, bins = reliability(*stated, weights=None if rows is None else rows.weights)
    table = []
    for one in bins:
        low = high = None
        if rows is None or not rows.weighed:
            low, high = clopper_pearson(round(one.share * one.n), one.n)
        table.append({name: _rounded(value) for name, value in {**one._asdict(), "low": low, "high": high}.items()})
    return {"error": _rounded(error), "bins": table}


def _stated(evaluation: Evaluation) -> tuple[NDArray[Any], NDArray[np.bool_]] | None:
    """The stated probability of each sample, and whether it came true; None where no scores were kept."""
    scores, outputs = evaluation.scores, evaluation.outputs
    if scores is None or outputs not in ("logits", "probabilities"):
        return None
    values = scores.values
    if values.ndim == 1:
        return values if outputs == "probabilities" else probability_of_logits(values), scores.target != 0
    top = values.argmax(axis=1)
    stated = values[np.arange(len(top)), top]
    return stated if outputs == "probabilities" else np.exp(stated), top == scores.target


def _thresholds(evaluation: Evaluation) -> list[dict[str, float | None]] | None:
    """At most 49 points: evenly spread thresholds, and for some recalls the highest threshold that reaches each."""
    if not has_thresholds(evaluation):
        return None
    found = thresholds_of(evaluation)
    low, high = found.threshold[[0, -1]]
    places = np.searchsorted(found.threshold, low + _PLACES * (high - low))
    chosen = {*np.minimum(places, len(found) - 1).tolist(), *map(found.last_with_recall, _RECALLS)}
    return [
        {name: _rounded(float(getattr(found, name)[row])) for name in ("threshold", "recall", "precision")}
        for row in sorted(chosen)
    ]


def _rounded(value: float | None) -> float | None:
    """With six significant digits: the report stays small, and alike on machines that differ in the last bit.

    >>> _rounded(0.123456789), _rounded(12), _rounded(None)
    (0.123457, 12, None)
    """
    return value if value is None or isinstance(value, int) else float(f"{value:.6g}")
