"""Do two data sets come from one distribution: an audit of class shares and of each feature."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.checks.data.columns import named
from pytest_modelgate.evidence.audit import DataAudit, Finding
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.gates.settings import CONFIDENCE, check_confidence
from pytest_modelgate.gates.wording import number
from pytest_modelgate.metrics.arrays import to_numpy
from pytest_modelgate.runtime.data import Batches
from pytest_modelgate.statistics.shifts import Shift, class_shift, kolmogorov_shift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Parts = list[tuple[str, NDArray[Any]]]

MOST_FEATURES = 1_000
MOST_ROWS = 100_000
CLASSES = "class shares"
_SHOWN = 20
_BATCH = 1 << 14


def audit_distribution(
    train: Any, test: Any, *, names: Sequence[str] | None = None, confidence: float = CONFIDENCE
) -> DataAudit:
    """How far apart two data sets are, in class shares and in each feature.

    A feature's figure is Kolmogorov and Smirnov's distance, that of class shares the total variation distance. A
    target of floats, or of whole numbers that mostly occur once, counts as one more feature. Of more than 1,000
    features so many are looked at, evenly spread, and of more than 100,000 rows of a set so many, drawn at random.

    Args:
        train, test: data in any form that `evaluate` takes.
        names: of the features of one array [N, D].
        confidence: of each upper bound; the lower ones hold for all features at once.

    Raises:
        EvidenceError: no samples, no features, other widths, or data that cannot be read.
        BarError: a confidence that is none.
    """
    check_confidence(confidence)
    sides = [_read(data, what) for data, what in ((train, "train"), (test, "test"))]
    (before, old, width), (after, new, other) = sides
    if width != other:
        raise EvidenceError(f"train has {width:,} features and test {other:,}: give both the same features")
    for (mine, _), (theirs, _) in zip(before, after, strict=True):
        if mine != theirs:
            raise EvidenceError(f"train has {mine!r} where test has {theirs!r}: give both the same order of features")
    if width == 0:
        raise EvidenceError("there are no features: nothing can be compared")
    if names is not None:
        if width != len(before):
            names = [names[place] for place in _places(width)] if len(names) == width else names
        given = named(len(before), names)
        before = [(name, values) for name, (_, values) in zip(given, before, strict=True)]
    sizes = {"train": len(old), "test": len(new)}
    shares = _as_classes(old, new)
    pairs = [(name, mine, theirs) for (name, mine), (_, theirs) in zip(before, after, strict=True)]
    if shares is None:
        flat = [each.reshape(len(each), -1) for each in (old, new)]
        if flat[0].shape[1] != flat[1].shape[1]:
            raise EvidenceError(f"targets of other shapes: {list(old.shape)} and {list(new.shape)}")
        many = flat[0].shape[1]
        pairs += [
            ("target" if many == 1 else f"target {place}", flat[0][:, place], flat[1][:, place])
            for place in range(min(many, MOST_FEATURES))
        ]
    family = len(pairs) + (shares is not None)
    alpha, strict = 1 - confidence, (1 - confidence) / family
    rows = [_drawn(size) for size in sizes.values()]
    found = [
        (
            name,
            kolmogorov_shift(mine[rows[0]], theirs[rows[1]], alpha=alpha, strict=strict),
            _middle(mine[rows[0]], theirs[rows[1]]),
        )
        for name, mine, theirs in pairs
    ]
    found.sort(key=lambda one: -one[1].estimate)
    findings = [
        _finding(name, shift, "largest difference of shares below a value", more) for name, shift, more in found
    ]
    findings = findings[:_SHOWN]
    if shares is not None:
        shift = class_shift(*shares, alpha=alpha, strict=strict)
        findings.insert(0, _finding(CLASSES, shift, "total variation distance", _most_moved(*shares)))
    if width > len(before):
        text = f"{len(before):,} of {width:,} features looked at, evenly spread"
        findings.append(Finding(name="left out", count=width - len(before), of=width, text=text))
    for name, size in sizes.items():
        if size > MOST_ROWS:
            text = f"of {name} {MOST_ROWS:,} of {size:,} rows looked at for features, drawn at random"
            findings.append(Finding(name="left out", count=size - MOST_ROWS, of=size, text=text))
    return DataAudit(about="same distribution", sizes=sizes, features=family, findings=tuple(findings))


def _read(data: Any, what: str) -> tuple[Parts, NDArray[Any], int]:
    """The features that are looked at by name, the targets, and how many features there are."""
    batches = Batches(data, what=what, batch_size=_BATCH)
    pieces: list[Parts] = []
    targets: list[NDArray[Any]] = []
    width: int | None = None
    for inputs, target in batches:
        tables = list(_tables(inputs, what))
        ends = np.cumsum([table.shape[1] for _, table in tables])
        now = int(ends[-1]) if len(ends) else 0
        if width is not None and now != width:
            raise EvidenceError(f"{what}: a batch of {now:,} features after one of {width:,}")
        width = now
        if any(len(table) != len(target) for _, table in tables):
            raise EvidenceError(f"{what}: a batch of {len(tables[0][1]):,} inputs and {len(target):,} targets")
        pieces.append([_column(tables, ends, place) for place in _places(width)])
        targets.append(to_numpy(target))
    if not targets or sum(map(len, targets)) == 0:
        raise EvidenceError(f"{what} has no samples")
    columns = [(parts[0][0], np.concatenate([values for _, values in parts])) for parts in zip(*pieces, strict=True)]
    return columns, np.concatenate(targets), width or 0


def _places(width: int) -> list[int]:
    """Which features are looked at."""
    if width <= MOST_FEATURES:
        return list(range(width))
    return [place * (width - 1) // (MOST_FEATURES - 1) for place in range(MOST_FEATURES)]


def _tables(inputs: Any, what: str, name: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays among the inputs, each flattened to [N, D], with a name."""
    if isinstance(inputs, Mapping):
        for key, value in inputs.items():
            yield from _tables(value, what, f"{name} {key}".strip())
    elif isinstance(inputs, (tuple, list)):
        for place, value in enumerate(inputs):
            yield from _tables(value, what, f"{name} input {place}".strip())
    else:
        table = to_numpy(inputs)
        if table.ndim == 0 or table.dtype.kind not in "fiub":
            raise EvidenceError(f"{what}: inputs of type {table.dtype} and shape {list(table.shape)} are not [N, ...]")
        yield name, table.reshape(len(table), int(np.prod(table.shape[1:])))


def _column(tables: list[tuple[str, NDArray[Any]]], ends: NDArray[np.int64], place: int) -> tuple[str, NDArray[Any]]:
    which = int(np.searchsorted(ends, place, side="right"))
    name, table = tables[which]
    column = place - int(ends[which]) + table.shape[1]
    if name and table.shape[1] == 1:
        return name, table[:, 0]
    return f"{name} feature {column}".strip(), table[:, column]


def _drawn(size: int) -> Any:
    """All rows, or as many as are looked at."""
    if size <= MOST_ROWS:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(size, MOST_ROWS, replace=False))


def _as_classes(old: NDArray[Any], new: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """How many samples of each class both sets have; None where the targets are no classes."""
    flat = [each[:, 0] if each.ndim == 2 and each.shape[1] == 1 else each for each in (old, new)]
    if any(each.ndim != 1 or each.dtype.kind not in "iub" for each in flat):
        return None
    both = np.concatenate(flat)
    values, codes = np.unique(both, return_inverse=True)
    if len(values) > 2 and 2 * len(values) > len(both):
        return None
    codes = codes.reshape(-1)
    return (
        np.bincount(codes[: len(flat[0])], minlength=len(values)),
        np.bincount(codes[len(flat[0]) :], minlength=len(values)),
    )


def _most_moved(old: NDArray[np.int64], new: NDArray[np.int64]) -> str:
    before, after = old / old.sum(), new / new.sum()
    place = int(np.abs(before - after).argmax())
    return f"most of all a class with {number(float(before[place]))} of train and {number(float(after[place]))} of test"


def _middle(old: NDArray[Any], new: NDArray[Any]) -> str:
    sides = []
    for name, values in (("train", old), ("test", new)):
        here = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        missing = len(values) - len(here)
        text = f"{name} has the median {float(np.median(here)):.4g}" if len(here) else f"{name} has no value"
        sides.append(text + (f" and {missing:,} missing" if missing else ""))
    return ", ".join(sides)


def _finding(name: str, shift: Shift, what: str, more: str) -> Finding:
    text = f"{name}: {what} {number(shift.estimate)} ({number(shift.lower)} to {number(shift.upper)}); {more}"
    return Finding(
        name=name,
        count=None,
        of=None,
        estimate=shift.estimate,
        lower=shift.lower,
        upper=shift.upper,
        p=shift.p,
        text=text,
    )
