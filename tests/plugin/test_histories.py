"""Gates on histories in a run: recorded with their evidence, shown with a diagnosis and with the kept epoch."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

CURVES = """
import math

import pytest

from pytest_modelgate import (
    GateFailure,
    History,
    assert_converged,
    assert_loss_decreases,
    assert_metric_improves,
    assert_no_overfitting,
    assert_training_stable,
)


def healthy():
    history = History(loss="cross_entropy", model="Healthy")
    for epoch in range(1, 41):
        noise = 0.004 * math.sin(7.0 * epoch)
        train = 0.2 + 2 * math.exp(-epoch / 6)
        history.log(epoch=epoch, train_loss=train + noise, val_loss=train + 0.05 - noise, val_recall=1 - train / 3)
    return history


def memorising():
    history = History(loss="cross_entropy", model="Memorising")
    for epoch in range(1, 41):
        noise = 0.004 * math.sin(7.0 * epoch)
        history.log(epoch=epoch, train_loss=0.3 + 0.9 * math.exp(-epoch / 6) + noise, val_loss=1.1 - noise)
    return history
"""
TESTS = (
    CURVES
    + """

def test_healthy():
    history = healthy()
    assert_loss_decreases(history)
    assert_training_stable(history)
    assert_converged(history)
    assert_no_overfitting(history)
    assert_metric_improves(history, "val_recall")


def test_memorising():
    with pytest.raises(GateFailure, match="no_overfitting|validation"):
        assert_no_overfitting(memorising())


def test_of_a_fixture(train_model):
    import torch

    def fit(model, run):
        for row in healthy().summary()["epochs"]:
            run.history.log(**row)
        run.history.keep(30)

    trained = train_model(lambda: torch.nn.Linear(2, 2), None, fit=fit, device="cpu", cache=None)
    assert_loss_decreases(trained)
"""
)


def report_of(pytester: pytest.Pytester, *options: str) -> dict[str, Any]:
    run = pytester.runpytest_subprocess if "-n2" in options else pytester.runpytest_inprocess
    result = run("--modelgate-report", *options)
    assert result.ret == 0, result.outlines
    report: dict[str, Any] = json.loads((pytester.path / "modelgate-report/report.json").read_text("utf-8"))
    return report


def test_a_verdict_rests_on_its_history(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    report = report_of(pytester)
    rows = {row["key"]: row for row in report["histories"]}
    assert [row["model"] for row in rows.values()] == ["Healthy", "Memorising", "Linear"]
    assert [row["diagnosis"]["kind"] for row in rows.values()] == ["healthy", "memorising", "healthy"]
    assert [rows[verdict["evidence"]]["model"] for verdict in report["verdicts"]] == [
        *["Healthy"] * 5,
        "Memorising",
        "Linear",
    ]
    assert [verdict["expected"] for verdict in report["verdicts"]] == [False] * 5 + [True, False]
    assert [row["kept"] for row in rows.values()] == [None, None, 30]
    page = (pytester.path / "modelgate-report/report.html").read_text("utf-8")
    assert page.count('class="kept"') == 2, "a line in each chart of the run of which an epoch was kept: loss, recall"
    assert "the weights of epoch 30 were kept" in page
    assert "Memorising: memorising" in page
    for name in ("report.html", "report.md"):
        text = (pytester.path / "modelgate-report" / name).read_text("utf-8")
        assert re.search(r"gap share, required (<=|&#?\w+;=) 0\.5", text), name


def test_two_workers_give_the_same(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    one, two = report_of(pytester), report_of(pytester, "-n2")
    assert {**one, "provenance": None} == {**two, "provenance": None}


def test_a_history_that_grows_is_recorded_as_it_was(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        CURVES
        + """

def test_growing():
    history = healthy()
    assert_loss_decreases(history)
    history.log(train_loss=float("nan"))
    with pytest.raises(GateFailure):
        assert_loss_decreases(history)
"""
    )
    report = report_of(pytester)
    assert [len(row["epochs"]) for row in report["histories"]] == [40, 41]
    assert [row["diagnosis"]["kind"] for row in report["histories"]] == ["healthy", "not finite"]
    assert len({verdict["evidence"] for verdict in report["verdicts"]}) == 2


def test_a_history_is_no_look_at_test_data(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    assert pytester.runpytest_inprocess().ret == 0
    assert not (pytester.path / ".pytest_cache/v/modelgate").exists()


def test_all_histories_behind_a_verdict_are_recorded(pytester: pytest.Pytester) -> None:
    """Those too that no fixture made."""
    pytester.makepyfile(
        CURVES
        + """

def test_seeds():
    from pytest_modelgate import LossDecreases, assert_over_seeds

    third = History.from_summary(healthy().summary() | {"model": "Third"})
    assert_over_seeds([healthy(), memorising(), third], LossDecreases(), claim="worst")
"""
    )
    report = report_of(pytester)
    assert {row["model"] for row in report["histories"]} == {"Healthy", "Memorising", "Third"}
