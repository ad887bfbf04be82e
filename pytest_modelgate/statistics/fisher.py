"""Two proportions compared exactly: Fisher's test."""

from __future__ import annotations

__tracebackhide__ = True

import math
import operator
from typing import SupportsIndex

import numpy as np

from pytest_modelgate.exceptions import EvidenceError


def fisher_greater(hits: SupportsIndex, of: SupportsIndex, others: SupportsIndex, of_others: SupportsIndex) -> float:
    """One-sided p-value that the first share is larger only by luck: small where hits / of exceeds others / of_others.

    P(X >= hits) for X of the hypergeometric distribution: of all hits of both, those that fall to the first. Source:
    Fisher (1935). Without any sample on a side it is 1.

    Args:
        hits, of: how many of how many on the first side.
        others, of_others: the same on the second.

    Raises:
        EvidenceError: unless 0 <= hits <= of, and likewise for the others.

    >>> round(fisher_greater(3, 4, 1, 4), 6)
    0.242857
    >>> fisher_greater(0, 40, 3, 90)
    1.0
    """
    from scipy.special import gammaln

    a, m, b, n = (operator.index(number) for number in (hits, of, others, of_others))
    for count, total in ((a, m), (b, n)):
        if not 0 <= count <= total:
            raise EvidenceError(f"{count} of {total} is no share: counts must be from 0 to the number of samples")
    if a <= max(0, a + b - n):
        return 1.0
    x = np.arange(a, min(m, a + b) + 1, dtype=np.float64)

    def choose(total: float, part: np.ndarray | float) -> np.ndarray | float:
        return gammaln(total + 1) - gammaln(np.asarray(part) + 1) - gammaln(total - np.asarray(part) + 1)  # type: ignore[no-any-return]

    logs = choose(m, x) + choose(n, a + b - x) - choose(m + n, a + b)
    return min(1.0, float(math.fsum(np.exp(logs))))
