"""The baseline of a session: what tests compare with, what a run records, and what the report says of it."""

from __future__ import annotations

__tracebackhide__ = True

import functools
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.plugin.options import OPTIONS
from pytest_modelgate.plugin.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest import Config

    from pytest_modelgate.baselines.baseline import Baseline
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.metrics.metric import Metric
    from pytest_modelgate.plugin.options import Options
    from pytest_modelgate.plugin.recorder import Recorder
    from pytest_modelgate.reports.merge import Entry as JournalEntry
    from pytest_modelgate.reports.merge import Row

_PROVENANCE = ("commit", "created", "pytest_modelgate", "torch", "numpy", "python")
_SAMPLES = ".samples.npz"
UPDATE = "--modelgate-update-baseline"
_BASELINE: pytest.StashKey[SessionBaseline] = pytest.StashKey()


def session_baseline(config: Config) -> SessionBaseline:
    """The baseline of this session, one for all tests."""
    if _BASELINE not in config.stash:
        config.stash[_BASELINE] = SessionBaseline(config)
    return config.stash[_BASELINE]


class SessionBaseline:
    """What the fixture `modelgate_baseline` gives, and `assert_no_regression` takes.

    It knows which test is running. Where the run updates the baseline, nothing is compared: what each test judges is
    recorded, and goes into the file at the end of the run, unless a gate was red.
    """

    def __init__(self, config: Config) -> None:
        options = config.stash[OPTIONS]
        self.path: Path = config.rootpath / options.baseline
        self.updating = options.update_baseline
        self._shown = options.baseline
        self._recorder: Recorder = config.stash[RECORDER]

    def __repr__(self) -> str:
        return f"<baseline {self._shown}{', to be recorded' if self.updating else ''}>"

    @functools.cached_property
    def recorded(self) -> Baseline | None:
        """What the file holds; None where there is none.

        Raises:
            EvidenceError: the file is there and cannot be read.
        """
        if not self.path.exists():
            return None
        from pytest_modelgate.baselines.files import read

        return read(self.path)

    def before(self, about: str, metric: Metric, evaluation: Evaluation, slice: str | None = None) -> Evaluation | None:
        """See `pytest_modelgate.recording.Pinned`."""
        from pytest_modelgate.baselines.storing import restore, store

        test, judged = self._recorder.place()
        number = 1 + sum(_same(verdict, about, slice) for verdict in judged)
        if self.updating:
            from pytest_modelgate.baselines.samples import pack

            stored = store(evaluation, metric)
            folder = self._recorder.journal
            if folder is None:
                raise EvidenceError(f"{UPDATE} cannot record here: there is no folder to gather what the run finds")
            (folder / f"{stored.key}{_SAMPLES}").write_bytes(pack({stored.key: stored}))
            self._recorder.note({"about": about, "slice": slice, "number": number, "samples": stored.key})
            return None
        baseline = self.recorded
        if baseline is None:
            raise EvidenceError(
                f"there is no baseline {self._shown} to compare {about} with: record one with pytest {UPDATE}"
            )
        entry = baseline.by_key().get((test, about, slice or "", number))
        if entry is None or entry.samples is None:
            raise EvidenceError(
                f"the baseline {self._shown} holds no {about} of {test}: record it with pytest {UPDATE}"
            )
        return restore(baseline.samples[entry.samples], evaluation)

    def refuse_vanished(self, verdict: Verdict) -> None:
        """An `EvidenceError` where slices are gone of which the baseline has a verdict."""
        from pytest_modelgate.baselines.entry import measured_of, slices_of

        slices = slices_of(dict(verdict.details))
        if not slices or self.updating or not self.path.exists() or self.recorded is None:
            return
        try:
            test, judged = self._recorder.place()
        except EvidenceError:  # of no single test: the baseline has no entry of it
            return
        about = measured_of(verdict.gate)
        number = 1 + sum(_same(one, about, None, family=True) for one in judged)
        entry = self.recorded.by_key().get((test, about, "", number))
        here = {one["slice"] for one in slices}
        gone = [] if entry is None else [name for name in entry.slices if name not in here]
        if gone:
            raise EvidenceError(
                f"{', '.join(map(repr, gone))} vanished since the baseline {self._shown}: {about} was judged on "
                f"{'them' if len(gone) > 1 else 'it'} then; bring the samples back, or record the baseline anew with "
                f"pytest {UPDATE}"
            )


def _same(verdict: Verdict, about: str, slice: str | None, *, family: bool = False) -> bool:
    """Whether a verdict measured the same thing; a family of slices is known without the slice that it shows."""
    from pytest_modelgate.baselines.entry import measured_of, slices_of

    of_family = family or slices_of(dict(verdict.details)) is not None
    return measured_of(verdict.gate) == about and (of_family or verdict.slice == slice)


def check_baseline(config: Config) -> None:
    """Before any test runs: a `pytest.UsageError` where the baseline cannot be read, or is needed and missing."""
    options = config.stash[OPTIONS]
    baseline = session_baseline(config)
    try:
        found = baseline.recorded
    except EvidenceError as error:
        raise pytest.UsageError(str(error)) from None
    needed = [
        f"--modelgate-{name.replace('_', '-')}"
        for name in ("strict_baseline", "fail_on_lowered_bar")
        if getattr(options, name)
    ]
    if found is None and needed and not options.update_baseline:
        raise pytest.UsageError(
            f"{' and '.join(needed)}: there is no baseline {options.baseline}; record one with pytest {UPDATE}"
        )


def settle_baseline(
    config: Config,
    journal: Path,
    entries: Sequence[JournalEntry],
    rows: Sequence[Row],
    evaluations: Sequence[Row],
    *,
    ran: Mapping[str, str],
    collected: Iterable[str],
    whole: bool,
    provenance: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Compare a run with the baseline, or record it as one: what the report holds of it; None where there is none.

    Args:
        journal: the folder of what the processes wrote down.
        entries: what they wrote.
        rows, evaluations: the report's.
        ran: the outcome of each test that ran to its end.
        collected: all tests that were collected.
        whole: whether no test was left out by choice, so that a test that is not there is no more.
        provenance: the report's.

    Raises:
        ModelgateError: two tests share a name, or the file cannot be written.
    """
    options, session = config.stash[OPTIONS], session_baseline(config)
    old = session.recorded
    if old is None and not options.update_baseline:
        return None
    known_as = {entry["test"]: entry["known_as"] for entry in entries if entry["test"] is not None}
    for entry in entries:
        if entry["kind"] == "collected":  # of tests that wrote nothing too, such as those that did not get to run
            known_as |= entry["data"]["known_as"]
            whole = whole and not entry["data"]["deselected"]
    named = _with_samples([{**row, "baseline_key": known_as.get(row["test"])} for row in rows], entries)
    tests = {known_as.get(test, test): outcome for test, outcome in ran.items()}
    gone = _gone(config, old, {known_as.get(test, test) for test in collected}) if whole else set()
    told = unsettled(options) | {
        "commit": None if old is None else old.provenance.get("commit"),
        "created": None if old is None else old.provenance.get("created"),
        **_differences(old, named, tests, gone),
    }
    if not options.update_baseline:
        return told | {"fails": _fails(options, told)}
    if not rows:
        return told | {"fails": ["nothing was recorded, since no gate was judged"]}
    from pytest_modelgate.baselines.files import write
    from pytest_modelgate.baselines.samples import unpack
    from pytest_modelgate.baselines.updating import updated

    samples: dict[str, Any] = {}
    for file in sorted(journal.glob(f"*{_SAMPLES}")):
        samples |= unpack(file.read_bytes())
    new, left = updated(
        old,
        named,
        evaluations=evaluations,
        samples=samples,
        ran=tests,
        gone=gone,
        provenance={name: provenance[name] for name in _PROVENANCE if provenance.get(name) is not None},
    )
    write(session.path, new)
    return told | {
        "recorded": len(new.entries),
        "not_recorded": [{"test": one.test, "gate": one.gate, "why": one.why} for one in left if not one.expected],
    }


def unsettled(options: Options, *fails: str) -> dict[str, Any]:
    """What the report holds where nothing is known of the baseline but why the run fails."""
    return {
        "file": options.baseline,
        "commit": None,
        "created": None,
        "bars": [],
        "missing": [],
        "vanished": [],
        "not_run": 0,
        "recorded": None,
        "not_recorded": [],
        "fails": list(fails),
    }


def _differences(old: Baseline | None, rows: Sequence[Row], ran: Mapping[str, str], gone: set[str]) -> dict[str, Any]:
    """What the run has otherwise than the baseline, as plain types."""
    if old is None:
        return {}
    from pytest_modelgate.baselines.comparing import compare

    found = compare(old, rows, ran=ran, gone=gone)
    return {
        "bars": [{"test": one.test, "text": one.text, "lowered": one.lowered} for one in found.bars],
        "missing": [{"test": one.test, "gate": one.gate} for one in found.missing],
        "vanished": [{"test": one.test, "gate": one.gate, "slices": list(one.slices)} for one in found.vanished],
        "not_run": len(found.not_run),
    }


def _with_samples(rows: Sequence[Row], entries: Sequence[JournalEntry]) -> list[Row]:
    """The rows with the keys of the samples that were stored for them."""
    from pytest_modelgate.baselines.entry import measured_of, numbered, slices_of, test_of

    stored = {}
    for entry in entries:
        if entry["kind"] == "samples":
            data = entry["data"]
            stored[entry["known_as"], data["about"], data["slice"], data["number"]] = data["samples"]
    found = []
    for row, number in numbered(rows):
        family = slices_of(row.get("details") or {}) is not None
        key = test_of(row), measured_of(row["gate"]), None if family else row["slice"], number
        found.append({**row, "samples": stored.get(key)})
    return found


def _gone(config: Config, old: Baseline | None, collected: set[str]) -> set[str]:
    """The baseline's tests that are no more: their file was collected without them, or is gone."""
    files = {test.partition("::")[0] for test in collected}
    tests = set() if old is None else {entry.test for entry in old.entries} - collected
    return {
        test for test in tests if (file := test.partition("::")[0]) in files or not (config.rootpath / file).exists()
    }


def _fails(options: Options, told: Mapping[str, Any]) -> list[str]:
    """Why the run fails for its baseline."""
    from pytest_modelgate.reports.numbers import plural

    why = []
    if told["vanished"]:
        why.append(f"slices of {plural(len(told['vanished']), 'gate')} vanished since the baseline")
    lacking = len(told["missing"]) + told["not_run"]
    if options.strict_baseline and lacking:
        why.append(f"{plural(lacking, 'verdict')} of the baseline {'is' if lacking == 1 else 'are'} missing")
    lowered = sum(bar["lowered"] for bar in told["bars"])
    if options.fail_on_lowered_bar and lowered:
        why.append(f"{plural(lowered, 'bar')} {'asks' if lowered == 1 else 'ask'} less than the baseline's")
    return why
