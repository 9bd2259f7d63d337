"""A copy of a data directory that is in use: the database by SQLite's online backup, and every file it points at.

Files never change once they are named, but go: a newer checkpoint replaces the one before the last. So the database is
copied first, then what it points at; where something has gone meanwhile, the database is copied again, until the copy
points only at files that are in it.
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

from service.runs.queries.files import FILE_TABLES
from service.settings import Settings
from service.store.database import StoreError, open_engine
from service.store.tables import dataset
from worker.blob_store import StorageUnavailable
from worker.spec.datasets.uploaded import FOLDER, PREFIX, file_name

PASSES = 10


@dataclass(frozen=True)
class Backup:
    """What was copied, and which files the database names that are nowhere, or not what was written."""

    path: str
    files: int
    bytes: int
    lost: list[str]


def back_up(settings: Settings, target: Path) -> Backup:
    """Copy the data directory to ``target``; it is there whole, or not at all.

    Raises:
        StoreError: there is something at ``target``, it cannot be written, or the database is not SQLite.
    """
    if sa.make_url(settings.url).get_backend_name() != "sqlite":
        raise StoreError(
            "This backs up SQLite's data directory. For PostgreSQL: pg_dump, and a copy of the files, or of the bucket "
            "(FITWELL_STORAGE_URL)."
        )
    if not Path(settings.home, "fitwell.db").is_file() and settings.database_url is None:
        raise StoreError(f"There is no database in {settings.home}; name its directory with --data-dir.")
    if target.exists():
        raise StoreError(f"{target} is there already; a backup is a new directory.")
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        part.mkdir(mode=0o700, parents=True)
        files, lost = _copied(settings, part)
        part.rename(target)
    except StorageUnavailable as error:
        raise StoreError(str(error)) from error
    except OSError as error:
        raise StoreError(f"{target} cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sizes = [path.stat().st_size for path in target.rglob("*") if path.is_file()]
    return Backup(str(target), files=files, bytes=sum(sizes), lost=lost)


def _copied(settings: Settings, part: Path) -> tuple[int, list[str]]:
    """Copy until nothing is missing; how many files, and which are lost for good."""
    engine = open_engine(settings)
    copied: set[str] = set()
    missing: list[str] = []
    with contextlib.closing(engine.raw_connection()) as source:
        for _ in range(PASSES):
            before = missing
            _copy_database(source.driver_connection, part / "fitwell.db")
            wanted = _files(part / "fitwell.db")
            missing = [name for name in sorted(wanted) if name not in copied]
            missing = [name for name in missing if not _copy(settings, part, name, wanted[name], copied)]
            if not missing or missing == before:  # what was missing twice is lost
                break
    engine.dispose()
    for name in copied - wanted.keys():
        (part / name).unlink()
    return len(copied & wanted.keys()), missing


def _copy_database(source: sqlite.Connection, target: Path) -> None:
    """The database as it is at one moment, checked."""
    target.unlink(missing_ok=True)
    with contextlib.closing(sqlite.connect(target)) as copy:
        source.backup(copy)
        (state,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    target.chmod(0o600)
    if state != "ok":
        raise StoreError(f"The database is damaged: {state}.")


def _files(database: Path) -> dict[str, str]:
    """The files that a database points at, below the data directory; and their SHA-256."""
    engine = sa.create_engine(f"sqlite:///{database}", module=sqlite)
    try:
        with engine.connect() as connection:
            found: dict[str, str] = {}
            for table in FILE_TABLES:
                rows = connection.execute(sa.select(table.c.path, table.c.sha256).where(table.c.path.is_not(None)))
                found |= {f"checkpoints/{path}": sha256 for path, sha256 in rows}
            for (name,) in connection.execute(sa.select(dataset.c.id)):
                sha256 = name.removeprefix(PREFIX)
                found[f"datasets/{FOLDER}/{file_name(sha256)}"] = sha256
            return found
    finally:
        engine.dispose()


def _bring(settings: Settings, name: str, sha256: str) -> None:
    """See that the data directory has a file that may lie in a bucket."""
    for depot in (settings.checkpoint_files, settings.upload_files):
        folder = f"{depot.home.relative_to(settings.home)}/"
        if name.startswith(folder):
            depot.fetch(name.removeprefix(folder), sha256)


def _copy(settings: Settings, part: Path, name: str, sha256: str, copied: set[str]) -> bool:
    """Copy one file; False where it has gone, or is not what was written."""
    target = part / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _bring(settings, name, sha256)
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
