"""The exit codes of the ``fitwell`` command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a script can rely on."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    LOCAL = 5
    CONDITION = 6


MEANINGS: dict[Exit, tuple[str, str]] = {
    Exit.OK: ("done", ""),
    Exit.RUN_FAILED: (
        "the run failed",
        "What was waited for failed or was cancelled; bits differ (verify); a webhook's test was not taken; a check of "
        "doctor failed.",
    ),
    Exit.USAGE: ("wrong usage", "The command line or a spec file is wrong; nothing was sent."),
    Exit.REFUSED: ("refused by the server", "The server refused the request, and said why."),
    Exit.UNREACHABLE: (
        "no server answers",
        "Nobody answers at the address, or what answers is no Fitwell server.",
    ),
    Exit.LOCAL: (
        "something on this machine is in the way",
        "A port in use, a directory that is not writable, a package that is not installed.",
    ),
    Exit.CONDITION: ("a condition of --fail-if holds", "The run succeeded, and is not as good as was asked for."),
}
"""In a few words, and in a sentence."""
HELP = f"Exit codes: {' · '.join(f'{code.value} {words}' for code, (words, _) in MEANINGS.items())}."
