"""Writes the files of a report, each at once or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import ModelgateError
from pytest_modelgate.reports import html, markdown
from pytest_modelgate.writing import replace_file

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
    """Writes the text, at once or not at all."""
    try:
        replace_file(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise ModelgateError(cannot_write(path, error)) from error
    return path


def cannot_write(path: Path, error: OSError) -> str:
    """What to tell the user."""
    reason = error.strerror or str(error)
    return f"cannot write the report to {path} ({reason}): choose another folder with --modelgate-report-dir"
