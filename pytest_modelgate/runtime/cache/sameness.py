"""Whether two modules are the same: class, parameters, buffers, every attribute, hooks, and what they share."""

from __future__ import annotations

__tracebackhide__ = True

import types
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_PLAIN = (type(None), bool, int, str, bytes, type(Ellipsis), type(NotImplemented), range)
_OF_CLASSES = ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "_abc_impl")


class _DifferentError(Exception):
    """Carries the sentence out of the recursion."""


def difference(trained: torch.nn.Module, restored: torch.nn.Module) -> str | None:
    """Where a module that was stored and loaded differs from the trained one, as a sentence; None: nowhere.

    Tensors are compared bit by bit. What cannot be compared counts as different. Gradients are left out.
    """
    try:
        _Comparison().compare(trained, restored, type(trained).__name__)
    except _DifferentError as found:
        return str(found)
    return None


class _Comparison:
    def __init__(self) -> None:
        # Which object answers to which, both ways: weights that only one of the two shares are a difference.
        self._pairs: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._alive: list[Any] = []  # an id is unique for as long as its object lives

    def compare(self, one: Any, two: Any, path: str) -> None:
        """Raise `_DifferentError` where the two are not the same."""
        import torch

        if isinstance(one, type) and isinstance(two, type):
            self._classes(one, two, path)
            return
        self._classes(type(one), type(two), path)
        if isinstance(one, _PLAIN):
            _hold(one == two, path)
        elif isinstance(one, float):
            _hold(one.hex() == two.hex(), path)
        elif not self._seen(one, two, path):
            if isinstance(one, torch.Tensor):
                self._tensors(one, two, path)
            elif one is two:
                return  # shared by both, such as a function, or what the factory got from outside
            elif isinstance(one, torch.nn.Module):
                self._modules(one, two, path)
            else:
                self._objects(one, two, path)

    def _modules(self, one: torch.nn.Module, two: torch.nn.Module, path: str) -> None:
        import torch

        hooks = {name for name in vars(torch.nn.Module()) if "hooks" in name}
        mine, its = vars(one), vars(two)
        for name in [*mine, *(its.keys() - mine.keys())]:
            inside = f"{path}.{name}"
            _hold(
                name in mine and name in its, inside, "is no part of the state dict and was set or deleted in training"
            )
            if name in hooks:  # by numbers that count on
                self._items(
                    mine[name].values() if isinstance(mine[name], dict) else mine[name], its[name].values(), inside
                )
            elif name in ("_parameters", "_buffers", "_modules"):
                _hold(list(mine[name]) == list(its[name]), inside, "have other names after training")
                for key in mine[name]:
                    self.compare(mine[name][key], its[name][key], f"{path}.{key}")
            else:
                self.compare(mine[name], its[name], inside)

    def _tensors(self, one: torch.Tensor, two: torch.Tensor, path: str) -> None:
        import torch

        for what in ("dtype", "layout", "device", "shape", "requires_grad", "is_leaf"):
            mine, its = getattr(one, what), getattr(two, what)
            _hold(mine == its, path, f"has {what} {mine} after training, and {its} in a new model from the factory")
        plain = one.layout is torch.strided and not one.is_quantized and one.device.type != "meta"
        _hold(plain, path, "is a kind of tensor that is not compared")
        _hold(one.stride() == two.stride(), path, "has another memory layout after training")
        _hold(not one._backward_hooks and not two._backward_hooks, path, "has hooks")
        _hold(torch.equal(_bits(one), _bits(two)), path)
        if one.numel():
            self._pair(one.untyped_storage().data_ptr(), two.untyped_storage().data_ptr(), path)
        self.compare(vars(one), vars(two), f"the attributes of {path}")

    def _objects(self, one: Any, two: Any, path: str) -> None:
        import torch

        if isinstance(one, torch.Generator):
            self.compare(one.get_state(), two.get_state(), path)
        elif isinstance(one, types.FunctionType):
            _hold(one.__code__ == two.__code__ and one.__globals__ is two.__globals__, path, "is another function")
            self._items(_values(one), _values(two), path)
        elif isinstance(one, types.MethodType):
            self._items((one.__func__, one.__self__), (two.__func__, two.__self__), path)
        elif isinstance(one, property):
            self._items((one.fget, one.fset, one.fdel), (two.fget, two.fset, two.fdel), path)
        elif isinstance(one, (staticmethod, classmethod)):
            self.compare(one.__func__, two.__func__, path)
        elif isinstance(one, weakref.ref):
            self.compare(one(), two(), path)
        elif type(one) in (tuple, list):
            self._items(one, two, path)
        elif type(one) in (dict, types.MappingProxyType):
            self._items(one, two, f"the keys of {path}")
            for (key, mine), its in zip(one.items(), two.values(), strict=True):
                self.compare(mine, its, f"{path}[{key!r}]")
        elif type(one) in (set, frozenset):
            _hold(one == two, path)
        else:
            self._any(one, two, path)

    def _any(self, one: Any, two: Any, path: str) -> None:
        """Its attributes and slots, and what a copy of it would be made of, which has the state that is kept in C."""
        self.compare(_attributes(one), _attributes(two), path)
        try:
            mine, its = one.__reduce_ex__(4), two.__reduce_ex__(4)
        except Exception as error:
            raise _DifferentError(f"{path}, {_a(type(one))}, cannot be compared ({error})") from error
        if isinstance(mine, tuple) and isinstance(its, tuple):  # the last two are iterators over items
            mine, its = (
                tuple(list(part) if i in (3, 4) and part else part for i, part in enumerate(each))
                for each in (mine, its)
            )
        self.compare(mine, its, path)

    def _classes(self, one: type, two: type, path: str) -> None:
        """The same class, or, of classes that the factory makes anew, one with the same code and values."""
        if one is two:
            return
        same = (one.__module__, one.__qualname__, type(one)) == (two.__module__, two.__qualname__, type(two))
        anew = "<locals>" in one.__qualname__ or one.__module__ == "torch.nn.utils.parametrize"
        _hold(
            same and anew,
            path,
            f"is {_a(one)} after training, and {_a(two)} in a new model from the factory",
        )
        if not self._seen(one, two, path):
            self._items(one.__bases__, two.__bases__, f"the bases of {path}'s class")
            mine, its = ({k: v for k, v in vars(each).items() if k not in _OF_CLASSES} for each in (one, two))
            self.compare(mine, its, f"the class of {path}")

    def _items(self, one: Iterable[Any], two: Iterable[Any], path: str) -> None:
        mine, its = list(one), list(two)
        _hold(len(mine) == len(its), path, f"has {len(mine)} items after training, and {len(its)} in a new model")
        for index, each in enumerate(mine):
            self.compare(each, its[index], f"{path}[{index}]")

    def _seen(self, one: Any, two: Any, path: str) -> bool:
        self._alive += [one, two]
        return self._pair(id(one), id(two), path)

    def _pair(self, one: int, two: int, path: str) -> bool:
        first, second = self._pairs
        known = one in first
        same = first.setdefault(one, two) == two and second.setdefault(two, one) == one
        _hold(same, path, "shares its memory with other parts of the model than in a new model from the factory")
        return known


def _hold(same: bool, path: str, otherwise: str = "is no part of the state dict and changed in training") -> None:
    if not same:
        raise _DifferentError(f"{path} {otherwise}")


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    import torch

    whole = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return whole.reshape(-1).view(torch.uint8)


def _values(function: types.FunctionType) -> tuple[Any, ...]:
    """What a function carries beside its code."""
    empty = types.CellType()
    cells = [cell.cell_contents for cell in function.__closure__ or () if cell != empty]
    return function.__defaults__, function.__kwdefaults__, vars(function), cells


def _attributes(value: Any) -> dict[str, Any]:
    found = dict(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def _a(cls: type) -> str:
    return f"{'an' if cls.__name__[:1] in 'AEIOU' else 'a'} {cls.__name__}"
