"""What the plugin costs a run that does not use it: CPU seconds of whole processes, in interleaved pairs.

    python tests/benchmarks/bench_startup.py [pairs]

Each round runs pytest on one empty test three times, in a random order: without the plugin, with it, and without it
again. The difference of the two runs without it is the null comparison: the spread that is there when nothing differs.
Other plugins are left out, since their spread would hide what is measured.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def cpu_seconds(arguments: list[str], folder: str) -> float:
    """User and system time of one child process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def describe(name: str, differences: list[float]) -> str:
    """Median, quartiles and the standard error of the mean, in milliseconds."""
    low, middle, high = (1000 * cut for cut in statistics.quantiles(differences, n=4))
    mean = 1000 * statistics.fmean(differences)
    error = 1000 * statistics.stdev(differences) / len(differences) ** 0.5
    return f"{name:28} median {middle:6.2f} ms  quartiles {low:6.2f} to {high:6.2f}  mean {mean:6.2f} +- {error:.2f}"


def main(pairs: int) -> None:
    plugin = ["-p", "pytest_modelgate.plugin"]
    added, null, base = [], [], []
    shuffle = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_empty.py").write_text("def test_empty():\n    pass\n")
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        for _ in range(3):
            cpu_seconds(plugin, folder)
        for _ in range(pairs):
            times = {}
            for name in shuffle.sample(["with", "without", "again"], 3):
                times[name] = cpu_seconds(plugin if name == "with" else [], folder)
            base.append(times["without"])
            added.append(times["with"] - times["without"])
            null.append(times["again"] - times["without"])
    print(f"{pairs} rounds; a run without the plugin: median {1000 * statistics.median(base):.0f} ms of CPU")
    print(describe("added by the unused plugin", added))
    print(describe("null comparison", null))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
