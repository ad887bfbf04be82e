"""Which faults the gates of a run noticed: gathered from what every process settled on its models' faulted twins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports.numbers import finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]

_FEW = 0.01
"""A fault that changes fewer predictions than this share, and no score by as much, is none that a gate must notice."""


def gather(rows: Sequence[tuple[Row, Row | None]], minimum: float | None) -> dict[str, Any]:
    """What the report says of mutation.

    Args:
        rows: the verdicts in the report's order, each with what its gate said of the twins (see `settle_on_twins`), or
            None where its process did not come to that.
        minimum: the share of faults that must be noticed, or None.
    """
    models: dict[str, dict[str, Any]] = {}
    not_mutated = []
    for verdict, found in rows:
        why = "its process ended before, or Hypothesis settled it many times" if found is None else found["why"]
        if why is not None or found is None:
            not_mutated.append({"test": verdict["test"], "gate": verdict["gate"], "why": why})
            continue
        _add(models.setdefault(found["key"], _empty(found)), verdict, found)
    finished = [_finished(model) for model in models.values()]
    caught, counted, equivalent = (
        sum(model[name] for model in finished) for name in ("caught", "counted", "equivalent")
    )
    share = caught / counted if counted else None
    return {
        "caught": caught,
        "counted": counted,
        "equivalent": equivalent,
        "share": share,
        "minimum": minimum,
        "enough": None if minimum is None else share is not None and share >= minimum,
        "models": finished,
        "not_mutated": not_mutated,
    }


def _empty(found: Row) -> dict[str, Any]:
    names = ("model", "key", "layers_left_out", "reason")
    return {**{name: found[name] for name in names}, "tests": [], "gates": [], "faults": {}}


def _add(model: dict[str, Any], verdict: Row, found: Row) -> None:
    """One more gate on a model: a column of the table."""
    column = len(model["gates"])
    if verdict["test"] is not None and verdict["test"] not in model["tests"]:
        model["tests"].append(verdict["test"])
    gate = {name: verdict[name] for name in ("gate", "test", "metric", "label", "estimate")}
    state = "mutated" if verdict["passed"] else "red already"
    level = gate["estimate"] if found["level"] is None else found["level"]
    model["gates"].append({**gate, "state": state, "counts": found["counts"], "level": level})
    for fault in found["faults"]:
        named = {name: fault[name] for name in ("name", "kind", "where", "strength")}
        model["faults"].setdefault(fault["name"], {**named, "cells": {}})["cells"][column] = fault


def _finished(model: Row) -> dict[str, Any]:
    """The model's table with its sums: only gates that are green on the sound model can notice a fault."""
    gates = [dict(gate) for gate in model["gates"]]
    green = [column for column, gate in enumerate(gates) if gate["state"] == "mutated"]
    faults = [_fault(row, gates, green) for row in model["faults"].values()]
    counted = [fault for fault in faults if green and not fault["equivalent"]]
    for column, gate in enumerate(gates):
        settled = [fault["cells"][column] for fault in counted if fault["cells"][column] is not None]
        gate["caught"] = sum(cell["caught"] for cell in settled) if column in green else 0
        gate["counted"] = len(settled) if column in green else 0
        del gate["counts"], gate["level"]
    return {
        **{name: model[name] for name in ("model", "key", "tests", "layers_left_out", "reason")},
        "gates": gates,
        "faults": faults,
        "caught": sum(fault["caught"] for fault in counted),
        "counted": len(counted),
        "equivalent": sum(fault["equivalent"] for fault in faults),
        "smallest_noise": _smallest_noise(faults),
    }


def _fault(row: Row, gates: Sequence[Row], green: Sequence[int]) -> dict[str, Any]:
    """A row of the table: what a fault changes, whether any gate noticed it, and what each gate says."""
    found = row["cells"]
    cells: list[Any] = [found[column]["cell"] if column in found else None for column in range(len(gates))]
    changed = [one["changed"] for one in found.values() if one["changed"] is not None]
    heard = [(one, gates[column]) for column, one in found.items() if not green or column in green]
    broken = not changed or any(one["changed"] is None for one, _ in heard)
    moved = any(_moved(one["cell"], gate) for one, gate in heard if not gate["counts"])
    return {
        **{name: row[name] for name in ("name", "kind", "where", "strength")},
        "changed": max(changed) if changed else None,
        "equivalent": not broken and not moved and max(changed) < _FEW,
        "caught": any(cells[column] is not None and cells[column]["caught"] for column in green),
        "cells": cells,
    }


def _moved(cell: Row, gate: Row) -> bool:
    """Whether a gate on scores or losses sees another value than on the sound model."""
    moved, before = finite(cell["moved"]), finite(gate["level"])
    return moved is None or before is None or abs(moved) > _FEW * abs(before)


def _smallest_noise(faults: Sequence[Row]) -> list[dict[str, Any]]:
    """For each layer the least noise from which on every stronger one is noticed too, or None."""
    smallest: dict[str, float | None] = {}
    noises = [fault for fault in faults if fault["kind"] == "noise"]
    for where in dict.fromkeys(fault["where"] for fault in noises):
        smallest[where] = None
        here = [fault for fault in noises if fault["where"] == where]
        for fault in sorted(here, key=lambda fault: -float(fault["strength"])):
            if not fault["caught"]:
                break
            smallest[where] = fault["strength"]
    return [{"where": where, "strength": strength} for where, strength in smallest.items()]
