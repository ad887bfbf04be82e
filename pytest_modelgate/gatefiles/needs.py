"""What each gate of a file needs of the rest of the file: data sets, scores, ids, classes, columns."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import MetricError, did_you_mean

if TYPE_CHECKING:
    from pytest_modelgate.gatefiles.definitions import GateFile, GateSpec, PredictionsSpec, TrainSpec
    from pytest_modelgate.gatefiles.yaml_nodes import Source

_OF_SCORES = ("scores", "ranks", "forecasts")


def check_needs(file: GateFile, source: Source) -> None:
    """Raise a `GateFileError` at the first gate that this file cannot settle."""
    for gate in file.gates:
        _check_model(file, gate, source)
        _check_data(file, gate, source)
        _check_classes(file, gate, source)
        if file.predictions is not None:
            _check_predictions(file.predictions, gate, source)


def _check_model(file: GateFile, gate: GateSpec, source: Source) -> None:
    name, line = gate.name, gate.line
    if gate.kind == "data":
        return
    if gate.kind == "history":
        if file.train is None:
            raise source.error(line, f"{name} judges a training: it needs train: in this file")
        if file.train.fit is None:
            _check_logged(file, file.train, gate, source)
    elif gate.kind in ("wiring", "generalization"):
        if file.model is None and file.train is None:
            instead = ", not predictions:" if file.predictions else ""
            raise source.error(line, f"{name} runs a model: it needs model: or train: in this file{instead}")
    elif file.model is None and file.train is None and file.predictions is None:
        raise source.error(line, f"{name} needs something to judge: add model: and data:, train:, or predictions:")


def _check_logged(file: GateFile, train: TrainSpec, gate: GateSpec, source: Source) -> None:
    """Before a long training, not behind it: that it will log what the gate reads."""
    name = gate.arguments.get("name", "")
    if (gate.name == "no_overfitting" or name.startswith("val_")) and "validation" not in file.data:
        raise source.error(
            gate.line, f'{gate.name} needs data.validation: add data: {{validation: "package.module:callable"}}'
        )
    metric = name.removeprefix("val_")
    if metric != name and metric != "loss" and metric not in train.options.get("metrics", ()):
        raise source.error(gate.line, f"the training logs no {name!r}: add train: {{metrics: [{metric}]}}")


def _check_data(file: GateFile, gate: GateSpec, source: Source) -> None:
    from pytest_modelgate.gatefiles.catalogue import catalogue

    supplied = set(catalogue()[gate.name].supplied)
    needs = []
    if supplied & {"train", "train_evaluation", "features"}:
        needs.append("train")
    if supplied & {"evidence", "test", "test_evaluation"} and file.predictions is None:
        needs.append("test")
    if "batch" in supplied and "train" not in file.data:
        needs.append("test")
    for each in needs:
        if file.predictions is not None:
            raise source.error(gate.line, f"{gate.name} reads data, not predictions: it needs a file with data:")
        if each not in file.data:
            raise source.error(
                gate.line, f'{gate.name} needs data.{each}: add data: {{{each}: "package.module:callable"}}'
            )


def _check_classes(file: GateFile, gate: GateSpec, source: Source) -> None:
    """The label that a gate asks of, against the file's labels."""
    from pytest_modelgate.metrics.labels import index_of
    from pytest_modelgate.metrics.registry import METRICS

    labels = file.predictions.labels if file.predictions else file.settings.get("labels")
    label = gate.arguments.get("label")
    metric = METRICS.get(gate.arguments.get("metric", gate.name))
    multilabel = file.settings.get("task") == "multilabel"
    if label is not None and metric is not None and not metric.of_a_class and not multilabel:
        raise source.error(gate.line, f"{metric.name} is one figure for all classes and takes no label ({label!r})")
    if labels is None:
        return
    if label is not None:
        try:
            index_of(labels, label)
        except MetricError as error:
            raise source.error(gate.line, f"{gate.name}: {error}") from None
    elif metric is not None and metric.averages and "average" not in gate.arguments and len(labels) > 2:
        averages = ", ".join(metric.averages)
        raise source.error(
            gate.line,
            f"{metric.name} of {len(labels)} classes: say which with label: (such as {labels[-1]}), or average: "
            f"(one of {averages})",
        )


def _check_predictions(predictions: PredictionsSpec, gate: GateSpec, source: Source) -> None:
    from pytest_modelgate.metrics.registry import METRICS

    metric = METRICS.get(gate.arguments.get("metric", gate.name))
    needs = "" if metric is None else metric.needs
    given = {"labels": "label:", "values": "value:"}.get(predictions.outputs, "score:")
    if needs == "loss":
        raise source.error(gate.line, "predictions hold no loss: gate on log_loss, brier, mae or rmse instead")
    if (needs == "errors") != (given == "value:") and needs:
        wanted = "a value: column" if needs == "errors" else "classes (a score: or label: column)"
        raise source.error(gate.line, f"{gate.name} is for {wanted}, and predictions name {given}")
    if needs in _OF_SCORES and given == "label:":
        raise source.error(gate.line, f"{gate.name} needs scores: predictions name label:, not score:")
    if gate.kind == "regression" and predictions.id is None:
        raise source.error(
            gate.line, f"{gate.name} compares sample by sample: name the column of ids, predictions: {{id: ...}}"
        )
    for column in _columns(gate):
        if column not in predictions.slices:
            named = f"it names {', '.join(predictions.slices)}" if predictions.slices else "there is none"
            hint = did_you_mean(column, predictions.slices)
            raise source.error(
                gate.line, f"{gate.title}: predictions: must name {column!r} under slices:, and {named}{hint}"
            )


def _columns(gate: GateSpec) -> list[Any]:
    """The columns that a gate cuts samples by."""
    column, equals, _ = gate.arguments.get("slice", "").partition("=")
    return [each for each in (gate.by, gate.arguments.get("by"), column if equals else None) if each]
