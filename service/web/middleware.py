"""What every page is sent with, and how refusals are told to people. Pure ASGI: the rest of the answers are streams.

The rules refuse as they do for the API, with problems; where a browser asked for a page, it gets the problem as one,
and where a token is missing, the way to the page that takes one.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import TooManyAttempts
from service.http import cookies
from service.http.problems import MEDIA_TYPE
from service.web.rendering import rendered

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
OF_THE_API = ("/v1/", "/healthz", "/readyz", "/metrics", "/openapi.json")
HEADERS_OF_THE_API = {"cache-control": "private, no-cache", "x-content-type-options": "nosniff"}
"""Whoever signed in asks by a cookie, which a cache on the way may not know to be the reason of the answer."""
UNAUTHORIZED = 401


class Answers:
    """Adds the headers of every answer, and turns problems into pages for browsers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked, of_the_api = Headers(scope=scope), scope["path"].startswith(OF_THE_API)
        told = _Problem() if "text/html" in asked.get("accept", "") and not of_the_api else None

        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (HEADERS_OF_THE_API if of_the_api else HEADERS).items():
                    headers.setdefault(name, value)
            if told is None or not told.takes(message):
                await send(message)
            elif told.complete:
                answer = _page(scope, asked, told)
                answer.headers.update(HEADERS)
                await answer(scope, receive, send)

        await self._app(scope, receive, send_dressed)


class _Problem:
    """A problem on its way, collected until it is whole."""

    def __init__(self) -> None:
        self.complete = False
        self._status = 0
        self._headers = Headers()
        self._body = b""

    def takes(self, message: Message) -> bool:
        """Whether the message is part of a problem."""
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            if headers.get("content-type") == MEDIA_TYPE:
                self._status, self._headers = message["status"], headers
        elif self._status:
            self._body += message.get("body", b"")
            self.complete = not message.get("more_body", False)
        return bool(self._status)

    @property
    def status(self) -> int:
        """Its status."""
        return self._status

    @property
    def kept(self) -> dict[str, str]:
        """Headers that say something whatever form the answer has."""
        return {name: self._headers[name] for name in ("retry-after", "allow") if name in self._headers}

    @property
    def body(self) -> dict[str, Any]:
        """What it says."""
        said: dict[str, Any] = json.loads(self._body)
        return said


def _page(scope: Scope, asked: Headers, told: _Problem) -> Response:
    # A browser goes on sending a cookie that is worth nothing any more, which soon is too often.
    if told.status != UNAUTHORIZED and told.body["code"] != TooManyAttempts.code:
        body = rendered("problem.html", problem=told.body, caller=None, section="")
        return HTMLResponse(body, told.status, {**told.kept, "cache-control": "no-store"})
    if "hx-request" in asked:  # part of a page that is open: it is loaded again, which leads to the way in
        return Response(status_code=UNAUTHORIZED, headers={"hx-refresh": "true"})
    secret = cookies.secret_in(asked)
    if secret is None and asked.get("sec-fetch-site") == "cross-site":
        # A strict cookie does not come along where a link of another site is followed; from here it does.
        return HTMLResponse(rendered("again.html"), headers={"cache-control": "no-store"})
    query = scope["query_string"].decode("latin-1")
    there = scope["path"] + (f"?{query}" if query else "") if scope["method"] == "GET" else "/"
    answer = RedirectResponse(f"/sign-in?next={quote(there, safe='')}", 303, {"cache-control": "no-store"})
    if secret is not None:  # it is worth nothing any more
        forget(answer)
    return answer


def forget(answer: Response) -> None:
    """Let the browser forget the cookie."""
    answer.delete_cookie(cookies.PLAIN, httponly=True, samesite="strict")
    answer.delete_cookie(cookies.SECURE, secure=True, httponly=True, samesite="strict")
