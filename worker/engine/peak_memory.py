"""The peak of this process's resident memory, since a job began."""

from __future__ import annotations

import contextlib
from pathlib import Path

PROCESS = Path("/proc/self")


class PeakMemory:
    """The peak of the resident memory from its creation on."""

    def __init__(self) -> None:
        self._measures = False
        with contextlib.suppress(OSError):
            (PROCESS / "clear_refs").write_text("5")  # sets the peak to the current value; see proc(5)
            self._measures = True

    @property
    def bytes(self) -> int | None:
        """The peak so far; None if the system does not measure it."""
        if not self._measures:
            return None
        lines = (PROCESS / "status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
