"""Sound data seldom alarm, planted faults are found; `simulate_audits.py` says what was drawn."""

from __future__ import annotations

import pytest
from rates import allowed, times
from simulate_audits import measure

RUNS = {"label leakage": 4, "distribution": 20, "shuffled": 3}
SOUND = {"label leakage": 0.04, "distribution": 0.01, "shuffled": 0.02}
"""Of sound data so many may be red; from 30 samples a class on, for features with a ROC-AUC of .95."""
HARD = {"breast_cancer, a class thinned": 0.8}
"""Faults that so many samples do not always show."""


@pytest.mark.parametrize("gate", RUNS)
def test_rates(gate: str) -> None:
    runs = times(RUNS[gate])
    for row in measure(runs, only=f"{gate}: "):
        if row.faulty:
            assert row.red >= HARD.get(row.scenario, 1.0) - (0.2 if row.scenario in HARD else 0), row
        else:
            assert row.red <= allowed(SOUND[gate], runs), row
            assert row.fail <= allowed(SOUND[gate], runs), row
