"""The times of claims, lists and histories with growing numbers of stored runs."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator

import sqlalchemy as sa

from benchmarks.rates import WORKER, HTTPPeer, Service, timed
from service.settings import Settings
from service.store.database import open_engine, writing
from service.store.tables import epoch, event, event_clock, run
from service.workers.jobs import Jobs

REQUESTS = 200
AT_ONCE = 20_000
"""Runs copied in one transaction: others want to write too."""
QUEUED = 2_000
"""Of the stored runs so many wait in the queue; the others have ended, one in a thousand of them badly."""
EPOCHS = 3
"""Of a copy; more would fill the disk, and tell the same."""


def table(settings: Settings, ours: Service, http: HTTPPeer, most: int) -> Iterator[str]:
    """Lines of the table; runs are copies of one that was recorded, which keeps its 60 epochs."""
    engine = open_engine(settings)
    jobs, model = Jobs(engine, settings), ours.runs[0]
    calls: dict[str, Callable[[], object]] = {
        "claim": lambda: jobs.claim(WORKER, limit=1),
        "list 20": lambda: http.ask("GET", "/v1/runs?limit=20"),
        "that are queued": lambda: http.ask("GET", "/v1/runs?limit=20&status=queued"),
        "that failed": lambda: http.ask("GET", "/v1/runs?limit=20&status=failed"),
        "history of 60 epochs": lambda: http.ask("GET", f"/v1/runs/{model}/history"),
    }
    yield f"| runs stored | {' | '.join(f'{name}: median, ms | 99 %, ms' for name in calls)} |"
    yield f"|---|{'---|---|' * len(calls)}"
    jobs.register(WORKER)
    for _ in range(QUEUED):
        ours.create()
    many, stored = 1000, 0
    while many <= most:
        for first in range(stored, many, AT_ONCE):
            _copy(engine, model, first, min(many, first + AT_ONCE))
        _settle(engine)
        stored, figures = many, list[float]()
        for call in calls.values():
            seconds = timed(call, REQUESTS)
            figures += [statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]]
        yield f"| {many:,} | {' | '.join(f'{figure * 1e3:.1f}' for figure in figures)} |"
        many *= 10
    engine.dispose()


def _settle(engine: sa.Engine) -> None:
    """See that the copies are on the disk; else the first to flush anything would wait for them."""
    connection = engine.raw_connection()
    connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    os.sync()


def _copy(engine: sa.Engine, model: str, first: int, behind: int) -> None:
    """Store the runs of these numbers, older than the model and the queue."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {behind})"
    name = "'run_x' || printf('%021d', i)"
    failed = "CASE WHEN i % 1000 = 0 THEN 'failed' ELSE status END"
    changed = {
        run: {"id": name, "created_at": "created_at - 1e7 + i", "status": failed},
        epoch: {"run_id": name},
    }
    with writing(engine) as connection:
        for table, values in changed.items():
            columns = [column.name for column in table.c]
            chosen = ", ".join(values.get(column, f'"{column}"') for column in columns)
            into = ", ".join(f'"{column}"' for column in columns)
            of_model = "id = :model" if table is run else f"run_id = :model AND epoch <= {EPOCHS}"
            statement = (
                f"INSERT INTO {table.name} ({into}) {numbers} SELECT {chosen} FROM n, {table.name} WHERE {of_model}"
            )
            connection.execute(sa.text(statement), {"model": model})
        last: int = connection.execute(sa.select(event_clock.c.last)).scalar_one()
        created = f"SELECT {last} + 1 + i - {first}, {name}, 'run.created', '{{}}', 1.0 FROM n"
        connection.execute(sa.text(f"INSERT INTO {event.name} (id, run_id, type, data, at) {numbers} {created}"))
        connection.execute(sa.update(event_clock).values(last=last + behind - first))
