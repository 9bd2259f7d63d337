"""The directories in which uploads are received and parsed, one for each upload, locked by the process that uses it.

If a server dies during an upload, its directory remains without a lock, and the next start removes it. Before a file is
moved into or removed from the folder of uploads, its name is noted in the directory, so that the next start checks
exactly these files.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from service.sandbox.parsing.options import Files
from worker.spec.datasets.uploaded import file_name

FOLDER = "incoming"
ATTEMPTS = 10


class Place(Files):
    """A directory that this process has locked."""

    @property
    def _note(self) -> Path:
        return self.path / "digest"

    def note(self, names: Iterable[str]) -> None:
        """Note the names of the files to check after a crash."""
        self._note.write_text("\n".join(names))

    def noted(self) -> list[str]:
        """Return the noted names; earlier versions noted the digest of one dataset."""
        lines = self._note.read_text().split() if self._note.is_file() else []
        return [line if "." in line else file_name(line) for line in lines]


class Incoming:
    """The directories below ``uploads``."""

    def __init__(self, uploads: Path) -> None:
        self._root = uploads / FOLDER

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """Create a locked directory; it is deleted on exit."""
        self._root.mkdir(parents=True, exist_ok=True)
        path, lock = self._create()
        try:
            yield Place(path)
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    def _create(self) -> tuple[Path, int]:
        """Return a new directory and its lock's descriptor; retry if a starting server removes it before the lock."""
        for _ in range(ATTEMPTS):
            path = self._root / secrets.token_hex(8)
            path.mkdir()
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                lock = _lock(path)
                if path.is_dir():
                    return path, lock
                os.close(lock)
        raise OSError(f"cannot create a directory in {self._root}")

    def clean(self, check: Callable[[Sequence[str]], None]) -> int:
        """Remove unlocked directories, call ``check`` with their noted names, and return their number."""
        removed = 0
        for path in self._root.iterdir() if self._root.is_dir() else ():
            with contextlib.suppress(BlockingIOError, FileNotFoundError, NotADirectoryError):
                lock = _lock(path)
                try:
                    names = Place(path).noted()
                    if names:
                        check(names)
                    shutil.rmtree(path, ignore_errors=True)
                    removed += 1
                finally:
                    os.close(lock)
        return removed


def _lock(path: Path) -> int:
    """Lock a directory, and return the descriptor that holds the lock.

    Raises:
        BlockingIOError: Another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
