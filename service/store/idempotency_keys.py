"""Statements on idempotency keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from service.store.rows import Row
from service.store.tables import db_now, idempotency_key


def reserve(connection: sa.Connection, owner: str, path: str, key: str) -> None:
    """Make requests with the same key wait until this transaction ends; on SQLite every writer waits anyway."""
    if connection.dialect.name == "postgresql":
        name = sa.func.hashtextextended(f"{owner}\n{path}\n{key}", 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(name)))


def find(connection: sa.Connection, owner: str, path: str, key: str, seconds: float) -> Row | None:
    """Return the response stored for this key in the last ``seconds``, or None."""
    statement = sa.select(idempotency_key).where(
        idempotency_key.c.owner == owner,
        idempotency_key.c.path == path,
        idempotency_key.c.key == key,
        idempotency_key.c.created_at > db_now() - seconds,
    )
    return connection.execute(statement).first()


def store(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Store a response, replacing an expired one for the same key."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {**values, "created_at": db_now()}
    replaced = {name: value for name, value in row.items() if name not in ("owner", "path", "key")}
    statement = insert(idempotency_key).values(**row)
    connection.execute(statement.on_conflict_do_update(index_elements=["owner", "path", "key"], set_=replaced))


def forget(connection: sa.Connection, seconds: float) -> int:
    """Delete responses older than ``seconds`` and return their number."""
    old = sa.delete(idempotency_key).where(idempotency_key.c.created_at < db_now() - seconds)
    return connection.execute(old).rowcount
