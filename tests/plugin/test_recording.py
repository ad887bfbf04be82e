"""Which test a judgement belongs to: from threads, from fixtures, from Hypothesis, from module level."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

HEAD = """
import pytest
import pytest_modelgate as mg

GOOD = mg.ConfusionMatrix([[45, 5], [1, 99]], labels=("ok", "fraud"))
RARE = mg.ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud"))
"""


def verdicts(pytester: pytest.Pytester, body: str, *options: str) -> list[dict[str, Any]]:
    pytester.makepyfile(test_it=HEAD + dedent(body))
    result = pytester.runpytest("--modelgate-report", *options)
    assert "INTERNALERROR" not in result.stdout.str()
    return json.loads(Path("modelgate-report/report.json").read_text("utf-8"))["verdicts"]


def test_threads(pytester: pytest.Pytester) -> None:
    body = """
    from concurrent.futures import ThreadPoolExecutor

    def judge(number):
        matrix = mg.ConfusionMatrix([[45, 5], [1, 99 + number % 10]])
        return mg.assert_recall_at_least(matrix, number / 1000).passed

    def test_a():
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(judge, range(200)))
    """
    found = verdicts(pytester, body)
    assert {v["test"] for v in found} == {"test_it.py::test_a"}
    assert sorted(v["bar"] for v in found) == [number / 1000 for number in range(200)]
    report = json.loads(Path("modelgate-report/report.json").read_text("utf-8"))
    keys = {e["key"]: e["n"] for e in report["evaluations"]}
    assert len(keys) == len(report["evaluations"]) == 10
    # Each verdict points at its own evidence, whatever the other threads did meanwhile.
    assert all(keys[v["evidence"]] == v["support"] + 50 for v in found)


def test_hypothesis_settles_a_gate_many_times_and_it_stands_once(pytester: pytest.Pytester) -> None:
    body = """
    from hypothesis import given, settings, strategies as st

    @given(st.integers(1, 10**6))
    @settings(max_examples=25, deadline=None, database=None, derandomize=True)
    def test_a(number):
        mg.assert_recall_at_least(mg.ConfusionMatrix([[3, 0], [number, 99 * number]]), 0.5)
        mg.assert_specificity_at_least(mg.ConfusionMatrix([[300, 0], [number, 5]]), 0.5)
    """
    found = verdicts(pytester, body)
    assert [v["gate"].partition("[")[0] for v in found] == ["recall", "specificity"]
    assert {v["count"] for v in found} == {25}
    assert len(json.loads(Path("modelgate-report/report.json").read_text("utf-8"))["evaluations"]) == 2


def test_hypothesis_that_fails_shows_the_red_verdict(pytester: pytest.Pytester) -> None:
    body = """
    from hypothesis import given, settings, strategies as st

    @given(st.integers(0, 100))
    @settings(max_examples=50, deadline=None, database=None, derandomize=True)
    def test_a(hits):
        mg.assert_recall_at_least(mg.ConfusionMatrix([[3, 0], [100 - hits, hits]]), 0.5)
    """
    (found,) = verdicts(pytester, body)
    assert (found["passed"], found["expected"], found["test_outcome"]) == (False, False, "failed")
    assert found["count"] > 1


def test_hypothesis_as_an_unused_plugin(pytester: pytest.Pytester) -> None:
    assert (
        len(
            verdicts(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n", "-p", "no:hypothesispytest")
        )
        == 1
    )


def test_a_fixture_that_tests_share_counts_once_and_for_the_first(pytester: pytest.Pytester) -> None:
    body = """
    @pytest.fixture(scope="module")
    def gate():
        mg.assert_recall_at_least(GOOD, 0.9)

    def test_a(gate): pass
    def test_b(gate): pass
    """
    assert [v["test"] for v in verdicts(pytester, body)] == ["test_it.py::test_a"]


def test_a_red_gate_in_a_fixture_is_an_error_of_its_test(pytester: pytest.Pytester) -> None:
    body = """
    @pytest.fixture
    def gate():
        mg.assert_recall_at_least(RARE, 0.9)

    def test_a(gate): pass
    """
    (found,) = verdicts(pytester, body)
    assert (found["test_outcome"], found["expected"]) == ("error", False)


def test_at_teardown(pytester: pytest.Pytester) -> None:
    body = """
    @pytest.fixture
    def gate():
        yield
        mg.assert_recall_at_least(RARE, 0.9)

    def test_a(gate): pass
    """
    (found,) = verdicts(pytester, body)
    assert (found["test"], found["test_outcome"], found["expected"]) == ("test_it.py::test_a", "error", False)


def test_at_module_level(pytester: pytest.Pytester) -> None:
    """Judged while pytest collects: it belongs to no test, and comes first."""
    found = verdicts(
        pytester, "mg.assert_recall_at_least(GOOD, 0.8)\ndef test_a():\n    mg.assert_recall_at_least(GOOD, 0.9)\n"
    )
    assert [(v["test"], v["bar"]) for v in found] == [(None, 0.8), ("test_it.py::test_a", 0.9)]


def test_unittest_classes_subtests_and_doctests(pytester: pytest.Pytester) -> None:
    body = """
    import unittest

    class TestCase(unittest.TestCase):
        def test_a(self):
            with self.assertRaises(mg.GateFailure):
                mg.assert_recall_at_least(RARE, 0.9)

    def documented():
        '''
        >>> mg.assert_recall_at_least(GOOD, 0.9).passed
        True
        '''
    """
    found = verdicts(pytester, body, "--doctest-modules")
    assert [(v["test"], v["expected"]) for v in found] == [
        ("test_it.py::test_it.documented", False),
        ("test_it.py::TestCase::test_a", True),
    ]


def test_the_same_gate_twice_in_a_test_stands_twice(pytester: pytest.Pytester) -> None:
    body = "def test_a():\n    for _ in range(3):\n        mg.assert_recall_at_least(GOOD, 0.9)\n"
    assert len(verdicts(pytester, body)) == 3


def test_wrong_use_is_no_verdict(pytester: pytest.Pytester) -> None:
    assert verdicts(pytester, "def test_a():\n    mg.assert_recall_at_least(GOOD, 90)\n") == []


def test_a_gate_that_is_only_checked_is_not_recorded(pytester: pytest.Pytester) -> None:
    assert verdicts(pytester, "def test_a():\n    mg.Gate('recall', at_least=0.999).check(GOOD)\n") == []


def test_a_rerun_of_pytest_inside_a_test_keeps_to_itself(pytester: pytest.Pytester) -> None:
    """A nested session has its own recorder; afterwards the outer one listens again."""
    body = """
    pytest_plugins = ["pytester"]

    def test_a(pytester):
        mg.assert_recall_at_least(GOOD, 0.5)
        pytester.makepyfile('''
            import pytest_modelgate as mg
            def test_inner():
                mg.assert_recall_at_least(mg.ConfusionMatrix([[9, 1], [1, 99]]), 0.1)
        ''')
        pytester.runpytest("--modelgate-report").assert_outcomes(passed=1)
        mg.assert_recall_at_least(GOOD, 0.6)
    """
    assert [v["bar"] for v in verdicts(pytester, body)] == [0.5, 0.6]


def test_outside_of_pytest_the_record_is_dropped() -> None:
    from pytest_modelgate.recording import _Nobody

    nobody = _Nobody()
    assert (nobody.confidence, nobody.if_unsure) == (0.95, "estimate")
    assert nobody.verdict(None, None) is None
