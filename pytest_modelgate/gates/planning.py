"""How large a test set must be: before it is collected, given one, and after a verdict that it could not settle."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.exceptions import BarError, EvidenceError, MetricError
from pytest_modelgate.gates.gate import judged_class
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence
from pytest_modelgate.gates.wording import number, percent, plain, subject
from pytest_modelgate.metrics.registry import get_metric
from pytest_modelgate.statistics.composites import f1_of_jaccard, jaccard_of_f1
from pytest_modelgate.statistics.interval import Interval, normal_quantile
from pytest_modelgate.statistics.planning import (
    auc_samples_to_settle,
    effective_pairs,
    power_of_proportion,
    provable_from,
    refutable_from,
    samples_to_settle,
)
from pytest_modelgate.statistics.proportions import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.metric import Metric

POWER = 0.8
LIMIT = 1_000_000

COUNTED = {
    "accuracy": "samples",
    "top_k_accuracy": "samples",
    "recall": "samples of {who}",
    "false_negative_rate": "samples of {who}",
    "precision": "samples predicted as {who}",
    "negative_predictive_value": "samples not predicted as {who}",
    "specificity": "samples not of {who}",
    "false_positive_rate": "samples not of {who}",
    "f1": "samples of or predicted as {who}",
    "jaccard": "samples of or predicted as {who}",
    "roc_auc": "samples of the rarer class",
}
"""What the size of a plan counts, for each metric that can be planned from its bar alone."""


def counted(metric: str, label: Label | None = None) -> str:
    """What a sample size of this metric counts, for sentences.

    >>> counted("recall", "fraud"), counted("precision"), counted("accuracy")
    ("samples of 'fraud'", 'samples predicted as the class', 'samples')
    """
    who = "the class" if label is None else repr(label) if isinstance(label, str) else f"class {label}"
    return COUNTED.get("f1" if metric == "fbeta" else metric, "samples").format(who=who)


def plan_sample_size(
    metric: str, bar: float, expected: float, *, confidence: float = CONFIDENCE, power: float = POWER
) -> int:
    """How many samples prove that a model meets a bar, if its true value is `expected`.

    What the number counts depends on the metric. accuracy, top_k_accuracy: all samples. recall, false_negative_rate:
    samples of the class. precision: samples predicted as the class; negative_predictive_value: not predicted as it.
    specificity, false_positive_rate: samples that are not of the class. f1, jaccard: samples that are of the class or
    predicted as it. roc_auc: samples of the rarer class, with at least as many of the other.

    All but roc_auc are exact: no larger number has less power (Clopper and Pearson 1934; F1 through the Jaccard
    index). roc_auc uses the variance of Hanley and McNeil (1982) and is approximate.

    Args:
        metric: one of these names; whether higher is better is known of each.
        bar, expected: values of the metric, `expected` on the good side of the bar.
        confidence: how sure the proof must be, one-sided; from 0.5 to below 1.
        power: how probable the proof must be; from 0.5 to below 1.

    Raises:
        MetricError: an unknown metric, or one that cannot be planned from its bar alone.
        BarError: a bar or an expected value outside the metric's range or on the wrong side, a confidence or power
            that is none, or more than a million samples.

    >>> plan_sample_size("recall", 0.90, 0.93), plan_sample_size("recall", 0.90, 0.95), plan_sample_size("f1", 0.8, 0.9)
    (593, 203, 62)
    """
    asked = get_metric(metric)
    if asked.name not in COUNTED:
        raise MetricError(
            f"no sample size of {asked.name} follows from its bar alone, as it does for {', '.join(COUNTED)}; "
            f"what_can_be_told(evidence, bar, {asked.name!r}) tells from an evaluation what such a set can settle, "
            "and so does an INCONCLUSIVE verdict"
        )
    bar, expected = _checked(asked, bar, "bar"), _checked(asked, expected, "expected")
    check_confidence(confidence)
    _check_power(power)
    _refuse_met_by_all(asked, bar)
    if expected == bar:
        raise BarError(
            f"expected={plain(expected)} is the bar itself: a model that is just at the bar cannot be proved at any "
            f"size; give an expected {asked.title} {'above' if asked.higher_is_better else 'below'} it"
        )
    if (expected > bar) != asked.higher_is_better:
        misses = f"{'below' if expected < bar else 'above'} the bar of {plain(bar)}"
        raise BarError(f"expected={plain(expected)} is {misses}: more samples would prove that the {asked.title} fails")
    size = _size(asked.name, bar, expected, confidence, power)
    if size is None:
        raise BarError(
            f"it takes more than a million {counted(asked.name)} to tell {plain(expected)} from a bar of "
            f"{plain(bar)}; set the bar further from what is expected"
        )
    return size


def chance_to_prove(metric: str, samples: int, bar: float, expected: float, *, confidence: float = CONFIDENCE) -> float:
    """How probably so many samples prove that a model meets the bar, if its true value is `expected`.

    Metrics and what `samples` counts as in `plan_sample_size`.

    >>> round(chance_to_prove("recall", 296, 0.90, 0.93), 2)
    0.49
    """
    to_share, _ = scale(metric)
    trials = int(effective_pairs(samples, expected)) if metric == "roc_auc" and samples else samples
    return float(power_of_proportion(trials, to_share(bar), to_share(expected), confidence=confidence))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What one test set can tell about a metric and a bar.

    Attributes:
        metric, label, average, parameters: what is judged.
        what: the same in words, such as "recall of 'fraud'".
        support: how many samples it rests on; see `counted`.
        bar, direction, confidence, power: what is asked: `at_least` or `at_most` the bar, how surely, how probably.
        provable: the true value from which on (`at_most`: up to which) PASS has this power; None where none has.
        refutable: the true value up to which (`at_most`: from which on) FAIL has this power; None where none has.
        flawless: the bound that a flawless run shows: what it proves at best; None where that is not known.
        approximate: whether the figures come from an interval's width, and not from exact probabilities.
    """

    metric: str
    label: Label | None
    average: str | None
    parameters: tuple[tuple[str, float], ...] = ()
    what: str
    support: int
    bar: float
    direction: str
    confidence: float
    power: float
    provable: float | None
    refutable: float | None
    flawless: float | None
    approximate: bool = False

    def __str__(self) -> str:
        from_on, up_to = ("from {} on", "up to {}") if self.direction == "at_least" else ("up to {}", "from {} on")
        found = []
        for word, done, reach, value in (
            ("PASS", "proved", from_on, self.provable),
            ("FAIL", "refuted", up_to, self.refutable),
        ):
            if value is None:
                found.append(f"no true value is {done}")
            else:
                found.append(f"{word} for a true value {reach.format(number(value, self.bar))}")
        noun = "samples" if self.average is not None else counted(self.metric, self.label)
        noun = "samples" if self.metric == "roc_auc" else noun
        sign = ">=" if self.direction == "at_least" else "<="
        sure = f"{100 * self.confidence:.10g}% confidence"
        lines = [
            f"{self.what} {sign} {plain(self.bar)} on {self.support:,} {noun} ({sure}):",
            f"{'roughly, ' if self.approximate else ''}in {share_text(self.power)} of cases or more {', '.join(found)}",
        ]
        if self.flawless is not None:
            side = "least" if self.direction == "at_least" else "most"
            lines.append(f"a flawless run proves at {side} {number(self.flawless, self.bar)}")
        return "\n  ".join(lines)


def what_can_be_told(
    evidence: Evaluation | ConfusionMatrix,
    bar: float,
    metric: str | Metric = "recall",
    *,
    label: Label | None = None,
    average: str | None = None,
    confidence: float = CONFIDENCE,
    power: float = POWER,
    **parameters: Any,
) -> Resolution:
    """Which true values a test set could prove to meet a bar, and which it could refute.

    For proportions, F1 and the Jaccard index of a class only the number of samples counts, not how the model did on
    them; but for precision, negative predictive value, F1 and Jaccard that number is one of predictions, and so of
    this model. For all other metrics, and for samples with groups or weights, it is approximate: as if the interval
    of this evidence were as wide around any true value.

    Args:
        metric: its name, or a `custom_metric`.
        label, average: as in `Gate`.
        parameters: what the metric takes: `k` for "top_k_accuracy", `beta` for "fbeta", `max_loss` for "loss", ...

    Raises:
        MetricError, EvidenceError: as `Evaluation.interval` does; EvidenceError too where there is no sample to judge.
        BarError: a bar outside the metric's range or one that all values meet; a confidence or power that is none.

    >>> from pytest_modelgate import ConfusionMatrix
    >>> evidence = ConfusionMatrix.from_counts(tp=36, fp=2, fn=4, tn=40, labels=("ok", "fraud"))
    >>> print(what_can_be_told(evidence, 0.9))
    recall of 'fraud' >= 0.9 on 40 samples of 'fraud' (95% confidence):
      in 80% of cases or more PASS for a true value from 0.994 on, FAIL for a true value up to 0.755
      a flawless run proves at least 0.928
    """
    evaluation, asked = as_evaluation(evidence), get_metric(metric)
    bar = _checked(asked, bar, "bar")
    check_confidence(confidence)
    _check_power(power)
    _refuse_met_by_all(asked, bar)
    label = judged_class(asked, evaluation, label, average)
    found = evaluation.measure(asked, label=label, average=average, **parameters)
    if found.value is None:
        raise EvidenceError(f"nothing can be told about {asked.name}: {found.cause}")
    interval = evaluation.interval(asked, label=label, average=average, confidence=confidence, **parameters)
    shown = asked.shown(parameters)
    better = asked.higher_is_better
    exact = is_exact(asked.name, average, found.value, found.support, interval, confidence)
    above: float | None
    below: float | None
    flawless = None
    if exact:
        to_share, to_value = scale(asked.name, average)
        above = provable_from(found.support, to_share(bar), confidence=confidence, power=power)
        below = refutable_from(found.support, to_share(bar), confidence=confidence, power=power)
        above, below = (None if share is None else to_value(share) for share in (above, below))
        best = clopper_pearson(found.support if better else 0, found.support, confidence)
        flawless = to_value(best.lower if better else best.upper)
    else:
        sure = normal_quantile(confidence)
        stretch = 1 + normal_quantile(power) / sure if sure > 0 else math.inf
        above = _within(asked, bar + stretch * (found.value - interval.lower))
        below = _within(asked, bar - stretch * (interval.upper - found.value))
    provable, refutable = (above, below) if better else (below, above)
    return Resolution(
        metric=asked.name,
        label=label,
        average=average,
        parameters=tuple(shown.items()),
        what=subject(asked, label=label, average=average, parameters=shown),
        support=found.support,
        bar=bar,
        direction="at_least" if better else "at_most",
        confidence=confidence,
        power=power,
        provable=provable,
        refutable=refutable,
        flawless=flawless,
        approximate=not exact,
    )


def share_text(chance: float) -> str:
    """A probability in whole percent, never rounded to none or all.

    >>> share_text(0.274), share_text(0.001), share_text(0.9999)
    ('27%', 'less than 1%', 'more than 99%')
    """
    if 0.01 <= chance <= 0.99:
        return f"{100 * chance:.0f}%"
    return "less than 1%" if chance < 0.5 else "more than 99%"


def scale(metric: str, average: str | None = None) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """From a metric's values to those of a proportion, and back: the Jaccard index for the F1 of a class."""
    return (jaccard_of_f1, f1_of_jaccard) if metric == "f1" and average is None else (float, float)


def is_exact(
    metric: str, average: str | None, estimate: float, support: int, interval: Interval, confidence: float
) -> bool:
    """Whether a metric is a proportion of independent samples here: whether its bounds are Clopper and Pearson's."""
    to_share, to_value = scale(metric, average)
    if support == 0 or not 0 <= estimate <= 1:
        return False
    hits = to_share(estimate) * support
    if abs(hits - round(hits)) > 1e-6:
        return False
    bounds = clopper_pearson(round(hits), support, confidence)
    return all(math.isclose(to_value(mine), given, rel_tol=1e-9) for mine, given in zip(bounds, interval, strict=True))


def _size(metric: str, bar: float, expected: float, confidence: float, power: float) -> int | None:
    to_share, _ = scale(metric)
    settle = auc_samples_to_settle if metric == "roc_auc" else samples_to_settle
    return settle(to_share(bar), to_share(expected), confidence=confidence, power=power, limit=LIMIT)


def _checked(metric: Metric, value: object, name: str) -> float:
    """A value of the metric as a float; a `BarError` unless it is a number within the metric's range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BarError(f"{name}={value!r} is no number: give a value of {metric.title}")
    value, lowest, highest = float(value), metric.lowest, metric.highest
    if not lowest <= value <= highest or math.isinf(value):
        meant = f"; was {percent(value)} meant?" if (lowest, highest) == (0, 1) and 10 <= value <= 100 else ""
        raise BarError(f"{name}={plain(value)} is outside the range of {metric.name}, {lowest:g} to {highest:g}{meant}")
    return value


def _check_power(power: object) -> None:
    number = isinstance(power, (int, float)) and not isinstance(power, bool)
    if not number or not 0.5 <= power < 1:  # type: ignore[operator]
        meant = f"; was {percent(power)} meant?" if number and 50 <= power < 100 else ""  # type: ignore[arg-type, operator]
        raise BarError(f"power={power!r} is not a power: give a number from 0.5 to below 1{meant}")


def _refuse_met_by_all(metric: Metric, bar: float) -> None:
    if bar == (metric.lowest if metric.higher_is_better else metric.highest):
        raise BarError(f"every model meets a bar of {plain(bar)} on {metric.name}: there is nothing to prove")


def _within(metric: Metric, value: float) -> float | None:
    return value if metric.lowest <= value <= metric.highest and math.isfinite(value) else None
