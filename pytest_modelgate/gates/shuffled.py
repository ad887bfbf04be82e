"""The gate on what a pipeline knows of labels that were shuffled."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_modelgate.gates.label_leakage import LEVEL
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence, check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import allowed, number

if TYPE_CHECKING:
    from pytest_modelgate.evidence.audit import DataAudit, Finding

SMALL = 0.1
_METHOD = "permutations given both margins, and Student's t over the shuffles"
_REMEDY = (
    "the pipeline sees labels of held-out rows: usual causes are feature selection, target encoding or resampling on "
    "all data before the split, early stopping or a threshold chosen on the rows that are judged, or a training that "
    "takes labels from elsewhere than its argument; split first, and do the rest within the training part"
)


@dataclass(frozen=True, slots=True)
class ChanceOnShuffledLabels:
    """Trained on shuffled labels, a pipeline must be at chance on held-out data.

    `FAIL`: it is better than chance at p <= 0.01, both within the shuffles and over them. `PASS`: it is not, and the
    data allow a skill of at most 0.1 (0 is chance, 1 perfect; for ROC-AUC that is 0.55). Otherwise `INCONCLUSIVE`,
    which leans to pass.

    Args:
        confidence: of the bounds.
        if_unsure: the colour of `INCONCLUSIVE`; as in `Gate`.
    """

    confidence: float = field(default=CONFIDENCE, kw_only=True)
    if_unsure: str = field(default="estimate", kw_only=True)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        check_if_unsure(self.if_unsure)

    def check(self, audit: DataAudit) -> Verdict:
        """Judge an audit about "shuffled labels"."""
        first = audit.findings[0]
        if first.name == "undefined":
            text = f"{Outcome.UNDEFINED}: chance on shuffled labels cannot be judged: {first.text}"
            return self._verdict(Outcome.UNDEFINED, False, text, (), audit, None)
        shuffles = ", ".join(one.text for one in audit.findings[1:11])
        notes = [first.text, f"by shuffle: {shuffles}" + (", ..." if len(audit.findings) > 11 else "")]
        if first.estimate is None or first.p is None or first.lower is None or first.upper is None:
            notes.append("return evaluations that hold scores (outputs='logits' or 'probabilities')")
            passed = colour_of_doubt(self.if_unsure, True)
            text = f"{Outcome.INCONCLUSIVE} (leans pass): trained on shuffled labels the pipeline tells nothing"
            return self._verdict(Outcome.INCONCLUSIVE, passed, text, tuple(notes), audit, None)
        outcome, what = Outcome.INCONCLUSIVE, "not proved to be better than chance"
        if first.p <= min(LEVEL, 1 - self.confidence):
            outcome, what = Outcome.FAIL, "better than chance"
        elif first.upper <= SMALL:
            outcome, what = Outcome.PASS, "at chance"
        passed, leans = outcome is Outcome.PASS, ""
        notes.append(allowed(first.lower, first.upper, self.confidence, _METHOD))
        if outcome is Outcome.INCONCLUSIVE:
            passed, leans = colour_of_doubt(self.if_unsure, True), " (leans pass)"
            notes.append(
                f"proof needs more held-out samples or shuffles: at most {SMALL:g} must be all that is allowed"
            )
            if self.if_unsure == "fail":
                notes.append("red since if_unsure='fail' takes nothing but proof")
        if outcome is Outcome.FAIL:
            notes.append(_REMEDY)
        text = (
            f"{outcome}{leans}: trained on shuffled labels the pipeline is {what} on held-out data: skill = "
            f"{number(first.estimate)} (0 is chance), p = {number(first.p)}"
        )
        return self._verdict(outcome, passed, text, tuple(notes), audit, first)

    def _verdict(
        self,
        outcome: Outcome,
        passed: bool,
        explanation: str,
        notes: tuple[str, ...],
        audit: DataAudit,
        found: Finding | None,
    ) -> Verdict:
        return Verdict(
            gate="chance_on_shuffled_labels",
            outcome=outcome,
            passed=passed,
            metric="chance_on_shuffled_labels",
            estimate=None if found is None else found.estimate,
            lower=None if found is None else found.lower,
            upper=None if found is None else found.upper,
            support=audit.sizes["held out"],
            bar=SMALL,
            direction="at_most",
            confidence=self.confidence,
            if_unsure=self.if_unsure,
            method=None if found is None else _METHOD,
            explanation=explanation,
            notes=notes,
            details=(("shuffles", audit.sizes["shuffles"]), ("p", None if found is None else found.p)),
        )
