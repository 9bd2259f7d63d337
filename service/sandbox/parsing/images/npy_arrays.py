"""The arrays of a .npz file, read in pieces.

A header is believed only as far as it agrees with the size of its entry, and before anything of it is read; objects
(pickles) are never read. What is read is converted piece by piece, so that no second copy is ever in memory.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy

from service.sandbox.parsing.images.archives import stream
from service.sandbox.parsing.refusals import Refused, reading
from service.sandbox.parsing.sources import Values

PIECE = 2**20
"""Numbers that are converted at a time."""


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
    def order(self) -> Literal["C", "F"]:
        """Which index of the array runs fastest: the last or the first."""
        return "F" if self.fortran else "C"

    @property
    def count(self) -> int:
        """How many numbers there are, exactly."""
        count = 1
        for length in self.shape:
            count *= length
        return count

    def place_of(self, position: int) -> str:
        """Where in the array the number is that comes at ``position``."""
        index = np.unravel_index(position, self.shape, order=self.order)
        return f"{self.name}[{', '.join(map(str, map(int, index)))}]"


@dataclass(frozen=True)
class Arrays:
    """The arrays of the file, unread."""

    archive: zipfile.ZipFile
    entries: Mapping[str, zipfile.ZipInfo]
    headers: Mapping[str, Header]

    @classmethod
    def of(cls, archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> Arrays:
        """Return the arrays in ``entries``, by name.

        Raises:
            Refused: A header is wrong, or declares values that are never read.
        """
        headers = {name: _header(archive, name, entry) for name, entry in entries.items()}
        return cls(archive, entries, headers)

    def pieces(self, name: str) -> Iterator[tuple[int, Values]]:
        """Yield the numbers of an array, a piece at a time, each with the position of its first."""
        header = self.headers[name]
        with stream(self.archive, self.entries[name]) as file:
            _exactly(file, header.begin, name)
            for begin in range(0, header.count, PIECE):
                count = min(PIECE, header.count - begin)
                yield begin, np.frombuffer(_exactly(file, count * header.dtype.itemsize, name), header.dtype)
            if file.read(1):
                raise Refused("header_lies", f"{name!r} is longer than its header declares.", place=name)


def converted(arrays: Arrays, name: str, dtype: np.dtype[Any]) -> Values:
    """Return the array as ``dtype``, read and converted in pieces."""
    header = arrays.headers[name]
    out = np.empty(header.count, dtype)
    for begin, piece in arrays.pieces(name):
        out[begin : begin + len(piece)] = _as(dtype, piece, header, begin)
    return out.reshape(header.shape, order=header.order)


def rounded(arrays: Arrays, name: str, scale: int) -> Values:
    """Return the array times ``scale`` as whole numbers from 0 to 255."""
    header = arrays.headers[name]
    out = np.empty(header.count, np.uint8)
    for begin, piece in arrays.pieces(name):
        out[begin : begin + len(piece)] = np.rint(piece.astype(np.float64) * scale)
    return out.reshape(header.shape, order=header.order)


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
