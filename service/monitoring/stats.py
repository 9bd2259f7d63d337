"""How the service is doing, in numbers: of all owners together, and of no run in particular."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from service.monitoring import queries as census
from service.runs.queries.runs import live_workers
from service.settings import Settings
from service.store import events
from service.store.database import reading

MOST_STARTS = 10_000
"""Starts that are looked at one by one; of more, only the last ones tell how long runs waited."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """What is there now, and what has happened since the count before."""

    unfinished: Mapping[str, int]
    oldest_queued_seconds: float
    workers: int
    events: Mapping[str, int]
    """By type."""
    waits: Sequence[float]
    """Seconds from the submission to the start of training, of each run that was started."""
    stacks: Sequence[int]
    """How many runs each of those shares its stack with, itself included."""
    returns: Mapping[str, int]
    """Runs that came back to the queue, by reason."""


class Census:
    """Counts, each time from where it last was; the first one begins with what happens from now on."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._lock = threading.Lock()
        with reading(engine) as connection:
            self._last = events.last_id(connection)

    def count(self) -> Count:
        """The count, in one transaction; what it tells of events is told once."""
        with self._lock, reading(self._engine) as connection:
            last = events.last_id(connection)
            rows = census.handed_out(connection, self._last, last, MOST_STARTS)
            started = [row for row in rows if row.type == "run.started" and row.started_at is not None]
            reasons = [row.data.get("reason", "asked") for row in rows if row.type == "run.requeued"]
            counted = Count(
                unfinished=census.unfinished(connection),
                oldest_queued_seconds=census.oldest_queued(connection),
                workers=len(live_workers(connection, self._settings.lease_seconds)),
                events=census.happened(connection, self._last, last),
                waits=[row.started_at - row.created_at for row in started],
                stacks=[row.data["stack_size"] for row in started],
                returns={reason: reasons.count(reason) for reason in set(reasons)},
            )
            self._last = last
        return counted
