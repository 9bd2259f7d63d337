"""Tokens of a server, as the client sees them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fitwell.requests import Plan, Request, Telling, answered, pages, place, read
from fitwell.sync_async import M, Resource, View, call, listing


class Token(View):
    """A token; ``token`` is its secret, which only the answer to ``create`` holds."""

    id: str
    name: str
    owner: str
    scopes: list[str]
    prefix: str
    max_active_runs: int | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    token: str | None = None


class Caller(View):
    """Who a client is to its server; ``token`` is None where none is needed."""

    owner: str
    scopes: list[str]
    token: Token | None


class Tokens(Resource[M]):
    """The tokens of a server."""

    @call
    def create(
        self,
        *,
        owner: str,
        name: str,
        scopes: Sequence[str] = ("write",),
        expires_at: datetime | None = None,
        max_active_runs: int | None = None,
    ) -> Plan[Token]:
        """Make a token; needs an admin's.

        Raises:
            NotAllowed: this client's token is no admin's.
        """
        body = body_of(owner=owner, name=name, scopes=scopes, expires_at=expires_at, max_active_runs=max_active_runs)
        return Token.model_validate((yield from read(Request("POST", "/v1/tokens", json=body, repeatable=False))))

    @listing
    def list(self) -> Telling[Token]:
        """Tokens of this one's owner, for an admin everybody's, newest first, page by page."""
        yield from pages("/v1/tokens", {"limit": 100}, Token.model_validate)

    @call
    def revoke(self, token_id: str) -> Plan[None]:
        """Let nobody use a token from now on.

        Raises:
            TokenNotFound: there is none of this id, or it is another owner's.
        """
        yield from answered(Request("DELETE", place("tokens", token_id)))

    @call
    def me(self) -> Plan[Caller]:
        """Who this client is to the server: owner, scopes and token."""
        return Caller.model_validate((yield from read(Request("GET", "/v1/tokens/me"))))


def body_of(
    *, owner: str, name: str, scopes: Sequence[str], expires_at: datetime | None, max_active_runs: int | None
) -> dict[str, Any]:
    """The body that asks for a token."""
    body: dict[str, Any] = {"owner": owner, "name": name, "scopes": list(scopes), "max_active_runs": max_active_runs}
    return body if expires_at is None else {**body, "expires_at": expires_at.isoformat()}
