"""Geometry of the SVG charts in reports, which are read where no script runs. A template draws it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Values = Sequence[float | None]
WIDTH, HEIGHT = 860.0, 320.0
LEFT, TOP, RIGHT, BOTTOM = 58.0, 12.0, 12.0, 34.0
DASHES = ("", "8 4", "2 3", "10 3 2 3", "5 2")
COLOR_COUNT = 8
FLAT_SHARE, MIN_STEP = 1e-9, 1e-30
"""Values within this share of each other count as equal; the smallest step between ticks."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A series over epochs, optionally with a band."""

    name: str
    x: Sequence[int]
    y: Values
    low: Values = ()
    high: Values = ()


@dataclass(frozen=True)
class DrawnLine:
    """A line's SVG paths and style."""

    name: str
    path: str
    band: str
    color: int
    dash: str


@dataclass(frozen=True)
class Figure:
    """Lines, ticks and marks in view box units."""

    lines: Sequence[DrawnLine]
    xs: Sequence[tuple[float, str]]
    ys: Sequence[tuple[float, str]]
    marks: Sequence[tuple[float, str]]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def figure(lines: Sequence[Line], marks: Sequence[tuple[int, str]] = ()) -> Figure | None:
    """Return the lines on one pair of axes; None if there are no values."""
    xs = [float(x) for line in lines for x in line.x]
    ys = [y for line in lines for values in (line.y, line.low, line.high) for y in values if y is not None]
    if not xs or not ys:
        return None
    across = _Scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    ticks = _ticks(min(ys), max(ys))
    up = _Scale(min(*ys, ticks[0]), max(*ys, ticks[-1]), HEIGHT - BOTTOM, TOP)
    drawn = [
        DrawnLine(
            line.name,
            _path(across, up, line.x, line.y),
            _band(across, up, line),
            i % COLOR_COUNT,
            DASHES[(i + i // COLOR_COUNT) % len(DASHES)],
        )
        for i, line in enumerate(lines)
    ]
    return Figure(
        drawn,
        [(across(x), f"{x:g}") for x in _ticks(min(xs), max(xs)) if min(xs) <= x <= max(xs)],
        [(up(y), f"{y:g}") for y in ticks],
        [(across(x), text) for x, text in marks if min(xs) <= x <= max(xs)],
    )


class _Scale:
    """A linear map from values (low to high) to positions (first to last)."""

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        self._low, self._first = low, first
        self._factor = (last - first) / ((high - low) or 1.0)

    def __call__(self, value: float) -> float:
        return round(self._first + (value - self._low) * self._factor, 1)


def _ticks(low: float, high: float) -> list[float]:
    """Return about six round numbers that cover the interval."""
    size = max(abs(low), abs(high))
    flat = high - low <= FLAT_SHARE * size
    rough = max((size or 1.0) if flat else high - low, MIN_STEP) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _path(across: _Scale, up: _Scale, xs: Sequence[int], ys: Values) -> str:
    """Return a line's SVG path, with a gap at each missing value."""
    steps, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if y is not None:
            steps.append(f"{pen}{across(x)} {up(y)}")
        pen = "M" if y is None else "L"
    return "".join(steps)


def _band(across: _Scale, up: _Scale, line: Line) -> str:
    if not line.low:
        return ""
    edges = [(x, a, b) for x, a, b in zip(line.x, line.low, line.high, strict=True) if a is not None and b is not None]
    upper = [f"{across(x)} {up(high)}" for x, _, high in edges]
    lower: Iterable[str] = (f"{across(x)} {up(low)}" for x, low, _ in reversed(edges))
    return f"M{'L'.join([*upper, *lower])}Z" if edges else ""


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram in a view box of 240 × 84."""

    x: float
    width: float
    height: float


def bars(counts: Sequence[int]) -> list[Bar]:
    """Return the bars of a histogram with these counts."""
    wide, most = 240.0 / len(counts), max(*counts, 1)
    return [Bar(round(i * wide, 2), round(wide * 0.94, 2), round(84 * n / most, 2)) for i, n in enumerate(counts)]
