"""The gate on features that tell the target by themselves."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import BarError
from pytest_modelgate.gates.gate import check_bar
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence, check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import allowed, number, plain
from pytest_modelgate.metrics.remarks import counted

if TYPE_CHECKING:
    from pytest_modelgate.evidence.audit import DataAudit, Finding

LEVEL = 0.01
"""How often chance alone may alarm over the whole family, where `confidence` asks for no less."""

_REMEDY = (
    "usual causes: the target or something made of it (a later outcome, a code) among the features, or "
    "rows in the order of the target; drop the feature, or raise `at=` if it is known before the outcome"
)


@dataclass(frozen=True, slots=True)
class NoLabelLeakage:
    """No feature alone may all but decide the target.

    `FAIL`: a feature's figure (ROC-AUC; of a regression the rank correlation) is at least `at`, its p-value times twice
    the number of features (two ways each) is below 0.01, and its lower bound is above 1 - 10 (1 - at), .9 for .99: an
    honest feature at .95 is seldom beyond both. `PASS`: every feature's upper bound is below `at`. Otherwise
    `INCONCLUSIVE`, which leans to fail where the first two hold: an exact copy with fewer than 29 samples of a class.

    Args:
        at: the figure that counts as deciding, above 0.5 and below 1.
        confidence: of the bounds.
        if_unsure: the colour of `INCONCLUSIVE`; as in `Gate`.
    """

    at: float = 0.99
    confidence: float = field(default=CONFIDENCE, kw_only=True)
    if_unsure: str = field(default="estimate", kw_only=True)

    def __post_init__(self) -> None:
        at = check_bar(self.at, 0, 1, "no_label_leakage")
        if not 0.5 < at < 1:
            raise BarError(f"at={at:g}: what all but decides the target lies above 0.5 and below 1, such as 0.99")
        object.__setattr__(self, "at", at)
        check_confidence(self.confidence)
        check_if_unsure(self.if_unsure)

    def check(self, audit: DataAudit) -> Verdict:
        """Judge an audit about "label leakage"."""
        rows, features = audit.sizes["rows"], audit.features or 0
        remarks = tuple(one.text for one in audit.findings if one.name == "left out" and one.estimate is None)
        judged = [one for one in audit.findings if one.estimate is not None and one.p is not None]
        if not judged:
            why = audit["undefined"].text
            text = f"{Outcome.UNDEFINED}: label leakage cannot be judged: {why}"
            return self._verdict(Outcome.UNDEFINED, False, text, remarks, rows, None, features)
        level = min(LEVEL, 1 - self.confidence)
        suspects = [one for one in judged if _figure(one) >= self.at and (one.p or 0.0) * 2 * features < level]
        proved = [one for one in suspects if one.lower is not None and one.lower > 1 - 10 * (1 - self.at)]
        worst = judged[0]
        if proved:
            outcome, passed = Outcome.FAIL, False
        elif all(one.upper is not None and one.upper < self.at for one in judged):
            outcome, passed = Outcome.PASS, True
        else:
            outcome, passed = Outcome.INCONCLUSIVE, colour_of_doubt(self.if_unsure, not suspects)
        named = proved or suspects
        if named:
            worst = named[0]
            names = ", ".join(repr(one.name) for one in named[:10]) + (", ..." if len(named) > 10 else "")
            what = f"{counted(len(named), 'feature')} of {features:,} alone all but decide{'s' * (len(named) == 1)}"
            sentence = f"{what} the target: {names}"
        else:
            sentence = f"no feature of {features:,} alone decides the target; the most telling is {worst.name!r}"
        sentence += f", at {number(_figure(worst), self.at)}, required < {number(self.at, _figure(worst))}"
        leans = f" (leans {'fail' if suspects else 'pass'})" if outcome is Outcome.INCONCLUSIVE else ""
        notes = [one.text for one in (named[:10] or [worst])]
        if worst.lower is not None and worst.upper is not None:
            notes.append(allowed(worst.lower, worst.upper, self.confidence, _METHOD))
        if outcome is Outcome.INCONCLUSIVE:
            few = "these are too few samples to tell a leak from an honest feature that separates them by luck"
            notes.append(few if suspects else "these are too few samples to prove that no feature decides the target")
            if self.if_unsure == "fail":
                notes.append("red since if_unsure='fail' takes nothing but proof")
        if not passed and named:
            notes.append(_REMEDY)
        return self._verdict(
            outcome, passed, f"{outcome}{leans}: {sentence}", (*notes, *remarks), rows, worst, features, named
        )

    def _verdict(
        self,
        outcome: Outcome,
        passed: bool,
        explanation: str,
        notes: tuple[str, ...],
        rows: int,
        worst: Finding | None,
        features: int,
        named: list[Finding] | None = None,
    ) -> Verdict:
        return Verdict(
            gate=f"no_label_leakage < {plain(self.at)}",
            outcome=outcome,
            passed=passed,
            metric="no_label_leakage",
            estimate=None if worst is None else worst.estimate,
            lower=None if worst is None else worst.lower,
            upper=None if worst is None else worst.upper,
            support=rows,
            bar=self.at,
            direction="at_most",
            confidence=self.confidence,
            if_unsure=self.if_unsure,
            method=None if worst is None else _METHOD,
            family=None if worst is None else f"Bonferroni over {counted(features, 'feature')}, two ways each",
            explanation=explanation,
            notes=notes,
            details=(("features", [one.name for one in (named or [])[:10]]),),
        )


_METHOD = "rank tests, a feature at a time"


def _figure(finding: Finding) -> float:
    return -1.0 if finding.estimate is None else finding.estimate
