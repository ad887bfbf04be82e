"""Names for samples and data sets: 64-bit hashes that depend on nothing but the content."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLED = 16
_ROWS = 1 << 12
_CHUNK = 1 << 16
_MULTIPLIERS = np.random.default_rng(0x5EED).integers(1, 2**63, size=65, dtype=np.uint64) | np.uint64(1)
_OF_NUMBERS = 0x9E3779B97F4A7C15


def hash_names(names: Any, what: str) -> NDArray[np.uint64]:
    """A 64-bit hash of each name (a string, a whole number or bytes), shape [N]; equal names have equal hashes.

    Raises:
        EvidenceError: names of another kind, or not one dimension.
    """
    if isinstance(names, (str, bytes)):
        raise EvidenceError(f"{what}={names!r} is a single name; give one for each sample")
    array = to_numpy(names)
    if array.ndim != 1:
        raise EvidenceError(f"{what} must have the shape [N], one for each sample, not {list(array.shape)}")
    if array.dtype.kind == "u" or (array.dtype.kind == "i" and (array >= 0).all()):
        return _mixed(array.astype(np.uint64) ^ np.uint64(_OF_NUMBERS))
    # A list is read entry by entry, since numpy makes 1 a string beside strings, and a float beside large numbers.
    each = names if isinstance(names, (list, tuple)) else array.tolist() if array.dtype.kind in "iUSO" else array
    distinct: dict[object, int] = {}
    hashes = np.empty(len(array), dtype=np.uint64)
    for row, name in enumerate(each):
        known = distinct.get(name) if isinstance(name, (str, bytes)) else None
        if known is None:
            known = _hash_of(name, what, row)
            if isinstance(name, (str, bytes)):
                distinct[name] = known
        hashes[row] = known
    return hashes


def hash_rows(inputs: Any) -> NDArray[np.uint64]:
    """A 64-bit BLAKE2b hash of the content of each row of a batch of inputs: [N, ...], or tuples and dicts of such.

    -0.0 counts as 0.0, and every NaN as the same.

    Raises:
        EvidenceError: inputs that are no arrays, or arrays of different lengths.
    """
    parts = [_row_bytes(part) for part in _arrays(inputs, strict=True)]
    if not parts:
        raise EvidenceError('ids="content" hashes arrays and tensors, and these inputs hold none; give ids= as a list')
    lengths = [len(part) for part in parts]
    if len(set(lengths)) > 1:
        raise EvidenceError(f'ids="content" hashes one row a sample, but the inputs\' parts have {lengths} rows')
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    digests = b"".join(blake2b(row, digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


class Fingerprint:
    """A number for a set of samples, gathered batch by batch; None where a batch is not known by numbers."""

    def __init__(self) -> None:
        self._known = True
        self._value = self._samples = self._filled = 0
        self._layout: list[Any] | None = None
        self._words: NDArray[Any] = np.zeros((0, 0))
        self._target: NDArray[Any] = np.zeros(0)

    def add(self, inputs: Any, target: NDArray[Any] | None) -> None:
        """A batch of inputs and its targets; None is a target that is not at hand."""
        if not self._known or (target is not None and len(target) == 0):
            return
        arrays = [] if target is None else _arrays(inputs)
        tables = [array.reshape(len(array), -1) for array in arrays if array.size]
        layout = [part for table in tables for part in (table.dtype, table.shape[1])]
        if self._layout is None:
            self._layout = layout
        whole = target is not None and target.dtype.kind in "fiub" and [len(table) for table in tables]
        if target is None or layout != self._layout or not layout or whole != [len(target)] * len(tables):
            self._known = False
            return
        words = _sampled(tables[0], _SAMPLED)
        if len(tables) > 1:
            each = max(1, 2 * _SAMPLED // len(tables))
            words = np.concatenate([_as_words(_sampled(table, each)) for table in tables], axis=1)
        start, stop = self._filled, self._filled + len(words)
        if stop > len(self._words) or target.dtype != self._target.dtype:
            self._make_room(words, target)
            start, stop = 0, len(words)
        self._words[start:stop] = words
        self._target[start:stop] = target.reshape(len(target), -1)[:, 0]
        self._filled = stop

    def _make_room(self, words: NDArray[Any], target: NDArray[Any]) -> None:
        """In one piece of memory: many small pieces among the framework's would slow its own."""
        self.flush()
        if len(words) > len(self._words) or target.dtype != self._target.dtype:
            rows = max(_ROWS, len(words))
            self._words, self._target = np.empty((rows, words.shape[1]), words.dtype), np.empty(rows, target.dtype)

    def flush(self) -> None:
        """Work off what was added: small batches cost less together."""
        self._value = (self._value + fingerprint(self._words[: self._filled], self._target[: self._filled])) % 2**64
        self._samples += self._filled
        self._filled = 0

    def of(self, samples: int) -> int | None:
        """The number, if it is of so many samples."""
        self.flush()
        return self._value if self._known and self._samples == samples else None


def fingerprint(words: NDArray[Any], target: NDArray[Any]) -> int:
    """A number for a set of samples [N, W] and [N], whatever their order; those of two sets add up modulo 2**64.

    It names the data in a count of evaluations; it is no proof that two data sets are the same.
    """
    if len(words) == 0:
        return 0
    rows = _as_words(words)[:, : len(_MULTIPLIERS) - 1]
    hashes = rows @ _MULTIPLIERS[1 : rows.shape[1] + 1] + _as_words(target[:, None])[:, 0] * _MULTIPLIERS[0]
    return int(_mixed(hashes).sum(dtype=np.uint64))


def fingerprint_of_ids(ids: NDArray[np.uint64]) -> int:
    """The same from the samples' own names."""
    parts = (ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK))
    return sum(int(_mixed(part).sum(dtype=np.uint64)) for part in parts) % 2**64


def numbered(names: NDArray[np.uint64], numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A name for each pair of a name and a number, such as the position of a pixel in its image, [N]."""
    return _mixed(names + numbers.astype(np.uint64) * np.uint64(_OF_NUMBERS))


def _hash_of(name: object, what: str, row: int) -> int:
    if isinstance(name, str):
        content = b"s" + name.encode("utf-8", "surrogatepass")
    elif isinstance(name, bytes):
        content = b"b" + name
    elif isinstance(name, (int, np.integer)) and not isinstance(name, bool):
        if 0 <= name < 2**64:
            return int(_mixed(np.array([name], dtype=np.uint64) ^ np.uint64(_OF_NUMBERS))[0])
        content = b"i%d" % int(name)
    else:
        raise EvidenceError(f"{what} must be strings or whole numbers, but {what}[{row}] is {name!r}")
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer (Steele, Lea and Flood 2014): nearby numbers become unlike."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)), dtype=np.uint64)


def _as_words(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Rows of numbers [N, W] as unsigned words that differ where the numbers do, two small numbers a word if even."""
    values = _canonical(np.ascontiguousarray(values))
    size = values.dtype.itemsize
    if size == 8:
        return values.view(np.uint64)
    if size == 4 and values.shape[1] % 2 == 0:
        return values.view(np.uint64)
    return values.view(f"u{size}").astype(np.uint64)


def _sampled(array: NDArray[Any], most: int) -> NDArray[Any]:
    """Up to so many numbers out of each row, evenly spread."""
    table = array.reshape(len(array), -1)
    return table[:, :: -(-table.shape[1] // most)]


def _arrays(inputs: Any, *, strict: bool = False) -> list[NDArray[Any]]:
    """The arrays among the inputs of a batch, in a fixed order.

    Where `strict`, an error for a part that is none; otherwise such parts are left out, as are other devices' tensors.
    """
    if hasattr(inputs, "shape"):
        if strict or getattr(getattr(inputs, "device", None), "type", "cpu") == "cpu":
            array = to_numpy(inputs)
            if array.ndim == 0:
                return []
            if array.dtype.kind in "fiub" and array.dtype.itemsize <= 8:
                return [array]
    elif isinstance(inputs, Mapping):
        return [array for key in sorted(inputs, key=str) for array in _arrays(inputs[key], strict=strict)]
    elif isinstance(inputs, (tuple, list)):
        return [array for part in inputs for array in _arrays(part, strict=strict)]
    if strict:
        raise EvidenceError(
            f'ids="content" hashes arrays and tensors of numbers, and these inputs hold a {type(inputs).__name__}; '
            "give ids= as a list"
        )
    return []


def _canonical(array: NDArray[Any]) -> NDArray[Any]:
    """Floats with one zero and one NaN."""
    if array.dtype.kind != "f":
        return array
    array = array + array.dtype.type(0)
    missing = np.isnan(array)
    if missing.any():
        array[missing] = np.nan
    return array


def _row_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Each row's bytes, uint8 [N, B]."""
    rows = np.ascontiguousarray(_canonical(array)).reshape(len(array), -1)
    return rows.view(np.uint8) if rows.size else np.zeros((len(array), 0), dtype=np.uint8)
