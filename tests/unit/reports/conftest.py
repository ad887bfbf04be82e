"""A rich run to render: every outcome, a loss, two, ten and 120 classes, a regression, histories, hostile names."""

from __future__ import annotations

import math
import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.reports.merge import build_report

if TYPE_CHECKING:
    from pytest_modelgate.reports.report import Report

SCRIPT = "<script>alert(1)</script>"
PIPE = "a|b `c` *d* [e](http://x)"

FRAUD_NOTES = (
    "the data allow 0.071 to 0.187 (95% each way, Clopper-Pearson)",
    "                predicted ok   predicted fraud",
    "actual ok               4892                 8",
    "actual fraud              88                12",
    "accuracy is 0.981, but always answering 'ok' scores 0.980: accuracy hides this failure",
)
PROVENANCE = {
    "created": "2025-01-31T12:00:00+00:00",
    "duration_seconds": 8.237,
    "python": "3.13.1",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "scipy": "1.17.1",
    "pytest": "9.2.0",
    "pytest_modelgate": "0.1.0",
    "platform": "Linux-6.1-x86_64",
    "device": "cpu",
    "seed": 0,
    "commit": "0123456789abcdef0123456789abcdef01234567",
}


def verdict(metric: str = "recall", estimate: float | None = 0.95, **changes: Any) -> dict[str, Any]:
    """A verdict as a journal holds it, by default a green one."""
    label = changes.get("label")
    bar, direction = changes.setdefault("bar", 0.9), changes.setdefault("direction", "at_least")
    sign = "<=" if direction == "at_most" else ">="
    outcome = changes.pop("outcome", Outcome.PASS)
    subject = f"{metric}[{label!r}]" if label is not None else metric
    evidence = changes.pop("evidence", None)
    defaults = {
        "gate": f"{subject} {sign} {bar}",
        "metric": metric,
        "estimate": estimate,
        "outcome": outcome,
        "passed": outcome == "PASS",
        "support": 100,
        "explanation": f"{outcome}: {metric} = {'undefined' if estimate is None else estimate}, required {sign} {bar}",
    }
    if changes.get("lower") is not None:
        defaults["method"] = "Clopper-Pearson"
    return {**Verdict(**{**defaults, **changes}).to_dict(), "evidence": evidence}


def entry(test: str | None, kind: str, data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A line of a journal."""
    base = {
        "kind": kind,
        "test": test,
        "phase": "call",
        "worker": "",
        "sequence": 0,
        "hypothesis": False,
        "fixture": None,
    }
    return {**base, **changes, "data": data}


def evaluation(key: str, **changes: Any) -> dict[str, Any]:
    """An evaluation as a journal holds it, by default of two classes."""
    base = {
        "key": key,
        "kind": "evaluation",
        "model": None,
        "task": "binary",
        "n": 100,
        "labels": ["ok", "fraud"],
        "counts": [[80, 5], [3, 12]],
        "cells": None,
        "loss": None,
        "threshold": 0.5,
        "derivation": [],
    }
    return {**base, **changes}


def history(key: str, epochs: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A training run as a journal holds it."""
    return {"key": key, "model": "Net", "loss": "cross_entropy", "seed": 0, "device": "cpu", "epochs": epochs} | changes


def many_classes(size: int, n: int, error: float, seed: int) -> list[list[int]]:
    """Counts of a plausible classifier: mostly right, its errors near the right class."""
    random_ = random.Random(seed)
    counts = [[0] * size for _ in range(size)]
    for _ in range(n):
        actual = random_.randrange(size)
        predicted = actual
        if random_.random() < error * (1 + actual % 3):
            predicted = (actual + random_.choice([-3, -1, 1, 1, 2])) % size
        counts[actual][predicted] += 1
    return counts


def journal() -> list[dict[str, Any]]:
    """What one process wrote in the sample run."""
    digits, birds = many_classes(10, 1800, 0.015, 1), many_classes(120, 6000, 0.08, 2)
    smooth = [
        {
            "epoch": epoch,
            "train_loss": 2.2 * math.exp(-epoch / 6) + 0.05,
            "val_loss": 2.1 * math.exp(-epoch / 5) + 0.12 + 0.008 * max(epoch - 14, 0),
            "val_recall": 1 - 0.8 * math.exp(-epoch / 4),
            "val_precision": 0.97 - 0.6 * math.exp(-epoch / 5),
            "lr": 0.01 * 0.9**epoch,
        }
        for epoch in range(1, 31)
    ]
    broken = [
        {"epoch": 1, "train_loss": 3.1, "val_loss": 3.4},
        {"epoch": 2, "train_loss": 1.9},
        {"epoch": 3, "train_loss": 2.4, "val_loss": 2.9},
        {"epoch": 4, "train_loss": 19.0, "val_loss": 27.5},
        {"epoch": 5, "train_loss": "inf", "val_loss": math.nan},
        {"epoch": 6, "train_loss": "nan", "val_loss": "nan"},
    ]
    fraud, tumour = "tests/models/test_fraud.py::", "tests/models/test_tumour.py::"
    lines = [
        entry(f"{fraud}test_recall", "history", history("h1", smooth, model="FraudNet"), phase="setup"),
        entry(
            f"{fraud}test_recall",
            "evaluation",
            evaluation(
                "e1", model="FraudNet", n=5000, counts=[[4892, 8], [88, 12]], loss={"name": "bce", "mean": 0.0931}
            ),
            phase="setup",
        ),
        entry(
            f"{fraud}test_recall",
            "verdict",
            verdict(
                "recall",
                0.12,
                label="fraud",
                outcome=Outcome.FAIL,
                hits=12,
                support=100,
                lower=0.0713,
                upper=0.1869,
                explanation="FAIL: recall of 'fraud' = 0.120 (12 of 100), required >= 0.900",
                notes=FRAUD_NOTES,
                evidence="e1",
            ),
        ),
        entry(
            f"{fraud}test_accuracy",
            "verdict",
            verdict("accuracy", 0.9808, hits=4904, support=5000, lower=0.9773, upper=0.9839, bar=0.97, evidence="e1"),
        ),
        entry(
            f"{fraud}test_precision_of_a_rare_class[threshold-0.3]",
            "verdict",
            verdict(
                "precision",
                0.6,
                label="fraud",
                outcome=Outcome.INCONCLUSIVE,
                hits=12,
                support=20,
                lower=0.3936,
                upper=0.7840,
                bar=0.55,
                passed=True,
                evidence="e2",
                notes=("the data allow 0.394 to 0.784",),
                explanation="INCONCLUSIVE (leans pass): precision of 'fraud' = 0.600 (12 of 20), required >= 0.550",
            ),
        ),
        entry(
            f"{fraud}test_precision_of_a_rare_class[threshold-0.3]",
            "evaluation",
            evaluation(
                "e2",
                model="FraudNet",
                n=5000,
                counts=[[4892, 8], [88, 12]],
                threshold=0.3,
                derivation=["at_threshold(0.3)"],
            ),
        ),
        entry(
            f"{fraud}test_the_old_model_is_caught",
            "verdict",
            verdict(
                "recall", 0.4, label="fraud", outcome=Outcome.FAIL, hits=40, lower=0.318, upper=0.487, evidence="e1"
            ),
        ),
        entry(
            f"{fraud}test_nobody_defrauds",
            "verdict",
            verdict(
                "recall",
                None,
                label="fraud",
                outcome=Outcome.UNDEFINED,
                support=0,
                explanation="UNDEFINED: recall of 'fraud': no sample of class 'fraud' in 1,204, required >= 0.900",
            ),
        ),
        entry(
            f"{tumour}test_loss",
            "verdict",
            verdict(
                "loss",
                0.0723,
                outcome=Outcome.INCONCLUSIVE,
                passed=True,
                bar=0.12,
                direction="at_most",
                support=143,
                explanation="INCONCLUSIVE (leans pass): mean binary cross entropy = 0.072, required <= 0.120",
            ),
        ),
        entry(
            f"{tumour}test_loss",
            "evaluation",
            evaluation(
                "e3",
                model="TumourNet",
                n=143,
                labels=["benign", "malignant"],
                counts=[[88, 2], [1, 52]],
                loss={"name": "binary_cross_entropy_with_logits", "mean": 0.0723},
            ),
        ),
        entry(
            f"{tumour}test_recall_is_just_short",
            "verdict",
            verdict(
                "recall",
                0.89996,
                label="malignant",
                outcome=Outcome.INCONCLUSIVE,
                passed=False,
                hits=22499,
                support=25000,
                lower=0.8968,
                upper=0.9031,
            ),
        ),
        entry(
            f"{tumour}test_any_confusion_matrix",
            "verdict",
            verdict("mcc", 0.61, bar=0.3, support=57),
            hypothesis=True,
        ),
        *[
            entry(
                f"tests/models/test_digits.py::test_every_class[{digit}]",
                "verdict",
                verdict(
                    "recall",
                    digits[digit][digit] / sum(digits[digit]),
                    label=digit,
                    hits=digits[digit][digit],
                    support=sum(digits[digit]),
                    lower=0.93,
                    upper=0.99,
                    bar=0.9,
                    evidence="e4",
                ),
            )
            for digit in range(10)
        ],
        entry(
            "tests/models/test_digits.py::test_every_class[0]",
            "evaluation",
            evaluation(
                "e4",
                model="DigitsNet",
                task="multiclass",
                n=1800,
                labels=list(range(10)),
                counts=digits,
                threshold=None,
                loss={"name": "cross_entropy", "mean": 0.0514},
            ),
        ),
        entry(
            "tests/models/test_birds.py::test_macro_recall",
            "evaluation",
            evaluation(
                "e5",
                model="BirdNet",
                task="multiclass",
                n=6000,
                labels=[f"species {i}" for i in range(120)],
                counts=None,
                threshold=None,
                cells=[[i, j, cell] for i, row in enumerate(birds) for j, cell in enumerate(row) if cell],
            ),
        ),
        entry(
            "tests/models/test_birds.py::test_macro_recall",
            "verdict",
            verdict(
                "recall",
                0.843,
                average="macro",
                bar=0.8,
                support=6000,
                outcome=Outcome.INCONCLUSIVE,
                passed=True,
                gate="macro recall >= 0.8",
                evidence="e5",
            ),
        ),
        entry(
            "tests/models/test_prices.py::test_error",
            "evaluation",
            evaluation(
                "e6",
                model="PriceNet",
                task="regression",
                n=442,
                labels=None,
                counts=None,
                threshold=None,
                loss={"name": "mse", "mean": math.nan},
            ),
        ),
        entry(
            "tests/models/test_prices.py::test_error",
            "verdict",
            verdict(
                "loss",
                math.nan,
                outcome=Outcome.FAIL,
                bar=3000.0,
                direction="at_most",
                support=442,
                evidence="e6",
                explanation="FAIL: mean squared error is nan, required <= 3000.000",
            ),
        ),
        entry(
            "tests/models/test_prices.py::test_error", "history", history("h2", broken, model="PriceNet", loss="mse")
        ),
        entry("tests/models/test_prices.py::test_error", "history", history("h3", [{"epoch": 1, "train_loss": 0.4}])),
        entry(
            f"tests/models/test_names.py::test_hostile[{SCRIPT}]",
            "verdict",
            verdict(
                "recall",
                0.97,
                label=SCRIPT,
                slice=PIPE,
                evidence="e7",
                explanation=f"PASS: {SCRIPT} {PIPE}",
                notes=("```", SCRIPT, PIPE),
            ),
        ),
        entry(
            f"tests/models/test_names.py::test_hostile[{SCRIPT}]",
            "evaluation",
            evaluation(
                "e7",
                model=f"{SCRIPT}{PIPE}",
                labels=[SCRIPT, "日本語のとても長いラベル"],
                loss={"name": PIPE, "mean": 1.5},
            ),
        ),
        entry(
            "tests/models/test_names.py::test_unicode[日本語-größe]",
            "verdict",
            verdict("recall", 1.0, label="größe", hits=300, support=300, lower=0.9901, upper=1.0),
        ),
    ]
    repeated = [line for line in lines if line["hypothesis"]] * 36
    return [{**line, "sequence": index} for index, line in enumerate(lines + repeated)]


FAILED = ("test_recall", "test_nobody_defrauds", "test_recall_is_just_short", "test_error")


def build(entries: list[dict[str, Any]], **changes: Any) -> Report:
    """The report of a run in which all tests that recorded something passed."""
    order = list(dict.fromkeys(one["test"] for one in entries if one["test"] is not None))
    usual: dict[str, Any] = {"order": order, "outcomes": dict.fromkeys(order, "passed")}
    return build_report(entries, **{**usual, "why_incomplete": None, "failed": False, "provenance": {}} | changes)


def sample_report() -> Report:
    """The report of the sample run."""
    lines = journal()
    order = list(dict.fromkeys(line["test"] for line in lines))
    outcomes = {test: "failed" if test.endswith(FAILED) else "passed" for test in order}
    return build_report(lines, order=order, outcomes=outcomes, why_incomplete=None, failed=True, provenance=PROVENANCE)


@pytest.fixture(scope="session")
def report() -> Report:
    return sample_report()


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Makers of what a journal holds."""
    return SimpleNamespace(verdict=verdict, entry=entry, evaluation=evaluation, history=history, build=build)
