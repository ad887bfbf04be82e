"""The report of a run: exists only where one was asked for, in the process that prints to the terminal."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelgate.exceptions import ModelgateError
from pytest_modelgate.plugin.baselining import check_baseline, settle_baseline, unsettled
from pytest_modelgate.plugin.provenance import provenance
from pytest_modelgate.reports.baseline import fails
from pytest_modelgate.reports.files import cannot_write, make_folder, write_reports
from pytest_modelgate.reports.merge import build_report
from pytest_modelgate.reports.terminal import summary_lines

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from pytest import CollectReport, Config, Session, TerminalReporter, TestReport

    from pytest_modelgate.plugin.options import Options
    from pytest_modelgate.reports.merge import Row
    from pytest_modelgate.reports.report import Report

_FILES = ("report.json", "report.md", "report.html")


class Reporter:
    """Gathers the order and outcomes of the tests, merges the journals, writes and prints the report."""

    def __init__(self, config: Config, options: Options) -> None:
        self._config = config
        self._options = options
        self._folder = config.invocation_params.dir / options.report_dir
        self.journal: Path = self._folder / f"journal-{os.getpid()}-{time.time_ns()}"
        self._order: list[str] = []
        self._outcomes: dict[str, str] = {}
        self._crashed: list[str] = []
        self._not_collected = 0
        self._started = datetime.now(timezone.utc)
        self._report: Report | None = None
        self._error: str | None = None
        self._begun = False
        self._deselected = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker where its journal goes."""
        node.workerinput["modelgate_journal"] = str(self.journal)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Every worker collects the same tests in the same order."""
        self._order = self._order or list(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """An xdist worker ended; with an error it crashed."""
        if error:
            self._crashed.append(node.gateway.id)

    def pytest_collectreport(self, report: CollectReport) -> None:
        self._not_collected += report.failed

    def pytest_deselected(self) -> None:
        self._deselected = True

    def pytest_collection_finish(self, session: Session) -> None:
        self._order = self._order or [item.nodeid for item in getattr(session, "items", ())]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Make the folder before any work is done, and take an older report away, lest it be taken for this run's."""
        try:
            check_baseline(self._config)
            make_folder(self._folder)
            self.journal.mkdir()
            for name in _FILES:
                (self._folder / name).unlink(missing_ok=True)
        except ModelgateError as error:
            raise pytest.UsageError(str(error)) from None
        except OSError as error:
            raise pytest.UsageError(cannot_write(self._folder, error)) from None
        self._begun = True

    def pytest_runtest_logreport(self, report: TestReport) -> None:
        outcome = _outcome(report)
        if outcome is not None and self._outcomes.get(report.nodeid) not in ("failed", "error"):
            self._outcomes[report.nodeid] = outcome

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: Session, exitstatus: int) -> Generator[None, None, None]:
        """After xdist's workers have ended, and before the terminal's summary."""
        yield
        if not self._begun:
            return
        status = int(exitstatus)
        entries = list(self._entries())
        about = provenance(self._config, self._options, self._started)

        def against(rows: Sequence[Row], evaluations: Sequence[Row]) -> dict[str, Any] | None:
            try:
                return settle_baseline(
                    self._config,
                    self.journal,
                    entries,
                    rows,
                    evaluations,
                    ran=self._outcomes,
                    collected=self._order,
                    whole=self._whole(),
                    provenance=about,
                )
            except ModelgateError as error:  # the report of the run must still be written, and says it
                return unsettled(self._options, str(error))

        self._report = build_report(
            entries,
            order=self._order,
            outcomes=self._outcomes,
            why_incomplete=self._why_incomplete(session, status),
            failed=status not in (0, 5),
            provenance=about,
            mutated=self._options.mutate,
            minimum=self._options.mutate_min,
            against=against,
        )
        few = self._report.mutation is not None and self._report.mutation["enough"] is False
        if few or fails(self._report.baseline):
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        try:
            write_reports(self._report, self._folder)
        except Exception as error:
            # Whatever it is, the run's own summary must still appear; it is shown there, and the run is red.
            self._error = f"the report could not be written: {type(error).__name__}: {error}"
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        else:
            shutil.rmtree(self.journal, ignore_errors=True)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self._report is None:
            return
        terminalreporter.section("modelgate")
        encoding = getattr(terminalreporter._tw._file, "encoding", None) or "ascii"
        unicode = encoding.lower().replace("-", "").startswith("utf")
        for line, style in summary_lines(self._report, width=terminalreporter._tw.fullwidth, unicode=unicode):
            terminalreporter.write_line(line, **dict.fromkeys(style.split(), True))
        if self._error is not None:
            terminalreporter.write_line(self._error, red=True)
            return
        shown = os.path.relpath(self._folder, self._config.invocation_params.dir)
        shown = str(self._folder) if shown.startswith("..") else shown
        terminalreporter.write_line(f"written to {shown}: {', '.join(_FILES)}")

    def _whole(self) -> bool:
        """Whether no test was left out by choice: of a selection nobody can tell which tests are no more."""
        option = self._config.option
        chosen = (getattr(option, name, None) for name in ("keyword", "markexpr", "lf", "deselect", "last_failed"))
        return not (self._deselected or any(chosen) or any("::" in argument for argument in self._config.args))

    def _entries(self) -> Iterator[dict[str, Any]]:
        """What the processes wrote; a last line that a crash cut off is not counted."""
        for file in sorted(self.journal.glob("*.jsonl")):
            for line in file.read_text(encoding="utf-8", errors="surrogateescape").split("\n"):
                if line.endswith("}"):
                    yield from _parsed(line)

    def _why_incomplete(self, session: Session, status: int) -> str | None:
        if self._crashed:
            names = ", ".join(sorted(self._crashed))
            return f"worker{'s' if len(self._crashed) > 1 else ''} {names} crashed"
        if self._not_collected:
            files = "file" if self._not_collected == 1 else "files"
            return f"{self._not_collected} {files} could not be collected"
        stopped = session.shouldfail or session.shouldstop
        missing = len(set(self._order) - self._outcomes.keys())
        if status == pytest.ExitCode.INTERNAL_ERROR:
            return "pytest had an internal error"
        if missing or status == pytest.ExitCode.INTERRUPTED:
            if isinstance(stopped, str):
                return stopped
            return "it was interrupted" if status == pytest.ExitCode.INTERRUPTED else "it was stopped"
        return None


def _parsed(line: str) -> Iterator[dict[str, Any]]:
    try:
        entry = json.loads(line)
    except ValueError:  # the line of a process that was killed while it wrote
        return
    yield entry


def _outcome(report: TestReport) -> str | None:
    """What a phase's report says of its test; None where it says nothing new."""
    if report.when == "call" or (report.when == "setup" and report.skipped):
        if hasattr(report, "wasxfail"):
            return "xfailed" if report.skipped else "xpassed"
        return {"passed": "passed", "failed": "failed", "skipped": "skipped"}.get(report.outcome)
    if report.failed:
        return "error" if report.when in ("setup", "teardown") else "failed"
    return None
