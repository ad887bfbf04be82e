"""Lightning modules, their checkpoints, and LightningDataModules as data."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import EvidenceError, evaluate, load_model

lightning: Any = pytest.importorskip("lightning")

X = torch.randn(90, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


class Net(lightning.LightningModule):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, 2))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.net(inputs)

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        inputs, targets = batch
        return nn.functional.cross_entropy(self(inputs), targets)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.05)


class Data(lightning.LightningDataModule):
    def __init__(self, loaders: Any = None) -> None:
        super().__init__()
        self.stages: list[str] = []
        self.loaders = loaders

    def prepare_data(self) -> None:
        self.stages.append("prepare")

    def setup(self, stage: str) -> None:
        self.stages.append(stage)
        self.rows = TensorDataset(X[60:], Y[60:])

    def test_dataloader(self) -> Any:
        return DataLoader(self.rows, batch_size=8) if self.loaders is None else self.loaders(self.rows)


class WithoutTest(lightning.LightningDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(X, Y))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Net, Path]:
    """By Lightning's own trainer."""
    file = tmp_path_factory.mktemp("lightning") / "net.ckpt"
    torch.manual_seed(0)
    net = Net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice
        trainer = lightning.Trainer(
            max_epochs=5, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=file.parent,
        )  # fmt: skip
        trainer.fit(net, DataLoader(TensorDataset(X[:60], Y[:60]), batch_size=16))
    trainer.save_checkpoint(file)
    return net, file


def test_a_module_its_checkpoint_and_a_data_module(trained: tuple[Net, Path]) -> None:
    net, file = trained
    net.eval()
    with torch.no_grad():
        right = int((net(X[60:]).argmax(1) == Y[60:]).sum())
    assert right > 20
    found = evaluate(net, (X[60:], Y[60:]), loss=nn.CrossEntropyLoss())
    assert found.confusion_matrix.counts.trace() == right
    data = Data()
    assert evaluate(net, data, loss=nn.CrossEntropyLoss(), ids=range(30)).confusion_matrix == found.confusion_matrix
    assert data.stages == ["prepare", "test"]
    loaded = load_model(file, Net, device="cpu")
    assert evaluate(loaded, Data(), loss=nn.CrossEntropyLoss()).confusion_matrix == found.confusion_matrix


@pytest.mark.parametrize("loaders", [lambda rows: [DataLoader(rows)], lambda rows: {"one": DataLoader(rows)}])
def test_one_loader_in_a_list(loaders: Any) -> None:
    assert evaluate(Net(), Data(loaders), outputs="logits").n == 30


@pytest.mark.filterwarnings("ignore:.*pin_memory")
def test_a_data_module_from_data_sets() -> None:
    data = lightning.LightningDataModule.from_datasets(test_dataset=TensorDataset(X, Y), batch_size=8)
    assert evaluate(lambda rows: rows[:, 0], data, outputs="logits").metric("recall") == 1


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (WithoutTest(), {}, "WithoutTest has no test_dataloader; define one"),
        (Data(lambda rows: [DataLoader(rows)] * 2), {}, "Data has 2 test loaders; give one of them"),
        (Data(lambda rows: DataLoader(rows, shuffle=True)), {"ids": range(30)}, "may draw them in another"),
    ],
)
def test_bad_data_modules(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        evaluate(Net(), data, outputs="logits", **options)


def test_the_older_name() -> None:
    older = sys.modules.get("pytorch_lightning") or pytest.importorskip("pytorch_lightning")

    class Older(older.LightningDataModule):
        def test_dataloader(self) -> Any:
            return DataLoader(TensorDataset(X, Y), batch_size=8)

    assert evaluate(lambda rows: rows[:, 0], Older(), outputs="logits").n == 90
