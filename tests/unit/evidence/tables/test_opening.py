"""Which files are predictions."""

from __future__ import annotations

import pytest

from pytest_modelgate.evidence.tables.opening import open_table
from pytest_modelgate.exceptions import EvidenceError


@pytest.mark.parametrize("name", ["p.txt", "p", "p.npy", "p.csv.zip", "p.parquet.gz"])
def test_another_suffix(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(EvidenceError, match=r"is of no known format: predictions are read from .npz, .csv, .csv.gz"):
        open_table(tmp_path / name)


def test_no_such_file(tmp_path):
    with pytest.raises(EvidenceError, match=r"there is no file .*p.csv"):
        open_table(tmp_path / "p.csv")
    with pytest.raises(EvidenceError, match=r"file=5 is no path"):
        open_table(5)


def test_a_folder(tmp_path):
    (tmp_path / "p.csv").mkdir()
    with pytest.raises(EvidenceError, match=r"p.csv is a folder"):
        open_table(tmp_path / "p.csv")


def test_it_may_be_read_again_and_is_closed(tmp_path):
    (tmp_path / "p.csv").write_text("a,b\n1,2\n3,4\n")
    with open_table(str(tmp_path / "p.csv")) as table:
        for _ in range(2):
            assert list(table.chunks(["b", "a"], 1)) == [{"b": ["2"], "a": ["1"]}, {"b": ["4"], "a": ["3"]}]
        assert table.place(1) == f"{tmp_path / 'p.csv'}:3"
    (tmp_path / "p.csv").unlink()
