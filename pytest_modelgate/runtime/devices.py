"""Devices: names to torch devices, and which of them this machine has."""

from __future__ import annotations

__tracebackhide__ = True

import re
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import DeviceError, did_you_mean

if TYPE_CHECKING:
    import torch

_FORM = re.compile(r"(auto|cpu|cuda|mps|xpu)(?::(\d+))?")


def parse_device(name: str) -> tuple[str, int | None]:
    """The kind and index of a device's name, without torch.

    Raises:
        DeviceError: the name has not the form of one.

    >>> parse_device("cuda:1")
    ('cuda', 1)
    """
    match = _FORM.fullmatch(name.strip().lower())
    if match is None or (match[2] and match[1] in ("auto", "cpu")):
        kinds = ("auto", "cpu", "cuda", "mps", "xpu")
        hint = "; did you mean 'cuda' or 'auto'?" if "gpu" in name.lower() else did_you_mean(name, kinds)
        raise DeviceError(f"{name!r} is not a device: give auto, cpu, cuda, cuda:1, mps or xpu{hint}")
    return match[1], int(match[2]) if match[2] else None


def resolve_device(name: str | torch.device) -> torch.device:
    """The torch device of that name, if it is here; "auto" is the accelerator where there is one, else the CPU.

    Raises:
        DeviceError: the name is malformed, or this machine does not have the device; it names those present.
    """
    import torch

    if isinstance(name, torch.device):
        if name.type in ("cpu", "meta"):
            return name
        name = str(name)
    kind, index = parse_device(name)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if kind == "auto":
        return torch.device(accelerator.type) if accelerator is not None else torch.device("cpu")
    if kind == "cpu":
        return torch.device("cpu")
    present = ["cpu"]
    if accelerator is not None:
        count = torch.accelerator.device_count()
        present += [f"{accelerator.type}:{i}" for i in range(count)] if count > 1 else [accelerator.type]
        if accelerator.type == kind and (index or 0) < count:
            return torch.device(kind) if index is None else torch.device(kind, index)
    raise DeviceError(f"device {name!r} is not here: this machine has {', '.join(present)}; or give auto")


def device_of(model: torch.nn.Module) -> torch.device:
    """Where the model's first parameter or buffer lies; the CPU for a model without any."""
    import torch

    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")
