"""Zip files: checked before anything is unpacked, and unpacked as streams only, never onto the disk."""

from __future__ import annotations

import contextlib
import stat
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from service.sandbox.parsing.refusals import Refused, quoted, reading

MAX_ENTRIES = 200_000
MAX_RATIO = 200
"""Unpacked size divided by packed size, at most."""
RATIO_FROM_BYTES = 2**26
"""Unpacked size up to which any ratio is accepted: sorted labels shrink to a thousandth, harmlessly."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1
JUNK_FOLDERS, JUNK_FILES = ("__MACOSX",), (".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that operating systems add."""


@contextlib.contextmanager
def opened(path: Path | IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open the archive.

    Raises:
        Refused: The file is not a zip file.
    """
    with reading("The zip file"):
        archive = zipfile.ZipFile(path)
    with archive:
        yield archive


def holds_arrays(archive: zipfile.ZipFile) -> bool:
    """Return whether NumPy wrote the archive: all its entries are arrays."""
    names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)


def files_in(archive: zipfile.ZipFile, *, most_bytes: int) -> Sequence[zipfile.ZipInfo]:
    """Return the entries that are files, without those that operating systems add.

    Raises:
        Refused: Entries are too many, too large, too tightly packed, links, or named outside of the archive.
    """
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise Refused(
            "too_many_entries", f"The zip file has {len(entries):,} entries; at most {MAX_ENTRIES:,} are allowed."
        )
    for entry in entries:
        _check(entry)
    total = sum(entry.file_size for entry in entries)
    if total > most_bytes:
        raise Refused(
            "too_large",
            f"The zip file declares an unpacked size of {total:,} bytes; this server accepts at most {most_bytes:,}.",
        )
    _check_ratio("The zip file", total, sum(entry.compress_size for entry in entries))
    if len({entry.filename for entry in entries}) < len(entries):
        raise Refused("name_twice", "Two entries of the zip file have the same name.")
    files = [entry for entry in entries if not entry.is_dir() and not _is_junk(entry.filename)]
    if not files:
        raise Refused("empty", "The zip file has no files.")
    return files


def _check(entry: zipfile.ZipInfo) -> None:
    name, place = entry.filename, quoted(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if "\0" in entry.orig_filename:
        raise Refused("unsafe_name", f"The name of {place!r} contains a NUL.", place=place)
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith("/") or ".." in parts or "\\" in name or (parts and parts[0].endswith(":")):
        raise Refused("unsafe_name", f"The name {place!r} leads out of the archive.", place=place)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused("link", f"{place!r} is a link or a device; pack files only.", place=place)
    if entry.flag_bits & ENCRYPTED:
        raise Refused("encrypted", f"{place!r} is encrypted; pack it without a password.", place=place)
    if entry.compress_type not in METHODS:
        message = f"{place!r} is compressed by an unsupported method; use deflate, the default of zip."
        raise Refused("unknown_packing", message, place=place)
    _check_ratio(repr(place), entry.file_size, entry.compress_size, place=place)


def _check_ratio(what: str, size: int, packed: int, *, place: str = "") -> None:
    if size > RATIO_FROM_BYTES and size > MAX_RATIO * packed:
        message = f"{what} unpacks to {size // max(packed, 1):,} times its size; at most {MAX_RATIO} times is allowed."
        raise Refused("bomb", message, place=place)


def _is_junk(name: str) -> bool:
    path = PurePosixPath(name)
    return path.parts[0] in JUNK_FOLDERS or path.name in JUNK_FILES


@contextlib.contextmanager
def stream(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """Open an entry, unpacking as it is read; its checksum is checked at the end.

    Raises:
        Refused: The entry is truncated or altered.
    """
    place = quoted(entry.filename)
    with reading(repr(place), place=place), archive.open(entry) as opened_entry:
        yield opened_entry
