"""Models from files: read as data unless they are trusted, and no file ends in a bare traceback."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pytest_modelgate import CheckpointError, DeviceError, ModelgateError, load_model

X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


def factory() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2))


@pytest.fixture
def model() -> nn.Module:
    return factory().eval()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.pt"


def same(loaded: nn.Module, model: nn.Module) -> bool:
    with torch.no_grad():
        return torch.equal(loaded(X), model(X))


@pytest.mark.parametrize("nest", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("trust", [False, True])
def test_state_dicts(model: nn.Module, file: Path, nest: str | None, trust: bool) -> None:
    weights = model.state_dict()
    torch.save(weights if nest is None else {nest: weights, "epoch": 3, "optimizer": {"lr": 0.1}}, file)
    loaded = load_model(file, factory, trust=trust, device="cpu")
    assert same(loaded, model)
    assert not any(module.training for module in loaded.modules())


def test_older_formats_and_other_paths(model: nn.Module, file: Path) -> None:
    torch.save(model.state_dict(), file, _use_new_zipfile_serialization=False)
    assert same(load_model(str(file), factory), model)
    torch.save(OrderedDict(model.state_dict()), file)
    assert same(load_model(os.fspath(file), factory), model)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_safetensors(model: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file(model.state_dict(), file)
    assert same(load_model(file, factory, device="cpu"), model)


def torchscript(model: nn.Module, file: Path) -> None:
    torch.jit.script(model).save(str(file))


def exported(model: nn.Module, file: Path) -> None:
    torch.export.save(torch.export.export(model, (X,)), str(file))


def whole(model: nn.Module, file: Path) -> None:
    torch.save(model, file)


RUNNABLE = {"TorchScript": torchscript, "torch.export": exported, "objects that can run code": whole}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", RUNNABLE)
def test_what_can_run_code_needs_trust(kind: str, model: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "model.pt2"
    RUNNABLE[kind](model, file)
    with pytest.raises(CheckpointError, match=f"{kind}.*trust=True"):
        load_model(file)
    with pytest.raises(CheckpointError, match="trust=True"):
        load_model(file, factory)
    loaded = load_model(file, trust=True, device="cpu")
    assert same(loaded, model)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "write",
    [
        lambda trap, file: torch.save(trap, file),
        lambda trap, file: torch.save({"state_dict": trap}, file),
        lambda trap, file: torch.save(
            {"weight": torch.zeros(1), "x": trap}, file, _use_new_zipfile_serialization=False
        ),
        lambda trap, file: file.write_bytes(pickle.dumps(trap)),
        lambda trap, file: file.write_bytes(pickle.dumps(trap, protocol=0)),
    ],
    ids=["torch", "nested", "legacy", "pickle", "pickle of protocol 0"],
)
@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.bin", "model.safetensors", "model.pt2", "model"])
def test_nothing_is_unpickled_without_trust(write: Any, name: str, tmp_path: Path) -> None:
    trap, file = tmp_path / "sprung", tmp_path / name
    write(Trap(trap), file)
    with pytest.raises(CheckpointError):
        load_model(file, factory)
    assert not trap.exists()


def test_the_trap_works(tmp_path: Path) -> None:
    """The negative control."""
    trap, file = tmp_path / "sprung", tmp_path / "model.pt"
    torch.save(Trap(trap), file)
    with pytest.raises(CheckpointError):
        load_model(file, factory, trust=True)
    assert trap.exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "text", "cut", "noise", "zip"])
@pytest.mark.parametrize("trust", [False, True])
def test_damaged_files(suffix: str, damage: str, trust: bool, model: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / f"model{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), file)
    whole_file = file.read_bytes()
    if damage == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("readme.txt", "no model")
    else:
        file.write_bytes(
            {
                "empty": b"",
                "text": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                "cut": whole_file[: len(whole_file) // 2],
                "noise": bytes(range(256)) * 8,
            }[damage]
        )
    with pytest.raises(CheckpointError, match=r"cannot be (read|loaded)") as caught:
        load_model(file, factory, trust=trust)
    assert str(file) in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", ["TorchScript", "torch.export"])
def test_damaged_archives(kind: str, model: nn.Module, tmp_path: Path) -> None:
    """The largest part of the archive is noise."""
    file, broken = tmp_path / "model.pt2", tmp_path / "broken.pt2"
    RUNNABLE[kind](model, file)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            spoil = name.endswith((".py", ".json", "data.pkl"))
            target.writestr(name, b"\x00noise" if spoil else source.read(name))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(broken, trust=True)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing.pt does not exist"):
        load_model(tmp_path / "nothing.pt", factory)
    with pytest.raises(CheckpointError, match="is a folder"):
        load_model(tmp_path, factory)


def test_the_wrong_architecture(model: nn.Module, file: Path) -> None:
    torch.save(model.state_dict(), file)
    with pytest.raises(CheckpointError, match=r"do not fit Linear: .*(Missing|Unexpected).*0\.weight"):
        load_model(file, lambda: nn.Linear(3, 2))
    with pytest.raises(CheckpointError, match=r"size mismatch for 2\.weight.*\[2, 4\].*\[5, 4\]"):
        load_model(file, lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 5)))


def test_weights_without_a_model(model: nn.Module, file: Path) -> None:
    torch.save(model.state_dict(), file)
    with pytest.raises(CheckpointError, match="factory="):
        load_model(file)


@pytest.mark.parametrize("content", [torch.zeros(3), {"epoch": 3}, [1, 2], {"weights": {"a": 1}}, 5])
def test_what_holds_no_weights(content: object, file: Path) -> None:
    torch.save(content, file)
    with pytest.raises(CheckpointError, match=f"holds a {type(content).__name__}"):
        load_model(file, factory)


@pytest.mark.parametrize("wrong", [factory(), "Net", lambda: 5], ids=["a made model", "a name", "no module"])
def test_a_factory_that_is_none(wrong: Any, model: nn.Module, file: Path) -> None:
    torch.save(model.state_dict(), file)
    with pytest.raises(ModelgateError, match="factory"):
        load_model(file, wrong)


def test_the_device(model: nn.Module, file: Path) -> None:
    torch.save(model.state_dict(), file)
    with pytest.raises(DeviceError, match="'gpu' is not a device"):
        load_model(file, factory, device="gpu")
    if not torch.accelerator.is_available():
        with pytest.raises(DeviceError, match="'cuda' is not here"):
            load_model(file, factory, device="cuda")
        assert next(load_model(file, factory, device="auto").parameters()).device.type == "cpu"
