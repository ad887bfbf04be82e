"""Errors of predicted numbers, and their bounds. Of several outputs a sample's error is the mean over its outputs."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import check_scores, to_numpy
from pytest_modelgate.statistics.interval import Interval, check_level
from pytest_modelgate.statistics.means import mean_interval
from pytest_modelgate.statistics.resampling import bca_interval, bca_of_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray


def absolute_errors(actual: object, predicted: object) -> NDArray[np.float64]:
    """Each sample's absolute error, the mean over its outputs: float64 [N].

    Args:
        actual: the targets, finite, [N] or [N, D].
        predicted: of the same shape.

    Raises:
        EvidenceError: shapes that differ, a number that is NaN or infinite.
    """
    truth, guess = _checked(actual, predicted)
    return _per_sample(np.abs(guess - truth))


def squared_residuals(actual: object, predicted: object) -> NDArray[np.float64]:
    """Each sample's squared error, the mean over its outputs: float64 [N]; arguments as in `absolute_errors`."""
    truth, guess = _checked(actual, predicted)
    return _per_sample((guess - truth) ** 2)


def mean_absolute_error(actual: object, predicted: object, *, weights: object = None) -> float | None:
    """The mean absolute error over samples and outputs; None without samples.

    Args:
        weights: [N], finite, none negative, not all zero; None where all samples count alike.
        actual, predicted: as in `absolute_errors`, as is what is raised.

    >>> mean_absolute_error([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    0.5
    """
    errors = absolute_errors(actual, predicted)
    return _mean(errors, _weights(weights, len(errors)))


def root_mean_squared_error(actual: object, predicted: object, *, weights: object = None) -> float | None:
    """The root of the mean squared error over samples and outputs together; None without samples.

    Arguments and errors as in `mean_absolute_error`.

    >>> root_mean_squared_error([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    0.6123724356957945
    """
    errors = squared_residuals(actual, predicted)
    mean = _mean(errors, _weights(weights, len(errors)))
    return None if mean is None else mean**0.5


def r2(actual: object, predicted: object, *, weights: object = None) -> float | None:
    """The share of the targets' variance that is explained, the mean over outputs; below 0 if a constant does better.

    None where the targets of an output do not vary. Arguments and errors as in `mean_absolute_error`.

    >>> round(r2([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]), 12)
    0.948608137045
    """
    truth, guess = _checked(actual, predicted)
    w = _weights(weights, len(truth))
    shares = []
    for target, residual in zip(np.atleast_2d(truth.T), np.atleast_2d((guess - truth).T), strict=True):
        centre = _mean(target, w)
        if centre is None or _constant(target, w):
            return None
        square = _mean((target - centre) ** 2, w)
        error = _mean(residual**2, w)
        if not square or error is None:
            return None
        shares.append(1 - error / square)
    return sum(shares) / len(shares)


def median_absolute_error(actual: object, predicted: object, *, weights: object = None) -> float | None:
    """The median of the samples' absolute errors; None without samples.

    With weights, the error at which half of the weight is reached. Arguments and errors as in `mean_absolute_error`.

    >>> median_absolute_error([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    0.5
    """
    errors = absolute_errors(actual, predicted)
    w = _weights(weights, len(errors))
    if len(errors) == 0:
        return None
    if w is None:
        return float(np.median(errors))
    errors, w = errors[w > 0], w[w > 0]
    order = np.lexsort((w, errors))
    errors, reached = errors[order], np.cumsum(w[order])
    middle = int(np.searchsorted(reached, reached[-1] / 2))
    if reached[middle] == reached[-1] / 2:
        return float(errors[middle] + errors[middle + 1]) / 2
    return float(errors[middle])


def mean_absolute_error_interval(
    actual: object,
    predicted: object,
    *,
    confidence: float = 0.95,
    weights: object = None,
    groups: NDArray[np.int64] | None = None,
    largest: float | None = None,
) -> Interval | None:
    """Bounds for the mean absolute error, each one-sided at `confidence`, by `statistics.means.mean_interval`.

    Args:
        groups: the group of each sample, int [N], where samples of a group depend on each other.
        largest: the largest possible absolute error, if known; without it None below 50 samples.
        actual, predicted, weights: as in `mean_absolute_error`.

    Raises:
        EvidenceError: as in `mean_absolute_error`, or an error above the largest possible.
        BarError: unless 0 < confidence < 1.
    """
    errors = absolute_errors(actual, predicted)
    w = _weights(weights, len(errors))
    return mean_interval(errors, confidence=confidence, weights=w, groups=groups, smallest=0.0, largest=largest)


def root_mean_squared_error_interval(
    actual: object,
    predicted: object,
    *,
    confidence: float = 0.95,
    weights: object = None,
    groups: NDArray[np.int64] | None = None,
    largest: float | None = None,
) -> Interval | None:
    """Bounds for the root mean squared error: the roots of the bounds of the mean of squares.

    Arguments and errors as in `mean_absolute_error_interval`.
    """
    squares = squared_residuals(actual, predicted)
    w = _weights(weights, len(squares))
    most = None if largest is None else float(largest) ** 2
    found = mean_interval(squares, confidence=confidence, weights=w, groups=groups, smallest=0.0, largest=most)
    return None if found is None else Interval(found.lower**0.5, found.upper**0.5)


def r2_interval(
    actual: object,
    predicted: object,
    *,
    confidence: float = 0.95,
    weights: object = None,
    groups: NDArray[np.int64] | None = None,
) -> Interval | None:
    """Approximate bounds for R2 by the BCa bootstrap of sums; None where it says nothing, as below 20 samples.

    Arguments and errors as in `mean_absolute_error_interval`.
    """
    check_level(confidence)
    if r2(actual, predicted, weights=weights) is None:
        return None
    truth, guess = _checked(actual, predicted)
    w = _weights(weights, len(truth))
    truth, guess = (array.reshape(len(array), -1) for array in (truth, guess))
    outputs = truth.shape[1]
    centred = truth - [_mean(column, w) for column in truth.T]  # small numbers: their squares lose nothing
    rows = np.concatenate((centred, centred**2, (guess - truth) ** 2, np.ones((len(truth), 1))), axis=1)

    def of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        total, square, error = (sums[..., i * outputs : (i + 1) * outputs] for i in range(3))
        spread = square - total**2 / sums[..., -1:]
        defined = spread > 1e-9 * square
        return np.asarray((1 - error / np.where(defined, spread, np.nan)).mean(axis=-1))

    return bca_of_sums(rows, of_sums, confidence=confidence, groups=groups, weights=w)


def median_absolute_error_interval(
    actual: object,
    predicted: object,
    *,
    confidence: float = 0.95,
    weights: object = None,
    groups: NDArray[np.int64] | None = None,
    largest: float | None = None,
) -> Interval | None:
    """Bounds for the median absolute error: order statistics, exact for any distribution (Conover 1999).

    The number of errors up to the median is binomial with n and 1/2. With weights or groups, the BCa bootstrap
    (approximate). Where too few samples were seen for an upper bound it is `largest`, and without that None.
    Arguments and errors as in `mean_absolute_error_interval`.
    """
    check_level(confidence)
    errors = absolute_errors(actual, predicted)
    w = _weights(weights, len(errors))
    if len(errors) == 0:
        return None
    if w is not None or groups is not None:
        return bca_interval([errors], np.median, confidence=confidence, groups=groups, weights=w)
    rank = _rank(len(errors), confidence)
    if rank == 0:
        return None if largest is None else Interval(0.0, float(largest))
    places = (rank - 1, len(errors) - rank)
    ordered = np.partition(errors, places)
    return Interval(float(ordered[places[0]]), float(ordered[places[1]]))


def _rank(n: int, confidence: float) -> int:
    """The largest r with P(X <= r - 1) <= 1 - confidence for X binomial with n and 1/2; 0 where there is none."""
    from scipy.special import bdtr

    low, high = 0, n // 2 + 1  # P(X <= low - 1) is small enough, P(X <= high - 1) is not
    while high - low > 1:
        middle = (low + high) // 2
        if float(bdtr(middle - 1, n, 0.5)) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def _mean(values: NDArray[np.float64], w: NDArray[np.float64] | None) -> float | None:
    """The weighted mean; the terms are sorted, so that their order takes no part. None without samples."""
    if len(values) == 0:
        return None
    if w is None:
        return float(np.sort(values).mean())
    return float(np.sort(values * w).sum()) / float(np.sort(w).sum())


def _constant(values: NDArray[np.float64], w: NDArray[np.float64] | None) -> bool:
    """Whether all values that count are the same."""
    counted = values if w is None else values[w > 0]
    return bool(counted.min() == counted.max())


def _per_sample(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    return errors if errors.ndim == 1 else errors.mean(axis=1)


def _weights(weights: object, count: int) -> NDArray[np.float64] | None:
    """The weights, if they are such; None where none are given."""
    if weights is None:
        return None
    w = np.asarray(to_numpy(weights), dtype=np.float64)
    if w.shape != (count,):
        raise EvidenceError(f"weights must have the shape [{count}], one for each sample, not {list(w.shape)}")
    if count and not (np.isfinite(w).all() and (w >= 0).all() and w.max() > 0):
        raise EvidenceError("weights must be finite, none negative, and not all zero")
    return w


def _checked(actual: object, predicted: object) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as float64 of one shape, [N] or [N, D] with D at least 1."""
    truth, guess = (
        np.asarray(check_scores(values, what), dtype=np.float64)
        for values, what in ((actual, "actual values"), (predicted, "predicted values"))
    )
    if truth.shape != guess.shape or truth.ndim not in (1, 2) or 0 in truth.shape[1:]:
        raise EvidenceError(
            f"actual and predicted values must have one shape, [N] or [N, D]: "
            f"they have {list(truth.shape)} and {list(guess.shape)}"
        )
    return truth, guess
