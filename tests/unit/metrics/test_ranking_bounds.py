"""Bounds of ROC-AUC and average precision, against DeLong's definition, scikit-learn, and what they must not do."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as oracle
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.metrics.influences import (
    average_precision_influence,
    roc_auc_influence,
    weighted_average_precision,
    weighted_roc_auc,
)
from pytest_modelgate.metrics.ranking import average_precision, roc_auc
from pytest_modelgate.metrics.ranking_bounds import (
    average_area_interval,
    average_precision_interval,
    paired_area_interval,
    roc_auc_interval,
)
from pytest_modelgate.statistics.areas import auc_cap, auc_effective_size, difference_interval, one_more_interval
from pytest_modelgate.statistics.effective import clopper_pearson_effective

laws = settings(max_examples=60, deadline=None, derandomize=True)
INTERVALS = {"roc_auc": roc_auc_interval, "average_precision": average_precision_interval}
AREAS = {"roc_auc": roc_auc, "average_precision": average_precision}
INFLUENCES = {"roc_auc": roc_auc_influence, "average_precision": average_precision_influence}
both = pytest.mark.parametrize("kind", ["roc_auc", "average_precision"])
rows = st.lists(
    st.tuples(st.integers(-4, 4).map(lambda i: i / 4), st.booleans(), st.sampled_from([0.0, 0.25, 1.0, 1.7, 3.0])),
    min_size=2,
    max_size=40,
)


def arrays(drawn):
    scores, positive, weights = zip(*drawn, strict=True)
    return np.array(scores), np.array(positive), np.array(weights)


def model(seed, m=30, n=60, shift=1.0, step=0.0):
    rng = np.random.default_rng(seed)
    positive = rng.permutation(np.arange(m + n) < m)
    scores = rng.standard_normal(m + n) + shift * positive
    return (np.round(scores / step) * step if step else scores), positive


def delong(scores, positive):
    """The variance by its definition, from the table of all pairs: DeLong, DeLong and Clarke-Pearson (1988)."""
    pairs = scores[positive][:, None] - scores[~positive][None, :]
    won = (pairs > 0) + 0.5 * (pairs == 0)
    return won.mean(1).var(ddof=1) / won.shape[0] + won.mean(0).var(ddof=1) / won.shape[1]


def one_more(scores, positive, groups=None):
    """The bounds by one more sample (or group), from the table of all pairs."""
    pairs = scores[positive][:, None] - scores[~positive][None, :]
    won = (pairs > 0) + 0.5 * (pairs == 0)
    kinds = []
    for placed, kind in ((won.mean(1), positive), (won.mean(0), ~positive)):
        codes = np.arange(kind.sum()) if groups is None else np.unique(groups[kind], return_inverse=True)[1]
        moved = (placed - won.mean()) / len(placed)
        kinds.append((np.bincount(codes, moved), np.bincount(codes) / len(placed)))
    return one_more_interval(won.mean(), kinds)


class TestRocAuc:
    def test_published(self):
        assert round(roc_auc_interval(range(110), np.arange(110) >= 100).lower, 4) == 0.7411

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize(("shift", "step"), [(1, 0), (0.2, 0), (2, 0.5), (3, 1), (-1, 0)])
    def test_delong_and_the_cap(self, shift, step, dtype):
        scores, positive = model(1, shift=shift, step=step)
        scores = scores.astype(dtype)
        auc = roc_auc(scores, positive)
        size = auc_effective_size(auc, 30, 60, delong(scores, positive))
        expected, least = clopper_pearson_effective(auc, size), one_more(scores, positive)
        expected = min(expected.lower, least.lower), max(expected.upper, least.upper)
        assert tuple(roc_auc_interval(scores, positive)) == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize(("m", "n"), [(5, 200), (200, 5), (10, 10), (500, 10), (300, 250)])
    def test_almost_perfect_proves_no_more_than_perfect(self, m, n):
        positive = np.arange(m + n) >= n
        scores = np.arange(m + n, dtype=float)
        perfect = roc_auc_interval(scores, positive)
        assert perfect == clopper_pearson_effective(1.0, min(m, n))
        scores[n] = n - 1.5
        almost = roc_auc_interval(scores, positive)
        assert almost.lower < perfect.lower + 0.004
        assert roc_auc(scores, positive) < almost.upper <= 1.0

    @pytest.mark.parametrize("extra", [(), ("weights",), ("groups",), ("weights", "groups")])
    @pytest.mark.parametrize(("m", "n", "shift"), [(10, 300, 3), (300, 10, 3), (30, 30, 1), (400, 8, 0)])
    def test_which_class_is_called_positive_proves_nothing(self, m, n, shift, extra):
        scores, positive = model(31, m=m, n=n, shift=shift)
        rng = np.random.default_rng(2)
        known = {"weights": rng.exponential(size=m + n), "groups": rng.integers(0, 40, m + n)}
        rest = {name: known[name] for name in extra}
        found = roc_auc_interval(scores, positive, **rest)
        assert tuple(roc_auc_interval(-scores, ~positive, **rest)) == pytest.approx(tuple(found), abs=1e-9)

    def test_few_negative_samples(self):
        """Ten that hardly a positive sample lost to may be ten lucky ones, however many positive samples there are."""
        scores, positive = model(4, m=500, n=10, shift=2.5)
        found = roc_auc_interval(scores, positive)
        assert 0.95 < roc_auc(scores, positive) < 1
        assert 0.7 < found.lower < 0.7411 + 0.004

    def test_all_scores_equal(self):
        lower, upper = roc_auc_interval(np.ones(40), np.arange(40) < 20)
        assert 0.3 < lower < 0.4
        assert upper == pytest.approx(1 - lower)

    def test_one_positive_sample_proves_little(self):
        assert roc_auc_interval(range(100), np.arange(100) == 99) == (pytest.approx(0.05), 1.0)
        lower, upper = roc_auc_interval(range(100), np.arange(100) == 90)
        assert lower < 0.5
        assert upper > 0.95

    @laws
    @given(rows)
    def test_turning_the_classes_around(self, drawn):
        scores, positive, _ = arrays(drawn)
        assume(0 < positive.sum() < len(positive))
        found = roc_auc_interval(scores, positive)
        assert found.lower <= roc_auc(scores, positive) <= found.upper
        around = roc_auc_interval(scores, ~positive)
        assert (1 - around.upper, 1 - around.lower) == pytest.approx(tuple(found), abs=1e-9)


class TestAveragePrecision:
    def test_perfection_is_worth_its_positive_samples(self):
        assert average_precision_interval(range(110), np.arange(110) >= 100) == clopper_pearson_effective(1.0, 10)

    @laws
    @given(rows)
    def test_the_estimate_is_never_excluded(self, drawn):
        scores, positive, _ = arrays(drawn)
        assume(0 < positive.sum() < len(positive))
        lower, upper = average_precision_interval(scores, positive)
        assert 0 <= lower <= average_precision(scores, positive) <= upper <= 1

    def test_against_the_spread_of_many_draws(self):
        drawn = [model(seed, m=100, n=300) for seed in range(400)]
        spread = np.std([average_precision(*one) for one in drawn])
        influence = average_precision_influence(*drawn[0])
        by_hand = [np.sqrt((influence**2).sum())]
        by_hand += [np.sqrt((average_precision_influence(*one) ** 2).sum()) for one in drawn[1:40]]
        # The draws have a fixed number of positive samples, so that the influences' variance is a little too large.
        assert 1.0 < np.mean(by_hand) / spread < 1.25


@both
class TestBoth:
    @pytest.mark.parametrize("extra", [{}, {"weights": True}, {"groups": True}, {"weights": True, "groups": True}])
    def test_permutations_change_no_digit(self, kind, extra):
        rng = np.random.default_rng(5)
        scores, positive = model(5, m=300, n=700, step=0.25)
        rest = {name: rng.exponential(size=1000) if name == "weights" else rng.integers(0, 30, 1000) for name in extra}
        found = INTERVALS[kind](scores, positive, **rest)
        for _ in range(5):
            order = rng.permutation(1000)
            again = {name: value[order] for name, value in rest.items()}
            assert INTERVALS[kind](scores[order], positive[order], **again) == found

    def test_names_of_groups_do_not_matter(self, kind):
        scores, positive = model(6)
        groups = np.arange(90) % 15
        other = np.random.default_rng(0).permutation(15)[groups] * 7 - 40
        assert INTERVALS[kind](scores, positive, groups=groups) == INTERVALS[kind](scores, positive, groups=other)

    def test_confidence(self, kind):
        scores, positive = model(7)
        near, far = (INTERVALS[kind](scores, positive, confidence=level) for level in (0.8, 0.99))
        assert far.lower < near.lower < AREAS[kind](scores, positive) < near.upper < far.upper
        for wrong in (0, 1, 95):
            with pytest.raises(BarError, match="confidence"):
                INTERVALS[kind](scores, positive, confidence=wrong)

    @pytest.mark.parametrize("positive", [[], [True], [True, True, True], [False, False]])
    @pytest.mark.parametrize("extra", [{}, {"weights": 1.0}, {"groups": 1}])
    def test_one_kind_is_nothing_to_say(self, kind, positive, extra):
        rest = {name: np.full(len(positive), value) for name, value in extra.items()}
        assert INTERVALS[kind](np.arange(len(positive), dtype=float), positive, **rest) is None

    @pytest.mark.parametrize("extra", [{}, {"weights": np.ones(3)}, {"groups": np.arange(3)}])
    def test_not_finite(self, kind, extra):
        with pytest.raises(EvidenceError, match="scores must be finite: 1 of 3"):
            INTERVALS[kind]([0.1, np.nan, 0.3], [True, False, True], **extra)

    @pytest.mark.parametrize(
        ("extra", "message"),
        [
            ({"weights": [1, 2]}, r"weights must be one for each of 3 samples, not of shape \[2\]"),
            ({"weights": [1, -2, 3]}, r"weights must not be negative: 1 of 3, the first is -2\.0 at position 1"),
            ({"weights": [1, np.nan, 3]}, "weights must be finite"),
            ({"groups": [1, 2]}, "groups must be one for each of 3 samples"),
            ({"groups": [[1], [2], [3]]}, "groups must be one for each of 3 samples"),
            ({"groups": [1.5, 2, 3]}, "groups must be whole numbers"),
        ],
    )
    def test_what_does_not_fit(self, kind, extra, message):
        with pytest.raises(EvidenceError, match=message):
            INTERVALS[kind]([0.1, 0.2, 0.3], [True, False, True], **extra)

    def test_equal_weights_are_no_weights(self, kind):
        scores, positive = model(8, step=0.5)
        weighted = INTERVALS[kind](scores, positive, weights=np.full(90, 0.3))
        assert weighted == pytest.approx(INTERVALS[kind](scores, positive), abs=1e-12)

    def test_samples_of_weight_0_are_not_there(self, kind):
        scores, positive = model(9)
        weights, groups = np.random.default_rng(0).exponential(size=90), np.arange(90) % 12
        longer = np.concatenate((scores, [50, -50])), np.concatenate((positive, [False, True]))
        for rest in ({}, {"groups": groups}):
            more = {name: np.concatenate((value, [77, 78])) for name, value in rest.items()}
            expected = INTERVALS[kind](scores, positive, weights=weights, **rest)
            assert INTERVALS[kind](*longer, weights=np.append(weights, [0, 0]), **more) == pytest.approx(expected)

    def test_no_weight_on_a_kind(self, kind):
        scores, positive = model(9)
        assert INTERVALS[kind](scores, positive, weights=positive * 1.0) is None
        assert INTERVALS[kind](scores, positive, weights=~positive * 1.0) is None
        assert INTERVALS[kind](scores, positive, weights=np.zeros(90)) is None

    def test_uneven_weights_widen(self, kind):
        scores, positive = model(10)
        weights = np.where(np.random.default_rng(0).random(90) < 0.1, 50.0, 1.0)
        lower, upper = INTERVALS[kind](scores, positive, weights=weights)
        plain = INTERVALS[kind](scores, positive)
        assert upper - lower > 1.3 * (plain.upper - plain.lower)

    def test_a_group_for_each_sample_is_hardly_wider(self, kind):
        scores, positive = model(11, m=200, n=400)
        plain, alone = INTERVALS[kind](scores, positive), INTERVALS[kind](scores, positive, groups=np.arange(600))
        assert alone.lower <= plain.lower
        assert alone.upper >= plain.upper
        assert alone == pytest.approx(plain, abs=2e-3)

    def test_copies_in_a_group_prove_nothing_new(self, kind):
        scores, positive = model(12)
        copies = np.repeat(scores, 10), np.repeat(positive, 10)
        alone = INTERVALS[kind](scores, positive, groups=np.arange(90))
        grouped, naive = INTERVALS[kind](*copies, groups=np.repeat(np.arange(90), 10)), INTERVALS[kind](*copies)
        assert tuple(grouped) == pytest.approx(tuple(alone), abs=0.03)
        assert naive.upper - naive.lower < 0.5 * (grouped.upper - grouped.lower)

    def test_perfection_in_groups_is_worth_the_rarer_groups(self, kind):
        positive = np.arange(400) >= 200
        groups = np.where(positive, np.arange(400) % 8, 100 + np.arange(400) % 20)
        assert INTERVALS[kind](range(400), positive, groups=groups) == clopper_pearson_effective(1.0, 8)

    @pytest.mark.parametrize(("shift", "copies", "seed"), [(1.0, 1, 1), (1.0, 5, 2), (3.5, 6, 4), (0.0, 1, 3)])
    def test_groups_by_the_formula(self, kind, shift, copies, seed):
        """The variance between groups, Student's t, and the cap widened by as much as the groups widen the variance."""
        scores, positive = (np.repeat(one, copies) for one in model(seed, m=24, n=48, shift=shift))
        groups = np.repeat(np.arange(72) % 9, copies)
        few = min(len(set(groups[positive])), len(set(groups[~positive])))
        m, n, area = positive.sum(), (~positive).sum(), AREAS[kind](scores, positive)
        moved = INFLUENCES[kind](scores, positive)
        moved = moved * np.where(positive, m / (m - 1), n / (n - 1)) ** 0.5
        bias, cap = 0.0, auc_cap(area, m, n)
        if kind == "average_precision":
            above = np.array([(positive & (scores >= one)).sum() for one in scores[positive]])
            wrong = np.array([(~positive & (scores >= one)).sum() for one in scores[positive]])
            bias = (wrong / (above + wrong) ** 2).mean()
            cap = (area - bias) * (1 - area + bias) / m
        spread, fewest = (area - bias) * (1 - area + bias), min(m, n) if kind == "roc_auc" else m
        clustered = sum(moved[groups == g].sum() ** 2 for g in range(9)) * few / (few - 1)
        clustered *= (scipy.stats.t.ppf(0.95, few - 1) / scipy.stats.norm.ppf(0.95)) ** 2
        variance = (moved**2).sum()
        design = max(1, clustered / variance)
        plain = min(spread / variance, max(spread / cap, fewest))
        size = min(plain, spread / clustered, max(spread / (cap * design), few))
        expected = clopper_pearson_effective(max(0.0, area - bias * design), size)
        least = one_more(scores, positive, groups) if kind == "roc_auc" else (area, area)
        found = INTERVALS[kind](scores, positive, groups=groups)
        assert tuple(found) == pytest.approx((min(expected.lower, least[0]), max(expected.upper, least[1])), abs=1e-9)

    def test_groups_whose_members_cancel_out_do_not_narrow(self, kind):
        scores, positive = model(23, m=100, n=100, shift=0.5)
        groups = np.empty(200, int)
        groups[np.argsort(INFLUENCES[kind](scores, positive))] = np.concatenate((np.arange(100), np.arange(100)[::-1]))
        lower, upper = INTERVALS[kind](scores, positive, groups=groups)
        plain = INTERVALS[kind](scores, positive)
        assert lower <= plain.lower
        assert upper >= plain.upper

    def test_groups_of_weight_0_are_no_groups(self, kind):
        positive = np.arange(80) >= 40
        weights = (np.arange(80) % 20 < 6) * 1.0
        found = INTERVALS[kind](range(80), positive, groups=np.arange(80) % 20, weights=weights)
        assert found == clopper_pearson_effective(1.0, 6)

    def test_weights_have_no_unit(self, kind):
        scores, positive = model(22, step=0.5)
        weights = np.random.default_rng(0).exponential(size=90)
        for unit in (2.0**-500, 2.0**500):
            assert INTERVALS[kind](scores, positive, weights=weights * unit) == INTERVALS[kind](
                scores, positive, weights=weights
            )

    def test_groups_that_cannot_differ(self, kind):
        scores, positive = model(13)
        assert INTERVALS[kind](scores, positive, groups=np.zeros(90, int)) is None
        assert INTERVALS[kind](scores, positive, groups=np.where(positive, 0, np.arange(90))) is None


class TestWeighted:
    @laws
    @given(rows)
    def test_against_scikit_learn(self, drawn):
        scores, positive, weights = arrays(drawn)
        assume(weights[positive].any())
        expected = oracle.average_precision_score(positive, scores, sample_weight=weights)
        assert weighted_average_precision(scores, positive, weights) == pytest.approx(expected, abs=1e-12)
        assume(weights[~positive].any())
        expected = oracle.roc_auc_score(positive, scores, sample_weight=weights)
        assert weighted_roc_auc(scores, positive, weights) == pytest.approx(expected, abs=1e-12)

    def test_undefined(self):
        assert weighted_roc_auc([1, 2], [True, False], [1, 0]) is None
        assert weighted_roc_auc([], [], []) is None
        assert weighted_average_precision([1, 2], [True, False], [0, 1]) is None
        assert weighted_average_precision([1, 2], [True, False], [1, 0]) == 1.0

    @pytest.mark.parametrize(
        ("influence", "reference"),
        [(roc_auc_influence, oracle.roc_auc_score), (average_precision_influence, oracle.average_precision_score)],
    )
    def test_influences_by_small_steps(self, influence, reference):
        scores, positive = model(14, m=8, n=12, step=0.5)
        weights = np.random.default_rng(1).exponential(size=20) + 0.1
        found = influence(scores, positive, weights)
        assert found.sum() == pytest.approx(0, abs=1e-12)
        for row in range(20):
            step = np.eye(20)[row] * 1e-4
            moved = reference(positive, scores, sample_weight=weights + step)
            moved -= reference(positive, scores, sample_weight=weights - step)
            assert found[row] == pytest.approx(moved / 2e-4 * weights[row], abs=1e-6)
        assert influence(scores, np.zeros(20, bool)) is None


@both
class TestAverages:
    def table(self, num_classes=4, size=200, seed=0):
        rng = np.random.default_rng(seed)
        target = rng.integers(0, num_classes, size)
        values = rng.standard_normal((size, num_classes))
        values[np.arange(size), target] += 1.5
        return values, target

    def mean(self, kind, values, target, average):
        own = [AREAS[kind](values[:, k], target == k) for k in range(values.shape[1])]
        return np.average(own, weights=np.bincount(target) if average == "weighted" else None)

    @pytest.mark.parametrize("average", ["macro", "weighted"])
    def test_around_the_mean_and_narrower_than_one_class(self, kind, average):
        values, target = self.table()
        lower, upper = average_area_interval(kind, values, target, average=average)
        assert lower < self.mean(kind, values, target, average) < upper
        one = INTERVALS[kind](values[:, 0], target == 0)
        assert upper - lower < one.upper - one.lower

    def test_two_classes_of_roc_auc_are_one(self, kind):
        if kind == "roc_auc":
            scores, positive = model(15)
            found = average_area_interval(kind, scores, positive.astype(int), average="macro")
            assert found == pytest.approx(roc_auc_interval(scores, positive), abs=1e-9)
            assert average_area_interval(kind, scores, ~positive, average="macro") is not None

    def test_columns_that_are_copies_give_nothing_new(self, kind):
        """Each class's scores the same function of its samples: the mean of equal areas that err together."""
        values, target = self.table(num_classes=3, size=90)
        found = average_area_interval(kind, values, target, average="macro", groups=np.arange(90))
        plain = average_area_interval(kind, values, target, average="macro")
        assert found.lower <= plain.lower
        assert found.upper >= plain.upper

    @pytest.mark.parametrize("average", ["macro", "weighted"])
    def test_perfection(self, kind, average):
        target = np.repeat([0, 1, 2], [5, 10, 20])
        lower, upper = average_area_interval(kind, np.eye(3)[target], target, average=average)
        assert upper == 1.0
        assert clopper_pearson_effective(1.0, 5).lower <= lower <= clopper_pearson_effective(1.0, 35 / 3).lower + 1e-9

    def test_permutations_change_no_digit(self, kind):
        values, target = self.table()
        rng = np.random.default_rng(2)
        groups, weights = rng.integers(0, 25, 200), rng.exponential(size=200)
        for rest in ({}, {"groups": groups}, {"weights": weights}, {"groups": groups, "weights": weights}):
            found = average_area_interval(kind, values, target, average="weighted", **rest)
            order = rng.permutation(200)
            again = {name: value[order] for name, value in rest.items()}
            assert average_area_interval(kind, values[order], target[order], average="weighted", **again) == found

    def test_many_classes_that_err_apart_prove_more_than_one(self, kind):
        rng = np.random.default_rng(3)
        target = np.arange(500) % 10
        values = rng.standard_normal((500, 10))
        values[np.arange(500), target] += 3.5
        lower, upper = average_area_interval(kind, values, target, average="macro")
        one = INTERVALS[kind](values[:, 0], target == 0)
        assert upper - lower < 0.45 * (one.upper - one.lower)

    def test_weighted_by_weights(self, kind):
        values, target = self.table(num_classes=3, size=300)
        values[target == 0] = np.random.default_rng(0).standard_normal((np.sum(target == 0), 3))
        heavy = np.where(target == 0, 1e-3, 1.0)
        middle = []
        for weights in (None, heavy):
            middle.append(sum(average_area_interval(kind, values, target, average="weighted", weights=weights)) / 2)
        assert middle[1] > middle[0] + 0.05

    def test_a_class_that_is_missing(self, kind):
        values, target = self.table()
        target = np.where(target == 3, 0, target)
        assert average_area_interval(kind, values, target, average="macro") is None
        assert average_area_interval(kind, values, target, average="weighted") is not None
        assert average_area_interval(kind, values, np.zeros(200, int), average="weighted") is None
        assert average_area_interval(kind, values[:0], target[:0], average="weighted") is None
        assert average_area_interval(kind, values, target, average="weighted", groups=np.ones(200, int)) is None

    def test_not_finite(self, kind):
        values, target = self.table()
        values[3, 1] = np.nan
        with pytest.raises(EvidenceError, match="scores must be finite"):
            average_area_interval(kind, values, target, average="macro")

    @pytest.mark.parametrize("target", [[0, 1], [0, 1, 2, 4], [0, 1, 2, -1]])
    def test_what_does_not_fit(self, kind, target):
        with pytest.raises(EvidenceError, match="target"):
            average_area_interval(kind, np.ones((4, 4)), target, average="macro")


@both
class TestPaired:
    def test_equal_models_prove_nothing(self, kind):
        scores, positive = model(16)
        assert paired_area_interval(kind, scores, scores, positive) is None
        assert paired_area_interval(kind, np.exp(scores), scores, positive) is None

    def test_turning_around(self, kind):
        scores, positive = model(17)
        other = scores + np.random.default_rng(0).standard_normal(90)
        lower, upper = paired_area_interval(kind, other, scores, positive)
        assert lower < AREAS[kind](other, positive) - AREAS[kind](scores, positive) < upper
        assert paired_area_interval(kind, scores, other, positive) == pytest.approx((-upper, -lower))

    def test_similar_models_are_compared_more_sharply(self, kind):
        scores, positive = model(18, m=100, n=100)
        noise = np.random.default_rng(0).standard_normal(200)
        near = paired_area_interval(kind, scores + 0.1 * noise, scores, positive)
        far = paired_area_interval(kind, scores + noise, scores, positive)
        alone = INTERVALS[kind](scores, positive)
        assert near.upper - near.lower < 0.5 * (far.upper - far.lower)
        assert near.upper - near.lower < 0.5 * (alone.upper - alone.lower)

    def test_permutations_change_no_digit(self, kind):
        scores, positive = model(19, step=0.25)
        rng = np.random.default_rng(3)
        other = scores + rng.standard_normal(90)
        rest = {"groups": rng.integers(0, 20, 90), "weights": rng.exponential(size=90)}
        found = paired_area_interval(kind, other, scores, positive, **rest)
        order = rng.permutation(90)
        again = {name: value[order] for name, value in rest.items()}
        assert paired_area_interval(kind, other[order], scores[order], positive[order], **again) == found

    def test_groups_only_widen(self, kind):
        scores, positive = model(20, m=100, n=100)
        other = scores + np.random.default_rng(0).standard_normal(20)[np.arange(200) % 20]
        plain = paired_area_interval(kind, other, scores, positive)
        grouped = paired_area_interval(kind, other, scores, positive, groups=np.arange(200) % 20)
        assert grouped.lower <= plain.lower
        assert grouped.upper >= plain.upper
        assert paired_area_interval(kind, other, scores, positive, groups=np.ones(200, int)) is None
        # Groups whose members cancel out: what is moved most with what is moved least.
        moved = INFLUENCES[kind](other, positive) - INFLUENCES[kind](scores, positive)
        groups = np.empty(200, int)
        groups[np.argsort(moved)] = np.concatenate((np.arange(100), np.arange(100)[::-1]))
        assert paired_area_interval(kind, other, scores, positive, groups=groups) == pytest.approx(plain, abs=2e-3)

    def test_too_few(self, kind):
        assert paired_area_interval(kind, [1, 2, 3, 4], [4, 1, 3, 2], [True, False, False, False]) is None
        assert paired_area_interval(kind, [1, 2, 3, 4], [4, 1, 3, 2], [True, True, True, True]) is None
        with pytest.raises(EvidenceError, match="target has 2 samples, but scores has 3"):
            paired_area_interval(kind, [1, 2], [1, 2, 3], [True, False])
        with pytest.raises(EvidenceError, match="scores must be finite"):
            paired_area_interval(kind, [1, 2, 3], [1, np.nan, 3], [True, False, True])


def test_paired_against_delong_by_definition():
    """The covariance of the placement values of both models, as DeLong, DeLong and Clarke-Pearson (1988) define it."""
    first, positive = model(21)
    second = first + np.random.default_rng(0).standard_normal(90)
    placed = []
    for scores in (first, second):
        pairs = (scores[positive][:, None] > scores[~positive][None, :]).astype(float)
        placed.append((pairs.mean(1), pairs.mean(0)))
    by_positive, by_negative = (placed[0][i] - placed[1][i] for i in (0, 1))
    difference = by_positive.mean()
    moved = [(by_positive - difference) / (30 * 29) ** 0.5, (by_negative - difference) / (60 * 59) ** 0.5]
    variance = by_positive.var(ddof=1) / 30 + by_negative.var(ddof=1) / 60
    assert sum((part**2).sum() for part in moved) == pytest.approx(variance)
    expected = difference_interval(difference, np.concatenate(moved), 29)
    assert paired_area_interval("roc_auc", first, second, positive) == pytest.approx(expected)
    assert expected.lower < difference - scipy.stats.t.ppf(0.95, 29) * variance**0.5
