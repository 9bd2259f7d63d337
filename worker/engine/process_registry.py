"""How many training processes are at work on this machine, so that they share its processors.

Each of them holds a lock on a file of its own in a common directory. The kernel lets go of the lock when the process
ends, however it ends.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = logging.getLogger("fitwell.worker")
STALE_SECONDS = 60.0
"""A file without a lock for this long belongs to a process that died."""


def common_directory() -> Path:
    """One for all training processes of this user."""
    return Path(tempfile.gettempdir()) / f"fitwell-{os.getuid()}" / "training"


class ProcessRegistry:
    """The training processes that share ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._mine: Path | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """This process is at work for as long as the block runs."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f"{os.getpid()}-", dir=self._directory)
        except OSError as error:
            LOG.warning("processors cannot be shared with other training processes: %s", error)
            yield
            return
        fcntl.flock(handle, fcntl.LOCK_EX)
        self._mine = Path(name)
        try:
            yield
        finally:
            self._mine.unlink(missing_ok=True)
            self._mine = None
            os.close(handle)

    def count(self) -> int:
        """How many are at work now, this one included."""
        if not self._directory.is_dir():
            return 1
        return 1 + sum(_held(file) for file in self._directory.iterdir() if file != self._mine)


def _held(file: Path) -> bool:
    """Whether a living process holds ``file``; one that was left over is removed."""
    try:
        handle = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        if time.time() - os.fstat(handle).st_mtime > STALE_SECONDS:
            file.unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)
