"""Queries on webhook deliveries. A sender leases a delivery with a token, as workers lease runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, webhook_attempt, webhook_delivery, webhook_endpoint

RELEASED: Mapping[str, Any] = {"token": None, "lease_expires_at": None}


def insert(connection: sa.Connection, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert deliveries that are due now."""
    if values:
        times = {"created_at": db_now(), "next_attempt_at": db_now()}
        new = sa.insert(webhook_delivery).values(status="pending", **times)
        connection.execute(new, [{"step": 0, **one} for one in values])


def by_id(connection: sa.Connection, delivery_id: str, *, lock: bool = False) -> Row | None:
    """Return one delivery; with ``lock`` it is locked until the end of the transaction."""
    statement = sa.select(webhook_delivery).where(webhook_delivery.c.id == delivery_id)
    return connection.execute(statement.with_for_update() if lock else statement).first()


def page(
    connection: sa.Connection, endpoint_id: str, *, status: str | None, before: tuple[float, str] | None, limit: int
) -> Sequence[Row]:
    """Return an endpoint's deliveries, newest first, that are older than ``before`` (created_at, id)."""
    columns = webhook_delivery.c
    statement = sa.select(webhook_delivery).where(columns.endpoint_id == endpoint_id)
    if status is not None:
        statement = statement.where(columns.status == status)
    if before is not None:
        statement = statement.where(sa.tuple_(columns.created_at, columns.id) < sa.tuple_(*before))
    return connection.execute(statement.order_by(columns.created_at.desc(), columns.id.desc()).limit(limit)).all()


def attempts_of(connection: sa.Connection, delivery_ids: Sequence[str]) -> Sequence[Row]:
    """Return the attempts of these deliveries, in order."""
    statement = sa.select(webhook_attempt).where(webhook_attempt.c.delivery_id.in_(delivery_ids))
    return connection.execute(statement.order_by(webhook_attempt.c.delivery_id, webhook_attempt.c.number)).all()


def _free() -> sa.ColumnElement[bool]:
    """Return the condition for deliveries that are due and not leased."""
    columns = webhook_delivery.c
    unheld = columns.token.is_(None) | (columns.lease_expires_at < db_now())
    return sa.and_(columns.status == "pending", columns.next_attempt_at <= db_now(), unheld)


def waiting(connection: sa.Connection) -> Sequence[Row]:
    """Return the enabled endpoints with due deliveries (id, failing_since), and how many deliveries are leased.

    Failing endpoints come last; otherwise the order is random, for fairness.
    """
    columns = webhook_delivery.c
    own = columns.endpoint_id == webhook_endpoint.c.id
    held = sa.select(sa.func.count()).select_from(webhook_delivery)
    held = held.where(own, columns.token.is_not(None), columns.lease_expires_at >= db_now())
    selected: list[Any] = [
        webhook_endpoint.c.id,
        webhook_endpoint.c.failing_since,
        held.scalar_subquery().label("held"),
    ]
    statement = (
        sa.select(*selected)
        .where(webhook_endpoint.c.enabled, sa.exists().where(own, _free()))
        .order_by(webhook_endpoint.c.failing_since.is_not(None), sa.func.random())
    )
    return connection.execute(statement).all()


def due(connection: sa.Connection, endpoint_id: str, limit: int) -> Sequence[Row]:
    """Return and lock an endpoint's due deliveries, the longest due first."""
    statement = (
        sa.select(webhook_delivery)
        .where(webhook_delivery.c.endpoint_id == endpoint_id, _free())
        .order_by(webhook_delivery.c.next_attempt_at, webhook_delivery.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(statement).all()


def take(connection: sa.Connection, delivery_id: str, lease_seconds: float) -> str:
    """Lease a delivery while it is sent; return the token."""
    token = secrets.token_hex(16)
    lease = {"token": token, "lease_expires_at": db_now() + lease_seconds}
    leased = sa.update(webhook_delivery).where(webhook_delivery.c.id == delivery_id).values(**lease)
    assert connection.execute(leased).rowcount == 1, f"{delivery_id} was locked but no longer exists"
    return token


def change(connection: sa.Connection, delivery_id: str, token: str, values: Mapping[str, Any]) -> bool:
    """Change and release a delivery that ``token`` leases; return False, changing nothing, if it does not."""
    mine = sa.update(webhook_delivery).where(webhook_delivery.c.id == delivery_id, webhook_delivery.c.token == token)
    return connection.execute(mine.values(**RELEASED, **values)).rowcount == 1


def again(connection: sa.Connection, delivery_id: str) -> None:
    """Make a delivery without a lease due now, and restart its schedule of retries."""
    values = {"status": "pending", "next_attempt_at": db_now(), "ended_at": None, "step": 0, **RELEASED}
    connection.execute(sa.update(webhook_delivery).where(webhook_delivery.c.id == delivery_id).values(**values))


def insert_attempt(connection: sa.Connection, values: Mapping[str, Any], *, limit: int) -> None:
    """Insert an attempt that ends now, and delete all but the delivery's last ``limit`` attempts."""
    own = webhook_attempt.c.delivery_id == values["delivery_id"]
    connection.execute(sa.insert(webhook_attempt).values(at=db_now() - values["seconds"], **values))
    connection.execute(sa.delete(webhook_attempt).where(own, webhook_attempt.c.number <= values["number"] - limit))


def prune(connection: sa.Connection, *, seconds: float) -> int:
    """Delete deliveries older than ``seconds``; return how many."""
    old = sa.delete(webhook_delivery).where(webhook_delivery.c.created_at < db_now() - seconds)
    return connection.execute(old).rowcount


def trim(connection: sa.Connection, endpoint_id: str, *, limit: int) -> int:
    """Delete finished deliveries beyond an endpoint's newest ``limit``; return how many."""
    columns = webhook_delivery.c
    own, place = columns.endpoint_id == endpoint_id, (columns.created_at, columns.id)
    newest_first = (columns.created_at.desc(), columns.id.desc())
    behind = connection.execute(sa.select(*place).where(own).order_by(*newest_first).offset(limit).limit(1)).first()
    if behind is None:
        return 0
    old = own & (columns.status != "pending") & (sa.tuple_(*place) <= sa.tuple_(*behind))
    return connection.execute(sa.delete(webhook_delivery).where(old)).rowcount
