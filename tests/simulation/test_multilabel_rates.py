"""How often bounds of averages over labels are wrong, where labels have nothing, much or all to do with each other."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom

from pytest_modelgate import Evaluation

PREVALENCE, RECALL = np.array([0.5, 0.3, 0.4, 0.6]), np.array([0.95, 0.9, 0.7, 0.85])
TRUTH = {"macro": RECALL.mean(), "micro": (PREVALENCE * RECALL).sum() / PREVALENCE.sum()}
DRAWS = 150


def correlated(rng: np.random.Generator, n: int, correlation: float, share: np.ndarray) -> np.ndarray:
    """Bits [n, 4] of these shares, out of normal numbers of this correlation."""
    common, own = rng.normal(size=(n, 1)), rng.normal(size=(n, 4))
    return np.asarray(ndtr(sqrt(correlation) * common + sqrt(1 - correlation) * own) < share)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.99])
def test_bounds_are_wrong_in_at_most_5_percent(correlation: float) -> None:
    rng = np.random.default_rng(6)
    wrong = {(average, side): 0 for average in TRUTH for side in ("lower", "upper")}
    for _ in range(DRAWS):
        target = correlated(rng, 150, correlation, PREVALENCE)
        preds = np.where(target, correlated(rng, 150, correlation, RECALL), rng.random((150, 4)) < 0.1)
        found = Evaluation.from_predictions(target=target, preds=preds, outputs="labels", task="multilabel")
        for average, truth in TRUTH.items():
            lower, upper = found.interval("recall", average=average)
            wrong[average, "lower"] += lower > truth
            wrong[average, "upper"] += upper < truth
    assert all(count <= binom.ppf(0.999, DRAWS, 0.05) for count in wrong.values()), wrong
