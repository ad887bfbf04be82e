"""What the metrics of an evaluation are without some of the rows it was made of."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.audit import Finding
from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.evidence.subset import subset
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.labels import class_indices
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.data import refuse_shuffled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.checks.data.aligned import Side

    Numbers = NDArray[np.int64]


def check_evaluation(evaluation: object) -> None:
    """An `EvidenceError` unless this is an evaluation whose samples have ids."""
    if not isinstance(evaluation, Evaluation):
        raise EvidenceError(f"evaluation= takes an Evaluation of the test set, not {type(evaluation).__name__}")
    if evaluation.samples is None or evaluation.samples.ids is None:
        raise EvidenceError("evaluation= has no ids, so its samples cannot be told: evaluate with ids='content'")


def metrics_without(evaluation: Evaluation, data: Any, side: Side, rows: Numbers) -> list[Finding]:
    """The metrics of the evaluation with and without these rows of the test set.

    Raises:
        EvidenceError: the evaluation is of other samples, or its ids repeat.
    """
    leaking = _places(evaluation, data, side, rows)
    clean = np.setdiff1d(np.arange(evaluation.n), leaking)
    if not len(clean):
        text = "no test row is left to measure the metrics on without the leaking rows"
        return [Finding(name="metrics without", count=None, of=None, text=text)]
    rest = subset(evaluation, clean)
    findings = []
    for name in _metrics(evaluation, rest):
        before, after = (_value(one, name) for one in (evaluation, rest))
        if before is None or not np.isfinite(before):
            continue
        shown = "undefined" if after is None or not np.isfinite(after) else f"{after:.3f}"
        findings.append(
            Finding(
                name=f"{name} without",
                count=None,
                of=len(clean),
                estimate=None if shown == "undefined" else after,
                text=f"{name} {before:.3f} -> {shown} without the {counted(len(leaking), 'leaking row')}",
            )
        )
    return findings


def _metrics(evaluation: Evaluation, rest: Evaluation) -> list[str]:
    names = []
    if evaluation.matrix is not None:
        names = ["accuracy", "recall", "precision"] if evaluation.matrix.num_classes == 2 else ["accuracy"]
    elif evaluation.samples is not None and evaluation.samples.actual is not None:
        names = ["rmse"]
    return names + ["loss"] * (rest.mean_loss is not None)


def _value(evaluation: Evaluation, name: str) -> float | None:
    return evaluation.mean_loss.mean if name == "loss" and evaluation.mean_loss else evaluation.metric(name)


def _places(evaluation: Evaluation, data: Any, side: Side, rows: Numbers) -> Numbers:
    """Where the rows stand in the evaluation: by their content where that is their id, else in their order."""
    samples = evaluation.samples
    assert samples is not None
    assert samples.ids is not None
    for hashes in side.contents:
        if np.array_equal(np.unique(samples.ids), np.unique(hashes)):
            return np.flatnonzero(np.isin(samples.ids, hashes[rows]))
    refuse_shuffled(data, ["evaluation"])
    ids, counts = np.unique(samples.ids, return_counts=True)
    if len(ids) < evaluation.n:
        several = int((counts > 1).sum())
        raise EvidenceError(
            f"evaluation=: {counted(several, 'id')} repeat{'s' * (several == 1)}, so nobody can tell which sample is "
            "which: give each sample its own, or ids='content'"
        )
    if evaluation.n != side.n:
        raise EvidenceError(
            f"evaluation= is of {evaluation.n:,} samples, and test has {side.n:,} rows: give one of test"
        )
    actual = samples.target if samples.target is not None else samples.actual
    if side.targets is not None and actual is not None and not _same(evaluation, side.targets, actual):
        raise EvidenceError(
            "evaluation= has other targets than the rows of test in their order: evaluate with ids='content'"
        )
    return rows


def _same(evaluation: Evaluation, targets: NDArray[Any], actual: NDArray[Any]) -> bool:
    if actual.ndim != 1:
        return True  # of several targets a row only their hash was kept
    if evaluation.matrix is None:
        return bool(np.allclose(targets.astype(np.float64), actual.astype(np.float64), equal_nan=True))
    try:
        return bool(np.array_equal(class_indices(targets, evaluation.labels, "target"), actual))
    except EvidenceError:
        return False
