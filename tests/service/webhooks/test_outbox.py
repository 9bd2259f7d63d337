"""From events to deliveries and senders: nothing is lost or delivered twice, on both databases."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import service.runs
from service.callers import Caller
from service.runs.service import Runs
from service.store.database import writing
from service.store.tables import (
    event_clock,
    run,
    webhook_cursor,
)
from service.webhooks import outbox as outboxes
from service.webhooks import queries as rows
from service.webhooks.endpoint import NewEndpoint
from service.webhooks.errors import EndpointNotFound
from service.webhooks.event_types import TYPES, covers
from service.webhooks.outbox import Outbox
from service.webhooks.service import Endpoints
from service.workers.jobs import Jobs
from tests.conftest import WORKER, submit
from tests.patience import scaled
from tests.service.webhooks.conftest import Make
from tests.service.webhooks.deliveries import ACCEPTED, ROOM, End, fill, log
from worker.ports import Outcome


def test_each_run_end_is_delivered_once_to_each_subscribed_endpoint(
    outbox: Outbox, endpoints: Endpoints, make: Make, end: End
) -> None:
    every, some = make(events=["*"]), make(events=["run.failed"])
    run_ids = end(3)
    fill(outbox)
    fill(outbox)
    payloads = [
        (one.type, one.payload["data"]["run_id"], one.payload["data"]["status"]) for one in log(endpoints, every)
    ]
    assert sorted(payloads) == sorted(
        (f"run.{what}", run_id, status)
        for run_id in run_ids
        for what, status in {
            "created": "queued",
            "claimed": "running",
            "started": "running",
            "succeeded": "succeeded",
        }.items()
    )
    assert log(endpoints, some) == []
    assert {one.status for one in log(endpoints, every)} == {"pending"}
    assert len({one.id for one in log(endpoints, every)}) == 12


def test_events_before_creation_or_while_disabled_are_not_delivered(
    outbox: Outbox, endpoints: Endpoints, make: Make, end: End
) -> None:
    end(1)
    first, off = make(), make(enabled=False)
    (after_creation,) = end(1, first_seed=1)
    endpoints.change(off, {"enabled": True})  # the cursor is behind this point; earlier events must not be delivered
    (both,) = end(1, first_seed=2)
    fill(outbox)
    assert [one.payload["data"]["run_id"] for one in reversed(log(endpoints, first))] == [after_creation, both]
    assert [one.payload["data"]["run_id"] for one in log(endpoints, off)] == [both]


def test_endpoints_filter_by_study_label_and_type(outbox: Outbox, endpoints: Endpoints, make: Make, runs: Runs) -> None:
    labelled = make(labels={"course": "dl"}, events=["run.cancelled"])
    elsewhere = make(labels={"course": "dl", "week": "1"}, events=["run.*"])
    run_id = submit(runs)
    runs.change(run_id, {"labels": {"course": "dl", "who": "me"}})
    runs.act(run_id, "cancel")
    runs.act(submit(runs, seed=1), "cancel")
    fill(outbox)
    assert [one.payload["data"]["run_id"] for one in log(endpoints, labelled)] == [run_id]
    assert log(endpoints, elsewhere) == []


def test_endpoint_receives_events_of_its_owners_runs_and_an_admins_of_all(
    outbox: Outbox, endpoints: Endpoints, make: Make, runs: Runs
) -> None:
    alice, bob = (Caller(owner=name, scopes=("write",)) for name in ("alice", "bob"))
    mine = endpoints.on_behalf_of(alice)
    values: dict[str, Any] = {"description": None, "study_id": None, "labels": {}, "enabled": True}
    new = NewEndpoint(url="https://hooks.example/", events=["run.cancelled"], **values)
    of_alice, of_admin = mine.create(new, render=lambda one: one.id).resource_id, make()
    run_ids = []
    for number, caller in enumerate((alice, bob)):
        run_ids.append(submit(runs.on_behalf_of(caller), seed=number))
        runs.act(run_ids[-1], "cancel")
    fill(outbox)
    payloads = {name: {one.payload["data"]["run_id"] for one in log(endpoints, name)} for name in (of_alice, of_admin)}
    assert payloads == {of_alice: {run_ids[0]}, of_admin: set(run_ids)}
    with pytest.raises(EndpointNotFound):
        endpoints.on_behalf_of(bob).get(of_alice)
    assert [one.id for one in mine.page(limit=10, after=None).endpoints] == [of_alice]


def test_every_event_type_of_runs_can_be_subscribed_to() -> None:
    """But epochs and rewinds: who wants those reads a stream."""
    literals = set[str]()
    for file in Path(service.runs.__file__).parent.glob("*.py"):
        literals |= set(re.findall(r'"(run\.[a-z_]+)"', file.read_text()))
    assert literals
    assert literals <= set(TYPES)
    ends_of_actions = {"run.queued", "run.pausing", "run.paused", "run.cancelling", "run.cancelled"}
    assert ends_of_actions <= set(TYPES)
    assert not covers(["*"], "epoch") or "epoch" not in TYPES


def test_cursor_moves_with_the_deliveries_or_not_at_all(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint_id = make()
    end(2)

    def crash(*_: Any) -> None:
        raise RuntimeError("dies between the deliveries and the cursor")

    with monkeypatch.context() as patched:
        patched.setattr(rows, "move_cursor", crash)
        with pytest.raises(RuntimeError):
            outbox.fill()
    assert log(endpoints, endpoint_id) == []
    fill(outbox)
    assert len(log(endpoints, endpoint_id)) == 2


def test_backlog_is_delivered_in_batches(
    outbox: Outbox, endpoints: Endpoints, make: Make, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "BATCH", 3)
    endpoint_id = make()
    run_ids = end(5)
    passes = 0
    while outbox.fill():
        passes += 1
    assert passes >= 5 * 4 // 3
    assert sorted(one.payload["data"]["run_id"] for one in log(endpoints, endpoint_id)) == sorted(run_ids)


def test_unsubscribed_events_are_not_scanned_repeatedly(
    engine: sa.Engine, outbox: Outbox, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(2)
    assert not outbox.fill()

    def behind() -> int:
        with engine.connect() as connection:
            last = connection.execute(sa.select(event_clock.c.last)).scalar_one()
            cursor: int = connection.execute(sa.select(webhook_cursor.c.event_id)).scalar_one()
            return int(last) - cursor

    assert behind() == 8
    monkeypatch.setattr(outboxes, "STRIDE", 7)
    outbox.fill()
    assert behind() == 0


@pytest.mark.slow
def test_concurrent_senders_deliver_everything_once(
    engine: sa.Engine, endpoints: Endpoints, make: Make, end: End, runs: Runs
) -> None:
    """Four outboxes, as in four processes, while runs end: each delivery is claimed by one of them."""
    endpoint_id = make()
    first, barrier, stop = end(20), threading.Barrier(5, timeout=scaled(30)), threading.Event()
    claimed_ids, failures, lock = list[str](), list[BaseException](), threading.Lock()

    def work() -> None:
        mine = Outbox(engine)
        barrier.wait()
        try:
            while True:
                over = stop.is_set()
                mine.fill()
                claimed = mine.claim(**ROOM)
                for one in claimed:
                    with lock:
                        claimed_ids.append(one.message.id)
                    mine.record(one, ACCEPTED)
                if over and not claimed and not mine.fill():
                    break
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait()
    later = [submit(runs, seed=100 + number, reuse=False) for number in range(30)]
    for run_id in later:
        runs.act(run_id, "cancel")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    deliveries = log(endpoints, endpoint_id)
    assert sorted(one.payload["data"]["run_id"] for one in deliveries) == sorted([*first, *later])
    assert sorted(claimed_ids) == sorted(one.id for one in deliveries)
    assert {(one.status, len(one.attempts)) for one in deliveries} == {("succeeded", 1)}


def test_study_end_is_delivered_once_after_its_last_run_ends(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, runs: Runs, jobs: Jobs
) -> None:
    run_ids = [submit(runs, seed=seed, reuse=False) for seed in range(4)]
    with writing(engine) as connection:
        connection.execute(sa.update(run).where(run.c.id.in_(run_ids[:3])).values(study_id="study_1"))
    endpoint_id = make(events=["study.*"])
    other = make(events=["study.finished"], labels={"a": "b"})

    def payloads() -> list[Any]:
        fill(outbox)
        return [one.payload["data"] for one in log(endpoints, endpoint_id)]

    finished = {"study_id": "study_1", "status": "finished"}
    assert payloads() == []
    runs.act(run_ids[3], "cancel")  # of no study
    runs.act(run_ids[0], "cancel")
    assert payloads() == []
    runs.act(run_ids[1], "cancel")
    runs.act(run_ids[2], "cancel")
    assert payloads() == [finished]
    assert payloads() == [finished]
    runs.act(run_ids[2], "retry")  # it is not finished any more
    assert payloads() == [finished]
    claims = jobs.claim(WORKER, limit=9)
    jobs.finish(claims, [Outcome(run_id=claim.run_id, status="succeeded") for claim in claims])
    assert payloads() == [finished] * 2
    assert log(endpoints, other) == []


def test_study_end_across_batches_is_delivered_once(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "BATCH", 1)
    run_ids = [submit(runs, seed=seed, reuse=False) for seed in range(3)]
    with writing(engine) as connection:
        connection.execute(sa.update(run).values(study_id="study_1"))
    endpoint_id = make(events=["study.finished"])
    for run_id in run_ids:
        runs.act(run_id, "cancel")
    fill(outbox)
    assert [one.type for one in log(endpoints, endpoint_id)] == ["study.finished"]
