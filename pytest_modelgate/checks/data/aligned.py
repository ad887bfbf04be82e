"""Two data sets read row by row in one layout: a hash of each row, its target, and a sample of the rows."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.evidence.identity import hash_rows
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy
from pytest_modelgate.runtime.data import Batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]
    Batch = tuple[list["Part"], NDArray[Any]]

MOST_FEATURES = 1024
_MOST_ROWS = 1 << 14
_WORK = 2e10
_CHUNK = 1 << 20


class Part(NamedTuple):
    """One array of a batch's inputs: where it stands in nested tuples and dicts, its rows, and whether of bfloat16."""

    path: str
    rows: NDArray[Any]
    brain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows drawn at random, as one table: row numbers [S] and float64 values [S, D]."""

    rows: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is kept of one of the two sets.

    Attributes:
        hashes: a 64-bit hash of each row's inputs, alike on both sides for the same numbers.
        targets: each row's target, or a hash of it where it is more than one number; None without targets.
        contents: hashes of the inputs as `ids="content"` makes them, in their own types and as float32.
        sample: rows for distances, where they were asked for.
        features: the numbers in each row.
        in_order: whether the rows are numbered in the order of the data; else as a loader drew them.
    """

    hashes: Hashes
    targets: NDArray[Any] | None
    contents: tuple[Hashes, ...]
    sample: Sample | None
    features: int
    in_order: bool

    @property
    def n(self) -> int:
        """How many rows."""
        return len(self.hashes)


def read_aligned(train: Any, test: Any, *, sample: bool = False, contents: bool = False) -> tuple[Side, Side]:
    """Both sets in one pass each, their types aligned: floats in the smaller type, integers as the other's floats.

    Args:
        train, test: inputs and targets as `Batches` reads them; or inputs alone: an array, or a dict of arrays.
        sample: keep a seeded sample of the rows.
        contents: keep hashes as `ids="content"` makes them, of the test set.

    Raises:
        EvidenceError: an empty set, no features, other than numbers, rows of different shapes, or one iterator twice.
    """
    if train is test and isinstance(train, Iterator):
        raise EvidenceError("train and test are one iterator, which gives each row once: give each set its own")
    streams = {name: _Stream(data, name) for name, data in (("train", train), ("test", test))}
    layout = _Layout.of(streams["train"], streams["test"])
    return (
        layout.read(streams["train"], sample=sample, contents=False),
        layout.read(streams["test"], sample=sample, contents=contents),
    )


class _Stream:
    """One set's batches, of which the first was looked at."""

    def __init__(self, data: Any, name: str) -> None:
        from torch.utils.data import DataLoader, SequentialSampler

        self.name = name
        self.in_order = not isinstance(data, DataLoader) or isinstance(data.sampler, SequentialSampler)
        data = _known(data)
        self.labelled = not _is_inputs(data)
        if not self.labelled:
            parts = _parts(data)
            self._check_types(parts)
            data = data, np.zeros(len(parts[0].rows) if parts and parts[0].rows.ndim else 0, dtype=np.uint8)
        self._paths: list[str] = []
        self.brain: set[str] = set()
        if _is_pair(data):
            parts = _parts(data[0])
            self._check_types(parts)
            self._paths = [part.path for part in parts]
            self.brain = {part.path for part in parts if part.brain}
            data = tuple(part.rows for part in parts), to_numpy(data[1])
        batches = self._filled(Batches(data, what=name))
        first = next(batches, None)
        if first is None:
            raise EvidenceError(f"{name} has no rows: there is nothing to look through")
        self.parts, self.targets = first
        self.batches = chain([first], batches)
        if not sum(prod(part.rows.shape[1:]) for part in self.parts):
            raise EvidenceError(f"{name} has no features: its rows are empty")

    def _filled(self, source: Batches) -> Iterator[Batch]:
        some = False
        for inputs, targets in source.at_hand():
            some = True
            yield from self._checked(inputs, to_numpy(targets))
        if not some:
            for inputs, targets in source:
                yield from self._checked(inputs, to_numpy(targets))

    def _checked(self, inputs: Any, targets: NDArray[Any]) -> Iterator[Batch]:
        """The batch in chunks of bounded size."""
        parts = _parts(inputs)
        if self._paths:
            parts = [part._replace(path=path) for path, part in zip(self._paths, parts, strict=True)]
        self.brain |= {part.path for part in parts if part.brain}
        self._check_types(parts)
        rows = len(targets) if targets.ndim else 0
        for path, array, _ in parts:
            if array.ndim == 0 or not targets.ndim or len(array) != rows:
                raise EvidenceError(
                    f"{self.name}: inputs{path} of shape {list(array.shape)} and targets of shape "
                    f"{list(targets.shape)}: there must be one row for each target"
                )
        step = max(1, _CHUNK // max(1, sum(prod(part.rows.shape[1:]) for part in parts)))
        for start in range(0, rows, step):
            yield [part._replace(rows=part.rows[start : start + step]) for part in parts], targets[start : start + step]

    def _check_types(self, parts: list[Part]) -> None:
        for path, array, _ in parts:
            if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
                raise EvidenceError(f"{self.name}: inputs{path} are of type {array.dtype}: give real numbers")


@dataclass(frozen=True, slots=True)
class _Layout:
    """The shape and the common type of each part of a row."""

    shapes: dict[str, tuple[int, ...]]
    types: dict[str, np.dtype[Any]]
    target: np.dtype[Any] | None
    brain: frozenset[str]
    features: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", sum(map(prod, self.shapes.values())))

    @classmethod
    def of(cls, train: _Stream, test: _Stream) -> _Layout:
        shapes, others = ({p.path: p.rows.shape[1:] for p in one.parts} for one in (train, test))
        if shapes != others:
            widths = [_described(one) for one in (shapes, others)]
            raise EvidenceError(f"train has rows of {widths[0]}, test of {widths[1]}: give both the same features")
        types = {
            mine.path: _common(mine.rows.dtype, theirs.rows.dtype)
            for mine, theirs in zip(train.parts, test.parts, strict=True)
        }
        target = None
        if train.labelled and test.labelled:
            mine, theirs = train.targets, test.targets
            if prod(mine.shape[1:]) != prod(theirs.shape[1:]):
                raise EvidenceError(
                    f"train has targets of shape {['N', *mine.shape[1:]]}, test of {['N', *theirs.shape[1:]]}: give "
                    "both the same, or the inputs alone"
                )
            target = _common(mine.dtype, theirs.dtype)
        return cls(shapes, types, target, frozenset(train.brain | test.brain))

    def read(self, stream: _Stream, *, sample: bool, contents: bool) -> Side:
        hashes: list[Hashes] = []
        targets: list[NDArray[Any]] = []
        own: list[Hashes] = []
        single: list[Hashes] = []
        drawn = _Draw(self.features) if sample else None
        for parts, target in stream.batches:
            arrays = [self._cast(stream.name, part) for part in parts]
            hashes.append(hash_rows(arrays))
            if drawn is not None:
                drawn.add(arrays)
            if contents:
                came = [part.rows for part in parts]
                own.append(hash_rows(came))
                single.append(hash_rows([a.astype(np.float32) if a.dtype.kind == "f" else a for a in came]))
            if self.target is not None:
                table = target.reshape(len(target), -1).astype(self.target, copy=False)
                targets.append(table[:, 0].copy() if table.shape[1] == 1 else hash_rows(table))
        return Side(
            hashes=np.concatenate(hashes),
            targets=np.concatenate(targets) if targets else None,
            contents=tuple(np.concatenate(each) for each in (own, single) if each),
            sample=None if drawn is None else drawn.finish(),
            features=self.features,
            in_order=stream.in_order,
        )

    def _cast(self, name: str, part: Part) -> NDArray[Any]:
        shape, common = self.shapes.get(part.path), self.types.get(part.path)
        if shape != part.rows.shape[1:] or common is None:
            raise EvidenceError(
                f"{name}: a batch has rows of {_described({part.path: part.rows.shape[1:]})}, the first had "
                f"{_described(self.shapes)}: give all rows one shape"
            )
        if part.rows.dtype.kind == "f" and common.kind != "f":
            raise EvidenceError(f"{name}: a batch has {part.rows.dtype}, the first had {common}: give all one type")
        with np.errstate(over="ignore"):  # a number too large for the other side's type is infinite there
            rows = part.rows.astype(common, copy=False)
            return _as_bfloat16(rows) if part.path in self.brain else rows


class _Draw:
    """A uniform sample of the rows of a stream of unknown length, seeded."""

    def __init__(self, features: int) -> None:
        self._step = -(-features // MOST_FEATURES)
        width = -(-features // self._step)
        self._most = int(min(_MOST_ROWS, (_WORK / width) ** 0.5))
        self._rng = np.random.default_rng(0)
        self._seen = 0
        self._keys, self._rows = np.empty(0), np.empty(0, dtype=np.int64)
        self._values = np.empty((0, width))
        self._waiting: list[tuple[NDArray[Any], ...]] = []
        self._limit = 1.0

    def add(self, arrays: list[NDArray[Any]]) -> None:
        """The rows of a batch."""
        keys = self._rng.random(len(arrays[0]))
        taken = np.flatnonzero(keys < self._limit)
        table = np.concatenate([array[taken].reshape(len(taken), -1) for array in arrays], axis=1, dtype=np.float64)
        self._waiting.append((keys[taken], taken + self._seen, table[:, :: self._step]))
        self._seen += len(keys)
        if sum(len(each[0]) for each in self._waiting) >= self._most:
            self._prune()

    def _prune(self) -> None:
        keys, rows, values = zip((self._keys, self._rows, self._values), *self._waiting, strict=True)
        self._keys, self._rows, self._values = np.concatenate(keys), np.concatenate(rows), np.concatenate(values)
        self._waiting = []
        if len(self._keys) > self._most:
            kept = np.sort(np.argpartition(self._keys, self._most)[: self._most])
            self._keys, self._rows, self._values = self._keys[kept], self._rows[kept], self._values[kept]
            self._limit = float(self._keys.max())

    def finish(self) -> Sample:
        self._prune()
        return Sample(rows=self._rows, values=self._values)


def _as_bfloat16(rows: NDArray[Any]) -> NDArray[Any]:
    """Numbers rounded as torch rounds them to bfloat16: to the upper half of a float32's bits, ties to even."""
    single = rows.astype(np.float32)
    bits = single.view(np.uint32)
    rounded = ((bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) & np.uint32(0xFFFF0000)).view(np.float32)
    return np.where(np.isfinite(single), rounded, single)


def _common(mine: np.dtype[Any], theirs: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which the numbers of both are compared."""
    common: np.dtype[Any]
    if mine.kind == theirs.kind == "f":
        common = mine if mine.itemsize <= theirs.itemsize else theirs
    elif "f" in (mine.kind, theirs.kind):
        common = mine if mine.kind == "f" else theirs
    elif mine == theirs:
        common = np.dtype(np.uint8) if mine.kind == "b" else mine
    else:
        common = np.dtype(np.int64)
    native: np.dtype[Any] = common.newbyteorder("=")
    return native


def _known(data: Any) -> Any:
    """Data frames and series as arrays; everything else as it is."""
    if isinstance(data, (tuple, list)) and len(data) == 2 and any(map(_is_frame, data)):
        return tuple(to_numpy(each) if _is_frame(each) else each for each in data)
    return to_numpy(data) if _is_frame(data) else data


def _is_frame(data: Any) -> bool:
    return hasattr(data, "shape") and hasattr(data, "__array__") and not hasattr(data, "detach")


def _is_inputs(data: Any, *, nested: bool = False) -> bool:
    """Whether these are arrays alone: one, or a dict of them; where `nested`, tuples too."""
    if hasattr(data, "shape"):
        return hasattr(data, "dtype")
    if isinstance(data, Mapping):
        return all(_is_inputs(value, nested=True) for value in data.values())
    return nested and isinstance(data, (tuple, list)) and all(_is_inputs(value, nested=True) for value in data)


def _parts(inputs: Any, path: str = "") -> list[Part]:
    """The arrays of nested tuples and dicts with their places, in the order in which `hash_rows` reads them."""
    if isinstance(inputs, Mapping):
        return [part for key in sorted(inputs, key=str) for part in _parts(inputs[key], f"{path}[{key!r}]")]
    if isinstance(inputs, (tuple, list)):
        return [part for i, value in enumerate(inputs) for part in _parts(value, f"{path}[{i}]")]
    array = to_numpy(inputs)
    brain = str(getattr(inputs, "dtype", "")) == "torch.bfloat16"  # which numpy has not: it came as float32
    return [Part(path, array.astype(array.dtype.newbyteorder("="), copy=False), brain)]


def _is_pair(data: Any) -> bool:
    """Whether these are (inputs, targets) of all rows."""
    if not isinstance(data, (tuple, list)) or len(data) != 2 or not _is_inputs(data[0], nested=True):
        return False
    listed = isinstance(data[1], (tuple, list)) and len(data[1]) > 0 and isinstance(data[1][0], (int, float))
    return hasattr(data[1], "shape") or listed


def _described(shapes: Mapping[str, tuple[int, ...]]) -> str:
    parts = [
        f"{path.strip('[]') + ': ' if path else ''}"
        + (f"{prod(shape)} feature{'s' * (prod(shape) != 1)}" if len(shape) < 2 else f"shape {list(shape)}")
        for path, shape in shapes.items()
    ]
    return ", ".join(parts) or "nothing"
