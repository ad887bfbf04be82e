"""A file of predictions, by its suffix."""

from __future__ import annotations

__tracebackhide__ = True

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from pytest_modelgate.evidence.tables.table import Table

SUFFIXES = (".npz", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")


def open_table(file: str | os.PathLike[str]) -> Table:
    """The file's columns, not yet read.

    Raises:
        EvidenceError: no such file, another suffix, a file that is not what its suffix says, or Parquet without
            pyarrow.
    """
    if not isinstance(file, (str, os.PathLike)):
        raise EvidenceError(f"file={file!r} is no path; give the path of a file of predictions")
    path = Path(file)
    name = path.name.lower()
    suffix = next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), None)
    if suffix is None:
        raise EvidenceError(f"{path} is of no known format: predictions are read from {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise EvidenceError(f"{path} is a folder" if path.is_dir() else f"there is no file {path}")
    try:
        return _open(path, suffix)
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror or error}") from error


def _open(path: Path, suffix: str) -> Table:
    if suffix == ".npz":
        from pytest_modelgate.evidence.tables.npz import NpzTable

        return NpzTable(path)
    if suffix == ".parquet":
        from pytest_modelgate.evidence.tables.parquet import ParquetTable

        return ParquetTable(path)
    if suffix.startswith(".csv"):
        from pytest_modelgate.evidence.tables.delimited import CsvTable

        return CsvTable(path)
    from pytest_modelgate.evidence.tables.jsonlines import JsonLinesTable

    return JsonLinesTable(path)
