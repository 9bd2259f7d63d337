"""The edge: what every request passes before any route sees it. Pure ASGI, since answers are streams.

1. A page of another site gets nothing, whether its request would have changed something or not.
2. Where no token is needed, the request must be addressed to this machine by a name that is its own (a page whose name
   was made to lead here is of its own site, and only the name gives it away), and must not have come through a proxy.
3. Elsewhere a token says who asks: in a header, or in the cookie of a browser that signed in, which counts for changes
   only where the browser says that a page of this server asks for them.
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
MOST_HEADER = 512
"""Characters of an Authorization header that are looked at."""
CHALLENGE = 'Bearer realm="fitwell"'
FORWARDED = ("forwarded", "via", "x-real-ip")
OWN_NAMES = ("localhost", "127.0.0.1", "::1")


class Authenticator(Protocol):
    """Knows whether tokens are needed, and whose a token is."""

    @property
    def surely_not_needed(self) -> bool:
        """Whether no token is needed, as far as can be said without the database."""

    @property
    def local(self) -> Caller:
        """The caller where no token is needed."""

    def needed(self) -> bool:
        """Return whether a token is needed; may read the database."""

    def authenticated(self, secret: str) -> Caller:
        """Return the caller that a token's secret stands for.

        Raises:
            TokenRefused: The token is unknown, expired or revoked.
        """


class AuthMiddleware:
    """Refuses what must not come in, and notes who asks (``request.state.caller``)."""

    def __init__(self, app: ASGIApp, tokens: Authenticator, settings: Settings) -> None:
        self._app = app
        self._tokens = tokens
        self._throttle = Throttle(settings.failed_auth_per_minute)
        most = settings.requests_per_minute
        self._pace = None if most is None else Throttle(most)
        self._given_names = frozenset(settings.allowed_hosts)
        self._names = self._given_names | {*OWN_NAMES, settings.host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            check_address(scope)
            check_site(request.method, request.headers, self._given_names)
            if not is_open(scope["path"]):
                scope.setdefault("state", {})["caller"] = await self._caller(request)
        except Refusal as refusal:
            await problem(request, refusal)(scope, receive, send)
        except sqlalchemy.exc.OperationalError as error:
            await (await database_down(request, error))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _caller(self, request: Request) -> Caller:
        """Whoever asks.

        Raises:
            HostRefused, TokenRequired, TokenRefused, TooManyAttempts, TooManyRequests
        """
        if self._tokens.surely_not_needed and not is_forwarded(request.headers):
            check_host(request.headers, self._names)
            return self._tokens.local
        try:
            caller = await run_in_threadpool(self._known, request.method, request.headers)
        except TokenRefused as refusal:
            address = request.client.host if request.client else ""
            seconds = self._throttle.taken(address)
            if seconds:
                raise TooManyAttempts(
                    f"Too many wrong tokens came from this address; try again in {seconds:.0f} s, with a right one.",
                    headers={"retry-after": str(max(1, round(seconds)))},
                ) from refusal
            LOG.info("a token from %s was refused", address)
            refusal.headers["www-authenticate"] = f'{CHALLENGE}, error="invalid_token"'
            raise
        self._keep_pace(caller)
        return caller

    def _keep_pace(self, caller: Caller) -> None:
        """Refuse a token that asks too often.

        Raises:
            TooManyRequests: it does.
        """
        seconds = self._pace.taken(caller.token_id) if self._pace is not None and caller.token_id else 0.0
        if seconds:
            raise TooManyRequests(
                f"This token has asked as often as it may (FITWELL_REQUESTS_PER_MINUTE); go on in {seconds:.1f} s. "
                "Long polls (Prefer: wait=30) and streams of events need fewer requests.",
                headers={"retry-after": str(max(1, math.ceil(seconds)))},
            )

    def _known(self, method: str, headers: Headers) -> Caller:
        """Whoever asks so; this may ask the database."""
        forwarded = is_forwarded(headers)
        if forwarded or self._tokens.needed():
            return self._tokens.authenticated(secret_of(method, headers, forwarded=forwarded))
        check_host(headers, self._names)
        return self._tokens.local


def install(app: FastAPI, tokens: Authenticator, settings: Settings) -> None:
    """Put the edge before ``app``."""
    app.add_middleware(AuthMiddleware, tokens=tokens, settings=settings)


def check_address(scope: Scope) -> None:
    """Refuse an address that is none; its path has been looked at when it was parsed.

    Raises:
        BadRequest: its query holds bytes that are not ASCII, and nobody knows which characters they are.
    """
    if not scope.get("query_string", b"").isascii():
        raise BadRequest(
            "The address holds bytes that are not ASCII; write them as %C3%A9, with curl by --data-urlencode."
        )


def check_site(method: str, headers: Headers, names: frozenset[str]) -> None:
    """Refuse what a page of another site sent; following a link to here is no such thing.

    Raises:
        CrossSite: it was one.
    """
    for origin in headers.getlist("origin"):
        if not _is_own(origin, headers.get("host", ""), names):
            raise CrossSite(f"A page of {origin!r} sent this, and pages of other sites get no answer here.")
    followed = method in SAFE_METHODS and headers.get("sec-fetch-mode") == "navigate"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not followed:
        raise CrossSite("A page of another site sent this, and those get no answer here.")


def _is_own(origin: str, host: str, names: frozenset[str]) -> bool:
    """Whether an origin is this server: as the request names it, or by one of its given names (behind a proxy)."""
    try:
        there = urlsplit(origin)
        return there.hostname is not None and (there.netloc.lower() == host.lower() or there.hostname in names)
    except ValueError:
        return False


def check_host(headers: Headers, names: frozenset[str]) -> None:
    """Refuse what is addressed to a name that is not one of ``names``.

    Raises:
        HostRefused: it is not.
    """
    given = headers.getlist("host")
    found = HOST.fullmatch(given[0].lower()) if len(given) == 1 else None
    if found is None or (found[1] or found[2]) not in names:
        raise HostRefused(
            f"This server is not called {', '.join(given)!r}. Without tokens it answers only to "
            f"{', '.join(sorted(names))}; FITWELL_ALLOWED_HOSTS adds names."
        )


def is_forwarded(headers: Headers) -> bool:
    """Whether a proxy passed this on: then it may have come from anywhere."""
    return any(name in FORWARDED or name.startswith("x-forwarded-") for name in headers)


def secret_of(method: str, headers: Headers, *, forwarded: bool) -> str:
    """The secret of the token that came; an address has no place for one, since addresses end up in logs.

    Raises:
        TokenRequired: there is none.
        TokenRefused: what came is not one.
        CrossSite: it came in a cookie, to change something, and no page of this server is said to have sent it.
    """
    given = headers.getlist("authorization")
    kept = None if given else cookies.secret_in(headers)
    if kept is not None:
        if method not in SAFE_METHODS and not cookies.is_own_page(headers):
            raise CrossSite("A cookie alone changes nothing here: send the header Authorization: Bearer fw_…")
        return kept
    if not given:
        why = "This request came through a proxy, so it needs" if forwarded else "This server needs"
        raise TokenRequired(
            f"{why} a token, as the header Authorization: Bearer fw_…; the fitwell command takes it from "
            "FITWELL_TOKEN. An admin makes one with: fitwell token create",
            headers={"www-authenticate": CHALLENGE},
        )
    found = BEARER.fullmatch(given[0].strip()) if len(given) == 1 and len(given[0]) <= MOST_HEADER else None
    if found is None:
        raise TokenRefused("The header Authorization must be one, and read: Bearer fw_…")
    return found[1]
