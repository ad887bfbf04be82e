"""Do gradients reach every parameter, are they finite, and does the optimizer use them?"""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_modelgate.checks.wiring.following import Trace, dense, finite, followed
from pytest_modelgate.checks.wiring.judging import all_frozen, cut_off, judged, listed, to_training, trainable
from pytest_modelgate.checks.wiring.keeping import untouched
from pytest_modelgate.checks.wiring.setting import Wiring, read, tensors_of
from pytest_modelgate.exceptions import EvidenceError, did_you_mean
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.modules import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import torch

ROWS = 64
STEPS = 4
_ROUNDING = 1e-5
PARAMETERS = "all_parameters_train"
FINITE = "finite_gradients"


def check_all_parameters_train(
    model: Any,
    batch: Any,
    *,
    loss: Any = None,
    optimizer: Callable[[Iterator[torch.nn.Parameter]], torch.optim.Optimizer] | None = None,
    frozen: Iterable[str] | None = None,
) -> Verdict:
    """Does every trainable parameter get a gradient and move, and does what is frozen stay?

    A parameter may get its first gradient in one of the first four steps: a head that starts at zero lets none through
    in the first. A parameter is judged as a whole, so that some dead units do not fail it.

    Args:
        model, batch, loss: see `read`; at most the first 64 samples are used.
        optimizer: called with the model's parameters, gives the optimizer that trains it: a parameter that it does
            not hold is found. Default Adam over all of them.
        frozen: the parameters that are meant to be frozen, by their names or how these begin, such as ["body."]: any
            other that is frozen fails. Default: whatever has `requires_grad=False`.

    Raises:
        EvidenceError: see `read`; or a name in `frozen` that no parameter has.
    """
    wiring = read(model, batch, loss, trains=True).first(ROWS)
    module = wiring.module
    everything = dict(module.named_parameters())
    by_mistake = _frozen_by_mistake(everything, frozen)
    refused = all_frozen(PARAMETERS, wiring)
    if refused is not None:
        return refused
    with untouched(module):
        to_training(module)
        still = _held_still(module)
        tensors = everything | still
        before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        with followed(module) as trace:
            outputs = wiring.outputs()
        if not wiring.cost(outputs).requires_grad:
            return cut_off(PARAMETERS, wiring, outputs, trace.with_gradient)
        stepped = _stepped(wiring, optimizer)
        stuck = {name for name, tensor in tensors.items() if _same(before[name], tensor)}
    return _judge(wiring, everything, list(still), stepped, stuck, by_mistake)


class _Stepped(NamedTuple):
    """What some optimizer steps showed: parameters outside the optimizer, and the largest gradient of the others."""

    outside: list[str]
    sizes: dict[str, float]

    def pushed(self, name: str) -> bool:
        """Whether a parameter had a gradient that is not 0; NaN is none that is 0."""
        return self.sizes.get(name, 0.0) != 0.0

    def taken_away(self, name: str) -> bool:
        """Whether a bias has no effect though its layer's weight has one: BatchNorm behind it takes it out again.

        What is left of its gradient is rounding.
        """
        layer, _, own = name.rpartition(".")
        weight = self.sizes.get(f"{layer}.weight" if layer else "weight", 0.0)
        return own == "bias" and name in self.sizes and weight > 0 and self.sizes[name] <= _ROUNDING * weight


def _stepped(wiring: Wiring, make: Callable[[Any], torch.optim.Optimizer] | None) -> _Stepped:
    """Step until each parameter was pushed, at most four times."""
    import torch

    module, parameters = wiring.module, trainable(wiring.module)
    optimizer = torch.optim.Adam(parameters.values(), lr=1e-3) if make is None else make(module.parameters())
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise EvidenceError(
            f"optimizer= gave {type(optimizer).__name__}: it is called with the model's parameters and gives a torch "
            "optimizer, such as lambda parameters: torch.optim.Adam(parameters)"
        )
    inside = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    sizes: dict[str, float] = {}

    def closure() -> float:
        module.zero_grad(set_to_none=True)
        cost = wiring.cost(wiring.outputs())
        cost.backward()  # type: ignore[no-untyped-call]
        for name, parameter in parameters.items():
            if parameter.grad is None:
                continue
            if parameter.grad.is_sparse and make is None:  # which Adam does not take
                parameter.grad = parameter.grad.to_dense()
            values = dense(parameter.grad)
            size = float(values.abs().max()) if values.numel() else 0.0
            sizes[name] = size if size != size else max(size, sizes.get(name, 0.0))
        return float(cost.detach())

    for _ in range(STEPS):
        optimizer.step(closure)
        torch.clear_autocast_cache()  # of a caller's autocast, which would go on with the weights before the step
        if len(sizes) == len(parameters) and all(sizes.values()):
            break
    return _Stepped([name for name, one in parameters.items() if id(one) not in inside], sizes)


def _judge(
    wiring: Wiring,
    everything: dict[str, torch.nn.Parameter],
    still: Sequence[str],
    stepped: _Stepped,
    stuck: set[str],
    by_mistake: Sequence[str],
) -> Verdict:
    names = trainable(wiring.module)
    frozen = [name for name in everything if name not in names]
    absent = [name for name in names if name not in stepped.sizes]
    outside = [name for name in stepped.outside if name not in absent]
    idle = [name for name in names if name not in (*absent, *outside) and (name in stuck or not stepped.pushed(name))]
    taken_away = [name for name in idle if stepped.taken_away(name)]
    unmoved = [name for name in idle if name not in taken_away and stepped.pushed(name)]
    zero = [name for name in idle if name not in taken_away and not stepped.pushed(name)]
    drifted = [name for name in (*frozen, *still) if name not in stuck]
    not_finite = [name for name, size in stepped.sizes.items() if not math.isfinite(size)]
    found = [
        (not_finite, "a gradient that is not finite", "what assert_finite_gradients names"),
        (
            absent,
            "no gradient",
            "a layer that forward does not use, or detach(), .data or torch.no_grad() behind it; or a branch, such as "
            "an expert, that no sample of this batch takes: give more samples",
        ),
        (
            zero,
            "a gradient of exactly 0",
            "layers that start at zero, ReLUs that are dead on every sample, a factor 0, round()",
        ),
        (outside, "not in the optimizer", "an optimizer made before the layer was, or of the head's parameters alone"),
        (unmoved, "a gradient, yet did not move", "a learning rate of 0, or an optimizer of another copy's parameters"),
        (list(by_mistake), "frozen, and not named in frozen=", "requires_grad=False left on after a warm-up"),
        (
            drifted,
            "frozen, and moved all the same",
            "a BatchNorm of a frozen body in training mode: put it into eval()",
        ),
    ]
    bad = [(names, what, cause) for names, what, cause in found if names]
    notes = [f"{what}: {listed(names)}\n    usual cause: {cause}" for names, what, cause in bad]
    if taken_away:
        notes.append(
            f"without effect: {listed(taken_away)}: the layer behind, such as BatchNorm, takes this shift out again"
        )
    support = len(names) + len(by_mistake)
    failing = {name for which in (absent, zero, outside, unmoved, not_finite, by_mistake) for name in which}
    hits = support - len(failing)
    if not bad:
        sentence = f"all {counted(support, 'parameter')} of {wiring.name} get a gradient and move"
        sentence += f"; {counted(len(frozen), 'frozen one')} stayed put" if frozen else ""
        outcome = Outcome.PASS
    else:
        outcome = Outcome.FAIL
        said = [f"{hits} of {counted(support, 'parameter')} of {wiring.name} train"] if failing else []
        said += [f"{listed(names)}: {what}" for names, what, _ in bad]
        sentence = "; ".join(said)
    return judged(PARAMETERS, outcome, sentence, support=support, hits=min(hits, support - bool(bad)), notes=notes)


def _frozen_by_mistake(everything: dict[str, torch.nn.Parameter], meant: Iterable[str] | None) -> list[str]:
    """The frozen parameters that none of the names, which may be beginnings, covers."""
    if meant is None:
        return []
    beginnings = (meant,) if isinstance(meant, str) else tuple(meant)
    for beginning in beginnings:
        if not any(name.startswith(beginning) for name in everything):
            raise EvidenceError(
                f"frozen={beginning!r}: no parameter's name begins so{did_you_mean(beginning, everything)}; "
                f"they are {listed(list(everything))}"
            )
    return [
        name
        for name, parameter in everything.items()
        if not parameter.requires_grad and not name.startswith(beginnings)
    ]


def _held_still(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The statistics of each BatchNorm that is frozen, by its parameters or its mode."""
    from torch.nn.modules.batchnorm import _BatchNorm

    return {
        f"{name}.{own}" if name else own: buffer
        for name, layer in module.named_modules()
        if isinstance(layer, _BatchNorm)
        for parameters in [list(layer.parameters(recurse=False))]
        if not layer.training or (parameters and not any(parameter.requires_grad for parameter in parameters))
        for own, buffer in layer.named_buffers(recurse=False)
    }


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal; NaN equals itself."""
    return one.shape == other.shape and bool(((one == other) | ((one != one) & (other != other))).all())


def check_finite_gradients(model: Any, batch: Any, *, loss: Any = None) -> Verdict:
    """Are outputs, loss and gradients free of NaN and infinity? Names the first layer where they are not.

    Args:
        model, batch, loss: see `read`.

    Raises:
        EvidenceError: see `read`.
    """
    wiring = read(model, batch, loss, trains=True)
    module = wiring.module
    refused = all_frozen(FINITE, wiring)
    if refused is not None:
        return refused
    with untouched(module):
        to_training(module)
        module.zero_grad(set_to_none=True)
        with followed(module) as trace:
            outputs = wiring.outputs()
        cost = wiring.cost(outputs)
        if _breaks(outputs) or not finite(cost.detach()):
            return _broken_forwards(wiring, outputs, trace)
        if not cost.requires_grad:
            return cut_off(FINITE, wiring, outputs, trace.with_gradient)
        cost.backward()  # type: ignore[no-untyped-call]
        gradients = {name: one.grad for name, one in trainable(module).items() if one.grad is not None}
        broken = [name for name, gradient in gradients.items() if not finite(gradient)]
        evaluated = None if broken else _broken_evaluated(wiring, outputs)
    if evaluated is not None:
        return evaluated
    support = len(gradients)
    if not broken:
        sentence = f"outputs, loss and the gradients of {counted(support, 'parameter')} of {wiring.name} are finite"
        return judged(FINITE, Outcome.PASS, sentence, support=support, hits=support)
    between = trace.broke_between()
    where = f"the gradient of {broken[-1]} broke first"
    if between is not None:
        last, name = between
        where = f"it breaks behind the output of {name}" + (f", before that of {last}" if last else "")
    sentence = (
        f"{len(broken)} of {counted(support, 'gradient')} of {wiring.name} are not finite, though the loss is: {where}"
    )
    return judged(
        FINITE,
        Outcome.FAIL,
        sentence,
        support=support,
        hits=support - len(broken),
        notes=(
            f"not finite: {listed(broken)}",
            "usual causes: sqrt or norm at 0, a division or logarithm behind torch.where, which does not stop its "
            "gradient: add a small number inside, or clamp before",
        ),
    )


def _breaks(outputs: torch.Tensor) -> bool:
    """Whether outputs are broken: minus infinity is how classes are masked out, which a loss may take."""
    values = outputs.detach()
    return not finite(values if values.is_complex() else values[values != -math.inf])


def _broken_evaluated(wiring: Wiring, trained: torch.Tensor) -> Verdict | None:
    """A failure where outputs that are finite in training mode are not in evaluation mode; None where they are."""
    import torch

    with untouched(wiring.module), evaluating(wiring.module), torch.no_grad():
        outputs = wiring.outputs()
        if outputs.shape != trained.shape or not _breaks(outputs):
            return None
        with followed(wiring.module) as trace:  # hooks keep some layers from their faster paths
            wiring.outputs()
        buffers = [name for name, one in wiring.module.named_buffers() if _breaks(one)]
    where = f"its buffers are not: {listed(buffers)}" if buffers else "training mode gives finite ones"
    if not buffers and trace.first_broken is not None:
        where = f"the output of {trace.first_broken} is the first that is not"
    return judged(
        FINITE,
        Outcome.FAIL,
        f"the outputs of {wiring.name} in evaluation mode are not finite: {where}",
        support=len(trainable(wiring.module)),
        hits=0,
        notes=(
            "usual causes: running statistics that took up a NaN or an infinity from an earlier batch; a mask that "
            "leaves nothing for softmax, such as one that is the wrong way round (True leaves a token out)",
        ),
    )


def _broken_forwards(wiring: Wiring, outputs: torch.Tensor, trace: Trace) -> Verdict:
    """A failure where the forward pass or the loss is not finite already."""
    support, outputs = len(trainable(wiring.module)), outputs.detach()
    weights = [name for name, one in wiring.module.named_parameters() if not finite(one.detach())]
    inputs_broken = not all(map(finite, tensors_of(wiring.inputs)))
    if weights:
        where = f"its weights are not: {listed(weights)}"
    elif inputs_broken:
        where = "the inputs of this batch are not"
    elif trace.first_broken is not None and trace.broken_before:
        where = f"what goes into {trace.first_broken} is the first that is not, so forward breaks it before that layer"
    elif trace.first_broken is not None:
        where = f"the output of {trace.first_broken} is the first that is not"
    elif not finite(outputs):
        where = "each layer's output is, so what forward does between or behind them breaks it"
    elif not finite(wiring.targets):
        where = "the outputs are, the targets of this batch are not"
    else:
        where = f"the outputs are, from {float(outputs.min()):.3g} to {float(outputs.max()):.3g}, so the loss breaks"
    what = f"loss of {wiring.name} is" if finite(outputs) else f"outputs of {wiring.name} are"
    return judged(
        FINITE,
        Outcome.FAIL,
        f"the {what} not finite: {where}",
        support=support,
        hits=0,
        notes=("usual causes: log(0), a division by 0, exp of a large number, a mask that leaves nothing for softmax",),
    )
