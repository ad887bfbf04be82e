"""Does a model give the same output for the same input, call after call?"""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.wiring.answers import (
    answers,
    answers_and_change,
    apart,
    compared,
    furthest,
    how_far,
    not_finite,
    tolerance,
)
from pytest_modelgate.checks.wiring.attributes import attributes, unlike
from pytest_modelgate.checks.wiring.judging import listed
from pytest_modelgate.checks.wiring.keeping import untouched
from pytest_modelgate.checks.wiring.setting import read
from pytest_modelgate.checks.wiring.tracing import Place, first_difference, trace
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.devices import device_of
from pytest_modelgate.runtime.modules import evaluating
from pytest_modelgate.runtime.seeds import seeded

if TYPE_CHECKING:
    import torch

    from pytest_modelgate.checks.wiring.answers import Answers
    from pytest_modelgate.checks.wiring.setting import Wiring
    from pytest_modelgate.gates.verdict import Verdict

_NAME = "deterministic"
_RUNS = 5
_ROWS = 32  # that many in all, or more: in one row dropout may hit nothing that counts


def check_deterministic(model: Any, batch: Any, *, loss: Any = None) -> Verdict:
    """Judge whether a model in evaluation mode gives the same output for the same input, and stays as it is.

    The batch is run five times, or more often where it has few rows. The estimate is the largest difference to the
    first run, relative to the output's size; it may be half of the type's digits (3.5e-4 in float32), since some
    kernels add in no fixed order. Also a failure: weights, running statistics or the input change.

    Args:
        model: a module, or what `train_model` gave; it is left as it was, bit for bit.
        batch: (inputs, targets); one row is enough.
        loss: not needed.

    Raises:
        EvidenceError: a batch that cannot be read, or an output without a tensor.
    """
    setting = read(model, batch, loss)
    with untouched(setting.module), evaluating(setting.module):
        return _judge(setting)


def _judge(setting: Wiring) -> Verdict:
    module = setting.module
    runs = max(_RUNS, _ROWS // setting.rows)
    with untouched(module, seed=None):
        before = _state(module)
        first, overwritten = answers_and_change(module, setting.inputs)
        if (why := not_finite(first)) is not None:
            sentence = f"whether {setting.name} repeats itself cannot be judged: {why}"
            return compared(_NAME, Outcome.UNDEFINED, sentence, support=setting.rows)
        bar = tolerance(module, first.values())
        others = [answers(module, setting.inputs) for _ in range(runs - 1)]
        after = _state(module)
    largest, where = max((furthest(first, other) for other in others), key=lambda pair: pair[0])
    moved = [name for name, tensor in after.items() if name not in before or _differ(before[name], tensor)]
    steered = [name for name in moved if _calculates(after[name])]
    notes: list[str] = []
    if not largest <= bar:
        sentence, notes = _why(setting, bar, runs)
        sentence = f"the same batch gives another {where} when it is run again: it differs {how_far(largest)}{sentence}"
    elif overwritten is not None:
        sentence = f"{setting.name} changes its input in place ({overwritten}): run again, the same batch is another"
        notes = ["usual causes: x += ..., x[...] = ..., relu_() or inplace=True on the input; write x = x + ..."]
    elif steered:
        sentence = f"evaluating {setting.name} changes it: {listed(steered)} move in evaluation mode"
        notes = [
            "usual causes: a train() or eval() that is overridden, train() called in forward, a buffer that forward "
            "writes to without asking self.training"
        ]
    else:
        if largest > 0:
            notes = [
                f"not bit for bit: the runs differ by up to {largest:.2g}, from kernels that add in no fixed order"
            ]
        if moved:
            notes.append(f"counted in evaluation mode too: {listed(moved)}")
        sentence = f"{runs} runs of {counted(setting.rows, 'row')} gave the same output"
        return compared(_NAME, Outcome.PASS, sentence, support=setting.rows, difference=largest, bar=bar, notes=notes)
    still = [name or setting.name for name, each in module.named_modules() if each.training]
    if still:
        notes.append(f"in training mode after eval(): {listed(still)}")
    return compared(_NAME, Outcome.FAIL, sentence, support=setting.rows, difference=largest, bar=bar, notes=notes)


def _state(module: torch.nn.Module) -> Answers:
    tensors = (*module.named_parameters(), *module.named_buffers())
    return {name: tensor.detach().clone() for name, tensor in tensors}


def _differ(one: torch.Tensor, other: torch.Tensor) -> bool:
    return apart(one, other) > 0


def _calculates(tensor: torch.Tensor) -> bool:
    """Whether a tensor is one to calculate with, and not a counter."""
    return tensor.is_floating_point() or tensor.is_complex()


def _why(setting: Wiring, bar: float, runs: int) -> tuple[str, list[str]]:
    """Where two runs part, as the end of a sentence, and the usual cause."""
    module, inputs = setting.module, setting.inputs
    kept, place = attributes(module), None
    with untouched(module, seed=None):
        first_run = trace(module, inputs)
        for _ in range(runs - 1):
            run = trace(module, inputs)
            place = first_difference(module, first_run, run, lambda mine, theirs: apart(mine, theirs) <= bar)
            if place is not None:
                break
        changed = unlike(kept, attributes(module))
    where = f"; the runs part in {place}" if place is not None else ""
    with untouched(module, seed=0):
        first = answers(module, inputs)
        with seeded(0, device_of(module)):
            again = answers(module, inputs)
    if furthest(first, again)[0] <= bar:
        return where, [_random(place)]
    if changed:
        return where, [f"it is not random: what changes from call to call is {listed(changed)}"]
    return where, [
        "it does not come from the random states of Python, numpy or torch: usual causes are a generator of the "
        "model's own, a state kept from call to call (a hidden state, a counter, a cache), the clock"
    ]


def _random(place: Place | None) -> str:
    """The usual cause where the random state decides the output."""
    from torch import nn

    module = None if place is None else place.module
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return "this dropout is on after eval(): a train() or eval() is overridden, or train() is called in forward"
    if isinstance(module, (nn.RNNBase, nn.MultiheadAttention)) and module.training:
        return "its dropout is on after eval(): a train() or eval() is overridden, or train() is called in forward"
    return (
        "random numbers are drawn in evaluation mode: usual causes are F.dropout(x) without training=self.training, "
        "dropout_p= of scaled_dot_product_attention left on, noise or sampling that does not ask self.training"
    )
