"""Directories for the files of prediction requests; each is deleted with its request."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from service.errors import Unavailable
from service.sandbox.parsing.options import Files

RETRY_SECONDS = 2


class Scratch:
    """Directories below ``root``, a limited number at once."""

    def __init__(self, root: Path, at_once: int) -> None:
        self._root = root
        self._slots = threading.BoundedSemaphore(at_once)

    @contextlib.contextmanager
    def directory(self) -> Iterator[Files]:
        """Provide a directory for one file; it is deleted on exit.

        Raises:
            Unavailable: The server reads its maximum number of files already.
        """
        if not self._slots.acquire(blocking=False):
            message = "This server is reading as many files as it can (FITWELL_UPLOADS_AT_ONCE). Try again."
            raise Unavailable(message, headers={"retry-after": str(RETRY_SECONDS)})
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._root, ignore_cleanup_errors=True) as path:
                yield Files(Path(path))
        finally:
            self._slots.release()
