"""The logs of other tools: rows of cells out of CSV and JSON, and what their columns and cells mean."""

from __future__ import annotations

__tracebackhide__ = True

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from pytest_modelgate.exceptions import EvidenceError, did_you_mean

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_USUAL = {
    "epoch": ("epoch", "epochs"),
    "train_loss": ("train_loss", "loss", "training_loss", "loss_train"),
    "val_loss": ("val_loss", "valid_loss", "validation_loss", "eval_loss", "dev_loss", "loss_val", "loss_validation"),
}
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a log: where it stands, for messages, and its cells as they were written."""

    where: str
    cells: Mapping[str, Any]

    def number(self, column: str) -> float | None:
        """The number in a cell; None where it is empty; an `EvidenceError` where it holds anything else."""
        cell = self.cells.get(column)
        if cell is None or cell == "":
            return None
        if not _is_number(cell):
            raise EvidenceError(f"{self.where}, column {column!r}: {cell!r} is no number")
        return float(cell)

    def values(self, names: Mapping[str, str]) -> dict[str, float]:
        """What the row logs, by the history's names."""
        found = {name: self.number(column) for column, name in names.items() if name != "epoch"}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Log:
    """The rows of one log, and its name, such as the path of its file."""

    name: str
    rows: list[Row]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in the order in which they came."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.cells))

    def named(self, columns: Mapping[str, str | None] | None, known: Mapping[str, str] | None = None) -> dict[str, str]:
        """The history's name of each column that it takes: as `columns` says, else as losses are often called.

        Args:
            columns: names in the log and in the history; None leaves a column out.
            known: the columns to take, and what the tool's own prefixes and suffixes make of them; default all.

        Raises:
            EvidenceError: a column that the log does not have, two for one name, or none that holds numbers.
        """
        known = {column: column for column in self.columns} if known is None else known
        asked = dict(columns or {})
        choices = tuple(dict.fromkeys((*known, *known.values())))
        for column in asked:
            if column not in choices:
                hint = did_you_mean(column, choices)
                raise EvidenceError(f"{self.name} has no column {column!r}{hint} (it has {listed(choices)})")
        names: dict[str, str] = {}
        for column, base in known.items():
            given = next((one for one in (column, base) if one in asked), None)
            name = _usual(base) if given is None else asked[given]
            # A column of dates or names is no error: it is not for a history.
            if name is None or (name not in _USUAL and given is None and not self._has_numbers(column)):
                continue
            other = next((one for one, taken in names.items() if taken == name), None)
            if other is not None:
                raise EvidenceError(
                    f"{self.name}: the columns {other!r} and {column!r} are both taken for {name}; leave one out with "
                    f"columns={{{column!r}: None}}, or rename it"
                )
            names[column] = name
        if not set(names.values()) - {"epoch"}:
            raise EvidenceError(f"{self.name} has no column of numbers beside the epoch: it has {listed(self.columns)}")
        return names

    def _has_numbers(self, column: str) -> bool:
        return any(_is_number(row.cells.get(column)) for row in self.rows)


def read_csv(source: Any) -> Log:
    """The rows of a CSV file with a header; the delimiter is a comma, else a semicolon or a tab."""
    name, text = _text(source, "a CSV file")
    header = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=next((mark for mark in ",;\t" if mark in header), ","))
    names: list[str] = []
    rows = []
    try:
        for cells in reader:
            where = f"{name}, line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                if twice := [one for one in names if one and names.count(one) > 1]:
                    raise EvidenceError(f"{where}: two columns are called {twice[0]!r}")
                continue
            if len(cells) != len(names):
                raise EvidenceError(f"{where} has {len(cells)} cells, and the header {len(names)}: is it cut off?")
            # pandas writes its index as a column without a name.
            rows.append(Row(where, {key: cell.strip() for key, cell in zip(names, cells, strict=True) if key}))
    except csv.Error as error:
        raise EvidenceError(f"{name}, line {reader.line_num} is no CSV: {error}") from error
    if not rows:
        raise EvidenceError(f"{name} {'has a header and no row' if names else 'is empty'}: nothing was logged")
    return Log(name, rows)


def read_json(source: Any) -> tuple[str, Any]:
    """A document and its name: out of a file, a text that starts with a bracket (no path does), or as it is."""
    if isinstance(source, (Mapping, list)):
        return "this history", source
    if isinstance(source, str) and source.lstrip()[:1] in ("{", "["):
        name, text = "this text", source
    else:
        name, text = _text(source, "a JSON file")
    if not text.strip():
        raise EvidenceError(f"{name} is empty: nothing was logged")
    try:
        return name, json.loads(text)
    except ValueError as error:
        raise EvidenceError(f"{name} is no JSON: {error}") from error


def log_of(name: str, entries: Iterable[Any]) -> Log:
    """A log from mappings, one a row."""
    rows = []
    for count, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping):
            raise EvidenceError(f"{name}, entry {count} is no object: {entry!r}")
        rows.append(Row(f"{name}, entry {count}", {str(key): cell for key, cell in entry.items()}))
    if not rows:
        raise EvidenceError(f"{name} holds no entry: nothing was logged")
    return Log(name, rows)


def log_of_series(name: str, series: Mapping[str, Any]) -> Log:
    """A log from a list for each name, as Keras' `history.history` is."""
    lists = {str(key): values for key, values in series.items() if isinstance(values, (list, tuple))}
    if not lists:
        raise EvidenceError(
            f"{name} is no history: it has {listed(series)}, and neither the key 'epochs' nor a list for each name"
        )
    lengths = {key: len(values) for key, values in lists.items()}
    short, long = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
    if lengths[short] != lengths[long]:
        raise EvidenceError(
            f"{name}: {short!r} has {lengths[short]} values and {long!r} {lengths[long]}, so nobody can tell of which "
            "epochs they are: put null where nothing was logged"
        )
    return log_of(name, [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)])


def file_in(path: Path, file: str, runs: str) -> Path:
    """The file at a path, or the one of this name in the folder there; of several runs none is picked."""
    if not path.is_dir():
        return path
    if (path / file).is_file():
        return path / file
    folders = sorted(one.parent for one in path.glob(f"{runs}/{file}"))
    if folders:
        raise EvidenceError(f"there is no file {path / file}; which run is meant: {either(folders)}?")
    raise EvidenceError(f"there is no file {path / file}, and none in folders {path / runs}")


def listed(names: Iterable[object]) -> str:
    """Names as a message shows them: the first few.

    >>> listed(["epoch", "loss"]), listed([])
    ("'epoch', 'loss'", 'nothing')
    """
    every = [repr(name) for name in names] or ["nothing"]
    return ", ".join(every[:_SHOWN]) + (", ..." if len(every) > _SHOWN else "")


def either(paths: Sequence[Path]) -> str:
    """Paths as a message shows them."""
    return " or ".join(map(str, paths))


def _text(source: Any, what: str) -> tuple[str, str]:
    """The name of a file, or of one that is open, and what it holds."""
    if hasattr(source, "read"):
        name, content = str(getattr(source, "name", "this file")), source.read()
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        name = str(path)
        if path.is_dir():
            raise EvidenceError(f"{name} is a folder: give the path of {what} in it")
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise EvidenceError(f"there is no file {name} (looked for {path.absolute()})") from None
        except OSError as error:
            raise EvidenceError(f"{name} cannot be read: {error}") from error
    else:
        raise EvidenceError(f"give the path of {what}, or one that is open, not {type(source).__name__}: {source!r}")
    if isinstance(content, str):
        return name, content.removeprefix("\ufeff")
    try:
        return name, content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvidenceError(f"{name} is no text in UTF-8: {error}") from error


def _usual(name: str) -> str:
    """What the history calls a column: the losses and the epoch go by many names.

    >>> _usual("valid_loss"), _usual("Loss/train"), _usual("val_recall")
    ('val_loss', 'train_loss', 'val_recall')
    """
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return next((own for own, others in _USUAL.items() if plain in others), name)


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str):
        return _NUMBER.fullmatch(cell) is not None
    return isinstance(cell, Real) and not isinstance(cell, bool)
