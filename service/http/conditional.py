"""Conditional requests: entity tags and 304."""

from __future__ import annotations

import hashlib

from fastapi import Request
from starlette.responses import Response


def etag(*parts: object) -> str:
    """Return a strong entity tag for the representation that ``parts`` identify."""
    return '"' + hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:20] + '"'


def matches(request: Request, tag: str) -> bool:
    """Return whether the client already has the representation (If-None-Match)."""
    header = request.headers.get("if-none-match", "")
    return header.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in header.split(",")]


def not_modified(tag: str, **headers: str) -> Response:
    """Return 304 with the entity tag; underscores in the names of ``headers`` stand for hyphens."""
    return Response(status_code=304, headers={"etag": tag, **{k.replace("_", "-"): v for k, v in headers.items()}})
