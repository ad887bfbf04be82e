"""What `--modelgate-mutate` costs: an evaluation with its faulted twins, over as many evaluations as there are models.

    python tests/benchmarks/bench_mutation.py [rounds]

Each round times an evaluation alone and one with twins, in turns; the ratio is theirs over (faults + 1), without and
with the settling of four gates (accuracy, the recall of every class, macro F1 and loss) on all twins.
The target is at most 1.1 for a model of a million parameters. torch runs on one thread.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
from torch import nn

from pytest_modelgate import EveryClassRecall, Gate, evaluate
from pytest_modelgate.checks.mutation.settling import settle_on_twins
from pytest_modelgate.checks.mutation.twins import Mutator
from pytest_modelgate.runtime import observing

LOSS = nn.CrossEntropyLoss()
GATES = (
    Gate("accuracy", at_least=0.1, allow_vacuous=True),
    Gate("f1", at_least=0.1, average="macro"),
    Gate("loss", at_most=9.0),
)


def mlp() -> nn.Module:
    """1.07 million parameters."""
    return nn.Sequential(
        nn.Linear(784, 1024), nn.ReLU(), nn.Dropout(0.2), nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 10)
    )


def cnn() -> nn.Module:
    """1.01 million parameters."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Conv2d(128, 256, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )


class Encoder(nn.Module):
    """1.1 million parameters: an embedding, two layers of a transformer, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 160)
        layer = nn.TransformerEncoderLayer(160, 4, 1024, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(160, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embedding(tokens)).mean(dim=1))


def seconds(
    model: nn.Module, data: tuple[torch.Tensor, torch.Tensor], mutator: Mutator | None
) -> tuple[float, float, int]:
    """CPU seconds of one evaluation, and of settling the gates on its twins, and how many faults it had."""
    if mutator is not None:
        observing.install(mutator)
    begin = time.process_time()
    found = evaluate(model, data, loss=LOSS, batch_size=256)
    spent = time.process_time() - begin
    if mutator is not None:
        observing.remove(mutator)
    twins = found.origin.derivation.twins
    assert (twins is None) == (mutator is None)
    begin = time.process_time()
    if twins is not None:
        for gate in GATES:
            settle_on_twins(gate.check(found), [found], gate.glance)
        classes = EveryClassRecall(0.1)
        settle_on_twins(classes.check(found), [found], classes.check)
    return spent, time.process_time() - begin, 0 if twins is None else len(twins.faults)


def report(name: str, model: nn.Module, data: tuple[torch.Tensor, torch.Tensor], rounds: int) -> None:
    """Evaluations in turns, after a round that does not count."""
    ratios, settled, faults = [], [], 0
    for number in range(rounds + 1):
        alone = statistics.mean([seconds(model, data, None)[0] for _ in range(2)])
        together, settling, faults = seconds(model, data, Mutator())
        if number:
            ratios.append(together / alone / (faults + 1))
            settled.append((together + settling) / alone / (faults + 1))
    low, middle, high = statistics.quantiles(ratios, n=4)
    gates = statistics.median(settled)
    parameters = sum(one.numel() for one in model.parameters())
    print(
        f"  {name:20} {parameters:9,} parameters, {faults} faults: median {middle:.3f}, {low:.3f} to {high:.3f}; "
        f"with gates {gates:.3f}"
    )


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("an evaluation with twins, over (faults + 1) evaluations (at most 1.1)")
    classes = torch.randint(0, 4, (2048,))
    report("MLP", mlp(), (torch.randn(2048, 784), classes), rounds)
    report("CNN", cnn(), (torch.randn(256, 3, 32, 32), classes[:256]), rounds)
    report("transformer", Encoder(), (torch.randint(0, 1000, (256, 16)), classes[:256]), rounds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
