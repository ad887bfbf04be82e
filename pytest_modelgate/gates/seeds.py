"""A gate on a way of training: several models that differ by their seed alone, judged on the same samples."""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.evidence.history import History
from pytest_modelgate.exceptions import BarError, EvidenceError, MetricError, did_you_mean
from pytest_modelgate.gates.curves import HistoryGate
from pytest_modelgate.gates.gate import Gate, finite, judge_interval
from pytest_modelgate.gates.seed_shares import green_share, met_share, undefined
from pytest_modelgate.gates.settings import colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import SIGNS, allowed, number, subject
from pytest_modelgate.metrics.bounds import described_design
from pytest_modelgate.metrics.registry import get_metric
from pytest_modelgate.statistics.interval import Interval, normal_quantile
from pytest_modelgate.statistics.seeds import (
    FEWEST,
    over_seeds_interval,
    seeds_needed,
    seeds_prove,
    values_over_seeds_interval,
)

if TYPE_CHECKING:
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.gates.seed_shares import JudgesHistories
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.samples import Samples
    from pytest_modelgate.runtime.modules import TrainedModel

_PROPORTIONS = "Clopper-Pearson on seeds and samples, approximate"
_VALUES = "Student's t on seeds and samples, approximate"
CLAIMS = ("mean", "worst", "share")


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """What several trainings that differ by their seed must show, all judged on the same samples.

    Claims, each word wrong in at most `1 - confidence` of cases (nominally, for metrics whose own bounds are nominal):

    - "mean": the mean of the metric over all such trainings meets the bar. Its variance has two parts: another seed,
      s^2 / S, and another test set, whose luck all the models share (Bouthillier et al. 2021).
    - "worst": each of these trainings meets the bar. `PASS`: each is proved to; `FAIL`: one is proved not to.
    - "share": at least a share of these trainings do. `PASS`: so many are proved to; `FAIL`: more than the rest are
      proved not to. The notes say what that tells of all such trainings.

    "worst" and "share" may also be claimed of a gate on histories, such as `NoOverfitting()`: how many of its verdicts
    are green. The words are then counted from the single ones, whose measured rates add up at worst. `confidence` and
    `if_unsure` are the gate's.

    Args:
        gate: what each training is held to.
        claim: "mean", "worst" or "share".
        share: with "share": how large a part of the trainings must meet the bar, above 0 and up to 1.

    Raises:
        MetricError: `gate` is neither a `Gate` nor a gate on histories, has `anytime=True`, or has no mean.
        BarError: a claim that is none, or a share without that claim or outside its range.

    >>> from pytest_modelgate import ConfusionMatrix
    >>> seeds = [ConfusionMatrix.from_counts(tp=tp, fp=10, fn=400 - tp, tn=390) for tp in (380, 384, 350, 376, 388)]
    >>> verdict = OverSeeds(Gate("recall", at_least=0.9), claim="share", share=0.8).check(seeds)
    >>> print(verdict.explanation)
    PASS: recall of 'positive': 4 of 5 seeds reach 0.900 (0.875 to 0.970), required 4 of 5
    """

    gate: Gate | HistoryGate
    claim: str = field(default="mean", kw_only=True)
    share: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        gate, share = self.gate, self.share
        if not isinstance(gate, (Gate, HistoryGate)):
            raise MetricError(
                "give a Gate, such as Gate('recall', at_least=0.9), or a gate on histories, such as NoOverfitting(), "
                f"not {type(gate).__name__}: {gate!r}"
            )
        if isinstance(gate, Gate) and gate.anytime:
            raise MetricError("anytime=True and several seeds have no method together: judge them one or the other way")
        if self.claim not in CLAIMS:
            choices = ", ".join(map(repr, CLAIMS))
            raise BarError(f"claim={self.claim!r} is not one of {choices}{did_you_mean(self.claim, CLAIMS)}")
        if self.claim == "mean" and isinstance(gate, HistoryGate):
            raise MetricError(f"{gate.gate} has no mean over seeds: claim='worst', or claim='share' with share=")
        if (self.claim == "share") != (share is not None):
            hint = "give share=, such as share=0.8" if share is None else f"share={share!r} is for claim='share'"
            raise BarError(f"claim={self.claim!r}: {hint}")
        if share is not None:
            seeds_needed(share, FEWEST)

    def check(self, evidence: Iterable[Evaluation | ConfusionMatrix | History | TrainedModel]) -> Verdict:
        """Judge the evaluations of at least 3 models on the same samples; or histories, for a gate on those.

        Raises:
            EvidenceError: fewer than 3, evaluations of other samples, or evidence of another kind than the gate's.
        """
        every = listed(evidence)
        histories = [one for one in every if isinstance(one, History)]
        evaluations = [one for one in every if not isinstance(one, History)]
        if isinstance(self.gate, HistoryGate):
            if evaluations:
                raise EvidenceError(f"{self.gate.gate} judges histories: give them, or the trained models")
        elif histories:
            raise EvidenceError(
                f"a gate on {get_metric(self.gate.metric).name} judges evaluations: evaluate the trained models first, "
                "[evaluate(model, test_data) for model in models]"
            )
        if len(every) < FEWEST:
            noun = "evaluation" if isinstance(self.gate, Gate) else "training"
            count = f"1 {noun} says" if len(every) == 1 else f"{len(every)} {noun}s say"
            raise EvidenceError(f"{count} too little about how much trainings differ: give at least {FEWEST}, better 5")
        if isinstance(self.gate, HistoryGate):
            return green_share(cast("JudgesHistories", self.gate), histories, self.share)
        _same_samples(evaluations)
        return (
            self._mean(self.gate, evaluations)
            if self.claim == "mean"
            else met_share(self.gate, evaluations, self.share)
        )

    def _mean(self, gate: Gate, every: list[Evaluation]) -> Verdict:
        metric = get_metric(gate.metric)
        singles = [gate.check(one) for one in every]
        first = singles[0]
        what = subject(metric, label=first.label, average=gate.average, parameters=dict(first.parameters))
        what = f"{what} over {len(every)} seeds"
        verdict = replace(first, gate=f"over_seeds({first.gate})", hits=None, lower=None, upper=None, method=None)
        values = [single.estimate for single in singles if single.estimate is not None]
        details = tuple((f"seed {i}", single.estimate) for i, single in enumerate(singles, 1))
        collapsed = next((i for i, single in enumerate(singles, 1) if single.outcome is Outcome.UNDEFINED), None)
        if collapsed is not None:  # the others' mean would hide it
            return undefined(verdict, f"{what} cannot be judged", collapsed, singles[collapsed - 1], details)
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


def listed(evidence: Iterable[Evaluation | ConfusionMatrix | History | TrainedModel]) -> list[Evaluation | History]:
    """The evidence of several seeds as a list, of trained models their histories; an `EvidenceError` for others."""
    if not isinstance(evidence, Iterable) or isinstance(evidence, (str, Mapping)):
        raise EvidenceError(
            f"give a list of evaluations, one for each seed, not {type(evidence).__name__}: [evaluate(...), ...]"
        )
    return [_one_seed(one) for one in evidence]


def _one_seed(one: Evaluation | ConfusionMatrix | History | TrainedModel) -> Evaluation | History:
    history = getattr(one, "history", one)
    return history if isinstance(history, History) else as_evaluation(cast("Evaluation | ConfusionMatrix", one))


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
