"""What holds for the whole process: patches of installed modules, global hooks, and modes that torch is in."""

from __future__ import annotations

__tracebackhide__ = True

import functools
import sys
import types
from itertools import chain
from operator import attrgetter, is_, itemgetter
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
        for step, member in _patched(tops):
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


def _modules(tops: set[str]) -> dict[str, list[types.ModuleType]]:
    """The loaded modules of each of these packages; of torch those that train."""
    found: dict[str, list[types.ModuleType]] = {top: [] for top in sorted(tops)}
    for name, module in list(sys.modules.items()):
        top, _, below = name.partition(".")
        if top in found and isinstance(module, types.ModuleType) and (top != "torch" or _trains(below)):
            found[top].append(module)
    return found


@functools.lru_cache(maxsize=8192)
def _trains(below: str) -> bool:
    """Whether a module of torch, by its name there, is one that trains."""
    first, _, rest = below.partition(".")
    return not first or (first in _OF_TORCH and (first != "utils" or not rest or rest.partition(".")[0] in _UTILS))


class _Scan:
    """All members of a package's modules and of the classes that they define, and those of them that are the user's.

    To look at each of those of torch takes 20 ms; to see that they are the same objects with the same code takes 3.
    """

    def __init__(self, modules: list[types.ModuleType]) -> None:
        self._modules = modules
        labels, self._owners = [], []
        for module in filter(is_installed, modules):
            name = module.__name__
            classes = [each for each in vars(module).values() if isinstance(each, type)]
            own = [each for each in classes if vars(each).get("__module__") == name]
            labels += [name, *(f"{name}.{each.__name__}" for each in own)]
            self._owners += [module, *own]
        self._members = self._now()
        self._functions = [each for each in self._members if type(each) is types.FunctionType]
        self._codes = [each.__code__ for each in self._functions]
        found = [
            (f"{label}.{key}", member)
            for label, owner in zip(labels, self._owners, strict=True)
            for key, member in list(vars(owner).items())
            if is_the_users(member) or (type(member) is types.FunctionType and member.__closure__ is not None)
        ]
        self._asked_again = found  # what a variable of a function holds may change

    def holds(self, modules: list[types.ModuleType]) -> bool:
        """Whether each member is the object that it was, with the code that it had."""
        if len(modules) != len(self._modules) or not all(map(is_, modules, self._modules)):
            return False
        now = self._now()
        return (
            len(now) == len(self._members)
            and all(map(is_, now, self._members))
            and all(map(is_, map(attrgetter("__code__"), self._functions), self._codes))
        )

    def patched(self) -> list[tuple[str, Any]]:
        return [(step, member) for step, member in self._asked_again if is_the_users(member)]

    def _now(self) -> list[Any]:
        return list(chain.from_iterable(list(members.values()) for members in map(vars, self._owners)))


_scans: dict[str, _Scan] = {}


def _patched(tops: set[str]) -> list[tuple[str, Any]]:
    """The members of installed packages that are the user's."""
    found = []
    for top, modules in _modules(tops).items():
        scan = _scans.get(top)
        if scan is None or not scan.holds(modules):
            scan = _scans[top] = _Scan(modules)
        found += scan.patched()
    return sorted(found, key=itemgetter(0))


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
