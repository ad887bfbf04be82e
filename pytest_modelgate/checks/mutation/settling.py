"""A gate that was settled on a model's evidence, settled again on that of its faulted twins."""

from __future__ import annotations

__tracebackhide__ = True

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.evidence.origin import Call, calls, replay
from pytest_modelgate.evidence.outputs import decide
from pytest_modelgate.exceptions import ModelgateError
from pytest_modelgate.gates.verdict import Outcome
from pytest_modelgate.metrics.registry import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_modelgate.checks.mutation.twins import Twin, Twins
    from pytest_modelgate.evidence.origin import Derivation
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.recording import Evidence

_DIFFERENCES = ("no_regression(", "generalization_gap(", "gap(")
_NO_PREDICTIONS = "it does not judge what a model predicts"


def settle_on_twins(
    verdict: Verdict, evidence: Sequence[Evidence], again: Callable[..., Verdict] | None
) -> dict[str, Any]:
    """What a gate says of the faulted twins of the models behind its evidence, as plain types.

    The twins' evidence is derived as the judged evidence was: the same threshold, the same sum. A fault that the
    evidence of several models shares is in all of them at once.

    Returns:
        `why` it cannot be settled again, or `model`, `key` and `layers_left_out` of the model, the `reason` why its
        weights or inputs got no faults, whether the gate judges decisions alone (`counts`), where it judges a
        difference the metric's own value on the model (`level`, else None), and `faults`: for each its `name`, `kind`,
        `where` and `strength`, the share of predictions that it `changed`, and the `cell` of this gate: `caught`,
        `outcome` (None where the estimate alone decides), `estimate`, `moved`, `error`.
    """
    derivations: list[Derivation] = []
    for one in evidence if again is not None else ():
        if not isinstance(one, Evaluation):
            return {"why": _NO_PREDICTIONS}
        if one.origin.derivation is None:
            return {"why": "its evidence was not made by evaluate"}
        derivations.append(one.origin.derivation)
    if again is None or not derivations:
        return {"why": _NO_PREDICTIONS}
    every = list(dict.fromkeys(call for derivation in derivations for call in calls(derivation)))
    if any(call.twins is None for call in every):
        return {"why": "its model was evaluated before there were twins, or while it was trained"}
    twins: list[Twins] = [call.twins for call in every]
    reason = next((one.reason for one in twins if one.reason is not None), None)
    if reason is not None:
        return {"why": reason}
    by_call = {call: {twin.fault: twin for twin in one.faults} for call, one in zip(every, twins, strict=True)}
    faults = []
    for fault in (twin.fault for twin in twins[0].faults if all(twin.fault in one for one in by_call.values())):
        faulted = {call: one[fault] for call, one in by_call.items()}
        changed, cell = _settled(verdict, evidence, derivations, again, faulted)
        plain = {"name": fault.name, "kind": fault.kind, "where": fault.where, "strength": fault.strength}
        faults.append({**plain, "changed": changed, "cell": cell})
    models = {one.key: one.model for one in twins}
    name = next(iter(models.values()))
    metric = METRICS.get(verdict.metric)
    return {
        "why": None,
        "model": name if len(models) == 1 else f"{name} and {len(models) - 1} more",
        "key": "+".join(models),
        "layers_left_out": max(one.layers_left_out for one in twins),
        "reason": next((one.partly for one in twins if one.partly is not None), None),
        "counts": metric is not None and metric.needs == "counts",
        "level": _level(verdict, evidence[0]),
        "faults": faults,
    }


def _level(verdict: Verdict, judged: Evidence) -> float | None:
    """The metric on the model alone, where a gate's estimate is how far it is from another one's."""
    if not verdict.gate.startswith(_DIFFERENCES) or verdict.metric not in METRICS or not isinstance(judged, Evaluation):
        return None
    try:
        return judged.metric(verdict.metric, label=verdict.label, average=verdict.average, **dict(verdict.parameters))
    except ModelgateError:  # what the gate itself could not judge
        return None


def _settled(
    verdict: Verdict,
    evidence: Sequence[Evidence],
    derivations: Sequence[Derivation],
    again: Callable[..., Verdict],
    faulted: Mapping[Call, Twin],
) -> tuple[float | None, dict[str, Any]]:
    """The share of predictions that a fault changes, and what the gate says of it."""
    error = next((twin.error for twin in faulted.values() if twin.error is not None), None)
    if error is not None:
        return None, _cell(caught=True, error=error)
    shift = next(iter(faulted.values())).shift
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            others = [replay(_shifted(one, shift), lambda call: _at(faulted[call], shift)) for one in derivations]
            found = again(*others)
    except Exception as error:  # whatever it is would have ended the test: the fault is noticed
        return None, _cell(caught=True, error=f"{type(error).__name__}: {error}")
    moved = None if found.estimate is None or verdict.estimate is None else found.estimate - verdict.estimate
    changed = [
        _changed(before, after, [faulted[call] for call in calls(derivation)])
        for before, after, derivation in zip(evidence, others, derivations, strict=True)
    ]
    worked_out = found.outcome is not Outcome.INCONCLUSIVE or found.method is not None
    outcome = found.outcome.value if worked_out else None
    cell = _cell(caught=not found.passed, outcome=outcome, estimate=found.estimate, moved=moved)
    return max(changed), cell


def _cell(
    *,
    caught: bool,
    outcome: str | None = None,
    estimate: float | None = None,
    moved: float | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    return {"caught": caught, "outcome": outcome, "estimate": estimate, "moved": moved, "error": error}


def _at(twin: Twin, shift: float) -> Evaluation:
    """What the twin gave, its own threshold shifted."""
    assert twin.evaluation is not None
    if shift == 0 or twin.evaluation.threshold is None:
        return twin.evaluation
    return twin.evaluation.at_threshold(_clipped(twin.evaluation.threshold + shift))


def _shifted(derivation: Derivation, shift: float) -> Derivation:
    """The same derivation with every threshold in it shifted."""
    if isinstance(derivation, Call) or shift == 0:
        return derivation
    of = tuple(_shifted(one, shift) for one in derivation.of)
    if derivation.apply == Evaluation.at_threshold:
        return replace(derivation, of=of, arguments=(_clipped(float(derivation.arguments[0]) + shift),))
    return replace(derivation, of=of)


def _clipped(threshold: float) -> float:
    return min(max(threshold, 0.0), 1.0)


def _changed(before: Evidence, after: Evaluation, twins: Sequence[Twin]) -> float:
    """The share of predictions that a fault changes: at the derived threshold where the scores are there."""
    assert isinstance(before, Evaluation)
    one, other = _decisions(before), _decisions(after)
    if one is not None and other is not None and len(one) == len(other):
        return float(np.mean(one != other))
    sizes = [0 if twin.evaluation is None else twin.evaluation.n for twin in twins]
    return sum((twin.changed or 0.0) * size for twin, size in zip(twins, sizes, strict=True)) / max(sum(sizes), 1)


def _decisions(evaluation: Evaluation) -> NDArray[np.bool_] | None:
    """Whether each sample of two classes is called positive, in the order of the pass."""
    if evaluation.task != "binary" or evaluation.scores is None or evaluation.threshold is None:
        return None
    return decide(evaluation.scores.values, evaluation.threshold, evaluation.outputs)
