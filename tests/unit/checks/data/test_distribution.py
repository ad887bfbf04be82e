"""What differs between two data sets, in every form that data come in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import EvidenceError
from pytest_modelgate.checks.data import distribution
from pytest_modelgate.checks.data.distribution import audit_distribution

RNG = np.random.default_rng(0)
OLD = RNG.normal(size=(300, 3)), RNG.integers(0, 3, 300)
NEW = RNG.normal([0, 1, 0], size=(100, 3)), RNG.integers(0, 2, 100)


def test_every_figure_by_hand() -> None:
    found = audit_distribution(OLD, NEW, names=["a", "b", "c"], confidence=0.9)
    assert [one.name for one in found.findings][:2] == ["class shares", "b"]
    for place, name in enumerate("abc"):
        theirs = stats.ks_2samp(OLD[0][:, place], NEW[0][:, place])
        assert found[name].estimate == pytest.approx(theirs.statistic)
    width = stats.kstwobign.isf(0.1) / 75**0.5
    assert found["b"].upper == pytest.approx(found["b"].estimate + width, abs=1e-6)
    assert found["b"].lower == pytest.approx(found["b"].estimate - stats.kstwobign.isf(0.1 / 4) / 75**0.5, abs=1e-6)
    shares = [np.bincount(target, minlength=3) / len(target) for _, target in (OLD, NEW)]
    assert found["class shares"].estimate == pytest.approx(np.abs(shares[0] - shares[1]).sum() / 2)
    assert (found.features, dict(found.sizes)) == (4, {"train": 300, "test": 100})


@pytest.mark.parametrize("form", ["tensors", "dataset", "loader", "batches"])
def test_every_form_is_the_same(form: str) -> None:
    tensors = [torch.tensor(part) for part in OLD]
    dataset = TensorDataset(*tensors)
    loader = DataLoader(dataset, batch_size=32, shuffle=True)
    train: Any = {"tensors": tuple(tensors), "dataset": dataset, "loader": loader, "batches": list(loader)}[form]
    assert audit_distribution(train, NEW) == audit_distribution(OLD, NEW)


def test_nested_inputs_have_names() -> None:
    def made(shift: float) -> Any:
        inputs = {"age": RNG.normal(size=200) + shift, "image": RNG.normal(size=(200, 1, 2, 2))}
        return inputs, np.zeros(200, dtype=int)

    found = audit_distribution(made(0), made(2))
    assert {one.name for one in found.findings} == {
        "class shares",
        "age",
        *(f"image feature {place}" for place in range(4)),
    }
    assert found.findings[1].name == "age"
    pair = (np.zeros(9), np.ones((9, 2)))
    found = audit_distribution((pair, np.arange(9) % 2), (pair, np.arange(9) % 2))
    assert {one.name for one in found.findings} == {
        "class shares",
        "input 0",
        "input 1 feature 0",
        "input 1 feature 1",
    }


@pytest.mark.parametrize("target", [OLD[0][:, 0], np.arange(300)])
def test_a_target_of_numbers_is_one_more_feature(target: Any) -> None:
    found = audit_distribution((OLD[0], target), (OLD[0], target + 500))
    assert found.findings[0].name == "target"
    assert found.findings[0].estimate == pytest.approx(1.0)
    assert found.features == 4
    assert "class shares" not in found
    both = np.stack((target, target), axis=1)
    assert "target 1" in audit_distribution((OLD[0], both), (OLD[0], both))


def test_missing_and_constant_values() -> None:
    gone = OLD[0].copy()
    gone[:150, 0] = np.nan
    gone[:, 1] = np.nan
    found = audit_distribution((gone, OLD[1]), OLD)
    assert found["feature 0"].estimate >= 0.5 - 1e-9
    assert "150 missing" in found["feature 0"].text
    assert "train has no value" in found["feature 1"].text
    constant = (np.ones((5, 1)), np.zeros(5, dtype=int))
    assert audit_distribution(constant, constant)["feature 0"].p == 1.0


def test_no_more_than_so_many_features_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "MOST_FEATURES", 2)
    monkeypatch.setattr(distribution, "MOST_ROWS", 200)
    found = audit_distribution(OLD, NEW, names=["a", "b", "c"])
    assert {"a", "c"} <= {one.name for one in found.findings}
    assert "b" not in found
    assert [one.text for one in found.findings if one.name == "left out"] == [
        "2 of 3 features looked at, evenly spread",
        "of train 200 of 300 rows looked at for features, drawn at random",
    ]
    assert found == audit_distribution(OLD, NEW, names=["a", "b", "c"])


@pytest.mark.parametrize(
    ("train", "test", "text"),
    [
        (OLD, (NEW[0][:, :2], NEW[1]), "train has 3 features and test 2"),
        (OLD, (NEW[0][:0], NEW[1][:0]), "test has no samples"),
        ([], NEW, "train has no samples"),
        (OLD, OLD[0][:, :1], "test: batch 0 is a ndarray"),
        ((np.zeros((5, 0)), OLD[1][:5]), (np.zeros((5, 0)), OLD[1][:5]), "no features"),
        ((OLD[0], OLD[1][:9]), NEW, "300 inputs and 9 targets"),
        ((OLD[0], OLD[0]), (NEW[0], NEW[0][:, 0]), "targets of other shapes"),
        (
            ({"a": np.zeros(5)}, np.zeros(5)),
            ({"b": np.zeros(5)}, np.zeros(5)),
            "train has 'a' where test has 'b'",
        ),
        ([(torch.zeros(4, 3), torch.zeros(4)), (torch.zeros(4, 2), torch.zeros(4))], NEW, "2 features after one of 3"),
        ([(torch.zeros(4, 3), torch.zeros(3))], NEW, "a batch of 4 inputs and 3 targets"),
    ],
)
def test_data_that_cannot_be_compared(train: Any, test: Any, text: str) -> None:
    with pytest.raises(EvidenceError, match=text):
        audit_distribution(train, test)


def test_names_that_do_not_fit() -> None:
    with pytest.raises(EvidenceError, match="2 names for 3 features"):
        audit_distribution(OLD, NEW, names=["a", "b"])
