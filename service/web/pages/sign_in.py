"""Signing in: whoever has a token gets it kept by the browser, out of the reach of scripts."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from service.http import cookies
from service.http.dependencies import CallerDep, only
from service.http.scopes import needs
from service.tokens.service import Tokens
from service.web.middleware import forget
from service.web.rendering import rendered

router = APIRouter(include_in_schema=False)
KEPT_SECONDS = 30 * 86_400


@router.get("/sign-in", dependencies=[Depends(only("next"))])
def get_sign_in(request: Request, next: str = "/") -> Response:  # noqa: A002
    """The page that takes a token; where none is needed there is nothing to do."""
    there = local(next)
    if not request.app.state.services[Tokens].needed():
        return RedirectResponse(there, 303)
    page = rendered("sign_in.html", caller=None, next=there, section="")
    return HTMLResponse(page, headers={"cache-control": "no-store"})


@router.post("/session", openapi_extra=needs("read"), dependencies=[Depends(only())])
def begin(request: Request, caller: CallerDep) -> Response:
    """Keep the token of this request's header, which the edge has seen to, in a cookie.

    It comes in a header, not in a form: no page of another site can send it, and wrong ones are counted as elsewhere.
    """
    answer = Response(status_code=204, headers={"cache-control": "no-store"})
    scheme, _, secret = request.headers.get("authorization", "").strip().partition(" ")
    if caller.token_id is not None and scheme.lower() == "bearer":
        # Which scheme the browser sees, only the browser knows: TLS may end at a proxy.
        over_tls = urlsplit(request.headers.get("origin", "")).scheme == "https"
        answer.set_cookie(
            cookies.SECURE if over_tls else cookies.PLAIN,
            secret.strip(),
            max_age=KEPT_SECONDS,
            secure=over_tls,
            httponly=True,
            samesite="strict",
        )
    return answer


@router.delete("/session", openapi_extra=needs("read"), dependencies=[Depends(only())])
def end() -> Response:
    """Forget the token in this browser."""
    answer = Response(status_code=204, headers={"cache-control": "no-store"})
    forget(answer)
    return answer


def local(there: str) -> str:
    """The address, if it is a path of this server; else the first page."""
    plain = there.startswith("/") and not there.startswith(("//", "/\\")) and there.isprintable() and "\\" not in there
    return there if plain else "/"
