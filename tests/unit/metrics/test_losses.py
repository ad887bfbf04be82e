"""The mean loss: sums without rounding, against `fractions` and `math.fsum`."""

from __future__ import annotations

import itertools
import json
import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate import EvidenceError
from pytest_modelgate.metrics.losses import MeanLoss

hostile = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [1e308, -1e308, 5e-324, -5e-324, 2.2250738585072014e-308, 1e16, 1.0, -1e16, 0.1, -0.0, 2**53 + 2.0, 1e-300]
)
values = st.lists(hostile, max_size=60)


@given(
    numbers=st.lists(hostile, min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=100)
def test_no_order_and_no_cut_changes_the_mean(numbers: list[float], cuts: list[int], seed: int) -> None:
    whole = MeanLoss.of("mse_loss", np.array(numbers))
    shuffled = random.Random(seed).sample(numbers, len(numbers))
    edges = [0, *sorted(min(cut, len(numbers)) for cut in cuts), len(numbers)]
    parts = [MeanLoss.of("mse_loss", np.array(shuffled[a:b])) for a, b in itertools.pairwise(edges)]
    random.Random(seed + 1).shuffle(parts)
    assert sum(parts, start=MeanLoss(name="mse_loss")) == whole
    assert whole.mean == float(sum(map(Fraction, numbers)) / len(numbers))
    assert whole.samples == len(numbers)


@given(
    pairs=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6)), min_size=1, max_size=30),
    cut=st.integers(0, 30),
)
@settings(deadline=None, max_examples=100)
def test_weighted_means(pairs: list[tuple[float, float]], cut: int) -> None:
    losses, weights = np.array([a for a, _ in pairs]), np.array([w for _, w in pairs])
    whole = MeanLoss.of("cross_entropy", losses, weights)
    assert whole.mean == float(sum(map(Fraction, losses.tolist())) / sum(map(Fraction, weights.tolist())))
    merged = MeanLoss.of("cross_entropy", losses[:cut], weights[:cut]) + MeanLoss.of(
        "cross_entropy", losses[cut:], weights[cut:]
    )
    assert merged == whole


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_gets_lost(bad: float) -> None:
    loss = MeanLoss.of("mse_loss", np.array([1.0, bad, 2.0])) + MeanLoss.of("mse_loss", np.array([3.0]))
    assert loss.count_not_finite == 1
    assert loss.samples == 4
    assert not math.isfinite(loss.mean)


def test_nothing_has_no_mean() -> None:
    assert MeanLoss(name="mse_loss").mean is None
    assert MeanLoss.of("mse_loss", np.array([])).mean is None
    assert MeanLoss.of("cross_entropy", np.array([0.0]), np.array([0.0])).mean is None


def test_other_losses_never_merge() -> None:
    with pytest.raises(EvidenceError, match="'mse_loss' and 'l1_loss'"):
        MeanLoss(name="mse_loss") + MeanLoss(name="l1_loss")
    with pytest.raises(TypeError):
        MeanLoss(name="mse_loss") + 0.5


@given(numbers=values)
@settings(deadline=None, max_examples=50)
def test_plain_types_and_back(numbers: list[float]) -> None:
    loss = MeanLoss.of("mse_loss", np.array([*numbers, math.nan]))
    assert MeanLoss.from_dict(json.loads(json.dumps(loss.to_dict()))) == loss
