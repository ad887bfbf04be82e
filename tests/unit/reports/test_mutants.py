"""Which faults the gates noticed: gathered from what was settled on the twins."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelgate.reports.mutants import gather

NAMES = {"zeroed": ("zeroed", "'0'", None), "weak": ("noise", "'0'", 0.1), "strong": ("noise", "'0'", 1.0)}


def row(gate: str, *, passed: bool = True, estimate: float | None = 0.9, test: str | None = "t.py::test") -> Any:
    return {"gate": gate, "test": test, "metric": "m", "label": None, "estimate": estimate, "passed": passed}


def cell(caught: bool, moved: float | str | None = 0.0, error: str | None = None) -> dict[str, Any]:
    estimate = 0.9 + moved if isinstance(moved, float) else moved
    return {
        "caught": caught,
        "outcome": "FAIL" if caught else "PASS",
        "estimate": estimate,
        "moved": moved,
        "error": error,
    }


def found(
    cells: dict[str, Any], *, changed: Any = 0.5, key: str = "k", counts: bool = True, level: float | None = None
) -> Any:
    faults = []
    for name, one in cells.items():
        kind, where, strength = NAMES[name]
        share = changed[name] if isinstance(changed, dict) else changed
        share = None if one["error"] else share
        faults.append({"name": name, "kind": kind, "where": where, "strength": strength, "changed": share, "cell": one})
    return {
        "why": None,
        "model": "Net",
        "key": key,
        "layers_left_out": 2,
        "reason": None,
        "counts": counts,
        "level": level,
        "faults": faults,
    }


def test_a_fault_is_noticed_where_any_green_gate_turns_red() -> None:
    report = gather(
        [
            (row("a"), found({"zeroed": cell(True), "weak": cell(False), "strong": cell(False)})),
            (row("b"), found({"zeroed": cell(False), "weak": cell(False), "strong": cell(True)})),
        ],
        None,
    )
    assert (report["caught"], report["counted"], report["equivalent"], report["share"]) == (2, 3, 0, 2 / 3)
    assert (report["minimum"], report["enough"]) == (None, None)
    (model,) = report["models"]
    assert [fault["caught"] for fault in model["faults"]] == [True, False, True]
    assert [(gate["caught"], gate["counted"]) for gate in model["gates"]] == [(1, 3), (1, 3)]
    assert model["faults"][0]["cells"] == [cell(True), cell(False)]
    assert (model["tests"], model["layers_left_out"]) == (["t.py::test"], 2)


def test_a_gate_that_is_red_already_notices_nothing() -> None:
    report = gather([(row("a", passed=False), found({"zeroed": cell(True)}))], 0.5)
    (model,) = report["models"]
    assert model["gates"][0]["state"] == "red already"
    assert (model["gates"][0]["caught"], report["caught"], report["counted"]) == (0, 0, 0)
    assert (report["share"], report["enough"]) == (None, False)
    both = gather(
        [(row("a", passed=False), found({"zeroed": cell(True)})), (row("b"), found({"zeroed": cell(False)}))], None
    )
    assert (both["caught"], both["counted"]) == (0, 1)


@pytest.mark.parametrize(
    ("changed", "counts", "moved", "equivalent"),
    [
        (0.009, True, 0.0, True),
        (0.01, True, 0.0, False),
        (0.009, True, -0.5, True),
        (0.009, False, -0.005, True),  # the loss or the scores: by less than 1% of their value
        (0.009, False, -0.01, False),
        (0.009, False, None, False),  # undefined on the twin
        (0.009, False, "nan", False),
        (0.5, False, 0.0, False),
    ],
)
def test_a_fault_that_changes_next_to_nothing_is_not_counted(
    changed: float, counts: bool, moved: Any, equivalent: bool
) -> None:
    report = gather([(row("a"), found({"zeroed": cell(False, moved)}, changed=changed, counts=counts))], None)
    assert report["models"][0]["faults"][0]["equivalent"] is equivalent
    assert (report["counted"], report["equivalent"]) == ((0, 1) if equivalent else (1, 0))
    # What one gate sees, counts for all.
    seen = gather(
        [
            (row("a"), found({"zeroed": cell(False, moved)}, changed=changed, counts=counts)),
            (row("b"), found({"zeroed": cell(False)}, changed=0.2)),
        ],
        None,
    )
    assert seen["models"][0]["faults"][0]["equivalent"] is False


@pytest.mark.parametrize(("moved", "equivalent"), [(0.003, True), (0.005, False)])
def test_a_difference_moves_by_a_share_of_the_metric_itself(moved: float, equivalent: bool) -> None:
    rows = [(row("a", estimate=0.0), found({"weak": cell(False, moved)}, changed=0.0, counts=False, level=0.4))]
    assert gather(rows, None)["equivalent"] == equivalent


def test_a_gate_that_is_red_already_makes_no_fault_count() -> None:
    green = row("a"), found({"weak": cell(False), "strong": cell(False)}, changed=0.001)
    cells = {"weak": cell(False, 0.5), "strong": cell(True, None, "ZeroDivisionError: none")}
    red = row("b", passed=False), found(cells, changed=0.001, counts=False)
    report = gather([green, red], None)
    assert (report["counted"], report["equivalent"]) == (0, 2)


def test_a_twin_that_ends_in_an_error_is_noticed_and_counted() -> None:
    broken = cell(True, None, "EvidenceError: logits must be finite")
    report = gather([(row("a"), found({"zeroed": broken}))], None)
    (fault,) = report["models"][0]["faults"]
    assert (fault["caught"], fault["equivalent"], fault["changed"]) == (True, False, None)


@pytest.mark.parametrize(("minimum", "enough"), [(0.5, True), (2 / 3, True), (0.67, False), (1.0, False)])
def test_the_minimum(minimum: float, enough: bool) -> None:
    cells = {"zeroed": cell(True), "weak": cell(False), "strong": cell(True)}
    assert gather([(row("a"), found(cells))], minimum)["enough"] is enough


@pytest.mark.parametrize(
    ("caught", "smallest"),
    [((True, True), 0.1), ((False, True), 1.0), ((True, False), None), ((False, False), None)],
)
def test_the_smallest_noise_is_one_from_which_on_all_are_noticed(caught: Any, smallest: float | None) -> None:
    cells = {"weak": cell(caught[0]), "strong": cell(caught[1])}
    report = gather([(row("a"), found(cells))], None)
    assert report["models"][0]["smallest_noise"] == [{"where": "'0'", "strength": smallest}]


def test_models_apart_and_what_was_not_mutated() -> None:
    report = gather(
        [
            (row("a"), found({"zeroed": cell(True)}, key="one")),
            (row("history"), {"why": "it does not judge what a model predicts"}),
            (row("b"), found({"zeroed": cell(False)}, key="two")),
            (row("crashed"), None),
        ],
        None,
    )
    assert [(model["key"], model["caught"], model["counted"]) for model in report["models"]] == [
        ("one", 1, 1),
        ("two", 0, 1),
    ]
    assert [one["gate"] for one in report["not_mutated"]] == ["history", "crashed"]
    assert report["not_mutated"][0]["why"] == "it does not judge what a model predicts"
    assert "its process ended before" in report["not_mutated"][1]["why"]


def test_a_gate_that_knows_fewer_faults() -> None:
    report = gather(
        [
            (row("a"), found({"zeroed": cell(True), "weak": cell(False)})),
            (row("b"), found({"weak": cell(True)})),
        ],
        None,
    )
    (model,) = report["models"]
    assert [one["cells"] for one in model["faults"]] == [[cell(True), None], [cell(False), cell(True)]]
    assert [(gate["caught"], gate["counted"]) for gate in model["gates"]] == [(1, 2), (1, 1)]


def test_nothing_was_judged() -> None:
    report = gather([], 0.8)
    assert (report["share"], report["enough"], report["models"]) == (None, False, [])
