"""What can go: files that nothing names, and what is kept no longer than the settings say."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from service.runs.actions import remove_files
from service.settings import Settings
from service.store import events, files, keys
from service.store.database import reading, writing

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

    def look(self) -> None:
        """Remove all that can go now."""
        swept, retired, forgotten = self.sweep(), self.retire(), self.forget_events()
        with writing(self._engine, durable=False) as connection:
            keys.forget(connection, self._settings.idempotency_seconds)
        if swept or retired or forgotten:
            LOG.info("removed %d left-over file(s), %d checkpoint(s) and %d event(s)", swept, retired, forgotten)

    def sweep(self) -> int:
        """Remove old files that nothing names, as killed workers leave behind; how many."""
        removed, moment = 0, time.time() - max(GRACE_SECONDS, 4 * self._settings.lease_seconds)
        for directory in _directories(self._settings.checkpoints):
            quiet = directory.stat().st_mtime < moment
            old = _older_than(moment, directory)
            while some := [f"{directory.name}/{file.name}" for file in islice(old, AT_ONCE)]:
                with reading(self._engine) as connection:
                    unnamed = files.unused(connection, some)
                remove_files(self._settings, unnamed)
                removed += len(unnamed)
            if quiet:
                with contextlib.suppress(OSError):  # it is not empty, most often
                    directory.rmdir()
        return removed

    def retire(self) -> int:
        """Forget the checkpoints of runs that ended too long ago; how many. Weights of best and last epochs stay."""
        days, forgotten = self._settings.keep_checkpoints_days, 0
        while days is not None:
            with writing(self._engine) as connection:
                dropped = files.forget_checkpoints(connection, days * DAY, AT_ONCE)
                unnamed = files.unused(connection, dropped)
            remove_files(self._settings, unnamed)
            forgotten += len(dropped)
            if not dropped:
                break
        return forgotten

    def forget_events(self) -> int:
        """Forget the events of runs that ended, where they are too old; how many."""
        days, forgotten = self._settings.keep_events_days, 0
        while days is not None:
            with writing(self._engine, durable=False) as connection:
                some = events.forget(connection, days * DAY, AT_ONCE)
            forgotten += some
            if not some:
                break
        return forgotten


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
