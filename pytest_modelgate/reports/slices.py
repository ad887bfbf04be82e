"""What the report says of gates on all slices of a column: a table each, the weakest slice first."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports.numbers import count
from pytest_modelgate.reports.strip import figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]

HEAD = ("Slice", "Outcome", "Estimate", "The data allow", "Support", "Samples")
ALIGN = "llrlrr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One slice: a text for each of `HEAD`, and a verdict of its own, as `strip` draws it."""

    name: str
    outcome: str
    estimate: str
    allow: str
    support: str
    samples: str
    verdict: Row

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts in the order of `HEAD`."""
        return self.name, self.outcome, self.estimate, self.allow, self.support, self.samples

    @property
    def weak(self) -> bool:
        """Whether it was judged and is refuted."""
        return self.outcome == "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A gate with its slices, the weakest first."""

    gate: str
    test: str | None
    slices: Sequence[Slice]


def families(verdicts: Sequence[Row]) -> list[Family]:
    """The gates that were settled slice by slice, or that compared slices, in their order."""
    found = []
    for verdict in verdicts:
        details = verdict.get("details") or {}
        rows = details.get("slices") or details.get("compared")
        if rows:
            slices = [_slice(verdict, row) for row in rows]
            found.append(Family(gate=verdict["gate"], test=verdict["test"], slices=slices))
    return found


def _slice(verdict: Row, row: Row) -> Slice:
    """A row of a family's details."""
    own = {**verdict, "hits": None, **{name: row[name] for name in ("estimate", "lower", "upper", "support")}}
    own["details"] = {}
    outcome = row.get("outcome", "compared")
    if outcome == "compared":  # of a gap, whose bar is none for a single slice
        own |= {"gate": verdict["metric"], "bar": None}
    bounded = row["lower"] is not None and row["upper"] is not None
    return Slice(
        name=str(row["slice"]),
        outcome=outcome if row["judged"] else "not judged",
        estimate=figure(own, "estimate"),
        allow=f"{figure(own, 'lower')} to {figure(own, 'upper')}" if bounded else "–",
        support=count(row["support"]),
        samples=count(row["n"]),
        verdict=own,
    )
