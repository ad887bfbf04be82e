"""The assertion helpers: check, record, raise. Each returns its `Verdict` where it passes."""

from __future__ import annotations

__tracebackhide__ = True

import contextlib
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from pytest_modelgate.evidence.evaluation import as_evaluation
from pytest_modelgate.exceptions import GateFailure, MetricError, ModelgateError, ModelgateWarning, did_you_mean
from pytest_modelgate.gates.gate import Gate
from pytest_modelgate.gates.majority import BeatsMajorityClass, EveryClassRecall
from pytest_modelgate.gates.no_regression import NoRegression, fell
from pytest_modelgate.gates.seeds import OverSeeds, listed
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.metrics.registry import get_metric
from pytest_modelgate.recording import listener

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.metric import Metric

    Evidence = Evaluation | ConfusionMatrix


class _Judge(Protocol):
    def check(self, evidence: Evidence) -> Verdict: ...


class MetricAssertion(Protocol):
    """The signature that the assertion helpers of single metrics share."""

    __name__: str

    def __call__(
        self,
        evidence: Evidence,
        bar: float,
        *,
        label: Label | None = None,
        average: str | None = None,
        confidence: float | None = None,
        if_unsure: str | None = None,
        allow_vacuous: bool = False,
        anytime: bool = False,
        **parameters: Any,
    ) -> Verdict: ...


def settle(make: Callable[[], _Judge], evidence: Evidence) -> Verdict:
    """Build a gate, check it, record the verdict, and raise it where it is red.

    Raises:
        GateFailure: the verdict is red; it carries the verdict.
        ModelgateError: wrong use; nothing is recorded.
    """

    def judged() -> tuple[Verdict, list[Evaluation]]:
        evaluation = as_evaluation(evidence)
        return make().check(evaluation), [evaluation]

    return _settle(judged)


def _unproved(verdict: Verdict) -> bool:
    return verdict.outcome is not Outcome.PASS


def _settle(
    judged: Callable[[], tuple[Verdict, list[Evaluation]]], doubtful: Callable[[Verdict], bool] = _unproved
) -> Verdict:
    """Record, raise, warn: `judged` gives a verdict and the evidence that it rests on."""
    try:
        verdict, evidence = judged()
    except ModelgateError as error:
        # Without the frames below, which are this package's: the traceback ends at the caller's line.
        raise error.with_traceback(None) from None
    said = listener().verdict(verdict, *evidence)
    if not verdict.passed:
        if said is not None:
            with contextlib.suppress(ModelgateWarning):  # an error by the user's filter: the red gate goes first
                warnings.warn(said, ModelgateWarning, stacklevel=_depth())
        raise GateFailure(verdict)
    if said is not None:
        warnings.warn(said, ModelgateWarning, stacklevel=_depth())
    if verdict.if_unsure == "warn" and doubtful(verdict):
        warnings.warn(str(verdict), ModelgateWarning, stacklevel=_depth())
    return verdict


def assert_metric(
    evidence: Evidence,
    metric: str | Metric,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    label: Label | None = None,
    average: str | None = None,
    confidence: float | None = None,
    if_unsure: str | None = None,
    allow_vacuous: bool = False,
    anytime: bool = False,
    **parameters: Any,
) -> Verdict:
    """Fail unless a metric is at least, or at most, a bar.

    Args:
        evidence: an `Evaluation` or a `ConfusionMatrix`.
        metric: a name from the registry, such as "jaccard", "fbeta" or "top_k_accuracy", or what `custom_metric` made.
        at_least, at_most: the bar; exactly one of the two.
        label: one class, by name or index; with two classes the last is meant where neither it nor `average` is given.
        average: "macro", "micro" or "weighted" over the classes.
        confidence: how sure `PASS` and `FAIL` must be, one-sided; default the project's, 0.95.
        if_unsure: "estimate", "fail" or "warn"; default the project's, "estimate".
        allow_vacuous: let a bar of accuracy stand that always answering the majority class would meet.
        anytime: for a test set that grows and is judged again and again: bounds that hold at every look.
        parameters: what the metric takes: `beta` for "fbeta", `k` for "top_k_accuracy", `max_loss` for "loss", ...

    Raises:
        GateFailure: the gate is not met.
        ModelgateError: wrong use, such as an unknown metric or a bar outside its range.
    """
    return settle(
        lambda: Gate(
            metric,
            at_least=at_least,
            at_most=at_most,
            label=label,
            average=average,
            confidence=listener().confidence if confidence is None else confidence,
            if_unsure=listener().if_unsure if if_unsure is None else if_unsure,
            allow_vacuous=allow_vacuous,
            anytime=anytime,
            parameters=_known(metric, parameters),
        ),
        evidence,
    )


def assert_beats_majority_class(evidence: Evidence, *, confidence: float | None = None) -> Verdict:
    """Fail unless the model is proved more accurate than always answering the most frequent class.

    The guard against the accuracy paradox: 98.08% against 98.00% is no proof. See `BeatsMajorityClass`.

    Raises:
        GateFailure: it is not proved.
        ModelgateError: wrong use.
    """
    return settle(
        lambda: BeatsMajorityClass(confidence=listener().confidence if confidence is None else confidence), evidence
    )


def assert_every_class_recall_at_least(
    evidence: Evidence, bar: float, *, confidence: float | None = None, if_unsure: str | None = None
) -> Verdict:
    """Fail unless the recall of every class is at least `bar`. See `EveryClassRecall`.

    Raises:
        GateFailure: a class is below the bar, or has no sample.
        ModelgateError: wrong use.
    """
    return settle(
        lambda: EveryClassRecall(
            bar,
            confidence=listener().confidence if confidence is None else confidence,
            if_unsure=listener().if_unsure if if_unsure is None else if_unsure,
        ),
        evidence,
    )


def assert_no_regression(
    evidence: Evidence,
    baseline: Evaluation,
    metric: str | Metric,
    margin: float = 0.0,
    *,
    label: Label | None = None,
    average: str | None = None,
    confidence: float | None = None,
    if_unsure: str | None = None,
    **parameters: Any,
) -> Verdict:
    """Fail where a metric is worse than a baseline's, on the same samples. See `NoRegression`.

    Args:
        evidence: an `Evaluation` with `ids`.
        baseline: the `Evaluation` of another model on the same samples, with `ids`.
        metric: a name from the registry.
        margin: how much worse the metric may be, in its own units.
        label, average, confidence, if_unsure, parameters: as in `assert_metric`.

    Raises:
        GateFailure: a regression is proved, or these are not the same samples, or nothing is proved and
            `if_unsure` is "fail".
        ModelgateError: wrong use, such as losses of different kinds.
    """

    def judged() -> tuple[Verdict, list[Evaluation]]:
        gate = NoRegression(
            metric,
            margin,
            label=label,
            average=average,
            confidence=listener().confidence if confidence is None else confidence,
            if_unsure=listener().if_unsure if if_unsure is None else if_unsure,
            parameters=_known(metric, parameters),
        )
        evaluation = as_evaluation(evidence)
        return gate.check(evaluation, baseline), [evaluation]

    return _settle(judged, fell)


def assert_over_seeds(evaluations: Iterable[Evidence], gate: Gate) -> Verdict:
    """Fail unless the mean of a metric over trainings with different seeds meets a gate's bar. See `OverSeeds`.

    Args:
        evaluations: of at least 3 models on the same samples, one for each seed.
        gate: such as `Gate("recall", at_least=0.9)`; its confidence and `if_unsure` count, not the options'.

    Raises:
        GateFailure: the gate is not met.
        ModelgateError: wrong use, such as two evaluations, or evaluations of other samples.
    """

    def judged() -> tuple[Verdict, list[Evaluation]]:
        judge, every = OverSeeds(gate), listed(evaluations)
        return judge.check(every), every

    return _settle(judged)


def _of_metric(metric: str, direction: str) -> MetricAssertion:
    """The helper of one metric and direction, named and documented from the registry."""
    entry = get_metric(metric)

    def helper(
        evidence: Evidence,
        bar: float,
        *,
        label: Label | None = None,
        average: str | None = None,
        confidence: float | None = None,
        if_unsure: str | None = None,
        allow_vacuous: bool = False,
        anytime: bool = False,
        **parameters: Any,
    ) -> Verdict:
        return assert_metric(
            evidence,
            metric,
            at_least=bar if direction == "at_least" else None,
            at_most=bar if direction == "at_most" else None,
            label=label,
            average=average,
            confidence=confidence,
            if_unsure=if_unsure,
            allow_vacuous=allow_vacuous,
            anytime=anytime,
            **parameters,
        )

    words = direction.replace("_", " ")
    helper.__name__ = helper.__qualname__ = f"assert_{metric}_{direction}"
    helper.__doc__ = (
        f"Fail unless {entry.title} is {words} `bar`.\n\n"
        f"{entry.formula}. Between {entry.lowest:g} and {entry.highest:g}.\n"
        "Keyword arguments, errors and the returned `Verdict` are those of `assert_metric`."
    )
    return helper


def _depth() -> int:
    """How many frames above `settle` the user's line stands, counted as `warnings` counts them."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"] == __name__:
        frame, depth = frame.f_back, depth + 1
    return depth


_KEYWORDS = ("label", "average", "confidence", "if_unsure", "allow_vacuous", "anytime")


def _known(metric: str | Metric, parameters: dict[str, float]) -> dict[str, float]:
    taken = get_metric(metric).parameters
    for name in parameters:
        if name not in taken and (hint := did_you_mean(name, (*_KEYWORDS, *taken))):
            raise MetricError(f"a gate on {get_metric(metric).name} takes no {name}={hint}")
        if name in ("bar", "threshold"):
            raise MetricError(
                f"assert_metric of {get_metric(metric).name} takes no {name}=: "
                + ("give at_least= or at_most=" if name == "bar" else "use evaluation.at_threshold(t)")
            )
    return parameters


assert_recall_at_least = _of_metric("recall", "at_least")
assert_precision_at_least = _of_metric("precision", "at_least")
assert_accuracy_at_least = _of_metric("accuracy", "at_least")
assert_balanced_accuracy_at_least = _of_metric("balanced_accuracy", "at_least")
assert_f1_at_least = _of_metric("f1", "at_least")
assert_specificity_at_least = _of_metric("specificity", "at_least")
assert_mcc_at_least = _of_metric("mcc", "at_least")
assert_roc_auc_at_least = _of_metric("roc_auc", "at_least")
assert_average_precision_at_least = _of_metric("average_precision", "at_least")
assert_loss_at_most = _of_metric("loss", "at_most")
assert_calibration_error_at_most = _of_metric("calibration_error", "at_most")
