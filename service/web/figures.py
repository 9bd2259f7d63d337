"""Curves as SVG, for reports that are read where no script runs: lines, bands, ticks, all as numbers for a template."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Values = Sequence[float | None]
WIDTH, HEIGHT = 860.0, 320.0
LEFT, TOP, RIGHT, BOTTOM = 58.0, 12.0, 12.0, 34.0
DASHES = ("", "8 4", "2 3", "10 3 2 3", "5 2")
COLOURS = 8
FLAT, LEAST = 1e-9, 1e-30
"""Values that differ by less than this share are drawn as one; steps between ticks are no smaller than that."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A series over its epochs, perhaps with a band; nth of its figure."""

    name: str
    x: Sequence[int]
    y: Values
    low: Values = ()
    high: Values = ()


@dataclass(frozen=True)
class Drawn:
    """A line as it is drawn."""

    name: str
    path: str
    band: str
    colour: int
    dash: str


@dataclass(frozen=True)
class Figure:
    """What a template draws; places are in the units of the view box."""

    lines: Sequence[Drawn]
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
    """The lines over one pair of axes; None where nothing has been measured."""
    xs = [float(x) for line in lines for x in line.x]
    ys = [y for line in lines for values in (line.y, line.low, line.high) for y in values if y is not None]
    if not xs or not ys:
        return None
    across = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    ticks = _ticks(min(ys), max(ys))
    up = _scale(min(*ys, ticks[0]), max(*ys, ticks[-1]), HEIGHT - BOTTOM, TOP)
    drawn = [
        Drawn(
            line.name,
            _path(across, up, line.x, line.y),
            _band(across, up, line),
            i % COLOURS,
            DASHES[(i + i // COLOURS) % len(DASHES)],
        )
        for i, line in enumerate(lines)
    ]
    return Figure(
        drawn,
        [(across(x), f"{x:g}") for x in _ticks(min(xs), max(xs)) if min(xs) <= x <= max(xs)],
        [(up(y), f"{y:g}") for y in ticks],
        [(across(x), text) for x, text in marks if min(xs) <= x <= max(xs)],
    )


class _scale:  # noqa: N801 - used as a function
    """Values from low to high onto places from first to last."""

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        self._low, self._first = low, first
        self._factor = (last - first) / ((high - low) or 1.0)

    def __call__(self, value: float) -> float:
        return round(self._first + (value - self._low) * self._factor, 1)


def _ticks(low: float, high: float) -> list[float]:
    """About six round numbers that cover the interval."""
    size = max(abs(low), abs(high))
    flat = high - low <= FLAT * size
    rough = max((size or 1.0) if flat else high - low, LEAST) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _path(across: _scale, up: _scale, xs: Sequence[int], ys: Values) -> str:
    """A line that is broken where there is no value."""
    steps, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if y is not None:
            steps.append(f"{pen}{across(x)} {up(y)}")
        pen = "M" if y is None else "L"
    return "".join(steps)


def _band(across: _scale, up: _scale, line: Line) -> str:
    if not line.low:
        return ""
    edges = [(x, a, b) for x, a, b in zip(line.x, line.low, line.high, strict=True) if a is not None and b is not None]
    there = [f"{across(x)} {up(high)}" for x, _, high in edges]
    back: Iterable[str] = (f"{across(x)} {up(low)}" for x, low, _ in reversed(edges))
    return f"M{'L'.join([*there, *back])}Z" if edges else ""


@dataclass(frozen=True)
class Bar:
    """A bin of a histogram, in a box of 240 × 84."""

    x: float
    width: float
    height: float


def bars(counts: Sequence[int]) -> list[Bar]:
    """The bins of a histogram."""
    wide, most = 240.0 / len(counts), max(*counts, 1)
    return [Bar(round(i * wide, 2), round(wide * 0.94, 2), round(84 * n / most, 2)) for i, n in enumerate(counts)]
