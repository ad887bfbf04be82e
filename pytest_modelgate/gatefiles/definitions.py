"""What a gate file says, once it was read and checked: plain frozen values."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "metric", "evaluation", "regression", "gap", "history", "generalization", "data", "wiring"
]  # what a gate is settled on
Sets: TypeAlias = Literal["test", "train", "validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model that exists: a factory, a checkpoint, or a factory whose model takes the checkpoint's weights.

    Attributes:
        factory: "package.module:callable"; None where the checkpoint holds the whole model.
        checkpoint: an absolute path under the root of the run; it may not exist.
        trust: whether the checkpoint may be unpickled.
        line: where `model:` stands.
    """

    factory: str | None
    checkpoint: Path | None = None
    trust: bool = False
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSpec:
    """A model to train on `data.train`, with the file's `loss`; validated on `data.validation` where there is one.

    Attributes:
        factory: "package.module:callable" that makes the model.
        fit: "package.module:callable", the user's own loop; None where there are an optimizer and epochs.
        optimizer: its name, as written ("adam"); None with `fit`.
        optimizer_arguments: what the optimizer takes beside the parameters, such as `lr`.
        epochs: 1 or more; None with `fit`.
        batch_size, seed, early_stopping: as for `train_model`; None where the file does not say.
        options: other keywords of `train_model`, as it takes them (`clip_norm`, `metrics`, ...).
        line: where `train:` stands.
    """

    factory: str
    fit: str | None = None
    optimizer: str | None = None
    optimizer_arguments: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    batch_size: int | None = None
    seed: int | None = None
    early_stopping: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionsSpec:
    """A file of predictions, and what its columns are.

    Attributes:
        file: an absolute path under the root of the run; it may not exist.
        target: the column of true classes or values.
        preds: the column, or the columns, one a class, of scores, labels or values.
        outputs: what `preds` are: "probabilities", "logits", "labels" or "values".
        id, weight, group: columns; None where the file names none.
        labels: the class names in the order of the indices; None where not given.
        threshold: for two classes; None where not given.
        slices: columns that the samples can be cut by.
        line: where `predictions:` stands.
    """

    file: Path
    target: str
    preds: str | tuple[str, ...]
    outputs: str
    id: str | None = None
    weight: str | None = None
    group: str | None = None
    labels: tuple[str | int, ...] | None = None
    threshold: float | None = None
    slices: tuple[str, ...] = ()
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """One gate: a test of its own.

    Attributes:
        name: as written: a metric ("recall"), or an assertion without "assert_" ("no_regression", "check_model").
        kind: what it is settled on. A "metric" is asked by `assert_metric(evidence, name, **arguments)`, every other
            kind by `assert_<name>(..., **arguments)`, which is `assertion`.
        assertion: the public name of the function that settles it.
        arguments: keywords for that function, as it takes them. What the file as a whole supplies (evidence, baseline,
            history, data, model, batch, loss) is not among them, nor is `by_slice`.
        by: the column, for gates under `slices:`; for the function's `by_slice=`.
        title: the test's name: "recall[fraud] >= 0.90", with the bar as it is written.
        stem: the title without bar, so that it stays when the bar moves: "recall[fraud]".
        line: where the gate stands.
    """

    name: str
    kind: Kind
    assertion: str
    arguments: Mapping[str, Any]
    by: str | None = None
    title: str
    stem: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFile:
    """A gate file that was read and checked.

    Attributes:
        path: of the file, absolute.
        shown: the path as messages show it: from the root of the run, with slashes.
        model, train, predictions: one of the three at most.
        data: for "test", "train" and "validation", as far as given, "package.module:callable".
        settings: those of `evaluate` that the file gives: loss (a name, or "package.module:callable"), outputs, task,
            labels (a tuple), threshold, batch_size, ids, ignore_index.
        gates: in the order of the file, those under `slices:` last.
        lines: where each top-level key stands, and each entry of `data` ("data.test").
    """

    path: Path
    shown: str
    model: ModelSpec | None = None
    train: TrainSpec | None = None
    predictions: PredictionsSpec | None = None
    data: Mapping[Sets, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[GateSpec, ...]
    lines: Mapping[str, int] = field(default_factory=dict)
