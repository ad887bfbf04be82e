"""One verdict in a baseline: what was measured where, what it was, and what was asked of it."""

from __future__ import annotations

__tracebackhide__ = True

import re
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NUMBER = r"[-+]?[0-9][-+.0-9e]*"
_OUTSIDE_LABELS = r"(?![^\[\]]*\])"
_BAR = re.compile(rf"(?: (>=|<=|>|<) |, (margin|share)=)({_NUMBER}){_OUTSIDE_LABELS}")
_MOST_LABELS = 20

Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A verdict that was recorded.

    Attributes:
        test: the test's id, or another name that stays the same where the bar changes, as a gate file's tests have.
        gate: the gate as text, such as `recall[fraud] >= 0.9`.
        outcome, estimate, lower, upper, support, bar, direction, confidence, if_unsure: as in `Verdict`; numbers that
            were measured with six significant digits.
        slice: the slice that was judged; None for all samples, and for a family of slices.
        number: the first, second, ... verdict of the same test on the same measured thing.
        slices: the slices that a family of slices was made of.
        unjudged: those of them that had too few samples to be judged.
        samples: the key of the stored samples that it was compared by, or None.
        data: what it was measured on: n, fingerprint, labels, threshold, task, outputs, loss; None for a history.
    """

    test: str
    gate: str
    outcome: str
    estimate: float | None
    lower: float | None
    upper: float | None
    support: int
    bar: float | None
    direction: str
    confidence: float
    if_unsure: str
    slice: str | None = None
    number: int = 1
    slices: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    samples: str | None = None
    data: Mapping[str, Any] | None = None

    @property
    def measured(self) -> str:
        """The gate without its bar: `recall[fraud]`."""
        return measured_of(self.gate)

    @property
    def key(self) -> Key:
        """What tells it from all others: two verdicts of a baseline cannot share it."""
        return self.test, self.measured, self.slice or "", self.number

    def __str__(self) -> str:
        where = "" if self.slice is None else f" on {self.slice}"
        return f"{self.measured}{where}{'' if self.number == 1 else f' ({self.number})'} in {self.test}"


def entry_of(row: Mapping[str, Any], evaluation_row: Mapping[str, Any] | None = None, number: int = 1) -> Entry:
    """The entry of a report's verdict.

    Args:
        row: a verdict as the report has it. Beside that it may have `baseline_key`, a name to be used instead of the
            test's id, and `samples`, the key of the samples that were stored for it.
        evaluation_row: the evaluation behind it, as the report has it; None for a history.
        number: the first, second, ... verdict of the same test on the same thing.
    """
    family, judged = _family(row), _family(row, judged=True)
    return Entry(
        test=test_of(row),
        gate=row["gate"],
        outcome=str(row["outcome"]),
        estimate=_rounded(row["estimate"]),
        lower=_rounded(row["lower"]),
        upper=_rounded(row["upper"]),
        support=int(row["support"]),
        bar=_finite(row["bar"]),
        direction=row["direction"],
        confidence=float(row["confidence"]),
        if_unsure=row["if_unsure"],
        slice=None if family else row.get("slice"),
        number=number,
        slices=family,
        unjudged=tuple(name for name in family if name not in judged),
        samples=row.get("samples"),
        data=None if evaluation_row is None else _data(evaluation_row),
    )


def test_of(row: Mapping[str, Any]) -> str:
    """What a baseline calls the row's test; "" where it belongs to none."""
    return str(row.get("baseline_key") or row["test"] or "")


def measured_of(gate: str) -> str:
    """A gate's text without its bars, which may be changed without it being another gate.

    >>> measured_of("recall[fraud] >= 0.9"), measured_of("no_regression(recall[age >= 65], margin=0.01)")
    ('recall[fraud]', 'no_regression(recall[age >= 65])')
    """
    return _BAR.sub("", gate)


def bars_of(gate: str) -> tuple[tuple[str, float], ...]:
    """The bars in a gate's text: each with its sign, or with the name that it goes by.

    Bars that stand nowhere in the text, such as the share of the most frequent class, come from the data, and no author
    can lower them.

    >>> bars_of("recall[fraud] >= 0.9"), bars_of("no_regression(f1, margin=0.01)"), bars_of("beats_majority_class")
    ((('>=', 0.9),), (('margin', 0.01),), ())
    """
    return tuple((found[1] or found[2], float(found[3])) for found in _BAR.finditer(gate))


def slices_of(details: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """The slices of a verdict that judged or compared all of a column, out of its details; None of any other."""
    found = details.get("slices", details.get("compared"))
    return found if isinstance(found, list | tuple) else None


def numbered(rows: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], int]]:
    """Each row with its number among those of the same test on the same measured thing, from 1 on."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    for row in rows:
        same = test_of(row), measured_of(row["gate"]), "" if _family(row) else row.get("slice") or ""
        seen[same] += 1
        found.append((row, seen[same]))
    return found


def _family(row: Mapping[str, Any], *, judged: bool = False) -> tuple[str, ...]:
    """The names of the slices that a family of slices was made of, or of those that were judged; sorted."""
    slices = slices_of(row.get("details") or {}) or ()
    return tuple(sorted({str(one["slice"]) for one in slices if one.get("judged") or not judged}))


def _data(row: Mapping[str, Any]) -> dict[str, Any]:
    fingerprint, labels, loss = row.get("fingerprint"), list(row.get("labels") or ()), row.get("loss")
    if len(labels) > _MOST_LABELS:
        digest = blake2b(repr(labels).encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        labels = [f"{len(labels)} labels, {digest}"]
    return {
        "n": row["n"],
        "fingerprint": f"{fingerprint:016x}" if isinstance(fingerprint, int) else fingerprint,
        "labels": labels,
        "threshold": row.get("threshold"),
        "task": row["task"],
        "outputs": row.get("outputs"),
        "loss": None if loss is None else loss["name"],
    }


def _finite(value: float | str | None) -> float | None:
    """The number; None for one that is not finite, which a report holds as text."""
    return None if value is None or isinstance(value, str) else value


def _rounded(value: float | str | None) -> float | None:
    """With six significant digits: alike on machines that differ in the last bit."""
    finite = _finite(value)
    return finite if finite is None or isinstance(finite, int) else float(f"{finite:.6g}")
