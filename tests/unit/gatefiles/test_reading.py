"""What a good gate file is read to: the published examples, every section, every way of writing a gate."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import pytest_modelgate as mg
from pytest_modelgate.gatefiles.catalogue import catalogue
from pytest_modelgate.gatefiles.definitions import GateFile, GateSpec, ModelSpec, PredictionsSpec, TrainSpec
from pytest_modelgate.gatefiles.reading import read_gate_file

MODEL = 'model: {factory: "a.b:C"}\ndata: {test: "a.b:test", train: "a.b:train"}\n'
PREDICTIONS = "predictions: {file: preds.csv, target: target, score: score, id: id, slices: [region]}\n"
TRAIN = (
    'train: {factory: "a.b:C", optimizer: adam, epochs: 3}\nloss: mse_loss\n'
    'data: {test: "a.b:d", train: "a.b:t", validation: "a.b:v"}\n'
)


def read(folder: Path, text: str, name: str = "fraud.modelgate.yaml") -> GateFile:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return read_gate_file(file, root=folder)


def only(folder: Path, text: str) -> GateSpec:
    (gate,) = read(folder, text).gates
    return gate


PUBLISHED = """\
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
"""


def test_the_published_example_of_a_model(tmp_path: Path) -> None:
    file = read(tmp_path, PUBLISHED)
    assert file.shown == "fraud.modelgate.yaml"
    assert file.path == tmp_path / "fraud.modelgate.yaml"
    checkpoint = tmp_path.resolve() / "artifacts" / "fraud.safetensors"
    assert file.model == ModelSpec(factory="fraud.model:FraudNet", checkpoint=checkpoint, trust=False, line=1)
    assert (file.train, file.predictions) == (None, None)
    assert file.data == {"test": "fraud.data:load_test"}
    assert file.settings == {"loss": "cross_entropy"}
    assert [(gate.title, gate.stem, gate.line) for gate in file.gates] == [
        ("recall[fraud] >= 0.90", "recall[fraud]", 5),
        ("precision[fraud] >= 0.40", "precision[fraud]", 6),
        ("loss <= 0.30", "loss", 7),
        ("beats_majority_class", "beats_majority_class", 8),
        ("no_regression(f1, margin=0.01)", "no_regression(f1)", 9),
        ("region: recall[fraud] >= 0.80", "region: recall[fraud]", 11),
    ]
    assert [gate.kind for gate in file.gates] == [*["metric"] * 3, "evaluation", "regression", "metric"]
    assert [gate.by for gate in file.gates] == [*[None] * 5, "region"]
    assert file.gates[0].arguments == {"label": "fraud", "at_least": 0.9, "confidence": 0.95}
    assert file.gates[4].arguments == {"metric": "f1", "margin": 0.01}
    assert file.gates[5].arguments == {"label": "fraud", "at_least": 0.8, "min_support": 50}
    assert file.lines["loss"] == 3
    assert file.lines["data.test"] == 2


def test_the_published_example_of_predictions(tmp_path: Path) -> None:
    text = (
        "predictions: {file: preds.csv, target: target, score: score, id: id, labels: [stays, churns], "
        "threshold: 0.5, slices: [region]}\ngates: {recall: [{at_least: 0.8}, {label: stays, at_least: 0.7}]}\n"
    )
    file = read(tmp_path, text)
    assert file.predictions == PredictionsSpec(
        file=tmp_path.resolve() / "preds.csv",
        target="target",
        preds="score",
        outputs="probabilities",
        id="id",
        labels=("stays", "churns"),
        threshold=0.5,
        slices=("region",),
        line=1,
    )
    assert [gate.title for gate in file.gates] == ["recall >= 0.8", "recall[stays] >= 0.7"]
    assert (file.model, file.data, file.settings) == (None, {}, {})


def test_a_training(tmp_path: Path) -> None:
    text = """\
train:
  factory: shop.model:Net
  optimizer: {name: sgd, lr: 1e-2, nesterov: true, betas: [0.9, 0.99]}
  epochs: 20
  batch_size: 64
  seed: 0
  early_stopping: 3
  clip_norm: 1
  class_weights: balanced
  metrics: {recall: {label: 1}}
data: {train: "shop.data:train", validation: "shop.data:validation", test: "shop.data:test"}
loss: shop.losses:focal
labels: [0, 1]
threshold: 0.4
batch_size: 512
gates:
  loss_decreases: true
  no_overfitting: {if_unsure: fail}
  metric_improves: val_recall
  generalization_gap_at_most: {metric: recall, label: 1, gap: 0.05}
  no_leakage: {near: true}
  check_model: {export: false, frozen: [head.weight]}
"""
    file = read(tmp_path, text)
    assert file.train == TrainSpec(
        factory="shop.model:Net",
        optimizer="sgd",
        optimizer_arguments={"lr": 0.01, "nesterov": True, "betas": [0.9, 0.99]},
        epochs=20,
        batch_size=64,
        seed=0,
        early_stopping=3,
        options={"clip_norm": 1, "class_weights": "balanced", "metrics": {"recall": {"label": 1}}},
        line=1,
    )
    settings = {"loss": "shop.losses:focal", "labels": (0, 1), "threshold": 0.4, "batch_size": 512}
    assert file.settings == settings
    assert [(gate.title, gate.kind, gate.assertion, dict(gate.arguments)) for gate in file.gates] == [
        ("loss_decreases", "history", "assert_loss_decreases", {}),
        ("no_overfitting", "history", "assert_no_overfitting", {"if_unsure": "fail"}),
        ("metric_improves(val_recall)", "history", "assert_metric_improves", {"name": "val_recall"}),
        (
            "generalization_gap_at_most(recall[1], 0.05)",
            "generalization",
            "assert_generalization_gap_at_most",
            {"metric": "recall", "label": 1, "gap": 0.05},
        ),
        ("no_leakage", "data", "assert_no_leakage", {"near": True}),
        ("check_model", "wiring", "check_model", {"export": False, "frozen": ("head.weight",)}),
    ]


def test_a_loop_of_ones_own(tmp_path: Path) -> None:
    text = """\
train: {factory: "shop.model:Net", fit: "shop.training:fit", seed: 3}
data: {train: "shop.data:train", test: "shop.data:test"}
outputs: logits
gates: {loss_decreases: true, metric_improves: val_recall, no_overfitting: true, recall: {at_least: 0.9}}
"""
    file = read(tmp_path, text)
    assert file.train == TrainSpec(factory="shop.model:Net", fit="shop.training:fit", seed=3, line=1)
    assert file.settings == {"outputs": "logits"}


GATES = [  # what is written, title, stem, arguments
    ("recall: {at_least: 0.90}", "recall >= 0.90", "recall", {"at_least": 0.9}),
    ("recall: {at_least: 1}", "recall >= 1", "recall", {"at_least": 1}),
    ("recall: {average: macro, at_least: .5}", "recall[macro] >= .5", "recall[macro]", {"average": "macro"}),
    ("recall: {label: 0, at_least: 0.5}", "recall[0] >= 0.5", "recall[0]", {"label": 0}),
    ('recall: {label: "0", at_least: 0.5}', "recall[0] >= 0.5", "recall[0]", {"label": "0"}),
    ("recall: {label: no, at_least: 0.5}", "recall[no] >= 0.5", "recall[no]", {"label": "no"}),
    ('recall: {label: "a\\nb", at_least: 0.5}', r"recall[a\nb] >= 0.5", r"recall[a\nb]", {"label": "a\nb"}),
    ("recall: {label: grün, at_least: 0.5}", "recall[grün] >= 0.5", "recall[grün]", {"label": "grün"}),
    ("recall: {slice: region=north, at_least: 0.5}", "recall on region=north >= 0.5", "recall on region=north", {}),
    ("false_positive_rate: {at_most: 1e-3}", "false_positive_rate <= 1e-3", "false_positive_rate", {"at_most": 0.001}),
    ("r2: {at_least: -2.5}", "r2 >= -2.5", "r2", {"at_least": -2.5}),
    ("fbeta: {beta: 2, at_least: 0.5}", "fbeta(beta=2) >= 0.5", "fbeta(beta=2)", {"beta": 2}),
    ("top_k_accuracy: {k: 3, at_least: 0.5}", "top_k_accuracy(k=3) >= 0.5", "top_k_accuracy(k=3)", {"k": 3}),
    ("beats_majority_class: {confidence: 0.99}", "beats_majority_class", "beats_majority_class", {"confidence": 0.99}),
    (
        "every_class_recall_at_least: 0.80",
        "every_class_recall_at_least(0.80)",
        "every_class_recall_at_least",
        {"bar": 0.8},
    ),
    (
        "every_class_recall_at_least: {bar: 0.80, if_unsure: fail}",
        "every_class_recall_at_least(0.80)",
        "every_class_recall_at_least",
        {"bar": 0.8, "if_unsure": "fail"},
    ),
    ("no_regression: f1", "no_regression(f1)", "no_regression(f1)", {"metric": "f1"}),
    (
        "no_regression: {metric: fbeta, beta: 2, label: fraud, margin: 0.010}",
        "no_regression(fbeta(beta=2)[fraud], margin=0.010)",
        "no_regression(fbeta(beta=2)[fraud])",
        {"metric": "fbeta", "beta": 2, "label": "fraud", "margin": 0.01},
    ),
    ("same_distribution: {at_most: 0.1}", "same_distribution(at_most=0.1)", "same_distribution", {"at_most": 0.1}),
    ("no_label_leakage: true", "no_label_leakage", "no_label_leakage", {}),
]


@pytest.mark.parametrize(("text", "title", "stem", "arguments"), GATES)
def test_a_gate_is_named_as_it_is_written_and_its_stem_without_the_bar(
    tmp_path: Path, text: str, title: str, stem: str, arguments: dict[str, object]
) -> None:
    gate = only(tmp_path, f"{MODEL}gates:\n  {text}\n")
    assert (gate.title, gate.stem, gate.line) == (title, stem, 4)
    assert {name: gate.arguments[name] for name in arguments} == arguments


def test_the_stem_stays_where_the_bar_moves_and_nothing_else_does(tmp_path: Path) -> None:
    low, high = (only(tmp_path, f"{MODEL}gates: {{recall: {{at_least: {bar}}}}}\n") for bar in ("0.8", "0.90"))
    assert low.stem == high.stem
    assert replace(low, title=high.title, arguments=high.arguments) == high


def test_each_gate_of_a_list_has_its_own_line(tmp_path: Path) -> None:
    text = f"""{MODEL}gates:
  recall:
    - {{at_least: 0.9}}
    - at_least: 0.8
      label: a
  no_regression:
    - f1
    - {{metric: recall}}
  precision:
    at_least: 0.3
"""
    assert [gate.line for gate in read(tmp_path, text).gates] == [5, 6, 9, 10, 11]


def test_gates_under_slices_name_their_column(tmp_path: Path) -> None:
    text = f"""{PREDICTIONS}slices:
  region:
    recall: [{{at_least: 0.8}}, {{at_least: 0.7, min_support: 5}}]
    every_class_recall_at_least: 0.5
    no_regression: {{metric: f1, margin: 0.02, min_support: 50}}
"""
    gates = read(tmp_path, text).gates
    assert {gate.by for gate in gates} == {"region"}
    assert [gate.title for gate in gates] == [
        "region: recall >= 0.8",
        "region: recall >= 0.7",
        "region: every_class_recall_at_least(0.5)",
        "region: no_regression(f1, margin=0.02)",
    ]
    assert gates[2].stem == "region: every_class_recall_at_least"
    assert gates[3].arguments["min_support"] == 50


def test_a_gap_between_slices(tmp_path: Path) -> None:
    gate = only(
        tmp_path, f"{PREDICTIONS}gates:\n  gap_at_most: {{metric: recall, by: region, at_most: 0.05, min_support: 9}}"
    )
    assert (gate.kind, gate.assertion) == ("gap", "assert_gap_at_most")
    assert (gate.title, gate.stem) == ("gap_at_most(recall by region, 0.05)", "gap_at_most(recall by region)")
    assert gate.arguments == {"metric": "recall", "by": "region", "at_most": 0.05, "min_support": 9}
    assert gate.by is None


@pytest.mark.parametrize("text", [text for text, *_ in GATES])
def test_the_assertion_takes_the_arguments(tmp_path: Path, text: str) -> None:
    gate = only(tmp_path, f"{MODEL}gates:\n  {text}\n")
    signature = inspect.signature(getattr(mg, gate.assertion))
    supplied = catalogue()[gate.name].supplied
    on = {"metric": gate.name} if gate.kind == "metric" else {}
    signature.bind(**dict.fromkeys(supplied), **on, **gate.arguments)


PREDICTED = [
    ("score: p", "p", "probabilities"),
    ("score: [p]", "p", "probabilities"),
    ("score: [p0, p1, p2], outputs: logits", ("p0", "p1", "p2"), "logits"),
    ("label: guess", "guess", "labels"),
    ("value: price", "price", "values"),
]


@pytest.mark.parametrize(("text", "preds", "outputs"), PREDICTED)
def test_what_the_predicted_columns_are(tmp_path: Path, text: str, preds: object, outputs: str) -> None:
    gates = "gates: {mae: {at_most: 1}}" if outputs == "values" else "gates: {recall: {label: 0, at_least: 0.1}}"
    file = read(tmp_path, f"predictions: {{file: p.npz, target: t, {text}}}\n{gates}\n")
    assert file.predictions is not None
    assert (file.predictions.preds, file.predictions.outputs) == (preds, outputs)
    assert (file.predictions.id, file.predictions.labels, file.predictions.slices) == (None, None, ())


def test_paths_start_at_the_folder_of_the_file_and_may_pass_through_another_of_the_project(tmp_path: Path) -> None:
    text = MODEL.replace('"a.b:C"', '"a.b:C", checkpoint: ../weights/m.pt, trust: true') + "gates: {loss: {at_most: 1}}"
    file = read(tmp_path, text, "gates/nested.modelgate.yaml")
    assert file.shown == "gates/nested.modelgate.yaml"
    assert file.model is not None
    assert file.model.checkpoint == tmp_path.resolve() / "weights" / "m.pt"
    assert file.model.trust


def test_a_checkpoint_may_be_the_whole_model(tmp_path: Path) -> None:
    file = read(tmp_path, 'model: {checkpoint: m.onnx}\ndata: {test: "a:b"}\ngates: {recall: {at_least: 0.5}}')
    assert file.model is not None
    assert file.model.factory is None


def test_gates_on_data_need_no_model(tmp_path: Path) -> None:
    file = read(tmp_path, 'data: {train: "a:b", test: "a:c"}\ngates: {no_leakage: true, same_distribution: true}')
    assert file.model is None
    assert [gate.kind for gate in file.gates] == ["data", "data"]
    read(tmp_path, 'data: {train: "a:b"}\ngates: {no_label_leakage: {at: 0.9}}')


def test_a_check_of_a_models_wiring_takes_a_batch_of_either_set(tmp_path: Path) -> None:
    for data in ("train", "test"):
        only(tmp_path, f'model: {{factory: "a:b"}}\ndata: {{{data}: "a:c"}}\ngates: {{check_model: true}}\n')


def test_histories_alone_need_no_test_data(tmp_path: Path) -> None:
    text = TRAIN.replace('test: "a.b:d", ', "") + "gates: {no_overfitting: true, metric_improves: val_loss}"
    assert [gate.kind for gate in read(tmp_path, text).gates] == ["history", "history"]


def test_byte_order_mark_windows_line_ends_and_block_style_change_nothing(tmp_path: Path) -> None:
    plain = read(tmp_path, PUBLISHED)
    file = tmp_path / "fraud.modelgate.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + PUBLISHED.replace("\n", "\r\n").encode())
    assert read_gate_file(file, root=tmp_path) == plain


def test_reading_imports_neither_torch_nor_pytest(tmp_path: Path) -> None:
    read(tmp_path, PUBLISHED)
    code = (
        "import sys; from pytest_modelgate.gatefiles.reading import read_gate_file;"
        "read_gate_file(sys.argv[1], root='.');"
        "print([name for name in ('torch', 'pytest', 'scipy', 'sklearn') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, "fraud.modelgate.yaml"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
