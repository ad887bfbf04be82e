"""Does a model give the same output on each device, and does all of it move there?"""

from __future__ import annotations

__tracebackhide__ = True

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.wiring.answers import (
    LOOSE,
    answers,
    compared,
    first_line,
    furthest,
    how_far,
    not_finite,
    tolerance,
)
from pytest_modelgate.checks.wiring.keeping import untouched
from pytest_modelgate.checks.wiring.leaving import left_behind
from pytest_modelgate.checks.wiring.setting import read
from pytest_modelgate.checks.wiring.tracing import named, watched
from pytest_modelgate.exceptions import DeviceError
from pytest_modelgate.gates.settings import check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.data import move
from pytest_modelgate.runtime.devices import device_of, resolve_device
from pytest_modelgate.runtime.modules import evaluating, placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from pytest_modelgate.checks.wiring.answers import Answers
    from pytest_modelgate.checks.wiring.setting import Wiring
    from pytest_modelgate.gates.verdict import Verdict

_NAME = "same_on_devices"
_CAUSE = (
    "usual causes: self.x = torch.ones(...) in the constructor (register_buffer moves it with the model); "
    "torch.zeros(...) or arange(...) in forward without device=x.device; a list of modules (nn.ModuleList moves them)"
)


def check_same_on_devices(
    model: Any,
    batch: Any,
    *,
    loss: Any = None,
    devices: Sequence[str | torch.device] | None = None,
    if_unsure: str = "estimate",
) -> Verdict:
    """Judge whether a model in evaluation mode gives the same output on each device.

    The estimate is the largest difference to the output on the first device, relative to its size; it may be 1%, since
    accelerators round float32 to TF32 in places. Where there is no accelerator the move is simulated: tensors that
    would stay behind are found, and are a failure; outputs cannot be compared, so that without a finding the outcome is
    `INCONCLUSIVE`, with the detail `not_run`, and `UNDEFINED` where not even the move can be simulated.

    Args:
        model: a module, or what `train_model` gave; it is left as it was, bit for bit.
        batch: (inputs, targets); one row is enough.
        loss: not needed.
        devices: two or more; default the CPU and the accelerator. "meta" simulates a move, as in ("cpu", "meta"), which
            passes where nothing stays behind.
        if_unsure: the colour of `INCONCLUSIVE`: "estimate" and "warn" are green, "fail" is red.

    Raises:
        EvidenceError: a batch that cannot be read, or an output without a tensor.
        DeviceError: fewer than two devices, or one that this machine does not have.
    """
    check_if_unsure(if_unsure)
    setting = read(model, batch, loss)
    given = ("cpu", "auto") if devices is None else devices
    places = list(dict.fromkeys(map(_resolved, (given,) if isinstance(given, str) else given)))
    if devices is not None and len(places) < 2:
        raise DeviceError(f"devices={devices!r}: to compare takes two different devices, such as ('cpu', 'auto')")
    with untouched(setting.module), evaluating(setting.module):
        verdict = _judge(setting, places, asked=devices is not None)
    if verdict.outcome is not Outcome.INCONCLUSIVE:
        return verdict
    return replace(verdict, if_unsure=if_unsure, passed=colour_of_doubt(if_unsure, True))


def _resolved(name: str | torch.device) -> torch.device:
    import torch

    return torch.device("meta") if name == "meta" else resolve_device(name)


def _judge(setting: Wiring, places: list[torch.device], *, asked: bool) -> Verdict:
    real = [place for place in places if place.type != "meta"]
    if len(real) < len(places) or len(real) < 2:
        left = left_behind(setting.module, setting.inputs)
        if left.what is not None:
            sentence = f"{left.what} stays behind when {setting.name} moves to another device: used in {left.where}"
            notes = [_CAUSE, 'found without an accelerator, on torch\'s "meta" device']
            return _verdict(setting, Outcome.FAIL, sentence, notes=notes)
        if left.unknown is not None:
            return _not_run(setting, left.unknown)
        if len(real) < 2:
            sentence = "in a simulated move nothing stays behind"
            notes = ["where forward looks at numbers it was given zeros"] if left.guessed else []
            if not asked:
                reason = "this machine has no accelerator"
                told = f"the outputs of {setting.name} on other devices were not compared, since {reason}; {sentence}"
                return _verdict(setting, Outcome.INCONCLUSIVE, told, notes=notes, details=[("not_run", reason)])
            return _verdict(setting, Outcome.PASS, f"{sentence} of {setting.name}", difference=0.0, notes=notes)
    return _compared(setting, real)


def _not_run(setting: Wiring, reason: str, *notes: str) -> Verdict:
    sentence = f"whether {setting.name} gives the same on other devices cannot be judged: {reason}"
    return _verdict(setting, Outcome.UNDEFINED, sentence, notes=notes, details=[("not_run", reason)])


def _compared(setting: Wiring, places: list[torch.device]) -> Verdict:
    first = _on(setting, places[0])
    if (why := not_finite(first)) is not None:
        return _verdict(setting, Outcome.UNDEFINED, f"the outputs on devices cannot be compared: {why}")
    bar, largest, where, which = max(LOOSE, tolerance(setting.module, first.values())), 0.0, "", places[0]
    for place in places[1:]:
        try:
            found = _on(setting, place)
        except (RuntimeError, NotImplementedError) as error:
            sentence = f"{setting.name} cannot run on {place}: in {_failing(setting, place)}, {first_line(error)}"
            return _verdict(setting, Outcome.FAIL, sentence, notes=[_CAUSE])
        difference, path = furthest(first, found, floats_only=True)
        if difference >= largest:
            largest, where, which = difference, path, place
    if largest <= bar:
        sentence = f"{counted(setting.rows, 'row')} gave the same output on {' and '.join(map(str, places))}"
        return _verdict(setting, Outcome.PASS, sentence, difference=largest, bar=bar)
    sentence = f"the {where} on {which} differs from that on {places[0]} {how_far(largest)}"
    notes = [
        "usual causes: random numbers in evaluation mode, which each device draws otherwise (check_deterministic "
        "tells); half precision on one of them; an operation that the device gets wrong"
    ]
    return _verdict(setting, Outcome.FAIL, sentence, difference=largest, bar=bar, notes=notes)


def _failing(setting: Wiring, place: torch.device) -> str:
    """The module in whose forward a run on a device fails."""
    with watched(setting.module) as under_way, contextlib.suppress(Exception):
        _on(setting, place)
    name = under_way[-1] if under_way else ""
    return named(name, setting.module.get_submodule(name))


def _on(setting: Wiring, place: torch.device) -> Answers:
    with placed(setting.module, device_of(setting.module), place):
        return {path: tensor.cpu() for path, tensor in answers(setting.module, move(setting.inputs, place)).items()}


def _verdict(setting: Wiring, outcome: Outcome, sentence: str, **more: Any) -> Verdict:
    return compared(_NAME, outcome, sentence, support=setting.rows, **more)
