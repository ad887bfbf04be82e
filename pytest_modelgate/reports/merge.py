"""Makes the report of a run from what its processes wrote down, alike however the tests were spread over them."""

from __future__ import annotations

import json
from collections import Counter
from math import isfinite
from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports.baseline import fails
from pytest_modelgate.reports.headline import headline
from pytest_modelgate.reports.mutants import gather
from pytest_modelgate.reports.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Entry = Mapping[str, Any]
    Row = dict[str, Any]
    Against = Callable[[Sequence[Row], Sequence[Row]], Mapping[str, Any] | None]

NOT_FINISHED = "not finished"
_DID_NOT_FAIL = ("passed", "skipped", "xfailed", "xpassed")


def build_report(
    entries: Iterable[Entry],
    *,
    order: Sequence[str],
    outcomes: Mapping[str, str],
    why_incomplete: str | None,
    failed: bool,
    provenance: Mapping[str, Any],
    mutated: bool = False,
    minimum: float | None = None,
    against: Against | None = None,
) -> Report:
    """The report of a run.

    Args:
        entries: the lines of every process's journal, in any order.
        order: the node ids of the tests, in the order of collection.
        outcomes: the final outcome of each test that ended: `passed`, `failed`, `error`, `skipped`, `xfailed` or
            `xpassed`.
        why_incomplete: why the run ended early, or None where it came to its end.
        failed: whether pytest's exit status says that the run failed.
        provenance: where and with what the run was made; plain types.
        mutated: whether the gates were settled on faulted twins too.
        minimum: the share of faults that the gates must notice, or None.
        against: what compares the verdicts and evaluations with a baseline, or records them as one; or None.
    """
    ordered = _last_runs(_in_order(entries, order))
    twins = {(entry["worker"], entry["data"]["of"]): entry["data"] for entry in ordered if entry["kind"] == "mutation"}
    verdicts = _verdicts([entry for entry in ordered if entry["kind"] == "verdict"])
    settled = [(row, plain(next(filter(None, map(twins.get, row.pop("places"))), None))) for row in verdicts]
    mutation = gather(settled, minimum) if mutated else None
    users: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict["evidence"] is not None and verdict["test"] is not None:
            users.setdefault(verdict["evidence"], []).append(verdict["test"])
    referred = {verdict["evidence"] for verdict in verdicts}
    failed = failed or any(outcome in ("failed", "error") for outcome in outcomes.values())
    failed = failed or (mutation is not None and mutation["enough"] is False)
    evaluations = _evidence("evaluation", ordered, users, referred)
    answer = _answer(why_incomplete, failed)
    rows = tuple(_with_outcome(verdict, outcomes, answer) for verdict in verdicts)
    baseline = None if against is None else against(rows, evaluations)
    if baseline is not None and baseline["fails"] and not failed:
        answer = _answer(why_incomplete, failed=True)
        rows = tuple(_with_outcome(verdict, outcomes, answer) for verdict in verdicts)
    tests = _counts(order, outcomes)
    return Report(
        answer=answer,
        headline=headline(answer, tests, rows, why_incomplete, mutation, fails(baseline)),
        why_incomplete=why_incomplete,
        tests=tests,
        verdicts=rows,
        evaluations=evaluations,
        histories=_evidence("history", ordered, users, referred),
        audits=_evidence("audit", ordered, users, referred),
        mutation=mutation,
        baseline=baseline,
        provenance=plain(dict(provenance)),
    )


def _answer(why_incomplete: str | None, failed: bool) -> str:
    return "incomplete" if why_incomplete is not None else "failed" if failed else "passed"


def _in_order(entries: Iterable[Entry], order: Sequence[str]) -> list[Entry]:
    """The entries by test in the order of collection, then by process, then as they were written.

    What belongs to no test (made while modules were imported) comes first, tests that were not collected last.
    """
    index = {test: position for position, test in enumerate(order)}

    def place(entry: Entry) -> tuple[int, str, int, str, int]:
        test, worker = entry["test"], entry["worker"]
        position = -1 if test is None else index.get(test, len(index))
        return position, test or "", len(worker), worker, entry["sequence"]

    return sorted(entries, key=place)


def _last_runs(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without the verdicts of a test that ran again, as plugins rerun failures: it counts as it ran last.

    What a shared fixture judged stays: it is not made anew for a rerun.
    """
    last: dict[tuple[str, str], int] = {}
    own = [entry for entry in entries if entry["kind"] == "verdict" and entry["test"] and entry["fixture"] is None]
    for entry in own:
        place = entry["worker"], entry["test"]
        last[place] = max(last.get(place, 0), entry.get("run", 0))
    before = {id(entry) for entry in own if entry.get("run", 0) < last[entry["worker"], entry["test"]]}
    return [entry for entry in entries if id(entry) not in before]


def _verdicts(entries: Sequence[Entry]) -> list[Row]:
    """One row for each verdict, without what a process repeated only because another one could not see it."""
    rows: list[Row | None] = []
    seen: dict[str, int] = {}
    repeated: Counter[str] = Counter()
    generated: dict[tuple[str, str, str], int] = {}
    for entry in entries:
        data = plain(entry["data"])
        row = {"cached": [], **data, "test": entry["test"], "count": 1, "evidence": data.get("evidence")}
        row["places"] = [(entry["worker"], entry["sequence"])]
        shared = "collection" if entry["test"] is None else entry["fixture"]
        if shared is not None:
            # A fixture that many tests share runs once in each process: for its first test, and ends after its last.
            content = f"{shared} {entry['phase']} {json.dumps(data, sort_keys=True)}"
            repeated[f"{entry['worker']} {content}"] += 1
            content += f" {repeated[entry['worker'] + ' ' + content]}"
            if content in seen:
                same = rows[seen[content]]
                assert same is not None
                if entry["phase"] != "teardown":
                    same["places"] += row["places"]
                    continue
                row["places"] += same["places"]
                rows[seen[content]] = None
            seen[content] = len(rows)
        elif entry["hypothesis"]:
            gate = (entry["test"], entry["phase"], data["gate"])
            if gate in generated:
                shown = rows[generated[gate]]
                assert shown is not None
                chosen = shown if row["passed"] and not shown["passed"] else row
                rows[generated[gate]] = {**chosen, "count": shown["count"] + 1}
                continue
            generated[gate] = len(rows)
        rows.append(row)
    return [row for row in rows if row is not None]


def _with_outcome(row: Row, outcomes: Mapping[str, str], answer: str) -> Row:
    """The row with its test's outcome. A red verdict is expected where what made it did not fail for it."""
    test = row["test"]
    outcome = None if test is None else outcomes.get(test, NOT_FINISHED)
    did_not_fail = answer == "passed" if test is None else outcome in _DID_NOT_FAIL
    ending = {key: row[key] for key in ("count", "evidence")}
    row = {key: value for key, value in row.items() if key not in ending}
    settle = _settle(row)
    return {**row, "settle": settle, "test_outcome": outcome, "expected": not row["passed"] and did_not_fail, **ending}


def _settle(row: Row) -> list[str]:
    """What would settle an `INCONCLUSIVE` row, worked out here and not in the tests; nothing where nobody can tell."""
    from pytest_modelgate.gates.verdict import Verdict

    if row["outcome"] != "INCONCLUSIVE":
        return []
    try:
        return list(Verdict.from_dict(row).would_settle())
    except Exception as error:  # whatever it is, the rest of the report must still be written
        return [f"what would settle it could not be worked out: {type(error).__name__}: {error}"]


def _evidence(
    kind: str, ordered: Sequence[Entry], users: Mapping[str, Sequence[str]], referred: set[str | None]
) -> tuple[Row, ...]:
    """The evaluations or histories, each once, at its earliest place, with the tests whose verdicts rest on it."""
    rows: dict[str, Row | None] = {}
    for entry in ordered:
        if entry["kind"] != kind:
            continue
        key = entry["data"]["key"]
        if key in rows:
            continue
        if entry["hypothesis"] and entry["phase"] == "call" and key not in referred:
            rows[key] = None
            continue
        tests = users.get(key) or ([] if entry["test"] is None else [entry["test"]])
        row = {"key": key, "tests": list(dict.fromkeys(tests)), **plain(entry["data"])}
        rows[key] = row | {"diagnosis": _diagnosis(row)} if kind == "history" else row
    return tuple(row for row in rows.values() if row is not None)


def _diagnosis(row: Row) -> dict[str, Any] | None:
    """What a history shows, worked out here and not in the tests."""
    from pytest_modelgate.evidence.history import History

    try:
        found = History.from_summary(row).diagnose()
    except Exception as error:  # whatever it is, the rest of the report must still be written
        return {"kind": "unknown", "evidence": f"{type(error).__name__}: {error}", "advice": ""}
    return {"kind": found.kind, "evidence": found.evidence, "advice": found.advice}


def _counts(order: Sequence[str], outcomes: Mapping[str, str]) -> dict[str, int]:
    """How many tests had each outcome."""
    counts = {"collected": len(order)}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        counts[outcome] = sum(one == outcome for one in outcomes.values())
    return counts | {"not_run": sum(test not in outcomes for test in order)}


def plain(value: Any) -> Any:
    """The value with each number that is not finite as the string "nan", "inf" or "-inf", and tuples as lists."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
