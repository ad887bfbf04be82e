"""What an unused plugin costs: nothing heavy is imported, looked at when each process ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "numpy", "scipy", "yaml", "jinja2", "safetensors", "hypothesis"}
WATCH = """
import atexit, json, os, sys

def write():
    name = f"modules-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}.json"
    with open(os.path.join(os.environ["MODULES_DIR"], name), "w") as file:
        json.dump(sorted(sys.modules), file)

atexit.register(write)
"""
# execnet's workers end by os._exit, which runs no atexit function: there, the last hook of the session writes.
LAST = """
import os, sys, json, pytest

@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    name = f"last-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}.json"
    with open(os.path.join(os.environ["MODULES_DIR"], name), "w") as file:
        json.dump(sorted(sys.modules), file)
"""
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_it(number, tmp_path):
    assert number < 4

@pytest.mark.skip
def test_skipped(): pass

def test_red():
    assert False
"""


@pytest.fixture
def modules(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run pytest in a process of its own; gives the top-level modules of every process when it ended."""
    folder = pytester.mkdir("modules")
    site = pytester.mkdir("site")
    (site / "sitecustomize.py").write_text(WATCH, "utf-8")
    monkeypatch.setenv("MODULES_DIR", str(folder))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # where these tests run on workers themselves
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(LAST)

    def run(*options: str, tests: str = TESTS) -> dict[str, set[str]]:
        for file in folder.iterdir():
            file.unlink()
        pytester.makepyfile(test_it=tests)
        plugins = [part for name in ("pytest_modelgate.plugin", *options[:1]) if name for part in ("-p", name)]
        pytester.runpytest_subprocess(*plugins, *options[1:])
        return {path.name: set(json.loads(path.read_text("utf-8"))) for path in sorted(folder.iterdir())}

    return run


def top_level(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("options", [(), ("-q",), ("--modelgate-seed=3", "--modelgate-confidence=0.9")], ids=" ".join)
def test_a_run_without_a_model_imports_nothing_heavy(modules: object, options: tuple[str, ...]) -> None:
    found = modules("", *options)
    assert [name.partition("-")[0] for name in found] == ["last", "modules"]
    for names in found.values():
        assert "pytest_modelgate.plugin" in names
        assert top_level(names) & HEAVY == set()


def test_workers_import_nothing_heavy_either(modules: object) -> None:
    pytest.importorskip("xdist")
    found = modules("xdist.plugin", "-n", "2")
    workers = [name for name in found if name.startswith("last-gw")]
    assert len(workers) == 2
    assert any(name.startswith("modules-main") for name in found)
    for names in found.values():
        assert "pytest_modelgate.plugin" in names
        assert top_level(names) & HEAVY == set()


def test_no_module_of_this_package_that_is_not_needed(modules: object) -> None:
    found = modules("")
    ours = {name for name in set().union(*found.values()) if name.startswith("pytest_modelgate.")}
    assert not any(name.startswith(("pytest_modelgate.metrics", "pytest_modelgate.reports")) for name in ours)
    assert "pytest_modelgate.plugin.reporting" not in ours


def test_the_check_sees_what_is_imported(modules: object) -> None:
    """The negative control: the same look at a session that uses numpy."""
    found = modules("", tests="def test_it():\n    import numpy\n")
    assert all("numpy" in names for names in found.values())


def test_gates_on_counts_need_no_torch(modules: object) -> None:
    tests = (
        "import pytest_modelgate as mg\ndef test_it():\n"
        "    mg.assert_recall_at_least(mg.ConfusionMatrix([[9, 1], [1, 99]]), 0.5)\n"
    )
    for options in ((), ("--modelgate-report",)):
        for names in modules("", *options, tests=tests).values():
            assert "numpy" in names
            assert top_level(names) & {"torch", "yaml", "safetensors", "hypothesis"} == set()


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, json, pytest_modelgate; dir(pytest_modelgate); print(json.dumps(sorted(sys.modules)))"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert top_level(set(json.loads(text))) & (HEAVY | {"pytest", "_pytest"}) == set()


@pytest.mark.parametrize("layer", ["metrics", "statistics", "evidence", "gates", "reports", "runtime"])
def test_the_layers_are_free_of_pytest(layer: str) -> None:
    """They work in a notebook: only the plugin imports pytest."""
    import pytest_modelgate

    for file in (Path(pytest_modelgate.__file__).parent / layer).rglob("*.py"):
        text = file.read_text("utf-8")
        assert "import pytest\n" not in text
        assert "from pytest import" not in text


def test_no_autouse_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(request): print('FIXTURES', sorted(request.fixturenames))")
    result = pytester.runpytest("-s", "--setup-show", "-p", "no:benchmark")
    result.stdout.fnmatch_lines(["*FIXTURES ['request']*".replace("[", "[[]")])
    assert "SETUP " not in result.stdout.str()


def test_every_fixture_is_of_the_session_and_documented(pytester: pytest.Pytester) -> None:
    lines = pytester.runpytest("--fixtures").stdout.str().splitlines()
    starts = [number for number, line in enumerate(lines) if "pytest_modelgate/" in line]
    assert sorted(lines[number].split(" -- ")[0] for number in starts) == [
        f"{name} [session scope]"
        for name in (
            "evaluate_model", "load_model", "modelgate_baseline", "modelgate_device", "train_model", "train_models"
        )
    ]  # fmt: skip
    assert all(lines[number + 1].strip() for number in starts)


def test_the_plugin_is_found_by_its_entry_point(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(modelgate_device): pass")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_plugin_can_be_blocked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest_modelgate as mg\n"
        "def test_it():\n    mg.assert_recall_at_least(mg.ConfusionMatrix([[9, 1], [1, 99]]), 0.5)\n"
    )
    pytester.runpytest_subprocess("-p", "no:modelgate", "-p", "no:cacheprovider").assert_outcomes(passed=1)
