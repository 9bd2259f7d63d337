"""Tokens and their secrets."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from service.callers import Scope
from service.store.rows import Row

SECRET_BYTES = 32
PREFIX_CHARACTERS = 9
"""Characters of the secret that are stored so that its owner recognizes it: 36 of its 256 bits."""
SECRET = re.compile(r"fw_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token to create. Times are seconds since the epoch."""

    name: str
    owner: str
    scopes: Sequence[Scope]
    expires_at: float | None = None
    max_active_runs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token, whose secret is not stored. Times are seconds since the epoch."""

    id: str
    name: str
    owner: str
    scopes: Sequence[Scope]
    prefix: str
    max_active_runs: int | None
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    revoked_at: float | None

    @classmethod
    def of(cls, row: Row) -> Token:
        """Return the token in ``row``."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


def new_secret() -> str:
    """Return a new secret: 256 random bits, with a prefix that scanners for leaked secrets can match."""
    return f"fw_{secrets.token_urlsafe(SECRET_BYTES)}"


def hashed(secret: str) -> str:
    """Return the stored hash of a secret.

    Plain SHA-256 is enough: a slow hash with salt protects secrets that can be guessed, not 256 random bits. The index
    is searched for the hash, so the time of a search depends on the hash and reveals nothing about the secret.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
