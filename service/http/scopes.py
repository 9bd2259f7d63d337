"""Scopes: which one a route needs, whether the caller has it, and how OpenAPI documents both."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.routing import BaseRoute

from service.callers import Caller, Scope
from service.errors import ScopeMissing

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/sign-in", "/static/{version}/{path:path}"})
"""Routes that need no token: health, the sign-in page, and the pages' files."""
OPEN_FILES = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SCHEME = "token"


def is_open(path: str) -> bool:
    """Return whether a path needs no token."""
    return path in OPEN_PATHS or path.startswith(OPEN_FILES)


def needs(scope: Scope) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that needs another scope than its method implies."""
    return {"security": [{SCHEME: [scope]}]}


def caller_of(request: Request) -> Caller:
    """Return the caller, whom the auth middleware has authenticated."""
    caller: Caller = request.state.caller
    return caller


def require_scope(request: Request) -> None:
    """Refuse a caller whose token lacks the scope that the route needs.

    Raises:
        ScopeMissing: The token lacks it.
    """
    needed = scope_of(request.scope["route"], request.method)
    if needed is None or caller_of(request).has(needed):
        return
    held = ", ".join(caller_of(request).scopes)
    challenge = f'Bearer realm="fitwell", error="insufficient_scope", scope="{needed}"'
    raise ScopeMissing(
        f"This needs the scope {needed!r}; the token has {held!r}. An admin can create a token that has it.",
        headers={"www-authenticate": challenge},
    )


async def scoped(request: Request) -> None:
    """Check the scope as a dependency; ``service.http.routing.Route`` has checked it before it reads a body."""
    require_scope(request)


def scope_of(route: BaseRoute, method: str) -> Scope | None:
    """Return the scope that a route declares, else the one of its method; None for a route that needs no token."""
    if getattr(route, "path", None) in OPEN_PATHS:
        return None
    security = (getattr(route, "openapi_extra", None) or {}).get("security")
    if security:
        scope: Scope = security[0][SCHEME][0]
        return scope
    return "read" if method in SAFE_METHODS else "write"
