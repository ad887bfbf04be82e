"""Assertions on slices: their keywords, what is recorded, and settling again on other evidence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import pytest_modelgate as mg
from pytest_modelgate import recording
from pytest_modelgate.assertions.comparing import assert_gap_at_most, assert_no_regression
from pytest_modelgate.evidence.origin import replay

RNG = np.random.default_rng(5)
TARGET = RNG.integers(0, 2, 900)
REGION = np.repeat(["north", "south", "west"], [400, 480, 20])
RIGHT = RNG.random(900) < np.where(REGION == "south", 0.75, 0.95)
PROBABILITIES = np.where(RIGHT, TARGET, 1 - TARGET) * 0.6 + 0.2 + 0.01 * RNG.random(900)
GIVEN: dict[str, Any] = {
    "target": TARGET,
    "outputs": "probabilities",
    "labels": ("ok", "fraud"),
    "slices": {"region": REGION, "urgent": np.arange(900) % 3 == 0},
    "ids": range(900),
}
FOUND = mg.Evaluation.from_predictions(preds=PROBABILITIES, **GIVEN)
BETTER = mg.Evaluation.from_predictions(preds=TARGET * 0.9, **GIVEN)


class Listener:
    """Notes what it hears, and settles each verdict again."""

    confidence, if_unsure = 0.95, "estimate"

    def __init__(self) -> None:
        self.heard: list[tuple[mg.Verdict, tuple[Any, ...], Any]] = []

    def verdict(self, verdict: mg.Verdict, *evidence: Any, again: Any = None) -> None:
        self.heard.append((verdict, evidence, again))

    def evaluation(self, evaluation: mg.Evaluation) -> None: ...

    def history(self, history: mg.History) -> None: ...


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    recording.install(one)
    yield one
    recording.remove(one)


HELPERS = [
    lambda e, **more: mg.assert_recall_at_least(e, 0.5, **more),
    lambda e, **more: mg.assert_metric(e, "fbeta", at_least=0.5, beta=2, **more),
    lambda e, **more: mg.assert_metric(e, "brier", at_most=0.3, **more),
    lambda e, **more: mg.assert_roc_auc_at_least(e, 0.5, **more),
    lambda e, **more: mg.assert_every_class_recall_at_least(e, 0.5, **more),
    lambda e, **more: assert_no_regression(e, e, "recall", 0.2, **more),
]


@pytest.mark.parametrize("helper", HELPERS)
def test_one_slice(listener: Listener, helper: Any) -> None:
    verdict = helper(FOUND, slice="region=north")
    assert verdict.slice == "region=north"
    assert ": on region=north, " in verdict.explanation
    assert helper(FOUND, slice="north") == verdict
    assert verdict.estimate == helper(FOUND.slices["north"]).estimate
    heard, (evidence,), _ = listener.heard[0]
    assert (heard, evidence) == (verdict, FOUND.slices["north"])


@pytest.mark.parametrize("helper", HELPERS)
def test_by_slice(listener: Listener, helper: Any) -> None:
    verdict = helper(FOUND, by_slice="region")
    assert verdict.gate.endswith(" by region")
    assert verdict.slice in ("region=north", "region=south")
    assert verdict.family.startswith("Holm over ")
    assert "region=west" in str(verdict)
    heard, (evidence,), again = listener.heard[0]
    assert (heard, evidence) == (verdict, FOUND)
    assert again(FOUND) == verdict
    assert again(BETTER).estimate != verdict.estimate
    slices = {row["slice"]: row["judged"] for row in dict(verdict.details)["slices"]}
    assert not any(judged for name, judged in slices.items() if "west" in name)
    wide = helper(FOUND, by_slice="region", min_support=1)
    assert all(row["judged"] for row in dict(wide.details)["slices"])
    assert helper(FOUND, by_slice="urgent").slice in ("urgent", "not urgent")


def test_red_ones_raise(listener: Listener) -> None:
    with pytest.raises(mg.GateFailure, match="FAIL: on region=south, recall of 'fraud'"):
        mg.assert_recall_at_least(FOUND, 0.9, by_slice="region")
    with pytest.raises(mg.GateFailure, match="FAIL: on region=south, recall of 'fraud'"):
        mg.assert_recall_at_least(FOUND, 0.9, slice="south")
    with pytest.raises(mg.GateFailure, match=r"best region=north .* worst region=south"):
        assert_gap_at_most(FOUND, "recall", by="region", at_most=0.05)
    with pytest.raises(mg.GateFailure, match="FAIL: on region=south, accuracy"):
        assert_no_regression(FOUND, BETTER, "accuracy", 0.1, by_slice="region")
    assert [verdict.passed for verdict, *_ in listener.heard] == [False] * 4
    assert assert_gap_at_most(FOUND, "recall", by="region", at_most=0.5, confidence=0.99).confidence == 0.99
    assert assert_no_regression(FOUND, BETTER, "accuracy", 0.1, slice="north").slice == "region=north"


def test_the_majority_class_of_a_slice() -> None:
    assert mg.assert_beats_majority_class(FOUND, slice="north").slice == "region=north"


def test_a_baseline_without_slices_is_cut_by_ids() -> None:
    bare = mg.Evaluation.from_predictions(preds=TARGET * 0.9, **(GIVEN | {"slices": None}))
    for more in ({"slice": "north"}, {"by_slice": "urgent"}):
        ours, theirs = (assert_no_regression(FOUND, one, "accuracy", 0.3, **more) for one in (bare, BETTER))
        assert ours == theirs


def test_warn_warns_once_and_stays_green() -> None:
    with pytest.warns(mg.ModelgateWarning, match="on region=south") as caught:
        verdict = mg.assert_recall_at_least(FOUND, 0.75, by_slice="region", if_unsure="warn")
    assert (len(caught), verdict.outcome, verdict.passed) == (1, mg.Outcome.INCONCLUSIVE, True)
    assert caught[0].filename == __file__
    with pytest.raises(mg.GateFailure):
        mg.assert_recall_at_least(FOUND, 0.75, by_slice="region", if_unsure="fail")


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"slice": "region=nort"}, mg.EvidenceError, "did you mean 'region=north'"),
        ({"by_slice": "regio"}, mg.EvidenceError, "did you mean 'region'"),
        ({"slice": "north", "by_slice": "region"}, mg.BarError, "not both"),
        ({"min_support": 40}, mg.BarError, "min_support=40 is for by_slice="),
        ({"slice": "north", "min_support": 40}, mg.BarError, "min_support=40 is for by_slice="),
        ({"by_slice": "region", "min_support": 0}, mg.BarError, "1 or more"),
        ({"by_slices": "region"}, mg.MetricError, "did you mean 'by_slice'"),
    ],
)
def test_wrong_use(listener: Listener, more: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        mg.assert_recall_at_least(FOUND, 0.5, **more)
    if error is not mg.MetricError:
        with pytest.raises(error, match=says):
            assert_no_regression(FOUND, FOUND, "recall", 0.1, **more)
    assert listener.heard == []


def test_settled_again_where_the_evidence_came_from_a_model(listener: Listener) -> None:
    """What mutation does: the same slice of another pass over the same data."""
    inputs = torch.from_numpy(np.where(RIGHT, TARGET, 1 - TARGET) * 2.0 - 1)
    data = (inputs[:, None], torch.from_numpy(TARGET))
    shared: dict[str, Any] = {"outputs": "logits", "slices": {"region": REGION}}
    one = mg.evaluate(torch.nn.Identity(), data, **shared)
    other = mg.evaluate(torch.nn.Hardtanh(-1.0, -0.5), data, **shared)  # everything is negative
    mg.assert_recall_at_least(one, 0.5, slice="south")
    mg.assert_recall_at_least(one, 0.5, by_slice="region")
    assert_gap_at_most(one, "recall", by="region", at_most=0.4)
    for (verdict, (evidence,), again), passed in zip(listener.heard, (False, False, True), strict=True):
        derivation = evidence.origin.derivation
        assert derivation is not None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = again(replay(derivation, lambda call: other))
        assert found.passed == passed
        assert (found.gate, found.estimate == 0) == (verdict.gate, True)
        assert again(replay(derivation, lambda call: one)).passed
