"""Attempts to send deliveries: leases, retries, failing endpoints and the log, on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service.settings import Settings
from service.store.database import writing
from service.store.tables import (
    webhook_attempt,
    webhook_delivery,
    webhook_endpoint,
)
from service.webhooks import outbox as outboxes
from service.webhooks.http_post import Reply
from service.webhooks.outbox import JITTER, SCHEDULE, Outbox
from service.webhooks.service import Endpoints
from tests.service.webhooks.conftest import Make
from tests.service.webhooks.deliveries import ACCEPTED, FAILED, REMOVED, ROOM, End, due, fill, log, only


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
    outbox.record(second, ACCEPTED)
    (delivery,) = log(endpoints, endpoint_id)
    assert (delivery.status, len(delivery.attempts), delivery.next_attempt_at) == ("succeeded", 1, None)


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
        (delivery,) = log(endpoints, endpoint_id)
        if wait is not None:
            assert delivery.next_attempt_at is not None
            assert delivery.next_attempt_at - (delivery.attempts[-1].at + 0.1) == pytest.approx(wait, abs=1)
            due(engine)
    (delivery,) = log(endpoints, endpoint_id)
    assert (delivery.status, delivery.next_attempt_at, len(set(ids))) == ("failed", None, 1)
    assert [(one.number, one.status_code, one.response) for one in delivery.attempts] == [
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
    outbox.record(first, REMOVED)
    outbox.release(second)
    endpoint = endpoints.get(endpoint_id)
    assert (endpoint.enabled, "410" in (endpoint.disabled_reason or "")) == (False, True)
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
    attempt(ACCEPTED, 0.5)
    assert endpoints.get(endpoint_id).failing_since is None
    attempt(FAILED, 5.1)
    assert endpoints.get(endpoint_id).enabled
    attempt(FAILED, 1.0, tried=0.1)
    assert endpoints.get(endpoint_id).enabled  # nothing was tried for long
    attempt(FAILED, 1.0)
    endpoint = endpoints.get(endpoint_id)
    assert (endpoint.enabled, "5 days" in (endpoint.disabled_reason or "")) == (False, True)


def test_failing_or_slow_target_uses_only_its_share(engine: sa.Engine, outbox: Outbox, make: Make, end: End) -> None:
    dead, healthy = make(), make()
    end(20)
    fill(outbox)
    first = outbox.claim(**ROOM)
    counted = [sum(one.endpoint_id == which for one in first) for which in (dead, healthy)]
    assert counted == [outboxes.PER_ENDPOINT] * 2
    for one in first:
        outbox.record(one, FAILED if one.endpoint_id == dead else ACCEPTED)
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
            outbox.record(one, ACCEPTED)
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
    (delivery,) = log(endpoints, endpoint_id)
    for _ in range(5):
        outbox.record(only(outbox.claim(**ROOM)), FAILED)
        _, changed = endpoints.retry(endpoint_id, delivery.id)
        assert changed
    (delivery,) = log(endpoints, endpoint_id)
    assert [one.number for one in delivery.attempts] == [4, 5]


def test_endpoint_can_be_deleted_during_an_attempt(
    engine: sa.Engine, outbox: Outbox, endpoints: Endpoints, make: Make, end: End, settings: Settings
) -> None:
    endpoint_id = make()
    end(2)
    fill(outbox)
    first, second = outbox.claim(**ROOM)
    outbox.record(first, FAILED)
    endpoints.delete(endpoint_id)
    outbox.record(second, ACCEPTED)
    outbox.release(first)
    assert outbox.claim(**ROOM) == ()
    with engine.connect() as connection:
        assert connection.execute(sa.select(webhook_delivery)).all() == []
