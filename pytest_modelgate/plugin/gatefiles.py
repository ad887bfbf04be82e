"""Gate files, collected by pytest: each gate of a `*.modelgate.yaml` file is a test."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _pytest
import pytest

from pytest_modelgate import recording
from pytest_modelgate.exceptions import GateFailure, GateFileError, ModelgateError
from pytest_modelgate.plugin.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest._code.code import ExceptionInfo, ExceptionRepr, Traceback
    from pytest import Config, TerminalReporter, TestReport

    from pytest_modelgate.gatefiles.definitions import GateFile, GateSpec
    from pytest_modelgate.gatefiles.running import Runner

_PACKAGE = Path(__file__).parent.parent
_PYTEST = str(Path(_pytest.__file__).parent) + os.sep
_RUNNER = pytest.StashKey["Runner"]()
_FOLDER = pytest.StashKey[Path]()


def session_runner(config: Config) -> Runner:
    """What settles the gates of this session's gate files."""
    if _RUNNER not in config.stash:
        config.stash[_RUNNER] = _make(config)
    return config.stash[_RUNNER]


def _make(config: Config) -> Runner:
    from pytest_modelgate.gatefiles.running import Runner
    from pytest_modelgate.gatefiles.sharing import Store

    options = config.stash[OPTIONS]
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    folder = worker.get("modelgate_shared")
    store = Store(None if folder is None or options.mutate else Path(folder))

    def device() -> Any:
        from pytest_modelgate.runtime.devices import resolve_device

        return store.once("device", lambda: resolve_device(options.device))

    def train(*args: Any, **kwargs: Any) -> Any:
        from pytest_modelgate.plugin.fixtures import shown, training_defaults
        from pytest_modelgate.runtime.training import train_model

        defaults = training_defaults(config, device())
        with shown(defaults["progress"]):
            trained = train_model(*args, **defaults | kwargs)
        recording.listener().history(trained.history)
        return trained

    def baseline() -> Any:
        from pytest_modelgate.plugin.baselining import session_baseline

        return session_baseline(config)

    return Runner(root=config.rootpath, store=store, device=device, seed=options.seed, train=train, baseline=baseline)


def share(node: Any) -> None:
    """Tell an xdist worker the folder where the workers of this run leave evaluations for each other."""
    config: Config = node.config
    if _FOLDER not in config.stash:
        import tempfile

        folder = config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="modelgate-"))
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        name_gates(config)
    node.workerinput["modelgate_shared"] = str(config.stash[_FOLDER])


def name_gates(config: Config) -> None:
    """Let JUnit files and the summary of a run name gates as they are, in the process that writes them."""
    if hasattr(config, "workerinput") or config.pluginmanager.has_plugin("modelgate-names"):
        return
    from _pytest.junitxml import xml_key

    config.pluginmanager.register(_Names(config.stash.get(xml_key, None)), "modelgate-names")


class _Names:
    """The names of gates. pytest 9.2 takes "[" for the beginning of a test's parameters, and ends them with "]"."""

    def __init__(self, xml: Any) -> None:
        self._xml = xml

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: TestReport) -> None:
        name = _gate(report.nodeid)
        if name and self._xml is not None:
            self._xml.node_reporter(report).add_attribute("name", name)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        for reports in terminalreporter.stats.values():
            for report in reports:
                name = _gate(getattr(report, "nodeid", ""))
                if name and hasattr(report, "_id"):
                    report._id = dataclasses.replace(report._id, names=(name,), params=None)


def _gate(nodeid: str) -> str:
    """The name of a gate in a gate file; empty for any other test."""
    path, _, name = nodeid.partition("::")
    return name if path.endswith(".modelgate.yaml") else ""


class GateFileNode(pytest.File):
    """A gate file."""

    def collect(self) -> Iterator[Gate]:
        from pytest_modelgate.gatefiles.reading import read_gate_file

        if not self.path.name.endswith(".modelgate.yaml"):
            raise self.CollectError(f"{self.path.name}: a gate file's name ends in .modelgate.yaml; rename it")
        try:
            file = read_gate_file(self.path, root=self.config.rootpath)
        except ModelgateError as error:
            raise self.CollectError(str(error)) from None
        session_runner(self.config).expect(file)
        name_gates(self.config)
        titles: Counter[str] = Counter()
        stems: Counter[str] = Counter()
        for gate in file.gates:
            titles[gate.title] += 1
            stems[gate.stem] += 1
            name = _numbered(gate.title, titles[gate.title])
            yield Gate.from_parent(
                self,
                name=name,
                nodeid=f"{self.nodeid}::{name}",  # as text, which pytest reads back as it reads those of its cache
                key=f"{self.nodeid}::{_numbered(gate.stem, stems[gate.stem])}",
                file=file,
                gate=gate,
            )


class Gate(pytest.Item):
    """A gate of a gate file.

    Attributes:
        baseline_key: what a baseline knows it by, which stays when its bar moves.
    """

    def __init__(self, *, key: str, file: GateFile, gate: GateSpec, **more: Any) -> None:
        super().__init__(**more)
        self.baseline_key = key
        self._file = file
        self._gate = gate

    def runtest(self) -> None:
        session_runner(self.config).settle(self._file, self._gate)

    def reportinfo(self) -> tuple[Path, int, str]:
        # Not the name alone: pytest would write a point in it, that of a bar, as "::" in its lines.
        return self.path, self._gate.line - 1, f"{self._file.shown}:{self._gate.line}: {self.name}"

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> str | ExceptionRepr:
        error = excinfo.value
        if isinstance(error, (GateFailure, ModelgateError)):
            return self._sentence(excinfo)
        chosen = self.config.getoption("tbstyle", "auto")
        full = self.config.getoption("fulltrace", False)
        if not full and not self._users(excinfo):
            return self._sentence(excinfo)
        return excinfo.getrepr(
            style="long" if chosen == "auto" else chosen,
            tbfilter=True if full else self._users,
            showlocals=self.config.getoption("showlocals", False),
        )

    def _sentence(self, excinfo: ExceptionInfo[BaseException]) -> ExceptionRepr:
        """The error's own words and the gate's place, without a traceback."""
        error = excinfo.value
        shown, line = self._file.shown, self._gate.line
        text = str(error) if isinstance(error, (GateFailure, ModelgateError)) else excinfo.exconly()
        if isinstance(error, ModelgateError) and not isinstance(error, GateFileError):
            text = f"{shown}:{line}: {text}"
        told: Any = excinfo.getrepr(style="value")
        entry = told.reprtraceback.reprentries[-1]
        entry.lines[:] = text.splitlines()
        if told.reprcrash is not None:
            place = type(told.reprcrash)
            told.reprcrash = place(shown, line, text)
            told.reprtraceback.reprentries[-1].reprfileloc = place(shown, line, type(error).__name__)
            told.chain = [(told.reprtraceback, told.reprcrash, None)]
        return told  # type: ignore[no-any-return]

    def _users(self, excinfo: ExceptionInfo[BaseException]) -> Traceback:
        """The frames of the project's own code; where there are none, those below pytest's and ours."""
        trace = excinfo.traceback
        root = str(self.config.rootpath) + os.sep
        own = trace.filter(lambda entry: str(entry.path).startswith(root) and not _is_foreign(str(entry.path)))
        if not own:
            last = max((number for number, entry in enumerate(trace) if _runs_gates(str(entry.path))), default=-1)
            own = trace[last + 1 :].filter(lambda entry: "importlib" not in str(entry.path))
        return own


def _is_foreign(path: str) -> bool:
    """Whether a file belongs to an environment that lies in the project's folder, or to this package."""
    return "site-packages" in path or path.startswith(str(_PACKAGE) + os.sep)


def _runs_gates(path: str) -> bool:
    """Whether a file belongs to what runs a gate: this package, or pytest."""
    return path.startswith((str(_PACKAGE) + os.sep, _PYTEST))


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} #{number}"
