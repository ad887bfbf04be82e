"""The gates on label leakage, drift and shuffled labels: words, colours and what is said."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelgate import BarError, Outcome, Verdict
from pytest_modelgate.evidence.audit import DataAudit, Finding
from pytest_modelgate.gates.distribution import SameDistribution
from pytest_modelgate.gates.label_leakage import NoLabelLeakage
from pytest_modelgate.gates.shuffled import ChanceOnShuffledLabels

GATES: list[Any] = [NoLabelLeakage, SameDistribution, ChanceOnShuffledLabels]


def finding(name: str, estimate: float, lower: float, upper: float, p: float) -> Finding:
    return Finding(
        name=name, count=None, of=None, estimate=estimate, lower=lower, upper=upper, p=p, text=f"{name} alone"
    )


def remark(name: str, text: str) -> Finding:
    return Finding(name=name, count=3, of=9, text=text)


def leaks(*findings: Finding, features: int = 10) -> DataAudit:
    return DataAudit(about="label leakage", sizes={"rows": 200}, features=features, findings=findings)


def drifts(*findings: Finding, features: int = 10) -> DataAudit:
    return DataAudit(about="same distribution", sizes={"train": 300, "test": 100}, features=features, findings=findings)


def shuffled(*findings: Finding) -> DataAudit:
    sizes = {"samples": 80, "held out": 200, "shuffles": 5}
    return DataAudit(about="shuffled labels", sizes=sizes, features=None, findings=findings)


FAIL, PASS, UNSURE = Outcome.FAIL, Outcome.PASS, Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("figures", "outcome", "passed"),
    [
        ((1.0, 0.95, 1.0, 1e-9), FAIL, False),
        ((0.99, 0.901, 1.0, 4.9e-4), FAIL, False),
        ((0.99, 0.899, 1.0, 1e-9), UNSURE, False),
        ((1.0, 0.95, 1.0, 5e-4), UNSURE, True),
        ((0.9899, 0.95, 0.999, 1e-9), UNSURE, True),
        ((0.95, 0.93, 0.99, 1e-9), UNSURE, True),
        ((0.95, 0.93, 0.9899, 1e-9), PASS, True),
    ],
)
def test_label_leakage(figures: tuple[float, float, float, float], outcome: Outcome, passed: bool) -> None:
    """10 features in two ways each: p below .0005 is not chance."""
    verdict = NoLabelLeakage().check(leaks(finding("age", *figures), finding("noise", 0.5, 0.4, 0.6, 0.9)))
    assert (verdict.outcome, verdict.passed) == (outcome, passed)
    assert (verdict.estimate, verdict.lower, verdict.upper) == figures[:3]
    assert (verdict.metric, verdict.bar, verdict.direction, verdict.support) == (
        "no_label_leakage",
        0.99,
        "at_most",
        200,
    )
    assert verdict.family == "Bonferroni over 10 features, two ways each"
    assert "'age'" in verdict.explanation
    assert ("usual causes" in str(verdict)) is not passed
    assert verdict.details == (("features", [] if passed else ["age"]),)


def test_label_leakage_names_the_leaks_and_how_many() -> None:
    many = [finding(f"x{place}", 1.0, 0.95, 1.0, 0.0) for place in range(12)]
    verdict = NoLabelLeakage().check(leaks(*many, remark("left out", "3 rows without a target left out"), features=99))
    assert verdict.explanation.startswith("FAIL: 12 features of 99 alone all but decide the target: 'x0', 'x1'")
    assert "'x9', ..., at 1.000, required < 0.990" in verdict.explanation
    assert verdict.notes[:2] == ("x0 alone", "x1 alone")
    assert "x10 alone" not in verdict.notes
    assert verdict.notes[-1] == "3 rows without a target left out"
    one = NoLabelLeakage(at=0.8).check(leaks(many[0]))
    assert one.explanation == (
        "FAIL: 1 feature of 10 alone all but decides the target: 'x0', at 1.000, required < 0.800"
    )


def test_label_leakage_of_nothing() -> None:
    verdict = NoLabelLeakage(if_unsure="warn").check(leaks(remark("undefined", "there is one class only, in 9 rows")))
    assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
    assert verdict.explanation.endswith("cannot be judged: there is one class only, in 9 rows")


@pytest.mark.parametrize(
    ("figures", "outcome", "passed"),
    [
        ((0.2, 0.051, 0.3, 1e-9), FAIL, False),
        ((0.2, 0.05, 0.3, 9e-4), UNSURE, False),
        ((0.2, 0.0, 0.3, 1e-3), UNSURE, True),
        ((0.05, 0.03, 0.07, 1e-9), UNSURE, True),
        ((0.03, 0.02, 0.05, 1e-9), PASS, True),
        ((0.03, 0.0, 0.051, 0.5), UNSURE, True),
    ],
)
def test_same_distribution(figures: tuple[float, float, float, float], outcome: Outcome, passed: bool) -> None:
    """10 figures: p below .001 is not chance."""
    still = finding("still", 0.01, 0.0, 0.04, 1.0)
    verdict = SameDistribution().check(drifts(still, finding("age", *figures)))
    assert (verdict.outcome, verdict.passed) == (outcome, passed)
    assert (verdict.estimate, verdict.lower, verdict.upper) == figures[:3]
    assert (verdict.metric, verdict.bar, verdict.direction, verdict.support) == (
        "same_distribution",
        0.05,
        "at_most",
        100,
    )
    assert verdict.family == "Bonferroni over 10 figures"
    assert ("usual causes" in str(verdict)) is not passed
    assert verdict.details == (("differing", [] if passed else ["age"]),)


def test_same_distribution_names_what_differs_most_surely_first() -> None:
    some = [finding("shares", 0.5, 0.1, 0.9, 0.0), finding("age", 0.4, 0.3, 0.5, 0.0), remark("left out", "9 of 10")]
    verdict = SameDistribution().check(drifts(*some))
    assert verdict.explanation == (
        "FAIL: 'age', 'shares' differ between train and test, the first by 0.400, required <= 0.050"
    )
    assert verdict.notes[:2] == ("age alone", "shares alone")
    assert verdict.notes[-1] == "9 of 10"
    assert SameDistribution(0.6).check(drifts(*some)).outcome is UNSURE
    assert SameDistribution(0.9).check(drifts(*some)).outcome is PASS


@pytest.mark.parametrize(
    ("figures", "outcome", "passed"),
    [
        ((0.02, 0.001, 0.03, 0.01), FAIL, False),
        ((0.02, 0.001, 0.1, 0.011), PASS, True),
        ((0.02, 0.001, 0.101, 0.011), UNSURE, True),
        ((0.3, -0.1, 0.7, 0.05), UNSURE, True),
        ((-0.3, -0.4, -0.2, 1.0), PASS, True),
    ],
)
def test_chance(figures: tuple[float, float, float, float], outcome: Outcome, passed: bool) -> None:
    single = Finding(name="seed 0", count=None, of=None, text="seed 0: 0.020")
    verdict = ChanceOnShuffledLabels().check(shuffled(finding("all shuffles", *figures), single))
    assert (verdict.outcome, verdict.passed, verdict.support) == (outcome, passed, 200)
    assert (verdict.estimate, verdict.lower, verdict.upper) == figures[:3]
    assert verdict.details == (("shuffles", 5), ("p", figures[3]))
    assert "by shuffle: seed 0: 0.020" in verdict.notes
    assert ("feature selection" in str(verdict)) is (outcome is FAIL)


def test_chance_of_nothing() -> None:
    verdict = ChanceOnShuffledLabels().check(shuffled(remark("undefined", "all 80 targets are the same")))
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    constant = shuffled(remark("constant", "all predictions are alike"))
    assert [ChanceOnShuffledLabels(if_unsure=each).check(constant).passed for each in ("estimate", "warn", "fail")] == [
        True,
        True,
        False,
    ]


UNSURE_AUDITS = [
    (NoLabelLeakage, leaks(finding("age", 1.0, 0.8, 1.0, 1e-9)), False),
    (NoLabelLeakage, leaks(finding("age", 0.9, 0.8, 1.0, 1e-9)), True),
    (SameDistribution, drifts(finding("age", 0.2, 0.0, 0.3, 1e-9)), False),
    (SameDistribution, drifts(finding("age", 0.2, 0.0, 0.3, 0.5)), True),
    (ChanceOnShuffledLabels, shuffled(finding("all shuffles", 0.2, -0.1, 0.4, 0.2)), True),
]


@pytest.mark.parametrize(("gate", "audit", "green"), UNSURE_AUDITS)
def test_the_colour_of_doubt(gate: Any, audit: DataAudit, green: bool) -> None:
    found = {each: gate(if_unsure=each).check(audit) for each in ("estimate", "warn", "fail")}
    assert {each: verdict.passed for each, verdict in found.items()} == {
        "estimate": green,
        "warn": True,
        "fail": False,
    }
    for verdict in found.values():
        assert verdict.outcome is UNSURE
        assert verdict.explanation.startswith(f"INCONCLUSIVE (leans {'pass' if green else 'fail'}): ")
        assert Verdict.from_json(verdict.to_json()) == verdict
    assert "red since if_unsure='fail' takes nothing but proof" in found["fail"].notes


@pytest.mark.parametrize(
    ("gate", "audit"),
    [
        (NoLabelLeakage, leaks(finding("age", 1.0, 0.95, 1.0, 4e-4))),
        (SameDistribution, drifts(finding("age", 0.2, 0.0, 0.3, 9e-4))),
        (ChanceOnShuffledLabels, shuffled(finding("all shuffles", 0.2, 0.1, 0.3, 0.009))),
    ],
)
def test_a_higher_confidence_asks_for_more_than_1_in_100(gate: Any, audit: DataAudit) -> None:
    assert not gate(confidence=0.95).check(audit).passed
    assert not gate(confidence=0.5).check(audit).passed
    assert gate(confidence=0.999).check(audit).passed


@pytest.mark.parametrize("gate", GATES)
def test_gates_are_values_and_refuse_what_makes_no_sense(gate: Any) -> None:
    assert gate() == gate(confidence=0.95)
    assert hash(gate()) == hash(gate())
    with pytest.raises(BarError, match="confidence"):
        gate(confidence=95)
    with pytest.raises(BarError, match="if_unsure"):
        gate(if_unsure="maybe")


@pytest.mark.parametrize("at", [0.5, 1, 99, float("nan"), "0.9", True])
def test_bars_of_label_leakage(at: Any) -> None:
    with pytest.raises(BarError):
        NoLabelLeakage(at)


@pytest.mark.parametrize("at_most", [-0.1, 1, 5, float("nan"), None, True])
def test_bars_of_drift(at_most: Any) -> None:
    with pytest.raises(BarError):
        SameDistribution(at_most)
