"""Calibration error against torchmetrics and sums by hand; its bounds against exact ones; Brier and log loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as oracle
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.metrics import calibration
from pytest_modelgate.metrics.calibration import calibration_error, calibration_interval, log_losses, squared_errors
from pytest_modelgate.statistics.proportions import clopper_pearson

laws = settings(max_examples=50, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed, n=400):
    """Probabilities of an overconfident model, and what happened."""
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    return p, rng.random(n) < 0.5 + 0.6 * (p - 0.5)


def bin_by_bin(p, positive, bins=15, debias=True):
    """The definition, in a loop over samples and bins."""
    members = [[] for _ in range(bins)]
    for probability, happened in zip(p.tolist(), positive.tolist(), strict=True):
        members[min(int(probability * bins), bins - 1)].append((probability, happened))
    total, square = 0, 0.0
    for some in members:
        n = len(some)
        if n == 0 or (debias and n == 1):
            continue
        stated, share = sum(p for p, _ in some) / n, sum(y for _, y in some) / n
        total += n
        square += n * ((stated - share) ** 2 - (share * (1 - share) / (n - 1) if debias else 0))
    return math.sqrt(max(0.0, square / total)) if total else None


class TestCalibrationError:
    @laws
    @given(seeds, st.integers(1, 400), st.sampled_from([1, 2, 10, 15, 40]))
    def test_against_the_definition(self, seed, n, bins):
        p, positive = drawn(seed, n)
        assert calibration_error(p, positive, bins=bins) == pytest.approx(
            bin_by_bin(p, positive, bins), abs=1e-9, nan_ok=False
        )

    @laws
    @given(seeds)
    def test_the_plug_in_is_that_of_torchmetrics(self, seed):
        """Without the correction it is their l2 norm: this holds the bins and gaps of the definition above."""
        p, positive = drawn(seed)
        expected = binary_calibration_error(torch.from_numpy(p), torch.from_numpy(positive), n_bins=15, norm="l2")
        bins, gaps = np.minimum((p * 15).astype(int), 14), positive - p
        plug_in = math.sqrt(sum((gaps[bins == b].sum()) ** 2 / max(1, (bins == b).sum()) for b in range(15)) / len(p))
        assert bin_by_bin(p, positive, debias=False) == pytest.approx(plug_in)
        assert plug_in == pytest.approx(float(expected), abs=1e-6)

    def test_many_classes_by_the_top_class(self):
        rng = np.random.default_rng(0)
        scores = rng.dirichlet(np.ones(4), size=5_000)
        target = rng.integers(0, 4, 5_000)
        expected = multiclass_calibration_error(
            torch.from_numpy(scores), torch.from_numpy(target), num_classes=4, n_bins=15, norm="l2"
        )
        found = calibration_error(scores.max(axis=1), scores.argmax(axis=1) == target)
        assert found == pytest.approx(float(expected), abs=0.002)  # 5,000 samples leave little bias to correct

    def test_the_plain_error_of_a_calibrated_model_reads_a_tenth(self):
        """STATISTICS: .09 to .11 at n = 100 without the correction; with it the squares average near 0."""
        plain, squares = [], []
        rng = np.random.default_rng(0)
        for _ in range(300):
            p = np.sqrt(rng.random(100))
            positive = rng.random(100) < p
            plain.append(bin_by_bin(p, positive, debias=False))
            squares.append(calibration_error(p, positive))
        assert np.mean(plain) > 0.09
        assert np.median(squares) < 0.05

    @laws
    @given(seeds, st.integers(1, 9))
    def test_weights_of_one_size_change_nothing(self, seed, weight):
        p, positive = drawn(seed)
        expected = calibration_error(p, positive)
        assert calibration_error(p, positive, weights=np.full(400, weight / 7)) == pytest.approx(expected, abs=1e-9)

    def test_weights(self):
        p, positive = drawn(1)
        none = np.arange(400) < 200
        assert calibration_error(p, positive, weights=none) == pytest.approx(
            calibration_error(p[:200], positive[:200]), abs=1e-9
        )

    def test_weights_after_kish(self):
        """One bin: (gap^2 - share (1 - share) / (n - 1)) with the weighted share and n = (sum w)^2 / sum w^2."""
        w = np.array([1.0, 2.0, 3.0, 0.5])
        positive = np.array([True, False, False, True])
        share, n = 1.5 / 6.5, 6.5**2 / 14.25
        expected = math.sqrt((0.9 - share) ** 2 - share * (1 - share) / (n - 1))
        assert calibration_error([0.9] * 4, positive, weights=w) == pytest.approx(expected, rel=1e-9)

    def test_single_samples_are_left_out(self):
        assert calibration_error([0.5], [True]) is None
        assert calibration_error([0.1, 0.5, 0.9], [True] * 3) is None
        assert calibration_error([], []) is None
        assert calibration_error([0.9, 0.9, 0.1], [False, False, True]) == pytest.approx(0.9)

    @pytest.mark.parametrize("bins", [1, 10, 15])
    def test_borders(self, bins):
        """0 and 1 have a bin; a border belongs to the bin above."""
        assert calibration_error([0.0, 0.0, 1.0, 1.0], [0, 0, 1, 1], bins=bins) == 0.0
        assert calibration_error([0.5, 0.5, 0.6, 0.6], [1, 1, 0, 0], bins=2) == pytest.approx(0.0)

    def test_float32_is_summed_in_float64(self):
        p, positive = drawn(2)
        p = p.astype(np.float32)
        assert calibration_error(p, positive) == calibration_error(p.astype(np.float64), positive)

    def test_chunks(self, monkeypatch):
        p, positive = drawn(3, 1000)
        expected = calibration_error(p, positive)
        monkeypatch.setattr(calibration, "CHUNK", 7)
        assert calibration_error(p, positive) == expected

    def test_a_million_samples_lose_nothing(self):
        """Sums beyond 2**17, where floats no longer hold whole multiples of 2**-36."""
        p = np.full(1_000_000, 0.3)
        assert calibration_error(p, np.arange(1_000_000) % 10 < 5) == pytest.approx(0.2, abs=1e-5)
        p = np.nextafter(np.ones(300_001), 0)
        assert calibration_error(p, np.ones(300_001, dtype=bool)) == pytest.approx(0.0, abs=1e-10)

    def test_tensors_and_whole_numbers(self):
        p, positive = drawn(4)
        expected = calibration_error(p, positive)
        assert calibration_error(torch.from_numpy(p), torch.from_numpy(positive)) == expected
        assert calibration_error(p.tolist(), positive.astype(float).tolist()) == expected

    @pytest.mark.parametrize("function", [calibration_error, calibration_interval])
    @pytest.mark.parametrize(
        ("p", "positive", "message"),
        [
            ([0.1, 1.2], [0, 1], r"must lie in \[0, 1\]: 1 of 2, the first is 1.2 at position 1"),
            ([-0.1, 0.2], [0, 1], r"must lie in \[0, 1\]"),
            ([math.nan, 0.2], [0, 1], r"must lie in \[0, 1\]: 1 of 2, the first is nan at position 0"),
            ([0.1, 0.2], [0, 2], "positive"),
            ([0.1, 0.2], [0], "probabilities"),
            ([[0.1, 0.9]], [1], "calibration takes probabilities"),
        ],
    )
    def test_bad_input(self, function, p, positive, message):
        with pytest.raises(EvidenceError, match=message):
            function(p, positive)

    @pytest.mark.parametrize("function", [calibration_error, calibration_interval])
    def test_bad_weights_and_bins(self, function):
        for weights in ([1.0], [0.0, 0.0], [1.0, -1.0], [1.0, math.nan]):
            with pytest.raises(EvidenceError, match="weights must"):
                function([0.1, 0.2], [0, 1], weights=weights)
        with pytest.raises(EvidenceError, match="at least one bin"):
            function([0.1, 0.2], [0, 1], bins=0)


class TestBounds:
    @laws
    @given(seeds, st.sampled_from([1, 2, 5, 40, 400]), st.sampled_from([(), ("w",), ("g",), ("w", "g")]))
    def test_they_hold_the_estimate_and_the_order_takes_no_part(self, seed, n, given_):
        rng = np.random.default_rng(seed)
        p, positive = drawn(seed, n)
        p = p.round(1)
        weights, groups, order = rng.random(n).round(1) + 0.1, rng.integers(0, 20, n), rng.permutation(n)

        def bounds(at):
            weigh = weights[at] if "w" in given_ else None
            group = groups[at] if "g" in given_ else None
            estimate = calibration_error(p[at], positive[at], weights=weigh)
            return estimate, calibration_interval(p[at], positive[at], weights=weigh, groups=group)

        estimate, (lower, upper) = bounds(np.arange(n))
        assert (estimate, (lower, upper)) == bounds(order)
        assert 0 <= lower <= upper <= 1
        if estimate is not None:
            assert lower <= estimate + 1e-12
            assert estimate <= upper + 1e-12

    @pytest.mark.parametrize("n", [1, 2, 5, 10, 30, 100, 400, 2000])
    @pytest.mark.parametrize("stated", [1.0, 0.99])
    def test_a_single_bin_says_no_more_than_an_exact_bound(self, n, stated):
        """All states one probability: the gap is that of a proportion, bounded exactly by Clopper and Pearson."""
        for wrong in {0, 1, 2, 5, 20, n // 4, n // 2}:
            if wrong <= n:
                exact = stated - clopper_pearson(n - wrong, n).lower
                upper = calibration_interval(np.full(n, stated), np.arange(n) >= wrong).upper
                assert upper >= min(1.0, exact) - 1e-12

    def test_no_spread_is_no_certainty(self):
        lower, upper = calibration_interval([0.6] * 10, [True] * 10)
        assert lower < 0.1
        assert upper > 0.4
        assert calibration_interval([1.0], [True]) == (0.0, 1.0)
        assert calibration_interval([], []) is None

    def test_an_estimate_from_few_bins_lies_within_the_bounds(self):
        """29 single samples, nearly right, are left out of the estimate but not of the bounds."""
        bins = np.concatenate((np.arange(15), np.arange(85, 99)))
        p = np.append(np.where(bins < 50, bins / 100, (bins + 0.999) / 100), [0.999, 0.999])
        positive = np.append(bins > 50, [False, False])
        estimate = calibration_error(p, positive, bins=100)
        assert estimate == pytest.approx(0.999)
        assert calibration_interval(p, positive, bins=100).upper >= estimate

    def test_many_samples_settle_it(self):
        rng = np.random.default_rng(0)
        p = rng.random(100_000)
        lower, upper = calibration_interval(p, rng.random(100_000) < p**2)
        truth = math.sqrt(np.mean([(((b + 0.5) / 15) ** 2 - (b + 0.5) / 15) ** 2 for b in range(15)]))
        assert truth - 0.01 < lower < truth < upper < truth + 0.01

    def test_a_calibrated_model_is_not_refuted(self):
        rng = np.random.default_rng(1)
        p = rng.random(2000)
        assert calibration_interval(p, rng.random(2000) < p).lower < 0.01

    def test_copies_in_a_group_tell_nothing_new(self):
        p, positive = drawn(5, 300)
        alone = calibration_interval(p, positive)
        groups = np.repeat(np.arange(300), 10)
        copied = calibration_interval(np.repeat(p, 10), np.repeat(positive, 10), groups=groups)
        naive = calibration_interval(np.repeat(p, 10), np.repeat(positive, 10))
        assert copied.upper == pytest.approx(alone.upper, rel=1e-9)
        assert naive.upper < alone.upper

    @pytest.mark.parametrize("seed", range(5))
    def test_a_group_lies_in_one_half(self, seed):
        """Else what one half learned of a group by chance would be found again in the other."""
        rng = np.random.default_rng(seed)
        p = rng.random(300)
        positive, groups = np.repeat(rng.random(300) < p, 10), np.repeat(np.arange(300), 10)
        assert calibration_interval(np.repeat(p, 10), positive, groups=groups).lower < 0.02

    def test_groups_of_one_change_nothing(self):
        p, positive = drawn(6)
        alone, grouped = calibration_interval(p, positive), calibration_interval(p, positive, groups=np.arange(400))
        assert grouped.upper == pytest.approx(alone.upper, rel=1e-9)
        assert grouped.lower == pytest.approx(alone.lower, abs=0.05)  # other halves

    def test_alike_and_missing_weights(self):
        p, positive = drawn(7)
        weights = np.repeat([2.0, 0.0], 200)
        assert calibration_interval(p, positive, weights=weights).upper == pytest.approx(
            calibration_interval(p[:200], positive[:200]).upper, rel=1e-9
        )

    def test_more_confidence_is_wider(self):
        p, positive = drawn(8)
        low, high = (calibration_interval(p, positive, confidence=level) for level in (0.8, 0.99))
        assert high.lower < low.lower < low.upper < high.upper

    def test_groups_of_another_length(self):
        with pytest.raises(EvidenceError, match=r"groups must have the shape \[2\]"):
            calibration_interval([0.1, 0.2], [0, 1], groups=np.zeros(3, dtype=int))

    @pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
    def test_confidence_out_of_range(self, confidence):
        with pytest.raises(BarError, match="confidence must lie between 0 and 1"):
            calibration_interval([0.1, 0.2], [0, 1], confidence=confidence)


class TestLosses:
    @laws
    @given(seeds)
    def test_two_classes_against_scikit_learn(self, seed):
        p, positive = drawn(seed)
        table = np.column_stack((1 - p, p))
        for scores in (p, table):
            found = squared_errors(scores, positive.astype(int)).mean()
            assert found == pytest.approx(oracle.brier_score_loss(positive, p))
            assert log_losses(scores, positive.astype(int)).mean() == pytest.approx(oracle.log_loss(positive, p))

    @laws
    @given(seeds, st.integers(3, 6))
    def test_many_classes_against_scikit_learn(self, seed, k):
        rng = np.random.default_rng(seed)
        scores, target = rng.dirichlet(np.ones(k), size=50), rng.integers(0, k, 50)
        labels = list(range(k))
        assert squared_errors(scores, target).mean() == pytest.approx(
            ((scores - np.eye(k)[target]) ** 2).sum(axis=1).mean()
        )
        assert log_losses(scores, target).mean() == pytest.approx(oracle.log_loss(target, scores, labels=labels))

    def test_chunks(self, monkeypatch):
        scores, target = np.random.default_rng(0).dirichlet(np.ones(3), size=50), np.arange(50) % 3
        expected = squared_errors(scores, target)
        monkeypatch.setattr(calibration, "CHUNK", 10)
        assert squared_errors(scores, target).tolist() == expected.tolist()

    def test_float32_gives_float64(self):
        p = np.array([0.1, 0.9, 1e-8], dtype=np.float32)
        for losses in (squared_errors, log_losses):
            for scores in (p, np.column_stack((1 - p, p, 0 * p))):
                found = losses(scores, [1, 1, 0])
                assert found.dtype == np.float64
                assert found.tolist() == losses(scores.astype(np.float64), [1, 1, 0]).tolist()

    def test_the_input_is_left_alone(self):
        scores = np.array([[0.2, 0.3, 0.5]])
        squared_errors(scores, [1])
        assert scores.tolist() == [[0.2, 0.3, 0.5]]

    def test_certain_and_wrong(self):
        assert log_losses([0.0, 1.0, 1.0, 0.0], [1, 0, 1, 0]).tolist() == [math.inf, math.inf, 0.0, 0.0]
        assert log_losses([[1.0, 0.0, 0.0]], [2]).tolist() == [math.inf]
        assert not np.signbit(log_losses([1.0], [1])).any()
        assert squared_errors([0.0, 1.0], [1, 1]).tolist() == [1.0, 0.0]
        assert squared_errors([[1.0, 0.0, 0.0]], [2]).tolist() == [2.0]
        assert squared_errors([[1.0, 0.0]], [1]).tolist() == [1.0]

    @pytest.mark.parametrize("losses", [squared_errors, log_losses])
    @pytest.mark.parametrize(
        ("scores", "target", "message"),
        [
            ([0.1, math.nan], [0, 1], r"must lie in \[0, 1\]"),
            ([[0.5, 0.6, -0.1]], [0], r"must lie in \[0, 1\]"),
            ([2.0], [0], r"must lie in \[0, 1\]"),
            ([[0.5]], [0], "must have the shape"),
            ([[[0.5]]], [0], "must have the shape"),
            ([0.5], [2], "target"),
            ([[0.5, 0.5]], [-1], "target"),
            ([0.5, 0.5], [0], "target"),
        ],
    )
    def test_bad_input(self, losses, scores, target, message):
        with pytest.raises(EvidenceError, match=message):
            losses(scores, target)

    @pytest.mark.parametrize("losses", [squared_errors, log_losses])
    def test_nothing(self, losses):
        assert losses([], []).tolist() == []
