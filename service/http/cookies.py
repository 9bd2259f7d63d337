"""The cookie that a signed-in browser sends instead of a header: its names, and when it counts."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

PLAIN = "fitwell_token"
SECURE = "__Host-fitwell_token"
"""Over TLS: the prefix makes browsers refuse one that was set without it, or by a neighbouring host."""


def secret_in(headers: Headers) -> str | None:
    """The secret in the cookie, the secure one first; None where there is none."""
    jar = SimpleCookie()
    try:
        jar.load("; ".join(headers.getlist("cookie")))
    except CookieError:
        return None
    return next((jar[name].value for name in (SECURE, PLAIN) if name in jar), None)


def is_own_page(headers: Headers) -> bool:
    """Whether a browser says that a page of this server sent the request; the edge has refused those of other sites.

    A cookie comes by itself, so what changes something needs this word besides: silence is not enough.
    """
    return headers.get("sec-fetch-site") == "same-origin" or "origin" in headers
