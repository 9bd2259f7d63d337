"""Who asks, which scope a route needs, and how OpenAPI tells of both."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.routing import BaseRoute

from service.callers import Caller, Scope
from service.errors import (
    CrossSite,
    HostRefused,
    NotOwner,
    ScopeMissing,
    TokenRefused,
    TokenRequired,
    TooManyAttempts,
    TooManyRequests,
)
from service.http.problems import problems

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/sign-in", "/static/{version}/{path:path}"})
"""Routes that are answered without a token: whether the service lives, and where a token is given; nothing else."""
OPEN_FILES = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SCHEME = "token"
DESCRIPTION = (
    "A token that an admin made, as `Authorization: Bearer fw_…`. Scopes: read; write, which holds read; admin, which "
    "holds write. A browser that signed in to the dashboard sends a cookie instead. A server that only its own machine "
    "can reach answers without one until the first is made."
)


def is_open(path: str) -> bool:
    """Whether a path is answered without a token; the files of the pages are the same for everybody."""
    return path in OPEN_PATHS or path.startswith(OPEN_FILES)


def needs(scope: Scope) -> dict[str, Any]:
    """What a route's ``openapi_extra`` says where its method alone would ask for another scope."""
    return {"security": [{SCHEME: [scope]}]}


def caller_of(request: Request) -> Caller:
    """Whoever asks; the edge has seen to it."""
    caller: Caller = request.state.caller
    return caller


async def scoped(request: Request) -> None:
    """A dependency of every route: refuses callers whose token has not the scope that the route needs.

    Raises:
        ScopeMissing: it has not.
    """
    needed = scope_of(request.scope["route"], request.method)
    if needed is None or caller_of(request).has(needed):
        return
    held = ", ".join(caller_of(request).scopes)
    challenge = f'Bearer realm="fitwell", error="insufficient_scope", scope="{needed}"'
    raise ScopeMissing(
        f"This needs the scope {needed!r}, and the token has only {held!r}. An admin can make one that has it.",
        headers={"www-authenticate": challenge},
    )


def scope_of(route: BaseRoute, method: str) -> Scope | None:
    """The scope that a route needs: what it says, else by its method; None where no token is needed."""
    if getattr(route, "path", None) in OPEN_PATHS:
        return None
    said = (getattr(route, "openapi_extra", None) or {}).get("security")
    if said:
        scope: Scope = said[0][SCHEME][0]
        return scope
    return "read" if method in SAFE_METHODS else "write"


def tell(document: dict[str, Any]) -> None:
    """Add to an OpenAPI document the tokens, and every refusal that any operation can answer for want of one."""
    schemes = document["components"].setdefault("securitySchemes", {})
    schemes[SCHEME] = {"type": "http", "scheme": "bearer", "bearerFormat": "fw_…", "description": DESCRIPTION}
    everywhere = [CrossSite]
    behind = [
        TokenRequired,
        TokenRefused,
        ScopeMissing,
        NotOwner,
        HostRefused,
        CrossSite,
        TooManyAttempts,
        TooManyRequests,
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            open_to_all = is_open(path)
            scope = "read" if method.upper() in SAFE_METHODS else "write"
            operation.setdefault("security", [] if open_to_all else [{SCHEME: [scope]}])
            for status, said in problems(*(everywhere if open_to_all else behind)).items():
                _add_response(operation["responses"], str(status), said["description"])


def _add_response(responses: dict[str, Any], status: str, description: str) -> None:
    there = responses.setdefault(status, {"description": "", "content": _PROBLEM})
    there["description"] = f"{there['description']}; {description}".removeprefix("; ")


_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
