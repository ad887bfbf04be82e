"""Rows of one set in another: every plant is found, and its clean twin is quiet."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import EvidenceError
from pytest_modelgate.checks.data.leakage import audit_leakage

LOAD: dict[str, Callable[..., Any]] = {"digits": load_digits, "breast cancer": load_breast_cancer, "wine": load_wine}
SHARES = (0.005, 0.01, 0.05)
Pair = tuple[np.ndarray, np.ndarray]


@cache
def loaded(name: str) -> Pair:
    x, y = LOAD[name](return_X_y=True)
    return x, y


def split(name: str, seed: int) -> tuple[Pair, Pair, np.random.Generator]:
    """A quarter of the rows for testing, drawn at random."""
    x, y = loaded(name)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    a, b = np.split(order, [3 * len(x) // 4])
    return (x[a], y[a]), (x[b].copy(), y[b].copy()), rng


def plant(name: str, share: float, *, noise: float = 0.0, flip: bool = False) -> tuple[Pair, Pair, dict[int, int]]:
    """Training rows in place of some test rows: which test row is which training row."""
    train, (x, y), rng = split(name, 7)
    count = max(1, round(share * len(x)))
    rows = np.sort(rng.choice(len(x), count, replace=False))
    sources = rng.choice(len(train[0]), count, replace=False)
    x[rows] = train[0][sources] + noise * train[0].std(axis=0) * rng.normal(size=(count, x.shape[1]))
    y[rows] = (train[1][sources] + flip) % (y.max() + 1)
    return train, (x, y), dict(zip(rows.tolist(), sources.tolist(), strict=True))


@pytest.mark.parametrize("name", LOAD)
@pytest.mark.parametrize("share", SHARES)
class TestPlants:
    def test_equal_rows(self, name: str, share: float) -> None:
        train, test, planted = plant(name, share)
        audit = audit_leakage(train, test)
        assert (audit["duplicates"].count, audit["duplicates"].of) == (len(planted), len(test[0]))
        assert audit["duplicates"].rows == tuple(planted.items())[:10]
        assert audit["leaking rows"].count == len(planted)
        assert audit["leaking rows"].estimate == len(planted) / len(test[0])
        assert audit["duplicates with another label"].count == 0

    def test_rows_with_noise_of_one_size(self, name: str, share: float) -> None:
        """As of a sensor: the same on features that vary by thousands and on pixels that hardly vary."""
        train, (x, y), planted = plant(name, share)
        rows = list(planted)
        x[rows] += 0.01 * np.random.default_rng(8).normal(size=(len(rows), x.shape[1]))
        audit = audit_leakage(train, (x, y), near=True)
        found = dict(audit["near duplicates"].rows)
        assert len(planted) <= audit["near duplicates"].count <= len(planted) + 1  # one that is near by nature
        assert len(set(found.items()) - set(planted.items())) <= 1
        assert len(found) >= min(10, len(planted))

    def test_equal_rows_of_another_label(self, name: str, share: float) -> None:
        train, test, planted = plant(name, share, flip=True)
        found = audit_leakage(train, test)["duplicates with another label"]
        assert (found.count, found.rows) == (len(planted), tuple(planted.items())[:10])

    def test_noisy_rows(self, name: str, share: float) -> None:
        train, test, planted = plant(name, share, noise=0.01)
        assert audit_leakage(train, test)["leaking rows"].count == 0
        audit = audit_leakage(train, test, near=True)
        assert audit["duplicates"].count == 0
        assert audit["near duplicates"].rows == tuple(planted.items())[:10]
        assert audit["leaking rows"].count == len(planted)


@pytest.mark.parametrize("name", LOAD)
@pytest.mark.parametrize("seed", range(5))
def test_clean_twins(name: str, seed: int) -> None:
    train, test, _ = split(name, seed)
    audit = audit_leakage(
        train,
        test,
        near=True,
        groups=([f"a{i}" for i in range(len(train[0]))], [f"b{i}" for i in range(len(test[0]))]),
        time=(np.zeros(len(train[0])), np.ones(len(test[0]))),
    )
    assert [finding.count for finding in audit.findings] == [0] * 7
    assert audit.sizes == {"train": len(train[0]), "test": len(test[0])}
    assert audit.features == train[0].shape[1]


def test_equal_ones_are_not_near_ones_too() -> None:
    train, test, planted = plant("wine", 0.05)
    audit = audit_leakage(train, test, near=True)
    assert (audit["duplicates"].count, audit["near duplicates"].count) == (len(planted), 0)
    assert audit["leaking rows"].count == len(planted)
    everything = audit_leakage(train, (train[0][:9], train[1][:9]), near=True)
    assert (everything["duplicates"].count, everything["near duplicates"].count) == (9, 0)


class TestEquality:
    X = np.array([[0.0, 1.5], [2.0, 3.0], [0.1, 5.0]])

    def count(self, train: Any, test: Any) -> int | None:
        return audit_leakage(train, test)["duplicates"].count

    @pytest.mark.parametrize("mine", ["f8", "f4", "f2", ">f8"])
    @pytest.mark.parametrize("theirs", ["f8", "f4", "f2", ">f8"])
    def test_floats_of_two_types(self, mine: str, theirs: str) -> None:
        assert self.count(self.X.astype(mine), self.X.astype(theirs)) == 3

    @pytest.mark.parametrize("mine", ["i8", "i2", "u1", "f8", "f4", "f2", "?"])
    @pytest.mark.parametrize("theirs", ["i8", "i4", "u8", "f8", "f4", "?"])
    def test_whole_numbers_of_two_types(self, mine: str, theirs: str) -> None:
        whole = np.array([[1, 0], [0, 0], [1, 1]])
        assert self.count(whole.astype(mine), whole.astype(theirs)) == 3

    def test_large_whole_numbers_are_not_rounded(self) -> None:
        for kind in (np.int64, np.uint64):
            assert self.count(np.array([2**53]), np.array([2**53 + 1], dtype=kind)) == 0

    def test_zeros_and_nan(self) -> None:
        nan = np.array([0x7FF8000000000000, 0xFFF8000000000123], dtype=np.uint64).view(np.float64)
        assert self.count(np.array([[0.0, nan[0]]]), np.array([[-0.0, nan[1]]])) == 1
        assert self.count(np.array([[np.nan, 1.0]]), np.array([[np.nan, 2.0]])) == 0

    def test_tensors_arrays_and_lists_of_targets(self) -> None:
        assert self.count((torch.tensor(self.X), torch.tensor([0, 1, 2])), (self.X, [0, 1, 2])) == 3

    def test_nested_inputs_in_every_form(self) -> None:
        whole = {"b": (self.X, self.X[:, 0]), "a": np.arange(3)}
        y = np.arange(3)
        loader = [({"a": np.arange(3)[i], "b": (self.X[i], self.X[i, 0])}, y[i]) for i in (slice(0, 2), slice(2, 3))]
        forms = (whole, (whole, y), loader)
        for train in forms:
            for test in forms:
                assert self.count(train, test) == 3
        other = {"b": (self.X, self.X[:, 0]), "a": np.arange(3) + 3}
        assert self.count(whole, other) == 0

    def test_every_source(self) -> None:
        x, y = torch.tensor(self.X), torch.arange(3)
        data = TensorDataset(x, y)
        plain = [(x[i], y[i]) for i in range(3)]
        sources = [data, DataLoader(data, batch_size=2), DataLoader(plain, batch_size=2), iter([(x, y)]), (x, y), x]  # type: ignore[arg-type]
        for source in sources:
            assert self.count(self.X, source) == 3

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.data())
    def test_as_rows_compared_one_by_one(self, data: st.DataObject) -> None:
        values = st.sampled_from([0.0, -0.0, 1.0, 2.5, np.inf])
        train, test = (
            data.draw(arrays.arrays(np.float64, (data.draw(st.integers(1, 12)), 2), elements=values)) for _ in range(2)
        )
        labels = [data.draw(arrays.arrays(np.int64, len(side), elements=st.integers(0, 1))) for side in (train, test)]
        audit = audit_leakage((train, labels[0]), (test, labels[1]))
        equal = (test[:, None] == train[None]).all(axis=2)
        assert (
            audit["duplicates"].rows
            == tuple((int(i), int(equal[i].argmax())) for i in np.flatnonzero(equal.any(1)))[:10]
        )
        other = (equal & (labels[1][:, None] != labels[0][None])).any(axis=1)
        found = audit["duplicates with another label"].count if equal.any() else 0
        assert found == other.sum()
        if other.any():
            assert all(
                equal[i, j] and labels[1][i] != labels[0][j] for i, j in audit["duplicates with another label"].rows
            )
        for name, side in (("train", train), ("test", test)):
            again = [any((side[i] == side[j]).all() for j in range(i)) for i in range(len(side))]
            assert audit[f"duplicates within {name}"].count == sum(again)


class TestGroups:
    @pytest.mark.parametrize("name", LOAD)
    def test_split_rightly_and_wrongly(self, name: str) -> None:
        x, _ = loaded(name)
        groups = np.arange(len(x)) // 5
        rng = np.random.default_rng(0)
        right = groups % 4 == 0
        wrong = right.copy()
        moved = int(rng.choice(np.flatnonzero(right)))  # one row of one group on the other side
        wrong[moved] = False
        for test, expected in ((right, 0), (wrong, 4)):
            found = audit_leakage(x[~test], x[test], groups=(groups[~test], groups[test]))["groups"]
            assert found.count == expected
        assert f"(1 group: {groups[moved]})" in found.text
        train_rows = np.flatnonzero(~wrong)
        assert {train_rows[row] for _, row in found.rows} == {moved}

    def test_names(self) -> None:
        found = audit_leakage(np.zeros(3), np.ones(2), groups=(["ann", "bob", "ann"], ["eve", "ann"]))["groups"]
        assert (found.count, found.of, found.rows) == (1, 2, ((1, 0),))
        assert found.text == "1 of 2 test rows belongs to a group of training rows (1 group: 'ann')"

    def test_from_generators(self) -> None:
        found = audit_leakage(np.zeros(3), np.ones(2), groups=(iter(["ann", "bob", "ann"]), iter(["eve", "ann"])))
        assert found["groups"].rows == ((1, 0),)
        assert found["groups"].text.endswith("(1 group: 'ann')")

    def test_mixed_names(self) -> None:
        found = audit_leakage(np.zeros(3), np.ones(2), groups=(["ann", 7, 8], np.array([9, 7])))
        assert found["groups"].rows == ((1, 1),)


class TestTime:
    def found(self, before: Any, after: Any) -> Any:
        train, test = np.zeros(len(before)), np.ones(len(after))
        return audit_leakage(train, test, time=(before, after))["time"]

    def test_split_rightly_and_wrongly(self) -> None:
        assert self.found([1, 9, 3], [10, 12]).count == 0
        found = self.found([1.0, 9.0, 3.0], [10.0, 8.0, 12.0, 2.0])
        assert (found.count, found.rows) == (2, ((1, 1), (3, 1)))
        assert found.text == "2 of 4 test rows are earlier than the last training row (9.0)"

    def test_at_the_same_time(self) -> None:
        found = self.found([1, 5], [5, 6])
        assert found.count == 0
        assert found.text.endswith("; 1 is of the same time")

    @pytest.mark.parametrize(
        "times",
        [
            lambda days: [f"2024-01-{day:02d}" for day in days],
            lambda days: np.array([f"2024-01-{day:02d}" for day in days], dtype=object),  # as data frames hold texts
            lambda days: [f"{2000 + day}" for day in days],
            lambda days: [datetime.date(2024, 1, day) for day in days],
            lambda days: [datetime.datetime(2024, 1, day, 3, 4) for day in days],
            lambda days: np.array([f"2024-01-{day:02d}T10" for day in days], dtype="datetime64[ns]"),
            lambda days: torch.tensor(days),
        ],
    )
    def test_dates(self, times: Callable[[list[int]], Any]) -> None:
        assert self.found(times([3, 10, 4]), times([11, 12])).count == 0
        assert self.found(times([3, 10, 4]), times([11, 9])).rows == ((1, 1),)


NAN = float("nan")
ZONED = [datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)]
X = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    ("train", "test", "options", "says"),
    [
        (X, X[:, :2], {}, "train has rows of 3 features, test of 2 features: give both the same"),
        (X[:, 0], X, {}, "train has rows of 1 feature, test of 3 features"),
        ({"a": X}, {"b": X}, {}, "train has rows of 'a': 3 features, test of 'b': 3 features"),
        (np.zeros((4, 2, 3)), np.zeros((4, 3, 2)), {}, r"train has rows of shape \[2, 3\], test of shape \[3, 2\]"),
        ((X, np.zeros((4, 2))), (X, np.zeros(4)), {}, r"train has targets of shape \['N', 2\], test of \['N'\]"),
        (X[:0], X, {}, "train has no rows"),
        (X, [], {}, "test has no rows"),
        (X[:, :0], X[:, :0], {}, "train has no features"),
        (X, {}, {}, "test has no rows"),
        (X, X.astype(object), {}, "test: inputs are of type object: give real numbers"),
        (X, X + 1j, {}, "test: inputs are of type complex128"),
        (X, np.array(["a"] * 4), {}, "test: inputs are of type <U1"),
        (X, 3, {}, "test of type int cannot be read"),
        ((X, np.zeros(3)), X, {}, "train: 4 inputs and 3 targets"),
        (X, np.float64(3), {}, "test"),
        (X, [(X, np.zeros(4)), (X[:, :2], np.zeros(4))], {}, "test: a batch has rows of 2 features, the first had 3"),
        (X.astype(int), [(X.astype(int), np.zeros(4)), (X, np.zeros(4))], {}, "test: a batch has float64, the first"),
        (X, X, {"groups": [1, 2, 3]}, "groups must be a pair"),
        (X, X, {"groups": "ab"}, "groups must be a pair"),
        (X, X, {"groups": (range(4), range(3))}, "groups of test: 3 entries for 4 rows of test"),
        (X, X, {"groups": ([1, 2, 3, None], range(4))}, r"groups of train must be .* but groups of train\[3\] is None"),
        (X, X, {"groups": (range(4), list("0123"))}, "groups of train are whole numbers and groups of test are texts"),
        (X, X, {"groups": ([b"a"] * 4, np.array(["a"] * 4))}, "groups of train are bytes and groups of test are texts"),
        (X, X, {"time": (["20240102"] * 4, ["20240101"] * 4)}, "time of train .* 4 of 4, the first is '20240102'"),
        (X, X, {"time": (range(3), range(4))}, "time of train: 3 entries for 4 rows of train"),
        (
            X,
            X,
            {"time": ([1, NAN, 2, 3], range(4))},
            "time of train is missing: 1 of 4, the first is nan at position 1",
        ),
        (X, X, {"time": (["2024-01-01", "NaT"] * 2, ["2024"] * 4)}, "time of train is missing"),
        (X, X, {"time": (["yesterday"] * 4, range(4))}, "time of train: .*give numbers, or dates"),
        (X, X, {"time": (["2024-01-01T00:00Z"] * 4, ["2024"] * 4)}, "time of train: .*time ?zone"),
        (X, X, {"time": (ZONED * 4, ZONED * 4)}, "time of train: .*time ?zone"),
        (X, X, {"time": (["2024"] * 4, range(4))}, "one set has dates and the other numbers"),
        (X, X, {"time": ([None] * 4, range(4))}, "time of train must be numbers or dates"),
        (X, X, {"time": (np.zeros((4, 1)), range(4))}, r"time of train must have the shape \[N\]"),
    ],
)
def test_wrong_use(train: Any, test: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(EvidenceError, match=says):
        audit_leakage(train, test, **options)


def test_one_iterator_for_both_sets() -> None:
    batches = ((X, np.zeros(4)) for _ in range(3))
    with pytest.raises(EvidenceError, match="one iterator"):
        audit_leakage(batches, batches)


def test_loaders_that_shuffle() -> None:
    loader = DataLoader(TensorDataset(torch.tensor(X), torch.zeros(4)), shuffle=True)
    for name in ("groups", "time"):
        with pytest.raises(EvidenceError, match=f"{name}= go with the samples in their order"):
            audit_leakage(X, loader, **{name: (range(4), range(4))})
    audit = audit_leakage(X, loader)
    assert audit["duplicates"].count == 4
    assert audit["row numbers"].text == "the rows of test are numbered as the loader drew them"


class TestNear:
    def test_one_row_and_constant_features(self) -> None:
        finding = audit_leakage(X[:1], X[1:], near=True)["near duplicates"]
        assert finding.count is None
        assert "only 1 different training row, too few" in finding.text
        flat = audit_leakage(np.vstack([np.zeros((20, 1)), 1e-9 + np.zeros((20, 1))])[:20], np.ones((3, 1)), near=True)
        assert flat["near duplicates"].count is None

    def test_a_constant_feature_is_left_out(self) -> None:
        train, (x, y), planted = plant("wine", 0.05, noise=0.01)
        train = (np.c_[train[0], np.full(len(train[0]), 1e6)], train[1])
        test = (np.c_[x, np.full(len(x), 1e6)], y)
        assert audit_leakage(train, test, near=True)["near duplicates"].rows == tuple(planted.items())
        test[0][:, -1] = 1e6 + 1  # of another value than in all of training
        assert audit_leakage(train, test, near=True)["near duplicates"].rows == tuple(planted.items())

    def test_training_rows_that_repeat_count_once(self) -> None:
        train, test, planted = plant("wine", 0.05, noise=0.01)
        twice = (np.concatenate([train[0]] * 2), np.concatenate([train[1]] * 2))
        assert audit_leakage(twice, test, near=True)["near duplicates"].rows == tuple(planted.items())

    def test_rows_that_are_not_finite(self) -> None:
        train, (x, y), planted = plant("wine", 0.05, noise=0.01)
        clean = next(row for row in range(len(x)) if row not in planted)
        x[clean, 0] = np.nan
        train[0][next(row for row in range(50) if row not in planted.values()), 1] = np.inf
        finding = audit_leakage(train, (x, y), near=True)["near duplicates"]
        assert finding.rows == tuple(planted.items())
        assert "(1 row with NaN or infinity left out)" in finding.text
        only = audit_leakage(train, (np.full_like(x, np.nan), y), near=True)["near duplicates"]
        assert (only.count, only.text) == (
            None,
            "near-duplicates cannot be judged: no test row is finite (45 rows with NaN or infinity left out)",
        )

    def test_many_rows_and_features_are_sampled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pytest_modelgate.checks.data.aligned._MOST_ROWS", 800)
        rng = np.random.default_rng(0)
        train, test = rng.normal(size=(2_000, 8)), rng.normal(size=(2_000, 8))
        assert audit_leakage(train, test, near=True)["near duplicates"].count == 0
        test[:600] = train[:600] + 0.001
        batches = [(test[start : start + 64], np.zeros(len(test[start : start + 64]))) for start in range(0, 2_000, 64)]
        finding = audit_leakage(train, batches, near=True)["near duplicates"]
        assert finding.count
        assert all(row == source for row, source in finding.rows)
        assert "(of 800 test and 800 training rows drawn at random)" in finding.text
        again = audit_leakage(train, batches, near=True)["near duplicates"]
        assert again == finding  # seeded

    def test_wide_rows(self) -> None:
        rng = np.random.default_rng(0)
        train, test = rng.normal(size=(40, 3, 20, 40)), rng.normal(size=(30, 3, 20, 40))
        test[7] = train[33] + 0.01
        finding = audit_leakage(train, test, near=True)["near duplicates"]
        assert finding.rows == ((7, 33),)
        assert "(in 800 of 2,400 features)" in finding.text


@pytest.mark.parametrize("coarse", ["train", "test"])
@pytest.mark.parametrize("wide", ["float64", "float32", "float16"])
@pytest.mark.parametrize("loaded_by", ["tensors", "loader"])
def test_bfloat16_against_other_floats(coarse: str, wide: str, loaded_by: str) -> None:
    """numpy has no bfloat16: the other side is rounded as torch rounds."""
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[3, 0] = 1.00390625 + 2**-10  # between two bfloat16
    few = x[:7].to(torch.bfloat16), torch.zeros(7)
    many = x.to(getattr(torch, wide)), torch.zeros(60)
    few, many = (few, many) if wide != "float16" else ((many[0][:7].to(torch.bfloat16), few[1]), many)
    sets: Any = [few, many] if coarse == "train" else [many, few]
    if loaded_by == "loader":
        sets = [DataLoader(TensorDataset(*one), batch_size=4) for one in sets]
    audit = audit_leakage(*sets)
    assert audit["duplicates"].count == 7
    other = torch.randn(7, 5, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    assert audit_leakage((other, torch.zeros(7)), many)["duplicates"].count == 0
