"""What `evaluate` costs beside a bare loop over the same batches: interleaved rounds in one process, as ratios.

    python tests/benchmarks/bench_evaluate.py [rounds]

The bare loop is the shortest that a person would write: forward and loss under inference_mode, predictions and losses
kept, one accuracy and one mean loss at the end. torch runs on one thread, so that the other cores do not matter.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import evaluate

SAMPLES = 16384


def bare(model: nn.Module, batches: Any, loss: Callable[..., torch.Tensor]) -> float:
    """Accuracy and mean loss, by hand."""
    model.eval()
    right, total, losses = [], 0, []
    with torch.inference_mode():
        for inputs, targets in batches:
            outputs = model(inputs)
            losses.append(loss(outputs, targets) * len(targets))
            right.append((outputs.argmax(1) == targets).sum())
            total += len(targets)
    return float(torch.stack(losses).sum()) / total + float(torch.stack(right).sum()) / total


def forward(model: nn.Module, inputs: torch.Tensor, size: int) -> None:
    """The model alone, on slices of a tensor."""
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(inputs), size):
            model(inputs[start : start + size])


def pairs(one: Callable[[], Any], other: Callable[[], Any], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each, in turns, after a round that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for function, into in ((one, times[0]), (other, times[1])):
            begin = time.process_time()
            function()
            if number:
                into.append(time.process_time() - begin)
    return times


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    loss = nn.CrossEntropyLoss()
    models = {
        "MLP 32-256-256-2": (nn.Sequential(nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)), 2),
        "MLP 32-256-256-10": (nn.Sequential(nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)), 10),
        "Linear 32-2": (nn.Linear(32, 2), 2),
    }
    print("DataLoader at batch 64: evaluate over the bare loop")
    for name, (model, classes) in models.items():
        inputs, targets = torch.randn(SAMPLES, 32), torch.randint(0, classes, (SAMPLES,))
        loader = DataLoader(TensorDataset(inputs, targets), batch_size=64)
        hand, ours = pairs(lambda: bare(model, loader, loss), lambda: evaluate(model, loader, loss=loss), rounds)
        ratios = [b / a for a, b in zip(hand, ours, strict=True)]
        quartiles = statistics.quantiles(ratios, n=4)
        print(f"  {name:20} ratio median {quartiles[1]:.3f}, quartiles {quartiles[0]:.3f} to {quartiles[2]:.3f}")
    print("a pair of tensors: added to the model's forward pass (at most 1 us a sample and 60 us a batch)")
    for name, (model, classes) in models.items():
        inputs, targets = torch.randn(SAMPLES, 32), torch.randint(0, classes, (SAMPLES,))
        for size in (64, 256, 4096):
            alone, ours = pairs(
                lambda size=size: forward(model, inputs, size),
                lambda size=size: evaluate(model, (inputs, targets), loss=loss, batch_size=size),
                rounds,
            )
            added = statistics.median(b - a for a, b in zip(alone, ours, strict=True))
            allowed = SAMPLES * 1e-6 + SAMPLES / size * 60e-6
            print(f"  {name:20} batch {size:5}: {1e6 * added / SAMPLES:6.3f} us a sample in all, {added / allowed:5.2f} of the limit")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
