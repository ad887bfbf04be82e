"""Gates against the accuracy paradox: better than always answering one class, and a floor for every class."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.gates.gate import METHOD, check_bar, judge_interval, judge_proportion
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence, check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.tuning import flagged
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import allowed, hidden_by_accuracy, majority, number, plain
from pytest_modelgate.metrics.bounds import collapsed, described_design, proportion_of_rows
from pytest_modelgate.metrics.weighting import weighted_matrix
from pytest_modelgate.statistics.families import holm
from pytest_modelgate.statistics.interval import Interval
from pytest_modelgate.statistics.means import mean_interval
from pytest_modelgate.statistics.paired import mcnemar_mid_p, tango_interval
from pytest_modelgate.statistics.proportions import clopper_pearson, tail_at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.samples import Samples

_RIVALS = 10
"""Of weighed samples, how many of the most frequent classes are compared with; any rarer one is easier to beat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsMajorityClass:
    """The model must be proved more accurate than always answering the most frequent class.

    A paired test on the samples that only one of the two gets right: McNemar's mid-p test, one-sided (Fagerland,
    Lydersen and Laake 2013). Which class is the most frequent in truth is not known, so `PASS` needs proof against
    every constant answer, and `FAIL` is proved against one of them, corrected for their number (Bonferroni). What is
    not proved is red, whatever `if_unsure` says elsewhere.
    """

    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        check_confidence(self.confidence)

    def check(self, evidence: Evaluation | ConfusionMatrix) -> Verdict:
        """Judge the evidence; see the class."""
        evaluation = as_evaluation(evidence)
        matrix = evaluation.confusion_matrix
        if matrix.n == 0:
            return self._verdict(Outcome.UNDEFINED, matrix, None, None, "there is no sample", [])
        rows = evaluation.samples
        weighed = matrix if rows is None or rows.weights is None else weighted_matrix(rows, matrix)
        label, share = majority(weighed)
        accuracy = int(weighed.counts.trace()) / weighed.n
        if share == 1:
            rest = " (the others have weight 0)" if (matrix.support > 0).sum() > 1 else ""
            sentence = f"every sample is {label!r}{rest}: no model can beat that"
            return self._verdict(Outcome.UNDEFINED, matrix, accuracy, share, sentence, [])
        if rows is not None and rows.weighed:
            outcome, notes, gain = self._by_rows(rows, weighed)
            method = f"mean difference{described_design(rows).text}"
        else:
            outcome, notes, gain = self._by_pairs(matrix)
            method = "McNemar mid-p, bounds after Tango"
        sentence = f"accuracy = {number(accuracy, share)}, always answering {label!r} scores {number(share, accuracy)}"
        if outcome is Outcome.INCONCLUSIVE:
            sentence += ", which is no proof that the model is better"
        if outcome is not Outcome.PASS:
            notes += str(matrix).splitlines()
            notes.append("gate on the recall of each class that matters, and train with the rare class weighted")
        bounds = None
        if gain is not None:
            # Tango's bounds and McNemar's word may differ by a hair: the word counts.
            lower, upper = share + gain.lower, share + gain.upper
            lower = max(lower, share) if outcome is Outcome.PASS else min(lower, share)
            upper = min(upper, share) if outcome is Outcome.FAIL else max(upper, share)
            bounds = Interval(max(0.0, min(lower, accuracy)), min(1.0, max(upper, accuracy)))
        return flagged(self._verdict(outcome, matrix, accuracy, share, sentence, notes, bounds, method), evaluation)

    def _by_pairs(self, matrix: ConfusionMatrix) -> tuple[Outcome, list[str], Interval]:
        """The word, why, and what the gain over the constant answer that is hardest to beat may truly be."""
        right, diagonal, support = (
            int(matrix.counts.trace()),
            matrix.counts.diagonal().tolist(),
            matrix.support.tolist(),
        )
        alpha = 1 - self.confidence
        pairs = [(count - common, right - common) for count, common in zip(support, diagonal, strict=True)]
        better = [mcnemar_mid_p(losses=wins, wins=losses) for losses, wins in pairs]
        worse = [mcnemar_mid_p(losses=losses, wins=wins) for losses, wins in pairs]
        hardest = max(range(len(pairs)), key=lambda k: (better[k], support[k]))
        losses, wins = pairs[hardest]
        outcome = Outcome.INCONCLUSIVE
        if better[hardest] <= alpha:
            outcome = Outcome.PASS
        elif min(worse) * len(worse) <= alpha:
            outcome = Outcome.FAIL
            losses, wins = pairs[worse.index(min(worse))]
        note = (
            f"only the model is right on {wins:,} samples, only the constant answer on {losses:,}: "
            f"p = {number(better[hardest])}, proof needs p <= {number(alpha)} (McNemar mid-p)"
        )
        return outcome, [note], tango_interval(losses, wins, matrix.n, self.confidence)

    def _by_rows(self, rows: Samples, weighed: ConfusionMatrix) -> tuple[Outcome, list[str], Interval | None]:
        """The same for samples that differ in weight or hang together: mean differences."""
        target, preds = collapsed(rows, None)
        right = (preds == target).astype(np.float64)
        frequent = np.argsort(-weighed.support, kind="stable")[:_RIVALS].tolist()
        asked: dict[str, Any] = {"weights": rows.weights, "groups": rows.group_codes, "largest": 1.0, "smallest": -1.0}
        gains = [mean_interval(right - (target == k), confidence=self.confidence, **asked) for k in frequent]
        corrected = 1 - (1 - self.confidence) / len(frequent)
        outcome, gain = Outcome.INCONCLUSIVE, None
        note = "no bounds for the gain: the samples say too little about their spread"
        known = [one for one in gains if one is not None]
        if len(known) == len(gains):
            gain = Interval(min(one.lower for one in known), min(one.upper for one in known))
            if gain.lower > 0:
                outcome = Outcome.PASS
            elif gain.upper < 0:
                surer = [mean_interval(right - (target == k), confidence=corrected, **asked) for k in frequent]
                if any(one is not None and one.upper < 0 for one in surer):
                    outcome = Outcome.FAIL
            note = (
                f"the data allow a gain of {number(gain.lower)} to {number(gain.upper)} (mean "
                f"difference{described_design(rows).text}), proof needs more than 0"
            )
        return outcome, [note, *described_design(rows).remarks], gain

    def _verdict(
        self,
        outcome: Outcome,
        matrix: ConfusionMatrix,
        accuracy: float | None,
        share: float | None,
        sentence: str,
        notes: list[str],
        bounds: Interval | None = None,
        method: str = "McNemar mid-p",
    ) -> Verdict:
        hits = int(matrix.counts.trace())
        return Verdict(
            gate="beats_majority_class",
            outcome=outcome,
            passed=outcome is Outcome.PASS,
            metric="accuracy",
            estimate=accuracy,
            lower=None if bounds is None else bounds.lower,
            upper=None if bounds is None else bounds.upper,
            hits=hits if accuracy == hits / max(matrix.n, 1) else None,
            support=matrix.n,
            bar=share,
            direction="above",
            confidence=self.confidence,
            if_unsure="fail",
            method=method,
            explanation=f"{outcome}: {sentence}",
            notes=tuple(notes),
        )


@dataclass(frozen=True, slots=True)
class EveryClassRecall:
    """Every class's recall must be at least a bar: no class may be given up for the others.

    `PASS` needs proof for each class; `FAIL` is proved of at least one, with Holm's correction for their number. The
    verdict shows the class with the lowest recall.
    """

    bar: float
    confidence: float = field(default=CONFIDENCE, kw_only=True)
    if_unsure: str = field(default="estimate", kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bar", check_bar(self.bar, 0, 1, "recall"))
        check_confidence(self.confidence)
        check_if_unsure(self.if_unsure)

    def check(self, evidence: Evaluation | ConfusionMatrix) -> Verdict:
        """Judge the evidence; see the class."""
        evaluation = as_evaluation(evidence)
        matrix = evaluation.confusion_matrix
        support = matrix.support.tolist()
        hits = matrix.counts.diagonal().tolist()
        found = {label: evaluation.measure("recall", label=label) for label in matrix.labels}
        empty = next((label for label, one in found.items() if one.value is None), None)
        if empty is not None:
            return self._verdict(
                Outcome.UNDEFINED,
                passed=False,
                index=matrix.index_of(empty),
                evaluation=evaluation,
                sentence=f"recall of {empty!r} cannot be judged: {found[empty].cause}",
            )
        pairs = list(zip(hits, support, strict=True))
        corrected = 1 - (1 - self.confidence) / len(pairs)
        weighed = evaluation.samples is not None and evaluation.samples.weighed
        judge = self._judge_weighed if weighed else self._judge_counts
        shares = [one.value for one in found.values() if one.value is not None]
        worst = min(range(len(shares)), key=shares.__getitem__)
        each, lowest = judge(evaluation, self.confidence)
        words, highest = judge(evaluation, corrected)
        refuted = [index for index, word in enumerate(words) if word is Outcome.FAIL]
        if not weighed:
            adjusted = holm(tail_at_most(k, n, self.bar) for k, n in pairs)
            refuted = [index for index, p in enumerate(adjusted) if p <= 1 - self.confidence]
        outcome = Outcome.INCONCLUSIVE
        if refuted:
            outcome = Outcome.FAIL
        elif all(one is Outcome.PASS for one in each):
            outcome = Outcome.PASS
        estimate = shares[worst]
        meets = estimate >= self.bar
        passed = outcome is Outcome.PASS
        leans = ""
        if outcome is Outcome.INCONCLUSIVE:
            passed = colour_of_doubt(self.if_unsure, meets)
            leans = f" (leans {'pass' if meets else 'fail'})"
        below = [label for label, share in zip(matrix.labels, shares, strict=True) if not share >= self.bar]
        counted = "" if weighed else f" ({pairs[worst][0]:,} of {pairs[worst][1]:,})"
        sentence = (
            f"lowest recall, of {matrix.labels[worst]!r}, = {number(estimate, self.bar)}{counted}, "
            f"required >= {number(self.bar, estimate)} for each of {len(pairs)} classes"
        )
        if len(below) > 1:
            sentence += f"; {len(below)} classes are below: {_names(below)}"
        lower, upper = min(one.lower for one in lowest), min(one.upper for one in highest)
        verdict = self._verdict(
            outcome,
            passed=passed,
            index=worst,
            evaluation=evaluation,
            sentence=sentence,
            leans=leans,
            bounds=(lower, upper),
            estimate=estimate,
            proved=[matrix.labels[index] for index in refuted] if len(below) > 1 else [],
        )
        return flagged(verdict, evaluation)

    def _judge_counts(self, evaluation: Evaluation, confidence: float) -> tuple[list[Outcome], list[Interval]]:
        """Each class's recall, exactly."""
        matrix = evaluation.confusion_matrix
        pairs = list(zip(matrix.counts.diagonal().tolist(), matrix.support.tolist(), strict=True))
        return (
            [judge_proportion(k, n, self.bar, "at_least", confidence) for k, n in pairs],
            [clopper_pearson(k, n, confidence) for k, n in pairs],
        )

    def _judge_weighed(self, evaluation: Evaluation, confidence: float) -> tuple[list[Outcome], list[Interval]]:
        """Each class's recall, by weights and groups; nothing is known of a class within one group."""
        rows = evaluation.samples
        assert rows is not None
        target, preds = collapsed(rows, None)
        intervals = []
        for index, label in enumerate(evaluation.labels):
            chosen = np.flatnonzero(target == index)
            own, hits = rows.take(chosen), preds[chosen] == index
            share = evaluation.metric("recall", label=label)
            assert share is not None
            found = proportion_of_rows(share, hits, np.ones_like(hits), own, confidence).interval
            intervals.append(Interval(0.0, 1.0) if found is None else found)
        return [judge_interval(interval, self.bar, "at_least") for interval in intervals], intervals

    def _verdict(
        self,
        outcome: Outcome,
        *,
        passed: bool,
        index: int,
        evaluation: Evaluation,
        sentence: str,
        leans: str = "",
        bounds: tuple[float, float] | None = None,
        estimate: float | None = None,
        proved: Sequence[Label] = (),
    ) -> Verdict:
        matrix = evaluation.confusion_matrix
        hits, support = int(matrix.counts[index, index]), int(matrix.support[index])
        rows = evaluation.samples
        weighed = rows is not None and rows.weighed
        family = f"Holm over {matrix.num_classes} classes"
        method = METHOD + (described_design(rows).text if rows is not None else "") + f", {family}"
        notes = [allowed(*bounds, self.confidence, method)] if bounds else []
        notes += described_design(rows).remarks if rows is not None and bounds else []
        if proved:
            notes.append(f"proved to be below: {_names(proved)}")
        if outcome is Outcome.INCONCLUSIVE and self.if_unsure == "fail":
            notes.append("red since if_unsure='fail' takes nothing but proof")
        if not passed:
            notes += [*str(matrix).splitlines(), *hidden_by_accuracy(evaluation, self.bar)]
        return Verdict(
            gate=f"every_class_recall >= {plain(self.bar)}",
            outcome=outcome,
            passed=passed,
            metric="recall",
            label=matrix.labels[index],
            estimate=estimate,
            lower=bounds[0] if bounds else None,
            upper=bounds[1] if bounds else None,
            hits=hits if support and not weighed else None,
            support=support,
            bar=self.bar,
            direction="at_least",
            confidence=self.confidence,
            if_unsure=self.if_unsure,
            method=method if bounds else None,
            explanation=f"{outcome}{leans}: {sentence}",
            family=family,
            notes=tuple(notes),
        )


def _names(labels: Sequence[Label]) -> str:
    return ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
