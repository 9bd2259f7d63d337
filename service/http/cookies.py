"""The cookie of a signed-in browser: its names, and when it counts."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

PLAIN = "fitwell_token"
SECURE = "__Host-fitwell_token"
"""Over TLS: with this prefix, browsers refuse a cookie that was set without TLS or by a neighboring host."""


def secret_in(headers: Headers) -> str | None:
    """Return the secret in the cookie, the secure one first; None if the request has no such cookie."""
    jar = SimpleCookie()
    try:
        jar.load("; ".join(headers.getlist("cookie")))
    except CookieError:
        return None
    return next((jar[name].value for name in (SECURE, PLAIN) if name in jar), None)


def is_own_page(headers: Headers) -> bool:
    """Return whether the browser says that a page of this server sent the request.

    Browsers send cookies on their own, so a change needs this statement as well: silence is not enough. The auth
    middleware has refused other origins before.
    """
    return headers.get("sec-fetch-site") == "same-origin" or "origin" in headers
