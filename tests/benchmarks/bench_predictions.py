"""What predictions in a file cost: time and peak memory from the file to a gate's verdict.

    python tests/benchmarks/bench_predictions.py [rows] [rounds]

Asked for: 10 million rows gated in under 3 s from .npz, in under 5 s from Parquet, both under 500 MB. Each measurement
is a process of its own. "Read" is the time to read the same columns and do nothing with them. The bytes a row come from
the same with twice the rows: with them, and what the process takes before, memory grows.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

ASKED = {".npz": 3.0, ".parquet": 5.0}
FORMATS = ("stored.npz", "compressed.npz", "plain.parquet", "lines.csv", "lines.jsonl")
CASES: dict[str, dict[str, Any]] = {
    "target and score": {},
    "counts alone": {"keep": "counts"},
    "with id and region": {"ids": "id", "slices": ["region"]},
}


def columns(rows: int) -> dict[str, Any]:
    """Well calibrated scores, float32, of which nearly a third are positive."""
    rng = np.random.default_rng(0)
    score = rng.beta(1, 2, rows).astype(np.float32)
    return {
        "target": (rng.random(rows, dtype=np.float32) < score).astype(np.int8),
        "score": score,
        "id": rng.permutation(rows),
        "weight": rng.random(rows, dtype=np.float32),
        "region": rng.integers(0, 20, rows, dtype=np.int8),
    }


def write(path: Path, rows: int) -> None:
    """The columns in the format of the path's suffix."""
    made = columns(rows)
    if path.suffix == ".npz":
        (np.savez_compressed if path.stem == "compressed" else np.savez)(path, **made)
    elif path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table(made), path)
    else:
        with path.open("w", encoding="utf-8") as file:
            if path.suffix == ".csv":
                file.write(",".join(made) + "\n")
            for row in zip(*(column.tolist() for column in made.values()), strict=True):
                file.write(
                    ",".join(map(str, row)) if path.suffix == ".csv" else json.dumps(dict(zip(made, row, strict=True)))
                )
                file.write("\n")


def read(path: Path, wanted: list[str]) -> None:
    """The same columns, read and dropped."""
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            for name in wanted:
                with archive.open(f"{name}.npy") as stream:
                    while stream.read(1 << 20):
                        pass
    elif path.suffix == ".parquet":
        import pyarrow.parquet

        for _ in pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20).iter_batches(1 << 17, columns=wanted):
            pass
    else:
        with path.open(encoding="utf-8") as file:
            for _ in file:
                pass


def judge(path: Path, given: dict[str, Any]) -> None:
    """From the file to two verdicts."""
    from pytest_modelgate import Evaluation, assert_precision_at_least, assert_recall_at_least

    evidence = Evaluation.from_predictions(
        file=path, target="target", preds="score", outputs="probabilities", labels=["stays", "churns"], **given
    )
    assert_recall_at_least(evidence, 0.2, label="churns")
    assert_precision_at_least(evidence, 0.5, label="churns")


def child(action: str, path: Path, case: str, rows: int) -> None:
    """One measurement: seconds, and the peak memory in MB, before and after."""
    import resource

    given = CASES.get(case, {})
    wanted = ["target", "score", *(given.get(name) for name in ("ids", "weights")), *given.get("slices", ())]
    if action == "write":
        write(path, rows)
        return
    if path.suffix == ".parquet":
        import pyarrow.parquet  # noqa: F401 - its start-up is not the reader's
    import pytest_modelgate.assertions.metrics
    import pytest_modelgate.evidence.tables.predictions  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    if action == "read":
        read(path, [name for name in wanted if name])
    else:
        judge(path, given)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def run(action: str, path: Path, case: str, rows: int = 0) -> list[float]:
    """What a child process measured."""
    command = [sys.executable, __file__, "--child", action, str(path), case, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return list(json.loads(done.stdout)) if done.stdout else []


def main(rows: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            of_text = name.startswith("lines")
            n = max(1, rows // 10) if of_text else rows
            path, double = Path(folder) / name, Path(folder) / "double" / name
            double.parent.mkdir(exist_ok=True)
            run("write", path, "", n)
            run("write", double, "", 2 * n)
            for case in CASES:
                taken = [(run("judge", path, case), run("read", path, case)) for _ in range(rounds)]
                seconds = statistics.median(judged[0] for judged, _ in taken)
                ratio = statistics.median(judged[0] / alone[0] for judged, alone in taken)
                start = statistics.median(judged[1] for judged, _ in taken)
                peak = max(judged[2] for judged, _ in taken)
                a_row = (run("judge", double, case)[2] - peak) * 2**20 / n
                asked = f" (limit {ASKED[path.suffix]:g} s)" if path.suffix in ASKED else ""
                print(
                    f"{name}, {case}: {n:,} rows in {seconds:.2f} s{asked}, {ratio:.1f} times reading alone; "
                    f"peak {peak:.0f} MB (limit 500 MB), {start:.0f} MB of it before, {a_row:.0f} bytes a row more",
                    flush=True,
                )
            path.unlink()
            double.unlink()


if __name__ == "__main__":
    if "--child" in sys.argv:
        _, _, action, where, case, count = sys.argv
        child(action, Path(where), case, int(count))
    else:
        main(*map(int, sys.argv[1:3] or ["10000000"]), *([] if len(sys.argv) > 2 else [3]))
