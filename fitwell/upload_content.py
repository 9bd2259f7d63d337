"""Data to upload: files, open files, data frames, and arrays."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

from fitwell.errors import NotInstalled
from fitwell.reading_options import FORMATS, Format

CHUNK_BYTES = 2**18
PAIR = 2
"""Number of arrays in a tuple of inputs and targets."""

Data: TypeAlias = Any
"""A path, a file open in binary mode, a data frame of pandas or polars, a mapping of arrays, or ``(x, y)``."""


class Upload(NamedTuple):
    """The content of a request, which a retry reads again, its format if it is known, and a default name."""

    content: Callable[[], Iterator[bytes]]
    format: Format | None
    name: str


def upload_of(data: Data) -> Upload:
    """Return what to send for ``data``.

    Raises:
        TypeError: ``data`` is nothing that can be uploaded.
        NotInstalled: A data frame of pandas, without pyarrow.
    """
    if isinstance(data, str | os.PathLike):
        return _path(Path(data))
    if hasattr(data, "write_parquet"):  # polars
        return _bytes(_written(data.write_parquet), "parquet")
    if hasattr(data, "to_parquet"):  # pandas
        return _bytes(_pandas_parquet(data), "parquet")
    if isinstance(data, Mapping):
        return _bytes(_npz(data), "npz")
    if isinstance(data, tuple) and len(data) == PAIR:
        return _bytes(_npz({"x": data[0], "y": data[1]}), "npz")
    if hasattr(data, "read"):
        return _open_file(data)
    message = (
        f"{type(data).__name__} is nothing to upload. Upload a path, a file open in binary mode, a data frame, "
        "a mapping of arrays such as {'x': x, 'y': y}, or a tuple (x, y)."
    )
    raise TypeError(message)


def _path(path: Path) -> Upload:
    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            yield from _chunks(file)

    return Upload(chunks, FORMATS.get(path.suffix.lower()), path.stem)


def _open_file(file: IO[bytes]) -> Upload:
    """Return the rest of an open file, from its position; one without positions is read into memory."""
    name = Path(str(getattr(file, "name", "")))
    known = FORMATS.get(name.suffix.lower())
    if not (hasattr(file, "seekable") and file.seekable()):
        return Upload(_bytes(_checked(file.read()), known).content, known, name.stem)
    start = file.tell()

    def chunks() -> Iterator[bytes]:
        file.seek(start)
        yield from _chunks(file)

    return Upload(chunks, known, name.stem)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := _checked(file.read(CHUNK_BYTES)):
        yield chunk


def _checked(chunk: Any) -> bytes:
    """Return bytes that were read.

    Raises:
        TypeError: The file is open in text mode.
    """
    if isinstance(chunk, str):
        raise TypeError("The file is open in text mode; open it in binary mode: open(path, 'rb').")
    return bytes(chunk)


def _bytes(content: bytes, known: Format | None) -> Upload:
    return Upload(lambda: _chunks(io.BytesIO(content)), known, "")


def _written(write: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _pandas_parquet(frame: Any) -> bytes:
    """Return a data frame of pandas as Parquet, without its index.

    Raises:
        NotInstalled: pyarrow is not installed.
    """
    try:
        import_module("pyarrow")
    except ModuleNotFoundError as error:
        message = "Data frames are sent as Parquet, and pyarrow is not installed. Install it with: pip install pyarrow"
        raise NotInstalled(message) from error
    named = frame.rename(columns=str)  # Parquet has no names of other types
    return _written(lambda buffer: named.to_parquet(buffer, engine="pyarrow", index=False))


def _npz(arrays: Mapping[str, Any]) -> bytes:
    """Return arrays as a NumPy archive.

    Raises:
        NotInstalled: NumPy is not installed.
        TypeError: An array has the type ``object``, which the server does not read.
    """
    try:
        np = import_module("numpy")
    except ModuleNotFoundError as error:
        raise NotInstalled("Arrays need NumPy. Install it with: pip install numpy") from error
    values = {str(name): _array(np, str(name), value) for name, value in arrays.items()}
    return _written(lambda buffer: np.savez(buffer, **values))


def _array(np: Any, name: str, value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype == object:
        texts = array.ndim == 1 and all(isinstance(one, str) for one in array)
        if not texts:
            message = f"The array {name!r} has the type object; convert it to numbers or texts, or upload a data frame."
            raise TypeError(message)
        array = array.astype(str)
    return array
