"""Security headers, and error pages for browsers.

Services raise the same errors for pages as for the API. If the client accepts HTML, this middleware replaces the
problem document with an error page, and a missing token with a redirect to the sign-in page. It is pure ASGI, because
other responses are streams.
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
from service.web.rendering import render

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
API_PATHS = ("/v1/", "/healthz", "/readyz", "/metrics", "/openapi.json")
API_HEADERS = {"cache-control": "private, no-cache", "x-content-type-options": "nosniff"}
"""Requests may be authenticated by cookie, so that a shared cache must not store the responses."""
UNAUTHORIZED = 401


class DashboardMiddleware:
    """Adds security headers to responses and turns problem documents into error pages for browsers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, is_api = Headers(scope=scope), scope["path"].startswith(API_PATHS)
        problem = _Problem() if "text/html" in request.get("accept", "") and not is_api else None

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (API_HEADERS if is_api else HEADERS).items():
                    headers.setdefault(name, value)
            if problem is None or not problem.collects(message):
                await send(message)
            elif problem.complete:
                response = _error_page(scope, request, problem)
                response.headers.update(HEADERS)
                await response(scope, receive, send)

        await self._app(scope, receive, send_with_headers)


class _Problem:
    """A problem document, collected from ASGI messages."""

    def __init__(self) -> None:
        self.complete = False
        self._status = 0
        self._headers = Headers()
        self._body = b""

    def collects(self, message: Message) -> bool:
        """Collect the message if it belongs to a problem document; return whether it does."""
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
        """The status code."""
        return self._status

    @property
    def headers(self) -> dict[str, str]:
        """Headers that also apply to the error page."""
        return {name: self._headers[name] for name in ("retry-after", "allow") if name in self._headers}

    @property
    def body(self) -> dict[str, Any]:
        """The problem document."""
        body: dict[str, Any] = json.loads(self._body)
        return body


def _error_page(scope: Scope, request: Headers, problem: _Problem) -> Response:
    # A browser keeps sending an invalid cookie, which soon exceeds the limit of failed attempts.
    if problem.status != UNAUTHORIZED and problem.body["code"] != TooManyAttempts.code:
        body = render("problem.html", problem=problem.body, caller=None, section="")
        return HTMLResponse(body, problem.status, {**problem.headers, "cache-control": "no-store"})
    if "hx-request" in request:  # part of an open page: reload it, which leads to the sign-in page
        return Response(status_code=UNAUTHORIZED, headers={"hx-refresh": "true"})
    secret = cookies.secret_in(request)
    if secret is None and request.get("sec-fetch-site") == "cross-site":
        # Browsers omit a strict cookie when a link on another site is followed, and send it on a reload.
        return HTMLResponse(render("reload.html"), headers={"cache-control": "no-store"})
    query = scope["query_string"].decode("latin-1")
    target = scope["path"] + (f"?{query}" if query else "") if scope["method"] == "GET" else "/"
    response = RedirectResponse(f"/sign-in?next={quote(target, safe='')}", 303, {"cache-control": "no-store"})
    if secret is not None:  # invalid or revoked
        delete_cookies(response)
    return response


def delete_cookies(response: Response) -> None:
    """Delete the token's cookies in the browser."""
    response.delete_cookie(cookies.PLAIN, httponly=True, samesite="strict")
    response.delete_cookie(cookies.SECURE, secure=True, httponly=True, samesite="strict")
