"""The strategies keep their promises, and say what is missing without Hypothesis."""

from __future__ import annotations

import importlib.util
import math
import sys

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from pytest_modelgate import strategies
from pytest_modelgate.metrics.counting import logits_to_labels
from pytest_modelgate.strategies import confusion_matrices, loss_curves, predictions

promises = settings(max_examples=60, deadline=None, derandomize=True)
quick = settings(max_examples=500, deadline=None, derandomize=True, database=None)


class TestConfusionMatrices:
    @promises
    @given(confusion_matrices(num_classes=3, max_count=7))
    def test_classes_and_counts(self, matrix):
        assert matrix.num_classes == 3
        assert matrix.counts.max() <= 7

    @promises
    @given(confusion_matrices(num_classes=st.sampled_from([2, 9])))
    def test_a_strategy_of_classes(self, matrix):
        assert matrix.num_classes in (2, 9)

    @promises
    @given(confusion_matrices(max_count=3, min_support=3))
    def test_every_class_has_samples(self, matrix):
        assert matrix.support.min() >= 3

    @promises
    @given(confusion_matrices(labels=("a", "b", "c")))
    def test_names(self, matrix):
        assert matrix.labels == ("a", "b", "c")

    @pytest.mark.parametrize(
        "kind",
        [
            lambda matrix: matrix.n == 0,
            lambda matrix: matrix.n > 0 and (matrix.support == 0).any(),
            lambda matrix: matrix.metric("mcc") is None and matrix.n > 0,
            lambda matrix: matrix.counts.max() == 1000,
        ],
    )
    def test_it_finds(self, kind):
        find(confusion_matrices(), kind, settings=quick)

    @pytest.mark.parametrize("min_support", [-1, 8])
    def test_wrong_support(self, min_support):
        with pytest.raises(ValueError, match="min_support must lie between 0 and max_count"):
            find(confusion_matrices(max_count=7, min_support=min_support), lambda _: True, settings=quick)


class TestPredictions:
    @promises
    @given(predictions(num_classes=4, min_samples=2, max_samples=9))
    def test_classes_and_samples(self, drawn):
        assert 2 <= len(drawn.target) == len(drawn.preds) <= 9
        assert drawn.scores is None
        for classes in (drawn.target, drawn.preds):
            assert classes.dtype == np.int64
            assert 0 <= classes.min() <= classes.max() <= 3

    @promises
    @given(predictions(scores="probabilities", min_samples=0))
    def test_probabilities(self, drawn):
        assert drawn.scores.dtype == np.float32
        assert np.allclose(drawn.scores.sum(axis=1), 1, atol=1e-6)
        assert (drawn.scores >= 0).all()

    @promises
    @given(predictions(scores="logits", num_classes=st.integers(3, 5)))
    def test_the_prediction_is_the_largest_score(self, drawn):
        assert (np.abs(drawn.scores) <= 20).all()
        assert (drawn.preds == logits_to_labels(drawn.scores)).all()

    @promises
    @given(predictions(scores="logits", num_classes=2))
    def test_of_two_classes_the_second_wins_a_tie(self, drawn):
        assert (drawn.preds == (drawn.scores[:, 1] >= drawn.scores[:, 0])).all()

    @pytest.mark.parametrize("scores", ["logits", "probabilities"])
    def test_it_finds_ties(self, scores):
        find(predictions(scores=scores), lambda drawn: len(set(drawn.scores[0].tolist())) == 1, settings=quick)

    def test_wrong_scores(self):
        with pytest.raises(ValueError, match="scores must be None, 'logits' or 'probabilities', not 'odds'"):
            find(predictions(scores="odds"), lambda _: True, settings=quick)


class TestLossCurves:
    @pytest.mark.parametrize("kind", ["any", "falling", "flat", "diverging"])
    def test_lengths_and_types(self, kind):
        @promises
        @given(loss_curves(kind, min_epochs=3, max_epochs=8))
        def check(losses):
            assert 3 <= len(losses) <= 8
            assert all(type(loss) is float and math.isfinite(loss) for loss in losses)

        check()

    @promises
    @given(loss_curves("falling", min_epochs=60, max_epochs=80))
    def test_falling(self, losses):
        assert losses[-1] < 0.2 * losses[0]

    @promises
    @given(loss_curves("flat"))
    def test_flat(self, losses):
        assert max(losses) <= 1.03 * min(losses)

    @promises
    @given(loss_curves("diverging", min_epochs=2))
    def test_diverging(self, losses):
        assert losses[-1] == pytest.approx(2 * losses[-2])

    def test_it_finds_what_is_not_finite(self):
        for kind in ("any", "diverging"):
            curves = loss_curves(kind, max_epochs=4, not_finite=True)
            find(curves, lambda losses: any(map(math.isnan, losses)), settings=quick)

    def test_an_unknown_kind(self):
        with pytest.raises(ValueError, match="kind must be 'any', 'falling', 'flat' or 'diverging', not 'good'"):
            find(loss_curves("good"), lambda _: True, settings=quick)


def test_without_hypothesis(monkeypatch):
    spec = importlib.util.spec_from_file_location("strategies_alone", strategies.__file__)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r"needs Hypothesis: pip install 'pytest-modelgate\[hypothesis\]'"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
