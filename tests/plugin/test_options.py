"""The options: command line over ini file over default, checked once, misuse in one line."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch

from pytest_modelgate.plugin.options import OPTIONS, Options

UNSURE = """
import pytest_modelgate as mg

UNSURE = mg.ConfusionMatrix([[40, 2], [4, 36]])  # 36 of 40 against 0.9: the data cannot tell

def test_it():
    verdict = mg.assert_recall_at_least(UNSURE, 0.9)
    print("confidence", verdict.confidence, verdict.if_unsure)
"""


def options(pytester: pytest.Pytester, *arguments: str) -> Options:
    return pytester.parseconfigure(*arguments).stash[OPTIONS]


DEFAULTS = {
    "report": False,
    "report_dir": "modelgate-report",
    "device": "auto",
    "confidence": 0.95,
    "if_unsure": "estimate",
    "seed": 0,
    "cache": "auto",
    "cache_dir": ".modelgate-cache",
    "cache_limit": "2GB",
    "baseline": "modelgate-baseline.json",
    "update_baseline": False,
    "strict_baseline": False,
    "fail_on_lowered_bar": False,
    "mutate": False,
    "mutate_min": None,
}
# name, value on the command line, as read; in the ini file, as read.
SETTINGS = [
    ("report-dir", "one", "one", "other", "other"),
    ("device", "cpu", "cpu", "auto", "auto"),
    ("confidence", "0.9", 0.9, "0.8", 0.8),
    ("if-unsure", "fail", "fail", "warn", "warn"),
    ("seed", "0", 0, "17", 17),
    ("cache", "off", "off", "auto", "auto"),
    ("cache-dir", "one", "one", "other", "other"),
    ("cache-limit", "1GB", "1GB", "300MB", "300MB"),
    ("baseline", "one.json", "one.json", "other.json", "other.json"),
]
FLAGS = ("report", "strict-baseline", "fail-on-lowered-bar")


def test_a_minimum_of_faults_asks_for_them(pytester: pytest.Pytester) -> None:
    """On the command line; in an ini file it waits for the run that mutates."""
    found = options(pytester, "--modelgate-mutate-min=0.8")
    assert (found.mutate, found.mutate_min) == (True, 0.8)
    pytester.makeini("[pytest]\nmodelgate_mutate_min = 0.7\n")
    assert (options(pytester).mutate, options(pytester).mutate_min) == (False, 0.7)
    found = options(pytester, "--modelgate-mutate", "--modelgate-mutate-min=1")
    assert (found.mutate, found.mutate_min) == (True, 1.0)
    assert options(pytester, "--modelgate-mutate").mutate_min == 0.7


def test_the_defaults(pytester: pytest.Pytester) -> None:
    assert dataclasses.asdict(options(pytester)) == DEFAULTS


@pytest.mark.parametrize(("name", "given", "read", "ini", "ini_read"), SETTINGS)
def test_command_line_over_ini_over_default(
    pytester: pytest.Pytester, name: str, given: str, read: object, ini: str, ini_read: object
) -> None:
    key = name.replace("-", "_")
    assert getattr(options(pytester, f"--modelgate-{name}={given}"), key) == read
    pytester.makeini(f"[pytest]\nmodelgate_{key} = {ini}\n")
    assert getattr(options(pytester), key) == ini_read
    both = options(pytester, f"--modelgate-{name}", given)
    assert dataclasses.asdict(both) == DEFAULTS | {key: read}


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("ini", ["true", "1", "yes"])
def test_a_flag_by_the_ini_file(pytester: pytest.Pytester, flag: str, ini: str) -> None:
    key = flag.replace("-", "_")
    pytester.makeini(f"[pytest]\nmodelgate_{key} = {ini}\n")
    assert dataclasses.asdict(options(pytester)) == DEFAULTS | {key: True}


@pytest.mark.parametrize("flag", [*FLAGS, "update-baseline"])
def test_a_flag_on_the_command_line(pytester: pytest.Pytester, flag: str) -> None:
    found = options(pytester, f"--modelgate-{flag}")
    assert dataclasses.asdict(found) == DEFAULTS | {flag.replace("-", "_"): True}
    assert found.reports
    assert not options(pytester).reports


@pytest.mark.parametrize("body", ["modelgate_confidence = 0.9\nmodelgate_seed = 3\nmodelgate_report = true"])
def test_a_pyproject_file(pytester: pytest.Pytester, body: str) -> None:
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n{body}\n")
    found = options(pytester)
    assert (found.confidence, found.seed, found.report) == (0.9, 3, True)


def test_every_setting_has_its_ini_twin_and_its_help(pytester: pytest.Pytester) -> None:
    text = pytester.runpytest("--help").stdout.str()
    for name in (*FLAGS, "mutate-min", *(setting[0] for setting in SETTINGS)):
        assert f"--modelgate-{name}" in text
        assert f"modelgate_{name.replace('-', '_')}" in text
    for act in ("mutate", "update-baseline"):  # of one run: no ini setting
        assert re.search(rf"--modelgate-{act}\s", text)
        assert not re.search(rf"modelgate_{act.replace('-', '_')}\s", text)
    assert set(DEFAULTS) == {field.name for field in dataclasses.fields(Options)}


USAGE_ERRORS = [
    ("--modelgate-device=gpu", "'gpu' is not a device: give auto, cpu, cuda"),
    ("--modelgate-device=cuda:x", "'cuda:x' is not a device"),
    ("--modelgate-device=cpu:3", "'cpu:3' is not a device"),
    ("--modelgate-confidence=95", "--modelgate-confidence=95 is not a confidence*was 0.95 meant?"),
    ("--modelgate-confidence=1", "--modelgate-confidence=1 is not a confidence"),
    ("--modelgate-confidence=high", "--modelgate-confidence='high' is not a confidence"),
    ("--modelgate-confidence=nan", "--modelgate-confidence=nan is not a confidence"),
    ("--modelgate-if-unsure=fial", "--modelgate-if-unsure='fial' is not one of*did you mean 'fail'?"),
    ("--modelgate-seed=-1", "--modelgate-seed=-1 is not a seed"),
    ("--modelgate-seed=1.5", "--modelgate-seed=1.5 is not a seed"),
    ("--modelgate-seed=4294967296", "--modelgate-seed=4294967296 is not a seed"),
    *((f"--modelgate-mutate-min={one}", f"--modelgate-mutate-min: '{one}' is no share") for one in ("0", "80%", "nan")),
    ("--modelgate-mutate-min=", "--modelgate-mutate-min: '' is no share"),
    ("--modelgate-mutate-min=80", "--modelgate-mutate-min: '80' is no share*was 0.8 meant?"),
]


def one_line(result: pytest.RunResult, message: str) -> None:
    """A usage error: exit 4, one line, no traceback, no test run."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.errlines if line.strip()]
    assert len(lines) == 1, lines
    result.stderr.fnmatch_lines([f"ERROR: {message}*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(("argument", "message"), USAGE_ERRORS)
def test_usage_errors(pytester: pytest.Pytester, argument: str, message: str) -> None:
    pytester.makepyfile("def test_it(): pass")
    one_line(pytester.runpytest(argument), message)


@pytest.mark.parametrize(("argument", "message"), [USAGE_ERRORS[0], USAGE_ERRORS[3], USAGE_ERRORS[7], USAGE_ERRORS[8]])
def test_usage_errors_of_the_ini_file(pytester: pytest.Pytester, argument: str, message: str) -> None:
    name, _, value = argument.removeprefix("--modelgate-").partition("=")
    pytester.makeini(f"[pytest]\nmodelgate_{name.replace('-', '_')} = {value}\n")
    pytester.makepyfile("def test_it(): pass")
    one_line(pytester.runpytest(), message)


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", "xpu"])
def test_an_absent_device(pytester: pytest.Pytester, device: str) -> None:
    if torch.accelerator.is_available():
        pytest.skip("this machine has an accelerator")
    pytester.makepyfile("def test_it(): pass")
    message = f"device '{device}' is not here: this machine has cpu; or give auto"
    one_line(pytester.runpytest(f"--modelgate-device={device}"), message)


def test_an_absent_device_of_the_ini_file_ends_the_tests_that_need_it(pytester: pytest.Pytester) -> None:
    """A project may name its usual device; tests without a model still run where it is missing."""
    if torch.accelerator.is_available():
        pytest.skip("this machine has an accelerator")
    pytester.makeini("[pytest]\nmodelgate_device = cuda\n")
    pytester.makepyfile("def test_one(): pass\ndef test_two(modelgate_device): pass\n")
    result = pytester.runpytest("--tb=short")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["DeviceError: device 'cuda' is not here: this machine has cpu*"])
    assert "pytest_modelgate/" not in result.stdout.str()


@pytest.mark.parametrize(
    ("arguments", "expected", "outcome"),
    [
        ((), "confidence 0.95 estimate", {"passed": 1}),
        (("--modelgate-confidence=0.9",), "confidence 0.9 estimate", {"passed": 1}),
        (("--modelgate-if-unsure=fail",), "", {"failed": 1}),
        (("--modelgate-if-unsure=warn",), "confidence 0.95 warn", {"passed": 1, "warnings": 1}),
        (("--modelgate-if-unsure=warn", "--modelgate-confidence=0.5"), "confidence 0.5 warn", None),
    ],
)
def test_gates_take_what_they_do_not_say_from_the_options(
    pytester: pytest.Pytester, arguments: tuple[str, ...], expected: str, outcome: dict[str, int] | None
) -> None:
    pytester.makepyfile(UNSURE)
    result = pytester.runpytest("-s", "-W", "always", *arguments)
    if outcome is not None:
        result.assert_outcomes(**outcome)
    assert expected in result.stdout.str()


def test_what_a_gate_says_stands_over_the_options(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(UNSURE.replace("0.9)\n", "0.9, if_unsure='estimate', confidence=0.99)\n"))
    result = pytester.runpytest("-s", "--modelgate-if-unsure=fail", "--modelgate-confidence=0.5")
    result.assert_outcomes(passed=1)
    assert "confidence 0.99 estimate" in result.stdout.str()


def test_a_run_inside_a_run_does_not_change_the_outer_ones_options(pytester: pytest.Pytester) -> None:
    """This very test is run by a session that has the plugin too."""
    from pytest_modelgate.recording import listener

    before = listener()
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest("--modelgate-if-unsure=fail")
    pytester.runpytest("--modelgate-device=gpu")
    assert listener() is before


def test_the_report_option_does_not_swallow_the_path_that_follows(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_one="def test_1(): pass", test_two="def test_2(): pass")
    result = pytester.runpytest("--modelgate-report", "test_one.py")
    result.assert_outcomes(passed=1)
    assert json.loads(Path("modelgate-report/report.json").read_text("utf-8"))["tests"]["collected"] == 1


def test_the_report_directory_is_where_pytest_was_started(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmodelgate_report_dir = out/gates\n")
    pytester.mkdir("tests").joinpath("test_it.py").write_text("def test_it(): pass", "utf-8")
    pytester.runpytest("--modelgate-report", "tests")
    assert (pytester.path / "out" / "gates" / "report.html").exists()
    elsewhere = pytester.path / "absolute"
    pytester.runpytest("--modelgate-report", f"--modelgate-report-dir={elsewhere}")
    assert (elsewhere / "report.json").exists()
