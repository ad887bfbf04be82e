"""The gates that a file may hold, from the registry of metrics and the signatures of the assertions.

Whoever adds a metric, or an assertion whose arguments can be written down, adds it to gate files.
"""

from __future__ import annotations

__tracebackhide__ = True

import inspect
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_modelgate.gatefiles.fields import (
    Choice,
    ClassName,
    Flag,
    Key,
    ListOf,
    Number,
    Parameter,
    Text,
    Type,
    Whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_modelgate.gatefiles.definitions import Kind
    from pytest_modelgate.metrics.metric import Metric

# What a file as a whole supplies: the leading arguments of an assertion tell what it is settled on.
_KINDS: Mapping[tuple[str, ...], Kind] = {
    ("evidence",): "evaluation",
    ("evidence", "baseline"): "regression",
    ("history",): "history",
    ("train_evaluation", "test_evaluation"): "generalization",
    ("train", "test"): "data",
    ("features", "target"): "data",
    ("model", "batch"): "wiring",
}
_SUPPLIED = {name for names in _KINDS for name in names} | {"loss", "by_slice"}
_AVERAGES = ("macro", "micro", "weighted")
_DOCS = {
    "at_least": "the bar: the metric must not be below it",
    "at_most": "the bar: it must not be above it",
    "bar": "what must be reached",
    "label": "one class, by name or index",
    "average": "over the classes, instead of a label",
    "confidence": "how sure PASS and FAIL must be, one-sided: 0.95 is wrong in at most 5%",
    "if_unsure": "the colour where the data cannot tell: by the estimate, red (fail), or green with a warning (warn)",
    "allow_vacuous": "let a bar of accuracy stand that always answering the majority class meets",
    "anytime": "bounds that hold at every look at a test set that grows",
    "slice": "on these samples alone, such as region=north",
    "by": "the column whose values are compared",
    "min_support": "slices of fewer samples are shown and not judged",
    "metric": "a metric by name",
    "margin": "how much worse than the baseline the metric may be, in its own units",
    "gap": "how much worse the metric may be on test data than on training data, in its own units",
    "name": "a metric as the training logs it, such as val_recall",
}
BARS = ("bar", "margin", "gap", "at", "at_least", "at_most")
"""Arguments that are bars: they belong to a gate's title and not to its stem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A gate that a file may hold.

    Attributes:
        name, kind, assertion: as in `GateSpec`.
        doc: what it does, in a sentence.
        keys: its arguments, those of a metric's own parameters among them; without `min_support` where that is for
            gates under `slices:` alone.
        min_support: the key of gates under `slices:`; None where the gate cannot stand there.
        metric: for a gate on one metric.
        supplied: the arguments that the file as a whole supplies, such as "evidence", or "train" and "test".
        of_python: arguments that only a Python test can give.
        judge: module and class of the gate behind it, which checks bars.
        parametrised: whether it takes the parameters of the metric that its key `metric` names.
    """

    name: str
    kind: Kind
    assertion: str
    doc: str
    keys: Mapping[str, Key]
    min_support: Key | None = None
    metric: Metric | None = None
    supplied: tuple[str, ...]
    of_python: tuple[str, ...] = ()
    judge: tuple[str, str] | None = None
    parametrised: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """The arguments that must be given; a metric's bar is checked apart, since it is one of two."""
        return tuple(name for name, key in self.keys.items() if key.required)

    @property
    def slices(self) -> bool:
        """Whether it may stand under `slices:`."""
        return self.min_support is not None


# The gates behind the assertions, which know the ranges of bars and margins.
_JUDGES = {
    "every_class_recall_at_least": ("majority", "EveryClassRecall"),
    "gap_at_most": ("gap", "GapAtMost"),
    "generalization_gap_at_most": ("generalization", "GeneralizationGap"),
    "no_label_leakage": ("label_leakage", "NoLabelLeakage"),
    "no_regression": ("no_regression", "NoRegression"),
    "same_distribution": ("distribution", "SameDistribution"),
}


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Entry]:
    """Every gate by its key in a gate file: the metrics, then the assertions by name."""
    from pytest_modelgate.metrics.registry import METRICS

    return {metric.name: _of_metric(metric) for metric in METRICS.values()} | {
        entry.name: entry for entry in _of_assertions()
    }


@lru_cache(maxsize=1)
def only_in_python() -> tuple[str, ...]:
    """Assertions, by name without `assert_`, that a gate file cannot hold: they take functions or several models."""
    return tuple(
        name
        for name, _, function in _assertions()
        if name not in catalogue() and _metric_of(name) is None and _kind(function) is None
    )


def metric_of_helper(name: str) -> tuple[str, str] | None:
    """The metric and direction of a helper's name, such as "recall_at_least"; None where it is no such name."""
    return _metric_of(name)


def _assertions() -> Iterator[tuple[str, str, Any]]:
    import pytest_modelgate

    for public in pytest_modelgate.__all__:
        if public.startswith("assert_") or public == "check_model":
            yield public.removeprefix("assert_"), public, getattr(pytest_modelgate, public)


def _metric_of(name: str) -> tuple[str, str] | None:
    from pytest_modelgate.metrics.registry import METRICS

    for direction in ("at_least", "at_most"):
        metric = name.removesuffix(f"_{direction}")
        if metric != name and metric in METRICS:
            return metric, direction
    return None


def _kind(function: Any) -> Kind | None:
    """What an assertion is settled on, by its leading arguments."""
    names = tuple(inspect.signature(function).parameters)
    if names[:1] == ("evidence",) and {"metric", "by", "at_most"} <= set(names):
        return "gap"
    return _KINDS.get(names[:2]) or _KINDS.get(names[:1])


def _of_metric(metric: Metric) -> Entry:
    from pytest_modelgate.assertions.metrics import assert_metric

    keys, by_slice, _ = _arguments(assert_metric)
    del keys["metric"]
    bar = Number(metric.lowest, metric.highest, of=metric.name)
    for direction in ("at_least", "at_most"):
        keys[direction] = Key(bar, _DOCS[direction])
    keys.update(parameters_of(metric.name))
    return Entry(
        name=metric.name,
        kind="metric",
        assertion="assert_metric",
        doc=f"{metric.title}: {metric.formula}",
        min_support=keys.pop("min_support", None) if by_slice else None,
        keys=keys,
        metric=metric,
        supplied=("evidence",),
    )


def _of_assertions() -> Iterator[Entry]:
    for name, public, function in _assertions():
        kind = _kind(function)
        if kind is None or name == "metric" or _metric_of(name) is not None:
            continue
        keys, by_slice, of_python = _arguments(function)
        signature = inspect.signature(function).parameters.values()
        yield Entry(
            name=name,
            kind=kind,
            assertion=public,
            doc=(function.__doc__ or "").partition("\n")[0],
            min_support=keys.pop("min_support", None) if by_slice else None,
            keys=keys,
            supplied=tuple(each.name for each in signature if each.name in _SUPPLIED),
            of_python=of_python,
            judge=_JUDGES.get(name),
            parametrised="metric" in keys and any(each.kind is each.VAR_KEYWORD for each in signature),
        )


def _arguments(function: Any) -> tuple[dict[str, Key], bool, tuple[str, ...]]:
    """The arguments of an assertion that can be written in a file, whether it judges by slice, and the others."""
    keys: dict[str, Key] = {}
    others = []
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        if name in _SUPPLIED or parameter.kind is parameter.VAR_KEYWORD:
            continue
        type_ = _type(name, str(parameter.annotation))
        if type_ is None:
            others.append(name)
            continue
        required = parameter.default is parameter.empty
        keys[name] = Key(type_, _DOCS.get(name, f"see {function.__name__}"), required)
    return keys, "by_slice" in parameters, tuple(others)


def _type(name: str, annotation: str) -> Type | None:
    """The type of an argument: by its name, else by how it is annotated; None where a file cannot hold it."""
    from pytest_modelgate.gates.settings import IF_UNSURE
    from pytest_modelgate.metrics.registry import METRICS

    named: dict[str, Type] = {
        "average": Choice(_AVERAGES),
        "confidence": Number(0.5, 1, below=True),
        "if_unsure": Choice(IF_UNSURE),
        "margin": Number(0),
        "metric": Choice(
            tuple(METRICS), {other: metric.name for metric in METRICS.values() for other in metric.also_called}
        ),
        "min_support": Whole(1),
    }
    if name in named:
        return named[name]
    if annotation.startswith(("Sequence[str", "Iterable[str")):
        return ListOf(Text())
    plain: dict[str, Type] = {
        "float": Number(),
        "int": Whole(),
        "bool": Flag(),
        "str": Text(),
        "Label": ClassName(),
    }
    return plain.get(annotation.removesuffix(" | None"))


def parameters_of(metric: str) -> dict[str, Key]:
    """The keys for the parameters of a metric."""
    from pytest_modelgate.metrics.registry import METRICS

    return {name: Key(Parameter(name), f"a parameter of {metric}") for name in METRICS[metric].parameters}


def judge_of(entry: Entry) -> Any:
    """The class of the gate behind an assertion; None where it has no bar to check."""
    if entry.judge is None:
        return None
    module, name = entry.judge
    return getattr(import_module(f"pytest_modelgate.gates.{module}"), name)
