"""The summary for the terminal."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.reports.terminal import summary_lines

if TYPE_CHECKING:
    from types import SimpleNamespace

    from pytest_modelgate.reports.report import Report


def columns(text: str) -> int:
    """How many columns of a terminal the text fills."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(bool(unicodedata.combining(character)) for character in text)


def summary(
    make: SimpleNamespace, *verdicts: dict[str, Any], width: int = 100, **changes: Any
) -> list[tuple[str, str]]:
    """The summary of a run of one test."""
    lines = [make.entry("file.py::test", "verdict", one, sequence=index) for index, one in enumerate(verdicts)]
    return summary_lines(make.build(lines, **changes), width=width, unicode=False)


def row(make: SimpleNamespace, width: int = 100, **verdict: Any) -> str:
    """The line of a gate."""
    estimate = verdict.pop("estimate", 0.95)
    return next(
        line for line, _ in summary(make, make.verdict("recall", estimate, **verdict), width=width) if "recall" in line
    )


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [80, 81, 90, 100, 140, 300])
def test_every_line_fits_the_width(report: Report, width: int, unicode: bool) -> None:
    lines = summary_lines(report, width=width, unicode=unicode)

    assert max(columns(line) for line, _ in lines) <= width
    assert all(line == line.rstrip() for line, _ in lines)


@given(
    gate=st.text(max_size=120),
    test=st.text(max_size=120),
    estimate=st.none() | st.floats(),
    outcome=st.sampled_from(Outcome),
    width=st.integers(80, 200),
)
def test_lines_fit_whatever_the_names(
    make: SimpleNamespace, gate: str, test: str, estimate: float | None, outcome: Outcome, width: int
) -> None:
    verdict = make.verdict("recall", estimate, gate=gate, outcome=outcome)
    report = make.build([make.entry(test, "verdict", verdict)] * 3)
    for unicode in (True, False):
        lines = [line for line, _ in summary_lines(report, width=width, unicode=unicode)]
        assert all(columns(line) <= width for line in lines)
        assert all(line.isprintable() for line in lines)
        assert unicode or all(line.isascii() for line in lines)


def test_the_first_line_is_the_headline(report: Report) -> None:
    lines = summary_lines(report, width=1000, unicode=True)
    assert lines[0] == (report.headline, "red")


@pytest.mark.parametrize(
    ("changes", "style"),
    [({}, "green"), ({"failed": True}, "red"), ({"why_incomplete": "stopped"}, "yellow")],
)
def test_the_headline_has_the_colour_of_the_answer(make: SimpleNamespace, changes: dict[str, Any], style: str) -> None:
    assert summary(make, make.verdict(), **changes)[0][1] == style


def test_a_run_without_gates_is_answered_for_in_one_line(make: SimpleNamespace) -> None:
    assert summary(make) == [("Passed, but no gate was judged.", "green")]


def test_every_gate_has_a_line_under_its_file_where_there_is_room(report: Report) -> None:
    lines = [line for line, _ in summary_lines(report, width=180, unicode=True)]

    gates = [line for line in lines if line.startswith("  ") and not line.startswith("  test  ")]
    assert len(gates) == len(report.verdicts)
    assert lines.count("tests/models/test_fraud.py") == 1
    assert sum(line.startswith("  test_accuracy  ") for line in lines) == 1
    assert not any("…" in line for line in lines)


def test_every_gate_has_a_line_under_its_test_where_there_is_less_room(report: Report) -> None:
    lines = [line for line, _ in summary_lines(report, width=80, unicode=True)]

    gates = [line for line in lines if line.startswith("  ") and not line.startswith("  gate  ")]
    assert len(gates) == len(report.verdicts)
    place = lines.index("tests/models/test_fraud.py::test_accuracy")
    assert lines[place + 1].startswith("  accuracy >= 0.97  ")


def test_gates_of_one_test_stand_under_it_together(make: SimpleNamespace) -> None:
    verdicts = [make.verdict("recall", 0.95, gate=f"recall[{index}] {'x' * 40}") for index in range(3)]
    lines = [line for line, _ in summary(make, *verdicts, width=80)]
    assert lines.count("file.py::test") == 1


def test_gates_of_a_gate_file_stand_without_their_tests(make: SimpleNamespace) -> None:
    """Its tests are called as their gates are."""
    entries = [make.entry("a.modelgate.yaml::recall >= 0.90", "verdict", make.verdict())]
    lines = [line for line, _ in summary_lines(make.build(entries), width=120, unicode=True)]
    assert [line.split()[0] for line in lines[2:5]] == ["gate", "a.modelgate.yaml", "recall"]
    assert "recall >= 0.90" not in "\n".join(lines)
    both = [*entries, make.entry("t.py::test_it", "verdict", make.verdict())]
    lines = [line for line, _ in summary_lines(make.build(both), width=120, unicode=True)]
    assert lines[2].split()[:2] == ["test", "gate"]
    assert [line.split()[0] for line in lines[3:7]] == ["a.modelgate.yaml", "recall", "t.py", "test_it"]


def test_the_columns_are_aligned(report: Report) -> None:
    lines = [line for line, _ in summary_lines(report, width=100, unicode=False)]
    head = next(line for line in lines if "outcome" in line)
    starts = {head.index("outcome")}
    for line in lines:
        for word in ("PASS", "FAIL", "INCONCLUSIVE", "UNDEFINED"):
            if line.startswith("  ") and f"  {word}" in line:
                starts.add(line.index(f"  {word}") + 2)
    assert len(starts) == 1


@pytest.mark.parametrize(
    ("outcome", "passed", "test_outcome", "ending", "style"),
    [
        ("PASS", True, "passed", "PASS", ""),
        ("FAIL", False, "failed", "FAIL", "red"),
        ("FAIL", False, "passed", "FAIL (expected)", ""),
        ("UNDEFINED", False, "failed", "UNDEFINED", "red"),
        ("INCONCLUSIVE", True, "passed", "INCONCLUSIVE", "yellow"),
        ("INCONCLUSIVE", False, "failed", "INCONCLUSIVE", "red"),
    ],
)
def test_only_what_needs_attention_is_coloured(
    make: SimpleNamespace, outcome: str, passed: bool, test_outcome: str, ending: str, style: str
) -> None:
    verdict = make.verdict("recall", 0.5, outcome=Outcome(outcome), passed=passed)
    lines = summary(make, verdict, outcomes={"file.py::test": test_outcome})
    assert [(line.endswith(f"  {ending}"), shown) for line, shown in lines if "recall >=" in line][-1] == (True, style)


def test_a_gate_that_was_judged_often_says_how_often(make: SimpleNamespace) -> None:
    entries = [make.entry("t", "verdict", make.verdict(), hypothesis=True, sequence=index) for index in range(37)]
    report = make.build(entries)
    assert any(line.endswith("PASS x37") for line, _ in summary_lines(report, width=80, unicode=False))
    assert any(line.endswith("PASS ×37") for line, _ in summary_lines(report, width=80, unicode=True))


@pytest.mark.parametrize(
    ("verdict", "drawn"),
    [
        ({"estimate": 0.12, "lower": 0.07, "upper": 0.19}, ".=o=..............|."),
        ({"estimate": 0.97, "lower": 0.93, "upper": 0.99, "bar": 0.5}, "..........|.......=o"),
        ({"estimate": 0.5, "bar": 0.2}, "....|.....o........."),
        ({"estimate": None}, "..................|."),
        ({"estimate": float("nan")}, "..................|."),
        ({"estimate": 0.5, "bar": None}, "..........o........."),
        # In one cell they stand side by side in their order, and an equal one where it meets the bar.
        ({"estimate": 0.91, "bar": 0.9}, ".................|o."),
        ({"estimate": 0.90, "bar": 0.9}, ".................|o."),
        ({"estimate": 0.90, "bar": 0.91}, "..................o|"),
        ({"estimate": 0.90, "bar": 0.9, "direction": "at_most"}, "..................o|"),
        ({"estimate": 0.90, "bar": 0.9, "direction": "above"}, "..................o|"),
        ({"estimate": 1.0, "bar": 1.0}, "..................|o"),
        ({"estimate": 0.98, "bar": 1.0}, "..................o|"),
        ({"estimate": 0.0, "bar": 0.0}, "|o.................."),
        ({"estimate": 0.0, "bar": 0.01, "direction": "at_most"}, "o|.................."),
    ],
)
def test_the_interval_is_drawn_against_the_bar(make: SimpleNamespace, verdict: dict[str, Any], drawn: str) -> None:
    assert drawn in row(make, width=140, gate="recall", **verdict)


def test_a_loss_is_drawn_from_zero_to_a_round_number(make: SimpleNamespace) -> None:
    verdict = make.verdict("loss", 30.0, bar=45.0, direction="at_most", gate="loss")
    lines = [line for line, _ in summary(make, verdict, width=140)]
    assert any("............o.....|." in line for line in lines)
    assert lines[-1].endswith("| bar  (errors and losses: from 0 up)")


def test_only_scales_that_differ_are_named(make: SimpleNamespace) -> None:
    verdict = make.verdict("recall", 0.95)
    assert summary(make, verdict)[-1][0].endswith("| bar")
    assert summary(make, verdict, make.verdict("mcc", 0.95))[-1][0].endswith("| bar  (correlations: -1 to 1)")
    assert summary(make, make.verdict("rmse", 0.95))[-1][0].endswith("| bar  (errors and losses: from 0 up)")
    assert summary(make, make.verdict("r2", 0.95))[-1][0].endswith("| bar")
    for odd in (make.verdict("r2", -0.1), make.verdict("cost", 0.4), make.verdict("loss", -2.0)):
        assert summary(make, odd)[-1][0].endswith("| bar  (others: scaled to their numbers)")


def test_a_legend_of_many_scales_breaks_between_them(make: SimpleNamespace) -> None:
    verdicts = [make.verdict(metric) for metric in ("recall", "mcc", "mae", "cost")]
    verdicts.append(make.verdict(gate="no_regression(recall, margin=0)"))
    assert [line for line, _ in summary(make, *verdicts, width=80)][-3:] == [
        "o estimate  === what the data allow  | bar  (correlations: -1 to 1)",
        "(differences: centred on 0)  (errors and losses: from 0 up)",
        "(others: scaled to their numbers)",
    ]


DIFFERENCE: dict[str, Any] = {"gate": "no_regression(recall[fraud], margin=0.05)", "bar": -0.05}


@pytest.mark.parametrize(("estimate", "shown"), [(0.01, " +0.010 "), (-0.155, " -0.155 "), (0.0, " 0.000 ")])
def test_a_difference_shows_its_sign(make: SimpleNamespace, estimate: float, shown: str) -> None:
    lines = [line for line, _ in summary(make, make.verdict("recall", estimate, **DIFFERENCE), width=140)]
    assert any(shown in line for line in lines)
    assert lines[-1].endswith("| bar  (differences: centred on 0)")


def test_a_difference_is_drawn_around_the_middle(make: SimpleNamespace) -> None:
    verdict = make.verdict("recall", 0.0, lower=-0.1, upper=0.1, **DIFFERENCE)
    assert any("  =====|====o=========  " in line for line, _ in summary(make, verdict, width=140))


def test_a_long_gate_against_a_baseline_keeps_its_margin(make: SimpleNamespace) -> None:
    verdict = make.verdict(gate=f"no_regression(recall[{'x' * 90}], margin=0.05)")
    assert any("xxx... margin=0.05)  " in line for line, _ in summary(make, verdict, width=80))


def test_what_would_settle_a_gate_is_left_to_the_other_reports(make: SimpleNamespace) -> None:
    """The summary has one line a gate."""
    lines = summary(make, make.verdict(outcome=Outcome.INCONCLUSIVE, lower=0.87, upper=0.98, notes=("a note",)))
    assert len(lines) == 7


def test_a_long_test_keeps_its_end_and_a_long_gate_its_bar(make: SimpleNamespace) -> None:
    verdict = make.verdict(gate=f"recall['{'x' * 90}'] >= 0.95")
    report = make.build([make.entry(f"file.py::test_{'y' * 90}[threshold-0.3]", "verdict", verdict)])
    lines = [line for line, _ in summary_lines(report, width=80, unicode=True)]

    assert any(line.startswith("…yyy") and line.endswith("yyy[threshold-0.3]") for line in lines)
    assert any(line.startswith("  recall['xxx") and "xxx… >= 0.95  0.950  " in line for line in lines)


def test_a_value_that_is_just_short_of_its_bar_does_not_look_like_it(make: SimpleNamespace) -> None:
    assert " 0.89996 " in row(make, estimate=0.89996, bar=0.9)


def mutated(report: Report, found: dict[str, Any] | None, width: int = 80) -> list[tuple[str, str]]:
    """The lines that mutation adds to the summary."""
    plain = summary_lines(report, width=width, unicode=True)
    lines = summary_lines(replace(report, mutation=found), width=width, unicode=True)
    assert lines[: len(plain)] == plain
    return list(lines[len(plain) :])


def test_the_faults_that_every_gate_let_through_are_told(make: SimpleNamespace, report: Report) -> None:
    assert mutated(report, make.digits_mutation(0.9)) == [
        ("", ""),
        ("mutation: gates noticed 8 of 15 faults (0.533); 2 changed too little to count", "red"),
        ("let through by every gate:", "yellow"),
        ("  noise of 0.1 of the spread in '4' (and 1 weaker): 12% of predictions changed", "yellow"),
        ("  noise of 0.3 of the spread in '2' (and 1 weaker): 6% of predictions changed", "yellow"),
        ("  noise of 0.03 of the spread in '0': 5% of predictions changed", "yellow"),
        ("  weights rounded to 4 bits: 4% of predictions changed", "yellow"),
        ("    hint: tighten a bar, or add assert_no_regression against a baseline", ""),
        ("  class 8 merged into 9: 9.8% of predictions changed", "yellow"),
        ("    hint: add assert_every_class_recall_at_least: accuracy averages a lost", ""),
        ("      class away", ""),
        ("smallest noise noticed: '0' 0.1, '2' none, '4' 0.3", ""),
        ("required 0.900: NOT enough", "red"),
        ("not mutated: 1 gate: the evidence was not made by evaluate", ""),
    ]


def test_without_a_required_share_nothing_is_red(make: SimpleNamespace, report: Report) -> None:
    styles = [style for _, style in mutated(report, make.digits_mutation())]
    assert styles[1] == "yellow"
    assert "red" not in styles


def test_a_suite_that_notices_all_is_short(make: SimpleNamespace, report: Report) -> None:
    faults = [make.fault("x", "zeroed", [make.cell()])]
    found = make.mutation([make.mutated(faults, [make.gate("a")])], 0.5)
    assert mutated(report, found) == [
        ("", ""),
        ("mutation: gates noticed 1 of 1 fault (1.000)", ""),
        ("required 0.500: enough", ""),
    ]


def test_without_mutation_nothing_is_said(report: Report) -> None:
    assert mutated(report, None) == []


def test_mutation_is_told_where_no_gate_was_judged(make: SimpleNamespace) -> None:
    assert len(mutated(make.build([]), make.mutation([]))) == 2


def test_of_many_faults_each_hint_has_some(make: SimpleNamespace, report: Report) -> None:
    """Many layers with noise do not hide the one class that was lost; the rest is counted."""
    faults = [
        make.fault(f"noise {place}.{step}", "noise", [make.cell(False)], where=str(place), strength=step / 10)
        for place in range(30)
        for step in (1, 2)
    ]
    faults.append(make.fault("class merged", "class merged", [make.cell(False)], changed=0.02))
    found = make.mutation([make.mutated(faults, [make.gate("accuracy >= 0.1")], smallest_noise=[])])
    lines = [line for line, _ in mutated(report, found)]

    assert "  class merged: 2% of predictions changed" in lines
    assert sum(" of predictions changed" in line for line in lines) == 10
    assert "  and 42 more" in lines
    assert "noticed nothing: accuracy >= 0.1" in lines


def test_several_models_are_told_apart(make: SimpleNamespace, report: Report) -> None:
    def model(name: str, **changes: Any) -> dict[str, Any]:
        faults = [make.fault("f", "noise", [make.cell(False)], where="a", strength=0.1)]
        return make.mutated(faults, [make.gate("a")], model=name, **changes)  # type: ignore[no-any-return]

    found = make.mutation([model("A"), model("B", layers_left_out=3)])
    lines = [line for line, _ in mutated(report, found)]
    assert "2. B: gates noticed 0 of 1 fault (0.000); 3 layers left out" in lines
    assert not any(line.startswith("1. A:") for line in lines)
    assert "  f (2. B): 50% of predictions changed" in lines
    assert "smallest noise noticed (1. A): a none" in lines


def test_many_reasons_and_idle_gates_are_counted(make: SimpleNamespace, report: Report) -> None:
    rows = [{"test": None, "gate": "g", "why": f"why {index}"} for index in range(8)]
    faults = [make.fault("f", "zeroed", [make.cell(False)] * 8)]
    found = make.mutation([make.mutated(faults, [make.gate(str(index)) for index in range(8)])], not_mutated=rows)
    lines = [line for line, _ in mutated(report, found)]
    assert "noticed nothing: 0, 1, 2, 3, 4, and 3 more" in lines
    assert lines[-2:] == ["not mutated: 1 gate: why 4", "not mutated: 3 gates for other reasons"]


@given(name=st.text(max_size=120), width=st.integers(80, 200))
def test_lines_of_mutation_fit_whatever_the_names(make: SimpleNamespace, name: str, width: int) -> None:
    faults = [
        make.fault(name, "noise", [make.cell(False)], where=name, strength=0.1),
        make.fault(name, name, [make.cell()]),
    ]
    rows = [{"test": name, "gate": name, "why": name}]
    row = make.mutated(faults, [make.gate(name)], model=name, reason=name)
    report = replace(make.build([]), mutation=make.mutation([row, row], 0.9, not_mutated=rows))
    for unicode in (True, False):
        lines = [line for line, _ in summary_lines(report, width=width, unicode=unicode)]
        assert all(columns(line) <= width for line in lines)
        assert all(line.isprintable() for line in lines)
        assert unicode or all(line.isascii() for line in lines)


@pytest.mark.parametrize("unicode", [True, False])
def test_a_large_mutation_stays_short(make: SimpleNamespace, unicode: bool) -> None:
    report = replace(make.build([]), mutation=make.large_mutation())
    lines = [line for line, _ in summary_lines(report, width=80, unicode=unicode)]
    assert len(lines) < 35
    assert max(map(columns, lines)) <= 80
    assert unicode or all(line.isascii() for line in lines)
