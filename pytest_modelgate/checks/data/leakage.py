"""Are rows of one data set in another: equal ones, near ones, rows of the same group or of a later time."""

from __future__ import annotations

__tracebackhide__ = True

import warnings
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_modelgate.checks.data.aligned import MOST_FEATURES, read_aligned
from pytest_modelgate.checks.data.neighbours import NEAR, nearness
from pytest_modelgate.checks.data.without import check_evaluation, metrics_without
from pytest_modelgate.evidence.audit import DataAudit, Finding
from pytest_modelgate.evidence.identity import hash_names, hash_rows
from pytest_modelgate.exceptions import EvidenceError
from pytest_modelgate.metrics.arrays import some_of, to_numpy
from pytest_modelgate.metrics.remarks import counted
from pytest_modelgate.runtime.data import refuse_shuffled
from pytest_modelgate.statistics.interval import check_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_modelgate.checks.data.aligned import Side
    from pytest_modelgate.evidence.evaluation import Evaluation

    Numbers = NDArray[np.int64]

LEVEL = 0.01
_SHOWN = 10
_KINDS = {"i": "whole numbers", "u": "whole numbers", "U": "texts", "S": "bytes"}
_NAMES = ("train", "test")
_ADJECTIVES = {"train": "training", "test": "test"}


class _Found(NamedTuple):
    finding: Finding
    rows: Numbers


def audit_leakage(
    train: Any,
    test: Any,
    *,
    groups: Any = None,
    time: Any = None,
    near: bool = False,
    evaluation: Evaluation | None = None,
    confidence: float = 0.95,
) -> DataAudit:
    """Look for rows of `test` in `train`; see `assert_no_leakage` for the arguments and errors."""
    check_level(confidence)
    for name, pair in (("groups", groups), ("time", time)):
        for data, of in zip((train, test), _pair(name, pair), strict=True):
            refuse_shuffled(data, [name] if of is not None else [])
    if evaluation is not None:
        check_evaluation(evaluation)
    one, other = read_aligned(train, test, sample=near, contents=evaluation is not None)
    same = _duplicates(one, other)
    found = [same]
    if groups is not None:
        found.append(_groups(groups, one, other))
    if time is not None:
        found.append(_times(time, one, other))
    if near:
        found.append(_near(one, other, min(LEVEL, 1 - confidence)))
    leaking = np.unique(np.concatenate([each.rows for each in found]))
    findings: list[Finding | None] = [each.finding for each in found]
    findings += [
        _other_labels(one, other, same.rows),
        *(_within(*each) for each in zip(_NAMES, (one, other), strict=True)),
    ]
    if evaluation is not None and len(leaking):
        findings += metrics_without(evaluation, test, other, leaking)
    total = Finding(
        name="leaking rows",
        count=len(leaking),
        of=other.n,
        rows=_rows(leaking),
        estimate=len(leaking) / other.n,
        text=f"{len(leaking):,} of {other.n:,} test rows leak",
    )
    drawn = [name for name, side in zip(_NAMES, (one, other), strict=True) if not side.in_order]
    if drawn:
        text = f"the rows of {' and '.join(drawn)} are numbered as the loader drew them"
        findings.append(Finding(name="row numbers", count=None, of=None, text=text))
    return DataAudit(
        about="leakage",
        sizes={"train": one.n, "test": other.n},
        features=one.features,
        findings=(total, *(finding for finding in findings if finding is not None)),
    )


def _duplicates(train: Side, test: Side) -> _Found:
    """Test rows that equal a training row, with the first one that each equals."""
    values, first = np.unique(train.hashes, return_index=True)
    places = np.minimum(np.searchsorted(values, test.hashes), len(values) - 1)
    rows = np.flatnonzero(values[places] == test.hashes)
    finding = Finding(
        name="duplicates",
        count=len(rows),
        of=test.n,
        rows=_rows(rows, first[places[rows]]),
        text=f"{_some(len(rows), test.n, 'test row')} {_s(len(rows), 'equal')} a training row",
    )
    return _Found(finding, rows)


def _other_labels(train: Side, test: Side, rows: Numbers) -> Finding | None:
    """Of the test rows that equal training rows, those of which one has another target."""
    if train.targets is None or test.targets is None or not len(rows):
        return None
    copies = np.flatnonzero(np.isin(train.hashes, test.hashes[rows]))
    labels, mine = _names(train.targets[copies]), _names(test.targets[rows])
    order = np.lexsort((copies, labels, train.hashes[copies]))
    copies, labels = copies[order], labels[order]
    hashes = train.hashes[copies]
    # Of the copies of one row the first has the least label and the last the greatest: one differs if any does.
    ends = [
        np.searchsorted(hashes, test.hashes[rows], side="left"),
        np.searchsorted(hashes, test.hashes[rows], side="right") - 1,
    ]
    unlike = [labels[end] != mine for end in ends]
    other = unlike[0] | unlike[1]
    partners = copies[np.where(unlike[0], ends[0], ends[1])]
    count = int(np.count_nonzero(other))
    return Finding(
        name="duplicates with another label",
        count=count,
        of=len(rows),
        rows=_rows(rows[other], partners[other]),
        text=f"{count:,} of the {counted(len(rows), 'equal row')} {_has(count)} another label in train",
    )


def _within(name: str, side: Side) -> Finding:
    """Rows of one set that equal an earlier row of it."""
    _, first, each = np.unique(side.hashes, return_index=True, return_inverse=True)
    earlier = first[each.reshape(-1)]
    rows = np.flatnonzero(earlier != np.arange(side.n))
    text = f"{_some(len(rows), side.n, f'{_ADJECTIVES[name]} row')} {_s(len(rows), 'repeat')} an earlier one"
    if side.targets is not None and len(rows):
        unlike = int(np.count_nonzero(_names(side.targets[rows]) != _names(side.targets[earlier[rows]])))
        text += f", {unlike:,} with another label"
    return Finding(
        name=f"duplicates within {name}", count=len(rows), of=side.n, rows=_rows(rows, earlier[rows]), text=text
    )


def _groups(pair: Any, train: Side, test: Side) -> _Found:
    """Test rows of a group that training rows belong to."""
    hashes = []
    pair = [each if hasattr(each, "__len__") or not hasattr(each, "__iter__") else list(each) for each in pair]
    for name, each, side in zip(_NAMES, pair, (train, test), strict=True):
        hashes.append(hash_names(each, f"groups of {name}"))
        _check_length(f"groups of {name}", len(hashes[-1]), side, name)
    one, other = map(_kinds, pair)
    if not one & other:
        said = [" and ".join(sorted(each)) for each in (one, other)]
        raise EvidenceError(
            f"groups of train are {said[0]} and groups of test are {said[1]}, so no group could be on both sides: give "
            "both in one type"
        )
    values, first = np.unique(hashes[0], return_index=True)
    places = np.minimum(np.searchsorted(values, hashes[1]), len(values) - 1)
    rows = np.flatnonzero(values[places] == hashes[1])
    _, kinds = np.unique(hashes[1][rows], return_index=True)
    text = f"{_some(len(rows), test.n, 'test row')} {_s(len(rows), 'belong')} to a group of training rows"
    if len(rows):
        which = [repr(_plain(pair[1], int(row))) for row in rows[np.sort(kinds)[:_SHOWN]]]
        more = f" and {len(kinds) - len(which):,} more" if len(kinds) > len(which) else ""
        text += f" ({counted(len(kinds), 'group')}: {', '.join(which)}{more})"
    finding = Finding(name="groups", count=len(rows), of=test.n, rows=_rows(rows, first[places[rows]]), text=text)
    return _Found(finding, rows)


def _times(pair: Any, train: Side, test: Side) -> _Found:
    """Test rows that are earlier than the last training row; those at the same time are counted apart."""
    before, after = (_moments(each, f"time of {name}") for name, each in zip(_NAMES, pair, strict=True))
    for name, each, side in zip(_NAMES, (before, after), (train, test), strict=True):
        _check_length(f"time of {name}", len(each), side, name)
    if (before.dtype.kind == "M") != (after.dtype.kind == "M"):
        raise EvidenceError("time: one set has dates and the other numbers; give both the same")
    last = int(np.argmax(before))
    rows = np.flatnonzero(after < before[last])
    ties = int(np.count_nonzero(after == before[last]))
    text = (
        f"{_some(len(rows), test.n, 'test row')} {_is(len(rows))} earlier than the last training row ({before[last]})"
    )
    if ties:
        text += f"; {ties:,} {_is(ties)} of the same time"
    finding = Finding(name="time", count=len(rows), of=test.n, rows=_rows(rows, np.full(len(rows), last)), text=text)
    return _Found(finding, rows)


def _near(train: Side, test: Side, level: float) -> _Found:
    """Test rows that are almost a training row: a seeded sample where there are many rows or features."""
    nothing = np.empty(0, dtype=np.int64)
    name = "near duplicates"
    assert train.sample is not None
    assert test.sample is not None
    mine, theirs = train.sample, test.sample
    kept = np.unique(train.hashes[mine.rows], return_index=True)[1]
    kept = kept[np.isfinite(mine.values[kept]).all(axis=1)]
    finite = np.isfinite(theirs.values).all(axis=1)
    asked = np.flatnonzero(finite & ~np.isin(test.hashes[theirs.rows], train.hashes))
    said = ""
    if len(mine.rows) < train.n or len(theirs.rows) < test.n:
        said += f" (of {len(theirs.rows):,} test and {len(mine.rows):,} training rows drawn at random)"
    if train.features > MOST_FEATURES:
        said += f" (in {mine.values.shape[1]:,} of {train.features:,} features)"
    if not finite.all():
        said += f" ({counted(int((~finite).sum()), 'row')} with NaN or infinity left out)"
    if not len(asked) and finite.any():
        text = f"0 test rows are near-duplicates: each that can be compared equals a training row{said}"
        return _Found(Finding(name=name, count=0, of=0, text=text), nothing)
    judged = nearness(mine.values[kept], theirs.values[asked], level) if len(asked) else "no test row is finite"
    if isinstance(judged, str):
        return _Found(
            Finding(name=name, count=None, of=test.n, text=f"near-duplicates cannot be judged: {judged}{said}"), nothing
        )
    rows = theirs.rows[asked[judged.rows]]
    limit = NEAR * judged.usual
    text = (
        f"{_some(len(rows), judged.of, 'further test row')} {_is(len(rows))} nearer to a training row than luck "
        f"explains: {judged.near:,} of {judged.of:,} test rows and {judged.within:,} of {judged.of_within:,} training "
        f"rows have another within {limit:.3g} {judged.unit} (p = {judged.p:.2g}){said}"
    )
    order = np.argsort(rows)
    partners = mine.rows[kept[judged.neighbours]][order]
    finding = Finding(
        name=name, count=len(rows), of=judged.of, rows=_rows(rows[order], partners), p=judged.p, text=text
    )
    return _Found(finding, rows)


def _pair(name: str, pair: Any) -> Any:
    if pair is None:
        return None, None
    if isinstance(pair, (str, bytes)) or not hasattr(pair, "__len__") or len(pair) != 2:
        raise EvidenceError(f"{name} must be a pair: one entry for each training row, and one for each test row")
    return pair


def _kinds(names: Any) -> set[str]:
    """Of which types the names of groups are."""
    if hasattr(names, "dtype"):
        array = to_numpy(names)
        if array.dtype.kind in _KINDS:
            return {_KINDS[array.dtype.kind]}
        names = array
    kinds = {type(each) for each in names}
    return {"texts" if issubclass(each, str) else "bytes" if issubclass(each, bytes) else _KINDS["i"] for each in kinds}


def _moments(values: Any, what: str) -> NDArray[Any]:
    """Times as numbers or datetime64, [N], none missing."""
    array = to_numpy(values)
    if array.dtype.kind == "O" and all(isinstance(each, str) for each in array.flat):
        array = array.astype(str)
    if array.dtype.kind == "U":
        _refuse_compact(array, what)
    if array.dtype.kind == "U" or (array.dtype.kind == "O" and all(isinstance(each, date) for each in array.flat)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # numpy warns where it leaves a time zone out
                array = array.astype("datetime64[us]")
        except (ValueError, Warning) as error:
            raise EvidenceError(f"{what}: {error}; give numbers, or dates of one time zone without its name") from None
    if array.dtype.kind not in "fiuM":
        raise EvidenceError(f"{what} must be numbers or dates, but their type is {array.dtype}")
    if array.ndim != 1:
        raise EvidenceError(f"{what} must have the shape [N], one for each row, not {list(array.shape)}")
    missing = np.isnat(array) if array.dtype.kind == "M" else np.isnan(array)
    if missing.any():
        raise EvidenceError(f"{what} is missing: {some_of(array, missing)}")
    return array


def _refuse_compact(array: NDArray[Any], what: str) -> None:
    """An `EvidenceError` for texts such as 20200102, which numpy takes for a year."""
    digits = np.char.isdigit(array) & (np.char.str_len(array) > len("2020"))
    if digits.any():
        raise EvidenceError(
            f"{what} holds texts of digits alone: {some_of(array, digits)}; write dates as 2020-01-31, and numbers as "
            "numbers"
        )


def _check_length(what: str, length: int, side: Side, name: str) -> None:
    if length != side.n:
        raise EvidenceError(f"{what}: {length:,} entries for {side.n:,} rows of {name}: give one for each row")


def _names(targets: NDArray[Any]) -> NDArray[np.uint64]:
    """A hash of each target."""
    return hash_rows(targets[:, None])


def _plain(values: Any, row: int) -> Any:
    value = values[row] if isinstance(values, (list, tuple)) else to_numpy(values)[row]
    return value.item() if hasattr(value, "item") else value


def _rows(*columns: Numbers) -> tuple[tuple[int, ...], ...]:
    return tuple(zip(*(list(column[:_SHOWN]) for column in columns), strict=True))


def _some(count: int, of: int, noun: str) -> str:
    """So many of so many."""
    return f"{count:,} of {counted(of, noun)}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _s(count: int, verb: str) -> str:
    return verb + "s" * (count == 1)
