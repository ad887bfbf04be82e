"""Two evaluations of the same samples, pair by pair: what the difference of a metric may truly be."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError, MetricError
from pytest_modelgate.metrics.bounds import (
    BAYES,
    HALL,
    change_factor,
    collapsed,
    described_design,
    roles,
    squared_errors,
)
from pytest_modelgate.metrics.forecasts import Forecasts
from pytest_modelgate.metrics.margins import margin_metric
from pytest_modelgate.metrics.measurement import Bounds
from pytest_modelgate.metrics.ranking_bounds import paired_area_interval
from pytest_modelgate.metrics.registry import METRICS
from pytest_modelgate.metrics.regression import absolute_errors, squared_residuals
from pytest_modelgate.metrics.remarks import with_design
from pytest_modelgate.metrics.samples import Samples
from pytest_modelgate.metrics.weighting import relative
from pytest_modelgate.statistics.composites import method_of, paired_dirichlet_interval
from pytest_modelgate.statistics.interval import Interval
from pytest_modelgate.statistics.means import LEAST_GROUPS, LEAST_SAMPLES, mean_interval
from pytest_modelgate.statistics.paired import judge_pairs, tango_interval
from pytest_modelgate.statistics.sums import ExactSums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.metric import Metric, Request

_BY_VALUES = ("brier", "log_loss", "mae", "rmse", "r2", "loss")
_AREAS = ("roc_auc", "average_precision")
_BEYOND = 1e-6  # how far past 0 a bound of McNemar's word stands at least, where Tango's falls short of it


@dataclass(frozen=True, slots=True)
class Difference:
    """The candidate's metric less the baseline's.

    Attributes:
        bounds: what the difference may truly be.
        word: for pairs of hits and misses 1, 0 or -1: not worse by more than the margin is proved, open, refuted;
            None where the bounds decide.
        pairs: those pairs, as (only the baseline right, only the candidate right, all); else None.
    """

    bounds: Bounds
    word: int | None = None
    pairs: tuple[int, int, int] | None = None

    def around(self, estimate: float) -> Difference:
        """The same with bounds that hold the estimate."""
        interval = self.bounds.interval
        if interval is None:
            return self
        held = Interval(min(float(interval.lower), estimate), max(float(interval.upper), estimate))
        return replace(self, bounds=replace(self.bounds, interval=held))


def comparable() -> list[str]:
    """The names of the metrics that can be compared sample by sample."""
    return [name for name, one in METRICS.items() if one.needs in ("counts", "ranks") or name in (*_BY_VALUES, *_AREAS)]


def check_comparable(metric: Metric) -> None:
    """A `MetricError` for a metric that cannot be compared sample by sample; it names those that can."""
    if METRICS.get(metric.name) is not metric or metric.name not in comparable():
        raise MetricError(
            f"{metric.name} cannot be compared with a baseline sample by sample; these can: {', '.join(comparable())}"
        )


def difference(
    metric: Metric,
    candidate: Evaluation,
    baseline: Evaluation,
    *,
    margin: float,
    confidence: float,
    label: Label | None = None,
    average: str | None = None,
    parameters: dict[str, Any],
) -> Difference:
    """What the difference of two aligned evaluations may truly be.

    Raises:
        MetricError: a metric for which no paired comparison is known.
        EvidenceError: losses of different kinds, or what the metric needs was not kept.
    """
    check_comparable(metric)
    request = metric.request(
        candidate.source(metric),
        label=label,
        average=average,
        parameters=parameters,
        labels=candidate.labels,
        rows=candidate.samples,
    )
    if metric.needs in ("counts", "ranks"):
        return _of_decisions(metric, request, candidate, baseline, margin, confidence)
    if metric.name in _AREAS:
        return Difference(_of_areas(metric.name, request, candidate, baseline, confidence))
    mine, theirs, weights = _values(metric, request, candidate, baseline)
    rows = replace(request.rows, weights=weights)
    parameter = next((name for name in ("max_error", "max_loss") if name in request.parameters), None)
    largest = None if parameter is None else request.parameters[parameter]
    if metric.name == "brier":
        largest = 1.0 if request.index is not None or candidate.task == "binary" else metric.highest
    elif largest is not None:
        roots = [_mean(of, weights) for of in (mine, theirs)] if metric.name == "rmse" else None
        _check_largest(largest, mine, theirs, roots)
        largest = largest if roots is None else _most_of_roots(largest, *roots)
    return Difference(_of_values(mine, theirs, rows, confidence, largest, parameter))


def _of_decisions(
    metric: Metric, request: Request, candidate: Evaluation, baseline: Evaluation, margin: float, confidence: float
) -> Difference:
    mine, theirs = candidate.samples, baseline.samples
    assert mine is not None
    assert theirs is not None
    if metric.needs == "ranks":
        if mine.ranks is None or theirs.ranks is None:
            raise EvidenceError(f"{metric.name} needs the rank of each sample; evaluate both with keep='auto' and ids=")
        k = int(request.parameters["k"])
        return _of_shares(mine.ranks < k, theirs.ranks < k, mine, margin, confidence, better=True)
    matrix = candidate.confusion_matrix
    if metric.compute(matrix, request).hits is not None:
        hits, counts = roles(metric.compute, matrix, request, mine)
        before, counted = roles(metric.compute, matrix, request, theirs)
        if np.array_equal(counts, counted):
            better = metric.higher_is_better
            judged = mine.take(np.flatnonzero(counts))
            return _of_shares(hits[counts], before[counts], judged, margin, confidence, better=better)
    return Difference(_of_tables(metric, request, candidate, baseline, confidence))


def _of_shares(
    hits: NDArray[np.bool_],
    before: NDArray[np.bool_],
    rows: Samples,
    margin: float,
    confidence: float,
    *,
    better: bool,
) -> Difference:
    """Shares of the same samples: what counts are those that only one of the two got right."""
    if rows.weighed:
        return Difference(_of_values(hits.astype(np.float64), before.astype(np.float64), rows, confidence, 1.0))
    only_mine, only_theirs = int(np.count_nonzero(hits & ~before)), int(np.count_nonzero(before & ~hits))
    losses, wins = (only_theirs, only_mine) if better else (only_mine, only_theirs)
    lower, upper = tango_interval(losses, wins, len(hits), confidence)
    word = judge_pairs(losses, wins, len(hits), margin, confidence)
    if margin == 0 and word:
        # McNemar's word and Tango's bounds part by a hair where few pairs differ: the word holds.
        lower, upper = (max(lower, 0.0), upper) if word == 1 else (lower, min(upper, -_BEYOND))
    interval = Interval(lower, upper) if better else Interval(0.0 - upper, 0.0 - lower)
    method = "McNemar mid-p, bounds after Tango" if margin == 0 else "Tango's score"
    return Difference(
        Bounds(interval, method),
        word=word,
        pairs=(losses, wins, len(hits)),
    )


def _of_tables(
    metric: Metric, request: Request, candidate: Evaluation, baseline: Evaluation, confidence: float
) -> Bounds:
    """Composite metrics: the imprecise Dirichlet model of (actual, the baseline's, the candidate's class)."""
    mine, theirs = candidate.samples, baseline.samples
    assert mine is not None
    assert theirs is not None
    size, index = candidate.confusion_matrix.num_classes, request.index
    target, preds = collapsed(mine, index)
    _, before = collapsed(theirs, index)
    size = size if index is None else 2
    function = margin_metric(
        metric.name,
        average=request.average,
        index=None if index is None else 1,
        beta=request.parameters.get("beta", 1.0),
    )
    design = described_design(mine)
    cells = (target.astype(np.int64) * size + before) * size + preds
    if mine.weights is None:
        present, each = np.unique(cells, return_counts=True)
        counts = each.astype(np.float64)
    else:
        present, places = np.unique(cells, return_inverse=True)
        sums = ExactSums(len(cells), len(present))
        sums.add(relative(mine.weights), places)
        counts = sums.rounded()
    method = f"{method_of(len(present))}, on pairs"
    factor = 1.0
    if mine.weighed:
        found = change_factor(function, target, preds, before, size, mine, confidence)
        if found is None:
            return Bounds(None, method, "all samples are of one group")
        factor = found
    interval = paired_dirichlet_interval(
        present // (size * size),
        present // size % size,
        present % size,
        counts * (factor * len(target) / counts.sum()),
        size,
        function,
        lowest=metric.lowest - metric.highest,
        highest=metric.highest - metric.lowest,
        confidence=confidence,
    )
    return Bounds(interval, with_design(method, design), remarks=design.remarks)


def _of_areas(name: Any, request: Request, candidate: Evaluation, baseline: Evaluation, confidence: float) -> Bounds:
    method = "paired DeLong" if name == "roc_auc" else "paired influences, approximate"
    if request.index is None:
        raise MetricError(f"{name} is compared with a baseline class by class: give label=, not average=")
    scores, before = candidate.scores, baseline.scores
    if scores is None or before is None:
        raise EvidenceError(f"{name} needs the scores of both evaluations; evaluate both with keep='scores'")
    values, positive = scores.of_class(request.index)
    others, _ = before.of_class(request.index)
    codes = request.rows.group_codes
    interval = paired_area_interval(
        name,
        values,
        others,
        positive,
        confidence=confidence,
        weights=request.weights,
        groups=codes,
    )
    design = described_design(request.rows)
    fewest = min(np.count_nonzero(positive), np.count_nonzero(~positive))
    if interval is None and name == "roc_auc" and np.array_equal(values, others) and not request.rows.weighed:
        return Bounds(_unmoved_area(int(fewest), confidence), f"{method}, no score differs")
    if interval is None:
        few = fewest < 2 or (request.rows.num_groups or 2) < 2
        return Bounds(None, method, "the samples of a class are too few" if few else "no sample's rank differs")
    return Bounds(interval, with_design(method, design), remarks=design.remarks)


def _unmoved_area(fewest: int, confidence: float) -> Interval:
    """How far two ROC-AUCs may be apart where no score differs, with so many samples of the rarer class.

    If a share p of the positives and q of the negatives would differ, m and n of them show none with probability
    (1 - p)^m (1 - q)^n <= exp(-min(m, n) (p + q)), and the areas are at most p + q apart.
    """
    reach = min(1.0, -math.log(1 - confidence) / fewest)
    return Interval(-reach, reach)


def _of_values(
    mine: NDArray[Any],
    theirs: NDArray[Any],
    rows: Samples,
    confidence: float,
    largest: float | None,
    parameter: str | None = None,
) -> Bounds:
    """Means of the same samples: the mean of their differences, each at most `largest` where that is known."""
    interval = mean_interval(
        mine - theirs,
        confidence=confidence,
        weights=rows.weights,
        groups=rows.group_codes,
        largest=largest,
        smallest=None if largest is None else -largest,
    )
    design = described_design(rows)
    few = len(mine) < LEAST_SAMPLES if rows.groups is None else rows.num_groups < LEAST_GROUPS
    method = f"{BAYES if few and largest is not None else HALL}, of the differences"
    if interval is None:
        why = "no sample fared differently"
        if not np.array_equal(mine, theirs):
            why = f"fewer than {LEAST_SAMPLES} samples (or {LEAST_GROUPS} groups) say too little about their spread"
        if parameter is not None and largest is None:
            what = parameter.removeprefix("max_")
            why += f"; {parameter}=, the greatest {what} that there could be, would give bounds"
        return Bounds(None, method, why)
    return Bounds(interval, with_design(method, design), remarks=design.remarks)


def _values(
    metric: Metric, request: Request, candidate: Evaluation, baseline: Evaluation
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]:
    """A value for each sample of both, and weights: their mean difference is the metric's, to first order."""
    mine, theirs, weights = candidate.samples or Samples(), baseline.samples or Samples(), request.weights
    if metric.name == "loss":
        _same_loss(candidate, baseline)
        if mine.losses is None or theirs.losses is None:
            raise EvidenceError("the losses of single samples were not kept; evaluate both with keep='auto'")
        if not _alike(mine.loss_weights, theirs.loss_weights):
            raise EvidenceError(
                "losses of different class weights cannot be compared; evaluate both with the same loss"
            )
        if mine.loss_weights is None:
            return mine.losses.astype(np.float64), theirs.losses.astype(np.float64), weights
        each = mine.loss_weights.astype(np.float64)
        by = np.where(each > 0, each, 1.0)
        return mine.losses / by, theirs.losses / by, each if weights is None else each * weights
    if metric.needs == "forecasts":
        now, then = (Forecasts.from_scores(one.scores, one.outputs) for one in (candidate, baseline))
        if metric.name == "log_loss":
            return now.losses, then.losses, weights
        return squared_errors(now, request), squared_errors(then, request), weights
    if metric.name == "mae":
        return absolute_errors(mine.actual, mine.predicted), absolute_errors(theirs.actual, theirs.predicted), weights
    squares = [squared_residuals(one.actual, one.predicted) for one in (mine, theirs)]
    if metric.name == "rmse":
        return _root(squares[0], weights), _root(squares[1], weights), weights
    actual = np.asarray(mine.actual, dtype=np.float64)
    if actual.ndim > 1 and actual.shape[1] > 1:
        raise MetricError("r2 of several outputs has no paired comparison; compare rmse")
    around = (actual.reshape(-1) - _mean(actual.reshape(-1), weights)) ** 2
    return -_ratio(squares[0], around, weights), -_ratio(squares[1], around, weights), weights


def _root(squares: NDArray[np.float64], weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Values whose mean is the root of the mean square, each moving it as its square does."""
    root = float(np.sqrt(_mean(squares, weights)))
    return (squares + root * root) / (2 * root) if root > 0 else squares


def _check_largest(largest: float, mine: NDArray[Any], theirs: NDArray[Any], roots: list[float] | None) -> None:
    """An `EvidenceError` where a loss or an error is seen that is greater than what is called the greatest."""
    seen = [float(of.max(initial=0.0)) for of in (mine, theirs)]
    if roots is not None:
        seen = [math.sqrt(max(root * (2 * most - root), 0.0)) for root, most in zip(roots, seen, strict=True)]
    if max(seen) > largest * (1 + 1e-9):
        raise EvidenceError(f"the greatest possible value is given as {largest!r}, but there is a {max(seen):g}")


def _most_of_roots(largest: float, mine: float, theirs: float) -> float | None:
    """How far the values of `_root` can be apart for errors up to `largest`; None where a root is 0."""
    if mine <= 0 or theirs <= 0:
        return None
    ends = [(least / 2, (largest**2 + least**2) / (2 * least)) for least in (mine, theirs)]
    return max(ends[0][1] - ends[1][0], ends[1][1] - ends[0][0])


def _ratio(
    part: NDArray[np.float64], whole: NDArray[np.float64], weights: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Values whose mean is the ratio of two means, each moving it as its part and its whole do."""
    mean = _mean(whole, weights)
    return (part - _mean(part, weights) / mean * (whole - mean)) / mean


def _alike(mine: NDArray[Any] | None, theirs: NDArray[Any] | None) -> bool:
    return (mine is None and theirs is None) or (
        mine is not None and theirs is not None and np.array_equal(mine, theirs)
    )


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64] | None) -> float:
    ordered = np.sort(values if weights is None else values * weights)
    return float(ordered.sum() / (len(values) if weights is None else np.sort(weights).sum()))


def _same_loss(candidate: Evaluation, baseline: Evaluation) -> None:
    mine, theirs = candidate.mean_loss, baseline.mean_loss
    if mine is None or theirs is None:
        raise EvidenceError("no loss was measured in one of the two; evaluate both with loss=...")
    if mine.name != theirs.name:
        raise EvidenceError(
            f"losses of different kinds cannot be compared: {mine.name!r} and {theirs.name!r}; "
            "evaluate both with the same loss"
        )
