"""The state of the queue for dispatchers that start workers, as ``worker.ports.Queue`` declares it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from service.settings import Settings
from service.store.database import reading
from service.workers import queries as leases
from worker.ports import SourceUnavailable, WorkerStatus


class Queue:
    """A read-only view of a database's queue and workers."""

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
        """Return the number of queued runs that one of ``devices`` can train."""
        with self._reading() as connection:
            return leases.count_queued(connection, devices)

    def workers(self) -> Sequence[WorkerStatus]:
        """Return every registered worker, including those that died without unregistering."""
        with self._reading() as connection:
            rows = leases.registered_workers(connection, self._settings.lease_seconds)
        return [
            WorkerStatus(worker_id=row.id, begun=row.pid > 0, silent=bool(row.silent), busy=bool(row.busy))
            for row in rows
        ]
