"""The gate on leakage: one row is red, what cannot be judged too, and the verdict names the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_modelgate import BarError, EvidenceError, Outcome, Verdict
from pytest_modelgate.checks.data.leakage import audit_leakage
from pytest_modelgate.evidence.audit import DataAudit
from pytest_modelgate.gates.leakage import NoLeakage

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.normal(size=(90, 4)), RNG.normal(size=(30, 4))


def check(test: np.ndarray = TEST, **options: Any) -> Verdict:
    return NoLeakage().check(audit_leakage(TRAIN, test, **options))


def test_clean() -> None:
    verdict = check(near=True, groups=(range(90), range(90, 120)))
    assert (verdict.outcome, verdict.passed) == (Outcome.PASS, True)
    assert (verdict.estimate, verdict.bar, verdict.direction, verdict.hits, verdict.support) == (0, 0, "at_most", 0, 30)
    assert verdict.explanation == (
        "PASS: none of 30 test rows leaks from 90 training rows (looked for: duplicates, groups, near duplicates)"
    )
    assert verdict.gate == "no_leakage(duplicates, groups, near duplicates)"
    assert len(verdict.notes) == 1
    assert verdict.notes[0].startswith("0 of 30 further test rows are nearer to a training row than luck explains: ")


def test_rows_and_remedies() -> None:
    test = TEST.copy()
    test[5:17] = TRAIN[40:52]
    verdict = check(test)
    assert (verdict.outcome, verdict.passed, verdict.hits, verdict.estimate) == (Outcome.FAIL, False, 12, 12 / 30)
    assert verdict.explanation == "FAIL: 12 of 30 test rows leak: 12 of 30 test rows equal a training row"
    assert verdict.notes[0] == (
        "duplicates: " + ", ".join(f"row {5 + i} = training row {40 + i}" for i in range(10)) + " and 2 more"
    )
    assert verdict.notes[1].startswith("equal rows belong on one side")
    assert dict(verdict.details) == {
        "leaking rows": 12,
        "duplicates": 12,
        "duplicates within train": 0,
        "duplicates within test": 0,
    }
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_a_row_that_leaks_twice_counts_once() -> None:
    test = TEST.copy()
    test[:3] = TRAIN[:3]
    verdict = check(test, groups=(range(90), [0, 1, 200, *range(100, 127)]), time=(range(90), [0, *range(89, 118)]))
    assert verdict.hits == 3
    assert [dict(verdict.details)[name] for name in ("duplicates", "groups", "time")] == [3, 2, 1]
    assert "time: row 0 (training row 89)" in verdict.notes


def test_one_row() -> None:
    test = np.vstack([TEST, TRAIN[7]])
    verdict = check(test)
    assert verdict.explanation == "FAIL: 1 of 31 test rows leaks: 1 of 31 test rows equals a training row"
    assert verdict.notes[0] == "duplicates: row 30 = training row 7"


def test_what_is_told_and_not_judged() -> None:
    test = np.vstack([TEST, TEST[3]])
    verdict = check(test, time=(range(90), range(89, 120)))
    assert verdict.passed
    assert verdict.notes == (
        "0 of 31 test rows are earlier than the last training row (89); 1 is of the same time",
        "1 of 31 test rows repeats an earlier one: row 30 = row 3",
    )


def test_labels_that_differ() -> None:
    test = np.vstack([TEST, TRAIN[:2]])
    audit = audit_leakage((TRAIN, np.zeros(90)), (test, np.r_[np.zeros(31), 1]))
    notes = NoLeakage().check(audit).notes
    assert "1 of the 2 equal rows has another label in train: row 31 = training row 1" in notes


def test_values_that_repeat_by_nature() -> None:
    rng = np.random.default_rng(0)
    audit = audit_leakage(rng.integers(0, 3, (90, 2)), rng.integers(0, 3, (30, 2)))
    verdict = NoLeakage().check(audit)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.notes[-1].startswith("90% of the training rows repeat one another: ")


def test_undefined() -> None:
    verdict = NoLeakage().check(audit_leakage(TRAIN[:3], TEST, near=True))
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert verdict.explanation.startswith("UNDEFINED: near-duplicates cannot be judged: only 3 different training rows")
    found = NoLeakage().check(audit_leakage(TRAIN[:3], TRAIN[:1], near=True))
    assert found.outcome is Outcome.FAIL  # an equal row is enough


def test_wrong_use() -> None:
    with pytest.raises(EvidenceError, match="judges an audit of leakage, not of label leakage"):
        NoLeakage().check(DataAudit(about="label leakage", sizes={"train": 3}, features=1))
    with pytest.raises(BarError, match="confidence"):
        NoLeakage(confidence=2)
