"""Agreement beyond chance, against all orders of small sets and against scikit-learn and scipy."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from pytest_modelgate.statistics.permutations import (
    Matched,
    judge_chance,
    matched_classes,
    matched_scores,
    matched_values,
)

PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=6)


@given(PAIRS)
def test_classes_over_all_orders(pairs: list[tuple[int, int]]) -> None:
    target, preds = (np.array(each) for each in zip(*pairs, strict=True))
    found = matched_classes(target, preds, 3)
    hits = [int((target == preds[list(order)]).sum()) for order in permutations(range(len(preds)))]
    assert found.excess == pytest.approx((target == preds).sum() - np.mean(hits), abs=1e-9)
    assert found.variance == pytest.approx(np.var(hits), abs=1e-9)


@given(PAIRS)
def test_values_over_all_orders(pairs: list[tuple[int, int]]) -> None:
    """Two columns that hang together: their correlations are summed, rows move as a whole."""
    table = np.array(pairs, dtype=float)
    actual, predicted = table, table[:, ::-1] + np.arange(len(table))[:, None]
    found = matched_values(actual, predicted)

    def summed(order: list[int]) -> float:
        moved = predicted[order]
        return sum(
            stats.pearsonr(actual[:, d], moved[:, d]).statistic
            for d in range(2)
            if np.ptp(actual[:, d]) > 0 and np.ptp(moved[:, d]) > 0
        )

    if len(table) > 5:
        return
    every = [summed(list(order)) for order in permutations(range(len(table)))]
    assert found.excess / len(table) == pytest.approx(summed(list(range(len(table)))), abs=1e-9)
    assert found.variance / len(table) ** 2 == pytest.approx(np.var(every), abs=1e-9)


def test_skills_are_the_known_ones() -> None:
    rng = np.random.default_rng(0)
    target, preds = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    preds[:60] = target[:60]
    kappa = judge_chance([[matched_classes(target, preds, 3)]], 0.95)
    assert kappa is not None
    assert kappa.skill == pytest.approx(cohen_kappa_score(target, preds))
    scores = rng.normal(size=200) + (target == 1)
    area = judge_chance([[matched_scores(stats.rankdata(scores), target == 1)]], 0.95)
    assert area is not None
    assert area.skill == pytest.approx(2 * roc_auc_score(target == 1, scores) - 1)
    theirs = stats.mannwhitneyu(scores[target == 1], scores[target != 1], alternative="greater", use_continuity=False)
    assert area.p == pytest.approx(theirs.pvalue, abs=0.001)


def by_folds(skills: list[float], n: int = 100) -> list[list[Matched]]:
    """Repeats of two sets with given skills."""
    rows = np.zeros(10_001)  # too many to draw orders of
    return [[Matched(skill * n / 2, n / 4, n / 2, rows, rows)] * 2 for skill in skills]


def test_repeats_that_disagree_are_no_proof() -> None:
    sure, unsure = (judge_chance(by_folds(each), 0.95) for each in ([0.5, 0.5, 0.5], [1.4, 0.1, 0.0]))
    assert sure is not None
    assert unsure is not None
    assert sure.skill == pytest.approx(unsure.skill) == pytest.approx(0.5)
    assert sure.p < 0.001
    assert unsure.p == pytest.approx(stats.ttest_1samp([1.4, 0.1, 0.0], 0, alternative="greater").pvalue)
    assert unsure.upper > sure.upper
    assert sure.upper == pytest.approx(0.5 + 1.6448536 * (3 * 2 * 25) ** 0.5 / 300)


def test_no_proof_without_repeats_that_differ() -> None:
    below = judge_chance(by_folds([-0.5, -0.5]), 0.95)
    assert below is not None
    assert below.p == 1.0


def test_nothing_to_tell() -> None:
    assert judge_chance([[matched_classes(np.array([0, 1, 0]), np.array([1, 1, 1]), 2)]], 0.95) is None
    assert judge_chance([[matched_scores(np.array([1.0, 2.0]), np.array([True, True]))]], 0.95) is None
    assert judge_chance([], 0.95) is None


def test_small_sets_are_judged_exactly() -> None:
    """One rare hit among few: the normal law would call it 1 in 500."""
    target, preds = np.zeros(60, dtype=int), np.zeros(60, dtype=int)
    target[0] = preds[0] = preds[1] = 1
    found = judge_chance([[matched_classes(target, preds, 2)]], 0.95)
    assert found is not None
    assert found.p == pytest.approx(2 / 60, abs=0.015)  # the share of orders that put a positive there
    normal = stats.norm.sf((found.skill * 2.9 - 0.5) / 0.2)
    assert normal < 0.01
