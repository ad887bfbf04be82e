"""Every form of the same data gives the same evaluation, however it is cut into batches."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from pytest_modelgate import Evaluation, evaluate

N, FEATURES, CLASSES = 130, 5, 4
X = torch.randn(N, FEATURES, generator=torch.Generator().manual_seed(1))
Y = torch.randint(CLASSES, (N,), generator=torch.Generator().manual_seed(2))


def linear(columns: int = CLASSES, *, seed: int = 3) -> nn.Module:
    """A model with a dropout that would show, were it left in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, columns))


MODEL = linear()


class Rows(Dataset):
    """A map-style data set that knows nothing of torch's conveniences."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return X[index], int(Y[index])


class Stream(IterableDataset):
    """A data set without a length."""

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return iter(zip(X, Y, strict=True))


def batches(size: int = 50) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(X[i : i + size], Y[i : i + size]) for i in range(0, N, size)]


def read_only(array: np.ndarray) -> np.ndarray:
    """As pandas, memory maps and broadcasts give them."""
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS: dict[str, Any] = {
    "DataLoader": lambda: DataLoader(TensorDataset(X, Y), batch_size=33),
    "shuffled DataLoader": lambda: DataLoader(TensorDataset(X, Y), batch_size=33, shuffle=True),
    "TensorDataset": lambda: TensorDataset(X, Y),
    "Dataset": Rows,
    "IterableDataset": Stream,
    "pair of tensors": lambda: (X, Y),
    "list of two tensors": lambda: [X, Y],
    "pair of arrays": lambda: (X.numpy(), Y.numpy()),
    "pair of float64 arrays": lambda: (X.numpy().astype(np.float64), Y.numpy().astype(np.int32)),
    "pair with float targets": lambda: (X, Y.double()),
    "pair with targets [N, 1]": lambda: (X, Y[:, None]),
    "pair of read-only arrays": lambda: (read_only(X.numpy()), read_only(Y.numpy())),
    "pair of reversed views": lambda: (X.numpy()[::-1], Y.numpy()[::-1]),
    "pair of Fortran-ordered arrays": lambda: (np.asfortranarray(X.numpy()), Y.numpy().astype(np.uint8)),
    "pair of tensor and array": lambda: (X, Y.numpy()),
    "list of batches": batches,
    "list of lists": lambda: [[x, y] for x, y in batches()],
    "list of array batches": lambda: [(x.numpy(), y.numpy()) for x, y in batches()],
    "list of two batches": lambda: batches(100),
    "batches with list targets": lambda: [(x, y.tolist()) for x, y in batches()],
    "generator": lambda: (batch for batch in batches(7)),
    "tuple of batches": lambda: tuple(batches(9)),
}


@pytest.fixture(scope="module")
def expected() -> Evaluation:
    """By torch and scikit-learn alone."""
    MODEL.eval()
    with torch.no_grad():
        logits = MODEL(X)
    found = evaluate(MODEL, (X, Y), loss=nn.CrossEntropyLoss(), batch_size=N)
    matrix = sk.confusion_matrix(Y, logits.argmax(1), labels=range(CLASSES))
    assert found.confusion_matrix.counts.tolist() == matrix.tolist()
    assert found.loss == pytest.approx(nn.functional.cross_entropy(logits, Y).item(), abs=1e-6)
    for k in range(1, CLASSES):
        assert found.metric("top_k_accuracy", k=k) == sk.top_k_accuracy_score(Y, logits, k=k, labels=range(CLASSES))
    assert (found.n, found.task, found.outputs, found.threshold) == (N, "multiclass", "logits", None)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same(form: str, expected: Evaluation) -> None:
    found = evaluate(MODEL, FORMS[form](), loss=nn.CrossEntropyLoss())
    assert found.confusion_matrix == expected.confusion_matrix
    assert found.ranks == expected.ranks
    assert (found.n, found.task, found.labels) == (N, "multiclass", (0, 1, 2, 3))
    assert found.loss == pytest.approx(expected.loss, abs=1e-6)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("keep", ["auto", "counts", "scores"])
def test_the_batch_size_does_not_matter(size: int, keep: str, expected: Evaluation) -> None:
    found = evaluate(MODEL, (X, Y), loss="cross_entropy", batch_size=size, keep=keep)
    assert found.confusion_matrix == expected.confusion_matrix
    assert found.loss == pytest.approx(expected.loss, abs=1e-6)
    assert (found.ranks == expected.ranks) is (keep != "counts")
    if keep == "scores":
        MODEL.eval()
        with torch.no_grad():
            probabilities = MODEL(X).softmax(1).double().numpy()
        for k in range(CLASSES):
            area = sk.roc_auc_score(k == Y, probabilities[:, k])
            assert found.metric("roc_auc", label=k) == pytest.approx(area, abs=1e-6)


def test_parts_merge_to_the_whole(expected: Evaluation) -> None:
    parts = [evaluate(MODEL, batch, loss="cross_entropy") for batch in batches(40)]
    whole = parts[0] + parts[1] + parts[2] + parts[3]
    assert whole.confusion_matrix == expected.confusion_matrix
    assert whole.ranks == expected.ranks
    assert whole.loss == pytest.approx(expected.loss, abs=1e-6)


def test_many_samples_are_counted_in_chunks() -> None:
    """More than are held back before they are counted."""
    x = torch.randn(70_000, 1, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0.3).long()
    found = evaluate(nn.Identity(), (x, y), loss=nn.BCEWithLogitsLoss(), batch_size=9_999)
    expected = sk.confusion_matrix(y, x[:, 0] >= 0)
    assert found.confusion_matrix.counts.tolist() == expected.tolist()
    assert found.metric("roc_auc") == sk.roc_auc_score(y, x[:, 0])
    assert found.loss == pytest.approx(
        nn.functional.binary_cross_entropy_with_logits(x[:, 0].double(), y.double()).item(), abs=1e-6
    )


class Binary(nn.Module):
    """A binary model that gives its logit as [N], [N, 1] or [N, 2]."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.body, self.form = linear(1), form

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logit = self.body(x)
        return {"[N]": logit[:, 0], "[N, 1]": logit, "[N, 2]": torch.cat([-logit / 2, logit / 2], 1)}[self.form]


@pytest.mark.parametrize("form", ["[N]", "[N, 1]", "[N, 2]"])
@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
def test_binary_outputs_of_any_shape(form: str, outputs: str) -> None:
    model, target = Binary(form).eval(), (Y > 1).long()
    with torch.no_grad():
        logit = model.body(X)[:, 0]
    if outputs == "probabilities":
        model = nn.Sequential(model, nn.Softmax(1) if form == "[N, 2]" else nn.Sigmoid())
    found = evaluate(model, (X, target), outputs=outputs, labels=("ok", "fraud"), batch_size=32)
    assert (found.task, found.threshold, found.labels) == ("binary", 0.5, ("ok", "fraud"))
    assert found.confusion_matrix.counts.tolist() == sk.confusion_matrix(target, logit >= 0).tolist()
    assert found.metric("roc_auc") == pytest.approx(sk.roc_auc_score(target, logit), abs=1e-12)
    strict = sk.confusion_matrix(target, logit.sigmoid() >= 0.6)
    assert found.at_threshold(0.6).confusion_matrix.counts.tolist() == strict.tolist()
    directly = evaluate(model, (X, target), outputs=outputs, labels=("ok", "fraud"), threshold=0.6)
    assert directly.confusion_matrix == found.at_threshold(0.6).confusion_matrix


class TwoInputs(nn.Module):
    """A model that takes two named inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.body = MODEL

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.body(torch.cat([left, right], 1))


Pair = collections.namedtuple("Pair", ["left", "right"])


@pytest.mark.parametrize(
    "make",
    [
        lambda x: (x[:, :2], x[:, 2:]),
        lambda x: [x[:, :2], x[:, 2:]],
        lambda x: {"left": x[:, :2], "right": x[:, 2:]},
        lambda x: {"right": x[:, 2:].numpy(), "left": x[:, :2].numpy()},
        lambda x: collections.UserDict(left=x[:, :2], right=x[:, 2:]),
        lambda x: Pair(x[:, :2], x[:, 2:]),
    ],
    ids=["tuple", "list", "dict", "dict of arrays", "UserDict", "namedtuple"],
)
def test_models_with_several_inputs(make: Any, expected: Evaluation) -> None:
    found = evaluate(TwoInputs(), [(make(x), y) for x, y in batches()], loss=nn.CrossEntropyLoss())
    assert found.confusion_matrix == expected.confusion_matrix


class DictRows(Rows):
    """A data set of several named inputs, collated by the DataLoader."""

    def __getitem__(self, index: int) -> Any:
        return {"left": X[index, :2], "right": X[index, 2:]}, int(Y[index])


def test_a_dataset_of_dicts(expected: Evaluation) -> None:
    found = evaluate(TwoInputs(), DictRows(), loss=nn.CrossEntropyLoss(), batch_size=7)
    assert found.confusion_matrix == expected.confusion_matrix


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_other_precision(kind: torch.dtype) -> None:
    model = nn.Linear(FEATURES, CLASSES).to(kind)
    with torch.no_grad():
        logits = model.eval()(X.to(kind))
    for data in ((X.to(kind), Y), (X.numpy(), Y.numpy())):
        found = evaluate(model, data, loss=nn.CrossEntropyLoss(), batch_size=16)
        matrix = sk.confusion_matrix(Y, logits.float().argmax(1), labels=range(CLASSES))
        assert found.confusion_matrix.counts.tolist() == matrix.tolist()
        each = nn.functional.cross_entropy(logits, Y, reduction="none").double()
        assert found.loss == pytest.approx(each.mean().item(), rel=1e-6)


def test_integer_inputs_stay_integers() -> None:
    model = nn.Sequential(nn.Embedding(10, CLASSES), nn.Flatten())
    words = np.arange(10).reshape(10, 1)
    assert evaluate(model, (words, np.arange(10) % CLASSES), outputs="logits").n == 10


def test_labels_and_values_as_outputs() -> None:
    decided = evaluate(nn.Identity(), (torch.tensor([0, 2, 1, 1]), torch.tensor([0, 1, 1, 2])), outputs="labels")
    assert decided.confusion_matrix.counts.tolist() == sk.confusion_matrix([0, 1, 1, 2], [0, 2, 1, 1]).tolist()
    numbers = evaluate(nn.Identity(), (X[:, 0], X[:, 1]), loss=nn.MSELoss())
    assert (numbers.task, numbers.n, numbers.outputs, numbers.matrix) == ("regression", N, "values", None)
    assert numbers.loss == pytest.approx(sk.mean_squared_error(X[:, 1], X[:, 0]), abs=1e-6)


def test_ties_go_to_the_lowest_index() -> None:
    tied = torch.tensor([[2.0, 2.0, -1.0], [-1.0, 3.0, 3.0]])
    found = evaluate(nn.Identity(), (tied, torch.tensor([1, 1])), outputs="logits")
    assert found.confusion_matrix.counts.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_a_sample_at_the_threshold_is_positive() -> None:
    found = evaluate(nn.Identity(), (torch.tensor([0.0, -1.0]), torch.tensor([1, 0])), outputs="logits")
    assert found.confusion_matrix.counts.tolist() == [[1, 0], [0, 1]]
    found = evaluate(nn.Identity(), (torch.tensor([0.5, 0.4]), torch.tensor([1, 0])), outputs="probabilities")
    assert found.confusion_matrix.counts.tolist() == [[1, 0], [0, 1]]


def test_a_second_evaluation_is_equal() -> None:
    data = DataLoader(TensorDataset(X, Y), batch_size=10, shuffle=True)
    assert evaluate(MODEL, data, outputs="logits") == evaluate(MODEL, data, outputs="logits")
