"""The gap of a metric between the slices of a column: its bounds, its words, and what is not compared."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from pytest_modelgate import BarError, ConfusionMatrix, Evaluation, EvidenceError, MetricError, Outcome, Verdict
from pytest_modelgate.gates.gap import GapAtMost
from pytest_modelgate.statistics.differences import difference_interval
from pytest_modelgate.statistics.interval import Interval

REGIONS = {"north": (190, 200), "south": (140, 200), "east": (90, 100), "west": (2, 9)}


def of(hits: dict[str, tuple[int, int]], **more: Any) -> Evaluation:
    target = [0] * len(hits)
    preds = [0] * len(hits)
    region = list(hits)
    for name, (k, n) in hits.items():
        target += [1] * n
        preds += [1] * k + [0] * (n - k)
        region += [name] * n
    kept: dict[str, Any] = {"outputs": "labels", "labels": ("ok", "fraud"), "slices": {"region": region}}
    return Evaluation.from_predictions(target=target, preds=preds, **(kept | more))


def gap(hits: dict[str, tuple[int, int]], at_most: float, **more: Any) -> Verdict:
    return GapAtMost("recall", by="region", at_most=at_most, **more).check(of(hits))


def exact(k: int, n: int, confidence: float) -> Interval:
    return Interval(*stats.binomtest(k, n).proportion_ci(2 * confidence - 1, method="exact"))


def test_recall_by_hand() -> None:
    """Each pair's bounds by MOVER on scipy's: the upper at 95%, the lower at 1 - .05 / 6."""
    verdict = gap(REGIONS, 0.05)
    large = [REGIONS[name] for name in ("north", "south", "east")]
    pairs = [
        tuple(difference_interval(k / n, exact(k, n, c), j / m, exact(j, m, c)) for c in (0.95, 1 - 0.05 / 6))
        for (k, n), (j, m) in permutations(large, 2)
    ]
    assert verdict.estimate == pytest.approx(0.25)
    assert verdict.lower == pytest.approx(max(surer.lower for _, surer in pairs), abs=1e-9)
    assert verdict.upper == pytest.approx(max(plain.upper for plain, _ in pairs), abs=1e-9)
    assert (verdict.outcome, verdict.passed, verdict.bar, verdict.direction) == (Outcome.FAIL, False, 0.05, "at_most")
    assert (verdict.gate, verdict.metric, verdict.label) == ("gap(recall[fraud] by region) <= 0.05", "recall", "fraud")
    assert verdict.support == 400
    assert verdict.explanation == (
        "FAIL: gap of recall of 'fraud' by region = 0.250 (best region=north 0.950, worst region=south 0.700), "
        "required <= 0.050; of 4 slices 1 is not judged"
    )
    details = dict(verdict.details)
    assert (details["worst"], details["best"]) == ("region=south", "region=north")
    assert [row["slice"] for row in details["compared"]] == [f"region={n}" for n in ("south", "east", "north", "west")]
    assert [row["judged"] for row in details["compared"]] == [True, True, True, False]
    assert (details["compared"][0]["lower"], details["compared"][0]["upper"]) == pytest.approx(exact(140, 200, 0.95))
    assert "not judged, the metric rests on fewer than 30 samples: region=west (9)" in verdict.notes
    assert Verdict.from_json(verdict.to_json()) == verdict


@pytest.mark.parametrize(
    ("at_most", "outcome", "leans", "green"),
    [
        (0.4, "PASS", "", {"estimate": True, "fail": True, "warn": True}),
        (0.26, "INCONCLUSIVE", " (leans pass)", {"estimate": True, "fail": False, "warn": True}),
        (0.2, "INCONCLUSIVE", " (leans fail)", {"estimate": False, "fail": False, "warn": True}),
        (0.1, "FAIL", "", {"estimate": False, "fail": False, "warn": False}),
    ],
)
def test_words(at_most: float, outcome: str, leans: str, green: dict[str, bool]) -> None:
    for if_unsure, passed in green.items():
        verdict = gap(REGIONS, at_most, if_unsure=if_unsure)
        assert (str(verdict.outcome), verdict.passed) == (outcome, passed)
        assert verdict.explanation.startswith(f"{outcome}{leans}: gap of recall of 'fraud' by region = ")
        assert ("takes nothing but proof" in str(verdict)) == (outcome == "INCONCLUSIVE" and if_unsure == "fail")
        assert verdict.would_settle() == ()


def test_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    target, part = rng.integers(0, 2, 600), rng.choice(["a", "b", "c"], 600)
    scores = np.clip(0.5 + (target - 0.5) * np.where(part == "b", 0.2, 0.6) + 0.2 * rng.normal(size=600), 0, 1)
    found = Evaluation.from_predictions(
        target=target, preds=scores, outputs="probabilities", slices={"part": part, "even": np.arange(600) % 2 == 0}
    )
    for metric, sign, function, values in (
        ("roc_auc", 1, sk.roc_auc_score, scores),
        ("f1", 1, sk.f1_score, scores >= 0.5),
        ("brier", -1, sk.brier_score_loss, scores),
    ):
        each = {name: function(target[part == name], values[part == name]) for name in "abc"}
        verdict = GapAtMost(metric, by="part", at_most=0.01).check(found)
        assert verdict.estimate == pytest.approx(max(each.values()) - min(each.values()), abs=1e-12)
        details = dict(verdict.details)
        assert details["worst"] == f"part={min(each, key=lambda name: sign * each[name])}"
        assert details["best"] == f"part={max(each, key=lambda name: sign * each[name])}"
    names = {row["slice"] for row in dict(GapAtMost("f1", by="even", at_most=0.5).check(found).details)["compared"]}
    assert names == {"even", "not even"}


def test_a_slice_without_bounds_may_be_far_off() -> None:
    """40 losses say too little: no proof; but what the others prove still fails."""
    rng = np.random.default_rng(1)
    part = np.repeat(["a", "b", "c"], [300, 300, 40])
    preds = rng.normal(size=640) * np.where(part == "b", 2, 1)
    found = Evaluation.from_predictions(target=np.zeros(640), preds=preds, outputs="values", slices={"part": part})
    verdict = GapAtMost("mae", by="part", at_most=5.0, if_unsure="fail").check(found)
    assert (verdict.outcome, verdict.passed, verdict.upper) == (Outcome.INCONCLUSIVE, False, None)
    assert any(note.startswith("no bounds of part=c: ") for note in verdict.notes)
    assert GapAtMost("mae", by="part", at_most=0.1, if_unsure="warn").check(found).outcome is Outcome.FAIL
    assert GapAtMost("mae", by="part", at_most=5.0, min_support=50).check(found).outcome is Outcome.PASS


@pytest.mark.parametrize("hits", [{"a": (50, 60)}, {"a": (50, 60), "b": (5, 10)}, {"a": (1, 2), "b": (1, 3)}])
def test_fewer_than_two_are_undefined(hits: dict[str, tuple[int, int]]) -> None:
    verdict = gap(hits, 0.9, if_unsure="warn")
    assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
    assert "slices can be, and a gap is between two" in verdict.explanation
    assert not any(row["judged"] for row in dict(verdict.details)["compared"])
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_nothing_to_judge_and_infinite_values_are_red() -> None:
    verdict = gap({"a": (0, 0), "b": (0, 0)}, 0.9, if_unsure="warn")
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
    assert "no sample of class 'fraud'" in verdict.explanation
    sure = Evaluation.from_predictions(
        target=[0, 1] * 100,
        preds=[0.1, 0.9] * 99 + [1.0, 0.9],
        outputs="probabilities",
        slices={"part": np.arange(200) // 100},
    )
    verdict = GapAtMost("log_loss", by="part", at_most=9.0, if_unsure="warn").check(sure)
    assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)


def test_groups_that_lie_in_several_slices_are_said() -> None:
    hits = {"a": (90, 100), "b": (95, 100)}
    within, across = np.r_[0, 10, np.arange(200) // 10], np.r_[0, 10, np.arange(200) % 20]
    text = "samples of one group are in several slices"
    gate = GapAtMost("recall", by="region", at_most=0.5)
    assert text in str(gate.check(of(hits, groups=across)))
    assert text not in str(gate.check(of(hits, groups=within)))
    assert "groups" in str(gate.check(of(hits, groups=within)).method)


def test_a_tuned_threshold_proves_nothing() -> None:
    rng = np.random.default_rng(2)
    target = rng.integers(0, 2, 4000)
    scored = Evaluation.from_predictions(
        target=target,
        preds=np.clip(0.3 + 0.4 * target + 0.1 * rng.normal(size=4000), 0, 1),
        outputs="probabilities",
        slices={"part": np.arange(4000) % 2},
    )
    gate = GapAtMost("recall", by="part", at_most=0.2)
    assert gate.check(scored).outcome is Outcome.PASS
    assert gate.check(scored.at_threshold(scored.best_threshold(recall_at_least=0.9))).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"at_most": -0.1}, BarError, "a number of 0 or more"),
        ({"at_most": math.nan}, BarError, "a number of 0 or more"),
        ({"at_most": True}, BarError, "a number of 0 or more"),
        ({"at_most": "0.1"}, BarError, "a number of 0 or more"),
        ({"at_most": 5}, BarError, "was 0.05 meant"),
        ({"min_support": 0}, BarError, "1 or more"),
        ({"confidence": 95}, BarError, "was 0.95 meant"),
        ({"if_unsure": "warm"}, BarError, "did you mean 'warn'"),
        ({"metric": "recal"}, MetricError, "did you mean 'recall'"),
        ({"by": "regio"}, EvidenceError, "did you mean 'region'"),
        ({"label": "frau"}, MetricError, "did you mean 'fraud'"),
    ],
)
def test_wrong_use(more: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        GapAtMost(**({"metric": "recall", "by": "region", "at_most": 0.1} | more)).check(of(REGIONS))


def test_evidence_without_slices() -> None:
    with pytest.raises(EvidenceError, match="slices="):
        GapAtMost("recall", by="region", at_most=0.1).check(ConfusionMatrix([[1, 2], [3, 4]]))
