"""A baseline on disk: reviewable, the same bytes for the same content, whole or not there, and strictly read."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate import EvidenceError, ModelgateError
from pytest_modelgate.baselines import files
from pytest_modelgate.baselines.baseline import Baseline
from pytest_modelgate.baselines.entry import Entry, entry_of
from pytest_modelgate.baselines.files import read, samples_file, to_text, write
from pytest_modelgate.baselines.samples import StoredSamples, pack

PROVENANCE = {"commit": "0123abc+", "created": "2025-01-31T12:00:00+00:00", "torch": "2.13.0"}
STORED = StoredSamples({"n": 8}, {"target": np.arange(8, dtype=np.uint8)})
OTHER = StoredSamples({"n": 9}, {"target": np.arange(9, dtype=np.uint8)})
DATA = {"n": 8, "fingerprint": "00ff", "labels": ["stays", 1], "threshold": 0.5, "task": "binary"}


def sets(*every: StoredSamples) -> dict[str, StoredSamples]:
    return {one.key: one for one in every}


@pytest.fixture
def baseline(row: Any, family: Any) -> Baseline:
    entries = (
        entry_of(row(test="test_b.py::test_f1", gate="f1", label=None)),
        entry_of(row()),
        entry_of(row(bar=0.8), number=2),
        entry_of(row("recall[fraud] by region", details=family("b", "a", unjudged=("c",)))),
        replace(entry_of(row(text="no_regression(f1, margin=0.01)", samples=STORED.key)), data=DATA),
    )
    return Baseline(entries=entries, samples=sets(STORED), provenance=PROVENANCE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "modelgate-baseline.json"


def test_no_file_is_no_baseline(path: Path) -> None:
    assert read(path) is None


def test_what_was_written_is_read(path: Path, baseline: Baseline) -> None:
    write(path, baseline)
    assert read(path) == baseline
    assert sorted(os.listdir(path.parent)) == ["modelgate-baseline.json", "modelgate-baseline.npz"]


def test_the_text_has_its_provenance_on_top_and_a_line_for_each_verdict(baseline: Baseline) -> None:
    text = to_text(replace(baseline, entries=baseline.entries[-2:]))
    lines = text.splitlines()
    assert lines[:6] == [
        "{",
        ' "schema": 1,',
        ' "provenance": {',
        '  "commit": "0123abc+",',
        '  "created": "2025-01-31T12:00:00+00:00",',
        '  "torch": "2.13.0"',
    ]
    assert lines[7] == ' "entries": ['
    assert lines[-3] == (
        '  {"test": "test_b.py::test_f1", "gate": "f1 >= 0.9", "outcome": "PASS", "estimate": 0.951235, "lower": 0.91, '
        '"upper": 0.97, "support": 120, "bar": 0.9, "direction": "at_least", "confidence": 0.95, '
        '"if_unsure": "estimate"}'
    )
    assert [json.loads(line.strip().rstrip(","))["test"] for line in lines[8:-2]] == [
        entry.test for entry in baseline.entries[-2:]
    ]


def test_the_same_content_gives_the_same_bytes(path: Path, baseline: Baseline) -> None:
    write(path, baseline)
    first = path.read_bytes(), samples_file(path).read_bytes()
    write(path, replace(baseline, entries=baseline.entries[::-1]))
    assert (path.read_bytes(), samples_file(path).read_bytes()) == first
    again = read(path)
    assert again is not None
    write(path, again)
    assert (path.read_bytes(), samples_file(path).read_bytes()) == first


def test_nothing_recorded_is_a_baseline_too(path: Path) -> None:
    write(path, Baseline())
    assert read(path) == Baseline()
    assert not samples_file(path).exists()


texts = st.text(max_size=8)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
entries = st.builds(
    Entry,
    test=texts,
    gate=st.sampled_from(["recall[fraud] >= 0.9", "é\n\u2028\ud800", "f1"]),
    outcome=st.sampled_from(["PASS", "INCONCLUSIVE"]),
    estimate=numbers,
    lower=numbers,
    upper=numbers,
    support=st.integers(0, 10**12),
    bar=numbers,
    direction=st.sampled_from(["at_least", "above"]),
    confidence=st.floats(0.5, 0.99),
    if_unsure=st.sampled_from(["estimate", "fail"]),
    slice=st.none() | texts.filter(bool),
    number=st.integers(1, 5),
    slices=st.lists(texts, max_size=3).map(tuple),
    data=st.none() | st.just(DATA),
)


@given(st.lists(entries, max_size=5, unique_by=lambda entry: entry.key))
@settings(max_examples=60)
def test_every_entry_comes_back(every: list[Entry]) -> None:
    from pytest_modelgate.baselines.parsing import parse

    baseline = Baseline(entries=tuple(every), provenance=PROVENANCE)
    text = to_text(baseline)
    found = parse(text.encode(), "b.json")
    assert tuple(entry for _, entry in found.entries) == baseline.entries
    assert [line for line, _ in found.entries] == list(range(9, 9 + len(every)))
    assert text.count("\n") == 10 + len(every) - (not every)


def test_two_verdicts_of_one_key_are_no_baseline(row: Any) -> None:
    with pytest.raises(EvidenceError, match=r"two verdicts of the baseline are one: recall\[fraud\] in test_a.py"):
        Baseline(entries=(entry_of(row()), entry_of(row(bar=0.5))))


def test_an_entry_whose_samples_are_not_there_is_no_baseline(row: Any) -> None:
    with pytest.raises(EvidenceError, match=r"the samples abc of recall.* are not in the baseline"):
        Baseline(entries=(entry_of(row(samples="abc")),))


class Crash(BaseException):
    """The process ends."""


@pytest.mark.parametrize("crash_at", range(1, 4))
def test_a_crash_leaves_the_old_one_or_the_new_one_whole(
    path: Path, baseline: Baseline, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    entry = replace(baseline.entries[0], samples=OTHER.key)
    new = Baseline(entries=(entry,), samples=sets(OTHER), provenance={})
    write(path, baseline)
    moved: list[str] = []
    move = os.replace

    def falling(source: str, target: str) -> None:
        moved.append(target)
        if len(moved) == crash_at:
            raise Crash
        move(source, target)

    monkeypatch.setattr(os, "replace", falling)
    with pytest.raises(Crash):
        write(path, new)
    assert read(path) == (baseline if crash_at <= 2 else new)
    assert sorted(os.listdir(path.parent)) == ["modelgate-baseline.json", "modelgate-baseline.npz"]
    monkeypatch.undo()
    write(path, new)
    assert read(path) == new
    assert samples_file(path).read_bytes() == pack(sets(OTHER))


def test_samples_that_no_entry_names_are_not_written(path: Path, baseline: Baseline) -> None:
    write(path, replace(baseline, samples=sets(STORED, OTHER)))
    assert samples_file(path).read_bytes() == pack(sets(STORED))


def test_a_damaged_file_of_samples_does_not_keep_a_new_one_from_being_written(path: Path, baseline: Baseline) -> None:
    samples_file(path).write_bytes(b"PK\3\4 no")
    write(path, baseline)
    assert read(path) == baseline


def test_where_it_cannot_be_written(tmp_path: Path, baseline: Baseline) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ModelgateError, match=r"cannot write the baseline to .*: choose another file with --modelgate-b"
    ):
        write(tmp_path / "file" / "b.json", baseline)


def test_a_folder_that_is_not_there_is_made(tmp_path: Path, baseline: Baseline) -> None:
    write(tmp_path / "deep" / "b.json", baseline)
    assert read(tmp_path / "deep" / "b.json") == baseline


def test_where_it_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="the baseline cannot be read"):
        read(tmp_path)


def broken(path: Path) -> str:
    with pytest.raises(EvidenceError) as caught:
        read(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_samples_that_are_missing_or_others(path: Path, baseline: Baseline) -> None:
    write(path, baseline)
    both = "modelgate-baseline.json and modelgate-baseline.npz do not belong together: "
    samples_file(path).write_bytes(pack(sets(OTHER)))
    assert broken(path).startswith(f"{both}the samples {STORED.key} are not in {samples_file(path)}; restore both")
    samples_file(path).write_bytes(pack({STORED.key: OTHER}))
    assert broken(path).startswith(f"{both}{samples_file(path)}: the samples {STORED.key} are not those that were")
    samples_file(path).write_bytes(b"")
    assert broken(path).startswith(f"{both}{samples_file(path)}: it is damaged or cut off")
    samples_file(path).unlink()
    assert broken(path).startswith(f"{both}there is no {samples_file(path)}; ")
    samples_file(path).mkdir()
    assert "the samples of modelgate-baseline.json cannot be read" in broken(path)


def test_the_same_verdict_twice_names_both_lines(path: Path, row: Any) -> None:
    text = to_text(Baseline(entries=(entry_of(row()),)))
    line = next(line for line in text.splitlines() if "test_a" in line)
    path.write_text(text.replace(line, f"{line},\n{line}"), encoding="utf-8")
    assert broken(path).startswith("modelgate-baseline.json:6: this verdict stands at line 5 already: recall[fraud] in")


def test_line_endings_of_windows_and_a_byte_order_mark_do_not_matter(path: Path, row: Any) -> None:
    baseline = Baseline(entries=(entry_of(row()),), provenance=PROVENANCE)
    path.write_bytes(b"\xef\xbb\xbf" + to_text(baseline).replace("\n", "\r\n").encode())
    assert read(path) == baseline


def test_samples_are_not_read_where_no_entry_names_any(path: Path, row: Any) -> None:
    write(path, Baseline(entries=(entry_of(row()),)))
    samples_file(path).write_bytes(b"no archive")
    assert read(path) is not None


def test_a_new_file_has_the_rights_that_files_have(path: Path, baseline: Baseline) -> None:
    write(path, baseline)
    plain = path.parent / "plain"
    plain.write_text("")
    assert path.stat().st_mode == samples_file(path).stat().st_mode == plain.stat().st_mode
    assert files.samples_file("a/b.c.json") == Path("a/b.c.npz")
