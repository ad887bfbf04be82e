"""Gates that were settled slice by slice, as every renderer shows them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.reports import html, markdown, slices
from pytest_modelgate.reports.report import Report
from pytest_modelgate.reports.terminal import summary_lines


def row(name: str, estimate: float | None, outcome: str | None, **changes: Any) -> dict[str, Any]:
    """A slice of a family as its verdict has it."""
    low, high = (None, None) if estimate is None else (estimate - 0.05, estimate + 0.05)
    base = {"slice": name, "n": 400, "support": 200, "estimate": estimate, "lower": low, "upper": high}
    return {**base, "outcome": outcome, "judged": outcome is not None} | changes


ROWS = [
    row("region=south", 0.71, "FAIL"),
    row("region=a|b <i>", 0.84, "INCONCLUSIVE"),
    *(row(f"region=r{index}", 0.95, "PASS", n=1500) for index in range(5)),
    row("region=tiny", 0.5, None, n=9, support=4),
    row("region=none", None, None, support=0, n=3),
]


@pytest.fixture(scope="module")
def sliced(make: SimpleNamespace) -> Report:
    """A run with one family, which is refuted, and one gate beside it."""
    family = make.verdict(
        estimate=0.71, label="fraud", bar=0.8, outcome=Outcome.FAIL, slice="region=south",
        gate="recall['fraud'] >= 0.8 by region", family="Holm over 7 slices", details=(("slices", ROWS),),
    )  # fmt: skip
    lines = [
        make.entry("t.py::test_regions", "verdict", family),
        make.entry("t.py::test_all", "verdict", make.verdict()),
    ]
    return make.build(lines, outcomes={"t.py::test_regions": "failed", "t.py::test_all": "passed"}, failed=True)


def test_rows_are_those_of_the_verdict_in_its_order(sliced: Report) -> None:
    (family,) = slices.families(sliced.verdicts)
    assert (family.gate, family.test) == ("recall['fraud'] >= 0.8 by region", "t.py::test_regions")
    assert [one.name for one in family.slices] == [one["slice"] for one in ROWS]
    assert family.slices[0].cells == ("region=south", "FAIL", "0.710", "0.660 to 0.760", "200", "400")
    assert family.slices[-2].cells == ("region=tiny", "not judged", "0.500", "0.450 to 0.550", "4", "9")
    assert family.slices[-1].cells == ("region=none", "not judged", "–", "–", "0", "3")
    assert [one.weak for one in family.slices].count(True) == 1


def test_a_gap_shows_what_it_compared(make: SimpleNamespace) -> None:
    rows = [row("region=a", 0.7, None, judged=True), row("region=b", 0.9, None, judged=False)]
    for one in rows:
        del one["outcome"]
    gap = make.verdict(gate="gap(recall by region) <= 0.1", estimate=0.2, bar=0.1, details=(("compared", rows),))
    report = make.build([make.entry("t", "verdict", gap)])
    (family,) = slices.families(report.verdicts)
    assert [one.cells for one in family.slices] == [
        ("region=a", "compared", "0.700", "0.650 to 0.750", "200", "400"),
        ("region=b", "not judged", "0.900", "0.850 to 0.950", "200", "400"),
    ]
    assert {one.verdict["bar"] for one in family.slices} == {None}
    assert html.render(report).count('<th scope="row">region=') == 2


def test_the_terminal_names_the_weakest(sliced: Report) -> None:
    lines = [line for line, _ in summary_lines(sliced, width=160, unicode=True)]
    at = lines.index("slices of recall['fraud'] >= 0.8 by region (t.py), the weakest first:")
    assert lines[at + 1] == "  region=south: 0.710 (0.660 to 0.760), support 200, FAIL"
    assert lines[at + 6] == "  and 4 more"
    styles = dict(summary_lines(sliced, width=160, unicode=True))
    assert styles[lines[at + 1]] == "red"


def test_the_markdown_has_a_table(sliced: Report) -> None:
    lines = markdown.render(sliced).splitlines()
    at = lines.index("### Slices")
    table = [line for line in lines[at:] if line.startswith("| ")]
    assert table[0] == "| Slice | Outcome | Estimate | The data allow | Support | Samples |"
    assert table[2] == "| **region=south** | FAIL | 0.710 | 0.660 to 0.760 | 200 | 400 |"
    assert table[3].startswith("| region=a&#124;b &#60;i> | INCONCLUSIVE |")
    assert len([line for line in table if "region=" in line]) == len(ROWS)


def test_the_page_has_a_table_with_strips(sliced: Report) -> None:
    page = html.render(sliced)
    section = page[page.index('<section aria-labelledby="slices">') :]
    section = section[: section.index("</section>")]
    assert section.count("<tr") == 1 + len(ROWS)
    assert section.count('class="offends"') == 1
    assert section.count("<svg") == len(ROWS)
    assert "region=a|b &lt;i&gt;" in section


def test_of_very_many_slices_the_rest_is_counted(make: SimpleNamespace) -> None:
    rows = [row(f"region={index}", 0.95, "PASS") for index in range(150)]
    family = make.verdict(gate="recall >= 0.8 by region", details=(("slices", rows),), slice="region=0")
    report = make.build([make.entry("t", "verdict", family)])
    assert "And 50 more slices: see report.json." in html.render(report)
    assert "And 100 more slices: see report.html." in markdown.render(report)
    assert ("  and 145 more", "") in summary_lines(report, width=100, unicode=True)


def test_a_run_without_slices_says_nothing_of_them(report: Report) -> None:
    assert slices.families(report.verdicts) == []
    assert "Slices" not in markdown.render(report)
    assert 'id="slices"' not in html.render(replace(report, baseline=None))
