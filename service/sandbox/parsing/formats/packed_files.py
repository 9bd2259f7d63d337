"""The bytes of a table: as they are, unpacked from gzip, or the only table of a zip file."""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from service.sandbox.parsing.images.archives import files_in, opened
from service.sandbox.parsing.images.folders import OTHER_SUFFIXES, SUFFIXES
from service.sandbox.parsing.options import Limits
from service.sandbox.parsing.refusals import Refused, quoted, reading

UNPACKED = 4
"""Unpacked size divided by the largest dataset's size, at most: text takes more bytes than its numbers."""
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
CHUNK_BYTES = 2**22
NO_TABLES = ("license", "licence", "readme")
"""Beginnings of the names of files that accompany a table."""

Opener = Callable[[], contextlib.AbstractContextManager[IO[bytes]]]
"""Opens the bytes, unpacked, from their beginning."""


@dataclass(frozen=True)
class Bytes:
    """The unpacked bytes of a table, which can be read several times."""

    open: Opener
    is_packed: bool
    notes: tuple[str, ...] = ()

    def head(self, size: int) -> bytes:
        """Return the first bytes."""
        with self.open() as file:
            return file.read(size)

    @contextlib.contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """Open the bytes as a file that can be read from any place; packed ones are unpacked in memory."""
        with self.open() as file:
            if not self.is_packed:
                yield file
                return
            unpacked = io.BytesIO()
            while chunk := file.read(CHUNK_BYTES):
                unpacked.write(chunk)
        unpacked.seek(0)
        yield unpacked


def unpacked(body: Path, member: str | None, limits: Limits) -> Bytes:
    """Return the bytes of the table in ``body``.

    Raises:
        Refused: The file is a zip file of no table, or of several and ``member`` names none of them.
    """
    with body.open("rb") as file:
        head = file.read(4)
    most = UNPACKED * limits.dataset_bytes
    if head.startswith(GZIP):
        return Bytes(lambda: _gzip(body, most), is_packed=True)
    if head == ZIP:
        return _member(body, member, most)
    return Bytes(lambda: body.open("rb"), is_packed=False)


@contextlib.contextmanager
def _gzip(body: Path, most: int) -> Iterator[IO[bytes]]:
    with reading("The gzip file"), gzip.open(body) as file:
        yield cast(IO[bytes], _Limited(cast(IO[bytes], file), most))


class _Limited:
    """A stream that unpacks to a limited number of bytes."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most, self._read = file, most, 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._read += len(data)
        if self._read > self._most:
            message = f"The gzip file unpacks to more than {self._most:,} bytes, the maximum. Send fewer rows."
            raise Refused("too_large", message)
        return data


def is_workbook(names: Sequence[str]) -> bool:
    """Return whether a zip file with these entries is an Excel workbook."""
    return "[Content_Types].xml" in names and any(name.startswith("xl/") for name in names)


def holds_tables(names: Sequence[str]) -> bool:
    """Return whether a zip file with these entries holds tables, rather than images or arrays."""
    return not any(name.lower().endswith((*SUFFIXES, *OTHER_SUFFIXES, ".npy")) for name in names)


def _member(body: Path, member: str | None, most: int) -> Bytes:
    with opened(body) as archive:
        files = files_in(archive, most_bytes=most)
        names = [entry.filename for entry in files]
        if is_workbook(names):
            return Bytes(lambda: body.open("rb"), is_packed=False)
        _refuse_documents(archive, names)
    chosen = _chosen(names, member)
    note = () if len(names) == 1 else (f"The table is {quoted(chosen)!r} of the zip file.",)
    return Bytes(lambda: _entry(body, chosen), is_packed=True, notes=note)


def _chosen(names: Sequence[str], member: str | None) -> str:
    """Return the name of the entry that is the table."""
    if member is not None:
        if member in names:
            return member
        message = f"The zip file has no entry {quoted(member)!r}. It has {_listed(names)}."
        raise Refused("no_such_member", message, allowed=names, parameter="member")
    tables = [name for name in names if not PurePosixPath(name).name.lower().startswith(NO_TABLES)]
    if len(tables) != 1:
        message = f"The zip file has {len(tables)} files: {_listed(tables)}. Choose one with member=NAME."
        raise Refused("several_tables", message, allowed=tables, parameter="member")
    return tables[0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(quoted(name)) for name in names[:10]) + (", …" if len(names) > 10 else "")


@contextlib.contextmanager
def _entry(body: Path, name: str) -> Iterator[IO[bytes]]:
    with opened(body) as archive, reading(repr(quoted(name)), place=quoted(name)), archive.open(name) as file:
        yield file


def _refuse_documents(archive: zipfile.ZipFile, names: Sequence[str]) -> None:
    """Refuse documents of other programs that are zip files."""
    kinds = {"word/document.xml": "a Word document", "ppt/presentation.xml": "a PowerPoint presentation"}
    kind = next((kind for name, kind in kinds.items() if name in names), None)
    if kind is None and "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
        with reading("The zip file"):
            text = archive.read("mimetype").decode("ascii", "replace")
        kind = f"a document of the type {quoted(text.strip())}" if "opendocument" in text or "epub" in text else None
    if kind is not None:
        message = f"The file is {kind}, which is not a table. Save its table as CSV or as an Excel workbook (.xlsx)."
        raise Refused("wrong_format", message)
