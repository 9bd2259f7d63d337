"""Statements on tokens. Of a secret only its hash comes here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, token

LOCK = 0x66697479
"""PostgreSQL's advisory lock of who makes tokens."""


def lock(connection: sa.Connection) -> None:
    """Let one transaction at a time make tokens; on SQLite every writer waits anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Add a token; its time is the database's."""
    connection.execute(sa.insert(token).values(created_at=db_now(), **values))


def by_id(connection: sa.Connection, token_id: str) -> Row | None:
    """One token, whether it can still be used or not."""
    return connection.execute(sa.select(token).where(token.c.id == token_id)).first()


def by_hash(connection: sa.Connection, sha256: str) -> Row | None:
    """The token of this hash, with the time ``now`` to compare its own with."""
    return connection.execute(sa.select(token, db_now().label("now")).where(token.c.sha256 == sha256)).first()


def any_ever(connection: sa.Connection) -> bool:
    """Whether there has ever been a token: those that were revoked or have expired count."""
    return bool(connection.scalar(sa.select(sa.exists(sa.select(token.c.id)))))


def usable(connection: sa.Connection) -> Sequence[Row]:
    """The tokens that are neither revoked nor expired."""
    lasting = token.c.expires_at.is_(None) | (token.c.expires_at > db_now())
    return connection.execute(sa.select(token).where(token.c.revoked_at.is_(None), lasting)).all()


def page(
    connection: sa.Connection, *, owner: str | None, before: tuple[float, str] | None, limit: int
) -> Sequence[Row]:
    """Tokens of one owner, or of all, newest first, from ``before`` (created_at, id) on."""
    statement = sa.select(token).order_by(token.c.created_at.desc(), token.c.id.desc()).limit(limit)
    if owner is not None:
        statement = statement.where(token.c.owner == owner)
    if before is not None:
        statement = statement.where(sa.tuple_(token.c.created_at, token.c.id) < sa.tuple_(*before))
    return connection.execute(statement).all()


def revoke(connection: sa.Connection, token_id: str) -> None:
    """Let nobody use it from now on; the first time counts."""
    unrevoked = (token.c.id == token_id, token.c.revoked_at.is_(None))
    connection.execute(sa.update(token).where(*unrevoked).values(revoked_at=db_now()))


def note_use(connection: sa.Connection, token_ids: Collection[str]) -> None:
    """Write down that these were used just now."""
    connection.execute(sa.update(token).where(token.c.id.in_(token_ids)).values(last_used_at=db_now()))


def clock(connection: sa.Connection) -> float:
    """The database's time."""
    now: float = connection.execute(sa.select(db_now())).scalar_one()
    return now
