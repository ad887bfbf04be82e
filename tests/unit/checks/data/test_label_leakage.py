"""What single features tell of a target: leaks of every kind, and what is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import datasets
from sklearn.metrics import roc_auc_score

from pytest_modelgate import EvidenceError
from pytest_modelgate.checks.data import label_leakage
from pytest_modelgate.checks.data.label_leakage import audit_label_leakage
from pytest_modelgate.metrics.ranking_bounds import roc_auc_interval

RNG = np.random.default_rng(0)
TWO, THREE = np.repeat([0, 1], 60), np.repeat([2, 5, 9], 60)


def leak(target: Any, kind: str) -> Any:
    """A feature made of the target."""
    rank, rng = np.unique(target, return_inverse=True)[1], np.random.default_rng(1)
    return {
        "copy": target,
        "backwards": -rank + 0.1 * rng.normal(size=len(rank)),
        "folded": (rank + rng.uniform(0.1, 0.9, len(rank))) * rng.choice([-1, 1], len(rank)),
        "codes": np.array([4, 0, 7, 2, 5, 1, 8, 3, 6])[rank * 3 + rng.integers(0, 3, len(rank))],
        "texts": np.array([f"{chr(97 + 5 * value % 7)}{rng.integers(0, 3)}" for value in rank], dtype=object),
        "other names": np.array(["red", "blue", "green"])[rank],
    }[kind]


@pytest.mark.parametrize("target", [TWO, THREE, THREE.astype(str)], ids=["two", "three", "texts"])
@pytest.mark.parametrize("kind", ["copy", "backwards", "folded", "codes", "texts", "other names"])
def test_leaks_of_every_kind(target: Any, kind: str) -> None:
    columns = {"noise": RNG.normal(size=len(target)), "leak": leak(target, kind), "constant": np.ones(len(target))}
    order = np.random.default_rng(2).permutation(len(target))
    found = audit_label_leakage({name: values[order] for name, values in columns.items()}, target[order])
    worst = found.findings[0]
    assert worst.name == "leak"
    assert worst.estimate is not None
    assert worst.estimate > 0.99
    assert worst.p is not None
    assert worst.p < 1e-10
    assert worst.lower is not None
    assert worst.lower > 0.9
    assert found["noise"].estimate < 0.7
    assert found["constant"].estimate == 0.5
    assert found["constant"].p == 1.0


def test_missing_values_leak_too() -> None:
    gone = np.where(TWO == 1, np.nan, RNG.normal(size=120))
    assert audit_label_leakage({"x": gone}, TWO)["x"].estimate == 1.0
    gone = np.where(RNG.permutation(120) < 60, np.nan, RNG.normal(size=120))
    assert audit_label_leakage({"x": gone}, TWO)["x"].estimate < 0.7


@pytest.mark.parametrize("repeats", [1, 2, 5])
@pytest.mark.parametrize("text", [False, True])
def test_identifiers_that_tell_nothing(repeats: int, text: bool) -> None:
    ids = np.random.default_rng(repeats).permutation(600) // repeats
    found = audit_label_leakage({"id": ids.astype(str).astype(object) if text else ids}, np.repeat([0, 1], 300))
    assert found["id"].estimate < 0.6


def test_identifiers_whose_groups_have_one_class() -> None:
    """60 patients of 10 rows, each with one diagnosis."""
    ids = np.repeat(np.random.default_rng(0).permutation(60), 10)
    target = np.random.default_rng(1).integers(0, 2, 60)[ids]
    assert audit_label_leakage({"patient": ids}, target)["patient"].estimate > 0.99


def test_the_figure_of_two_classes_is_the_roc_auc() -> None:
    inputs, target = datasets.load_breast_cancer(return_X_y=True)
    found = audit_label_leakage(inputs, target)
    place = int(found.findings[0].name.split()[1])
    area = roc_auc_score(target, inputs[:, place])
    assert found.findings[0].estimate == pytest.approx(max(area, 1 - area))
    theirs = stats.mannwhitneyu(inputs[target == 1, place], inputs[target == 0, place], method="asymptotic")
    assert found.findings[0].p == pytest.approx(theirs.pvalue, rel=1e-6)
    assert (found.features, dict(found.sizes), len(found.findings)) == (30, {"rows": 569}, 20)


def test_the_figure_of_several_classes_is_of_the_pair_told_least() -> None:
    inputs, target = datasets.load_iris(return_X_y=True)
    found = audit_label_leakage(inputs, target)["feature 2"]
    pair = target > 0
    assert found.estimate == pytest.approx(roc_auc_score(target[pair] == 2, inputs[pair, 2]))


def test_bounds_of_several_classes() -> None:
    """The least lower bound over two neighbouring pairs, and the least upper one at half the risk."""
    inputs, target = datasets.load_iris(return_X_y=True)
    found = audit_label_leakage(inputs, target)["feature 2"]
    pairs = [(inputs[rows, 2], target[rows] == high) for rows, high in ((target < 2, 1), (target > 0, 2))]
    assert found.lower == min(roc_auc_interval(*pair, confidence=0.95).lower for pair in pairs)
    assert found.upper == min(roc_auc_interval(*pair, confidence=0.975).upper for pair in pairs)


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris"])
def test_real_features_are_no_leaks(name: str) -> None:
    inputs, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    assert audit_label_leakage(inputs[:, :30], target).findings[0].estimate < 0.99


def test_regression() -> None:
    inputs, target = datasets.load_diabetes(return_X_y=True)
    found = audit_label_leakage(inputs, target, task="regression")
    place = int(found.findings[0].name.split()[1])
    assert found.findings[0].estimate == pytest.approx(abs(stats.spearmanr(inputs[:, place], target).statistic))
    made = {"falling": -np.exp(target / 100), "folded": (target - 25) * RNG.choice([-1, 1], len(target))}
    found = audit_label_leakage(made, target, task="regression")
    assert found["falling"].estimate == pytest.approx(1.0)
    assert found["folded"].estimate < 0.99  # neighbours on one side of 0 are not neighbours on the other
    assert audit_label_leakage({"x": np.abs(target - 150)}, target, task="regression")["x"].estimate < 0.9


def test_rows_and_classes_that_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    target = np.concatenate((TWO.astype(float), [np.nan] * 3, [7.5] * 2))
    found = audit_label_leakage(np.zeros((125, 1)), target, task="classification")
    texts = [one.text for one in found.findings if one.name == "left out"]
    assert texts[0] == "3 rows without a target left out"
    assert texts[1].startswith("2 rows of classes of fewer than 5 samples")
    monkeypatch.setattr(label_leakage, "MOST_ROWS", 100)
    target = np.repeat([0, 1], [4000, 500])
    found = audit_label_leakage({"copy": target, "noise": np.arange(4500) % 7}, target)
    assert found["left out"].text == "3,000 rows not looked at: 1,500 are enough"
    assert found["copy"].estimate == 1.0
    amounts = RNG.normal(size=500)
    assert audit_label_leakage({"copy": amounts}, amounts)["copy"].estimate == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (np.zeros(9), "there is one class only, in 9 rows"),
        (np.full(9, np.nan), "there is no target"),
        (np.zeros(9) + 0.5, "there is one class only, in 9 rows"),
    ],
)
def test_nothing_to_judge(target: Any, text: str) -> None:
    assert audit_label_leakage(np.zeros((9, 2)), target)["undefined"].text == text
    assert audit_label_leakage(np.zeros((0, 2)), [])["undefined"].text == "there is no target"


def test_lengths_must_match() -> None:
    with pytest.raises(EvidenceError, match="9 rows of features and 8 targets"):
        audit_label_leakage(np.zeros((9, 2)), [0, 1] * 4)


def test_the_same_rows_in_another_order_and_again() -> None:
    inputs, target = datasets.load_wine(return_X_y=True)
    before = inputs.copy()
    first = audit_label_leakage(inputs, target)
    assert first == audit_label_leakage(inputs, target)
    assert np.array_equal(inputs, before)
    order = np.random.default_rng(0).permutation(len(target))
    again = audit_label_leakage(inputs[order], target[order]).findings[0]
    assert (again.name, again.estimate) == (first.findings[0].name, pytest.approx(first.findings[0].estimate))
