"""What a gate says of the threshold: that it was chosen on the very samples, and which one would reach the bar."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_modelgate.evidence.thresholds import has_thresholds, thresholds_of
from pytest_modelgate.gates.settings import colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.gates.wording import number, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.evidence.thresholds import Thresholds
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.metric import Metric

TUNED_HERE = (
    "the threshold was chosen on these very samples: on new data it misses the bar that it was tuned to in about half "
    "of all cases (up to 63% for recall); choose it on validation data"
)
NO_PROOF = (
    "not PASS, as it would be at a threshold chosen elsewhere: on the samples that it was chosen on, what a threshold "
    "was picked for looks better than it is (in simulations such a PASS was wrong in up to 26% of cases, not 5%)"
)
_PAIR = {"recall": "precision", "precision": "recall"}
_RECALLS = ("recall", "false_negative_rate")


def flagged(verdict: Verdict, evaluation: Evaluation, proved: bool = False) -> Verdict:
    """A verdict on decisions, which says so where their threshold was chosen on these very samples.

    A `PASS` is then `INCONCLUSIVE`, unless it is `proved` all the same.
    """
    if evaluation.origin.tuned is None:
        return verdict
    told = replace(verdict, details=(*verdict.details, ("threshold_tuned_here", True)))
    if verdict.outcome is not Outcome.PASS or proved:
        return replace(told, notes=(*told.notes, TUNED_HERE))
    unsure = f"{Outcome.INCONCLUSIVE} (leans pass)"
    return replace(
        told,
        outcome=Outcome.INCONCLUSIVE,
        passed=colour_of_doubt(verdict.if_unsure, True),
        explanation=verdict.explanation.replace(str(Outcome.PASS), unsure, 1),
        notes=(*told.notes, TUNED_HERE, NO_PROOF),
    )


def proves(evaluation: Evaluation, metric: Metric, label: Label | None) -> bool:
    """Whether a `PASS` is wrong in no more than 5% though the threshold was chosen on these very samples.

    So it is for the recall of a threshold that was chosen for it: such a threshold is the k-th highest score of m
    positive samples, or a lower one, and its true recall has the distribution Beta(k, m + 1 - k) that Clopper and
    Pearson's bound goes by. Precision, cost and all else that a choice among many thresholds favours err more often.
    """
    return evaluation.origin.tuned == "recall" and metric.name in _RECALLS and label == evaluation.labels[-1]


def would_reach(evaluation: Evaluation, metric: Metric, label: Label | None, bar: float) -> list[str]:
    """Which threshold would have met a bar of recall or precision that was missed, and what it costs: one line.

    Of those that meet it the one with the highest precision, or recall. Nothing where scores are not at hand.
    """
    if metric.name not in _PAIR or label is None or not has_thresholds(evaluation):
        return []
    found = thresholds_of(evaluation)
    values = {"recall": found.recall, "precision": found.precision}
    if label != evaluation.labels[-1]:
        if evaluation.samples is not None and evaluation.samples.weights is not None:
            return []
        values = _of_negatives(found)
    other = _PAIR[metric.name]
    rows = np.flatnonzero(values[metric.name] >= bar)
    if any(np.isnan(each).all() for each in values.values()):  # a class has no sample
        return []
    if len(rows) == 0:
        best = int(np.nanargmax(values[metric.name]))
        return [
            f"no threshold reaches {plain(bar)} on these samples: the highest {metric.name} is "
            f"{number(values[metric.name][best], bar)}, at a {other} of {number(values[other][best])}"
        ]
    for name in (other, metric.name):
        rows = rows[values[name][rows] == values[name][rows].max()]
    row = int(rows[-1])
    now = evaluation.metric(other, label=label)
    return [
        f"a threshold of {_short(found, row, evaluation)} instead of {evaluation.threshold:.4g} reaches "
        f"{number(values[metric.name][row], bar)} on these samples, at a {other} of {number(values[other][row])} "
        f"(now {'undefined' if now is None else number(now)}); choose it on other data"
    ]


def _of_negatives(found: Thresholds) -> dict[str, NDArray[np.float64]]:
    """Recall and precision of the other class at each threshold; NaN where no sample is predicted to be of it."""
    negatives = found.n - found.positives
    right, missed = negatives - found.fp, found.positives - found.tp
    with np.errstate(invalid="ignore"):
        return {"recall": right / np.float64(negatives), "precision": right / (right + missed)}


def _short(found: Thresholds, row: int, evaluation: Evaluation) -> str:
    """A threshold in as few digits as decide every sample alike, in the type in which scores are compared with it."""
    assert evaluation.scores is not None
    kind = evaluation.scores.values.dtype.type if evaluation.outputs == "probabilities" else np.float64
    exact = float(found.threshold[row])
    below = float(found.threshold[row - 1]) if row else -1.0
    for digits in range(2, 17):
        short = math.floor(exact * 10**digits) / 10**digits
        if below < float(kind(short)) <= exact:
            return repr(short)
    return repr(exact)
