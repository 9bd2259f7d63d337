"""The limits that the parser sets for itself before it opens the file."""

from __future__ import annotations

import resource
from pathlib import Path

from service.sandbox.parsing.options import Limits

OPEN_FILES = 64
MORE_FILE_BYTES = 2**25
"""Additional size for headers, names and the report."""


def confine(limits: Limits) -> None:
    """From now on this process gets no more memory, time, files or disk than ``limits`` say; it can never get more."""
    if had := memory():
        _limit(resource.RLIMIT_AS, had["VmSize"] + limits.memory_bytes)
    _limit(resource.RLIMIT_CPU, int(limits.seconds) + 1)
    _limit(resource.RLIMIT_FSIZE, limits.dataset_bytes + MORE_FILE_BYTES)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(what: int, most: int) -> None:
    _, allowed = resource.getrlimit(what)
    most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
    resource.setrlimit(what, (most, most))


def memory() -> dict[str, int]:
    """The memory and address space that this process has and the most it ever had, in bytes; empty off Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return {}
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmSize", "VmPeak", "VmRSS", "VmHWM")}
