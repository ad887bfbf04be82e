"""What it costs to look for leakage.

    python tests/benchmarks/bench_leakage.py [rows]

Asked for: exact duplicates of 1 million by 1 million rows of 30 float32 features in at most 5 s and 1 GB of memory in
all (torch included) on two cores. Each case runs in a process of its own, which knows its greatest use of memory.
"""

from __future__ import annotations

import multiprocessing
import sys
import time

import numpy as np

from pytest_modelgate.checks.data.leakage import audit_leakage

FEATURES = 30
PLANTED = 5_000
CASES = {
    "inputs alone": {},
    "with targets": {"targets": True},
    "with groups and times": {"targets": True, "rows": True},
    "float64 against float32": {"types": ("f8", "f4")},
    "near-duplicates too": {"near": True},
}


def peak() -> float:
    """The greatest resident memory of this process so far, in MB; not known on Windows."""
    try:
        import resource
    except ImportError:
        return float("nan")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e6 if sys.platform == "darwin" else 1e3)


def run(name: str, rows: int) -> None:
    """One case: the sets, the look, the figures."""
    case = CASES[name]
    rng = np.random.default_rng(0)
    train, test = (rng.standard_normal((rows, FEATURES), dtype=np.float32) for _ in range(2))
    test[:PLANTED] = train[-PLANTED:]
    sets: list = [side.astype(kind) for side, kind in zip((train, test), case.get("types", ("f4", "f4")), strict=True)]
    del train, test
    if case.get("targets"):
        sets = [(side, np.arange(rows) % 2) for side in sets]
    options: dict = {"near": case.get("near", False)}
    if case.get("rows"):
        options |= {
            "groups": (np.arange(rows), np.arange(rows) + rows),
            "time": (np.arange(rows), np.arange(rows) + rows),
        }
    start, begun = time.perf_counter(), time.process_time()
    audit = audit_leakage(*sets, **options)
    seconds, worked = time.perf_counter() - start, time.process_time() - begun
    assert audit["duplicates"].count == PLANTED
    print(f"{name:<26}{seconds:6.2f} s{worked:6.2f} s of CPU{peak():8.0f} MB in all", flush=True)


def main(rows: int) -> None:
    print(f"{rows:,} by {rows:,} rows of {FEATURES} features; torch's import is in the time")
    context = multiprocessing.get_context("spawn")
    for name in CASES:
        process = context.Process(target=run, args=(name, rows))
        process.start()
        process.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
