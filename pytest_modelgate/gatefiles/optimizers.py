"""Optimizers that a gate file names."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Mapping
from functools import partial
from typing import Any

from pytest_modelgate.exceptions import ModelgateError, did_you_mean


def make_optimizer(name: str, arguments: Mapping[str, Any]) -> Any:
    """What makes one of torch's optimizers, which is named in any case."""
    import torch

    base = torch.optim.Optimizer
    known: dict[str, Any] = {
        found.lower(): made
        for found, made in vars(torch.optim).items()
        if isinstance(made, type) and issubclass(made, base) and made is not base
    }
    if name.lower() not in known:
        raise ModelgateError(f"torch.optim has no optimizer {name!r}{did_you_mean(name, known)}")
    make = partial(known[name.lower()], **arguments)
    try:
        make([torch.nn.Parameter(torch.zeros(1, 1))])
    except Exception as error:  # of any kind: torch looks at its arguments as it goes
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise ModelgateError(f"the optimizer {name} does not take {given}: {error}") from None
    return make
