"""Gates against the accuracy paradox: better than always answering one class, and a floor for every class."""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.gates.gate import METHOD, check_bar, judge_proportion
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence, check_if_unsure, colour_of_doubt
from pytest_modelgate.gates.verdict import Outcome, Verdict
from pytest_modelgate.gates.wording import allowed, hidden_by_accuracy, majority, number, plain
from pytest_modelgate.statistics.proportions import clopper_pearson, mcnemar_mid_p

if TYPE_CHECKING:
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.confusion import ConfusionMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsMajorityClass:
    """The model must be proved more accurate than always answering the most frequent class.

    A paired test on the samples that only one of the two gets right: McNemar's mid-p test, one-sided (Fagerland,
    Lydersen and Laake 2013). What is not proved is red, whatever `if_unsure` says elsewhere.
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
        label, share = majority(matrix)
        index = matrix.index_of(label)
        right = int(matrix.counts.trace())
        common = int(matrix.counts[index, index])
        wins, losses = right - common, int(matrix.support[index]) - common
        accuracy = right / matrix.n
        if share == 1:
            return self._verdict(
                Outcome.UNDEFINED, matrix, accuracy, share, f"every sample is {label!r}: no model can beat that", []
            )
        alpha = 1 - self.confidence
        p_better, p_worse = mcnemar_mid_p(losses=wins, wins=losses), mcnemar_mid_p(losses=losses, wins=wins)
        outcome = Outcome.INCONCLUSIVE
        if p_better <= alpha:
            outcome = Outcome.PASS
        elif p_worse <= alpha:
            outcome = Outcome.FAIL
        shown = f"accuracy = {number(accuracy, share)}, always answering {label!r} scores {number(share, accuracy)}"
        notes = [
            f"only the model is right on {wins:,} samples, only the constant answer on {losses:,}: "
            f"p = {number(p_better)}, proof needs p <= {number(alpha)} (McNemar mid-p)"
        ]
        if outcome is Outcome.INCONCLUSIVE:
            shown += ", which is no proof that the model is better"
        if outcome is not Outcome.PASS:
            notes += str(matrix).splitlines()
            notes.append("gate on the recall of each class that matters, and train with the rare class weighted")
        return self._verdict(outcome, matrix, accuracy, share, shown, notes)

    def _verdict(
        self,
        outcome: Outcome,
        matrix: ConfusionMatrix,
        accuracy: float | None,
        share: float | None,
        sentence: str,
        notes: list[str],
    ) -> Verdict:
        return Verdict(
            gate="beats_majority_class",
            outcome=outcome,
            passed=outcome is Outcome.PASS,
            metric="accuracy",
            estimate=accuracy,
            hits=None if accuracy is None else int(matrix.counts.trace()),
            support=matrix.n,
            bar=share,
            direction="above",
            confidence=self.confidence,
            if_unsure="fail",
            method="McNemar mid-p",
            explanation=f"{outcome}: {sentence}",
            notes=tuple(notes),
        )


@dataclass(frozen=True, slots=True)
class EveryClassRecall:
    """Every class's recall must be at least a bar: no class may be given up for the others.

    `PASS` needs proof for each class; `FAIL` is proved by the worst class with Holm's correction for their number.
    The verdict shows the class with the lowest recall.
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
        empty = [label for label, count in zip(matrix.labels, support, strict=True) if count == 0]
        if empty:
            return self._verdict(
                Outcome.UNDEFINED,
                passed=False,
                index=matrix.index_of(empty[0]),
                evaluation=evaluation,
                sentence=f"recall cannot be judged: no sample of class {empty[0]!r} in {matrix.n:,}",
            )
        pairs = list(zip(hits, support, strict=True))
        worst = min(range(len(pairs)), key=lambda i: pairs[i][0] / pairs[i][1])
        each = [judge_proportion(k, n, self.bar, "at_least", self.confidence) for k, n in pairs]
        corrected = 1 - (1 - self.confidence) / len(pairs)
        refuted = [judge_proportion(k, n, self.bar, "at_least", corrected) is Outcome.FAIL for k, n in pairs]
        estimate = pairs[worst][0] / pairs[worst][1]
        outcome = Outcome.INCONCLUSIVE
        if any(refuted):
            outcome = Outcome.FAIL
        elif all(one is Outcome.PASS for one in each):
            outcome = Outcome.PASS
        meets = estimate >= self.bar
        passed = outcome is Outcome.PASS
        leans = ""
        if outcome is Outcome.INCONCLUSIVE:
            passed = colour_of_doubt(self.if_unsure, meets)
            leans = f" (leans {'pass' if meets else 'fail'})"
        below = [label for label, (k, n) in zip(matrix.labels, pairs, strict=True) if not k / n >= self.bar]
        sentence = (
            f"lowest recall, of {matrix.labels[worst]!r}, = {number(estimate, self.bar)} ({pairs[worst][0]:,} of "
            f"{pairs[worst][1]:,}), required >= {number(self.bar, estimate)} for each of {len(pairs)} classes"
        )
        if len(below) > 1:
            sentence += f"; {len(below)} classes are below: {', '.join(map(repr, below[:10]))}"
            sentence += ", ..." if len(below) > 10 else ""
        lower = min(clopper_pearson(k, n, self.confidence).lower for k, n in pairs)
        upper = min(clopper_pearson(k, n, corrected).upper for k, n in pairs)
        return self._verdict(
            outcome,
            passed=passed,
            index=worst,
            evaluation=evaluation,
            sentence=sentence,
            leans=leans,
            bounds=(lower, upper),
        )

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
    ) -> Verdict:
        matrix = evaluation.confusion_matrix
        hits, support = int(matrix.counts[index, index]), int(matrix.support[index])
        method = f"{METHOD}, Holm over {matrix.num_classes} classes"
        notes = [allowed(*bounds, self.confidence, method)] if bounds else []
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
            estimate=hits / support if support else None,
            lower=bounds[0] if bounds else None,
            upper=bounds[1] if bounds else None,
            hits=hits if support else None,
            support=support,
            bar=self.bar,
            direction="at_least",
            confidence=self.confidence,
            if_unsure=self.if_unsure,
            method=method if bounds else None,
            explanation=f"{outcome}{leans}: {sentence}",
            notes=tuple(notes),
        )
