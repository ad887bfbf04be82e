"""What an unsettled verdict says of luck, and of how many samples would settle it."""

from __future__ import annotations

__tracebackhide__ = True

import functools
import math
from typing import TYPE_CHECKING

from pytest_modelgate.gates.planning import LIMIT, POWER, counted, is_exact, scale, share_text
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.gates.wording import number, plain
from pytest_modelgate.metrics.registry import METRICS
from pytest_modelgate.statistics.interval import Interval, normal_quantile
from pytest_modelgate.statistics.planning import samples_to_settle
from pytest_modelgate.statistics.proportions import tail_at_least, tail_at_most

if TYPE_CHECKING:
    from pytest_modelgate.gates.verdict import Verdict


_NO_SIZE = (
    *("over_seeds(", "generalization_gap(", "gap("),
    *("no_label_leakage", "same_distribution", "chance_on_shuffled_labels"),
)
"""How the gates begin whose verdicts rest on more than one size, or on no model's."""


def settling(verdict: Verdict) -> tuple[str, ...]:
    """What an `INCONCLUSIVE` verdict may be luck of, and how many samples would settle it; one line each.

    Computed from the verdict's fields alone, and only where it is called. Sizes are total numbers of samples, for 80%
    power: for a model as far from the bar as the estimate's standard error, on the estimate's side, and for one as
    good as the estimate. Exact where the bounds are Clopper and Pearson's (proportions and F1), else by the bounds'
    width. Empty for other outcomes, for verdicts without bounds, and for those that rest on more than one size (over
    seeds, between training and test data, over slices, and on data alone).
    """
    bar, estimate, lower, upper = verdict.bar, verdict.estimate, verdict.lower, verdict.upper
    if verdict.outcome is not Outcome.INCONCLUSIVE or verdict.direction not in ("at_least", "at_most", "above"):
        return ()
    if bar is None or estimate is None or lower is None or upper is None or verdict.gate.startswith(_NO_SIZE):
        return ()
    if verdict.slice is not None and verdict.family is not None:  # a size for each slice
        return ()
    if dict(verdict.details).get("threshold_tuned_here"):  # no number of samples makes up for that
        return ()
    paired = verdict.gate.startswith("no_regression")
    noun = "samples" if verdict.average is not None else counted(verdict.metric, verdict.label)
    noun = "samples" if verdict.metric == "roc_auc" else noun
    return _settling(
        None if paired else verdict.metric,
        verdict.average,
        noun if verdict.slice is None else f"{noun} of this slice",
        verdict.support,
        estimate,
        Interval(lower, upper),
        bar,
        verdict.direction != "at_most",
        verdict.confidence,
    )


@functools.lru_cache(maxsize=1024)
def _settling(
    metric: str | None,
    average: str | None,
    noun: str,
    support: int,
    estimate: float,
    interval: Interval,
    bar: float,
    higher: bool,
    confidence: float,
) -> tuple[str, ...]:
    """The lines of `settling`; `metric` is None for a difference between two evaluations."""
    meets = estimate >= bar if higher else estimate <= bar
    above = meets == higher
    word = "good" if meets else "bad"
    one = "a difference of" if metric is None else "a model at"
    lines = []
    if metric is not None and is_exact(metric, average, estimate, support, interval, confidence):
        to_share, to_value = scale(metric, average)
        goal, seen = to_share(bar), to_share(estimate)
        if goal == (1.0 if above else 0.0):
            return (f"no number of samples proves a bar of {plain(bar)}",)
        error = math.sqrt(seen * (1 - seen) / support) or math.sqrt(goal * (1 - goal) / support)
        lucky, near = _beside(goal, error, not above, 0.0, 1.0), _beside(goal, error, above, 0.0, 1.0)
        chance = (tail_at_least if above else tail_at_most)(round(seen * support), support, lucky)
        lines.append(f"{one} {number(to_value(lucky), bar)} looks this {word} {share_text(chance)} of the time")
        sizes = [(to_value(truth), samples_to_settle(goal, truth, confidence=confidence)) for truth in (near, seen)]
        about = "about"
    else:
        known = METRICS.get(metric or "")
        lowest, highest = (known.lowest, known.highest) if known is not None else (-math.inf, math.inf)
        width, sure = estimate - interval.lower if above else interval.upper - estimate, normal_quantile(confidence)
        if not (0 < width < math.inf and sure > 0):
            return ()
        error = width / sure
        near = _beside(bar, error, above, lowest, highest)
        factor = (sure + normal_quantile(POWER)) * error
        sizes = [(truth, _roughly(support, factor, abs(truth - bar))) for truth in (near, estimate)]
        about = "roughly"
    (near, size), (_, other) = sizes
    text = f"{_size_text(size, about)} {noun} in all settle {one} {number(near, bar)} in {share_text(POWER)} of cases"
    if estimate != bar and other != size and number(estimate, bar) != number(near, bar):
        text += f", {_size_text(other, about)} one as {word} as this ({number(estimate, bar)})"
    return (*lines, text)


def _beside(bar: float, error: float, above: bool, lowest: float, highest: float) -> float:
    """A value so far from the bar, or half-way to the end of the range where that is nearer."""
    return bar + min(error, (highest - bar) / 2) if above else bar - min(error, (bar - lowest) / 2)


def _roughly(support: int, factor: float, distance: float) -> int | None:
    """A size whose standard error is small enough for the distance; None beyond the limit."""
    size = support * (factor / distance) ** 2 if distance > 0 else math.inf
    return math.ceil(size) if size <= LIMIT else None


def _size_text(size: int | None, about: str) -> str:
    return "more than a million" if size is None else f"{about} {size:,}"
