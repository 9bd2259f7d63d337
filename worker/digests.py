"""Files that are compared with their recorded digest before they are read."""

from __future__ import annotations

import hashlib
import os
from io import BufferedReader
from pathlib import Path

MAX_CACHED = 4096


class NotAsRecorded(Exception):
    """A file is missing or does not have the recorded digest."""


class Digests:
    """Digests of files, computed again only after a file was modified."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], str] = {}

    def opened(self, path: Path, sha256: str) -> BufferedReader:
        """Open a file if its digest matches. It stays readable if the file is removed meanwhile.

        Raises:
            NotAsRecorded: The file is missing, or its SHA-256 differs.
        """
        try:
            file = path.open("rb")
            digest = self._of(file)
        except OSError as error:
            raise NotAsRecorded(f"cannot be read ({error.strerror})") from error
        if digest == sha256:
            file.seek(0)
            return file
        file.close()
        raise NotAsRecorded("is not what was written (its SHA-256 differs)")

    def _of(self, file: BufferedReader) -> str:
        about = os.fstat(file.fileno())
        touched = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        if touched not in self._known:
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            self._known[touched] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._known[touched]
