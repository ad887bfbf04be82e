"""What holds for the whole process: patches of installed modules, global hooks, and modes that torch is in."""

from __future__ import annotations

__tracebackhide__ = True

import functools
import sys
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pytest_modelgate.runtime.cache.installed import OWN_PLACES, is_installed
from pytest_modelgate.runtime.cache.places import place

if TYPE_CHECKING:
    from pytest_modelgate.runtime.cache.values import Walk

# Installed code calls these without a name of theirs in the user's.
ALWAYS = frozenset({"torch", "numpy", "random"})
# Of torch, what trains: the rest are compilers, exporters and its own tests, some thousand modules.
_OF_TORCH = ("nn", "optim", "utils", "autograd", "amp", "distributions", "functional", "random", "_tensor", "_ops")
_UTILS = ("data", "checkpoint", "deterministic")
# In these, one installed function may stand in for another: `torch.nn.init.uniform_ = torch.nn.init.normal_`.
_NAMES = ("torch", "torch.nn.functional", "torch.nn.init", "torch.Tensor")
_HOOKS = ("torch.nn.modules.module", "torch.optim.optimizer")


def walk_patches(walk: Walk, tops: set[str]) -> None:
    """Write what the user's code has put into these installed packages."""
    part = walk.new_part("patches of installed modules")
    with walk.inside(part, "what was put into installed modules"):
        for name, module in _modules(tops):
            for step, member in _patched(name, module):
                walk.write("patch", step)
                walk.at(f", {step},", member)
        if "torch" in tops and hasattr(sys.modules.get("torch"), "Tensor"):
            _torch(walk)


def is_the_users(value: Any) -> bool:
    """Whether a member of an installed module is the user's: their function or class, what wraps it, or a mock.

    >>> is_the_users(len), is_the_users(Exception), is_the_users(is_the_users)
    (False, False, False)
    """
    kind = type(value)
    if kind is types.FunctionType:
        return place(value.__code__.co_filename) == "first party" or (
            value.__closure__ is not None and any(_is_a_users_function(cell) for cell in value.__closure__)
        )
    if kind in (staticmethod, classmethod, types.MethodType):
        return is_the_users(value.__func__)
    if kind is functools.partial:
        return is_the_users(value.func)
    if kind is property:
        return any(is_the_users(each) for each in (value.fget, value.fset, value.fdel))
    return _is_of_the_user(value if isinstance(value, type) else kind)


def _is_a_users_function(cell: Any) -> bool:
    try:
        held = cell.cell_contents
    except ValueError:  # empty
        return False
    return type(held) is types.FunctionType and place(held.__code__.co_filename) == "first party"


def _is_of_the_user(cls: type) -> bool:
    name = cls.__module__
    file = getattr(sys.modules.get(name), "__file__", None) if isinstance(name, str) else None
    return name == "unittest.mock" or (isinstance(file, str) and file.endswith(".py") and place(file) in OWN_PLACES)


def _modules(tops: set[str]) -> list[tuple[str, types.ModuleType]]:
    found = []
    for name, module in list(sys.modules.items()):
        top, *below = name.split(".")
        if top not in tops or not isinstance(module, types.ModuleType):
            continue
        if top == "torch" and not _trains(below):
            continue
        if is_installed(module):
            found.append((name, module))
    return sorted(found, key=lambda each: each[0])


def _trains(below: list[str]) -> bool:
    """Whether a module of torch, by the names below it, is one that trains."""
    return not below or (below[0] in _OF_TORCH and (below[0] != "utils" or below[1:2] == [] or below[1] in _UTILS))


def _patched(name: str, module: types.ModuleType) -> Iterator[tuple[str, Any]]:
    """The members of a module, and of the classes that it defines, that are the user's."""
    known: dict[type, bool] = {}
    for key, member in list(vars(module).items()):
        if _check(member, known):
            yield f"{name}.{key}", member
        elif isinstance(member, type) and vars(member).get("__module__") == name:
            for attribute, each in list(vars(member).items()):
                if _check(each, known):
                    yield f"{name}.{key}.{attribute}", each


def _check(member: Any, known: dict[type, bool]) -> bool:
    """`is_the_users`, asked once for each kind of object that is told by its class."""
    kind = type(member)
    if kind in known:
        return known[kind]
    found = is_the_users(member)
    if not found and kind not in _TOLD_APART and not isinstance(member, type):
        known[kind] = False
    return found


_TOLD_APART = (types.FunctionType, staticmethod, classmethod, types.MethodType, functools.partial, property)


def _torch(walk: Walk) -> None:
    import torch
    from torch.utils import _python_dispatch

    for name in _NAMES:
        owner = torch.Tensor if name == "torch.Tensor" else sys.modules[name]
        for key, member in sorted(vars(owner).items()):
            if isinstance(member, (types.FunctionType, types.BuiltinFunctionType)) and member.__name__ != key:
                walk.write("another name", f"{name}.{key} {member.__qualname__}")
    for name in _HOOKS:
        for key, hooks in sorted(vars(sys.modules[name]).items()):
            if key.startswith("_global_") and key.endswith("_hooks") and hooks:
                walk.items(key, list(hooks.values()))
    functions: Any = torch.overrides._get_current_function_mode_stack
    dispatches: Any = _python_dispatch._get_current_dispatch_mode_stack
    for mode in (*functions(), *dispatches()):
        walk.write("mode")
        walk.at(", a mode of torch,", mode)
