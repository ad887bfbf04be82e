"""The report as one HTML page."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.reports.html import render
from pytest_modelgate.reports.report import Report

if TYPE_CHECKING:
    from types import SimpleNamespace

_VOID = {"meta", "input", "br", "hr", "img", "link"}


class Page(HTMLParser):
    """Reads a page: its elements, the text of each, and whether every element is closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at line {self.getpos()[0]}")

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def count(self, tag: str, kind: str = "") -> int:
        """How many elements there are of a tag, and of a class."""
        return sum(
            one == tag and (not kind or kind in (attrs.get("class") or "").split()) for one, attrs in self.elements
        )


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return render(report)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_every_element_is_closed_in_its_place(page: Page) -> None:
    assert page.faults == []
    assert page.open == []


def test_the_page_needs_nothing_else(text: str, page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "image", "use", "base"}
    for _, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on")}
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in text
    assert "@import" not in text


def test_links_lead_to_what_is_there(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
    assert links == {f"#evaluation-{index}" for index in range(1, 8) if index != 3}
    assert {link.removeprefix("#") for link in links if link} <= set(ids)


def test_names_are_shown_as_they_are_and_never_read_as_markup(text: str, page: Page) -> None:
    assert "<script>" not in text
    assert any("<script>alert(1)</script>" in words for _, words in page.texts)
    assert any("a|b `c` *d* [e](http://x)" in words for _, words in page.texts)
    assert any("日本語" in words for _, words in page.texts)


def test_a_hostile_name_cannot_leave_an_attribute(make: SimpleNamespace) -> None:
    name = "\" onload='x' <b>&amp;"
    entries = [
        make.entry(name, "evaluation", make.evaluation("e", model=name, labels=[name, "b"])),
        make.entry(
            name, "verdict", make.verdict(gate=name, metric=name, direction=name, explanation=name, notes=(name,))
        ),
        make.entry(name, "history", make.history(name, [{"epoch": 1, f"val_{name}": 0.5, name: "nan"}], model=name)),
    ]
    page = Page(render(make.build(entries, why_incomplete=name, provenance={name: name})))

    assert page.faults == []
    assert page.count("b") == 0
    assert not any("onload" in attributes for _, attributes in page.elements)


def test_the_headline_comes_first_with_its_answer_as_a_word(report: Report, page: Page) -> None:
    words = [(tag, words) for tag, words in page.texts if tag in ("title", "h1", "strong")]
    assert words[:3] == [
        ("title", report.headline),
        ("strong", "Failed"),
        ("h1", report.headline.removeprefix("Failed")),
    ]


def test_every_gate_has_a_row_and_red_ones_come_first_with_their_reasons(report: Report, page: Page, text: str) -> None:
    assert page.count("span", "chip") == len(report.verdicts)
    assert page.count("tr", "why") == 4
    assert text.rindex('class="red why"') < text.index('class="green"')
    assert page.count("svg", "strip") == len(report.verdicts) + 1
    assert any("accuracy hides this failure" in words for _, words in page.texts)


def test_an_expected_red_is_called_so(page: Page) -> None:
    assert page.count("tr", "expected") == 1
    assert ("span", "as expected") in page.texts


def test_a_value_that_is_just_short_of_its_bar_does_not_look_like_it(page: Page) -> None:
    assert ("td", "0.89996") in page.texts


def test_a_matrix_names_its_axes_and_prints_its_counts(page: Page) -> None:
    assert page.count("table", "heat") == 5
    words = [words for _, words in page.texts]
    assert words.count("predicted") == words.count("actual") == 5
    assert "4,892" in words
    shades = [attributes["style"] for tag, attributes in page.elements if tag == "td" and "style" in attributes]
    assert "--s:0.88" in shades


def test_many_classes_show_their_most_frequent_confusions(page: Page) -> None:
    assert ("caption", "Most frequent confusions") in page.texts
    assert any(re.fullmatch(r"And \d+ other kinds of confusion\.", words) for _, words in page.texts)


def test_pictures_have_words_and_finite_coordinates(page: Page, text: str) -> None:
    for svg in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        assert "aria-label=" in svg or "<title>" in svg or "aria-hidden" in svg
    for _, attributes in page.elements:
        for name in ("x", "y", "cx", "cy", "r", "width", "height"):
            if name in attributes:
                assert math.isfinite(float(attributes[name] or "nan"))
        assert not re.search(r"nan|inf", attributes.get("d") or "")


def test_the_curves_of_each_training_are_drawn(page: Page) -> None:
    assert page.count("svg", "curves") == 3 + 3
    assert page.count("path", "cross") == 4


def test_colour_is_never_alone(page: Page) -> None:
    """Every chip has its outcome as a word."""
    chips = [words for tag, words in page.texts if tag == "span" and words in set(Outcome)]
    assert len(chips) == page.count("span", "chip")


def test_a_row_tells_only_what_is_not_plain(page: Page) -> None:
    notes = [words for tag, words in page.texts if tag == "span"]
    assert "judged 37 times; shown: the last one" in notes
    assert "(failed)" not in notes
    assert {"no interval", "scale 0 to 0.15", "scale -1 to 1"} <= set(notes)
    assert ("summary", "10 tests rest on it") in page.texts


def test_of_very_much_evidence_only_what_red_gates_rest_on_is_open(make: SimpleNamespace) -> None:
    entries = [make.entry("t", "evaluation", make.evaluation(f"e{index}"), sequence=index) for index in range(40)]
    entries.append(make.entry("t", "verdict", make.verdict(outcome=Outcome.FAIL, evidence="e7"), sequence=40))
    few = Page(render(make.build(entries[:3])))
    many = Page(render(make.build(entries, outcomes={"t": "failed"})))

    assert [attributes["id"] for _, attributes in few.elements if "open" in attributes] == [
        "evaluation-1", "evaluation-2", "evaluation-3",
    ]  # fmt: skip
    assert [attributes["id"] for _, attributes in many.elements if "open" in attributes] == ["evaluation-8"]


def test_a_run_without_gates_renders(make: SimpleNamespace) -> None:
    page = Page(render(make.build([])))
    assert page.faults == []
    assert page.count("table") == 0


def test_empty_and_odd_evidence_renders(make: SimpleNamespace) -> None:
    entries = [
        make.entry("t", "history", make.history("h", [], model=None, loss=None, seed=None, device=None)),
        make.entry("t", "evaluation", make.evaluation("a", n=0, counts=[[0, 0], [0, 0]])),
        make.entry("t", "evaluation", make.evaluation("b", labels=[], counts=None, kind="confusion_matrix")),
        make.entry(None, "verdict", make.verdict(bar=None, estimate=None, evidence="nowhere")),
    ]
    page = Page(render(make.build(entries)))
    assert page.faults == []
    assert ("p", "Nothing was logged.") in page.texts


def test_a_thousand_gates_stay_small_and_can_be_filtered(make: SimpleNamespace) -> None:
    verdict = make.verdict("recall", 0.95, lower=0.92, upper=0.97, hits=95, notes=("the data allow 0.92 to 0.97",))
    entries = [make.entry(f"file.py::test[{index}]", "verdict", verdict) for index in range(1000)]
    text = render(make.build(entries))

    assert len(text) < 1_500_000
    assert 'id="show-green"' in text


def one(make: SimpleNamespace, *verdicts: dict[str, Any], outcome: str = "passed") -> str:
    """The page of a run of one test."""
    lines = [make.entry("t", "verdict", verdict, sequence=index) for index, verdict in enumerate(verdicts)]
    return render(make.build(lines, outcomes={"t": outcome}))


@pytest.mark.parametrize("passed", [True, False])
def test_an_inconclusive_gate_says_what_would_settle_it(make: SimpleNamespace, passed: bool) -> None:
    verdict = make.verdict(
        outcome=Outcome.INCONCLUSIVE, passed=passed, lower=0.871, upper=0.982, hits=95, notes=("a note",)
    )
    page = Page(one(make, verdict, outcome="passed" if passed else "failed"))
    words = [words for _, words in page.texts]

    assert page.faults == []
    settling = [text for text in words if " in 80% of cases" in text]
    assert len(settling) == 1
    assert words.index("a note") < words.index(settling[0])


def test_sentences_wrap_and_tables_keep_their_columns(make: SimpleNamespace) -> None:
    table = ("              predicted ok   predicted no", "actual ok               12              0")
    page = Page(one(make, make.verdict(outcome=Outcome.FAIL, notes=("before", *table, "after")), outcome="failed"))

    assert [(tag, words) for tag, words in page.texts if tag in ("p", "pre")][2:5] == [
        ("p", "before"), ("pre", "\n".join(table).strip()), ("p", "after"),
    ]  # fmt: skip


def test_a_difference_is_drawn_around_0_and_has_its_sign(make: SimpleNamespace) -> None:
    churn = "36 of 400 decisions changed: 20 fixes, 16 breaks"
    verdict = make.verdict(
        "recall", 0.01, lower=0.002, upper=0.036, bar=0.0, gate="no_regression(recall, margin=0)", notes=(churn,)
    )
    text = one(make, verdict)
    page = Page(text)

    assert ("td", "+0.010") in page.texts
    assert ("span", "+0.002 to +0.036") in page.texts
    assert ("span", "scale ±0.04") in page.texts
    assert page.count("path", "zero") == 1
    assert ("p", churn) in page.texts
    assert "differences are centred on 0" in text
    assert "differences are" not in one(make, make.verdict())


def test_a_row_says_for_how_many_it_was_corrected(make: SimpleNamespace) -> None:
    family = "Holm over 10 classes"
    verdict = make.verdict(lower=0.91, upper=0.98, method=f"Clopper-Pearson, {family}", family=family)
    page = Page(one(make, verdict))

    assert ("span", "corrected for 10 classes (Holm)") in page.texts
    assert ("span", "Clopper-Pearson") in page.texts
    assert not any(family in words for _, words in page.texts)


def test_gates_by_hand_are_said_not_to_be_corrected(make: SimpleNamespace) -> None:
    sentence = "their error rates are not corrected for their number"
    assert sentence not in one(make, make.verdict())
    assert one(make, make.verdict(), make.verdict()).count(sentence) == 1


def test_each_seed_is_a_dot_and_a_number(make: SimpleNamespace) -> None:
    verdict = make.verdict(gate="over_seeds(recall >= 0.9)", details=(("seed 0", 0.93), ("seed 1", 0.97)))
    text = one(make, verdict)
    page = Page(text)

    assert page.count("circle", "seed") == 2
    assert ("p", "seeds: 0.930, 0.970") in page.texts
    assert "The small dots above it are single seeds." in text
    assert "small dots" not in one(make, make.verdict())


def test_a_report_without_the_newer_keys_renders(make: SimpleNamespace) -> None:
    report = make.build([make.entry("t", "verdict", make.verdict(outcome=Outcome.INCONCLUSIVE, passed=True))])
    older = report.to_dict()
    for key in ("settle", "family", "details"):
        del older["verdicts"][0][key]
    assert render(Report.from_dict(older)) == render(report)


def test_without_mutation_and_audits_the_page_has_nothing_of_them(make: SimpleNamespace, report: Report) -> None:
    full = render(replace(report, mutation=make.digits_mutation(0.9), audits=make.audits()))
    style = files("pytest_modelgate.reports").joinpath("templates/mutation.css").read_text(encoding="utf-8")
    start, end = (
        full.index('<section aria-labelledby="mutation">'),
        full.index('<section aria-labelledby="evaluations">'),
    )
    rest = full[:start] + full[end:]

    assert rest.count(style.rstrip()) == 1
    assert rest.replace(style.rstrip(), "") == render(report)


@pytest.fixture(scope="module")
def mutated(make: SimpleNamespace) -> Page:
    """A page with mutation and audits, and red gates that rest on an audit."""
    verdict = make.verdict(outcome=Outcome.FAIL, evidence="a1")
    lines = [make.entry("t", "evaluation", make.evaluation("e4")), make.entry("t", "verdict", verdict)]
    report = make.build(lines, outcomes={"t": "failed"})
    return Page(render(replace(report, mutation=make.digits_mutation(0.9), audits=make.audits())))


def test_a_page_with_mutation_and_audits_is_sound(mutated: Page) -> None:
    assert (mutated.faults, mutated.open) == ([], [])
    ids = [attributes["id"] for _, attributes in mutated.elements if "id" in attributes]
    links = {attributes["href"] for tag, attributes in mutated.elements if tag == "a"}
    assert len(ids) == len(set(ids))
    assert links == {"#evaluation-1", "#audit-1"}
    assert {str(link).removeprefix("#") for link in links} <= set(ids)


def test_what_every_gate_let_through_stands_before_the_table(mutated: Page) -> None:
    words = [words for _, words in mutated.texts]
    start = words.index("let through by every gate")
    assert words[start - 1] == "7"
    assert words[start + 1 : start + 4] == [
        "noise of 0.1 of the spread in '4'", "and 1 weaker", "– 12% of predictions changed",
    ]  # fmt: skip
    assert start < words.index("Fault by gate")
    assert ("span", "required 0.900: NOT enough") in mutated.texts
    assert mutated.count("span", "few") == 1


def test_the_table_has_a_row_a_fault_and_a_column_a_gate(mutated: Page) -> None:
    assert mutated.count("th", "gate") == 3 + 1  # and the column of the table of gates
    assert mutated.count("tr", "missed") == 7
    assert mutated.count("tr", "kind") == 5
    ticks = [words for tag, words in mutated.texts if tag == "td" and words.startswith("✓ ")]
    assert len(ticks) == mutated.count("td", "caught") - 4  # the others stand in the tables of graded faults
    assert len(ticks) == 16
    chips = [words for tag, words in mutated.texts if tag == "span" and words == "let through"]
    assert len(chips) == 7
    assert mutated.count("details", "slight") == 1


def test_audits_are_shown_with_their_rows(mutated: Page) -> None:
    assert mutated.count("table", "findings") == 2
    assert mutated.count("tr", "offends") == 2
    assert (
        "td",
        "7 (120), 9 (133), 31 (5), 44 (810), 60 (2), 61 (3), 70 (4), 71 (6), 80 (8), 99 (11), …",
    ) in mutated.texts


def test_of_very_many_findings_the_rest_is_counted(make: SimpleNamespace) -> None:
    audit = {**make.audits()[1], "findings": [make.finding(f"feature {index}", "fine") for index in range(230)]}
    page = Page(render(replace(make.build([]), audits=(audit, {**audit, "key": "b", "findings": []}))))
    assert ("p", "And 218 more findings: see report.json.") in page.texts
    assert page.faults == []


def test_many_gates_and_faults_stay_small(make: SimpleNamespace) -> None:
    text = render(replace(make.build([]), mutation=make.large_mutation(50, 80)))
    assert len(text) < 300_000
    assert 'class="mutants many"' in text

    page = Page(render(replace(make.build([]), mutation=make.large_mutation(110, 3))))  # one of them is equivalent
    assert page.faults == []
    assert page.count("th", "gate") == 100
    assert sum(tag == "td" and "title" in attributes for tag, attributes in page.elements) == 2 * 100
    assert ("p", "The first 100 of 110 gates; report.json has all.") in page.texts


def test_odd_mutations_render(make: SimpleNamespace) -> None:
    red = make.mutated([make.fault("f", "noise", [make.cell()])], [make.gate("a", state="red already")])
    idle = make.mutated([make.fault("f", "zeroed", [make.cell(False)], changed=None)], [make.gate("a", None)])
    nothing = make.mutated([], [], key="nowhere", reason="why", layers_left_out=2)
    rows = [{"test": None, "gate": "<b>", "why": "<i>"}]
    found = make.mutation([red, idle, nothing], not_mutated=rows)
    text = render(replace(make.build([]), mutation=found))
    page = Page(text)

    assert page.faults == []
    assert "<b>" not in text
    assert (
        "span",
        "none of its gates is green on the model itself; some faults are left out: why; 2 layers left out",
    ) in page.texts
    assert ("p", "This gate noticed nothing:") in page.texts
    assert Page(render(replace(make.build([]), mutation=make.mutation([])))).faults == []
