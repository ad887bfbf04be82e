"""Whether stated probabilities come true: calibration error with its bounds, and the losses of single predictions."""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import as_floats, some_of, to_numpy, whole_numbers
from pytest_modelgate.metrics.counting import check_range, check_same_length
from pytest_modelgate.statistics.interval import Interval, check_level, student_quantile
from pytest_modelgate.statistics.resampling import canonical_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 2**15
FIXED = 2.0**36  # probabilities are summed as whole multiples of 1 / FIXED: exactly, so in any order (to N = 2**27)
BINS = 15
MORE = 1.5  # samples: with them the upper bound of a single bin is never below Clopper and Pearson's


def calibration_error(
    probability: object, positive: object, *, bins: int = BINS, weights: object = None
) -> float | None:
    """The root mean square gap between stated probability and observed share, over equal-width bins, without bias.

    Even a perfectly calibrated model shows gaps by chance; their expected square, acc (1 - acc) / (n_b - 1) in a bin of
    n_b samples, is subtracted (Kumar, Liang and Ma 2019), and a negative sum counts as 0. A bin of one sample cannot be
    corrected and is left out. A probability on the border of two bins belongs to the upper one.

    Args:
        probability: the stated probability of the event, in [0, 1], shape [N]; with many classes that of the top class.
        positive: whether it happened, bool or 0 and 1, shape [N]; with many classes whether the top class was right.
        bins: how many.
        weights: [N], finite, none negative, not all zero; n_b is then after Kish (1965).

    Returns:
        A number in [0, 1], None where no bin has two samples.

    Raises:
        EvidenceError: shapes that do not match, or a probability outside [0, 1].

    >>> round(calibration_error([0.9] * 10, [True] * 5 + [False] * 5), 9)
    0.363623737
    """
    return _error(_binned(probability, positive, bins, weights))


class ReliabilityBin(NamedTuple):
    """The samples whose stated probability lies in [lower, upper).

    Attributes:
        lower, upper: the ends of the bin.
        n: how many samples.
        mean: their mean stated probability.
        share: the share of them in which the event happened.
    """

    lower: float
    upper: float
    n: int
    mean: float
    share: float


def reliability(
    probability: object, positive: object, *, bins: int = BINS, weights: object = None
) -> tuple[float | None, list[ReliabilityBin]]:
    """The calibration error, and the bins that it is made of as far as they hold samples.

    Arguments and errors as in `calibration_error`; mean and share are weighted.

    >>> error, bins = reliability([0.1, 0.1, 0.9, 0.9], [False, True, True, True], bins=2)
    >>> [round(value, 6) for value in bins[1]]
    [0.5, 1.0, 2, 0.9, 1.0]
    """
    counted = _binned(probability, positive, bins, weights)
    sizes: NDArray[Any] = counted.size
    if weights is not None:
        sizes = np.bincount(_bin_of(as_floats(probability).astype(np.float64), bins), minlength=bins)
    rows = np.flatnonzero(counted.weight)
    weight, hits, gaps = counted.weight[rows], counted.hits[rows], counted.gaps[rows]
    columns = (rows / bins, (rows + 1) / bins, sizes[rows].astype(np.int64), (hits - gaps) / weight, hits / weight)
    return _error(counted), [ReliabilityBin(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _error(counted: _Binned) -> float | None:
    """See `calibration_error`."""
    some = counted.size > 1 + 1e-9
    if not some.any():
        return None
    weight, size = counted.weight[some], counted.size[some]
    share, gap = counted.hits[some] / weight, counted.gaps[some] / weight
    square = float((weight * (gap**2 - share * (1 - share) / (size - 1))).sum() / weight.sum())
    return math.sqrt(max(0.0, square))


def calibration_interval(
    probability: object,
    positive: object,
    *,
    bins: int = BINS,
    confidence: float = 0.95,
    weights: object = None,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Interval | None:
    """Bounds for the root mean square gap over the same bins, each one-sided at `confidence`; None without samples.

    For any direction s, one number a bin with a mean square of 1, the mean of s (positive - probability) is at most the
    root mean square gap (Cauchy and Schwarz), and equal where s is proportional to the gaps.

    - Lower: s is learned on one random half of the samples, or groups, and applied to the other, and the other way
      round; the mean of both, less Student's t times the mean of both errors (both speak of the same gaps, so their
      errors can fall together).
    - Upper: s is learned and applied on all samples, which on average finds too large a gap; plus t times its error.

    Each as if one more sample, the worst possible one for that bound, had turned up (for the upper bound one and a
    half), so that samples without any spread prove no more than their number allows.

    Args:
        groups: the group of each sample, int [N], where samples of a group depend on each other.
        seed: of the halves.
        probability, positive, bins, weights: as in `calibration_error`, as is what is raised.
    """
    check_level(confidence)
    p, hit, w = _checked(probability, positive, bins, weights)
    codes = None if groups is None else np.asarray(groups, dtype=np.int64)
    if codes is not None and codes.shape != p.shape:
        raise EvidenceError(f"groups must have the shape [{len(p)}], one for each sample, not {list(codes.shape)}")
    if w is not None and not w.all():
        p, hit, codes, w = p[w > 0], hit[w > 0], None if codes is None else codes[w > 0], w[w > 0]
    if len(p) == 0:
        return None
    order = canonical_order(p, hit, *(array for array in (w, codes) if array is not None))
    p, hit = p[order].astype(np.float64), hit[order]
    share = np.ones(len(p)) if w is None else w[order] / w.max()
    numbers = None if codes is None else np.unique(codes[order], return_inverse=True)[1].reshape(-1)
    number = _bin_of(p, bins)
    residual = hit - p
    units = len(p) if numbers is None else int(numbers.max()) + 1
    first = np.random.default_rng((seed, units)).permutation(units) < units // 2
    if numbers is not None:
        first = first[numbers]
    halves = [
        _gaps(number[half], residual[half], share[half], None if numbers is None else numbers[half], bins)
        for half in (first, ~first)
    ]
    whole = _gaps(number, residual, share, numbers, bins)
    claimed = np.bincount(number, weights=share * p, minlength=bins) / np.where(whole.weight > 0, whole.weight, 1)
    upper = max(
        _greatest(whole.with_more(MORE, place, happened - claimed[place]), confidence)
        for place in np.flatnonzero(whole.weight).tolist()
        for happened in (0.0, 1.0)
    )
    lower = _least(halves, claimed, confidence)
    estimate = calibration_error(p, hit, bins=bins, weights=None if w is None else share)
    if estimate is not None:  # the bounds hold it between them
        lower, upper = min(lower, estimate), max(upper, estimate)
    return Interval(min(1.0, max(0.0, lower)), min(1.0, upper))


def squared_errors(scores: object, target: object) -> NDArray[np.float64]:
    """Each sample's Brier score: float64 [N].

    Of two classes (p - y)^2, in [0, 1]; of more the sum over the classes, in [0, 2] (Brier 1950).

    Args:
        scores: probabilities in [0, 1]: of the last of two classes [N], or of each class [N, K] with K >= 2.
        target: the actual class of each sample, from 0 to K - 1, shape [N].

    Raises:
        EvidenceError: shapes that do not match, a probability outside [0, 1], a class out of range.

    >>> squared_errors([0.1, 0.8], [0, 1]).round(12).tolist()
    [0.01, 0.04]
    """
    p, actual = _predictions(scores, target)
    if p.ndim == 1 or p.shape[1] == 2:
        gap = (p if p.ndim == 1 else p[:, 1]) - (actual != 0).astype(np.float64)
        return np.asarray(gap * gap)
    errors = np.empty(len(p))
    step = max(1, CHUNK // p.shape[1])
    for start in range(0, len(p), step):
        chunk = p[start : start + step].astype(np.float64)
        chunk[np.arange(len(chunk)), actual[start : start + step]] -= 1
        errors[start : start + step] = np.einsum("ij,ij->i", chunk, chunk)
    return errors


def log_losses(probabilities: object, target: object) -> NDArray[np.float64]:
    """Each sample's negative log likelihood, in nats: float64 [N]; infinite where the actual class got 0.

    Arguments and errors as in `squared_errors`.

    >>> log_losses([0.5, 0.0], [1, 1]).round(6).tolist()
    [0.693147, inf]
    """
    p, actual = _predictions(probabilities, target)
    if p.ndim == 1:
        own = np.where(actual != 0, p, 1 - p.astype(np.float64, copy=False))
    else:
        own = p[np.arange(len(p)), actual].astype(np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(0.0 - np.log(own))  # 0 - 0 is 0, where -0 is -0


class _Binned(NamedTuple):
    """Sums over each bin: of the weights, of those where the event happened, and of weight x (positive - probability).

    `size` is how many samples of equal weight would tell as much (Kish).
    """

    weight: NDArray[np.float64]
    hits: NDArray[np.float64]
    gaps: NDArray[np.float64]
    size: NDArray[np.float64]


def _binned(probability: object, positive: object, bins: int, weights: object) -> _Binned:
    """One pass over the samples in chunks; with weights, one over the samples in canonical order."""
    p, hit, w = _checked(probability, positive, bins, weights)
    if w is None:
        counts, sums = np.zeros(2 * bins, dtype=np.int64), np.zeros(bins, dtype=np.int64)
        for start in range(0, len(p), CHUNK):
            chunk = p[start : start + CHUNK].astype(np.float64, copy=False)
            number = _bin_of(chunk, bins)
            sums += np.bincount(number, weights=np.rint(chunk * FIXED), minlength=bins).astype(np.int64)
            counts += np.bincount(2 * number + hit[start : start + CHUNK], minlength=2 * bins)
        size = (counts[::2] + counts[1::2]).astype(np.float64)
        return _Binned(size, counts[1::2].astype(np.float64), counts[1::2] - sums / FIXED, size)
    order = canonical_order(p, hit, w)
    p, hit, w = p[order].astype(np.float64), hit[order], w[order] / w.max() if len(w) else w
    number = _bin_of(p, bins)
    weight, hits, gaps, squares = (_sums(number, terms, bins) for terms in (w, w * hit, w * (hit - p), w * w))
    return _Binned(weight, hits, gaps, weight**2 / np.where(squares > 0, squares, 1))


class _Gaps(NamedTuple):
    """Sums over samples that tell the mean of s (positive - probability), and its error, for any direction s.

    Attributes:
        weight: of each bin, [B].
        gaps: the sum of weight x (positive - probability) in each bin, [B].
        moments: the sum over units, samples or groups, of v v', v a unit's gaps and, last, its weight: [B+1, B+1].
    """

    weight: NDArray[np.float64]
    gaps: NDArray[np.float64]
    moments: NDArray[np.float64]

    @property
    def size(self) -> float:
        """How many equal units would tell as much (Kish)."""
        square = float(self.moments[-1, -1])
        return float(self.weight.sum()) ** 2 / square if square > 0 else 0.0

    def with_more(self, units: float, place: int, residual: float) -> _Gaps:
        """The sums with so many units of usual weight more, all in one bin."""
        total = float(self.weight.sum())
        added = total / self.size
        bins = len(self.weight)
        weight = added * (np.arange(bins) == place)
        unit = np.append(weight * residual, added)
        return _Gaps(
            self.weight + units * weight,
            self.gaps + units * weight * residual,
            self.moments + units * np.outer(unit, unit),
        )

    def along(self, direction: NDArray[np.float64]) -> tuple[float, float]:
        """The mean of s (positive - probability) and its squared standard error, for s scaled to a mean square of 1."""
        total = float(self.weight.sum())
        length = float(self.weight @ direction**2 / total) ** 0.5
        if length == 0:
            return 0.0, 0.0
        direction = direction / length
        mean = float(self.gaps @ direction) / total
        unit = np.append(direction, -mean)
        return mean, max(0.0, float(unit @ self.moments @ unit)) / total**2 * self.size / (self.size - 1)


def _gaps(
    number: NDArray[np.intp],
    residual: NDArray[np.float64],
    share: NDArray[np.float64],
    units: NDArray[np.intp] | None,
    bins: int,
) -> _Gaps:
    """The sums over these samples, given the bin of each, or over their groups."""

    def by_bin(terms: NDArray[np.float64]) -> NDArray[np.float64]:
        return _sums(number, terms, bins)

    weight, term = by_bin(share), share * residual
    gaps = by_bin(term)
    if units is None:
        moments = np.zeros((bins + 1, bins + 1))
        np.fill_diagonal(moments, np.append(by_bin(term * term), (share * share).sum()))
        moments[:-1, -1] = moments[-1, :-1] = by_bin(term * share)
        return _Gaps(weight, gaps, moments)
    table = np.empty((int(units.max(initial=-1)) + 1, bins + 1))
    table[:, :-1] = np.bincount(units * bins + number, weights=term, minlength=len(table) * bins).reshape(-1, bins)
    table[:, -1] = np.bincount(units, weights=share, minlength=len(table))
    return _Gaps(weight, gaps, np.einsum("ui,uj->ij", table, table))


def _greatest(whole: _Gaps, confidence: float) -> float:
    """The upper bound by the directions of these very samples."""
    mean, square = whole.along(whole.gaps / np.where(whole.weight > 0, whole.weight, 1))
    return mean + student_quantile(confidence, whole.size - 1) * math.sqrt(square)


def _least(halves: list[_Gaps], claimed: NDArray[np.float64], confidence: float) -> float:
    """The lower bound by each half's directions, applied to the other half."""
    if min(half.size for half in halves) < 2:
        return 0.0
    means: list[float] = []
    errors: list[float] = []
    for own, other in (halves, halves[::-1]):
        direction = own.gaps / np.where(own.weight > 0, own.weight, 1)
        worst = np.where(other.weight > 0, -direction * np.where(direction > 0, claimed, claimed - 1), 0.0)
        place = int(np.argmin(worst))
        residual = float(-claimed[place] if direction[place] > 0 else 1 - claimed[place])
        mean, square = other.with_more(1, place, residual).along(direction)
        means.append(mean)
        errors.append(math.sqrt(square))
    t = student_quantile(confidence, sum(half.size for half in halves) - 2)
    return (sum(means) - t * sum(errors)) / 2  # the two depend on each other: their errors add


def _sums(number: NDArray[np.intp], terms: NDArray[Any], bins: int) -> NDArray[np.float64]:
    """The sum of the terms in each bin."""
    return np.asarray(np.bincount(number, weights=terms, minlength=bins), dtype=np.float64)


def _bin_of(p: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """The bin of each probability: [k / bins, (k + 1) / bins), the last with its end."""
    number = (p * bins).astype(np.intp)
    return np.minimum(number, bins - 1, out=number)


def _checked(
    probability: object, positive: object, bins: int, weights: object
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.float64] | None]:
    """Probabilities, whether the event happened, and weights, all of one length."""
    p, hit = as_floats(probability, "probabilities"), to_numpy(positive)
    if p.ndim != 1 or bins < 1:
        raise EvidenceError(f"calibration takes probabilities [N] and at least one bin, not {list(p.shape)} and {bins}")
    if hit.dtype.kind != "b":
        hit = whole_numbers(hit, "positive")
        check_range(hit, 2, "positive")
        hit = hit.astype(np.bool_)
    check_same_length(hit, p, "probabilities")
    _check_probabilities(p)
    if weights is None:
        return p, hit, None
    w = np.asarray(to_numpy(weights), dtype=np.float64)
    if w.shape != p.shape:
        raise EvidenceError(f"weights must have the shape [{len(p)}], one for each sample, not {list(w.shape)}")
    if len(w) and not (np.isfinite(w).all() and (w >= 0).all() and w.max() > 0):
        raise EvidenceError("weights must be finite, none negative, and not all zero")
    return p, hit, w


def _predictions(scores: object, target: object) -> tuple[NDArray[Any], NDArray[Any]]:
    """Probabilities [N] or [N, K], and the class of each sample."""
    p, actual = as_floats(scores, "probabilities"), whole_numbers(target, "target")
    if p.ndim not in (1, 2) or (p.ndim == 2 and p.shape[1] < 2):
        raise EvidenceError(f"probabilities must have the shape [N] or [N, K] with K >= 2, not {list(p.shape)}")
    check_same_length(actual, p if p.ndim == 1 else p[:, 0], "probabilities")
    check_range(actual, 2 if p.ndim == 1 else p.shape[1], "target")
    _check_probabilities(p)
    return p, actual


def _check_probabilities(p: NDArray[Any]) -> None:
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise EvidenceError(f"probabilities must lie in [0, 1]: {some_of(p, ~((p >= 0) & (p <= 1)))}")
