"""Files as they were recorded: opened, and compared with their digest before anybody reads of them."""

from __future__ import annotations

import hashlib
import os
from io import BufferedReader
from pathlib import Path

MAX_CACHED = 4096


class NotAsRecorded(Exception):
    """The file is missing, or is not what was written; the message says which."""


class Digests:
    """Digests of files, computed once for each file as long as it is not modified."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], str] = {}

    def opened(self, path: Path, sha256: str) -> BufferedReader:
        """The file, to be read from its beginning; it stays readable even where somebody removes it meanwhile.

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
