"""`python -m pytest_modelgate`: what is printed, and the exit status."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_modelgate.cli import main


class TestPlan:
    def test_recall(self, capsys):
        assert main(["plan", "--bar", "0.90", "--expected", "0.93"]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        assert printed.out == (
            "593 samples of the class prove that recall is at least 0.9 in 80% of cases, if its true value is 0.93 "
            "(95% confidence).\n"
            "Half as many do in 49% of cases, and else most likely leave it INCONCLUSIVE; a flawless run needs 29.\n"
        )

    def test_lower_is_better(self, capsys):
        words = "--metric false_positive_rate --bar 0.05 --expected 0.02 --power 0.9 --confidence 0.99"
        assert main(["plan", *words.split()]) == 0
        out = capsys.readouterr().out
        assert "samples not of the class prove that false-positive rate is at most 0.05 in 90% of cases" in out
        assert "true value is 0.02 (99% confidence)" in out
        assert "a flawless run needs 90." in out

    @pytest.mark.parametrize("metric", ["accuracy", "precision", "f1", "roc_auc"])
    def test_other_metrics(self, metric, capsys):
        assert main(["plan", "--metric", metric, "--bar", "0.9", "--expected", "0.95"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 2


class TestWrongUse:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("plan --bar 90 --expected 0.93", "bar=90 is outside the range of recall, 0 to 1; was 0.90 meant?"),
            ("plan --bar nan --expected 0.93", "plan: error: bar=nan is outside"),
            ("plan --bar 0.9 --expected 0.9", "cannot be proved at any size"),
            ("plan --bar 0.9 --expected 0.8", "below the bar"),
            ("plan --bar 0.9 --expected 0.90001", "more than a million"),
            ("plan --bar 0.9 --expected 0.95 --power 80", "was 0.80 meant?"),
            ("plan --bar 0.9 --expected 0.95 --confidence 95", "was 0.95 meant?"),
            ("plan --bar 0.9 --expected 0.95 --metric recal", "did you mean 'recall'?"),
            ("plan --bar 0.9 --expected 0.95 --metric mcc", "no sample size of mcc follows from its bar alone"),
        ],
    )  # fmt: skip
    def test_one_line_and_status_2(self, words, message, capsys):
        assert main(words.split()) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("python -m pytest_modelgate plan: error: ")
        assert len(printed.err.splitlines()) == 1
        assert message in printed.err

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("", "required: command"),
            ("plam --bar 0.9", "invalid choice: 'plam'"),
            ("plan --expected 0.93", "required: --bar"),
            ("plan --bar x --expected 0.93", "--bar: invalid float value: 'x'"),
            ("plan --bar 0.9 --expected 0.93 --frobnicate", "unrecognized arguments: --frobnicate"),
        ],
    )
    def test_words_that_make_no_command(self, words, message, capsys):
        with pytest.raises(SystemExit) as left:
            main(words.split())
        assert left.value.code == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert len(printed.err.splitlines()) == 1
        assert message in printed.err


@pytest.mark.parametrize("words", ["--help", "plan --help"])
def test_help(words, capsys):
    with pytest.raises(SystemExit) as left:
        main(words.split())
    assert left.value.code == 0
    assert "python -m pytest_modelgate plan --bar 0.90 --expected 0.93" in capsys.readouterr().out


def test_as_a_module_without_torch_pytest_or_scipy_stats():
    code = """
import runpy, sys
sys.modules["torch"] = sys.modules["pytest"] = sys.modules["scipy.stats"] = None
sys.argv = ["pytest_modelgate", "plan", "--bar", "0.90", "--expected", "0.93"]
runpy.run_module("pytest_modelgate", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("593 samples of the class")


def test_the_status_reaches_the_shell():
    words = [sys.executable, "-m", "pytest_modelgate", "plan", "--bar", "90", "--expected", "0.93"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "python -m pytest_modelgate plan: error: bar=90 is outside the range of recall, 0 to 1; was 0.90 meant?\n"
    )
