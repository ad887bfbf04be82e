"""Does a checkpoint hold all of a model: its state dict saved, loaded into a fresh copy, and run?"""

from __future__ import annotations

__tracebackhide__ = True

import copy
import io
import math
import pickle
import re
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.wiring.answers import (
    answers,
    compared,
    first_line,
    furthest,
    how_far,
    not_finite,
    tolerance,
)
from pytest_modelgate.checks.wiring.attributes import attributes, held, loose_tensors, memory_of, unlike
from pytest_modelgate.checks.wiring.judging import listed
from pytest_modelgate.checks.wiring.keeping import untouched
from pytest_modelgate.checks.wiring.setting import read
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.devices import device_of
from pytest_modelgate.runtime.modules import evaluating, make_module
from pytest_modelgate.runtime.seeds import seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

    from pytest_modelgate.checks.wiring.answers import Answers
    from pytest_modelgate.checks.wiring.setting import Wiring
    from pytest_modelgate.gates.verdict import Verdict

_NAME = "checkpoint_round_trip"
_SEED = 748_291  # hardly one that anybody takes: a factory must not draw the very weights that the model has


def check_checkpoint_round_trip(
    model: Any, batch: Any, *, loss: Any = None, factory: Callable[[], torch.nn.Module] | None = None
) -> Verdict:
    """Judge whether a model's state dict, saved and loaded into a fresh copy, gives the same outputs.

    The state dict goes through `torch.save` and `torch.load(weights_only=True)`, in memory. What it should restore is
    spoilt in the copy before. Weights and buffers must come back bit for bit; the estimate is the largest difference
    of the outputs relative to their size.

    Args:
        model: a module, or what `train_model` gave; it is left as it was, bit for bit.
        batch: (inputs, targets); one row is enough.
        loss: not needed.
        factory: makes a fresh model, as whoever loads the checkpoint does: what its constructor makes need not be
            saved. Without it the copy is a deep copy, and a plain tensor or an unregistered module that the output
            depends on is a failure.

    Raises:
        EvidenceError: a batch that cannot be read, an output without a tensor, or a factory that gives the model.
        TrainingError: a factory that makes no module.
    """
    setting = read(model, batch, loss)
    with untouched(setting.module), evaluating(setting.module):
        try:
            fresh = _fresh(setting.module, factory)
        except (TypeError, RuntimeError, pickle.PicklingError) as error:
            if factory is not None:
                raise
            return _undefined(setting, f"the model cannot be copied, so give factory= ({first_line(error)})")
        return _judge(setting, fresh, made=factory is not None)


def _fresh(module: torch.nn.Module, factory: Callable[[], torch.nn.Module] | None) -> torch.nn.Module:
    if factory is None:
        return copy.deepcopy(module)
    with seeded(_SEED, device_of(module)):
        fresh = make_module(factory)
    mine = {id(tensor) for tensor in module.parameters()}
    if fresh is module or any(id(tensor) in mine for tensor in fresh.parameters()):
        raise EvidenceError(
            "the factory gave the model itself, or one that shares its weights: give the class or a function that "
            "makes a new one each time"
        )
    return fresh.to(device_of(module))


def _judge(setting: Wiring, fresh: torch.nn.Module, *, made: bool) -> Verdict:
    module = setting.module
    spoilt = _spoil(fresh)
    try:
        saved = io.BytesIO()
        import torch

        torch.save(module.state_dict(), saved)
        saved.seek(0)
        state = torch.load(saved, map_location=device_of(module), weights_only=True)
    except (pickle.PickleError, AttributeError, TypeError, RuntimeError) as error:
        cause = "the state dict must hold tensors and plain values alone: look at get_extra_state() and state_dict()"
        reason = re.search(r"(?:Unsupported|GLOBAL|WeightsUnpickler)[^.\n]*(?:\.[a-z_A-Z]+)?", str(error))
        refused = reason[0].strip() if reason else first_line(error)
        return _failed(setting, f"the state dict cannot be saved and loaded with weights_only=True: {refused}", cause)
    try:
        fresh.load_state_dict(state)
    except (RuntimeError, KeyError, TypeError) as error:
        said = " ".join(line.strip() for line in str(error).splitlines()[1:]) or str(error)
        return _failed(
            setting,
            f"the state dict does not load into a fresh copy: {said[:300]}",
            "usual causes: a state_dict() that leaves something out, layers that are made in forward or after the "
            "constructor, a factory of another size",
        )
    here = _same_seed(module, setting)
    if (why := not_finite(here)) is not None:
        return _undefined(setting, why)
    lost = [name for name in spoilt if not _same_bits(module, fresh, name)]
    if lost:
        return _failed(
            setting,
            f"{counted(len(lost), 'tensor')} did not come back bit for bit: {listed(lost)}",
            "usual causes: a state_dict() or load_state_dict() that is overridden, weights saved in another type",
        )
    with evaluating(fresh):
        there = _same_seed(fresh, setting)
        bar = tolerance(module, here.values())
        largest, where = furthest(here, there)
        notes: list[str] = []
        if largest <= bar:
            needed, constant = ([], []) if made else _needed(fresh, setting, there, bar)
            if not needed:
                return _sound(setting, largest, bar, len(spoilt), constant)
            sentence = f"the output depends on what no state dict holds: {listed(needed)}"
        else:
            other = unlike(attributes(module), attributes(fresh)) if made else []
            sentence = f"after saving and loading the {where} differs {how_far(largest)}"
            if other:
                sentence += f"; not in the state dict, and another in the fresh model: {listed(other)}"
    notes.append(
        "usual causes: a plain tensor (register_buffer keeps it), a list or dict of modules (nn.ModuleList and "
        "nn.ModuleDict register them), a buffer with persistent=False that is not a constant, a setting changed after "
        "the constructor"
    )
    if not made:
        notes.append("what the constructor makes anew may be a buffer with persistent=False; or give factory=")
    return compared(_NAME, Outcome.FAIL, sentence, support=setting.rows, difference=largest, bar=bar, notes=notes)


def _undefined(setting: Wiring, why: str) -> Verdict:
    sentence = f"whether a checkpoint of {setting.name} holds all cannot be judged: {why}"
    return compared(_NAME, Outcome.UNDEFINED, sentence, support=setting.rows)


def _failed(setting: Wiring, sentence: str, *notes: str) -> Verdict:
    return compared(_NAME, Outcome.FAIL, sentence, support=setting.rows, notes=notes)


def _sound(setting: Wiring, largest: float, bar: float, tensors: int, constant: list[str]) -> Verdict:
    bits = "the same output, bit for bit" if largest == 0 else "the same output but for rounding"
    notes = []
    if constant:
        notes.append(
            f"not in the state dict, and the output depends on it: {listed(constant)}; give factory= to have it judged "
            "whether the constructor makes it anew"
        )
    sentence = f"a fresh copy that loaded the state dict ({counted(tensors, 'tensor')}) gave {bits}"
    return compared(_NAME, Outcome.PASS, sentence, support=setting.rows, difference=largest, bar=bar, notes=notes)


def _same_seed(module: torch.nn.Module, setting: Wiring) -> Answers:
    """The answers from the same random state, the module as it was before: what is random plays no part."""
    with untouched(module):
        return answers(module, setting.inputs)


def _persistent(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Weights, and the buffers that belong in a state dict, by qualified name."""
    yield from module.named_parameters(remove_duplicate=False)
    for prefix, each in module.named_modules():
        for name, buffer in each._buffers.items():
            if buffer is not None and name not in each._non_persistent_buffers_set:
                yield f"{prefix}.{name}" if prefix else name, buffer


def _spoil(module: torch.nn.Module) -> list[str]:
    """Overwrite what a state dict restores; the names."""
    import torch

    tensors = dict(_persistent(module))
    with torch.no_grad():
        for tensor in {id(tensor): tensor for tensor in tensors.values()}.values():
            tensor.copy_(_other(tensor))
    return list(tensors)


def _other(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the same kind without any number in common: NaN, or whole numbers one higher."""
    import torch

    if tensor.is_floating_point() or tensor.is_complex():
        return torch.full_like(tensor, math.nan)
    return ~tensor if tensor.dtype == torch.bool else tensor + 1


def _same_bits(one: torch.nn.Module, other: torch.nn.Module, name: str) -> bool:
    import torch

    mine, theirs = dict(_persistent(one)).get(name), dict(_persistent(other))[name]
    if mine is None or mine.shape != theirs.shape or mine.dtype != theirs.dtype:
        return False
    if mine.layout != torch.strided:
        return torch.equal(mine.to_dense(), theirs.to_dense())
    return torch.equal(*(each.detach().contiguous().flatten().view(torch.uint8) for each in (mine, theirs)))


def _needed(fresh: torch.nn.Module, setting: Wiring, there: Answers, bar: float) -> tuple[list[str], list[str]]:
    """What the output depends on and no state dict holds: plain attributes; and buffers that are not persistent."""

    def depends() -> bool:
        try:
            found = _same_seed(fresh, setting)
        except Exception:  # without it the model cannot even run
            return True
        return furthest(there, found)[0] > bar

    known = {memory_of(tensor) for each in (setting.module, fresh) for _, tensor in _persistent(each)}
    aliases = {
        qualified
        for _, _, qualified, value in held(setting.module)
        if all(memory_of(tensor) in known for tensor in loose_tensors(value))
    }
    plain, buffers = [], []
    for module, name, qualified, value in list(held(fresh)):
        tensors = [tensor for tensor in loose_tensors(value) if memory_of(tensor) not in known]
        if (
            tensors
            and qualified not in aliases
            and _spoilt_for_a_while(tensors, depends)
            and not _made_anew(module, name, depends)
        ):
            plain.append(qualified)
    for qualified, buffer in fresh.named_buffers():
        if memory_of(buffer) not in known and _spoilt_for_a_while([buffer], depends):
            buffers.append(qualified)
    return plain, buffers


def _spoilt_for_a_while(tensors: list[torch.Tensor], depends: Callable[[], bool]) -> bool:
    import torch

    before = [tensor.detach().clone() for tensor in tensors]
    with torch.no_grad():
        try:
            for tensor in tensors:
                tensor.copy_(_other(tensor))
            return depends()
        finally:
            for tensor, kept in zip(tensors, before, strict=True):
                tensor.copy_(kept)


def _made_anew(module: torch.nn.Module, name: str, depends: Callable[[], bool]) -> bool:
    """Whether an attribute is a cache, which forward fills where it is None or not there."""
    value = vars(module)[name]
    try:
        vars(module)[name] = None
        if not depends():
            return True
        del vars(module)[name]
        return not depends()
    finally:
        vars(module)[name] = value
