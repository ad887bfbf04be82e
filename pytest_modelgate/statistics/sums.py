"""Sums without rounding, in chunks: alike in any order and however the values are cut."""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections import defaultdict
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CHUNK = 1 << 15
_SMALL = 1 << 10
_DIGITS = 53
_HIGHEST = 1023


class ExactSums:
    """Sums of floats in `size` places, each exact.

    Each value is split into parts that are multiples of a unit, few enough bits long that `most` of them add up in
    float64 without rounding. Source of the splitting: Rump, Ogita and Oishi (2008), "Accurate floating-point
    summation", here with units that do not depend on the values.

    Args:
        most: how many values will be added at most.
        size: how many sums there are.

    >>> sums = ExactSums(3)
    >>> sums.add(np.array([1e16, 1.0]))
    >>> sums.add(np.array([-1e16]))
    >>> sums.rounded()
    array([1.])
    """

    def __init__(self, most: int, size: int = 1) -> None:
        self._size = size
        self._spare = (most + 2).bit_length()
        self._step = _DIGITS - self._spare
        self._sums: dict[int, NDArray[np.float64]] = {}
        self._singles: defaultdict[int, list[float]] = defaultdict(list)  # too large to be split, or not finite

    def add(self, values: NDArray[Any], places: NDArray[Any] | None = None) -> None:
        """Add values [N] to the sums at these places [N]; to the first where there are none."""
        for start in range(0, len(values), CHUNK):
            chunk = values[start : start + CHUNK].astype(np.float64)
            self._add(chunk, None if places is None else places[start : start + CHUNK])

    def _add(self, rest: NDArray[np.float64], places: NDArray[Any] | None) -> None:
        greatest = max(float(rest.max()), -float(rest.min()))
        level = math.ceil(math.frexp(greatest)[1] / self._step)
        if not math.isfinite(greatest) or level * self._step + self._spare > _HIGHEST:
            for row, value in enumerate(rest.tolist()):
                self._singles[0 if places is None else int(places[row])].append(value)
            return
        while rest.any():
            unit = math.ldexp(1.0, level * self._step + self._spare)
            if level not in self._sums:
                self._sums[level] = np.zeros(self._size)
            part = (rest + unit) - unit
            if places is None:
                self._sums[level][0] += part.sum()
            else:
                self._sums[level] += np.bincount(places, weights=part, minlength=self._size)
            rest -= part
            level -= 1

    def rounded(self) -> NDArray[np.float64]:
        """The sums, each rounded once; infinite or NaN where a value is."""
        parts = list(self._sums.values())
        found = np.zeros(self._size)
        for place in np.flatnonzero(np.any(parts, axis=0)).tolist() if parts else ():
            found[place] = math.fsum(float(part[place]) for part in parts)
        for place, values in self._singles.items():
            finite = all(map(math.isfinite, values))
            found[place] = float(self.exact(place)) if finite else math.fsum(v for v in values if not math.isfinite(v))
        return found

    def exact(self, place: int = 0) -> Fraction:
        """One of the sums, not rounded; of finite values."""
        split = (float(part[place]) for part in self._sums.values())
        return sum(map(Fraction, chain(split, self._singles.get(place, ()))), Fraction())


def exact_sum(values: NDArray[Any]) -> Fraction:
    """The sum of finite floats without any rounding.

    >>> exact_sum(np.array([1e16, 1.0, -1e16]))
    Fraction(1, 1)
    """
    flat = np.ravel(values)
    sums = ExactSums(flat.size)
    sums.add(flat)
    return sums.exact()


def rounded_sum(values: NDArray[Any]) -> float:
    """The exact sum, rounded once, as `math.fsum` gives it; infinite or NaN where a value is.

    >>> rounded_sum(np.array([0.1] * 10)), rounded_sum(np.array([1.0, np.inf]))
    (1.0, inf)
    """
    return rounded_sums(len(values), lambda rows: (values[rows],))[0]


def rounded_sums(n: int, terms: Callable[[slice], tuple[NDArray[Any], ...]]) -> tuple[float, ...]:
    """`rounded_sum` of columns [n] that are made in chunks of rows, so that memory never holds them whole.

    >>> squares = np.arange(5.0)
    >>> rounded_sums(5, lambda rows: (squares[rows], squares[rows] ** 2))
    (10.0, 30.0)
    """
    if n <= _SMALL:
        return tuple(math.fsum(term.tolist()) for term in terms(slice(0, n)))
    sums: tuple[ExactSums, ...] = ()
    for start in range(0, n, CHUNK):
        found = terms(slice(start, min(start + CHUNK, n)))
        sums = sums or tuple(ExactSums(n) for _ in found)
        for one, term in zip(sums, found, strict=True):
            one.add(term)
    return tuple(float(one.rounded()[0]) for one in sums)
