"""Loss curves as SVG, without a library: text and axes take the colour of their surroundings, light or dark.

The curves' colours are of Okabe and Ito's palette, which the colour-blind can tell apart, and dark and light enough for
both grounds; each has a dash pattern of its own besides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

LOOKS = {
    "train": ("#0a7fc4", ""),
    "val": ("#d55e00", ""),
    "test": ("#009e73", "7 4"),
    "train_eval": ("#0a7fc4", "2 3"),
}
OTHERS = (("#b0619a", "10 3"), ("#9a7d0a", "4 2"), ("#6c7a89", "1 3"))
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 30, 34
Series = Mapping[str, Sequence[float | None]]


def losses_of(series: Series) -> list[str]:
    """Which series to draw: the losses, as trained on and as evaluated, else all there are."""
    losses = [name for name in ("train.loss", "train.loss_eval", "val.loss", "test.loss") if name in series]
    return losses or list(series)


def svg(
    epoch: Sequence[int], series: Series, *, title: str = "", width: int = 640, height: int = 320, log: bool = False
) -> str:
    """The losses over epochs, with a mark at the lowest that was held out."""
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
        return f"{head}<title>{label}</title>{words}Nothing is measured yet.</text></svg>"
    flat = [point for points in drawn.values() for point in points]
    frame = Frame(
        x=Axis.over([x for x, _ in flat], LEFT, width - RIGHT, whole=True),
        y=Axis.over([y for _, y in flat], height - BOTTOM, TOP),
        log=log,
    )
    body = [*frame.drawn(), *_curves(drawn, frame), *_best(drawn, frame)]
    body.append(f'<text x="{LEFT}" y="16" fill="currentColor" font-weight="600">{escape(title)}</text>')
    return f"{head}<title>{label}</title>{''.join(body)}</svg>"


def _points(epoch: Sequence[int], values: Sequence[float | None], *, log: bool) -> list[tuple[float, float]]:
    known = ((float(x), y) for x, y in zip(epoch, values, strict=True) if y is not None and math.isfinite(y))
    if not log:
        return list(known)
    return [(x, math.log10(y)) for x, y in known if y > 0]


@dataclass(frozen=True)
class Axis:
    """Numbers from ``low`` to ``high`` at pixels from ``begin`` to ``end``."""

    low: float
    high: float
    begin: float
    end: float
    step: float

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float, *, whole: bool = False) -> Axis:
        """An axis that holds all values, with round numbers to mark."""
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
        """The pixel of a number."""
        return round(self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin), 2)

    def marks(self) -> list[float]:
        """Round numbers on the axis."""
        first = math.ceil(self.low / self.step - 1e-9)
        count = math.floor(self.high / self.step + 1e-9) - first + 1
        return [(first + i) * self.step for i in range(max(count, 0))]


@dataclass(frozen=True)
class Frame:
    """Both axes."""

    x: Axis
    y: Axis
    log: bool

    def drawn(self) -> list[str]:
        """Grid and numbers."""
        lines = []
        for value in self.y.marks():
            y, shown = self.y.at(value), 10**value if self.log else value
            lines.append(f'<path d="M{self.x.begin} {y}H{self.x.end}" stroke="currentColor" stroke-opacity=".15"/>')
            lines.append(f'<text x="{self.x.begin - 6}" y="{y + 4}" {_MUTED} text-anchor="end">{shown:.4g}</text>')
        for value in self.x.marks():
            x = self.x.at(value)
            lines.append(f'<path d="M{x} {self.y.begin}v4" stroke="currentColor" stroke-opacity=".4"/>')
            lines.append(f'<text x="{x}" y="{self.y.begin + 16}" {_MUTED} text-anchor="middle">{value:.4g}</text>')
        middle = (self.x.begin + self.x.end) / 2
        lines.append(f'<text x="{middle}" y="{self.y.begin + 29}" {_MUTED} text-anchor="middle">epoch</text>')
        return lines


_MUTED = 'fill="currentColor" fill-opacity=".75"'


def _curves(drawn: Mapping[str, Sequence[tuple[float, float]]], frame: Frame) -> list[str]:
    """The lines, and what each is called."""
    lines, x = [], frame.x.end - sum(_wide(name) for name in drawn)
    for number, (name, points) in enumerate(drawn.items()):
        colour, dash = _look(name, number)
        stroke = f'stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"'
        stroke += f' stroke-dasharray="{dash}"' if dash else ""
        path = "L".join(f"{frame.x.at(px)} {frame.y.at(py)}" for px, py in points)
        path = f"M{path}" if len(points) > 1 else f"M{path}h.01"
        lines.append(f'<path d="{path}" {stroke} stroke-linecap="round"/>')
        lines.append(f'<path d="M{x:.1f} 12h22" {stroke}/>')
        lines.append(f'<text x="{x + 27:.1f}" y="16" fill="currentColor">{escape(name)}</text>')
        x += _wide(name)
    return lines


def _wide(name: str) -> float:
    """How much room a name takes beside the others."""
    return 27 + 6.2 * len(name) + 12


def _look(name: str, number: int) -> tuple[str, str]:
    split = name.partition(".")[0] + ("_eval" if name.endswith("_eval") else "")
    return LOOKS.get(split) or OTHERS[number % len(OTHERS)]


def _best(drawn: Mapping[str, Sequence[tuple[float, float]]], frame: Frame) -> list[str]:
    """A ring where the held-out loss is lowest."""
    held_out = drawn.get("val.loss") or drawn.get("test.loss")
    if not held_out:
        return []
    x, y = min(held_out, key=lambda point: point[1])
    value = 10**y if frame.log else y
    told = f"<title>lowest: {value:.4f} at epoch {x:.0f}</title>"
    return [f'<circle cx="{frame.x.at(x)}" cy="{frame.y.at(y)}" r="4.5" stroke="currentColor">{told}</circle>']
