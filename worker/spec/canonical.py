"""Names for JSON values: equal values have equal names, however they were written."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def sha256_of(value: Any) -> str:
    """``sha256:…`` of a JSON value in its canonical form (RFC 8785)."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps(value)).hexdigest()
