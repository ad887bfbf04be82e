"""Trained modules as bytes: their state dict by safetensors, loaded into a new module from the factory."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.runtime.cache.sameness import difference
from pytest_modelgate.runtime.modules import make_module
from pytest_modelgate.runtime.seeds import seeded

if TYPE_CHECKING:
    import torch


class NotStorable(Exception):  # noqa: N818 - a reason not to cache a model, said in one sentence
    """Why a module cannot be stored, or why these bytes are not this module's."""


def to_bytes(module: torch.nn.Module) -> bytes:
    """The module's state dict: parameters and persistent buffers, from whatever device they are on.

    Raises:
        NotStorable: something in the state dict is no tensor, or of a kind that safetensors does not know.
    """
    import torch
    from safetensors.torch import save
    from torch.nn.parameter import is_lazy

    content: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, value in module.state_dict().items():
        if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or value.is_quantized:
            kind = f"a {value.layout} tensor" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
            raise NotStorable(f"{name} in the model's state dict is {kind}, and only plain tensors are stored")
        if value.device.type == "meta" or is_lazy(value):
            raise NotStorable(f"{name} in the model's state dict has no values yet")
        tensor = value.detach().cpu().contiguous()
        if tensor.untyped_storage().data_ptr() in storages:  # tied weights: safetensors stores no shared memory
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        content[name] = tensor
    try:
        return save(content)
    except KeyError as error:
        raise NotStorable(f"the model's state dict holds {error.args[0]}, which safetensors cannot store") from error


def from_bytes(content: bytes, factory: Any, *, seed: int, device: torch.device) -> torch.nn.Module:
    """A module that the factory makes under the training's seed, with the stored state, in evaluation mode on `device`.

    The random state is left as it was.

    Raises:
        NotStorable: the bytes are not the state of such a module.
        TrainingError: the factory makes no module.
    """
    return _load(content, _new(factory, seed, device))


def checked_bytes(
    module: torch.nn.Module, factory: Any, *, seed: int, device: torch.device
) -> tuple[bytes, torch.nn.Module]:
    """The module as bytes, and what `from_bytes` makes of them: the same module in all that can be compared.

    Raises:
        NotStorable: the two differ, and where.
    """
    fresh = _new(factory, seed, device)
    if fresh is module:
        raise NotStorable("the factory gives the same module each time, not a new one")
    names = [type(each).__qualname__ for each in (module, fresh)]
    if names[0] != names[1]:
        raise NotStorable(f"the trained model is of class {names[0]}, and the factory makes {names[1]}")
    content = to_bytes(module)
    restored = _load(content, fresh)
    if (found := difference(module, restored)) is not None:
        raise NotStorable(found)
    return content, restored


def _new(factory: Any, seed: int, device: torch.device) -> torch.nn.Module:
    with seeded(seed, device):
        return make_module(factory).to(device)


def _load(content: bytes, module: torch.nn.Module) -> torch.nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        module.load_state_dict(load(content))
    except SafetensorError as error:
        raise NotStorable(f"its weights cannot be read ({error})") from error
    except RuntimeError as error:
        told = " ".join(str(error).split())
        raise NotStorable(f"its weights do not fit a new model from the factory ({told})") from error
    return module.eval()
