"""What a baseline calls a verdict, and what it keeps of one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_modelgate import Evaluation, Gate, NoRegression
from pytest_modelgate.baselines.entry import bars_of, entry_of, measured_of, numbered

GATES = [
    ("recall[fraud] >= 0.9", "recall[fraud]", ((">=", 0.9),)),
    ("loss <= 1e-05", "loss", (("<=", 1e-05),)),
    ("mcc >= -0.25", "mcc", ((">=", -0.25),)),
    ("recall[fraud] >= 0.8 by region", "recall[fraud] by region", ((">=", 0.8),)),
    ("fbeta(beta=2)[fraud] >= 0.5", "fbeta(beta=2)[fraud]", ((">=", 0.5),)),
    ("recall[age >= 65] >= 0.9", "recall[age >= 65]", ((">=", 0.9),)),
    ("no_regression(recall[fraud], margin=0.01)", "no_regression(recall[fraud])", (("margin", 0.01),)),
    ("over_seeds(recall >= 0.9, share=0.8)", "over_seeds(recall)", ((">=", 0.9), ("share", 0.8))),
    ("generalization_gap(f1[macro]) <= 0.05", "generalization_gap(f1[macro])", (("<=", 0.05),)),
    ("no_label_leakage < 0.99", "no_label_leakage", (("<", 0.99),)),
    ("beats_majority_class", "beats_majority_class", ()),
    ("metric_improves(val_f1)", "metric_improves(val_f1)", ()),
]


@pytest.mark.parametrize(("gate", "measured", "bars"), GATES, ids=[gate for gate, _, _ in GATES])
def test_a_gate_is_known_by_what_it_measures(gate: str, measured: str, bars: tuple[Any, ...]) -> None:
    assert measured_of(gate) == measured
    assert bars_of(gate) == bars


def test_the_gates_texts_are_understood() -> None:
    scores = {"target": [0, 1] * 50, "preds": [0.1, 0.9] * 50, "outputs": "probabilities", "ids": range(100)}
    evaluation = Evaluation.from_predictions(**scores, labels=["ok", "fraud"])
    verdict = Gate("recall", at_least=0.85, label="fraud").check(evaluation)
    assert (measured_of(verdict.gate), bars_of(verdict.gate)) == ("recall[fraud]", ((">=", 0.85),))
    verdict = NoRegression("f1", 0.02).check(evaluation, evaluation)
    assert (measured_of(verdict.gate), bars_of(verdict.gate)) == ("no_regression(f1[fraud])", (("margin", 0.02),))


def test_an_entry_has_what_the_verdict_and_its_evaluation_say(row: Any) -> None:
    evaluation = Evaluation.from_predictions(
        target=[0, 1, 1], preds=[0.1, 0.9, 0.2], outputs="probabilities", labels=["ok", "fraud"], threshold=0.3
    )
    summary = json.loads(json.dumps(evaluation.summary())) | {"fingerprint": 255, "outputs": "probabilities"}
    entry = entry_of(row(), summary)
    assert entry.key == ("test_a.py::test_recall", "recall[fraud]", "", 1)
    assert (entry.estimate, entry.lower, entry.upper, entry.support) == (0.951235, 0.91, 0.97, 120)
    assert (entry.bar, entry.direction, entry.confidence, entry.if_unsure) == (0.9, "at_least", 0.95, "estimate")
    assert entry.data == {
        "n": 3,
        "fingerprint": "00000000000000ff",
        "labels": ["ok", "fraud"],
        "threshold": 0.3,
        "task": "binary",
        "outputs": "probabilities",
        "loss": None,
    }


def test_many_labels_stand_there_as_a_count_and_a_digest(row: Any) -> None:
    summary = {"n": 9, "labels": list(range(1000)), "task": "multiclass"}
    other = summary | {"labels": list(range(1, 1001))}
    one, two = (entry_of(row(), of).data["labels"] for of in (summary, other))
    assert one[0].startswith("1000 labels, ")
    assert one != two


def test_a_number_that_is_not_finite_is_none(row: Any) -> None:
    entry = entry_of(row() | {"estimate": "inf", "lower": "-inf", "upper": None})
    assert (entry.estimate, entry.lower, entry.upper) == (None, None, None)


def test_a_slice_is_part_of_the_key_but_not_the_weakest_one_of_a_family(row: Any, family: Any) -> None:
    assert entry_of(row(slice="region=north")).key[2] == "region=north"
    entry = entry_of(row("recall[fraud] >= 0.8 by region", slice="region=b", details=family("b", "a", unjudged=("c",))))
    assert (entry.slice, entry.slices, entry.unjudged) == (None, ("a", "b", "c"), ("c",))


def test_another_name_than_the_tests_id(row: Any) -> None:
    assert entry_of(row(baseline_key="f.modelgate.yaml::recall[fraud]")).test == "f.modelgate.yaml::recall[fraud]"


def test_the_same_thing_twice_in_a_test_is_numbered(row: Any) -> None:
    rows = [row(), row(bar=0.8), row("f1"), row(test="t::b"), row(slice="region=north"), row(bar=0.7)]
    assert [number for _, number in numbered(rows)] == [1, 2, 1, 1, 1, 3]


def test_an_entry_in_words(row: Any) -> None:
    assert str(entry_of(row(), number=2)) == "recall[fraud] (2) in test_a.py::test_recall"
    assert str(entry_of(row(slice="region=north"))) == "recall[fraud] on region=north in test_a.py::test_recall"
