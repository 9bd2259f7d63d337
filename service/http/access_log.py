"""The access log: a line for every request that is refused; with DEBUG, for every request."""

from __future__ import annotations

import logging

from starlette.types import Scope

LOG = logging.getLogger("fitwell.requests")
MIN_ERROR_STATUS = 400


def log_request(scope: Scope, status: int, seconds: float) -> None:
    """Log a finished request; ``status`` is 0 if it got no response. Queries, headers and bodies are never logged."""
    level = logging.INFO if status >= MIN_ERROR_STATUS or not status else logging.DEBUG
    if not LOG.isEnabledFor(level):
        return
    # The path as it was sent: a line break in it is an escape there, and cannot break a line of the log.
    path = scope.get("raw_path", scope["path"].encode()).decode("ascii", "backslashreplace")
    caller = scope.get("state", {}).get("caller")
    owner = {} if caller is None else {"owner": caller.owner}
    extra = {"method": scope["method"], "path": path, "status": status, "seconds": round(seconds, 4), **owner}
    LOG.log(level, "%s %s %s in %.3f s", scope["method"], path, status or "without a response", seconds, extra=extra)
