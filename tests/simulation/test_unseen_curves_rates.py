"""The rules on histories hold on kinds of curves that they were not made on: R = 25 runs of each of 33 kinds."""

from __future__ import annotations

import re

import numpy as np
import pytest
from rates import Rate, allowed, times
from simulate_curves import CORPORA, HELD_OUT, NAMES, UNSEEN, controls, measure, table
from unseen_curves import KINDS

RUNS = times(25)
SOUND = {
    "no_overfitting": 0.001,
    "training_stable": 0.001,
    "loss_decreases": 0.001,
    "converged": 0.002,
    "metric_improves": 0.003,
    "diagnose": 0.002,
}
BAD = {
    "no_overfitting": 0.001,
    "training_stable": 0.015,
    "loss_decreases": 0.005,
    "converged": 0.005,
    "metric_improves": 0.002,
    "diagnose": 0.015,
}


@pytest.fixture(scope="module")
def rates() -> list[Rate]:
    return measure(RUNS, seed=1, corpora=[UNSEEN])


def of(rates: list[Rate], metric: str, *, bad: bool) -> list[float]:
    """The rates of one gate: misses on the bad kinds, or false alarms on the sound ones."""
    found = [rate.false_pass if bad else rate.false_fail for rate in rates if rate.metric == metric]
    return [rate for rate in found if not np.isnan(rate)]


def test_the_corpus() -> None:
    assert len(KINDS) == 33
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names)
    for kind in KINDS:
        assert not set(kind.green) & set(kind.red)
        assert kind.diagnoses
    for kind in KINDS:
        drawn = [kind.draw(np.random.default_rng([7, i])) for i in range(3)]
        assert drawn[0].summary() == kind.draw(np.random.default_rng([7, 0])).summary()
        assert all(kind.shortest <= len(history) <= kind.longest or history.kept is not None for history in drawn)


@pytest.mark.parametrize("bad", [False, True], ids=["false alarms", "misses"])
@pytest.mark.parametrize("gate", SOUND)
def test_rates(rates: list[Rate], gate: str, bad: bool) -> None:
    found = of(rates, gate, bad=bad)
    assert len(found) >= 5
    assert np.mean(found) <= allowed((BAD if bad else SOUND)[gate], len(found) * RUNS)


@pytest.mark.parametrize("gate", SOUND)
def test_no_kind_is_misjudged_as_a_whole(rates: list[Rate], gate: str) -> None:
    """The worst kind: few false alarms, and at most a tenth missed."""
    assert max(of(rates, gate, bad=False)) <= allowed(0.02, RUNS)
    assert max(of(rates, gate, bad=True)) <= allowed(0.1, RUNS)


def test_what_projects_write_by_hand_breaks_it() -> None:
    by_hand = [rate for rate in controls(RUNS, seed=1, corpora=[UNSEEN]) if rate.metric == "no_overfitting"]
    for method in ("validation / training > 1.2", "no new best in 5 epochs"):
        assert (
            np.mean(of([rate for rate in by_hand if rate.method == method + HELD_OUT], by_hand[0].metric, bad=False))
            > 0.3
        )


def test_the_table() -> None:
    lines = table(runs=1, seed=1)
    assert len(lines) == 2 + 2 * (len(NAMES) + 1 + 4)
    assert {line.count("|") for line in lines} == {6}
    assert all(
        re.fullmatch(r"\| .*(`assert_\w+`|`diagnose`).* \| (first|unseen) \| .*\d+\.\d, \d+\.\d \|", line)
        for line in lines[2:]
    )
    assert set(CORPORA) == {"first", "unseen"}
