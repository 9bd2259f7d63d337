"""Housekeeping: delete unreferenced files, and checkpoints, events and keys past their retention."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from service.runs.queries import files
from service.settings import Settings
from service.store import events
from service.store import idempotency_keys as keys
from service.store.database import reading, writing
from worker.blob_store import COPIES_SECONDS

LOG = logging.getLogger("fitwell.service")
BATCH_SIZE = 500
"""Rows or files per transaction, so that other writers do not wait long."""
GRACE_SECONDS = 3600.0
"""Minimum age of an unreferenced file: longer than a worker takes from writing a file to recording it."""
DAY_SECONDS = 86_400.0


class Housekeeping:
    """Cleanup of a database and the files that it references."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._files = settings.checkpoint_files

    def look(self) -> None:
        """Run every cleanup once."""
        files_removed, checkpoints, events_removed = self.sweep(), self.retire(), self.forget_events()
        with writing(self._engine, durable=False) as connection:
            keys.forget(connection, self._settings.idempotency_seconds)
        if files_removed or checkpoints or events_removed:
            message = "removed %d unreferenced file(s), %d checkpoint(s) and %d event(s)"
            LOG.info(message, files_removed, checkpoints, events_removed)
        for store in (self._files, self._settings.upload_files):
            store.tidy(time.time() - COPIES_SECONDS)
        self.send_unsent()
        self.sweep_storage()

    def send_unsent(self) -> int:
        """Send checkpoints and weights that the database names to the bucket, if only this machine has them.

        Such files are left by processes that died, and by a data directory that was used before it had a bucket.
        Returns how many were sent.

        Raises:
            StorageUnavailable: The bucket is out of reach.
        """
        sent, unsent = 0, self._files.unsent()
        while batch := list(islice(unsent, BATCH_SIZE)):
            with reading(self._engine) as connection:
                unreferenced = set(files.unreferenced(connection, batch))
            for name in batch:
                if name not in unreferenced:
                    self._files.push(name, self._files.home / name)
                    sent += 1
        return sent

    def sweep(self) -> int:
        """Remove old unreferenced files, which killed workers leave behind; return their count."""
        removed, moment = 0, left_over_since(self._settings)
        for directory in _directories(self._settings.checkpoints):
            quiet = directory.stat().st_mtime < moment
            old = _older_than(moment, directory)
            while batch := [f"{directory.name}/{file.name}" for file in islice(old, BATCH_SIZE)]:
                with reading(self._engine) as connection:
                    unreferenced = files.unreferenced(connection, batch)
                self._files.drop(unreferenced)
                removed += len(unreferenced)
            if quiet:
                with contextlib.suppress(OSError):  # usually the directory is not empty
                    directory.rmdir()
        return removed

    def sweep_storage(self) -> int:
        """Remove old unreferenced files from the bucket, if checkpoints are stored in one; return their count.

        Raises:
            StorageUnavailable: The bucket cannot be reached.
        """
        removed, old = 0, self._files.stored(left_over_since(self._settings))
        while batch := list(islice(old, BATCH_SIZE)):
            with reading(self._engine) as connection:
                unreferenced = files.unreferenced(connection, batch)
            self._files.drop(unreferenced)
            removed += len(unreferenced)
        return removed

    def retire(self) -> int:
        """Delete checkpoints past their retention, but no best or last weights; return their count."""
        days, count = self._settings.keep_checkpoints_days, 0
        while days is not None:
            with writing(self._engine) as connection:
                dropped = files.expire_checkpoints(connection, days * DAY_SECONDS, BATCH_SIZE)
                unreferenced = files.unreferenced(connection, dropped)
            self._files.drop(unreferenced)
            count += len(dropped)
            if not dropped:
                break
        return count

    def forget_events(self) -> int:
        """Delete the events of finished runs past their retention; return their count."""
        days, count = self._settings.keep_events_days, 0
        while days is not None:
            with reading(self._engine) as connection:
                batch = events.outdated(connection, days * DAY_SECONDS, BATCH_SIZE)
            if not batch:
                break
            with writing(self._engine, durable=False) as connection:
                events.delete(connection, batch)
            count += len(batch)
        return count


def left_over_since(settings: Settings) -> float:
    """Return the time before which an unreferenced file can no longer become referenced."""
    return time.time() - max(GRACE_SECONDS, 4 * settings.lease_seconds)


def _directories(home: Path) -> list[Path]:
    try:
        return sorted(path for path in home.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []


def _older_than(moment: float, directory: Path) -> Iterator[Path]:
    for file in sorted(directory.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # workers remove the files that they replace
            if file.stat().st_mtime < moment:
                yield file
