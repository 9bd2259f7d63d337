"""Tokens of a server, as the client sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from fitwell.run import View
from fitwell.transport import Transport


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


class Tokens:
    """The tokens of a server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        owner: str,
        name: str,
        scopes: Sequence[str] = ("write",),
        expires_at: datetime | None = None,
        max_active_runs: int | None = None,
    ) -> Token:
        """Make a token; needs an admin's.

        Raises:
            NotAllowed: this client's token is no admin's.
        """
        body = body_of(owner=owner, name=name, scopes=scopes, expires_at=expires_at, max_active_runs=max_active_runs)
        return Token.model_validate(self._transport.request("POST", "/v1/tokens", json=body).json())

    def list(self) -> Iterator[Token]:
        """Tokens of this one's owner, for an admin everybody's, newest first, page by page."""
        params: dict[str, Any] = {"limit": 100}
        while True:
            page = self._transport.request("GET", "/v1/tokens", params=params).json()
            yield from (Token.model_validate(data) for data in page["data"])
            if not page["has_more"]:
                return
            params["after"] = page["next_cursor"]

    def revoke(self, token_id: str) -> None:
        """Let nobody use a token from now on.

        Raises:
            NotFound: there is none of this id, or it is another owner's.
        """
        self._transport.request("DELETE", f"/v1/tokens/{token_id}")

    def me(self) -> dict[str, Any]:
        """Who this client is to the server: owner, scopes and token."""
        answer: dict[str, Any] = self._transport.request("GET", "/v1/tokens/me").json()
        return answer


def body_of(
    *, owner: str, name: str, scopes: Sequence[str], expires_at: datetime | None, max_active_runs: int | None
) -> dict[str, Any]:
    """The body that asks for a token."""
    body: dict[str, Any] = {"owner": owner, "name": name, "scopes": list(scopes), "max_active_runs": max_active_runs}
    return body if expires_at is None else {**body, "expires_at": expires_at.isoformat()}
