"""A gate that was settled on a model's evidence, settled again on that of its faulted twins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import pytest_modelgate as mg
from pytest_modelgate import recording
from pytest_modelgate.checks.mutation.settling import settle_on_twins
from pytest_modelgate.checks.mutation.twins import Mutator
from pytest_modelgate.evidence.origin import Origin
from pytest_modelgate.runtime import observing

draw = torch.Generator().manual_seed(0)
INPUTS = torch.randn(200, 4, generator=draw)
TARGETS = (INPUTS[:, 0] + 0.4 * torch.randn(200, generator=draw) > 0).long()
IDS = [f"sample {i}" for i in range(200)]
LOSS = torch.nn.CrossEntropyLoss()


class Listener:
    """Keeps what was judged, with how to judge it again."""

    confidence, if_unsure = 0.95, "estimate"

    def __init__(self) -> None:
        self.judged: list[Any] = []

    def verdict(self, verdict: mg.Verdict, *evidence: Any, again: Any = None) -> None:
        self.judged.append((verdict, evidence, again))

    def evaluation(self, evaluation: mg.Evaluation) -> None: ...

    def history(self, history: mg.History) -> None: ...

    def settled(self) -> dict[str, Any]:
        """The one gate that was judged, on the twins."""
        (one,) = self.judged
        return settle_on_twins(*one)


@pytest.fixture
def heard() -> Iterator[Listener]:
    listener, mutator = Listener(), Mutator()
    recording.install(listener)
    observing.install(mutator)
    yield listener
    observing.remove(mutator)
    recording.remove(listener)


def net(seed: int = 0) -> torch.nn.Module:
    """A linear model that knows the first feature."""
    torch.manual_seed(seed)
    made = torch.nn.Sequential(torch.nn.Linear(4, 2))
    with torch.no_grad():
        made[0].weight[:, 0] = torch.tensor([-3.0, 3.0])
    return made


def evaluated(seed: int = 0, rows: slice = slice(None), **more: Any) -> mg.Evaluation:
    return mg.evaluate(net(seed), (INPUTS[rows], TARGETS[rows]), loss=LOSS, **more)


def cells(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert found["why"] is None
    return {fault["name"]: fault["cell"] for fault in found["faults"]}


def test_a_gate_is_the_same_gate_on_each_twin(heard: Listener) -> None:
    evidence = evaluated()
    mg.assert_recall_at_least(evidence, 0.7, label=1)
    found = heard.settled()
    derivation: Any = evidence.origin.derivation
    gate = mg.Gate("recall", at_least=0.7, label=1)
    twins = {twin.fault.name: twin for twin in derivation.twins.faults}
    assert len(twins) > 12
    assert list(cells(found)) == list(twins)
    for name, cell in cells(found).items():
        if name.startswith("threshold"):
            continue
        expected = gate.check(twins[name].evaluation)
        assert cell["caught"] is not expected.passed
        assert cell["outcome"] in (None, expected.outcome.value)
        assert (cell["outcome"] == "UNDEFINED") == (expected.outcome is mg.Outcome.UNDEFINED)
        assert cell["estimate"] == expected.estimate
    assert (found["model"], found["counts"], found["layers_left_out"]) == ("Sequential", True, 0)
    zeroed = cells(found)["weights of '0' zeroed"]
    assert zeroed["caught"]
    assert zeroed["moved"] == zeroed["estimate"] - heard.judged[0][0].estimate


def test_the_same_derivation(heard: Listener) -> None:
    evidence = evaluated().at_threshold(0.3)
    mg.assert_precision_at_least(evidence, 0.1)
    found = heard.settled()
    shares = {fault["name"]: fault["changed"] for fault in found["faults"]}
    by_shift = {name: cell["estimate"] for name, cell in cells(found).items() if name.startswith("threshold")}
    assert by_shift == {
        f"threshold shifted by {shift:+g}": evidence.at_threshold(round(0.3 + shift, 10)).metric("precision")
        for shift in (-0.2, -0.1, 0.1, 0.2)
    }
    # What changed is counted at the derived threshold.
    scores = 1 / (1 + np.exp(-evidence.scores.values.astype(float)))  # type: ignore[union-attr]
    assert shares["threshold shifted by +0.2"] == np.mean((scores >= 0.3) != (scores >= 0.5))


def test_a_slice(heard: Listener) -> None:
    how: dict[str, Any] = {"slices": {"high": lambda inputs, targets: inputs[:, 1] > 0, "half": np.arange(200) // 100}}
    evidence = evaluated(**how).slices["high"].slices["half=1"].at_threshold(0.4)
    mg.assert_recall_at_least(evidence, 0.7)
    found = heard.settled()
    model = net()
    with torch.no_grad():
        model[0].weight.zero_()  # type: ignore[index,union-attr]
    rows = torch.arange(200)[100:][INPUTS[100:, 1] > 0]
    with observing.unobserved():
        alone = mg.evaluate(model, (INPUTS[rows], TARGETS[rows]), loss=LOSS).at_threshold(0.4)
    assert evidence.n == len(rows)
    assert cells(found)["weights of '0' zeroed"]["estimate"] == alone.metric("recall")


def test_a_sum_of_two_passes(heard: Listener) -> None:
    first, second = evaluated(rows=slice(100)), evaluated(rows=slice(100, 200))
    mg.assert_accuracy_at_least(first + second, 0.7)
    found = heard.settled()
    model, whole = net(), evaluated()
    zeroed = mg.Gate("accuracy", at_least=0.7, allow_vacuous=True)
    with torch.no_grad():
        model[0].weight.zero_()  # type: ignore[index,union-attr]
    with observing.unobserved():
        expected = zeroed.check(mg.evaluate(model, (INPUTS, TARGETS), loss=LOSS))
    assert cells(found)["weights of '0' zeroed"]["estimate"] == expected.estimate
    assert found["key"] == whole.origin.derivation.twins.key  # type: ignore[union-attr]


def test_the_baseline_stays_as_it_is(heard: Listener) -> None:
    baseline, candidate = evaluated(seed=1, ids=IDS), evaluated(ids=IDS)
    mg.assert_no_regression(candidate, baseline, "accuracy", margin=0.05)
    found = heard.settled()
    before = baseline.metric("accuracy")
    assert before is not None
    zeroed = cells(found)["weights of '0' zeroed"]
    derivation: Any = candidate.origin.derivation
    twin = {one.fault.name: one for one in derivation.twins.faults}["weights of '0' zeroed"]
    assert zeroed["estimate"] == pytest.approx(twin.evaluation.metric("accuracy") - before)
    assert zeroed["caught"]
    # A baseline that was not evaluated here is no hindrance.
    heard.judged.clear()
    stored = mg.Evaluation.from_json(baseline.to_json())
    mg.assert_no_regression(candidate, stored, "accuracy", margin=0.05)
    assert cells(heard.settled()) == cells(found)


def test_the_training_data_are_seen_by_the_same_broken_model(heard: Listener) -> None:
    train, test = evaluated(rows=slice(100)), evaluated(rows=slice(100, 200))
    mg.assert_generalization_gap_at_most(train, test, "accuracy", 0.2)
    settled = heard.settled()
    by_set = [{twin.fault.name: twin.changed for twin in one.origin.derivation.twins.faults} for one in (train, test)]  # type: ignore[union-attr]
    noise = next(fault for fault in settled["faults"] if fault["name"] == "noise of 2 in '0'")
    own = [changed[noise["name"]] for changed in by_set]
    assert own[0] != own[1]
    assert noise["changed"] == pytest.approx(max(own))  # what it changes in either set counts
    found = cells(settled)["always the majority class"]
    shares = [float(TARGETS[rows].float().mean()) for rows in (slice(100), slice(100, 200))]
    majority = [max(share, 1 - share) for share in shares]
    assert found["estimate"] == pytest.approx(majority[0] - majority[1], abs=1e-6)


def test_what_a_difference_is_to_be_measured_by(heard: Listener) -> None:
    evidence = evaluated(ids=IDS)
    mg.assert_no_regression(evidence, evaluated(1, ids=IDS), "loss", 0.5)
    mg.assert_generalization_gap_at_most(evaluated(rows=slice(100)), evaluated(rows=slice(100, None)), "f1", 0.5)
    mg.assert_loss_at_most(evidence, 1.0)
    levels = [settle_on_twins(*one)["level"] for one in heard.judged]
    assert levels == [evidence.loss, evaluated(rows=slice(100, None)).metric("f1"), None]


def test_all_seeds_have_the_same_fault(heard: Listener) -> None:
    evaluations = [evaluated(seed) for seed in range(3)]
    mg.assert_over_seeds(evaluations, mg.Gate("recall", at_least=0.7))
    found = heard.settled()
    assert found["model"] == "Sequential and 2 more"
    assert len(found["key"].split("+")) == 3
    swapped = next(cell for name, cell in cells(found).items() if name.startswith("classes"))
    assert swapped["caught"]
    assert swapped["estimate"] == pytest.approx(1 - heard.judged[0][0].estimate)


def test_why_a_gate_is_not_settled_again(heard: Listener) -> None:
    known = evaluated()
    history = mg.History(loss="mse_loss")
    for epoch in range(1, 13):
        history.log(epoch=epoch, train_loss=1 / epoch)
    with observing.unobserved():
        unobserved = evaluated()
    judged = [
        (lambda: mg.assert_loss_decreases(history), "it does not judge what a model predicts"),
        (lambda: mg.assert_recall_at_least(mg.ConfusionMatrix([[9, 1], [1, 9]]), 0.5), "not made by evaluate"),
        (lambda: mg.assert_loss_at_most(replace(known, origin=Origin()), 1.0), "not made by evaluate"),
        (lambda: mg.assert_loss_at_most(unobserved, 1.0), "before there were twins, or while it was trained"),
        (lambda: mg.assert_accuracy_at_least(known + unobserved, 0.7), "before there were twins"),
    ]
    for gate, why in judged:
        heard.judged.clear()
        gate()
        assert why in heard.settled()["why"]


def test_whatever_ends_a_gate_on_a_twin_is_noticed(heard: Listener) -> None:
    def hits(counts: Any) -> float:
        if counts.sum(axis=0).min() < 2:
            raise RuntimeError("no prediction of a class")
        return 1.0

    mg.assert_metric(evaluated(), mg.custom_metric(hits, lowest=0, highest=1), at_least=0.5)
    found = heard.settled()
    constant = cells(found)["always the majority class"]
    assert constant["caught"]
    assert "no prediction of a class" in constant["error"]


def test_a_twin_that_cannot_be_evaluated_is_noticed(heard: Listener) -> None:
    class Fragile(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) / self.layer.weight.abs().sum()

    mg.assert_loss_at_most(mg.evaluate(Fragile(), (INPUTS, TARGETS), loss=LOSS), 2.0)
    zeroed = cells(heard.settled())["weights of 'layer' zeroed"]
    assert zeroed["caught"]
    assert "finite" in zeroed["error"]
    assert zeroed["estimate"] is None
