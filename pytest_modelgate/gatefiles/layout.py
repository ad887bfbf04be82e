"""The keys of a gate file around its gates: the model, the data, the predictions, the settings."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, get_args

from pytest_modelgate.gatefiles.fields import (
    Choice,
    ClassName,
    Either,
    File,
    Flag,
    Function,
    Key,
    Keys,
    ListOf,
    MapOf,
    Number,
    Plain,
    Text,
    Whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SETTINGS = ("loss", "outputs", "task", "labels", "threshold", "batch_size", "ids", "ignore_index")
"""Top-level keys that are arguments of `evaluate`."""
SCORES = ("score", "label", "value")
"""Keys of `predictions:` for what was predicted: exactly one is given."""
RECIPE = ("optimizer", "epochs")
"""Keys of `train:` that must be given, unless `fit` is."""
BESIDE_FIT = ("factory", "fit", "seed")
"""Keys of `train:` that may stand beside `fit`: the rest of a training is the loop's own."""
OPTIONS = ("clip_norm", "accumulate", "class_weights", "mixed_precision", "metrics", "on_nonfinite")
"""Keys of `train:` that are handed to `train_model` as they are."""
HINTS = {
    "dataset": 'the data are under data:, such as data: {test: "package.module:callable"}',
    "checkpoint": "it belongs under model:",
    "factory": "it belongs under model: or train:",
    "file": "it belongs under predictions:",
    "epochs": "it belongs under train:",
    "optimizer": "it belongs under train:",
    "confidence": "it belongs into a gate, or for the whole run on the command line (--modelgate-confidence)",
    "if_unsure": "it belongs into a gate, or for the whole run on the command line (--modelgate-if-unsure)",
    "device": "it is given on the command line: --modelgate-device",
    "by_slice": "gates by slice are under slices:, such as slices: {region: {recall: {at_least: 0.8}}}",
}


def layout(root: Path | None = None) -> Mapping[str, Key]:
    """The top-level keys but `gates` and `slices`, by name; `root` is that of the run."""
    from pytest_modelgate.evidence.evaluation import Outputs
    from pytest_modelgate.evidence.shapes import Task
    from pytest_modelgate.metrics.registry import METRICS

    labels = ListOf(ClassName(), least=2)
    threshold = Number(0, 1)
    of_metric = Keys({"label": Key(ClassName(), "one class"), "average": Key(Text(), "over the classes")}, rest=Plain())
    return {
        "model": Key(
            Keys(
                {
                    "factory": Key(Function(), "what makes the model: package.module:callable"),
                    "checkpoint": Key(File(root), "the file of the weights, from this file's folder"),
                    "trust": Key(Flag(), "whether the checkpoint may run code when it is loaded"),
                },
                {"path": "it is called checkpoint", "weights": "it is called checkpoint"},
                example='{factory: "package.module:callable"}',
            ),
            "the model: a factory, a checkpoint, or both",
        ),
        "train": Key(
            Keys(
                {
                    "factory": Key(Function(), "what makes the model: package.module:callable", required=True),
                    "fit": Key(Function(), "your own loop, instead of optimizer and epochs: package.module:callable"),
                    "optimizer": Key(
                        Either(Text(), Keys({"name": Key(Text(), "such as adam", required=True)}, rest=Plain())),
                        "such as adam, or {name: sgd, lr: 0.01}",
                    ),
                    "epochs": Key(Whole(1), "passes over the training data"),
                    "batch_size": Key(Whole(1), "samples a batch"),
                    "seed": Key(Whole(0), "for Python, numpy and torch"),
                    "early_stopping": Key(Whole(1), "epochs without a new lowest validation loss"),
                    "clip_norm": Key(Number(0, above=True), "scale gradients down to this norm"),
                    "accumulate": Key(Whole(1), "batches a step"),
                    "class_weights": Key(Plain(), 'a number for each class, one number, or "balanced"'),
                    "mixed_precision": Key(Flag(), "lower precision where the device has it"),
                    "metrics": Key(
                        Either(ListOf(Choice(tuple(METRICS))), MapOf(of_metric)), "measured after every epoch"
                    ),
                    "on_nonfinite": Key(Choice(("raise", "stop")), "what a loss that is not finite does"),
                },
                {
                    "lr": "it belongs to the optimizer: {name: adam, lr: 0.001}",
                    "loss": "it is at the top level, next to train:",
                    "data": "data are at the top level: data: {train: ..., validation: ..., test: ...}",
                    "schedule": "it needs Python: name a loop of your own as fit:, or train in a fixture",
                    "seeds": "trainings over several seeds need Python: train_models and assert_over_seeds",
                },
            ),
            "the recipe of a training",
        ),
        "data": Key(
            Keys(
                {
                    "test": Key(Function(), "what gives the data that are judged: package.module:callable"),
                    "train": Key(Function(), "what gives the training data"),
                    "validation": Key(Function(), "what gives the validation data"),
                },
                {"val": "it is called validation", "valid": "it is called validation"},
                example='{test: "package.module:callable"}',
            ),
            "the data sets: test, train, validation",
        ),
        "predictions": Key(
            Keys(
                {
                    "file": Key(File(root), ".csv, .jsonl, .npz or .parquet, from this file's folder", required=True),
                    "target": Key(Text(), "the column of true classes or values", required=True),
                    "score": Key(ListOf(Text(), or_one=True), "the column of scores, or one column a class"),
                    "label": Key(Text(), "the column of predicted classes"),
                    "value": Key(ListOf(Text(), or_one=True), "the column of predicted values"),
                    "outputs": Key(Choice(("probabilities", "logits")), "what scores are; default probabilities"),
                    "id": Key(Text(), "the column that names each sample"),
                    "weight": Key(Text(), "the column of sample weights"),
                    "group": Key(Text(), "the column of groups that hang together, such as patients"),
                    "labels": Key(labels, "the class names, in the order of the indices"),
                    "threshold": Key(threshold, "positive iff probability >= threshold"),
                    "slices": Key(ListOf(Text(), or_one=True), "columns that samples are cut by"),
                },
                {
                    "ids": "it is called id",
                    "weights": "it is called weight",
                    "groups": "it is called group",
                    "path": "it is called file",
                    "preds": "name a column as score, label or value",
                    "prediction": "name a column as score, label or value",
                    "probability": "it is called score",
                    "scores": "it is called score",
                    "slice": "it is called slices",
                },
            ),
            "a file of predictions, instead of a model and data",
        ),
        "loss": Key(
            Function(or_name=True), "a loss of torch by name, such as cross_entropy, or package.module:callable"
        ),
        "outputs": Key(
            Choice(tuple(each for each in get_args(Outputs) if each != "counts")),
            "what the model gives; default what the loss is known to take",
        ),
        "task": Key(Choice(get_args(Task)), "default by the shape of the outputs"),
        "labels": Key(labels, "the class names, in the order of the indices"),
        "threshold": Key(threshold, "for two classes: positive iff probability >= threshold"),
        "batch_size": Key(Whole(1), "samples a batch of the evaluation"),
        "ids": Key(Choice(("content",)), "content: hash each input, for comparisons with a baseline"),
        "ignore_index": Key(Whole(), "targets of this value are left out"),
    }
