"""Measured error rates: how often a verdict's word is wrong where the truth is known."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often one method erred in one scenario, each side at a nominal 5%.

    Attributes:
        metric: what was judged, as in the registry, such as "mcc" or "macro f1".
        method: how, such as "imprecise Dirichlet".
        scenario: the truth that was drawn from, in a few words.
        false_pass: the share of runs whose lower bound lay above the truth.
        false_fail: the share of runs whose upper bound lay below the truth.
        runs: how many data sets were drawn; 0 where every possible one was weighed by its probability.
    """

    metric: str
    method: str
    scenario: str
    false_pass: float
    false_fail: float
    runs: int


def allowed(limit: float, runs: int, errors: float = 3.0) -> float:
    """A limit with room for the simulation's own error: so many standard errors of a share at the limit."""
    return limit + errors * (limit * (1 - limit) / runs) ** 0.5


def times(runs: int) -> int:
    """So many data sets, or as many times more as the variable MODELGATE_TIMES of the environment says."""
    return runs * int(os.environ.get("MODELGATE_TIMES", "1"))
