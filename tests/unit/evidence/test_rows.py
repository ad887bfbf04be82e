"""What is kept of each sample while batches come in."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelgate import Evaluation, Gate
from pytest_modelgate.evidence.rows import Rows
from pytest_modelgate.exceptions import EvidenceError

DESIGNS = {"ids": ["a", "b", "c"], "groups": ["x", "x", "y"], "weights": [1.0, 2.0, 3.0]}


def evaluation(**given):
    return Evaluation.from_predictions(**{"target": [0, 1, 1], "preds": [0.2, 0.7, 0.4], **given})


def test_classes_are_kept_only_where_they_are_needed():
    assert evaluation(outputs="probabilities").samples is None
    for name, column in DESIGNS.items():
        kept = evaluation(outputs="probabilities", **{name: column}).samples
        assert kept.target.tolist() == [0, 1, 1]
        assert kept.preds.tolist() == [0, 1, 0]
        assert getattr(kept, name) is not None


@pytest.mark.parametrize("name", DESIGNS)
def test_counts_alone_keep_no_design(name):
    with pytest.raises(EvidenceError, match="keep='auto', not 'counts'"):
        evaluation(outputs="probabilities", keep="counts", **{name: DESIGNS[name]})


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("extra", [-1, 1])
def test_one_for_each_sample(name, extra):
    column = DESIGNS[name][:extra] if extra < 0 else [*DESIGNS[name], DESIGNS[name][0]]
    with pytest.raises(EvidenceError, match=f"{3 + extra} {name} for 3 samples"):
        evaluation(outputs="probabilities", **{name: column})


def test_an_empty_design_is_none_for_each():
    with pytest.raises(EvidenceError, match="0 weights for 3 samples"):
        evaluation(outputs="probabilities", weights=[])


def test_content_is_for_inputs():
    with pytest.raises(EvidenceError, match="predictions come without inputs"):
        evaluation(outputs="probabilities", ids="content")


@pytest.mark.parametrize(("ids", "says"), [("contnet", "; did you mean 'content'?"), ("abc", "or ids='content'$")])
def test_one_word_is_no_ids(ids, says):
    with pytest.raises(EvidenceError, match=f"ids='{ids}' is a single name; give one for each sample.*{says}"):
        Rows(keep="auto", ids=ids, groups=None, weights=None)


def test_a_column_that_is_forgotten_stays_so():
    rows = Rows(keep="auto", ids=None, groups=None, weights=None)
    rows.keep(losses=np.ones(2))
    rows.forget("losses")
    rows.keep(losses=np.ones(3))
    assert rows.finish(5).losses is None


class TestValues:
    @pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 2), (60, 2, 3)])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_any_shape(self, shape, dtype):
        rng = np.random.default_rng(0)
        target, preds = (rng.normal(size=shape).astype(dtype) for _ in range(2))
        evidence = evaluation(target=target, preds=preds, outputs="values")
        assert evidence.metric("mae") == pytest.approx(np.abs(target - preds).mean(), rel=1e-6)
        assert evidence.metric("rmse") == pytest.approx(np.square(target - preds).mean() ** 0.5, rel=1e-6)
        assert evidence.interval("mae").upper > evidence.metric("mae")

    @pytest.mark.parametrize(("target", "preds"), [((60,), (60, 1)), ((60, 1), (60,))])
    def test_a_column_of_one_is_none(self, target, preds):
        evidence = evaluation(target=np.zeros(target), preds=np.ones(preds), outputs="values")
        assert evidence.metric("mae") == 1
        assert evidence.samples.actual.shape == (60,)

    def test_targets_of_another_shape_have_no_errors(self):
        evidence = evaluation(target=np.zeros((5, 2)), preds=np.zeros((5, 3)), outputs="values")
        with pytest.raises(EvidenceError, match="one target for each output"):
            evidence.metric("mae")

    def test_counts_alone_keep_no_values(self):
        evidence = evaluation(outputs="values", keep="counts")
        with pytest.raises(EvidenceError, match="keep='counts' kept none"):
            evidence.metric("mae")

    def test_classes_have_no_errors(self):
        with pytest.raises(EvidenceError, match="outputs='values'"):
            evaluation(outputs="probabilities").metric("mae")

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_bad_predictions_are_refused(self, bad):
        with pytest.raises(EvidenceError, match="must be finite, but sample 1"):
            evaluation(target=[1.0, 2.0], preds=[1.0, bad], outputs="values")

    @pytest.mark.parametrize("name", ["mae", "rmse", "r2", "median_error"])
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_bad_targets_are_undefined_and_never_pass(self, name, bad):
        evidence = evaluation(target=np.append(np.arange(59.0), bad), preds=np.arange(60.0), outputs="values")
        bar = {"at_least": -1e9} if name == "r2" else {"at_most": 1e9}
        verdict = Gate(name, **bar, if_unsure="warn").check(evidence)
        assert verdict.outcome.value == "UNDEFINED"
        assert not verdict.passed
        assert "target of 1 of 60" in verdict.explanation

    @pytest.mark.parametrize("name", ["mae", "rmse", "r2", "median_error"])
    @pytest.mark.parametrize("n", [1, 2])
    def test_few_samples_prove_nothing(self, name, n):
        evidence = evaluation(target=np.arange(n) * 1.0, preds=np.arange(n) * 1.0, outputs="values")
        bar = {"at_least": 0.5} if name == "r2" else {"at_most": 0.5}
        assert Gate(name, **bar).check(evidence).outcome.value in ("INCONCLUSIVE", "UNDEFINED")

    @pytest.mark.parametrize("name", ["mae", "rmse"])
    def test_equal_errors_prove_nothing_but_with_a_greatest_one(self, name):
        evidence = evaluation(target=np.zeros(80), preds=np.ones(80), outputs="values")
        assert evidence.bounds(name).interval is None
        assert "same value" in evidence.bounds(name).why
        lower, upper = evidence.interval(name, max_error=10.0)
        assert lower <= 1 < upper < 10

    @pytest.mark.parametrize("bad", [0, -1, "1", True, float("nan"), float("inf")])
    def test_a_greatest_error_that_is_none(self, bad):
        evidence = evaluation(target=np.zeros(80), preds=np.ones(80), outputs="values")
        with pytest.raises(Exception, match="greatest possible"):
            evidence.bounds("mae", max_error=bad)

    def test_a_greatest_error_below_one_that_was_seen(self):
        evidence = evaluation(target=np.zeros(80), preds=np.arange(80.0), outputs="values")
        with pytest.raises(EvidenceError, match="greatest possible value"):
            evidence.bounds("mae", max_error=5.0)
        with pytest.raises(EvidenceError, match="greatest possible value"):
            Gate("mae", at_most=50, parameters={"max_error": 5.0}).check(evidence)
