"""Text files, plain or gzipped: opened, and what is wrong with them told by the line."""

from __future__ import annotations

__tracebackhide__ = True

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from pytest_modelgate.exceptions import EvidenceError

_LINE_BYTES = 1 << 26


class _Lines(io.BufferedIOBase):
    """The bytes of a text file, as long as no line is so long that memory would not hold it."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._line = 0  # bytes of the line so far

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        found = self._file.read1(size)  # type: ignore[attr-defined]
        end = max(found.rfind(b"\n"), found.rfind(b"\r"))
        self._line = len(found) - end - 1 + (self._line if end < 0 else 0)
        if self._line > _LINE_BYTES:
            raise EvidenceError(f"{self._path} has a line of more than {_LINE_BYTES:,} bytes: give each sample a line")
        return bytes(found)


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where its name ends in .gz."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.name.lower().endswith(".gz") else path.open("rb")


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """The text of a file, with its line ends as they are; a byte order mark is left out.

    Raises:
        EvidenceError: the text is not UTF-8 (names the line), or what was packed is cut off or damaged.
    """
    try:
        with (
            open_bytes(path) as file,
            io.TextIOWrapper(cast(BinaryIO, _Lines(file, path)), encoding="utf-8-sig", newline="") as text,
        ):
            yield text
    except UnicodeDecodeError as error:
        raise EvidenceError(f"{_first_bad_line(path)}: the text is not UTF-8; save the file as UTF-8") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise EvidenceError(f"{path} is no gzipped file, or is cut off: {error}") from error
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror or error}") from error


def _first_bad_line(path: Path) -> str:
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return f"{path}:{number}"
    return str(path)
