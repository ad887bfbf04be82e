"""Gates on the history of a training: heuristics on its curves, whose error rates were measured on simulated ones."""

from __future__ import annotations

__tracebackhide__ = True

import re
from dataclasses import dataclass, field
from typing import Any

from pytest_modelgate.evidence import diagnosis
from pytest_modelgate.evidence.diagnosis import ADVICE, WORDS
from pytest_modelgate.exceptions import BarError, EvidenceError, did_you_mean
from pytest_modelgate.gates.curves import (
    Finding,
    HistoryGate,
    diverged,
    fall,
    falls_back,
    gap,
    give_back,
    jumps,
    require,
)
from pytest_modelgate.gates.curves import (
    as_history as as_history,
)
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import number
from pytest_modelgate.metrics.registry import METRICS
from pytest_modelgate.statistics.curves import Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class LossDecreases(HistoryGate):
    """The training loss must fall: by more than its noise, without falling back, and below chance where that is known.

    Red where it fell by at most 6 standard deviations of its noise; where its running median once rose by over a fifth
    of the drop, or it ends so far above its best; where it jumps about by more than .08 of the drop; and where it ends
    above the history's `chance_loss`. Within 1% below that it is `INCONCLUSIVE`, leaning to fail.
    """

    @property
    def gate(self) -> str:
        return "loss_decreases"

    def check(self, evidence: Any) -> Verdict:
        """Judge a `History`, or what has one, such as a `TrainedModel`.

        Raises:
            EvidenceError: it has no history, or that has no training loss.
        """
        whole = as_history(evidence)
        history, kept = whole.until_kept(), diagnosis.kept_text(whole)
        require(self.gate, history, "train_loss")
        refused = self.refused(whole, history, "fall", "train_loss")
        if refused is not None:
            return refused
        curve = Curve.of(history.train_loss)
        failed = self.not_learned(history, curve, kept)
        if failed is not None:
            return failed
        found = next((one for one in (jumps(curve), diverged(curve), falls_back(curve)) if one.broken), fall(curve))
        return self.found(found, kept, len(curve.values), diagnosis.curve_facts(curve))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStable(HistoryGate):
    """The training loss must neither jump about nor diverge.

    Red where it jumps about by more than .08 of its drop; and where it ends above its best by a fifth of the drop and 6
    standard deviations of its noise. A loss that does not move, or hardly against the history's `chance_loss`, is
    `INCONCLUSIVE` without an estimate, green unless `if_unsure` is "fail": `LossDecreases` speaks there.
    """

    @property
    def gate(self) -> str:
        return "training_stable"

    def check(self, evidence: Any) -> Verdict:
        """Judge a `History`, or what has one, such as a `TrainedModel`.

        Raises:
            EvidenceError: it has no history, or that has no training loss.
        """
        whole = as_history(evidence)
        history, kept = whole.until_kept(), diagnosis.kept_text(whole)
        require(self.gate, history, "train_loss")
        refused = self.refused(whole, history, "jaggedness", "train_loss")
        if refused is not None:
            return refused
        curve = Curve.of(history.train_loss)
        known = diagnosis.chance_of(history) is not None
        if curve.flat or (known and not curve.fell and not diagnosis.swings(history, curve) and not curve.diverged):
            return self.nothing_learned(history, curve, "jaggedness", kept)
        found = max(jumps(curve), diverged(curve), key=lambda one: one.nearness)
        return self.found(found, kept, len(curve.values), diagnosis.curve_facts(curve))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOverfitting(HistoryGate):
    """What training learns must carry over to validation, and stay.

    Red where validation did not follow more than half of what training learned, by two standard errors; and where the
    validation loss gave back over .15 of what it had gained, by five standard errors of its noise. Where the training
    loss did not fall there is nothing to carry over: `INCONCLUSIVE` without an estimate, green unless `if_unsure` is
    "fail"; `LossDecreases` speaks there.

    >>> from pytest_modelgate import History
    >>> history = History()
    >>> for train in (1.2, 0.9, 0.7, 0.55, 0.45, 0.4, 0.35, 0.32, 0.3, 0.3):
    ...     history.log(train_loss=train, val_loss=1.1)
    >>> NoOverfitting().check(history).outcome
    <Outcome.FAIL: 'FAIL'>
    """

    @property
    def gate(self) -> str:
        return "no_overfitting"

    def check(self, evidence: Any) -> Verdict:
        """Judge a `History`, or what has one, such as a `TrainedModel`.

        Raises:
            EvidenceError: it has no history, that lacks the training or the validation loss, or the two are different
                losses.
        """
        whole = as_history(evidence)
        history, kept = whole.until_kept(), diagnosis.kept_text(whole)
        if diagnosis.first_not_finite(whole) is None:  # a training that broke off may have no validation loss at all
            require(self.gate, history, "train_loss", "val_loss")
        if history.validation_loss is not None and history.validation_loss != history.loss:
            raise EvidenceError(
                f"{self.gate} compares the training with the validation loss, and these are different ones: "
                f"{history.loss} and {history.validation_loss}; log one loss for both"
            )
        refused = self.refused(whole, history, "gap_share", "train_loss", "val_loss")
        if refused is not None:
            return refused
        pair, epochs = diagnosis.compared(history)
        if diagnosis.nothing_to_follow(history, pair):
            return self.nothing_learned(history, pair.train, "gap_share", kept)
        found = max(gap(pair), give_back(pair, epochs), key=lambda one: one.nearness)
        if found.broken and diagnosis.memorises(pair) and pair.gap_is_large:
            found = gap(pair)
        return self.found(found, kept, len(epochs), diagnosis.curve_facts(pair.train) | diagnosis.pair_facts(pair))


@dataclass(frozen=True, slots=True, kw_only=True)
class Converged(HistoryGate):
    """Training must have gone on for long enough: the loss fell, and no longer falls fast.

    Judged by the validation loss where it can be compared with the training loss, else by the training loss. Red where
    the loss did not fall at all, as in `LossDecreases`, and where over the last quarter it still falls at more than
    half of the average pace, by 3 standard errors. All epochs count, those after the one whose weights were kept too.
    """

    @property
    def gate(self) -> str:
        return "converged"

    def check(self, evidence: Any) -> Verdict:
        """Judge a `History`, or what has one, such as a `TrainedModel`.

        Raises:
            EvidenceError: it has no history, or that has no training loss.
        """
        history = as_history(evidence)
        require(self.gate, history, "train_loss")
        refused = self.refused(history, history, "pace", "train_loss")
        if refused is not None:
            return refused
        name = diagnosis.falling_name(history)
        _, (values,) = diagnosis.columns(history, name)
        train, curve = Curve.of(history.train_loss), Curve.of(values)
        failed = self.not_learned(history, train, "")
        if failed is not None:
            return failed
        pace, limit = diagnosis.pace_of(curve, train), diagnosis.pace_limit(curve, train)
        found = Finding(
            metric="pace",
            estimate=pace,
            limit=limit,
            broken=diagnosis.falls_fast(curve, train),
            sentence=f"over its last quarter {WORDS[name]} ({diagnosis.course(curve)}) "
            f"{'falls' if pace >= 0 else 'rises'} at {number(abs(pace), limit)} of the average pace",
            advice=ADVICE["unfinished"],
        )
        return self.found(found, "", len(values), diagnosis.curve_facts(train) | {"pace": pace, "pace_limit": limit})


@dataclass(frozen=True, slots=True)
class MetricImproves(HistoryGate):
    """A metric that the history holds must improve by more than its own noise.

    From the first epochs to the last: by more than 6 standard deviations of its noise, or by 5 standard errors between
    the medians of several epochs. An improvement within that is `INCONCLUSIVE`, leaning to fail; none is `FAIL`.

    Args:
        name: a name from the history, such as "val_recall".
        higher_is_better: its good direction; None for that of the metric of this name in the registry (without "val_"
            or "train_"), else lower for names with "loss" or "error" in them, else higher.

    >>> from pytest_modelgate import History
    >>> history = History()
    >>> for recall in (0.5, 0.61, 0.69, 0.74, 0.78, 0.81, 0.82):
    ...     history.log(val_recall=recall)
    >>> print(MetricImproves("val_recall").check(history))
    PASS: val_recall improved by 0.320 (0.500 to 0.820, higher is better), required > 0.073
    """

    name: str
    higher_is_better: bool | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        HistoryGate.__post_init__(self)
        if not isinstance(self.name, str) or not self.name:
            raise EvidenceError(f"give the name of a metric in the history, such as 'val_recall', not {self.name!r}")
        if self.higher_is_better not in (None, True, False):
            raise BarError(f"higher_is_better={self.higher_is_better!r} is not True, False or None")

    @property
    def gate(self) -> str:
        return f"metric_improves({self.name})"

    def check(self, evidence: Any) -> Verdict:
        """Judge a `History`, or what has one, such as a `TrainedModel`.

        Raises:
            EvidenceError: it has no history, or that does not hold the metric.
        """
        whole = as_history(evidence)
        history, kept = whole.until_kept(), diagnosis.kept_text(whole)
        if not history[self.name]:
            held = f"it holds {', '.join(whole.names)}" if whole.names else "it is empty"
            raise EvidenceError(f"the history has no {self.name!r}{did_you_mean(self.name, whole.names)} ({held})")
        refused = self.refused(whole, history, self.name, self.name)
        if refused is not None:
            return refused
        higher = higher_is_better(self.name) if self.higher_is_better is None else self.higher_is_better
        values = history[self.name]
        curve = Curve.of([-value for value in values] if higher else values)
        start, end, limit = (curve.end, curve.end, 0.0) if curve.flat else curve.gain
        gain, sign = start - end, -1 if higher else 1
        outcome = Outcome.PASS if curve.came_down else Outcome.INCONCLUSIVE if gain > 0 else Outcome.FAIL
        first, last = sign * start, sign * end
        by = f"{'improved' if gain >= 0 else 'got worse'} by {number(abs(gain), limit)}"
        notes = ["what to try: look whether the loss and this metric ask for the same thing, and at its threshold"]
        return self.verdict(
            outcome,
            f"{self.name} {by} ({number(first, last)} to {number(last, first)}, {'higher' if higher else 'lower'} is "
            f"better), required > {number(limit, gain)}{kept}",
            metric=self.name,
            support=len(values),
            meets=False,
            estimate=gain,
            bar=limit,
            direction="above",
            facts={"start": first, "end": last, "noise": curve.noise, "epochs": len(values)},
            notes=[] if outcome is Outcome.PASS else notes,
        )


def higher_is_better(name: str) -> bool:
    """The good direction of a metric, by its name.

    >>> higher_is_better("val_recall[fraud]"), higher_is_better("val_mae"), higher_is_better("train_loss")
    (True, False, False)
    """
    word = re.sub(r"\[.*\]$", "", name.lower())
    word = re.sub(r"^(train|training|val|valid|validation|eval|test)[_/]", "", word)
    for metric in METRICS.values():
        if word == metric.name or word in metric.also_called:
            return metric.higher_is_better
    return not any(part in word for part in ("loss", "error"))
