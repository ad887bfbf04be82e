"""Under pytest-xdist: the same verdicts in the same order, and nothing lost with a worker."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("xdist")

SUITE = """
import warnings
import pytest
import pytest_modelgate as mg
from hypothesis import given, settings, strategies as st

GOOD = mg.ConfusionMatrix([[45, 5], [1, 99]], labels=("ok", "fraud"))
RARE = mg.ConfusionMatrix([[4892, 8], [88, 12]], labels=("ok", "fraud"))

@pytest.fixture(scope="session")
def shared():
    mg.assert_metric(GOOD, "jaccard", at_least=0.5)
    scores = [0.2, 0.9, 0.4, 0.1] * 20
    return mg.Evaluation.from_predictions(target=[0, 1, 1, 0] * 20, preds=scores, outputs="probabilities")

@pytest.mark.parametrize("number", range(6))
def test_shared(shared, number):
    mg.assert_recall_at_least(shared, number / 10)

def test_expected():
    with pytest.raises(mg.GateFailure):
        mg.assert_beats_majority_class(RARE)

def test_red():
    mg.assert_recall_at_least(RARE, 0.9)

@given(st.integers(1, 5))
@settings(derandomize=True, database=None, deadline=None, max_examples=10)
def test_generated(times):
    mg.assert_recall_at_least(mg.ConfusionMatrix([[3, 0], [times, 99 * times]]), 0.5)

@pytest.mark.xfail(reason="known")
def test_known():
    mg.assert_recall_at_least(RARE, 0.8)

class TestMore:
    @pytest.mark.parametrize("name", ["b", "a", "ü|x"])
    def test_names(self, name):
        mg.assert_precision_at_least(GOOD, 0.9)

@pytest.fixture
def red_at_the_end():
    yield
    mg.assert_recall_at_least(RARE, 0.7)

def test_torn_down(red_at_the_end):
    pass
"""
TRAINING = """
import pytest
import torch
from torch import nn
import pytest_modelgate as mg

X = torch.linspace(-1, 1, 80)[:, None]
Y = (X[:, 0] > 0.1).long()

@pytest.fixture(scope="session")
def trained(train_model):
    return train_model(lambda: nn.Linear(1, 1), (X, Y), validation_data=(X, Y), loss=nn.BCEWithLogitsLoss(),
                       optimizer=lambda p: torch.optim.Adam(p, lr=0.2), epochs=3)

@pytest.fixture(scope="session")
def found(trained, evaluate_model):
    return evaluate_model(trained, (X, Y))

@pytest.mark.parametrize("bar", [0.9, 0.5])
def test_auc(found, bar):
    mg.assert_roc_auc_at_least(found, bar)

@pytest.mark.parametrize("bar", [9.0, 5.0])
def test_loss(found, bar):
    mg.assert_loss_at_most(found, bar)
"""


def report(pytester: pytest.Pytester, *options: str) -> tuple[dict[str, Any], dict[str, str], pytest.RunResult]:
    """The report of a run in a process of its own without stored models, and the texts of its files without times."""
    shutil.rmtree(".modelgate-cache", ignore_errors=True)
    result = pytester.runpytest_subprocess("--modelgate-report", "-p", "no:cacheprovider", *options)
    folder = Path("modelgate-report")
    found = json.loads((folder / "report.json").read_text("utf-8"))
    texts = {}
    for name in ("report.json", "report.md", "report.html"):
        text = (folder / name).read_text("utf-8").replace(found["provenance"]["created"], "TIME")
        text, times = re.subn(r"(duration[ _]seconds\D{1,12})[\d.]+", r"\1TIME", text)
        assert times == 1
        texts[name] = re.sub(r"\b[\d.]+ (s|min)(?=\W)", "TIME", text)  # the same in short, in the line of facts
    leftovers = [path.name for path in folder.iterdir() if path.name.startswith("journal")]
    assert leftovers == []
    return found, texts, result


@pytest.mark.parametrize("suite", [SUITE, TRAINING], ids=["gates", "training"])
def test_two_workers_write_the_same_bytes_but_for_times(pytester: pytest.Pytester, suite: str) -> None:
    pytester.makepyfile(test_it=suite)
    alone, alone_texts, alone_result = report(pytester)
    spread, spread_texts, spread_result = report(pytester, "-n", "2")
    assert spread_result.ret == alone_result.ret
    assert spread["verdicts"] == alone["verdicts"]
    assert spread == alone | {"provenance": spread["provenance"]}
    assert spread_texts == alone_texts
    assert len(alone["verdicts"]) > 3
    _, none_texts, _ = report(pytester, "-n", "0")
    assert none_texts == alone_texts
    shown = [line for line in alone_result.outlines if "PASS" in line or ("FAIL" in line and "::" not in line)]
    assert [line for line in spread_result.outlines if line in shown] == shown


def test_what_the_suite_above_holds(pytester: pytest.Pytester) -> None:
    """Shared fixtures stand once, Hypothesis's many settlements once with a count."""
    pytester.makepyfile(test_it=SUITE)
    found, _, _ = report(pytester, "-n", "2", "--dist", "load")
    names = [(v["test"].partition("::")[2], v["gate"].partition("[")[0], v["count"]) for v in found["verdicts"]]
    counts = [count for name, _, count in names if name == "test_generated"]
    assert names == [
        ("test_shared[0]", "jaccard", 1),
        *((f"test_shared[{number}]", "recall", 1) for number in range(6)),
        ("test_expected", "beats_majority_class", 1),
        ("test_red", "recall", 1),
        ("test_generated", "recall", counts[0]),
        ("test_known", "recall", 1),
        ("TestMore::test_names[b]", "precision", 1),
        ("TestMore::test_names[a]", "precision", 1),
        (names[-2][0], "precision", 1),
        ("test_torn_down", "recall", 1),
    ]
    assert 1 < counts[0] <= 10
    assert found["tests"]["collected"] == 14
    assert (found["answer"], found["why_incomplete"]) == ("failed", None)


CRASH = """
import os
import pytest
import pytest_modelgate as mg

GOOD = mg.ConfusionMatrix([[45, 5], [1, 99]])

@pytest.mark.parametrize("number", range(4))
def test_before(number):
    mg.assert_recall_at_least(GOOD, 0.9)

def test_crash():
    mg.assert_recall_at_least(GOOD, 0.5)
    os._exit(3)
"""


def test_a_crashed_worker_loses_nothing_that_was_settled(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=CRASH)
    found, _, result = report(pytester, "-n", "2")
    assert result.ret != 0
    assert found["answer"] == "incomplete"
    assert "crashed" in found["why_incomplete"]
    assert [(v["test"], v["gate"]) for v in found["verdicts"]] == [
        *((f"test_it.py::test_before[{number}]", "recall[1] >= 0.9") for number in range(4)),
        ("test_it.py::test_crash", "recall[1] >= 0.5"),
    ]
    assert [v["test_outcome"] for v in found["verdicts"]] == ["passed"] * 4 + ["failed"]
    result.stdout.fnmatch_lines(["Incomplete: *"])


def test_maxfail_marks_the_report_incomplete(pytester: pytest.Pytester) -> None:
    body = CRASH.replace("os._exit(3)", "pass").replace(
        "GOOD, 0.9)", "GOOD, 0.9)\n    import time; time.sleep(0.05)\n    assert number"
    )
    pytester.makepyfile(test_it=body.replace("range(4)", "range(60)"))
    found, _, _ = report(pytester, "-n", "2", "-x")
    assert found["answer"] == "incomplete"
    assert found["tests"]["not_run"] > 0
    assert found["verdicts"][0]["test"] == "test_it.py::test_before[0]"


def test_a_worker_that_cannot_collect(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="import nothing_like_this")
    found, _, result = report(pytester, "-n", "2")
    assert result.ret != 0
    assert (found["answer"], found["verdicts"]) == ("incomplete", [])


def test_without_a_report_a_worker_writes_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=CRASH.replace("os._exit(3)", "pass"))
    result = pytester.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=5)
    assert [path for path in pytester.path.rglob("*") if "modelgate" in path.name or path.suffix == ".jsonl"] == []


def test_options_reach_the_workers(pytester: pytest.Pytester) -> None:
    body = """
    import pytest_modelgate as mg

    def test_it(pytestconfig):
        verdict = mg.Gate("recall", at_least=0.9)
        with __import__("pytest").raises(mg.GateFailure) as caught:
            mg.assert_recall_at_least(mg.ConfusionMatrix([[40, 2], [4, 36]]), 0.9)
        assert (caught.value.verdict.if_unsure, caught.value.verdict.confidence) == ("fail", 0.9)
    """
    pytester.makepyfile(body)
    result = pytester.runpytest_subprocess("-n", "1", "--modelgate-if-unsure=fail", "--modelgate-confidence=0.9")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("argument", ["--modelgate-device=gpu", "--modelgate-confidence=95"])
def test_usage_errors_are_one_line_with_workers_too(pytester: pytest.Pytester, argument: str) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_subprocess("-n", "2", argument)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len([line for line in result.errlines if line.strip()]) == 1
