"""One twin: what it hands over, and when it stops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pytest_modelgate.checks.mutation.faults import Fault
from pytest_modelgate.checks.mutation.running import Running
from pytest_modelgate.evidence.collecting import Collector
from pytest_modelgate.evidence.evaluation import Evaluation

CPU = torch.device("cpu")
TARGETS = torch.tensor([0.0, 1, 2, 3])


def sound_of(values: torch.Tensor, **how: str) -> tuple[Collector, Evaluation]:
    collector = Collector(outputs="values", model="Net", **how)
    twin = collector.twin()
    collector.add(values.numpy(), TARGETS.numpy())
    return twin, collector.finish()


@pytest.mark.parametrize(
    ("moves", "changed"), [([0, 0, 0, 0], 0), ([0.01, 0, 0, 0], 0), ([0.02, 0, -0.02, 0], 0.5), ([5, 5, 5, 5], 1)]
)
def test_values_change_where_they_move_by_a_hundredth_of_their_spread(moves: list[float], changed: float) -> None:
    outputs = torch.tensor([-1.5, -0.5, 0.5, 1.5])  # a standard deviation of 1.118
    collector, found = sound_of(outputs)
    running = Running(Fault("noise"), None, collector, None, CPU)
    running.add(outputs + torch.tensor(moves), TARGETS)
    evaluation, share = running.finish(found, None)
    assert share == changed
    assert evaluation is not None
    assert evaluation.samples is not None
    assert evaluation.samples.actual is found.samples.actual
    assert evaluation.origin.model == "Net"
    assert evaluation.origin.derivation is None


def test_values_that_were_not_kept_tell_no_share() -> None:
    collector, found = sound_of(TARGETS, keep="counts")
    running = Running(Fault("noise"), None, collector, None, CPU)
    running.add(TARGETS + 1, TARGETS)
    assert running.finish(found, None)[1] is None


def test_what_one_twin_did_not_keep_another_may() -> None:
    collector, found = sound_of(TARGETS)
    wide = Running(Fault("noise"), None, collector.twin(), None, CPU)
    wide.add(torch.ones(4, 2), TARGETS)
    narrow = Running(Fault("noise"), None, collector.twin(), None, CPU)
    narrow.add(TARGETS, TARGETS)
    assert wide.finish(found, None)[1] is None
    assert narrow.finish(found, None)[1] == 0


def test_a_twin_stops_at_its_first_error() -> None:
    calls: list[int] = []

    def answer(inputs: object, outputs: torch.Tensor, batch: int) -> object:
        calls.append(batch)
        return (outputs,) if batch else outputs

    collector, found = sound_of(TARGETS)
    running = Running(Fault("noise"), answer, collector, None, CPU)
    for batch in range(4):
        running.step(lambda: None, TARGETS, TARGETS, batch)
    running.add(TARGETS, TARGETS)
    assert calls == [0, 1]
    assert running.error == "the model gave tuple, not a tensor"
    assert running.finish(found, None) == (None, None)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_lack_of_memory_is_no_fault_that_a_gate_noticed(error: Exception) -> None:
    def answer(inputs: object, outputs: torch.Tensor, batch: int) -> object:
        raise error

    running = Running(Fault("noise"), answer, sound_of(TARGETS)[0], None, CPU)
    with pytest.raises(type(error)):
        running.step(lambda: None, TARGETS, TARGETS, 0)
    assert running.error is None


def test_a_class_that_a_twin_never_names_stays_in_the_table() -> None:
    targets = torch.tensor([0, 1, 1, 0])
    collector = Collector(outputs="labels")
    twin = collector.twin()
    collector.preds = []
    collector.add(np.array([0, 1, 2, 0]), targets.numpy())
    found = collector.finish()
    running = Running(Fault("zeroed"), None, twin, None, CPU)
    running.add(torch.zeros(4, dtype=torch.int64), targets)
    evaluation, changed = running.finish(found, np.concatenate(collector.preds))
    assert changed == 0.5
    assert evaluation is not None
    assert evaluation.task == found.task == "multiclass"
    assert evaluation.confusion_matrix.counts.tolist() == [[2, 0, 0], [2, 0, 0], [0, 0, 0]]
