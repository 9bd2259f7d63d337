"""A directory of files that several processes need.

A file is written into the directory, whole, and never changes once it has its name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

LOG = logging.getLogger("fitwell.storage")
COPIES_SECONDS = 86_400.0
"""How long a copy of a file in a bucket is kept after its last use."""


class StorageUnavailable(OSError):
    """The bucket did not answer, or refused; the message says what would work."""


class StorageOutage(StorageUnavailable):
    """The bucket is out of reach for now; the same call may succeed later."""

    reason = ""
    """The client's own message."""


class OutageHandler(Protocol):
    """Decides what happens while a bucket is out of reach."""

    def wait_out(self, error: StorageOutage) -> None:
        """Return when the call should be repeated; raise to give up."""
        ...

    def storage_is_back(self) -> None:
        """A repeated call succeeded."""
        ...


class FailAtOnce:
    """Gives up at the first outage: for requests, which clients repeat."""

    def wait_out(self, error: StorageOutage) -> None:
        """Raise the error."""
        raise error

    def storage_is_back(self) -> None:
        """Never called, because no call is repeated."""


class BlobStore:
    """A directory that every process that needs its files can read. Names are relative to ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.outages: OutageHandler = FailAtOnce()

    def push(self, name: str, source: Path | None = None) -> None:
        """Make a file written here, or to ``source``, readable by other machines before it is recorded.

        Raises:
            StorageUnavailable: The bucket did not take the file.
        """

    def push_all(self, names: Iterable[str]) -> None:
        """Push many files, several of them at once."""

    def holds(self, name: str) -> bool:
        """Return whether other machines can read the file.

        Raises:
            StorageUnavailable: The bucket does not respond.
        """
        return True

    def fetch(self, name: str, sha256: str) -> None:
        """Make the file available in the directory, as it was written. A file that exists nowhere stays missing.

        Raises:
            StorageUnavailable: The file could not be fetched from the bucket.
        """

    def drop(self, names: Sequence[str]) -> None:
        """Remove unreferenced files; log those that cannot be removed."""
        for name in names:
            try:
                (self.home / name).unlink(missing_ok=True)
            except OSError as error:
                LOG.warning("the file %s could not be removed: %s", name, error)

    def stored(self, before: float) -> Iterator[str]:
        """Return names of stored files outside the directory that are older than that moment.

        Raises:
            StorageUnavailable: The bucket does not respond.
        """
        return iter(())

    def unsent(self) -> Iterator[str]:
        """Yield the names of files that are on this machine alone."""
        return iter(())

    def tidy(self, before: float) -> int:
        """Remove copies that have not been used since that moment and can be fetched again; return how many."""
        return 0
