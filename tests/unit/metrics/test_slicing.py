"""Columns of slices: read from whatever holds them, kept small, and the same whatever the parts are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.slicing import SliceColumn, checked_column, joined, slice_column

KINDS = st.one_of(
    st.lists(st.text(max_size=3), min_size=1, max_size=40),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40),
    st.lists(st.integers(-3, 3), min_size=1, max_size=40),
    st.lists(st.booleans(), min_size=1, max_size=40),
)


def read(column: SliceColumn) -> list[Any]:
    return [column.values[code] for code in column.codes]


@given(KINDS)
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost(values: list[Any]) -> None:
    column = slice_column("c", values)
    assert read(column) == values
    assert column.counts.tolist() == [values.count(value) for value in column.values]
    assert column.values == ((True, False) if isinstance(values[0], bool) else tuple(sorted(set(values))))
    assert {type(value) for value in column.values} == {type(values[0])}
    assert column.codes.dtype == np.uint8


@given(KINDS, st.data())
@settings(max_examples=60, deadline=None)
def test_any_cut_gives_the_same(values: list[Any], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    places = zip([0, *cuts], [*cuts, len(values)], strict=True)
    found, whole = joined([slice_column("c", values[a:b]) for a, b in places]), slice_column("c", values)
    assert found.values == whole.values
    assert found.codes.tolist() == whole.codes.tolist()
    rows = np.array(data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=9)))
    assert read(whole.take(rows)) == [values[row] for row in rows]
    assert whole.take(rows).values == slice_column("c", [values[row] for row in rows]).values


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (np.array(["b", "a", "b"]), ["b", "a", "b"]),
        (np.array(["b", "a", "b"], dtype=object), ["b", "a", "b"]),
        ([np.str_("b"), "a"], ["b", "a"]),
        (np.array([3, 1, 3], dtype=np.int8), [3, 1, 3]),
        (np.array([2**63 + 5, 1], dtype=np.uint64), [2**63 + 5, 1]),
        (np.array([-(2**62), 2**62]), [-(2**62), 2**62]),
        (np.array([3.0, 1.0, -0.0], dtype=np.float32), [3, 1, 0]),
        ([1, 2.0, np.int64(3)], [1, 2, 3]),
        (np.array([3, 1.0], dtype=object), [3, 1]),
        (torch.tensor([3.0, 1.0]), [3, 1]),
        (torch.tensor([True, False]), [True, False]),
        ([True, np.bool_(False)], [True, False]),
        (np.array([True, False], dtype=object), [True, False]),
        (range(3), [0, 1, 2]),
        (iter("ab"), ["a", "b"]),
    ],
    ids=lambda given: "iterator" if hasattr(given, "__next__") else repr(given),
)
def test_what_holds_them(given: Any, values: list[Any]) -> None:
    found = read(slice_column("c", given))
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_a_column_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    assert read(slice_column("c", pandas.Series(["b", "a"]))) == ["b", "a"]
    assert read(slice_column("c", pandas.Series(["b", "a"], dtype="category"))) == ["b", "a"]
    assert read(slice_column("c", pandas.Series([1, 2], dtype="Int64"))) == [1, 2]
    with pytest.raises(EvidenceError, match=r"row 1 is (<NA>|nan)"):
        slice_column("c", pandas.Series([1, None], dtype="Int64"))
    with pytest.raises(EvidenceError, match=r"row 1 is (nan|None)"):
        slice_column("c", pandas.Series(["a", None]))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["a", None], "row 101 is None: give every sample a string, a whole number or a bool"),
        (["a", float("nan")], "row 101 is nan"),
        (np.array([1, np.nan, 2]), "row 101 is nan: give every sample"),
        (np.array([1, 0.5]), r"row 101 is 0.5: .*cut values into ranges first"),
        ([1, 0.5], "row 101 is 0.5"),
        ([1, np.inf], "row 101 is inf"),
        (np.array([1, np.inf]), "row 101 is inf"),
        (["a", 3], "row 101 is 3 and row 100 is 'a': give values of one kind"),
        ([1, True], "row 101 is True and row 100 is 1: give values of one kind"),
        ([2**64], "row 100 is 18446744073709551616"),
        ([["a"], ["b"]], r"row 100 is \['a'\]"),
        (np.zeros((3, 2)), r"must have the shape \[N\], one for each sample, not \[3, 2\]"),
        (np.array(["2024-01-01"], dtype="datetime64[D]"), r"of the type datetime64\[D\]: give every sample"),
        (np.array([b"a"]), r"of the type \|S1"),
        ("north", "'north' is a single value"),
        (3, "3 is a single value"),
    ],
    ids=repr,
)
def test_what_is_no_column(given: Any, says: str) -> None:
    with pytest.raises(EvidenceError, match=f"^slices 'region'.*{says}"):
        slice_column("region", given, start=100)


def test_a_bad_row_far_down_is_named() -> None:
    values = np.array(["a"] * (1 << 18) + [None, "b"], dtype=object)
    with pytest.raises(EvidenceError, match="row 262,144 is None"):
        slice_column("c", values)
    assert slice_column("c", np.array(["a"] * (1 << 18) + ["b"])).counts.tolist() == [1 << 18, 1]


def test_so_many_values_are_an_id() -> None:
    for values in (np.arange(5000), np.arange(5000) * 10**6, [f"p{i}" for i in range(5000)]):
        with pytest.raises(EvidenceError, match=r"5,000 different values in 5,000 samples .*looks like an id"):
            slice_column("patient", values)
    with pytest.raises(EvidenceError, match="6,000 different values in 6,000 samples"):
        joined([slice_column("c", np.arange(3000)), slice_column("c", np.arange(3000, 6000))])
    assert slice_column("c", np.arange(4096)).codes.dtype == np.uint16
    assert slice_column("c", np.arange(256) * 10**6).codes.dtype == np.uint8
    assert read(slice_column("c", np.arange(257))) == list(range(257))
    assert read(joined([slice_column("c", np.arange(200)), slice_column("c", np.arange(100, 300))])) == [
        *range(200),
        *range(100, 300),
    ]
    assert slice_column("c", np.arange(257)).take(np.arange(9)).codes.dtype == np.uint8


@pytest.mark.parametrize("parts", [(["a"], [1]), ([1], [True]), ([True], ["a"])])
def test_parts_of_different_kinds(parts: Any) -> None:
    with pytest.raises(EvidenceError, match=r"here and .* there: give values of one kind"):
        joined([slice_column("c", part) for part in parts])


@pytest.mark.parametrize("name", ["a=b", "not urgent", "", " ", 3, None])
def test_names_that_could_be_another_slice(name: Any) -> None:
    with pytest.raises(EvidenceError, match=r"slices: a column (cannot be|is) named"):
        slice_column(name, ["a"])


def test_bools_keep_both_values() -> None:
    column = slice_column("urgent", np.array([True, True]))
    assert column.titles == ("urgent", "not urgent")
    assert column.counts.tolist() == [2, 0]
    assert column.take(np.array([0])).values == (True, False)


def test_the_parts_of_a_stored_column_are_checked() -> None:
    codes = np.array([0, 1, 1], dtype=np.uint8)
    assert read(checked_column("c", codes, ["a", "b"])) == ["a", "b", "b"]
    for bad, values in (
        (codes, ["a"]),
        (codes, ["b", "a"]),
        (codes, ["a", "b", "c"]),
        (codes, ["a", 1]),
        (codes, [1.0, 2.0]),
        (codes, [None, None]),
        (codes.astype(np.uint16), ["a", "b"]),
        (codes.astype(np.int8), ["a", "b"]),
        (codes[:, None], ["a", "b"]),
        (codes, ["a", "a"]),
        (codes, [False, True]),
        (codes, [1, 0]),
        (codes, []),
    ):
        with pytest.raises(EvidenceError, match="slices 'c': "):
            checked_column("c", bad, values)


def test_it_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        slice_column("c", ["a", "b"]).codes[0] = 1
    assert repr(slice_column("c", ["a", "b"])) == "<SliceColumn 'c': 2 values of 2 samples>"


@given(KINDS)
@settings(max_examples=60, deadline=None)
def test_titles_are_found(values: list[Any]) -> None:
    column = slice_column("c", values)
    assert [column.find(title) for title in column.titles] == list(range(len(column.values)))
    assert tuple(map(column.title, range(len(column.values)))) == column.titles


@pytest.mark.parametrize(
    "title", ["c=01", "c=+1", "c= 1", "c=1.0", "c=1_0", "c=\u0661", "c=2", "c=", "c", "d=1", "not c"]
)
def test_other_titles_are_not(title: str) -> None:
    assert slice_column("c", [1, 10]).find(title) is None
    assert slice_column("c", ["1", "10"]).find(title) is None


def test_names_of_bools() -> None:
    column = slice_column("urgent", [True, False])
    assert [column.find(title) for title in ("urgent", "not urgent", "urgent=True", "not", "")] == [
        0,
        1,
        None,
        None,
        None,
    ]


@given(KINDS, st.data())
@settings(max_examples=60, deadline=None)
def test_rows_that_are_taken(values: list[Any], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=20))
    taken = slice_column("c", values).take(np.array(rows))
    fresh = slice_column("c", [values[row] for row in rows])
    assert (taken.values, taken.codes.tolist(), taken.codes.dtype) == (
        fresh.values,
        fresh.codes.tolist(),
        fresh.codes.dtype,
    )


def test_whole_numbers_beyond_64_bits() -> None:
    with pytest.raises(EvidenceError, match="row 1 is"):
        slice_column("c", [1, 2**63])
