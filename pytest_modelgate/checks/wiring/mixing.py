"""Does each row's output depend on that row alone, or do the rows of a batch leak into each other?"""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.wiring.answers import (
    LOOSE,
    answers,
    answers_and_change,
    apart,
    compared,
    first_line,
    furthest,
    how_far,
    not_finite,
    tolerance,
    usual_size,
    wide,
)
from pytest_modelgate.checks.wiring.keeping import SEED, untouched
from pytest_modelgate.checks.wiring.setting import read, rows_of, tensors_of
from pytest_modelgate.checks.wiring.tracing import first_difference, trace
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.modules import evaluating

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from pytest_modelgate.checks.wiring.answers import Answers
    from pytest_modelgate.checks.wiring.setting import Wiring
    from pytest_modelgate.checks.wiring.tracing import Event, Place
    from pytest_modelgate.gates.verdict import Verdict

_NAME = "no_batch_mixing"
_ROWS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    """Another batch, made of rows of a batch, in which some of them must have the output that they had.

    Attributes:
        what: what was done, in words, after "when".
        rows: which row of the batch stands in each place.
        kept: the places to compare.
        exact: same size, same places: the same kernels, so that a sound model gives all but the same bits.
    """

    what: str
    rows: list[int]
    kept: list[int]
    exact: bool = False

    @property
    def sources(self) -> list[int]:
        """The rows of the batch that stand in the places to compare."""
        return [self.rows[place] for place in self.kept]


@dataclass(frozen=True, slots=True)
class _Seen:
    """How far the outputs of the kept rows moved in a probe of a batch, and how far they may."""

    change: float
    allowed: float
    probe: _Probe
    base: Wiring


def check_no_batch_mixing(model: Any, batch: Any, *, loss: Any = None) -> Verdict:
    """Judge whether each row's output depends on that row alone, in evaluation mode.

    The first 8 rows are run again with other rows in place of some of them, so that of any two rows each is kept once
    while the other is replaced; in another order; and in batches of other sizes. The estimate is the largest change of
    an output relative to its size. With the others replaced it must stay within half of the type's digits (3.5e-4 in
    float32); in another order or size, which run other kernels, within 1%.

    Args:
        model: a module, or what `train_model` gave; it is left as it was, bit for bit.
        batch: (inputs, targets) of two rows or more; the inputs may be whole numbers, a tuple or a dict.
        loss: not needed.

    Raises:
        EvidenceError: a batch that cannot be read, or an output without a tensor.
    """
    setting = read(model, batch, loss)
    if setting.rows < 2:
        return _undefined(setting, "a batch of one has no other rows that could leak into it: give two rows or more")
    by_row = [tensor for tensor in tensors_of(setting.inputs) if tensor.ndim and len(tensor) == setting.rows]
    if all(bool((tensor == tensor[:1]).all()) for tensor in by_row):
        return _undefined(setting, f"all {setting.rows:,} rows are alike: give a batch whose rows differ")
    with untouched(setting.module), evaluating(setting.module):
        with untouched(setting.module):
            whole, changed = answers_and_change(setting.module, setting.inputs)
        notes = [f"the model changes its input in place ({changed}); it was given copies"] if changed else []
        if (why := not_finite(whole)) is not None:
            return _undefined(setting, why, notes)
        return _judge(setting, whole, notes)


def _judge(setting: Wiring, whole: Answers, notes: list[str]) -> Verdict:
    """Run the probes: first a batch that is cut, which shows the dimension that counts the rows in each output."""
    rows, size = setting.rows, min(_ROWS, setting.rows - 1)
    bar = tolerance(setting.module, whole.values())
    places = list(range(size))
    cut = _Probe(what=f"the batch is cut to {counted(size, 'row')}", rows=places, kept=places)
    smaller = _run(setting, cut, notes)
    axes = {
        path: _axes(tensor, rows, (smaller or whole)[path], size if smaller else rows) for path, tensor in whole.items()
    }
    if not any(axes.values()):
        return _undefined(
            setting, "no output has a row for each sample: give the model without its mean or loss", notes
        )
    if all(_alike(tensor, rows, axes[path]) for path, tensor in whole.items() if axes[path]):
        return _undefined(setting, "all rows have the same output: give a model that depends on its input", notes)
    with untouched(setting.module, seed=SEED + 1):
        random = furthest(whole, answers(setting.module, setting.inputs))[0] > bar
    if random:
        notes.append(
            "the output is random in evaluation mode: other orders and sizes are not judged (check_deterministic)"
        )
    seen: list[_Seen] = []
    base, reference = setting, whole
    if smaller is not None:
        if not random:
            seen.append(_Seen(_change(whole, rows, smaller, cut, axes), max(bar, LOOSE), cut, setting))
        if rows > _ROWS:
            base, reference = setting.first(size), smaller
    exact = 0
    for probe in _probes(base.rows):
        if random and not probe.exact:
            continue
        found = _run(base, probe, notes)
        if found is not None:
            exact += probe.exact
            change = _change(reference, base.rows, found, probe, axes)
            seen.append(_Seen(change, bar if probe.exact else max(bar, LOOSE), probe, base))
    if not exact:
        return _undefined(setting, "the model cannot be run with other rows in place of some", notes)
    return _verdict(setting, max(seen, key=lambda one: one.change / one.allowed), notes)


def _run(base: Wiring, probe: _Probe, notes: list[str]) -> Answers | None:
    """The answers to a probe, from the random state and the attributes that each run begins with."""
    try:
        with untouched(base.module):
            return answers(base.module, rows_of(base.inputs, base.rows, probe.rows))
    except Exception as error:  # what a model makes of another batch is its own
        notes.append(f"not run: when {probe.what} ({first_line(error)})")
        return None


def _probes(rows: int) -> Iterator[_Probe]:
    """For any two rows one probe that keeps the one and replaces the other; then another order, and a row alone."""
    for bit in range((rows - 1).bit_length()):
        for value in (0, 1):
            kept = [row for row in range(rows) if row >> bit & 1 == value]
            places = [row if row in kept else kept[row % len(kept)] for row in range(rows)]
            yield _Probe(
                what=f"the rows other than {_listed(kept)} hold other samples", rows=places, kept=kept, exact=True
            )
    yield _Probe(what="the rows stand in another order", rows=[*range(1, rows), 0], kept=list(range(rows)))
    yield _Probe(what="a row is alone", rows=[rows - 1], kept=[0])


def _listed(rows: list[int]) -> str:
    return ", ".join(map(str, rows[:8])) + (", ..." if len(rows) > 8 else "")


def _axes(one: torch.Tensor, rows: int, other: torch.Tensor, others: int) -> list[int]:
    """The dimensions of a tensor that count rows: their length goes with how many there are, which `other` shows."""
    if other.ndim != one.ndim:  # such as squeeze() of a batch of one
        other, others = one, rows
    return [
        axis
        for axis, length in enumerate(one.shape)
        if length and length % rows == 0 and length * others == other.shape[axis] * rows
    ]


def _arranged(tensor: torch.Tensor, axis: int, rows: int) -> list[torch.Tensor]:
    """A tensor as [rows, ...]; in two ways where each row has several entries of the dimension."""
    moved = tensor.movedim(axis, 0)
    several = len(moved) // rows
    if several == 1:
        return [moved.flatten(1)] if moved.ndim > 1 else [moved[:, None]]
    return [moved.reshape(rows, -1), moved.reshape(several, rows, -1).transpose(0, 1).reshape(rows, -1)]


def _alike(tensor: torch.Tensor, rows: int, axes: list[int]) -> bool:
    """Whether all rows of an output are the same."""
    return all(bool((one == one[:1]).all()) for axis in axes for one in _arranged(tensor, axis, rows))


def _moved(one: torch.Tensor, rows: int, other: torch.Tensor, probe: _Probe, axes: list[int], scale: float) -> float:
    """How far the kept rows moved, in the arrangement in which they moved least; 0 where none counts rows."""
    least, count = math.inf if axes else 0.0, len(probe.rows)
    for axis in axes:
        shape = [*one.shape]
        shape[axis] = shape[axis] // rows * count
        if math.prod(shape) != other.numel():
            continue
        pairs = zip(_arranged(one, axis, rows), _arranged(other.reshape(shape), axis, count), strict=True)
        least = min(least, *(apart(mine[probe.sources], theirs[probe.kept], scale) for mine, theirs in pairs), math.inf)
    return least


def _change(one: Answers, rows: int, other: Answers, probe: _Probe, axes: dict[str, list[int]]) -> float:
    """The largest change over all outputs that have rows; whole numbers count where the kernels are the same."""
    if one.keys() != other.keys():
        return math.inf
    floats = [path for path, tensor in one.items() if axes[path] and tensor.is_floating_point()]
    paths = [path for path in one if axes[path]] if probe.exact or not floats else floats
    return max(_moved(one[path], rows, other[path], probe, axes[path], _scale(one[path])) for path in paths)


def _scale(tensor: torch.Tensor) -> float:
    return usual_size(wide(tensor)) if tensor.is_floating_point() or tensor.is_complex() else 0.0


def _where(seen: _Seen) -> Place | None:
    """The module in which the kept rows first change, by a run of both batches with hooks."""
    base, probe = seen.base, seen.probe
    allowed = 64 * seen.allowed**2 if probe.exact else seen.allowed  # the bar is the square root of the type's step

    def same(one: torch.Tensor, other: torch.Tensor) -> bool:
        axes = _axes(one, base.rows, other, len(probe.rows))
        return _moved(one, base.rows, other, probe, axes, _scale(one)) <= allowed

    runs: list[list[Event]] = []
    for inputs in (base.inputs, rows_of(base.inputs, base.rows, probe.rows)):
        with untouched(base.module):
            runs.append(trace(base.module, inputs))
    return first_difference(base.module, runs[0], runs[1], same)


def _cause(place: Place | None) -> str:
    """The usual cause in such a module."""
    from torch import nn

    module = None if place is None else place.module
    if isinstance(module, nn.modules.batchnorm._NormBase):
        if module.training:
            return (
                "it is in training mode after eval(), and takes the mean of the batch: is train() or eval() overridden?"
            )
        return "it keeps no running statistics, and takes those of the batch: leave track_running_stats=True"
    if isinstance(module, (nn.Softmax, nn.LogSoftmax, nn.Softmin)) and module.dim in (0, None):
        return f"dim={module.dim} normalises over the rows: say dim=-1"
    if isinstance(module, (nn.MultiheadAttention, nn.RNNBase, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
        first = getattr(module, "batch_first", getattr(getattr(module, "self_attn", None), "batch_first", False))
        if not first:
            return "it takes dimension 0 for the sequence: say batch_first=True, or transpose its input"
    return (
        "usual causes: a softmax, mean or max over dim=0; view() or reshape() that moves values between rows; "
        "attention or an LSTM without batch_first=True; BatchNorm without running statistics; len(x) in the formula"
    )


def _undefined(setting: Wiring, why: str, notes: list[str] | None = None) -> Verdict:
    sentence = f"whether the rows of a batch mix cannot be judged: {why}"
    return compared(_NAME, Outcome.UNDEFINED, sentence, support=setting.rows, notes=notes or ())


def _verdict(setting: Wiring, worst: _Seen, notes: list[str]) -> Verdict:
    if worst.change <= worst.allowed:
        outcome = Outcome.PASS
        sentence = f"each row's output depends on that row alone ({counted(worst.base.rows, 'row')} tried)"
    else:
        outcome, place = Outcome.FAIL, _where(worst)
        where = f"; the rows first mix in {place}" if place is not None else ""
        far = how_far(worst.change)
        sentence = f"the output of a row changes {far} when {worst.probe.what}{where}"
        notes.insert(0, _cause(place))
    return compared(
        _NAME, outcome, sentence, support=setting.rows, difference=worst.change, bar=worst.allowed, notes=notes
    )
