"""Statements on webhook endpoints, and on how far the event log has been told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, webhook_cursor, webhook_endpoint


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Add an endpoint; its time is the database's."""
    connection.execute(sa.insert(webhook_endpoint).values(created_at=db_now(), **values))


def by_id(connection: sa.Connection, endpoint_id: str, *, lock: bool = False) -> Row | None:
    """One endpoint; with ``lock`` nobody else changes it until the transaction is over."""
    statement = sa.select(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id)
    return connection.execute(statement.with_for_update() if lock else statement).first()


def count(connection: sa.Connection) -> int:
    """How many endpoints there are."""
    return connection.execute(sa.select(sa.func.count()).select_from(webhook_endpoint)).scalar_one()


def page(
    connection: sa.Connection, *, before: tuple[float, str] | None, limit: int, owner: str | None = None
) -> Sequence[Row]:
    """Endpoints, or one owner's, newest first, from ``before`` (created_at, id) on."""
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
    """Give an endpoint another secret; the one it had goes on for so many seconds."""
    statement = sa.update(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id)
    old = {"old_secret": webhook_endpoint.c.secret, "old_secret_expires_at": db_now() + seconds}
    connection.execute(statement.values(secret=secret, **old))


def delete(connection: sa.Connection, endpoint_id: str) -> None:
    """Remove an endpoint with its deliveries."""
    connection.execute(sa.delete(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id))


def enabled(connection: sa.Connection, *, lock: bool = False) -> Sequence[Row]:
    """The endpoints that want to be told; with ``lock`` none of them changes until the transaction is over."""
    statement = sa.select(webhook_endpoint).where(webhook_endpoint.c.enabled).order_by(webhook_endpoint.c.id)
    return connection.execute(statement.with_for_update(read=True) if lock else statement).all()


def cursor(connection: sa.Connection, *, lock: bool = False) -> int:
    """Up to which event everything has been told; with ``lock`` one transaction at a time goes on from there."""
    statement = sa.select(webhook_cursor.c.event_id)
    found: int = connection.execute(statement.with_for_update() if lock else statement).scalar_one()
    return found


def move_cursor(connection: sa.Connection, event_id: int) -> None:
    """Everything up to this event has been told."""
    connection.execute(sa.update(webhook_cursor).values(event_id=event_id))
