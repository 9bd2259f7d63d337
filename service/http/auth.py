"""Authentication, before any route: where a request comes from, to whom it is addressed, and who sends it.

1. Requests that a page of another site sends are refused, whatever their method.
2. A server that needs no token serves its own machine only: the Host header must be one of its own names (DNS rebinding
   makes a foreign page same-site, and only the name shows it), and no proxy may have forwarded the request.
3. Otherwise a token authenticates the caller: in a header, or in the cookie of a signed-in browser. A cookie allows
   changes only if the browser says that a page of this server sent the request.

This is pure ASGI middleware, because responses are streams.
"""

from __future__ import annotations

import logging
import math
import re
from typing import Protocol
from urllib.parse import urlsplit

import sqlalchemy.exc
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.callers import Caller
from service.errors import (
    BadRequest,
    CrossSite,
    HostRefused,
    Refusal,
    TokenRefused,
    TokenRequired,
    TooManyAttempts,
    TooManyRequests,
)
from service.http import cookies
from service.http.problems import database_down, problem
from service.http.scopes import SAFE_METHODS, is_open
from service.http.throttle import Throttle
from service.settings import Settings

LOG = logging.getLogger("fitwell.api")
BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)
HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:]+))(?::\d*)?")
MAX_AUTHORIZATION_CHARACTERS = 512
CHALLENGE = 'Bearer realm="fitwell"'
FORWARDED = ("forwarded", "via", "x-real-ip")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Authenticator(Protocol):
    """Decides whether requests need a token, and whose a token is."""

    @property
    def surely_not_needed(self) -> bool:
        """Whether no token is needed, if that is certain without reading the database."""

    @property
    def local(self) -> Caller:
        """The caller of requests that need no token."""

    def needed(self) -> bool:
        """Return whether a token is needed; may read the database."""

    def authenticated(self, secret: str) -> Caller:
        """Return the caller that a token's secret identifies.

        Raises:
            TokenRefused: The token is unknown, expired or revoked.
        """


class AuthMiddleware:
    """Refuses requests that are not allowed in, and stores the caller in ``request.state.caller``."""

    def __init__(self, app: ASGIApp, tokens: Authenticator, settings: Settings) -> None:
        self._app = app
        self._tokens = tokens
        self._attempts = Throttle(settings.failed_auth_per_minute)
        rate = settings.requests_per_minute
        self._requests = None if rate is None else Throttle(rate)
        self._allowed_hosts = frozenset(settings.allowed_hosts)
        self._names = self._allowed_hosts | {*LOOPBACK_NAMES, settings.host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            check_query(scope)
            check_site(request.method, request.headers, self._allowed_hosts)
            if not is_open(scope["path"]):
                scope.setdefault("state", {})["caller"] = await self._caller(request)
        except Refusal as refusal:
            await problem(request, refusal)(scope, receive, send)
        except sqlalchemy.exc.OperationalError as error:
            await (await database_down(request, error))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _caller(self, request: Request) -> Caller:
        """Return the authenticated caller.

        Raises:
            HostRefused, TokenRequired, TokenRefused, TooManyAttempts, TooManyRequests
        """
        if self._tokens.surely_not_needed and not is_forwarded(request.headers):
            check_host(request.headers, self._names)
            return self._tokens.local
        try:
            caller = await run_in_threadpool(self._authenticate, request.method, request.headers)
        except TokenRefused as refusal:
            address = request.client.host if request.client else ""
            seconds = self._attempts.use(address)
            if seconds:
                raise TooManyAttempts(
                    f"This address sent too many invalid tokens; try again in {seconds:.0f} s with a valid one.",
                    headers={"retry-after": str(max(1, round(seconds)))},
                ) from refusal
            LOG.info("refused a token from %s", address)
            refusal.headers["www-authenticate"] = f'{CHALLENGE}, error="invalid_token"'
            raise
        self._limit_rate(caller)
        return caller

    def _limit_rate(self, caller: Caller) -> None:
        """Count the request of a token.

        Raises:
            TooManyRequests: The token exceeded its rate limit.
        """
        seconds = self._requests.use(caller.token_id) if self._requests is not None and caller.token_id else 0.0
        if seconds:
            raise TooManyRequests(
                f"This token exceeded its rate limit (FITWELL_REQUESTS_PER_MINUTE); retry in {seconds:.1f} s. "
                "Long polls (Prefer: wait=30) and event streams need fewer requests.",
                headers={"retry-after": str(max(1, math.ceil(seconds)))},
            )

    def _authenticate(self, method: str, headers: Headers) -> Caller:
        """Return the caller; this may read the database."""
        forwarded = is_forwarded(headers)
        if forwarded or self._tokens.needed():
            return self._tokens.authenticated(secret_of(method, headers, forwarded=forwarded))
        check_host(headers, self._names)
        return self._tokens.local


def install(app: FastAPI, tokens: Authenticator, settings: Settings) -> None:
    """Authenticate every request to ``app``."""
    app.add_middleware(AuthMiddleware, tokens=tokens, settings=settings)


def check_query(scope: Scope) -> None:
    """Refuse a query that is not ASCII: its encoding is unknown. The HTTP parser has checked the path.

    Raises:
        BadRequest: The query contains other bytes.
    """
    if not scope.get("query_string", b"").isascii():
        raise BadRequest("The query contains bytes that are not ASCII; encode them as %C3%A9 (curl: --data-urlencode).")


def check_site(method: str, headers: Headers, names: frozenset[str]) -> None:
    """Refuse requests that a page of another site sent; following a link from there is fine.

    Raises:
        CrossSite: A page of another site sent the request.
    """
    for origin in headers.getlist("origin"):
        if not _is_own(origin, headers.get("host", ""), names):
            raise CrossSite(f"A page of {origin!r} sent this request; pages of other sites are refused.")
    is_link = method in SAFE_METHODS and headers.get("sec-fetch-mode") == "navigate"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not is_link:
        raise CrossSite("A page of another site sent this request; pages of other sites are refused.")


def _is_own(origin: str, host: str, names: frozenset[str]) -> bool:
    """Return whether an origin is this server: by the request's Host, or (behind a proxy) by a configured name."""
    try:
        url = urlsplit(origin)
        return url.hostname is not None and (url.netloc.lower() == host.lower() or url.hostname in names)
    except ValueError:
        return False


def check_host(headers: Headers, names: frozenset[str]) -> None:
    """Refuse requests that are addressed to none of ``names``.

    Raises:
        HostRefused: The Host header names another server.
    """
    hosts = headers.getlist("host")
    match = HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
    if match is None or (match[1] or match[2]) not in names:
        raise HostRefused(
            f"Unknown host {', '.join(hosts)!r}. Without tokens this server accepts "
            f"{', '.join(sorted(names))}; FITWELL_ALLOWED_HOSTS adds names."
        )


def is_forwarded(headers: Headers) -> bool:
    """Return whether a proxy forwarded the request, which then may come from anywhere."""
    return any(name in FORWARDED or name.startswith("x-forwarded-") for name in headers)


def secret_of(method: str, headers: Headers, *, forwarded: bool) -> str:
    """Return the token's secret from the header or the cookie; never from the URL, since URLs end up in logs.

    Raises:
        TokenRequired: The request has no token.
        TokenRefused: The header is malformed.
        CrossSite: A cookie came with a change, and the browser does not say that a page of this server sent it.
    """
    values = headers.getlist("authorization")
    cookie = None if values else cookies.secret_in(headers)
    if cookie is not None:
        if method not in SAFE_METHODS and not cookies.is_own_page(headers):
            raise CrossSite("A cookie alone cannot change anything: send the header Authorization: Bearer fw_…")
        return cookie
    if not values:
        subject = "A request through a proxy needs" if forwarded else "This server needs"
        raise TokenRequired(
            f"{subject} a token: send the header Authorization: Bearer fw_…; the fitwell command reads it from "
            "FITWELL_TOKEN. An admin creates one with: fitwell token create",
            headers={"www-authenticate": CHALLENGE},
        )
    is_short = len(values[0]) <= MAX_AUTHORIZATION_CHARACTERS
    match = BEARER.fullmatch(values[0].strip()) if len(values) == 1 and is_short else None
    if match is None:
        raise TokenRefused("Send one Authorization header of the form: Bearer fw_…")
    return match[1]
