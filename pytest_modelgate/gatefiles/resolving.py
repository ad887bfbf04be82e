"""From "package.module:callable" in a gate file to the object: the project's own code, or an installed package's."""

from __future__ import annotations

__tracebackhide__ = True

import functools
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import ModelgateError, did_you_mean

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


def resolve(reference: str, *, root: Path) -> Any:
    """The callable that a gate file names.

    Only code that the project brings is imported: each module lies under `root`, or belongs to an installed
    distribution. `root` is put on `sys.path` where it is not there yet. What the module itself raises when it is
    imported goes through as it is.

    Args:
        reference: "package.module:callable"; the callable may stand in a class, as in "shop.data:Loader.test".
        root: the project's folder.

    Raises:
        ModelgateError: the reference has another form, a part of it is missing, the module is not the project's, or
            what it names cannot be called.
    """
    module_name, colon, attribute = reference.partition(":")
    names, attributes = module_name.split("."), attribute.split(".")
    if not colon or not all(name.isidentifier() for name in (*names, *attributes)):
        raise ModelgateError(
            f"{reference!r} names nothing that can be imported: write package.module:callable, such as fraud.model:Net"
        )
    if names[0] in sys.stdlib_module_names:
        raise ModelgateError(
            f"{reference!r}: {names[0]!r} is Python's standard library; name code of the project or of an installed "
            "package"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    module: ModuleType | None = None
    for end in range(1, len(names) + 1):
        module = _import(".".join(names[:end]), module, reference, root)
    found: Any = module
    for number, name in enumerate(attributes):
        if number and isinstance(found, ModuleType):  # its own name is what the rules are checked on
            raise ModelgateError(
                f"{reference!r}: {found.__name__} is a module; write {found.__name__}:{'.'.join(attributes[number:])}"
            )
        if not hasattr(found, name):
            of = ":".join((module_name, ".".join(attributes[:number]))).rstrip(":")
            raise ModelgateError(f"{reference!r}: {of} has no {name!r}{did_you_mean(name, _public(found))}")
        found = getattr(found, name)
    if not callable(found):
        raise ModelgateError(f"{reference!r} is a {type(found).__name__}, which cannot be called; name a function")
    return found


def check_call(found: Any, reference: str) -> None:
    """Raise a `ModelgateError` where a callable cannot be called without arguments."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except ValueError:  # of some that are written in C none can be told
        return
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [each.name for each in parameters if each.default is each.empty and each.kind not in optional]
    if needed:
        raise ModelgateError(
            f"{reference} needs {', '.join(needed)}, and a gate file gives no arguments: "
            "name a function that gives them"
        )


def _import(name: str, parent: ModuleType | None, reference: str, root: Path) -> ModuleType:
    """One module of a dotted name, once it is known to be the project's; its parents are imported."""
    last = name.rpartition(".")[2]
    if parent is not None and not hasattr(parent, "__path__"):
        raise ModelgateError(f"{reference!r}: {parent.__name__} is a module, not a package, and holds no {last!r}")
    loaded = sys.modules.get(name)
    spec = importlib.util.find_spec(name) if loaded is None else loaded.__spec__
    if spec is None:
        there = [one.name for one in pkgutil.iter_modules([str(root)] if parent is None else list(parent.__path__))]
        where = "the project's folder, and no package of that name is installed" if parent is None else parent.__name__
        hint = (_deeper(last, root) if parent is None else "") or did_you_mean(last, there)
        raise ModelgateError(f"{reference!r}: there is no module {last!r} in {where}{hint}")
    for place in _places(spec):
        if not _under(place, root) and not _installed(place, name.partition(".")[0]):
            raise ModelgateError(
                f"{reference!r}: the module {name!r} lies outside the project and belongs to no installed package; "
                "move it into the project, or install its package"
            )
    return importlib.import_module(name)


def _deeper(name: str, root: Path) -> str:
    """A hint where the module lies one folder deeper, as in projects with src/."""
    for pattern in (f"*/{name}/", f"*/{name}.py"):
        for found in root.glob(pattern):
            folder = found.parent.name
            return f'; it is in {folder}/: add pythonpath = ["{folder}"] to pytest\'s settings, or install the project'
    return ""


def _places(spec: ModuleSpec) -> list[Path]:
    """Where a module's code lies; a package without code of its own has its folders."""
    if spec.has_location and spec.origin is not None:
        return [Path(spec.origin)]
    folders = list(spec.submodule_search_locations or ())
    return [Path(folder) for folder in folders] or [Path(spec.origin or spec.name)]


def _under(place: Path, root: Path) -> bool:
    return place.resolve().is_relative_to(root.resolve())


@functools.lru_cache(maxsize=256)
def _installed(place: Path, top: str) -> bool:
    """Whether a distribution that is installed, or installed as editable, holds the file."""
    place = place.resolve()
    for distribution in metadata.distributions():
        edited = _editable(distribution)
        if edited is not None and place.is_relative_to(edited):
            return True
        base = Path(str(distribution.locate_file(""))).resolve()
        if not place.is_relative_to(base):
            continue
        if top in (distribution.read_text("top_level.txt") or "").split():
            return True
        listed = "\n" + (distribution.read_text("RECORD") or "").replace('"', "")
        if f"\n{place.relative_to(base).as_posix()}{'/' if place.is_dir() else ','}" in listed:
            return True
    return False


def _editable(distribution: metadata.Distribution) -> Path | None:
    """The folder of a project that is installed as editable (PEP 610); None for any other."""
    import json
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    text = distribution.read_text("direct_url.json")
    if not text:
        return None
    told = json.loads(text)
    if not told.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlparse(told["url"]).path)).resolve()


def _public(found: Any) -> list[str]:
    return [name for name in dir(found) if not name.startswith("_")]
