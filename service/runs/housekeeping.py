"""What can go: files that nothing names, and what is kept no longer than the settings say."""

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
AT_ONCE = 500
"""Runs or files in one transaction: others shall not wait for it."""
GRACE_SECONDS = 3600.0
"""How old a file is before it counts as left over: longer than any worker takes from writing one to recording it."""
DAY = 86_400.0


class Housekeeping:
    """Keeps one database, and the files it names, from growing by what nobody needs."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._files = settings.checkpoint_files

    def look(self) -> None:
        """Remove all that can go now."""
        swept, retired, forgotten = self.sweep(), self.retire(), self.forget_events()
        with writing(self._engine, durable=False) as connection:
            keys.forget(connection, self._settings.idempotency_seconds)
        if swept or retired or forgotten:
            LOG.info("removed %d left-over file(s), %d checkpoint(s) and %d event(s)", swept, retired, forgotten)
        for depot in (self._files, self._settings.upload_files):
            depot.tidy(time.time() - COPIES_SECONDS)
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
        while some := list(islice(unsent, AT_ONCE)):
            with reading(self._engine) as connection:
                unnamed = set(files.unreferenced(connection, some))
            for name in some:
                if name not in unnamed:
                    self._files.push(name, self._files.home / name)
                    sent += 1
        return sent

    def sweep(self) -> int:
        """Remove old files that nothing names, as killed workers leave behind; how many."""
        removed, moment = 0, left_over_since(self._settings)
        for directory in _directories(self._settings.checkpoints):
            quiet = directory.stat().st_mtime < moment
            old = _older_than(moment, directory)
            while some := [f"{directory.name}/{file.name}" for file in islice(old, AT_ONCE)]:
                with reading(self._engine) as connection:
                    unnamed = files.unreferenced(connection, some)
                self._files.drop(unnamed)
                removed += len(unnamed)
            if quiet:
                with contextlib.suppress(OSError):  # it is not empty, most often
                    directory.rmdir()
        return removed

    def sweep_storage(self) -> int:
        """Likewise where checkpoints lie in a bucket, by when they were written; how many.

        Raises:
            StorageUnavailable: the bucket is out of reach.
        """
        removed, old = 0, self._files.stored(left_over_since(self._settings))
        while some := list(islice(old, AT_ONCE)):
            with reading(self._engine) as connection:
                unnamed = files.unreferenced(connection, some)
            self._files.drop(unnamed)
            removed += len(unnamed)
        return removed

    def retire(self) -> int:
        """Forget the checkpoints of runs that ended too long ago; how many. Weights of best and last epochs stay."""
        days, forgotten = self._settings.keep_checkpoints_days, 0
        while days is not None:
            with writing(self._engine) as connection:
                dropped = files.expire_checkpoints(connection, days * DAY, AT_ONCE)
                unnamed = files.unreferenced(connection, dropped)
            self._files.drop(unnamed)
            forgotten += len(dropped)
            if not dropped:
                break
        return forgotten

    def forget_events(self) -> int:
        """Forget the events of runs that ended, where they are too old; how many."""
        days, forgotten = self._settings.keep_events_days, 0
        while days is not None:
            with reading(self._engine) as connection:
                some = events.outdated(connection, days * DAY, AT_ONCE)
            if not some:
                break
            with writing(self._engine, durable=False) as connection:
                events.delete(connection, some)
            forgotten += len(some)
        return forgotten


def left_over_since(settings: Settings) -> float:
    """What was written before this moment and is named by nothing will never be named."""
    return time.time() - max(GRACE_SECONDS, 4 * settings.lease_seconds)


def _directories(home: Path) -> list[Path]:
    try:
        return sorted(path for path in home.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []


def _older_than(moment: float, directory: Path) -> Iterator[Path]:
    for file in sorted(directory.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # a worker removes what it has replaced
            if file.stat().st_mtime < moment:
                yield file
