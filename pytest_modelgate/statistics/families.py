"""Many tests that the tool itself multiplied: Holm's correction."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterable

from pytest_modelgate.exceptions import EvidenceError


def holm(p_values: Iterable[float]) -> list[float]:
    """Adjusted p-values, in the order given: at level a, any true hypothesis is refuted in at most a of families.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none is smaller than one before it, none above
    1. Source: Holm (1979). It needs no independence.

    Args:
        p_values: one for each test of the family, from 0 to 1.

    Raises:
        EvidenceError: where a p-value is out of range or not a number.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    found = [float(p) for p in p_values]
    for p in found:
        if not 0.0 <= p <= 1.0:
            raise EvidenceError(f"a p-value must lie between 0 and 1, not {p!r}")
    adjusted = [0.0] * len(found)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(found)), key=found.__getitem__)):
        largest = max(largest, min(1.0, (len(found) - rank) * found[index]))
        adjusted[index] = largest
    return adjusted
