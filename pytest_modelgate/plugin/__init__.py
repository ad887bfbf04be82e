"""The pytest plugin: options, fixtures, the record, the report. Nothing heavy is imported until a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelgate import recording
from pytest_modelgate.plugin.fixtures import (
    evaluate_model,
    load_model,
    modelgate_baseline,
    modelgate_device,
    train_model,
    train_models,
)
from pytest_modelgate.plugin.options import OPTIONS, Options, add_options
from pytest_modelgate.plugin.recorder import RECORDER, Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from pytest import Collector, Config, Parser

    from pytest_modelgate.plugin.baselining import SessionBaseline
    from pytest_modelgate.plugin.looks import Looks
    from pytest_modelgate.plugin.mutating import Mutation

__all__ = [
    "evaluate_model",
    "load_model",
    "modelgate_baseline",
    "modelgate_device",
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_unconfigure",
    "train_model",
    "train_models",
]

MUTATION: pytest.StashKey[Mutation] = pytest.StashKey()


def pytest_addoption(parser: Parser) -> None:
    add_options(parser)


def pytest_collect_file(file_path: Path, parent: Collector) -> Collector | None:
    if f".{file_path.name.lower()}".endswith((".modelgate.yaml", ".modelgate.yml")):  # near names are told, not left
        from pytest_modelgate.plugin.gatefiles import GateFileNode

        return GateFileNode.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    from pytest_modelgate.plugin.gatefiles import share

    share(node)


def pytest_configure(config: Config) -> None:
    options = Options.from_config(config)
    config.stash[OPTIONS] = options
    worker = getattr(config, "workerinput", None)
    journal = None
    if worker is not None:
        journal = worker.get("modelgate_journal")
    elif options.reports and not config.option.collectonly:
        from pytest_modelgate.plugin.reporting import Reporter

        reporter = Reporter(config, options)
        config.pluginmanager.register(reporter, "modelgate-reporter")
        journal = str(reporter.journal)
    config.addinivalue_line(
        "markers",
        "modelgate(confidence=0.95, if_unsure='estimate'): how sure the gates of a test, a class or a file must be, "
        "and the colour of INCONCLUSIVE, where a gate does not say",
    )
    mutation = None
    if options.mutate and journal is not None:
        from pytest_modelgate.plugin.mutating import Mutation

        mutation = config.stash[MUTATION] = Mutation()
    recorder = Recorder(
        baseline=lambda: _baseline(config),
        confidence=options.confidence,
        if_unsure=options.if_unsure,
        worker="" if worker is None else worker["workerid"],
        journal=journal,
        junit=bool(config.getoption("xmlpath", None)),
        looks=lambda: _looks(config),
        mutation=mutation,
    )
    config.stash[RECORDER] = recorder
    config.pluginmanager.register(recorder, "modelgate-recorder")
    recording.install(recorder)


def _baseline(config: Config) -> SessionBaseline:
    from pytest_modelgate.plugin.baselining import session_baseline

    return session_baseline(config)


def _looks(config: Config) -> Looks:
    from pytest_modelgate.plugin.looks import Looks

    return Looks(config)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: Config) -> None:
    recorder = config.stash.get(RECORDER, None)
    if recorder is not None:
        recording.remove(recorder)
        recorder.close()
    mutation = config.stash.get(MUTATION, None)
    if mutation is not None:
        mutation.close()
