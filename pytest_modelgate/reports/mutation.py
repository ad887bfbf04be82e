"""What the report's mutation says, as rows and sentences that every renderer shows.

The mapping is `Report.mutation`: for each model its gates, its faults, and for each fault one cell a gate.
"""

from __future__ import annotations

__tracebackhide__ = True

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_modelgate.reports.numbers import MISSING, Number, count, finite, number, plural, signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]

Mark: TypeAlias = Literal["caught", "missed", "none"]
"""What a gate made of a fault; `none` where it was not settled on it."""

State: TypeAlias = Literal["through", "caught", "equivalent"]
"""Whether no gate noticed a fault, one did, or it changed too little to count."""

MEANING = "A gate notices a fault where it is green on the model and red on the model with the fault."


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One gate on one fault: by how much its metric moved, and what the verdict was."""

    mark: Mark
    moved: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault with its cells, one a gate; `caught` of the `judged` gates noticed it."""

    name: str
    kind: str
    state: State
    changed: str
    caught: int
    judged: int
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A gate with the faults that it noticed; `name` is its text, with its test where the text alone is ambiguous."""

    name: str
    test: str | None
    now: str
    caught: str
    judged: bool
    nothing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Faults that every gate let through, each with how many weaker ones in its place, and what would help."""

    text: str
    faults: Sequence[tuple[Fault, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A kind of fault at graded strengths, mild to harsh: how many gates noticed it, for each place and strength."""

    kind: str
    strengths: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Fault | None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What was found on one model.

    Attributes:
        title: its name, with its number where there are several models.
        key: the key of its evaluation.
        summary: how many faults were noticed, and what was left out.
        incomplete: whether nothing could be noticed, or something was left out.
        gates, kinds: the columns of the table, and its rows by kind of fault; without the faults that changed too
            little.
        hints: the faults that every gate let through, those that changed most first.
        equivalent: the faults that changed too little to count.
        noise: for each place, the smallest strength of noise that a gate noticed; None where none was.
    """

    title: str
    key: str
    tests: Sequence[str]
    summary: str
    incomplete: bool
    gates: Sequence[Gate]
    kinds: Sequence[tuple[str, Sequence[Fault]]]
    hints: Sequence[Hint]
    equivalent: Sequence[Fault]
    grids: Sequence[Grid]
    noise: Sequence[tuple[str, str | None]]

    @property
    def through(self) -> int:
        """How many faults every gate let through."""
        return sum(1 + weaker for hint in self.hints for _, weaker in hint.faults)

    @property
    def nothing(self) -> list[Gate]:
        """The gates that noticed no fault."""
        return [gate for gate in self.gates if gate.nothing]


def summary(mutation: Row) -> str:
    """How many faults the gates noticed, in a run or on one model.

    >>> summary({"caught": 30, "counted": 36, "equivalent": 6, "share": 0.83333})
    'gates noticed 30 of 36 faults (0.833); 6 changed too little to count'
    """
    caught, counted, equivalent = mutation["caught"], mutation["counted"], mutation["equivalent"]
    text = f"gates noticed {count(caught)} of {plural(counted, 'fault')}" if counted else "no fault was counted"
    if counted:
        text += f" ({number(caught / counted, mutation.get('minimum'))})"
    return f"{text}; {count(equivalent)} changed too little to count" if equivalent else text


def requirement(mutation: Row) -> str:
    """The share that was required and whether it was reached; nothing where none was.

    >>> requirement({"caught": 2, "counted": 3, "share": 0.666, "minimum": 0.8, "enough": False})
    'required 0.800: NOT enough'
    """
    if mutation["minimum"] is None:
        return ""
    verdict = "enough" if mutation["enough"] else "NOT enough"
    return f"required {number(mutation['minimum'], mutation['share'])}: {verdict}"


def models(mutation: Row) -> list[Model]:
    """What was found on each model, in the order of the report."""
    several = len(mutation["models"]) > 1
    found = []
    for index, row in enumerate(mutation["models"], start=1):
        name = str(row["model"] or "model")
        found.append(_model(row, f"{index}. {name}" if several else name))
    return found


def not_mutated(mutation: Row) -> list[tuple[str, Sequence[Row]]]:
    """The gates that were not mutated, by the reason, the most frequent first."""
    groups: dict[str, list[Row]] = {}
    for row in mutation["not_mutated"]:
        groups.setdefault(row["why"], []).append(row)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def noise_text(model: Model, most: int, missing: str) -> str:
    """The smallest noise that a gate noticed in each place, on one line; of more than `most` places the rest counted.

    `missing` stands where none was noticed.
    """
    texts = [f"{where} {missing if strength is None else strength}" for where, strength in model.noise[:most]]
    more = len(model.noise) - most
    return ", ".join([*texts, f"and {count(more)} more"] if more > 0 else texts)


def through_text(fault: Fault, weaker: int) -> str:
    """A fault that every gate let through, by name, and how many weaker ones in its place."""
    return f"{fault.name} (and {count(weaker)} weaker)" if weaker else fault.name


def _model(row: Row, title: str) -> Model:
    gates = _gates(row)
    judged = [gate.judged for gate in gates]
    pairs = [(fault, _fault(fault, judged)) for fault in row["faults"]] if any(judged) else []
    by_kind: dict[str, list[tuple[Row, Fault]]] = {}
    for fault, shown in pairs:
        by_kind.setdefault(shown.kind, []).append((fault, shown))
    kinds = [(kind, [shown for _, shown in some if shown.state != "equivalent"]) for kind, some in by_kind.items()]
    left_out = f"{plural(row['layers_left_out'], 'layer')} left out" if row["layers_left_out"] else ""
    partly = f"some faults are left out: {row['reason']}" if row["reason"] else ""
    found = summary(row) if any(judged) else "none of its gates is green on the model itself"
    return Model(
        title=title,
        key=row["key"],
        tests=row["tests"],
        summary="; ".join(filter(None, [found, partly, left_out])),
        incomplete=bool(partly or left_out or not any(judged)),
        gates=gates,
        kinds=[(kind, some) for kind, some in kinds if some],
        hints=_hints(pairs, row["gates"]),
        equivalent=[shown for _, shown in pairs if shown.state == "equivalent"],
        grids=[grid for kind, some in by_kind.items() if (grid := _grid(kind, some)) is not None],
        noise=[(_where(one), _strength(one["strength"])) for one in row["smallest_noise"]] if any(judged) else [],
    )


def _gates(row: Row) -> list[Gate]:
    texts = [gate["gate"] for gate in row["gates"]]
    found = []
    for gate in row["gates"]:
        judged = gate["state"] == "mutated"
        found.append(
            Gate(
                name=gate["gate"] if texts.count(gate["gate"]) == 1 else f"{gate['gate']} in {_short(gate['test'])}",
                test=gate["test"],
                now=number(gate["estimate"]),
                caught=f"{count(gate['caught'])} of {count(gate['counted'])}" if judged else gate["state"],
                judged=judged,
                nothing=judged and gate["counted"] > 0 and gate["caught"] == 0,
            )
        )
    return found


def _short(test: str | None) -> str:
    """A test without its file."""
    return "no test" if test is None else test.partition("::")[2] or test


def _fault(row: Row, judged: Sequence[bool]) -> Fault:
    cells = [_cell(cell if green else None) for cell, green in zip(row["cells"], judged, strict=True)]
    return Fault(
        name=row["name"],
        kind=row["kind"],
        state="equivalent" if row["equivalent"] else "caught" if row["caught"] else "through",
        changed=_share(row["changed"]),
        caught=sum(cell.mark == "caught" for cell in cells),
        judged=sum(cell.mark != "none" for cell in cells),
        cells=cells,
    )


def _cell(cell: Row | None) -> Cell:
    if cell is None:
        return Cell(mark="none", moved=MISSING, outcome="not settled")
    mark: Mark = "caught" if cell["caught"] else "missed"
    if cell["error"]:
        return Cell(mark=mark, moved="error", outcome=cell["error"])
    moved = cell["moved"]
    if moved is not None:
        shown = signed(moved if isinstance(moved, str) else moved + 0.0)  # without the sign of -0.0
    else:
        shown = cell["outcome"].lower() if cell["estimate"] is None else f"at {number(cell['estimate'])}"
    words = [cell["outcome"], None if cell["estimate"] is None else f"at {number(cell['estimate'])}"]
    outcome = " ".join(filter(None, words))
    return Cell(mark=mark, moved=shown, outcome=outcome)


def _grid(kind: str, found: Sequence[tuple[Row, Fault]]) -> Grid | None:
    """The faults of a kind by place and strength, or None where they have fewer than two strengths."""
    strengths = {fault["strength"] for fault, _ in found if fault["strength"] is not None}
    if len(strengths) < 2:
        return None
    harshest_last = sorted(strengths, reverse="quantised" in kind)  # of bits, few are harsh
    places: dict[str, dict[float, Fault]] = {}
    for fault, shown in found:
        places.setdefault(_where(fault), {})[fault["strength"]] = shown
    return Grid(
        kind=kind,
        strengths=[str(_strength(strength)) for strength in harshest_last],
        rows=[(place, [cells.get(strength) for strength in harshest_last]) for place, cells in places.items()],
    )


def _where(row: Row) -> str:
    return str(row["where"] or "model")


def _strength(strength: float | None) -> str | None:
    return None if strength is None else f"{strength:g}"


def _share(share: Number) -> str:
    """A share of the predictions as a percentage of three digits; a dash where it is unknown."""
    known = finite(share)
    return MISSING if known is None else f"{known * 100:.3g}%"


_CLASSES = ("merged", "swapped")
_INPUTS = ("dropped", "shuffled")


def _hints(pairs: Sequence[tuple[Row, Fault]], gates: Sequence[Row]) -> list[Hint]:
    """The faults that every gate let through, those that changed most first; of graded ones the strongest."""
    through = [pair for pair in pairs if pair[1].state == "through"]
    through.sort(key=lambda pair: -(finite(pair[0]["changed"]) or 0.0))
    places: dict[tuple[str, str, str], list[Fault]] = {}
    for row, fault in through:
        apart = row["name"] if row["strength"] is None else ""
        places.setdefault((fault.kind, str(row["where"]), apart), []).append(fault)
    hints: dict[str, list[tuple[Fault, int]]] = {}
    for strongest, *weaker in places.values():
        hints.setdefault(_hint(strongest, gates), []).append((strongest, len(weaker)))
    return [Hint(text=text, faults=found) for text, found in hints.items()]


def _hint(fault: Fault, gates: Sequence[Row]) -> str:
    """What would notice a fault that every gate let through."""

    def there(name: str) -> bool:
        return any(gate["gate"].startswith(name) for gate in gates)

    if not fault.judged:
        return "no gate could be settled on it"
    if any(word in fault.kind for word in _CLASSES):
        if there("every_class_recall"):
            return "raise the bar of every_class_recall"
        return "add assert_every_class_recall_at_least: accuracy averages a lost class away"
    if "majority" in fault.kind and not there("beats_majority_class"):
        return "add assert_beats_majority_class"
    if "threshold" in fault.kind:
        return "tighten the bars of recall and precision: a shifted threshold trades one for the other"
    if "dropout" in fault.kind:
        return "add assert_deterministic: with dropout left on, the same input gives other outputs"
    if any(word in fault.kind for word in _INPUTS):
        return "maybe the model does not need that input; else tighten a bar"
    if there("no_regression"):
        return "tighten a bar, or lower the margin of no_regression"
    return "tighten a bar, or add assert_no_regression against a baseline"
