"""The options, read once: command line over ini file over default."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pytest

from pytest_modelgate.exceptions import ModelgateError, did_you_mean

if TYPE_CHECKING:
    from pytest import Config, Parser

# name, metavar, help; each is --modelgate-NAME and the ini setting modelgate_NAME.
_SETTINGS = (
    ("report-dir", "DIR", "the folder of report.json, report.md and report.html"),
    ("device", "DEVICE", "where models are trained and loaded: auto, cpu, cuda, cuda:1, mps or xpu"),
    ("confidence", "NUMBER", "how sure a PASS or FAIL must be, one-sided, where a gate does not say"),
    ("if-unsure", "CHOICE", "the colour of INCONCLUSIVE: estimate, fail or warn"),
    ("seed", "NUMBER", "what train_model seeds Python, numpy and torch with, where a call does not say"),
    ("cache", "MODE", "trained models: auto (train only what changed), off, or refresh (train all anew)"),
    ("cache-dir", "DIR", "the folder of trained models, from the root directory of the run"),
    ("cache-limit", "SIZE", "how large the folder of trained models may grow, such as 500MB or 2GB"),
    ("baseline", "FILE", "the file that assert_no_regression compares with, from the root directory of the run"),
    ("mutate-min", "SHARE", "the share of faults that the gates must notice under --modelgate-mutate, such as 0.8"),
)
_FLAGS = (
    ("report", "print a summary of all gates and write report.json, report.md and report.html"),
    ("strict_baseline", "fail where the baseline has a verdict that this run lacks"),
    ("fail_on_lowered_bar", "fail where a bar asks less than the baseline's"),
)
Mode: TypeAlias = Literal["auto", "off", "refresh"]
_MODES: tuple[Mode, ...] = ("auto", "off", "refresh")
_ACTS = {"cache": ("refresh",)}
"""Values that are acts of one run, and therefore have no place in an ini file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The settings of a run."""

    report: bool = False
    report_dir: str = "modelgate-report"
    device: str = "auto"
    confidence: float = 0.95
    if_unsure: str = "estimate"
    seed: int = 0
    cache: Mode = "auto"
    cache_dir: str = ".modelgate-cache"
    cache_limit: str = "2GB"
    baseline: str = "modelgate-baseline.json"
    update_baseline: bool = False
    strict_baseline: bool = False
    fail_on_lowered_bar: bool = False
    mutate: bool = False
    mutate_min: float | None = None

    @classmethod
    def from_config(cls, config: Config) -> Options:
        """Read and check the settings.

        Raises:
            pytest.UsageError: a value that is none, or a device asked for on the command line that is not here.
        """
        flags: dict[str, Any] = {name: _flag(config, name) for name, _ in _FLAGS}
        flags["update_baseline"] = bool(config.getoption("modelgate_update_baseline"))
        text = {name: _setting(config, name) for name, _, _ in _SETTINGS}
        asked_share = config.getoption("modelgate_mutate_min") is not None
        mutate = bool(config.getoption("modelgate_mutate")) or asked_share
        if text == _DEFAULTS and not asked_share:
            return cls(**flags, mutate=mutate)
        from pytest_modelgate.gates.settings import check_confidence, check_if_unsure
        from pytest_modelgate.runtime.devices import parse_device, resolve_device
        from pytest_modelgate.runtime.seeds import check_seed

        try:
            device = text["device"]
            parse_device(device)
            asked = config.getoption("modelgate_device")
            if asked and parse_device(asked)[0] not in ("auto", "cpu") and not hasattr(config, "workerinput"):
                resolve_device(asked)
            return cls(
                **flags,
                report_dir=text["report-dir"],
                device=device,
                confidence=check_confidence(_number(text["confidence"]), "--modelgate-confidence"),
                if_unsure=check_if_unsure(text["if-unsure"], "--modelgate-if-unsure"),
                seed=check_seed(_number(text["seed"]), "--modelgate-seed"),
                cache=_mode(text["cache"]),
                cache_dir=text["cache-dir"],
                cache_limit=text["cache-limit"] if parse_size(text["cache-limit"]) else "",
                baseline=_baseline(text["baseline"]),
                mutate=mutate,
                mutate_min=_share(text["mutate-min"]) if text["mutate-min"] or asked_share else None,
            )
        except ModelgateError as error:
            raise pytest.UsageError(str(error)) from None

    @property
    def reports(self) -> bool:
        """Whether the record of the run is gathered: for a report, or for what is told with it."""
        acts = self.mutate or self.update_baseline
        return self.report or acts or self.strict_baseline or self.fail_on_lowered_bar


_VALUES = {name: getattr(Options(), name.replace("-", "_")) for name, _, _ in _SETTINGS}
_DEFAULTS = {name: "" if value is None else str(value) for name, value in _VALUES.items()}
OPTIONS = pytest.StashKey[Options]()


def add_options(parser: Parser) -> None:
    """Declare every option with its ini twin."""
    group = parser.getgroup("modelgate", "quality gates for PyTorch models (pytest-modelgate)")
    for name, text in _FLAGS:
        option = f"--modelgate-{name.replace('_', '-')}"
        group.addoption(option, action="store_true", default=None, help=text)
        parser.addini(f"modelgate_{name}", f"as {option}", type="bool", default=False)
    group.addoption(
        "--modelgate-update-baseline",
        action="store_true",
        help="record what this run finds as the baseline; nothing is compared with the old one",
    )
    group.addoption(
        "--modelgate-mutate",
        action="store_true",
        help="evaluate faulted twins of each model as well, and report which faults the gates let through",
    )
    for name, metavar, text in _SETTINGS:
        default = f" (default: {_DEFAULTS[name]})" if _DEFAULTS[name] else ""
        group.addoption(f"--modelgate-{name}", default=None, metavar=metavar, help=f"{text}{default}")
        parser.addini(f"modelgate_{name.replace('-', '_')}", f"as --modelgate-{name}", default=None)


def parse_size(text: str) -> int:
    """A number of bytes, such as "2GB", "500 MB" or "1000"; units are powers of 1024.

    >>> parse_size("2GB"), parse_size("1.5 kb"), parse_size("1000")
    (2147483648, 1536, 1000)
    """
    import re

    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text, re.IGNORECASE)
    size = 0 if found is None else int(float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " "))
    if size < 1:
        raise ModelgateError(f"--modelgate-cache-limit: {text!r} is no size: give one such as 500MB or 2GB")
    return size


def _share(text: str) -> float:
    share = _number(text)
    if isinstance(share, str) or not 0 < share <= 1:
        meant = f"; was {share / 100:g} meant?" if not isinstance(share, str) and 1 < share <= 100 else ""
        raise ModelgateError(f"--modelgate-mutate-min: {text!r} is no share: give a number above 0 and up to 1{meant}")
    return float(share)


def _baseline(text: str) -> str:
    if text.lower().endswith(".npz"):  # the samples stand beside the baseline under that very name
        raise ModelgateError(
            f"--modelgate-baseline: {text!r} is the name of its samples: give one such as baseline.json"
        )
    return text


def _mode(text: str) -> Mode:
    for mode in _MODES:
        if text == mode:
            return mode
    raise ModelgateError(f"--modelgate-cache: {text!r} is none of {', '.join(_MODES)}{did_you_mean(text, _MODES)}")


def _flag(config: Config, name: str) -> bool:
    given = config.getoption(f"modelgate_{name}")
    return bool(config.getini(f"modelgate_{name}") if given is None else given)


def _setting(config: Config, name: str) -> str:
    key = f"modelgate_{name.replace('-', '_')}"
    given: Any = config.getoption(key)
    if given is None:
        given = config.getini(key)
        if given in _ACTS.get(name, ()):
            raise pytest.UsageError(
                f"{key} = {given} in an ini file would act in every run: say --modelgate-{name}={given}"
            )
    return _DEFAULTS[name] if given is None or given == "" else str(given)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
