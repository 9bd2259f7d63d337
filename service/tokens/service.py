"""What is done with tokens: made, listed, revoked, and asked whose they are. Every method is one transaction."""

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
from service.tokens.token import SECRET, SHOWN, NewToken, Token, hashed, new_secret

LOG = logging.getLogger("fitwell.service")
FIRST_SECONDS = 1.0
"""How soon the first token is needed where another process made it."""
USE_SECONDS = 60.0
"""How exactly the last use is known."""


@dataclass(frozen=True)
class TokenPage:
    """Some tokens, newest first, and where the next page begins."""

    tokens: Sequence[Token]
    has_more: bool
    next_cursor: str | None


@dataclass
class _Seen:
    """Whether there has ever been a token, and when the database was asked for that last."""

    any: bool = False
    asked: float = -math.inf

    @property
    def known(self) -> bool:
        """Whether the database need not be asked now."""
        return self.any or time.monotonic() - self.asked < FIRST_SECONDS


class Tokens(CallerScoped):
    """Tokens in one database. ``exposed``: whether the server can be reached from other machines."""

    def __init__(self, engine: sa.Engine, settings: Settings, *, exposed: bool) -> None:
        self._engine = engine
        self._always = exposed or settings.auth == "required"
        self._never = settings.auth == "off"
        self._seen = _Seen()
        self._used = set[str]()
        self.local = replace(LOCAL, shares_runs=settings.share_runs, shares_results=settings.shares_results)
        """Whoever asks where no token is needed."""

    def needed(self) -> bool:
        """Whether nobody is answered without a token: beyond loopback, and wherever there has been one."""
        if self._always or self._never:
            return self._always
        if not self._seen.known:
            with reading(self._engine) as connection:
                self._seen.any = tokens.any_ever(connection)
            self._seen.asked = time.monotonic()
        return self._seen.any

    @property
    def surely_not_needed(self) -> bool:
        """Whether it is known without asking the database that no token is needed."""
        return self._never or (not self._always and self._seen.known and not self._seen.any)

    def authenticated(self, secret: str) -> Caller:
        """Whose token this is.

        Raises:
            TokenRefused: nobody's, or it is revoked or has expired.
        """
        row = self._find(secret)
        if row is None:
            raise TokenRefused("There is no such token. An admin makes one with: fitwell token create")
        if row.revoked_at is not None:
            raise TokenRefused(f"The token {row.prefix}… was revoked. An admin makes another: fitwell token create")
        if row.expires_at is not None and row.expires_at <= row.now:
            raise TokenRefused(f"The token {row.prefix}… has expired. An admin makes another: fitwell token create")
        if row.last_used_at is None or row.now - row.last_used_at > USE_SECONDS:
            self._used.add(row.id)
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
        """Write down which tokens were used lately; requests do not wait for that."""
        used, self._used = self._used, set()
        if used:
            with writing(self._engine, durable=False) as connection:
                tokens.note_use(connection, list(used))

    def create(self, new: NewToken) -> tuple[Token, str]:
        """Make a token; its secret is told this once.

        Raises:
            SpecRefused: it would have expired already; or it is the first and no admin's.
        """
        with writing(self._engine) as connection:
            tokens.lock(connection)
            self._check(connection, new)
            made = self._made(connection, new)
        self._seen.any = True
        return made

    def first_admin(self) -> tuple[Token, str] | None:
        """Make an admin's token where tokens are needed and no admin has one; None where there is nothing to do."""
        if not self.needed():
            return None
        with writing(self._engine) as connection:
            tokens.lock(connection)
            if any("admin" in row.scopes for row in tokens.usable(connection)):
                return None
            return self._made(connection, NewToken(name="first admin", owner=LOCAL_OWNER, scopes=["admin"]))

    def _check(self, connection: sa.Connection, new: NewToken) -> None:
        if new.expires_at is not None and new.expires_at <= tokens.clock(connection):
            message = "This time has passed; name one that is still to come."
            raise SpecRefused.at("/expires_at", "expired", message)
        if "admin" not in new.scopes and not tokens.any_ever(connection):
            message = "The first token must be an admin's: once there is one, nobody is answered without."
            raise SpecRefused.at("/scopes", "first_admin", message, allowed=[["admin"]])

    def _made(self, connection: sa.Connection, new: NewToken) -> tuple[Token, str]:
        token_id, secret = f"tok_{ULID()}", new_secret()
        values = {name: getattr(new, name) for name in ("name", "owner", "expires_at", "max_active_runs")}
        values |= {"scopes": list(new.scopes), "prefix": secret[:SHOWN], "sha256": hashed(secret)}
        tokens.insert(connection, {"id": token_id, **values})
        row = tokens.by_id(connection, token_id)
        assert row is not None
        LOG.info("the token %s of %r (%s) is made by %r", token_id, new.owner, ", ".join(new.scopes), self.caller.owner)
        return Token.of(row), secret

    def get(self, token_id: str) -> Token:
        """One token of the caller's owner, or for an admin of anybody.

        Raises:
            TokenNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            return Token.of(self._row(connection, token_id))

    def page(self, *, limit: int, after: str | None) -> TokenPage:
        """Tokens of the caller's owner, or for an admin of everybody, newest first.

        Raises:
            BadCursor: ``after`` is no cursor of a page.
        """
        owner = None if self.caller.is_admin else self.caller.owner
        before = None if after is None else position(after)
        with reading(self._engine) as connection:
            found = tokens.page(connection, owner=owner, before=before, limit=limit + 1)
        more = len(found) > limit
        return TokenPage([Token.of(row) for row in found[:limit]], more, cursor_at(found[limit - 1]) if more else None)

    def revoke(self, token_id: str) -> None:
        """Let nobody use a token from now on.

        Raises:
            TokenNotFound: there is none of this id.
        """
        with writing(self._engine) as connection:
            self._row(connection, token_id)
            tokens.revoke(connection, token_id)
            LOG.info("the token %s is revoked by %r", token_id, self.caller.owner)

    def _row(self, connection: sa.Connection, token_id: str) -> Row:
        row = tokens.by_id(connection, token_id)
        if row is None or not (self.caller.is_admin or row.owner == self.caller.owner):
            raise TokenNotFound(f"There is no token {token_id!r}. GET /v1/tokens lists those there are.")
        return row
