"""What goes by itself: left-over files, and what is kept no longer than set; nothing that anybody names."""

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


def written(settings: Settings, path: str, *, age: float = 2 * GRACE_SECONDS) -> Path:
    """A file among the checkpoints, so old as told."""
    file = settings.checkpoints / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    then = file.stat().st_mtime - age
    os.utime(file, (then, then))
    os.utime(file.parent, (then, then))
    return file


def trained(runs: Runs, jobs: Jobs, settings: Settings, *, seed: int, ended: bool = True) -> str:
    """A run with two checkpoints and weights, all on disk."""
    run_id = submit(runs, seed=seed, epochs=2)
    (claim,) = jobs.claim(WORKER, limit=1)
    assert claim.run_id == run_id
    for number in (1, 2):
        path = f"{run_id}/attempt0001-epoch{number:06d}.safetensors"
        written(settings, path)
        jobs.record([claim], [measured(run_id, number)])
        saved = Checkpoint(epoch=number, path=path, sha256="00", bytes=1, digest="d")
        jobs.checkpointed([claim], {run_id: saved}, {})
    kept = WeightsFile(at="last", epoch=2, path=f"{run_id}/attempt0001-weights000002.safetensors", sha256="0", bytes=1)
    written(settings, kept.path)
    jobs.checkpointed([claim], {}, {run_id: [kept]})
    if ended:
        jobs.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    return run_id


def there(settings: Settings) -> set[str]:
    return {str(path.relative_to(settings.checkpoints)) for path in settings.checkpoints.rglob("*") if path.is_file()}


def test_old_files_that_nothing_names_go_and_no_others(
    engine: sa.Engine, settings: Settings, runs: Runs, jobs: Jobs
) -> None:
    run_id = trained(runs, jobs, settings, seed=1)
    named = there(settings)
    fresh = written(settings, f"{run_id}/attempt0002-epoch000001.safetensors", age=GRACE_SECONDS / 2)
    written(settings, f"{run_id}/.attempt0001-epoch000002.safetensors.0123")
    written(settings, "run_gone/attempt0001-epoch000001.safetensors")
    (settings.checkpoints / "empty").mkdir()
    os.utime(settings.checkpoints / "empty", (1.0, 1.0))
    (settings.checkpoints / "just made").mkdir()
    assert Housekeeping(engine, settings).sweep() == 2
    assert there(settings) == {*named, str(fresh.relative_to(settings.checkpoints))}
    assert {path.name for path in settings.checkpoints.iterdir()} >= {run_id, "just made"}
    assert not (settings.checkpoints / "empty").exists()


def test_where_there_is_nothing_yet_there_is_nothing_to_do(engine: sa.Engine, settings: Settings) -> None:
    housekeeping = Housekeeping(engine, settings)
    housekeeping.look()
    assert (housekeeping.sweep(), housekeeping.retire(), housekeeping.forget_events()) == (0, 0, 0)


class Kept(NamedTuple):
    checkpoints: int
    events: int


def kept(engine: sa.Engine, run_id: str) -> Kept:
    with engine.connect() as connection:
        count = sa.select(sa.func.count()).select_from(event).where(event.c.run_id == run_id)
        return Kept(len(files.checkpoints(connection, run_id)), connection.execute(count).scalar_one())


def age(engine: sa.Engine, run_id: str, days: float) -> None:
    """Let all of this have been so many days ago."""
    with engine.begin() as connection:
        earlier = {"finished_at": run.c.finished_at - days * DAYS}
        connection.execute(sa.update(run).where(run.c.id == run_id).values(**earlier))
        connection.execute(sa.update(event).where(event.c.run_id == run_id).values(at=event.c.at - days * DAYS))


def test_checkpoints_and_events_of_runs_that_ended_long_ago_go_when_that_is_set(
    engine: sa.Engine, settings: Settings, runs: Runs, reader: RunReader, jobs: Jobs
) -> None:
    old, young = (trained(runs, jobs, settings, seed=seed) for seed in (1, 2))
    going_on = trained(runs, jobs, settings, seed=3, ended=False)
    before = there(settings)
    for run_id in (old, going_on):
        age(engine, run_id, days=8)
    nothing_set = Housekeeping(engine, settings)
    assert (nothing_set.retire(), nothing_set.forget_events()) == (0, 0)
    changed = settings.model_copy(update={"keep_checkpoints_days": 7.0, "keep_events_days": 7.0})
    housekeeping = Housekeeping(engine, changed)
    events = kept(engine, old).events
    assert (housekeeping.retire(), housekeeping.forget_events()) == (2, events)
    assert kept(engine, old) == (0, 0)
    assert kept(engine, young) == (2, events)
    assert kept(engine, going_on).checkpoints == 2
    assert kept(engine, going_on).events > 0
    assert before - there(settings) == {f"{old}/attempt0001-epoch{number:06d}.safetensors" for number in (1, 2)}
    assert reader.history(old).epoch == [1, 2], "what was measured stays"


def test_a_file_that_another_run_points_at_stays(engine: sa.Engine, settings: Settings, runs: Runs, jobs: Jobs) -> None:
    run_id = trained(runs, jobs, settings, seed=1)
    longer = runs.extend(run_id, 9, render=lambda run: run.id).resource_id
    age(engine, run_id, days=2)
    before = there(settings)
    assert Housekeeping(engine, settings.model_copy(update={"keep_checkpoints_days": 1.0})).retire() == 2
    assert there(settings) == before
    assert kept(engine, longer).checkpoints == 2


def test_answers_to_idempotency_keys_are_forgotten(engine: sa.Engine, settings: Settings) -> None:
    with engine.begin() as connection:
        which = {"owner": "a", "path": "/v1/runs", "key": "k", "body_sha256": "0"}
        answer = {"made": "run_1", "status_code": 201, "response": "{}"}
        connection.execute(sa.insert(idempotency_key).values(**which, **answer, created_at=1.0))
    Housekeeping(engine, settings).look()
    with engine.connect() as connection:
        assert connection.execute(sa.select(idempotency_key)).all() == []


def test_nothing_new_is_taken_where_the_disk_is_nearly_full(
    runs: Runs, jobs: Jobs, settings: Settings, engine: sa.Engine
) -> None:
    more_than_there_is = shutil.disk_usage(settings.home).total + 1
    full = Runs(engine, settings.model_copy(update={"min_free_bytes": more_than_there_is}))
    with pytest.raises(StorageFull, match="FITWELL_MIN_FREE_BYTES"):
        submit(full)
    run_id = trained(runs, jobs, settings, seed=1)
    assert full.get(run_id).status == "succeeded", "what is there can be read"
    again = submit(full, seed=1, epochs=2)
    assert full.get(again).reused_from == run_id, "and taken over: that needs no room"
