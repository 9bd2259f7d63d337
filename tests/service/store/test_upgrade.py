"""A database of the first release is migrated: it keeps every run, and unfinished ones resume.

``files/first_release.json.gz`` holds its tables, as that release wrote them: runs that it trained, one that took over a
result, one that was cancelled, one queued, one that a worker held when the power went.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

import migrations
from service.runs.pages import RunQuery
from service.runs.reader import RunReader
from service.runs.service import Runs
from service.settings import Settings
from service.store.database import migrate, open_engine
from service.workers.jobs import Jobs
from tests.conftest import WORKER, measured
from worker.spec.run import RunSpec

FIRST = "0001"
IN_ORDER = ("event_clock", "idempotency_key", "run", "worker", "checkpoint", "epoch", "event")
TABLES: dict[str, list[dict[str, Any]]] = json.loads(
    gzip.decompress((Path(__file__).parent / "files" / "first_release.json.gz").read_bytes())
)
DONE, OTHER, REUSED, HELD, CANCELLED, QUEUED = (row["id"] for row in TABLES["run"])


@pytest.fixture
def settings(unmigrated: Settings) -> Settings:
    return unmigrated


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    """The first release's database, migrated."""
    opened = open_engine(settings)
    with opened.begin() as connection:
        config = migrations.config()
        config.attributes["connection"] = connection
        command.upgrade(config, FIRST)
        metadata = sa.MetaData()
        for name in IN_ORDER:
            table = sa.Table(name, metadata, autoload_with=connection)
            connection.execute(sa.delete(table))
            for row in TABLES[name]:
                connection.execute(sa.insert(table).values(**{name: _as(table, name, row[name]) for name in row}))
    migrate(opened)
    yield opened
    opened.dispose()


def _as(table: sa.Table, column: str, value: Any) -> Any:
    """A value as its column takes it; SQLite keeps JSON as text."""
    if value is None:
        return sa.null()
    return json.loads(value) if isinstance(table.c[column].type, sa.JSON) else value


def test_every_run_of_the_first_release_is_unchanged(runs: Runs, reader: RunReader) -> None:
    upgraded = {run.id: run for run in runs.page(RunQuery(limit=100)).runs}
    for row in TABLES["run"]:
        run = upgraded[row["id"]]
        stored = (run.status, run.name, run.epoch, run.digest, run.reused_from, run.spec)
        assert stored == (
            *(row[n] for n in ("status", "name", "epoch", "digest", "reused_from")),
            json.loads(row["spec"]),
        )
        assert RunSpec.of(run.spec).epochs == run.epochs, "today's code understands the spec of then"
    recorded = [row for row in TABLES["epoch"] if row["run_id"] == DONE]
    for run_id in (DONE, REUSED):
        history = reader.history(run_id)
        assert history.epoch == [row["epoch"] for row in recorded]
        for name in json.loads(recorded[0]["metrics"]):
            assert history.series[name] == [json.loads(row["metrics"])[name] for row in recorded]
    types = [event.type for event in reader.events(DONE)]
    assert types == [row["type"] for row in TABLES["event"] if row["run_id"] == DONE]
    assert reader.last_event_id() == TABLES["event_clock"][0]["last"]


def test_unfinished_runs_resume(runs: Runs, jobs: Jobs, reader: RunReader) -> None:
    assert jobs.expire() == 1, "the worker of then is gone"
    (held,) = jobs.claim(WORKER, limit=1)
    (before,) = (row["attempt"] for row in TABLES["run"] if row["id"] == HELD)
    assert (held.run_id, held.attempt) == (HELD, before + 1)
    assert held.checkpoints[0].epoch > 0
    done = len(reader.history(HELD).epoch)
    assert len(held.history["val.loss"]) == done
    assert jobs.record([held], [measured(HELD, done + 1)]) == set()
    assert reader.history(HELD).epoch == list(range(1, done + 2))
    (queued,) = jobs.claim(WORKER, limit=1)
    assert queued.run_id == QUEUED
    assert runs.act(CANCELLED, "retry")[0].status == "queued"
    runs.delete(REUSED)
    runs.delete(DONE)
    assert {run.id for run in runs.page(RunQuery(limit=100)).runs} == {OTHER, HELD, CANCELLED, QUEUED}
