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
LOSS = nn.CrossEntropyLoss()


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


def report_loader(name: str, model: nn.Module, data: tuple[torch.Tensor, torch.Tensor], rounds: int) -> None:
    """`evaluate` over the bare loop, on a DataLoader at batch 64."""
    loader = DataLoader(TensorDataset(*data), batch_size=64)
    hand, ours = pairs(lambda: bare(model, loader, LOSS), lambda: evaluate(model, loader, loss=LOSS), rounds)
    low, middle, high = statistics.quantiles([b / a for a, b in zip(hand, ours, strict=True)], n=4)
    print(f"  {name:20} ratio median {middle:.3f}, quartiles {low:.3f} to {high:.3f}")


def report_tensors(
    name: str, model: nn.Module, data: tuple[torch.Tensor, torch.Tensor], size: int, rounds: int
) -> None:
    """What `evaluate` adds to the model's forward pass, on a pair of tensors."""
    alone, ours = pairs(
        lambda: forward(model, data[0], size), lambda: evaluate(model, data, loss=LOSS, batch_size=size), rounds
    )
    added = statistics.median(b - a for a, b in zip(alone, ours, strict=True))
    share = added / (SAMPLES * 1e-6 + SAMPLES / size * 60e-6)
    print(f"  {name:20} batch {size:5}: {1e6 * added / SAMPLES:6.3f} us a sample in all, {share:5.2f} of the limit")


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    models = {
        "MLP 32-256-256-2": nn.Sequential(
            nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)
        ),
        "MLP 32-256-256-10": nn.Sequential(
            nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
        ),
        "Linear 32-2": nn.Linear(32, 2),
    }
    data = torch.randn(SAMPLES, 32), torch.randint(0, 2, (SAMPLES,))
    print("DataLoader at batch 64: evaluate over the bare loop")
    for name, model in models.items():
        report_loader(name, model, data, rounds)
    print("a pair of tensors: added to the model's forward pass (at most 1 us a sample and 60 us a batch)")
    for name, model in models.items():
        for size in (64, 256, 4096):
            report_tensors(name, model, data, size, rounds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25)
