"""A run against its baseline: which bars ask less, and which verdicts are missing."""

from __future__ import annotations

__tracebackhide__ = True

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.baselines.entry import bars_of, entry_of, numbered
from pytest_modelgate.baselines.updating import check_names
from pytest_modelgate.gates.wording import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from pytest_modelgate.baselines.baseline import Baseline
    from pytest_modelgate.baselines.entry import Entry

    Row = Mapping[str, Any]

_OF_A_CLASS = re.compile(r"(\w+(?:\([^()]*\))?)\[(.*)\](.*)")
_AVERAGES = ("macro", "micro", "weighted")
_STRICTNESS = {"warn": 0, "estimate": 1, "fail": 2}
_ASKS = {">=": 1, ">": 1, "<=": -1, "<": -1, "margin": -1, "share": 1}
_WORDS = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChange:
    """What a gate asks otherwise than the baseline's did.

    Attributes:
        test, gate: which gate, as it is now.
        text: such as "recall of fraud: bar lowered from 0.92 to 0.85".
        lowered: whether it asks less.
    """

    test: str
    gate: str
    text: str
    lowered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanished:
    """Slices that a family of slices had in the baseline and has no more."""

    test: str
    gate: str
    slices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a run differs from its baseline.

    Attributes:
        bars: what gates ask otherwise.
        missing: verdicts of the baseline that this run lacks, though their tests ran, or are no more.
        not_run: verdicts of the baseline whose tests did not run.
        vanished: slices that are no more.
    """

    bars: tuple[BarChange, ...] = ()
    missing: tuple[Entry, ...] = ()
    not_run: tuple[Entry, ...] = ()
    vanished: tuple[Vanished, ...] = ()


def compare(old: Baseline, rows: Iterable[Row], ran: Collection[str], gone: Collection[str] = ()) -> Comparison:
    """How the verdicts of a run differ from a baseline's.

    Where a test's id holds the bar, the id changes with it: verdicts and entries that are alone are paired in order if
    they are of the same test function, the same measured thing and the same slice.

    Args:
        old: the baseline.
        rows: the verdicts as the report has them.
        ran: the tests that ran, by the names that `test_of` gives.
        gone: tests of the baseline that are no more.

    Raises:
        EvidenceError: two tests that share a name.
    """
    every = list(rows)
    check_names(every)
    now = {entry.key: entry for row, number in numbered(every) for entry in [entry_of(row, None, number)]}
    before = old.by_key()
    pairs = [(before[key], entry) for key, entry in now.items() if key in before]
    alone = [entry for key, entry in before.items() if key not in now]
    pairs += _renamed(
        [entry for entry in alone if entry.test in ran or entry.test in gone],
        [entry for key, entry in now.items() if key not in before],
    )
    paired = {was.key for was, _ in pairs}
    alone = [entry for entry in alone if entry.key not in paired]
    vanished = []
    for was, is_now in pairs:
        lost = tuple(name for name in was.slices if name not in is_now.slices)
        if lost:
            vanished.append(Vanished(test=is_now.test, gate=is_now.gate, slices=lost))
    return Comparison(
        bars=tuple(change for was, is_now in pairs for change in _changes(was, is_now)),
        missing=tuple(entry for entry in alone if entry.test in ran or entry.test in gone),
        not_run=tuple(entry for entry in alone if entry.test not in ran and entry.test not in gone),
        vanished=tuple(vanished),
    )


def _renamed(lost: Iterable[Entry], new: Iterable[Entry]) -> list[tuple[Entry, Entry]]:
    """Entries and verdicts of the same test function on the same thing, in the order of their tests' ids."""
    groups: dict[tuple[str, str, str | None], tuple[list[Entry], list[Entry]]] = defaultdict(lambda: ([], []))
    for side, entries in enumerate((lost, new)):
        for entry in entries:
            groups[entry.test.partition("[")[0], entry.measured, entry.slice][side].append(entry)
    return [
        pair
        for mine, theirs in groups.values()
        for pair in zip(sorted(mine, key=_place), sorted(theirs, key=_place), strict=False)
    ]


def _place(entry: Entry) -> tuple[str, int]:
    return entry.test, entry.number


def _changes(was: Entry, now: Entry) -> Iterator[BarChange]:
    """What the gate asks otherwise now."""
    for text, lowered in (*_bars(was, now), *_confidence(was, now), *_if_unsure(was, now), *_slices(was, now)):
        yield BarChange(test=now.test, gate=now.gate, text=f"{_subject(now)}: {text}", lowered=lowered)


def _bars(was: Entry, now: Entry) -> Iterator[tuple[str, bool]]:
    for (sign, before), (other, after) in zip(bars_of(was.gate), bars_of(now.gate), strict=False):
        asks, asked = _ASKS[other], _ASKS[sign]
        name = other if other in ("margin", "share") else "bar"
        if sign != other and asks != asked:
            yield f"asks for {_WORDS[other]} {plain(after)}, and asked for {_WORDS[sign]} {plain(before)}", True
        elif before != after:
            less = asks * after < asks * before
            word = (
                ("widened" if less else "narrowed") if name == "margin" else "raised" if after > before else "lowered"
            )
            means = "" if name == "margin" or asks > 0 else f", which asks {'less' if less else 'more'}"
            yield f"{name} {word} from {plain(before)} to {plain(after)}{means}", less
        elif sign != other:
            yield f"asks for {_WORDS[other]} {plain(after)}, and asked for {_WORDS[sign]} that", len(other) > len(sign)


def _confidence(was: Entry, now: Entry) -> Iterator[tuple[str, bool]]:
    if was.confidence != now.confidence:
        less = now.confidence < was.confidence
        word = "lowered" if less else "raised"
        yield f"confidence {word} from {plain(was.confidence)} to {plain(now.confidence)}", less


def _if_unsure(was: Entry, now: Entry) -> Iterator[tuple[str, bool]]:
    if was.if_unsure != now.if_unsure:
        less = _STRICTNESS[now.if_unsure] < _STRICTNESS[was.if_unsure]
        yield f"if_unsure {'loosened' if less else 'tightened'} from {was.if_unsure} to {now.if_unsure}", less


def _slices(was: Entry, now: Entry) -> Iterator[tuple[str, bool]]:
    """Slices that are there and judged no more, as where a smaller one would need more samples now."""
    for name in now.unjudged:
        if name in was.slices and name not in was.unjudged:
            yield f"{name} is judged no more (too few samples for min_support, or nothing to measure)", True


def _subject(entry: Entry) -> str:
    """What was measured, in words.

    >>> from types import SimpleNamespace
    >>> for measured in ("recall[fraud]", "f1[macro] by region", "no_regression(f1)"):
    ...     _subject(SimpleNamespace(measured=measured, slice=None))
    'recall of fraud'
    'macro f1 by region'
    'no_regression(f1)'
    """
    text = entry.measured
    found = _OF_A_CLASS.match(text)
    if found is not None:
        name, which, rest = found.groups()
        text = f"{which} {name}{rest}" if which in _AVERAGES else f"{name} of {which}{rest}"
    return text
