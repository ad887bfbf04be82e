"""Two evaluations of the same samples: which pairs they form, and what the difference of a metric may be."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from pytest_modelgate import Evaluation, EvidenceError, MetricError, custom_metric, evaluate
from pytest_modelgate.evidence import comparing
from pytest_modelgate.evidence.comparing import check_comparable, comparable, difference
from pytest_modelgate.evidence.pairing import Change, align, change
from pytest_modelgate.metrics.registry import METRICS, get_metric
from pytest_modelgate.statistics.paired import judge_pairs, tango_interval

N = 300
draw = np.random.default_rng(3)
TARGET = (draw.random(N) < 0.4).astype(int)
OLD = np.clip(0.3 + 0.4 * TARGET + draw.normal(0, 0.25, N), 0.001, 0.999)
NEW = np.clip(OLD + draw.normal(0, 0.15, N), 0.001, 0.999)
IDS = [f"s{i}" for i in range(N)]
TARGET3 = draw.integers(0, 3, N)
OLD3 = draw.dirichlet(np.ones(3), N) * 0.6 + 0.4 * np.eye(3)[TARGET3]
NEW3 = OLD3 * 0.7 + 0.3 * draw.dirichlet(np.ones(3), N)
FIRST, SECOND = np.flatnonzero(TARGET)[:2]
TWICE = [IDS[FIRST] if i == SECOND else name for i, name in enumerate(IDS)]  # two samples of one class, one id
TRUTH = draw.normal(size=N)
OLD_VALUES = TRUTH + draw.normal(0, 0.5, N)
NEW_VALUES = TRUTH + draw.normal(0, 0.45, N)


def binary(preds: Any, order: Any = None, target: Any = TARGET, ids: Any = IDS, **more: Any) -> Evaluation:
    rows = np.arange(N) if order is None else order
    more = {name: np.asarray(column)[rows] for name, column in more.items()}
    ids = None if ids is None else [ids[i] for i in rows]
    return Evaluation.from_predictions(
        target=np.asarray(target)[rows], preds=np.asarray(preds)[rows], outputs="probabilities", ids=ids, **more
    )


def three(preds: Any, order: Any = None) -> Evaluation:
    rows = np.arange(N) if order is None else order
    ids = [IDS[i] for i in rows]
    return Evaluation.from_predictions(
        target=TARGET3[rows], preds=preds[rows], outputs="probabilities", ids=ids, keep="scores"
    )


def values(preds: Any, order: Any = None, target: Any = TRUTH) -> Evaluation:
    rows = np.arange(N) if order is None else order
    return Evaluation.from_predictions(target=target[rows], preds=preds[rows], outputs="values", ids=rows)


def compared(name: str, candidate: Evaluation, baseline: Evaluation, margin: float = 0.0, **more: Any) -> Any:
    aligned = align(candidate, baseline)
    assert not isinstance(aligned, str), aligned
    asked: dict[str, Any] = {"label": more.pop("label", None), "average": more.pop("average", None)}
    return difference(get_metric(name), *aligned, margin=margin, confidence=0.95, parameters=more, **asked)


class TestAlign:
    def test_any_order_gives_the_same_pairs(self) -> None:
        mixed = draw.permutation(N)
        aligned = align(binary(NEW), binary(OLD, mixed))
        again = align(binary(NEW, mixed), binary(OLD))
        assert not isinstance(aligned, str)
        assert not isinstance(again, str)
        for one, other in zip(aligned, again, strict=True):
            assert np.array_equal(one.samples.preds, other.samples.preds)
            assert np.array_equal(one.scores.values, other.scores.values)

    @pytest.mark.parametrize("ids", [IDS, list(range(N)), np.arange(N) + 7, [str(i).encode() for i in range(N)]])
    def test_ids_of_any_kind(self, ids: Any) -> None:
        mixed = draw.permutation(N)
        assert not isinstance(align(binary(NEW, ids=ids), binary(OLD, mixed, ids=ids)), str)

    @pytest.mark.parametrize(
        ("candidate", "baseline", "says"),
        [
            (binary(NEW, ids=None), binary(OLD), "this evaluation has no ids"),
            (binary(NEW), binary(OLD, ids=None), "the baseline has no ids"),
            (binary(NEW, ids=None), binary(OLD, ids=None), "this evaluation and the baseline have no ids"),
            (binary(NEW), binary(OLD, np.arange(200)), "300 here, 200 in the baseline, 200 in common"),
            (binary(NEW), binary(OLD, ids=[*IDS[1:], "new"]), "300 in the baseline, 299 in common"),
            (binary(NEW), binary(OLD, ids=[f"t{i}" for i in range(N)]), "0 in common"),
            (binary(NEW), binary(OLD, ids=list(range(N))), "0 in common"),
            (binary(NEW), binary(OLD, target=np.r_[1 - TARGET[:2], TARGET[2:]]), "2 of 300 samples have"),
            (values(TRUTH), values(TRUTH, target=np.r_[9.0, TRUTH[1:]]), "1 of 300 samples have another target"),
            (binary(NEW), binary(OLD, weights=np.ones(N)), "only the baseline has weights"),
            (binary(NEW, groups=np.arange(N)), binary(OLD), "only this evaluation has groups"),
            (binary(NEW, weights=np.ones(N)), binary(OLD, weights=np.r_[2, np.ones(N - 1)]), "another weight"),
            (binary(NEW, groups=np.arange(N)), binary(OLD, groups=np.arange(N) // 2), "another group"),
            (binary(NEW, ids=TWICE), binary(OLD), "in this evaluation 1 times an id stands for another sample"),
            (binary(NEW, ids=TWICE), binary(OLD, ids=TWICE), "in this evaluation 1 times"),
            (binary(NEW), binary(OLD, ids=["same"] * N), "give each sample its own id"),
        ],
    )  # fmt: skip
    def test_other_samples_are_no_pairs(self, candidate: Evaluation, baseline: Evaluation, says: str) -> None:
        found = align(candidate, baseline)
        assert isinstance(found, str)
        assert says in found

    def test_ids_of_patients_are_no_ids_of_samples(self) -> None:
        """Two samples of a patient may be decided alike: their scores tell them apart, and any pairing is a guess."""
        target, ids = [1, 1, 0, 0], ["p", "p", "q", "q"]
        one = {"target": target, "outputs": "probabilities", "ids": ids}
        new = Evaluation.from_predictions(preds=[0.9, 0.6, 0.1, 0.1], **one)
        assert isinstance(align(new, new), str)

    def test_copies_of_one_input_pair_with_each_other(self) -> None:
        """ids="content": a copied row has one id, and is decided alike but for noise of the last digits."""
        double = np.r_[np.arange(N), np.arange(50)]
        noise = np.where(np.arange(N + 50) >= N, 1e-7, 0)
        new = Evaluation.from_predictions(
            target=TARGET[double], preds=NEW[double] + noise, outputs="probabilities", ids=[IDS[i] for i in double]
        )
        mixed = draw.permutation(N + 50)
        old = Evaluation.from_predictions(
            target=TARGET[double][mixed],
            preds=OLD[double][mixed],
            outputs="probabilities",
            ids=[IDS[i] for i in double[mixed]],
        )
        aligned = align(new, old)
        assert not isinstance(aligned, str)
        moved = (NEW >= 0.5) != (OLD >= 0.5)
        assert change(*aligned).changed == np.count_nonzero(moved) + np.count_nonzero(moved[:50])  # type: ignore[union-attr]

    def test_copies_with_other_labels_pair_by_their_label(self) -> None:
        new = Evaluation.from_predictions(target=[0, 1, 1], preds=[1, 0, 1], outputs="labels", ids=["a", "a", "b"])
        old = Evaluation.from_predictions(target=[1, 1, 0], preds=[0, 1, 0], outputs="labels", ids=["b", "a", "a"])
        aligned = align(new, old)
        assert not isinstance(aligned, str)
        assert change(*aligned) == Change(samples=3, changed=3, fixes=1, breaks=2)

    @pytest.mark.parametrize(
        ("baseline", "says"),
        [(three(OLD3), "task"), (values(TRUTH), "task"), (Evaluation.from_predictions(
            target=TARGET, preds=OLD, outputs="probabilities", labels=("ok", "fraud"), ids=IDS), "labels")],
    )  # fmt: skip
    def test_other_tasks_and_classes_are_wrong_use(self, baseline: Evaluation, says: str) -> None:
        with pytest.raises(EvidenceError, match=f"different {says}"):
            align(binary(NEW), baseline)


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=40), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_churn_is_a_count_of_cases(rows: list[tuple[int, int, int]], random: Any) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    labels = ("a", "b", "c")
    new = Evaluation.from_predictions(
        target=[r[0] for r in rows], preds=[r[1] for r in rows], outputs="labels", labels=labels, ids=range(len(rows))
    )
    old = Evaluation.from_predictions(
        target=[rows[i][0] for i in order],
        preds=[rows[i][2] for i in order],
        outputs="labels",
        labels=labels,
        ids=order,
    )
    aligned = align(new, old)
    assert not isinstance(aligned, str)
    assert change(*aligned) == Change(
        samples=len(rows),
        changed=sum(n != o for _, n, o in rows),
        fixes=sum(n == t != o for t, n, o in rows),
        breaks=sum(o == t != n for t, n, o in rows),
    )


def test_regression_decides_nothing() -> None:
    assert change(values(NEW_VALUES), values(OLD_VALUES)) is None


class TestShares:
    @pytest.mark.parametrize(
        ("name", "counts", "hit", "better"),
        [
            ("accuracy", TARGET >= 0, lambda p: (p >= 0.5) == TARGET, True),
            ("recall", TARGET == 1, lambda p: p >= 0.5, True),
            ("specificity", TARGET == 0, lambda p: p < 0.5, True),
            ("false_negative_rate", TARGET == 1, lambda p: p < 0.5, False),
            ("false_positive_rate", TARGET == 0, lambda p: p >= 0.5, False),
        ],
    )
    @pytest.mark.parametrize("margin", [0.0, 0.05])
    def test_pairs_and_bounds(self, name: str, counts: Any, hit: Any, better: bool, margin: float) -> None:
        now, then = hit(NEW)[counts], hit(OLD)[counts]
        up, down = int(np.sum(now & ~then)), int(np.sum(then & ~now))
        losses, wins = (down, up) if better else (up, down)
        found = compared(name, binary(NEW, draw.permutation(N)), binary(OLD), margin)
        assert found.pairs == (losses, wins, int(counts.sum()))
        assert found.word == judge_pairs(losses, wins, int(counts.sum()), margin)
        lower, upper = tango_interval(losses, wins, int(counts.sum()))
        assert tuple(found.bounds.interval) == pytest.approx((lower, upper) if better else (-upper, -lower), abs=1e-3)

    @given(losses=st.integers(0, 30), wins=st.integers(0, 30), rest=st.integers(0, 300))
    @settings(deadline=None, max_examples=60)
    def test_the_word_and_the_bounds_say_the_same(self, losses: int, wins: int, rest: int) -> None:
        target = np.ones(losses + wins + rest, dtype=int)
        old = np.r_[np.ones(losses), np.zeros(wins), np.ones(rest)].astype(int)
        new = np.r_[np.zeros(losses), np.ones(wins), np.ones(rest)].astype(int)
        if not len(target):
            return
        both = [
            Evaluation.from_predictions(target=target, preds=p, outputs="labels", labels=(0, 1), ids=range(len(target)))
            for p in (new, old)
        ]
        # McNemar's mid-p by its definition: half of the probability of what was seen, and all of what is beyond.
        beyond = stats.binom(losses + wins, 0.5)
        worse, better = (beyond.sf(k) + beyond.pmf(k) / 2 for k in (losses, wins))
        word = 1 if better <= 0.05 else -1 if worse <= 0.05 else 0
        for name, sign in (("recall", 1), ("false_negative_rate", -1)):
            found = compared(name, *both)
            lower, upper = found.bounds.interval if sign == 1 else [-b for b in found.bounds.interval][::-1]
            assert found.word == word
            assert (word == 1) == (lower >= 0)
            assert (word == -1) == (upper < 0)

    def test_top_k(self) -> None:
        found = compared("top_k_accuracy", three(NEW3), three(OLD3), k=2)
        now, then = (np.sum(p > p[np.arange(N), TARGET3][:, None], axis=1) < 2 for p in (NEW3, OLD3))
        assert found.pairs == (int(np.sum(then & ~now)), int(np.sum(now & ~then)), N)

    def test_groups_and_weights_use_the_mean_difference(self) -> None:
        groups, weights = np.arange(N) // 5, draw.exponential(size=N)
        hits = ((NEW >= 0.5) == TARGET).astype(float) - ((OLD >= 0.5) == TARGET)
        found = compared(
            "accuracy", binary(NEW, groups=groups, weights=weights), binary(OLD, groups=groups, weights=weights)
        )
        assert found.word is None
        lower, upper = found.bounds.interval
        assert lower < np.average(hits, weights=weights) < upper
        assert "60 groups" in found.bounds.method

    def test_copies_in_groups_prove_no_more_than_the_originals(self) -> None:
        groups = np.tile(np.arange(N), 4)
        both = [
            Evaluation.from_predictions(
                target=np.tile(TARGET, 4), preds=np.tile(p, 4), outputs="probabilities", ids=range(4 * N), groups=groups
            )
            for p in (NEW, OLD)
        ]
        for name in ("accuracy", "recall", "f1", "roc_auc", "brier"):
            single = compared(name, binary(NEW, groups=range(N)), binary(OLD, groups=range(N))).bounds.interval
            fourfold = compared(name, *both).bounds.interval
            assert fourfold.lower <= single.lower + 0.005, name
            assert fourfold.upper >= single.upper - 0.005, name


def structural(scores: Any, target: Any) -> tuple[Any, Any]:
    """DeLong's components, by their definition: of each positive over the negatives, and of each negative."""
    positive, negative = scores[target == 1], scores[target == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return wins.mean(axis=1), wins.mean(axis=0)


def test_areas_are_delongs() -> None:
    (p1, n1), (p2, n2) = structural(NEW, TARGET), structural(OLD, TARGET)
    m, n = len(p1), len(n1)
    error = np.sqrt(np.var(p1 - p2, ddof=1) / m + np.var(n1 - n2, ddof=1) / n)
    t = stats.t.ppf(0.95, min(m, n) - 1)
    gain = p1.mean() - p2.mean()
    assert gain == pytest.approx(sk.roc_auc_score(TARGET, NEW) - sk.roc_auc_score(TARGET, OLD), abs=1e-12)
    found = compared("roc_auc", binary(NEW, draw.permutation(N)), binary(OLD))
    # DeLong's bounds, and as much more as one sample more could have moved them.
    lower, upper = found.bounds.interval
    assert gain - 1.4 * t * error <= lower <= gain - t * error
    assert gain + t * error <= upper <= gain + 1.4 * t * error


class TestMeans:
    """Student's t of the differences; Hall's correction moves it a little."""

    @pytest.mark.parametrize(
        ("name", "both", "each"),
        [
            ("brier", (binary(NEW), binary(OLD)), [(p - TARGET) ** 2 for p in (NEW, OLD)]),
            ("log_loss", (binary(NEW), binary(OLD)), [-np.log(np.where(TARGET, p, 1 - p)) for p in (NEW, OLD)]),
            ("log_loss", (three(NEW3), three(OLD3)), [-np.log(p[np.arange(N), TARGET3]) for p in (NEW3, OLD3)]),
            ("mae", (values(NEW_VALUES), values(OLD_VALUES)), [abs(v - TRUTH) for v in (NEW_VALUES, OLD_VALUES)]),
        ],
        ids=["brier", "log_loss", "log_loss of 3", "mae"],
    )
    def test_means(self, name: str, both: Any, each: Any) -> None:
        moved = each[0] - each[1]
        expected = stats.ttest_rel(*each).confidence_interval(0.9)
        found = compared(name, *both).bounds.interval
        spread = moved.std() / np.sqrt(N)
        assert tuple(found) == pytest.approx((expected.low, expected.high), abs=0.5 * spread)

    def test_the_root_and_r2_as_by_the_jackknife(self) -> None:
        """Jackknife errors of the difference itself: an independent way to its spread."""
        first, second = values(NEW_VALUES), values(OLD_VALUES)

        def rmse(rows: Any, v: Any) -> float:
            return float(np.sqrt(np.mean((v - TRUTH)[rows] ** 2)))

        for name, of in (("rmse", rmse), ("r2", lambda rows, v: sk.r2_score(TRUTH[rows], v[rows]))):
            left = [np.delete(np.arange(N), i) for i in range(N)]
            moved = np.array([of(rows, NEW_VALUES) - of(rows, OLD_VALUES) for rows in left])
            error = np.sqrt((N - 1) * np.var(moved))
            gain = of(np.arange(N), NEW_VALUES) - of(np.arange(N), OLD_VALUES)
            t = stats.t.ppf(0.95, N - 1)
            found = compared(name, first, second).bounds.interval
            assert tuple(found) == pytest.approx((gain - t * error, gain + t * error), abs=0.25 * error), name

    def test_few_samples_need_a_known_range(self) -> None:
        rows = np.arange(30)
        both = [values(NEW_VALUES, rows), values(OLD_VALUES, rows)]
        assert compared("mae", *both).bounds.interval is None
        found = compared("mae", *both, max_error=5).bounds
        assert found.interval is not None
        assert found.method.startswith("Bayesian bootstrap")


class TestTables:
    @pytest.mark.parametrize("name", ["precision", "f1", "mcc", "cohen_kappa", "balanced_accuracy", "jaccard"])
    def test_bounds_hold_the_bootstraps_middle(self, name: str) -> None:
        """With hundreds of samples the plain paired bootstrap is a fair guide, to a few hundredths."""
        new, old = binary(NEW), binary(OLD)
        metric, random = get_metric(name), np.random.default_rng(0)
        moved = []
        for _ in range(200):
            rows = random.integers(0, N, N)
            gain = [binary(p, rows, ids=None).metric(metric) for p in (NEW, OLD)]
            moved.append(gain[0] - gain[1])  # type: ignore[operator]
        found = compared(name, new, old).bounds.interval
        assert tuple(found) == pytest.approx(tuple(np.quantile(moved, [0.05, 0.95])), abs=0.03)

    def test_a_coefficient_from_minus_one_to_one_can_fall_by_two(self) -> None:
        target = np.arange(20) % 2
        both = [
            Evaluation.from_predictions(target=target, preds=p, outputs="labels", labels=(0, 1), ids=range(20))
            for p in (1 - target, target)
        ]
        lower, upper = compared("mcc", *both).bounds.interval
        assert lower == pytest.approx(-2, abs=1e-9)
        assert upper < -1.4

    @pytest.mark.parametrize("name", ["recall", "precision", "f1", "specificity"])
    @pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
    def test_averages_of_three_classes(self, name: str, average: str) -> None:
        new, old = three(NEW3), three(OLD3)
        lower, upper = compared(name, new, old, average=average).bounds.interval
        gain = new.metric(name, average=average) - old.metric(name, average=average)  # type: ignore[operator]
        assert lower < gain < upper
        assert upper - lower < 0.2

    def test_models_that_never_differed_may_still_differ(self) -> None:
        lower, upper = compared("f1", binary(NEW), binary(NEW)).bounds.interval
        assert lower < 0 < upper


LOSS = get_metric("loss")


class TestWrongUse:
    def test_what_can_be_compared(self) -> None:
        assert set(METRICS) - set(comparable()) == {"calibration_error", "median_error", "exact_match"}
        for name in comparable():
            check_comparable(METRICS[name])

    @pytest.mark.parametrize(
        "metric",
        [
            METRICS["calibration_error"],
            METRICS["median_error"],
            custom_metric(lambda table: float(table[0, 0]), name="mine"),
            custom_metric(lambda target, scores: 0.5, of="scores", name="area"),
        ],
    )
    def test_what_cannot_be_says_what_can(self, metric: Any) -> None:
        with pytest.raises(MetricError, match=r"cannot be compared .* these can: accuracy, .*, loss$"):
            check_comparable(metric)

    def test_areas_go_class_by_class(self) -> None:
        with pytest.raises(MetricError, match="give label="):
            compared("roc_auc", three(NEW3), three(OLD3), average="macro")

    def test_scores_that_were_not_kept(self) -> None:
        decided = [
            Evaluation.from_predictions(target=TARGET, preds=(p >= 0.5).astype(int), outputs="labels", ids=IDS)
            for p in (NEW, OLD)
        ]
        with pytest.raises(EvidenceError, match="needs scores"):
            compared("roc_auc", *decided)
        with pytest.raises(EvidenceError, match="needs the scores of both"):
            compared("roc_auc", binary(NEW), decided[1])

    def test_no_values_to_compare(self) -> None:
        with pytest.raises(EvidenceError, match="no loss was measured"):
            compared("loss", binary(NEW), binary(OLD))


@pytest.mark.parametrize("name", [n for n in comparable() if METRICS[n].needs in ("counts", "scores", "forecasts")])
def test_the_order_of_the_samples_changes_nothing(name: str) -> None:
    groups, weights = draw.integers(0, 60, N), draw.exponential(size=N)
    more = {"groups": groups, "weights": weights}
    label = 1 if METRICS[name].averages else None
    first = compared(name, binary(NEW, **more), binary(OLD, **more), label=label)
    mixed, other = draw.permutation(N), draw.permutation(N)
    assert compared(name, binary(NEW, mixed, **more), binary(OLD, other, **more), label=label) == first
    plain = compared(name, binary(NEW), binary(OLD), label=label)
    assert compared(name, binary(NEW, mixed), binary(OLD, other), label=label) == plain


class TestModelsThatNeverDiffered:
    """Nothing differs on these samples; others may. Where a sample can change only so much there are bounds."""

    @pytest.mark.parametrize("rare", [3, 40, 150])
    def test_areas(self, rare: int) -> None:
        target = (np.arange(N) < rare).astype(int)
        one, other = binary(NEW, target=target), binary(NEW, draw.permutation(N), target=target)
        found = compared("roc_auc", one, other, margin=0.1).bounds
        lower, upper = found.interval
        assert -lower == upper == pytest.approx(-np.log(0.05) / rare)
        assert "no score differs" in found.method
        # Shares of positives and negatives further apart would show in 95% of samples or more.
        for p in np.linspace(0, min(1, upper), 50):
            q = upper - p
            if q < 1:
                assert (1 - p) ** rare * (1 - q) ** (N - rare) <= 0.05 + 1e-12

    def test_an_area_by_other_scores_of_the_same_ranks_has_none(self) -> None:
        found = compared("roc_auc", binary(NEW), binary(NEW**2)).bounds
        assert (found.interval, found.why) == (None, "no sample's rank differs")

    def test_groups_and_average_precision_have_none(self) -> None:
        assert compared("average_precision", binary(NEW), binary(NEW)).bounds.interval is None
        groups = range(N)
        assert compared("roc_auc", binary(NEW, groups=groups), binary(NEW, groups=groups)).bounds.interval is None

    @pytest.mark.parametrize("name", ["mae", "rmse"])
    def test_errors_of_a_known_range(self, name: str) -> None:
        one, other = values(NEW_VALUES), values(NEW_VALUES)
        unknown = compared(name, one, other).bounds
        assert unknown.interval is None
        assert unknown.why == (
            "no sample fared differently; max_error=, the greatest error that there could be, would give bounds"
        )
        lower, upper = compared(name, one, other, max_error=5.0).bounds.interval
        missed = 1 - 0.05 ** (1 / N)
        if name == "mae":
            assert -lower == upper == pytest.approx(5 * missed)
        else:  # so many samples more with the greatest error would raise the root by no more than this
            root = np.sqrt(np.mean((NEW_VALUES - TRUTH) ** 2))
            assert -lower == pytest.approx(upper)
            assert np.sqrt((1 - missed) * root**2 + missed * 25) - root <= upper <= missed * 25 / (2 * root)

    @pytest.mark.parametrize("name", ["log_loss", "r2"])
    def test_no_range_no_bounds(self, name: str) -> None:
        both = (values(NEW_VALUES),) * 2 if name == "r2" else (binary(NEW),) * 2
        found = compared(name, *both).bounds
        assert (found.interval, found.why) == (None, "no sample fared differently")


@pytest.mark.parametrize(("name", "remedy"), [("mae", "max_error"), ("rmse", "max_error"), ("r2", None)])
def test_too_few_names_the_remedy(name: str, remedy: str | None) -> None:
    rows = np.arange(30)
    both = [values(NEW_VALUES, rows), values(OLD_VALUES, rows)]
    why = compared(name, *both).bounds.why
    assert why.startswith("fewer than 50 samples (or ")
    assert ("would give bounds" in why) == (remedy is not None)
    if remedy is not None:
        assert f"; {remedy}=, the greatest error that there could be, would give bounds" in why
        lower, upper = compared(name, *both, max_error=8.0).bounds.interval
        gain = both[0].metric(name) - both[1].metric(name)  # type: ignore[operator]
        assert lower < gain < upper


def test_weights_of_classes_and_of_samples_multiply() -> None:
    """The difference of losses with both: a mean by their product, with Kish's error."""
    torch = pytest.importorskip("torch")
    of_class, weights = np.array([1.0, 2.0]), draw.exponential(size=N)
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor(of_class))
    moved = 3.0 * (weights < np.median(weights))  # the candidate is better on samples of little weight only

    def judged(right: Any) -> Evaluation:
        logits = np.stack([np.zeros(N), (2 * TARGET - 1) * right], axis=1)
        return evaluate(
            torch.nn.Identity(),
            (torch.tensor(logits), torch.tensor(TARGET)),
            outputs="logits",
            loss=loss,
            ids=IDS,
            weights=weights,
        )

    first, second = OLD + moved, OLD
    both = judged(first), judged(second)
    assert both[0].samples is not None
    assert both[0].samples.loss_weights is not None
    gain = np.logaddexp(0, -first) - np.logaddexp(0, -second)
    share = of_class[TARGET] * weights
    share /= share.sum()
    mean = (share * gain).sum()
    error = np.sqrt((share**2 * (gain - mean) ** 2).sum())
    found = compared("loss", *both).bounds.interval
    assert tuple(found) == pytest.approx((mean - 1.65 * error, mean + 1.65 * error), abs=0.4 * error)
    ignored = np.average(gain, weights=of_class[TARGET])
    assert ignored < mean - 4 * error


@pytest.mark.parametrize("name", ["mae", "rmse"])
def test_an_error_beyond_the_greatest_is_refused(name: str) -> None:
    """Also where both models make it, so that their difference is small."""
    rows = np.arange(N)
    wrong = np.where(rows == 7, TRUTH + 6.0, NEW_VALUES)
    with pytest.raises(EvidenceError, match=r"greatest possible value is given as 5\.0, but there is a 6"):
        compared(name, values(wrong), values(np.where(rows == 7, wrong, OLD_VALUES)), max_error=5.0)
    assert compared(name, values(wrong), values(wrong), max_error=6.0).bounds.interval is not None


@pytest.mark.parametrize("weighed", [False, True])
def test_triples_of_many_classes_are_counted(monkeypatch: pytest.MonkeyPatch, weighed: bool) -> None:
    """More triples of classes than a byte has values."""
    rng = np.random.default_rng(8)
    target, before, after = (rng.integers(0, 10, N) for _ in range(3))
    weights = rng.integers(1, 9, N) if weighed else np.ones(N)
    more = {"weights": weights} if weighed else {}
    given: list[Any] = []
    original = comparing.paired_dirichlet_interval

    def judged(*arguments: Any, **keywords: Any) -> Any:
        given.append(arguments)
        return original(*arguments, **keywords)

    monkeypatch.setattr(comparing, "paired_dirichlet_interval", judged)
    both = [
        Evaluation.from_predictions(target=target, preds=preds, outputs="labels", ids=IDS, **more)
        for preds in (after, before)
    ]
    compared("f1", *both, average="macro")
    actual, old, new, counts = given[0][:4]
    found = dict(zip(zip(actual.tolist(), old.tolist(), new.tolist(), strict=True), counts / counts.sum(), strict=True))
    expected: Counter[tuple[int, int, int]] = Counter()
    for row, weight in zip(zip(target.tolist(), before.tolist(), after.tolist(), strict=True), weights, strict=True):
        expected[row] += weight / weights.sum()
    assert found == pytest.approx(expected)
