"""What `check_model` costs on a network of ten million parameters: seconds, and how many times a forward and backward.

    python tests/benchmarks/bench_wiring.py [rounds]

It must take less than ten seconds, all checks included. The first round is told apart: it loads torch's optimizers
and compiler. Wall time, with as many threads as torch takes.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
from torch import nn

from pytest_modelgate.checks.wiring.table import check_model

LIMIT = 10.0
LOSS = nn.CrossEntropyLoss()


class Residual(nn.Module):
    """Convolutions with BatchNorm and a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(x + self.body(x))


class Transformer(nn.Module):
    """Three layers of width 512 over 16 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 512)
        layer = nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(512, 10)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embedding(tokens)).mean(1))


def mlp() -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(512, 2048), nn.ReLU()]
    for _ in range(2):
        layers += [nn.Linear(2048, 2048), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(2048, 10))


def cnn() -> nn.Module:
    stem = (nn.Conv2d(3, 256, 3, stride=4), nn.BatchNorm2d(256), nn.ReLU())
    return nn.Sequential(
        *stem, *(Residual(256) for _ in range(8)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10)
    )


def step(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Seconds of one forward and backward pass."""
    begin = time.perf_counter()
    LOSS(model(batch[0]), batch[1]).backward()
    seconds = time.perf_counter() - begin
    model.zero_grad()
    return seconds


def main(rounds: int) -> None:
    torch.manual_seed(0)
    targets = torch.randint(0, 10, (32,))
    cases = {
        "MLP": (mlp(), torch.randn(32, 512)),
        "CNN, residual, 32 x 32": (cnn(), torch.randn(32, 3, 32, 32)),
        "transformer, 16 tokens": (Transformer(), torch.randint(0, 1000, (32, 16))),
    }
    for name, (model, inputs) in cases.items():
        batch = (inputs, targets)
        step(model, batch)
        times, bases = [], []
        for _ in range(rounds + 1):
            bases.append(step(model, batch))
            begin = time.perf_counter()
            verdict = check_model(model, batch, LOSS)
            times.append(time.perf_counter() - begin)
        size = sum(parameter.numel() for parameter in model.parameters())
        ratio = statistics.median(seconds / base for seconds, base in zip(times[1:], bases[1:], strict=True))
        seconds = statistics.median(times[1:])
        said = "within the limit" if max(times) < LIMIT else f"above the limit of {LIMIT:g} s"
        print(
            f"{name:24} {size / 1e6:5.1f} M parameters: first {times[0]:5.2f} s, then {seconds:5.2f} s, {ratio:4.0f} x "
            f"a forward and backward; {said}; {verdict.explanation}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
