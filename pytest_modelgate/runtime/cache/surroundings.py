"""What decides a result beside values and code: versions, the platform, torch's settings."""

from __future__ import annotations

__tracebackhide__ = True

import functools
import platform
import sys
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_modelgate.runtime.cache.data import hash_buffer
from pytest_modelgate.runtime.cache.places import distribution, place


def surroundings(versions: dict[str, str]) -> dict[str, str]:
    """Versions and settings by readable names.

    Args:
        versions: of the distributions that the code reaches.
    """
    always = version_of("torch") | version_of("numpy")
    around = {f"version of {name}": version for name, version in (always | versions).items()}
    around["version of Python"] = f"{sys.implementation.name} {platform.python_version()}"
    around["version of pytest-modelgate"] = _own_version()
    around["platform"] = f"{sys.platform} {platform.machine()}"
    return around | {f"setting {name}": value for name, value in settings().items()}


def settings() -> dict[str, str]:
    """The settings of torch, which hold for the whole process, that change numbers; none where it is not loaded."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "backends"):
        return {}
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    found = {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "float32 matmul precision": _precision(torch),
        "deterministic algorithms": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": [torch.is_autocast_enabled(device) for device in ("cpu", "cuda")],
        "cudnn": (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, _tf32(cudnn, "allow_tf32")),
        "cuda": (
            _tf32(cuda.matmul, "allow_tf32"),
            cuda.matmul.allow_fp16_reduced_precision_reduction,
            cuda.matmul.allow_bf16_reduced_precision_reduction,
        ),
        "attention kernels": (
            cuda.flash_sdp_enabled(),
            cuda.mem_efficient_sdp_enabled(),
            cuda.math_sdp_enabled(),
        ),
        "denormal numbers": sys.float_info.min / 2 > 0,
        "mkldnn": torch.backends.mkldnn.enabled if hasattr(torch.backends.mkldnn, "enabled") else None,
    }
    return {name: str(value) for name, value in found.items()}


def _precision(torch: Any) -> str:
    try:
        return str(torch.get_float32_matmul_precision())
    except RuntimeError:  # newer settings of the same thing are in use: they say it
        return str(torch.backends.fp32_precision)


def _tf32(backend: Any, name: str) -> str:
    newer = getattr(backend, "fp32_precision", None)
    return str(newer if newer is not None else getattr(backend, name))


def version_of(module: str) -> dict[str, str]:
    """The name and version of the distribution that a module belongs to, if it needs one.

    A compiled module of a project has none: the digest of its file stands for it.
    """
    loaded = sys.modules.get(module) or sys.modules.get(module.partition(".")[0])
    found = distribution(module)
    if found is not None:
        return {found[0]: found[1]}
    path = getattr(loaded, "__file__", None)
    if isinstance(loaded, ModuleType) and isinstance(path, str) and place(path) == "first party":
        return {module: _digest_of_file(path)}
    return {}


def version_at(path: str) -> dict[str, str]:
    """The same for a file."""
    found = distribution(path)
    return {} if found is None else {found[0]: found[1]}


@functools.cache
def _own_version() -> str:
    from pytest_modelgate import __version__

    runtime = Path(__file__).resolve().parents[1]
    content = b"".join(file.read_bytes() for file in sorted(runtime.rglob("*.py")))
    return f"{__version__} {blake2b(content, digest_size=6).hexdigest()}"


def _digest_of_file(path: str) -> str:
    content = blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 24):
            content.update(hash_buffer(chunk))
    return content.hexdigest()
