"""The outbox: turns events into deliveries, and leases deliveries to senders. Every method is one transaction.

A cursor in the event log moves in the transaction that inserts the deliveries, so that a crash neither loses nor
repeats an event. A delivery is leased while it is sent, and sent again if its sender stops responding.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ulid import ULID

from service.store import events
from service.store.database import reading, writing
from service.store.rows import Row
from service.store.tables import db_now
from service.studies import queries as studies
from service.studies.queries import LOOK, TUNED
from service.webhooks import delivery_queries as deliveries
from service.webhooks import payloads
from service.webhooks import queries as webhooks
from service.webhooks.event_types import RUN_ENDS, STUDY_END, TYPES, covers
from service.webhooks.http_post import Message, Reply

LOG = logging.getLogger("fitwell.webhooks")
STUDY_STEPS = (LOOK, TUNED)
"""Types of events, besides ends of runs, with which a study may end."""
SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds between attempts, as Standard Webhooks recommends; a little over three days in total."""
JITTER = 0.2
"""Random extension of each wait, so that deliveries that failed together are not retried together."""
LEASE_SECONDS = 30.0
"""Longer than any attempt."""
DISABLE_SECONDS = 5 * 86_400.0
"""An endpoint that accepted nothing for this long is disabled."""
TRIED_SECONDS = 43_200.0
"""But only after a delivery was retried for this long: with few events, one failure a month proves nothing."""
LOG_SECONDS = 30 * 86_400.0
MAX_DELIVERIES = 10_000
"""Deliveries in the log of an endpoint."""
MAX_ATTEMPTS = 50
"""Stored attempts of a delivery; more than the schedule has, because deliveries can be retried manually."""
PER_ENDPOINT = 4
"""Concurrent deliveries to one endpoint; to a failing one, only one."""
BATCH = 200
STRIDE = 1000
"""Irrelevant events after which the cursor moves anyway, so that they are not read again and again."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A delivery to send now, with the token of its lease."""

    message: Message
    endpoint_id: str
    token: str
    failing: bool


class Outbox:
    """The deliveries in one database, retried after the seconds in ``schedule``."""

    def __init__(
        self, engine: sa.Engine, *, schedule: Sequence[float] = SCHEDULE, rng: random.Random | None = None
    ) -> None:
        self._engine = engine
        self._schedule = schedule
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, nothing secret

    def fill(self) -> bool:
        """Turn new events into deliveries; return whether there may be more."""
        if not self._has_news():
            return False
        with writing(self._engine) as connection:
            after = webhooks.cursor(connection, lock=True)
            up_to = events.last_id(connection)  # before the events are read, so that it skips no event
            endpoints = webhooks.enabled(connection, lock=True)
            rows = events.of_types(connection, (*TYPES, *STUDY_STEPS), after=after, up_to=up_to, limit=BATCH)
            more = len(rows) == BATCH
            of_runs = [_news_of(row) for row in rows if row.type not in STUDY_STEPS]
            news = [*of_runs, *_ended_studies(connection, rows, endpoints)]
            new = [_delivery(one, endpoint) for one in news for endpoint in endpoints if _matches(endpoint, one)]
            deliveries.insert(connection, new)
            webhooks.move_cursor(connection, rows[-1].id if more else up_to)
        return more

    def _has_news(self) -> bool:
        """Return whether there are relevant events, without a lock that writers would wait for."""
        with reading(self._engine) as connection:
            after, last = webhooks.cursor(connection), events.last_id(connection)
            if last - after > STRIDE:
                return True
            types = _relevant_types(webhooks.enabled(connection)) if last > after else ()
            return bool(types) and bool(events.of_types(connection, types, after=after, up_to=last, limit=1))

    def claim(self, *, room: int, failing_room: int) -> Sequence[Due]:
        """Lease up to ``room`` due deliveries, at most ``failing_room`` of them to failing endpoints.

        So a slow or dead target does not delay the others.
        """
        with reading(self._engine) as connection:
            if not _shares(deliveries.waiting(connection), room, failing_room):
                return ()
        claimed = list[Due]()
        with writing(self._engine, durable=False) as connection:
            for endpoint_id, limit in _shares(deliveries.waiting(connection), room, failing_room).items():
                claimed += self._take(connection, endpoint_id, limit)
        return claimed

    def _take(self, connection: sa.Connection, endpoint_id: str, limit: int) -> list[Due]:
        rows = deliveries.due(connection, endpoint_id, limit)
        endpoint = webhooks.by_id(connection, endpoint_id)
        if endpoint is None:
            return []
        return [hold(connection, row, endpoint) for row in rows]

    def record(self, due: Due, reply: Reply) -> None:
        """Record the result of an attempt and the time of the next; nothing if the lease was lost."""
        with writing(self._engine) as connection:
            endpoint = webhooks.by_id(connection, due.endpoint_id, lock=True)  # before the delivery, as deleting does
            row = deliveries.by_id(connection, due.message.id, lock=True)
            if endpoint is None or row is None or row.token != due.token:
                return
            attempt = {name: getattr(reply, name) for name in ("seconds", "status_code", "error", "response")}
            number = row.attempts + 1
            deliveries.insert_attempt(
                connection, {"delivery_id": row.id, "number": number, **attempt}, limit=MAX_ATTEMPTS
            )
            deliveries.change(connection, row.id, due.token, {"attempts": number, **self._verdict(row, reply)})
            if row.event_id is not None:
                self._judge(connection, endpoint, row, reply)

    def _judge(self, connection: sa.Connection, endpoint: Row, row: Row, reply: Reply) -> None:
        """Record whether an endpoint fails; disable one that unsubscribed or has failed for days."""
        changed = _endpoint_changes(endpoint, row, reply, now=connection.execute(sa.select(db_now())).scalar_one())
        if changed:
            webhooks.change(connection, endpoint.id, changed)
        if "disabled_reason" in changed:
            LOG.warning("disabled %s: %s", endpoint.id, changed["disabled_reason"])

    def _verdict(self, row: Row, reply: Reply) -> dict[str, Any]:
        """Return the new values of a delivery after an attempt."""
        more = row.event_id is not None and row.step < len(self._schedule)  # a test is sent once
        if more and not reply.accepted and not reply.unsubscribed:
            seconds = self._schedule[row.step] * (1 + JITTER * self._rng.random())
            return {"step": row.step + 1, "next_attempt_at": db_now() + seconds}
        status = "succeeded" if reply.accepted else "failed"
        return {"status": status, "next_attempt_at": None, "ended_at": db_now()}

    def release(self, due: Due) -> None:
        """Release a delivery that was not sent completely; it is due as before."""
        with writing(self._engine, durable=False) as connection:
            deliveries.change(connection, due.message.id, due.token, {})

    def prune(self) -> int:
        """Delete old deliveries, and those beyond the size of an endpoint's log; return how many."""
        with writing(self._engine, durable=False) as connection:
            deleted = deliveries.prune(connection, seconds=LOG_SECONDS)
            for endpoint in webhooks.page(connection, before=None, limit=10_000):
                deleted += deliveries.trim(connection, endpoint.id, limit=MAX_DELIVERIES)
        return deleted


def _relevant_types(endpoints: Sequence[Row]) -> Sequence[str]:
    """Return the types of events that can lead to deliveries to these endpoints."""
    types = [one for one in TYPES if any(covers(endpoint.events, one) for endpoint in endpoints)]
    return [*types, *RUN_ENDS, *STUDY_STEPS] if STUDY_END in types else types


def _shares(waiting: Sequence[Row], room: int, failing_room: int) -> Mapping[str, int]:
    """Return how many deliveries may be sent to each endpoint now."""
    shares: dict[str, int] = {}
    for endpoint in waiting:
        failing = endpoint.failing_since is not None
        share = min((1 if failing else PER_ENDPOINT) - endpoint.held, room, failing_room if failing else room)
        if share > 0:
            shares[endpoint.id] = share
            room -= share
            failing_room -= share if failing else 0
    return shares


def hold(connection: sa.Connection, row: Row, endpoint: Row) -> Due:
    """Lease a delivery that is locked."""
    token = deliveries.take(connection, row.id, LEASE_SECONDS)
    now = connection.execute(sa.select(db_now())).scalar_one()
    old = endpoint.old_secret is not None and endpoint.old_secret_expires_at > now
    signing = [endpoint.secret, endpoint.old_secret] if old else [endpoint.secret]
    message = Message(id=row.id, url=endpoint.url, payload=row.payload, secrets=signing)
    return Due(message=message, endpoint_id=endpoint.id, token=token, failing=endpoint.failing_since is not None)


@dataclass(frozen=True, kw_only=True)
class _News:
    """A message for endpoints: an event of a run, or the end of a study that the event caused."""

    event_id: int
    type: str
    payload: str
    owner: str
    study_id: str | None
    labels: Mapping[str, str]


def _news_of(row: Row) -> _News:
    payload = payloads.of_event(row)
    places = {"owner": row.owner, "study_id": row.study_id, "labels": row.labels}
    return _News(event_id=row.id, type=row.type, payload=payload, **places)


def _ended_studies(connection: sa.Connection, rows: Sequence[Row], endpoints: Sequence[Row]) -> list[_News]:
    """Return the studies that one of these events ended: of the last run, or the last look of a sequential study.

    Empty if no endpoint subscribes to ends of studies.
    """
    if not any(covers(endpoint.events, STUDY_END) for endpoint in endpoints):
        return []
    last = {row.study_id: row for row in rows if row.study_id is not None and row.type in (*RUN_ENDS, *STUDY_STEPS)}
    ended = [row for row in last.values() if studies.ended_with(connection, row.study_id, row.id)]
    return [
        _News(
            event_id=row.id,
            type=STUDY_END,
            payload=payloads.of_study(row),
            owner=row.owner,
            study_id=row.study_id,
            labels={},
        )
        for row in ended
    ]


def _delivery(news: _News, endpoint: Row) -> dict[str, Any]:
    return {
        "id": f"msg_{ULID()}",
        "endpoint_id": endpoint.id,
        "event_id": news.event_id,
        "type": news.type,
        "payload": news.payload,
    }


def _matches(endpoint: Row, news: _News) -> bool:
    return (
        news.event_id > endpoint.since_event
        and (endpoint.hears_all or endpoint.owner == news.owner)
        and covers(endpoint.events, news.type)
        and endpoint.study_id in (None, news.study_id)
        and endpoint.labels.items() <= news.labels.items()
    )


def _endpoint_changes(endpoint: Row, delivery: Row, reply: Reply, *, now: float) -> dict[str, Any]:
    """Return the new values of an endpoint after an attempt."""
    if reply.accepted:
        return {} if endpoint.failing_since is None else {"failing_since": None}
    if reply.unsubscribed:
        return {"enabled": False, "disabled_reason": "The target returned 410 Gone: it wants no more messages."}
    since = now if endpoint.failing_since is None else endpoint.failing_since
    if now - since > DISABLE_SECONDS and now - delivery.created_at > TRIED_SECONDS:
        reason = f"The target accepted nothing for {DISABLE_SECONDS / 86_400:.0f} days."
        return {"failing_since": since, "enabled": False, "disabled_reason": reason}
    return {"failing_since": since}
