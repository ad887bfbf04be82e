"""What is kept of each sample: columns that add up, in any order."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.samples import Samples
from pytest_modelgate.metrics.slicing import slice_column


def columns(n=6, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "ids": np.arange(n, dtype=np.uint64),
        "groups": rng.integers(0, 3, n).astype(np.uint64),
        "weights": rng.random(n),
        "losses": rng.random(n),
        "actual": rng.random((n, 2)),
    }


def test_nothing_kept_has_no_samples():
    assert Samples().n == 0
    assert Samples().group_codes is None
    assert Samples().num_groups == 0
    assert not Samples().weighed
    assert Samples() == Samples() + Samples()
    assert repr(Samples()) == "<Samples: nothing of 0>"


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(EvidenceError, match="ids 2, weights 3"):
        Samples(ids=np.zeros(2, np.uint64), weights=np.ones(3))


def test_columns_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        Samples(weights=np.ones(3)).weights[0] = 2


@pytest.mark.parametrize("name", ["ids", "groups", "weights"])
def test_parts_of_another_design_do_not_add_up(name):
    whole = columns()
    part = {key: column for key, column in whole.items() if key != name}
    for one, other in ((whole, part), (part, whole)):
        with pytest.raises(EvidenceError, match=f"with {name} and one without"):
            Samples(**one) + Samples(**other)


def test_a_column_that_one_part_lacks_is_dropped():
    whole = columns()
    part = {key: column for key, column in whole.items() if key != "losses"}
    assert (Samples(**whole) + Samples(**part)).losses is None
    assert (Samples(**whole) + Samples(**part)).n == 12


def test_losses_with_and_without_class_weights_are_dropped():
    one, other = Samples(losses=np.ones(2), loss_weights=np.ones(2)), Samples(losses=np.ones(3))
    assert (one + other).losses is None
    assert (other + one).losses is None
    assert (one + one).losses is not None


def test_equality_ignores_the_order_but_not_which_entries_belong_together():
    whole = columns()
    order = np.array([3, 1, 0, 5, 4, 2])
    assert Samples(**whole) == Samples(**whole).take(order)
    assert Samples(**whole) != Samples(**{**whole, "weights": whole["weights"][order]})
    assert Samples(**whole) != Samples(ids=whole["ids"])
    assert Samples(**whole) != Samples(**columns(5))
    assert Samples(actual=np.ones((2, 2))) != Samples(actual=np.ones(2))
    assert Samples() != 0


def test_equality_counts_nan_as_the_same():
    assert Samples(actual=np.array([np.nan, 1.0])) == Samples(actual=np.array([1.0, np.nan]))
    assert Samples(actual=np.array([np.nan, 1.0])) != Samples(actual=np.array([1.0, 1.0]))


def test_group_codes_are_those_of_the_content():
    groups = np.array([9, 4, 9, 7], dtype=np.uint64)
    assert Samples(groups=groups).group_codes.tolist() == [2, 0, 2, 1]
    assert Samples(groups=groups[::-1].copy()).group_codes.tolist() == [1, 2, 0, 2]
    assert Samples(groups=groups).num_groups == 3


def test_slices_go_with_their_samples():
    region, hour = slice_column("region", ["a", "b", "a", "c", "b", "b"]), slice_column("hour", range(6))
    whole = Samples(**columns(), slices=(region, hour))
    assert repr(whole) == "<Samples: ids, groups, weights, actual, losses, slices of 6>"
    assert Samples(slices=(region,)).n == 6
    assert "slices" not in dict(whole.columns())
    order = np.array([3, 1, 0, 5, 4, 2])
    assert whole == whole.take(order)
    assert whole.take(order).slices[0].codes.tolist() == region.codes[order].tolist()
    assert whole == Samples(**columns(), slices=(hour, region))
    assert whole == whole.take(order[:2]) + whole.take(order[2:])
    assert whole != Samples(**columns(), slices=(region.take(order), hour))
    assert whole != Samples(**columns())
    assert whole != Samples(**columns(), slices=(region,))


def test_slices_of_another_length_are_refused():
    with pytest.raises(EvidenceError, match="weights 3, slices 'c' 2"):
        Samples(weights=np.ones(3), slices=(slice_column("c", ["a", "b"]),))


def test_slices_and_none_do_not_add_up():
    one, other = Samples(**columns(), slices=(slice_column("c", range(6)),)), Samples(**columns())
    for mine, theirs in ((one, other), (other, one)):
        with pytest.raises(EvidenceError, match="with slices and one without"):
            mine + theirs
