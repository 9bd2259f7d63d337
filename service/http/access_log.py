"""A line in the log for every request that is refused; with DEBUG, for every one."""

from __future__ import annotations

import logging

from starlette.types import Scope

LOG = logging.getLogger("fitwell.requests")
REFUSED = 400


def tell(scope: Scope, status: int, seconds: float) -> None:
    """Tell of a request that has ended, with 0 as its status where it had no answer.

    Never of what a query, a header or a body holds.
    """
    level = logging.INFO if status >= REFUSED or not status else logging.DEBUG
    if not LOG.isEnabledFor(level):
        return
    # As it was sent: a line's end in a path is an escape there, and no line's end in the log.
    path = scope.get("raw_path", scope["path"].encode()).decode("ascii", "backslashreplace")
    caller = scope.get("state", {}).get("caller")
    who = {} if caller is None else {"owner": caller.owner}
    about = {"method": scope["method"], "path": path, "status": status, "seconds": round(seconds, 4), **who}
    LOG.log(level, "%s %s %s in %.3f s", scope["method"], path, status or "without an answer", seconds, extra=about)
