"""The report of a run: a frozen value over plain types, which turns to JSON and back without loss."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import ModelgateError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
"""The version of the schema that this version of the package writes, and the newest that it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run found.

    Attributes:
        answer: `passed`, `failed` or `incomplete`; it follows the outcomes of the tests.
        headline: one sentence that answers for the run.
        why_incomplete: why the run ended early, or None.
        tests: how many tests were collected, and how many had each outcome.
        verdicts: one mapping a gate, in the order of collection.
        evaluations, histories, audits: the evidence, each once, in the order in which it was first made.
        provenance: where and with what the run was made.
        mutation: which faults the gates noticed, or None where no model was mutated.
        baseline: what differs from the baseline, or was recorded; None where there is none.
        schema: the version of this layout.

    A number that is not finite is the string "nan", "inf" or "-inf".
    """

    answer: str
    headline: str
    why_incomplete: str | None
    tests: Mapping[str, int]
    verdicts: tuple[Mapping[str, Any], ...]
    evaluations: tuple[Mapping[str, Any], ...]
    histories: tuple[Mapping[str, Any], ...]
    provenance: Mapping[str, Any]
    audits: tuple[Mapping[str, Any], ...] = ()
    mutation: Mapping[str, Any] | None = None
    baseline: Mapping[str, Any] | None = None
    schema: int = SCHEMA

    def to_dict(self) -> dict[str, Any]:
        """The report as plain types that JSON can hold."""
        return {
            "schema": self.schema,
            "answer": self.answer,
            "headline": self.headline,
            "why_incomplete": self.why_incomplete,
            "tests": dict(self.tests),
            "verdicts": [dict(verdict) for verdict in self.verdicts],
            "evaluations": [dict(evaluation) for evaluation in self.evaluations],
            "histories": [dict(history) for history in self.histories],
            "audits": [dict(audit) for audit in self.audits],
            "mutation": None if self.mutation is None else dict(self.mutation),
            "baseline": None if self.baseline is None else dict(self.baseline),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Report:
        """The report that `to_dict` was called on; keys that a report does not have are ignored.

        Raises `ModelgateError` where the schema is newer than this version knows, or a part is missing.
        """
        schema = plain.get("schema")
        if not isinstance(schema, int):
            raise ModelgateError("this is no report of pytest-modelgate: it has no schema number")
        if schema > SCHEMA:
            raise ModelgateError(
                f"this report has schema {schema}, and this version of pytest-modelgate reads schemas up to {SCHEMA}: "
                "update pytest-modelgate"
            )
        try:
            return cls(
                schema=schema,
                answer=plain["answer"],
                headline=plain["headline"],
                why_incomplete=plain["why_incomplete"],
                tests=plain["tests"],
                verdicts=tuple(plain["verdicts"]),
                evaluations=tuple(plain["evaluations"]),
                histories=tuple(plain["histories"]),
                provenance=plain["provenance"],
                audits=tuple(plain.get("audits", ())),
                mutation=plain.get("mutation"),
                baseline=plain.get("baseline"),
            )
        except KeyError as error:
            raise ModelgateError(
                f"the report has no {error.args[0]!r}: write it anew with --modelgate-report"
            ) from None

    def to_json(self) -> str:
        """The report as JSON text: without NaN, a line for each thing that may change, rows of numbers on one line."""
        return _dump(self.to_dict(), "") + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` was called on. Raises `ModelgateError` where the text is no such report."""
        try:
            plain = json.loads(text)
        except ValueError as error:
            raise ModelgateError(f"the report is not JSON ({error}): write it anew with --modelgate-report") from None
        if not isinstance(plain, dict):
            raise ModelgateError(f"a report is a JSON object, but this text holds a {type(plain).__name__}")
        return cls.from_dict(plain)


def _dump(value: object, indent: str) -> str:
    """JSON whose flat lists, and flat objects of at most 100 characters, stand on one line."""
    if not isinstance(value, dict | list | tuple) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    parts = value.values() if isinstance(value, dict) else value
    if not any(isinstance(part, dict | list | tuple) and part for part in parts):
        line = json.dumps(value, ensure_ascii=False, allow_nan=False)
        numbers_only = not isinstance(value, dict) and not any(isinstance(part, str) for part in parts)
        if numbers_only or len(line) <= 100:
            return line
    deeper = indent + " "
    if isinstance(value, dict):
        lines = [f"{json.dumps(str(key), ensure_ascii=False)}: {_dump(part, deeper)}" for key, part in value.items()]
        return f"{{\n{deeper}" + f",\n{deeper}".join(lines) + f"\n{indent}}}"
    return f"[\n{deeper}" + f",\n{deeper}".join(_dump(part, deeper) for part in value) + f"\n{indent}]"
