"""Images of a dataset with their true and predicted labels, in one picture."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.messages import Theme
from service.sandbox.predicting.themes import DPI, THEMES, ThemeColors, single_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELL, IMAGE, HEAD = (140, 152), 96, 34
"""Pixels: a cell (width, height), the longer side of an image, and the title."""
MAX_LABEL_LENGTH = 15


class Label(NamedTuple):
    """The predicted and true label of an image."""

    predicted: str
    true: str
    correct: bool
    """False marks the image as wrong."""


class Judged(NamedTuple):
    """Images with a model's predictions."""

    images: NDArray[Any]
    """Raw, (n, H, W) or (n, C, H, W)."""
    white: float
    labels: Sequence[Label]


def classes_judged(probabilities: NDArray[np.float32], true: Sequence[int], classes: Sequence[str]) -> list[Label]:
    """Return the most probable class of each row of (n, classes), with the true one."""
    labels = []
    for row, label in zip(probabilities, true, strict=True):
        expected = single_line(classes[label], MAX_LABEL_LENGTH)
        if not np.isfinite(row).all():
            labels.append(Label("not a number", expected, correct=False))
            continue
        best = int(row.argmax())
        share, correct = f" {100 * row[best]:.0f} %", best == label
        text = ("" if correct else "✗ ") + single_line(classes[best], MAX_LABEL_LENGTH - len(share) + 4) + share
        labels.append(Label(text, expected, correct))
    return labels


def numbers_judged(predictions: NDArray[np.float32], true: Sequence[float]) -> list[Label]:
    """Return the prediction of each row of (n, 1), with the true value; only non-finite predictions are marked."""
    pairs = zip(predictions[:, 0].tolist(), true, strict=True)
    return [
        Label(f"{value:.4g}" if math.isfinite(value) else "not a number", f"{expected:.4g}", math.isfinite(value))
        for value, expected in pairs
    ]


def grid(judged: Judged, title: str, theme: Theme) -> bytes:
    """Draw the images as PNG. Wrong predictions are framed and crossed, so that they stand out without color."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    theme_colors, count = THEMES[theme], len(judged.labels)
    columns = min(count, max(5, math.ceil(math.sqrt(count))))
    lines = math.ceil(count / columns)
    width, height = max(columns, 3) * CELL[0], lines * CELL[1] + HEAD
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=theme_colors.ground)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # pixels, from the upper left
    axes.axis("off")
    _write(axes, 10, 12, single_line(title, width // 8), theme_colors.ink, 11, ha="left")
    for i in range(count):
        _cell(axes, judged, i, (i % columns * CELL[0], HEAD + i // columns * CELL[1]), theme_colors)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
        figure.savefig(file, format="png", metadata={"Software": "Fitwell"})
    return file.getvalue()


def _cell(axes: Axes, judged: Judged, i: int, corner: tuple[int, int], theme_colors: ThemeColors) -> None:
    """Draw one image with its labels in the cell with this upper left corner."""
    picture = _displayed(judged.images[i], judged.white)
    tall, wide = (IMAGE * side / max(picture.shape[:2]) for side in picture.shape[:2])
    middle, top = corner[0] + CELL[0] / 2, corner[1] + (IMAGE - tall) / 2
    left = middle - wide / 2
    axes.imshow(
        picture, cmap="gray", vmin=0, vmax=1, extent=(left, left + wide, top + tall, top), interpolation="nearest"
    )
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    predicted, true, correct = judged.labels[i]
    color = theme_colors.ink if correct else theme_colors.wrong
    _frame(axes, left, top, wide, tall, theme_colors.faint if correct else theme_colors.wrong, 1 if correct else 2.5)
    _write(axes, middle, corner[1] + IMAGE + 6, predicted, color, 9, weight="normal" if correct else "bold")
    _write(axes, middle, corner[1] + IMAGE + 22, f"true: {true}", theme_colors.ink, 8, alpha=0.75)


def _displayed(raw: NDArray[Any], white: float) -> NDArray[np.float64]:
    """Scale an image for drawing: (H, W) or (H, W, 3), from 0 to 1."""
    picture = np.clip(raw.astype(float) / white, 0, 1)
    if picture.ndim == 3:
        picture = picture[0] if len(picture) != 3 else np.moveaxis(picture, 0, 2)
    return picture


def _frame(axes: Axes, left: float, top: float, wide: float, tall: float, color: str, line: float) -> None:
    x, y = np.array([0, 1, 1, 0, 0]) * wide + left, np.array([0, 0, 1, 1, 0]) * tall + top
    axes.plot(x, y, color=color, linewidth=line, solid_joinstyle="miter")


def _write(axes: Axes, x: float, y: float, text: str, color: str, size: float, **more: Any) -> None:
    axes.text(
        x, y, text, **{"color": color, "fontsize": size, "ha": "center", "va": "top", "parse_math": False, **more}
    )
