"""Writes the files of a report, each at once or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import ModelgateError
from pytest_modelgate.reports import html, markdown

if TYPE_CHECKING:
    from pytest_modelgate.reports.report import Report


def write_reports(report: Report, directory: str | os.PathLike[str]) -> list[Path]:
    """Writes `report.json`, `report.md` and `report.html`, and gives their paths.

    A folder that is made here gets a `.gitignore` that keeps all of it out of the repository.
    Raises `ModelgateError` that names the path where a file or the folder cannot be written.
    """
    folder = make_folder(directory)
    # The data first: should a page fail to be drawn, the numbers are safe.
    made = [_write(folder / "report.json", report.to_json())]
    made.append(_write(folder / "report.md", markdown.render(report)))
    made.append(_write(folder / "report.html", html.render(report)))
    return made


def make_folder(directory: str | os.PathLike[str]) -> Path:
    """The folder, made where it is not there yet; `ModelgateError` where it cannot be."""
    folder = Path(directory)
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelgateError(cannot_write(folder, error)) from error
    if is_new:
        _write(folder / ".gitignore", "*\n")
    return folder


def _write(path: Path, text: str) -> Path:
    """Writes the text beside its place, then moves it there: a reader sees the old file or the new one, whole."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise ModelgateError(cannot_write(path, error)) from error
    return path


def _umask() -> int:
    """The mask of this process; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def cannot_write(path: Path, error: OSError) -> str:
    """What to tell the user."""
    reason = error.strerror or str(error)
    return f"cannot write the report to {path} ({reason}): choose another folder with --modelgate-report-dir"
