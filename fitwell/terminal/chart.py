"""Curves in a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fitwell.svg_chart import losses_of

MARKERS = ("braille", "hd", "*", "+", "x", "o")
"""One marker per curve, so that curves are distinguishable without color."""
MIN_WIDTH = 40


def chart(
    epoch: Sequence[int],
    series: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    width: int,
    height: int,
    color: bool = True,
) -> str:
    """Return a text chart of the losses over epochs; empty if no value is finite."""
    points = {name: _finite(epoch, series[name]) for name in losses_of(series)}
    points = {name: one for name, one in points.items() if one}
    if not points:
        return ""
    import plotext  # noqa: PLC0415 - slow to import, and needed by few commands

    width = max(width, MIN_WIDTH)
    figure = plotext.figure
    figure.clear()
    figure.theme("simple" if color else "colorless")
    figure.canvas("default")
    for (name, one), marker in zip(points.items(), MARKERS, strict=False):
        signal = figure.signal([x for x, _ in one], [y for _, y in one], marker=marker)
        signal.lines()
        signal.label(name)
        figure.draw(signal)
    figure.plot_size(width, height)
    figure.title(title)
    figure.legend(x=width - 8, ha="right")
    return str(figure.build())


def _finite(epoch: Sequence[int], values: Sequence[float | None]) -> list[tuple[int, float]]:
    return [(x, y) for x, y in zip(epoch, values, strict=True) if y is not None and math.isfinite(y)]
