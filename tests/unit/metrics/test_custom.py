"""A user's own metric: what it may return, what is refused, and how it is bounded."""

from __future__ import annotations

import functools
import traceback

import numpy as np
import pytest

from pytest_modelgate import ConfusionMatrix, Evaluation, Gate, custom_metric
from pytest_modelgate.exceptions import BarError, MetricError
from pytest_modelgate.metrics.registry import METRICS
from pytest_modelgate.statistics.composites import dirichlet_interval_of

MATRIX = ConfusionMatrix([[90, 10], [2, 98]])
RNG = np.random.default_rng(0)
TARGET = RNG.integers(0, 2, 200)
P = np.clip(0.5 + 0.4 * (TARGET - 0.5) + RNG.normal(0, 0.2, 200), 0.001, 0.999)


def scored(**design):
    return Evaluation.from_predictions(target=TARGET, preds=P, outputs="probabilities", **design)


def cost(table):
    return (5 * table[1, 0] + table[0, 1]) / table.sum()


def gap(target, values):
    return float(values[target == 1].mean() - values[target == 0].mean())


def test_of_counts():
    metric = custom_metric(cost, lowest=0, highest=5, higher_is_better=False)
    evidence = Evaluation.from_confusion_matrix(MATRIX)
    assert metric.name == "cost"
    assert evidence.metric(metric) == 0.1
    lower, upper = evidence.interval(metric)
    assert 0 < lower < 0.1 < upper < 0.3
    assert evidence.bounds(metric).method == "imprecise Dirichlet, approximate"
    assert Gate(metric, at_most=0.3).check(MATRIX).outcome.value == "PASS"


def test_of_scores_and_values():
    metric = custom_metric(gap, of="scores")
    assert scored().metric(metric) == gap(TARGET, P)
    lower, upper = scored().interval(metric)
    assert lower < gap(TARGET, P) < upper
    assert "approximate" in scored().bounds(metric).method
    bias = custom_metric(lambda actual, predicted: (predicted - actual).mean(), of="values", name="bias")
    values = Evaluation.from_predictions(target=P, preds=P + 0.1, outputs="values")
    assert values.metric(bias) == pytest.approx(0.1)


def test_bounds_do_not_depend_on_the_order():
    metric = custom_metric(gap, of="scores")
    order = RNG.permutation(200)
    other = Evaluation.from_predictions(target=TARGET[order], preds=P[order], outputs="probabilities")
    assert other.interval(metric) == pytest.approx(scored().interval(metric), abs=1e-12)


def test_weights_reach_the_table():
    weights = RNG.exponential(size=200)
    seen = []
    metric = custom_metric(lambda table: seen.append(table.copy()) or cost(table), name="cost")
    scored(weights=weights).metric(metric)
    assert seen[-1].sum() == pytest.approx(weights.sum())
    assert scored(weights=np.ones(200)).metric(metric) == scored().metric(metric)
    assert scored(weights=np.ones(200)).interval(metric) == pytest.approx(scored().interval(metric))
    assert "weights, approximate" in scored(weights=weights).bounds(metric).method
    huge = scored(weights=weights * 1e290).interval(metric)
    assert huge == pytest.approx(scored(weights=weights).interval(metric))


def test_groups():
    evidence = scored(groups=np.arange(200) // 4)
    assert evidence.bounds(custom_metric(cost)).interval is None
    assert "smooth" in evidence.bounds(custom_metric(cost)).why
    assert Gate(custom_metric(cost), at_most=5).check(evidence).outcome.value == "INCONCLUSIVE"
    assert evidence.interval(custom_metric(gap, of="scores"))


def test_a_function_of_columns_knows_no_weights():
    with pytest.raises(MetricError, match="does not know of weights"):
        scored(weights=np.ones(200)).metric(custom_metric(gap, of="scores"))


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), np.float32("nan")])
def test_no_value_is_undefined_and_never_passes(value):
    verdict = Gate(custom_metric(lambda table: value, name="odd"), at_least=-1e9, if_unsure="warn").check(MATRIX)
    assert verdict.outcome.value == "UNDEFINED"
    assert not verdict.passed
    assert "odd" in verdict.explanation


def test_a_division_by_zero_is_undefined():
    assert Evaluation.from_confusion_matrix(MATRIX).metric(custom_metric(lambda table: 1 / 0, name="odd")) is None


@pytest.mark.parametrize("value", ["0.5", b"1", [0.5], np.array([0.5]), np.ones((2, 2)), 1j, object(), {}])
def test_what_is_no_number_is_refused(value):
    metric = custom_metric(lambda table: value, name="odd")
    with pytest.raises(MetricError, match=f"odd gave {type(value).__name__}, not a number"):
        Evaluation.from_confusion_matrix(MATRIX).metric(metric)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), 1, True, np.int64(1)])
def test_numbers_of_any_kind_are_taken(value):
    metric = custom_metric(lambda table: value, name="odd")
    assert Evaluation.from_confusion_matrix(MATRIX).metric(metric) == float(value)


def test_the_functions_own_error_comes_through():
    def broken(table):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        Evaluation.from_confusion_matrix(MATRIX).metric(custom_metric(broken))
    assert traceback.extract_tb(caught.tb)[-1].name == "broken"


@pytest.mark.parametrize("value", [1.1, -0.1])
def test_a_value_outside_of_its_range_is_refused(value):
    metric = custom_metric(lambda table: value, name="odd", lowest=0, highest=1)
    with pytest.raises(MetricError, match="outside of its range 0 to 1"):
        Evaluation.from_confusion_matrix(MATRIX).metric(metric)


def test_rounding_is_not_outside_of_the_range():
    metric = custom_metric(lambda table: 1 + 1e-15, name="odd", lowest=0, highest=1)
    assert Evaluation.from_confusion_matrix(MATRIX).metric(metric) == 1


def test_bounds_stay_in_the_range():
    metric = custom_metric(lambda t: t[1, 1] / t[1].sum(), name="mine", lowest=0, highest=1)
    lower, upper = Evaluation.from_confusion_matrix(ConfusionMatrix([[5, 0], [0, 5]])).interval(metric)
    assert 0 < lower < 1 == upper


def test_a_bar_outside_of_the_range_is_refused():
    with pytest.raises(BarError, match="outside the range of cost"):
        Gate(custom_metric(cost, lowest=0), at_most=-1)


@pytest.mark.parametrize("name", METRICS)
def test_names_of_metrics_are_taken(name):
    with pytest.raises(MetricError, match="another name"):
        custom_metric(cost, name=name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"of": "score"}, "did you mean 'scores'"),
        ({"lowest": 1, "highest": 1}, "lowest < highest"),
        ({"lowest": float("nan")}, "lowest < highest"),
        ({"name": ""}, "must be a string"),
        ({"name": 3}, "must be a string"),
    ],
)
def test_wrong_arguments(arguments, said):
    with pytest.raises(MetricError, match=said):
        custom_metric(cost, **arguments)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(MetricError, match="cannot be called"):
        custom_metric(0.5)


def test_no_samples_are_undefined_without_a_call():
    empty = Evaluation.from_confusion_matrix(ConfusionMatrix([[0, 0], [0, 0]]))
    assert empty.measure(custom_metric(cost)).cause == "no samples"


def test_constant_resamples_are_inconclusive():
    verdict = Gate(custom_metric(lambda t, s: 1.0, of="scores", name="one"), at_least=0.5).check(scored())
    assert verdict.outcome.value == "INCONCLUSIVE"
    assert verdict.lower is None


def test_a_greatest_error_has_no_bounds():
    """200 errors below 1: their maximum says nothing of what the next may be."""
    worst = custom_metric(lambda t, v: np.abs(t - v).max(), of="values", name="worst", higher_is_better=False)
    errors = np.random.default_rng(5).random(200)
    evidence = Evaluation.from_predictions(target=P, preds=P + errors, outputs="values")
    verdict = Gate(worst, at_most=0.9999).check(evidence)
    assert (verdict.outcome.value, verdict.lower, verdict.upper) == ("INCONCLUSIVE", None, None)
    assert "or is never more than here (or never less)" in str(verdict)
    few = Evaluation.from_predictions(target=P[:9], preds=P[:9] + errors[:9], outputs="values")
    assert "fewer than 20 samples or groups say too little" in str(Gate(worst, at_most=1).check(few))


@pytest.mark.parametrize("constant", [lambda t: 0.7, lambda t: 0.7 * (t.sum() / t.sum()), lambda t: t.trace() > 0])
def test_a_constant_has_no_bounds(constant):
    verdict = Gate(custom_metric(constant, name="constant"), at_least=0.5).check(MATRIX)
    assert (verdict.outcome.value, verdict.lower, verdict.upper) == ("INCONCLUSIVE", None, None)
    assert "no bounds: resampled, it does not change" in str(verdict)


@pytest.mark.parametrize("of", ["counts", "scores", "values"])
def test_all_are_approximate(of):
    metric = custom_metric(cost, of=of)
    assert "approximate" in metric.bounded_by


@pytest.mark.parametrize("function", [lambda t: 0.5, functools.partial(cost)])
def test_a_function_without_a_name_needs_one(function):
    with pytest.raises(MetricError, match="name="):
        custom_metric(function)
    assert custom_metric(function, name="mine").name == "mine"


@pytest.mark.parametrize(("k", "most"), [(2, 3_000), (10, 5_000), (60, 10_000)])
def test_the_work_is_bounded(k, most):
    calls = []
    metric = custom_metric(lambda t: calls.append(0) or t.trace() / t.sum(), name="counted")
    table = ConfusionMatrix(np.eye(k, dtype=int) * 20 + 1)
    assert Evaluation.from_confusion_matrix(table).interval(metric)
    assert len(calls) <= most


def test_more_confidence_draws_more():
    evidence = Evaluation.from_confusion_matrix(MATRIX)
    usual, sure = (evidence.interval(custom_metric(cost), confidence=c) for c in (0.95, 0.999))
    assert -np.inf < sure.lower < usual.lower
    assert usual.upper < sure.upper < np.inf


def test_weights_count_as_many_samples_as_kish_says():
    """As wide as the same table of sum(w)^2 / sum(w^2) samples, and so wider than all of them would be."""
    weights = np.random.default_rng(3).exponential(size=200) ** 2
    table = np.zeros((2, 2))
    np.add.at(table, (TARGET, (P >= 0.5).astype(int)), weights)
    effective = weights.sum() ** 2 / (weights**2).sum()
    assert effective < 80
    expected = dirichlet_interval_of(table * effective / table.sum(), cost, draws=20_000)
    found = scored(weights=weights).interval(custom_metric(cost))
    width = expected.upper - expected.lower
    assert found == pytest.approx(expected, abs=0.08 * width)
    ignored = dirichlet_interval_of(table * 200 / table.sum(), cost)
    assert ignored.upper - ignored.lower < 0.75 * width
