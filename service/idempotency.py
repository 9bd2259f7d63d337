"""Idempotency: the first response to a request is stored, and every repetition of the request replays it.

Both steps happen in the transaction that serves the request: ``replay`` first, ``store`` with the response.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from service.errors import KeyReused
from service.store import idempotency_keys as keys


@dataclass(frozen=True, kw_only=True)
class Key:
    """An Idempotency-Key with the request that it stands for."""

    value: str
    owner: str
    path: str
    fingerprint: str
    """SHA-256 of the request's body, and of its query if it has one."""


@dataclass(frozen=True)
class StoredResponse:
    """The response to a request that created something."""

    status_code: int
    body: str
    resource_id: str
    """The id of what the request created or changed."""
    replayed: bool = False


def replay(connection: sa.Connection, key: Key | None, seconds: float) -> StoredResponse | None:
    """Return the response that this request got in the last ``seconds``; None if it is new or has no key.

    Concurrent requests with the same key wait for the first.

    Raises:
        KeyReused: The key was used with another body or query.
    """
    if key is None:
        return None
    keys.reserve(connection, key.owner, key.path, key.value)
    row = keys.find(connection, key.owner, key.path, key.value, seconds)
    if row is None:
        return None
    if row.body_sha256 != key.fingerprint:
        raise KeyReused(
            f"The Idempotency-Key {key.value!r} was used with another body or query, for {row.made}. "
            "Use a new key for a new request."
        )
    return StoredResponse(row.status_code, row.response, row.made, replayed=True)


def store(connection: sa.Connection, key: Key | None, response: StoredResponse) -> None:
    """Store the response for ``replay``, if the request has a key."""
    if key is None:
        return
    values = {
        "owner": key.owner,
        "path": key.path,
        "key": key.value,
        "body_sha256": key.fingerprint,
        "made": response.resource_id,
        "status_code": response.status_code,
        "response": response.body,
    }
    keys.store(connection, values)
