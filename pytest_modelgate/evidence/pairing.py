"""Two evaluations brought into one order: which samples are the same, and what became of each."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation

_OF_THE_DATA = {"target": "target", "actual": "target", "weights": "weight", "groups": "group"}
_OF_THE_MODEL = ("preds", "ranks", "predicted", "losses")
_NOISE = 1e-4  # what one input's outputs differ by in two batches, at most; relative and absolute


@dataclass(frozen=True, slots=True)
class Change:
    """How the decisions of two models on the same samples differ.

    Attributes:
        samples: how many were decided by both.
        changed: for how many the decision differs.
        fixes: how many of them are right now and were wrong.
        breaks: how many are wrong now and were right.
    """

    samples: int
    changed: int
    fixes: int
    breaks: int


def align(candidate: Evaluation, baseline: Evaluation) -> tuple[Evaluation, Evaluation] | str:
    """Both evaluations with their samples in one order; or why these are not the same samples.

    Raises:
        EvidenceError: evaluations of other tasks or classes.
    """
    for name in ("task", "labels"):
        mine, theirs = getattr(candidate, name), getattr(baseline, name)
        if mine != theirs:
            raise EvidenceError(f"evaluations of different {name} cannot be compared: {mine!r} and {theirs!r}")
    both = {"this evaluation": candidate, "the baseline": baseline}
    without = [who for who, one in both.items() if one.samples is None or one.samples.ids is None]
    if without:
        verb = "have" if len(without) == 2 else "has"
        return (
            f"{' and '.join(without)} {verb} no ids, so nobody can tell that these are the same samples: evaluate both "
            "with ids= (a name for each sample, or 'content')"
        )
    ordered = []
    for who, one in both.items():
        arranged, unlike = in_order(one)
        if unlike:
            return (
                f"in {who} {unlike:,} times an id stands for another sample that fared differently, so nobody can tell "
                "which is which: give each sample its own id"
            )
        ordered.append(arranged)
    first, second = ordered
    return _differ(first, second) or (first, second)


def change(candidate: Evaluation, baseline: Evaluation) -> Change | None:
    """The churn of decisions between aligned evaluations; None where nothing was decided."""
    mine, theirs = candidate.samples, baseline.samples
    if mine is None or theirs is None or mine.preds is None or theirs.preds is None:
        return None
    right, was_right = mine.preds == mine.target, theirs.preds == theirs.target
    return Change(
        samples=candidate.n,
        changed=int(np.count_nonzero(mine.preds != theirs.preds)),
        fixes=int(np.count_nonzero(right & ~was_right)),
        breaks=int(np.count_nonzero(was_right & ~right)),
    )


def in_order(evaluation: Evaluation) -> tuple[Evaluation, int]:
    """The evaluation with its samples ordered by id, and how many of them share their id with one they are unlike.

    Samples of one id are fine where nothing tells them apart, as with copies of one input under ids="content".
    """
    rows = evaluation.samples
    assert rows is not None
    assert rows.ids is not None
    if (rows.ids[1:] > rows.ids[:-1]).all():
        return evaluation, 0
    order = np.argsort(rows.ids, kind="stable")
    ids = rows.ids[order]
    again = ids[1:] == ids[:-1]
    unlike = 0
    if again.any():
        scores = () if evaluation.scores is None else _flat(evaluation.scores.values)
        of_data = [column for name in _OF_THE_DATA for column in _flat(getattr(rows, name))]
        of_model = [column for name in _OF_THE_MODEL for column in _flat(getattr(rows, name))] + [*scores]
        order = np.lexsort([*of_model[::-1], *of_data[::-1], rows.ids])
        for column in of_data:
            again &= column[order][1:] == column[order][:-1]
        apart = [~np.isclose(c[order][1:], c[order][:-1], rtol=_NOISE, atol=_NOISE, equal_nan=True) for c in of_model]
        unlike = int(np.count_nonzero(again & np.any(apart, axis=0))) if apart else 0
    scores_taken = evaluation.scores and evaluation.scores.take(order)
    return replace(evaluation, samples=rows.take(order), scores=scores_taken), unlike


def _flat(column: NDArray[Any] | None) -> list[NDArray[Any]]:
    """A column [N, ...] as columns [N]; none for None."""
    return [] if column is None else list(column.reshape(len(column), -1).T)


def _differ(candidate: Evaluation, baseline: Evaluation) -> str | None:
    """Why evaluations that are ordered by id are not of the same samples, or None."""
    mine, theirs = candidate.samples, baseline.samples
    assert mine is not None
    assert theirs is not None
    a, b = mine.ids, theirs.ids
    assert a is not None
    assert b is not None
    if not np.array_equal(a, b):
        return (
            f"not the same samples: {candidate.n:,} here, {baseline.n:,} in the baseline, "
            f"{len(np.intersect1d(a, b)):,} in common; evaluate the baseline on these samples anew"
        )
    for column, name in _OF_THE_DATA.items():
        x, y = getattr(mine, column), getattr(theirs, column)
        if (x is None) != (y is None):
            return (
                f"only {'the baseline' if x is None else 'this evaluation'} has {column}: give them to both, or to none"
            )
        if x is None or np.array_equal(x, y):
            continue
        unlike = len(x) if x.shape != y.shape else int(np.count_nonzero((x != y).reshape(len(x), -1).any(axis=1)))
        return (
            f"the same ids, but {unlike:,} of {candidate.n:,} samples have another {name}; "
            "evaluate the baseline on these samples anew"
        )
    return None
