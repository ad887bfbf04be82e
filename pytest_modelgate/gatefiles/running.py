"""A gate of a gate file, settled: its model and data are made, and evaluated, once for all gates that need them."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pytest_modelgate.exceptions import GateFileError, ModelgateError, did_you_mean
from pytest_modelgate.gatefiles.optimizers import make_optimizer
from pytest_modelgate.gatefiles.resolving import check_call, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    import torch

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.gatefiles.definitions import GateFile, GateSpec, ModelSpec, Sets, TrainSpec
    from pytest_modelgate.gatefiles.sharing import Store
    from pytest_modelgate.gates.verdict import Verdict
    from pytest_modelgate.runtime.modules import TrainedModel

COLUMNS = ("ids", "groups", "weights", "slices")
"""What a data callable may give beside inputs and targets: arguments of `evaluate`."""
ONE_BATCH = 64
"""So many samples the checks of a model's wiring get, where the data are at hand and no batch size is given."""
_EVALUATED = ("metric", "evaluation", "regression", "gap", "generalization")


@dataclass(frozen=True, slots=True)
class Data:
    """What a data callable gave: `pairs` as `evaluate` takes data, and its columns."""

    pairs: Any
    columns: Mapping[str, Any] = field(default_factory=dict)


class Runner:
    """Settles the gates of a run's gate files.

    Args:
        root: the project's folder.
        store: what the gates share.
        device: where models run.
        seed: of models that a factory makes and no file or training fills.
        train: `train_model` with the run's cache, device and seed.
        baseline: gives what `assert_no_regression` compares with.
    """

    def __init__(
        self,
        *,
        root: Path,
        store: Store,
        device: Callable[[], torch.device],
        seed: int,
        train: Callable[..., TrainedModel],
        baseline: Callable[[], Any],
    ) -> None:
        self._root = root
        self._store = store
        self._device = device
        self._seed = seed
        self._train = train
        self._baseline = baseline
        self._needs: dict[Hashable, set[str]] = {}

    def expect(self, file: GateFile) -> None:
        """Learn what a file's gates need of each evaluation, before the first is made."""
        for gate in file.gates:
            if gate.kind not in _EVALUATED:
                continue
            for name in ("test", "train") if gate.kind == "generalization" else ("test",):
                needs = self._needs.setdefault(_evaluation_key(file, name), set())
                needs.add(_needs(gate))
                if gate.kind == "regression":
                    needs.add("ids")

    def settle(self, file: GateFile, gate: GateSpec) -> Verdict:
        """Judge a gate through its public assertion.

        Raises:
            GateFailure: the gate is not met.
            GateFileError: what the file names is not there, or does not fit.
            ModelgateError: wrong use that the assertion tells.
        """
        import pytest_modelgate

        keywords = dict(gate.arguments)
        if gate.by is not None:
            keywords["by_slice"] = gate.by
        try:
            given, more = self._given(file, gate)
        except _SectionError as error:
            raise GateFileError(f"{_at(file, error.section)}: {error}") from None
        at_the_gate = _call.__code__.replace(co_filename=str(file.path), co_firstlineno=max(gate.line - 1, 0))
        settled: Verdict = FunctionType(at_the_gate, {"__name__": file.shown})(
            getattr(pytest_modelgate, gate.assertion), given, more | keywords
        )
        return settled

    def _given(self, file: GateFile, gate: GateSpec) -> tuple[list[Any], dict[str, Any]]:
        """What the file as a whole supplies to a gate's assertion: arguments, and keywords."""
        if gate.kind == "metric":
            return [self._evaluation(file), gate.name], {}
        if gate.kind == "regression":
            return [self._evaluation(file), self._baseline()], {}
        if gate.kind == "generalization":
            return [self._evaluation(file, "train"), self._evaluation(file)], {}
        if gate.kind == "history":
            return [self._model(file)], {}
        if gate.kind == "wiring":
            return [self._model(file), self._batch(file)], {"loss": self._loss(file)}
        if gate.kind == "data":
            return self._sets(file, gate)
        return [self._evaluation(file)], {}

    def _sets(self, file: GateFile, gate: GateSpec) -> tuple[list[Any], dict[str, Any]]:
        train = self._data(file, "train")
        if gate.name == "no_label_leakage":
            if not isinstance(train.pairs, (tuple, list)) or len(train.pairs) != 2:
                raise _SectionError(
                    "data.train",
                    f"no_label_leakage looks at single features: let {file.data['train']} return a pair "
                    "(inputs, targets) of arrays",
                )
            return list(train.pairs), {}
        test = self._data(file, "test")
        grouped = gate.name == "no_leakage" and "groups" in train.columns and "groups" in test.columns
        groups = {"groups": (train.columns["groups"], test.columns["groups"])} if grouped else {}
        return [train.pairs, test.pairs], groups

    def _evaluation(self, file: GateFile, name: Sets = "test") -> Evaluation:
        key = _evaluation_key(file, name)
        make = self._predicted if file.predictions is not None else self._evaluated
        return self._store.evaluation(
            key,
            lambda: make(file, name, self._needs.get(key, set())),
            history=lambda: None if file.train is None else self._model(file).history,
        )

    def _predicted(self, file: GateFile, name: Sets, needs: set[str]) -> Evaluation:
        from pytest_modelgate.evidence.evaluation import Evaluation

        spec = file.predictions
        assert spec is not None
        given = {
            "ids": spec.id,
            "weights": spec.weight,
            "groups": spec.group,
            "labels": spec.labels,
            "threshold": spec.threshold,
            "slices": list(spec.slices) or None,
        }
        bounded = needs <= {"counts"} and spec.id is None and spec.weight is None and spec.group is None
        keep = "counts" if bounded else "scores" if "scores" in needs else "auto"
        with _section("predictions"):
            return Evaluation.from_predictions(
                file=spec.file,
                target=spec.target,
                preds=list(spec.preds) if isinstance(spec.preds, tuple) else spec.preds,
                outputs=spec.outputs,  # type: ignore[arg-type]
                keep=keep,
                **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
            )

    def _evaluated(self, file: GateFile, name: Sets, needs: set[str]) -> Evaluation:
        from pytest_modelgate.runtime.evaluation import evaluate

        model, data = self._model(file), self._data(file, name)
        loss = self._loss(file) if file.train is None else None  # a trained model brings its own, with class weights
        given = {**file.settings, "loss": loss, **data.columns}
        if "ids" in needs and given.get("ids") is None:
            given["ids"] = "content"
        keep = "scores" if "scores" in needs else "auto"
        return evaluate(model, data.pairs, device=self._device(), keep=keep, **given)

    def _loss(self, file: GateFile) -> Any:
        from pytest_modelgate.runtime.losses import read_loss

        loss = file.settings.get("loss")
        if loss is None:
            return None
        with _section("loss"):
            if ":" not in loss:
                read_loss(loss)  # a name that torch does not have is told at its own line
                return loss
            found = self._object(loss)
        return found() if isinstance(found, type) else found

    def _data(self, file: GateFile, name: Sets) -> Data:
        reference = file.data[name]
        with _section(f"data.{name}"):
            make = self._maker(reference)
            found = self._store.once(("data", reference), lambda: _read(make(), reference))
            if isinstance(found.pairs, Iterator):
                raise ModelgateError(
                    f"{reference} gives a {type(found.pairs).__name__}, which is empty after one pass: "
                    "let it return a list of batches, a DataLoader, or arrays"
                )
        return found

    def _batch(self, file: GateFile) -> Any:
        """Inputs and targets of some samples; drawn from data that are at hand, since these may be sorted."""
        import torch

        from pytest_modelgate.runtime.data import Batches, rows_of

        name: Sets = "train" if "train" in file.data else "test"
        data = self._data(file, name)
        with _section(f"data.{name}"):
            size = file.settings.get("batch_size") or ONE_BATCH
            source = Batches(data.pairs, batch_size=size)
            for inputs, targets in source.at_hand():
                drawn = torch.randperm(len(targets), generator=torch.Generator().manual_seed(self._seed))[:size]
                return rows_of(inputs, drawn), targets[drawn]
            for batch in source:
                return batch
            raise ModelgateError(f"{file.data[name]} gives no batch")

    def _model(self, file: GateFile) -> Any:
        key = _model_key(file)
        if file.train is not None:
            train = file.train
            with _section("train"):
                return self._store.once(key, lambda: self._trained(file, train))
        assert file.model is not None
        spec = file.model
        with _section("model"):
            return self._store.once(key, lambda: self._made(spec))

    def _object(self, reference: str) -> Any:
        return self._store.once(("object", reference), lambda: resolve(reference, root=self._root))

    def _maker(self, reference: str) -> Any:
        """What a file names to be called as it is, without arguments."""
        import torch

        found = self._object(reference)
        if isinstance(found, torch.nn.Module):
            raise ModelgateError(
                f"{reference} is a made model; name the class or a function that makes it, "
                f"such as {type(found).__module__}:{type(found).__name__}"
            )
        check_call(found, reference)
        return found

    def _made(self, spec: ModelSpec) -> Any:
        import torch

        from pytest_modelgate.runtime.loading import load_model
        from pytest_modelgate.runtime.seeds import seeded

        factory = None if spec.factory is None else self._maker(spec.factory)
        device = self._device()
        if spec.checkpoint is not None:
            return load_model(spec.checkpoint, factory, trust=spec.trust, device=device)
        assert factory is not None
        with seeded(self._seed, device):
            model = factory()
        if model is None:
            raise ModelgateError(f"{spec.factory} returned nothing; let it return the model")
        return model.to(device) if isinstance(model, torch.nn.Module) else model

    def _trained(self, file: GateFile, spec: TrainSpec) -> TrainedModel:
        given = {name: getattr(spec, name) for name in ("epochs", "batch_size", "seed", "early_stopping")}
        if spec.fit is not None:
            given["fit"] = self._object(spec.fit)
        if spec.optimizer is not None:
            given["optimizer"] = make_optimizer(spec.optimizer, spec.optimizer_arguments)
        return self._train(
            self._maker(spec.factory),
            self._data(file, "train").pairs,
            validation_data=self._data(file, "validation").pairs if "validation" in file.data else None,
            loss=self._loss(file),
            **{name: value for name, value in given.items() if value is not None},
            **spec.options,
        )


def _call(assertion: Callable[..., Verdict], given: list[Any], keywords: dict[str, Any]) -> Verdict:
    return assertion(*given, **keywords)  # runs as if it stood in the gate file, where warnings then point


class _SectionError(ModelgateError):
    """Wrong use in a section of a gate file; which file is told by whoever settles: several may share it."""

    def __init__(self, section: str, message: str) -> None:
        super().__init__(message)
        self.section = section


@contextmanager
def _section(name: str) -> Iterator[None]:
    """Wrong use is that of a section, such as "model" or "data.test"."""
    try:
        yield
    except _SectionError:
        raise
    except ModelgateError as error:
        raise _SectionError(name, str(error)) from None


def _at(file: GateFile, section: str) -> str:
    line = file.lines.get(section) or file.lines.get(section.partition(".")[0])
    return file.shown if line is None else f"{file.shown}:{line}"


def _read(found: Any, reference: str) -> Data:
    """What a data callable gave: data as `evaluate` takes it, or a dict of its parts."""
    if not isinstance(found, Mapping):
        if found is None:
            raise ModelgateError(f"{reference} returned nothing; let it return a pair (inputs, targets)")
        return Data(found)
    known = ("inputs", "targets", *COLUMNS)
    for name in found:
        if name not in known:
            raise ModelgateError(
                f"{reference} returned a dict with {name!r}; it may hold {', '.join(known)}{did_you_mean(name, known)}"
            )
    for name in known[:2]:
        if name not in found:
            raise ModelgateError(f"{reference} returned a dict without {name!r}; it needs inputs and targets")
    columns = {name: found[name] for name in COLUMNS if found.get(name) is not None}
    return Data((found["inputs"], found["targets"]), columns)


def _needs(gate: GateSpec) -> str:
    """What a gate's metric is computed from, as `keep=` must provide for."""
    from pytest_modelgate.metrics.registry import get_metric

    name = gate.name if gate.kind == "metric" else gate.arguments.get("metric")
    if name is None:
        return "counts"
    needs = get_metric(name).needs
    return "counts" if needs == "counts" else "scores" if needs in ("scores", "forecasts") else "auto"


def _evaluation_key(file: GateFile, name: Sets) -> Hashable:
    """What an evaluation depends on, as text: the same for files that say the same."""
    spec = file.predictions
    if spec is not None:
        columns = (spec.target, spec.preds, spec.outputs, spec.id, spec.weight, spec.group, spec.slices)
        return ("predictions", str(spec.file), columns, spec.labels, spec.threshold)
    return ("evaluation", _model_key(file), file.data.get(name), _text(file.settings))


def _model_key(file: GateFile) -> Hashable:
    if file.model is not None:
        return ("model", file.model.factory, str(file.model.checkpoint), file.model.trust)
    spec = file.train
    if spec is None:
        return None
    how = (spec.fit, spec.optimizer, _text(spec.optimizer_arguments), spec.epochs, spec.batch_size, spec.seed)
    more = (spec.early_stopping, _text(spec.options), _text(file.settings.get("loss")))
    return ("train", spec.factory, file.data.get("train"), file.data.get("validation"), how, more)


def _text(value: Any) -> str:
    """Plain values as text, whatever kind of mapping they stand in."""
    if isinstance(value, Mapping):
        return repr(sorted((name, _text(each)) for name, each in value.items()))
    return repr(value)
