"""Frequent statements of workers, background tasks and monitors never scan all stored runs or studies."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from service.monitoring.stats import Stats
from service.runs.pages import RunQuery
from service.runs.service import Runs
from service.settings import Settings
from service.store.database import open_engine
from service.store.tables import run
from service.studies import queries as studies
from service.workers.jobs import Jobs
from service.workers.queue import Queue
from tests.conftest import WORKER, measured, submit
from worker.ports import Outcome

SMALL = ("ix_run_queue", "ix_run_alike", "ix_run_lease", "ix_run_unfinished", "ix_study_next_look", "ix_study_tuning")
"""Indexes that hold only runs that are queued, held, unfinished, and studies that have not ended."""


@pytest.fixture
def settings(on_sqlite: Settings) -> Settings:
    """PostgreSQL plans by statistics, which an empty database has none of."""
    return on_sqlite


def test_frequent_statements_use_indexes(settings: Settings, runs: Runs) -> None:
    mine = open_engine(settings)
    statements: dict[str, Any] = {}
    sa.event.listen(mine, "before_cursor_execute", lambda _, __, sql, values, *___: statements.setdefault(sql, values))
    jobs, stats = Jobs(mine, settings), Stats(mine, settings)
    submit(runs)
    submit(runs, seed=2)
    jobs.register(WORKER)
    claims = jobs.claim(WORKER, limit=4)
    assert len(claims) == 2
    jobs.heartbeat(WORKER, claims)
    jobs.orders(claims)
    jobs.record(claims, [measured(claims[0].run_id, 1)])
    jobs.finish(claims, [Outcome(run_id=claims[0].run_id, status="succeeded")])
    stats.count()
    Queue(mine, settings).queued(WORKER.devices)
    Runs(mine, settings).page(RunQuery(status=["failed"]))
    with mine.begin() as connection:
        assert [*studies.ready(connection), *studies.tuned_ready(connection)] == []
        connection.execute(sa.update(run).where(run.c.token.is_not(None)).values(lease_expires_at=1.0))
    assert jobs.expire() == 1
    with mine.connect() as connection:
        plans = {
            text: [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            for text, values in list(statements.items())
            if re.match(r"\s*(SELECT|UPDATE|DELETE)", text)
        }
    mine.dispose()
    assert len(plans) > 10
    whole = {
        text: step
        for text, plan in plans.items()
        for step in plan
        if re.match(r"SCAN (run|epoch|event|checkpoint|weights|study)\b", step) and not step.endswith(SMALL)
    }
    assert whole == {}
