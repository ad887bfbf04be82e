"""What the report says of the baseline."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelgate.reports import baseline, html, markdown
from pytest_modelgate.reports.report import Report
from pytest_modelgate.reports.terminal import summary_lines


def found(**changes: Any) -> dict[str, Any]:
    """A comparison as the report holds it."""
    return {
        "file": "modelgate-baseline.json", "commit": "0123456789abcdef", "created": "2026-11-20T10:00:00+00:00",
        "bars": [
            {"test": "t.py::a", "text": "f1: bar raised from 0.8 to 0.9", "lowered": False},
            {"test": "t.py::b", "text": "recall of <b>: bar lowered from 0.92 to 0.85", "lowered": True},
        ],
        "missing": [{"test": "t.py::c", "gate": "recall >= 0.9"}],
        "vanished": [{"test": "t.py::d", "gate": "f1 >= 0.9 by region", "slices": ["region=north", "region=x"]}],
        "not_run": 3, "recorded": None, "not_recorded": [], "fails": [],
    } | changes  # fmt: skip


def test_one_line_says_which_baseline() -> None:
    assert baseline.summary(found()) == "modelgate-baseline.json, recorded 2026-11-20, at commit 0123456789"
    assert baseline.summary(found(commit=None, created=None)) == "modelgate-baseline.json"
    left = [{"test": "t", "gate": "recall >= 0.9", "why": "it is red"}]
    recorded = found(recorded=40, not_recorded=left)
    assert baseline.summary(recorded) == "40 verdicts recorded in modelgate-baseline.json; 1 verdict not recorded"
    assert baseline.lines(recorded)[-1] == ("not recorded: recall >= 0.9: it is red (t)", True)


def test_lowered_bars_come_first() -> None:
    assert baseline.lines(found()) == [
        ("recall of <b>: bar lowered from 0.92 to 0.85 (t.py::b)", True),
        ("f1: bar raised from 0.8 to 0.9 (t.py::a)", False),
        ("f1 >= 0.9 by region: the baseline's region=north, region=x vanished (t.py::d)", True),
        ("missing: recall >= 0.9 (t.py::c)", True),
    ]
    assert baseline.quiet(found()) == "3 verdicts of tests that did not run"
    assert baseline.quiet(found(not_run=0)) == ""


def test_why_the_run_fails() -> None:
    assert baseline.fails(None) == baseline.fails(found()) == ""
    assert baseline.fails(found(fails=["1 bar asks less", "2 are missing"])) == "1 bar asks less; 2 are missing"


@pytest.fixture(scope="module")
def compared(report: Report) -> Report:
    return replace(report, baseline=found(fails=["1 bar asks less than the baseline's"]))


def test_every_page_shows_it(compared: Report) -> None:
    page, text = html.render(compared), markdown.render(compared)
    assert "recall of &lt;b&gt;: bar lowered from 0.92 to 0.85 (t.py::b)" in page
    assert "- ⚠️ recall of &#60;b>: bar lowered from 0.92 to 0.85 (t.py::b)" in text
    assert text.index("### Baseline") < text.index("### Evaluations")
    for shown in (page, text):
        assert "3 verdicts of tests that did not run" in shown
        assert "1 bar asks less than the baseline" in shown
    lines = summary_lines(compared, width=120, unicode=True)
    at = [line for line, _ in lines].index(f"baseline: {baseline.summary(compared.baseline or {})}")
    assert lines[at + 1] == ("  recall of <b>: bar lowered from 0.92 to 0.85 (t.py::b)", "yellow")
    assert lines[at + 6] == ("  1 bar asks less than the baseline's", "red")


def test_the_report_keeps_it(compared: Report) -> None:
    assert Report.from_json(compared.to_json()) == compared
    assert Report.from_dict({k: v for k, v in compared.to_dict().items() if k != "baseline"}).baseline is None


def test_the_headline_says_why_a_green_run_fails(make: SimpleNamespace) -> None:
    lines = [make.entry("t", "verdict", make.verdict())]
    why = "2 bars ask less than the baseline's"
    report = make.build(lines, against=lambda rows, evaluations: found(fails=[why]))
    assert report.answer == "failed"
    assert report.headline == f"Failed: {why}, though the one gate is green."
    assert make.build(lines, against=lambda rows, evaluations: found()).answer == "passed"
    assert make.build(lines, against=lambda rows, evaluations: None).baseline is None


def test_what_compares_sees_the_rows_and_evaluations_of_the_report(make: SimpleNamespace) -> None:
    seen: list[Any] = []
    lines = [
        make.entry("t", "evaluation", make.evaluation("e4")),
        make.entry("t", "verdict", make.verdict(evidence="e4")),
    ]
    report = make.build(lines, against=lambda rows, evaluations: seen.extend((rows, evaluations)))
    assert tuple(seen) == (report.verdicts, report.evaluations)
