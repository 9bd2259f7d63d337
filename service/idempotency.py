"""Idempotency: the first answer to a request is stored, and every repeat of the request gets it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from service.errors import KeyReused
from service.store import idempotency_keys as keys


@dataclass(frozen=True, kw_only=True)
class Key:
    """An Idempotency-Key with all that it is bound to."""

    value: str
    owner: str
    path: str
    body_sha256: str


@dataclass(frozen=True)
class Answer:
    """A stored or fresh answer to a submission, and the id of what it made."""

    status_code: int
    body: str
    made: str
    replayed: bool = False


def answered(connection: sa.Connection, key: Key, seconds: float) -> Answer | None:
    """The answer that this request got in the last ``seconds``; who comes with the same key waits for this one.

    Raises:
        KeyReused: the key came with another body before.
    """
    keys.reserve(connection, key.owner, key.path, key.value)
    found = keys.find(connection, key.owner, key.path, key.value, seconds)
    if found is None:
        return None
    if found.body_sha256 != key.body_sha256:
        raise KeyReused(
            f"The Idempotency-Key {key.value!r} was used with another body; it belongs to {found.made}. "
            "Use a fresh key for another request."
        )
    return Answer(found.status_code, found.response, found.made, replayed=True)


def remember(connection: sa.Connection, key: Key, answer: Answer) -> None:
    """Store the first answer."""
    values = {
        "owner": key.owner,
        "path": key.path,
        "key": key.value,
        "body_sha256": key.body_sha256,
        "made": answer.made,
        "status_code": answer.status_code,
        "response": answer.body,
    }
    keys.store(connection, values)
