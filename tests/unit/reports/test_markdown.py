"""The report as Markdown."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.reports.markdown import code, render, text
from pytest_modelgate.reports.report import Report

if TYPE_CHECKING:
    from types import SimpleNamespace


def outside_code(markdown: str) -> str:
    """The Markdown without its code blocks and code spans, where nothing is markup."""
    markdown = re.sub(r"^(`{3,})text\n.*?^\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", markdown)


def test_the_first_line_answers_for_the_run(report: Report) -> None:
    assert render(report).splitlines()[0].startswith("## Failed: 4 of 22 gates are red (recall['fraud'] >= 0.9 in ")


def test_every_gate_has_a_row(report: Report) -> None:
    markdown = render(report)

    rows = [line for line in markdown.splitlines() if "<br>" in line]
    assert len(rows) == len(report.verdicts)
    assert rows[0] == (
        "| ❌ **FAIL** | `recall['fraud'] >= 0.9`<br>`tests/models/test_fraud.py::test_recall` "
        "| 0.120 | 0.071 to 0.187 | 12 of 100 |"
    )
    assert any(row.startswith("| FAIL (expected) |") for row in rows)
    assert any(row.startswith("| PASS ×37 |") for row in rows)
    assert any(row.startswith("| ⚠️ INCONCLUSIVE |") for row in rows)


def test_all_rows_of_a_table_have_as_many_cells_as_its_head(report: Report) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", render(report), flags=re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1


def test_red_gates_are_explained_with_their_table(report: Report) -> None:
    markdown = render(report)
    explained = markdown[markdown.index("### Red gates") : markdown.index("### Evaluations")]

    assert "**FAIL: recall of 'fraud' = 0.120 (12 of 100), required >= 0.900**" in explained
    assert "\nactual fraud              88                12\n" in explained
    assert "test_the_old_model_is_caught" not in explained


def test_no_name_becomes_markup(report: Report) -> None:
    markdown = outside_code(render(report))

    assert "<script" not in markdown
    assert set(re.findall(r"</?(\w+)", markdown)) <= {"details", "summary", "br", "code"}
    assert "](" not in markdown
    assert "*d*" not in markdown


@given(st.text(alphabet="ab_*`|<>&\\[](){}#@$~:/!\n\r 1.", max_size=30))
def test_escaped_words_keep_their_place_in_a_table_and_their_meaning(words: str) -> None:
    from html import unescape

    plain = " ".join(words.split())
    escaped = text(words)

    assert unescape(escaped) == unescape(plain) == plain or "&" in plain
    assert not re.search(r"[<|`*\\~@$\n]", escaped)
    if code(words).startswith("`"):
        assert code(words) == f"`{plain}`"
        assert not re.search(r"[|\\`]", plain)


def test_a_code_block_cannot_be_left_from_within(make: SimpleNamespace) -> None:
    verdict = make.verdict(outcome=Outcome.FAIL, notes=("````", "<b>"))
    markdown = render(make.build([make.entry("t", "verdict", verdict)], outcomes={"t": "failed"}))
    assert "`````text\n````\n<b>\n`````" in markdown


def test_of_very_many_gates_the_green_ones_are_folded(make: SimpleNamespace) -> None:
    entries = [make.entry(f"t{index}", "verdict", make.verdict(), sequence=index) for index in range(150)]
    entries.append(make.entry("red", "verdict", make.verdict(outcome=Outcome.FAIL)))
    markdown = render(make.build(entries, outcomes={"red": "failed"}))

    assert "<details><summary>150 green gates</summary>" in markdown
    assert markdown.index("**FAIL**") < markdown.index("150 green gates")


def test_folds_are_closed_and_stand_apart(report: Report) -> None:
    """Within a fold Markdown is read only after an empty line."""
    markdown = render(report)
    assert markdown.count("<details>") == markdown.count("</details>") == 7 + 3 + 1 + 1
    assert all(f"</summary>{rest}".startswith("</summary>\n\n") for rest in markdown.split("</summary>")[1:])


def test_a_value_that_is_just_short_of_its_bar_does_not_look_like_it(report: Report) -> None:
    assert "| 0.89996 |" in render(report)


def test_no_name_at_all_is_no_empty_code_span() -> None:
    assert code("") == "<code></code>"


def test_a_run_without_gates_renders(make: SimpleNamespace) -> None:
    assert render(make.build([])) == "## Passed, but no gate was judged.\n\n0 tests · 0 gates\n"


def one(make: SimpleNamespace, verdict: dict[str, Any], outcome: str = "passed") -> str:
    """The report of a run of one gate."""
    return render(make.build([make.entry("t", "verdict", verdict)], outcomes={"t": outcome}))


def test_what_would_settle_an_unsure_gate_is_folded_away_with_its_notes(make: SimpleNamespace) -> None:
    verdict = make.verdict(
        outcome=Outcome.INCONCLUSIVE, passed=True, lower=0.871, upper=0.982, hits=95, notes=("the data allow",)
    )
    markdown = one(make, verdict)
    fold = markdown[markdown.index("<details><summary>What would settle 1 unsure gate</summary>") :]

    assert "```text\nthe data allow\nroughly " in fold
    assert " in 80% of cases" in fold
    assert "What would settle" not in one(make, verdict | {"outcome": "PASS"})
    assert "What would settle" not in one(make, verdict | {"lower": None})


def test_what_would_settle_a_red_gate_stands_with_its_reasons(make: SimpleNamespace) -> None:
    verdict = make.verdict("recall", 0.88, outcome=Outcome.INCONCLUSIVE, lower=0.8, upper=0.93, notes=("a note",))
    markdown = one(make, verdict, "failed")

    assert "What would settle" not in markdown
    assert " in 80% of cases" in markdown[markdown.index("### Red gates") :]


def test_of_very_many_unsure_gates_the_rest_is_counted(make: SimpleNamespace) -> None:
    verdict = make.verdict(outcome=Outcome.INCONCLUSIVE, passed=True, lower=0.871, upper=0.982, hits=95)
    entries = [make.entry(f"t{index}", "verdict", verdict) for index in range(60)]
    markdown = render(make.build(entries))
    assert "What would settle 60 unsure gates" in markdown
    assert markdown.count("**INCONCLUSIVE: ") == 50
    assert "\nAnd 10 more: see report.html.\n" in markdown


def test_a_difference_has_its_sign_and_its_churn(make: SimpleNamespace) -> None:
    churn = "36 of 400 decisions changed: 20 fixes, 16 breaks"
    verdict = make.verdict(
        "recall", 0.01, lower=-0.016, upper=0.036, bar=0.0, gate="no_regression(recall, margin=0)", support=400,
        notes=("the data allow", churn), details=(("changed", 36),),
    )  # fmt: skip
    assert f"| +0.010 | -0.016 to +0.036<br>{churn} | 400 |" in one(make, verdict)


def test_a_row_says_for_how_many_it_was_corrected_and_what_each_seed_had(make: SimpleNamespace) -> None:
    verdict = make.verdict(lower=0.91, upper=0.98, family="Holm over 10 classes")
    assert "| 0.910 to 0.980<br>corrected for 10 classes (Holm) |" in one(make, verdict)
    verdict = make.verdict(gate="over_seeds(recall >= 0.9)", details=(("seed 0", 0.93), ("seed 1", 0.97)))
    assert "| –<br>seeds: 0.930, 0.970 |" in one(make, verdict)


def test_gates_by_hand_are_said_not_to_be_corrected(make: SimpleNamespace) -> None:
    sentence = "their error rates are not corrected for their number"
    entries = [make.entry("t", "verdict", make.verdict(), sequence=index) for index in range(150)]

    assert sentence not in render(make.build(entries[:1]))
    assert render(make.build(entries[:2])).count(sentence) == 1
    assert render(make.build(entries)).count(sentence) == 1


def test_a_report_without_the_newer_keys_renders(make: SimpleNamespace) -> None:
    report = make.build([make.entry("t", "verdict", make.verdict(outcome=Outcome.INCONCLUSIVE, passed=True))])
    older = report.to_dict()
    for key in ("settle", "family", "details"):
        del older["verdicts"][0][key]
    assert render(Report.from_dict(older)) == render(report)


def test_without_mutation_and_audits_nothing_is_said_of_them(make: SimpleNamespace, report: Report) -> None:
    full = render(replace(report, mutation=make.digits_mutation(0.9), audits=make.audits()))
    start, end = full.index("### Would the gates notice"), full.index("### Evaluations")
    assert full[:start] + full[end:] == render(report)


def test_what_every_gate_let_through_stands_before_the_rest(make: SimpleNamespace) -> None:
    lines = render(replace(make.build([]), mutation=make.digits_mutation(0.9))).splitlines()

    assert lines[4:14] == [
        "### Would the gates notice a broken model?",
        "",
        "❌ **gates noticed 8 of 15 faults (0.533); 2 changed too little to count; required 0.900: NOT enough**",
        "",
        "A gate notices a fault where it is green on the model and red on the model with the fault.",
        "",
        "**DigitNet**",
        "",
        "| Let through by every gate | Predictions changed | Hint |",
        "| --- | ---: | --- |",
    ]
    assert lines[14] == (
        "| ⚠️ noise of 0.1 of the spread in '4' (and 1 weaker) | 12% "
        "| tighten a bar, or add assert_no_regression against a baseline |"
    )
    assert "| ⚠️ class 8 merged into 9 | 9.8% | -0.099 | 0.000 | – |" in lines
    assert "| classes 3 and 5 swapped | 21% | ✓ -0.200 | ✓ -0.975 | – |" in lines
    assert "| '2' | too little | ⚠️ 0 of 2 | ⚠️ 0 of 2 |" in lines
    assert "| `loss <= 0.1`<br>`tests/models/test_digits.py::test_digits` | 0.420 | red already |" in lines
    assert "Smallest noise noticed: '0' 0.1, '2' none, '4' 0.3." in lines
    assert "- weights rounded to 8 bits (0%)" in lines
    assert "- `macro recall >= 0.8` in `tests/models/test_birds.py::test_macro_recall`" in lines


def test_of_many_gates_only_counts_are_given(make: SimpleNamespace) -> None:
    few = render(replace(make.build([]), mutation=make.large_mutation(12, 20)))
    many = render(replace(make.build([]), mutation=make.large_mutation(13, 20)))
    assert "Fault by gate" in few
    assert "Fault by gate" not in many
    assert "13 gates: what each noticed" in many


def test_of_very_many_faults_and_gates_the_rest_is_counted(make: SimpleNamespace) -> None:
    faults = [make.fault(str(index), "zeroed", [make.cell(False)]) for index in range(60)]
    rows = [{"test": None, "gate": "g", "why": "w"}] * 60
    model = make.mutated(faults, [make.gate("a")])
    markdown = render(replace(make.build([]), mutation=make.mutation([model] * 30, not_mutated=rows)))

    assert markdown.count("And 10 more: see report.html.") == 20
    assert "And 10 more models: see report.html." in markdown
    assert "- and 10 more: see report.html" in markdown
    assert "| `a`<br>`tests/models/test_digits.py::test_digits` | 0.970 | ⚠️ **0 of 60** |" in markdown
    assert "**1. DigitNet**: gates noticed 0 of 60 faults (0.000)" in markdown


def test_audits_list_what_was_looked_for(make: SimpleNamespace) -> None:
    lines = render(replace(make.build([]), audits=make.audits())).splitlines()

    assert lines[4:9:2] == [
        "### Data",
        "<details><summary>1. leakage</summary>",
        "train 900 · test 300 · features 30",
    ]
    assert lines[10:13] == [
        "| Looked for | Rows | Figures | First rows |",
        "| --- | ---: | --- | --- |",
        "| duplicates<br>12 of 300 test rows are training rows too | 12 of 300 | – "
        "| 7 (120), 9 (133), 31 (5), 44 (810), 60 (2), 61 (3), 70 (4), 71 (6), 80 (8), 99 (11), … |",
    ]
    assert sum(line.startswith("Rows count from 0") for line in lines) == 1


def test_of_very_many_findings_the_rest_is_counted(make: SimpleNamespace) -> None:
    audit = {**make.audits()[1], "findings": [make.finding(f"feature {index}", "fine") for index in range(60)]}
    empty = {**audit, "findings": []}
    assert "And 48 more findings: see report.json." in render(replace(make.build([]), audits=(audit, empty)))


def test_no_name_in_mutation_or_audits_becomes_markup(make: SimpleNamespace) -> None:
    hostile = "<script>|`x` *d* [e](http://x)\n@you"
    faults = [
        make.fault(hostile, hostile, [make.cell(False), make.cell(error=hostile)], where=hostile, strength=strength)
        for strength in (0.1, 0.2)
    ]
    faults[1]["equivalent"] = True
    faults.append(make.fault(hostile, "noise", [make.cell(False), None], where=hostile, strength=0.1))
    row = make.mutated(faults, [make.gate(hostile), make.gate(hostile, hostile)], model=hostile, layers_left_out=1)
    rows = [{"test": hostile, "gate": hostile, "why": hostile}]
    audit = {**make.audits()[0], "sizes": {hostile: 1}, "findings": [make.finding(hostile, hostile)]}
    report = replace(make.build([]), mutation=make.mutation([row], not_mutated=rows), audits=(audit,))
    markdown = outside_code(render(report))

    assert "<script" not in markdown
    assert set(re.findall(r"</?(\w+)", markdown)) <= {"details", "summary", "br", "code"}
    assert not re.search(r"\]\(|\*d\*|@you", markdown)
    for table in re.findall(r"(?:^\|.*\n)+", render(report), flags=re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
