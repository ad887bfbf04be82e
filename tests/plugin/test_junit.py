"""JUnit files carry the values of the gates as properties: flat texts, with and without xdist."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

SUITE = """
import pytest
import pytest_modelgate as mg

GOOD = mg.ConfusionMatrix([[45, 5], [1, 99]], labels=("ok", "fraud & <b>"))

def test_green():
    mg.assert_recall_at_least(GOOD, 0.9)
    mg.assert_metric(GOOD, "f1", at_least=0.5)

def test_red():
    mg.assert_recall_at_least(GOOD, 0.999)

def test_undefined():
    mg.assert_recall_at_least(mg.ConfusionMatrix([[5, 0], [0, 0]]), 0.5)

def test_twice():
    for matrix in (GOOD, GOOD + GOOD):
        mg.assert_precision_at_least(matrix, 0.5)

def test_none(): pass
"""


def properties(pytester: pytest.Pytester, *options: str, inside: bool = True) -> dict[str, list[tuple[str, str]]]:
    run = pytester.runpytest_inprocess if inside else pytester.runpytest_subprocess
    run("--junitxml=out.xml", *options)
    cases = ElementTree.fromstring(Path("out.xml").read_text("utf-8")).iter("testcase")
    return {
        case.get("name", ""): [(p.get("name", ""), p.get("value", "")) for p in case.iter("property")] for case in cases
    }


def test_the_values_of_each_gate(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SUITE)
    found = properties(pytester)
    gate = "modelgate.recall[fraud & <b>] >= 0.9"
    green = dict(found["test_green"])
    assert len(found["test_green"]) == len(green)
    assert green[f"{gate}.outcome"] == "PASS"
    assert (green[f"{gate}.estimate"], green[f"{gate}.bar"], green[f"{gate}.support"]) == ("0.99", "0.9", "100")
    assert 0.9 < float(green[f"{gate}.lower"]) < 0.99 < float(green[f"{gate}.upper"]) < 1
    f1 = "modelgate.f1[fraud & <b>] >= 0.5"
    assert green[f"{f1}.outcome"] == "PASS"
    assert 0.5 < float(green[f"{f1}.lower"]) < float(green[f"{f1}.estimate"])
    red = dict(found["test_red"])
    assert red["modelgate.recall[fraud & <b>] >= 0.999.outcome"] == "INCONCLUSIVE"
    undefined = dict(found["test_undefined"])
    assert undefined["modelgate.recall[1] >= 0.5.outcome"] == "UNDEFINED"
    assert "modelgate.recall[1] >= 0.5.estimate" not in undefined
    twice = found["test_twice"]
    assert len(twice) == len(dict(twice))
    assert dict(twice)["modelgate.precision[fraud & <b>] >= 0.5.support"] == "104"
    assert dict(twice)["modelgate.precision[fraud & <b>] >= 0.5#2.support"] == "208"
    assert found["test_none"] == []


def test_a_test_that_has_properties_of_its_own(pytester: pytest.Pytester) -> None:
    body = (
        SUITE
        + "\ndef test_own(record_property):\n    record_property('mine', 1)\n    mg.assert_recall_at_least(GOOD, 0.5)\n"
    )
    pytester.makepyfile(test_it=body)
    names = [name for name, _ in properties(pytester, "-o", "junit_family=xunit1")["test_own"]]
    assert names[0] == "mine"
    assert len(names) == 7


def test_with_workers_the_same(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(test_it=SUITE)
    alone = properties(pytester, "-p", "no:cacheprovider")
    assert properties(pytester, "-n", "2", "-p", "no:cacheprovider", inside=False) == alone
    assert len(alone["test_green"]) > 5


def test_with_a_report_the_same(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SUITE)
    assert properties(pytester, "--modelgate-report") == properties(pytester)


@pytest.mark.parametrize("family", ["xunit1", "xunit2", "legacy"])
def test_every_family_of_junit(pytester: pytest.Pytester, family: str) -> None:
    pytester.makepyfile(test_it=SUITE)
    assert properties(pytester, "-o", f"junit_family={family}")["test_red"]


def test_without_a_file_no_properties(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_runtest_logreport(report):\n    assert not report.user_properties\n")
    pytester.makepyfile(test_it=SUITE)
    assert "INTERNALERROR" not in pytester.runpytest().stdout.str()
