"""The files of uploads: datasets, and the original files that they were read from, named by the SHA-256 of their bytes.

A file exists as long as a dataset refers to it. Files appear and go in transactions that hold the lock on them, and
their names are noted in the upload's directory before, so that the next start after a crash checks exactly these.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa

from service.datasets import queries as datasets
from service.store.database import reading, writing
from worker.blob_store import BlobStore
from worker.spec.datasets.uploaded import ID, PREFIX, file_name

SOURCE_SUFFIX = ".source"
COPY_BYTES = 2**20


def source_name(sha256: str) -> str:
    """Return the name of the original file with this content."""
    return f"{sha256}{SOURCE_SUFFIX}"


class UploadFiles:
    """The folder of uploads, with its bucket if it has one."""

    def __init__(self, engine: sa.Engine, store: BlobStore) -> None:
        self._engine = engine
        self._store = store

    def push(self, files: Mapping[str, Path]) -> None:
        """Make files readable by other machines, before a transaction moves them into the folder.

        Raises:
            StorageUnavailable: The bucket did not take a file.
        """
        for name, path in files.items():
            self._store.push(name, path)

    def move(self, files: Mapping[str, Path]) -> None:
        """Move files into the folder, in the transaction that holds the lock, and make that durable.

        An existing file has equal bytes, unless it is damaged; then this repairs it. A file that was removed from the
        bucket since it was sent, with an equal upload, is sent again.
        """
        for name, path in files.items():
            if not self._store.holds(name):
                self._store.push(name, path)
            path.replace(self._store.home / name)
        sync(self._store.home)

    def remove(self, names: Sequence[str]) -> None:
        """Remove those of the files that no dataset refers to."""
        with writing(self._engine, durable=False) as connection:
            datasets.lock_files(connection)
            self._store.drop([name for name in names if not _referenced(connection, name)])

    def copy_source(self, sha256: str, target: Path) -> bool:
        """Copy the original file to ``target``; return False if it is missing or damaged.

        Raises:
            StorageUnavailable: The bucket does not respond.
        """
        name, digest = source_name(sha256), hashlib.sha256()
        self._store.fetch(name, sha256)
        try:
            with (self._store.home / name).open("rb") as source, target.open("xb") as copy:
                while piece := source.read(COPY_BYTES):
                    digest.update(piece)
                    copy.write(piece)
        except FileNotFoundError:
            return False
        return digest.hexdigest() == sha256

    def unreferenced(self, before: float) -> Iterator[str]:
        """Yield files in the bucket that are older than ``before`` and that no dataset refers to.

        Raises:
            StorageUnavailable: The bucket cannot be reached.
        """
        for name in self._store.stored(before):
            with reading(self._engine) as connection:
                if not _referenced(connection, name):
                    yield name


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, which is on the disk when this returns."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(folder: Path) -> None:
    """Make renames in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _referenced(connection: sa.Connection, name: str) -> bool:
    """Return whether a dataset refers to the file; files that no upload can have written count as referenced."""
    sha256 = name.partition(".")[0]
    if ID.fullmatch(PREFIX + sha256) is None or name not in (file_name(sha256), source_name(sha256)):
        return True
    if name == source_name(sha256):
        return datasets.has_source(connection, sha256)
    return datasets.by_id(connection, PREFIX + sha256) is not None
