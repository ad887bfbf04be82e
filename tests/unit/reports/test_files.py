"""The files of a report, each written at once or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_modelgate import ModelgateError
from pytest_modelgate.reports.files import write_reports
from pytest_modelgate.reports.report import Report


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_three_files_are_written_into_a_folder_that_git_ignores(report: Report, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "report"
    paths = write_reports(report, folder)

    assert [path.name for path in paths] == ["report.json", "report.md", "report.html"]
    assert names(folder) == [".gitignore", "report.html", "report.json", "report.md"]
    assert (folder / ".gitignore").read_text() == "*\n"
    assert Report.from_json((folder / "report.json").read_text(encoding="utf-8")) == report


def test_a_folder_that_was_there_keeps_its_files_and_gets_the_new_ones(report: Report, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    write_reports(report, tmp_path)

    assert names(tmp_path) == ["mine.txt", "report.html", "report.json", "report.md"]
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == report.to_json()


def test_the_files_have_the_rights_that_other_files_have(report: Report, tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    assert {path.stat().st_mode for path in write_reports(report, tmp_path)} == {usual.stat().st_mode}


def test_a_name_that_is_no_unicode_can_be_written(report: Report, tmp_path: Path) -> None:
    changed = Report.from_dict({**report.to_dict(), "headline": "Failed: \udcff"})
    write_reports(changed, tmp_path)
    assert Report.from_json((tmp_path / "report.json").read_text(encoding="utf-8")) == changed


def test_a_folder_that_cannot_be_made_is_named(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelgateError, match=r"file.*--modelgate-report-dir"):
        write_reports(report, tmp_path / "file" / "report")


def test_a_file_that_cannot_be_replaced_is_named_and_nothing_is_left_behind(report: Report, tmp_path: Path) -> None:
    (tmp_path / "report.md").mkdir()
    with pytest.raises(ModelgateError, match=r"report\.md"):
        write_reports(report, tmp_path)
    assert names(tmp_path) == ["report.json", "report.md"]


def test_a_reader_never_sees_half_a_file(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was there stays until the new file is whole."""
    (tmp_path / "report.json").write_text("old")
    seen = []

    def replace(source: str, target: Path) -> None:
        seen.append((os.path.dirname(source) == str(tmp_path), Path(source).read_text(encoding="utf-8")))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write_reports(report, tmp_path)

    assert seen == [(True, report.to_json())]
    assert names(tmp_path) == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "old"
