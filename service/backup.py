"""Back up a data directory in use: the database by SQLite's online backup, and every file it references.

Files never change, but may be deleted: a newer checkpoint replaces the one before the last. The database is therefore
copied first, then its files. If a file was deleted meanwhile, the database is copied again, until the copy references
only files that it contains.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from service.datasets.files import source_name
from service.runs.queries.files import FILE_TABLES
from service.settings import Settings
from service.store.database import StoreError, open_engine
from service.store.tables import dataset
from worker.blob_store import StorageUnavailable
from worker.spec.datasets.uploaded import FOLDER, PREFIX, file_name

PASSES = 10


@dataclass(frozen=True)
class Backup:
    """The result of a backup; ``lost`` lists referenced files that are missing or damaged."""

    path: str
    files: int
    bytes: int
    lost: list[str]


def back_up(settings: Settings, target: Path) -> Backup:
    """Copy the data directory to ``target``, completely or not at all.

    Raises:
        StoreError: ``target`` exists or cannot be written, or the database is not SQLite.
    """
    if sa.make_url(settings.url).get_backend_name() != "sqlite":
        raise StoreError(
            "Only a data directory with SQLite can be backed up. For PostgreSQL, use pg_dump and copy the files or the "
            "bucket (FITWELL_STORAGE_URL)."
        )
    if not Path(settings.home, "fitwell.db").is_file() and settings.database_url is None:
        raise StoreError(f"{settings.home} has no database. Name another directory with --data-dir.")
    if target.exists():
        raise StoreError(f"{target} already exists. Name a new directory.")
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        part.mkdir(mode=0o700, parents=True)
        files, lost = _copy_all(settings, part)
        part.rename(target)
    except StorageUnavailable as error:
        raise StoreError(str(error)) from error
    except OSError as error:
        raise StoreError(f"{target} cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sizes = [path.stat().st_size for path in target.rglob("*") if path.is_file()]
    return Backup(str(target), files=files, bytes=sum(sizes), lost=lost)


def _copy_all(settings: Settings, part: Path) -> tuple[int, list[str]]:
    """Copy until no file is missing; return the number of files and the names of lost ones."""
    engine = open_engine(settings)
    copied: set[str] = set()
    missing: list[str] = []
    with contextlib.closing(engine.raw_connection()) as source:
        for _ in range(PASSES):
            before = missing
            _copy_database(source.driver_connection, part / "fitwell.db")
            referenced = _referenced_files(part / "fitwell.db")
            missing = [name for name in sorted(referenced) if name not in copied]
            missing = [name for name in missing if not _copy(settings, part, name, referenced[name], copied)]
            if not missing or missing == before:  # a file that is missing twice is lost
                break
    engine.dispose()
    for name in copied - referenced.keys():
        (part / name).unlink()
    return len(copied & referenced.keys()), missing


def _copy_database(source: sqlite.Connection, target: Path) -> None:
    """Copy a consistent snapshot of the database and check its integrity."""
    target.unlink(missing_ok=True)
    with contextlib.closing(sqlite.connect(target)) as copy:
        source.backup(copy)
        (state,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    target.chmod(0o600)
    if state != "ok":
        raise StoreError(f"The database is damaged: {state}.")


def _referenced_files(database: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that a database references, by its path in the data directory."""
    engine = sa.create_engine(f"sqlite:///{database}", module=sqlite)
    try:
        with engine.connect() as connection:
            files: dict[str, str] = {}
            for table in FILE_TABLES:
                rows = connection.execute(sa.select(table.c.path, table.c.sha256).where(table.c.path.is_not(None)))
                files |= {f"checkpoints/{path}": sha256 for path, sha256 in rows}
            for dataset_id, source in connection.execute(sa.select(dataset.c.id, dataset.c.source_sha256)):
                sha256 = dataset_id.removeprefix(PREFIX)
                files[f"datasets/{FOLDER}/{file_name(sha256)}"] = sha256
                files |= {} if source is None else {f"datasets/{FOLDER}/{source_name(source)}": source}
            return files
    finally:
        engine.dispose()


def _fetch(settings: Settings, name: str, sha256: str) -> None:
    """Download a file to the data directory if it is only in the bucket."""
    for blob_store in (settings.checkpoint_files, settings.upload_files):
        folder = f"{blob_store.home.relative_to(settings.home)}/"
        if name.startswith(folder):
            blob_store.fetch(name.removeprefix(folder), sha256)


def _copy(settings: Settings, part: Path, name: str, sha256: str, copied: set[str]) -> bool:
    """Copy one file; return False if it is missing or does not match its SHA-256."""
    target = part / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fetch(settings, name, sha256)
        with (settings.home / name).open("rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 2**20)
            copy.flush()
            os.fsync(copy.fileno())
        with target.open("rb") as copy:
            same = hashlib.file_digest(copy, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
    if not same:
        target.unlink()
        return False
    copied.add(name)
    return True
