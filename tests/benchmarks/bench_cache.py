"""What trained models in the cache save: the examples with an empty and with a full cache.

    python tests/benchmarks/bench_cache.py [rounds]

Each round runs the examples three times, as whole processes: collecting them only (interpreter, torch, scikit-learn),
with an empty cache, and again. Printed are the medians, and what the second run costs beyond start-up as a share of
what the first one does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]


def seconds(*options: str) -> float:
    command = [sys.executable, "-m", "pytest", "examples", "-q", "-p", "no:cacheprovider", *options]
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(rounds: int) -> None:
    start, cold, warm = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            start.append(seconds("--collect-only"))
            cold.append(seconds(f"--modelgate-cache-dir={folder}"))
            warm.append(seconds(f"--modelgate-cache-dir={folder}"))
    for name, values in (("start-up", start), ("empty cache", cold), ("full cache", warm)):
        print(f"{name:12} {median(values):6.2f} s  ({min(values):.2f} to {max(values):.2f})")
    shares = [(w - s) / (c - s) for s, c, w in zip(start, cold, warm, strict=True)]
    print(f"beyond start-up, full over empty: {median(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
