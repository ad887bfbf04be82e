"""The curves of a training run as SVG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_modelgate.reports.charts import Series, curves

if TYPE_CHECKING:
    from pytest_modelgate.reports.numbers import Number

_VALUES = st.lists(st.none() | st.floats() | st.sampled_from(["nan", "inf", "-inf"]), min_size=1, max_size=12)
_COORDINATE = re.compile(r"-?\d+(?:\.\d+)?")


def draw(*values: list[Number], size: tuple[int, int] = (520, 220)) -> ElementTree.Element:
    """The picture of one curve for each list of values, from epoch 1."""
    names = ("train", "val")
    series = [Series(name, name, list(enumerate(one, start=1))) for name, one in zip(names, values, strict=False)]
    return ElementTree.fromstring(curves("loss", series, width=size[0], height=size[1]))


def texts(picture: ElementTree.Element, kind: str) -> list[str]:
    """The texts of a class, such as the ticks."""
    return [one.text or "" for one in picture.iter("text") if kind in one.attrib["class"].split()]


@example([5e-324, 2e-310], [5e-324], (520, 220))
@example([5e-324, 1.0], [None], (520, 220))
@example([1.7e308, -1.7e308], [1e300], (520, 220))
@given(_VALUES, _VALUES, st.sampled_from([(520, 220), (240, 130)]))
def test_every_mark_stands_within_the_picture(train: list[Number], val: list[Number], size: tuple[int, int]) -> None:
    for mark in draw(train, val, size=size).iter():
        for name, limit in (("x", size[0]), ("cx", size[0]), ("y", size[1]), ("cy", size[1])):
            if name in mark.attrib:
                assert -0.1 <= float(mark.attrib[name]) <= limit + 0.1
        if "line" in mark.attrib.get("class", ""):
            numbers = [float(found) for found in _COORDINATE.findall(mark.attrib["d"])]
            assert all(
                -0.1 <= number <= limit + 0.1 for number, limit in zip(numbers, size * len(numbers), strict=False)
            )
            assert set(mark.attrib["d"]) <= set("ML .-0123456789")


def test_each_curve_is_named_at_its_end_with_its_last_value() -> None:
    assert texts(draw([2.0, 0.5], [1.5, 0.75]), "label") == ["train 0.500", "val 0.750"]


@pytest.mark.parametrize(("value", "heights"), [(1.0, [22, 36]), (0.5, [104, 118]), (0.0, [172, 186])])
def test_labels_do_not_cover_each_other_nor_leave_the_picture(value: float, heights: list[float]) -> None:
    picture = draw([1.0, value], [0.0, value])
    labels = [one for one in picture.iter("text") if "label" in one.attrib["class"]]
    assert [float(one.attrib["y"]) for one in labels] == heights


def test_a_picture_says_in_words_what_it_shows() -> None:
    assert draw([2.0, 0.5]).findtext("title") == "loss by epoch: train from 2.000 to 0.500"
    assert draw([None]).findtext("title") == "loss by epoch: no values"


def test_a_single_epoch_is_a_dot() -> None:
    picture = draw([0.4])
    assert [one.attrib["class"] for one in picture.iter("circle")] == ["point train"]
    assert not any("line" in one.attrib["class"] for one in picture.iter("path"))


def test_a_gap_breaks_the_line_without_a_cross() -> None:
    picture = draw([3.0, 2.0, None, 1.0, 0.5])
    (line,) = [one.attrib["d"] for one in picture.iter("path") if one.attrib["class"] == "line train"]
    assert line.count("M") == 2
    assert not any(one.attrib["class"] == "cross" for one in picture.iter("path"))


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_a_value_that_is_not_finite_is_a_cross_that_says_so(word: str) -> None:
    picture = draw([3.0, word, 2.0])
    (cross,) = [one for one in picture.iter("path") if one.attrib["class"] == "cross"]
    assert cross.findtext("title") == f"train is {word} at epoch 2"


def test_a_curve_that_ends_in_nan_is_not_labelled_with_an_older_value() -> None:
    assert texts(draw([3.0, "nan"]), "label") == ["train nan"]


def test_a_wide_range_is_drawn_on_a_logarithmic_scale_that_is_named() -> None:
    assert texts(draw([500.0, 0.5]), "name") == ["loss, logarithmic scale"]
    assert texts(draw([20.0, 0.5]), "name") == ["loss"]


def test_epochs_have_whole_numbers_as_ticks() -> None:
    ticks = texts(draw([1.0, 2.0, 3.0]), "middle")
    assert ticks == ["1", "2", "3", "epoch"]
    many = [int(tick) for tick in texts(draw([0.5] * 1000), "middle")[:-1]]
    assert (many[0], many[-1]) == (1, 1000)
    assert len(many) <= 8


def test_many_epochs_stay_small_and_keep_their_extremes() -> None:
    values: list[Number] = [1.0 + (index % 7) / 100 for index in range(20_000)]
    values[12_345], values[17_000] = 30.0, "nan"
    text = curves("loss", [Series("train", "train", list(enumerate(values)))])

    assert len(text) < 12_000
    assert "epoch 17000" in text
    picture = ElementTree.fromstring(text)
    (line,) = [one.attrib["d"] for one in picture.iter("path") if one.attrib["class"] == "line train"]
    heights = [float(pair.split()[1]) for run in line.split("M") if run for pair in run.split("L")]
    assert min(heights) == 22.0


def test_names_are_escaped() -> None:
    text = curves("<b>", [Series("<i>", "val", [(1, 0.5)])])
    assert "<b>" not in text
    assert "<i>" not in text


@pytest.mark.parametrize(("kept", "lines"), [(None, 0), (2, 1), (3, 0), (0, 0)])
def test_the_kept_epoch_is_an_upright_line(kept: float | None, lines: int) -> None:
    """Where it is not the last one."""
    text = curves("loss", [Series("train", "train", [(1, 1.0), (2, 0.5), (3, 0.7)])], kept=kept)
    assert text.count('class="kept"') == lines
