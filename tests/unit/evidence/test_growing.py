"""A column that grows batch by batch is what `np.concatenate` gives of the batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.evidence.growing import Growing

KINDS = [np.uint8, np.uint16, np.int64, np.float32, np.float64, np.bool_]


@given(
    st.lists(st.tuples(st.integers(0, 9000), st.sampled_from(KINDS)), min_size=1, max_size=6),
    st.sampled_from([(), (2,)]),
)
@settings(deadline=None, max_examples=60)
def test_is_the_parts_behind_one_another(sizes, shape):
    draw = np.random.default_rng(0)
    parts = [draw.integers(0, 200, (size, *shape)).astype(kind) for size, kind in sizes]
    column = Growing()
    for part in parts:
        column.append(part)
    expected = np.concatenate(parts)
    seen = column.filled.copy()
    found = column.take()
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert np.array_equal(seen, expected)
    assert found.flags.owndata
    assert found.nbytes == expected.nbytes


def test_holds_nothing_of_the_parts():
    part = np.arange(10)
    column = Growing()
    column.append(part)
    part[:] = 0
    assert column.take().tolist() == list(range(10))


def test_is_empty_once_taken():
    column = Growing()
    column.append(np.arange(3))
    first = column.take()
    assert len(column.filled) == 0
    column.append(np.array([7]))
    assert (first.tolist(), column.take().tolist()) == ([0, 1, 2], [7])


def test_grows_by_an_eighth():
    """So that little is moved, and little is held in vain."""
    column, moved = Growing(), 0
    column.append(np.zeros(80_000, np.uint8))
    before = len(column._array)
    for _ in range(2000):
        column.append(np.zeros(100, np.uint8))
        moved += len(column._array) != before
        before = len(column._array)
        assert before <= 1.13 * len(column.filled) + 5000
    assert moved <= 20


def test_other_shapes_are_refused():
    column = Growing()
    column.append(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="broadcast"):
        column.append(np.zeros((3, 5)))
