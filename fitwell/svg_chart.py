"""Loss curves as SVG without a library. Text and axes inherit the color of the page, light or dark.

Curves use colors of the Okabe-Ito palette, which is safe for color-blind readers, adjusted for contrast on both
backgrounds; each curve also has its own dash pattern.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

STYLES = {
    "train": ("#0a7fc4", ""),
    "val": ("#d55e00", ""),
    "test": ("#009e73", "7 4"),
    "train_eval": ("#0a7fc4", "2 3"),
}
OTHER_STYLES = (("#b0619a", "10 3"), ("#9a7d0a", "4 2"), ("#6c7a89", "1 3"))
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 30, 34
Series = Mapping[str, Sequence[float | None]]


def losses_of(series: Series) -> list[str]:
    """Return the series to draw: the losses, or all series if there are no losses."""
    losses = [name for name in ("train.loss", "train.loss_eval", "val.loss", "test.loss") if name in series]
    return losses or list(series)


def svg(
    epoch: Sequence[int],
    series: Series,
    *,
    title: str = "",
    width: int = 640,
    height: int = 320,
    log: bool = False,
    axis: str = "epoch",
) -> str:
    """Return a chart of the losses over epochs, with a mark at the lowest held-out loss; ``axis`` names an epoch."""
    drawn = {name: _points(epoch, series[name], log=log) for name in losses_of(series)}
    drawn = {name: points for name, points in drawn.items() if points}
    label = escape(title or "losses")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{label}" fill="none" font-family="system-ui, sans-serif" font-size="11" '
        f'style="max-width:100%;color:inherit">'
    )
    if not drawn:
        words = f'<text x="{width / 2}" y="{height / 2}" fill="currentColor" text-anchor="middle">'
        return f"{head}<title>{label}</title>{words}No epochs recorded yet.</text></svg>"
    flat = [point for points in drawn.values() for point in points]
    frame = Frame(
        x=Axis.over([x for x, _ in flat], LEFT, width - RIGHT, whole=True),
        y=Axis.over([y for _, y in flat], height - BOTTOM, TOP),
        log=log,
        name=axis,
    )
    body = [*frame.render(), *_curves(drawn, frame), *_best(drawn, frame)]
    body.append(f'<text x="{LEFT}" y="16" fill="currentColor" font-weight="600">{escape(title)}</text>')
    return f"{head}<title>{label}</title>{''.join(body)}</svg>"


def _points(epoch: Sequence[int], values: Sequence[float | None], *, log: bool) -> list[tuple[float, float]]:
    finite = ((float(x), y) for x, y in zip(epoch, values, strict=True) if y is not None and math.isfinite(y))
    if not log:
        return list(finite)
    return [(x, math.log10(y)) for x, y in finite if y > 0]


@dataclass(frozen=True)
class Axis:
    """A linear scale from ``low`` to ``high`` over the pixels from ``begin`` to ``end``."""

    low: float
    high: float
    begin: float
    end: float
    step: float

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float, *, whole: bool = False) -> Axis:
        """Return an axis that covers all values, with ticks at round numbers."""
        low, high = min(values), max(values)
        spread = (high - low) or abs(high) or 1.0
        rough = spread / max(2.0, abs(end - begin) / (80 if whole else 45))
        magnitude = 10 ** math.floor(math.log10(rough))
        step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough)
        step = max(1.0, float(round(step))) if whole else step
        if not whole:
            low, high = math.floor(low / step) * step, math.ceil(high / step) * step
        return cls(low, high if high > low else low + step, begin, end, step)

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        return round(self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin), 2)

    def ticks(self) -> list[float]:
        """Return the tick values."""
        first = math.ceil(self.low / self.step - 1e-9)
        count = math.floor(self.high / self.step + 1e-9) - first + 1
        return [(first + i) * self.step for i in range(max(count, 0))]


@dataclass(frozen=True)
class Frame:
    """The axes of a chart."""

    x: Axis
    y: Axis
    log: bool
    name: str
    """The name of the x axis."""

    def render(self) -> list[str]:
        """Return grid lines and labels."""
        lines = []
        for value in self.y.ticks():
            y, label = self.y.at(value), 10**value if self.log else value
            lines.append(f'<path d="M{self.x.begin} {y}H{self.x.end}" stroke="currentColor" stroke-opacity=".15"/>')
            lines.append(f'<text x="{self.x.begin - 6}" y="{y + 4}" {_MUTED} text-anchor="end">{label:.4g}</text>')
        for value in self.x.ticks():
            x = self.x.at(value)
            lines.append(f'<path d="M{x} {self.y.begin}v4" stroke="currentColor" stroke-opacity=".4"/>')
            lines.append(f'<text x="{x}" y="{self.y.begin + 16}" {_MUTED} text-anchor="middle">{value:.4g}</text>')
        middle = (self.x.begin + self.x.end) / 2
        lines.append(
            f'<text x="{middle}" y="{self.y.begin + 29}" {_MUTED} text-anchor="middle">{escape(self.name)}</text>'
        )
        return lines


_MUTED = 'fill="currentColor" fill-opacity=".75"'


def _curves(drawn: Mapping[str, Sequence[tuple[float, float]]], frame: Frame) -> list[str]:
    """Return the lines and the legend."""
    lines, x = [], frame.x.end - sum(_legend_width(name) for name in drawn)
    for number, (name, points) in enumerate(drawn.items()):
        color, dash = _style(name, number)
        stroke = f'stroke="{color}" stroke-width="1.8" stroke-linejoin="round"'
        stroke += f' stroke-dasharray="{dash}"' if dash else ""
        path = "L".join(f"{frame.x.at(px)} {frame.y.at(py)}" for px, py in points)
        path = f"M{path}" if len(points) > 1 else f"M{path}h.01"
        lines.append(f'<path d="{path}" {stroke} stroke-linecap="round"/>')
        lines.append(f'<path d="M{x:.1f} 12h22" {stroke}/>')
        lines.append(f'<text x="{x + 27:.1f}" y="16" fill="currentColor">{escape(name)}</text>')
        x += _legend_width(name)
    return lines


def _legend_width(name: str) -> float:
    """Return the width of a legend entry in pixels."""
    return 27 + 6.2 * len(name) + 12


def _style(name: str, number: int) -> tuple[str, str]:
    split = name.partition(".")[0] + ("_eval" if name.endswith("_eval") else "")
    return STYLES.get(split) or OTHER_STYLES[number % len(OTHER_STYLES)]


def _best(drawn: Mapping[str, Sequence[tuple[float, float]]], frame: Frame) -> list[str]:
    """Return a ring at the lowest held-out loss."""
    held_out = drawn.get("val.loss") or drawn.get("test.loss")
    if not held_out:
        return []
    x, y = min(held_out, key=lambda point: point[1])
    value = 10**y if frame.log else y
    tooltip = f"<title>lowest: {value:.4f} at {frame.name} {x:.0f}</title>"
    return [f'<circle cx="{frame.x.at(x)}" cy="{frame.y.at(y)}" r="4.5" stroke="currentColor">{tooltip}</circle>']
