"""Assertions on one evaluation: a metric against its bar, and the guards against the accuracy paradox."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any, Protocol

from pytest_modelgate.assertions.slicing import settle_on
from pytest_modelgate.exceptions import MetricError, did_you_mean
from pytest_modelgate.gates.gate import Gate
from pytest_modelgate.gates.majority import BeatsMajorityClass, EveryClassRecall
from pytest_modelgate.metrics.registry import get_metric
from pytest_modelgate.recording import listener

if TYPE_CHECKING:
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.metrics.confusion import ConfusionMatrix
    from pytest_modelgate.metrics.labels import Label
    from pytest_modelgate.metrics.metric import Metric

    Evidence = Evaluation | ConfusionMatrix


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
        slice: str | None = None,
        by_slice: str | None = None,
        min_support: int | None = None,
        **parameters: Any,
    ) -> Verdict: ...


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
    slice: str | None = None,
    by_slice: str | None = None,
    min_support: int | None = None,
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
        slice: judge one slice of the evidence alone, such as "region=north".
        by_slice: judge each slice of a column, such as "region", as one family; see `BySlice`. Where nothing is
            proved it is green unless `if_unsure` is "fail".
        min_support: with `by_slice`: on how many samples the metric must rest in a slice that is judged; default 30.
        parameters: what the metric takes: `beta` for "fbeta", `k` for "top_k_accuracy", `max_loss` for "loss", ...

    Raises:
        GateFailure: the gate is not met.
        ModelgateError: wrong use, such as an unknown metric or slice, or a bar outside its range.
    """
    return settle_on(
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
            parameters=known(metric, parameters),
        ),
        evidence,
        slice=slice,
        by_slice=by_slice,
        min_support=min_support,
    )


def assert_beats_majority_class(
    evidence: Evidence, *, confidence: float | None = None, slice: str | None = None
) -> Verdict:
    """Fail unless the model is proved more accurate than always answering the most frequent class.

    The guard against the accuracy paradox: 98.08% against 98.00% is no proof. See `BeatsMajorityClass`.
    With `slice` it judges that slice alone.

    Raises:
        GateFailure: it is not proved.
        ModelgateError: wrong use.
    """
    return settle_on(
        lambda: BeatsMajorityClass(confidence=listener().confidence if confidence is None else confidence),
        evidence,
        slice=slice,
    )


def assert_every_class_recall_at_least(
    evidence: Evidence,
    bar: float,
    *,
    confidence: float | None = None,
    if_unsure: str | None = None,
    slice: str | None = None,
    by_slice: str | None = None,
    min_support: int | None = None,
) -> Verdict:
    """Fail unless the recall of every class is at least `bar`. See `EveryClassRecall`.

    `slice`, `by_slice` and `min_support` are those of `assert_metric`; by slice a class that is too small there is
    not judged.

    Raises:
        GateFailure: a class is below the bar, or has no sample.
        ModelgateError: wrong use.
    """
    return settle_on(
        lambda: EveryClassRecall(
            bar,
            confidence=listener().confidence if confidence is None else confidence,
            if_unsure=listener().if_unsure if if_unsure is None else if_unsure,
        ),
        evidence,
        slice=slice,
        by_slice=by_slice,
        min_support=min_support,
    )


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
        slice: str | None = None,
        by_slice: str | None = None,
        min_support: int | None = None,
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
            slice=slice,
            by_slice=by_slice,
            min_support=min_support,
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


_KEYWORDS = (
    *("label", "average", "confidence", "if_unsure", "allow_vacuous", "anytime"),
    *("slice", "by_slice", "min_support"),
)


def known(metric: str | Metric, parameters: dict[str, float]) -> dict[str, float]:
    """The parameters of a metric as they were given; a `MetricError` where a keyword was misspelt."""
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
