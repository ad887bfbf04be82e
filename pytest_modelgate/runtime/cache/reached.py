"""Functions, classes and modules: what stands for them, and what their code reaches from there."""

from __future__ import annotations

__tracebackhide__ = True

import dataclasses
import functools
import types
from typing import TYPE_CHECKING, Any

from pytest_modelgate.runtime.cache import containers, surroundings
from pytest_modelgate.runtime.cache.code import Chain, read_code
from pytest_modelgate.runtime.cache.installed import HEAP_TYPE, OWN_PLACES, is_named, stands_there
from pytest_modelgate.runtime.cache.names import follow, walk_global, walk_import, walk_module
from pytest_modelgate.runtime.cache.patches import is_the_users
from pytest_modelgate.runtime.cache.places import place

if TYPE_CHECKING:
    from pytest_modelgate.runtime.cache.values import Walk

_DESCRIPTORS = (
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodWrapperType,
)
# Tells of a class where it stands, or what its other members say already.
_NOT_OF_A_CLASS = frozenset(
    {
        *("__module__", "__qualname__", "__doc__", "__firstlineno__", "__static_attributes__", "pytestmark"),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
        *("__dict__", "__weakref__", "__abstractmethods__", "_abc_impl"),
        "_value2member_map_",  # of an Enum: its members again, and combinations of flags as they come up
    }
)
_OF_DISPATCHING = ("dispatch_cache", "cache_token", "_clear_cache")  # which classes `singledispatch` met so far
# By these, code finds what no name in it tells.
_CANNOT_BE_FOLLOWED = {
    "builtins.__import__": "imports modules by names that are known only when it runs (__import__)",
    "importlib.import_module": "imports modules by names that are known only when it runs (importlib.import_module)",
    "importlib.reload": "loads modules again (importlib.reload)",
    "sys._getframe": "looks into the frames of its callers (sys._getframe)",
    "inspect.currentframe": "looks into the frames of its callers (inspect.currentframe)",
    "inspect.stack": "looks into the frames of its callers (inspect.stack)",
    "gc.get_objects": "looks for objects in the whole process (gc.get_objects)",
    "typing.get_type_hints": "reads type hints (typing.get_type_hints), which are not part of the fingerprint",
    "inspect.getsource": "reads source code (inspect.getsource), which is not part of the fingerprint",
    "inspect.getsourcelines": "reads source code (inspect.getsourcelines), which is not part of the fingerprint",
    "inspect.getdoc": "reads docstrings (inspect.getdoc), which are not part of the fingerprint",
    "inspect.get_annotations": "reads type hints (inspect.get_annotations), which are not part of the fingerprint",
}
_TELLS_MORE = {
    "__subclasses__": "looks for subclasses (__subclasses__), which may be anywhere",
    "__doc__": "reads docstrings (__doc__), which are not part of the fingerprint",
    "__annotations__": "reads type hints (__annotations__), which are not part of the fingerprint",
    "co_firstlineno": "reads line numbers (co_firstlineno), which are not part of the fingerprint",
    "f_back": "looks into the frames of its callers (f_back)",
}


def walk_code(walk: Walk, value: Any) -> bool:
    """Write a function, a class, a module or what wraps one; False for everything else."""
    if isinstance(value, types.FunctionType):
        _function(walk, value)
    elif isinstance(value, type) and not isinstance(value, types.GenericAlias):
        _class(walk, value)
    elif isinstance(value, types.ModuleType):
        walk_module(walk, value)
    elif isinstance(value, types.MethodType):
        walk.write("method")
        walk.value(value.__func__)
        walk.at(".__self__", value.__self__)
    elif isinstance(value, types.BuiltinFunctionType):
        _builtin(walk, value)
    elif isinstance(value, _DESCRIPTORS):
        _descriptor(walk, value)
    elif isinstance(value, property):
        walk.items("property", [value.fget, value.fset, value.fdel])
    elif isinstance(value, (classmethod, staticmethod)):
        walk.write(type(value).__name__)
        walk.value(value.__func__)
    elif type(value) is functools.partial:
        if not walk.seen(value):
            walk.items("partial", [value.func, value.args, value.keywords])
    elif isinstance(value, functools._lru_cache_wrapper):
        _remembering(walk, value)
    elif isinstance(value, types.CodeType):
        facts = read_code(value)
        walk.codes.update(facts.codes)
        walk.write("code", facts.digest)
    elif isinstance(value, dataclasses.Field):
        _dataclass_field(walk, value)
    else:
        return callable(value) and _is_named_callable(walk, value)
    return True


def _is_named_callable(walk: Walk, value: Any) -> bool:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(value, type) or not stands_there(value, module, name):
        return False
    walk.named(str(module), str(name))
    return True


# Functions


def _function(walk: Walk, function: types.FunctionType) -> None:
    code = function.__code__
    where = place(code.co_filename)
    module = function.__module__ or "?"
    if not is_the_users(function) and stands_there(function, module, function.__qualname__):
        _refuse(walk, f"{module}.{function.__qualname__}")
        walk.named(module, function.__qualname__)
    elif where in OWN_PLACES:
        name = f"{module}.{function.__qualname__}"
        walk.later(function, f"function {name}", name, lambda: _own_function(walk, function, name))
    elif hasattr(function, "hooked") and function.__globals__.get("__name__") == "torch.optim.optimizer":
        walk.value(vars(function)["__wrapped__"])  # what the first optimizer of a class makes of the class's step()
    elif not walk.seen(function):
        # Made by installed code, such as the wrapper that a decorator returns: what it was made of tells.
        made = getattr(code, "co_qualname", code.co_name)
        maker = function.__globals__.get("__name__")
        walk.write("made by", f"{maker}.{made}")
        walk.versions.update(surroundings.version_at(code.co_filename))
        _held(walk, function, skip=_OF_DISPATCHING if maker == "functools" else ())


def _own_function(walk: Walk, function: types.FunctionType, name: str) -> None:
    facts = read_code(function.__code__)
    walk.codes.update(facts.codes)
    walk.write("function", facts.digest)
    walk.write("called", function.__name__)
    for attribute in sorted(facts.attributes & _TELLS_MORE.keys()):
        walk.cannot(_TELLS_MORE[attribute])
    if facts.attributes & {"__qualname__", "__module__"} and place(function.__code__.co_filename) == "first party":
        walk.labels_count = True
    chains: dict[str, list[Chain]] = {}
    for variable, *rest in facts.free:
        chains.setdefault(variable, []).append(tuple(rest))
    _held(walk, function, chains=chains)
    for chain in facts.globals:
        walk.write("name", ".".join(chain))
        walk_global(walk, function, chain)
    for each in facts.imports:
        walk.write("import", f"{'.' * each.level}{each.module}:{'.'.join(each.chain)}")
        walk_import(walk, function, each)


def _held(
    walk: Walk,
    function: types.FunctionType,
    *,
    chains: dict[str, list[Chain]] | None = None,
    skip: tuple[str, ...] = (),
) -> None:
    """Write defaults, the variables of enclosing functions and attributes of a function."""
    walk.at("'s defaults", function.__defaults__)
    walk.at("'s defaults", function.__kwdefaults__)
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if variable in skip:
            continue
        walk.write("variable", variable)
        try:
            held = cell.cell_contents
        except ValueError:
            walk.write("empty")
            continue
        if isinstance(held, types.ModuleType) and chains is not None:
            for chain in chains.get(variable, [()]):
                follow(walk, held, chain)
        else:
            walk.at(f"'s variable {variable}", held)
    for name in sorted(vars(function)):
        if name not in ("pytestmark", "__doc__", *skip):
            walk.write("attribute", name)
            walk.at(f".{name}", vars(function)[name])
    walk.write("end")


def _remembering(walk: Walk, function: Any) -> None:
    """A function with `functools.lru_cache`: what it remembers is what it will answer."""
    if walk.seen(function):
        return
    walk.write("remembering")
    for name in sorted(vars(function)):
        if name not in ("__doc__", "__module__", "__name__", "__qualname__", "__annotations__", "__type_params__"):
            walk.write("attribute", name)
            walk.at(f".{name}", vars(function)[name])
    results = walk.remembered.of(function)
    if results is None:
        walk.cannot("remembers results of earlier calls, which cannot be read: call its cache_clear() before")
    else:
        walk.at("'s remembered results", results)


def _builtin(walk: Walk, function: types.BuiltinFunctionType) -> None:
    owner = function.__self__
    module = getattr(function, "__module__", None) or ""
    if owner is None or isinstance(owner, types.ModuleType):
        _refuse(walk, f"{module}.{function.__qualname__}")
        walk.named(module, function.__qualname__)
    else:
        walk.write("method", function.__name__)
        walk.at(".__self__", owner)


def _descriptor(walk: Walk, value: Any) -> None:
    owner = getattr(value, "__objclass__", None)
    if isinstance(owner, type) and not isinstance(value, types.MethodWrapperType):
        walk.write("descriptor", f"{owner.__module__}.{owner.__name__}.{value.__name__}")
        walk.versions.update(surroundings.version_of(owner.__module__) if is_named(owner) else {})
    else:
        walk.write("method", value.__name__)
        walk.at(".__self__", value.__self__)


def _refuse(walk: Walk, name: str) -> None:
    if name in _CANNOT_BE_FOLLOWED:
        walk.cannot(_CANNOT_BE_FOLLOWED[name])


# Classes


def _class(walk: Walk, cls: type) -> None:
    if is_named(cls):
        walk.named(cls.__module__, cls.__qualname__)
        _patches(walk, cls)
        return
    name = f"{cls.__module__}.{cls.__qualname__}"
    walk.later(cls, f"class {name}", name, lambda: _own_class(walk, cls))


def _own_class(walk: Walk, cls: type) -> None:
    walk.write("class", cls.__name__)
    walk.value(type(cls))
    walk.items("bases", cls.__bases__)
    space = vars(cls)
    for name, hint in space.get("__annotations__", {}).items():
        walk.write("annotation", name)
        containers.annotation(walk, hint)
    for name in sorted(space):
        if name not in _NOT_OF_A_CLASS:
            walk.write("member", name)
            walk.at(f".{name}", space[name])
    walk.write("end")


def _patches(walk: Walk, cls: type) -> None:
    """What the user's own code has put into an installed class."""
    if not cls.__flags__ & HEAP_TYPE or not walk.first_time(cls):
        return
    for base in cls.__mro__:
        for name, member in list(vars(base).items()) if base.__flags__ & HEAP_TYPE else ():
            if is_the_users(member):
                walk.write("patched", f"{base.__qualname__}.{name}")
                walk.value(member)


def _dataclass_field(walk: Walk, value: Any) -> None:
    if not walk.seen(value):
        walk.write("field", str(value.name))
        containers.annotation(walk, value.type)
        for name in ("default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only"):
            walk.at(f".{name}", getattr(value, name))
