"""Curves in a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fitwell.svg_chart import losses_of

MARKERS = ("braille", "hd", "*", "+", "x", "o")
"""One for each curve, so that they can be told apart without colours."""
LEAST_WIDTH = 40


def chart(
    epoch: Sequence[int],
    series: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    width: int,
    height: int,
    coloured: bool = True,
) -> str:
    """The losses over epochs, in characters; empty where nothing finite is measured."""
    points = {name: _finite(epoch, series[name]) for name in losses_of(series)}
    points = {name: one for name, one in points.items() if one}
    if not points:
        return ""
    import plotext  # noqa: PLC0415 - other commands do without it

    width = max(width, LEAST_WIDTH)
    figure = plotext.figure
    figure.clear()
    figure.theme("simple" if coloured else "colorless")
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
