"""Digests of JSON values, equal for equal values in any notation."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def sha256_of(value: Any) -> str:
    """Return ``sha256:…`` of a JSON value in its canonical form (RFC 8785)."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps(value)).hexdigest()
