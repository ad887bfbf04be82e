"""The rules on loss curves, and how a gate on a history turns what they find into a verdict."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_modelgate.evidence import diagnosis
from pytest_modelgate.evidence.diagnosis import ADVICE, WORDS, shown
from pytest_modelgate.evidence.history import History
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.gates.settings import check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import SIGNS, number
from pytest_modelgate.statistics.curves import FEWEST, GIVE_BACK, JAGGEDNESS, RISE, Curve, Pair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

METHOD = "heuristic with measured rates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule found: a figure, its limit, and the words for it.

    Attributes:
        metric, estimate, limit, direction: what was measured, and what it was held against.
        broken: whether it is on the wrong side of the limit, by more than rounding.
        sentence: the figure in words, without outcome and limit.
        advice: what to try where the rule is broken.
    """

    metric: str
    estimate: float
    limit: float
    direction: str = "at_most"
    broken: bool
    sentence: str
    advice: str

    @property
    def nearness(self) -> tuple[bool, float]:
        """By which to choose the rule to show: a broken one first, then the figure over its limit."""
        return self.broken, self.estimate / self.limit if self.limit > 0 else -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryGate:
    """What the gates on histories share."""

    if_unsure: str = "estimate"

    def __post_init__(self) -> None:
        check_if_unsure(self.if_unsure)

    @property
    def gate(self) -> str:
        """The gate as text."""
        raise NotImplementedError

    def verdict(
        self,
        outcome: Outcome,
        sentence: str,
        *,
        metric: str,
        support: int,
        meets: bool | None = None,
        estimate: float | None = None,
        bar: float | None = None,
        direction: str = "at_most",
        facts: Mapping[str, float] | None = None,
        notes: Sequence[str] = (),
    ) -> Verdict:
        """A verdict; of an `INCONCLUSIVE` one `meets` says which way it leans, None that it has no estimate."""
        leans, passed = "", outcome is Outcome.PASS
        doubt: tuple[str, ...] = ()
        if outcome is Outcome.INCONCLUSIVE:
            passed = colour_of_doubt(self.if_unsure, meets is not False)
            leans = "" if meets is None else f" (leans {'pass' if meets else 'fail'})"
            doubt = ("red since if_unsure='fail' takes nothing but proof",) if self.if_unsure == "fail" else ()
        return Verdict(
            gate=self.gate,
            outcome=outcome,
            passed=passed,
            metric=metric,
            estimate=estimate if estimate is not None and math.isfinite(estimate) else None,
            support=support,
            bar=bar if bar is not None and math.isfinite(bar) else None,
            direction=direction,
            if_unsure=self.if_unsure,
            method=METHOD,
            explanation=f"{outcome}{leans}: {sentence}",
            details=tuple(diagnosis.finite_facts(facts or {}).items()),
            notes=(*notes, *doubt),
        )

    def refused(self, whole: History, judged: History, metric: str, *names: str) -> Verdict | None:
        """The red verdict on a history with a value that is not finite, or with too few epochs; else None."""
        broken = diagnosis.first_not_finite(whole)
        if broken is not None:
            notes = [f"what to try: {ADVICE['not finite']}"]
            return self.verdict(Outcome.FAIL, broken, metric=metric, support=len(whole), notes=notes)
        support = len(diagnosis.columns(judged, *names)[0])
        if support >= FEWEST:
            return None
        sentence = f"{diagnosis.too_few(judged, *names)} cannot be judged: this rule needs {FEWEST}"
        notes = ["where there is nothing to judge a gate never passes"]
        return self.verdict(Outcome.UNDEFINED, sentence, metric=metric, support=support, notes=notes)

    def found(self, found: Finding, kept: str, support: int, facts: Mapping[str, float]) -> Verdict:
        """The verdict that one rule makes; `kept` says which epochs were left out."""
        return self.verdict(
            Outcome.FAIL if found.broken else Outcome.PASS,
            f"{found.sentence}, required {SIGNS[found.direction]} {number(found.limit, found.estimate)}{kept}",
            metric=found.metric,
            support=support,
            estimate=found.estimate,
            bar=found.limit,
            direction=found.direction,
            facts=facts,
            notes=[f"what to try: {found.advice}"] if found.broken else [],
        )

    def nothing_learned(self, history: History, curve: Curve, metric: str, kept: str) -> Verdict:
        """No estimate: the training loss did not fall, or by too little, which is for another gate to judge."""
        why = "without a change" if curve.flat else diagnosis.why_unlearned(history, curve)
        return self.verdict(
            Outcome.INCONCLUSIVE,
            f"training loss {diagnosis.course(curve)}, {why}: there is nothing to judge yet{kept}",
            metric=metric,
            support=len(curve.values),
            facts=diagnosis.curve_facts(curve),
            notes=["assert_loss_decreases is the gate on whether the model learns at all"],
        )

    def not_learned(self, history: History, curve: Curve, kept: str) -> Verdict | None:
        """The verdict on a training loss that did not fall, or not below the loss of knowing nothing; else None."""
        facts, learned, chance = diagnosis.curve_facts(curve), fall(curve), diagnosis.chance_of(history)
        if learned.broken:
            cause = diverged(curve) if curve.diverged else jumps(curve)
            why = cause if curve.diverged or (curve.jagged and diagnosis.swings(history, curve)) else learned
            return self.found(why, kept, len(curve.values), facts)
        below = None if chance is None else diagnosis.below_chance(curve, chance)
        if chance is None or below is True:
            return None
        bar = chance - diagnosis.BELOW_CHANCE * abs(chance)
        return self.verdict(
            Outcome.FAIL if below is False else Outcome.INCONCLUSIVE,
            f"training loss ends at {number(curve.end, bar)}, required <= {number(bar, curve.end)}, 1% less than "
            f"knowing nothing gives ({number(chance, curve.end)}){kept}",
            metric="train_loss",
            support=len(curve.values),
            meets=False,
            estimate=curve.end,
            bar=bar,
            facts=facts | {"chance_loss": chance},
            notes=[f"what to try: {ADVICE['stuck']}"],
        )


def as_history(evidence: Any) -> History:
    """The history itself, or that of a `TrainedModel`; an `EvidenceError` for what has none."""
    history = getattr(evidence, "history", evidence)
    if isinstance(history, History):
        return history
    one = "; give them one by one" if isinstance(evidence, (list, tuple)) else ""
    raise EvidenceError(f"give a History or a TrainedModel, not {type(evidence).__name__}{one}")


def require(gate: str, history: History, *names: str) -> None:
    """An `EvidenceError` that says what to log, where a loss is missing."""
    for name in names:
        if not history[name]:
            held = f"the history holds {', '.join(history.names)}" if history.names else "the history is empty"
            how = "validation_data= of train_model" if name == "val_loss" else "run.history.log in your own fit"
            raise EvidenceError(
                f"{gate} needs the {WORDS[name]}, and {held}: log it with {how}, or history.log({name}=...)"
            )


def fall(curve: Curve) -> Finding:
    """Whether the training loss fell by more than 6 standard deviations of its noise."""
    return Finding(
        metric="fall",
        estimate=0.0 if curve.flat else curve.fall,
        limit=0.0 if curve.flat else 6 * curve.noise,
        direction="above",
        broken=not curve.fell,
        sentence=f"training loss {diagnosis.course(curve)}, by {number(curve.fall, 6 * curve.noise)}",
        advice=ADVICE["stuck"],
    )


def jumps(curve: Curve) -> Finding:
    """Whether the training loss jumps about."""
    figure = curve.jaggedness
    return Finding(
        metric="jaggedness",
        estimate=figure,
        limit=JAGGEDNESS,
        broken=curve.jagged,
        sentence=f"training loss ({diagnosis.course(curve)}) jumps about by {number(figure, JAGGEDNESS)} of its drop",
        advice=ADVICE["oscillating"],
    )


def rise(curve: Curve, what: str, figure: float, broken: bool) -> Finding:
    """Whether the training loss rose by too much, in units of the loss: from its best to the end, or on the way."""
    share = figure / curve.drop if curve.drop > 0 else math.inf if figure > 0 else 0.0
    limit = max(RISE, 6 * curve.noise / curve.drop) if curve.drop > 0 else RISE
    text = f"by {number(share, limit)} of its drop" if share < math.inf else "and never fell"
    return Finding(
        metric="rise_since_best" if what == "ended" else "setback",
        estimate=share,
        limit=limit,
        broken=broken,
        sentence=f"training loss {what} above its best ({shown(curve.best, curve.drop or figure)}), {text}"
        if what == "ended"
        else f"training loss ({diagnosis.course(curve)}) rose on the way, {text}",
        advice=ADVICE["diverging"],
    )


def diverged(curve: Curve) -> Finding:
    """Whether the training loss ends far above its best."""
    return rise(curve, "ended", max(0.0, curve.last - curve.best), curve.diverged)


def falls_back(curve: Curve) -> Finding:
    """Whether the training loss once rose far above its best so far."""
    return rise(curve, "rose", curve.setback, curve.falls_back)


def gap(pair: Pair) -> Finding:
    """Whether validation did not follow what training learned."""
    share, limit = pair.gap_share, pair.gap_limit
    return Finding(
        metric="gap_share",
        estimate=share,
        limit=limit,
        broken=pair.gap_is_large,
        sentence=f"{number(share, limit)} of what training learned did not carry over to validation (training loss "
        f"{diagnosis.course(pair.train)}, validation loss {diagnosis.course(pair.val)})",
        advice=ADVICE["memorising"] if diagnosis.memorises(pair) else ADVICE["gap"],
    )


def give_back(pair: Pair, epochs: Sequence[int]) -> Finding:
    """Whether validation gave back what it had gained."""
    share, limit, best = pair.give_back, pair.give_back_limit, epochs[pair.val.best_at]
    low, end = (shown(value, pair.learned) for value in (pair.val.best, pair.val.end))
    return Finding(
        metric="give_back",
        estimate=share,
        limit=max(GIVE_BACK, limit),
        broken=pair.gives_back,
        sentence=f"validation loss gave back {number(share, limit)} of what it had gained (best {low} around epoch "
        f"{best}, end {end})",
        advice=ADVICE["overfitting"].format(best=best),
    )
