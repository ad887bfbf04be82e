"""The JSON Schema that editors use says what the reader says, and the catalogue is driven by the registries."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

import pytest_modelgate as mg
from pytest_modelgate.assertions import metrics as assertions
from pytest_modelgate.gatefiles import catalogue as catalogue_module
from pytest_modelgate.gatefiles.catalogue import catalogue, metric_of_helper, only_in_python
from pytest_modelgate.gatefiles.reading import read_gate_file
from pytest_modelgate.gatefiles.schema import FILE, json_schema, text
from pytest_modelgate.metrics import registry

MODEL = 'model: {factory: "a.b:C"}\ndata: {test: "a.b:test", train: "a.b:train", validation: "a.b:validation"}\n'
TRAIN = 'train: {factory: "a.b:C", optimizer: adam, epochs: 3, metrics: [recall]}\nloss: cross_entropy\n'


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_the_shipped_schema_is_up_to_date() -> None:
    shipped = (files("pytest_modelgate.gatefiles") / "modelgate.schema.json").read_text(encoding="utf-8")
    assert shipped == text(), "write it anew: python -m pytest_modelgate.gatefiles.schema"
    assert FILE.name == "modelgate.schema.json"


GOOD = [
    """\
model: {factory: "fraud.model:FraudNet", checkpoint: artifacts/fraud.safetensors}
data: {test: "fraud.data:load_test"}
loss: cross_entropy
gates:
  recall: {label: fraud, at_least: 0.90, confidence: 0.95}
  precision: {label: fraud, at_least: 0.40}
  loss: {at_most: 0.30}
  beats_majority_class: true
  no_regression: {metric: f1, margin: 0.01}
slices:
  region: {recall: {label: fraud, at_least: 0.80, min_support: 50}}
""",
    """\
predictions: {file: preds.csv, target: target, score: score, id: id, labels: [stays, churns], threshold: 0.5,
  slices: [region]}
gates: {recall: [{at_least: 0.8}, {at_least: 0.5, slice: region=north}], every_class_recall_at_least: 0.5}
""",
    TRAIN + MODEL.partition("\n")[2] + "gates: {loss_decreases: true, metric_improves: val_recall, no_leakage: true}\n",
    "train: {factory: 'a:b', fit: 'a:f', seed: 1}\ndata: {train: 'a:b'}\ngates: {loss_decreases: true}\n",
    MODEL + "labels: [0, 1]\ngates: {fbeta: {beta: 2, at_least: 0.5}, check_model: {export: false}}\n",
]
BAD = [  # wrong in one place that a schema can see
    MODEL + "gates: {recal: {at_least: 0.9}}\n",
    MODEL + "gates: {recall: 0.9}\n",
    MODEL + "gates: {recall: {at_least: 90}}\n",
    MODEL + "gates: {recall: {at_least: '0.9'}}\n",
    MODEL + "gates: {recall: {at_least: 0.9, at_most: 0.95}}\n",
    MODEL + "gates: {recall: {label: a}}\n",
    MODEL + "gates: {recall: []}\n",
    MODEL + "gates: {recall: {at_least: 0.9, label: a, average: macro}}\n",
    MODEL + "gates: {recall: {at_least: 0.9, confidence: 1}}\n",
    MODEL + "gates: {recall: {at_least: 0.9, if_unsure: red}}\n",
    MODEL + "gates: {beats_majority_class: false}\n",
    MODEL + "gates: {no_regression: {margin: 0.1}}\n",
    MODEL + "gates: {no_regression: {metric: nope}}\n",
    MODEL + "gates: {}\n",
    MODEL,
    MODEL + "slices: {region: {no_leakage: true}}\n",
    MODEL + "slices: {region: {recall: {at_least: 0.5, slice: x}}}\n",
    MODEL + "threshold: 50\ngates: {recall: {at_least: 0.9}}\n",
    MODEL + "thresold: 0.5\ngates: {recall: {at_least: 0.9}}\n",
    "model: {factory: a.b.C}\ndata: {test: 'a:b'}\ngates: {recall: {at_least: 0.9}}\n",
    "predictions: {file: a.csv, target: t}\ngates: {recall: {at_least: 0.9}}\n",
    "predictions: {file: a.csv, target: t, score: s, label: l}\ngates: {recall: {at_least: 0.9}}\n",
    "train: {factory: 'a:b', fit: 'a:f', epochs: 1}\ndata: {train: 'a:b'}\ngates: {loss_decreases: true}\n",
    "train: {factory: 'a:b'}\nloss: x\ndata: {train: 'a:b'}\ngates: {loss_decreases: true}\n",
    "train: {factory: 'a:b', optimizer: adam}\nloss: x\ndata: {train: 'a:b'}\ngates: {loss_decreases: true}\n",
]


def accepted(folder: Path, words: str) -> bool:
    file = folder / "x.modelgate.yaml"
    file.write_text(words)
    try:
        read_gate_file(file, root=folder)
    except mg.GateFileError:
        return False
    return True


@pytest.mark.parametrize("words", GOOD)
def test_what_the_reader_takes_the_schema_takes(validator: Any, tmp_path: Path, words: str) -> None:
    assert accepted(tmp_path, words)
    validator.validate(yaml.safe_load(words))


@pytest.mark.parametrize("words", BAD)
def test_what_the_schema_refuses_the_reader_refuses(validator: Any, tmp_path: Path, words: str) -> None:
    assert not validator.is_valid(yaml.safe_load(words))
    assert not accepted(tmp_path, words)


def smallest(name: str) -> str:
    """A gate as short as it can be."""
    entry = catalogue()[name]
    if entry.metric is not None:
        return f"{{at_least: {max(entry.metric.lowest, -1)}}}"
    values = {"metric": "f1", "name": "val_loss"}
    given = ", ".join(f"{key}: {values.get(key, 0.1 if key != 'by' else 'region')}" for key in entry.required)
    return f"{{{given}}}" if given else "true"


def sample_file(name: str) -> str:
    entry = catalogue()[name]
    head = TRAIN + MODEL.partition("\n")[2] if entry.kind == "history" else MODEL
    return f"{head}gates:\n  {name}: {smallest(name)}\n"


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_gate_can_be_written(validator: Any, tmp_path: Path, name: str) -> None:
    words = sample_file(name)
    assert accepted(tmp_path, words)
    validator.validate(yaml.safe_load(words))


def test_every_metric_and_every_assertion_has_its_place() -> None:
    names = [name.removeprefix("assert_") for name in mg.__all__ if name.startswith("assert_")]
    told = [name for name in names if name in catalogue() or metric_of_helper(name) or name in only_in_python()]
    assert sorted(set(names) - set(told)) == ["metric"]
    assert set(registry.METRICS) <= set(catalogue())
    assert set(only_in_python()) == {"chance_on_shuffled_labels", "over_seeds", "training_reproducible"}


@pytest.fixture
def fresh_catalogue() -> Any:
    """The catalogue is made once a process; here it is made anew, before and behind the test."""
    for cached in (catalogue, only_in_python):
        cached.cache_clear()
    yield catalogue_module
    for cached in (catalogue, only_in_python):
        cached.cache_clear()


def test_a_metric_that_is_added_to_the_registry_can_be_gated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_catalogue: Any
) -> None:
    new = replace(registry.METRICS["recall"], name="gmean", title="geometric mean")
    grown: Mapping[str, Any] = {**registry.METRICS, "gmean": new}
    for module in [module for name, module in sys.modules.items() if name.startswith("pytest_modelgate")]:
        if getattr(module, "METRICS", None) is registry.METRICS and module is not registry:
            monkeypatch.setattr(module, "METRICS", grown)
    monkeypatch.setattr(registry, "METRICS", grown)
    assert accepted(tmp_path, MODEL + "gates: {gmean: {at_least: 0.9, label: a}, no_regression: gmean}\n")
    assert "gmean" in json.dumps(json_schema())


def test_an_argument_that_an_assertion_gains_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_catalogue: Any
) -> None:
    def assert_beats_majority_class(
        evidence: object, *, confidence: float | None = None, patience: int = 3, hook: Any = None
    ) -> None:
        """Fail unless the model is better than most."""

    monkeypatch.setattr(mg, "assert_beats_majority_class", assert_beats_majority_class)
    assert assertions.assert_beats_majority_class is not assert_beats_majority_class
    assert accepted(tmp_path, MODEL + "gates: {beats_majority_class: {patience: 4}}\n")
    assert not accepted(tmp_path, MODEL + "gates: {beats_majority_class: {patience: 4.5}}\n")
    assert not accepted(tmp_path, MODEL + "gates: {beats_majority_class: {hook: a}}\n")
