"""Plain containers, and objects by their state."""

from __future__ import annotations

__tracebackhide__ = True

import array
import collections
import copyreg
import enum
import io
import logging
import marshal
import mmap
import sys
import threading
import types
import typing
import warnings
import weakref
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pytest_modelgate.runtime.cache.code import encode
from pytest_modelgate.runtime.cache.data import hash_buffer
from pytest_modelgate.runtime.cache.installed import HEAP_TYPE

if TYPE_CHECKING:
    from pytest_modelgate.runtime.cache.values import Walk

_IN_ONE_PIECE = frozenset({int, float, bool, str, bytes, complex, type(None)})
# Bases whose content is written apart, with how it is read.
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (dict, lambda value: dict(dict.items(value))),
    (list, lambda value: list(list.__iter__(value))),
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (set, lambda value: set(set.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (collections.deque, lambda value: [value.maxlen, *collections.deque.__iter__(value)]),
    (str, lambda value: str.__str__(value)),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
    (int, int.__int__),
    (float, float.__float__),
    (complex, lambda value: complex(value.real, value.imag)),
)
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_ONCE = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)


def plain_bytes(values: list[Any] | tuple[Any, ...]) -> bytes | None:
    """Numbers and strings in one piece; None where something else is among them."""
    kinds = set(map(type, values))
    if not kinds <= _IN_ONE_PIECE:
        return None
    return marshal.dumps(list(values), 2)  # version 2 knows neither references nor interned strings


def _list(walk: Walk, value: list[Any]) -> None:
    if not walk.seen(value):
        walk.items("list", value)


def _tuple(walk: Walk, value: tuple[Any, ...]) -> None:
    walk.items("tuple", value)


def _dict(walk: Walk, value: dict[Any, Any]) -> None:
    if value is sys.modules:
        walk.cannot("is the table of all modules: import what is needed by name")
    elif not walk.seen(value):
        walk.write(type(value).__name__)
        _entries(walk, value)


def _entries(walk: Walk, value: Any) -> None:
    walk.items("keys", list(value))
    for key, each in value.items():
        walk.at(f"[{key!r}]" if type(key) in _IN_ONE_PIECE else "[...]", each)


def _defaultdict(walk: Walk, value: collections.defaultdict[Any, Any]) -> None:
    if not walk.seen(value):
        walk.write("defaultdict")
        walk.at(".default_factory", value.default_factory)
        _entries(walk, value)


def _proxy(walk: Walk, value: Any) -> None:
    walk.write("mapping")
    _entries(walk, value)


def _set(walk: Walk, value: set[Any] | frozenset[Any]) -> None:
    if type(value) is set and walk.seen(value):
        return
    if id(value) in walk.open_sets:  # its own members lead back to it
        walk.write("open set", str(walk.open_sets.index(id(value))))
        return
    walk.write(type(value).__name__, str(len(value)))
    if all(type(each) in _IN_ONE_PIECE for each in value):
        for each in sorted(map(encode, value)):
            walk.write("member", each)
        return
    opened = (*walk.open_sets, id(value))
    for _, each in sorted(((walk.digest_alone(each, opened), each) for each in value), key=lambda pair: pair[0]):
        walk.at("{...}", each)


def _deque(walk: Walk, value: collections.deque[Any]) -> None:
    if not walk.seen(value):
        walk.items(f"deque {value.maxlen}", list(value))


def _buffer(walk: Walk, value: Any) -> None:
    if not walk.seen(value):
        view = memoryview(value)
        walk.write(type(value).__name__, f"{view.format} {view.shape}")
        walk.write("content", hash_buffer(view if view.c_contiguous else view.tobytes()))


def _written(tag: str) -> Callable[[Walk, Any], None]:
    return lambda walk, value: walk.write(tag, repr(value))


def _lock(walk: Walk, value: Any) -> None:
    walk.write("lock")  # carries no information


def _cell(walk: Walk, value: types.CellType) -> None:
    if not walk.seen(value):
        try:
            walk.value(value.cell_contents)
        except ValueError:
            walk.write("empty")


def _slice(walk: Walk, value: slice) -> None:
    walk.items("slice", [value.start, value.stop, value.step])


def _once(walk: Walk, value: Any) -> None:
    walk.cannot(f"is a {type(value).__name__.replace('_', ' ')}, which can be read only once")


WALKED: dict[type, Callable[[Any, Any], None]] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    collections.OrderedDict: _dict,
    collections.defaultdict: _defaultdict,
    types.MappingProxyType: _proxy,
    set: _set,
    frozenset: _set,
    collections.deque: _deque,
    bytearray: _buffer,
    memoryview: _buffer,
    mmap.mmap: _buffer,
    array.array: _buffer,
    range: _written("range"),
    slice: _slice,
    types.CellType: _cell,
    type(NotImplemented): _written("NotImplemented"),
    **dict.fromkeys(_LOCKS, _lock),
    **dict.fromkeys(_ONCE, _once),
}


def walk_other(walk: Walk, value: Any) -> bool:
    """Write values that are told by what they are; False for those that are written by their state."""
    if isinstance(value, enum.Enum):
        if not walk.seen(value):
            walk.write("enum", value.name or "")
            walk.value(type(value))
            walk.value(value._value_)
    elif isinstance(value, PurePath):
        walk.write(type(value).__name__, str(value))
    elif isinstance(value, weakref.ReferenceType):
        walk.write("weak reference")
        walk.value(value())
    elif isinstance(value, logging.Logger):
        walk.write("logger", value.name)
    elif isinstance(value, (types.GenericAlias, types.UnionType)) or type(value).__module__ in (
        "typing",
        "typing_extensions",
    ):
        _typing(walk, value)
    else:
        return False
    return True


def _typing(walk: Walk, value: Any) -> None:
    arguments = typing.get_args(value)
    walk.write("type", type(value).__name__ if arguments else repr(value))
    if arguments:
        walk.value(typing.get_origin(value))
        walk.items("arguments", arguments)


def annotation(walk: Walk, value: Any) -> None:
    """Write a type hint: a class by its name only, since a hint does not run."""
    if isinstance(value, type) and not isinstance(value, types.GenericAlias):
        walk.write("hint", value.__name__)
    elif isinstance(value, str) or value is None or not typing.get_args(value):
        walk.write("hint", value if isinstance(value, str) else type(value).__name__)
    else:
        walk.write("hint", str(typing.get_origin(value)))
        for each in typing.get_args(value):
            annotation(walk, each)


def refusal(value: Any) -> str | None:
    """Why an object's state says too little about what it will do; None where it says all."""
    kind = type(value)
    if isinstance(value, (io.BytesIO, io.StringIO)):
        return None
    if isinstance(value, io.IOBase):
        return "is an open file: give its path and open it in the training"
    if isinstance(value, threading.Thread):
        return "is a thread, which cannot be seen into"
    if hasattr(kind, "__next__") and (kind.__module__ == "itertools" or not kind.__flags__ & HEAP_TYPE):
        return f"is an iterator ({kind.__name__}), which can be read only once"
    if kind.__module__ in ("subprocess", "socket", "multiprocessing.process", "multiprocessing.context"):
        return f"is a {kind.__module__}.{kind.__name__}, which cannot be seen into"
    held = _held(value)
    workers = held.get("num_workers", 0)
    if isinstance(workers, int) and workers > 0 and "collate_fn" in held:
        return f"reads data in num_workers={workers} other processes, whose files and code cannot be seen"
    return None


def pickles_itself(cls: type) -> bool:
    """Whether a class says itself what its state is."""
    if cls in copyreg.dispatch_table:
        return True
    names = ("__reduce_ex__", "__reduce__", "__getstate__")
    return any(getattr(cls, name, None) is not getattr(object, name, None) for name in names)


def walk_pickled(walk: Walk, value: Any) -> None:
    """Write what pickling would keep of an object."""
    kind = type(value)
    wrapped = _held(value).get("__wrapped__")  # asked for first: io.StringIO has attributes only from then on
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reduce = copyreg.dispatch_table.get(kind)
            reduced = reduce(value) if reduce is not None else value.__reduce_ex__(4)
    except Exception as error:  # whatever the object raises is the answer: its state cannot be had
        walk.cannot(f"is a {kind.__module__}.{kind.__qualname__}, whose state cannot be read ({error})")
        return
    if isinstance(reduced, str):
        walk.write("global", reduced)
        return
    function, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    walk.write("pickled")
    walk.value(function)
    for each in arguments:
        walk.at("", each)
    walk.at("", state)
    walk.items("items", list(items or ()))
    walk.items("pairs", list(pairs or ()))
    walk.at(".__wrapped__", wrapped)  # the function that a compiled one was made of


def walk_state(walk: Walk, value: Any) -> None:
    """Write the content, the slots and the attributes of an object."""
    kind = type(value)
    for base, content in _BASES:
        if isinstance(value, base):
            walk.write("content of", base.__name__)
            walk.at("", content(value))
            break
    if isinstance(value, collections.defaultdict):
        walk.at(".default_factory", value.default_factory)
    slots = walk_attributes(walk, value)
    if _has_more(kind, slots):
        walk_pickled(walk, value)


def walk_attributes(walk: Walk, value: Any) -> int:
    """Write the slots and the attributes of an object; how many slots its classes have."""
    slots = _slots(type(value))
    for name, descriptor in slots:
        try:
            held = descriptor.__get__(value)
        except AttributeError:
            continue  # never set
        walk.write("slot", name)
        walk.at(f".{name}", held)
    for name, held in _held(value).items():
        walk.write("attribute", str(name))
        if type(held) in (dict, collections.OrderedDict) and "hooks" in name and all(type(key) is int for key in held):
            walk.items("hooks", list(held.values()))  # its keys count all hooks of the process
        else:
            walk.at(f".{name}", held)
    walk.write("end")
    return len(slots)


def _held(value: Any) -> dict[str, Any]:
    """The attributes that an object itself has; its class is not asked, whose `__getattr__` may do anything."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return held if isinstance(held, dict) else {}


def has_settings(value: Any) -> bool:
    """Whether an object that an installed module has under a name may hold what the user's code set.

    Those of torch and numpy stand among the surroundings.
    """
    top = type(value).__module__.partition(".")[0]
    return top not in sys.stdlib_module_names and top not in ("torch", "numpy") and bool(_held(value))


def _slots(kind: type) -> list[tuple[str, Any]]:
    return [
        (name, each)
        for cls in kind.__mro__
        for name, each in vars(cls).items()
        if type(each) is types.MemberDescriptorType and not (name.startswith("__") and name.endswith("__"))
    ]


def _has_more(kind: type, slots: int) -> bool:
    """Whether objects of a class hold something in C beside slots and attributes, as `copyreg` finds it out."""
    known = next((base for base, _ in _BASES if issubclass(kind, base)), object)
    if kind.__itemsize__ and known is object:
        return True
    pointer = object.__basicsize__ // 2
    extra = slots + (kind.__dictoffset__ > 0) + (kind.__weakrefoffset__ > 0)
    if issubclass(kind, collections.OrderedDict):
        known = collections.OrderedDict
    elif issubclass(kind, collections.defaultdict):
        known = collections.defaultdict
    return kind.__basicsize__ > known.__basicsize__ + pointer * extra
