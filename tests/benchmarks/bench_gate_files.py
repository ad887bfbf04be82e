"""What 1,000 gates in files cost: collected and settled over one evaluation, beyond torch's start-up.

    python tests/benchmarks/bench_gate_files.py [rounds]

Each round runs pytest on a file with one gate, on ten files of 100 gates whose bounds are exact, and on as many of
which a quarter have bounds that are drawn (MCC and balanced accuracy), in processes of their own and in turns. What is
beyond the first is what the gates cost, in CPU seconds. The target is 2. torch runs on one thread.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL = """
import torch

class Net(torch.nn.Module):
    def forward(self, x):
        return 4 * x[:, 0]

def load_test():
    x = torch.linspace(-1, 1, 10_000)[:, None]
    y = (x[:, 0] > 0).long()
    y[::40] = 1 - y[::40]
    return x, y
"""
HEAD = """\
model: {factory: "bench_model:Net"}
data: {test: "bench_model:load_test"}
loss: binary_cross_entropy_with_logits
labels: [ok, fraud]
gates:
"""
EXACT = {"recall": 20, "precision": 20, "specificity": 20, "f1": 20, "accuracy": 20}
MIXED = {"recall": 25, "precision": 25, "accuracy": 25, "balanced_accuracy": 13, "mcc": 12}
SETS = {"1 gate": ({"recall": 1}, 1), "1,000 gates": (EXACT, 10), "1,000, 250 of them drawn": (MIXED, 10)}


def gates(wanted: dict[str, int], file: int) -> str:
    """So many gates of each metric, each with a bar of its own."""
    text = HEAD
    for metric, number in wanted.items():
        label = "" if metric in ("accuracy", "balanced_accuracy", "mcc") else ", label: fraud"
        bars = [0.51 + (file + 10 * count) / 5000 for count in range(number)]
        text += f"  {metric}:\n" + "".join(f"    - {{at_least: {bar:.4f}{label}}}\n" for bar in bars)
    return text


def run(folder: Path) -> float:
    """User and system time of one run of pytest."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_modelgate.plugin"]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=alone)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in SETS}
    with tempfile.TemporaryDirectory() as home:
        for number, (wanted, files) in enumerate(SETS.values()):
            folder = Path(home, str(number))
            folder.mkdir()
            (folder / "pytest.ini").write_text("[pytest]\n")
            (folder / "bench_model.py").write_text(MODEL)
            for file in range(files):
                (folder / f"bench{file}.modelgate.yaml").write_text(gates(wanted, file))
            run(folder)
        for _ in range(rounds):
            for number, found in enumerate(times.values()):
                found.append(run(Path(home, str(number))))
    middle = {name: statistics.median(found) for name, found in times.items()}
    alone = middle.pop("1 gate")
    print(f"medians of {rounds} rounds, CPU seconds; a run of one gate takes {alone:.2f}")
    for name, seconds in middle.items():
        print(f"{name}: {seconds - alone:.2f} beyond that; the target is 2")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
