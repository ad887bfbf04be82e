"""The answer to a gate: a frozen value that turns to JSON and back."""

from __future__ import annotations

__tracebackhide__ = True

import json
from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Outcome(str, Enum):
    """What the evidence says about a gate.

    `PASS` and `FAIL` are proved: each is wrong in at most `1 - confidence` of cases for proportions and F1, and
    nominally for other metrics (the README has measured rates). `INCONCLUSIVE`: the data cannot tell. `UNDEFINED`:
    there is nothing to judge; always red.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    UNDEFINED = "UNDEFINED"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judgement of one gate on one piece of evidence.

    Attributes:
        gate: the gate as text, such as `recall[fraud] >= 0.9`.
        outcome: what the evidence shows; see `Outcome`.
        passed: the colour: whether the test may go on. `if_unsure` decides it where the outcome is `INCONCLUSIVE`.
        metric, label, average, slice, parameters: what was measured, and of what.
        estimate: the metric's value on the evidence, or None where it is undefined.
        lower, upper: two one-sided bounds, each at `confidence`; None where the metric has none.
        hits: the numerator where the estimate is a proportion `hits / support`.
        support: how many samples the estimate rests on.
        bar, direction: what was required: `at_least` or `at_most` the bar, or `above` it.
        method: how the bounds were computed, or None.
        explanation: one sentence that starts with the outcome.
        family: where the tool itself multiplied judgements (classes, slices): how the error rates were corrected for
            it, such as "Holm over 10 classes"; None for a gate that stands for itself.
        details: further figures by name, such as how many decisions changed against a baseline.
        notes: further lines for people: what the data allow, the confusion matrix, what hides the failure.
    """

    gate: str
    outcome: Outcome
    passed: bool
    metric: str
    estimate: float | None
    support: int
    bar: float | None
    direction: str
    explanation: str
    label: str | int | None = None
    average: str | None = None
    slice: str | None = None
    lower: float | None = None
    upper: float | None = None
    hits: int | None = None
    confidence: float = 0.95
    if_unsure: str = "estimate"
    method: str | None = None
    family: str | None = None
    details: tuple[tuple[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    parameters: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return "\n  ".join((self.explanation, *self.notes, *self.would_settle()))

    def would_settle(self) -> tuple[str, ...]:
        """Where the outcome is `INCONCLUSIVE`: what luck may have done, and how many samples would settle it.

        Worked out when it is asked for, since it costs more than the judgement.
        """
        if self.outcome is not Outcome.INCONCLUSIVE:
            return ()
        from pytest_modelgate.gates.settling import settling

        return settling(self)

    def __bool__(self) -> bool:
        """A verdict is true where it passed, so that `assert gate.check(evidence)` means what it says."""
        return self.passed

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain types that JSON can hold."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {
            "outcome": self.outcome.value,
            "notes": list(self.notes),
            "parameters": dict(self.parameters),
            "details": dict(self.details),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Verdict:
        """The verdict that `to_dict` was called on; keys that a verdict does not have are ignored."""
        known = {field.name: plain[field.name] for field in fields(cls) if field.name in plain}
        return cls(
            **known
            | {
                "outcome": Outcome(plain["outcome"]),
                "notes": tuple(plain.get("notes", ())),
                "parameters": tuple(plain.get("parameters", {}).items()),
                "details": tuple(plain.get("details", {}).items()),
            }
        )

    def to_json(self) -> str:
        """The verdict as JSON text, without NaN."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """The verdict that `to_json` was called on."""
        return cls.from_dict(json.loads(text))
