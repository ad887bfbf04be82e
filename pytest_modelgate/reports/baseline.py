"""What the report says of the baseline: bars that differ, verdicts that are missing, what was recorded."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports.numbers import count, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]


def summary(found: Row) -> str:
    """One line: which baseline, from when, and what became of it."""
    if found["recorded"] is not None:
        left = len(found["not_recorded"])
        but = f"; {plural(left, 'verdict')} not recorded" if left else ""
        return f"{plural(found['recorded'], 'verdict')} recorded in {found['file']}{but}"
    about = [f"recorded {str(found['created'])[:10]}"] if found["created"] else []
    about += [f"at commit {str(found['commit'])[:10]}"] if found["commit"] else []
    return ", ".join([found["file"], *about])


def lines(found: Row) -> list[tuple[str, bool]]:
    """What differs, a sentence each, and whether it needs attention: lowered bars first."""
    bars = sorted(found["bars"], key=lambda bar: not bar["lowered"])
    said = [(f"{bar['text']} ({_place(bar['test'])})", bool(bar["lowered"])) for bar in bars]
    for row in found["vanished"]:
        gone = ", ".join(row["slices"])
        said.append((f"{row['gate']}: the baseline's {gone} vanished ({_place(row['test'])})", True))
    said += [(f"missing: {row['gate']} ({_place(row['test'])})", True) for row in found["missing"]]
    said += [
        (f"not recorded: {row['gate']}: {row['why']} ({_place(row['test'])})", True) for row in found["not_recorded"]
    ]
    return said


def quiet(found: Row) -> str:
    """What needs no attention: how many verdicts of the baseline belong to tests that did not run."""
    return f"{plural(found['not_run'], 'verdict')} of tests that did not run" if found["not_run"] else ""


def fails(found: Row | None) -> str:
    """Why the run fails for its baseline; nothing where it does not."""
    return "; ".join(found["fails"]) if found is not None else ""


def first(said: Sequence[tuple[str, bool]], most: int) -> list[tuple[str, bool]]:
    """At most so many of them, and how many more there are."""
    more = len(said) - most
    return [*said[:most], *([(f"and {count(more)} more", False)] if more > 0 else [])]


def _place(test: str | None) -> str:
    return test or "outside a test"
