"""Housekeeping deletes unreferenced files and data past its retention, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from service.errors import StorageFull
from service.runs.housekeeping import GRACE_SECONDS, Housekeeping
from service.runs.queries import files
from service.runs.reader import RunReader
from service.runs.service import Runs
from service.settings import Settings
from service.store.tables import event, idempotency_key, run
from service.workers.jobs import Jobs
from tests.conftest import WORKER, measured, submit
from worker.ports import Checkpoint, Outcome, WeightsFile

DAYS = 86_400.0


def write(settings: Settings, path: str, *, age: float = 2 * GRACE_SECONDS) -> Path:
    """Write a file of this age, in seconds, among the checkpoints."""
    file = settings.checkpoints / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    then = file.stat().st_mtime - age
    os.utime(file, (then, then))
    os.utime(file.parent, (then, then))
    return file


def train(runs: Runs, jobs: Jobs, settings: Settings, *, seed: int, ended: bool = True) -> str:
    """Return the id of a run with two checkpoints and a weights file on disk."""
    run_id = submit(runs, seed=seed, epochs=2)
    (claim,) = jobs.claim(WORKER, limit=1)
    assert claim.run_id == run_id
    for number in (1, 2):
        path = f"{run_id}/attempt0001-epoch{number:06d}.safetensors"
        write(settings, path)
        jobs.record([claim], [measured(run_id, number)])
        saved = Checkpoint(epoch=number, path=path, sha256="00", bytes=1, digest="d")
        jobs.checkpointed([claim], {run_id: saved}, {})
    weights = WeightsFile(
        at="last", epoch=2, path=f"{run_id}/attempt0001-weights000002.safetensors", sha256="0", bytes=1
    )
    write(settings, weights.path)
    jobs.checkpointed([claim], {}, {run_id: [weights]})
    if ended:
        jobs.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    return run_id


def stored_files(settings: Settings) -> set[str]:
    return {str(path.relative_to(settings.checkpoints)) for path in settings.checkpoints.rglob("*") if path.is_file()}


def test_only_old_unreferenced_files_are_deleted(engine: sa.Engine, settings: Settings, runs: Runs, jobs: Jobs) -> None:
    run_id = train(runs, jobs, settings, seed=1)
    named = stored_files(settings)
    fresh = write(settings, f"{run_id}/attempt0002-epoch000001.safetensors", age=GRACE_SECONDS / 2)
    write(settings, f"{run_id}/.attempt0001-epoch000002.safetensors.0123")
    write(settings, "run_deleted/attempt0001-epoch000001.safetensors")
    (settings.checkpoints / "empty").mkdir()
    os.utime(settings.checkpoints / "empty", (1.0, 1.0))
    (settings.checkpoints / "just created").mkdir()
    assert Housekeeping(engine, settings).sweep() == 2
    assert stored_files(settings) == {*named, str(fresh.relative_to(settings.checkpoints))}
    assert {path.name for path in settings.checkpoints.iterdir()} >= {run_id, "just created"}
    assert not (settings.checkpoints / "empty").exists()


def test_empty_database_needs_no_housekeeping(engine: sa.Engine, settings: Settings) -> None:
    housekeeping = Housekeeping(engine, settings)
    housekeeping.look()
    assert (housekeeping.sweep(), housekeeping.retire(), housekeeping.forget_events()) == (0, 0, 0)


class Remaining(NamedTuple):
    checkpoints: int
    events: int


def remaining(engine: sa.Engine, run_id: str) -> Remaining:
    with engine.connect() as connection:
        count = sa.select(sa.func.count()).select_from(event).where(event.c.run_id == run_id)
        return Remaining(len(files.checkpoints(connection, run_id)), connection.execute(count).scalar_one())


def age(engine: sa.Engine, run_id: str, days: float) -> None:
    """Move the end of the run and its events back by ``days``."""
    with engine.begin() as connection:
        earlier = {"finished_at": run.c.finished_at - days * DAYS}
        connection.execute(sa.update(run).where(run.c.id == run_id).values(**earlier))
        connection.execute(sa.update(event).where(event.c.run_id == run_id).values(at=event.c.at - days * DAYS))


def test_checkpoints_and_events_past_their_retention_are_deleted(
    engine: sa.Engine, settings: Settings, runs: Runs, reader: RunReader, jobs: Jobs
) -> None:
    old, young = (train(runs, jobs, settings, seed=seed) for seed in (1, 2))
    unfinished = train(runs, jobs, settings, seed=3, ended=False)
    before = stored_files(settings)
    for run_id in (old, unfinished):
        age(engine, run_id, days=8)
    unlimited = Housekeeping(engine, settings)
    assert (unlimited.retire(), unlimited.forget_events()) == (0, 0)
    changed = settings.model_copy(update={"keep_checkpoints_days": 7.0, "keep_events_days": 7.0})
    housekeeping = Housekeeping(engine, changed)
    events = remaining(engine, old).events
    assert (housekeeping.retire(), housekeeping.forget_events()) == (2, events)
    assert remaining(engine, old) == (0, 0)
    assert remaining(engine, young) == (2, events)
    assert remaining(engine, unfinished).checkpoints == 2
    assert remaining(engine, unfinished).events > 0
    assert before - stored_files(settings) == {f"{old}/attempt0001-epoch{number:06d}.safetensors" for number in (1, 2)}
    assert reader.history(old).epoch == [1, 2], "measurements are never deleted"


def test_file_that_another_run_references_is_kept(
    engine: sa.Engine, settings: Settings, runs: Runs, jobs: Jobs
) -> None:
    run_id = train(runs, jobs, settings, seed=1)
    longer = runs.extend(run_id, 9, render=lambda run: run.id).resource_id
    age(engine, run_id, days=2)
    before = stored_files(settings)
    assert Housekeeping(engine, settings.model_copy(update={"keep_checkpoints_days": 1.0})).retire() == 2
    assert stored_files(settings) == before
    assert remaining(engine, longer).checkpoints == 2


def test_expired_idempotency_keys_are_deleted(engine: sa.Engine, settings: Settings) -> None:
    with engine.begin() as connection:
        which = {"owner": "a", "path": "/v1/runs", "key": "k", "body_sha256": "0"}
        answer = {"made": "run_1", "status_code": 201, "response": "{}"}
        connection.execute(sa.insert(idempotency_key).values(**which, **answer, created_at=1.0))
    Housekeeping(engine, settings).look()
    with engine.connect() as connection:
        assert connection.execute(sa.select(idempotency_key)).all() == []


def test_new_runs_are_refused_when_the_disk_is_nearly_full(
    runs: Runs, jobs: Jobs, settings: Settings, engine: sa.Engine
) -> None:
    more_than_the_disk = shutil.disk_usage(settings.home).total + 1
    full = Runs(engine, settings.model_copy(update={"min_free_bytes": more_than_the_disk}))
    with pytest.raises(StorageFull, match="FITWELL_MIN_FREE_BYTES"):
        submit(full)
    run_id = train(runs, jobs, settings, seed=1)
    assert full.get(run_id).status == "succeeded", "existing runs can be read"
    again = submit(full, seed=1, epochs=2)
    assert full.get(again).reused_from == run_id, "reuse needs no disk space"
