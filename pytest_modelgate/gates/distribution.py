"""The gate on drift between two data sets."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import BarError
from pytest_modelgate.gates.gate import check_bar
from pytest_modelgate.gates.label_leakage import LEVEL
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence, check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import allowed, number, plain
from pytest_modelgate.metrics.remarks import counted

if TYPE_CHECKING:
    from pytest_modelgate.evidence.audit import DataAudit, Finding

TOLERATED = 0.05
_METHOD = "Kolmogorov-Smirnov, McDiarmid for class shares"
_REMEDY = (
    "usual causes: a split by time, place or order instead of at random, other preprocessing on one side, filtered "
    "rows; split again at random, or pass `at_most=` with the drift that is meant"
)


@dataclass(frozen=True, slots=True)
class SameDistribution:
    """Two data sets must not differ by more than is tolerated, in class shares or in any feature.

    The figure is a difference of shares: for a feature how much the shares of samples below any one value differ at
    most, for classes what share of the samples would have to change class. `FAIL`: a lower bound that holds for all
    features at once is above `at_most`. `PASS`: every upper bound is at most that. Otherwise `INCONCLUSIVE`, which
    leans to fail where a drift is proved (p-value times the number of figures below 0.01) and its estimate is above
    `at_most`: chance alone makes estimates of small sets large.

    Args:
        at_most: the difference of shares that is tolerated, from 0 to below 1.
        confidence: of the bounds.
        if_unsure: the colour of `INCONCLUSIVE`; as in `Gate`.
    """

    at_most: float = TOLERATED
    confidence: float = field(default=CONFIDENCE, kw_only=True)
    if_unsure: str = field(default="estimate", kw_only=True)

    def __post_init__(self) -> None:
        bar = check_bar(self.at_most, 0, 1, "same_distribution")
        if bar == 1:
            raise BarError("at_most=1 tolerates every difference: give less than 1, such as 0.05")
        object.__setattr__(self, "at_most", bar)
        check_confidence(self.confidence)
        check_if_unsure(self.if_unsure)

    def check(self, audit: DataAudit) -> Verdict:
        """Judge an audit about "same distribution"."""
        remarks = tuple(one.text for one in audit.findings if one.estimate is None)
        judged = sorted((one for one in audit.findings if one.estimate is not None), key=lambda one: -_lower(one))
        family = audit.features or len(judged)
        level = min(LEVEL, 1 - self.confidence)
        proved = [one for one in judged if _lower(one) > self.at_most]
        real = [one for one in judged if _figure(one) > self.at_most and (one.p or 0.0) * family < level]
        if proved:
            outcome, passed = Outcome.FAIL, False
        elif all(one.upper is not None and one.upper <= self.at_most for one in judged):
            outcome, passed = Outcome.PASS, True
        else:
            outcome, passed = Outcome.INCONCLUSIVE, colour_of_doubt(self.if_unsure, not real)
        named = proved or real
        worst = named[0] if named else max(judged, key=_figure)
        leans = f" (leans {'fail' if real else 'pass'})" if outcome is Outcome.INCONCLUSIVE else ""
        figure = f"{number(_figure(worst), self.at_most)}, required <= {number(self.at_most, _figure(worst))}"
        if named:
            names = ", ".join(repr(one.name) for one in named[:10]) + (", ..." if len(named) > 10 else "")
            drifts = "differs" if len(named) == 1 else "differ"
            sentence = f"{names} {drifts} between train and test, the first by {figure}"
        else:
            sentence = f"no drift proved between train and test; the largest difference is of {worst.name!r}, {figure}"
            if outcome is Outcome.PASS:
                sentence = f"train and test are alike; the largest difference is of {worst.name!r}, {figure}"
        notes = [one.text for one in named[:10] or [worst]]
        if worst.lower is not None and worst.upper is not None:
            notes.append(allowed(worst.lower, worst.upper, self.confidence, f"{_METHOD}, {self._family(family)}"))
        if outcome is Outcome.INCONCLUSIVE:
            size = f"{audit.sizes['train']:,} and {audit.sizes['test']:,}"
            notes.append(f"{size} rows are too few to prove that nothing differs by more than is tolerated")
            if self.if_unsure == "fail":
                notes.append("red since if_unsure='fail' takes nothing but proof")
        if named and not passed:
            notes.append(_REMEDY)
        return Verdict(
            gate=f"same_distribution <= {plain(self.at_most)}",
            outcome=outcome,
            passed=passed,
            metric="same_distribution",
            estimate=worst.estimate,
            lower=worst.lower,
            upper=worst.upper,
            support=min(audit.sizes.values()),
            bar=self.at_most,
            direction="at_most",
            confidence=self.confidence,
            if_unsure=self.if_unsure,
            method=_METHOD,
            family=self._family(family),
            explanation=f"{outcome}{leans}: {sentence}",
            notes=(*notes, *remarks),
            details=(("differing", [one.name for one in named[:10]]),),
        )

    def _family(self, count: int) -> str:
        return f"Bonferroni over {counted(count, 'figure')}"


def _figure(finding: Finding) -> float:
    return -1.0 if finding.estimate is None else finding.estimate


def _lower(finding: Finding) -> float:
    return -1.0 if finding.lower is None else finding.lower
