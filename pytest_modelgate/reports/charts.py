"""Inline SVG: the strip of a gate, and the curves of a training run. Drawn with the page's own colours, no script."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_modelgate.reports.numbers import Number, number
from pytest_modelgate.reports.strip import drawable, figure, is_difference, strip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Point: TypeAlias = "tuple[float, Number]"
"""An epoch and a value; None where the epoch has no such value."""

_STRIP_WIDTH, _STRIP_HEIGHT, _STRIP_INSET = 180, 20, 5
_MOST_POINTS = 400
_LOG_FROM = 50.0


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: its name beside its end, the class that colours it, and its points by rising epoch."""

    name: str
    kind: str
    points: Sequence[Point]


def gate_strip(verdict: Mapping[str, Any]) -> str:
    """A gate on its scale: the region that meets the bar, what the data allow, and the estimate."""
    placed = strip(verdict)
    middle = _STRIP_HEIGHT / 2

    def x(share: float) -> float:
        return _STRIP_INSET + share * (_STRIP_WIDTH - 2 * _STRIP_INSET)

    parts = [f'<path class="scale" d="M{_STRIP_INSET} {middle:g}H{_STRIP_WIDTH - _STRIP_INSET}"/>']
    if placed.bar is not None:
        at = x(placed.bar)
        start, end = (x(0), at) if verdict["direction"] == "at_most" else (at, x(1))
        parts.insert(
            0, f'<rect class="met" x="{coordinate(start)}" y="3" width="{coordinate(end - start)}" height="14"/>'
        )
    if placed.kind == "difference":
        parts.append(f'<path class="zero" d="M{coordinate(x(0.5))} 4V{_STRIP_HEIGHT - 4}"/>')
    if placed.lower is not None and placed.upper is not None:
        left, right = x(placed.lower), x(placed.upper)
        parts.append(
            f'<rect class="span" x="{coordinate(left)}" y="8" width="{coordinate(max(right - left, 1.0))}" height="4"/>'
        )
    if placed.bar is not None:
        parts.append(f'<path class="bar" d="M{coordinate(x(placed.bar))} 1V{_STRIP_HEIGHT - 1}"/>')
    parts += [f'<circle class="seed" cx="{coordinate(x(seed))}" cy="3" r="1.7"/>' for seed in placed.seeds]
    if placed.estimate is not None:
        parts.append(f'<circle class="dot" cx="{coordinate(x(placed.estimate))}" cy="{middle:g}" r="4"/>')
    return (
        f'<svg class="strip" viewBox="0 0 {_STRIP_WIDTH} {_STRIP_HEIGHT}" role="img" '
        f'aria-label="{escape(describe(verdict))}">{"".join(parts)}</svg>'
    )


def describe(verdict: Mapping[str, Any]) -> str:
    """What a strip shows, in words."""
    what = "difference" if is_difference(verdict) else "estimate"
    text = f"{what} {figure(verdict, 'estimate', missing='undefined')}"
    if verdict["lower"] is not None and verdict["upper"] is not None:
        text += f", the data allow {figure(verdict, 'lower')} to {figure(verdict, 'upper')}"
    if verdict["bar"] is not None:
        text += f", required {verdict['direction'].replace('_', ' ')} {figure(verdict, 'bar')}"
    return text


def scale(verdict: Mapping[str, Any]) -> str:
    """The ends of a strip's scale in words, or nothing where it runs from 0 to 1."""
    placed = strip(verdict)
    if placed.kind == "difference":
        return f"±{placed.highest:g}"
    return "" if (placed.lowest, placed.highest) == (0, 1) else f"{placed.lowest:g} to {placed.highest:g}"


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values to pixels: a linear or logarithmic scale between two ends, with its ticks."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = log10(low), log10(high), log10(value)
        return self.start + (at - low) / (high - low) * (self.end - self.start)


def curves(
    title: str, series: Sequence[Series], *, kept: float | None = None, width: int = 520, height: int = 220
) -> str:
    """Curves by epoch, each named at its end. A value that is not finite is a cross at the upper edge.

    `kept` is the epoch whose weights the model has, an upright line, where that is not the last.
    Draws a logarithmic scale, and says so, where positive values span more than a factor of 50.
    """
    drawn = [Series(one.name, one.kind, _thinned(one.points)) for one in series]
    values = [value for one in drawn for _, raw in one.points if (value := drawable(raw)) is not None]
    epochs = [epoch for one in series for epoch, _ in one.points]
    ends = [(last, one, _end_text(one)) for one in drawn if (last := _last(one)) is not None]
    top, bottom, left = 22.0, height - 34.0, 46.0
    right = width - 12 - 6.2 * max((len(text) for _, _, text in ends), default=0)
    y = _value_axis(values, bottom, top, most=3 if height < 150 else 5)
    x = _epoch_axis(epochs, left, max(right, left + width / 3), most=4 if width < 300 else 6)
    right = x.end
    parts = [f"<title>{escape(_chart_title(title, series))}</title>"]
    for tick in y.ticks:
        at = coordinate(y(tick))
        parts.append(f'<path class="grid" d="M{coordinate(left)} {at}H{coordinate(right)}"/>')
        parts.append(f'<text class="tick end" x="{coordinate(left - 6)}" y="{at}" dy=".32em">{_tick_text(tick)}</text>')
    for tick in x.ticks:
        parts.append(
            f'<text class="tick middle" x="{coordinate(x(tick))}" y="{coordinate(bottom + 16)}">{tick:g}</text>'
        )
    parts.append(
        f'<text class="tick middle" x="{coordinate((left + right) / 2)}" y="{coordinate(bottom + 30)}">epoch</text>'
    )
    scale = ", logarithmic scale" if y.logarithmic else ""
    parts.append(f'<text class="name" x="0" y="11">{escape(title)}{scale}</text>')
    if kept is not None and x.low <= kept < x.high:
        at = coordinate(x(kept))
        line = f"M{at} {coordinate(top)}V{coordinate(bottom)}"
        parts.append(f'<path class="kept" d="{line}"><title>kept: epoch {kept:g}</title></path>')
        parts.append(f'<text class="tick middle" x="{at}" y="{coordinate(top - 3)}">kept</text>')
    for one in drawn:
        parts += _curve(one, x, y, top)
    places = apart([y(last) for last, _, _ in ends], top, bottom)
    for place, (_, curve, text) in zip(places, ends, strict=True):
        where = f'x="{coordinate(right + 8)}" y="{coordinate(place)}" dy=".32em"'
        parts.append(f'<text class="label {curve.kind}" {where}>{escape(text)}</text>')
    return f'<svg class="curves" viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def _last(one: Series) -> float | None:
    """The last value of a curve that can be drawn."""
    return next((value for _, raw in reversed(one.points) if (value := drawable(raw)) is not None), None)


def _end_text(one: Series) -> str:
    """What stands at a curve's end: its name and its last value, also where that is not finite."""
    last = next((raw for _, raw in reversed(one.points) if raw is not None), None)
    return f"{one.name} {number(last, 1.0)}".strip()


def _curve(one: Series, x: Callable[[float], float], y: Callable[[float], float], top: float) -> list[str]:
    """The marks of one curve: a line for each unbroken run of values, a dot for a lone one, crosses."""
    runs: list[list[tuple[float, float]]] = [[]]
    crosses = []
    for epoch, raw in one.points:
        value = drawable(raw)
        if value is not None:
            runs[-1].append((x(epoch), y(value)))
            continue
        runs.append([])
        if raw is not None:
            crosses.append((x(epoch), f"{one.name} is {raw} at epoch {epoch:g}"))
    path = "".join(
        "M" + "L".join(f"{coordinate(px)} {coordinate(py)}" for px, py in run) for run in runs if len(run) > 1
    )
    parts = [f'<path class="line {one.kind}" d="{path}"/>'] if path else []
    parts += [
        f'<circle class="point {one.kind}" cx="{coordinate(run[0][0])}" cy="{coordinate(run[0][1])}" r="3"/>'
        for run in runs
        if len(run) == 1
    ]
    for at, text in crosses:
        mark = f"M{coordinate(at - 4)} {coordinate(top - 4)}l8 8m0 -8l-8 8"
        parts.append(f'<path class="cross" d="{mark}"><title>{escape(text)}</title></path>')
    return parts


def _chart_title(title: str, series: Sequence[Series]) -> str:
    """What the curves show, in words: their first and last values."""
    texts = []
    for one in series:
        known = [raw for _, raw in one.points if raw is not None]
        if known:
            texts.append(f"{one.name or title} from {number(known[0])} to {number(known[-1])}")
    return f"{title} by epoch: {'; '.join(texts) or 'no values'}"


def _value_axis(values: Sequence[float], start: float, end: float, *, most: int) -> _Axis:
    """An axis that holds the values: from 0 where none is negative, logarithmic where they span a wide range."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low > 0 and high / low > _LOG_FROM:
        powers = range(floor(log10(low)), ceil(log10(high)) + 1)
        ticks = [10.0**power for power in powers]
        step = ceil(len(ticks) / most)
        return _Axis(ticks[0], ticks[-1], start, end, ticks[::step], True)
    low = min(low, 0.0)
    if high - low <= 1e-6 * abs(low):
        high = 0.0 if low else 1.0
    step_length = _nice_step((high - low) / (most - 1))
    first, last = floor(low / step_length), ceil(high / step_length - 1e-9)
    ticks = [index * step_length for index in range(first, last + 1)]
    return _Axis(ticks[0], ticks[-1], start, end, ticks)


def _epoch_axis(epochs: Sequence[float], start: float, end: float, *, most: int) -> _Axis:
    """An axis of epochs, with ticks at whole numbers, the first and the last among them."""
    low, high = min(epochs, default=1), max(epochs, default=1)
    if low == high:
        return _Axis(low - 1, high + 1, start, end, [low])
    step = max(1, ceil(_nice_step((high - low) / most)))
    between = range(ceil(low / step) * step, floor(high) + 1, step)
    inner = [tick for tick in between if tick - low > step * 0.6 and high - tick > step * 0.6]
    return _Axis(low, high, start, end, [low, *inner, high])


def _nice_step(length: float) -> float:
    """The smallest of 1, 2, 2.5, 5 or 10 times a power of ten that is at least the length."""
    power = 10.0 ** floor(log10(length))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power >= length * (1 - 1e-9))


def _tick_text(tick: float) -> str:
    return f"{tick:.6g}".replace("e-0", "e-").replace("e+0", "e")


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most about 400 points: of each stretch of epochs its lowest and highest value, and all that are not finite."""
    if len(points) <= _MOST_POINTS:
        return points
    size = ceil(len(points) / (_MOST_POINTS / 2))
    kept: list[Point] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        known = [point for point in stretch if drawable(point[1]) is not None]
        chosen = {id(point) for point in known and (min(known, key=_value), max(known, key=_value))}
        broken = next((point for point in stretch if drawable(point[1]) is None), None)
        kept += [point for point in stretch if id(point) in chosen or point is broken]
    return kept


def _value(point: Point) -> float:
    return drawable(point[1]) or 0.0


def apart(places: Sequence[float], top: float, bottom: float) -> list[float]:
    """The places, moved as little as needed for labels not to cover each other."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + 14)
    limit = bottom
    for index in reversed(order):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - 14
    return moved


def coordinate(value: float) -> str:
    """A coordinate: at most one decimal."""
    assert isfinite(value), value
    return f"{value:.1f}".removesuffix(".0")
