"""What the report's audits of data say, as rows that every renderer shows."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports.numbers import count, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, Any]

HEAD = ("Looked for", "Rows", "Figures", "First rows")
ROWS = "Rows count from 0; in brackets the row that each clashes with."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked for: a cell for each of `HEAD`, a sentence, and whether a row offends."""

    name: str
    rows: str
    figures: str
    first: str
    text: str
    offends: bool


def title(audit: Row) -> str:
    """What an audit is about."""
    return str(audit["about"])


def sizes(audit: Row) -> list[tuple[str, str]]:
    """How many rows each set has, and how many features: names and values."""
    pairs = [(str(name), count(size)) for name, size in audit["sizes"].items()]
    return pairs if audit["features"] is None else [*pairs, ("features", count(audit["features"]))]


def findings(audit: Row) -> list[Finding]:
    """What was looked for, in the order of the audit."""
    return [
        Finding(
            name=row["name"],
            rows=_rows(row),
            figures=_figures(row),
            first=_first(row),
            text=row["text"],
            offends=bool(row["count"]),
        )
        for row in audit["findings"]
    ]


def _rows(row: Row) -> str:
    if row["count"] is None:
        return "–"
    return count(row["count"]) if row["of"] is None else f"{count(row['count'])} of {count(row['of'])}"


def _figures(row: Row) -> str:
    """The estimate, its bounds and the p-value, as far as they are known."""
    parts = [] if row["estimate"] is None else [number(row["estimate"])]
    if row["lower"] is not None and row["upper"] is not None:
        parts.append(f"({number(row['lower'])} to {number(row['upper'])})")
    if row["p"] is not None:
        parts.append(f"p = {number(row['p'])}")
    return " ".join(parts) or "–"


def _first(row: Row) -> str:
    """The first rows that offend, and that there are more.

    >>> _first({"rows": [[3, 17], [8, 2]], "count": 5}), _first({"rows": [], "count": 0})
    ('3 (17), 8 (2), …', '–')
    """
    texts = [f"{own} ({', '.join(map(str, others))})" if others else str(own) for own, *others in row["rows"]]
    more = ["…"] if texts and (row["count"] or 0) > len(texts) else []
    return ", ".join([*texts, *more]) or "–"
