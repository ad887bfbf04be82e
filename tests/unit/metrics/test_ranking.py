"""Scores and ranks as values, and ROC-AUC, average precision and top-k against counting by hand and scikit-learn."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
import sklearn.metrics as oracle
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics import ranking
from pytest_modelgate.metrics.counting import logits_to_labels
from pytest_modelgate.metrics.ranking import RankCounts, Scores, average_precision, roc_auc, target_ranks
from pytest_modelgate.metrics.registry import measure
from pytest_modelgate.strategies import predictions

laws = settings(max_examples=100, deadline=None, derandomize=True)
TINY32 = 1e-45  # the smallest subnormal float32


def samples(width, values=None):
    """Scores and whether each is positive; by default any finite float, from few different ones."""
    floats = st.floats(allow_nan=False, allow_infinity=False, width=width)
    some = st.lists(floats, min_size=1, max_size=6).flatmap(st.sampled_from) | floats if values is None else values
    pairs = st.lists(st.tuples(some, st.booleans()), min_size=1, max_size=40)
    return pairs.map(lambda drawn: (np.array([s for s, _ in drawn], f"f{width // 8}"), np.array([p for _, p in drawn])))


few_values = st.sampled_from([-2.0, -1.5, -TINY32, -0.0, 0.0, TINY32, 0.25, 1.0])


def pairs_won(scores, positive):
    """The share of pairs in which the positive sample scores higher, counted one by one."""
    pairs = list(itertools.product(scores[positive], scores[~positive]))
    doubled = sum(2 * bool(p > n) + bool(p == n) for p, n in pairs)
    return doubled / (2 * len(pairs)) if pairs else None


class TestRocAuc:
    @pytest.mark.parametrize("width", [32, 64])
    def test_against_counting_pairs(self, width):
        @laws
        @given(samples(width) | samples(width, few_values))
        def check(drawn):
            assert roc_auc(*drawn) == pairs_won(*drawn)

        check()

    @pytest.mark.parametrize("width", [32, 64])
    def test_against_scikit_learn(self, width):
        @laws
        @given(samples(width, st.integers(-30, 30).map(lambda i: i / 8)))
        def check(drawn):
            scores, positive = drawn
            assume(0 < positive.sum() < len(positive))
            assert roc_auc(scores, positive) == pytest.approx(oracle.roc_auc_score(positive, scores), abs=1e-12)

        check()

    @pytest.mark.parametrize("ties", [False, True])
    @pytest.mark.parametrize("shift", [0.0, 10.0, -10.0])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_large_samples_against_scikit_learn(self, dtype, shift, ties):
        rng = np.random.default_rng(3)
        positive = rng.random(20_000) < 0.1
        scores = rng.normal(size=20_000) + positive + shift
        scores = (np.round(scores, 1) if ties else scores).astype(dtype)
        assert roc_auc(scores, positive) == pytest.approx(oracle.roc_auc_score(positive, scores), abs=1e-12)
        expected = oracle.average_precision_score(positive, scores)
        assert average_precision(scores, positive) == pytest.approx(expected, abs=1e-12)

    def test_float64_is_not_rounded_to_float32(self):
        low, high = 0.3, np.nextafter(0.3, 1)
        assert np.float32(low) == np.float32(high)
        assert roc_auc([low, high], [False, True]) == 1.0
        assert roc_auc([high, low], [False, True]) == 0.0
        assert roc_auc([-low, -high], [True, False]) == 1.0
        assert average_precision([high, low], [False, True]) == 0.5

    def test_minus_zero_is_zero(self):
        assert roc_auc(np.array([-0.0, 0.0], dtype=np.float32), [True, False]) == 0.5
        assert roc_auc([-0.0, 0.0, -1.0], [True, False, False]) == 0.75

    def test_the_ends_of_float32(self):
        largest = np.finfo(np.float32).max
        scores = np.array([-largest, -TINY32, 0, TINY32, largest], dtype=np.float32)
        for split in range(1, 5):
            assert roc_auc(scores, np.arange(5) >= split) == 1.0
            assert roc_auc(scores, np.arange(5) < split) == 0.0

    @laws
    @given(samples(32))
    def test_turning_the_scores_or_the_classes_around(self, drawn):
        scores, positive = drawn
        value = roc_auc(scores, positive)
        assert roc_auc(-scores, ~positive) == value
        if value is not None:
            assert roc_auc(-scores, positive) == pytest.approx(1 - value, abs=1e-15)

    @pytest.mark.parametrize("positive", [[], [True, True], [False, False]])
    def test_one_kind_is_undefined(self, positive):
        assert roc_auc(np.zeros(len(positive)), positive) is None

    @pytest.mark.parametrize(
        "positive", [[0, 1, 1], [0.0, 1.0, 1.0], torch.tensor([0, 1, 1]), np.array([0, 1, 1], "u1")]
    )
    @pytest.mark.parametrize("scores", [[1, 2, 0], torch.tensor([1.0, 2.0, 0.0]), np.array([1, 2, 0], "f2")])
    def test_other_types(self, scores, positive):
        assert roc_auc(scores, positive) == 0.5

    def test_a_column_of_a_table(self):
        table = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], dtype=np.float32)
        assert roc_auc(table[:, 1], [False, True, True]) == 1.0

    def test_the_scores_are_not_changed(self):
        scores = np.array([0.5, -0.25, 0.75], dtype=np.float32)
        roc_auc(scores, [True, False, True])
        assert scores.tolist() == [0.5, -0.25, 0.75]

    @pytest.mark.parametrize("function", [roc_auc, average_precision])
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_not_finite(self, dtype, bad, function):
        scores = np.array([0.1, bad, -0.3, bad], dtype=dtype)
        with pytest.raises(EvidenceError, match=rf"scores must be finite: 2 of 4, the first is {bad} at position 1"):
            function(scores, [True, False, True, False])

    @pytest.mark.parametrize(
        ("scores", "positive", "message"),
        [
            ([0.1, 0.2], [True], "target has 1 samples, but scores has 2"),
            ([0.1, 0.2], [1, 2], "positive must be class indices from 0 to 1: 1 of 2, the first is 2"),
            ([[0.1, 0.2]], [True], r"scores must have one dimension .* not shape \[1, 2\]"),
        ],
    )
    def test_what_does_not_fit(self, scores, positive, message):
        with pytest.raises(EvidenceError, match=message):
            roc_auc(scores, positive)


class TestAveragePrecision:
    @pytest.mark.parametrize("width", [32, 64])
    def test_against_scikit_learn(self, width):
        @laws
        @given(samples(width, st.integers(-30, 30).map(lambda i: i / 8)) | samples(width, few_values))
        def check(drawn):
            scores, positive = drawn
            assume(positive.any())
            expected = oracle.average_precision_score(positive, scores)
            assert average_precision(scores, positive) == pytest.approx(expected, abs=1e-12)

        check()

    def test_by_hand(self):
        assert average_precision([0.9, 0.8, 0.7], [True, False, True]) == (1 + 2 / 3) / 2
        assert average_precision([0.5, 0.5, 0.5, 0.5], [True, False, False, False]) == 0.25

    def test_no_positive_is_undefined_and_all_positive_is_one(self):
        assert average_precision([0.1, 0.2], [False, False]) is None
        assert average_precision([], []) is None
        assert average_precision([0.1, 0.2], [True, True]) == 1.0

    @laws
    @given(samples(32), st.randoms())
    def test_the_order_of_the_samples_does_not_matter(self, drawn, random):
        scores, positive = drawn
        order = list(range(len(scores)))
        random.shuffle(order)
        assert average_precision(scores[order], positive[order]) == average_precision(scores, positive)
        assert roc_auc(scores[order], positive[order]) == roc_auc(scores, positive)


def ranks_by_hand(scores, target):
    """Position of the actual class when the classes are sorted by score, ties by index."""
    return [
        sorted(range(len(row)), key=lambda k, row=row: (-row[k], k)).index(int(t))
        for row, t in zip(scores.tolist(), target, strict=True)
    ]


class TestTargetRanks:
    @pytest.mark.parametrize("num_classes", [2, 3, 10, 254, 255, 256, 600])
    @pytest.mark.parametrize("spread", [2, 10**6])
    def test_against_sorting(self, spread, num_classes):
        rng = np.random.default_rng(num_classes)
        scores = rng.integers(-spread, spread, (60, num_classes)).astype(np.float32)
        target = rng.integers(0, num_classes, 60)
        assert target_ranks(scores, target).tolist() == ranks_by_hand(scores, target)

    def test_the_last_of_many_classes(self):
        scores = np.broadcast_to(np.arange(700.0)[::-1], (2, 700))
        assert target_ranks(scores, [699, 0]).tolist() == [699, 0]
        assert target_ranks(np.zeros((1, 700)), [699]).tolist() == [699]

    def test_in_chunks(self, monkeypatch):
        scores = np.random.default_rng(0).integers(0, 4, (97, 5)).astype(float)
        target = np.arange(97) % 5
        monkeypatch.setattr(ranking, "CHUNK_OF_SCORES", 32)
        assert target_ranks(scores, target).tolist() == ranks_by_hand(scores, target)

    @laws
    @given(predictions(scores="logits", num_classes=st.integers(3, 6)))
    def test_rank_zero_is_what_argmax_says(self, drawn):
        ranks = target_ranks(drawn.scores, drawn.target)
        assert ((ranks == 0) == (logits_to_labels(drawn.scores) == drawn.target)).all()

    @pytest.mark.parametrize("k", [1, 2, 5, 9])
    def test_top_k_against_scikit_learn(self, k):
        rng = np.random.default_rng(k)
        scores, target = rng.random((500, 10)), rng.integers(0, 10, 500)
        expected = oracle.top_k_accuracy_score(target, scores, k=k, labels=range(10))
        ranks = RankCounts.from_scores(scores, target)
        assert measure("top_k_accuracy", ranks, parameters={"k": k}).value == expected

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("column", [0, 1])
    def test_not_finite(self, column, bad):
        scores = np.zeros((3, 4))
        scores[2, column] = bad
        with pytest.raises(EvidenceError, match=rf"1 of 12, the first is {bad} at \[2, {column}\]"):
            target_ranks(scores, [0, 0, 0])

    @pytest.mark.parametrize(
        ("shape", "target", "message"),
        [
            ((2, 3), [0, 3], "target must be class indices from 0 to 2: 1 of 2, the first is 3"),
            ((2, 3), [0, -1], "the first is -1 at position 1"),
            ((2, 3), [0], "target has 1 samples, but scores has 2"),
            ((2,), [0, 1], r"must have the shape \[samples, classes\]"),
        ],
    )
    def test_what_does_not_fit(self, shape, target, message):
        with pytest.raises(EvidenceError, match=message):
            target_ranks(np.zeros(shape), target)

    def test_nothing(self):
        assert target_ranks(np.zeros((0, 3)), []).tolist() == []


class TestRankCounts:
    @laws
    @given(predictions(scores="logits", num_classes=4), st.integers(0, 50))
    def test_counts_of_parts_add_up(self, drawn, cut):
        whole = RankCounts.from_scores(drawn.scores, drawn.target)
        parts = [
            RankCounts.from_scores(drawn.scores[part], drawn.target[part]) for part in (slice(cut), slice(cut, None))
        ]
        assert sum(parts, start=RankCounts.zeros(4)) == whole
        assert hash(parts[0] + parts[1]) == hash(whole)
        assert whole.n == len(drawn.target)

    @laws
    @given(predictions(scores="logits", num_classes=5))
    def test_top_k_grows_with_k_up_to_one(self, drawn):
        ranks = RankCounts.from_scores(drawn.scores, drawn.target)
        values = [measure("top_k_accuracy", ranks, parameters={"k": k}).value for k in range(1, 6)]
        assert values == sorted(values)
        assert values[-1] == 1.0

    def test_it_is_a_frozen_value(self):
        counts = np.array([3, 2, 1])
        ranks = RankCounts(counts)
        counts[0] = 9
        assert ranks == RankCounts([3, 2, 1]) == pickle.loads(pickle.dumps(ranks)) == copy.deepcopy(ranks)
        assert ranks != RankCounts([3, 2, 2])
        assert ranks != RankCounts([3, 2, 1, 0])
        assert ranks != [3, 2, 1]
        with pytest.raises(ValueError, match="read-only"):
            ranks.counts[0] = 1

    @pytest.mark.parametrize(
        ("counts", "message"),
        [
            ([1], r"shape \[K\] with K >= 2, not \[1\]"),
            ([[1, 2]], r"not \[1, 2\]"),
            ([1, -2], "must not be negative: the least is -2"),
            ([1, 0.5], "counts of ranks must be whole numbers"),
            ([2**62, 2**62], r"sum below 2\*\*63"),
        ],
    )
    def test_what_is_refused(self, counts, message):
        with pytest.raises(EvidenceError, match=message):
            RankCounts(counts)

    def test_only_with_its_like(self):
        with pytest.raises(EvidenceError, match="among 2 and among 3 classes"):
            RankCounts([1, 2]) + RankCounts([1, 2, 3])
        with pytest.raises(EvidenceError, match="does not fit into int64"):
            RankCounts([2**62, 0]) + RankCounts([2**62, 0])
        with pytest.raises(TypeError):
            RankCounts([1, 2]) + 1


class TestScores:
    @laws
    @given(predictions(scores="logits", num_classes=3), st.randoms())
    def test_equality_does_not_depend_on_the_order(self, drawn, random):
        order = list(range(len(drawn.target)))
        random.shuffle(order)
        one, other = Scores(drawn.scores, drawn.target), Scores(drawn.scores[order], drawn.target[order])
        assert one == other
        assert hash(one) == hash(other)

    def test_nothing_is_nothing(self):
        assert Scores([], []) == Scores([], [])
        assert Scores(np.zeros((0, 3)), []) != Scores([], [])

    def test_what_differs_is_not_equal(self):
        one = Scores([0.1, 0.2, 0.3], [0, 1, 1])
        assert one != Scores([0.1, 0.2, 0.3], [1, 0, 1])
        assert one != Scores([0.1, 0.2, 0.4], [0, 1, 1])
        assert one != Scores([0.1, 0.2], [0, 1])
        assert one != Scores(np.array([0.1, 0.2, 0.3], dtype=np.float32), [0, 1, 1])
        assert one != Scores([[0.1, 0.2], [0.1, 0.2], [0.1, 0.2]], [0, 1, 1])
        assert one != "scores"

    @laws
    @given(predictions(scores="probabilities", num_classes=3, min_samples=0), st.integers(0, 50))
    def test_parts_add_up(self, drawn, cut):
        whole = Scores(drawn.scores, drawn.target)
        parts = [Scores(drawn.scores[part], drawn.target[part]) for part in (slice(cut), slice(cut, None))]
        assert parts[0] + parts[1] == parts[1] + parts[0] == Scores.concatenate(parts) == whole
        assert whole.support.sum() == whole.n == len(drawn.target)

    def test_it_is_a_frozen_copy_without_minus_zero(self):
        values = np.array([-0.0, 0.5], dtype=np.float32)
        scores = Scores(values, [0, 1])
        values[1] = 9
        assert scores.values.tolist() == [0.0, 0.5]
        assert not np.signbit(scores.values).any()
        assert scores.values.dtype == np.float32
        assert scores.target.dtype == np.uint8
        for array in (scores.values, scores.target):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
        for other in (pickle.loads(pickle.dumps(scores)), copy.deepcopy(scores)):
            assert other == scores
            assert not other.values.flags.writeable

    def test_float32_and_float64_merge_to_float64(self):
        merged = Scores(np.array([0.1], dtype=np.float32), [0]) + Scores([0.1], [1])
        assert merged.values.dtype == np.float64
        assert measure("roc_auc", merged).value == 0.0  # as a float32, 0.1 is a little larger

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                {"values": [0.1, np.nan], "target": [0, 1]},
                "scores must be finite: 1 of 2, the first is nan at position 1",
            ),
            (
                {"values": [0.1, 0.2], "target": [0, 2]},
                "target must be class indices from 0 to 1: 1 of 2, the first is 2",
            ),
            ({"values": [0.1, 0.2], "target": [0]}, "target has 1 samples, but scores has 2"),
            ({"values": [[0.1], [0.2]], "target": [0, 1]}, r"classes >= 2, not \[2, 1\]"),
            ({"values": [[[0.1]]], "target": [0]}, r"shape \[N\] or \[N, K\], not \[1, 1, 1\]"),
            ({"values": [0.1], "target": [0], "num_classes": 3}, r"scores of shape \[1\] are of 2 classes, not 3"),
            ({"values": [["a", "b"]], "target": [0]}, "scores must be numbers"),
        ],
    )
    def test_what_is_refused(self, arguments, message):
        with pytest.raises(EvidenceError, match=message):
            Scores(**arguments)

    def test_only_with_the_same_classes(self):
        with pytest.raises(EvidenceError, match=r"different shapes do not add up: \[\[1\], \[1, 2\]\]"):
            Scores([0.1], [0]) + Scores([[0.1, 0.2]], [0])
        with pytest.raises(TypeError):
            Scores([0.1], [0]) + 1


class TestOfClasses:
    @laws
    @given(predictions(scores="probabilities", num_classes=st.integers(3, 5), min_samples=5))
    def test_against_scikit_learn(self, drawn):
        classes = drawn.scores.shape[1]
        scores = Scores(drawn.scores, drawn.target)
        for k in range(classes):
            of_class = drawn.target == k
            auc = measure("roc_auc", scores, label=k).value
            if 0 < of_class.sum() < len(of_class):
                assert auc == pytest.approx(oracle.roc_auc_score(of_class, drawn.scores[:, k]), abs=1e-12)
            else:
                assert auc is None
        macro, weighted = (measure("roc_auc", scores, average=a).value for a in ("macro", "weighted"))
        if macro is not None:
            one_hot = np.eye(classes)[drawn.target]
            assert macro == pytest.approx(oracle.roc_auc_score(one_hot, drawn.scores, average="macro"), abs=1e-12)
            expected = oracle.roc_auc_score(one_hot, drawn.scores, average="weighted")
            assert weighted == pytest.approx(expected, abs=1e-12)
            for average in ("macro", "weighted"):
                expected = oracle.average_precision_score(one_hot, drawn.scores, average=average)
                assert measure("average_precision", scores, average=average).value == pytest.approx(expected, abs=1e-12)

    def test_a_class_without_samples_has_no_weight(self):
        scores = Scores([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.5, 0.3, 0.2]], [0, 1, 1, 0])
        for name in ("roc_auc", "average_precision"):
            first, second = (measure(name, scores, label=k).value for k in (0, 1))
            assert measure(name, scores, average="weighted").value == pytest.approx((2 * first + 2 * second) / 4)
            assert measure(name, scores, average="macro").cause == "no sample of class 2 in 4"

    @laws
    @given(samples(32))
    def test_the_first_of_two_classes_has_the_negated_scores(self, drawn):
        scores, positive = drawn
        two = Scores(scores, positive)
        assert measure("roc_auc", two, label=0) == measure("roc_auc", two, label=1)
        expected = average_precision(-scores, ~positive) if 0 < positive.sum() < len(positive) else None
        assert measure("average_precision", two, label=0).value == expected
