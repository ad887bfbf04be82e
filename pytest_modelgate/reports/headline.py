"""The sentence that answers for a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports.numbers import count, number, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Verdicts = Sequence[Mapping[str, Any]]

NAMED = 2
"""How many red gates the sentence names; the others it counts."""


def headline(
    answer: str,
    tests: Mapping[str, int],
    verdicts: Verdicts,
    why: str | None,
    mutation: Mapping[str, Any] | None = None,
    baseline: str = "",
) -> str:
    """One sentence that answers for the run; it starts with the answer, and reassures only where the run passed.

    Args:
        answer: `passed`, `failed` or `incomplete`.
        tests: how many tests were collected, and how many had each outcome.
        verdicts: the rows of the report.
        why: why the run ended early, or None.
        mutation: which faults the gates noticed; the sentence names it where these are too few.
        baseline: why the run fails for its baseline, or nothing.
    """
    write = {"passed": _passed, "failed": _failed, "incomplete": _incomplete}[answer]
    also = "; ".join(filter(None, [_too_few(mutation), baseline]))
    return " ".join(write(tests, verdicts, why or "", also).split())


def unexpected(verdicts: Verdicts) -> list[Mapping[str, Any]]:
    """The red verdicts that no test expected."""
    return [verdict for verdict in verdicts if not verdict["passed"] and not verdict["expected"]]


def is_unsure(verdict: Mapping[str, Any]) -> bool:
    """Whether the verdict is green although the data could not tell."""
    return bool(verdict["passed"]) and verdict["outcome"] == "INCONCLUSIVE"


def _passed(tests: Mapping[str, int], verdicts: Verdicts, why: str, also: str) -> str:
    if not verdicts:
        return "Passed, but no gate was judged."
    expected = sum(verdict["expected"] for verdict in verdicts)
    if not expected:
        return f"Passed: {_all_green(verdicts)}."
    unsure = sum(map(is_unsure, verdicts))
    doubt = f", and {count(unsure)} {_be(unsure)} green but unsure" if unsure else ""
    whose = "its test" if expected == 1 else "their tests"
    were = "was" if expected == 1 else "were"
    return f"Passed: {plural(len(verdicts), 'gate')}, of which {count(expected)} {were} red as {whose} expected{doubt}."


def _failed(tests: Mapping[str, int], verdicts: Verdicts, why: str, also: str) -> str:
    red, failures = unexpected(verdicts), _failures(tests)
    if red:
        more = tests["failed"] + tests["error"] > len({verdict["test"] for verdict in red})
        parts = [_reds(red, len(verdicts)), f"{failures} in all" if more else "", also]
        return f"Failed: {'; '.join(filter(None, parts))}."
    subject = " and ".join(filter(None, [failures, also])) or "pytest ended with an error, and no test failed"
    if not verdicts:
        return f"Failed: {subject}, and no gate was judged."
    expected = sum(verdict["expected"] for verdict in verdicts)
    if not expected:
        return f"Failed: {subject}, though {_all_green(verdicts)}."
    others = f"the {count(expected)} of {count(len(verdicts))} that were expected to be"
    return f"Failed: {subject}, though no gate is red but {others}."


def _incomplete(tests: Mapping[str, int], verdicts: Verdicts, why: str, also: str) -> str:
    ended = tests["collected"] - tests["not_run"]
    parts = [f"Incomplete: the run stopped after {count(ended)} of {plural(tests['collected'], 'test')} ({why})"]
    if tests["collected"] and not tests["not_run"]:
        parts = [f"Incomplete: {why}, though all of {plural(tests['collected'], 'test')} ended"]
    red, failures = unexpected(verdicts), _failures(tests)
    if failures:
        parts.append(failures)
    if red:
        parts.append(_reds(red, len(verdicts)))
    elif verdicts:
        were = "was" if len(verdicts) == 1 else "were"
        expected = " but as its test expected" if any(verdict["expected"] for verdict in verdicts) else ""
        parts.append(f"of the {plural(len(verdicts), 'gate')} that {were} judged until then, none is red{expected}")
    else:
        parts.append("no gate was judged")
    return "; ".join(filter(None, [*parts, also])) + "."


def _all_green(verdicts: Verdicts) -> str:
    """That every gate is green, and how many of them only because the data could not tell."""
    unsure = sum(map(is_unsure, verdicts))
    if len(verdicts) == 1:
        return f"the one gate is green{', but unsure' if unsure else ''}"
    return f"all {count(len(verdicts))} gates are green{f', {count(unsure)} of them unsure' if unsure else ''}"


def _reds(red: Verdicts, total: int) -> str:
    """How many gates are red, and the first of them by name."""
    named = [f"{verdict['gate']} in {verdict['test'] or 'no test'}" for verdict in red[:NAMED]]
    if len(red) > NAMED:
        named.append(f"and {count(len(red) - NAMED)} more")
    return f"{count(len(red))} of {plural(total, 'gate')} {_be(len(red))} red ({', '.join(named)})"


def _failures(tests: Mapping[str, int]) -> str:
    """How many tests failed and how many ended in an error, or nothing."""
    parts = [f"{plural(tests['failed'], 'test')} failed"] if tests["failed"] else []
    if tests["error"]:
        parts.append(f"{plural(tests['error'], 'test')} ended in an error")
    return " and ".join(parts)


def _too_few(mutation: Mapping[str, Any] | None) -> str:
    """That the gates noticed too few faults, or nothing."""
    if mutation is None or mutation["enough"] is not False:
        return ""
    required = f"(required: {number(mutation['minimum'], mutation['share'])})"
    if not mutation["counted"]:
        return f"no fault was there that the gates could notice {required}"
    share = number(mutation["share"], mutation["minimum"])
    return (
        f"the gates noticed too few faults: {count(mutation['caught'])} of {count(mutation['counted'])} = "
        f"{share} {required}"
    )


def _be(total: int) -> str:
    return "is" if total == 1 else "are"
