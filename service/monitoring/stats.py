"""Statistics of the whole service, for ``/metrics``: all owners together."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from service.monitoring import queries
from service.runs.queries.runs import live_workers
from service.settings import Settings
from service.store import events
from service.store.database import reading

MAX_DISPATCHES = 10_000
"""Most starts and requeues read one by one; older ones are left out of the waiting times."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The current state of the queue, and the events since the previous count."""

    unfinished: Mapping[str, int]
    """Runs by status."""
    oldest_queued_seconds: float
    workers: int
    events: Mapping[str, int]
    """Events by type."""
    waits: Sequence[float]
    """Seconds from submission to the start of training, for each started run."""
    stacks: Sequence[int]
    """Stack size of each started run."""
    returns: Mapping[str, int]
    """Requeued runs by reason."""


class Stats:
    """A counter over the event log; the first count starts at the newest event."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._lock = threading.Lock()
        with reading(engine) as connection:
            self._last = events.last_id(connection)

    def count(self) -> Counts:
        """Count in one transaction; every event is counted exactly once."""
        with self._lock, reading(self._engine) as connection:
            last = events.last_id(connection)
            rows = queries.dispatches(connection, self._last, last, MAX_DISPATCHES)
            started = [row for row in rows if row.type == "run.started" and row.started_at is not None]
            reasons = [row.data.get("reason", "asked") for row in rows if row.type == "run.requeued"]
            counts = Counts(
                unfinished=queries.unfinished(connection),
                oldest_queued_seconds=queries.oldest_queued(connection),
                workers=len(live_workers(connection, self._settings.lease_seconds)),
                events=queries.events_by_type(connection, self._last, last),
                waits=[row.started_at - row.created_at for row in started],
                stacks=[row.data["stack_size"] for row in started],
                returns={reason: reasons.count(reason) for reason in set(reasons)},
            )
            self._last = last
        return counts
