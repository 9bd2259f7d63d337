"""Signing in: the browser stores the token in a cookie that scripts cannot read."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from service.http import cookies
from service.http.dependencies import CallerDep
from service.http.routing import Route
from service.http.scopes import needs
from service.tokens.dependencies import UnscopedTokensDep
from service.web.middleware import delete_cookies
from service.web.parameters import SignInQuery
from service.web.rendering import render

router = APIRouter(include_in_schema=False, route_class=Route)
COOKIE_SECONDS = 30 * 86_400


@router.get("/sign-in")
def get_sign_in(query: Annotated[SignInQuery, Query()], tokens: UnscopedTokensDep) -> Response:
    """Render the sign-in page, or redirect if the server needs no token."""
    target = local_path(query.next)
    if not tokens.needed():
        return RedirectResponse(target, 303)
    page = render("sign_in.html", caller=None, next=target, section="")
    return HTMLResponse(page, headers={"cache-control": "no-store"})


@router.post("/session", openapi_extra=needs("read"))
def begin(request: Request, caller: CallerDep) -> Response:
    """Store the request's token, which the auth middleware has checked, in a cookie.

    The token is sent in a header, not in a form: other sites cannot send it, and failed attempts count as usual.
    """
    response = Response(status_code=204, headers={"cache-control": "no-store"})
    scheme, _, secret = request.headers.get("authorization", "").strip().partition(" ")
    if caller.token_id is not None and scheme.lower() == "bearer":
        # Only the browser knows its scheme: TLS may end at a proxy.
        over_tls = urlsplit(request.headers.get("origin", "")).scheme == "https"
        response.set_cookie(
            cookies.SECURE if over_tls else cookies.PLAIN,
            secret.strip(),
            max_age=COOKIE_SECONDS,
            secure=over_tls,
            httponly=True,
            samesite="strict",
        )
    return response


@router.delete("/session", openapi_extra=needs("read"))
def end() -> Response:
    """Delete the token's cookie in this browser."""
    response = Response(status_code=204, headers={"cache-control": "no-store"})
    delete_cookies(response)
    return response


def local_path(path: str) -> str:
    """Return ``path`` if it is a path of this server, else the path of the first page."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if is_local else "/"
