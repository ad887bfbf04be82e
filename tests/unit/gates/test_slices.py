"""A gate on each slice of a column: one family, after Holm, whose weakest slice the verdict shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_modelgate import (
    BarError,
    ConfusionMatrix,
    Evaluation,
    EveryClassRecall,
    EvidenceError,
    Gate,
    NoRegression,
    Outcome,
    Verdict,
)
from pytest_modelgate.gates.slices import BySlice, OnSlice, sliced
from pytest_modelgate.metrics.losses import MeanLoss

LABELS = ("ok", "fraud")


def of(hits: dict[str, tuple[int, int]], right: dict[str, tuple[int, int]] | None = None, **more: Any) -> Evaluation:
    """So many hits of so many frauds in each region, and so many right of so many others; else one right each."""
    target: list[int] = []
    preds: list[int] = []
    region: list[str] = []
    for name, (k, n) in hits.items():
        good, others = (right or {}).get(name, (1, 1))
        target += [1] * n + [0] * others
        preds += [1] * k + [0] * (n - k) + [0] * good + [1] * (others - good)
        region += [name] * (n + others)
    return Evaluation.from_predictions(
        target=target, preds=preds, outputs="labels", labels=LABELS, slices={"region": region}, **more
    )


def judged(hits: dict[str, tuple[int, int]], bar: float = 0.8, min_support: int = 30, **more: Any) -> Verdict:
    return BySlice(Gate("recall", at_least=bar, label="fraud", **more), "region", min_support=min_support).check(
        of(hits)
    )


def rows_of(verdict: Verdict) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dict(verdict.details)["slices"]
    return found


REGIONS = {"north": (43, 50), "south": (20, 50), "east": (99, 100), "west": (5, 6)}


def test_a_family_by_hand() -> None:
    """Exact bounds by scipy: what may prove at 95%, what refutes at 1 - .05 / 3, then at 1 - .05 / 2."""
    verdict = judged(REGIONS)
    assert (verdict.gate, verdict.slice, verdict.family) == (
        "recall[fraud] >= 0.8 by region",
        "region=south",
        "Holm over 3 slices",
    )
    assert (verdict.outcome, verdict.passed, verdict.estimate, verdict.support) == (Outcome.FAIL, False, 0.4, 50)
    assert verdict.explanation == (
        "FAIL: on region=south, recall of 'fraud' = 0.400 (20 of 50), required >= 0.800; of 4 slices 1 is refuted, "
        "1 is open, 1 is proved, 1 is not judged"
    )
    rows = rows_of(verdict)
    assert [row["slice"] for row in rows] == ["region=south", "region=north", "region=east", "region=west"]
    assert [row["outcome"] for row in rows] == ["FAIL", "INCONCLUSIVE", "PASS", None]
    assert [row["judged"] for row in rows] == [True, True, True, False]
    assert [(row["n"], row["support"]) for row in rows] == [(51, 50), (51, 50), (101, 100), (7, 6)]
    levels = {"south": 1 - 0.05 / 3, "north": 1 - 0.05 / 2, "east": 1 - 0.05 / 2, "west": 0.95}
    for row in rows:
        name = row["slice"].removeprefix("region=")
        plain, surer = (
            stats.binomtest(*REGIONS[name]).proportion_ci(2 * level - 1, method="exact")
            for level in (0.95, levels[name])
        )
        assert (row["lower"], row["upper"]) == pytest.approx((plain.low, surer.high), abs=1e-9)
    assert (verdict.lower, verdict.upper) == (rows[0]["lower"], rows[0]["upper"])
    assert "not judged, the metric rests on fewer than 30 samples: region=west (6)" in verdict.notes
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_the_table_stands_in_the_text() -> None:
    lines = [line.strip() for line in str(judged(REGIONS)).splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("slice"))
    assert lines[start].split() == ["slice", "samples", "support", "estimate", "the", "data", "allow", "outcome"]
    assert [line.split()[0] for line in lines[start + 1 : start + 5]] == [
        row["slice"] for row in rows_of(judged(REGIONS))
    ]
    assert lines[start + 1].endswith("FAIL")
    assert lines[start + 4].endswith("not judged")
    many = judged({f"r{i:03}": (40, 40) for i in range(50)})
    assert "and 30 more" in many.notes
    assert len(rows_of(many)) == 50


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(1, 90), st.floats(0, 1)), min_size=1),
    st.sampled_from([0.5, 0.8, 0.95]),
    st.sampled_from([0.9, 0.95]),
    st.sampled_from(["estimate", "fail", "warn"]),
    st.sampled_from([1, 30]),
)
@example({"a": (1, 0.0)}, 0.95, 0.95, "estimate", 1)
@settings(deadline=None, max_examples=60)
def test_words_are_holms(
    slices: dict[str, tuple[int, float]], bar: float, confidence: float, if_unsure: str, least: int
) -> None:
    hits = {name: (round(n * share), n) for name, (n, share) in slices.items()}
    enough = {f"region={name}": (k, n) for name, (k, n) in hits.items() if n >= least}
    verdict = judged(hits, bar, least, confidence=confidence, if_unsure=if_unsure)
    if not enough or (verdict.outcome is Outcome.UNDEFINED and not any(k for k, _ in hits.values())):
        assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)  # too few, or all predictions alike
        return
    alpha = 1 - confidence
    below = {name: stats.binom.cdf(k, n, bar) for name, (k, n) in enough.items()}
    refuted: list[str] = []
    for rank, name in enumerate(sorted(below, key=below.__getitem__)):
        if below[name] > alpha / (len(below) - rank):
            break
        refuted.append(name)
    words = {row["slice"]: row["outcome"] for row in rows_of(verdict)}
    assert words.keys() == {f"region={name}" for name in hits}
    for name, (k, n) in enough.items():
        proved = stats.binom.sf(k - 1, n, bar) <= alpha
        assert words[name] == ("FAIL" if name in refuted else "PASS" if proved else "INCONCLUSIVE")
    assert all(words[name] is None for name in words if name not in enough)
    expected = "FAIL" if refuted else "PASS" if {words[name] for name in enough} == {"PASS"} else "INCONCLUSIVE"
    assert str(verdict.outcome) == expected
    assert verdict.passed == (expected == "PASS" or (expected == "INCONCLUSIVE" and if_unsure != "fail"))
    weakest = rows_of(verdict)[0]
    assert (verdict.slice, verdict.estimate, verdict.lower) == (weakest["slice"], weakest["estimate"], weakest["lower"])
    # PASS iff the lower bound meets the bar, FAIL iff the upper one does not, of the slice that is shown.
    assert verdict.lower is not None
    assert verdict.upper is not None
    # A bound can be the bar itself, as with 0 of 1 at 0.95: P(X <= 0) is 0.05 to the last digit.
    assert verdict.upper <= bar + 1e-12 if expected == "FAIL" else verdict.upper >= bar - 1e-12
    assert verdict.lower >= bar - 1e-12 if expected == "PASS" else verdict.lower <= bar + 1e-12


def test_the_colour_of_doubt() -> None:
    """One low slice of five is luck: green, and said so; proof is asked for with if_unsure="fail"."""
    hits = dict.fromkeys("abcd", (45, 50)) | {"e": (37, 50)}
    verdict = judged(hits)
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, True)
    assert verdict.explanation.startswith("INCONCLUSIVE (leans fail): on region=e, ")
    assert "green since luck may explain it" in str(verdict)
    red = judged(hits, if_unsure="fail")
    assert (red.outcome, red.passed) == (Outcome.INCONCLUSIVE, False)
    assert "red since if_unsure='fail' takes nothing but proof" in red.notes
    assert "samples of this slice in all settle" not in str(verdict)
    lucky = judged(dict.fromkeys("abcd", (42, 50)))
    assert lucky.explanation.startswith("INCONCLUSIVE (leans pass)")
    assert "green since" not in str(lucky)


def test_lower_is_better() -> None:
    """Of an error the upper bound proves and the lower one refutes."""
    rng = np.random.default_rng(0)
    region = np.repeat(["a", "b", "c"], 200)
    preds = rng.normal(size=600) * np.where(region == "b", 3, 1)
    found = Evaluation.from_predictions(target=np.zeros(600), preds=preds, outputs="values", slices={"region": region})
    verdict = BySlice(Gate("mae", at_most=1.0), "region").check(found)
    assert (verdict.outcome, verdict.slice) == (Outcome.FAIL, "region=b")
    alone = {
        level: Gate("mae", at_most=1.0, confidence=level).check(found.slices["b"]) for level in (0.95, 1 - 0.05 / 3)
    }
    assert verdict.lower == alone[1 - 0.05 / 3].lower
    assert verdict.upper == alone[0.95].upper
    assert verdict.lower is not None
    assert verdict.lower > 1
    weakest_first = [row["estimate"] for row in rows_of(verdict)]
    assert weakest_first == sorted(weakest_first, reverse=True)


class TestWhatIsNotJudged:
    def test_no_slice_is_large_enough(self) -> None:
        verdict = judged(REGIONS, min_support=101, if_unsure="warn")
        assert (verdict.outcome, verdict.passed, verdict.estimate) == (Outcome.UNDEFINED, False, None)
        assert verdict.explanation.startswith(
            "UNDEFINED: by region, no slice can be judged: the metric rests on fewer than 101 samples: region=east"
        )
        assert [row["judged"] for row in rows_of(verdict)] == [False] * 4
        assert Verdict.from_json(verdict.to_json()) == verdict

    def test_a_slice_without_positives_is_shown_and_named(self) -> None:
        verdict = BySlice(Gate("recall", at_least=0.5), "region").check(
            of(REGIONS | {"none": (0, 0)}, {"none": (400, 400)})
        )
        (row,) = [row for row in rows_of(verdict) if row["slice"] == "region=none"]
        assert row == {
            "slice": "region=none",
            "n": 400,
            "support": 0,
            "estimate": None,
            "lower": None,
            "upper": None,
            "outcome": None,
            "judged": False,
        }
        assert "region=none (0)" in str(verdict)

    def test_a_metric_of_all_samples_that_is_undefined_is_named_with_its_cause(self) -> None:
        target = [0, 1] * 50 + [1] * 60
        found = Evaluation.from_predictions(
            target=target,
            preds=np.linspace(0.05, 0.95, 160),
            outputs="probabilities",
            slices={"region": ["a"] * 100 + ["b"] * 60},
        )
        verdict = BySlice(Gate("roc_auc", at_least=0.01), "region").check(found)
        (named,) = [
            note for note in verdict.notes if note.startswith("not judged, the metric is undefined: region=b (")
        ]
        assert "no sample" in named or "one class" in named

    def test_nothing_at_all_to_judge(self) -> None:
        verdict = BySlice(Gate("recall", at_least=0.5, if_unsure="warn"), "region").check(
            of({"a": (0, 0), "b": (0, 0)}, {"a": (50, 50), "b": (40, 50)})
        )
        assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
        assert "no sample of class 'fraud' in 100" in verdict.explanation

    def test_nan_is_red(self) -> None:
        """One loss that is not finite: no slice is a pass."""
        found = replace(of(REGIONS), mean_loss=MeanLoss.of("nll", np.array([np.nan] * 210)))
        assert not BySlice(Gate("loss", at_most=9.0, if_unsure="warn"), "region").check(found).passed

    @pytest.mark.parametrize("least", [0, -1, 2.5, "30", None, True])
    def test_min_support_is_a_count(self, least: Any) -> None:
        with pytest.raises(BarError, match=r"min_support=.*: give a whole number of samples, 1 or more"):
            BySlice(Gate("recall", at_least=0.5), "region", min_support=least)


class TestVacuousBars:
    """That a bar says nothing, or the model nothing, is judged of all samples, not by slice."""

    def test_of_one_slice_alone(self) -> None:
        found = of({"a": (90, 100), "b": (1, 2)}, {"a": (90, 100), "b": (98, 98)})
        verdict = BySlice(Gate("accuracy", at_least=0.8), "region").check(found)
        assert (verdict.outcome, verdict.slice) == (Outcome.PASS, "region=a")
        with pytest.raises(BarError, match="vacuous"):
            Gate("accuracy", at_least=0.8).check(found.slices["b"])

    def test_of_all(self) -> None:
        with pytest.raises(BarError, match="vacuous"):
            BySlice(Gate("accuracy", at_least=0.5), "region").check(of({"a": (9, 10)}, {"a": (90, 90)}))

    def test_a_model_that_answers_one_class(self) -> None:
        found = of({"a": (90, 90), "b": (50, 50)}, {"a": (0, 90), "b": (0, 50)})
        verdict = BySlice(Gate("recall", at_least=0.5), "region").check(found)
        assert (verdict.outcome, verdict.passed) == (Outcome.UNDEFINED, False)
        assert "predictions are 'fraud'" in verdict.explanation


class TestEveryClass:
    def test_each_class_of_each_slice_is_one_of_the_family(self) -> None:
        found = of({"a": (90, 100), "b": (20, 60)}, {"a": (95, 100), "b": (58, 60)})
        verdict = BySlice(EveryClassRecall(0.8), "region").check(found)
        assert verdict.gate == "every_class_recall >= 0.8 by region"
        assert (verdict.outcome, verdict.slice, verdict.label) == (Outcome.FAIL, "region=b", "fraud")
        assert verdict.family == "Holm over 4 slices and classes"
        assert rows_of(verdict)[0]["slice"] == "region=b, 'fraud'"
        assert verdict.explanation.startswith("FAIL: on region=b, recall of 'fraud' = 0.333 (20 of 60)")

    def test_a_small_class_does_not_hide_a_bad_one(self) -> None:
        found = of({"a": (2, 4), "b": (50, 50)}, {"a": (20, 60), "b": (50, 50)})
        verdict = BySlice(EveryClassRecall(0.8), "region").check(found)
        assert (verdict.outcome, verdict.label) == (Outcome.FAIL, "ok")
        assert "region=a, 'fraud' (4)" in str(verdict)


class TestNoRegression:
    IDS = tuple(range(800))

    def both(self, low: float, **more: Any) -> tuple[Evaluation, Evaluation]:
        """A model that was right in 90% everywhere, and one that is right less often in one region."""
        rng = np.random.default_rng(3)
        target, region = rng.integers(0, 2, 800), np.repeat(["a", "b", "c", "d"], 200)
        was = rng.random(800) < 0.9
        now = was & ~((region == "c") & (rng.random(800) < low))
        kept = {"outputs": "labels", "labels": LABELS, "ids": self.IDS, "slices": {"region": region}}
        return tuple(  # type: ignore[return-value]
            Evaluation.from_predictions(target=target, preds=np.where(right, target, 1 - target), **(kept | extra))
            for right, extra in ((now, {}), (was, more))
        )

    def test_a_slice_that_fell(self) -> None:
        gate = NoRegression("accuracy", 0.1)
        now, was = self.both(0.4)
        assert gate.check(now, was).outcome is not Outcome.FAIL  # of all samples nobody can tell
        verdict = BySlice(gate, "region").check(now, was)
        assert (verdict.outcome, verdict.passed, verdict.slice) == (Outcome.FAIL, False, "region=c")
        assert verdict.gate == "no_regression(accuracy, margin=0.1) by region"
        assert verdict.family == "Holm over 4 slices"
        assert verdict.estimate == NoRegression("accuracy", 0.1).check(now.slices["c"], was.slices["c"]).estimate

    def test_an_unchanged_model_is_green(self) -> None:
        now, was = self.both(0.0)
        verdict = BySlice(NoRegression("accuracy"), "region").check(now, was)
        assert (verdict.passed, verdict.estimate) == (True, 0.0)

    def test_a_baseline_without_slices_is_cut_by_ids(self) -> None:
        gate = BySlice(NoRegression("accuracy", 0.1), "region")
        now, was = self.both(0.4)
        _, bare = self.both(0.4, slices=None)
        assert gate.check(now, bare) == gate.check(now, was)

    def test_other_samples_are_red(self) -> None:
        now, _ = self.both(0.0)
        for more in ({"ids": range(1, 801)}, {"ids": None}):
            _, was = self.both(0.0, **more)
            verdict = BySlice(NoRegression("accuracy", if_unsure="warn"), "region").check(now, was)
            assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, False)
            assert "not the same samples" in str(verdict) or "no ids" in str(verdict)

    def test_slices_of_other_samples_are_red(self) -> None:
        now, _ = self.both(0.0)
        _, was = self.both(0.0, slices={"region": np.repeat(["a", "b", "c", "d"], [199, 201, 200, 200])})
        verdict = BySlice(NoRegression("accuracy", 0.1, if_unsure="warn"), "region").check(now, was)
        assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, False)
        assert "not the same samples" in verdict.explanation


class TestOneSlice:
    def test_it_is_the_gate_on_its_samples(self) -> None:
        found = of(REGIONS)
        for asked in ("region=south", "south", ("region", "south")):
            name, part = sliced(found, asked)
            assert name == "region=south"
            verdict = OnSlice(Gate("recall", at_least=0.8), name).check(part)
            plain = Gate("recall", at_least=0.8).check(part)
            assert verdict.slice == "region=south"
            assert verdict.explanation == plain.explanation.replace("FAIL: ", "FAIL: on region=south, ")
            assert verdict.gate == f"{plain.gate} on region=south"
            assert replace(verdict, gate=plain.gate, slice=None, explanation=plain.explanation) == plain
            assert OnSlice(Gate("recall", at_least=0.8), name).glance(part).passed == plain.passed

    def test_unknown_slices_and_slicings(self) -> None:
        found = of(REGIONS)
        with pytest.raises(EvidenceError, match="did you mean 'region=south'"):
            sliced(found, "region=sout")
        with pytest.raises(EvidenceError, match="did you mean 'region'"):
            BySlice(Gate("recall", at_least=0.5), "regoin").check(found)
        for gate in (BySlice(Gate("recall", at_least=0.5), "region"),):
            with pytest.raises(EvidenceError, match="slices="):
                gate.check(ConfusionMatrix([[1, 2], [3, 4]]))


def test_groups_and_weights_follow_into_slices() -> None:
    rng = np.random.default_rng(1)
    target, region = rng.integers(0, 2, 600), np.repeat(["a", "b"], 300)
    preds = np.where(rng.random(600) < 0.85, target, 1 - target)
    kept: dict[str, Any] = {"target": target, "preds": preds, "outputs": "labels", "slices": {"region": region}}
    grouped = Evaluation.from_predictions(**kept, groups=np.arange(600) // 10)
    gate = BySlice(Gate("recall", at_least=0.8), "region")
    verdict, plain = gate.check(grouped), gate.check(Evaluation.from_predictions(**kept))
    assert " groups, approximate, Holm over 2 slices" in str(verdict.method)
    assert verdict.estimate == plain.estimate
    assert verdict.lower != plain.lower
    weighted = gate.check(Evaluation.from_predictions(**kept, weights=rng.exponential(size=600)))
    assert weighted.estimate != plain.estimate


def test_a_threshold_tuned_on_these_samples_is_said() -> None:
    rng = np.random.default_rng(2)
    target = rng.integers(0, 2, 2000)
    scored = Evaluation.from_predictions(
        target=target,
        preds=np.clip(0.3 + 0.4 * target + 0.1 * rng.normal(size=2000), 0, 1),
        outputs="probabilities",
        slices={"region": np.arange(2000) % 2},
    )
    tuned = scored.at_threshold(scored.best_threshold(precision_at_least=0.9))
    verdict = BySlice(Gate("precision", at_least=0.7), "region").check(tuned)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert dict(verdict.details)["threshold_tuned_here"] is True
    assert "the threshold was chosen on these very samples" in str(verdict)
