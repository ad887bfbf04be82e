"""Families that the tool makes are corrected after Holm and say so; gates written by hand are neither."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import pytest_modelgate as mg
from pytest_modelgate import ConfusionMatrix, EveryClassRecall, Gate, Outcome


def diagonal(hits: list[int], support: list[int]) -> ConfusionMatrix:
    """A matrix with so many hits of each class; what was missed is taken for the next class."""
    counts = np.diag(hits)
    for i, (k, n) in enumerate(zip(hits, support, strict=True)):
        counts[i, (i + 1) % len(hits)] += n - k
    return ConfusionMatrix(counts, labels=[f"c{i}" for i in range(len(hits))])


def holm_by_scipy(hits: list[int], support: list[int], bar: float, alpha: float) -> list[str]:
    """The step-down procedure by its definition, on scipy's exact tests."""
    p_values = [stats.binomtest(k, n, bar, alternative="less").pvalue for k, n in zip(hits, support, strict=True)]
    refuted: list[int] = []
    for rank, index in enumerate(sorted(range(len(hits)), key=p_values.__getitem__)):
        if p_values[index] > alpha / (len(hits) - rank):
            break
        refuted.append(index)
    return [f"c{i}" for i in sorted(refuted)]


@given(
    st.lists(st.tuples(st.integers(1, 80), st.floats(0, 1)), min_size=2, max_size=8),
    st.sampled_from([0.5, 0.8, 0.95]),
    st.sampled_from([0.9, 0.95]),
)
@settings(deadline=None, max_examples=80)
def test_every_class_is_holms(classes: list[tuple[int, float]], bar: float, confidence: float) -> None:
    support = [n for n, _ in classes]
    hits = [round(n * share) for n, share in classes]
    verdict = EveryClassRecall(bar, confidence=confidence).check(diagonal(hits, support))
    refuted = holm_by_scipy(hits, support, bar, 1 - confidence)
    assert (verdict.outcome is Outcome.FAIL) == bool(refuted)
    proved = all(
        stats.binomtest(k, n, bar, alternative="greater").pvalue <= 1 - confidence
        for k, n in zip(hits, support, strict=True)
    )
    assert (verdict.outcome is Outcome.PASS) == (proved and not refuted)
    assert verdict.family == f"Holm over {len(classes)} classes"
    below = sum(k / n < bar for k, n in zip(hits, support, strict=True))
    lines = [line for line in str(verdict).splitlines() if "proved to be below" in line]
    assert lines == ([f"  proved to be below: {', '.join(map(repr, refuted))}"] if refuted and below > 1 else [])
    # PASS iff the lower bound meets the bar, FAIL iff the upper one does not.
    assert verdict.lower is not None
    assert verdict.upper is not None
    assert (verdict.outcome is Outcome.FAIL) == (verdict.upper < bar)
    assert (verdict.outcome is Outcome.PASS) == (verdict.lower >= bar and not refuted)


def test_the_more_classes_the_more_proof_a_failure_needs() -> None:
    """14 of 20 against 0.9: p = .011. Refuted as one class of two, open as one of twenty."""
    assert EveryClassRecall(0.9).check(diagonal([14, 20], [20, 20])).outcome is Outcome.FAIL
    many = EveryClassRecall(0.9).check(diagonal([14, *[20] * 19], [20] * 20))
    assert many.outcome is Outcome.INCONCLUSIVE
    assert not many.passed
    assert "Holm over 20 classes" in str(many)


def test_a_suite_of_many_good_classes_is_seldom_refuted() -> None:
    """Ten classes whose recall is just the bar: at most 5% of test sets say FAIL, where plain tests say 30%."""
    rng, holm, plain = np.random.default_rng(0), 0, 0
    for _ in range(400):
        hits = rng.binomial(50, 0.8, 10).tolist()
        holm += EveryClassRecall(0.8).check(diagonal(hits, [50] * 10)).outcome is Outcome.FAIL
        plain += any(stats.binom.cdf(k, 50, 0.8) <= 0.05 for k in hits)
    assert holm <= 30  # 5% of 400, and 2.3 standard errors
    assert plain > 80


def test_groups_are_corrected_too() -> None:
    target = np.arange(600) % 3
    preds = np.where((target == 2) & (np.arange(600) % 2 == 0), 0, target)
    found = mg.Evaluation.from_predictions(
        target=target, preds=preds, outputs="labels", labels=("a", "b", "c"), groups=np.arange(600) // 6
    )
    verdict = EveryClassRecall(0.9).check(found)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.family == "Holm over 3 classes"
    assert "100 groups" in str(verdict.method)


@pytest.mark.parametrize(
    "gate",
    [
        Gate("recall", at_least=0.5, label="c0"),
        Gate("recall", at_least=0.5, average="macro"),
        Gate("accuracy", at_least=0.5, anytime=True, allow_vacuous=True),
        mg.BeatsMajorityClass(),
    ],
)
def test_gates_by_hand_are_no_family(gate: Any) -> None:
    verdict = gate.check(diagonal([18, 19, 20], [20, 20, 20]))
    assert verdict.family is None
    assert "Holm" not in str(verdict)


def test_it_comes_back_from_json() -> None:
    verdict = EveryClassRecall(0.95).check(diagonal([14, 15, 20], [20, 20, 20]))
    assert mg.Verdict.from_json(verdict.to_json()) == verdict
    assert verdict.to_dict()["family"] == "Holm over 3 classes"
