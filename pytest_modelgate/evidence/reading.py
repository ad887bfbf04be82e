"""Training runs that other tools wrote down, read as a `History`; its classmethods document each reader."""

from __future__ import annotations

__tracebackhide__ = True

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_modelgate.evidence.history import History
from pytest_modelgate.evidence.logs import Log, Row, either, file_in, listed, log_of, log_of_series, read_csv, read_json
from pytest_modelgate.exceptions import EvidenceError

Columns = Mapping[str, "str | None"]
Values = dict[str, list[tuple[float, float]]]  # each name's values within an epoch, with their weights

_ABOUT = ("loss", "model", "seed", "device", "threads", "validation_loss", "chance_loss")
_OF_VALIDATION = re.compile(r"(val|valid|validation|eval|dev)[_/.\- ]", re.IGNORECASE)
_OF_A_TEST = re.compile(r"test[_/.\- ]", re.IGNORECASE)
_OF_THE_TRAINER = re.compile(r"epoch|step|total_flos|num_input_tokens_seen|.*_(runtime|time|per_second)")


def from_csv(source: Any, *, columns: Columns | None = None, kept: int | None = None, **about: Any) -> History:
    """See `History.from_csv`."""
    log = read_csv(source)
    return _history(log, _once_an_epoch(log, log.named(columns)), kept, about)


def from_json(source: Any, *, columns: Columns | None = None, kept: int | None = None, **about: Any) -> History:
    """See `History.from_json`."""
    name, document = read_json(source)
    nondeterministic: tuple[str, ...] = ()
    if isinstance(document, list):
        log = log_of(name, document)
    elif not isinstance(document, Mapping):
        raise EvidenceError(f"{name} holds a {type(document).__name__}, and no history: an object or a list of rows")
    elif isinstance(document.get("epochs"), list) and all(isinstance(row, Mapping) for row in document["epochs"]):
        log = log_of(name, document["epochs"])
        about = {key: document[key] for key in _ABOUT if document.get(key) is not None} | about
        about["chance_loss"] = Row(name, about).number("chance_loss")
        kept = document.get("kept") if kept is None else kept
        nondeterministic = tuple(map(str, document.get("nondeterministic") or ()))
        columns = {column: column for column in log.columns} | dict(columns or {})  # these are a history's own names
    else:
        log = log_of_series(name, document)
    return _history(log, _once_an_epoch(log, log.named(columns)), kept, about, nondeterministic)


def from_lightning(source: Any, *, columns: Columns | None = None, kept: int | None = None, **about: Any) -> History:
    """See `History.from_lightning`."""
    log = read_csv(_metrics_file(source))
    if "epoch" not in log.columns:
        raise EvidenceError(
            f"{log.name} has no column 'epoch', so Lightning's Trainer did not write it (it has "
            f"{listed(log.columns)}); read it with History.from_csv"
        )
    # Monitors, such as the learning rate's, log rows that say no epoch.
    log = Log(log.name, [row for row in log.rows if row.cells["epoch"] != ""])
    of_epochs = {column.removesuffix("_epoch") for column in log.columns if column.endswith("_epoch")}
    known = {column: column.removesuffix("_epoch").removesuffix("_step") for column in log.columns}
    known = {
        column: base
        for column, base in known.items()
        if not (column.endswith("_step") and base in of_epochs) and column != "step" and not _OF_A_TEST.match(column)
    }
    names = log.named(columns, known)
    epochs: dict[int, Values] = {}
    last_steps: dict[int, float] = {}
    for epoch, row in _epochs(log, "epoch"):
        for name, value in row.values(names).items():
            epochs.setdefault(epoch, {}).setdefault(name, []).append((value, 1.0))
        last_steps[epoch] = max(last_steps.get(epoch, 0.0), row.number("step") or 0.0)
    *_, before, last = (-1, -1, *epochs)
    if before >= 0 and last_steps[last] - last_steps[before] <= 1 and all(map(_OF_VALIDATION.match, epochs[last])):
        del epochs[last]  # trainer.validate after the training, of whatever weights: one more epoch without a step
    return _history(log, {epoch: _summed(values) for epoch, values in epochs.items()}, kept, about)


def from_trainer(source: Any, *, columns: Columns | None = None, kept: int | None = None, **about: Any) -> History:
    """See `History.from_trainer`."""
    log = log_of(*_log_history(source))
    log = Log(log.name, list(_while_training(log)))
    known = {
        column: re.sub(r"\Aeval_", "val_", column)
        for column in log.columns
        if column == "epoch" or not (_OF_THE_TRAINER.fullmatch(column) or _OF_A_TEST.match(column))
    }
    names = log.named(columns, known)
    epochs: dict[int, Values] = {}
    latest = logged = step_logged = 0.0
    for row in log.rows:
        at = row.number("epoch")
        if at is None or not 0 <= at < math.inf:
            raise EvidenceError(f"{row.where}: epoch {row.cells.get('epoch')!r} is no number of 0 or more")
        if at < latest:
            raise EvidenceError(f"{row.where}: epoch {at:g} comes after {latest:g}, and epochs must not go backwards")
        latest, epoch, weight = at, _ending_at(at), 1.0
        if "loss" in row.cells:
            # A mean since the log before: it counts where the middle of those steps lies.
            epoch, logged = _ending_at((logged + at) / 2), at
            step = row.number("step") or 0.0
            weight, step_logged = max(1.0, step - step_logged), step
        if epoch > 0:  # an evaluation before the training is of no epoch
            for name, value in row.values(names).items():
                epochs.setdefault(epoch, {}).setdefault(name, []).append((value, weight))
    return _history(log, {epoch: _summed(epochs[epoch]) for epoch in sorted(epochs)}, kept, about)


def _metrics_file(source: Any) -> Any:
    """Lightning's `metrics.csv`: from its path, its folder, the logger, or the trainer."""
    if isinstance(source, (str, os.PathLike)):
        return file_in(Path(source), "metrics.csv", "version_*")
    if hasattr(source, "read"):
        return source
    loggers = getattr(source, "loggers", None)
    tried = []
    for logger in loggers if isinstance(loggers, Sequence) else [source]:
        if any(kind.__name__ == "CSVLogger" for kind in type(logger).__mro__):
            logger.save()  # it may hold back rows
        folder = getattr(logger, "log_dir", None)
        if isinstance(folder, (str, os.PathLike)):
            tried.append(Path(folder) / "metrics.csv")
            if tried[-1].is_file():
                return tried[-1]
    if tried:
        raise EvidenceError(f"there is no file {either(tried)}: train with Trainer(logger=CSVLogger(folder))")
    raise EvidenceError(
        "give the path of Lightning's metrics.csv or of its folder, a CSVLogger, or a Trainer that has one, not "
        f"{type(source).__name__}: {source!r}"
    )


def _log_history(source: Any) -> tuple[str, Sequence[Any]]:
    """What Hugging Face's trainer logged: from the path of its state or of its folder, the trainer or its state."""
    if isinstance(source, (str, os.PathLike)) or hasattr(source, "read"):
        opened = source if hasattr(source, "read") else file_in(Path(source), "trainer_state.json", "checkpoint-*")
        name, document = read_json(opened)
        found = document.get("log_history") if isinstance(document, Mapping) else None
        if not isinstance(found, list):
            raise EvidenceError(f"{name} has no list 'log_history', so it is no trainer_state.json")
        return name, found
    found = getattr(getattr(source, "state", source), "log_history", None)
    if not isinstance(found, list):
        raise EvidenceError(
            "give the path of trainer_state.json or of a checkpoint's folder, or the Trainer, not "
            f"{type(source).__name__}: {source!r}"
        )
    return "log_history", found


def _while_training(log: Log) -> Iterator[Row]:
    """The rows without the summary of a training, and without evaluations after it, which may be of other weights."""
    ended = False
    for row in log.rows:
        ended = "loss" not in row.cells and (ended or "train_runtime" in row.cells)
        if not ended:
            yield row


def _ending_at(at: float) -> int:
    """The epoch that ends at a time in epochs, or in whose course it lies.

    >>> _ending_at(0.25), _ending_at(1.0), _ending_at(1.01), _ending_at(2.0000000001)
    (1, 1, 2, 2)
    """
    return math.ceil(at - 1e-6)


def _epochs(log: Log, column: str | None) -> Iterator[tuple[int, Row]]:
    """Each row with its epoch; rows count from 1 where no column tells it."""
    before = 0
    for count, row in enumerate(log.rows, 1):
        epoch = float(count) if column is None else row.number(column)
        if epoch is None or not math.isfinite(epoch) or epoch < 0 or epoch != int(epoch):
            found = row.cells.get(column or "")
            raise EvidenceError(f"{row.where}, column {column!r}: {found!r} is no whole number of 0 or more")
        if epoch < before:
            raise EvidenceError(f"{row.where}: epoch {epoch:g} comes after {before}, and epochs must not go backwards")
        before = int(epoch)
        yield before, row


def _once_an_epoch(log: Log, names: Mapping[str, str]) -> dict[int, dict[str, float]]:
    """The values of each epoch, from rows that may share an epoch but not a value of it."""
    epochs: dict[int, dict[str, float]] = {}
    places: dict[tuple[int, str], str] = {}
    column = next((column for column, name in names.items() if name == "epoch"), None)
    for epoch, row in _epochs(log, column):
        for name, value in row.values(names).items():
            if (epoch, name) in places:
                raise EvidenceError(
                    f"{row.where}: epoch {epoch} has {name} twice (first in {places[epoch, name]}), and a history has "
                    "one value for each epoch: log its mean"
                )
            places[epoch, name] = row.where
            epochs.setdefault(epoch, {})[name] = value
    return epochs


def _summed(values: Values) -> dict[str, float]:
    """The last value of what was measured on validation data, the weighted mean of everything else."""
    return {name: found[-1][0] if _OF_VALIDATION.match(name) else _mean(found) for name, found in values.items()}


def _mean(found: Sequence[tuple[float, float]]) -> float:
    if not all(math.isfinite(value) for value, _ in found):
        return sum(value for value, _ in found)  # NaN and the infinities stay what they are
    return math.fsum(value * weight for value, weight in found) / math.fsum(weight for _, weight in found)


def _history(
    log: Log,
    epochs: Mapping[int, Mapping[str, float]],
    kept: int | None,
    about: Mapping[str, Any],
    nondeterministic: tuple[str, ...] = (),
) -> History:
    if not epochs:
        raise EvidenceError(f"{log.name} holds no value of any epoch: nothing was logged")
    history = History(**about)
    for epoch, values in epochs.items():
        history.log(epoch=epoch, **values)
    if kept is not None:
        history.keep(kept)
    history.nondeterministic = nondeterministic
    history.freeze()
    return history
