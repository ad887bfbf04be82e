"""What modules hold beside weights, buffers and child modules: plain tensors, numbers, lists of modules."""

from __future__ import annotations

__tracebackhide__ = True

import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


def held(module: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str, str, Any]]:
    """Each plain attribute: its module, its own name, its qualified name and its value; not what every module has."""
    import torch

    own = vars(torch.nn.Module())
    for prefix, each in module.named_modules():
        for name, value in vars(each).items():
            if name not in own:
                yield each, name, f"{prefix}.{name}" if prefix else name, value


def attributes(module: torch.nn.Module) -> dict[str, str]:
    """All plain attributes and buffers by qualified name, as text that tells values apart."""
    found = {name: _text(value) for _, _, name, value in held(module)}
    return found | {name: _text(buffer) for name, buffer in module.named_buffers()}


def unlike(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """The names of what is not the same."""
    return [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]


def loose_tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in a plain attribute: itself, in lists and dicts, and the weights of modules that stand in those."""
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, torch.nn.Module):
        yield from value.parameters()
        yield from value.buffers()
    elif isinstance(value, dict):
        for part in value.values():
            yield from loose_tensors(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from loose_tensors(part)


def memory_of(tensor: torch.Tensor) -> int:
    """Where a tensor's numbers lie: views of one another share it."""
    import torch

    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else id(tensor)


def _text(value: Any) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or value.device.type == "meta":
            return f"{tuple(value.shape)} {value.dtype} {value.layout}"
        numbers = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        return f"{tuple(value.shape)} {value.dtype} {zlib.crc32(numbers.tobytes())}"
    if isinstance(value, torch.nn.Module):
        return " ".join(_text(tensor) for tensor in loose_tensors(value))
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_text(part)}' for key, part in value.items())}}}"
    return repr(value) if isinstance(value, (int, float, complex, str, bytes, type(None))) else type(value).__name__
