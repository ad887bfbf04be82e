"""Reading a gate file: `read_gate_file`."""

from __future__ import annotations

__tracebackhide__ = True

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import did_you_mean
from pytest_modelgate.gatefiles.definitions import GateFile, GateSpec, ModelSpec, PredictionsSpec, TrainSpec
from pytest_modelgate.gatefiles.fields import Keys, mapping, refuse_unknown
from pytest_modelgate.gatefiles.gates import read_gates
from pytest_modelgate.gatefiles.layout import BESIDE_FIT, HINTS, OPTIONS, RECIPE, SCORES, SETTINGS, layout
from pytest_modelgate.gatefiles.needs import check_needs
from pytest_modelgate.gatefiles.telling import described
from pytest_modelgate.gatefiles.yaml_nodes import Scalar, Source, Table, read_nodes

if TYPE_CHECKING:
    import os

    from pytest_modelgate.gatefiles.fields import Key


def read_gate_file(path: str | os.PathLike[str], *, root: str | os.PathLike[str]) -> GateFile:
    """Read and check a gate file; nothing that it names is imported or opened.

    Args:
        path: of the file.
        root: of the run: no path in the file may lead out of it, and messages name the file from there.

    Raises:
        GateFileError: anything that is wrong in the file, in one line: "fraud.modelgate.yaml:7: unknown key 'recal';
            did you mean 'recall'?"
    """
    file, home = Path(path).absolute(), Path(root).absolute()
    shown = file.relative_to(home).as_posix() if home in file.parents else file.name
    source = Source(file, shown)
    table = read_nodes(source)
    keys = layout(home)
    for key in table.entries:
        if key not in keys and key not in ("gates", "slices"):
            refuse_unknown(key, table, "", (*keys, "gates", "slices"), _hints(key), source)
    values = {
        key: keys[key].type.read(node, key, source)
        for key, node in table.entries.items()
        if key not in ("gates", "slices")
    }
    lines = _lines(table)
    _check_train(values.get("train"), keys["train"], lines, source)
    _check_together(values, lines, table, source)
    read = GateFile(
        path=file,
        shown=shown,
        model=_model(values.get("model"), lines, source),
        train=_train(values.get("train"), lines),
        predictions=_predictions(values.get("predictions"), lines, source),
        data=values.get("data", {}),
        settings={name: values[name] for name in SETTINGS if name in values},
        gates=_gates(table, source),
        lines=lines,
    )
    check_needs(read, source)
    return read


def _hints(key: str) -> dict[str, str]:
    """What to say of a word at the top level that belongs elsewhere."""
    from pytest_modelgate.gatefiles.catalogue import catalogue

    return {**HINTS, **({key: "it is a gate and belongs under gates:"} if key in catalogue() else {})}


def _lines(table: Table) -> dict[str, int]:
    data = table.entries.get("data")
    inner = {f"data.{key}": line for key, line in data.lines.items()} if isinstance(data, Table) else {}
    return {**table.lines, **inner}


def _check_together(values: dict[str, Any], lines: dict[str, int], table: Table, source: Source) -> None:
    """Refuse keys that exclude each other, and those that another key needs."""
    models = [key for key in ("model", "train", "predictions") if key in values]
    if len(models) > 1:
        raise source.error(
            max(lines[key] for key in models),
            f"{' and '.join(f'{key}:' for key in models)} stand together: a file has one of model:, train: and "
            "predictions:",
        )
    if "predictions" in values:
        for key in ("data", *SETTINGS):
            if key in values:
                inside = " (it goes under predictions:)" if key in ("labels", "threshold", "outputs") else ""
                raise source.error(lines[key], f"{key}: is for a model, and this file is on predictions{inside}")
    for key in ("model", "train"):
        if key in values and "data" not in values:
            raise source.error(lines[key], f'{key}: needs data:, such as data: {{test: "package.module:callable"}}')
    data = values.get("data", {})
    for name, other in (("test", "train"), ("validation", "train"), ("validation", "test")):
        if name in data and data[name] == data.get(other):
            raise source.error(
                lines[f"data.{name}"],
                f"data.{name} is {data[name]}, and so is data.{other}: each set has its own samples",
            )
    if "train" in values and "train" not in values["data"]:
        raise source.error(lines["data"], f"train: needs the training data: data: {{train: ...}}{_meant(table)}")
    for name in ("early_stopping", "metrics"):
        if name in values.get("train", ()) and "validation" not in values["data"]:
            raise source.error(lines["train"], f"train: {name}: needs the validation data: data: {{validation: ...}}")
    if "train" in values and "loss" not in values and "fit" not in values["train"]:
        raise source.error(lines["train"], "train: needs a loss: at the top level, such as loss: cross_entropy")


def _check_train(values: dict[str, Any] | None, key: Key, lines: dict[str, int], source: Source) -> None:
    """A training has a recipe, or is the user's own loop."""
    if values is None:
        return
    if "fit" in values:
        more = [name for name in values if name not in BESIDE_FIT]
        if more:
            raise source.error(
                lines["train"],
                f"train: with fit: the loop is yours: {', '.join(more)} belong{'s' * (len(more) == 1)} into it",
            )
        return
    assert isinstance(key.type, Keys)
    for name in RECIPE:
        if name not in values:
            doc = key.type.keys[name].doc
            raise source.error(lines["train"], f"train needs {name}: {doc}; or fit:, your own loop")


def _meant(table: Table) -> str:
    data = table.entries["data"]
    return did_you_mean("train", data.entries) if isinstance(data, Table) else ""


def _model(values: dict[str, Any] | None, lines: dict[str, int], source: Source) -> ModelSpec | None:
    if values is None:
        return None
    if "factory" not in values and "checkpoint" not in values:
        raise source.error(lines["model"], "model: needs a factory: package.module:callable, a checkpoint:, or both")
    if "trust" in values and "checkpoint" not in values:
        raise source.error(lines["model"], "model: trust: is for a checkpoint:, and there is none")
    return ModelSpec(
        factory=values.get("factory"),
        checkpoint=values.get("checkpoint"),
        trust=values.get("trust", False),
        line=lines["model"],
    )


def _train(values: dict[str, Any] | None, lines: dict[str, int]) -> TrainSpec | None:
    if values is None:
        return None
    optimizer = values.get("optimizer", {})
    given = {"name": optimizer} if isinstance(optimizer, str) else optimizer
    return TrainSpec(
        factory=values["factory"],
        fit=values.get("fit"),
        optimizer=given.get("name"),
        optimizer_arguments={key: value for key, value in given.items() if key != "name"},
        epochs=values.get("epochs"),
        batch_size=values.get("batch_size"),
        seed=values.get("seed"),
        early_stopping=values.get("early_stopping"),
        options={key: values[key] for key in OPTIONS if key in values},
        line=lines["train"],
    )


def _predictions(values: dict[str, Any] | None, lines: dict[str, int], source: Source) -> PredictionsSpec | None:
    if values is None:
        return None
    line = lines["predictions"]
    given = [key for key in SCORES if key in values]
    if len(given) != 1:
        found = f"not {' and '.join(given)}" if given else "and there is none"
        raise source.error(line, f"predictions: takes one of score:, label: and value:, {found}")
    if "outputs" in values and given != ["score"]:
        raise source.error(line, f"predictions: outputs: says what a score is, and these are given as {given[0]}:")
    if "threshold" in values and given != ["score"]:
        raise source.error(line, f"predictions: threshold: decides on a score, and these are given as {given[0]}:")
    columns = values[given[0]]
    preds = columns[0] if isinstance(columns, tuple) and len(columns) == 1 else columns
    single = {key: values[key] for key in ("target", "id", "weight", "group") if key in values}
    seen: dict[str, str] = {}
    for key, column in [
        *single.items(),
        *((given[0], each) for each in ([preds] if isinstance(preds, str) else preds)),
    ]:
        if column in seen:
            raise source.error(line, f"predictions: the column {column!r} stands for both {seen[column]}: and {key}:")
        seen[column] = key
    return PredictionsSpec(
        file=values["file"],
        preds=preds,
        outputs={"label": "labels", "value": "values"}.get(given[0], values.get("outputs", "probabilities")),
        labels=values.get("labels"),
        threshold=values.get("threshold"),
        slices=values.get("slices", ()),
        line=line,
        **single,
    )


def _gates(table: Table, source: Source) -> tuple[GateSpec, ...]:
    gates: list[GateSpec] = []
    for section in ("gates", "slices"):
        node = table.entries.get(section)
        if node is None:
            continue
        if isinstance(node, Scalar) and node.value is None:
            raise source.error(table.lines[section], f"{section}: has no gates")
        if section == "gates":
            gates += read_gates(mapping(node, section, source), source, by=None)
            continue
        for column, inner in mapping(node, section, source).entries.items():
            if isinstance(inner, Scalar):
                raise source.error(inner.line, f"slices.{column} must be a mapping of gates, not {described(inner)}")
            gates += read_gates(mapping(inner, f"slices.{column}", source), source, by=column)
    if not gates:
        raise source.error(table.line, "there are no gates: add gates:, such as gates: {recall: {at_least: 0.9}}")
    return tuple(gates)
