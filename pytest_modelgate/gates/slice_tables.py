"""What a verdict on several slices says of each of them: in words, as a table and as plain figures."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.gates.wording import number

if TYPE_CHECKING:
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.metrics.labels import Label

_SHOWN, _NAMED = 20, 10


@dataclass(frozen=True, slots=True)
class Row:
    """One slice of a family, or one class of it.

    Attributes:
        slice: the slice's name.
        n: how many samples it has.
        label: the class, where the family has one row for each class; else None.
        verdict: of the gate on the slice alone, where all that is not refuted is green.
        surer: the verdict at the family's corrected confidence, once that is known.
        word: the outcome within the family, once that is known.
    """

    slice: str
    n: int
    label: Label | None
    verdict: Verdict
    surer: Verdict | None = None
    word: Outcome | None = None

    def corrected(self, surer: Verdict, word: Outcome) -> Row:
        """The row with what it is worth within its family."""
        return replace(self, surer=surer, word=word)

    @property
    def name(self) -> str:
        """What a table calls it."""
        return self.slice if self.label is None else f"{self.slice}, {self.label!r}"

    @property
    def outcome(self) -> Outcome:
        """The outcome within the family, or of the slice alone where that is not known."""
        return self.verdict.outcome if self.word is None else self.word

    @property
    def comparable(self) -> bool:
        """Whether something was judged: not so for a baseline of other samples."""
        return self.verdict.passed or self.verdict.outcome is not Outcome.INCONCLUSIVE

    @property
    def strength(self) -> float:
        """The estimate, with its sign turned where lower is better."""
        estimate = 0.0 if self.verdict.estimate is None else self.verdict.estimate
        return estimate if self.verdict.direction == "at_least" else -estimate

    @property
    def meets(self) -> bool:
        """Whether the estimate meets the bar."""
        bar = 0.0 if self.verdict.bar is None else self.verdict.bar
        return self.strength >= (bar if self.verdict.direction == "at_least" else -bar)

    @property
    def lower(self) -> float | None:
        """The lower bound; of the side that refutes at the corrected confidence."""
        return self._side(self.verdict.direction == "at_most").lower

    @property
    def upper(self) -> float | None:
        """The upper bound; of the side that refutes at the corrected confidence."""
        return self._side(self.verdict.direction == "at_least").upper

    def _side(self, refutes: bool) -> Verdict:
        return self.verdict if self.surer is None or not refutes else self.surer


def entry(row: Row, *, judged: bool) -> dict[str, Any]:
    """The figures of a row, as plain types."""
    verdict = row.verdict
    figures: dict[str, Any] = {
        "slice": row.name,
        "n": row.n,
        "support": verdict.support,
        "estimate": verdict.estimate,
        "lower": row.lower,
        "upper": row.upper,
        "outcome": str(row.outcome) if judged else None,
        "judged": judged,
    }
    return figures


def counted(judged: Sequence[Row], others: Sequence[Row], nouns: str) -> str:
    """How many slices are refuted, open and proved, and how many are not judged."""
    kinds = {"refuted": Outcome.FAIL, "open": Outcome.INCONCLUSIVE, "proved": Outcome.PASS}
    counts = {kind: sum(row.outcome is word for row in judged) for kind, word in kinds.items()}
    found = ", ".join(f"{count} {'is' if count == 1 else 'are'} {kind}" for kind, count in counts.items() if count)
    total = len(judged) + len(others)
    if others:
        found += f", {len(others)} {'is' if len(others) == 1 else 'are'} not judged"
    return f"of {total} {nouns} {found}"


def left_out(others: Sequence[tuple[str, int, str | None]], min_support: int) -> list[str]:
    """Which slices are not judged, and why: a line for each reason.

    Args:
        others: their names, supports, and why the metric is undefined, or None.
        min_support: how many samples the metric must rest on.

    >>> left_out([("region=west", 7, None), ("region=east", 0, "no sample of class 'fraud' in 40")], 30)
    ['not judged, the metric rests on fewer than 30 samples: region=west (7), region=east (0)']
    """
    small = [f"{name} ({support:,})" for name, support, _ in others if support < min_support]
    undefined = [f"{name} ({cause})" for name, support, cause in others if support >= min_support]
    lines = []
    if small:
        lines.append(f"not judged, the metric rests on fewer than {min_support} samples: {_some(small)}")
    if undefined:
        lines.append(f"not judged, the metric is undefined: {_some(undefined)}")
    return lines


def reasons(others: Sequence[Row]) -> list[tuple[str, int, str | None]]:
    """What `left_out` takes, of rows."""
    return [(one.name, one.verdict.support, one.verdict.explanation.rpartition("judged: ")[2]) for one in others]


def table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> list[str]:
    """Lines of a table, its columns aligned: the first to the left, the others to the right; the longest cut off."""
    shown = [head, *rows[:_SHOWN]]
    widths = [max(len(row[i]) for row in shown) for i in range(len(head))]
    lines = []
    for first, *rest in shown:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return [line.rstrip() for line in lines] + ([f"and {len(rows) - _SHOWN:,} more"] if len(rows) > _SHOWN else [])


def family_table(judged: Sequence[Row], others: Sequence[Row]) -> list[str]:
    """The slices of a family, the weakest first; those that are not judged at the end."""
    if not judged and not others:
        return []
    rows = [(*_cells(row), str(row.outcome)) for row in judged] + [(*_cells(row), "not judged") for row in others]
    return table(rows, ("slice", "samples", "support", "estimate", "the data allow", "outcome"))


def _cells(row: Row) -> tuple[str, ...]:
    verdict, allow = row.verdict, ""
    if row.lower is not None and row.upper is not None:
        allow = span(row.lower, row.upper)
    estimate = "undefined" if verdict.estimate is None else number(verdict.estimate, *_bar(verdict))
    return row.name, f"{row.n:,}", f"{verdict.support:,}", estimate, allow


def span(lower: float, upper: float) -> str:
    """Two bounds as text."""
    return f"{number(lower)} to {number(upper)}"


def _bar(verdict: Verdict) -> tuple[float, ...]:
    return () if verdict.bar is None else (verdict.bar,)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
