"""What whoever starts workers must know: the service's side of ``worker.ports.Queue``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from service.settings import Settings
from service.store.database import reading
from service.workers import queries as leases
from worker.ports import SourceUnavailable, WorkerSeen


class Queue:
    """Looks at the queue of one database, and changes nothing."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with reading(self._engine) as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise SourceUnavailable(str(error.orig)) from error

    def queued(self, devices: Sequence[str]) -> int:
        """How many runs wait that one of ``devices`` can train."""
        with self._reading() as connection:
            return leases.count_queued(connection, devices)

    def workers(self) -> Sequence[WorkerSeen]:
        """Every worker that is known, those that died without a word included."""
        with self._reading() as connection:
            rows = leases.known_workers(connection, self._settings.lease_seconds)
        return [
            WorkerSeen(worker_id=row.id, begun=row.pid > 0, silent=bool(row.silent), busy=bool(row.busy))
            for row in rows
        ]
