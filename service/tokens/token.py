"""A token as its owner sees it, and what its secret looks like."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from service.callers import Scope
from service.store.rows import Row

SECRET_BYTES = 32
SHOWN = 9
"""Characters of the secret by which its owner knows it again: 36 of its 256 bits."""
SECRET = re.compile(r"fw_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token to be. Times are seconds since the epoch."""

    name: str
    owner: str
    scopes: Sequence[Scope]
    expires_at: float | None = None
    max_active_runs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token; its secret is not kept anywhere. Times are seconds since the epoch."""

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
        """The token in ``row``."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


def new_secret() -> str:
    """A fresh secret: 256 random bits, marked so that scanners of leaked secrets know it."""
    return f"fw_{secrets.token_urlsafe(SECRET_BYTES)}"


def hashed(secret: str) -> str:
    """What is stored of a secret.

    A plain SHA-256 is enough, and a slow hash with salt would gain nothing: nobody can try 2²⁵⁶ secrets, however fast.
    The hash is looked up in an index, so that how long it takes depends on the hash and tells nothing about the secret.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
