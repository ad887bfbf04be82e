"""Whose file is it: the standard library's, an installed distribution's, this package's, or the user's own?"""

from __future__ import annotations

__tracebackhide__ = True

import functools
import hashlib
import json
import os
import re
import site
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Literal

Place = Literal["standard library", "third party", "modelgate", "import system", "generated", "first party"]

_OWN = str(Path(__file__).resolve().parents[2]) + os.sep
_INSTALLED = ("site-packages", "dist-packages")
# Interactive code has no file, yet somebody wrote it: `inspect` finds its source where it can be found.
_INTERACTIVE = ("<stdin>", "<console>", "<input>", "<ipython-input-", "<python-input-", "<doctest ")


def is_first_party(path: str) -> bool:
    """Whether a source file is the user's own, by the path in its code objects (`code.co_filename`).

    Files of the standard library, under site-packages or dist-packages, of this package, and what was generated
    (`<string>`, `<frozen ...>`) are not. Editable installs are, wherever they lie, and so are interactive sessions
    and notebooks.

    >>> is_first_party(os.__file__), is_first_party("<string>"), is_first_party("/home/me/project/train.py")
    (False, False, True)
    """
    return place(path) == "first party"


@functools.lru_cache(maxsize=16384)
def place(path: str) -> Place:
    """Where a source or data file belongs, by its path."""
    if path.startswith("<"):
        if path.startswith("<frozen importlib"):
            return "import system"
        if path.startswith("<frozen "):
            return "standard library"
        return "first party" if path.startswith(_INTERACTIVE) else "generated"
    for form in dict.fromkeys((os.path.abspath(path), os.path.realpath(path))):
        if form.startswith(_OWN):
            return "modelgate"
        normal = os.path.normcase(form)
        if _installed_at(form) is not None:
            return "third party"
        if any(normal.startswith(folder) for folder in _standard_library()):
            return "standard library"
    return "first party"


def distribution(path_or_module: str | ModuleType) -> tuple[str, str] | None:
    """The name and version of the installed distribution that a file or a module belongs to; None for any other.

    A distribution that was installed from a folder, a local archive or a repository keeps its version while its
    code changes: a digest of what was installed is part of its version then. Folders that several distributions
    share (`google`, `nvidia`) have the versions of them all. Without metadata the version is the module's
    `__version__`, or else a digest of its files.

    Args:
        path_or_module: the path of a file, a module, or the name of a module that is loaded.
    """
    path: str | None
    if isinstance(path_or_module, ModuleType):
        path = _file_of(path_or_module)
    elif os.sep in path_or_module or "/" in path_or_module or path_or_module.endswith((".py", ".so", ".pyd")):
        path = path_or_module
    else:
        module = sys.modules.get(path_or_module) or sys.modules.get(path_or_module.partition(".")[0])
        path = None if module is None else _file_of(module)
    if path is None or place(path) != "third party":
        return None
    found = _installed_at(os.path.abspath(path)) or _installed_at(os.path.realpath(path))
    return None if found is None else _distribution_at(*found)


def version_now(name: str) -> str | None:
    """The version of a distribution, by a name that `distribution` gave; None if it is not installed."""
    folders = [folder for folder in dict.fromkeys(sys.path) if folder.endswith(_INSTALLED)]
    for folder in (*folders, *_installation_folders()):
        if not os.path.isdir(folder):
            continue
        metadata = _by_name(folder).get(_normal(name))
        if metadata is not None:
            return _name_and_version(metadata)[1]
        entry = next((entry for entry in (name, f"{name}.py") if os.path.exists(os.path.join(folder, entry))), None)
        if entry is not None:
            return _distribution_at(folder, entry)[1]
    return None


def _file_of(module: ModuleType) -> str | None:
    path = getattr(module, "__file__", None)
    if path is None:  # a namespace package
        path = next(iter(getattr(module, "__path__", ())), None)
    return path if isinstance(path, str) else None


@functools.cache
def _standard_library() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths["stdlib"], paths["platstdlib"], os.path.dirname(os.__file__)}
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(os.path.normcase(os.path.abspath(folder)) + os.sep for folder in folders)


@functools.cache
def _installation_folders() -> tuple[str, ...]:
    """Folders for installed packages that are not called site-packages."""
    paths = sysconfig.get_paths()
    folders = {paths["purelib"], paths["platlib"], site.getusersitepackages(), *site.getsitepackages()}
    plain = {os.path.abspath(folder) for folder in folders} - {os.path.abspath(sys.prefix)}
    return tuple(folder for folder in plain if not folder.endswith(_INSTALLED))


def _installed_at(path: str) -> tuple[str, str] | None:
    """The folder of installed packages that a path lies in, and the name below it; None outside such folders."""
    parts = path.split(os.sep)
    for name in _INSTALLED:
        if name in parts[:-1]:
            last = len(parts) - 1 - parts[::-1].index(name)
            if last + 1 < len(parts):
                return os.sep.join(parts[: last + 1]), parts[last + 1]
    for folder in _installation_folders():
        if path.startswith(folder + os.sep):
            return folder, path[len(folder) + 1 :].split(os.sep)[0]
    return None


@functools.cache
def _distribution_at(folder: str, entry: str) -> tuple[str, str]:
    top = entry.split(".")[0]  # of six.py, _cffi_backend.cpython-311-x86_64-linux-gnu.so
    found = _by_name(folder).get(_normal(top)) if (Path(folder) / entry).is_dir() else None
    owners = [found] if found and _owns(found, top) else _by_top_level(folder).get(top, [])
    if len(owners) == 1:
        return _name_and_version(owners[0])
    if owners:
        return top, ", ".join(" ".join(_name_and_version(owner)) for owner in sorted(owners))
    version = getattr(sys.modules.get(top), "__version__", None)
    return top, version if isinstance(version, str) else _digest_of_files(Path(folder) / entry)


@functools.cache
def _by_name(folder: str) -> dict[str, Path]:
    """The metadata folders of a folder of installed packages, by normalised distribution name."""
    names = sorted(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info")))
    return {_normal(name.rpartition(".")[0].split("-")[0]): Path(folder) / name for name in names}


@functools.cache
def _by_top_level(folder: str) -> dict[str, list[Path]]:
    """Which distributions own a top-level name: reads the metadata of all of them, once."""
    owners: dict[str, list[Path]] = {}
    for metadata in _by_name(folder).values():
        for top in _top_levels(metadata):
            owners.setdefault(top, []).append(metadata)
    return owners


def _owns(metadata: Path, top: str) -> bool:
    """Whether a package is one distribution's alone: it has an `__init__.py`."""
    return (metadata.parent / top / "__init__.py").exists()


def _top_levels(metadata: Path) -> set[str]:
    names = _text(metadata / "top_level.txt").split() if metadata.is_dir() else []
    if not names:
        record = _text(metadata / "RECORD") or _text(metadata / "installed-files.txt")
        paths = (line.split(",")[0] for line in record.splitlines())
        names = [path.split("/")[0] for path in paths if not path.startswith(("..", "/"))]
    return {name.split(".")[0] for name in names if not name.endswith((".dist-info", ".egg-info", ".pth"))}


@functools.cache
def _name_and_version(metadata: Path) -> tuple[str, str]:
    name, _, version = metadata.name.rpartition(".")[0].partition("-")
    if not version:
        text = _text(metadata / "PKG-INFO") or _text(metadata / "METADATA") or _text(metadata)
        version = next((line[9:].strip() for line in text.splitlines() if line.startswith("Version: ")), "unknown")
    return name.replace("_", "-"), version + _installed_locally(metadata)


def _installed_locally(metadata: Path) -> str:
    """What tells two installations of one version apart, where it was not installed from an index.

    Conda names the folder that it built in, which says nothing about the user's machine.
    """
    url = _text(metadata / "direct_url.json")
    if not url or _text(metadata / "INSTALLER").strip() == "conda":
        return ""
    commit = json.loads(url).get("vcs_info", {}).get("commit_id")
    lines = (line.rsplit(",", 2)[:2] for line in _text(metadata / "RECORD").splitlines())
    record = sorted(",".join(line) for line in lines if line[0].endswith((".py", ".so", ".pyd", ".json", ".yaml")))
    return f"+{commit[:12]}" if commit else f"+{_digest(chr(10).join(record).encode())[:12]}"


def _digest_of_files(path: Path) -> str:
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return _digest(b"".join(file.read_bytes() for file in files if file.is_file()))[:12]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""
