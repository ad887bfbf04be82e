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


class TestSlices:
    def test_classes_are_kept_with_counts_alone(self):
        rows = Rows(keep="counts", ids=None, slices={"c": ["a", "b", "a"]}, groups=None, weights=None)
        rows.keep(losses=np.ones(3))
        rows.decided(np.array([0, 300, 2]), np.array([0, 1, 2]), np.array([0, 4, 0]))
        found = rows.finish(3)
        assert {name: column.dtype.name for name, column in found.columns()} == {"target": "uint16", "preds": "uint8"}
        assert found.slices[0].values == ("a", "b")

    def test_functions_are_asked_batch_by_batch(self):
        rows = Rows(
            keep="auto", ids=None, slices={"big": lambda x: x > 1, "size": lambda x: x}, groups=None, weights=None
        )
        assert rows.needs_batches
        for batch in (np.array([0, 5]), np.array([2])):
            rows.cut(batch, samples=len(batch))
        found = rows.finish(3)
        assert [column.name for column in found.slices] == ["big", "size"]
        assert found.slices[0].codes.tolist() == [1, 0, 0]
        assert found.slices[1].values == (0, 2, 5)
        with pytest.raises(EvidenceError, match="3 slices 'big' for 4 samples"):
            rows.finish(4)

    def test_a_row_of_a_later_batch_is_named_by_its_place_in_the_data(self):
        rows = Rows(keep="auto", ids=None, slices={"c": lambda x: x}, groups=None, weights=None)
        rows.cut(["a", "b"], samples=2)
        with pytest.raises(EvidenceError, match="slices 'c': row 3 is None"):
            rows.cut(["a", None], samples=2)

    def test_a_twin_shares_columns_and_is_asked_nothing(self):
        given = {"c": ["a", "b"], "d": lambda x: x}
        rows = Rows(keep="auto", ids=None, slices=given, groups=None, weights=None)
        twin = rows.twin()
        assert not twin.needs_batches
        twin.decided(np.array([0, 1]), np.array([1, 1]))
        found = twin.finish(2)
        assert [column.name for column in found.slices] == ["c"]
        assert found.preds.tolist() == [1, 1]


class TestSeveralDecisionsASample:
    UNIT = np.array([0, 0, 1, 3, 3, 3])

    def rows(self, **given):
        rows = Rows(**{"keep": "auto", "ids": None, "groups": None, "weights": None, **given})
        rows.keep(unit=self.UNIT[:2], losses=np.arange(2.0))
        rows.keep(unit=self.UNIT[2:], losses=np.arange(4.0))
        rows.decided(np.array([0, 1, 1, 0, 1, 0]), np.array([0, 1, 1, 0, 1, 1]))
        return rows.finish(6, 4)

    def test_columns_follow_their_sample(self):
        found = self.rows(
            ids=list("wxyz"), groups=[7, 7, 8, 9], weights=[1.0, 2.0, 3.0, 4.0], slices={"c": ["a", "b", "gone", "b"]}
        )
        assert found.weights.tolist() == [1, 1, 2, 4, 4, 4]
        assert found.group_codes.tolist() == self.codes([0, 0, 0, 1, 1, 1], found.group_codes)
        assert found.slices[0].values == ("a", "b")
        assert found.slices[0].codes.tolist() == [0, 0, 1, 1, 1, 1]
        assert found.losses.tolist() == [0, 1, 0, 1, 2, 3]
        assert "unit" not in dict(found.columns())

    @staticmethod
    def codes(wanted, found):
        """The wanted groups, numbered as those that were found."""
        return [found[wanted.index(group)] for group in wanted]

    def test_ids_name_each_decision(self):
        found, other = self.rows(ids=list("wxyz")), self.rows(ids=list("vwyx"))
        assert len(set(found.ids.tolist())) == 6
        assert found.ids.tolist() == self.rows(ids=list("wxyz")).ids.tolist()
        same = set(found.ids.tolist()) & set(other.ids.tolist())
        assert same == {found.ids[0], found.ids[2]}  # "w" and "x" have several decisions in one of the two sets alone

    def test_decisions_of_a_sample_are_a_group(self):
        for given in ({}, {"ids": list("wxyz")}, {"weights": np.ones(4)}):
            found = self.rows(**given)
            codes = found.group_codes.tolist()
            assert codes == self.codes([0, 0, 1, 3, 3, 3], codes)
            assert found.num_groups == 3
            assert found.preds.tolist() == [0, 1, 1, 0, 1, 1]

    def test_groups_of_two_sets_stay_apart(self):
        other = Rows(keep="auto", ids=None, groups=None, weights=None)
        other.keep(unit=self.UNIT, losses=np.ones(6))
        other.decided(np.array([1, 1, 1, 0, 1, 0]), np.zeros(6, int))
        assert (self.rows() + other.finish(6, 4)).num_groups == 6

    def test_two_models_have_the_same_groups(self):
        other = Rows(keep="auto", ids=None, groups=None, weights=None)
        other.keep(unit=self.UNIT, losses=np.ones(6))
        other.decided(np.array([0, 1, 1, 0, 1, 0], dtype=np.uint8), np.zeros(6, int))
        assert other.finish(6, 4).groups.tolist() == self.rows().groups.tolist()

    def test_told_only_after_classes_were_let_go(self):
        rows = Rows(keep="auto", ids=None, groups=None, weights=None)
        rows.decided(np.zeros(2, int), np.zeros(2, int))
        rows.keep(unit=np.array([0, 1, 2]))
        rows.decided(np.zeros(1, int), np.zeros(1, int))
        assert rows.finish(3, 4).target is None

    @pytest.mark.parametrize(
        "given", [{"ids": list("wxy")}, {"weights": np.ones(6)}, {"slices": {"c": list("abcdef")}}]
    )
    def test_one_for_each_sample_not_for_each_decision(self, given):
        with pytest.raises(EvidenceError, match="for 4 samples: give one for each sample"):
            self.rows(**given)
