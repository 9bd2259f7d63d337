"""Queries on webhook endpoints, and on the cursor in the event log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, webhook_cursor, webhook_endpoint


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Insert an endpoint, with the database's time."""
    connection.execute(sa.insert(webhook_endpoint).values(created_at=db_now(), **values))


def by_id(connection: sa.Connection, endpoint_id: str, *, lock: bool = False) -> Row | None:
    """Return one endpoint; with ``lock`` it is locked until the end of the transaction."""
    statement = sa.select(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id)
    return connection.execute(statement.with_for_update() if lock else statement).first()


def count(connection: sa.Connection) -> int:
    """Return the number of endpoints."""
    return connection.execute(sa.select(sa.func.count()).select_from(webhook_endpoint)).scalar_one()


def page(
    connection: sa.Connection, *, before: tuple[float, str] | None, limit: int, owner: str | None = None
) -> Sequence[Row]:
    """Return endpoints, of one owner or all, newest first, that are older than ``before`` (created_at, id)."""
    columns = webhook_endpoint.c
    statement = sa.select(webhook_endpoint).order_by(columns.created_at.desc(), columns.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(sa.tuple_(columns.created_at, columns.id) < sa.tuple_(*before))
    if owner is not None:
        statement = statement.where(columns.owner == owner)
    return connection.execute(statement).all()


def change(connection: sa.Connection, endpoint_id: str, values: Mapping[str, Any]) -> None:
    """Change an endpoint."""
    connection.execute(sa.update(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id).values(**values))


def rotate(connection: sa.Connection, endpoint_id: str, secret: str, seconds: float) -> None:
    """Replace the secret of an endpoint; the old one stays valid for ``seconds``."""
    statement = sa.update(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id)
    old = {"old_secret": webhook_endpoint.c.secret, "old_secret_expires_at": db_now() + seconds}
    connection.execute(statement.values(secret=secret, **old))


def delete(connection: sa.Connection, endpoint_id: str) -> None:
    """Delete an endpoint with its deliveries."""
    connection.execute(sa.delete(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id))


def enabled(connection: sa.Connection, *, lock: bool = False) -> Sequence[Row]:
    """Return the enabled endpoints; with ``lock`` they are locked until the end of the transaction."""
    statement = sa.select(webhook_endpoint).where(webhook_endpoint.c.enabled).order_by(webhook_endpoint.c.id)
    return connection.execute(statement.with_for_update(read=True) if lock else statement).all()


def cursor(connection: sa.Connection, *, lock: bool = False) -> int:
    """Return the id of the last event that was turned into deliveries; with ``lock`` the cursor is locked."""
    statement = sa.select(webhook_cursor.c.event_id)
    event_id: int = connection.execute(statement.with_for_update() if lock else statement).scalar_one()
    return event_id


def move_cursor(connection: sa.Connection, event_id: int) -> None:
    """Store that all events up to this one were turned into deliveries."""
    connection.execute(sa.update(webhook_cursor).values(event_id=event_id))
