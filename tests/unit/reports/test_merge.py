"""What the processes of a run wrote becomes one report, alike however the tests were spread over them."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate.gates.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from types import SimpleNamespace

Action = tuple[str, int]
"""What a test or fixture does: `verdict` or `evaluation` or `history` number n."""

_ACTIONS = st.lists(
    st.tuples(st.sampled_from(["verdict", "red", "evaluation", "history"]), st.integers(0, 3)), max_size=3
)
_TESTS = st.lists(
    st.fixed_dictionaries(
        {
            "uses": st.lists(st.integers(0, 2), unique=True, max_size=3),
            "setup": _ACTIONS,
            "call": _ACTIONS,
            "caches": st.booleans(),
            "hypothesis": st.booleans(),
        }
    ),
    min_size=1,
    max_size=6,
)


def run_process(make: SimpleNamespace, plan: Any, chosen: list[int], worker: str) -> list[dict[str, Any]]:
    """What one process writes that runs the chosen tests: shared fixtures run for the first test that uses them."""
    lines: list[dict[str, Any]] = []
    ready: set[Any] = set()

    def act(index: int, phase: str, actions: list[Action], fixture: str | None = None) -> None:
        hypothesis = plan["tests"][index]["hypothesis"]
        for kind, number in actions:
            if kind in ("verdict", "red"):
                outcome = Outcome.PASS if kind == "verdict" else Outcome.FAIL
                kind, data = "verdict", make.verdict(bar=number / 10, outcome=outcome, evidence=f"evaluation {number}")
            elif kind == "evaluation":
                data = make.evaluation(f"evaluation {number}")
            else:
                data = make.history(f"history {number}", [{"epoch": 1, "train_loss": 0.5}])
            place = {"phase": phase, "worker": worker, "sequence": len(lines), "hypothesis": hypothesis}
            place["fixture"] = fixture
            lines.append(make.entry(f"test_{index}", kind, data, **place))

    for index in sorted(chosen):
        test = plan["tests"][index]
        for fixture in test["uses"]:
            if fixture not in ready:
                ready.add(fixture)
                act(index, "setup", plan["fixtures"][fixture], f"session {fixture}")
        act(index, "setup", test["setup"])
        if test["caches"] and "cached" not in ready:
            ready.add("cached")
            act(index, "call", [("evaluation", 9)])
        act(index, "call", test["call"] * (3 if test["hypothesis"] else 1))
    return lines


@given(
    fixtures=st.lists(_ACTIONS, min_size=3, max_size=3),
    tests=_TESTS,
    spread=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    shuffle=st.randoms(use_true_random=False),
)
def test_any_spreading_over_workers_gives_the_same_bytes(
    make: SimpleNamespace, fixtures: Any, tests: Any, spread: list[int], shuffle: random.Random
) -> None:
    plan = {"fixtures": fixtures, "tests": tests}
    order = [f"test_{index}" for index in range(len(tests))]
    whole = run_process(make, plan, list(range(len(tests))), "")
    parts = [
        line
        for worker in range(4)
        for line in run_process(make, plan, [i for i in range(len(tests)) if spread[i] == worker], f"gw{worker}")
    ]
    shuffle.shuffle(parts)

    alone, spread_out = (
        make.build(lines, order=order, outcomes=dict.fromkeys(order, "passed")) for lines in (whole, parts)
    )

    assert spread_out.to_json() == alone.to_json()


def test_verdicts_stand_in_the_order_of_collection_then_as_they_were_made(make: SimpleNamespace) -> None:
    lines = [
        make.entry("b", "verdict", make.verdict(bar=0.1), worker="gw0", sequence=1),
        make.entry("a", "verdict", make.verdict(bar=0.3), worker="gw1", sequence=12),
        make.entry("a", "verdict", make.verdict(bar=0.2), worker="gw1", sequence=7),
        make.entry(None, "verdict", make.verdict(bar=0.4), worker="gw1", sequence=1),
        make.entry("never collected", "verdict", make.verdict(bar=0.5), worker="gw0", sequence=0),
    ]
    rows = make.build(lines, order=["a", "b"]).verdicts

    assert [(row["test"], row["bar"]) for row in rows] == [
        (None, 0.4), ("a", 0.2), ("a", 0.3), ("b", 0.1), ("never collected", 0.5),
    ]  # fmt: skip


def test_where_every_worker_runs_every_test_their_verdicts_are_not_mixed(make: SimpleNamespace) -> None:
    lines = [
        make.entry("a", "verdict", make.verdict(bar=bar + sequence / 10), worker=worker, sequence=sequence)
        for worker, bar in (("gw10", 0.5), ("gw2", 0.1))
        for sequence in range(2)
    ]
    assert [row["bar"] for row in make.build(lines).verdicts] == [0.1, 0.2, 0.5, 0.6]


def test_a_row_has_the_keys_of_the_schema(make: SimpleNamespace) -> None:
    (row,) = make.build([make.entry("a", "verdict", make.verdict())]).verdicts

    assert set(row) == {
        "gate", "metric", "label", "average", "slice", "outcome", "passed", "estimate", "lower", "upper", "hits",
        "support", "bar", "direction", "confidence", "if_unsure", "method", "explanation", "family", "details",
        "notes", "parameters", "settle",
        "cached", "test", "test_outcome", "expected", "count", "evidence",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [("passed", True), ("xfailed", True), ("xpassed", True), ("skipped", True), ("failed", False), ("error", False)],
)
def test_a_red_verdict_is_expected_where_its_test_did_not_fail(
    make: SimpleNamespace, outcome: str, expected: bool
) -> None:
    lines = [
        make.entry("a", "verdict", make.verdict(outcome=Outcome.FAIL)),
        make.entry("a", "verdict", make.verdict(), sequence=1),
    ]
    red, green = make.build(lines, outcomes={"a": outcome}).verdicts

    assert (red["expected"], red["test_outcome"]) == (expected, outcome)
    assert green["expected"] is False


def test_a_test_that_did_not_end_says_so_and_expects_nothing(make: SimpleNamespace) -> None:
    lines = [make.entry("a", "verdict", make.verdict(outcome=Outcome.FAIL))]
    report = make.build(lines, outcomes={}, why_incomplete="worker gw0 crashed")

    assert (report.verdicts[0]["test_outcome"], report.verdicts[0]["expected"]) == ("not finished", False)
    assert (report.answer, report.tests["not_run"]) == ("incomplete", 1)


@pytest.mark.parametrize(("failed", "expected"), [(False, True), (True, False)])
def test_a_red_verdict_outside_a_test_is_expected_only_where_the_run_passed(
    make: SimpleNamespace, failed: bool, expected: bool
) -> None:
    (row,) = make.build([make.entry(None, "verdict", make.verdict(outcome=Outcome.FAIL))], failed=failed).verdicts
    assert (row["test_outcome"], row["expected"]) == (None, expected)


def test_a_shared_fixture_is_judged_once_for_its_first_test(make: SimpleNamespace) -> None:
    lines = [
        make.entry("b", "verdict", make.verdict(), phase="setup", worker="gw0", fixture="session trained"),
        make.entry("a", "verdict", make.verdict(), phase="setup", worker="gw1", fixture="session trained"),
        make.entry("b", "verdict", make.verdict(), phase="call", worker="gw0", sequence=1),
    ]
    assert [row["test"] for row in make.build(lines, order=["a", "b"]).verdicts] == ["a", "b"]


@pytest.mark.parametrize("alive", ["gw0", "gw1"])
@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_a_shared_gate_that_one_worker_settled_on_twins_is_settled(
    make: SimpleNamespace, alive: str, phase: str
) -> None:
    """The other worker crashed before it came to that."""
    lines = [
        make.entry(test, "verdict", make.verdict(), phase=phase, worker=worker, fixture="session trained")
        for test, worker in (("a", "gw0"), ("b", "gw1"))
    ]
    lines.append(make.entry(None, "mutation", {"of": 0, "why": "told by the one that lived"}, worker=alive, sequence=1))
    mutation = make.build(lines, order=["a", "b"], mutated=True).mutation
    assert [one["why"] for one in mutation["not_mutated"]] == ["told by the one that lived"]


def test_what_ends_with_a_shared_fixture_is_judged_once_for_its_last_test(make: SimpleNamespace) -> None:
    lines = [
        make.entry(test, "verdict", make.verdict(), phase="teardown", worker=worker, fixture="session trained")
        for test, worker in (("a", "gw1"), ("b", "gw0"))
    ]
    assert [row["test"] for row in make.build(lines, order=["a", "b"]).verdicts] == ["b"]


@pytest.mark.parametrize("phase", ["setup", "teardown"])
@pytest.mark.parametrize("workers", [("", ""), ("gw0", "gw1")])
def test_equal_gates_in_fixtures_of_single_tests_stay_apart(
    make: SimpleNamespace, phase: str, workers: tuple[str, str]
) -> None:
    lines = [
        make.entry(test, "verdict", make.verdict(outcome=Outcome.FAIL), phase=phase, worker=worker, sequence=number)
        for number, (test, worker) in enumerate(zip("ab", workers, strict=True))
    ]
    rows = make.build(lines, order=["a", "b"], outcomes={"a": "xfailed", "b": "error"}).verdicts
    assert [(row["test"], row["expected"]) for row in rows] == [("a", True), ("b", False)]


def test_a_shared_fixture_that_judges_twice_stands_twice(make: SimpleNamespace) -> None:
    lines = [
        make.entry(test, "verdict", make.verdict(), phase="setup", worker=worker, fixture="session f", sequence=number)
        for test, worker in (("a", "gw0"), ("b", "gw1"))
        for number in range(2)
    ]
    assert [row["test"] for row in make.build(lines, order=["a", "b"]).verdicts] == ["a", "a"]


def test_a_test_that_ran_again_counts_as_it_ran_last(make: SimpleNamespace) -> None:
    fixture = make.entry("a", "verdict", make.verdict(bar=0.1), phase="setup", fixture="session trained", run=1)
    red = make.entry("a", "verdict", make.verdict(bar=0.2, outcome=Outcome.FAIL), sequence=1, run=1)
    green = make.entry("a", "verdict", make.verdict(bar=0.2), sequence=2, run=2)
    other = make.entry("b", "verdict", make.verdict(bar=0.3), sequence=3, run=1)
    rows = make.build([fixture, red, green, other], order=["a", "b"]).verdicts
    assert [(row["bar"], row["passed"]) for row in rows] == [(0.1, True), (0.2, True), (0.3, True)]


def test_equal_gates_of_a_plain_test_stay_apart(make: SimpleNamespace) -> None:
    lines = [make.entry("a", "verdict", make.verdict(), sequence=index) for index in range(3)]
    assert [row["count"] for row in make.build(lines).verdicts] == [1, 1, 1]


@pytest.mark.parametrize(("outcomes", "shown"), [("ppp", 3), ("pfp", 2), ("ffp", 2), ("fpf", 3)])
def test_a_gate_of_a_hypothesis_test_stands_once_with_its_last_red_verdict(
    make: SimpleNamespace, outcomes: str, shown: int
) -> None:
    lines = [
        make.entry(
            "a",
            "verdict",
            make.verdict(support=index, outcome=Outcome.PASS if letter == "p" else Outcome.FAIL, evidence=f"e{index}"),
            sequence=index,
            hypothesis=True,
        )
        for index, letter in enumerate(outcomes, start=1)
    ]
    lines += [
        make.entry("a", "evaluation", make.evaluation(f"e{index}"), sequence=10 + index, hypothesis=True)
        for index in range(1, 4)
    ]
    report = make.build(lines)

    (row,) = report.verdicts
    assert (row["count"], row["support"], row["evidence"]) == (3, shown, f"e{shown}")
    assert [one["key"] for one in report.evaluations] == [f"e{shown}"]


def test_different_gates_of_a_hypothesis_test_stay_apart(make: SimpleNamespace) -> None:
    lines = [
        make.entry("a", "verdict", make.verdict(bar=index / 10), sequence=index, hypothesis=True) for index in range(3)
    ]
    assert len(make.build(lines).verdicts) == 3


def test_two_hypothesis_tests_do_not_share_a_row(make: SimpleNamespace) -> None:
    lines = [make.entry(test, "verdict", make.verdict(), hypothesis=True) for test in "ab"]
    assert [(row["test"], row["count"]) for row in make.build(lines).verdicts] == [("a", 1), ("b", 1)]


def test_evidence_stands_once_at_its_earliest_place_with_the_tests_that_rest_on_it(make: SimpleNamespace) -> None:
    lines = [
        make.entry("c", "evaluation", make.evaluation("shared"), worker="gw0", sequence=1),
        make.entry("b", "evaluation", make.evaluation("own"), worker="gw1", sequence=1),
        make.entry("a", "evaluation", make.evaluation("shared"), worker="gw1", sequence=0),
        make.entry("c", "verdict", make.verdict(evidence="shared"), worker="gw0", sequence=2),
        make.entry("b", "verdict", make.verdict(evidence="shared"), worker="gw1", sequence=2),
        make.entry("b", "verdict", make.verdict(bar=0.5, evidence="shared"), worker="gw1", sequence=3),
    ]
    evaluations = make.build(lines, order=["a", "b", "c"]).evaluations

    assert [(one["key"], one["tests"]) for one in evaluations] == [("shared", ["b", "c"]), ("own", ["b"])]


def test_histories_follow_the_same_rules(make: SimpleNamespace) -> None:
    lines = [
        make.entry(test, "history", make.history("h", [{"epoch": 1, "train_loss": float("nan")}]), worker=worker)
        for test, worker in (("b", "gw0"), ("a", "gw1"))
    ]
    (history,) = make.build(lines, order=["a", "b"]).histories
    assert (history["tests"], history["epochs"]) == (["a"], [{"epoch": 1, "train_loss": "nan"}])


def test_numbers_that_are_not_finite_become_words(make: SimpleNamespace) -> None:
    lines = [make.entry("a", "verdict", make.verdict(estimate=float("nan"), upper=float("inf"), lower=float("-inf")))]
    report = make.build(lines, provenance={"duration_seconds": float("inf")})

    row = json.loads(report.to_json())["verdicts"][0]
    assert (row["estimate"], row["lower"], row["upper"]) == ("nan", "-inf", "inf")
    assert report.provenance == {"duration_seconds": "inf"}


def test_the_tests_are_counted(make: SimpleNamespace) -> None:
    outcomes = dict(
        zip("abcdefg", ["passed", "passed", "failed", "error", "skipped", "xfailed", "xpassed"], strict=True)
    )
    report = make.build([], order=list("abcdefgh"), outcomes=outcomes)

    assert report.tests == {
        "collected": 8, "passed": 2, "failed": 1, "error": 1, "skipped": 1, "xfailed": 1, "xpassed": 1, "not_run": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "failed", "why", "answer"),
    [
        ("passed", False, None, "passed"),
        ("xfailed", False, None, "passed"),
        ("failed", True, None, "failed"),
        ("error", False, None, "failed"),
        ("passed", True, None, "failed"),
        ("failed", True, "stopped", "incomplete"),
        ("passed", False, "stopped", "incomplete"),
    ],
)
def test_the_answer_follows_the_tests(
    make: SimpleNamespace, outcome: str, failed: bool, why: str | None, answer: str
) -> None:
    lines = [make.entry("a", "verdict", make.verdict())]
    assert make.build(lines, outcomes={"a": outcome}, failed=failed, why_incomplete=why).answer == answer


UNSURE: dict[str, Any] = {"outcome": Outcome.INCONCLUSIVE, "lower": 0.871, "upper": 0.982, "hits": 95}


def test_an_inconclusive_row_says_what_would_settle_it(make: SimpleNamespace) -> None:
    verdict = make.verdict(**UNSURE)
    lines = [
        make.entry("a", "verdict", verdict),
        make.entry("a", "verdict", make.verdict(lower=0.91, upper=0.98), sequence=1),
        make.entry("a", "verdict", make.verdict(outcome=Outcome.FAIL, lower=0.5, upper=0.6), sequence=2),
    ]
    unsure, green, red = make.build(lines).verdicts

    assert unsure["settle"] == list(Verdict.from_dict(verdict).would_settle())
    assert any("samples" in line and "80% of cases" in line for line in unsure["settle"])
    assert green["settle"] == red["settle"] == []


def test_what_would_settle_a_gate_of_a_hypothesis_test_is_worked_out_once(
    make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(Verdict, "would_settle", lambda self: asked.append(self) or ("more",))
    generated = [
        make.entry("a", "verdict", make.verdict(**UNSURE), sequence=index, hypothesis=True) for index in range(9)
    ]
    rows = make.build(generated).verdicts

    assert [row["settle"] for row in rows] == [["more"]]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"estimate": "nan"},
        {"estimate": "word"},
        {"lower": "-inf", "upper": "inf"},
        {"bar": None},
        {"support": None},
        {"label": ["of", "another", "kind"]},
        {"direction": 5},
        {"gate": None},
        {"details": None},
        {"notes": None},
        {"another key": 1},
    ],
    ids=str,
)
def test_what_nobody_can_settle_breaks_no_report(make: SimpleNamespace, changes: dict[str, Any]) -> None:
    (row,) = make.build([make.entry("a", "verdict", make.verdict(**UNSURE) | changes)]).verdicts
    assert isinstance(row["settle"], list)


def test_a_journal_of_an_older_version_is_read(make: SimpleNamespace) -> None:
    verdict = make.verdict(**UNSURE)
    for key in ("family", "details", "parameters", "notes"):
        del verdict[key]
    (row,) = make.build([make.entry("a", "verdict", verdict)]).verdicts
    assert row["settle"]
