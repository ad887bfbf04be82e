"""Models from files. What can run code when it is loaded is loaded only with `trust=True`."""

from __future__ import annotations

__tracebackhide__ = True

import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import CheckpointError, at_the_caller
from pytest_modelgate.runtime.devices import resolve_device
from pytest_modelgate.runtime.modules import make_module

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

# Where training scripts put the weights inside a larger checkpoint.
_NESTED = ("state_dict", "model_state_dict", "model")


@at_the_caller
def load_model(
    path: str | os.PathLike[str],
    factory: Callable[[], torch.nn.Module] | None = None,
    *,
    trust: bool = False,
    device: str | torch.device = "auto",
) -> torch.nn.Module:
    """Load a model from a file, in evaluation mode, on a device.

    Args:
        path: a state dict (`torch.save(model.state_dict(), path)`), also inside a checkpoint under "state_dict",
            "model_state_dict" or "model"; a `.safetensors` file; an `.onnx` file, which onnxruntime runs on the CPU;
            with `trust=True` also a TorchScript archive, a `torch.export` archive (`.pt2`), or a whole module.
        factory: makes the model that the weights are loaded into; required for state dicts and safetensors.
        trust: the file may run code when it is loaded. State dicts and safetensors never do.
        device: as for `--modelgate-device`.

    Raises:
        CheckpointError: the file is missing, unreadable, does not fit the model, or needs `trust=True`.
    """
    place = resolve_device(device)
    file = Path(path)
    if not file.is_file():
        found = "is a folder" if file.is_dir() else "does not exist"
        raise CheckpointError(f"{file} {found}; give the path of a model file")
    kind = _kind(file)
    if kind == "onnx":
        if factory is not None:
            raise CheckpointError(f"{file} holds the whole model: give no factory=")
        from pytest_modelgate.runtime.adapters.onnx_model import OnnxModel

        return OnnxModel(file)
    if kind in ("torchscript", "export"):
        return _load_archive(file, kind, trust, place)
    weights = _safetensors(file, place) if kind == "safetensors" else _state_dict(file, trust, place)
    if not isinstance(weights, Mapping):
        loaded: torch.nn.Module = weights.to(place).eval()
        return loaded
    if factory is None:
        raise CheckpointError(f"{file} holds weights, not a model: give factory=, the model's class or a function")
    model = make_module(factory)
    _fill(model, weights, file)
    model.to(place).eval()
    return model


def _kind(file: Path) -> str:
    """What the file is, by its name and, for zip archives, by the names inside; nothing of it is run."""
    if file.suffix == ".safetensors":
        return "safetensors"
    if file.suffix == ".onnx":
        return "onnx"
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
        if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
            return "export"
        if any("/code/" in name for name in names):
            return "torchscript"
    return "state dict"


def _load_archive(file: Path, kind: str, trust: bool, place: torch.device) -> torch.nn.Module:
    import torch

    called = "a torch.export archive" if kind == "export" else "a TorchScript archive"
    if not trust:
        raise CheckpointError(
            f"{file} is {called}, which can run code when it is loaded; if you trust where it comes from, "
            "say trust=True, else save a state dict or safetensors"
        )
    try:
        if kind == "torchscript":
            scripted: torch.nn.Module = torch.jit.load(str(file), map_location=place)  # type: ignore[no-untyped-call]
            return scripted.eval()
        program = torch.export.load(str(file))
        module: torch.nn.Module = program.module()
    except (RuntimeError, ValueError, OSError, KeyError, EOFError) as error:
        raise CheckpointError(f"{file} cannot be read as {called}: {_short(error)}") from error
    return module.to(place)


def _safetensors(file: Path, place: torch.device) -> Mapping[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file, device=str(place))
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read as safetensors: {_short(error)}; save it again") from error


def _state_dict(file: Path, trust: bool, place: torch.device) -> Any:
    """The weights in the file, always read with `weights_only=True`; a whole module only where it is trusted."""
    import pickle

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of a foreign pickle's protocol before it refuses the file
            found = torch.load(file, map_location=place, weights_only=True)
    except pickle.UnpicklingError as error:
        if not _is_pickle(file):
            raise CheckpointError(f"{file} cannot be read as a model: it is damaged, or of another kind") from error
        if not trust:
            raise CheckpointError(
                f"{file} is not a plain state dict: it holds objects that can run code when they are loaded "
                f"({_short(error)}); save model.state_dict(), or if you trust where it comes from, say trust=True"
            ) from error
        found = _trusted(file, place)
    except (RuntimeError, ValueError, OSError, EOFError, KeyError) as error:
        raise CheckpointError(f"{file} cannot be read as a model: {_short(error)}; save it again") from error
    if isinstance(found, torch.nn.Module):
        return found
    for key in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(_is_weight(*item) for item in found.items()):
        names = f" with the keys {', '.join(map(str, list(found)[:8]))}" if isinstance(found, Mapping) else ""
        raise CheckpointError(
            f"{file} holds a {type(found).__name__}{names}, not weights; save model.state_dict(), "
            f"or put it under {' or '.join(map(repr, _NESTED))}"
        )
    return found


def _trusted(file: Path, place: torch.device) -> Any:
    import torch

    try:
        return torch.load(file, map_location=place, weights_only=False)
    except Exception as error:
        raise CheckpointError(f"{file} cannot be loaded: {type(error).__name__}: {_short(error)}") from error


def _is_pickle(file: Path) -> bool:
    with file.open("rb") as stream:
        return zipfile.is_zipfile(file) or stream.read(1) == b"\x80"


def _fill(model: torch.nn.Module, weights: Mapping[str, torch.Tensor], file: Path) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        lines = "; ".join(line.strip() for line in str(error).splitlines()[1:])
        raise CheckpointError(f"the weights in {file} do not fit {type(model).__name__}: {lines}") from error


def _short(error: BaseException) -> str:
    """The first sentence of an error, without torch's advice to turn its safety off."""
    text = str(error).strip().split("\n")[0].split(". This")[0][:300]
    return text if " " in text else "it is damaged, empty, or no model file"


def _is_weight(name: object, value: object) -> bool:
    """What a state dict holds: tensors, and what modules put under `_extra_state`."""
    import torch

    return isinstance(value, torch.Tensor) or (isinstance(name, str) and name.endswith("_extra_state"))
