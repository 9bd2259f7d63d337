"""From events to deliveries, and from deliveries to who sends them. Every method is one transaction.

Deliveries are made of the event log by a cursor that moves in the same transaction, so that each event is told once,
whatever dies in between; a delivery is held by a token while it is sent, and sent again where the holder falls silent.
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
from service.webhooks import delivery_queries as deliveries
from service.webhooks import payloads
from service.webhooks import queries as webhooks
from service.webhooks.event_types import RUN_ENDS, STUDY_END, TYPES, covers
from service.webhooks.sending import Message, Reply

LOG = logging.getLogger("fitwell.webhooks")
SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds from one attempt to the next, as Standard Webhooks proposes; a little over three days in all."""
JITTER = 0.2
"""Each wait is up to so much longer, so that what failed together does not come again together."""
LEASE_SECONDS = 30.0
"""Longer than any attempt takes."""
DISABLE_SECONDS = 5 * 86_400.0
"""An endpoint that took nothing for so long is told nothing more."""
TRIED_SECONDS = 43_200.0
"""But only after a delivery was tried for so long: where little happens, one failure a month is no proof."""
KEPT_SECONDS = 30 * 86_400.0
KEPT_DELIVERIES = 10_000
"""Of an endpoint, in its log."""
KEPT_ATTEMPTS = 50
"""Of a delivery; more than the schedule has, for those retried by hand."""
PER_ENDPOINT = 4
"""Deliveries that are sent to one endpoint at once; to one that fails, one."""
BATCH = 200
STRIDE = 1000
"""Events of no interest after which the cursor moves nevertheless, so that they are not read for ever."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A delivery that is to be sent now, and the token that holds it."""

    message: Message
    endpoint_id: str
    token: str
    failing: bool


class Outbox:
    """The deliveries in one database; retried after the seconds of ``schedule``."""

    def __init__(
        self, engine: sa.Engine, *, schedule: Sequence[float] = SCHEDULE, rng: random.Random | None = None
    ) -> None:
        self._engine = engine
        self._schedule = schedule
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, nothing secret

    def fill(self) -> bool:
        """Make deliveries of what happened since the last time; whether there may be more to make."""
        if not self._something_new():
            return False
        with writing(self._engine) as connection:
            after = webhooks.cursor(connection, lock=True)
            up_to = events.last_id(connection)  # before the events are read: none may come in between
            endpoints = webhooks.enabled(connection, lock=True)
            found = events.told(connection, TYPES, after=after, up_to=up_to, limit=BATCH)
            more = len(found) == BATCH
            told = [*map(_told_by, found), *_ended_studies(connection, found, endpoints)]
            new = [_delivery(one, endpoint) for one in told for endpoint in endpoints if _wants(endpoint, one)]
            deliveries.insert(connection, new)
            webhooks.move_cursor(connection, found[-1].id if more else up_to)
        return more

    def _something_new(self) -> bool:
        """A look without a lock: writers shall not wait for it."""
        with reading(self._engine) as connection:
            after, last = webhooks.cursor(connection), events.last_id(connection)
            if last - after > STRIDE:
                return True
            wanted = _wanted(webhooks.enabled(connection)) if last > after else ()
            return bool(wanted) and bool(events.told(connection, wanted, after=after, up_to=last, limit=1))

    def claim(self, *, room: int, failing_room: int) -> Sequence[Due]:
        """Take up to ``room`` deliveries that are due, at most ``failing_room`` of them to endpoints that fail.

        A target that is slow or dead thereby holds up nobody else.
        """
        with reading(self._engine) as connection:
            if not _shares(deliveries.waiting(connection), room, failing_room):
                return ()
        claimed = list[Due]()
        with writing(self._engine, durable=False) as connection:
            for endpoint_id, most in _shares(deliveries.waiting(connection), room, failing_room).items():
                claimed += self._take(connection, endpoint_id, most)
        return claimed

    def _take(self, connection: sa.Connection, endpoint_id: str, limit: int) -> list[Due]:
        rows = deliveries.due(connection, endpoint_id, limit)
        endpoint = webhooks.by_id(connection, endpoint_id)
        if endpoint is None:
            return []
        return [hold(connection, row, endpoint) for row in rows]

    def record(self, due: Due, reply: Reply) -> None:
        """Note what came of an attempt, and when the next is; nothing where the lease was lost."""
        with writing(self._engine) as connection:
            endpoint = webhooks.by_id(connection, due.endpoint_id, lock=True)  # before the delivery, as deleting does
            row = deliveries.by_id(connection, due.message.id, lock=True)
            if endpoint is None or row is None or row.token != due.token:
                return
            attempt = {name: getattr(reply, name) for name in ("seconds", "status_code", "error", "response")}
            number = row.attempts + 1
            deliveries.insert_attempt(
                connection, {"delivery_id": row.id, "number": number, **attempt}, kept=KEPT_ATTEMPTS
            )
            deliveries.change(connection, row.id, due.token, {"attempts": number, **self._verdict(row, reply)})
            if row.event_id is not None:
                self._judge(connection, endpoint, row, reply)

    def _judge(self, connection: sa.Connection, endpoint: Row, row: Row, reply: Reply) -> None:
        """Note whether an endpoint fails; one that is gone, or failed for days, is told nothing more."""
        changed = _judged(endpoint, row, reply, now=connection.execute(sa.select(db_now())).scalar_one())
        if changed:
            webhooks.change(connection, endpoint.id, changed)
        if "disabled_reason" in changed:
            LOG.warning("%s is disabled: %s", endpoint.id, changed["disabled_reason"])

    def _verdict(self, row: Row, reply: Reply) -> dict[str, Any]:
        """What becomes of a delivery after an attempt."""
        more = row.event_id is not None and row.step < len(self._schedule)  # a test is sent once
        if more and not reply.accepted and not reply.gone:
            seconds = self._schedule[row.step] * (1 + JITTER * self._rng.random())
            return {"step": row.step + 1, "next_attempt_at": db_now() + seconds}
        status = "succeeded" if reply.accepted else "failed"
        return {"status": status, "next_attempt_at": None, "ended_at": db_now()}

    def release(self, due: Due) -> None:
        """Give a delivery back that was not sent, or not to the end; it is due as before."""
        with writing(self._engine, durable=False) as connection:
            deliveries.change(connection, due.message.id, due.token, {})

    def prune(self) -> int:
        """Forget deliveries that are old, or more than an endpoint's log keeps; returns how many."""
        with writing(self._engine, durable=False) as connection:
            gone = deliveries.prune(connection, seconds=KEPT_SECONDS)
            for endpoint in webhooks.page(connection, before=None, limit=10_000):
                gone += deliveries.trim(connection, endpoint.id, kept=KEPT_DELIVERIES)
        return gone


def _wanted(endpoints: Sequence[Row]) -> Sequence[str]:
    """The types of events that have something to do with what these endpoints want to be told."""
    wanted = [one for one in TYPES if any(covers(endpoint.events, one) for endpoint in endpoints)]
    return [*wanted, *RUN_ENDS] if STUDY_END in wanted else wanted


def _shares(waiting: Sequence[Row], room: int, failing_room: int) -> Mapping[str, int]:
    """By endpoint, how many of its deliveries may be sent now at most."""
    shares: dict[str, int] = {}
    for endpoint in waiting:
        failing = endpoint.failing_since is not None
        most = min((1 if failing else PER_ENDPOINT) - endpoint.held, room, failing_room if failing else room)
        if most > 0:
            shares[endpoint.id] = most
            room -= most
            failing_room -= most if failing else 0
    return shares


def hold(connection: sa.Connection, row: Row, endpoint: Row) -> Due:
    """Take a delivery that is locked."""
    token = deliveries.take(connection, row.id, LEASE_SECONDS)
    now = connection.execute(sa.select(db_now())).scalar_one()
    old = endpoint.old_secret is not None and endpoint.old_secret_expires_at > now
    signing = [endpoint.secret, endpoint.old_secret] if old else [endpoint.secret]
    message = Message(id=row.id, url=endpoint.url, payload=row.payload, secrets=signing)
    return Due(message=message, endpoint_id=endpoint.id, token=token, failing=endpoint.failing_since is not None)


@dataclass(frozen=True, kw_only=True)
class _Told:
    """Something to tell: an event, or the end of a study that an event brought about."""

    event_id: int
    type: str
    payload: str
    owner: str
    study_id: str | None
    labels: Mapping[str, str]


def _told_by(row: Row) -> _Told:
    payload = payloads.of_event(row)
    places = {"owner": row.owner, "study_id": row.study_id, "labels": row.labels}
    return _Told(event_id=row.id, type=row.type, payload=payload, **places)


def _ended_studies(connection: sa.Connection, found: Sequence[Row], endpoints: Sequence[Row]) -> list[_Told]:
    """The studies whose last run ended with one of these events; looked for only where somebody wants to know."""
    if not any(covers(endpoint.events, STUDY_END) for endpoint in endpoints):
        return []
    last = {row.study_id: row for row in found if row.study_id is not None and row.type in RUN_ENDS}
    ended = [row for row in last.values() if studies.ended_with(connection, row.study_id, row.id)]
    return [
        _Told(
            event_id=row.id,
            type=STUDY_END,
            payload=payloads.of_study(row),
            owner=row.owner,
            study_id=row.study_id,
            labels={},
        )
        for row in ended
    ]


def _delivery(told: _Told, endpoint: Row) -> dict[str, Any]:
    return {
        "id": f"msg_{ULID()}",
        "endpoint_id": endpoint.id,
        "event_id": told.event_id,
        "type": told.type,
        "payload": told.payload,
    }


def _wants(endpoint: Row, told: _Told) -> bool:
    return (
        told.event_id > endpoint.since_event
        and (endpoint.hears_all or endpoint.owner == told.owner)
        and covers(endpoint.events, told.type)
        and endpoint.study_id in (None, told.study_id)
        and endpoint.labels.items() <= told.labels.items()
    )


def _judged(endpoint: Row, delivery: Row, reply: Reply, *, now: float) -> dict[str, Any]:
    """What changes of an endpoint after an attempt."""
    if reply.accepted:
        return {} if endpoint.failing_since is None else {"failing_since": None}
    if reply.gone:
        return {"enabled": False, "disabled_reason": "The target answered 410 Gone: it wants nothing more."}
    since = now if endpoint.failing_since is None else endpoint.failing_since
    if now - since > DISABLE_SECONDS and now - delivery.created_at > TRIED_SECONDS:
        reason = f"The target took nothing for {DISABLE_SECONDS / 86_400:.0f} days."
        return {"failing_since": since, "enabled": False, "disabled_reason": reason}
    return {"failing_since": since}
