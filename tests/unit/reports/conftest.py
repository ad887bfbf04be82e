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
    return SimpleNamespace(
        verdict=verdict,
        entry=entry,
        evaluation=evaluation,
        history=history,
        build=build,
        gate=gate,
        cell=cell,
        fault=fault,
        mutated=mutated,
        mutation=mutation,
        digits_mutation=digits_mutation,
        large_mutation=large_mutation,
        finding=finding,
        audits=audits,
    )


def gate(text: str, test: str | None = "tests/models/test_digits.py::test_digits", **changes: Any) -> dict[str, Any]:
    """A gate of a mutated model."""
    base = {"gate": text, "test": test, "metric": "accuracy", "label": None, "estimate": 0.97}
    return {**base, "state": "mutated", "caught": 0, "counted": 0} | changes


def cell(caught: bool = True, estimate: Any = 0.31, moved: Any = -0.66, **changes: Any) -> dict[str, Any]:
    """What a gate made of a fault."""
    outcome = "FAIL" if caught else "PASS"
    return {"caught": caught, "outcome": outcome, "estimate": estimate, "moved": moved, "error": None} | changes


def fault(name: str, kind: str, cells: list[dict[str, Any] | None], **changes: Any) -> dict[str, Any]:
    """A fault; noticed where one of its cells is."""
    base = {"name": name, "kind": kind, "where": None, "strength": None, "changed": 0.5, "equivalent": False}
    return {**base, "caught": any(one is not None and one["caught"] for one in cells), "cells": cells} | changes


def mutated(faults: list[dict[str, Any]], gates: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A model with its faults, counted."""
    counts = counted(faults)
    for index, one in enumerate(gates):
        green = one["state"] == "mutated"
        judged = [row["cells"][index] for row in faults if green and not row["equivalent"] and row["cells"][index]]
        one["caught"], one["counted"] = sum(cell["caught"] for cell in judged), len(judged)
    noise: dict[str, float | None] = {}
    for row in faults:
        if row["kind"] == "noise":
            known = noise.setdefault(row["where"], None)
            if row["caught"] and not row["equivalent"]:
                noise[row["where"]] = row["strength"] if known is None else min(known, row["strength"])
    smallest = [{"where": where, "strength": strength} for where, strength in noise.items()]
    base = {"model": "DigitNet", "key": "e4", "tests": [], "layers_left_out": 0, "reason": None, "gates": gates}
    return {**base, "faults": faults, **counts, "smallest_noise": smallest} | changes


def counted(faults: list[dict[str, Any]]) -> dict[str, int]:
    """How many faults were caught, counted and equivalent."""
    judged = [row for row in faults if not row["equivalent"]]
    caught = sum(row["caught"] for row in judged)
    return {"caught": caught, "counted": len(judged), "equivalent": len(faults) - len(judged)}


def mutation(models: list[dict[str, Any]], minimum: float | None = None, **changes: Any) -> dict[str, Any]:
    """What the run's mutation found."""
    counts = {name: sum(model[name] for model in models) for name in ("caught", "counted", "equivalent")}
    share = counts["caught"] / counts["counted"] if counts["counted"] else None
    enough = None if minimum is None else share is not None and share >= minimum
    base = {**counts, "share": share, "minimum": minimum, "enough": enough, "models": models, "not_mutated": []}
    return base | changes


def digits_mutation(minimum: float | None = None) -> dict[str, Any]:
    """The mutation of a network for digits: three gates, one of which is red already, and 17 faults."""
    gates = [
        gate("accuracy >= 0.8"),
        gate("recall[3] >= 0.9", metric="recall", label=3, estimate=0.985),
        gate("loss <= 0.1", metric="loss", estimate=0.42, state="red already"),
    ]

    def pair(accuracy: float, recall: float) -> list[dict[str, Any] | None]:
        return [
            cell(accuracy < 0.8, accuracy, accuracy - 0.97),
            cell(recall < 0.9, recall, recall - 0.985),
            cell(True, 2.1, 1.68),
        ]

    faults = []
    for where, ends in (("'0'", (0.95, 0.62, 0.31)), ("'2'", (0.97, 0.96, 0.94)), ("'4'", (0.96, 0.88, 0.2))):
        faults.append(fault(f"weights of {where} zeroed", "zeroed", pair(0.1, 0.0), where=where, changed=0.9))
        for strength, accuracy in zip((0.03, 0.1, 0.3), ends, strict=True):
            faults.append(
                fault(
                    f"noise of {strength} of the spread in {where}",
                    "noise",
                    pair(accuracy, min(accuracy + 0.03, 1.0)),
                    where=where,
                    strength=strength,
                    changed=1 - accuracy,
                    equivalent=accuracy > 0.965,
                )
            )
    for bits, accuracy in ((8, 0.97), (4, 0.93), (2, 0.5)):
        faults.append(
            fault(
                f"weights rounded to {bits} bits", "quantised", pair(accuracy, accuracy), strength=float(bits),
                changed=0.97 - accuracy, equivalent=bits == 8,
            )
        )  # fmt: skip
    faults.append(fault("class 8 merged into 9", "class merged", pair(0.871, 0.985), where="head", changed=0.098))
    faults.append(fault("classes 3 and 5 swapped", "classes swapped", pair(0.77, 0.01), where="head", changed=0.21))
    for one in faults:  # a gate that is red already notices nothing
        one["caught"] = any(found["caught"] for found in one["cells"][:2])
    model = mutated(faults, gates, tests=["tests/models/test_digits.py::test_digits"])
    why = "the evidence was not made by evaluate"
    rows = [{"test": "tests/models/test_birds.py::test_macro_recall", "gate": "macro recall >= 0.8", "why": why}]
    return mutation([model], minimum, not_mutated=rows)


def finding(name: str, text: str, **changes: Any) -> dict[str, Any]:
    """One thing that was looked for in data."""
    numbers = dict.fromkeys(("estimate", "lower", "upper", "p"))
    return {"name": name, "count": None, "of": None, "rows": [], **numbers, "text": text} | changes


def audits() -> tuple[dict[str, Any], ...]:
    """Two audits as the report holds them."""
    leakage = [
        finding(
            "duplicates",
            "12 of 300 test rows are training rows too",
            count=12,
            of=300,
            rows=[[7, 120], [9, 133], [31, 5], [44, 810], [60, 2], [61, 3], [70, 4], [71, 6], [80, 8], [99, 11]],
        ),
        finding("groups", "no group is on both sides", count=0, of=41),
        finding("train duplicates", "3 rows of train repeat another", count=3, of=900, rows=[[1], [2], [3]]),
    ]
    label = [
        finding(
            f"feature {PIPE}",
            "this feature alone all but decides the target",
            estimate=0.998,
            lower=0.991,
            upper=1.0,
            p=0.00001,
        )
    ]
    sizes = {"train": 900, "test": 300}
    one = {"key": "a1", "tests": ["tests/test_data.py::test_leakage"], "kind": "audit", "about": "leakage"}
    two = {"key": "a2", "tests": [], "kind": "audit", "about": "label leakage", "sizes": {"rows": 1200}}
    return (
        {**one, "sizes": sizes, "features": 30, "findings": leakage},
        {**two, "features": None, "findings": label},
    )


def large_mutation(gates: int = 50, faults: int = 80) -> dict[str, Any]:
    """Many gates and many faults."""
    random_ = random.Random(0)
    kinds = ("zeroed", "noise", "quantised", "class merged", "feature shuffled")
    columns = [gate(f"recall['species {index}'] >= 0.9", f"tests/a.py::test_{index}") for index in range(gates)]
    rows = []
    for index in range(faults):
        hard = random_.random()
        cells = [cell(caught := random_.random() > hard + 0.3, moved=-0.4 if caught else -0.02) for _ in columns]
        kind = kinds[index % 5]
        graded = kind in ("noise", "quantised")
        rows.append(
            fault(
                f"fault {index} in 'backbone.layer{index % 4}.block.conv{index}'",
                kind,
                list(cells),
                where=f"'backbone.layer{index // 15}'",
                strength=(0.01, 0.03, 0.1)[index // 5 % 3] if graded else None,
                changed=random_.random(),
                equivalent=index % 9 == 0,
            )
        )
    return mutation([mutated(rows, columns, model="BirdNet", key="e5")], 0.8)
