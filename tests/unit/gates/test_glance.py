"""A glance has the colour of the whole judgement, for less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate import ConfusionMatrix, Evaluation, Gate, MetricError, Outcome
from pytest_modelgate.gates import gate as module
from pytest_modelgate.strategies import confusion_matrices

METRICS: list[tuple[str, dict[str, Any]]] = [
    ("recall", {"label": 0}),
    ("precision", {"label": 1}),
    ("false_positive_rate", {"label": 1}),
    ("f1", {"average": "macro"}),
    ("fbeta", {"label": 0, "parameters": {"beta": 2}}),
    ("mcc", {}),
    ("cohen_kappa", {}),
    ("balanced_accuracy", {}),
    ("accuracy", {}),
]


@given(
    confusion_matrices(num_classes=3),
    st.sampled_from(METRICS),
    st.sampled_from(["at_least", "at_most"]),
    st.sampled_from([0.1, 0.5, 0.8, 0.95]),
    st.sampled_from(["estimate", "fail", "warn"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_the_same_colour(matrix: Any, metric: Any, direction: str, bar: float, if_unsure: str, vacuous: bool) -> None:
    name, which = metric
    gate = Gate(name, **{direction: bar}, if_unsure=if_unsure, allow_vacuous=vacuous, **which)
    try:
        whole = gate.check(matrix)
    except Exception as error:
        with pytest.raises(type(error)):
            gate.glance(matrix)
        return
    short = gate.glance(matrix)
    assert (short.passed, short.estimate, short.gate) == (whole.passed, whole.estimate, whole.gate)
    assert (short.outcome is Outcome.UNDEFINED) == (whole.outcome is Outcome.UNDEFINED)


def test_it_works_out_no_bounds_where_the_estimate_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = ConfusionMatrix([[40, 2], [4, 36]])

    def bounds(*_: Any, **__: Any) -> Any:
        raise AssertionError("bounds were worked out")

    monkeypatch.setattr(module.Gate, "_bounds", bounds)
    verdict = Gate("mcc", at_least=0.5).glance(matrix)
    assert (verdict.outcome, verdict.passed, verdict.method, verdict.notes) == (Outcome.INCONCLUSIVE, True, None, ())
    with pytest.raises(AssertionError, match="worked out"):
        Gate("mcc", at_least=0.5, if_unsure="fail").glance(matrix)


def test_metrics_of_scores_are_judged_in_full() -> None:
    scores = np.linspace(0.01, 0.99, 60)
    evidence = Evaluation.from_predictions(target=scores > 0.4, preds=scores, outputs="probabilities")
    gate = Gate("roc_auc", at_least=0.9)
    assert gate.glance(evidence) == gate.check(evidence)
    with pytest.raises(MetricError):
        Gate("recall", at_least=0.5, label="nobody").glance(evidence)
