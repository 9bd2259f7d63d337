"""NumPy's .npz: ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_test``, ``y_test``.

A header is believed only as far as it agrees with the size of its entry, and before anything of it is read; objects
(pickles) are never read. What is read is converted piece by piece, so that no second copy is ever in memory.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from service.sandbox.parsing.archives import files_in, stream
from service.sandbox.parsing.options import Limits
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import Named, Source, Values, check_size

WHOLE = ("x", "y")
PARTS = ("x_train", "y_train", "x_test", "y_test")
PIECE = 2**20
"""Numbers that are converted at a time."""
UNPACKED = 8
"""Unpacked size divided by the dataset's size, at most: bytes may be stored as 64-bit numbers."""
PLANES = (1, 3)


@dataclass(frozen=True)
class Header:
    """The header of an entry."""

    name: str
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    begin: int
    """Where in the entry the numbers begin."""

    @property
    def count(self) -> int:
        """How many numbers there are, exactly."""
        count = 1
        for length in self.shape:
            count *= length
        return count

    def place_of(self, position: int) -> str:
        """Where in the array the number is that comes at ``position``."""
        index = np.unravel_index(position, self.shape, order="F" if self.fortran else "C")
        return f"{self.name}[{', '.join(map(str, map(int, index)))}]"


def read(archive: zipfile.ZipFile, limits: Limits) -> Source:
    """Return the rows of a .npz file.

    Raises:
        Refused: The file is not valid .npz, or its arrays are not a dataset.
    """
    entries = {e.filename.removesuffix(".npy").lower(): e for e in files_in(archive, most_bytes=_most(limits))}
    names = PARTS if entries.keys() == set(PARTS) else WHOLE
    if entries.keys() != set(names):
        known = f"{', '.join(WHOLE)} or {', '.join(PARTS)}"
        actual = quoted(", ".join(sorted(entries)))
        raise Refused(
            "unknown_arrays", f"The file has the arrays {actual}; expected are {known}.", allowed=[*WHOLE, *PARTS]
        )
    headers = {name: _header(archive, name, entries[name]) for name in names}
    _check_rows(headers, names, limits)
    x = [_inputs(archive, entries[name], headers[name]) for name in names[::2]]
    y = [_labels(archive, entries[name], headers[name]) for name in names[1::2]]
    return Source("npz", x, _joined(y))


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


def _header(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo) -> Header:
    with stream(archive, entry) as file, reading(repr(name), place=name):
        version = npy.read_magic(file)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise Refused(
                "unreadable", f"{name!r} has version {version} of the .npy format; save it again.", place=name
            )
        shape, fortran, dtype = readers[version](file)
        header = Header(name, shape, fortran, dtype, begin=file.tell())
    if dtype.hasobject:
        message = f"{name!r} contains Python objects (pickles), which are never read; save numbers or text."
        raise Refused("pickle", message, place=name)
    if dtype.kind not in "biufUS" or dtype.itemsize == 0:
        raise Refused("wrong_dtype", f"{name!r} has the type {dtype}; it can be numbers, or text for y.", place=name)
    if min(shape, default=0) < 0 or header.begin + header.count * dtype.itemsize != entry.file_size:
        message = (
            f"The header of {name!r} declares the shape {list(shape)[:8]}, but the entry has {entry.file_size:,} bytes."
        )
        raise Refused("header_lies", message, place=name)
    return header


def _check_rows(headers: Mapping[str, Header], names: Sequence[str], limits: Limits) -> None:
    total = 0
    for x, y in zip(names[::2], names[1::2], strict=True):
        rows, labels = headers[x].shape, headers[y].shape
        if not 2 <= len(rows) <= 4 or headers[x].dtype.kind in "US":
            message = f"{x!r} has the shape {list(rows)[:8]}; it is (rows, columns), (rows, H, W) or (rows, H, W, 3)."
            raise Refused("wrong_shape", message, place=x)
        if len(labels) not in (1, 2) or (len(labels) == 2 and labels[1] != 1):
            message = f"{y!r} has the shape {list(labels)[:8]}; it is (rows,). Of one-hot labels take y.argmax(1)."
            raise Refused("wrong_shape", message, place=y)
        if rows[0] != labels[0]:
            raise Refused("wrong_shape", f"{x!r} has {rows[0]:,} rows and {y!r} has {labels[0]:,}.", place=y)
        if 0 in rows:
            raise Refused("empty", f"{x!r} has the shape {list(rows)}: there is nothing in it.", place=x)
        total += headers[x].count * (4 if len(rows) == 2 else 1) + 8 * rows[0]
    if len({headers[x].shape[1:] for x in names[::2]}) > 1:
        raise Refused("wrong_shape", "The rows of the training part and of the test part differ in shape.")
    check_size(total, limits.dataset_bytes)


def _inputs(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, header: Header) -> Values:
    """The rows: float32 of a table, uint8 of images, planes first."""
    images = len(header.shape) > 2
    with stream(archive, entry) as file:
        x = _converted(file, header, np.dtype(np.uint8 if images else np.float32))
    return x if len(header.shape) < 4 else _planes_first(x, header.name)


def _planes_first(x: Values, name: str) -> Values:
    if x.shape[3] in PLANES:
        x = np.moveaxis(x, 3, 1)
    elif x.shape[1] not in PLANES:
        message = f"{name!r} has the shape {list(x.shape)}; images have one plane or three: (rows, H, W, 3)."
        raise Refused("wrong_shape", message, place=name)
    return x[:, 0] if x.shape[1] == 1 else x


def _labels(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, header: Header) -> Named | Values:
    with stream(archive, entry) as file:
        y = _converted(file, header, header.dtype).reshape(-1)
    if header.dtype.kind not in "US":
        return y
    with reading(f"The text in {header.name!r}", place=header.name):
        names, codes = np.unique(y, return_inverse=True)
        decoded = [str(n) if header.dtype.kind == "U" else bytes(n).decode() for n in names]
    return Named(codes, decoded)


def _converted(file: IO[bytes], header: Header, dtype: np.dtype[Any]) -> Values:
    """Return the array after the header as ``dtype``, read and converted in pieces."""
    _exactly(file, header.begin, header.name)
    out = np.empty(header.count, dtype)
    for begin in range(0, header.count, PIECE):
        count = min(PIECE, header.count - begin)
        piece = np.frombuffer(_exactly(file, count * header.dtype.itemsize, header.name), header.dtype)
        out[begin : begin + count] = _as(dtype, piece, header, begin)
    if file.read(1):
        raise Refused("header_lies", f"{header.name!r} is longer than its header declares.", place=header.name)
    return out.reshape(header.shape, order="F" if header.fortran else "C")


def _exactly(file: IO[bytes], count: int, name: str) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise Refused("truncated", f"{name!r} ends too early.", place=name)
    return data


def _as(dtype: np.dtype[Any], piece: Values, header: Header, begin: int) -> Values:
    """Convert ``piece`` to ``dtype``, and check that the values fit."""
    if dtype == header.dtype and dtype.kind != "f":
        return piece
    with np.errstate(over="ignore", invalid="ignore"):
        converted = piece.astype(dtype)
        wrong = ~np.isfinite(converted) if dtype.kind == "f" else converted != piece
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        place = header.place_of(begin + at)
        if dtype.kind == "f":
            raise Refused("not_finite", f"{place} is {piece[at]}; only finite numbers can be trained on.", place=place)
        message = f"{place} is {piece[at]}; images are whole numbers from 0 to 255, such as (x * 255).astype('uint8')."
        raise Refused("wrong_dtype", message, place=place)
    return converted
