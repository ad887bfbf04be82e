"""What is known by its name and a version: what stands under a name in an installed module."""

from __future__ import annotations

__tracebackhide__ = True

import builtins
import os
import sys
import types
from typing import Any

from pytest_modelgate.runtime.cache.places import place

HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made at run time, as by every `class` statement
OWN_PLACES = ("first party", "generated")


def is_installed(module: types.ModuleType) -> bool:
    """Whether a module is the standard library's, an installed distribution's, compiled or this package's."""
    path = getattr(module, "__file__", None)
    if not isinstance(path, str) or not os.path.isabs(path):  # built in, or made at run time as `torch.ops` is
        top = module.__name__.partition(".")[0]
        package = sys.modules.get(top)
        return top in sys.stdlib_module_names or (
            package is not None and package is not module and is_installed(package)
        )
    return not (path.endswith((".py", ".pyc")) and place(path) in OWN_PLACES)


def stands_there(value: Any, module: Any, qualname: Any) -> bool:
    """Whether an installed module has this very object under its qualified name."""
    found: Any = sys.modules.get(module) if isinstance(module, str) else None
    if found is None or not isinstance(qualname, str) or not is_installed(found):
        return False
    for name in qualname.split("."):
        space = getattr(found, "__dict__", {})
        if name not in space:
            return False
        found = space[name]
    return getattr(found, "__func__", found) is value


def is_named(cls: type) -> bool:
    """Whether a class is known by its name and a version: an installed module has it."""
    return not cls.__flags__ & HEAP_TYPE or stands_there(cls, cls.__module__, cls.__qualname__)


def globals_by_id(module: str) -> dict[int, str]:
    """The objects that an installed module has under a name; none for other modules."""
    found = sys.modules.get(module)
    if found is None or found is builtins or not is_installed(found):
        return {}
    return {id(value): name for name, value in vars(found).items()}
