"""Many tests that the tool itself multiplied: Holm's correction."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Callable, Collection, Iterable

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


def step_down(
    suspects: Collection[int], tests: int, confidence: float, refutes: Callable[[int, float], bool]
) -> tuple[dict[int, float], float]:
    """Holm's procedure (1979) for tests that are known by what they refute at a confidence, not by a p-value.

    Each hypothesis is tested at 1 - alpha / m of m; where r of them are refuted, the others at 1 - alpha / (m - r), and
    so on, until no more are. A test that refutes at one confidence must refute at any lower one.

    Args:
        suspects: the hypotheses that are refuted at `confidence` alone, by number; no others can be.
        tests: m, how many hypotheses there are.
        confidence: 1 - alpha.
        refutes: whether a hypothesis is refuted at a confidence.

    Returns:
        The confidence at which each refuted hypothesis was, and the last one, at which no other was.

    >>> p_values = [0.01, 0.04, 0.02]
    >>> refuted, last = step_down(range(3), 3, 0.95, lambda i, level: p_values[i] <= 1 - level)
    >>> sorted(refuted), round(last, 4)
    ([0, 1, 2], 0.95)
    """
    refuted: dict[int, float] = {}
    level = confidence
    while len(refuted) < tests:
        level = 1 - (1 - confidence) / (tests - len(refuted))
        found = [one for one in suspects if one not in refuted and refutes(one, level)]
        if not found:
            break
        refuted.update(dict.fromkeys(found, level))
    return refuted, level
