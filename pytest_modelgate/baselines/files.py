"""A baseline's two files: a reviewable JSON with one line a verdict, and beside it the outcomes of the samples."""

from __future__ import annotations

__tracebackhide__ = True

import json
import os
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_modelgate.baselines.baseline import Baseline
from pytest_modelgate.baselines.entry import Entry
from pytest_modelgate.baselines.parsing import parse
from pytest_modelgate.baselines.samples import StoredSamples, pack, unpack
from pytest_modelgate.exceptions import EvidenceError, ModelgateError
from pytest_modelgate.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping

_HALVES = re.compile("[\ud800-\udfff]")
_DEFAULTS = {field.name: field.default for field in fields(Entry) if field.default is not MISSING}


def read(path: str | os.PathLike[str]) -> Baseline | None:
    """The baseline in a file; None where there is no such file.

    Raises:
        EvidenceError: a file that is no baseline, is cut off, has a merge conflict or a newer schema, or whose samples
            are missing or not those that were recorded. The message names file and line.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EvidenceError(f"{file}: the baseline cannot be read: {error.strerror or error}") from error
    document = parse(content, file.name)
    wanted = {entry.samples for _, entry in document.entries if entry.samples is not None}
    lines: dict[object, int] = {}
    for line, entry in document.entries:
        if entry.key in lines:
            raise EvidenceError(f"{file.name}:{line}: this verdict stands at line {lines[entry.key]} already: {entry}")
        lines[entry.key] = line
    return Baseline(
        entries=tuple(entry for _, entry in document.entries),
        samples=_read_samples(file, wanted) if wanted else {},
        provenance=document.provenance,
        schema=document.schema,
    )


def write(path: str | os.PathLike[str], baseline: Baseline) -> None:
    """Write a baseline, so that a reader (or a crash) finds the old one or the new one whole.

    First the samples of both, then the verdicts, then the samples of the new one alone.

    Raises:
        ModelgateError: a file cannot be written.
    """
    file = Path(path)
    beside = samples_file(file)
    old = _whatever_is_there(beside)
    used = {entry.samples for entry in baseline.entries}
    new = {key: one for key, one in baseline.samples.items() if key in used}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not new.keys() <= old.keys():
            replace_file(beside, pack({**old, **new}))
        replace_file(file, to_text(baseline).encode("utf-8"))
        if new:
            replace_file(beside, pack(new))
        else:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ModelgateError(
            f"cannot write the baseline to {file} ({error.strerror or error}): choose another file with "
            "--modelgate-baseline"
        ) from error


def samples_file(path: str | os.PathLike[str]) -> Path:
    """Where the samples of a baseline are: beside it, with the suffix .npz."""
    return Path(path).with_suffix(".npz")


def to_text(baseline: Baseline) -> str:
    """The baseline as JSON text: where it comes from, then one line a verdict, ordered by key."""
    provenance = [f"  {_json(str(name))}: {_json(value)}" for name, value in baseline.provenance.items()]
    entries = [f"  {_json(_plain(entry))}" for entry in baseline.entries]
    parts = {
        "schema": str(baseline.schema),
        "provenance": _block("{", provenance, "}"),
        "entries": _block("[", entries, "]"),
    }
    return "{\n" + ",\n".join(f" {_json(name)}: {text}" for name, text in parts.items()) + "\n}\n"


def _block(begin: str, lines: list[str], end: str) -> str:
    return f"{begin}\n" + ",\n".join(lines) + f"\n {end}" if lines else begin + end


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # Half a pair of surrogates, as in a file's name that is not UTF-8, can be written as an escape only.
    return text if text.isascii() or not _HALVES.search(text) else json.dumps(value, allow_nan=False)


def _plain(entry: Entry) -> dict[str, Any]:
    """The entry without what is as by default."""
    plain: dict[str, Any] = {field.name: getattr(entry, field.name) for field in fields(entry)}
    order = ("test", "gate", *_DEFAULTS)
    kept = {name: plain[name] for name in (*order, *plain) if name not in _DEFAULTS or plain[name] != _DEFAULTS[name]}
    last = ("samples", "data")
    return {name: kept[name] for name in (*(n for n in kept if n not in last), *(n for n in last if n in kept))}


def _read_samples(file: Path, wanted: set[str]) -> Mapping[str, StoredSamples]:
    beside = samples_file(file)
    both = f"{file.name} and {beside.name} do not belong together"
    remedy = "restore both from the same commit, or record anew with --modelgate-update-baseline"
    try:
        found = unpack(beside.read_bytes())
    except FileNotFoundError:
        raise EvidenceError(f"{both}: there is no {beside}; {remedy}") from None
    except OSError as error:
        raise EvidenceError(
            f"{beside}: the samples of {file.name} cannot be read: {error.strerror or error}"
        ) from error
    except EvidenceError as error:
        raise EvidenceError(f"{both}: {beside}: {error}; {remedy}") from None
    missing = wanted - found.keys()
    if missing:
        raise EvidenceError(f"{both}: the samples {min(missing)} are not in {beside}; {remedy}")
    return {key: found[key] for key in sorted(wanted)}


def _whatever_is_there(beside: Path) -> dict[str, StoredSamples]:
    """The samples that the old baseline may need until the new one stands; what cannot be read is of no use to it."""
    try:
        return unpack(beside.read_bytes())
    except (OSError, EvidenceError):
        return {}
