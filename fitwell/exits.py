"""The exit codes of the ``fitwell`` command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a script can rely on."""

    OK = 0
    RUN_FAILED = 1
    """The run that was waited for failed or was cancelled; bits differ (``verify``); a check of ``doctor`` failed."""
    USAGE = 2
    """The command line or a spec file is wrong."""
    REFUSED = 3
    """The server refused the request."""
    UNREACHABLE = 4
    """No server answered."""
    LOCAL = 5
    """Something on this machine is in the way: a port in use, a directory not writable, parts not installed."""


HELP = (
    "Exit codes: 0 done · 1 the run failed · 2 wrong usage · 3 refused by the server · 4 no server answers · "
    "5 something on this machine is in the way."
)
