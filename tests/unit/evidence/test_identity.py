"""Names of samples and data sets: hashes that depend on the content alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelgate.evidence.identity import Fingerprint, hash_names, hash_rows
from pytest_modelgate.exceptions import EvidenceError

NAMES = ["a", "b", "a", "", "ö", "a\0"]


def number(inputs, target, sizes=(1000,)):
    """The fingerprint of data in batches of these sizes."""
    made, start = Fingerprint(), 0
    while start < len(target):
        for size in sizes:
            rows = slice(start, start + size)
            made.add(inputs[rows], target[rows])
            start += size
    return made.of(len(target))


class TestNames:
    def test_equal_names_have_equal_hashes_and_others_have_others(self):
        hashes = hash_names(NAMES, "ids")
        assert hashes.dtype == np.uint64
        assert hashes[0] == hashes[2]
        assert len(np.unique(hashes)) == 5

    @pytest.mark.parametrize(
        "names",
        [
            np.array([3, 1, 2]),
            np.array([3, 1, 2], dtype=np.int8),
            np.array([3, 1, 2], dtype=np.uint64),
            np.array([3, 1, 2], dtype=object),
            np.array([np.int64(3), np.int32(1), 2], dtype=object),
            np.array([3, 1, 2], dtype=">i8"),
            torch.tensor([3, 1, 2]),
            (3, 1, 2),
            iter([3, 1, 2]),
            [3, np.int16(1), 2],
        ],
        ids=lambda names: type(names).__name__,
    )
    def test_numbers_of_any_kind(self, names):
        assert hash_names(names, "ids").tolist() == hash_names([3, 1, 2], "ids").tolist()

    @pytest.mark.parametrize(
        "names", [np.array(["x", "yy"]), np.array(["x", "yy"], dtype=object), ("x", "yy"), np.array(["x", "yy"], "U9")]
    )
    def test_strings_of_any_kind(self, names):
        assert hash_names(names, "groups").tolist() == hash_names(["x", "yy"], "groups").tolist()

    def test_an_object_with_an_array_as_of_pandas(self):
        class Series:
            def __array__(self, dtype=None, copy=None):
                return np.array(["x", "yy"], dtype=object)

            def __len__(self):
                return 2

        assert hash_names(Series(), "ids").tolist() == hash_names(["x", "yy"], "ids").tolist()

    def test_a_name_is_no_number(self):
        assert hash_names(["1"], "ids") != hash_names([1], "ids")
        assert hash_names(["1"], "ids") != hash_names([b"1"], "ids")
        mixed = hash_names([1, "1", b"1"], "ids")
        assert mixed[0] == hash_names([1], "ids")[0]
        assert mixed[1] == hash_names(["1"], "ids")[0]

    def test_large_and_negative_numbers(self):
        names = [-1, 2**64 - 1, 2**63, 2**64, 0, 2**65]
        hashes = hash_names(names, "ids")
        assert len(np.unique(hashes)) == len(names)
        assert hash_names(np.array([-1, 0]), "ids").tolist() == hashes[[0, 4]].tolist()

    @pytest.mark.parametrize("bad", [1.5, None, float("nan"), True, ("a", "b"), object()])
    def test_what_is_no_name_is_refused(self, bad):
        with pytest.raises(EvidenceError):
            hash_names(["a", bad], "ids")

    @pytest.mark.parametrize(
        "names",
        [
            np.array([1.0, 2.0]),
            np.array([True, False]),
            np.array(["2020-01-01", "NaT"], "M8[ns]"),
            np.array(["2020-01-01", "NaT"], "M8[D]"),
        ],
    )
    def test_arrays_of_no_names_are_refused(self, names):
        with pytest.raises(EvidenceError, match=r"groups must be strings or whole numbers, but groups\[0\]"):
            hash_names(names, "groups")

    @pytest.mark.parametrize("names", ["abc", b"abc"])
    def test_a_single_name_is_refused(self, names):
        with pytest.raises(EvidenceError, match="one for each sample"):
            hash_names(names, "ids")

    def test_two_dimensions_are_refused(self):
        with pytest.raises(EvidenceError, match=r"not \[2, 1\]"):
            hash_names(np.array([[1], [2]]), "ids")

    def test_another_process_with_another_hash_seed(self):
        code = f"from pytest_modelgate.evidence.identity import hash_names as h; print(h({NAMES!r}, 'ids').tolist())"
        for seed in ("1", "2"):
            ran = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "PYTHONUTF8": "1"},
            )
            assert ran.stdout.strip() == str(hash_names(NAMES, "ids").tolist())


class TestRows:
    def test_equal_rows_have_equal_hashes(self):
        rows = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])
        hashes = hash_rows(rows)
        assert hashes[0] == hashes[2] != hashes[1]
        assert hash_rows(torch.from_numpy(rows)).tolist() == hashes.tolist()
        assert hash_rows(np.asfortranarray(rows)).tolist() == hashes.tolist()

    def test_zeros_and_nans_are_one(self):
        other = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype=np.uint64).view(np.float64)
        rows = np.array([[0.0, np.nan], [-0.0, other[0]], [0.0, other[1]], [0.0, 1.0]])
        hashes = hash_rows(rows)
        assert len(np.unique(hashes[:3])) == 1
        assert hashes[3] != hashes[0]

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int8, torch.bool, torch.float64])
    def test_any_type_of_number(self, dtype):
        hashes = hash_rows(torch.tensor([[0, 1], [1, 0]]).to(dtype))
        assert hashes[0] != hashes[1]

    def test_every_part_counts(self):
        first, second = torch.zeros(2, 3), torch.tensor([[1.0], [2.0]])
        for inputs in ((first, second), [first, second], {"a": first, "b": second}, (first, {"x": [second]})):
            hashes = hash_rows(inputs)
            assert hashes[0] != hashes[1]
        assert hash_rows({"a": first, "b": second}).tolist() == hash_rows({"b": second, "a": first}).tolist()

    def test_inputs_are_not_changed(self):
        rows = np.array([[-0.0, np.nan]])
        before = rows.tobytes()
        hash_rows(rows)
        assert rows.tobytes() == before

    @pytest.mark.parametrize(
        "inputs",
        [["a", "b"], (torch.zeros(2, 2), ["a", "b"]), np.array(["a", "b"]), torch.zeros(2, dtype=torch.cfloat)],
    )
    def test_what_cannot_be_hashed_is_refused(self, inputs):
        with pytest.raises(EvidenceError, match='ids="content"'):
            hash_rows(inputs)

    def test_nothing_to_hash_is_refused(self):
        with pytest.raises(EvidenceError, match="these inputs hold none"):
            hash_rows((torch.tensor(1.0),))

    def test_parts_of_different_lengths_are_refused(self):
        with pytest.raises(EvidenceError, match=r"\[2, 3\] rows"):
            hash_rows((torch.zeros(2, 2), torch.zeros(3, 2)))


class TestFingerprints:
    X = np.random.default_rng(0).normal(size=(999, 20)).astype(np.float32)
    Y = np.random.default_rng(1).integers(0, 3, 999)

    @given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(0, 2**32))
    def test_no_order_and_no_cut_matters(self, sizes, seed):
        order = np.random.default_rng(seed).permutation(999)
        assert number(self.X[order], self.Y[order], sizes) == number(self.X, self.Y)

    @pytest.mark.parametrize("shape", [(999,), (999, 1), (999, 7), (999, 3, 5), (999, 40)])
    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "i4", "i8", "?"])
    def test_any_shape_and_type(self, shape, dtype):
        x = np.random.default_rng(2).integers(0, 100, shape).astype(dtype)
        whole = number(x, self.Y)
        assert whole is not None
        assert number(x[::-1], self.Y[::-1], (10, 33)) == whole
        assert number(x, (self.Y + 1) % 3) != whole
        assert number(x[:998], self.Y[:998]) != whole

    def test_other_data_have_another(self):
        x = self.X.copy()
        x[7, 0] += 1
        whole = number(self.X, self.Y)
        assert number(x, self.Y) != whole
        twice = np.concatenate((self.X, self.X)), np.concatenate((self.Y, self.Y))
        assert number(*twice) == 2 * whole % 2**64 != whole
        swapped = self.X[:, [2, 1, 0, *range(3, 20)]]
        assert number(swapped, self.Y) != whole

    def test_zeros_and_nans_are_one(self):
        x = np.zeros((4, 2), np.float32)
        assert number(-x, self.Y[:4]) == number(x, self.Y[:4])
        nan = np.full((4, 2), np.nan, np.float32)
        assert number(-nan, self.Y[:4]) == number(nan, self.Y[:4]) != number(x, self.Y[:4])

    def test_every_part_counts(self):
        def of(inputs):
            made = Fingerprint()
            made.add(inputs, self.Y)
            return made.of(999)

        mask, ids = np.ones((999, 9), bool), self.X
        assert of({"attention_mask": mask, "input_ids": ids}) != of({"attention_mask": mask, "input_ids": ids + 1})
        assert of({"mask": mask, "ids": ids}) == of({"ids": ids, "mask": mask})
        assert of([self.X] * 70) is not None
        assert of((self.X, ["text"] * 999)) == of((self.X,))

    @pytest.mark.parametrize(
        "inputs", [["a", "b"], torch.zeros(2, 2, device="meta"), np.zeros((2, 0)), torch.zeros(3, 2)]
    )
    def test_what_has_none(self, inputs):
        made = Fingerprint()
        made.add(inputs, np.array([0, 1]))
        assert made.of(2) is None

    def test_unknown_once_is_unknown_for_good(self):
        for first, second in ((np.zeros((2, 3)), np.zeros((2, 4))), (np.zeros((2, 3)), np.zeros((2, 3), np.float32))):
            made = Fingerprint()
            made.add(first, np.array([0, 1]))
            made.add(second, np.array([0, 1]))
            made.add(first, np.array([0, 1]))
            assert made.of(6) is None
        made = Fingerprint()
        made.add(np.zeros((2, 3)), None)
        assert made.of(2) is None

    def test_not_of_all_samples_is_none(self):
        made = Fingerprint()
        made.add(np.zeros((2, 3)), np.array([0, 1]))
        assert made.of(3) is None
        assert Fingerprint().of(2) is None

    def test_memory_that_is_used_again(self):
        made, buffer, target = Fingerprint(), np.empty((9, 4)), np.empty(9, int)
        x = np.random.default_rng(0).normal(size=(90, 4))
        for start in range(0, 90, 9):
            buffer[:], target[:] = x[start : start + 9], self.Y[start : start + 9]
            made.add(buffer, target)
        assert made.of(90) == number(x, self.Y[:90])
