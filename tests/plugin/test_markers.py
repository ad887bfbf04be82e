"""`pytest.mark.modelgate`: how sure the gates of a test, a class or a file must be."""

from __future__ import annotations

import pytest

FILE = """
import pytest
from pytest_modelgate import BarError, ConfusionMatrix, GateFailure, assert_recall_at_least

EVIDENCE = ConfusionMatrix.from_counts(tp=36, fn=4, fp=2, tn=40, labels=("ok", "fraud"))
pytestmark = pytest.mark.modelgate(confidence=0.9, if_unsure="fail")


def test_of_the_file():
    assert assert_recall_at_least(EVIDENCE, 0.7).confidence == 0.9
    with pytest.raises(GateFailure, match="if_unsure='fail'"):
        assert_recall_at_least(EVIDENCE, 0.89)


class TestClass:
    pytestmark = pytest.mark.modelgate(confidence=0.8)

    def test_of_the_class(self):
        assert assert_recall_at_least(EVIDENCE, 0.7).confidence == 0.8
        with pytest.raises(GateFailure):
            assert_recall_at_least(EVIDENCE, 0.89)

    @pytest.mark.modelgate(confidence=0.7, if_unsure="estimate")
    def test_of_its_own(self):
        verdict = assert_recall_at_least(EVIDENCE, 0.89)
        assert (verdict.confidence, verdict.if_unsure) == (0.7, "estimate")

    def test_the_gate_goes_first(self):
        assert assert_recall_at_least(EVIDENCE, 0.7, confidence=0.6).confidence == 0.6


@pytest.mark.modelgate(confidnce=0.9)
def test_a_typo():
    with pytest.raises(BarError, match="takes confidence= and if_unsure=, not confidnce; did you mean 'confidence'"):
        assert_recall_at_least(EVIDENCE, 0.7)


@pytest.mark.modelgate(0.9)
def test_a_value_without_a_name():
    with pytest.raises(BarError, match="not 0.9"):
        assert_recall_at_least(EVIDENCE, 0.7)


@pytest.mark.modelgate(confidence=95)
def test_a_percentage():
    with pytest.raises(BarError, match="pytest.mark.modelgate: confidence=95 is not a confidence.*was 0.95 meant"):
        assert_recall_at_least(EVIDENCE, 0.7)
"""


@pytest.mark.parametrize("options", [[], ["--modelgate-confidence=0.95", "--modelgate-if-unsure=warn"]])
def test_the_closest_marker_counts(pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makepyfile(FILE)
    result = pytester.runpytest("--strict-markers", "-W", "error", *options)
    result.assert_outcomes(passed=7)


def test_it_is_registered(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.modelgate(confidence=0.95, if_unsure='estimate'): how sure *"])
