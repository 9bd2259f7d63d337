"""Access tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fitwell.requests import Flow, ItemFlow, Request, api_path, fetch_json, paginate, send
from fitwell.sync_async import Resource, TransportT, View, call, listing


class Token(View):
    """An access token; ``token`` is its secret, which only ``create`` returns."""

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
    """The identity of the client; ``token`` is None if the server requires no token."""

    owner: str
    scopes: list[str]
    token: Token | None


class Tokens(Resource[TransportT]):
    """The collection of tokens."""

    @call
    def create(
        self,
        *,
        owner: str,
        name: str,
        scopes: Sequence[str] = ("write",),
        expires_at: datetime | None = None,
        max_active_runs: int | None = None,
    ) -> Flow[Token]:
        """Create a token; requires the scope ``admin``.

        Raises:
            NotAllowed: The client's token lacks the scope ``admin``.
        """
        body = token_body(owner=owner, name=name, scopes=scopes, expires_at=expires_at, max_active_runs=max_active_runs)
        return Token.model_validate((yield from fetch_json(Request("POST", "/v1/tokens", json=body, repeatable=False))))

    @listing
    def list(self) -> ItemFlow[Token]:
        """Yield the owner's tokens, or all tokens for an admin, newest first; fetches page by page."""
        yield from paginate("/v1/tokens", {"limit": 100}, Token.model_validate)

    @call
    def revoke(self, token_id: str) -> Flow[None]:
        """Revoke a token.

        Raises:
            TokenNotFound: No token has this id, or it belongs to another owner.
        """
        yield from send(Request("DELETE", api_path("tokens", token_id)))

    @call
    def me(self) -> Flow[Caller]:
        """Return the client's identity: owner, scopes and token."""
        return Caller.model_validate((yield from fetch_json(Request("GET", "/v1/tokens/me"))))


def token_body(
    *, owner: str, name: str, scopes: Sequence[str], expires_at: datetime | None, max_active_runs: int | None
) -> dict[str, Any]:
    """Return the request body that creates a token."""
    body: dict[str, Any] = {"owner": owner, "name": name, "scopes": list(scopes), "max_active_runs": max_active_runs}
    return body if expires_at is None else {**body, "expires_at": expires_at.isoformat()}
