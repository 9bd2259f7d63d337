"""A command that runs in a fork of a template, for shells (``python -I -S command.py ADDRESS COMMAND…``).

The fork has this process's files, environment and directory, and receives its signals; this process exits as the fork
does. It imports little, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def main(address: str, command: list[str]) -> None:
    """Request a fork that runs the command, and exit with its status."""
    directory = os.getcwd()  # noqa: PTH109  # pathlib takes as long to import as all others
    request = {"command": command, "environment": dict(os.environ), "directory": directory, "session": False}
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as lines:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [0, 1, 2])
        pid = int(lines.readline())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _: os.kill(pid, received))
        code = os.waitstatus_to_exitcode(int(lines.readline() or 1))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
