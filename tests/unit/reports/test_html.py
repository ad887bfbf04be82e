"""The report as one HTML page."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.reports.html import render

if TYPE_CHECKING:
    from types import SimpleNamespace

    from pytest_modelgate.reports.report import Report

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
    assert "no interval; scale 0 to 0.15" in notes
    assert "no interval; scale -1 to 1" in notes
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
