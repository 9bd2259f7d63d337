"""Queries on tokens. Only hashes of secrets are stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, token

LOCK = 0x66697479
"""PostgreSQL's advisory lock for creating tokens."""


def lock(connection: sa.Connection) -> None:
    """Let one transaction at a time create tokens; on SQLite writers are serialized anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Insert a token, with the database's time."""
    connection.execute(sa.insert(token).values(created_at=db_now(), **values))


def by_id(connection: sa.Connection, token_id: str) -> Row | None:
    """Return one token, including revoked and expired ones."""
    return connection.execute(sa.select(token).where(token.c.id == token_id)).first()


def by_hash(connection: sa.Connection, sha256: str) -> Row | None:
    """Return the token with this hash, and the database's time as ``now``."""
    return connection.execute(sa.select(token, db_now().label("now")).where(token.c.sha256 == sha256)).first()


def any_ever(connection: sa.Connection) -> bool:
    """Return whether any token exists; revoked and expired ones count."""
    return bool(connection.scalar(sa.select(sa.exists(sa.select(token.c.id)))))


def usable(connection: sa.Connection) -> Sequence[Row]:
    """Return the tokens that are neither revoked nor expired."""
    unexpired = token.c.expires_at.is_(None) | (token.c.expires_at > db_now())
    return connection.execute(sa.select(token).where(token.c.revoked_at.is_(None), unexpired)).all()


def page(
    connection: sa.Connection, *, owner: str | None, before: tuple[float, str] | None, limit: int
) -> Sequence[Row]:
    """Return tokens of one owner, or of all, newest first, that are older than ``before`` (created_at, id)."""
    statement = sa.select(token).order_by(token.c.created_at.desc(), token.c.id.desc()).limit(limit)
    if owner is not None:
        statement = statement.where(token.c.owner == owner)
    if before is not None:
        statement = statement.where(sa.tuple_(token.c.created_at, token.c.id) < sa.tuple_(*before))
    return connection.execute(statement).all()


def revoke(connection: sa.Connection, token_id: str) -> None:
    """Revoke a token; a later revocation changes nothing."""
    unrevoked = (token.c.id == token_id, token.c.revoked_at.is_(None))
    connection.execute(sa.update(token).where(*unrevoked).values(revoked_at=db_now()))


def note_use(connection: sa.Connection, token_ids: Collection[str]) -> None:
    """Store that these tokens were used now."""
    connection.execute(sa.update(token).where(token.c.id.in_(token_ids)).values(last_used_at=db_now()))


def clock(connection: sa.Connection) -> float:
    """Return the database's time."""
    now: float = connection.execute(sa.select(db_now())).scalar_one()
    return now
