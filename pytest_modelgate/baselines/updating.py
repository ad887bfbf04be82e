"""The baseline that a run leaves: what it found green replaces what was there, all else stays."""

from __future__ import annotations

__tracebackhide__ = True

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.baselines.baseline import Baseline
from pytest_modelgate.baselines.entry import entry_of, measured_of, numbered, test_of
from pytest_modelgate.exceptions import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pytest_modelgate.baselines.entry import Entry, Key
    from pytest_modelgate.baselines.samples import StoredSamples

    Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRecorded:
    """A verdict that is not in the new baseline as this run found it.

    Attributes:
        test, gate, slice: which one.
        why: in a few words.
        kept: whether the old baseline's entry stays in its place.
        expected: whether the test expected it to be red.
    """

    test: str
    gate: str
    slice: str | None
    why: str
    kept: bool
    expected: bool


def updated(
    old: Baseline | None,
    rows: Iterable[Row],
    evaluations: Iterable[Row],
    samples: Mapping[str, StoredSamples],
    *,
    ran: Mapping[str, str],
    gone: Collection[str] = (),
    provenance: Mapping[str, Any],
) -> tuple[Baseline, tuple[NotRecorded, ...]]:
    """The new baseline, and which verdicts of the run it does not hold.

    The entries of tests that passed are replaced by what this run found; those of other tests stay, but for tests that
    are no more. A red verdict is not recorded, and neither is any of a test that did not pass, nor one that rests on
    samples that another gate found wanting, unless a test expected that: the old entries stay.

    Args:
        old: the baseline before; None for none.
        rows: the verdicts as the report has them; `samples` in a row is the key of what was stored for it.
        evaluations: the evaluations as the report has them.
        samples: the stored samples that rows name, by their keys.
        ran: the outcome of each test that ran, with or without a verdict, by the names that `test_of` gives.
        gone: tests that are no more.
        provenance: where the run was made. Where nothing changed, the old one stays.

    Raises:
        EvidenceError: two tests that share a name.
    """
    every, by_key = list(rows), {row["key"]: row for row in evaluations}
    check_names(every)
    wanting = _wanting(every)
    before = {} if old is None else old.by_key()
    passed = {test for test, outcome in ran.items() if outcome == "passed"}
    anew = passed - {test_of(row) for row in every if row["test_outcome"] != "passed"} | set(gone)
    kept = {key: entry for key, entry in before.items() if entry.test not in anew}
    stored = {**({} if old is None else old.samples), **samples}
    fresh: dict[Key, Entry] = {}
    left: list[NotRecorded] = []
    for row, number in numbered(every):
        evidence = row.get("evidence")
        entry = entry_of(row, by_key.get(evidence), number)
        why = _why_not(row, entry, wanting.get(evidence) if entry.samples is not None else None)
        if why is None:
            fresh[entry.key] = entry
            continue
        there = entry.key in before and entry.test not in gone
        if there:
            kept[entry.key] = before[entry.key]
        left.append(
            NotRecorded(
                test=entry.test,
                gate=entry.gate,
                slice=row.get("slice"),
                why=why,
                kept=there,
                expected=bool(row.get("expected")),
            )
        )
    entries = tuple({**kept, **fresh}.values())
    used = {entry.samples for entry in entries} - {None}
    new = Baseline(
        entries=entries,
        samples={key: one for key, one in sorted(stored.items()) if key in used},
        provenance=provenance,
    )
    return (old if old is not None and old.entries == new.entries else new), tuple(left)


def check_names(rows: Iterable[Row]) -> None:
    """An `EvidenceError` where two tests go by one name, or two of their verdicts could not be told apart."""
    tests: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        tests[test_of(row)].add(str(row["test"]))
    for name, same in tests.items():
        if len(same) > 1:
            raise EvidenceError(
                f"the tests {' and '.join(sorted(same)[:2])} share the name {name} in the baseline, so that nobody can "
                "tell their verdicts apart: rename one of them"
            )


def _wanting(rows: Iterable[Row]) -> dict[str | None, Row]:
    """The evaluations, by key, that a gate found wanting where no test expected it, each with such a verdict."""
    return {row["evidence"]: row for row in rows if not row["passed"] and not row.get("expected") and row["evidence"]}


def _why_not(row: Row, entry: Entry, wanting: Row | None) -> str | None:
    """Why a verdict is not recorded; None where it is."""
    outcome = row["test_outcome"]
    if not entry.test:
        return "it belongs to no test"
    if not row["passed"]:
        return "it is red, as its test expects" if row.get("expected") else "it is red"
    if outcome != "passed":
        return f"its test ended as: {outcome}"
    if wanting is not None:
        return f"the same evaluation is red at {measured_of(wanting['gate'])} in {test_of(wanting) or 'no test'}"
    return None
