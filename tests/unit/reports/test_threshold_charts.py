"""The pictures of an evaluation's scores: they stand within their frame and say in words what they show."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate import Evaluation
from pytest_modelgate.reports import html, markdown
from pytest_modelgate.reports.merge import build_report
from pytest_modelgate.reports.threshold_charts import reliability_chart, thresholds_chart

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def row(target: Any, preds: Any, **options: Any) -> dict[str, Any]:
    asked = {"outputs": "probabilities", "labels": ("ok", "fraud")} | options
    return Evaluation.from_predictions(target=target, preds=preds, **asked).summary() | {"key": "e1"}


SOME = row([0, 0, 1, 1, 1], [0.1, 0.4, 0.3, 0.8, 0.85])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_every_mark_stands_within_the_picture(samples: list[tuple[float, bool]], threshold: float) -> None:
    found = row([1, *(int(hit) for _, hit in samples)], [0.5, *(p for p, _ in samples)], threshold=threshold)
    for text in (reliability_chart(found), thresholds_chart(found)):
        picture = ElementTree.fromstring(text)
        width, height = (float(size) for size in picture.attrib["viewBox"].split()[2:])
        for mark in picture.iter():
            for name, limit in (("x", width), ("cx", width), ("y", height), ("cy", height)):
                assert 0 <= float(mark.attrib.get(name, 0)) <= limit
            assert all(0 <= float(each) <= width for each in _NUMBER.findall(mark.attrib.get("d", "")))
        labels = [float(mark.attrib["y"]) for mark in picture.iter("text") if "label" in mark.attrib["class"]]
        assert len(labels) < 2 or abs(labels[0] - labels[1]) >= 13.9


def test_a_dot_for_each_bin_with_what_the_data_allow() -> None:
    picture = ElementTree.fromstring(reliability_chart(SOME))
    dots = list(picture.iter("circle"))
    assert len(dots) == len(SOME["reliability"]["bins"]) == 4
    assert [dot.findtext("title") for dot in dots][-1] == (
        "2 stated 0.825, came true 1.000 (the data allow 0.224 to 1.000)"
    )
    assert sum(mark.attrib["class"] == "whisker" for mark in picture.iter("path")) == 4
    assert (dots[0].attrib["cx"], dots[0].attrib["cy"]) == ("53.2", "196")  # 0.1 and 0 of 192 and 174 pixels
    title = picture.findtext("title") or ""
    assert title.startswith("Reliability, share of fraud over stated probability: calibration error ")
    assert title.endswith("; 0.100: 0.000; 0.300: 1.000; 0.400: 0.000; 0.825: 1.000")


def test_weights_have_no_whiskers() -> None:
    text = reliability_chart(row([0, 1], [0.2, 0.9], weights=[1.0, 2.0]))
    assert "circle" in text
    assert "whisker" not in text
    assert "allow" not in text


def test_recall_and_precision_by_threshold() -> None:
    picture = ElementTree.fromstring(thresholds_chart(SOME))
    lines = {mark.attrib["class"]: mark.attrib["d"] for mark in picture.iter("path")}
    assert lines["kept"] == "M130 22V196"  # the threshold in use, 0.5
    assert lines["line val"].startswith("M53.2 22L")  # at 0.1 the recall is 1
    assert lines["line val"].endswith("L197.2 138")  # at 0.85 it is 1/3
    assert lines["line train"].startswith("M53.2 91.6L")  # and the precision 3/5
    assert [mark.text for mark in picture.iter("text") if "label" in mark.attrib["class"]] == ["recall", "precision"]
    title = picture.findtext("title") or ""
    assert title.startswith("Recall and precision of fraud by threshold, used: 0.5; from 0.100: recall 1.000,")


def test_a_single_threshold_is_two_dots() -> None:
    text = thresholds_chart(row([0, 1], [0.5, 0.5]))
    assert text.count("<circle") == 2
    assert "NaN" not in text


def test_the_most_probable_of_many_classes() -> None:
    found = row([0, 1, 2], np.eye(3) * 0.7 + 0.1, labels=("a", "b", "c"), keep="scores")
    assert "share of right answers" in reliability_chart(found)
    assert thresholds_chart(found) == ""


@pytest.mark.parametrize("known", [{}, {"reliability": None, "thresholds": None}])
def test_without_scores_there_is_no_picture(known: dict[str, None]) -> None:
    bare = {"task": "binary", "labels": ["ok", "fraud"], "threshold": 0.5} | known
    assert reliability_chart(bare) == thresholds_chart(bare) == ""


def test_names_are_escaped() -> None:
    found = row([0, 1], [0.2, 0.9], labels=("ok", "<script>"))
    assert "<script>" not in reliability_chart(found) + thresholds_chart(found)


def test_both_reports_show_it() -> None:
    evaluation = Evaluation.from_predictions(
        target=[0, 0, 1, 1, 1], preds=[0.1, 0.4, 0.3, 0.8, 0.85], outputs="probabilities", labels=("ok", "fraud")
    )
    decided = evaluation.at_threshold(evaluation.best_threshold(recall_at_least=0.6))
    entry = {"kind": "evaluation", "test": None, "phase": "call", "worker": "", "sequence": 0, "hypothesis": False}
    data = decided.summary() | {"key": "e1", "training": None}
    report = build_report(
        [{**entry, "fixture": None, "data": data}],
        order=[],
        outcomes={},
        why_incomplete=None,
        failed=False,
        provenance={},
    )
    page, text = html.render(report), markdown.render(report)
    assert reliability_chart(data) in page
    assert thresholds_chart(data) in page
    for said in ("calibration error", "recall of 1.000", "at a threshold of 0.3, with precision 0.750"):
        assert said in page
        assert said in text
    assert "threshold 0.8, chosen on these samples" in text
