"""The Idempotency-Key header: what it covers, and the response to a request that can be replayed."""

from __future__ import annotations

import hashlib
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Header, Request
from starlette.responses import Response

from service.http.scopes import caller_of
from service.idempotency import Key, StoredResponse

JSON = "application/json"


async def _key(
    request: Request, idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None
) -> Key | None:
    if idempotency_key is None:
        return None
    return Key(
        value=idempotency_key,
        owner=caller_of(request).owner,
        path=request.url.path,
        fingerprint=fingerprint(await request.body(), request.query_params.multi_items()),
    )


IdempotencyKey = Annotated[Key | None, Depends(_key)]
"""The request's Idempotency-Key, bound to its owner, path, body and query; None if the header is absent."""


def fingerprint(body: bytes, query: list[tuple[str, str]]) -> str:
    """Return the SHA-256 of a request's body and query; the order of parameters does not matter."""
    digest = hashlib.sha256(body)
    if query:  # a request without one keeps the fingerprint that earlier versions stored
        digest.update(b"\0?" + urlencode(sorted(query)).encode())
    return digest.hexdigest()


def created(response: StoredResponse, collection: str | None = None) -> Response:
    """Return the stored bytes, with the address of the new resource in ``collection``; replays are byte-equal."""
    headers = {"location": f"{collection}/{response.resource_id}"} if collection else {}
    if response.replayed:
        headers["idempotency-replayed"] = "true"
    return Response(response.body, response.status_code, headers, JSON)
