"""Inline SVG of an evaluation's scores: whether stated probabilities come true, and what each threshold gives."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from pytest_modelgate.reports.charts import apart, coordinate
from pytest_modelgate.reports.numbers import count, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]

_WIDTH, _HEIGHT = 300, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 226.0, 22.0, 196.0
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def reliability_chart(row: Row) -> str:
    """The share that came true over the stated probability, a dot a bin; nothing where no scores were kept."""
    found = row.get("reliability")
    if not found:
        return ""
    what = f"share of {row['labels'][-1]}" if row["task"] == "binary" else "share of right answers"
    parts = [f'<path class="kept" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>']
    for one in found["bins"]:
        said = f"{count(one['n'])} stated {number(one['mean'])}, came true {number(one['share'])}"
        if one["low"] is not None:
            said += f" (the data allow {number(one['low'])} to {number(one['high'])})"
            parts.append(f'<path class="whisker" d="M{_x(one["mean"])} {_y(one["low"])}V{_y(one["high"])}"/>')
        parts.append(
            f'<circle class="point val" cx="{_x(one["mean"])}" cy="{_y(one["share"])}" r="3">'
            f"<title>{escape(said)}</title></circle>"
        )
    bins = "; ".join(f"{number(one['mean'])}: {number(one['share'])}" for one in found["bins"])
    title = f"Reliability, {what} over stated probability: calibration error {number(found['error'])}; {bins}"
    return _drawn(title, what, "stated probability", parts)


def thresholds_chart(row: Row) -> str:
    """Recall and precision over the threshold; nothing where no scores of two classes were kept."""
    points = row.get("thresholds")
    if not points:
        return ""
    title = f"Recall and precision of {row['labels'][-1]} by threshold"
    parts = []
    used = row["threshold"]
    if used is not None:
        parts.append(f'<path class="kept" d="M{_x(used)} {coordinate(_TOP)}V{coordinate(_BOTTOM)}"/>')
    kinds = (("recall", "val"), ("precision", "train"))
    for name, kind in kinds:
        drawn = [(_x(one["threshold"]), _y(one[name])) for one in points]
        if len(drawn) == 1:
            parts.append(f'<circle class="point {kind}" cx="{drawn[0][0]}" cy="{drawn[0][1]}" r="3"/>')
        else:
            parts.append(f'<path class="line {kind}" d="M{"L".join(f"{x} {y}" for x, y in drawn)}"/>')
    places = apart([float(_y(points[-1][name])) for name, _ in kinds], _TOP, _BOTTOM)
    end = max(float(_x(points[-1]["threshold"])), _RIGHT - 60)
    for place, (name, kind) in zip(places, kinds, strict=True):
        where = f'x="{coordinate(end + 8)}" y="{coordinate(place)}" dy=".32em"'
        parts.append(f'<text class="label {kind}" {where}>{name}</text>')
    said = "; ".join(
        f"from {number(one['threshold'])}: recall {number(one['recall'])}, precision {number(one['precision'])}"
        for one in points[:: max(1, len(points) // 8)]
    )
    at = "" if used is None else f", used: {used:.4g}"
    return _drawn(f"{title}{at}; {said}", f"recall and precision of {row['labels'][-1]}", "threshold", parts)


def _drawn(title: str, name: str, below: str, parts: Sequence[str]) -> str:
    """A picture with both axes from 0 to 1."""
    frame = [f"<title>{escape(title)}</title>", f'<text class="name" x="0" y="11">{escape(name)}</text>']
    for tick in _TICKS:
        frame.append(f'<path class="grid" d="M{coordinate(_LEFT)} {_y(tick)}H{coordinate(_RIGHT)}"/>')
        frame.append(f'<text class="tick end" x="{coordinate(_LEFT - 6)}" y="{_y(tick)}" dy=".32em">{tick:g}</text>')
        frame.append(f'<text class="tick middle" x="{_x(tick)}" y="{coordinate(_BOTTOM + 15)}">{tick:g}</text>')
    middle = coordinate((_LEFT + _RIGHT) / 2)
    frame.append(f'<text class="tick middle" x="{middle}" y="{coordinate(_BOTTOM + 29)}">{below}</text>')
    return f'<svg class="curves" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join([*frame, *parts])}</svg>'


def _x(share: float) -> str:
    return coordinate(_LEFT + share * (_RIGHT - _LEFT))


def _y(share: float) -> str:
    return coordinate(_BOTTOM - share * (_BOTTOM - _TOP))
