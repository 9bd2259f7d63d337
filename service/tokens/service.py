"""Operations on tokens: create, list, revoke, authenticate. Every method is one transaction."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from ulid import ULID

from service.callers import LOCAL, LOCAL_OWNER, Caller, CallerScoped
from service.errors import SpecRefused, TokenRefused
from service.runs.pages import cursor_at, position
from service.settings import Settings
from service.store.database import reading, writing
from service.store.rows import Row
from service.tokens import queries as tokens
from service.tokens.errors import TokenNotFound
from service.tokens.token import PREFIX_CHARACTERS, SECRET, NewToken, Token, hashed, new_secret

LOG = logging.getLogger("fitwell.service")
FIRST_SECONDS = 1.0
"""Delay after which a first token that another process created is required."""
USE_SECONDS = 60.0
"""Precision of the time of last use."""


@dataclass(frozen=True)
class TokenPage:
    """A page of tokens, newest first."""

    tokens: Sequence[Token]
    has_more: bool
    next_cursor: str | None


@dataclass
class _Existence:
    """Whether any token has ever existed, cached."""

    any_ever: bool = False
    read_at: float = -math.inf

    @property
    def is_fresh(self) -> bool:
        """Whether the cached answer still holds; once there was a token, it always does."""
        return self.any_ever or time.monotonic() - self.read_at < FIRST_SECONDS


class Tokens(CallerScoped):
    """Tokens in one database, as the caller may see and change them.

    Args:
        engine: The database.
        settings: The settings.
        exposed: Whether other machines can reach the server.
    """

    def __init__(self, engine: sa.Engine, settings: Settings, *, exposed: bool) -> None:
        self._engine = engine
        self._always = exposed or settings.auth == "required"
        self._never = settings.auth == "off"
        self._existence = _Existence()
        self._used_ids = set[str]()
        self.local = replace(LOCAL, shares_runs=settings.share_runs, shares_results=settings.shares_results)
        """The caller of requests that need no token."""

    def needed(self) -> bool:
        """Return whether requests need a token: beyond loopback always, on loopback once any token has existed."""
        if self._always or self._never:
            return self._always
        if not self._existence.is_fresh:
            with reading(self._engine) as connection:
                self._existence.any_ever = tokens.any_ever(connection)
            self._existence.read_at = time.monotonic()
        return self._existence.any_ever

    @property
    def surely_not_needed(self) -> bool:
        """Whether no token is needed, if that is certain without reading the database."""
        return self._never or (not self._always and self._existence.is_fresh and not self._existence.any_ever)

    def authenticated(self, secret: str) -> Caller:
        """Return the caller that a token's secret identifies.

        Raises:
            TokenRefused: The token is unknown, expired or revoked.
        """
        row = self._find(secret)
        if row is None:
            raise TokenRefused("Unknown token. An admin creates one with: fitwell token create")
        if row.revoked_at is not None:
            raise TokenRefused(f"The token {row.prefix}… was revoked. An admin creates another: fitwell token create")
        if row.expires_at is not None and row.expires_at <= row.now:
            raise TokenRefused(f"The token {row.prefix}… has expired. An admin creates another: fitwell token create")
        if row.last_used_at is None or row.now - row.last_used_at > USE_SECONDS:
            self._used_ids.add(row.id)
        return replace(
            self.local,
            owner=row.owner,
            scopes=tuple(row.scopes),
            token_id=row.id,
            max_active_runs=row.max_active_runs,
        )

    def _find(self, secret: str) -> Row | None:
        if not SECRET.fullmatch(secret):
            return None
        with reading(self._engine) as connection:
            return tokens.by_hash(connection, hashed(secret))

    def note_uses(self) -> None:
        """Store which tokens were used lately; requests do not wait for that."""
        used_ids, self._used_ids = self._used_ids, set()
        if used_ids:
            with writing(self._engine, durable=False) as connection:
                tokens.note_use(connection, list(used_ids))

    def create(self, new: NewToken) -> tuple[Token, str]:
        """Create a token; return it with its secret, which is not stored.

        Raises:
            SpecRefused: The token would be expired, or it is the first and not an admin's.
        """
        with writing(self._engine) as connection:
            tokens.lock(connection)
            self._check(connection, new)
            created = self._create(connection, new)
        self._existence.any_ever = True
        return created

    def first_admin(self) -> tuple[Token, str] | None:
        """Create an admin's token if tokens are required and no admin has one; otherwise return None."""
        if not self.needed():
            return None
        with writing(self._engine) as connection:
            tokens.lock(connection)
            if any("admin" in row.scopes for row in tokens.usable(connection)):
                return None
            return self._create(connection, NewToken(name="first admin", owner=LOCAL_OWNER, scopes=["admin"]))

    def _check(self, connection: sa.Connection, new: NewToken) -> None:
        if new.expires_at is not None and new.expires_at <= tokens.clock(connection):
            message = "This time is in the past; choose one in the future."
            raise SpecRefused.at("/expires_at", "expired", message)
        if "admin" not in new.scopes and not tokens.any_ever(connection):
            message = "The first token must be an admin's: from then on every request needs a token."
            raise SpecRefused.at("/scopes", "first_admin", message, allowed=[["admin"]])

    def _create(self, connection: sa.Connection, new: NewToken) -> tuple[Token, str]:
        token_id, secret = f"tok_{ULID()}", new_secret()
        values = {name: getattr(new, name) for name in ("name", "owner", "expires_at", "max_active_runs")}
        values |= {"scopes": list(new.scopes), "prefix": secret[:PREFIX_CHARACTERS], "sha256": hashed(secret)}
        tokens.insert(connection, {"id": token_id, **values})
        row = tokens.by_id(connection, token_id)
        assert row is not None
        LOG.info("token %s of %r (%s) created by %r", token_id, new.owner, ", ".join(new.scopes), self.caller.owner)
        return Token.of(row), secret

    def get(self, token_id: str) -> Token:
        """Return one token of the caller's owner, or for an admin any token.

        Raises:
            TokenNotFound: No visible token has this id.
        """
        with reading(self._engine) as connection:
            return Token.of(self._row(connection, token_id))

    def page(self, *, limit: int, after: str | None) -> TokenPage:
        """Return a page of the tokens of the caller's owner, or for an admin of all tokens, newest first.

        Raises:
            BadCursor: ``after`` is not a cursor of this list.
        """
        owner = None if self.caller.is_admin else self.caller.owner
        before = None if after is None else position(after)
        with reading(self._engine) as connection:
            rows = tokens.page(connection, owner=owner, before=before, limit=limit + 1)
        more = len(rows) > limit
        return TokenPage([Token.of(row) for row in rows[:limit]], more, cursor_at(rows[limit - 1]) if more else None)

    def revoke(self, token_id: str) -> None:
        """Revoke a token.

        Raises:
            TokenNotFound: No visible token has this id.
        """
        with writing(self._engine) as connection:
            self._row(connection, token_id)
            tokens.revoke(connection, token_id)
            LOG.info("token %s revoked by %r", token_id, self.caller.owner)

    def _row(self, connection: sa.Connection, token_id: str) -> Row:
        row = tokens.by_id(connection, token_id)
        if row is None or not (self.caller.is_admin or row.owner == self.caller.owner):
            raise TokenNotFound(f"Unknown token {token_id!r}. GET /v1/tokens lists all tokens.")
        return row
