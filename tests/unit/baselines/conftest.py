"""Rows as a report has them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import SIGNS, plain


def make_row(
    gate: str = "recall[fraud]",
    bar: float = 0.9,
    *,
    test: str | None = "test_a.py::test_recall",
    test_outcome: str = "passed",
    evidence: str | None = "e1",
    samples: str | None = None,
    baseline_key: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The row of a verdict, by default a green one of a test that passed."""
    direction = changes.setdefault("direction", "at_least")
    outcome = Outcome(changes.pop("outcome", "PASS"))
    text = f"{gate} {SIGNS[direction]} {plain(bar)}" if " by " not in gate else gate
    fields: dict[str, Any] = {
        "gate": changes.pop("text", text),
        "metric": "recall",
        "label": "fraud",
        "outcome": outcome,
        "passed": outcome == "PASS",
        "estimate": 0.9512345678,
        "lower": 0.91,
        "upper": 0.97,
        "support": 120,
        "bar": bar,
        "explanation": f"{outcome}: so",
    }
    row = Verdict(**{**fields, **changes}).to_dict()
    expected = not row["passed"] and test_outcome == "passed"
    row |= {"test": test, "test_outcome": test_outcome, "expected": expected, "evidence": evidence, "count": 1}
    return row | {"samples": samples, "baseline_key": baseline_key}


def family(*slices: str, unjudged: tuple[str, ...] = ()) -> tuple[tuple[str, Any], ...]:
    """The details of a family of slices, weakest first."""
    every = [{"slice": name, "n": 50, "judged": name not in unjudged} for name in (*slices, *unjudged)]
    return (("slices", every),)


@pytest.fixture(name="row")
def _row() -> Any:
    return make_row


@pytest.fixture(name="family")
def _family() -> Any:
    return family
