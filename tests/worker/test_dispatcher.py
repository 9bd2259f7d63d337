"""The dispatcher on a real queue, and on a cluster that does what the test says."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import sqlalchemy as sa

from service.runs.service import Runs
from service.settings import Settings
from service.store.tables import worker as worker_table
from service.workers.jobs import Jobs
from service.workers.queue import Queue
from tests.conftest import WORKER, submit
from worker import dispatcher as module
from worker.dispatcher import Dispatcher
from worker.ports import Claim

LIKENESS = replace(WORKER, worker_id="", host="cluster", pid=0)


class Cluster:
    """Workers that do nothing by themselves."""

    def __init__(self) -> None:
        self.existing: set[str] = set()
        self.places = 0
        self.stopped: set[str] = set()
        self.killed: set[str] = set()

    def workers(self) -> set[str]:
        return set(self.existing)

    def room(self) -> int:
        return self.places

    def start(self, worker_id: str) -> None:
        self.existing.add(worker_id)

    def stop(self, worker_id: str) -> None:
        self.stopped.add(worker_id)

    def kill(self, worker_id: str) -> None:
        self.existing.discard(worker_id)
        self.killed.add(worker_id)

    def reason(self, worker_id: str) -> str:
        return f"why {worker_id} died"


class Scene:
    """A queue, a cluster, and dispatchers that come and go."""

    def __init__(self, engine: sa.Engine, settings: Settings, runs: Runs) -> None:
        self.engine, self.runs, self.cluster = engine, runs, Cluster()
        self.jobs, self.queue = Jobs(engine, settings), Queue(engine, settings)

    def dispatcher(self, lease: float = 30.0) -> Dispatcher:
        return Dispatcher(self.cluster, self.jobs, self.queue, LIKENESS, lease)

    def begin(self, worker_id: str) -> None:
        self.jobs.register(replace(WORKER, worker_id=worker_id))

    def claim(self, worker_id: str) -> Claim:
        (claim,) = self.jobs.claim(replace(WORKER, worker_id=worker_id), limit=1)
        return claim

    def silence(self, worker_id: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.update(worker_table).where(worker_table.c.id == worker_id).values(seen_at=0))

    @property
    def known(self) -> set[str]:
        return {worker.worker_id for worker in self.queue.workers()}


@pytest.fixture
def scene(engine: sa.Engine, settings: Settings, runs: Runs) -> Scene:
    return Scene(engine, settings, runs)


def begun(scene: Scene) -> str:
    """The one worker of a dispatcher that was killed; one run was queued, and it has begun."""
    submit(scene.runs)
    scene.cluster.places = 1
    scene.dispatcher().poll()
    scene.cluster.places = 0
    (worker_id,) = scene.cluster.existing
    scene.begin(worker_id)
    return worker_id


@pytest.mark.slow
def test_workers_are_started_for_the_queue_as_far_as_the_cluster_has_room(scene: Scene) -> None:
    dispatcher = scene.dispatcher()
    scene.cluster.places = 2
    dispatcher.poll()
    assert scene.cluster.existing == set()
    for seed in range(3):
        submit(scene.runs, seed=seed)
    dispatcher.poll()
    assert len(scene.cluster.existing) == 2
    assert scene.known == scene.cluster.existing, "each is registered before it starts, so that others leave its share"
    dispatcher.poll()
    assert len(scene.cluster.existing) == 2, "the room may still be that of before"
    scene.cluster.places = 5
    dispatcher.poll()
    assert len(scene.cluster.existing) == 3, "the others have someone who comes for them"


def test_runs_for_other_devices_start_no_worker(scene: Scene) -> None:
    scene.cluster.places = 1
    submit(scene.runs)
    with scene.engine.begin() as connection:
        connection.execute(sa.text("UPDATE run SET device = 'cuda'"))
    scene.dispatcher().poll()
    assert scene.cluster.existing == set()


def test_dispatcher_counts_workers_of_another_dispatcher(scene: Scene) -> None:
    worker_id = begun(scene)
    scene.cluster.places = 1
    scene.dispatcher().poll()
    assert scene.cluster.existing == {worker_id}, "it is about to claim the run"
    scene.claim(worker_id)
    submit(scene.runs, seed=1)
    scene.dispatcher().poll()
    assert len(scene.cluster.existing) == 2, "the first has its hands full"


def test_silent_worker_without_a_run_is_killed_and_forgotten(scene: Scene) -> None:
    worker_id, dispatcher = begun(scene), scene.dispatcher(lease=0.0)
    held = scene.claim(worker_id)
    scene.silence(worker_id)
    for _ in range(2):
        dispatcher.poll()
    assert scene.cluster.killed == set(), "it may be heard again before its lease is over"
    scene.jobs.release([held], failed=True)
    for _ in range(2):
        dispatcher.poll()
    assert scene.cluster.killed == {worker_id}
    assert scene.known == set()


def test_worker_still_running_after_an_orderly_end_is_killed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    worker_id, dispatcher = begun(scene), scene.dispatcher()
    scene.jobs.close(replace(WORKER, worker_id=worker_id))
    for _ in range(2):
        dispatcher.poll()
    assert scene.cluster.killed == set(), "it has some time for that"
    monkeypatch.setattr(module, "END_SECONDS", 0.0)
    dispatcher.poll()
    assert scene.cluster.killed == {worker_id}


def test_live_worker_missing_from_the_cluster_list_is_not_forgotten(scene: Scene) -> None:
    worker_id, dispatcher = begun(scene), scene.dispatcher()
    dispatcher.poll()
    scene.cluster.existing.clear()
    dispatcher.poll()
    assert scene.known == {worker_id}
    scene.silence(worker_id)
    dispatcher.poll()
    assert scene.known == set()


def test_worker_that_never_starts_is_killed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(scene.runs)
    dispatcher, scene.cluster.places = scene.dispatcher(), 1
    dispatcher.poll()
    started = scene.cluster.workers()
    dispatcher.poll()
    assert scene.cluster.killed == set()
    monkeypatch.setattr(module, "START_SECONDS", 0.0)
    dispatcher.poll()
    assert scene.cluster.killed == started


def test_worker_that_died_before_its_start_delays_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    submit(scene.runs)
    dispatcher, scene.cluster.places = scene.dispatcher(), 1
    dispatcher.poll()
    (dead,) = scene.cluster.existing
    scene.cluster.existing.clear()
    with caplog.at_level(logging.ERROR, "fitwell.dispatcher"):
        dispatcher.poll()
    assert f"starting no other for 1 s: why {dead} died" in caplog.text
    assert scene.known == set()
    dispatcher.poll()
    assert scene.cluster.existing == set()
    monkeypatch.setattr(dispatcher, "_paused_until", 0.0)
    dispatcher.poll()
    assert len(scene.cluster.existing) == 1


def test_stopping_ends_all_workers_and_kills_unresponsive_ones(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    worker_id, dispatcher = begun(scene), scene.dispatcher()
    monkeypatch.setattr(module, "STOP_SECONDS", 0.0)
    dispatcher.stop()
    dispatcher.run()
    assert (scene.cluster.stopped, scene.cluster.killed) == ({worker_id}, {worker_id})
