"""What the report's mutation says, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate.reports import mutation

if TYPE_CHECKING:
    from types import SimpleNamespace


@pytest.fixture(scope="module")
def digits(make: SimpleNamespace) -> mutation.Model:
    (model,) = mutation.models(make.digits_mutation())
    return model


def one_model(make: SimpleNamespace, faults: list[dict[str, Any]], *gates: str, **changes: Any) -> mutation.Model:
    """The model of a run with these faults and gates."""
    rows = [make.gate(text) for text in gates or ("accuracy >= 0.8",)]
    (model,) = mutation.models(make.mutation([make.mutated(faults, rows, **changes)]))
    return model


@pytest.mark.parametrize(
    ("caught", "counted", "equivalent", "minimum", "said", "required"),
    [
        (30, 36, 6, None, "gates noticed 30 of 36 faults (0.833); 6 changed too little to count", ""),
        (1, 1, 0, 0.8, "gates noticed 1 of 1 fault (1.000)", "required 0.800: enough"),
        (0, 2, 0, 0.8, "gates noticed 0 of 2 faults (0.000)", "required 0.800: NOT enough"),
        (0, 0, 3, 0.8, "no fault was counted; 3 changed too little to count", "required 0.800: NOT enough"),
        # A share that is just short of what is required does not look like it.
        (7999, 10000, 0, 0.8, "gates noticed 7,999 of 10,000 faults (0.7999)", "required 0.8000: NOT enough"),
    ],
)
def test_the_share_and_what_was_required_are_told(
    caught: int, counted: int, equivalent: int, minimum: float | None, said: str, required: str
) -> None:
    share = caught / counted if counted else None
    enough = None if minimum is None else share is not None and share >= minimum
    row = {"caught": caught, "counted": counted, "equivalent": equivalent, "share": share}
    assert mutation.summary(row | {"minimum": minimum}) == said
    assert mutation.requirement(row | {"minimum": minimum, "enough": enough}) == required


def test_what_every_gate_let_through_comes_first_what_changed_most_foremost(digits: mutation.Model) -> None:
    through = [(fault.name, weaker, fault.changed) for hint in digits.hints for fault, weaker in hint.faults]
    assert through == [
        ("noise of 0.1 of the spread in '4'", 1, "12%"),
        ("noise of 0.3 of the spread in '2'", 1, "6%"),
        ("noise of 0.03 of the spread in '0'", 0, "5%"),
        ("weights rounded to 4 bits", 0, "4%"),
        ("class 8 merged into 9", 0, "9.8%"),
    ]
    assert digits.through == 7


def test_the_table_has_every_counted_fault_by_kind_and_every_gate(digits: mutation.Model) -> None:
    kinds = [(kind, len(faults)) for kind, faults in digits.kinds]
    assert kinds == [("zeroed", 3), ("noise", 8), ("quantised", 2), ("class merged", 1), ("classes swapped", 1)]
    assert {len(fault.cells) for _, faults in digits.kinds for fault in faults} == {3}
    assert [fault.name for fault in digits.equivalent] == [
        "noise of 0.03 of the spread in '2'",
        "weights rounded to 8 bits",
    ]
    states = [fault.state for _, faults in digits.kinds for fault in faults]
    assert (states.count("caught"), states.count("through")) == (8, 7)


def test_a_gate_says_what_it_noticed(digits: mutation.Model) -> None:
    assert [(gate.name, gate.now, gate.caught, gate.judged) for gate in digits.gates] == [
        ("accuracy >= 0.8", "0.970", "8 of 15", True),
        ("recall[3] >= 0.9", "0.985", "8 of 15", True),
        ("loss <= 0.1", "0.420", "red already", False),
    ]
    assert digits.nothing == []


def test_gates_of_one_text_are_told_apart_by_their_test(make: SimpleNamespace) -> None:
    gates = [make.gate("loss <= 1"), make.gate("a", "f.py::A::b"), make.gate("a", None), make.gate("a", "odd")]
    (model,) = mutation.models(make.mutation([make.mutated([], gates)]))
    assert [gate.name for gate in model.gates] == ["loss <= 1", "a in A::b", "a in no test", "a in odd"]


def test_a_gate_that_noticed_nothing_is_named(make: SimpleNamespace) -> None:
    faults = [make.fault("x", "zeroed", [make.cell(), make.cell(False), None])]
    model = one_model(make, faults, "a", "b", "c")
    assert [gate.name for gate in model.nothing] == ["b"]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (None, ("none", "–", "not settled")),
        ({}, ("caught", "-0.660", "FAIL at 0.310")),
        ({"caught": False, "moved": 0.01, "estimate": 0.98}, ("missed", "+0.010", "PASS at 0.980")),
        ({"caught": False, "moved": -0.0, "estimate": 0.97}, ("missed", "0.000", "PASS at 0.970")),
        ({"moved": "inf", "estimate": "inf"}, ("caught", "inf", "FAIL at inf")),
        ({"moved": None, "estimate": 0.2}, ("caught", "at 0.200", "FAIL at 0.200")),
        ({"moved": None, "estimate": None, "outcome": "UNDEFINED"}, ("caught", "undefined", "UNDEFINED")),
        ({"moved": None, "estimate": None, "outcome": None, "error": "E: no"}, ("caught", "error", "E: no")),
    ],
)
def test_a_cell_says_by_how_much_the_metric_moved(
    make: SimpleNamespace, cell: dict[str, Any] | None, shown: tuple[str, str, str]
) -> None:
    one = None if cell is None else make.cell(**cell)
    ((_, (fault,)),) = one_model(make, [make.fault("x", "zeroed", [one])]).kinds
    assert [(cell.mark, cell.moved, cell.outcome) for cell in fault.cells] == [shown]


def test_graded_faults_stand_by_place_and_strength_the_harshest_last(digits: mutation.Model) -> None:
    noise, quantised = digits.grids
    shown = [(place, [(fault and fault.state, fault and fault.caught) for fault in row]) for place, row in noise.rows]
    assert noise.strengths == ["0.03", "0.1", "0.3"]
    assert shown == [
        ("'0'", [("through", 0), ("caught", 2), ("caught", 2)]),
        ("'2'", [("equivalent", 0), ("through", 0), ("through", 0)]),
        ("'4'", [("through", 0), ("through", 0), ("caught", 2)]),
    ]
    assert (quantised.kind, quantised.strengths) == ("quantised", ["8", "4", "2"])
    assert [place for place, _ in quantised.rows] == ["model"]


def test_a_strength_that_a_place_lacks_leaves_a_gap(make: SimpleNamespace) -> None:
    faults = [
        make.fault(f"{where}{strength}", "noise", [make.cell()], where=where, strength=strength)
        for where, strength in (("a", 0.1), ("a", 0.2), ("b", 0.2))
    ]
    (grid,) = one_model(make, faults).grids
    assert [(place, [fault and fault.name for fault in row]) for place, row in grid.rows] == [
        ("a", ["a0.1", "a0.2"]),
        ("b", [None, "b0.2"]),
    ]


def test_the_smallest_noise_is_on_one_line(make: SimpleNamespace, digits: mutation.Model) -> None:
    assert mutation.noise_text(digits, 10, "none") == "'0' 0.1, '2' none, '4' 0.3"
    assert mutation.noise_text(digits, 2, "-") == "'0' 0.1, '2' -, and 1 more"


@pytest.mark.parametrize(
    ("kind", "gate", "hint"),
    [
        ("class merged", "accuracy >= 0.8", "assert_every_class_recall_at_least"),
        ("classes swapped", "every_class_recall >= 0.5", "raise the bar of every_class_recall"),
        ("always the majority class", "accuracy >= 0.8", "assert_beats_majority_class"),
        ("threshold shifted", "accuracy >= 0.8", "recall and precision"),
        ("dropout left on", "accuracy >= 0.8", "assert_deterministic"),
        ("feature dropped", "accuracy >= 0.8", "does not need that input"),
        ("feature shuffled", "accuracy >= 0.8", "does not need that input"),
        ("feature rescaled", "accuracy >= 0.8", "tighten a bar, or add assert_no_regression"),
        ("noise", "accuracy >= 0.8", "assert_no_regression"),
        ("quantised", "no_regression(recall, margin=0.1)", "lower the margin of no_regression"),
        ("BatchNorm statistics lost", "accuracy >= 0.8", "tighten a bar"),
    ],
)
def test_each_fault_that_was_let_through_has_a_hint(make: SimpleNamespace, kind: str, gate: str, hint: str) -> None:
    (found,) = one_model(make, [make.fault("x", kind, [make.cell(False)])], gate).hints
    assert hint in found.text


def test_a_fault_on_which_no_gate_was_settled_says_so(make: SimpleNamespace) -> None:
    (found,) = one_model(make, [make.fault("x", "noise", [None])]).hints
    assert found.text == "no gate could be settled on it"


def test_where_no_gate_is_green_nothing_counts_as_let_through(make: SimpleNamespace) -> None:
    red = make.gate("a", state="red already")
    row = make.mutated([make.fault("x", "noise", [make.cell(False)])], [red])
    (model,) = mutation.models(make.mutation([row]))
    assert (model.through, list(model.kinds), list(model.grids), list(model.noise)) == (0, [], [], [])
    assert model.summary == "none of its gates is green on the model itself"


def test_a_red_gate_takes_no_part(digits: mutation.Model) -> None:
    assert {fault.judged for _, faults in digits.kinds for fault in faults} == {2}


def test_several_models_are_numbered_and_say_what_is_missing(make: SimpleNamespace) -> None:
    rows = [
        make.mutated([], [make.gate("a")], model="Net", layers_left_out=12),
        make.mutated([], [make.gate("a")], model=None, reason="it cannot be copied"),
    ]
    models = mutation.models(make.mutation(rows))
    assert [(model.title, model.summary) for model in models] == [
        ("1. Net", "no fault was counted; 12 layers left out"),
        ("2. model", "no fault was counted; some faults are left out: it cannot be copied"),
    ]
    assert [model.incomplete for model in models] == [True, True]


def test_gates_that_were_not_mutated_stand_by_their_reason(make: SimpleNamespace) -> None:
    rows = [{"test": f"t{index}", "gate": "g", "why": why} for index, why in enumerate(("one", "two", "two"))]
    found = mutation.not_mutated(make.mutation([], not_mutated=rows))
    assert [(why, [row["test"] for row in left]) for why, left in found] == [("two", ["t1", "t2"]), ("one", ["t0"])]


@given(st.data())
def test_every_fault_is_shown_once(make: SimpleNamespace, data: st.DataObject) -> None:
    cells = st.lists(st.none() | st.booleans(), min_size=2, max_size=2)
    drawn = data.draw(
        st.lists(st.tuples(cells, st.booleans(), st.sampled_from(["noise", "zeroed"]), st.none() | st.floats(0, 1)))
    )
    faults = [
        make.fault(
            str(index),
            kind,
            [None if one is None else make.cell(one) for one in found],
            equivalent=equivalent,
            strength=index / 8 if kind == "noise" else None,
            changed=changed,
        )
        for index, (found, equivalent, kind, changed) in enumerate(drawn)
    ]
    model = one_model(make, faults, "a", "b")
    counted = [fault for _, found in model.kinds for fault in found]
    assert sorted(int(fault.name) for fault in [*counted, *model.equivalent]) == list(range(len(faults)))
    through = sum(not fault["caught"] and not fault["equivalent"] for fault in faults)
    assert through == model.through == sum(fault.state == "through" for fault in counted)
