"""Faults of inputs: which columns of which tensors, and what becomes of them."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch

from pytest_modelgate.checks.mutation.faults import Fault
from pytest_modelgate.checks.mutation.inputs import columns_of, copied, faulted, input_faults, mapped

Pair = namedtuple("Pair", ["x", "mask"])
RAMP = torch.arange(24.0).reshape(4, 6)


@pytest.mark.parametrize(
    ("inputs", "places"),
    [
        (RAMP[:, :2], {"feature 0", "feature 1"}),
        (torch.cat([torch.ones(4, 3), RAMP[:, :1]], 1), {"feature 3"}),
        (RAMP.reshape(4, 2, 3, 1), {"channel 0", "channel 1"}),
        (RAMP[:, :2].reshape(4, 2, 1), {"entry 0 of dimension 1", "entry 1 of dimension 1", "entry 0 of dimension 2"}),
        (RAMP[:, 0], {"feature"}),
        (RAMP[:, 0].long(), set()),
        ((RAMP[:, :1], RAMP[:, :1].long()), {"feature 0 of input '0'", "feature 0 of input '1'"}),
        ({"a": RAMP[:, :1], "b": [RAMP[:, 1:2]]}, {"feature 0 of input 'a'", "feature 0 of input 'b.0'"}),
        (torch.ones(4, 3), set()),
        ("text", set()),
        (torch.ones(0, 3), set()),
        (torch.tensor(3.0), set()),
    ],
)
def test_columns_that_vary(inputs: object, places: set[str]) -> None:
    assert {column.where for column in columns_of(inputs)} == places


def test_three_of_many_alike_each_time() -> None:
    wide = torch.randn(5, 100)
    assert len(columns_of(wide)) == 3
    assert columns_of(wide) == columns_of(wide + 1)


def test_whole_numbers_are_not_rescaled() -> None:
    (column,) = columns_of(RAMP[:, :1].long())
    assert [fault.kind for fault in input_faults(column)] == ["feature dropped", "feature shuffled"]


@pytest.mark.parametrize("kind", ["feature dropped", "feature shuffled", "feature rescaled"])
def test_one_column_of_one_tensor_changes(kind: str) -> None:
    inputs = {"x": RAMP.reshape(4, 2, 3, 1), "mask": torch.ones(4, 3)}
    column = next(one for one in columns_of(inputs) if one.index == 1)
    changed = faulted(copied(inputs), Fault(kind, column.where), column, 0)
    assert torch.equal(changed["mask"], inputs["mask"])
    assert torch.equal(changed["x"][:, 0], inputs["x"][:, 0])
    before, after = inputs["x"][:, 1], changed["x"][:, 1]
    if kind == "feature dropped":
        assert not after.any()
    elif kind == "feature rescaled":
        assert torch.equal(after, before * 10)
    else:
        assert sorted(after.tolist()) == before.tolist()
        assert after.tolist() != before.tolist()
        again = faulted(copied(inputs), Fault(kind, column.where), column, 0)
        assert torch.equal(again["x"], changed["x"])
        assert any(
            not torch.equal(faulted(copied(inputs), Fault(kind, column.where), column, batch)["x"], changed["x"])
            for batch in range(1, 4)
        )
    assert torch.equal(inputs["x"], RAMP.reshape(4, 2, 3, 1))


def test_a_batch_that_lacks_the_column_stays_as_it_is() -> None:
    column = columns_of(torch.cat([torch.ones(4, 3), RAMP[:, :1]], 1))[0]
    for inputs in (RAMP[:, :2], RAMP[:, 0]):
        assert torch.equal(faulted(inputs.clone(), Fault("feature dropped", "feature 3"), column, 0), inputs)


def test_containers_come_back_as_they_were() -> None:
    inputs = {"pair": Pair(RAMP, [RAMP]), "name": "text", "both": (RAMP, 3)}
    doubled = mapped(inputs, lambda tensor: tensor * 2)
    assert isinstance(doubled["pair"], Pair)
    assert isinstance(doubled["pair"].mask, list)
    assert torch.equal(doubled["pair"].mask[0], RAMP * 2)
    assert (doubled["name"], doubled["both"][1]) == ("text", 3)
    assert torch.equal(doubled["both"][0], RAMP * 2)


def test_sequences_have_faults_in_both_of_their_dimensions() -> None:
    """Whether [N, A, B] is [N, time, features] or [N, channels, length] is not known."""
    sequences = torch.randn(8, 100, 3, generator=torch.Generator().manual_seed(0))
    columns = columns_of(sequences)
    assert len(columns) == 3
    assert {column.dim for column in columns} == {1, 2}
    column = next(one for one in columns if one.dim == 2)
    assert column.index is not None
    changed = faulted(sequences.clone(), Fault("feature dropped", column.where), column, 0)
    assert not changed[:, :, column.index].any()
    rest = [index for index in range(3) if index != column.index]
    assert torch.equal(changed[:, :, rest], sequences[:, :, rest])
