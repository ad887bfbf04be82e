"""Where the names in code lead: through modules and imports to functions, classes and constants."""

from __future__ import annotations

__tracebackhide__ = True

import importlib
import importlib.util
import sys
import types
from typing import TYPE_CHECKING, Any

from pytest_modelgate.runtime.cache import surroundings
from pytest_modelgate.runtime.cache.code import Chain, Import
from pytest_modelgate.runtime.cache.containers import has_settings
from pytest_modelgate.runtime.cache.installed import OWN_PLACES, is_installed
from pytest_modelgate.runtime.cache.patches import is_the_users
from pytest_modelgate.runtime.cache.places import place

if TYPE_CHECKING:
    from pytest_modelgate.runtime.cache.values import Walk

# By these, code reaches whatever its module has.
_EVERYTHING_OF_THE_MODULE = ("eval", "exec", "globals", "vars")


def walk_module(walk: Walk, module: types.ModuleType) -> None:
    """A module used whole: all that it has."""
    if is_installed(module):
        walk.named(module.__name__, "")
        return
    walk.later(module, f"module {module.__name__}", module.__name__, lambda: _own_module(walk, module))


def _own_module(walk: Walk, module: types.ModuleType) -> None:
    space = vars(module)
    for name in sorted(space):
        if not name.startswith("@py") and (not _is_dunder(name) or name == "__getattr__"):
            walk.write("name", name)
            _found(walk, space, name, space[name])


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def walk_global(walk: Walk, function: types.FunctionType, chain: Chain) -> None:
    name, *rest = chain
    space = function.__globals__
    if name in space:
        value = space[name]
        if isinstance(value, types.ModuleType):
            follow(walk, value, tuple(rest))
        else:
            _found(walk, space, name, value)
        return
    known = function.__builtins__  # a dict, as functions have it
    if name not in known:
        walk.write("missing")
        return
    if name in _EVERYTHING_OF_THE_MODULE:
        module = sys.modules.get(space.get("__name__", ""))
        if module is not None and vars(module) is space:
            walk_module(walk, module)
        else:
            walk.cannot(f"uses {name}(), and its module cannot be found")
    walk.value(known[name])


def follow(walk: Walk, module: types.ModuleType, chain: Chain) -> None:
    """Write what `module.a.b` leads to: through modules, to the first object that is none."""
    if not chain:
        walk_module(walk, module)
        return
    name, *rest = chain
    space = vars(module)
    if name not in space and not is_installed(module):
        if "__getattr__" in space:
            walk.value(space["__getattr__"])  # and it is what finds the name, or imports it
        else:
            _load_into(walk, module, name)
    if name not in space and is_installed(module):
        walk.named(module.__name__, name)  # made when it is asked for
        return
    try:
        value = space[name] if name in space else getattr(module, name)
    except Exception as error:  # as the code itself will find, if it comes there
        walk.write("missing", type(error).__name__)
        return
    if isinstance(value, types.ModuleType):
        follow(walk, value, tuple(rest))
    elif is_installed(module):
        known = (type, types.FunctionType, types.BuiltinFunctionType)
        if _is_plain(value) or walk.is_own(type(value)) or isinstance(value, known):
            walk.at(f"'s {module.__name__}.{name}", value)
        else:
            walk.named(module.__name__, name)
            if has_settings(value):
                walk.at(f"'s {module.__name__}.{name}", value)
    else:
        _found(walk, space, name, value)


def _is_plain(value: Any) -> bool:
    return type(value) in (str, int, float, complex, bool, bytes, type(None), list, tuple, dict, set, frozenset)


def _found(walk: Walk, space: dict[str, Any], name: str, value: Any) -> None:
    """Write what a module of the user's own has under a name."""
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type)):
        walk.value(value)
    else:
        walk.constant(space, name, value)


# Imports inside functions


def walk_import(walk: Walk, function: types.FunctionType, wanted: Import) -> None:
    package = function.__globals__.get("__package__") or ""
    try:
        name = importlib.util.resolve_name("." * wanted.level + wanted.module, package)
    except ImportError:
        walk.write("missing")
        return
    module = _loaded(walk, name)
    if module is not None and not is_installed(module):
        follow(walk, module, wanted.chain)
    elif module is not None:
        _installed_import(walk, module, wanted.chain)


def _installed_import(walk: Walk, module: types.ModuleType, chain: Chain) -> None:
    """The name of what is imported, which is the same before and after the import, and what the user put there."""
    walk.named(module.__name__, "")
    value: Any = module
    for name in chain:
        if not isinstance(value, types.ModuleType) or name not in vars(value):
            return
        value = vars(value)[name]
    if isinstance(value, types.ModuleType):
        return
    if _is_plain(value) or is_the_users(value) or has_settings(value):
        walk.value(value)


def _loaded(walk: Walk, name: str) -> types.ModuleType | None:
    """A module by its full name, imported if it is the user's own; None, and written so, if there is none."""
    if name in sys.modules:
        return sys.modules[name]
    top = name.partition(".")[0]
    spec = None
    if top not in sys.modules:
        spec = importlib.util.find_spec(top)
        if spec is None:
            walk.write("missing", name)
            return None
        own = spec.origin is None or place(spec.origin) in OWN_PLACES
        if spec.origin in ("built-in", "frozen") or not own:
            walk.write("named", f"{name}.")
            walk.versions.update(surroundings.version_at(spec.origin or ""))
            return None
    elif is_installed(sys.modules[top]):
        walk.named(name, "")
        return None
    try:
        return importlib.import_module(name)
    except Exception as error:  # as the code itself will find, if it comes there
        walk.write("missing", f"{name} {type(error).__name__}")
        return None


def _load_into(walk: Walk, module: types.ModuleType, name: str) -> None:
    """Import a submodule that nobody has asked for yet."""
    if "__path__" in vars(module) and importlib.util.find_spec(f"{module.__name__}.{name}") is not None:
        _loaded(walk, f"{module.__name__}.{name}")
