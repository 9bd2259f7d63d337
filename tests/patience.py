"""Time limits that follow the machine: a limit in a test is the number of seconds that a quiet machine needs at most.

``scaled`` multiplies a limit by how slow this machine is at the moment, so that a busy or small machine gets more time
and a test that proves a bound ("cancelled within 12 s") still proves it. ``eventually`` polls a condition, and measures
the machine again before it gives up.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUIET_SECONDS = 0.25
"""Duration of ``_WORK`` in a new process on a quiet machine with the slowest processor these limits were chosen on."""
FRESH_SECONDS = 10.0
"""A measurement is reused for this long."""
MEMORY_SECONDS = 120.0
"""Load comes in bursts: the slowest measurement of the last minutes counts."""
MAX_PAUSE = 0.2
"""Polls compute too: the pause between them is a twentieth of the time since the last progress, and no longer."""
_WORK = "import decimal, email.message, json, tempfile\nfor n in range(2_000_000): n * n % 7"


class Machine:
    """How slow this machine is, measured when a limit depends on it."""

    def __init__(
        self, work: Callable[[], object], *, clock: Callable[[], float] = time.monotonic, shared: Path | None = None
    ) -> None:
        """``shared``: a file through which processes on this machine share their measurements."""
        self._work, self._clock, self._shared = work, clock, shared
        self._measurements: list[tuple[float, float]] = []

    def slowdown(self) -> float:
        """Return how many times slower than a quiet machine this one is, at least 1."""
        now = self._clock()
        if self._shared is not None and self._shared.exists():
            rows = [line.split() for line in self._shared.read_text().splitlines()]
            self._measurements = [(float(at), float(factor)) for at, factor in rows]
        self._measurements = [(at, factor) for at, factor in self._measurements if now - at < MEMORY_SECONDS]
        if not self._measurements or now - self._measurements[-1][0] >= FRESH_SECONDS:
            self._work()
            finished = self._clock()
            factor = (finished - now) / QUIET_SECONDS
            self._measurements.append((finished, factor))
            if self._shared is not None:
                with self._shared.open("a") as file:
                    file.write(f"{finished} {factor}\n")
        return max(1.0, *(factor for _, factor in self._measurements))


def _start_and_compute() -> None:
    subprocess.run([sys.executable, "-I", "-S", "-c", _WORK], check=True)


def _shared_file() -> Path | None:
    """Return the file in which parallel test processes share measurements; None if this process is alone."""
    if (session := os.environ.get("PYTEST_XDIST_TESTRUNUID")) is None:
        return None
    file = Path(tempfile.gettempdir(), f"fitwell-patience-{session}")
    atexit.register(file.unlink, missing_ok=True)
    return file


_machine = Machine(_start_and_compute, shared=_shared_file())


def scaled(seconds: float) -> float:
    """Return a limit of ``seconds`` on a quiet machine as seconds on this machine now."""
    return seconds * _machine.slowdown()


def eventually(
    check: Callable[[], Any],
    seconds: float = 30.0,
    pause: float = 0.05,
    *,
    progress: Callable[[], object] | None = None,
) -> Any:
    """Poll ``check``, less often the longer it takes, and return its first true value.

    Fails once ``scaled(seconds)`` have passed since the start, or since the value of ``progress`` last changed.
    """
    since, reached = time.monotonic(), progress and progress()
    while True:
        if value := check():
            return value
        if progress and (now := progress()) != reached:
            since, reached = time.monotonic(), now
        waited = time.monotonic() - since
        if waited > seconds and waited > (limit := scaled(seconds)):
            raise AssertionError(f"not true within {limit:.1f} s ({seconds:g} s on a quiet machine): {check}")
        time.sleep(max(pause, min(waited / 20, MAX_PAUSE)))
