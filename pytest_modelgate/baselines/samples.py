"""The outcome of each sample of an evaluation, without the samples' names: what a later run is compared with."""

from __future__ import annotations

__tracebackhide__ = True

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ABOUT = "about.json"
_NEVER = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, EOFError, NotImplementedError)


@dataclass(frozen=True, slots=True, eq=False)
class StoredSamples:
    """What was kept of the samples of an evaluation, ordered by their ids.

    Attributes:
        about: what they are of, as plain types: n, a digest of the ids, task, labels, outputs, threshold, loss.
        columns: by name; "target" and "misses" of two classes hold eight samples a byte.
    """

    about: Mapping[str, Any]
    columns: Mapping[str, NDArray[Any]]

    @property
    def key(self) -> str:
        """A name that depends on nothing but the content: 32 hexadecimal digits."""
        digest = blake2b(_text(self.about), digest_size=16)
        for name, column in sorted(self.columns.items()):
            digest.update(f"{name} {column.dtype.name} {column.shape}".encode())
            digest.update(_little_endian(column).data)
        return digest.hexdigest()

    @property
    def n(self) -> int:
        """How many samples."""
        return int(self.about["n"])

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, StoredSamples) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


def pack(samples: Mapping[str, StoredSamples]) -> bytes:
    """Sets of samples by their keys as the content of an .npz file; the same sets give the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, one in sorted(samples.items()):
            _add(archive, f"{key}/{_ABOUT}", _text(one.about))
            for name, column in sorted(one.columns.items()):
                content = io.BytesIO()
                np.lib.format.write_array(content, _little_endian(column), version=(1, 0), allow_pickle=False)
                _add(archive, f"{key}/{name}.npy", content.getvalue())
    return file.getvalue()


def unpack(content: bytes) -> dict[str, StoredSamples]:
    """The sets that `pack` was called on.

    Raises:
        EvidenceError: no such file, one that is cut off, or a set that does not match its key.
    """
    about: dict[str, Any] = {}
    columns: dict[str, dict[str, NDArray[Any]]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                key, _, part = name.partition("/")
                read = archive.read(name)
                if part == _ABOUT:
                    about[key] = json.loads(read)
                else:
                    array = np.lib.format.read_array(io.BytesIO(read), allow_pickle=False)
                    columns.setdefault(key, {})[part.removesuffix(".npy")] = array.astype(array.dtype.newbyteorder("="))
        found = {key: StoredSamples(one, columns.get(key, {})) for key, one in about.items()}
        if strays := columns.keys() - found.keys():
            raise EvidenceError(f"the samples {min(strays)} do not say what they are of")
        for key, stored in found.items():
            if stored.key != key:
                raise EvidenceError(f"the samples {key} are not those that were recorded: their content differs")
    except _UNREADABLE as error:
        raise EvidenceError(f"it is damaged or cut off: {error}") from error
    return found


def digest_of(column: NDArray[Any]) -> str:
    """32 hexadecimal digits that name the content of a column."""
    digest = blake2b(f"{column.dtype.name} {column.shape}".encode(), digest_size=16)
    digest.update(_little_endian(column).data)
    return digest.hexdigest()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_NEVER)
    entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
    archive.writestr(entry, content)


def _text(about: Mapping[str, Any]) -> bytes:
    return json.dumps(about, sort_keys=True, ensure_ascii=True, allow_nan=False).encode()


def _little_endian(column: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<"), copy=False)
