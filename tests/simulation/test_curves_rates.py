"""The rules on histories keep their error rates: R = 40 runs of each of 26 kinds of curves."""

from __future__ import annotations

import pytest
from rates import Rate, allowed, times
from simulate_curves import FIRST, METHOD, NAMES, controls, measure
from training_curves import KINDS

RUNS = times(40)
FALSE_ALARMS = {
    "no_overfitting": 0.001,
    "training_stable": 0.001,
    "loss_decreases": 0.001,
    "converged": 0.005,
    "metric_improves": 0.005,
    "diagnose": 0.01,
}
MISSES = {
    "no_overfitting": 0.02,
    "training_stable": 0.02,
    "loss_decreases": 0.02,
    "converged": 0.01,
    "metric_improves": 0.02,
    "diagnose": 0.02,
}
SHORT = 0.1  # misses of runs under 10 epochs


@pytest.fixture(scope="module")
def rates() -> list[Rate]:
    return measure(RUNS, corpora=[FIRST])


@pytest.fixture(scope="module")
def by_hand() -> list[Rate]:
    return controls(RUNS, corpora=[FIRST])


def is_red(rate: Rate) -> bool:
    """Whether the gate must be red on this kind, and the diagnosis name a finding."""
    kind = KINDS[rate.scenario]
    if rate.metric == "diagnose":
        return kind.said != ("healthy",)
    return any(NAMES[gate] == rate.metric for gate in kind.red.split())


def mean(rates: list[Rate], metric: str, method: str, *, red: bool) -> tuple[float, int]:
    """The rate over all runs, and their number."""
    found = [
        rate.false_pass if red else rate.false_fail
        for rate in rates
        if (rate.metric, rate.method, is_red(rate)) == (metric, method, red)
    ]
    assert len(found) >= 3
    return sum(found) / len(found), len(found) * RUNS


def test_every_kind_is_known_to_a_gate() -> None:
    assert all(f"{kind.green}{kind.red}" for kind in KINDS.values())
    assert len(KINDS) >= 24


@pytest.mark.parametrize("gate", FALSE_ALARMS)
@pytest.mark.parametrize("red", [False, True], ids=["false alarms", "misses"])
def test_rates(rates: list[Rate], gate: str, red: bool) -> None:
    found, runs = mean(rates, gate, "another kind" if gate == "diagnose" else METHOD, red=red)
    assert found <= allowed((MISSES if red else FALSE_ALARMS)[gate], runs)


def test_short_runs(rates: list[Rate]) -> None:
    (short,) = [rate for rate in rates if (rate.metric, rate.scenario) == ("no_overfitting", "overfit short")]
    assert short.false_pass <= allowed(SHORT, RUNS)
    (healthy,) = [rate for rate in rates if (rate.metric, rate.scenario) == ("no_overfitting", "short")]
    assert healthy.false_fail <= allowed(0.01, RUNS)


@pytest.mark.parametrize("method", ["validation / training > 1.2", "no new best in 5 epochs"])
def test_what_projects_write_by_hand_breaks_it(by_hand: list[Rate], method: str) -> None:
    found, runs = mean(by_hand, "no_overfitting", method, red=False)
    assert found > 0.3 > allowed(FALSE_ALARMS["no_overfitting"], runs)


@pytest.mark.parametrize(("gate", "method"), [("loss_decreases", "last < first"), ("metric_improves", "last > first")])
def test_two_epochs_alone_break_it(by_hand: list[Rate], gate: str, method: str) -> None:
    found, runs = mean(by_hand, gate, method, red=True)
    assert found > 0.3 > allowed(MISSES[gate], runs)
