"""Where uploads are received and read: a directory for each, which its holder locks.

Whatever a server had in hand when it died lies in such a directory, whose lock is free then; the next start takes it
away. Before a file is moved into the folder of uploads, or is to be removed from it, its digest is noted in the
directory: so the start knows what to look after, and touches no other file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from service.sandbox.parsing.options import Files

FOLDER = "incoming"
TRIES = 10


class Place(Files):
    """A directory that this process holds."""

    @property
    def note(self) -> Path:
        """What says which file of the folder of uploads is to be looked after."""
        return self.path / "digest"


class Incoming:
    """The directories below ``uploads``."""

    def __init__(self, uploads: Path) -> None:
        self._root = uploads / FOLDER

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """A fresh directory; gone with all that is in it when the block is left."""
        self._root.mkdir(parents=True, exist_ok=True)
        path, lock = self._locked()
        try:
            yield Place(path)
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    def _locked(self) -> tuple[Path, int]:
        """A new directory and the descriptor of its lock; a start may take it away before the lock is held."""
        for _ in range(TRIES):
            path = self._root / secrets.token_hex(8)
            path.mkdir()
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                lock = _lock(path)
                if path.is_dir():
                    return path, lock
                os.close(lock)
        raise OSError(f"{self._root} cannot be worked in")

    def left(self, look_after: Callable[[str], None]) -> int:
        """Take away the directories that nobody holds; ``look_after`` gets the digests noted in them. How many."""
        found = 0
        for path in self._root.iterdir() if self._root.is_dir() else ():
            with contextlib.suppress(BlockingIOError, FileNotFoundError, NotADirectoryError):
                lock = _lock(path)
                try:
                    note = Place(path).note
                    if note.is_file():
                        look_after(note.read_text())
                    shutil.rmtree(path, ignore_errors=True)
                    found += 1
                finally:
                    os.close(lock)
        return found


def _lock(path: Path) -> int:
    """A descriptor that holds the directory's lock.

    Raises:
        BlockingIOError: somebody else holds it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
