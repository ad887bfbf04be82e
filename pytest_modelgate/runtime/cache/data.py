"""Arrays and tensors by content: dtype, shape and every bit, whatever their strides."""

from __future__ import annotations

__tracebackhide__ = True

import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

    from pytest_modelgate.runtime.cache.values import Walk

_CHUNK = 1 << 24
_THREADS = 2


def hash_buffer(buffer: Any) -> bytes:
    """A digest of contiguous bytes: chunks of 16 MiB, two at a time, since hashlib lets go of the interpreter.

    >>> hash_buffer(b"ab") == hash_buffer(bytearray(b"ab")) != hash_buffer(b"ba")
    True
    """
    view = memoryview(buffer).cast("B")
    if view.nbytes <= _CHUNK:
        return _hash(view)
    chunks = [view[start : start + _CHUNK] for start in range(0, view.nbytes, _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return _hash(b"".join(pool.map(_hash, chunks)))


def _hash(chunk: Any) -> bytes:
    return blake2b(chunk, digest_size=32).digest()


def walk_data(walk: Walk, value: Any) -> bool:
    """Write an array, a tensor or another value of numpy or torch; False for everything else."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch is not None and _is_loaded(torch, "Tensor") and _walk_torch(walk, value):
        return True
    return numpy is not None and _is_loaded(numpy, "ndarray") and _walk_numpy(walk, value)


def _is_loaded(module: Any, name: str) -> bool:
    """Whether a module has been imported to its end, as far as that matters."""
    return hasattr(module, name)


def _walk_numpy(walk: Walk, value: Any) -> bool:
    import numpy as np

    if isinstance(value, np.ndarray):
        if walk.seen(value):
            return True
        walk.write("array", repr(value.shape))
        _array(walk, np.asarray(value) if isinstance(value, np.memmap) else value.view(np.ndarray))
        if type(value) not in (np.ndarray, np.memmap):
            walk.value(type(value))
            walk.attributes(value)
        return True
    if isinstance(value, np.dtype):
        walk.write("dtype", _name_of(value))
    elif isinstance(value, np.generic) and type(value).__module__ == "numpy":
        walk.write("scalar")
        _array(walk, np.asarray(value))
    elif isinstance(value, np.random.Generator) and not walk.by_name(value):
        walk.write("generator", type(value.bit_generator).__name__)
        walk.value(value.bit_generator.state)
    elif isinstance(value, np.random.RandomState) and not walk.by_name(value):
        walk.write("random state")
        walk.value(value.get_state(legacy=False))
    elif isinstance(value, np.ufunc) and value.__name__.endswith(" (vectorized)"):
        walk.cannot("was made by numpy.frompyfunc, which hides its function")
    elif isinstance(value, np.ufunc):
        walk.write("ufunc", value.__name__)
    else:
        return isinstance(value, (np.random.Generator, np.random.RandomState))
    return True


def _name_of(dtype: np.dtype[Any]) -> str:
    return f"{dtype.str} {dtype!r}"


def _array(walk: Walk, array: np.ndarray[Any, Any]) -> None:
    import numpy as np

    dtype = array.dtype
    walk.write("dtype", _name_of(dtype))
    if dtype.names is not None:  # field by field, since the gaps between them hold anything
        for name in dtype.names:
            _array(walk, array[name])
    elif dtype.kind in "biufcSUmMV" and dtype.char not in "gG" and not dtype.hasobject:
        rows = np.ascontiguousarray(array)
        walk.write("content", hash_buffer(rows.reshape(-1).view(np.uint8) if rows.size else b""))
    elif dtype.kind in "fc":  # long doubles: some of their bytes hold anything
        walk.write("content", " ".join(map(str, array.ravel().astype(object))))
    else:
        walk.items("content", array.ravel().tolist())


def _walk_torch(walk: Walk, value: Any) -> bool:
    import torch

    if isinstance(value, torch.Tensor):
        if not walk.seen(value):
            _tensor(walk, value)
    elif isinstance(value, (torch.dtype, torch.device, torch.layout, torch.memory_format)):
        walk.write("torch", repr(value))
    elif isinstance(value, torch.Size):
        walk.write("size", repr(tuple(value)))
    elif isinstance(value, torch.Generator):
        if not walk.by_name(value):
            walk.write("generator", f"{value.device.type} {hash_buffer(value.get_state().numpy()).hex()}")
    else:
        return False
    return True


def _tensor(walk: Walk, tensor: torch.Tensor) -> None:
    import torch

    cls = type(tensor)
    if torch.nn.parameter.is_lazy(tensor):
        walk.cannot("is a lazy parameter that was not initialised yet")
        return
    walk.write("tensor", f"{tensor.dtype} {tuple(tensor.shape)} {tensor.device.type} {tensor.requires_grad}")
    if cls is not torch.Tensor:
        walk.value(cls)
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        kind = "meta" if tensor.device.type == "meta" else "quantised" if tensor.is_quantized else str(tensor.layout)
        walk.cannot(f"is a tensor of another kind than dense ({kind})")
        return
    if tensor.grad_fn is not None:
        walk.cannot("is a tensor with a graph of operations behind it: give it detached")
        return
    if cls not in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer) and not walk.is_own(cls):
        walk.cannot(f"is a {cls.__module__}.{cls.__qualname__}, a kind of tensor that may hold more than its numbers")
        return
    with torch.no_grad():
        plain = tensor.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        walk.write("content", hash_buffer(plain.view(torch.uint8).numpy() if plain.numel() else b""))
    if tensor.grad is not None:
        walk.write("gradient")
        walk.value(tensor.grad)
    if tensor._backward_hooks:
        walk.items("hooks", list(tensor._backward_hooks.values()))
    if attributes := getattr(tensor, "__dict__", None):
        walk.value(attributes)
