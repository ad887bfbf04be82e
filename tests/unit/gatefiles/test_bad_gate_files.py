"""What a team member types wrongly: one line with file, line and remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_modelgate import GateFileError, ModelgateError
from pytest_modelgate.gatefiles.reading import read_gate_file

MODEL = 'model: {factory: "a.b:C"}\ndata: {test: "a.b:d"}\n'
TRAIN = (
    'train: {factory: "a.b:C", optimizer: adam, epochs: 3}\nloss: mse_loss\n'
    'data: {test: "a.b:d", train: "a.b:t", validation: "a.b:v"}\n'
)
ON = "predictions: {file: a.csv, target: t, score: s}\n"
ANY = "gates: {recall: {at_least: 0.5}}\n"


def refused(folder: Path, text: str | bytes) -> str:
    """The message, without the file's name: "7: unknown key ..."."""
    file = folder / "fraud.modelgate.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(GateFileError) as caught:
        read_gate_file(file, root=folder)
    message = str(caught.value)
    assert message.startswith("fraud.modelgate.yaml:")
    assert "\n" not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message.removeprefix("fraud.modelgate.yaml:")


def gates(text: str) -> str:
    return f"{MODEL}gates:\n  beats_majority_class: true\n  {text}\n"


# All on line 5: what is written under `gates:`, and what the message says.
OF_GATES = [
    ("recal: {at_least: 0.9}", "unknown key 'recal'; did you mean 'recall'?"),
    ("sensitivity: {at_least: 0.9}", "unknown key 'sensitivity': here it is called 'recall'"),
    ("F1-Score: {at_least: 0.9}", "unknown key 'F1-Score': here it is called 'f1'"),
    ("xyz: true", "unknown key 'xyz' (a metric, or an assertion's name without assert_)"),
    ("recall_at_least: 0.9", "unknown key 'recall_at_least': write recall: {at_least: ...}"),
    ("assert_loss_at_most: 0.9", "unknown key 'assert_loss_at_most': write loss: {at_most: ...}"),
    ("assert_no_regression: f1", "unknown key 'assert_no_regression': here it is called 'no_regression'"),
    ("over_seeds: {}", "assert_over_seeds takes functions or several models: write a Python test"),
    ("metric: {name: recall}", "a metric's name is the key, such as jaccard: {at_least: 0.7}"),
    ("slices: {region: {}}", "'slices' is no gate: slices: belongs at the top level; look at the indentation"),
    ("loss_decrease: true", "did you mean 'loss_decreases'?"),
    ("recall:{at_least: 0.9}", "put a space behind 'recall:'"),
    # a metric without its bar, with two, or with a bar that is none
    ("recall: 0.9", "recall: the number 0.9 is no gate; write recall: {at_least: 0.9}"),
    ("loss: 0.3", "write loss: {at_most: 0.3}"),
    ('recall: ">= 0.9"', "write recall: {at_least: 0.9}"),
    ("recall: < 0.9", "write recall: {at_most: 0.9}"),
    ("recall: true", "must be a mapping with its bar, not true; write recall: {at_least: ...}"),
    ("recall: high", "not the text 'high'; write recall: {at_least: ...}"),
    ("recall:", "recall: has no bar; write recall: {at_least: ...}"),
    ("recall: {}", "recall is empty"),
    ("recall: []", "recall: an empty list gates nothing"),
    ("recall: [[{at_least: 0.9}]]", "recall: a list within a list"),
    ("recall: [{at_least: 0.9}, 0.8]", "write recall: {at_least: 0.8}"),
    ("recall: {label: a}", "recall has no bar: give at_least: or at_most:"),
    ("recall: {at_least: 0.9, at_most: 0.95}", "recall has two bars"),
    ("recall: {at_least: '0.9'}", "at_least must be a number, not the text '0.9'; write 0.9, without quotes"),
    ("recall: {at_least: 90%}", "not the text '90%'; write 0.9"),
    ("recall: {at_least: '0,9'}", "not the text '0,9'; write 0.9"),
    ("recall: {at_least: 0,9}", "unknown key '9' under 'recall'; is it the rest of a decimal comma?"),
    ("recall: {at_least: '>= 0.9'}", "write 0.9 alone"),
    ("recall: {at_least: true}", "at_least must be a number, not true"),
    ("recall: {at_least: }", "at_least must be a number, not nothing"),
    ("recall: {at_least: [0.9]}", "at_least must be a number, not a list"),
    ("recall: {at_least: 90}", "at_least must be from 0 to 1, the range of recall, not 90; was 0.9 meant?"),
    ("recall: {at_least: -0.1}", "at_least must be from 0 to 1, the range of recall, not -0.1"),
    ("mcc: {at_least: -2}", "at_least must be from -1 to 1, the range of mcc, not -2"),
    ("mae: {at_most: -1}", "at_most must be 0 or more, the range of mae, not -1"),
    ("recall: {at_least: .nan}", "at_least must be a finite number, not .nan"),
    ("loss: {at_most: .inf}", "at_most must be a finite number, not .inf"),
    ("loss: {at_most: 1e999}", "at_most must be a finite number, not 1e999"),
    ("recall: {at_lest: 0.9}", "unknown key 'at_lest' under 'recall'; did you mean 'at_least'?"),
    ("recall: {min: 0.9}", "unknown key 'min' under 'recall': the bar is at_least: or at_most:"),
    ("recall: {at_least:0.9}", "put a space behind 'at_least:'"),
    ("recall: {at_least: 0.9, at_least: 0.8}", "the key 'at_least' stands twice on this line"),
    ("beats_majority_class: true", "the key 'beats_majority_class' stands on line 4 too"),
    # settings
    ("recall: {at_least: 0.9, confidence: 95}", "confidence must be from 0.5 to below 1, not 95; was 0.95 meant?"),
    ("recall: {at_least: 0.9, confidence: 1}", "confidence must be from 0.5 to below 1, not 1"),
    ("recall: {at_least: 0.9, if_unsure: warning}", "if_unsure cannot be 'warning'; did you mean 'warn'?"),
    ("recall: {at_least: 0.9, average: mean}", "average cannot be 'mean' (one of macro, micro, weighted)"),
    ("accuracy: {at_least: 0.9, average: macro}", "accuracy takes no average: 'macro'"),
    ("recall: {at_least: 0.9, label: a, average: macro}", "label: and average: exclude each other"),
    ("recall: {at_least: 0.9, label: true}", 'not true; a name goes in quotes: "true"'),
    ("recall: {at_least: 0.9, label: 1.5}", "label must be a class by name or index, not the number 1.5"),
    ("recall: {at_least: 0.9, anytime: yes}", "anytime must be true or false, not the text 'yes'; write true"),
    ("recall: {at_least: 0.9, threshold: 0.5}", "the decision threshold is at the top level"),
    ("recall: {at_least: 0.9, min_support: 5}", "'min_support' under 'recall': it is for gates under slices:"),
    ("recall: {at_least: 0.9, by_slice: region}", "put the gate under slices:"),
    ("recall: {at_least: 0.9, slice: 7}", 'slice must be a text, not the number 7; in quotes, "7", it is one'),
    ("loss: {at_most: 0.3, label: fraud}", "loss is one figure for all classes and takes no label ('fraud')"),
    ("fbeta: {at_least: 0.5, beta: -1}", "beta must be a number above 0, not -1"),
    ("fbeta: {at_least: 0.5, beta: '2'}", "beta must be a number, not the text '2'; write 2, without quotes"),
    ("recall: {at_least: 0.5, beta: 2}", "unknown key 'beta' under 'recall'"),
    # other gates
    ("no_leakage: yes", "not the text 'yes'; write true"),
    ("no_leakage: false", "false switches nothing off; to leave a gate out, delete the line"),
    ("no_leakage:", "no_leakage must be true, or a mapping of its settings, not nothing; write true"),
    ("check_model: {optimizer: adam}", "unknown key 'optimizer' under 'check_model': only a Python test can give it"),
    ("check_model: {frozen: head}", "frozen must be a list such as [a, b], not the text 'head'"),
    ("every_class_recall_at_least: true", "every_class_recall_at_least needs bar"),
    ("every_class_recall_at_least: 80", "a bar of 80 is outside the range of recall, 0 to 1; was 0.80 meant?"),
    ("every_class_recall_at_least: {at_least: 0.8}", "here the bar is called bar"),
    ("no_regression: {margin: 0.1}", "no_regression needs metric"),
    ("no_regression: {metric: f2}", "metric cannot be 'f2'; here it is called 'fbeta'"),
    ("no_regression: {metric: recal}", "metric cannot be 'recal'; did you mean 'recall'?"),
    ("no_regression: {metric: f1, margin: -0.1}", "margin must be 0 or more, not -0.1"),
    ("no_regression: {metric: f1, margin: 1}", "a margin of 1 lets f1 fall all the way; was 0.01 meant?"),
    ("no_regression: {metric: f1, beta: 2}", "unknown key 'beta' under 'no_regression'"),
    ("generalization_gap_at_most: {metric: f1, gap: 0.1}", "generalization_gap_at_most needs data.train"),
    ("gap_at_most: {metric: recall, at_most: 0.1}", "gap_at_most needs by: the column whose values are compared"),
    ("loss_decreases: true", "loss_decreases judges a training: it needs train: in this file"),
    ("no_leakage: true", "no_leakage needs data.train"),
]


@pytest.mark.parametrize(("text", "says"), OF_GATES)
def test_a_gate_that_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    message = refused(tmp_path, gates(text))
    assert message.startswith("5: ")
    assert says in message


# What the file holds, the line, and what the message says.
OF_FILES = [
    ("", 1, "the file is empty"),
    ("# only a comment\n", 1, "the file is empty"),
    ("null\n", 1, "the file is empty"),
    ("a text\n", 1, "a gate file is a mapping of keys such as model:, data: and gates:, not the text 'a text'"),
    ("\n- a\n", 2, "not a list"),
    (MODEL, 1, "there are no gates"),
    (MODEL + "gates:\n", 3, "gates: has no gates"),
    (MODEL + "gates: {}\n", 3, "gates is empty"),
    (MODEL + "gates:\n  - recall: {at_least: 0.9}\n", 4, "not a list; leave out the dashes"),
    (MODEL + "recall: {at_least: 0.9}\n", 3, "unknown key 'recall': it is a gate and belongs under gates:"),
    (MODEL + "thresold: 0.5\n", 3, "unknown key 'thresold'; did you mean 'threshold'?"),
    (MODEL + "device: cpu\n", 3, "--modelgate-device"),
    (MODEL + "<<: {loss: mse_loss}\n", 3, "unknown key '<<'"),
    (MODEL + "threshold: 50\n", 3, "threshold must be from 0 to 1, not 50; was 0.5 meant?"),
    (MODEL + "batch_size: 0\n", 3, "batch_size must be 1 or more, not 0"),
    (MODEL + "batch_size: 1.5\n", 3, "batch_size must be a whole number, not the number 1.5"),
    (MODEL + "loss: 5\n", 3, "loss must be a text"),
    (MODEL + "loss: cross entropy\n", 3, "loss must be written as package.module:callable"),
    (MODEL + "outputs: logit\n", 3, "outputs cannot be 'logit'; did you mean 'logits'?"),
    (MODEL + "ids: index\n", 3, "ids cannot be 'index'"),
    (MODEL + "labels: a\n", 3, "labels must be a list such as [a, b], not the text 'a'"),
    (MODEL + "labels: [a]\n", 3, "labels must have 2 entries or more, not 1"),
    (MODEL + "labels: [a, a]\n", 3, "labels: 'a' stands 2 times"),
    (MODEL + "labels: [true, false]\n", 3, 'not true; a name goes in quotes: "true"'),
    (MODEL + "labels: [a, b]\ngates:\n  recall: {at_least: 0.9, label: c}\n", 5, "unknown class 'c' (the classes are"),
    (MODEL + "labels: [fraud, ok]\ngates:\n  f1: {at_least: 0.9, label: frud}\n", 5, "did you mean 'fraud'?"),
    (MODEL + "labels: [a, b, c]\ngates: {recall: {at_least: 0.9}}\n", 4, "recall of 3 classes: say which with label:"),
    ("model: a.b:C\n", 1, 'model must be a mapping such as {factory: "package.module:callable"}'),
    ("model: {factory: a.b.C}\n", 1, "must be written as package.module:callable, not 'a.b.C'; was a.b:C meant?"),
    ("model: {factory: a/b.py:C}\n", 1, "was a.b:C meant?"),
    ('model: {factory: "a.b:C()"}\n', 1, "must be written as package.module:callable"),
    ('model: {factory: "a.b:C"}\n' + ANY, 1, "model: needs data:"),
    ('model: {trust: true}\ndata: {test: "a:b"}\n', 1, "model: needs a factory"),
    ('model: {factory: "a:b", trust: true}\ndata: {test: "a:b"}\n', 1, "trust: is for a checkpoint:"),
    ('model: {factory: "a:b", trust: yes}\n', 1, "trust must be true or false, not the text 'yes'; write true"),
    ('model: {factory: "a.b:C"}\ndata: {val: "a:b"}\n', 2, "unknown key 'val' under 'data': it is called validation"),
    ('model: {factory: "a.b:C"}\ndata: {train: "a:b"}\n' + ANY, 3, "recall needs data.test"),
    (
        'model: {factory: "a:b"}\ndata: {validation: "a:b"}\ngates: {check_model: true}\n',
        3,
        "check_model needs data.test",
    ),
    (ANY, 1, "recall needs something to judge"),
    ("data:\n  train: a:b\n  test: a:b\n", 3, "data.test is a:b, and so is data.train: each set has its own samples"),
    ("data:\n  validation: a:b\n  train: a:b\n", 2, "data.validation is a:b, and so is data.train"),
    ("data:\n  test: a:b\n  validation: a:b\n", 3, "data.validation is a:b, and so is data.test"),
    (MODEL + ON, 3, "model: and predictions: stand together"),
    (
        ON + "labels: [a, b]\n",
        2,
        "labels: is for a model, and this file is on predictions (it goes under predictions:)",
    ),
    (ON + 'data: {test: "a:b"}\n', 2, "data: is for a model"),
    (ON.replace(", score: s", ""), 1, "takes one of score:, label: and value:, and there is none"),
    (ON.replace("score: s", "score: s, label: l"), 1, "not score and label"),
    (ON.replace("score: s", "scor: s"), 1, "unknown key 'scor' under 'predictions'; did you mean 'score'?"),
    (ON.replace("score: s", "score: s, ids: i"), 1, "unknown key 'ids' under 'predictions': it is called id"),
    (ON.replace("score: s", "score: t"), 1, "the column 't' stands for both target: and score:"),
    (ON.replace("score: s", "label: l, threshold: 0.5"), 1, "threshold: decides on a score"),
    (ON.replace("score: s", "value: l, outputs: logits"), 1, "outputs: says what a score is"),
    (ON.replace("target: t, ", ""), 1, "predictions needs target"),
    (ON + "gates: {no_regression: f1}\n", 2, "no_regression compares sample by sample: name the column of ids"),
    (ON + "gates: {loss: {at_most: 0.5}}\n", 2, "predictions hold no loss"),
    (ON + "gates: {no_leakage: true}\n", 2, "no_leakage reads data, not predictions: it needs a file with data:"),
    (ON + "gates: {mae: {at_most: 0.5}}\n", 2, "mae is for a value: column, and predictions name score:"),
    (ON.replace("score", "value") + ANY, 2, "recall is for classes"),
    (ON.replace("score", "label") + "gates: {roc_auc: {at_least: 0.5}}\n", 2, "roc_auc needs scores"),
    (ON + "gates: {check_model: true}\n", 2, "check_model runs a model: it needs model: or train:"),
    (ON + "slices: {region: {recall: {at_least: 0.5}}}\n", 2, "must name 'region' under slices:, and there is none"),
    (
        ON.replace("score: s", "score: s, slices: regon") + "slices:\n  region: {recall: {at_least: 0.5}}\n",
        3,
        "did you mean 'regon'?",
    ),
    (ON + "gates: {recall: {at_least: 0.5, slice: region=a}}\n", 2, "must name 'region' under slices:"),
    (ON + "gates: {gap_at_most: {metric: f1, by: region, at_most: 0.5}}\n", 2, "must name 'region' under slices:"),
    (MODEL + "slices: {region: {gap_at_most: {metric: f1}}}\n", 3, "gap_at_most cannot be judged by slice"),
    (MODEL + "slices: {region: {no_leakage: true}}\n", 3, "no_leakage cannot be judged by slice"),
    (
        MODEL + "slices: {region: {recall: {at_least: 0.5, slice: x}}}\n",
        3,
        "'slice' under 'recall': the samples are cut",
    ),
    (MODEL + "slices: {region: {recall: {at_least: 0.5, min_support: 0}}}\n", 3, "min_support must be 1 or more"),
    (MODEL + "slices:\n  region:\n", 4, "slices.region must be a mapping of gates, not nothing"),
    (MODEL + "slices: [region]\n", 3, "slices must be a mapping"),
    ('train: {factory: "a:b", optimizer: adam, epochs: 0}\n', 1, "epochs must be 1 or more, not 0"),
    ('train: {factory: "a:b", optimizer: adam}\n', 1, "train needs epochs"),
    ('train: {factory: "a:b", epochs: 1}\n', 1, "train needs optimizer: such as adam"),
    ('train: {factory: "a:b"}\n', 1, "or fit:, your own loop"),
    ('train: {factory: "a:b", fit: fit}\n', 1, "fit must be written as package.module:callable"),
    ('train: {factory: "a:b", fit: "a:f", epochs: 3}\n', 1, "with fit: the loop is yours: epochs belongs into it"),
    (
        '# c\ntrain: {factory: "a:b", fit: "a:f", batch_size: 3, optimizer: adam}\n',
        2,
        "batch_size, optimizer belong into it",
    ),
    ('train: {factory: "a:b", optimizer: {lr: 0.1}, epochs: 1}\n', 1, "optimizer needs name"),
    ('train: {factory: "a:b", optimizer: adam, epochs: 1, lr: 3}\n', 1, "it belongs to the optimizer"),
    (TRAIN.replace("loss: mse_loss\n", "") + ANY, 1, "train: needs a loss:"),
    (TRAIN.replace(', train: "a.b:t"', "") + ANY, 3, "train: needs the training data"),
    (TRAIN.replace(', validation: "a.b:v"', "") + "gates: {no_overfitting: true}\n", 4, "needs data.validation"),
    (TRAIN + "gates: {metric_improves: val_recall}\n", 4, "logs no 'val_recall': add train: {metrics: [recall]}"),
    (
        TRAIN.replace(', validation: "a.b:v"', "").replace("epochs: 3", "epochs: 3, early_stopping: 2") + ANY,
        1,
        "early_stopping: needs the validation data",
    ),
]


@pytest.mark.parametrize(("text", "line", "says"), OF_FILES)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, line: int, says: str) -> None:
    message = refused(tmp_path, text)
    assert message.startswith(f"{line}: ")
    assert says in message


PATHS = [
    "/etc/passwd",
    "../x.pt",
    "a/../../x.pt",
    "C:/x.pt",
    r"a\x.pt",
    "~/x.pt",
    "link/x.pt",
    ".",
    "a\0b",
    "x" * 300,
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("text", ["model: {{checkpoint: {}}}\n", "predictions: {{target: t, score: s, file: {}}}\n"])
def test_a_path_that_leaves_the_project(tmp_path: Path, text: str, path: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    try:
        os.symlink(tmp_path, project / "link")
    except OSError:
        if path.startswith("link"):
            pytest.skip("this system lets nobody make a link")
    quoted = '"' + path.replace("\\", "\\\\").replace("\0", "\\0") + '"'
    message = refused(project, "\n" + text.format(quoted))
    assert message.startswith(("2: checkpoint", "2: file"))


def test_a_file_below_the_root_is_named_from_there_and_another_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.modelgate.yaml"
    file.parent.mkdir()
    file.write_text("x: 1\n")
    for root, shown in ((tmp_path, "deep/a.modelgate.yaml:1: "), (tmp_path / "other", "a.modelgate.yaml:1: ")):
        with pytest.raises(ModelgateError) as caught:
            read_gate_file(file, root=root)
        assert str(caught.value).startswith(shown)


def test_a_message_can_be_printed_and_ends(tmp_path: Path) -> None:
    assert len(refused(tmp_path, f"{'k' * 500_000}: 1\n")) < 700
    assert len(refused(tmp_path, gates(f"{'k' * 500_000}: 1"))) < 700
    message = refused(tmp_path, f'{MODEL}labels: [a, b]\ngates: {{recall: {{at_least: 0.9, label: "\\x1b[31m\\n"}}}}\n')
    assert message.isprintable()
