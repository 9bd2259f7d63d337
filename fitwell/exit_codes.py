"""The exit codes of the ``fitwell`` command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Stable exit codes for scripts."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    LOCAL = 5
    CONDITION = 6


MEANINGS: dict[Exit, tuple[str, str]] = {
    Exit.OK: ("success", ""),
    Exit.RUN_FAILED: (
        "the run failed",
        "A run failed or was cancelled; verify found a difference; a webhook test or a check of doctor failed.",
    ),
    Exit.USAGE: ("usage error", "The command line or a spec file is invalid; nothing was submitted."),
    Exit.REFUSED: ("rejected by the server", "The server rejected the request; the message contains the reason."),
    Exit.UNREACHABLE: (
        "server unreachable",
        "No server responds at the address, or it is not a Fitwell server.",
    ),
    Exit.LOCAL: (
        "problem on this machine",
        "A port is in use, a directory is not writable, or a package is not installed.",
    ),
    Exit.CONDITION: ("--fail-if condition met", "The run succeeded but met a condition of --fail-if."),
}
"""A short and a long description of each code."""
HELP = f"Exit codes: {' · '.join(f'{code.value} {short}' for code, (short, _) in MEANINGS.items())}."
