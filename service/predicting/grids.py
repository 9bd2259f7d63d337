"""Images of a dataset with their true and predicted classes, side by side in one picture."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.predicting.looks import DPI, LOOKS, Look, plain
from service.predicting.messages import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELL, IMAGE, HEAD = (140, 152), 96, 34
"""Pixels of a cell (width, height), of the longer side of an image in it, and of the title above all."""
LABEL_LETTERS = 15


class Judged(NamedTuple):
    """Images and what a model makes of them."""

    images: NDArray[Any]
    """Raw, (n, H, W) or (n, C, H, W)."""
    white: float
    probabilities: NDArray[np.float32]
    labels: Sequence[int]
    """The true ones."""
    classes: Sequence[str]


def grid(judged: Judged, title: str, theme: Theme) -> bytes:
    """The picture as PNG; what was given a wrong class is framed and crossed, to be seen without colours too."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and only needed where one draws

    look, count = LOOKS[theme], len(judged.labels)
    columns = min(count, max(5, math.ceil(math.sqrt(count))))
    lines = math.ceil(count / columns)
    width, height = max(columns, 3) * CELL[0], lines * CELL[1] + HEAD
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=look.ground)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # pixels, from the upper left
    axes.axis("off")
    _write(axes, 10, 12, plain(title, width // 8), look.ink, 11, ha="left")
    for i in range(count):
        _cell(axes, judged, i, (i % columns * CELL[0], HEAD + i // columns * CELL[1]), look)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
        figure.savefig(file, format="png", metadata={"Software": "Fitwell"})
    return file.getvalue()


def _cell(axes: Axes, judged: Judged, i: int, corner: tuple[int, int], look: Look) -> None:
    """One image with its labels, in a cell with this upper left corner."""
    picture = _displayed(judged.images[i], judged.white)
    tall, wide = (IMAGE * side / max(picture.shape[:2]) for side in picture.shape[:2])
    middle, top = corner[0] + CELL[0] / 2, corner[1] + (IMAGE - tall) / 2
    left = middle - wide / 2
    axes.imshow(
        picture, cmap="gray", vmin=0, vmax=1, extent=(left, left + wide, top + tall, top), interpolation="nearest"
    )
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    probabilities, true = judged.probabilities[i], judged.labels[i]
    if not np.isfinite(probabilities).all():
        said, right = "not a number", False
    else:
        given = int(probabilities.argmax())
        share = f" {100 * probabilities[given]:.0f} %"
        right = given == true
        said = ("" if right else "✗ ") + plain(judged.classes[given], LABEL_LETTERS - len(share) + 4) + share
    colour = look.ink if right else look.wrong
    _frame(axes, left, top, wide, tall, look.faint if right else look.wrong, 1 if right else 2.5)
    _write(axes, middle, corner[1] + IMAGE + 6, said, colour, 9, weight="normal" if right else "bold")
    _write(
        axes,
        middle,
        corner[1] + IMAGE + 22,
        f"true: {plain(judged.classes[true], LABEL_LETTERS)}",
        look.ink,
        8,
        alpha=0.75,
    )


def _displayed(raw: NDArray[Any], white: float) -> NDArray[np.float64]:
    """An image as it is drawn: (H, W), or (H, W, 3), from 0 to 1."""
    picture = np.clip(raw.astype(float) / white, 0, 1)
    if picture.ndim == 3:
        picture = picture[0] if len(picture) != 3 else np.moveaxis(picture, 0, 2)
    return picture


def _frame(axes: Axes, left: float, top: float, wide: float, tall: float, colour: str, line: float) -> None:
    x, y = np.array([0, 1, 1, 0, 0]) * wide + left, np.array([0, 0, 1, 1, 0]) * tall + top
    axes.plot(x, y, color=colour, linewidth=line, solid_joinstyle="miter")


def _write(axes: Axes, x: float, y: float, text: str, colour: str, size: float, **more: Any) -> None:
    axes.text(
        x, y, text, **{"color": colour, "fontsize": size, "ha": "center", "va": "top", "parse_math": False, **more}
    )
