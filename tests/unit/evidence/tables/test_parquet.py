"""Parquet: the types that hold numbers, text and lists, and files that are none or cut off."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pytest_modelgate import Evaluation
from pytest_modelgate.exceptions import EvidenceError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

SCORE = [0.1, 0.9, 0.3]
NAMES = ["no", "yes", "no"]
LISTS = [[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]]


def content(tmp_path, **columns):
    made = {"target": pyarrow.array([0, 1, 0]), "score": pyarrow.array(SCORE)} | columns
    parquet.write_table(pyarrow.table(made), tmp_path / "made", row_group_size=2)
    return (tmp_path / "made").read_bytes()


@pytest.mark.parametrize(
    "target",
    [
        pyarrow.array([0, 1, 0], pyarrow.int8()),
        pyarrow.array([0, 1, 0], pyarrow.uint64()),
        pyarrow.array([0.0, 1.0, 0.0]),
        pyarrow.array([False, True, False]),
        pyarrow.array(NAMES),
        pyarrow.array(NAMES, pyarrow.large_string()),
        pyarrow.array(NAMES).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_targets(read, tmp_path, target):
    found = read("p.parquet", content(tmp_path, target=target), labels=["no", "yes"])
    wanted = {"target": [0, 1, 0], "preds": SCORE, "outputs": "probabilities", "labels": ["no", "yes"]}
    assert found == Evaluation.from_predictions(**wanted)


@pytest.mark.parametrize(
    "score",
    [
        pyarrow.array(LISTS),
        pyarrow.array(LISTS, pyarrow.large_list(pyarrow.float32())),
        pyarrow.array(LISTS, pyarrow.list_(pyarrow.float64(), 2)),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("chunk_rows", [None, 1, 2])
def test_lists_of_scores(read, tmp_path, score, chunk_rows):
    found = read("p.parquet", content(tmp_path, score=score), chunk_rows=chunk_rows)
    assert found.confusion_matrix.counts.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("columns", "given", "says"),
    [
        ({"score": pyarrow.array([0.1, 0.2, None])}, {}, r"p.parquet, row 2, column 'score': the cell is empty"),
        ({"score": pyarrow.array([0.1, 0.2, np.nan])}, {}, r"p.parquet, row 2, column 'score': the value is NaN"),
        ({"score": pyarrow.array(["a", "b", "c"])}, {}, r"p.parquet, row 0, column 'score': 'a' is no number"),
        ({"target": pyarrow.array([0, 1, None])}, {}, r"p.parquet, row 2, column 'target': the cell is empty"),
        ({"target": pyarrow.array([0, 1, 5])}, {}, r"p.parquet, row 2, column 'target': 5 is no class index"),
        ({"target": pyarrow.array(NAMES)}, {}, r"p.parquet, row 0, column 'target': 'no' is the name of a class"),
        ({"score": pyarrow.array([[0.1], [None], [0.4]])}, {}, r"column 'score': a list holds an empty cell"),
        ({"score": pyarrow.array([1, 2, 3], pyarrow.date32())}, {}, r"column 'score' is of the type date32.*: save"),
        ({"id": pyarrow.array(["a", "b", ""])}, {"ids": "id"}, r"row 2, column 'id': the cell is empty"),
        ({"id": pyarrow.array(SCORE)}, {"ids": "id"}, r"column 'id': names must be strings or whole numbers"),
        ({"region": pyarrow.array(["a", None, "b"])}, {"slices": ["region"]}, r"row 1, column 'region': the cell is"),
        ({}, {"target": "tagret"}, r"p.parquet has no column 'tagret'; did you mean 'target'"),
    ],
)
@pytest.mark.parametrize("chunk_rows", [None, 1])
def test_what_is_wrong(read, tmp_path, columns, given, says, chunk_rows):
    with pytest.raises(EvidenceError, match=says):
        read("p.parquet", content(tmp_path, **columns), chunk_rows=chunk_rows, **given)


def test_lists_of_different_lengths(read, tmp_path):
    made = content(tmp_path, score=pyarrow.array([[0.1], [0.2, 0.3], [0.4]]))
    with pytest.raises(EvidenceError, match=r"p.parquet, row 1, column 'score': 2 numbers, but 1 before it"):
        read("p.parquet", made)


def test_no_rows(read, tmp_path):
    columns = {name: pyarrow.array([], pyarrow.int8()) for name in ("target", "score")}
    with pytest.raises(EvidenceError, match=r"p.parquet has no rows"):
        read("p.parquet", content(tmp_path, **columns))


@pytest.mark.parametrize("cut", [slice(0), slice(40), slice(-1), slice(10, None)])
def test_cut_off(read, tmp_path, cut):
    with pytest.raises(EvidenceError, match=r"p.parquet (is no Parquet file, or is cut off|cannot be read)"):
        read("p.parquet", content(tmp_path)[cut])


def test_a_damaged_page(read, tmp_path):
    damaged = bytearray(content(tmp_path))
    damaged[4:40] = b"\xff" * 36
    with pytest.raises(EvidenceError, match=r"p.parquet cannot be read past row 0"):
        read("p.parquet", bytes(damaged))


@pytest.mark.parametrize("score", [[[], [], []], [[[0.2]], [[0.5]], [[0.9]]], [["a"], ["b"], ["c"]]])
def test_lists_of_no_numbers(read, tmp_path, score):
    kind = pyarrow.list_(pyarrow.float64()) if not score[0] else None
    with pytest.raises(EvidenceError, match=r"column 'score' is of the type .*, and holds no K numbers a row"):
        read("p.parquet", content(tmp_path, score=pyarrow.array(score, kind)))


def test_without_pyarrow(read, tmp_path, monkeypatch):
    made = content(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(EvidenceError, match=r"p.parquet: .*pip install pytest-modelgate\[parquet\]"):
        read("p.parquet", made)


def test_slices_of_columns_and_bools_of_any_offset(read, tmp_path):
    """Batches begin in the middle of a row group's memory."""
    n = 50
    target = np.arange(n) % 3 == 0
    content_ = {"target": pyarrow.array(target), "score": pyarrow.array(np.linspace(0, 1, n), pyarrow.float32())}
    parquet.write_table(pyarrow.table(content_), tmp_path / "made")
    wanted = Evaluation.from_predictions(
        target=target.astype(int), preds=np.linspace(0, 1, n, dtype=np.float32), outputs="probabilities"
    )
    for chunk_rows in (1, 7, 13, None):
        assert read("p.parquet", (tmp_path / "made").read_bytes(), chunk_rows=chunk_rows) == wanted


def test_pandas_stays_out(tmp_path):
    """pyarrow's own way to numpy imports it where it is installed: half a second, and 40 MB."""
    columns = {"name": pyarrow.array(NAMES), "region": pyarrow.array(NAMES).dictionary_encode()}
    path = tmp_path / "p.parquet"
    path.write_bytes(content(tmp_path, score=pyarrow.array(LISTS), right=pyarrow.array([True, False, True]), **columns))
    code = f"""
import sys
from pytest_modelgate import Evaluation
asked = dict(target="target", preds="score", outputs="probabilities")
Evaluation.from_predictions(file={str(path)!r}, slices=["name", "region", "right"], **asked)
sys.exit("pandas" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
