"""What comes in as an array: sequences, tensors, dtypes, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import as_floats, check_scores, to_numpy, whole_numbers


class TestToNumpy:
    def test_an_array_is_itself(self):
        array = np.arange(3)
        assert to_numpy(array) is array

    def test_a_cpu_tensor_is_not_copied(self):
        tensor = torch.arange(3)
        to_numpy(tensor)[0] = 7
        assert tensor.tolist() == [7, 1, 2]

    def test_a_tensor_that_requires_grad(self):
        assert to_numpy(torch.ones(2, requires_grad=True)).tolist() == [1.0, 1.0]

    @pytest.mark.parametrize(
        ("tensor", "said"),
        [
            (torch.ones(3, device="meta"), "strided) on meta"),
            (torch.eye(3).to_sparse(), "sparse_coo) on cpu"),
            (torch.eye(3).to_sparse().requires_grad_(), "sparse_coo) on cpu"),
        ],
    )
    def test_tensors_that_hold_no_table_of_numbers(self, tensor, said):
        with pytest.raises(EvidenceError, match=re.escape(said)):
            to_numpy(tensor)

    def test_bfloat16_becomes_float32(self):
        array = to_numpy(torch.tensor([0.5, 1.5], dtype=torch.bfloat16))
        assert array.dtype == np.float32
        assert array.tolist() == [0.5, 1.5]

    def test_a_generator(self):
        assert to_numpy(i * i for i in range(3)).tolist() == [0, 1, 4]

    def test_masked_values(self):
        assert type(to_numpy(np.ma.masked_array([1, 2], mask=[False, False]))) is np.ndarray
        with pytest.raises(EvidenceError, match="masked values"):
            to_numpy(np.ma.masked_array([1, 2], mask=[False, True]))

    def test_rows_of_different_lengths(self):
        with pytest.raises(EvidenceError, match="rows of different lengths"):
            to_numpy([[1, 2], [3]])


class TestWholeNumbers:
    @pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
    def test_integers_stay_what_they_are(self, dtype):
        array = np.array([0, 1, 2], dtype=dtype)
        assert whole_numbers(array, "x") is array

    def test_bools_are_zeros_and_ones(self):
        assert whole_numbers([True, False], "x").tolist() == [1, 0]

    def test_the_other_byte_order(self):
        swapped = np.array([1, 2], dtype=np.dtype("i4").newbyteorder("S"))
        whole = whole_numbers(swapped, "x")
        assert whole.dtype.isnative
        assert whole.tolist() == [1, 2]

    @pytest.mark.parametrize(
        "values", [[1.0, 2.0], np.array([1, 2], "f2"), np.array([1, 2], object), np.array([1.0, 2], object)]
    )
    def test_whole_floats_and_objects(self, values):
        whole = whole_numbers(values, "x")
        assert whole.dtype == np.int64
        assert whole.tolist() == [1, 2]

    def test_nothing(self):
        assert whole_numbers([], "x").dtype == np.int64

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ([0.0, 0.5, 1.5], r"x must be whole numbers: 2 of 3, the first is 0.5 at position 1"),
            ([0.0, float("nan")], r"x must be whole numbers: 1 of 2, the first is nan at position 1"),
            ([float("inf")], r"x must be whole numbers: 1 of 1, the first is inf at position 0"),
            ([1e30], r"x must be whole numbers: 1 of 1, the first is 1e\+30 at position 0"),
            ([2**70, 1], r"x must be whole numbers below 2\*\*63"),
            (["a"], r"x must be whole numbers, but their type is <U1"),
            (np.array([None, 1], dtype=object), r"x must be whole numbers below 2\*\*63, but hold None"),
            ([1j], r"x must be whole numbers, but their type is complex128"),
        ],
    )
    def test_what_is_refused(self, values, message):
        with pytest.raises(EvidenceError, match=message):
            whole_numbers(values, "x")


class TestScores:
    @pytest.mark.parametrize(
        ("given", "kept"), [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("i4", "f8"), ("u1", "f8"), (bool, "f8")]
    )
    def test_the_type_that_holds_them(self, given, kept):
        assert as_floats(np.array([0, 1], dtype=given)).dtype == np.dtype(kept)

    def test_the_other_byte_order_keeps_its_precision(self):
        swapped = np.array([0.1, 0.2], dtype=np.dtype("f8").newbyteorder("S"))
        assert as_floats(swapped).dtype == np.float64
        assert as_floats(swapped).dtype.isnative
        assert as_floats(swapped).tolist() == [0.1, 0.2]

    def test_good_scores_are_not_copied(self):
        scores = np.array([0.25, -0.0], dtype=np.float32)
        assert check_scores(scores) is scores

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_not_finite(self, bad, dtype):
        scores = np.zeros((4, 3), dtype=dtype)
        scores[2, 1] = scores[3, 0] = bad
        with pytest.raises(EvidenceError, match=rf"^logits must be finite: 2 of 12, the first is {bad} at \[2, 1\]$"):
            check_scores(scores, "logits")

    @pytest.mark.parametrize("scores", [["a"], [1j], [None]])
    def test_not_numbers(self, scores):
        with pytest.raises(EvidenceError, match="scores must be numbers"):
            check_scores(scores)
