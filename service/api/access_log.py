"""A line in the log for every request that is refused; with DEBUG, for every one."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("fitwell.requests")
REFUSED = 400


class Told:
    """Tells of requests as they end; never of what a query, a header or a body holds."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            level = logging.INFO if status >= REFUSED or not status else logging.DEBUG
            if LOG.isEnabledFor(level):
                _tell(level, scope, status, time.perf_counter() - began)


def _tell(level: int, scope: Scope, status: int, seconds: float) -> None:
    # As it was sent: a line's end in a path is an escape there, and no line's end in the log.
    path = scope.get("raw_path", scope["path"].encode()).decode("ascii", "backslashreplace")
    caller = scope.get("state", {}).get("caller")
    who = {} if caller is None else {"owner": caller.owner}
    about = {"method": scope["method"], "path": path, "status": status, "seconds": round(seconds, 4), **who}
    LOG.log(level, "%s %s %s in %.3f s", scope["method"], path, status or "without an answer", seconds, extra=about)
