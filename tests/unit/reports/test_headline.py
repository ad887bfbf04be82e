"""The sentence that answers for a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.reports.headline import headline as write

if TYPE_CHECKING:
    from types import SimpleNamespace

GREEN = {"outcome": Outcome.PASS}
RED = {"outcome": Outcome.FAIL}
UNSURE = {"outcome": Outcome.INCONCLUSIVE, "passed": True}


def headline(make: SimpleNamespace, runs: list[tuple[str | None, list[dict[str, Any]]]], **changes: Any) -> str:
    """The headline of a run; a pair for each test: its outcome, and its verdicts."""
    lines = [
        make.entry(f"t{index}", "verdict", make.verdict(**verdict), sequence=sequence)
        for index, (_, verdicts) in enumerate(runs)
        for sequence, verdict in enumerate(verdicts)
    ]
    order = [f"t{index}" for index in range(len(runs))]
    outcomes = {test: outcome for test, (outcome, _) in zip(order, runs, strict=True) if outcome}
    text = make.build(lines, order=order, outcomes=outcomes, **changes).headline
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([("passed", [])], "Passed, but no gate was judged."),
        ([("passed", [GREEN])], "Passed: the one gate is green."),
        ([("passed", [UNSURE])], "Passed: the one gate is green, but unsure."),
        ([("passed", [GREEN, GREEN, UNSURE])], "Passed: all 3 gates are green, 1 of them unsure."),
        ([("passed", [GREEN, RED])], "Passed: 2 gates, of which 1 was red as its test expected."),
        (
            [("passed", [GREEN, {"outcome": Outcome.INCONCLUSIVE}])],
            "Passed: 2 gates, of which 1 was red as its test expected.",
        ),
        (
            [("passed", [RED, UNSURE, RED])],
            "Passed: 3 gates, of which 2 were red as their tests expected, and 1 is green but unsure.",
        ),
        ([("failed", [])], "Failed: 1 test failed, and no gate was judged."),
        ([("failed", [GREEN, GREEN])], "Failed: 1 test failed, though all 2 gates are green."),
        (
            [("error", []), ("failed", [])],
            "Failed: 1 test failed and 1 test ended in an error, and no gate was judged.",
        ),
        (
            [("failed", [GREEN]), ("passed", [RED])],
            "Failed: 1 test failed, though no gate is red but the 1 of 2 that were expected to be.",
        ),
        ([("failed", [RED, GREEN])], "Failed: 1 of 2 gates is red (recall >= 0.9 in t0)."),
        (
            [("failed", [RED]), ("failed", [RED]), ("failed", [RED]), ("failed", [])],
            "Failed: 3 of 3 gates are red (recall >= 0.9 in t0, recall >= 0.9 in t1, and 1 more); "
            "4 tests failed in all.",
        ),
    ],
)
def test_a_whole_run_is_answered_for(make: SimpleNamespace, runs: Any, sentence: str) -> None:
    assert headline(make, runs) == sentence


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([(None, []), (None, [])], "Incomplete: the run stopped after 0 of 2 tests (why); no gate was judged."),
        (
            [("passed", [GREEN, GREEN]), (None, [])],
            "Incomplete: the run stopped after 1 of 2 tests (why); "
            "of the 2 gates that were judged until then, none is red.",
        ),
        (
            [("passed", [RED]), (None, [])],
            "Incomplete: the run stopped after 1 of 2 tests (why); "
            "of the 1 gate that was judged until then, none is red but as its test expected.",
        ),
        (
            [("failed", [RED]), (None, [])],
            "Incomplete: the run stopped after 1 of 2 tests (why); 1 test failed; "
            "1 of 1 gate is red (recall >= 0.9 in t0).",
        ),
    ],
)
def test_a_run_that_was_cut_short_is_never_called_passed(make: SimpleNamespace, runs: Any, sentence: str) -> None:
    assert headline(make, runs, why_incomplete="why") == sentence


def test_pytest_may_fail_where_no_test_did(make: SimpleNamespace) -> None:
    sentence = headline(make, [("passed", [GREEN])], failed=True)
    assert sentence == "Failed: pytest ended with an error, and no test failed, though the one gate is green."


def test_the_sentence_stays_on_one_line(make: SimpleNamespace) -> None:
    assert "\n" not in headline(make, [("failed", [{**RED, "gate": "a\nb"}])], why_incomplete="two\nlines")


@pytest.mark.parametrize(
    ("answer", "green", "failed", "caught", "sentence"),
    [
        ("passed", True, 0, 9, "Passed: the one gate is green."),
        (
            "failed",
            True,
            0,
            5,
            "Failed: the gates noticed too few faults: 5 of 10 = 0.500 (required: 0.800), "
            "though the one gate is green.",
        ),
        (
            "failed",
            True,
            1,
            5,
            "Failed: 1 test failed and the gates noticed too few faults: 5 of 10 = 0.500 (required: 0.800), "
            "though the one gate is green.",
        ),
        (
            "failed",
            False,
            1,
            5,
            "Failed: 1 of 1 gate is red (recall >= 0.9 in t); "
            "the gates noticed too few faults: 5 of 10 = 0.500 (required: 0.800).",
        ),
        ("failed", False, 1, 9, "Failed: 1 of 1 gate is red (recall >= 0.9 in t)."),
        (
            "incomplete",
            True,
            0,
            5,
            "Incomplete: why, though all of 1 test ended; of the 1 gate that was judged until then, none is red; "
            "the gates noticed too few faults: 5 of 10 = 0.500 (required: 0.800).",
        ),
    ],
)
def test_too_few_faults_are_told(
    make: SimpleNamespace, answer: str, green: bool, failed: int, caught: int, sentence: str
) -> None:
    verdict = make.verdict(**(GREEN if green else RED)) | {"test": "t", "expected": False}
    tests = {"collected": 1, "failed": failed, "error": 0, "not_run": 0}
    faults = [make.fault(str(index), "zeroed", [make.cell(index < caught)]) for index in range(10)]
    found = make.mutation([make.mutated(faults, [make.gate("recall >= 0.9")])], 0.8)
    assert write(answer, tests, [verdict], "why", found) == sentence


def test_a_share_just_short_of_the_required_one_does_not_look_like_it(make: SimpleNamespace) -> None:
    found = make.mutation([], 0.8, caught=7999, counted=10000, share=0.7999, enough=False)
    sentence = write("failed", {"collected": 0, "failed": 0, "error": 0}, [], None, found)
    assert "7,999 of 10,000 = 0.7999 (required: 0.8000)" in sentence


def test_where_there_was_no_fault_to_notice_the_sentence_says_so(make: SimpleNamespace) -> None:
    tests = {"collected": 0, "failed": 0, "error": 0}
    sentence = write("failed", tests, [], None, make.mutation([], 0.8))
    assert sentence == (
        "Failed: no fault was there that the gates could notice (required: 0.800), and no gate was judged."
    )


def test_without_a_required_share_the_sentence_is_the_usual_one(make: SimpleNamespace) -> None:
    tests = {"collected": 0, "failed": 0, "error": 0}
    for answer in ("passed", "failed"):
        assert write(answer, tests, [], None, make.mutation([])) == write(answer, tests, [], None)
