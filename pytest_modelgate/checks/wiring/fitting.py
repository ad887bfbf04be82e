"""Can a model memorise a small batch, and does it use its input to do so?"""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_modelgate.checks.wiring.following import followed
from pytest_modelgate.checks.wiring.judging import all_frozen, cut_off, judged, trainable
from pytest_modelgate.checks.wiring.keeping import untouched
from pytest_modelgate.checks.wiring.looking import misfit
from pytest_modelgate.checks.wiring.reaching import Reach, reach
from pytest_modelgate.checks.wiring.setting import Wiring, mapped, read, rows_of
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.metrics.remarks import counted

if TYPE_CHECKING:
    import torch

ROWS = 16
STEPS = 100
LOOK, STUCK = 40, 0.98  # after so many steps a fit that is no better than a constant output is given up
RATES = (3e-3, 3e-2, 3e-4)
LARGER = (3e-3, 3e-2, 3e-1)
SMALLER = (5e-4, 5e-3, 5e-2)  # for a large model
LARGE = 100_000
BLIND_STEPS = 10
FAR = 4.0  # a start so much above the cost of a constant output: targets of another scale, which need larger steps
FITTED = 0.2
LEARNED = 0.5
AHEAD = 0.25
FITS = "fits_one_batch"
LEARNS = "learns_from_input"
_SCALE = (
    "targets of another scale than the outputs: subtract their mean and divide by their standard deviation, and undo "
    "that behind the model"
)
_BROADCASTING = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss")


class Fit(NamedTuple):
    """How far a model came on some rows.

    Attributes:
        share: of the cost that memorising saves, what is left: 0 where all is memorised, 1 at a constant output.
        cost: the last loss.
        start: the share before the first step.
        steps, rate: of the optimizer.
    """

    share: float
    cost: float
    start: float
    steps: int
    rate: float


def check_fits_one_batch(model: Any, batch: Any, *, loss: Any = None) -> Verdict:
    """Can the model memorise the first 16 samples of a batch?

    It trains with Adam, without dropout and with BatchNorm on the batch's own statistics, at most 100 steps with each
    of three learning rates, and where that fails on two samples, which any sound model can tell apart. It passes where
    the loss falls four fifths of the way from what one output for all samples costs to what is to be reached.

    Args:
        model, batch, loss: see `read`.

    Raises:
        EvidenceError: see `read`.
    """
    prepared = _prepare(FITS, model, batch, loss)
    if isinstance(prepared, Verdict):
        return prepared
    wiring, outputs, costs = prepared
    notes = []
    fit = _best(wiring, costs, FITTED)
    few = _two(wiring)
    rows = wiring.rows
    if fit.share > FITTED and few is not None and few.rows < rows:
        with untouched(wiring.module):
            _to_fitting(wiring.module)
            of_two = reach(few, few.outputs())
        fit_of_two = _best(few, of_two, FITTED, few=True) if of_two.tells else fit
        if fit_of_two.share <= FITTED:
            notes.append(
                f"{rows} samples were too many for it (it came {_way(fit)}), and two are not: it has few parameters, "
                "or needs longer"
            )
            fit, costs, rows = fit_of_two, of_two, 2
    frozen = [parameter for parameter in wiring.module.parameters() if not parameter.requires_grad]
    if fit.share > FITTED and frozen:
        with untouched(wiring.module):
            for parameter in frozen:
                parameter.requires_grad_(parameter.is_floating_point())
            freed = _best(wiring, costs, FITTED)
        if freed.share <= FITTED:
            notes.append(
                f"only with its frozen parameters set free; as it is it came {_way(fit)}: what is frozen tells these "
                "samples hardly apart"
            )
            fit = freed
    if costs.alike is not None:
        one, other = costs.alike
        notes.append(
            f"samples {one} and {other} have equal inputs and different targets: no model fits both, and the bar "
            "allows for it"
        )
    what = f"{wiring.name} memorises {counted(rows, 'sample')}"
    how = (
        f"loss {fit.cost:.3g} after {counted(fit.steps, 'step')}; one output for all costs {costs.constant:.3g}, "
        f"memorising {costs.floor:.3g}"
    )
    details = (("loss", _plain(fit.cost)), ("constant", costs.constant), ("floor", costs.floor), ("rate", fit.rate))
    estimate = _plain(1 - fit.share)
    if fit.share <= FITTED:
        return judged(
            FITS,
            Outcome.PASS,
            f"{what}: {how}",
            support=rows,
            estimate=estimate,
            bar=1 - FITTED,
            notes=notes,
            details=details,
        )
    cause = (
        misfit(wiring, outputs, surely=False)
        or (_SCALE if fit.start > FAR else None)
        or (
            "a last layer that cannot give what the loss takes (softmax, sigmoid or ReLU), weights that do not train, "
            "targets of another scale or shape than the outputs, or outputs that do not depend on the input"
        )
    )
    return judged(
        FITS,
        Outcome.FAIL,
        f"{what.replace('memorises', 'cannot memorise')}: {how}",
        support=rows,
        estimate=estimate,
        bar=1 - FITTED,
        notes=(*notes, f"usual cause: {cause}"),
        details=details,
    )


def check_learns_from_input(model: Any, batch: Any, *, loss: Any = None) -> Verdict:
    """Does training on the inputs beat training on zeroed inputs, from the same weights?

    Floating inputs become 0; of whole numbers, such as tokens, each sample gets those of the first one. The
    training on the inputs ends half of the way to memorising. The other one ends after 10 steps, and is taken to reach
    at least what one output for all samples costs.

    Args:
        model, batch, loss: see `read`; at most the first 16 samples are used.

    Raises:
        EvidenceError: see `read`.
    """
    prepared = _prepare(LEARNS, model, batch, loss)
    if isinstance(prepared, Verdict):
        return prepared
    wiring, _, costs = prepared
    few = _two(wiring)
    for tried in (wiring, few):
        if tried is None:
            continue
        if tried is few:
            with untouched(tried.module):
                _to_fitting(tried.module)
                costs = reach(tried, tried.outputs())
            if not costs.tells:
                break
        fit = _best(tried, costs, LEARNED, few=tried is few)
        blind = _fit(tried, costs, -math.inf, fit.rate, min(fit.steps, BLIND_STEPS), zeroed(tried))
        blind = min(blind, Fit(1.0, costs.constant, 1.0, 0, fit.rate))  # what it gets to, however long it trains
        ahead = blind.share - fit.share
        if ahead >= AHEAD:
            break
    sentence = f"after {counted(fit.steps, 'step')} the loss of {wiring.name} is {fit.cost:.3g}"
    blinded = f"{blind.cost:.3g} with zeroed inputs"
    passed = ahead >= AHEAD
    notes = (
        "usual causes: forward does not use its argument, or overwrites it; a factor 0 or an all-False mask; a "
        "softmax over one class; every unit of a layer is dead",
    )
    return judged(
        LEARNS,
        Outcome.PASS if passed else Outcome.FAIL,
        f"{sentence}, against {blinded}" if passed else f"{sentence}, no better than {blinded}",
        support=tried.rows if tried is not None else wiring.rows,
        estimate=_plain(ahead),
        bar=AHEAD,
        notes=() if passed else notes,
        details=(("loss", _plain(fit.cost)), ("loss_zeroed", _plain(blind.cost))),
    )


def zeroed(wiring: Wiring) -> Any:
    """Inputs of the same shapes that tell no sample from another."""

    def blind(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_floating_point() or tensor.is_complex():
            return tensor.detach().clone().zero_()
        has_rows = tensor.ndim and len(tensor) == wiring.rows
        return tensor[:1].expand_as(tensor).clone() if has_rows else tensor

    return mapped(wiring.inputs, blind)


def _prepare(name: str, model: Any, batch: Any, loss: Any) -> Verdict | tuple[Wiring, torch.Tensor, Reach]:
    """The first rows, the model's outputs on them and what they can cost; or a verdict where nothing can be fitted."""
    wiring = read(model, batch, loss, trains=True).first(ROWS)
    refused = all_frozen(name, wiring)
    if refused is not None:
        return refused
    with untouched(wiring.module):
        _to_fitting(wiring.module)
        with followed(wiring.module) as trace:
            outputs = wiring.outputs()
        cost = wiring.cost(outputs)
        if not cost.requires_grad:
            return cut_off(name, wiring, outputs, trace.with_gradient)
        costs = reach(wiring, outputs)
    wrong = _broadcast(wiring, outputs, costs) if name == FITS or not costs.tells else None
    if wrong is not None:
        return judged(name, Outcome.FAIL, wrong, support=wiring.rows)
    if not costs.tells:
        why = "there is one sample" if wiring.rows == 1 else "one output for all of them fits as well as any"
        why = why if bool(cost.detach().isfinite().all()) else "their loss is not finite: see finite_gradients"
        return judged(
            name,
            Outcome.UNDEFINED,
            f"whether {wiring.name} learns from these samples cannot be told: {why}",
            support=wiring.rows,
            notes=("give a batch in which samples with different inputs have different targets",),
        )
    return wiring, outputs.detach(), costs


def _best(wiring: Wiring, costs: Reach, bar: float, *, few: bool = False) -> Fit:
    """The first fit that gets below the bar, over the learning rates; else the best."""
    large = sum(parameter.numel() for parameter in trainable(wiring.module).values()) >= LARGE
    rates = SMALLER if large else LARGER if few else RATES
    fits: list[Fit] = []
    for number in range(len(rates)):
        far = bool(fits) and fits[0].start > FAR
        fits.append(_fit(wiring, costs, bar, LARGER[number] if far else rates[number], STEPS))
        if fits[-1].share <= bar:
            return fits[-1]
    return min(fits, key=lambda fit: fit.share)


def _fit(wiring: Wiring, costs: Reach, bar: float, rate: float, steps: int, inputs: Any = None) -> Fit:
    """Train until the cost is below the bar twice running; the model is as before at the end."""
    import torch

    module, parameters = wiring.module, list(trainable(wiring.module).values())
    share, value, start, step, below = math.inf, math.inf, math.nan, 0, 0
    with untouched(module):
        _to_fitting(module)
        optimizer = torch.optim.Adam(parameters, lr=rate)
        for step in range(steps + 1):
            module.zero_grad(set_to_none=True)
            cost = wiring.cost(wiring.outputs(inputs))
            value = float(cost.detach())
            if not math.isfinite(value):
                return Fit(math.inf, value, start, step, rate)
            share = costs.share(value)
            start = share if step == 0 else start
            below = below + 1 if share <= bar else 0
            stuck = inputs is None and step == LOOK and STUCK < share < FAR
            if below == 2 or step == steps or stuck or not cost.requires_grad:
                break
            cost.backward()  # type: ignore[no-untyped-call]
            for parameter in parameters:
                if parameter.grad is not None and parameter.grad.is_sparse:
                    parameter.grad = parameter.grad.to_dense()
            optimizer.step()
            torch.clear_autocast_cache()  # of a caller's autocast, which would go on with the weights before the step
    return Fit(share, value, start, step, rate)


def _to_fitting(module: torch.nn.Module) -> None:
    """Evaluation mode, which turns dropout off, with BatchNorm on the batch's own statistics unless it is frozen."""
    from torch.nn.modules.batchnorm import _NormBase

    whole = not module.training
    try:
        modes = {layer: layer.training or whole for layer in module.modules()}
        module.eval()
    except NotImplementedError:  # a loaded torch.export program: its mode was fixed when it was exported
        return
    import torch

    for layer, training in modes.items():
        if isinstance(layer, _NormBase):
            layer.training = training
        elif isinstance(layer, torch.nn.RNNBase):  # which CUDA trains in training mode alone
            layer.training, layer.dropout = True, 0.0


def _two(wiring: Wiring) -> Wiring | None:
    """Two samples that differ in inputs and as much in their targets as any with the first; None where none do."""
    import torch

    if wiring.rows < 2:
        return None
    targets = wiring.targets.detach().reshape(wiring.rows, -1).double()
    for row in torch.argsort((targets - targets[:1]).abs().sum(1), descending=True).tolist():
        both = [0, row]
        pair = Wiring(
            module=wiring.module,
            loss=wiring.loss,
            inputs=rows_of(wiring.inputs, wiring.rows, both),
            targets=wiring.targets[both],
            fitted=wiring.fitted,
        )
        if row and not torch.equal(pair.targets[0], pair.targets[1]):
            return pair
    return None


def _broadcast(wiring: Wiring, outputs: torch.Tensor, costs: Reach) -> str | None:
    """What the loss does with targets of another shape; None where shapes agree, or `train_model` sees to it.

    A loss of the user's may know what it does: it is named where knowing the input is of no use with it.
    """
    shapes, kind = [list(outputs.shape), list(wiring.targets.shape)], wiring.loss_read.kind
    own = kind is None and not costs.tells and outputs.numel() == wiring.targets.numel()
    if wiring.fitted or not (own or kind in _BROADCASTING) or shapes[0] == shapes[1]:
        return None
    return (
        f"{wiring.name} gives {shapes[0]} and the targets are {shapes[1]}: {wiring.loss_read.name} compares each "
        "output with every target, and the model would learn their mean; use outputs.squeeze(-1) or "
        "targets.unsqueeze(-1)" + (" (train_model and evaluate do so by themselves)" if kind else "")
    )


def _way(fit: Fit) -> str:
    return f"{max(0.0, 1 - fit.share):.0%} of the way" if math.isfinite(fit.share) else "to a loss that is not finite"


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
