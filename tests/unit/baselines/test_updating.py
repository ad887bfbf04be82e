"""What a run leaves in the baseline, and what it must not touch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_modelgate import EvidenceError
from pytest_modelgate.baselines.baseline import Baseline
from pytest_modelgate.baselines.entry import entry_of
from pytest_modelgate.baselines.samples import StoredSamples
from pytest_modelgate.baselines.updating import updated

OLD = StoredSamples({"n": 2}, {"target": np.zeros(2, np.uint8)})
NEW = StoredSamples({"n": 3}, {"target": np.zeros(3, np.uint8)})
PROVENANCE = {"commit": "old"}
A, B, GONE = "test_a.py::test_a", "test_a.py::test_b", "test_a.py::test_gone"


@pytest.fixture
def old(row: Any) -> Baseline:
    return Baseline(
        entries=(
            entry_of(row(test=A, estimate=0.9)),
            entry_of(row("f1", test=A, label=None)),
            entry_of(row(test=B, estimate=0.8, samples=OLD.key)),
            entry_of(row(test=GONE)),
        ),
        samples={OLD.key: OLD},
        provenance=PROVENANCE,
    )


def record(old: Baseline | None, *rows: Any, ran: Any = (A, B), **changes: Any) -> Any:
    ran = ran if isinstance(ran, dict) else dict.fromkeys(ran, "passed")
    options: dict[str, Any] = {"evaluations": [], "samples": {NEW.key: NEW}, "provenance": {"commit": "new"}}
    return updated(old, rows, ran=ran, **{**options, **changes})


def shown(baseline: Baseline) -> list[tuple[str, str, float | None]]:
    return [(entry.test, entry.measured, entry.estimate) for entry in baseline.entries]


def test_the_first_baseline(row: Any) -> None:
    evaluation = {"key": "e1", "n": 9, "labels": ["ok", "fraud"], "task": "binary", "threshold": 0.5}
    new, left = record(None, row(test=A), row(test=B, samples=NEW.key), evaluations=[evaluation])
    assert shown(new) == [(A, "recall[fraud]", 0.951235), (B, "recall[fraud]", 0.951235)]
    assert (new.samples, new.provenance, left) == ({NEW.key: NEW}, {"commit": "new"}, ())
    assert [entry.data["n"] for entry in new.entries if entry.data] == [9, 9]


def test_a_test_that_passed_is_recorded_anew_and_others_stay(old: Baseline, row: Any) -> None:
    new, left = record(old, row(test=A, estimate=0.95), ran=[A])
    assert shown(new) == [  # f1 is judged no more
        (A, "recall[fraud]", 0.95),
        (B, "recall[fraud]", 0.8),
        (GONE, "recall[fraud]", 0.951235),
    ]
    assert (new.samples, left) == ({OLD.key: OLD}, ())


def test_samples_are_recorded_with_their_verdict_and_old_ones_dropped(old: Baseline, row: Any) -> None:
    new, _ = record(old, row(test=B, samples=NEW.key), ran=[B])
    assert new.samples == {NEW.key: NEW}


def test_tests_that_are_no_more_are_dropped(old: Baseline, row: Any) -> None:
    new, _ = record(old, ran=[], gone=[GONE, B])
    assert {entry.test for entry in new.entries} == {A}
    assert new.samples == {}


@pytest.mark.parametrize(
    ("changes", "why", "expected"),
    [
        ({"outcome": "FAIL", "test_outcome": "failed"}, "it is red", False),
        ({"outcome": "UNDEFINED", "passed": False}, "it is red, as its test expects", True),
        ({"test_outcome": "failed"}, "its test ended as: failed", False),
        ({"test_outcome": "error"}, "its test ended as: error", False),
        ({"test_outcome": "xfailed"}, "its test ended as: xfailed", False),
        ({"test_outcome": "not finished"}, "its test ended as: not finished", False),
    ],
)
def test_what_is_red_or_of_a_red_test_is_not_recorded(
    old: Baseline, row: Any, changes: dict[str, Any], why: str, expected: bool
) -> None:
    new, (left,) = record(old, row(test=A, estimate=0.5, evidence="e2", **changes), gone=[GONE])
    assert (A, "recall[fraud]", 0.9) in shown(new)
    assert (left.test, left.gate, left.why, left.kept, left.expected) == (
        A,
        "recall[fraud] >= 0.9",
        why,
        True,
        expected,
    )
    none, (left,) = record(None, row(test=A, **changes))
    assert (none.entries, left.kept) == ((), False)


def test_all_entries_of_a_test_that_did_not_pass_stay(old: Baseline, row: Any) -> None:
    new, _ = record(old, row(test=A, test_outcome="failed"), ran=[A])
    assert new is old


@pytest.mark.parametrize("outcome", ["failed", "error", "skipped", "xfailed"])
def test_a_test_that_ended_before_its_verdict_keeps_its_entries(old: Baseline, outcome: str) -> None:
    assert record(old, ran={A: outcome, B: outcome})[0] is old


def test_a_test_that_passed_without_a_verdict_has_none_any_more(old: Baseline) -> None:
    assert {entry.test for entry in record(old, ran={A: "passed"})[0].entries} == {B, GONE}


def test_a_red_verdict_keeps_its_samples_and_those_of_others_out(old: Baseline, row: Any) -> None:
    red = row("precision", test=A, outcome="FAIL", test_outcome="failed", label=None)
    new, left = record(old, red, row(test=B, samples=NEW.key, estimate=0.99), row("mcc", test=B, label=None))
    assert (B, "recall[fraud]", 0.8) in shown(new)
    assert (B, "mcc", 0.951235) in shown(new)
    assert new.samples == {OLD.key: OLD}
    assert [one.why for one in left] == ["it is red", f"the same evaluation is red at precision in {A}"]


def test_a_red_verdict_that_was_expected_keeps_nothing_out(old: Baseline, row: Any) -> None:
    red = row("precision", test=A, outcome="FAIL", label=None)
    new, _ = record(old, red, row(test=B, samples=NEW.key, estimate=0.99))
    assert (B, "recall[fraud]", 0.99) in shown(new)


def test_where_nothing_changed_the_old_one_stays(old: Baseline, row: Any) -> None:
    rows = row(test=A, estimate=0.9), row("f1", test=A, label=None), row(test=B, estimate=0.8, samples=OLD.key)
    new, _ = record(old, *rows)
    assert new is old


def test_a_verdict_of_no_test_is_not_recorded(row: Any) -> None:
    new, (left,) = record(None, row(test=None))
    assert (new.entries, left.why) == ((), "it belongs to no test")


def test_two_tests_cannot_share_a_name(row: Any) -> None:
    with pytest.raises(EvidenceError, match=r"the tests test_a.py::test_a and test_a.py::test_b share the name x in"):
        record(None, row(test=A, baseline_key="x"), row(test=B, baseline_key="x"))


def test_forty_tests_give_forty_entries_in_any_order(row: Any) -> None:
    rows = [row(test=f"test_a.py::test_{i}", estimate=i / 40) for i in range(40)]
    names = [one["test"] for one in rows]
    forth, _ = record(None, *rows, ran=names)
    back, _ = record(None, *rows[::-1], ran=names)
    assert len(forth.entries) == 40
    assert forth == back
