"""Errors of predicted numbers against scikit-learn; their bounds against scipy and the binomial distribution."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as oracle
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.metrics.regression import (
    absolute_errors,
    mean_absolute_error,
    mean_absolute_error_interval,
    median_absolute_error,
    median_absolute_error_interval,
    r2,
    r2_interval,
    root_mean_squared_error,
    root_mean_squared_error_interval,
    squared_residuals,
)
from pytest_modelgate.statistics.means import mean_interval

laws = settings(max_examples=50, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
METRICS = (mean_absolute_error, root_mean_squared_error, r2, median_absolute_error)
INTERVALS = (
    mean_absolute_error_interval,
    root_mean_squared_error_interval,
    r2_interval,
    median_absolute_error_interval,
)


def drawn(seed, n=80, outputs=None):
    rng = np.random.default_rng(seed)
    shape = n if outputs is None else (n, outputs)
    actual = rng.normal(size=shape) * 3 + 1
    return actual, actual + rng.normal(size=shape), rng.random(n) + 0.1


def weighted_median(errors, weights):
    """The value at which half of the weight is reached, summed one by one."""
    reached = 0.0
    for error, weight in sorted(zip(errors, weights, strict=True)):
        reached += weight
        if reached >= sum(weights) / 2:
            return error
    raise AssertionError


class TestEstimates:
    @laws
    @given(seeds, st.booleans())
    def test_against_scikit_learn(self, seed, weigh):
        actual, predicted, w = drawn(seed)
        w = w if weigh else None
        found = [metric(actual, predicted, weights=w) for metric in METRICS[:3]]
        expected = [
            function(actual, predicted, sample_weight=w)
            for function in (oracle.mean_absolute_error, oracle.root_mean_squared_error, oracle.r2_score)
        ]
        assert found == pytest.approx(expected, rel=1e-12)

    @laws
    @given(seeds)
    def test_median_against_scikit_learn(self, seed):
        actual, predicted, w = drawn(seed)
        assert median_absolute_error(actual, predicted) == oracle.median_absolute_error(actual, predicted)
        expected = weighted_median(np.abs(actual - predicted), w)
        assert median_absolute_error(actual, predicted, weights=w) == expected
        assert expected == oracle.median_absolute_error(actual, predicted, sample_weight=w)

    @laws
    @given(seeds)
    def test_several_outputs(self, seed):
        actual, predicted, w = drawn(seed, outputs=3)
        for weights in (None, w):
            kw = {"sample_weight": weights}
            assert mean_absolute_error(actual, predicted, weights=weights) == pytest.approx(
                oracle.mean_absolute_error(actual, predicted, **kw)
            )
            assert root_mean_squared_error(actual, predicted, weights=weights) ** 2 == pytest.approx(
                oracle.mean_squared_error(actual, predicted, **kw)
            )
            assert r2(actual, predicted, weights=weights) == pytest.approx(oracle.r2_score(actual, predicted, **kw))

    def test_rows_of_one_output_are_the_column(self):
        actual, predicted, w = drawn(0)
        for metric in METRICS:
            found = metric(actual[:, None], predicted[:, None], weights=w)
            assert found == pytest.approx(metric(actual, predicted, weights=w), rel=1e-14)

    def test_r2_of_float32_with_a_large_mean(self):
        rng = np.random.default_rng(0)
        actual = (1e4 + rng.normal(size=100_000)).astype(np.float32)
        predicted = (actual + 0.5 * rng.normal(size=100_000)).astype(np.float32)
        expected = oracle.r2_score(actual.astype(np.float64), predicted.astype(np.float64))
        assert r2(actual, predicted) == pytest.approx(expected, abs=1e-12)
        assert r2(actual, predicted) == pytest.approx(0.75, abs=0.01)

    def test_tensors(self):
        actual, predicted, w = drawn(1)
        tensors = [torch.from_numpy(array) for array in (actual, predicted, w)]
        for metric in METRICS:
            assert metric(*tensors[:2], weights=tensors[2]) == metric(actual, predicted, weights=w)

    @pytest.mark.parametrize("metric", METRICS)
    def test_nothing(self, metric):
        assert metric([], []) is None
        assert metric([], [], weights=[]) is None

    @pytest.mark.parametrize("actual", [[2.0], [0.1] * 5, [[1.0, 2.0], [1.0, 3.0]]])
    def test_r2_of_targets_that_do_not_vary(self, actual):
        assert r2(actual, np.zeros_like(actual)) is None
        assert r2([1.0, 1.0, 5.0], [1.0, 2.0, 3.0], weights=[1.0, 1.0, 0.0]) is None

    def test_weighted_median_by_hand(self):
        assert median_absolute_error([0, 0, 0], [1, 2, 3], weights=[1, 1, 5]) == 3
        assert median_absolute_error([0, 0, 0, 0], [1, 2, 3, 4], weights=[1, 1, 1, 1]) == 2.5
        assert median_absolute_error([0, 0, 0], [1, 2, 9], weights=[1, 1, 0]) == 1.5

    @laws
    @given(seeds, st.booleans(), st.sampled_from([None, 2]))
    def test_the_order_of_the_samples_takes_no_part(self, seed, weigh, outputs):
        actual, predicted, w = drawn(seed, 60, outputs)
        order = np.random.default_rng(seed).permutation(60)
        groups = np.arange(60) // 2
        for metric in METRICS:
            weights = (w, w[order]) if weigh else (None, None)
            assert metric(actual, predicted, weights=weights[0]) == metric(
                actual[order], predicted[order], weights=weights[1]
            )
        for interval in INTERVALS[:3]:
            assert interval(actual, predicted, weights=weights[0], groups=groups) == interval(
                actual[order], predicted[order], weights=weights[1], groups=groups[order]
            )

    @pytest.mark.parametrize("function", [*METRICS, *INTERVALS])
    @pytest.mark.parametrize(
        ("actual", "predicted", "message"),
        [
            ([1.0, math.nan], [1.0, 2.0], "actual values must be finite"),
            ([1.0, 2.0], [1.0, math.inf], "predicted values must be finite"),
            ([1.0, 2.0], [1.0], r"they have \[2\] and \[1\]"),
            ([1.0, 2.0], [[1.0], [2.0]], r"they have \[2\] and \[2, 1\]"),
            ([[[1.0]]], [[[1.0]]], "must have one shape"),
            ([[], []], [[], []], "must have one shape"),
        ],
    )
    def test_bad_input(self, function, actual, predicted, message):
        with pytest.raises(EvidenceError, match=message):
            function(actual, predicted)

    @pytest.mark.parametrize("function", [*METRICS, *INTERVALS])
    @pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0], [math.nan, 1.0], [1.0], [[1.0], [1.0]]])
    def test_bad_weights(self, function, weights):
        with pytest.raises(EvidenceError, match="weights must"):
            function([1.0, 2.0], [1.0, 3.0], weights=weights)


class TestBounds:
    def test_means(self):
        actual, predicted, w = drawn(2)
        errors = actual - predicted
        for kw in ({}, {"weights": w}, {"groups": np.arange(80) // 4}, {"largest": 9.0}, {"confidence": 0.8}):
            assert mean_absolute_error_interval(actual, predicted, **kw) == pytest.approx(
                mean_interval(np.abs(errors), smallest=0.0, **kw)
            )
            kw = kw | ({"largest": 81.0} if "largest" in kw else {})
            squares = mean_interval(errors**2, smallest=0.0, **kw)
            kw = kw | ({"largest": 9.0} if "largest" in kw else {})
            found = root_mean_squared_error_interval(actual, predicted, **kw)
            assert found == pytest.approx([math.sqrt(bound) for bound in squares])

    @pytest.mark.parametrize("outputs", [None, 2])
    def test_they_hold_the_estimate(self, outputs):
        actual, predicted, w = drawn(3, 100, outputs)
        for metric, interval in zip(METRICS, INTERVALS, strict=True):
            for kw in ({}, {"weights": w}):
                lower, upper = interval(actual, predicted, **kw)
                assert lower < metric(actual, predicted, **kw) < upper

    def test_few_samples(self):
        actual, predicted, _ = drawn(4, 12)
        assert mean_absolute_error_interval(actual, predicted) is None
        assert r2_interval(actual, predicted) is None
        assert mean_absolute_error_interval(actual, predicted, largest=10.0).upper < 10.0

    def test_perfect_predictions_prove_no_perfection(self):
        actual = np.arange(100.0)
        assert mean_absolute_error_interval(actual, actual) is None
        assert root_mean_squared_error_interval(actual, actual) is None
        assert r2_interval(actual, actual) is None
        lower, upper = root_mean_squared_error_interval(actual, actual, largest=2.0)
        assert lower == 0.0
        assert upper == pytest.approx(2 * math.sqrt(1 - 0.05**0.01))

    def test_r2_against_scipy(self):
        actual, predicted, _ = drawn(5)
        seed = "rng" if "rng" in inspect.signature(scipy.stats.bootstrap).parameters else "random_state"
        expected = scipy.stats.bootstrap(
            (actual, predicted), oracle.r2_score, paired=True, vectorized=False, confidence_level=0.9, **{seed: 0}
        ).confidence_interval
        width = expected.high - expected.low
        assert r2_interval(actual, predicted) == pytest.approx(tuple(expected), abs=0.1 * width)
        found = r2_interval(actual + 1e6, predicted + 1e6)
        assert found == pytest.approx(tuple(expected), abs=0.1 * width)

    def test_r2_where_targets_do_not_vary(self):
        assert r2_interval(np.ones(50), np.arange(50.0)) is None
        assert r2_interval([], []) is None

    @pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
    @pytest.mark.parametrize("n", [5, 8, 30, 101, 5_000])
    def test_the_median_against_the_binomial(self, n, confidence):
        """Among errors 1 to n the bounds are the innermost ranks that err seldom enough."""
        found = median_absolute_error_interval(np.zeros(n), np.arange(n) + 1.0, confidence=confidence)
        if found is None:
            assert 0.5**n > 1 - confidence
            return
        rank = int(found.lower)
        assert scipy.stats.binom.cdf(rank - 1, n, 0.5) <= 1 - confidence < scipy.stats.binom.cdf(rank, n, 0.5)
        assert found.upper == n + 1 - rank

    def test_the_median_of_few(self):
        assert median_absolute_error_interval([0.0] * 4, [1.0, 2.0, 3.0, 4.0]) is None
        assert median_absolute_error_interval([0.0] * 4, [1.0, 2.0, 3.0, 4.0], largest=9.0) == (0.0, 9.0)
        assert median_absolute_error_interval([0.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]) == (1.0, 5.0)
        assert median_absolute_error_interval([], []) is None

    def test_the_median_in_groups(self):
        errors = np.random.default_rng(0).exponential(size=60)
        zeros, groups = np.zeros(600), np.repeat(np.arange(60), 10)
        grouped = median_absolute_error_interval(zeros, np.repeat(errors, 10), groups=groups)
        naive = median_absolute_error_interval(zeros, np.repeat(errors, 10))
        assert grouped.upper - grouped.lower > 2 * (naive.upper - naive.lower)

    @pytest.mark.parametrize("interval", INTERVALS)
    def test_confidence_out_of_range(self, interval):
        with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
            interval([1.0, 2.0], [1.0, 3.0], confidence=95)

    @pytest.mark.parametrize("interval", [mean_absolute_error_interval, root_mean_squared_error_interval])
    def test_an_error_above_the_largest_possible(self, interval):
        with pytest.raises(EvidenceError, match="the greatest possible value is given as"):
            interval([0.0, 1.0], [0.0, 5.0], largest=2.0)

    def test_errors_of_single_samples(self):
        actual, predicted = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([[2.0, 4.0], [3.0, 1.0]])
        assert absolute_errors(actual, predicted).tolist() == [1.5, 1.5]
        assert squared_residuals(actual, predicted).tolist() == [2.5, 4.5]
        assert absolute_errors(actual, predicted).dtype == np.float64
