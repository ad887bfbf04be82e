"""The verdicts of the checks of a model's wiring, and the modes that they run it in."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.metrics.remarks import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import torch

    from pytest_modelgate.checks.wiring.setting import Wiring

SHOWN = 10


def judged(
    name: str,
    outcome: Outcome,
    sentence: str,
    *,
    support: int,
    estimate: float | None = None,
    hits: int | None = None,
    bar: float = 1.0,
    direction: str = "at_least",
    notes: Iterable[str] = (),
    details: Iterable[tuple[str, Any]] = (),
) -> Verdict:
    """A check's verdict; where it counts, the estimate is `hits / support`."""
    if hits is not None and support:
        estimate = hits / support
    return Verdict(
        gate=name,
        outcome=outcome,
        passed=outcome is Outcome.PASS,
        metric=name,
        estimate=estimate,
        hits=hits if support else None,
        support=support,
        bar=bar,
        direction=direction,
        explanation=f"{outcome}: {sentence}",
        notes=tuple(notes),
        details=tuple(details),
    )


def listed(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are.

    >>> listed(["a", "b"])
    'a, b'
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def to_training(module: torch.nn.Module) -> None:
    """Training mode, as a loop sets it; a model that is in it keeps the mode of each part, such as a frozen BatchNorm.

    A module that cannot change its mode, such as a loaded torch.export program, stays as it is.
    """
    if module.training:
        return
    try:
        module.train()
    except NotImplementedError:
        return


def trainable(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters that are not frozen, tied ones once, by name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def all_frozen(name: str, wiring: Wiring) -> Verdict | None:
    """A failure where nothing can train; None where something can."""
    if trainable(wiring.module):
        return None
    support = sum(1 for _ in wiring.module.parameters())
    return judged(
        name,
        Outcome.FAIL,
        f"nothing of {wiring.name} can train: all {counted(support, 'parameter')} are frozen (requires_grad=False)",
        support=support,
        hits=0,
        notes=("usual cause: requires_grad_(False) on the whole model, meant for its body alone",),
    )


def cut_off(name: str, wiring: Wiring, outputs: torch.Tensor, behind: str | None) -> Verdict:
    """A failure where the outputs have no gradient: nothing can be trained through them."""
    where = f" somewhere behind {behind}" if behind else " before the first layer's output"
    support = len(trainable(wiring.module))
    kind = "" if outputs.is_floating_point() else f", and its outputs are {str(outputs.dtype).removeprefix('torch.')}"
    return judged(
        name,
        Outcome.FAIL,
        f"no gradient reaches any of the {counted(support, 'parameter')} of {wiring.name}: the outputs are cut off "
        f"from them{where}{kind}",
        support=support,
        hits=0,
        notes=(
            "usual causes: detach(), .data, .item() or numpy in forward, torch.no_grad() around it, "
            "or argmax() or round(), which have no gradient",
        ),
    )
