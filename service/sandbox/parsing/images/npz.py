"""NumPy's .npz: inputs and targets, of the whole file or of training, validation and test."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.sandbox.parsing.images.archives import files_in
from service.sandbox.parsing.images.array_names import TEST, VALIDATION, Pair, pairs_of
from service.sandbox.parsing.images.npy_arrays import Arrays, Header, converted, rounded
from service.sandbox.parsing.options import Limits, Options
from service.sandbox.parsing.refusals import Refused, reading
from service.sandbox.parsing.sources import Named, Source, Values, check_size

UNPACKED = 8
"""Unpacked size divided by the dataset's size, at most: bytes may be stored as 64-bit numbers."""
PLANES = (1, 3)
WHITE = 255


def read(archive: zipfile.ZipFile, limits: Limits, options: Options) -> Source:
    """Return the rows of a .npz file.

    Raises:
        Refused: The file is not valid .npz, or its arrays are not a dataset.
    """
    entries = {entry.filename.removesuffix(".npy"): entry for entry in files_in(archive, most_bytes=_most(limits))}
    notes: list[str] = []
    pairs = pairs_of(sorted(entries), options.arrays, notes)
    arrays = Arrays.of(archive, {name: entries[name] for pair in pairs for name in (pair.x, pair.y)})
    _check_rows(arrays.headers, pairs, limits)
    scale = _scale_of_images(arrays, [pair.x for pair in pairs], notes)
    x = [_inputs(arrays, pair.x, scale) for pair in pairs]
    _note_layout(arrays.headers[pairs[0].x], x[0], notes)
    y = _joined([_labels(arrays, pair.y, notes) for pair in pairs])
    return _source(pairs, x, y, notes)


def _source(pairs: Sequence[Pair], x: Sequence[Values], y: Named | Values, notes: list[str]) -> Source:
    """Return the rows, of which those for validation follow the training rows in the training part."""
    parts = [pair.part for pair in pairs]
    if VALIDATION in parts and TEST not in parts:
        notes.append("The file has no test part, so its validation rows test.")
        return Source("npz", x, y, notes=notes)
    if VALIDATION not in parts:
        return Source("npz", x, y, notes=notes)
    validates = np.arange(len(x[0]) + len(x[1])) >= len(x[0])
    notes.append(f"The {len(x[1]):,} validation rows of the file validate.")
    return Source("npz", [np.concatenate(x[:2]), x[2]], y, notes=notes, validates=validates)


def _joined(y: Sequence[Named | Values]) -> Named | Values:
    """The labels of all parts as one."""
    if len(y) == 1:
        return y[0]
    if all(isinstance(part, Named) for part in y):
        names = sorted({name for part in y for name in part.names})  # type: ignore[union-attr]
        codes = [np.searchsorted(names, part.names)[part.codes] for part in y]  # type: ignore[union-attr]
        return Named(np.concatenate(codes), names)
    if any(isinstance(part, Named) for part in y):
        raise Refused("wrong_dtype", "The labels of one part are text and those of the other are numbers.")
    return np.concatenate(y)  # type: ignore[arg-type]


def _most(limits: Limits) -> int:
    return UNPACKED * limits.dataset_bytes


def _check_rows(headers: Mapping[str, Header], pairs: Sequence[Pair], limits: Limits) -> None:
    total = 0
    for _, x, y in pairs:
        rows, labels = headers[x].shape, headers[y].shape
        if not 2 <= len(rows) <= 4 or headers[x].dtype.kind in "US":
            message = f"{x!r} has the shape {list(rows)[:8]}; it is (rows, columns), (rows, H, W) or (rows, H, W, 3)."
            raise Refused("wrong_shape", message, place=x)
        if len(labels) not in (1, 2) or 0 in labels[1:] or (_is_one_hot(headers[y]) and headers[y].dtype.kind in "US"):
            message = f"{y!r} has the shape {list(labels)[:8]}; it is (rows,), or (rows, classes) if it is one-hot."
            raise Refused("wrong_shape", message, place=y)
        if rows[0] != labels[0]:
            raise Refused("wrong_shape", f"{x!r} has {rows[0]:,} rows and {y!r} has {labels[0]:,}.", place=y)
        if 0 in rows:
            raise Refused("empty", f"{x!r} has the shape {list(rows)}: there is nothing in it.", place=x)
        total += headers[x].count * (4 if len(rows) == 2 else 1) + 8 * rows[0]
        total += headers[y].count if _is_one_hot(headers[y]) else 0
    if len({headers[pair.x].shape[1:] for pair in pairs}) > 1:
        raise Refused("wrong_shape", "The rows of the parts differ in shape.")
    check_size(total, limits.dataset_bytes)


def _is_one_hot(header: Header) -> bool:
    """Return whether labels can only be one-hot."""
    return len(header.shape) == 2 and header.shape[1] > 1


def _scale_of_images(arrays: Arrays, names: Sequence[str], notes: list[str]) -> int | None:
    """Return the factor that makes bytes of images with fractions; None if they are whole numbers, or no images.

    Raises:
        Refused: Fractions lie outside of 0 to 255.
    """
    headers = [arrays.headers[name] for name in names]
    if len(headers[0].shape) == 2 or all(header.dtype.kind != "f" for header in headers):
        return None
    whole, largest = True, 0.0
    for header in headers:
        for begin, piece in arrays.pieces(header.name):
            outside = np.flatnonzero(~((piece >= 0) & (piece <= WHITE)))
            if len(outside):
                raise _outside(header, begin + int(outside[0]), piece[outside[0]])
            whole = whole and bool((piece == np.floor(piece)).all())
            largest = max(largest, float(piece.max()))
    if whole:
        return None
    scale = WHITE if largest <= 1 else 1
    how = "multiplied by 255 and rounded" if scale == WHITE else "rounded"
    notes.append(f"The images have fractions from 0 to {1 if scale == WHITE else WHITE}, which were {how}.")
    return scale


def _outside(header: Header, position: int, value: Any) -> Refused:
    place = header.place_of(position)
    if not np.isfinite(value):
        return Refused("not_finite", f"{place} is {value}; only finite numbers can be trained on.", place=place)
    message = (
        f"{place} is {value}; images are whole numbers from 0 to 255, or fractions from 0 to 1. Save them as they were "
        "before they were normalized; dataset.normalize of a spec does that."
    )
    return Refused("wrong_dtype", message, place=place)


def _inputs(arrays: Arrays, name: str, scale: int | None) -> Values:
    """The rows: float32 of a table, uint8 of images, planes first."""
    header = arrays.headers[name]
    if len(header.shape) == 2:
        return converted(arrays, name, np.dtype(np.float32))
    x = converted(arrays, name, np.dtype(np.uint8)) if scale is None else rounded(arrays, name, scale)
    return x if len(header.shape) == 3 else _planes_first(x, name)


def _planes_first(x: Values, name: str) -> Values:
    if x.shape[3] in PLANES:
        x = np.moveaxis(x, 3, 1)
    elif x.shape[1] not in PLANES:
        message = f"{name!r} has the shape {list(x.shape)}; images have one plane or three: (rows, H, W, 3)."
        raise Refused("wrong_shape", message, place=name)
    return x[:, 0] if x.shape[1] == 1 else x


def _note_layout(header: Header, x: Values, notes: list[str]) -> None:
    """Note how images of four dimensions were understood."""
    shape = header.shape
    if len(shape) == 4:
        order = "rows, height, width, channels" if shape[3] in PLANES else "rows, channels, height, width"
        dropped = "; the single channel was dropped" if x.ndim == 3 else ""
        notes.append(f"The images have the order ({order}){dropped}.")


def _labels(arrays: Arrays, name: str, notes: list[str]) -> Named | Values:
    header = arrays.headers[name]
    if _is_one_hot(header):
        notes.append(f"{name!r} is one-hot; its {header.shape[1]} columns are the classes, numbered from 0.")
        return _from_one_hot(arrays, name)
    y = converted(arrays, name, header.dtype).reshape(-1)
    if header.dtype.kind not in "US":
        return y
    with reading(f"The text in {name!r}", place=name):
        names, codes = np.unique(y, return_inverse=True)
        decoded = [str(n) if header.dtype.kind == "U" else bytes(n).decode() for n in names]
    return Named(codes, decoded)


def _from_one_hot(arrays: Arrays, name: str) -> Values:
    """Return the column of the one in each row.

    Raises:
        Refused: A row does not have a single one among zeros.
    """
    header = arrays.headers[name]
    marks = np.empty(header.count, np.uint8)
    for begin, piece in arrays.pieces(name):
        marks[begin : begin + len(piece)] = np.where(piece == 1, 1, np.where(piece == 0, 0, 2))
    marks = marks.reshape(header.shape, order=header.order)
    wrong = np.flatnonzero((marks.sum(1) != 1) | (marks.max(1) != 1))
    if len(wrong):
        message = (
            f"{name!r} has the shape {list(header.shape)}, but row {wrong[0]} does not have a single 1 among zeros. A "
            "target is one class or number for each row: (rows,)."
        )
        raise Refused("wrong_shape", message, place=f"{name}[{wrong[0]}]")
    classes: Values = marks.argmax(1)
    return classes
