"""A gate on leakage: no row of one data set may be in the other."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence
from pytest_modelgate.gates.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from pytest_modelgate.evidence.audit import DataAudit, Finding

_NAME = "no_leakage"
_FAULTS = {
    "duplicates": "equal rows belong on one side: drop repeats before the split",
    "groups": "split by group, so that all rows of a group are on one side (GroupKFold, GroupShuffleSplit)",
    "time": "split at a time: train on what is before it, test on what is after it",
    "near duplicates": "near rows are noisy copies, crops or repeated measurements: keep those of one origin together",
}
_REPEATS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLeakage:
    """No test row may leak: equal or almost equal a training row, be of its group, or earlier than the last one.

    One row is a `FAIL`. `PASS`: none was found of what was looked for. `UNDEFINED`: near-duplicates were asked for and
    cannot be judged. Rows that repeat within one set are told and not judged.

    Raises:
        BarError: a confidence that is none.

    >>> from pytest_modelgate.checks.data.leakage import audit_leakage
    >>> import numpy as np
    >>> train = np.arange(12.0).reshape(6, 2)
    >>> verdict = NoLeakage().check(audit_leakage(train, np.array([[9.0, 9.0], [4.0, 5.0]])))
    >>> print(verdict.explanation)
    FAIL: 1 of 2 test rows leaks: 1 of 2 test rows equals a training row
    """

    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        check_confidence(self.confidence)

    def check(self, audit: DataAudit) -> Verdict:
        """Judge an audit of two sets.

        Raises:
            EvidenceError: an audit of something else.
        """
        if audit.about != "leakage":
            raise EvidenceError(f"this gate judges an audit of leakage, not of {audit.about}")
        sought = [finding for finding in audit.findings if finding.name in _FAULTS]
        faults = [finding for finding in sought if finding.count]
        total = audit["leaking rows"]
        train, test = audit.sizes["train"], audit.sizes["test"]
        if faults:
            outcome = Outcome.FAIL
            leaks = "leaks" if total.count == 1 else "leak"
            text = f"{total.count:,} of {_rows(test, 'test')} {leaks}: " + "; ".join(one.text for one in faults)
        elif unknown := [finding.text for finding in sought if finding.count is None]:
            outcome, text = Outcome.UNDEFINED, "; ".join(unknown)
        else:
            outcome = Outcome.PASS
            looked = ", ".join(one.name for one in sought)
            text = f"none of {_rows(test, 'test')} leaks from {_rows(train, 'training')} (looked for: {looked})"
        notes = [f"{one.name}: {_places(one, 'training row')}" for one in faults]
        for finding in audit.findings:
            if finding in sought and finding.count == 0 and (finding.p is not None or "same time" in finding.text):
                notes.append(finding.text)
            elif finding not in sought and finding is not total and finding.count != 0:
                places = _places(finding, "row" if "within" in finding.name else "training row")
                notes.append(finding.text + (f": {places}" if places else ""))
        notes += [_FAULTS[one.name] for one in faults]
        within = audit["duplicates within train"].count or 0
        if any(one.name == "duplicates" for one in faults) and within > _REPEATS * train:
            notes.append(
                f"{within / train:.0%} of the training rows repeat one another: where features take few values, equal "
                "rows may be different samples, and nobody can tell"
            )
        return Verdict(
            gate=f"{_NAME}({', '.join(one.name for one in sought)})",
            outcome=outcome,
            passed=outcome is Outcome.PASS,
            metric=_NAME,
            estimate=total.estimate,
            hits=total.count,
            support=test,
            bar=0.0,
            direction="at_most",
            confidence=self.confidence,
            explanation=f"{outcome}: {text}",
            details=tuple((one.name, one.count) for one in audit.findings if one.count is not None),
            notes=tuple(notes),
        )


def _rows(number: int, kind: str) -> str:
    return f"{number:,} {kind} row{'s' * (number != 1)}"


def _places(finding: Finding, other: str) -> str:
    """The first rows that offend, and how many more there are."""
    if not finding.rows or not finding.count:
        return ""
    between = " = {} {}" if "duplicates" in finding.name and "near" not in finding.name else " ({} {})"
    shown = [f"row {each[0]}" + (between.format(other, each[1]) if len(each) > 1 else "") for each in finding.rows]
    more = finding.count - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
