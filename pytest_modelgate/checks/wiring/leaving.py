"""What stays behind when a model moves to another device: found without one, on torch's "meta" device."""

from __future__ import annotations

__tracebackhide__ = True

import copy
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_modelgate.checks.wiring.answers import first_line, leaves
from pytest_modelgate.checks.wiring.attributes import held, loose_tensors, memory_of
from pytest_modelgate.checks.wiring.setting import copies
from pytest_modelgate.checks.wiring.tracing import Place, watched
from pytest_modelgate.runtime.data import call, move

if TYPE_CHECKING:
    import torch

_SAYS_DEVICE = re.compile("same device|expected device|two devices")
_MAY_MIX = ("copy_", "_to_copy", "index", "_index_put_impl_", "index_put", "index_put_", "_pack_padded_sequence")


class Left(NamedTuple):
    """What was found: `what` stays behind, used in `where`; or why it cannot be told.

    `guessed`: forward looked at numbers, and was given zeros; another branch may have been taken with others.
    """

    what: str | None = None
    where: Place | None = None
    unknown: str | None = None
    guessed: bool = False


class _Mixed(Exception):  # noqa: N818 - it never leaves this module
    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()
        self.tensor = tensor


def left_behind(module: torch.nn.Module, inputs: Any) -> Left:
    """Move a copy of a model and the inputs to the meta device, run it, and look for tensors that are elsewhere.

    Meta tensors have shapes and no numbers. An operation on one of them and one of another device is what fails on an
    accelerator; a single number may stand on the CPU, and so may an index.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function.overloadpacket.__name__ == "_local_scalar_dense" and args[0].device.type == "meta":
                looked.append(args[0])
                return False if args[0].dtype == torch.bool else 0
            if function.overloadpacket.__name__ not in _MAY_MIX:
                tensors = [tensor for _, tensor in leaves((args, kwargs or {}))]
                elsewhere = [tensor for tensor in tensors if tensor.device.type != "meta" and tensor.ndim]
                if elsewhere and len(elsewhere) < len(tensors) and any(one.device.type == "meta" for one in tensors):
                    raise _Mixed(elsewhere[0])
            return function(*args, **(kwargs or {}))

    looked: list[torch.Tensor] = []
    meta = torch.device("meta")
    try:
        moved = copy.deepcopy(module).to(meta)
    except Exception as error:  # deepcopy and to() fail in many ways, such as a traced model's AssertionError
        return Left(unknown=f"a copy of the model cannot be moved ({first_line(error)})")
    modules = dict(moved.named_modules())
    with torch.no_grad(), watched(moved) as under_way:
        try:
            with Watch():  # type: ignore[no-untyped-call]
                call(moved, move(copies(inputs), meta))
        except _Mixed as mixed:
            name = under_way[-1] if under_way else ""
            return Left(_named(moved, mixed.tensor), Place(name, modules[name]))
        except Exception as error:
            name = under_way[-1] if under_way else ""
            if _SAYS_DEVICE.search(str(error)):  # kernels that look for themselves, such as the LSTM's
                return Left("a tensor on the cpu", Place(name, modules[name]))
            # What needs numbers cannot run on tensors without any.
            return Left(unknown=f"forward needs the numbers, not the shapes alone ({first_line(error)})")
    return Left(guessed=bool(looked))


def _named(module: torch.nn.Module, tensor: torch.Tensor) -> str:
    """What holds the tensor, or that nothing does."""
    place = memory_of(tensor)
    for _, _, name, value in held(module):
        if any(memory_of(one) == place for one in loose_tensors(value) if one.device == tensor.device):
            return f"{name}, a plain attribute,"
    shape = ", ".join(map(str, tensor.shape))
    return f"a tensor of shape [{shape}] that forward makes on the {tensor.device.type}"
