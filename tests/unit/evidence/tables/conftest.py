"""Columns written to a file of each format, by other libraries than the package."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from pytest_modelgate import Evaluation

FORMATS = ("npz", "csv", "jsonl", "parquet")


def write(path, columns):
    columns = {name: np.asarray(column) for name, column in columns.items()}
    if path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        made = {name: column.tolist() if column.ndim > 1 else column for name, column in columns.items()}
        pyarrow.parquet.write_table(arrow.table(made), path, row_group_size=5)
    else:
        rows = list(zip(*(column.tolist() for column in columns.values()), strict=True))
        with path.open("w", encoding="utf-8", newline="") as file:
            if path.suffix == ".csv":
                csv.writer(file).writerows([list(columns), *rows])
            else:
                file.writelines(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
    return path


@pytest.fixture(scope="session")
def write_columns():
    return write


@pytest.fixture(params=FORMATS)
def save(request, tmp_path):
    """Writes columns to a file of each format in turn."""
    return lambda **columns: write(tmp_path / f"preds.{request.param}", columns)


@pytest.fixture
def read(tmp_path):
    """Writes text or bytes to a file of this name, and reads it as predictions."""

    def reads(name, content, **given):
        path = tmp_path / name
        if isinstance(content, dict):
            write(path, content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8", newline="")
        wanted = {"target": "target", "preds": "score", "outputs": "probabilities"}
        return Evaluation.from_predictions(file=path, **wanted | given)

    return reads
