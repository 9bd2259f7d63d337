"""From events to deliveries and to whoever sends them: nothing is lost, nothing is told twice, on both databases."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import service.runs
from service.callers import Caller
from service.runs.service import Runs
from service.settings import Settings
from service.store.database import writing
from service.store.tables import (
    event_clock,
    run,
    webhook_attempt,
    webhook_cursor,
    webhook_delivery,
    webhook_endpoint,
)
from service.webhooks import outbox as outboxes
from service.webhooks import queries as rows
from service.webhooks.endpoint import Delivery, NewEndpoint
from service.webhooks.errors import EndpointNotFound
from service.webhooks.event_types import TYPES, covers
from service.webhooks.http_post import Reply
from service.webhooks.outbox import JITTER, SCHEDULE, Due, Outbox
from service.webhooks.service import Endpoints
from service.workers.jobs import Jobs
from tests.conftest import WORKER, submit
from tests.patience import scaled
from tests.service.webhooks.conftest import Make
from worker.ports import Outcome

End = Callable[..., list[str]]
TAKEN = Reply(seconds=0.1, status_code=204)
FAILED = Reply(seconds=0.1, status_code=500, response="no")
GONE = Reply(seconds=0.1, status_code=410)
ROOM = {"room": 100, "failing_room": 100}


def log(endpoints: Endpoints, endpoint_id: str) -> Sequence[Delivery]:
    return endpoints.deliveries(endpoint_id, status=None, limit=1000, after=None).deliveries


def fill(outbox: Outbox) -> None:
    while outbox.fill():
        pass


def due(engine: sa.Engine, seconds: float = 10**6) -> None:
    """Let time pass for deliveries: what is to come is due."""
    with writing(engine) as connection:
        connection.execute(
            sa.update(webhook_delivery)
            .where(webhook_delivery.c.next_attempt_at.is_not(None))
            .values(next_attempt_at=webhook_delivery.c.next_attempt_at - seconds)
        )


def test_each_run_end_is_delivered_once_to_each_subscribed_endpoint(
    outbox: Outbox, endpoints: Endpoints, make: Make, end: End
) -> None:
    every, some = make(events=["*"]), make(events=["run.failed"])
    run_ids = end(3)
    fill(outbox)
    fill(outbox)
    told = [(one.type, one.payload["data"]["run_id"], one.payload["data"]["status"]) for one in log(endpoints, every)]
    assert sorted(told) == sorted(
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
    (seen,) = end(1, first_seed=1)
    endpoints.change(off, {"enabled": True})  # the cursor has not come so far: it must not look back
    (both,) = end(1, first_seed=2)
    fill(outbox)
    assert [one.payload["data"]["run_id"] for one in reversed(log(endpoints, first))] == [seen, both]
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
    told = {name: {one.payload["data"]["run_id"] for one in log(endpoints, name)} for name in (of_alice, of_admin)}
    assert told == {of_alice: {run_ids[0]}, of_admin: set(run_ids)}
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
    """Four processes' worth of outboxes, while runs go on ending: each delivery is taken by one of them."""
    endpoint_id = make()
    first, barrier, stop = end(20), threading.Barrier(5, timeout=scaled(30)), threading.Event()
    taken, failures, lock = list[str](), list[BaseException](), threading.Lock()

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
                        taken.append(one.message.id)
                    mine.record(one, TAKEN)
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
    there = log(endpoints, endpoint_id)
    assert sorted(one.payload["data"]["run_id"] for one in there) == sorted([*first, *later])
    assert sorted(taken) == sorted(one.id for one in there)
    assert {(one.status, len(one.attempts)) for one in there} == {("succeeded", 1)}


def test_leased_delivery_is_claimed_again_only_after_its_lease_expires(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint_id = make()
    end(1)
    fill(outbox)
    monkeypatch.setattr(outboxes, "LEASE_SECONDS", -1.0)  # over, whatever the clock's resolution
    (silent,) = outbox.claim(**ROOM)
    monkeypatch.undo()
    (second,) = Outbox(engine).claim(**ROOM)
    assert second.message == silent.message  # the id is the same
    assert outbox.claim(**ROOM) == ()  # for its lease still runs
    outbox.record(silent, FAILED)  # a zombie changes nothing
    outbox.release(silent)
    assert outbox.claim(**ROOM) == ()
    assert log(endpoints, endpoint_id)[0].attempts == []
    outbox.record(second, TAKEN)
    (there,) = log(endpoints, endpoint_id)
    assert (there.status, len(there.attempts), there.next_attempt_at) == ("succeeded", 1, None)


def test_released_delivery_is_due_at_once_and_counts_no_attempt(
    outbox: Outbox, endpoints: Endpoints, make: Make, end: End
) -> None:
    endpoint_id = make()
    end(1)
    fill(outbox)
    (first,) = outbox.claim(**ROOM)
    outbox.release(first)
    (second,) = outbox.claim(**ROOM)
    assert (second.message.id, log(endpoints, endpoint_id)[0].attempts) == (first.message.id, [])


def only(claimed: Sequence[Due]) -> Due:
    (one,) = claimed
    return one


def test_failed_delivery_is_retried_by_schedule_with_the_same_id_and_then_fails(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, end: End
) -> None:
    endpoint_id = make()
    end(1)
    fill(outbox)
    ids = list[str]()
    for wait in (10.0, 20.0, None):
        one = only(outbox.claim(**ROOM))
        ids.append(one.message.id)
        outbox.record(one, FAILED)
        assert outbox.claim(**ROOM) == ()  # not before its time
        (there,) = log(endpoints, endpoint_id)
        if wait is not None:
            assert there.next_attempt_at is not None
            assert there.next_attempt_at - (there.attempts[-1].at + 0.1) == pytest.approx(wait, abs=1)
            due(engine)
    (there,) = log(endpoints, endpoint_id)
    assert (there.status, there.next_attempt_at, len(set(ids))) == ("failed", None, 1)
    assert [(one.number, one.status_code, one.response) for one in there.attempts] == [
        (number, 500, "no") for number in (1, 2, 3)
    ]
    assert endpoints.get(endpoint_id).failing_since is not None
    assert endpoints.get(endpoint_id).enabled


def test_retry_waits_grow_to_a_day_and_are_jittered(
    engine: sa.Engine, endpoints: Endpoints, make: Make, end: End
) -> None:
    assert list(SCHEDULE) == sorted(SCHEDULE)
    assert (SCHEDULE[0], SCHEDULE[-1], sum(SCHEDULE) > 3 * 86_400) == (5.0, 86_400.0, True)
    endpoint_id, outbox = make(), Outbox(engine)
    end(6)
    fill(outbox)
    while claimed := outbox.claim(**ROOM):
        for one in claimed:
            outbox.record(one, FAILED)
    waits = [one.next_attempt_at - one.attempts[0].at - 0.1 for one in log(endpoints, endpoint_id)]  # type: ignore[operator]
    assert all(4.9 < wait < 5 * (1 + JITTER) + 0.1 for wait in waits)
    assert max(waits) - min(waits) > 0.02


def test_endpoint_that_responds_410_is_disabled_with_a_reason(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, end: End
) -> None:
    endpoint_id, other = make(), make()
    end(2)
    fill(outbox)
    first, second, *_ = [one for one in outbox.claim(**ROOM) if one.endpoint_id == endpoint_id]
    outbox.record(first, GONE)
    outbox.release(second)
    told = endpoints.get(endpoint_id)
    assert (told.enabled, "410" in (told.disabled_reason or "")) == (False, True)
    assert {one.status for one in log(endpoints, endpoint_id)} == {"failed", "pending"}
    end(1, first_seed=9)
    fill(outbox)
    assert (len(log(endpoints, endpoint_id)), len(log(endpoints, other))) == (2, 3)
    assert [one for one in outbox.claim(**ROOM) if one.endpoint_id == endpoint_id] == []
    again = endpoints.change(endpoint_id, {"enabled": True})
    assert (again.enabled, again.disabled_reason) == (True, None)
    (waited,) = [one for one in outbox.claim(**ROOM) if one.endpoint_id == endpoint_id]
    assert waited.message.id == second.message.id  # what waited was not lost


def test_endpoint_failing_for_days_is_disabled_unless_one_delivery_succeeds(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, end: End
) -> None:
    endpoint_id = make()

    def attempt(reply: Reply, days: float, *, tried: float = 1.0) -> None:
        """An attempt for something that happened ``tried`` days ago; then so many days pass."""
        end(1, first_seed=int(days * 10))
        fill(outbox)
        with writing(engine) as connection:
            then = webhook_delivery.c.created_at - tried * 86_400
            connection.execute(sa.update(webhook_delivery).values(created_at=then))
        outbox.record(only(outbox.claim(**ROOM)), reply)
        with writing(engine) as connection:
            past = webhook_endpoint.c.failing_since - days * 86_400
            connection.execute(sa.update(webhook_endpoint).values(failing_since=past))

    attempt(FAILED, 4.9)
    attempt(FAILED, 0.0)
    assert endpoints.get(endpoint_id).enabled
    attempt(TAKEN, 0.5)
    assert endpoints.get(endpoint_id).failing_since is None
    attempt(FAILED, 5.1)
    assert endpoints.get(endpoint_id).enabled
    attempt(FAILED, 1.0, tried=0.1)
    assert endpoints.get(endpoint_id).enabled  # nothing was tried for long
    attempt(FAILED, 1.0)
    told = endpoints.get(endpoint_id)
    assert (told.enabled, "5 days" in (told.disabled_reason or "")) == (False, True)


def test_failing_or_slow_target_uses_only_its_share(engine: sa.Engine, outbox: Outbox, make: Make, end: End) -> None:
    dead, healthy = make(), make()
    end(20)
    fill(outbox)
    first = outbox.claim(**ROOM)
    counted = [sum(one.endpoint_id == which for one in first) for which in (dead, healthy)]
    assert counted == [outboxes.PER_ENDPOINT] * 2
    for one in first:
        outbox.record(one, FAILED if one.endpoint_id == dead else TAKEN)
    second = outbox.claim(**ROOM)
    assert [sum(one.endpoint_id == which for one in second) for which in (dead, healthy)] == [1, 4]
    assert [one.failing for one in second if one.endpoint_id == dead] == [True]
    for one in second:
        outbox.release(one)
    assert {one.endpoint_id for one in outbox.claim(room=100, failing_room=0)} == {healthy}


def test_claim_without_room_returns_nothing(outbox: Outbox, make: Make, end: End) -> None:
    make()
    end(3)
    fill(outbox)
    assert len(outbox.claim(room=2, failing_room=2)) == 2
    assert outbox.claim(room=0, failing_room=0) == ()


def test_pruning_removes_old_and_excess_deliveries_but_no_pending_ones(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint_id, other = make(), make()
    end(4)
    fill(outbox)
    for one in outbox.claim(**ROOM):
        if one.endpoint_id == endpoint_id:
            outbox.record(one, TAKEN)
    monkeypatch.setattr(outboxes, "MAX_DELIVERIES", 1)
    assert outbox.prune() == 3
    assert [len(log(endpoints, which)) for which in (endpoint_id, other)] == [1, 4]
    monkeypatch.setattr(outboxes, "LOG_SECONDS", 0.0)
    assert outbox.prune() == 5
    with engine.connect() as connection:
        assert connection.execute(sa.select(webhook_attempt)).all() == []


def test_only_the_last_attempts_of_a_delivery_are_kept(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "MAX_ATTEMPTS", 2)
    endpoint_id = make()
    end(1)
    fill(outbox)
    (there,) = log(endpoints, endpoint_id)
    for _ in range(5):
        outbox.record(only(outbox.claim(**ROOM)), FAILED)
        _, changed = endpoints.retry(endpoint_id, there.id)
        assert changed
    (there,) = log(endpoints, endpoint_id)
    assert [one.number for one in there.attempts] == [4, 5]


def test_study_end_is_delivered_once_after_its_last_run_ends(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, runs: Runs, jobs: Jobs
) -> None:
    run_ids = [submit(runs, seed=seed, reuse=False) for seed in range(4)]
    with writing(engine) as connection:
        connection.execute(sa.update(run).where(run.c.id.in_(run_ids[:3])).values(study_id="study_1"))
    endpoint_id = make(events=["study.*"])
    other = make(events=["study.finished"], labels={"a": "b"})

    def told() -> list[Any]:
        fill(outbox)
        return [one.payload["data"] for one in log(endpoints, endpoint_id)]

    finished = {"study_id": "study_1", "status": "finished"}
    assert told() == []
    runs.act(run_ids[3], "cancel")  # of no study
    runs.act(run_ids[0], "cancel")
    assert told() == []
    runs.act(run_ids[1], "cancel")
    runs.act(run_ids[2], "cancel")
    assert told() == [finished]
    assert told() == [finished]
    runs.act(run_ids[2], "retry")  # it is not finished any more
    assert told() == [finished]
    claims = jobs.claim(WORKER, limit=9)
    jobs.finish(claims, [Outcome(run_id=claim.run_id, status="succeeded") for claim in claims])
    assert told() == [finished] * 2
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


def test_endpoint_can_be_deleted_during_an_attempt(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, end: End, settings: Settings
) -> None:
    endpoint_id = make()
    end(2)
    fill(outbox)
    first, second = outbox.claim(**ROOM)
    outbox.record(first, FAILED)
    endpoints.delete(endpoint_id)
    outbox.record(second, TAKEN)
    outbox.release(first)
    assert outbox.claim(**ROOM) == ()
    with engine.connect() as connection:
        assert connection.execute(sa.select(webhook_delivery)).all() == []
