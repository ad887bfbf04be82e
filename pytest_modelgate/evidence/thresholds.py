"""The threshold as a decision: what each gives on the samples at hand, which suits best, and where it was chosen."""

from __future__ import annotations

__tracebackhide__ = True

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.identity import fingerprint
from pytest_modelgate.evidence.outputs import check_threshold, decide, probability_of_logits
from pytest_modelgate.exceptions import BarError, EvidenceError
from pytest_modelgate.metrics.confusion import ConfusionMatrix
from pytest_modelgate.metrics.counting import labels_to_counts
from pytest_modelgate.metrics.ranking import packed_halves
from pytest_modelgate.metrics.weighting import relative

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.ranking import Scores

    Floats = NDArray[np.float64]

_SHOWN = (1.0, 0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.25)


class ChosenThreshold(float):
    """A threshold that knows the data it was chosen on, so that a gate on the very same data says so.

    In all else a plain number; arithmetic, pickles and JSON give a plain one.

    Attributes:
        data: names the samples, as `data_name` does.
        best: what it was chosen for: "recall" that is high enough, "precision" likewise, or the lowest "cost".
    """

    __slots__ = ("best", "data")

    data: str
    best: str

    @classmethod
    def of(cls, value: float, *, data: str, best: str) -> ChosenThreshold:
        """The threshold with what it shall remember."""
        chosen = cls(value)
        chosen.data, chosen.best = data, best
        return chosen

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)


def tuned(threshold: float, evaluation: Evaluation) -> str | None:
    """What a threshold was chosen for on the very samples of this evaluation; None where it was chosen elsewhere."""
    if isinstance(threshold, ChosenThreshold) and threshold.data == data_name(evaluation):
        return threshold.best
    return None


def data_name(evaluation: Evaluation) -> str | None:
    """A name for the samples: by their inputs or ids where these are known, else by scores and targets; or None."""
    number, scores = evaluation.fingerprint, evaluation.scores
    if number is None and scores is not None:
        number = fingerprint(scores.values.reshape(len(scores.values), -1), scores.target)
    if number is None or evaluation.matrix is None:
        return None
    return f"{number:016x} {' '.join(map(str, evaluation.matrix.support.tolist()))}"


def decided_at(evaluation: Evaluation, threshold: float) -> Evaluation:
    """See `Evaluation.at_threshold`; a `ChosenThreshold` of these very samples is noted in the origin."""
    scores = _scores_of_two(evaluation, "at_threshold needs")
    value = check_threshold(threshold)
    preds = decide(scores.values, value, evaluation.outputs).view(np.uint8)
    samples = evaluation.samples
    if samples is not None and samples.preds is not None:
        samples = replace(samples, preds=preds)
    return replace(
        evaluation,
        samples=samples,
        matrix=ConfusionMatrix(labels_to_counts(scores.target, preds, 2), evaluation.labels),
        threshold=value,
        origin=replace(
            evaluation.origin,
            steps=(*evaluation.origin.steps, f"at_threshold({value!r})"),
            tuned=tuned(threshold, evaluation),
            derivation=evaluation.origin.then(type(evaluation).at_threshold, threshold),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Thresholds:
    """What each distinct threshold gives on these samples: a sample is positive iff its probability is at least that.

    Of each threshold, by rising threshold, [T]; at each at least one sample is positive. `str()` draws a short table.

    Attributes:
        threshold: probabilities, float64; `Evaluation.at_threshold` gives exactly these counts.
        tp, fp: how many samples are rightly and wrongly positive, int64.
        recall, precision: as `Evaluation.metric` gives them; samples count by their weights where they have some.
        cost: the mean cost of a sample: (false_positive_cost fp + false_negative_cost fn) / n.
        n, positives: how many samples there are, and how many are actually positive.
        label: the name of the positive class.
        never: the mean cost of a sample if none is called positive.
        data: names the samples; `best_threshold` hands it on.
    """

    threshold: Floats
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    recall: Floats
    precision: Floats
    cost: Floats
    n: int
    positives: int
    label: Label
    never: float
    data: str

    def best_threshold(self, *, recall_at_least: float | None = None, precision_at_least: float | None = None) -> float:
        """The threshold that suits best on these samples; choose it on other samples than those of the test.

        Args:
            recall_at_least: asks for the highest precision among the thresholds of at least this recall.
            precision_at_least: asks for the highest recall among those of at least this precision. With both, or
                neither, the lowest cost among those that are left.

        Returns:
            A float that remembers these samples: a gate on them, decided at it, says that it was chosen here. Among
            equals the highest recall, then the highest precision, then the highest threshold.

        Raises:
            BarError: a bar that is no number from 0 to 1, or that no threshold reaches.
            EvidenceError: no threshold costs less than to call no sample positive.
        """
        index = self.best_index(recall_at_least=recall_at_least, precision_at_least=precision_at_least)
        if (recall_at_least is None) == (precision_at_least is None):
            best = "cost"
            if recall_at_least is None and self.cost[index] > self.never:
                raise EvidenceError(
                    f"no threshold pays: the lowest cost a sample is {self.cost[index]:.4g} at "
                    f"{float(self.threshold[index])!r}, and to call no sample {self.label!r} costs {self.never:.4g}"
                )
        else:
            best = "recall" if precision_at_least is None else "precision"
        return ChosenThreshold.of(float(self.threshold[index]), data=self.data, best=best)

    def best_index(self, *, recall_at_least: float | None = None, precision_at_least: float | None = None) -> int:
        """Where in the arrays the threshold stands that `best_threshold` gives."""
        fits = np.ones(len(self.threshold), dtype=np.bool_)
        for name, bar, values in (
            ("recall", recall_at_least, self.recall),
            ("precision", precision_at_least, self.precision),
        ):
            if bar is not None:
                fits &= values >= _share(f"{name}_at_least", bar)
        (rows,) = fits.nonzero()
        if len(rows) == 0:
            raise BarError(self._out_of_reach(recall_at_least, precision_at_least))
        order = [self.recall, self.precision]
        if (recall_at_least is None) == (precision_at_least is None):
            order.insert(0, -self.cost)
        elif precision_at_least is None:
            order.reverse()
        for values in order:
            rows = rows[values[rows] == values[rows].max()]
        return int(rows[-1])

    def _out_of_reach(self, recall: float | None, precision: float | None) -> str:
        best = self.best_index(recall_at_least=recall) if recall is not None else int(self.precision.argmax())
        given = "" if recall is None else f" together with a recall of {recall:g}"
        return (
            f"no threshold reaches a precision of {precision:g}{given} on these samples: the highest is "
            f"{self.precision[best]:.4g}, at {self.threshold[best]:.4g} (recall {self.recall[best]:.4g})"
        )

    def __len__(self) -> int:
        return len(self.threshold)

    def __repr__(self) -> str:
        return f"<Thresholds: {len(self):,} of {self.n:,} samples, {self.positives:,} of them {self.label!r}>"

    def __str__(self) -> str:
        cheapest = self.best_index()
        rows = sorted({cheapest, *(self.last_with_recall(share) for share in _SHOWN)})
        lines = [f"of {self.n:,} samples {self.positives:,} are {self.label!r}", "threshold  recall  precision    cost"]
        for row in rows:
            line = f"{self.threshold[row]:9.4g}  {self.recall[row]:6.3f}  {self.precision[row]:9.3f}"
            lines.append(f"{line}  {self.cost[row]:6.4g}{'  lowest cost' if row == cheapest else ''}")
        return "\n".join(lines)

    def last_with_recall(self, share: float) -> int:
        """Where the highest threshold stands whose recall is at least this share, which is at most 1."""
        return int(np.count_nonzero(self.recall >= share)) - 1


def has_thresholds(evaluation: Evaluation) -> bool:
    """Whether `thresholds_of` gives any: the scores of two classes are there, and a positive sample that counts."""
    scores, rows = evaluation.scores, evaluation.samples
    if evaluation.task != "binary" or scores is None:
        return False
    positive = scores.target != 0
    if rows is not None and rows.weights is not None:
        positive = positive & (rows.weights > 0)
    return bool(positive.any())


def thresholds_of(
    evaluation: Evaluation, *, false_positive_cost: float = 1.0, false_negative_cost: float = 1.0
) -> Thresholds:
    """See `Evaluation.thresholds`."""
    for name, cost in (("false_positive_cost", false_positive_cost), ("false_negative_cost", false_negative_cost)):
        if isinstance(cost, bool) or not isinstance(cost, Real) or not 0 <= cost < math.inf:
            raise BarError(f"{name}={cost!r} is not a cost: give a finite number, at least 0")
    scores = _scores_of_two(evaluation, "thresholds need")
    target, weights = scores.target, None
    if evaluation.samples is not None and evaluation.samples.weights is not None:
        weights = relative(evaluation.samples.weights)
    label, n = evaluation.labels[-1], len(target)
    positives = int(np.count_nonzero(target))
    if positives == 0:
        raise EvidenceError(f"recall is undefined at every threshold: no sample is {label!r} among {n:,}")
    keys = decision_keys(scores.values, evaluation.outputs)
    if weights is None:
        (packed,) = packed_halves(keys, target != 0)
        packed.sort()
        hit = (packed & packed.dtype.type(1)).astype(np.bool_)
        packed >>= packed.dtype.type(1)
        ordered = packed.view(keys.dtype)
    else:
        order = np.lexsort((weights, target, keys))
        ordered, hit, weights = keys[order], target[order] != 0, weights[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    tp, fp = _from(hit, starts), _from(~hit, starts)
    right, wrong = tp.astype(np.float64), fp.astype(np.float64)
    if weights is not None:
        right, wrong = _from(weights * hit, starts), _from(weights * ~hit, starts)
        some = right + wrong > 0  # samples of weight 0 alone leave precision undefined
        starts, tp, fp, right, wrong = starts[some], tp[some], fp[some], right[some], wrong[some]
        if len(starts) == 0 or right[0] == 0:
            raise EvidenceError(f"recall is undefined at every threshold: all samples of {label!r} have weight 0")
    total = float(n) if weights is None else float(weights.sum())
    missed = right[0] - right
    arrays: dict[str, Any] = {
        "threshold": ordered[starts].astype(np.float64),
        "tp": tp,
        "fp": fp,
        "recall": right / right[0],
        "precision": right / (right + wrong),
        "cost": (float(false_positive_cost) * wrong + float(false_negative_cost) * missed) / total,
    }
    for array in arrays.values():
        array.flags.writeable = False
    return Thresholds(
        **arrays,
        n=n,
        positives=positives,
        label=label,
        never=float(false_negative_cost) * float(right[0]) / total,
        data=data_name(evaluation) or "",
    )


def _scores_of_two(evaluation: Evaluation, asked: str) -> Scores:
    if evaluation.task != "binary" or evaluation.outputs not in ("logits", "probabilities"):
        raise EvidenceError(f"{asked} scores of two classes; these are {evaluation.task} {evaluation.outputs}")
    if evaluation.scores is None:
        raise EvidenceError(f"{asked} scores that were not kept; evaluate with keep='auto'")
    return evaluation.scores


def decision_keys(scores: NDArray[Any], outputs: str) -> NDArray[Any]:
    """The highest threshold at which `decide` calls each sample positive, exactly: [N].

    Logits below 0 may round to a probability of 1/2, at which a sample is positive iff its logit is at least 0.
    """
    if outputs == "probabilities":
        return np.asarray(scores)
    p = probability_of_logits(scores)
    p[(p == 0.5) & (scores < 0)] = np.nextafter(0.5, 0.0)
    return p


def _from(values: NDArray[Any], starts: NDArray[np.intp]) -> Any:
    """The sums of the values from each of these places to the end."""
    kind = np.int64 if values.dtype.kind == "b" else np.float64
    return np.cumsum(np.add.reduceat(values, starts, dtype=kind)[::-1])[::-1]


def _share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise BarError(f"{name}={value!r} is not a share: give a number from 0 to 1")
    return float(value)
