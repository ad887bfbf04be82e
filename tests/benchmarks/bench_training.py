"""What the built-in loop costs beside one written by hand: interleaved rounds in one process, as ratios.

    python tests/benchmarks/bench_training.py [rounds]

The loop by hand is the shortest that a person would write: zero_grad, forward, loss, backward, step, and the mean of
the losses of each epoch; with validation data their mean loss too. Both make the model and the optimizer. torch runs on
one thread, so that the other cores do not matter.
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

from pytest_modelgate import train_model

SAMPLES, EPOCHS, BATCH = 8192, 2, 64
LOSS = nn.CrossEntropyLoss()


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-3)


def by_hand(factory: Callable[[], nn.Module], train: DataLoader[Any], validation: DataLoader[Any] | None) -> nn.Module:
    """The plain loop, written out."""
    torch.manual_seed(0)
    model = factory()
    optimizer = adam(model.parameters())
    for _ in range(EPOCHS):
        model.train()
        total, n = 0.0, 0
        for inputs, targets in train:
            optimizer.zero_grad()
            loss = LOSS(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(targets)
            n += len(targets)
        total / n
        if validation is not None:
            model.eval()
            total, n = 0.0, 0
            with torch.no_grad():
                for inputs, targets in validation:
                    total += LOSS(model(inputs), targets).item() * len(targets)
                    n += len(targets)
            total / n
    return model


def pairs(one: Callable[[], Any], other: Callable[[], Any], rounds: int) -> list[float]:
    """The ratio of the seconds of each pair, in turns of changing order, after two rounds that do not count."""
    ratios = []
    for number in range(rounds + 2):
        seconds = {}
        for which in (one, other) if number % 2 else (other, one):
            begin = time.process_time()
            which()
            seconds[which] = time.process_time() - begin
        if number > 1:
            ratios.append(seconds[other] / seconds[one])
    return ratios


def mlp(width: int, depth: int) -> Callable[[], nn.Module]:
    """A network of `depth` hidden layers."""
    layers: list[tuple[int, int]] = [(32, width)] + [(width, width)] * (depth - 1)

    def make() -> nn.Module:
        return nn.Sequential(*(part for a, b in layers for part in (nn.Linear(a, b), nn.ReLU())), nn.Linear(width, 10))

    return make


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train = DataLoader(TensorDataset(torch.randn(SAMPLES, 32), torch.randint(0, 10, (SAMPLES,))), BATCH, shuffle=True)
    held = DataLoader(TensorDataset(torch.randn(2048, 32), torch.randint(0, 10, (2048,))), 256)
    for name, factory in {
        "MLP 32-64-10": mlp(64, 1),
        "MLP 32-256-256-10": mlp(256, 2),
        "MLP 32-512-512-512-10": mlp(512, 3),
    }.items():
        for what, validation in (("", None), (", validated", held)):

            def ours(factory: Any = factory, validation: Any = validation) -> Any:
                return train_model(
                    factory, train, validation_data=validation, loss=LOSS, optimizer=adam, epochs=EPOCHS, device="cpu"
                )

            def hand(factory: Any = factory, validation: Any = validation) -> Any:
                return by_hand(factory, train, validation)

            ratios = pairs(hand, ours, rounds)
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(f"  {name + what:36} ratio median {middle:.3f}, quartiles {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25)
