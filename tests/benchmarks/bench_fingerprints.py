"""What the key of the model cache costs.

    python tests/benchmarks/bench_fingerprints.py [rounds]

Asked for: at most 50 ms for the code of a typical project, at most 1 s a GB of tensors on two cores.
"""

from __future__ import annotations

import importlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pytest_modelgate.runtime.cache import code
from pytest_modelgate.runtime.cache.data import hash_buffer
from pytest_modelgate.runtime.cache.values import fingerprint

FUNCTION = '''
def step_{n}(model, batch, rate=RATE_{n}, *, clip=None):
    """Step {n}."""
    inputs, targets = batch
    loss = nn.functional.cross_entropy(model(inputs), targets)
    loss.backward()
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    for name, parameter in model.named_parameters():
        if parameter.grad is None or not parameter.requires_grad:
            continue
        with torch.no_grad():
            parameter.sub_(rate * parameter.grad)
    return {{"loss": loss.item(), "seen": [len(each) for each in batch], "next": {following}}}
'''
MODEL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*(nn.Linear(8, 8) for _ in range(WIDTH)))

    def forward(self, x):
        return torch.relu(self.body(x)) + SHIFT
"""


def project(folder: Path, functions: int) -> Any:
    """A training whose steps call one another, over files of 10 functions with a constant each, and a model."""
    made = "import torch\nfrom torch import nn\nWIDTH = 4\nSHIFT = 0.5\n" + MODEL
    for n in range(functions):
        following = f"step_{n + 1}" if n + 1 < functions else "Net"
        made += f"RATE_{n} = {n / 100}\n" + FUNCTION.format(n=n, following=following)
    (folder / "steps.py").write_text(made)
    (folder / "train.py").write_text(
        "from steps import step_0\n\n\ndef fit(model, run):\n    return step_0(model, run)\n"
    )
    sys.path.insert(0, str(folder))
    return importlib.import_module("train")


def seconds(act: Callable[[], Any], rounds: int, before: Callable[[], Any] = lambda: None) -> float:
    taken = []
    for _ in range(rounds):
        before()
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        train = project(Path(folder), 20)
        found = fingerprint({"fit": train.fit})
        assert found.reasons == ()
        cold = seconds(lambda: fingerprint({"fit": train.fit}), rounds, code._facts.cache_clear)
        warm = seconds(lambda: fingerprint({"fit": train.fit}), rounds)
        print(f"code, {len(found.code)} functions: {cold * 1e3:.1f} ms, again {warm * 1e3:.1f} ms (limit 50 ms)")

    tensor = torch.from_numpy(np.random.default_rng(0).integers(0, 255, 2**28, dtype=np.uint8)).view(torch.float32)
    alone = seconds(lambda: tensor.sum(), rounds)
    taken = seconds(lambda: fingerprint({"data": tensor}), rounds)
    print(f"a tensor of 256 MiB: {taken * 4:.2f} s a GiB (limit 1 s), {taken / alone:.0f} times its sum")
    turned = tensor.view(2**13, -1).T
    print(f"the same transposed: {seconds(lambda: fingerprint({'data': turned}), rounds) * 4:.2f} s a GiB")
    print(f"bytes alone: {seconds(lambda: hash_buffer(tensor.numpy()), rounds) * 4:.2f} s a GiB")

    draw = random.Random(0)
    many: dict[str, Any] = {
        "a list of 1e6 floats": [draw.random() for _ in range(10**6)],
        "1e5 lists of 10 floats": [[draw.random() for _ in range(10)] for _ in range(10**5)],
        "1e4 small tensors": list(torch.randn(10_000, 8)),
        "a module of 150 layers": torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(150))),
    }
    for name, value in many.items():
        print(f"{name}: {seconds(lambda value=value: fingerprint({'data': value}), rounds) * 1e3:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
