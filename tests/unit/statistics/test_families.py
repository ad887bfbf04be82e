"""Holm's correction against a published example and its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.statistics import families as of_package
from pytest_modelgate.statistics.families import holm

laws = settings(max_examples=80, deadline=None, derandomize=True)
families = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), max_size=12)


def step_down(p_values, level):
    """Holm (1979), as he gave it: refute the smallest while it is at most level / (how many are left)."""
    left = sorted(range(len(p_values)), key=lambda index: p_values[index])
    refuted = set()
    while left and p_values[left[0]] * len(left) <= level:
        refuted.add(left.pop(0))
    return refuted


def test_published():
    """R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])


@laws
@given(families, st.sampled_from([0.001, 0.01, 0.05, 0.2, 0.5]))
def test_refutes_what_the_step_down_procedure_refutes(p_values, level):
    assert {index for index, p in enumerate(holm(p_values)) if p <= level} == step_down(p_values, level)


@laws
@given(families)
def test_between_the_p_value_and_bonferroni(p_values):
    adjusted = holm(p_values)
    assert len(adjusted) == len(p_values)
    for p, found in zip(p_values, adjusted, strict=True):
        assert p <= found <= min(1.0, len(p_values) * p)
    for i, j in zip(np.argsort(p_values)[:-1], np.argsort(p_values)[1:], strict=True):
        assert adjusted[i] <= adjusted[j]
    if p_values:
        assert min(adjusted) == min(1.0, len(p_values) * min(p_values))


@laws
@given(families, st.randoms(use_true_random=False))
def test_order_does_not_matter(p_values, random):
    order = list(range(len(p_values)))
    random.shuffle(order)
    adjusted = holm(p_values)
    assert holm([p_values[index] for index in order]) == [adjusted[index] for index in order]


def test_nothing_and_one():
    assert holm([]) == []
    assert holm([0.3]) == [0.3]


@pytest.mark.parametrize("p", [math.nan, -0.1, 1.1, math.inf])
def test_out_of_range(p):
    with pytest.raises(EvidenceError, match="p-value must lie between 0 and 1"):
        holm([0.1, p])


@laws
@given(families, st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_tests_by_confidence_are_holms_too(p_values, confidence):
    """Asked only of what is refuted alone, level by level."""

    def refutes(index, level):
        assert level >= confidence
        return p_values[index] <= 1 - level

    suspects = [index for index in range(len(p_values)) if refutes(index, confidence)]
    refuted, last = of_package.step_down(suspects, len(p_values), confidence, refutes)
    # A hair around the level is nobody's: 1 - (1 - a) is not a.
    near = {i for i, p in enumerate(holm(p_values)) if abs(p - (1 - confidence)) < 1e-12}
    assert set(refuted) - near == step_down(p_values, 1 - confidence) - near or near
    assert all(p_values[index] <= 1 - level for index, level in refuted.items())
    assert not any(refutes(index, last) for index in suspects if index not in refuted)
