"""A gate on a way of training: several models that differ by their seed alone, judged on the same samples."""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.exceptions import EvidenceError, MetricError
from pytest_modelgate.gates.gate import Gate, finite, judge_interval
from pytest_modelgate.gates.settings import colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import SIGNS, allowed, number, subject
from pytest_modelgate.metrics.bounds import described_design
from pytest_modelgate.metrics.registry import get_metric
from pytest_modelgate.statistics.interval import Interval, normal_quantile
from pytest_modelgate.statistics.seeds import (
    FEWEST,
    over_seeds_interval,
    seeds_prove,
    values_over_seeds_interval,
)

if TYPE_CHECKING:
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.samples import Samples

_PROPORTIONS = "Clopper-Pearson on seeds and samples, approximate"
_VALUES = "Student's t on seeds and samples, approximate"


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """The mean of a metric over trainings with different seeds must meet a gate's bar.

    Its variance has two parts: another seed, s^2 / S, and another test set, whose luck all the models share
    (Bouthillier et al. 2021). `confidence` and `if_unsure` are the gate's.

    Args:
        gate: what each training is held to.

    Raises:
        MetricError: `gate` is no `Gate`, or one with `anytime=True`.
    """

    gate: Gate

    def __post_init__(self) -> None:
        if not isinstance(self.gate, Gate):
            raise MetricError(
                f"give a Gate, such as Gate('recall', at_least=0.9), not {type(self.gate).__name__}: {self.gate!r}"
            )
        if self.gate.anytime:
            raise MetricError("anytime=True and several seeds have no method together: judge them one or the other way")

    def check(self, evaluations: Iterable[Evaluation | ConfusionMatrix]) -> Verdict:
        """Judge the evaluations of at least 3 models on the same samples.

        Raises:
            EvidenceError: fewer than 3, or evaluations of other samples.
        """
        every = listed(evaluations)
        if len(every) < FEWEST:
            count = "1 evaluation says" if len(every) == 1 else f"{len(every)} evaluations say"
            raise EvidenceError(f"{count} too little about how much trainings differ: give at least {FEWEST}, better 5")
        _same_samples(every)
        gate, metric = self.gate, get_metric(self.gate.metric)
        singles = [gate.check(one) for one in every]
        first = singles[0]
        what = subject(metric, label=first.label, average=gate.average, parameters=dict(first.parameters))
        what = f"{what} over {len(every)} seeds"
        verdict = replace(first, gate=f"over_seeds({first.gate})", hits=None, lower=None, upper=None, method=None)
        values = [single.estimate for single in singles if single.estimate is not None]
        details = tuple((f"seed {i}", single.estimate) for i, single in enumerate(singles, 1))
        if len(values) < len(singles):
            return _undefined(verdict, what, singles, details)
        mean = math.fsum(values) / len(values)
        bounds, method, why = _bounds(every, singles, values, gate.confidence)
        if bounds is not None:
            # The bounds of a metric stay in its range, and hold the mean.
            lower, upper = max(bounds.lower, metric.lowest), min(bounds.upper, metric.highest)
            bounds = Interval(min(lower, mean), max(upper, mean))
        outcome = judge_interval(bounds, gate.bar, gate.direction)
        meets = [value >= gate.bar if gate.direction == "at_least" else value <= gate.bar for value in (mean, *values)]
        passed, leans = outcome is Outcome.PASS, ""
        if outcome is Outcome.INCONCLUSIVE:
            passed = colour_of_doubt(gate.if_unsure, meets[0])
            leans = f" (leans {'pass' if meets[0] else 'fail'})"
        sentence = (
            f"{what} = {number(mean, gate.bar)} on average ({number(min(values), gate.bar)} to "
            f"{number(max(values), gate.bar)}), required {SIGNS[gate.direction]} {number(gate.bar, mean)}"
        )
        notes = [f"no bounds: {why}; judged by the mean, which may be luck"]
        if bounds is not None:
            notes = [allowed(*bounds, gate.confidence, method)]
            notes += described_design(every[0].samples).remarks if every[0].samples is not None else ()
        notes.append(f"{sum(meets[1:])} of {len(every)} seeds meet the bar" + _proved(meets[1:], gate.confidence))
        if outcome is Outcome.INCONCLUSIVE and gate.if_unsure == "fail":
            notes.append("red since if_unsure='fail' takes nothing but proof")
        if outcome is Outcome.INCONCLUSIVE and bounds is not None and gate.confidence > 0.5:
            notes.append(_whose_doubt(singles, values, mean >= gate.bar, gate.confidence))
        return replace(
            verdict,
            outcome=outcome,
            passed=passed,
            estimate=mean,
            lower=None if bounds is None else finite(bounds.lower),
            upper=None if bounds is None else finite(bounds.upper),
            method=None if bounds is None else method,
            explanation=f"{outcome}{leans}: {sentence}",
            details=details,
            notes=tuple(notes),
        )


def listed(evaluations: Iterable[Evaluation | ConfusionMatrix]) -> list[Evaluation]:
    """The evaluations of several seeds as a list; an `EvidenceError` for what is none."""
    if not isinstance(evaluations, Iterable) or isinstance(evaluations, (str, Mapping)):
        raise EvidenceError(
            f"give a list of evaluations, one for each seed, not {type(evaluations).__name__}: [evaluate(...), ...]"
        )
    return [as_evaluation(one) for one in evaluations]


def _undefined(
    verdict: Verdict, what: str, singles: list[Verdict], details: tuple[tuple[str, float | None], ...]
) -> Verdict:
    """A mean with nothing in it to judge: one training may have collapsed, and the others' mean would hide it."""
    number_, single = next((i, one) for i, one in enumerate(singles, 1) if one.estimate is None)
    cause = single.explanation.partition("cannot be judged: ")[2]
    return replace(
        verdict,
        outcome=Outcome.UNDEFINED,
        passed=False,
        estimate=None,
        explanation=f"{Outcome.UNDEFINED}: {what} cannot be judged: of seed {number_}, {cause}",
        details=details,
        notes=("where there is nothing to judge a gate never passes",),
    )


def _bounds(
    every: list[Evaluation], singles: list[Verdict], values: list[float], confidence: float
) -> tuple[Interval | None, str, str]:
    """Bounds for the mean, their method, and why there are none."""
    rows = every[0].samples
    weighed = rows is not None and rows.weighed
    if not weighed and all(single.hits is not None for single in singles):
        size = min(single.support for single in singles)
        return over_seeds_interval(values, size, confidence), _PROPORTIONS, ""
    z = normal_quantile(confidence)
    if z == 0:
        return None, _VALUES, "a confidence of one half has no spread to go by"
    below, above = [], []
    for i, single in enumerate(singles, 1):
        if single.lower is None or single.upper is None or single.estimate is None:
            return None, _VALUES, f"the samples of seed {i} alone give none"
        # Each side for itself: of a value at the end of its range the bounds are far on one side only.
        below.append(((single.estimate - single.lower) / z) ** 2)
        above.append(((single.upper - single.estimate) / z) ** 2)
    units = rows.num_groups if rows is not None and rows.groups is not None else min(one.support for one in singles)
    degrees = max(1.0, units - 1.0)
    lower = values_over_seeds_interval(values, below, degrees, confidence)
    upper = values_over_seeds_interval(values, above, degrees, confidence)
    if lower is None and upper is None:
        return None, _VALUES, "neither the seeds nor the samples show any spread"
    mean = math.fsum(values) / len(values)
    return Interval(mean if lower is None else lower.lower, mean if upper is None else upper.upper), _VALUES, ""


def _whose_doubt(singles: list[Verdict], values: list[float], above: bool, confidence: float) -> str:
    """Whether more seeds or more samples would settle it sooner, by the larger part of the variance."""
    widths = [
        (value - (single.lower or 0.0)) if above else ((single.upper or 0.0) - value)
        for single, value in zip(singles, values, strict=True)
    ]
    of_samples = math.fsum(width * width for width in widths) / len(widths) / normal_quantile(confidence) ** 2
    mean = math.fsum(values) / len(values)
    of_seeds = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)
    if of_seeds > of_samples:
        return "the seeds differ more than the test set's luck explains: more seeds would settle it sooner"
    return (
        "most of the doubt is the test set's luck, which all seeds share: more samples would settle it, not more seeds"
    )


def _proved(met: list[bool], confidence: float) -> str:
    if not all(met):
        return ""
    share = seeds_prove(len(met), confidence)
    return f", which proves only that {100 * share:.0f}% of such trainings do"


def _same_samples(every: list[Evaluation]) -> None:
    """An `EvidenceError` where the evaluations are visibly not of the same samples."""
    first = every[0]
    for number_, other in enumerate(every[1:], 2):
        unlike = _unlike(first, other)
        if unlike is not None:
            raise EvidenceError(
                f"evaluation {number_} is not of the same samples as the first: it has {unlike}; seeds are compared on "
                "one test set"
            )


def _unlike(first: Evaluation, other: Evaluation) -> str | None:
    """What tells the samples of two evaluations apart, or None."""
    if (first.task, first.labels) != (other.task, other.labels):
        return "another task or other classes"
    if first.n != other.n:
        return f"{other.n:,} samples, not {first.n:,}"
    for column in ("ids", "groups", "weights"):
        if not _alike(first.samples, other.samples, column):
            return f"other {column}"
    if first.matrix is not None and other.matrix is not None and (first.matrix.support != other.matrix.support).any():
        return "other targets"
    if not _alike(first.samples, other.samples, "actual"):
        return "other targets"
    known = first.fingerprint is not None and other.fingerprint is not None
    return "other inputs" if known and first.fingerprint != other.fingerprint else None


def _alike(mine: Samples | None, theirs: Samples | None, column: str) -> bool:
    """Whether a column holds the same for both, in any order."""
    a, b = (None if rows is None else getattr(rows, column) for rows in (mine, theirs))
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and bool(np.array_equal(np.sort(a, axis=0), np.sort(b, axis=0)))
