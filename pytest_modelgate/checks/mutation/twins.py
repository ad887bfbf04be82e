"""Faulted twins: in the pass in which a model is evaluated, each batch also passes through copies with one fault each.

A copy shares all tensors with the model but those that its fault changes. While a pass lasts, the twins hold nine
copies of each of at most five layers, one batch of inputs and the targets; after it only evidence, which for each fault
is about what it is for the model: no model, no inputs.
"""

from __future__ import annotations

__tracebackhide__ = True

import copy
import functools
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pytest_modelgate.checks.mutation import faults
from pytest_modelgate.checks.mutation.answers import (
    always,
    answer_faults,
    change_labels,
    change_scores,
    mean_answer,
)
from pytest_modelgate.checks.mutation.copies import Original, key_of
from pytest_modelgate.checks.mutation.faults import Fault, seed_of
from pytest_modelgate.checks.mutation.inputs import columns_of, copied, faulted, input_faults
from pytest_modelgate.checks.mutation.running import Running, said
from pytest_modelgate.checks.mutation.weights import weight_faults
from pytest_modelgate.evidence.origin import Origin
from pytest_modelgate.evidence.outputs import decide
from pytest_modelgate.runtime.adapters.foreign import name_of
from pytest_modelgate.runtime.data import call
from pytest_modelgate.runtime.seeds import seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    import torch
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.collecting import Collector
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.runtime.losses import Loss

    Answer: TypeAlias = Callable[[Callable[[], Any], torch.Tensor, int], Any]
    Change: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Twin:
    """What a model with a fault gave.

    Attributes:
        fault: what is wrong with it.
        evaluation: its evidence on the same samples; None where it could not be evaluated.
        error: why it could not be, such as what its forward pass raised: whoever evaluates it would have noticed.
        shift: what is to be added to the threshold, after all else that is done with the evidence.
        changed: the share of predictions that differ from the sound model's, at the evaluation's own threshold. Of
            predicted values those that move by more than 1% of the standard deviation of the sound model's; None where
            they were not kept.
    """

    fault: Fault
    evaluation: Evaluation | None
    error: str | None
    shift: float = 0.0
    changed: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """The twins of a model in one pass.

    Attributes:
        model: the name of the model's class.
        key: names class and weights, alike in every process.
        faults: one twin for each fault.
        layers_left_out: how many layers with weights got no fault.
        reason: why there are no twins at all; else None.
        partly: why there are none with faults in weights or inputs; else None.
    """

    model: str
    key: str
    faults: tuple[Twin, ...]
    layers_left_out: int
    reason: str | None = None
    partly: str | None = None


class Mutator:
    """An observer of evaluations that lets every batch pass through faulted twins too."""

    def begin(
        self, module: torch.nn.Module, *, collector: Collector, loss: Loss | None, place: torch.device
    ) -> TwinPass:
        """The twins of one pass."""
        return TwinPass(module, collector, loss, place)


class TwinPass:
    """The twins of one pass. Whatever goes wrong is told as the reason for having no twins: no test breaks of it."""

    def __init__(self, module: torch.nn.Module, collector: Collector, loss: Loss | None, place: torch.device) -> None:
        self._model = name_of(module)
        self._new = functools.partial(_new_running, collector=collector, loss=_own(loss), place=place)
        self._effects: set[str] = set()
        self._collector = collector
        self._place = place
        self._batch = 0
        self._inputs: Any = None
        self._state: Any = None
        self._kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._running: list[Running] = []
        self._original: Original | None = None
        self._layers_left_out = 0
        self._key = ""
        self._reason: str | None = None
        self._partly: str | None = None
        with _unnoticed(place):
            try:
                self._key = key_of(module)
            except Exception as error:
                self._reason = f"its weights cannot be read ({said(error)})"
            try:
                self._original = Original(module)
            except Exception as error:
                self._partly = f"it cannot be copied ({said(error)})"

    def before(self, inputs: Any) -> None:
        """Keep what the model may write to, and the random state that it starts from."""
        import torch

        if self._reason is None:
            try:
                self._inputs, self._state = copied(inputs), torch.get_rng_state()
            except Exception as error:
                self._give_up(f"its inputs cannot be copied ({said(error)})")

    def after(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        """One batch through all twins."""
        if self._reason is not None or not len(targets):
            return
        try:
            with _unnoticed(self._place):
                if self._batch == 0:
                    self._running = [*self._model_twins(outputs), *self._answer_twins(outputs)]
                elif self._original is not None:
                    self._original.part()
                for one in self._running:
                    one.step(self._fresh, outputs, targets, self._batch)
                if self._batch == 0:
                    self._leave_out_bound()
            decided = self._collector.outputs == "labels"
            self._kept.append((targets.clone(), outputs.clone() if decided else outputs[:1].clone()))
        except Exception as error:
            self._give_up(f"its twins could not be made ({said(error)})")
        self._batch += 1
        self._inputs = None

    def finish(self, found: Evaluation, preds: Sequence[NDArray[Any]]) -> Twins:
        """All twins, beside the sound model's evidence."""
        import torch

        twins: list[Twin] = []
        if self._reason is None:
            try:
                with torch.inference_mode(), _unnoticed(self._place):
                    sound = np.concatenate(preds) if preds else None
                    for one in [*self._running, *self._late(found)]:
                        evaluation, changed = one.finish(found, sound)
                        twins.append(Twin(one.fault, evaluation, one.error, changed=changed))
                    twins += _shifted(found)
            except Exception as error:
                self._give_up(f"its twins could not be evaluated ({said(error)})")
        return Twins(
            model=self._model,
            key=self._key,
            faults=tuple(twins) if self._reason is None else (),
            layers_left_out=self._layers_left_out,
            reason=self._reason,
            partly=self._partly,
        )

    def _give_up(self, reason: str) -> None:
        """Nothing more is done, and no model, input or target is kept."""
        self._reason = reason
        self._original, self._inputs, self._running, self._kept = None, None, [], []

    def _fresh(self) -> Any:
        """The batch's inputs, to write to, in the random state in which the model got them."""
        import torch

        torch.set_rng_state(self._state)
        return copied(self._inputs)

    def _model_twins(self, outputs: torch.Tensor) -> Iterator[Running]:
        """The twins that need a forward pass of their own; none, and why, where copies are not the model's equals."""
        original = self._original
        if original is None:
            return
        try:
            original.settle()
            same = _alike(_through(original, original.twin())(self._fresh, outputs, 0), outputs)
        except Exception as error:
            self._partly = f"a copy of it cannot be called ({said(error)})"
            return
        if not same:
            self._partly = "a copy of it gives other outputs: it keeps a state outside of itself, or draws at random"
            return
        self._layers_left_out = original.layers_left_out
        if not original.exchangeable:
            self._partly = "the weights of a TorchScript module cannot be exchanged"
        for layer in original.layers:
            for fault in weight_faults(layer):
                twin = original.with_weights(layer, layer.faulted(fault))
                yield self._new(fault, _noting(_through(original, twin), self._effects))
        for column in columns_of(self._inputs):
            for fault in input_faults(column):
                change = functools.partial(faulted, fault=fault, column=column)
                yield self._new(fault, _through(original, original.twin(), change=change))
        for fault in (Fault(faults.DROPOUT), Fault(faults.BATCHNORM)):
            broken = original.with_fault(fault)
            if broken is not None:
                yield self._new(fault, _through(original, broken, draws=fault.kind == faults.DROPOUT and fault.name))

    def _leave_out_bound(self) -> None:
        """No faults in a model's own parts where copies do not use their own, as no fault in weights tells."""
        if self._original is None or not self._original.layers or self._partly is not None or self._effects:
            return
        self._partly = "a copy of it does not use its own weights: what its forward calls is bound to the model"
        self._running = [one for one in self._running if one.fault.kind not in faults.OF_THE_MODEL]

    def _answer_twins(self, outputs: torch.Tensor) -> Iterator[Running]:
        """The twins that act on the sound model's scores, batch by batch."""
        what = self._collector.outputs
        if what not in ("logits", "probabilities") or self._collector.several:
            return
        columns = outputs.shape[1] if outputs.ndim > 1 else 1
        for fault, one, other in answer_faults(self._collector.labels or range(max(columns, 2))):
            change = functools.partial(
                change_scores, kind=fault.kind, one=one, other=other, what=what, threshold=self._collector.threshold
            )
            yield self._new(fault, _of_outputs(change))

    def _late(self, found: Evaluation) -> Iterator[Running]:
        """The twins that need to know all targets, or all classes."""
        if found.outputs == "values":
            row = mean_answer([targets for targets, _ in self._kept], self._kept[-1][1][:1])
            if row is not None:
                yield self._constant(Fault(faults.MEAN), row)
            return
        if self._collector.several:
            return
        names: Sequence[Any] = found.labels if self._collector.named_by_integers else range(len(found.labels))
        counts = found.confusion_matrix.counts.sum(axis=1).tolist()
        row = always(counts, self._kept[-1][1][:1], what=found.outputs, names=names)
        if found.outputs == "labels":
            for fault, one, other in answer_faults(found.labels):
                running = self._new(fault, None)
                for targets, outputs in self._kept:
                    running.add(change_labels(outputs, fault.kind, one, other, names), targets)
                yield running
        yield self._constant(Fault(faults.MAJORITY), row)

    def _constant(self, fault: Fault, row: torch.Tensor) -> Running:
        """The twin that answers each sample with the same row [1, ...]."""
        running = self._new(fault, None)
        for targets, _ in self._kept:
            running.add(row.expand(len(targets), *row.shape[1:]).contiguous(), targets)
        return running


def _new_running(
    fault: Fault, answer: Answer | None, *, collector: Collector, loss: Loss | None, place: torch.device
) -> Running:
    return Running(fault, answer, collector.twin(), _own(loss), place)


def _own(loss: Loss | None) -> Loss | None:
    """The same loss; one of the user's, which may keep a state, as a copy."""
    import torch

    if loss is None or loss.kind is not None or not isinstance(loss.function, torch.nn.Module):
        return loss
    shared = {id(one): one for one in loss.function.parameters()}
    try:
        return replace(loss, function=copy.deepcopy(loss.function, shared))
    except Exception:  # one that cannot be copied is shared
        return loss


def _through(
    original: Original, twin: torch.nn.Module, *, change: Change | None = None, draws: str | Literal[False] = False
) -> Answer:
    """The outputs of a copy, whose inputs may be changed first, and whose random numbers may be drawn by a name."""

    def answer(inputs: Callable[[], Any], outputs: torch.Tensor, batch: int) -> Any:
        import torch

        given = inputs()
        if draws:
            torch.manual_seed(seed_of(f"{draws} {batch}"))
        try:
            return call(twin, given if change is None else change(given, batch=batch))
        finally:
            original.take_back(twin)

    return answer


def _noting(answer: Answer, effects: set[str]) -> Answer:
    """The same answer; where one differs from the sound model's, `effects` says so."""

    def noting(inputs: Callable[[], Any], outputs: torch.Tensor, batch: int) -> Any:
        import torch

        try:
            found = answer(inputs, outputs, batch)
        except Exception:
            effects.add("raised")
            raise
        if not effects and not (isinstance(found, torch.Tensor) and torch.equal(found, outputs)):
            effects.add("differed")
        return found

    return noting


def _of_outputs(change: Change) -> Answer:
    """The sound model's outputs, changed."""
    return lambda _, outputs, __: change(outputs)


def _shifted(found: Evaluation) -> Iterator[Twin]:
    """The sound evidence at shifted thresholds."""
    if found.threshold is None or found.scores is None:
        return
    scores = found.scores.values
    sound = decide(scores, found.threshold, found.outputs)
    evaluation = replace(found, origin=Origin(model=found.origin.model))
    for shift in faults.SHIFTS:
        at = min(max(found.threshold + shift, 0.0), 1.0)
        changed = float(np.mean(decide(scores, at, found.outputs) != sound))
        yield Twin(Fault(faults.THRESHOLD, strength=shift), evaluation, None, shift=shift, changed=changed)


@contextmanager
def _unnoticed(place: torch.device) -> Iterator[None]:
    """Random states are restored at the end, and nobody is warned."""
    with seeded(None, place), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _alike(outputs: Any, sound: torch.Tensor) -> bool:
    """Whether a copy's outputs are the model's, but for rounding."""
    import torch

    if not isinstance(outputs, torch.Tensor) or outputs.shape != sound.shape:
        return False
    one, other = outputs.double(), sound.double()
    scale = float(other.abs().max()) if other.numel() else 0.0
    return bool(torch.allclose(one, other, rtol=1e-3, atol=1e-4 * scale))
