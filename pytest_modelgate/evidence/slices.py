"""The slices of an evaluation: the evidence of the samples with one value of a column, made when it is asked for."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_modelgate.evidence.subset import subset
from pytest_modelgate.exceptions import EvidenceError, did_you_mean

if TYPE_CHECKING:
    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.metrics.slicing import SliceColumn

_NAMED = 12


class Slices(Mapping[str, "Evaluation"]):
    """The slices of an evaluation by name, such as "region=north"; of a column of bools "urgent" and "not urgent".

    A slice is also found by its value alone, where only one column has it, and by (column, value). Those that no
    sample is in are not listed, and asking for one is an error.

    Raises:
        EvidenceError: the evaluation was made without slices; an unknown or an empty slice.
    """

    __slots__ = ("_evaluation", "_every")

    def __init__(self, evaluation: Evaluation) -> None:
        kept = None if evaluation.samples is None else evaluation.samples.slices
        if not kept:
            raise EvidenceError("no slices were given: evaluate with slices=, such as slices={'region': regions}")
        self._evaluation = evaluation
        self._every = {column.name: column for column in kept}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._every)

    def by(self, column: str) -> dict[str, Evaluation]:
        """Each slice of one column, in the order of its values; of bools True comes first.

        Raises:
            EvidenceError: an unknown column, or one of bools that are all alike.
        """
        chosen = self._column(column)
        order = np.argsort(chosen.codes, kind="stable")
        ends = np.cumsum(chosen.counts)
        return {
            title: self._made(chosen, code, title, order[end - count : end])
            for code, (title, count, end) in enumerate(zip(chosen.titles, chosen.counts, ends, strict=True))
        }

    def names(self, column: str) -> tuple[str, ...]:
        """The names of one column's slices, in the order of `by`."""
        return self._column(column).titles

    def __getitem__(self, key: object) -> Evaluation:
        column, code = self._place(key)
        return self._made(column, code, column.title(code), np.flatnonzero(column.codes == code))

    def __iter__(self) -> Iterator[str]:
        for column in self._every.values():
            for title, count in zip(column.titles, column.counts, strict=True):
                if count:
                    yield title

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        try:
            column, code = self._place(key)
        except EvidenceError:
            return False
        return bool(column.counts[code])

    def __repr__(self) -> str:
        return f"<Slices: {', '.join(f'{c.name} ({len(c.values)})' for c in self._every.values())}>"

    def _column(self, name: object) -> SliceColumn:
        if not isinstance(name, str) or name not in self._every:
            raise EvidenceError(
                f"there are no slices by {name!r}, only by {', '.join(map(repr, self._every))}"
                f"{did_you_mean(name, self._every)}"
            )
        return self._every[name]

    def _place(self, key: object) -> tuple[SliceColumn, int]:
        if isinstance(key, tuple) and len(key) == 2:
            return self._place_of_value(*key)
        if isinstance(key, str):
            for column in self._every.values():  # the names of two columns' slices never meet: see `check_name`
                code = column.find(key)
                if code is not None:
                    return column, code
        found = [
            (column, code)
            for column in self._every.values()
            for code, value in enumerate(column.values)
            if not isinstance(key, bool) and not isinstance(value, bool) and str(value) == str(key)
        ]
        if len(found) > 1:
            several = " and ".join(repr(column.titles[code]) for column, code in found)
            raise EvidenceError(f"slice {key!r} could be {several}: give the whole name")
        return found[0] if found else self._unknown(key)

    def _place_of_value(self, name: object, value: object) -> tuple[SliceColumn, int]:
        column = self._column(name)
        for code, one in enumerate(column.values):
            if one == value and isinstance(one, bool) == isinstance(value, (bool, np.bool_)):
                return column, code
        return self._unknown(f"{name}={value}")

    def _unknown(self, key: object) -> tuple[SliceColumn, int]:
        names = list(self)
        values = {str(one) for column in self._every.values() for one in column.values if not isinstance(one, bool)}
        meant = did_you_mean(key, names) or did_you_mean(key, values)
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        raise EvidenceError(f"no slice {key!r}: there are {', '.join(map(repr, names[:_NAMED]))}{more}{meant}")

    def _made(self, column: SliceColumn, code: int, title: str, rows: Any) -> Evaluation:
        whole = self._evaluation
        if not len(rows):
            raise EvidenceError(f"empty slice {title!r}: none of the {whole.n:,} samples is in it")
        origin, key = whole.origin, (column.name, column.values[code])
        origin = replace(origin, steps=(*origin.steps, title), derivation=origin.then(_sliced, key))
        return replace(subset(whole, rows), origin=origin)


def _sliced(evaluation: Evaluation, key: object) -> Evaluation:
    return evaluation.slices[key]
