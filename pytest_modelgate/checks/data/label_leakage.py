"""Does one feature alone tell the target: an audit of each feature by itself."""

from __future__ import annotations

__tracebackhide__ = True

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.checks.data.columns import Column, Target, as_column, read_columns, read_target
from pytest_modelgate.evidence.audit import DataAudit, Finding
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence
from pytest_modelgate.gates.wording import number
from pytest_modelgate.metrics.ranking_bounds import roc_auc_interval
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.statistics.ranks import (
    correlation_bounds,
    cross_fitted,
    folds_of,
    mann_whitney,
    mid_ranks,
    normal_tail,
    rank_correlation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAST_OF_A_CLASS = 5
MOST_CLASSES = 100
MOST_ROWS = 100_000
_SHOWN = 20
_BY_ORDER = "by its order"
_BY_VALUE = "by which value it has"


class _Told(NamedTuple):
    """How much of the target a feature tells, in one of two ways, by its worst told pair of classes."""

    estimate: float
    p: float
    way: str
    scores: NDArray[Any]  # [n] for the order, [n, C] for cross-fitted means


def audit_label_leakage(
    features: Any,
    target: Any,
    *,
    names: Sequence[str] | None = None,
    task: str | None = None,
    confidence: float = CONFIDENCE,
) -> DataAudit:
    """How much of the target each feature tells by itself.

    Of classes it is the ROC-AUC: by the feature's order (of classes that are neighbours by their mean rank, the pair
    that it tells least well, each in its own direction), and by which value it has or lies near, cross-fitted (of
    each class against the others, the least). Of a regression it is Spearman's correlation in the same two ways. The
    larger counts.

    At most 100,000 rows are looked at, drawn evenly from all classes; classes with fewer than 5 samples, all but
    the 100 largest, and rows without a target are left out.

    Args:
        features: [N, D] or [N, ...], or a mapping of names to columns [N]; texts are categories, NaN is a value.
        target: [N]; see `read_target`.
        names: of the D features.
        task: "classification" or "regression".
        confidence: of each of two one-sided bounds.

    Raises:
        EvidenceError: see `read_columns` and `read_target`; other lengths.
        BarError: a confidence that is none.
    """
    check_confidence(confidence)
    told, columns = read_target(target, task), read_columns(features, names)
    given = told.given
    if len(columns[0][1]) != given:
        raise EvidenceError(f"{len(columns[0][1]):,} rows of features and {given:,} targets: lengths must match")
    left_out = []
    if len(told.rows) < given:
        without = given - len(told.rows)
        left_out.append(_remark(without, given, f"{counted(without, 'row')} without a target left out"))
    told, rare = _without_rare(told)
    if rare:
        least = f"classes of fewer than {LEAST_OF_A_CLASS} samples, and all but the {MOST_CLASSES} largest, left out"
        left_out.append(_remark(rare, given, f"{counted(rare, 'row')} of {least}"))
    audit = partial(DataAudit, about="label leakage", sizes={"rows": given}, features=len(columns))
    distinct = len(np.unique(told.codes))
    if distinct < 2:
        kind = "value" if told.num_classes == 0 else "class"
        why = (
            "there is no target" if distinct == 0 else f"there is one {kind} only, in {counted(len(told.rows), 'row')}"
        )
        return audit(findings=(Finding(name="undefined", count=None, of=None, text=why), *left_out))
    told, thinned = _thinned(told)
    if thinned:
        left_out.append(_remark(thinned, given, f"{thinned:,} rows not looked at: {len(told.rows):,} are enough"))
    folds = folds_of(told.codes)
    outcomes = _outcomes(told)
    found: list[tuple[str, _Told]] = []
    for name, values in columns:
        found.append((name, _tell(as_column(name, values[told.rows]), told, outcomes, folds)))
        found = sorted(found, key=lambda one: -one[1].estimate)[:_SHOWN]
    findings = [_finding(name, one, told, confidence) for name, one in found]
    return audit(findings=(*findings, *left_out))


def _remark(count: int, of: int, text: str) -> Finding:
    return Finding(name="left out", count=count, of=of, text=text)


def _without_rare(target: Target) -> tuple[Target, int]:
    """The target without classes that are too small to be told, and how many rows that leaves out."""
    if target.num_classes == 0 or len(target.codes) == 0:
        return target, 0
    sizes = np.bincount(target.codes)
    large = sizes >= LEAST_OF_A_CLASS
    large[np.argsort(-sizes, kind="stable")[MOST_CLASSES:]] = False
    keep = large[target.codes]
    if not keep.any():
        return target, 0  # nothing is left: the few that there are show what they can
    codes = np.unique(target.codes[keep], return_inverse=True)[1].reshape(-1).astype(np.int64)
    kept = Target(codes, target.rows[keep], int(large.sum()), target.given)
    return (target if keep.all() else kept), int((~keep).sum())


def _thinned(target: Target) -> tuple[Target, int]:
    """The target of at most `MOST_ROWS` rows, or 1,000 of each class where that is more."""
    n, rng = len(target.rows), np.random.default_rng(0)
    if n <= MOST_ROWS:
        return target, 0
    if target.num_classes == 0:
        keep = np.sort(rng.choice(n, MOST_ROWS, replace=False))
    else:
        most = max(1000, MOST_ROWS // target.num_classes)
        order = rng.permutation(n)
        order = order[np.argsort(target.codes[order], kind="stable")]
        sizes = np.bincount(target.codes)
        place = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        keep = np.sort(order[place < most])
    codes = target.codes[keep]
    if target.num_classes == 0:
        codes = np.unique(codes, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return Target(codes, target.rows[keep], target.num_classes, target.given), n - len(keep)


def _outcomes(target: Target) -> NDArray[np.float64]:
    """What a feature's values are to tell: a column for each class (for two: the last), or the ranks."""
    if target.num_classes == 0:
        return mid_ranks(np.bincount(target.codes))[target.codes][:, None]
    if target.num_classes == 2:
        return np.asarray(target.codes == 1, dtype=np.float64)[:, None]
    return np.asarray(target.codes[:, None] == np.arange(target.num_classes), dtype=np.float64)


def _tell(column: Column, target: Target, outcomes: NDArray[np.float64], folds: NDArray[np.int64]) -> _Told:
    codes = column.codes
    if codes.max() == 0:
        chance = 0.0 if target.num_classes == 0 else 0.5
        return _Told(chance, 1.0, _BY_ORDER, codes)
    by_order = _Told(-1.0, 1.0, _BY_ORDER, codes)
    if column.ordered:
        by_order = _by_order(codes, target, outcomes)
    means = cross_fitted(codes, outcomes, folds, ordered=column.ordered)
    by_value = _by_value(means, target, outcomes, by_order.estimate)
    return by_value if by_value.estimate > by_order.estimate else by_order


def _by_order(codes: NDArray[np.int64], target: Target, outcomes: NDArray[np.float64]) -> _Told:
    if target.num_classes == 0:
        correlation = rank_correlation(mid_ranks(np.bincount(codes))[codes], outcomes[:, 0])
        p = min(1.0, 2 * normal_tail(abs(correlation) * (len(codes) - 1) ** 0.5))
        return _Told(abs(correlation), p, _BY_ORDER, codes)
    table = np.bincount(target.codes * (codes.max() + 1) + codes, minlength=target.num_classes * int(codes.max() + 1))
    table = table.reshape(target.num_classes, -1)
    pairs = [mann_whitney(table[a], table[b]) for a, b in _neighbours(codes, target)]
    estimate = min(max(area, 1 - area) for area, _ in pairs)
    return _Told(estimate, max(p for _, p in pairs), _BY_ORDER, codes)


def _neighbours(codes: NDArray[np.int64], target: Target) -> list[tuple[int, int]]:
    """Pairs of classes that stand side by side by their mean rank."""
    ranks = mid_ranks(np.bincount(codes))[codes]
    means = np.bincount(target.codes, weights=ranks) / np.bincount(target.codes)
    order = np.argsort(means, kind="stable").tolist()
    return list(pairwise(order))


def _by_value(means: NDArray[np.float64], target: Target, outcomes: NDArray[np.float64], beaten: float) -> _Told:
    """The same by cross-fitted means; it stops where what it would say is below what the order said."""
    estimate, largest = 1.0, 0.0
    for index in range(outcomes.shape[1]):
        scores = np.unique(means[:, index].round(12), return_inverse=True)[1].reshape(-1)
        if target.num_classes == 0:
            area = rank_correlation(mid_ranks(np.bincount(scores))[scores], outcomes[:, index])
            p = normal_tail(area * (len(scores) - 1) ** 0.5)
        else:
            truth = outcomes[:, index] > 0
            size = int(scores.max()) + 1
            area, p = mann_whitney(*(np.bincount(scores[kind], minlength=size) for kind in (truth, ~truth)))
        estimate, largest = min(estimate, area), max(largest, p)
        if estimate <= beaten:
            break
    return _Told(estimate, largest, _BY_VALUE, means)


def _finding(name: str, told: _Told, target: Target, confidence: float) -> Finding:
    lower, upper = _bounds(told, target, confidence)
    what = "rank correlation with the target" if target.num_classes == 0 else "ROC-AUC"
    if target.num_classes > 2:
        what += f", the least of {target.num_classes} classes"
    text = (
        f"{name} alone: {what} {number(told.estimate)} ({number(lower)} to {number(upper)}), {told.way}, "
        f"p = {number(told.p)}"
    )
    return Finding(
        name=name,
        count=None,
        of=None,
        estimate=told.estimate,
        lower=lower,
        upper=upper,
        p=told.p,
        text=text,
    )


def _bounds(told: _Told, target: Target, confidence: float) -> tuple[float, float]:
    """The least lower bound over the pairs of classes, and the least upper one, corrected for their number."""
    if target.num_classes == 0:
        lower, upper = correlation_bounds(told.estimate, len(target.codes), confidence)
        return max(0.0, lower), upper
    if told.way == _BY_ORDER:
        pairs = []
        for a, b in _neighbours(told.scores, target):
            rows = (target.codes == a) | (target.codes == b)
            pairs.append((told.scores[rows].astype(np.float64), target.codes[rows] == b))
    else:
        classes = [1] if target.num_classes == 2 else range(target.num_classes)
        pairs = [(told.scores[:, place], target.codes == index) for place, index in enumerate(classes)]
    lowers, uppers = [], []
    for scores, positive in pairs:
        plain = roc_auc_interval(scores, positive, confidence=confidence)
        wide = roc_auc_interval(scores, positive, confidence=1 - (1 - confidence) / len(pairs))
        assert plain is not None
        assert wide is not None
        lowers.append(plain.lower)
        uppers.append(wide.upper)
    return min(told.estimate, *lowers), max(told.estimate, min(uppers))
