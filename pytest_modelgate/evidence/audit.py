"""What was found in data: a frozen value for the report, without the data."""

from __future__ import annotations

__tracebackhide__ = True

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from pytest_modelgate.exceptions import EvidenceError

About = Literal["leakage", "label leakage", "same distribution", "shuffled labels"]
_NUMBERS = ("estimate", "lower", "upper", "p")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked for in data, and what was found.

    Attributes:
        name: what was looked for, such as "duplicates", "groups" or "feature 3".
        count: how many rows offend; None where rows are not what is counted.
        of: out of how many.
        rows: the first ten that offend, each as (test row,) or (test row, training row), from 0.
        estimate, lower, upper, p: a measured figure, its bounds, and a p-value; finite, or None.
        text: one sentence for people.

    Raises:
        EvidenceError: a figure that is not finite.
    """

    name: str
    count: int | None
    of: int | None
    rows: tuple[tuple[int, ...], ...] = ()
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    p: float | None = None
    text: str

    def __post_init__(self) -> None:
        for name in ("count", "of"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else int(value))
        object.__setattr__(self, "rows", tuple(tuple(int(row) for row in each) for each in self.rows))
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise EvidenceError(f"{self.name}: {name}={value!r} is not finite; None stands for what is not known")
            object.__setattr__(self, name, None if value is None else float(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAudit:
    """What was looked for in one or more data sets, and what was found; the evidence of the gates on data.

    Attributes:
        about: "leakage", "label leakage", "same distribution" or "shuffled labels".
        sizes: the rows of each set by its name, such as {"train": 900, "test": 300}.
        features: the numbers in each row; None where that is not known.
        findings: what was looked for, each with what was found, nothing included.

    Raises:
        EvidenceError: another kind of audit.

    >>> audit = DataAudit(about="leakage", sizes={"train": 900, "test": 300}, features=4)
    >>> DataAudit.from_summary(audit.summary()) == audit
    True
    """

    about: About
    sizes: Mapping[str, int] = field(hash=False)
    features: int | None
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if self.about not in get_args(About):
            raise EvidenceError(f"an audit is about {', '.join(get_args(About))}, not {self.about!r}")
        object.__setattr__(self, "sizes", {str(name): int(size) for name, size in self.sizes.items()})
        object.__setattr__(self, "features", None if self.features is None else int(self.features))
        object.__setattr__(self, "findings", tuple(self.findings))

    def __getitem__(self, name: str) -> Finding:
        """The finding of this name; a `KeyError` where it was not looked for."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(finding.name == name for finding in self.findings)

    def summary(self) -> dict[str, Any]:
        """The whole audit as plain types that JSON can hold; `from_summary` gives it back without loss."""
        findings = [asdict(finding) | {"rows": [list(each) for each in finding.rows]} for finding in self.findings]
        return {
            "kind": "audit",
            "about": self.about,
            "sizes": dict(self.sizes),
            "features": self.features,
            "findings": findings,
        }

    @classmethod
    def from_summary(cls, plain: Mapping[str, Any]) -> DataAudit:
        """The audit that `summary` was called on; keys that it does not have are ignored."""
        known = {each.name for each in fields(Finding)}
        findings = [
            Finding(**{name: value for name, value in each.items() if name in known}) for each in plain["findings"]
        ]
        return cls(about=plain["about"], sizes=plain["sizes"], features=plain["features"], findings=tuple(findings))
