"""Images of a dataset with their true and predicted classes or numbers, side by side in one picture."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.messages import Theme
from service.sandbox.predicting.themes import DPI, LOOKS, Look, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELL, IMAGE, HEAD = (140, 152), 96, 34
"""Pixels of a cell (width, height), of the longer side of an image in it, and of the title above all."""
LABEL_LETTERS = 15


class Label(NamedTuple):
    """What a model says of an image, and what is true."""

    said: str
    true: str
    right: bool
    """False where the image is to be marked."""


class Judged(NamedTuple):
    """Images and what a model makes of them."""

    images: NDArray[Any]
    """Raw, (n, H, W) or (n, C, H, W)."""
    white: float
    labels: Sequence[Label]


def classes_judged(probabilities: NDArray[np.float32], true: Sequence[int], classes: Sequence[str]) -> list[Label]:
    """The most probable class of each row of (n, classes), and the true one."""
    labels = []
    for row, label in zip(probabilities, true, strict=True):
        known = plain(classes[label], LABEL_LETTERS)
        if not np.isfinite(row).all():
            labels.append(Label("not a number", known, right=False))
            continue
        given = int(row.argmax())
        share, right = f" {100 * row[given]:.0f} %", given == label
        said = ("" if right else "✗ ") + plain(classes[given], LABEL_LETTERS - len(share) + 4) + share
        labels.append(Label(said, known, right))
    return labels


def numbers_judged(predictions: NDArray[np.float32], true: Sequence[float]) -> list[Label]:
    """The number of each row of (n, 1), and the true one; only what is no number is marked."""
    pairs = zip(predictions[:, 0].tolist(), true, strict=True)
    return [
        Label(f"{said:.4g}" if math.isfinite(said) else "not a number", f"{known:.4g}", math.isfinite(said))
        for said, known in pairs
    ]


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
    said, true, right = judged.labels[i]
    colour = look.ink if right else look.wrong
    _frame(axes, left, top, wide, tall, look.faint if right else look.wrong, 1 if right else 2.5)
    _write(axes, middle, corner[1] + IMAGE + 6, said, colour, 9, weight="normal" if right else "bold")
    _write(axes, middle, corner[1] + IMAGE + 22, f"true: {true}", look.ink, 8, alpha=0.75)


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
