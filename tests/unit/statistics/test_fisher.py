"""Fisher's exact test, against scipy's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from pytest_modelgate import EvidenceError
from pytest_modelgate.statistics.fisher import fisher_greater


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_as_scipy(data: st.DataObject) -> None:
    of, of_others = data.draw(st.integers(0, 2_000)), data.draw(st.integers(0, 2_000))
    hits, others = data.draw(st.integers(0, of)), data.draw(st.integers(0, of_others))
    expected = fisher_exact([[hits, of - hits], [others, of_others - others]], alternative="greater").pvalue
    assert fisher_greater(hits, of, others, of_others) == pytest.approx(expected, rel=1e-6, abs=1e-300)


@pytest.mark.parametrize(("table", "p"), [((3, 4, 1, 4), 17 / 70), ((0, 0, 0, 0), 1.0), ((2, 2, 0, 2), 1 / 6)])
def test_by_hand(table: tuple[int, int, int, int], p: float) -> None:
    assert fisher_greater(*table) == pytest.approx(p)


@pytest.mark.parametrize("table", [(3, 2, 0, 1), (-1, 2, 0, 1), (0, 1, 5, 4)])
def test_counts_that_are_none(table: tuple[int, int, int, int]) -> None:
    with pytest.raises(EvidenceError, match="is no share"):
        fisher_greater(*table)
