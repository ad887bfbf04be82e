"""Does a model's loss begin where that of a model begins which knows nothing?"""

from __future__ import annotations

__tracebackhide__ = True

import math
from typing import TYPE_CHECKING, Any

from pytest_modelgate.checks.wiring.judging import judged, to_training
from pytest_modelgate.checks.wiring.keeping import untouched
from pytest_modelgate.checks.wiring.looking import misfit
from pytest_modelgate.checks.wiring.reaching import reach
from pytest_modelgate.checks.wiring.setting import Wiring, read
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.gates.verdict import Outcome, Verdict

if TYPE_CHECKING:
    import torch

INITIAL = "initial_loss_sane"
ROWS = 512
# How far above the expected loss a start may be: in nats, or as a multiple of what is expected. Measured on torch's
# default initialisation (MLP, CNN, a residual net without scaling, transformer, LSTM; K = 2 to 100; 20 seeds each): at
# most 1.3 nats above and 0.24 below; for squared and absolute errors 0.85 to 1.33 times. Inputs of 0 to 255 or an
# embedding drawn from N(0, 1) as the head give more than 5 nats.
NATS = 2.5
TIMES = 4.0
# And below it, for a model that was not trained.
BELOW = 0.5


def check_initial_loss_sane(
    model: Any, batch: Any, *, loss: Any = None, expected: float | None = None, fresh: bool = False
) -> Verdict:
    """Is the loss near what knowing nothing costs: log K for K classes, log 2 for two, the targets' spread for values?

    A loss far above it fails: such a start comes from weights or inputs of a wrong scale, or from outputs that are
    not what the loss takes. A loss below it is what training is for, so it fails for a `fresh` model alone.

    Args:
        model, batch, loss: see `read`; at most the first 512 samples are used.
        expected: what knowing nothing costs; needed for a loss that is not one of torch's common ones.
        fresh: the model was not trained: a loss below half of `expected` fails too, since it knows the answer already.

    Raises:
        EvidenceError: see `read`; or an `expected` that is no number.
    """
    if expected is not None and not (isinstance(expected, (int, float)) and math.isfinite(expected)):
        raise EvidenceError(f"expected={expected!r} is no loss: give a number, such as math.log(10) for ten classes")
    wiring = read(model, batch, loss).first(ROWS)
    wiring.loss_read  # noqa: B018 - raises where there is none
    with untouched(wiring.module):
        to_training(wiring.module)
        outputs = wiring.outputs().detach()
        cost = float(wiring.cost(outputs))
        known = (expected, "as given") if expected is not None else _expected(wiring, outputs)
        wrong = misfit(wiring, outputs)
    what = f"the loss of {wiring.name} is {cost:.4g}"
    if known is None:
        return judged(
            INITIAL,
            Outcome.UNDEFINED,
            f"{what}; what knowing nothing costs with {wiring.loss_read.name} is not known",
            support=wiring.rows,
            notes=("say it as expected=, such as expected=math.log(10) for ten classes",),
        )
    nothing, why = known
    nats = wiring.loss_read.outputs in ("logits", "probabilities")
    most = nothing + NATS if nats else TIMES * nothing
    least = BELOW * nothing if fresh else (0.0 if nats else -math.inf)
    details = (("expected", nothing), ("at_most", most))
    sentence = f"{what}, knowing nothing costs {nothing:.4g} ({why})"
    notes: list[str] = []
    if not cost <= most:
        sentence += f", and a start is at most {most:.4g}"
        notes.append(
            "usual causes: inputs or targets that are not scaled (bytes 0 to 255, prices), weights drawn too large "
            f"(an embedding that is the head too), a loss that adds up over samples; outputs are {_range(outputs)}"
        )
    elif cost < least:
        sentence += ", and a model that was not trained cannot know more" if fresh else ", and no such loss is below 0"
        notes.append("usual causes: the target is among the inputs; outputs that are not what the loss takes")
    if wrong is not None:
        notes.insert(0, wrong)
        sentence += "; but the outputs are not what the loss takes"
    outcome = Outcome.FAIL if notes else Outcome.PASS
    return judged(
        INITIAL,
        outcome,
        sentence,
        support=wiring.rows,
        estimate=cost if math.isfinite(cost) else None,
        bar=most,
        direction="at_most",
        notes=notes,
        details=details,
    )


def _expected(wiring: Wiring, outputs: torch.Tensor) -> tuple[float, str] | None:
    """What knowing nothing costs with a loss of torch's, and why; None for any other loss."""
    import torch

    loss = wiring.loss_read
    if loss.outputs is None:
        return None
    if loss.outputs == "values":
        zero = float(wiring.cost(torch.zeros_like(outputs)))
        constant = reach(wiring, outputs).constant
        return max(zero, constant), "the larger of the costs of 0 and of the best constant"
    classes = outputs.shape[1] if outputs.ndim > 1 else 2
    if loss.outputs == "probabilities":
        return float(wiring.cost(torch.full_like(outputs, 0.5))), "log 2: each probability 1/2"
    blank = torch.zeros_like(outputs)
    if loss.kind == "nll_loss":
        blank -= math.log(classes)
    binary = loss.kind == "binary_cross_entropy_with_logits"
    name = "log 2" if binary else f"log {classes}" if loss.kind in ("cross_entropy", "nll_loss") else "equal outputs"
    return float(wiring.cost(blank)), name


def _range(outputs: torch.Tensor) -> str:
    return f"{float(outputs.min()):.3g} to {float(outputs.max()):.3g}"
