"""The file that a dataset becomes: equal data are equal bytes, on every machine and with every version.

It is safetensors (a length, a JSON header, then the numbers in C order, little-endian), written here so that nothing
in it depends on a library: the header is canonical JSON (RFC 8785), and tensors follow each other in a fixed order.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rfc8785

from service.sandbox.parsing.sources import Source, Values
from service.sandbox.parsing.splits import Split
from service.sandbox.parsing.targets import Target

LAYOUT = 1
"""Of what the header tells; another meaning is another number, and so another digest."""
CODES = {"|u1": "U8", "<f4": "F32", "<f8": "F64", "<i4": "I32", "<i8": "I64"}
CHUNK_BYTES = 2**22


@dataclass(frozen=True)
class Written:
    """A file that was written: its SHA-256 and size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Tensor:
    """A part of the file: some rows of an array, gathered as they are written."""

    array: Values
    rows: Values

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers."""
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    @property
    def shape(self) -> list[int]:
        """Of the tensor in the file."""
        return [len(self.rows), *self.array.shape[1:]]

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.rows) * int(np.prod(self.array.shape[1:])) * self.array.itemsize

    def chunks(self) -> Iterator[bytes]:
        """The bytes, a few MiB at a time."""
        step = max(1, CHUNK_BYTES * len(self.rows) // max(self.size, 1))
        little = self.array.dtype.newbyteorder("<")
        for begin in range(0, len(self.rows), step):
            yield np.ascontiguousarray(self.array[self.rows[begin : begin + step]], dtype=little).tobytes()


@dataclass(frozen=True)
class ColumnsTensor:
    """A matrix of some rows of columns, of which only a few MiB are ever in memory."""

    columns: Sequence[Values]
    rows: Values
    dtype: np.dtype[Any]

    @property
    def shape(self) -> list[int]:
        """Of the tensor in the file."""
        return [len(self.rows), len(self.columns)]

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.rows) * len(self.columns) * self.dtype.itemsize

    def chunks(self) -> Iterator[bytes]:
        """The bytes, a few MiB at a time."""
        step = max(1, CHUNK_BYTES // max(len(self.columns) * self.dtype.itemsize, 1))
        for begin in range(0, len(self.rows), step):
            rows = self.rows[begin : begin + step]
            chunk = np.empty((len(rows), len(self.columns)), self.dtype.newbyteorder("<"))
            for i, column in enumerate(self.columns):
                chunk[:, i] = column[rows]
            yield chunk.tobytes()


AnyTensor = Tensor | ColumnsTensor


def write(path: Path, source: Source, target: Target, split: Split) -> Written:
    """Write rows of numbers; they are on the disk when this returns."""
    return write_tensors(path, _description(source, target, split.order), _tensors(source, target, split))


def write_tensors(path: Path, description: Mapping[str, Any], tensors: Mapping[str, AnyTensor]) -> Written:
    """Write ``tensors`` in their order, and a description as the header's metadata; on the disk when this returns."""
    header = _header(description, tensors)
    chunks = (chunk for tensor in tensors.values() for chunk in tensor.chunks())  # one after the other, not all at once
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for piece in itertools.chain((len(header).to_bytes(8, "little"), header), chunks):
            digest.update(piece)
            size += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return Written(digest.hexdigest(), size)


def _tensors(source: Source, target: Target, split: Split) -> dict[str, Tensor]:
    """The four tensors, those of eight bytes first, so that every number lies where it may; then designated rows."""
    x = [(source.x[0], split.train), (source.x[-1], split.test)]
    if len(source.x) == 2:
        x[1] = (source.x[1], split.test - len(source.x[0]))
    tensors = {
        "train_y": Tensor(target.values, split.train),
        "test_y": Tensor(target.values, split.test),
        "train_x": Tensor(*x[0]),
        "test_x": Tensor(*x[1]),
    }
    if source.validates is not None:
        tensors["train_validates"] = Tensor(source.validates.astype(np.uint8), split.train)
    return tensors


def _description(source: Source, target: Target, order: str) -> dict[str, Any]:
    return {
        "layout": LAYOUT,
        "task": target.task,
        "classes": list(target.classes),
        "columns": None if source.columns is None else list(source.columns),
        "target": source.target,
        **({} if order == "random" else {"order": order}),  # other splits validate, so it is another dataset
    }


def _header(description: Mapping[str, Any], tensors: Mapping[str, AnyTensor]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"fitwell": rfc8785.dumps(dict(description)).decode()}}
    begin = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": CODES[tensor.dtype.newbyteorder("<").str],
            "shape": tensor.shape,
            "data_offsets": [begin, begin + tensor.size],
        }
        begin += tensor.size
    text = rfc8785.dumps(header)
    return text + b" " * (-len(text) % 8)
