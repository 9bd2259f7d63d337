"""The preview of a dataset: first rows, class counts, statistics, some pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from service.sandbox.parsing.sources import Source, Values
from service.sandbox.parsing.splits import Split
from service.sandbox.parsing.targets import Target

ROWS, COLUMNS = 10, 100
"""How many of each are shown."""
PICTURES, PER_LINE, LARGEST, SMALLEST = 32, 8, 64, 32
"""How many pictures, and how many pixels wide and high each is shown."""
CHUNK = 65_536


def preview(source: Source, target: Target, split: Split) -> dict[str, Any]:
    """The preview, as JSON values; all of it is of the training part, but for the counts."""
    images = len(source.shape) > 1
    return {
        "columns": None if source.columns is None else list(source.columns),
        "target": source.target,
        "class_counts": class_counts(target, split),
        "rows": None if images else _rows(source, target, split),
        "features": None if images else _features(source, split),
        "pixels": _pixels(source, split) if images else None,
        "picture": _picture(source, target, split) if images else None,
    }


def class_counts(target: Target, split: Split) -> list[dict[str, Any]] | None:
    """Return the rows of each class in both parts; None if the target is a number."""
    if not target.classes:
        return None
    train, test = (
        np.bincount(target.values[rows], minlength=len(target.classes)) for rows in (split.train, split.test)
    )
    counts = zip(target.classes, train.tolist(), test.tolist(), strict=True)
    return [{"name": name, "rows_train": a, "rows_test": b} for name, a, b in counts]


def _rows(source: Source, target: Target, split: Split) -> list[dict[str, Any]]:
    first = split.train[:ROWS]
    return [{"x": [_short(v) for v in source.x[0][row, :COLUMNS]], "y": target.of(row)} for row in first]


def _short(value: Any) -> float:
    """Return a float32 as the shortest decimal number that identifies it."""
    return float(str(value))


def _features(source: Source, split: Split) -> list[dict[str, Any]]:
    """Of the first columns, least and greatest value, mean and standard deviation."""
    x = source.x[0][:, :COLUMNS]
    names = source.columns or [str(i) for i in range(x.shape[1])]
    low, high, mean, std = _moments(x, split.train)
    statistics = zip(names, low, high, mean, std, strict=False)
    return [
        {"name": name, "min": _short(a), "max": _short(b), "mean": float(c), "std": float(d)}
        for name, a, b, c, d in statistics
    ]


def _moments(x: Values, rows: Values) -> tuple[Values, Values, Values, Values]:
    """Least, greatest, mean and standard deviation of each column over ``rows``, a part of them at a time."""
    pieces = [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
    low = np.min([x[piece].min(0) for piece in pieces], axis=0)
    high = np.max([x[piece].max(0) for piece in pieces], axis=0)
    mean = np.sum([x[piece].sum(0, dtype=np.float64) for piece in pieces], axis=0) / len(rows)
    squares = np.sum([np.square(x[piece] - mean).sum(0) for piece in pieces], axis=0)
    return low, high, mean, np.sqrt(squares / len(rows))


def _pixels(source: Source, split: Split) -> dict[str, float]:
    """Mean and standard deviation of all pixels, black being 0 and white 1: what ``normalize`` asks for."""
    counts = np.zeros(256, np.int64)
    for i in range(0, len(split.train), 256):
        counts += np.bincount(source.x[0][split.train[i : i + 256]].reshape(-1), minlength=256)
    values = np.arange(256) / 255
    mean = float(counts @ values / counts.sum())
    return {"mean": mean, "std": float(np.sqrt(counts @ np.square(values - mean) / counts.sum()))}


def _picture(source: Source, target: Target, split: Split) -> str:
    """Some pictures in one, class after class, as the ``data:`` address of a PNG."""
    from PIL import Image  # noqa: PLC0415 - of images only

    images = [_image(source.x[0][row]) for row in _chosen(target, split)]
    width, height = images[0].size
    lines = -(-len(images) // PER_LINE)
    sheet = Image.new(images[0].mode, (min(PER_LINE, len(images)) * width, lines * height))
    for i, image in enumerate(images):
        sheet.paste(image, (i % PER_LINE * width, i // PER_LINE * height))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _chosen(target: Target, split: Split) -> Values:
    """Training rows to show: the first of each class, then the second of each, and so on."""
    if not target.classes:
        return split.train[:PICTURES]
    labels = target.values[split.train]
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(len(target.classes)))
    rank = np.arange(len(order)) - starts[labels[order]]
    return split.train[order[np.argsort(rank, kind="stable")[:PICTURES]]]


def _image(pixels: Values) -> Any:
    """Return one picture, scaled to a visible size."""
    from PIL import Image  # noqa: PLC0415

    image = Image.fromarray(np.ascontiguousarray(pixels if pixels.ndim == 2 else np.moveaxis(pixels, 0, 2)))
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST))
        return image
    times = max(1, SMALLEST // max(image.size))
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
